//! `weft delete`: by name, manifest or selector; waits until it is gone.

use std::time::Duration;

use serde_json::Value;
use weft_client::{Method, Request};

use crate::error::CliError;
use crate::objects::choose::{Selectors, Target, each, targets};
use crate::objects::connect::{Api, Connect, duration};
use crate::objects::deletion::Deletion;
use crate::objects::manifest::Sources;
use crate::objects::raw;
use crate::objects::verbs::wait;
use crate::objects::write::{DryRun, Tally};
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = verb!(
    "delete",
    Args,
    "Delete objects of a server: weft delete TYPE NAME..."
);

/// Flags of `delete`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Kinds and names
    #[arg(value_name = "TYPE")]
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
    #[command(flatten)]
    deletion: Deletion,
    /// Give it no time at all
    #[arg(long)]
    force: bool,
    /// Give it one second
    #[arg(long, conflicts_with_all = ["force", "grace_period"])]
    now: bool,
    /// Ask before anything is deleted
    #[arg(short, long)]
    interactive: bool,
    /// Delete this path of the server, and show the answer as it is
    #[arg(long, value_name = "PATH", conflicts_with_all = ["words", "filename", "kustomize", "selector", "field_selector", "all", "all_namespaces", "interactive", "dry_run", "output"])]
    raw: Option<String>,
    /// What is not there is no failure
    #[arg(long)]
    ignore_not_found: bool,
    /// Wait until it is gone
    #[arg(long, value_name = "BOOL", default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    wait: bool,
    /// How long to wait at most (0: for as long as it takes)
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "0")]
    timeout: Duration,
    /// Only try it: client sends nothing, server has the server try it
    #[arg(long, value_name = "WHERE", value_enum, default_value = "none", num_args = 0..=1, require_equals = true, default_missing_value = "client")]
    dry_run: DryRun,
    /// name: only kinds and names
    #[arg(short, long, value_name = "FORM", value_parser = ["name"])]
    output: Option<String>,
    #[command(flatten)]
    connect: Connect,
}

impl Args {
    /// Deletes objects.
    pub async fn run(self, session: &Session) -> Outcome {
        let api = Api::open(&self.connect, session)?;
        if let Some(path) = &self.raw {
            return raw::send(&api, Method::DELETE, path, None).await;
        }
        let mut tally = Tally::new(api.printer);
        let mut deleted = Vec::new();
        let mut ignores = self.ignore_not_found;
        let chosen = self.chosen(&api, &mut ignores).await?;
        if self.interactive && !chosen.is_empty() && !self.confirmed(&api, &chosen)? {
            api.printer.line("deletion is cancelled")?;
            return Ok(0);
        }
        self.deletion.checked(self.force, api.printer)?;
        for target in chosen {
            match self.delete(&api, &target).await {
                Ok(Some(uid)) => deleted.push((target, uid)),
                Ok(None) => {}
                Err(DeleteError::NotFound) if ignores => {}
                Err(DeleteError::NotFound) => {
                    let missing = api.ask(&target.get()).await.err();
                    tally.failed(
                        missing.map_or_else(|| CliError::new("it is there again"), CliError::from),
                    );
                }
                Err(DeleteError::Other(error)) => tally.failed(error),
            }
        }
        if self.wait && self.dry_run == DryRun::None {
            let limit = (!self.timeout.is_zero()).then_some(self.timeout);
            for (target, uid) in &deleted {
                if let Err(error) = wait::until_gone(&api, target, uid, limit).await {
                    tally.failed(error);
                }
            }
        }
        Ok(tally.code())
    }

    async fn chosen(&self, api: &Api, ignores: &mut bool) -> Result<Vec<Target>, CliError> {
        let mut chosen = Vec::new();
        let named = targets(api, &self.words, &self.sources, self.all_namespaces).await?;
        if named.is_empty() {
            return Err(CliError::usage(
                "resource(s) were provided, but no name, label selector, or --all flag specified",
            ));
        }
        for target in named {
            if target.name.is_some() {
                chosen.push(target);
                continue;
            }
            if !self.all && self.selectors.is_empty() {
                return Err(CliError::usage(
                    "resource(s) were provided, but no name was specified",
                )
                .hint("--all deletes all of them in the namespace, -l those with a label"));
            }
            // They may go by themselves meanwhile.
            *ignores = true;
            chosen.extend(each(api, target, &self.selectors).await?);
        }
        if chosen.is_empty() {
            api.printer.talk("No resources found");
        }
        Ok(chosen)
    }

    fn confirmed(&self, api: &Api, chosen: &[Target]) -> Result<bool, CliError> {
        let count = chosen.len();
        api.printer.line(&format!(
            "You are about to delete the following {count} resource(s):"
        ))?;
        for target in chosen {
            api.printer.line(&target.label())?;
        }
        api.printer.confirmed("Do you want to continue? (y/N):")
    }

    /// Asks for its deletion; the answer is its uid.
    async fn delete(&self, api: &Api, target: &Target) -> Result<Option<String>, DeleteError> {
        if self.dry_run == DryRun::Client {
            api.ask(&target.get()).await.map_err(DeleteError::of)?;
            self.tell(api, target)?;
            return Ok(None);
        }
        let mut body = self.deletion.options(self.force, self.dry_run, None);
        if self.now {
            body["gracePeriodSeconds"] = 1.into();
        }
        let request = Request::delete(format!("delete {}", target.label()), &target.path(None));
        let answer = api
            .send(&request.json(&body))
            .await
            .map_err(DeleteError::of)?;
        let object: Value = answer.json().map_err(DeleteError::of)?;
        self.tell(api, target)?;
        // The object, if it is not gone yet, or a Status with its uid.
        let uid = object["metadata"]["uid"]
            .as_str()
            .or(object["details"]["uid"].as_str());
        Ok(Some(uid.unwrap_or_default().to_owned()))
    }

    fn tell(&self, api: &Api, target: &Target) -> Result<(), DeleteError> {
        let word = match (self.dry_run, self.force) {
            (DryRun::Client, _) => "deleted (dry run)",
            (DryRun::Server, _) => "deleted (server dry run)",
            (DryRun::None, true) => "force deleted",
            (DryRun::None, false) => "deleted",
        };
        let name = target.name.as_deref().unwrap_or_default();
        let line = match self.output {
            Some(_) => target.label(),
            None => format!("{} \"{name}\" {word}", target.kind.label()),
        };
        api.printer.line(&line).map_err(DeleteError::Other)
    }
}

enum DeleteError {
    NotFound,
    Other(CliError),
}

impl DeleteError {
    fn of(error: weft_client::cluster::ApiError) -> DeleteError {
        match error.is_not_found() {
            true => DeleteError::NotFound,
            false => DeleteError::Other(error.into()),
        }
    }
}
