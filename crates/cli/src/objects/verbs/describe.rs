//! `weft describe`: an object in words, its events at the end.
//!
//! Owns which objects are told of; `kinds` knows who tells what, in kubectl's layout byte for byte.
//! A secret's values are never shown.

mod access;
mod bounds;
mod container;
mod data;
mod event;
mod generic;
mod kinds;
mod namespace;
mod node;
mod page;
mod pod;
mod related;
mod service;
mod storage;
mod traffic;
mod value;
mod volume;
mod workload;

use serde_json::Value;
use weft_client::cluster::ApiError;

use self::page::Page;
use self::related::Related;
use crate::error::CliError;
use crate::objects::choose::{PAGE, Selectors, Target, pages, targets};
use crate::objects::connect::{Api, Connect};
use crate::objects::form::{items, without_managers};
use crate::objects::manifest::Sources;
use crate::objects::write::Tally;
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = verb!(
    "describe",
    Args,
    "Tell all of an object and what happened to it: weft describe TYPE NAME"
);

/// What pods are made from, in words.
pub(super) fn template(template: &Value) -> String {
    let mut page = Page::default();
    pod::template(template, &mut page);
    page.finish()
}

/// A selector in words, as a query has it.
pub(in crate::objects) fn selector(selector: &Value) -> String {
    value::selector(selector)
}

/// Lines whose cells tabs end, in columns.
pub(super) fn columns(lines: impl Iterator<Item = String>) -> String {
    let mut page = Page::default();
    lines.for_each(|line| page.line(0, line));
    page.finish()
}

/// Flags of `describe`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Kinds and names, or how names begin
    #[arg(value_name = "TYPE")]
    words: Vec<String>,
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    selectors: Selectors,
    /// In all namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
    /// What happened to it
    #[arg(long, value_name = "BOOL", default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    show_events: bool,
    /// How many objects are asked for at once; 0: all
    #[arg(long, value_name = "COUNT", default_value_t = PAGE)]
    chunk_size: u64,
    #[command(flatten)]
    connect: Connect,
}

impl Args {
    /// Describes objects.
    pub async fn run(self, session: &Session) -> Outcome {
        let api = Api::open(&self.connect, session)?;
        let chosen = targets(&api, &self.words, &self.sources, self.all_namespaces).await?;
        if chosen.is_empty() {
            return Err(CliError::usage(
                "you must specify the type of object to describe",
            ));
        }
        let mut tally = Tally::new(api.printer);
        let mut out = String::new();
        for target in &chosen {
            match self.objects(&api, target).await {
                Ok((objects, after)) => {
                    for object in objects {
                        let related = Related::find(&api, &object, self.show_events).await;
                        if !out.is_empty() && after.is_empty() {
                            out += "\n\n";
                        }
                        out += &(kinds::text(&object, &related) + after);
                    }
                }
                Err(ApiError::NotSent) => {}
                Err(error) => tally.failed(error.into()),
            }
        }
        if out.is_empty() && tally.code() == 0 && !api.cluster.is_explaining() {
            api.printer.talk(&match self.all_namespaces {
                true => "No resources found".to_owned(),
                false => format!("No resources found in {} namespace.", api.namespace),
            });
        }
        api.printer.data(&out)?;
        Ok(tally.code())
    }

    /// The object of this name, those whose names begin so, or all; and what ends each text.
    async fn objects(
        &self,
        api: &Api,
        target: &Target,
    ) -> Result<(Vec<Value>, &'static str), ApiError> {
        let whole = |mut object: Value| {
            object["kind"] = target.kind.kind.as_str().into();
            object["apiVersion"] = target.kind.api_version().into();
            without_managers(object)
        };
        if target.name.is_none() {
            let request = self.selectors.on(target.get());
            let list = pages(request, self.chunk_size, async |page| api.send(page).await).await?;
            let all = items(&list).into_iter().cloned().map(whole);
            return Ok((all.collect(), ""));
        }
        let missing = match api.send(&target.get()).await {
            Ok(answer) => return Ok((vec![whole(answer.json()?)], "")),
            // `TYPE START` and nothing longer.
            Err(error) if error.is_not_found() && self.words.len() == 2 => error,
            Err(error) => return Err(error),
        };
        let mut all = target.clone();
        let start = all.name.take().unwrap_or_default();
        let list = pages(all.get(), self.chunk_size, async |page| {
            api.send(page).await
        })
        .await?;
        let begins = |object: &&Value| {
            object["metadata"]["name"]
                .as_str()
                .is_some_and(|name| name.starts_with(&start))
        };
        let found: Vec<Value> = items(&list)
            .into_iter()
            .filter(begins)
            .cloned()
            .map(whole)
            .collect();
        match found.is_empty() {
            true => Err(missing),
            false => Ok((found, "\n")),
        }
    }
}
