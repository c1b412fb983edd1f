//! `weft patch`

mod local;

use std::path::PathBuf;

use serde_json::Value;
use weft_client::{Method, Request};

use crate::error::CliError;
use crate::objects::choose::{Target, targets};
use crate::objects::connect::{Api, Connect};
use crate::objects::manifest::{self, Sources};
use crate::objects::write::{Change, DryRun, Tally, is_same};
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = verb!(
    "patch",
    Args,
    "Change fields of an object: weft patch TYPE NAME -p PATCH"
);

/// Flags of `patch`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Kind and name
    #[arg(value_name = "TYPE")]
    words: Vec<String>,
    #[command(flatten)]
    sources: Sources,
    /// What the patch is: strategic, merge or json
    #[arg(long = "type", value_name = "TYPE", default_value = "strategic", value_parser = ["strategic", "merge", "json"])]
    kind: String,
    /// The patch, as JSON or YAML
    #[arg(
        short,
        long,
        value_name = "PATCH",
        required_unless_present = "patch_file",
        conflicts_with = "patch_file"
    )]
    patch: Option<String>,
    /// File with the patch; - is standard input
    #[arg(long, value_name = "FILE")]
    patch_file: Option<PathBuf>,
    /// A subresource: status, scale
    #[arg(long, value_name = "NAME")]
    subresource: Option<String>,
    /// Patch what the files say, and ask no server
    #[arg(long, conflicts_with = "subresource")]
    local: bool,
    #[command(flatten)]
    change: Change,
    #[command(flatten)]
    connect: Connect,
}

impl Args {
    /// Patches each object.
    pub async fn run(self, session: &Session) -> Outcome {
        self.change.form()?;
        let patch = self.body()?;
        if self.local {
            return self.of_files(session, &patch).await;
        }
        let api = Api::open(&self.connect, session)?;
        let chosen = targets(&api, &self.words, &self.sources, false).await?;
        if chosen.is_empty() || chosen.iter().any(|target| target.name.is_none()) {
            return Err(CliError::usage(
                "resource(s) were provided, but no name was specified",
            ));
        }
        let mut tally = Tally::new(api.printer);
        for target in &chosen {
            if let Err(error) = self.one(&api, target, &patch).await {
                tally.failed(error);
            }
        }
        Ok(tally.code())
    }

    fn body(&self) -> Result<Value, CliError> {
        let text = match (&self.patch, &self.patch_file) {
            (Some(text), _) => text.clone(),
            (None, Some(path)) if path.as_os_str() == "-" => {
                std::io::read_to_string(std::io::stdin())
                    .map_err(|error| CliError::because("read standard input", &error))?
            }
            (None, Some(path)) => std::fs::read_to_string(path)
                .map_err(|error| CliError::because(format!("read {}", path.display()), &error))?,
            (None, None) => {
                return Err(CliError::usage(
                    "must specify --patch or --patch-file containing the contents of the patch",
                ));
            }
        };
        let value: Value = serde_saphyr::from_str(&text)
            .map_err(|error| CliError::new(format!("unable to parse {text:?}: {error}")))?;
        Ok(value)
    }

    /// Patches what is in files.
    async fn of_files(&self, session: &Session, patch: &Value) -> Outcome {
        if !self.words.is_empty() || self.sources.is_empty() {
            return Err(CliError::usage(
                "--local patches what -f or -k names, and nothing of a server",
            ));
        }
        for manifest in manifest::read(&self.sources).await? {
            let after = local::patched(&manifest.object, &self.kind, patch)?;
            self.change
                .tell(session.printer, &after, self.word(&manifest.object, &after))?;
        }
        Ok(0)
    }

    fn word(&self, before: &Value, after: &Value) -> &'static str {
        match before == after {
            true => "patched (no change)",
            false => "patched",
        }
    }

    async fn one(&self, api: &Api, target: &Target, patch: &Value) -> Result<(), CliError> {
        let media = match self.kind.as_str() {
            "json" => "application/json-patch+json",
            "merge" => "application/merge-patch+json",
            _ => "application/strategic-merge-patch+json",
        };
        let before: Value = api.ask(&target.get()).await?.json()?;
        if self.change.dry_run == DryRun::Client {
            let after = local::patched(&before, &self.kind, patch)?;
            return self
                .change
                .tell(api.printer, &after, self.word(&before, &after));
        }
        let path = target.path(self.subresource.as_deref());
        let request = Request::new(Method::PATCH, format!("patch {}", target.label()), &path);
        let request = self.change.on(request).body(media, patch.to_string());
        let after = api.send(&request).await?.json()?;
        let word = match is_same(&before, &after) {
            true => "patched (no change)",
            false => "patched",
        };
        self.change.tell(api.printer, &after, word)
    }
}
