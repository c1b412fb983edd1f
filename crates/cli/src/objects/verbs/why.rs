//! `weft why`: why an object is as it is, in one sentence, what to do about it, and the chain of causes
//! behind it.
//!
//! ```text
//!   object ─▶ what belongs to it, its events (`gather`) ─▶ `Seen` ─▶ `finding` (pure) ─▶ sentence, chain
//! ```
//! Owns which kind is judged by whom, and the text. Never: changes anything.

mod cause;
mod container;
mod disruption;
mod engine;
mod gather;
mod place;
mod pod;
mod schedule;
mod storage;
mod traffic;
mod workload;

use jiff::Timestamp;

use self::cause::{Finding, Seen, condition, list, text, typed};
use crate::error::CliError;
use crate::objects::connect::{Api, Connect};
use crate::objects::form::Form;
use crate::objects::pods;
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = verb!(
    "why",
    Args,
    "Tell why an object or container is as it is: weft why TYPE/NAME"
);

/// Columns of a text that no terminal bounds.
const WIDTH: usize = 100;
/// Fewer than these are taken for these: words are longer.
const WIDTH_MIN: usize = 20;

/// Flags of `why`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// TYPE/NAME or TYPE NAME of an object, or a container of this machine
    #[arg(value_name = "TYPE", required = true, num_args = 1..=2)]
    words: Vec<String>,
    /// json or yaml: for programs
    #[arg(short, long, value_name = "FORM")]
    output: Option<String>,
    #[command(flatten)]
    connect: Connect,
}

impl Args {
    /// Tells why.
    pub async fn run(self, session: &Session) -> Outcome {
        let form = Form::parse(self.output.as_deref())?;
        let word = match &self.words[..] {
            [kind, name] => format!("{kind}/{name}"),
            words => words[0].clone(),
        };
        if !word.contains('/') {
            let (object, finding) = engine::ask(session, &word).await?;
            return show(session, &form, &object, &finding);
        }
        if session.is_explaining() {
            let why = "--curl does not go with why: what it asks for depends on the answers";
            return Err(CliError::usage(why));
        }
        let api = Api::open(&self.connect, session)?;
        let object = pods::named(&api, &word).await?;
        let seen = gather::gather(&api, object).await;
        let finding = finding(&seen, Timestamp::now());
        show(session, &form, &typed(&seen.object), &finding)
    }
}

fn show(session: &Session, form: &Form, object: &str, finding: &Finding) -> Outcome {
    let text = match form.is_table() {
        true => told(finding, session.printer.width().unwrap_or(WIDTH)),
        false => form.whole(&finding.value(object))?,
    };
    session.printer.data(&text)?;
    Ok(0)
}

/// What is with an object: by its kind.
fn finding(seen: &Seen, now: Timestamp) -> Finding {
    match text(&seen.object, "/kind") {
        "Pod" => pod::finding(seen, now),
        "Deployment" | "ReplicaSet" | "ReplicationController" | "StatefulSet" | "DaemonSet" => {
            workload::finding(seen, now)
        }
        "Job" => workload::job(seen, now),
        "CronJob" => workload::cron_job(seen, now),
        "HorizontalPodAutoscaler" => workload::autoscaler(seen, now),
        "Service" => traffic::service(seen, now),
        "PersistentVolumeClaim" => storage::claim(seen, now),
        "PersistentVolume" => storage::volume(seen, now),
        "PodDisruptionBudget" => disruption::budget(seen, now),
        "Node" => place::node(seen, now),
        "Namespace" => place::namespace(seen, now),
        _ => other(seen, now),
    }
}

/// A kind of which only is known what all have: deletion, conditions, events.
fn other(seen: &Seen, now: Timestamp) -> Finding {
    let object = &seen.object;
    let called = cause::called(object);
    let found = place::deletion(seen, now).unwrap_or_else(|| {
        let ready = condition(object, "Ready").or_else(|| condition(object, "Available"));
        if let Some(ready) = ready.filter(|one| text(one, "/status") != "True") {
            let message = container::short(text(ready, "/message"));
            return Finding::wrong(
                format!("{called} is not ready: {message}"),
                format!("`weft describe {}` tells more", typed(object)),
            );
        }
        let warned = seen.events.last();
        if let Some(warned) = warned.filter(|one| text(one, "/type") == "Warning") {
            let message = container::short(text(warned, "/message"));
            return Finding::wrong(
                format!("{called} is there, but: {message}"),
                format!("`weft describe {}` tells more", typed(object)),
            )
            .then("event", text(warned, "/reason"));
        }
        Finding::well(format!(
            "{called} is there, and nothing is known to be wrong"
        ))
    });
    let conditions = list(object, "/status/conditions").len();
    found.under(typed(object), cause::count(conditions, "condition"))
}

/// The sentence, what to do, and the chain, in lines of at most `width` columns.
fn told(finding: &Finding, width: usize) -> String {
    let width = width.max(WIDTH_MIN);
    let mut out = String::new();
    wrap(&finding.sentence(), "", "", width, &mut out);
    if !finding.next.is_empty() {
        wrap(&finding.next, "next: ", "      ", width, &mut out);
    }
    if finding.chain.is_empty() {
        return out;
    }
    out.push('\n');
    for link in &finding.chain {
        let indent = "  ".repeat(link.depth.min(width / 8));
        let first = match link.depth {
            0 => String::new(),
            _ => format!("{}└ ", &indent[2..]),
        };
        let text = match link.says.is_empty() {
            true => link.object.clone(),
            false => format!("{}: {}", link.object, link.says),
        };
        wrap(&text, &first, &format!("{indent}  "), width, &mut out);
    }
    out
}

/// Words of `text` in lines, the first behind `first`, the others behind `rest`.
fn wrap(text: &str, first: &str, rest: &str, width: usize, out: &mut String) {
    let mut line = first.to_owned();
    let mut is_empty = true;
    for word in text.split_whitespace() {
        let length = line.chars().count() + word.chars().count() + usize::from(!is_empty);
        if !is_empty && length > width {
            out.push_str(line.trim_end());
            out.push('\n');
            line = rest.to_owned();
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    out.push_str(line.trim_end());
    out.push('\n');
}

#[cfg(test)]
mod tests;
