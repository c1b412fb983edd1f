//! `weft label` and `weft annotate`

use serde_json::{Map, Value, json};
use weft_client::{Method, Request};

use crate::error::CliError;
use crate::objects::choose::{Selectors, Target, targets};
use crate::objects::connect::{Api, Connect};
use crate::objects::form::{items, label};
use crate::objects::manifest::Sources;
use crate::objects::write::{Change, DryRun, Tally};
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
        let mut tally = Tally::new(api.printer);
        for (before, target) in &chosen {
            if self.list {
                let found = before["metadata"][field].as_object().into_iter().flatten();
                for (key, value) in found {
                    api.printer
                        .line(&format!("{key}={}", value.as_str().unwrap_or_default()))?;
                }
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

    async fn mark(
        &self,
        api: &Api,
        target: &Target,
        before: &Value,
        field: &str,
        marks: &Marks,
    ) -> Result<(), CliError> {
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
                api.printer.talk(&format!(
                    "{} {key:?} not found.",
                    field.trim_end_matches('s')
                ));
            }
            if value.as_deref() != old {
                patch.insert(key.clone(), value.clone().map_or(Value::Null, Value::from));
            }
        }
        let mut full = before.clone();
        full["kind"] = target.kind.kind.as_str().into();
        full["apiVersion"] = target.kind.api_version().into();
        let removes = marks.0.iter().all(|(_, value)| value.is_none());
        let word = match (field, patch.is_empty(), removes) {
            ("labels", true, _) => "not labeled",
            ("labels", _, true) => "unlabeled",
            ("labels", ..) => "labeled",
            _ => "annotated",
        };
        if patch.is_empty() || self.change.dry_run == DryRun::Client {
            return self.change.tell(api.printer, &full, word);
        }
        let request = Request::new(
            Method::PATCH,
            format!("patch {}", label(&full)),
            &target.path(None),
        );
        let body = json!({ "metadata": { field: patch } });
        let request = self
            .change
            .on(request)
            .body("application/merge-patch+json", body.to_string());
        let after = api.send(&request).await?.json()?;
        self.change.tell(api.printer, &after, word)
    }
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
