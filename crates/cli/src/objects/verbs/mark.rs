//! `weft label` and `weft annotate`

use serde_json::{Map, Value, json};
use weft_client::{Method, Request};

use crate::error::CliError;
use crate::objects::choose::{Selectors, Target, targets};
use crate::objects::connect::{Api, Connect};
use crate::objects::form::{items, label};
use crate::objects::manifest::{self, Sources};
use crate::objects::write::{Change, DryRun, Tally};
use crate::printer::Printer;
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// `weft label`
pub const LABEL: Entry = verb!(
    "label",
    Label,
    "Set and remove labels: weft label TYPE NAME KEY=VALUE KEY-"
);
/// `weft annotate`
pub const ANNOTATE: Entry = verb!(
    "annotate",
    Annotate,
    "Set and remove annotations: weft annotate TYPE NAME KEY=VALUE KEY-"
);

/// Flags of `label`.
#[derive(Debug, clap::Args)]
pub struct Label {
    #[command(flatten)]
    args: Args,
}

/// Flags of `annotate`.
#[derive(Debug, clap::Args)]
pub struct Annotate {
    #[command(flatten)]
    args: Args,
}

#[derive(Debug, clap::Args)]
struct Args {
    /// Kind, names, then KEY=VALUE to set and KEY- to remove
    #[arg(value_name = "WORD")]
    words: Vec<String>,
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    selectors: Selectors,
    /// All objects of the kind in the namespace
    #[arg(long)]
    all: bool,
    /// In all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// Also where there is another value
    #[arg(long)]
    overwrite: bool,
    /// Show what there is
    #[arg(long)]
    list: bool,
    /// Only if it is still at this version
    #[arg(long, value_name = "VERSION", conflicts_with = "local")]
    resource_version: Option<String>,
    /// Mark what the files say, and ask no server
    #[arg(long, conflicts_with_all = ["all", "all_namespaces", "selector", "field_selector"])]
    local: bool,
    #[command(flatten)]
    change: Change,
    #[command(flatten)]
    connect: Connect,
}

impl Label {
    /// Labels objects.
    pub async fn run(self, session: &Session) -> Outcome {
        self.args.run(session, "labels").await
    }
}

impl Annotate {
    /// Annotates objects.
    pub async fn run(self, session: &Session) -> Outcome {
        self.args.run(session, "annotations").await
    }
}

/// What is to be set and what removed.
#[derive(Debug, Default, PartialEq)]
struct Marks(Vec<(String, Option<String>)>);

impl Marks {
    /// Takes the marks off the end of `words`.
    fn split(words: &[String]) -> Result<(&[String], Marks), CliError> {
        let is_mark = |word: &String| word.contains('=') || word.ends_with('-');
        let at = words.iter().position(is_mark).unwrap_or(words.len());
        let (words, marks) = words.split_at(at);
        let mut found: Vec<(String, Option<String>)> = Vec::new();
        for mark in marks {
            let (key, value) = match mark.split_once('=') {
                Some((key, value)) => (key, Some(value.to_owned())),
                None => match mark.strip_suffix('-') {
                    Some(key) => (key, None),
                    None => {
                        return Err(CliError::usage(format!(
                            "{mark:?} is neither KEY=VALUE nor KEY-"
                        )));
                    }
                },
            };
            if key.is_empty() {
                return Err(CliError::usage(format!("{mark:?} has no key")));
            }
            if found.iter().any(|(known, _)| known == key) {
                return Err(CliError::usage(format!("{key:?} is given twice")));
            }
            found.push((key.to_owned(), value));
        }
        Ok((words, Marks(found)))
    }
}

impl Args {
    async fn run(self, session: &Session, field: &str) -> Outcome {
        self.change.form()?;
        let (words, marks) = Marks::split(&self.words)?;
        if marks.0.is_empty() && !self.list {
            return Err(CliError::usage(
                "at least one update is required: KEY=VALUE or KEY-",
            ));
        }
        if self.local {
            return self.of_files(session, words, field, &marks).await;
        }
        let api = Api::open(&self.connect, session)?;
        let mut chosen = Vec::new();
        for target in targets(&api, words, &self.sources, self.all_namespaces).await? {
            match target.name {
                Some(_) => chosen.push((api.ask(&target.get()).await?.json()?, target)),
                None if self.all || !self.selectors.is_empty() => {
                    chosen.extend(self.of_list(&api, &target).await?);
                }
                None => {
                    return Err(CliError::usage(
                        "one or more resources must be specified as <resource> <name> or <resource>/<name>",
                    ));
                }
            }
        }
        if self.resource_version.is_some() && chosen.len() > 1 {
            return Err(CliError::usage(
                "--resource-version may only be used with a single resource",
            ));
        }
        let mut tally = Tally::new(api.printer);
        for (before, target) in &chosen {
            if self.list {
                let mut whole = before.clone();
                whole["kind"] = target.kind.kind.as_str().into();
                whole["apiVersion"] = target.kind.api_version().into();
                listed(api.printer, &whole, field, chosen.len() == 1)?;
            } else if let Err(error) = self.mark(&api, target, before, field, &marks).await {
                tally.failed(error);
            }
        }
        Ok(tally.code())
    }

