//! `weft wait --for=…`, and the waiting that `apply`, `create` and `delete` do: by watching, never
//! by asking again and again.

use std::cell::RefCell;
use std::time::Duration;

use serde_json::Value;
use weft_client::Request;
use weft_client::cluster::ApiError;

use crate::error::CliError;
use crate::objects::choose::{Selectors, Target, each, targets};
use crate::objects::connect::{Api, Connect, duration};
use crate::objects::form::{Form, Templates, label};
use crate::objects::manifest::Sources;
use crate::objects::patience::{self, Patience};
use crate::objects::write::Tally;
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};
use weft_stdx::jsonpath::{Template, plain};

/// The command, as far as it is about objects.
pub const VERB: Entry = verb!(
    "wait",
    Args,
    "Wait until objects of a server are as they should be: weft wait --for=CONDITION TYPE NAME"
);

/// Flags of `wait`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Kinds and names
    #[arg(value_name = "TYPE")]
    words: Vec<String>,
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    selectors: Selectors,
    /// delete, create, condition=NAME[=VALUE] or jsonpath='{PATH}'[=VALUE]
    #[arg(long = "for", value_name = "WHAT", required = true)]
    what: String,
    /// All objects of the kind in the namespace
    #[arg(long)]
    all: bool,
    /// In all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// How long to wait at most (0: look once, less: a week)
    #[arg(long, value_name = "TIME", value_parser = patient, default_value = "30s")]
    timeout: Duration,
    /// Show the object: name, json, yaml, jsonpath=TEMPLATE, go-template=TEMPLATE, custom-columns=NAME:PATH,...
    #[arg(short, long, value_name = "FORM")]
    output: Option<String>,
    #[command(flatten)]
    templates: Templates,
    #[command(flatten)]
    connect: Connect,
}

/// A time, of which there is a week where it is less than nothing.
fn patient(text: &str) -> Result<Duration, String> {
    match text.strip_prefix('-') {
        Some(rest) => duration(rest).map(|_| Duration::from_secs(7 * 24 * 3600)),
        None => duration(text),
    }
}

/// What is waited for.
#[derive(Debug, Clone, PartialEq)]
enum Goal {
    Delete,
    Create,
    Condition(String, String),
    Path(Template, Option<String>),
}

impl Goal {
    fn parse(text: &str) -> Result<Goal, CliError> {
        let wrong = || {
            CliError::usage(format!("unrecognized condition: {text:?}"))
            .hint("delete, create, condition=Ready, condition=Ready=false, jsonpath='{.status.phase}'=Running")
        };
        if text.eq_ignore_ascii_case("delete") {
            return Ok(Goal::Delete);
        }
        if text.eq_ignore_ascii_case("create") {
            return Ok(Goal::Create);
        }
        if let Some(rest) = text.strip_prefix("condition=") {
            let (name, value) = rest.split_once('=').unwrap_or((rest, "True"));
            return match name {
                "" => Err(wrong()),
                name => Ok(Goal::Condition(name.to_owned(), value.to_owned())),
            };
        }
        if let Some(rest) = text.strip_prefix("jsonpath=") {
            // The last equals sign outside of braces.
            let end = rest.rfind('}').map_or(0, |at| at + 1);
            let (path, value) = match rest[end..].split_once('=') {
                Some((before, value)) => (&rest[..end + before.len()], Some(value)),
                None => (rest, None),
            };
            let unquoted = value.map(|value| value.trim_matches(['"', '\'']).to_owned());
            let template = Template::relaxed(path.trim_matches('\''));
            let template = template.map_err(|error| CliError::because("read --for", &error))?;
            return Ok(Goal::Path(template, unquoted));
        }
        Err(wrong())
    }

    /// Whether an object, or that there is none, is what is waited for.
    fn is_met(&self, object: Option<&Value>) -> bool {
        let Some(object) = object else {
            return *self == Goal::Delete;
        };
        match self {
            Goal::Delete => false,
            Goal::Create => true,
            Goal::Condition(name, value) => has_condition(object, name, value),
            Goal::Path(template, value) => {
                let found = template.find(object).unwrap_or_default();
                match value {
                    None => !found.is_empty(),
                    Some(value) => found.len() == 1 && plain(found[0]) == *value,
                }
            }
        }
    }
}