    async fn of_list(&self, api: &Api, target: &Target) -> Result<Vec<(Value, Target)>, CliError> {
        let list = api.ask(&self.selectors.on(target.get())).await?.json()?;
        let named = |item: &Value| {
            let text = |key: &str| item["metadata"][key].as_str().map(str::to_owned);
            let target = Target {
                kind: target.kind.clone(),
                namespace: text("namespace").filter(|_| target.kind.is_namespaced),
                name: text("name"),
            };
            (item.clone(), target)
        };
        Ok(items(&list).into_iter().map(named).collect())
    }

    /// Marks what is in files.
    async fn of_files(
        &self,
        session: &Session,
        words: &[String],
        field: &str,
        marks: &Marks,
    ) -> Outcome {
        if !words.is_empty() || self.sources.is_empty() {
            return Err(CliError::usage(
                "can only use local files by -f pod.yaml or --filename=pod.json when --local=true is set",
            ));
        }
        let manifests = manifest::read(&self.sources).await?;
        let is_one = manifests.len() == 1;
        for manifest in manifests {
            let before = manifest.object;
            if self.list {
                listed(session.printer, &before, field, is_one)?;
                continue;
            }
            let patch = self.patch(session.printer, &before, field, marks)?;
            self.tell(session.printer, &before, field, marks, &patch)?;
        }
        Ok(0)
    }

    async fn mark(
        &self,
        api: &Api,
        target: &Target,
        before: &Value,
        field: &str,
        marks: &Marks,
    ) -> Result<(), CliError> {
        let patch = self.patch(api.printer, before, field, marks)?;
        let mut full = before.clone();
        full["kind"] = target.kind.kind.as_str().into();
        full["apiVersion"] = target.kind.api_version().into();
        let is_sent = !patch.is_empty() || self.resource_version.is_some();
        if !is_sent || self.change.dry_run == DryRun::Client {
            return self.tell(api.printer, &full, field, marks, &patch);
        }
        let request = Request::new(
            Method::PATCH,
            format!("patch {}", label(&full)),
            &target.path(None),
        );
        let mut body = json!({ "metadata": { field: patch } });
        if let Some(version) = &self.resource_version {
            body["metadata"]["resourceVersion"] = version.as_str().into();
        }
        let request = self
            .change
            .on(request)
            .body("application/merge-patch+json", body.to_string());
        let after = api.send(&request).await?.json()?;
        self.change
            .tell(api.printer, &after, word(field, marks, &patch))
    }

    /// The marks that `before` has not; nothing where one is to be removed.
    fn patch(
        &self,
        printer: Printer,
        before: &Value,
        field: &str,
        marks: &Marks,
    ) -> Result<Map<String, Value>, CliError> {
        let there = &before["metadata"][field];
        let mut patch = Map::new();
        for (key, value) in &marks.0 {
            let old = there[key].as_str();
            if let (Some(old), Some(new)) = (old, value)
                && old != new
                && !self.overwrite
            {
                return Err(CliError::new(format!(
                    "'{key}' already has a value ({old}), and --overwrite is false"
                )));
            }
            if value.is_none() && old.is_none() {
                printer.talk(&format!(
                    "{} {key:?} not found.",
                    field.trim_end_matches('s')
                ));
            }
            if value.as_deref() != old {
                patch.insert(key.clone(), value.clone().map_or(Value::Null, Value::from));
            }
        }
        Ok(patch)
    }

    /// Tells what would become of an object.
    fn tell(
        &self,
        printer: Printer,
        before: &Value,
        field: &str,
        marks: &Marks,
        patch: &Map<String, Value>,
    ) -> Result<(), CliError> {
        let mut after = before.clone();
        if !patch.is_empty() {
            json_patch::merge(&mut after, &json!({ "metadata": { field: patch } }));
        }
        self.change.tell(printer, &after, word(field, marks, patch))
    }
}

/// What was done to an object.
fn word(field: &str, marks: &Marks, patch: &Map<String, Value>) -> &'static str {
    let removes = marks.0.iter().all(|(_, value)| value.is_none());
    match (field, patch.is_empty(), removes) {
        ("labels", true, _) => "not labeled",
        ("labels", _, true) => "unlabeled",
        ("labels", ..) => "labeled",
        _ => "annotated",
    }
}

/// Shows the marks of an object; of several, whose they are.
fn listed(printer: Printer, object: &Value, field: &str, is_one: bool) -> Result<(), CliError> {
    let indent = if is_one { "" } else { " " };
    if !is_one {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let version = text(&object["apiVersion"]);
        let group = version.split_once('/').map_or("", |(group, _)| group);
        let (kind, name) = (text(&object["kind"]), text(&object["metadata"]["name"]));
        printer.line(&format!("Listing {field} for {kind}.{group}/{name}:"))?;
    }
    let found = object["metadata"][field].as_object().into_iter().flatten();
    for (key, value) in found {
        let value = value.as_str().unwrap_or_default();
        printer.line(&format!("{indent}{key}={value}"))?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn marks_follow_what_is_marked() {
        let words = |line: &str| {
            line.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let line = words("cm a-b x=1 y- z=a=b w=");
        let (rest, marks) = Marks::split(&line).unwrap();
        assert_eq!(rest, ["cm", "a-b"]);
        let expected = [
            ("x", Some("1")),
            ("y", None),
            ("z", Some("a=b")),
            ("w", Some("")),
        ];
        let expected = expected.map(|(key, value)| (key.to_owned(), value.map(str::to_owned)));
        assert_eq!(marks.0, expected);
        for line in ["cm a x=1 plain", "cm a =1", "cm a x=1 x-"] {
            assert!(Marks::split(&words(line)).is_err(), "{line}");
        }
    }
}