fn has_condition(object: &Value, name: &str, value: &str) -> bool {
    let conditions = object["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten();
    let generation = object["metadata"]["generation"].as_i64();
    let mut found = conditions.filter(|one| {
        one["type"]
            .as_str()
            .is_some_and(|kind| kind.eq_ignore_ascii_case(name))
    });
    found.any(|one| {
        // What was said of an older specification does not count.
        let seen = one["observedGeneration"].as_i64();
        let seen = seen.or(object["status"]["observedGeneration"].as_i64());
        let is_current = seen.is_none_or(|seen| generation.is_none_or(|now| seen >= now));
        is_current
            && one["status"]
                .as_str()
                .is_some_and(|status| status.eq_ignore_ascii_case(value))
    })
}

impl Args {
    /// Waits.
    pub async fn run(self, session: &Session) -> Outcome {
        let goal = Goal::parse(&self.what)?;
        let form = Form::of(self.output.as_deref(), &self.templates)?;
        let api = Api::open(&self.connect, session)?;
        let mut chosen = Vec::new();
        for target in targets(&api, &self.words, &self.sources, self.all_namespaces).await? {
            if target.name.is_none() && !self.all && self.selectors.is_empty() {
                return Err(CliError::usage(
                    "resource(s) were provided, but no name was specified",
                ));
            }
            chosen.extend(each(&api, target, &self.selectors).await?);
        }
        if chosen.is_empty() {
            return Err(CliError::new("no matching resources found"));
        }
        let mut tally = Tally::new(api.printer);
        for target in &chosen {
            let last = RefCell::new(Value::Null);
            let seen = until(&api, target, Some(self.timeout), |object| {
                if let Some(object) = object {
                    last.replace(object.clone());
                }
                goal.is_met(object)
            })
            .await;
            let word = match goal {
                Goal::Delete => "deleted",
                _ => "condition met",
            };
            match seen {
                Ok(()) => {
                    let mut object = self.templates.shown(last.into_inner());
                    object["kind"] = target.kind.kind.as_str().into();
                    object["apiVersion"] = target.kind.api_version().into();
                    object["metadata"]["name"] = target.name.as_deref().into();
                    form.outcome(api.printer, &object, word)?;
                }
                Err(error) => tally.failed(error),
            }
        }
        Ok(tally.code())
    }
}

/// Waits until the object that was deleted is gone, or another has its name.
pub async fn until_gone(
    api: &Api,
    target: &Target,
    uid: &str,
    limit: Option<Duration>,
) -> Result<(), CliError> {
    let is_gone = |object: Option<&Value>| match object {
        None => true,
        Some(object) => !uid.is_empty() && object["metadata"]["uid"] != uid,
    };
    until(api, target, limit, is_gone).await
}

/// Waits until an object is ready: by its conditions where its kind has some that say so.
pub async fn until_ready(api: &Api, object: &Value, limit: Duration) -> Result<(), CliError> {
    let (version, kind) = (object["apiVersion"].as_str(), object["kind"].as_str());
    let condition = match kind {
        Some("Deployment") => "Available",
        Some("Job") => "Complete",
        Some("CustomResourceDefinition") => "Established",
        Some("Pod" | "Node") => "Ready",
        _ => return Ok(()),
    };
    let known = api
        .kinds()
        .await?
        .of_object(version.unwrap_or_default(), kind.unwrap_or_default());
    let Some(known) = known else { return Ok(()) };
    let target = Target::of(known, object);
    let goal = Goal::Condition(condition.to_owned(), "True".to_owned());
    until(api, &target, Some(limit), |object| goal.is_met(object))
        .await
        .map_err(|error| {
            CliError::new(format!("{}: {}", label(object), error.message())).hint(format!(
                "`weft describe {}` tells what it waits for",
                target.label()
            ))
        })
}

/// Looks, then watches, until `is_met`; a limit of 0 only looks.
pub(super) async fn until(
    api: &Api,
    target: &Target,
    limit: Option<Duration>,
    is_met: impl Fn(Option<&Value>) -> bool,
) -> Result<(), CliError> {
    let waiting = watched(
        api,
        target,
        limit.is_some_and(|limit| limit.is_zero()),
        &is_met,
    );
    let Some(limit) = limit.filter(|limit| !limit.is_zero()) else {
        return waiting.await;
    };
    let label = target.label();
    let late = |_| CliError::new(format!("timed out waiting for the condition on {label}"));
    tokio::time::timeout(limit, waiting).await.map_err(late)?
}

async fn watched(
    api: &Api,
    target: &Target,
    only_look: bool,
    is_met: &impl Fn(Option<&Value>) -> bool,
) -> Result<(), CliError> {
    let mut patience = Patience::new(api.printer);
    loop {
        match look(api, target, only_look, &mut patience, is_met).await {
            Ok(true) => return Ok(()),
            Ok(false) if only_look => {
                return Err(CliError::new(format!(
                    "timed out waiting for the condition on {}",
                    target.label()
                )));
            }
            Err(error) if only_look => return Err(error.into()),
            // A watch that ends is followed by another look: nothing is missed between the two.
            Ok(false) => patience.pause().await,
            Err(error) if error.is_gone() => patience.pause().await,
            Err(error) => patience.after(error).await?,
        }
    }
}

/// Looks, and watches until the watch ends: whether it is met.
async fn look(
    api: &Api,
    target: &Target,
    only_look: bool,
    patience: &mut Patience,
    is_met: &impl Fn(Option<&Value>) -> bool,
) -> Result<bool, ApiError> {
    let mut of_kind = target.clone();
    let name = of_kind.name.take().unwrap_or_default();
    let selector = format!("metadata.name={name}");
    let list = of_kind.get().query("fieldSelector", &selector);
    let list = api.ask(&list).await?.json()?;
    let seen = list["items"].as_array().and_then(|items| items.first());
    if is_met(seen) {
        return Ok(true);
    }
    if only_look {
        return Ok(false);
    }
    let version = list["metadata"]["resourceVersion"].as_str();
    let request = Request::get(format!("watch {}", target.label()), &of_kind.path(None))
        .query("fieldSelector", &selector)
        .query("watch", "true")
        .query("allowWatchBookmarks", "true")
        .query_opt("resourceVersion", version);
    let mut events = api.cluster.watch(&request).await?;
    patience.answered();
    while let Some((kind, object)) = patience::next(&mut events).await? {
        let now = (kind != "DELETED").then_some(&object);
        if kind != "BOOKMARK" && is_met(now) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn goals_are_read_and_met() {
        let object = json!({
            "metadata": { "generation": 2 },
            "status": { "phase": "Running", "conditions": [
                { "type": "Ready", "status": "True" },
                { "type": "Old", "status": "True", "observedGeneration": 1 },
            ] },
        });
        for (text, met) in [
            ("condition=Ready", true),
            ("condition=ready=true", true),
            ("condition=Ready=False", false),
            ("condition=Old", false),
            ("condition=Nope", false),
            ("jsonpath={.status.phase}=Running", true),
            ("jsonpath='{.status.phase}'=Running", true),
            ("jsonpath={.status.phase}=Failed", false),
            (
                "jsonpath={.status.conditions[?(@.type==\"Ready\")].status}=True",
                true,
            ),
            ("jsonpath={.status.nope}", false),
            ("create", true),
            ("delete", false),
        ] {
            assert_eq!(
                Goal::parse(text).unwrap().is_met(Some(&object)),
                met,
                "{text}"
            );
        }
        assert!(Goal::parse("delete").unwrap().is_met(None));
        assert!(!Goal::parse("create").unwrap().is_met(None));
        for text in ["nope", "condition=", "jsonpath={.a", ""] {
            assert!(Goal::parse(text).is_err(), "{text}");
        }
    }
}
