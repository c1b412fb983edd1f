//! `weft apply`: makes objects what manifests say, by server-side apply and by nothing else: the
//! server knows which fields are ours.

use serde_json::Value;

use crate::error::CliError;
use crate::objects::connect::{Api, Connect, duration};
use crate::objects::manifest::{self, Manifest, Sources};
use crate::objects::verbs::wait;
use crate::objects::write::{Change, DryRun, Tally, Validation, applied, is_same, present};
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = verb!(
    "apply",
    Args,
    "Make objects what manifests say: weft apply -f FILE"
);

/// Flags of `apply`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    sources: Sources,
    /// Take fields from others who manage them
    #[arg(long)]
    force_conflicts: bool,
    /// kubectl's: weft always does
    #[arg(long, hide = true)]
    server_side: bool,
    /// Wait until what was applied is ready
    #[arg(long)]
    wait: bool,
    /// How long to wait at most (0: look once)
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "5m", requires = "wait")]
    timeout: std::time::Duration,
    #[command(flatten)]
    validation: Validation,
    #[command(flatten)]
    change: Change,
    #[command(flatten)]
    connect: Connect,
}

impl Args {
    /// Applies each manifest.
    pub async fn run(self, session: &Session) -> Outcome {
        self.sources.required()?;
        self.change.form()?;
        let api = Api::open(&self.connect, session)?;
        let mut tally = Tally::new(api.printer);
        let mut made = Vec::new();
        for manifest in manifest::read(&self.sources).await? {
            match self.apply(&api, &manifest).await {
                Ok(object) => made.push(object),
                Err(error) => tally.failed(error),
            }
        }
        if self.wait && self.change.dry_run == DryRun::None {
            for object in &made {
                if let Err(error) = wait::until_ready(&api, object, self.timeout).await {
                    tally.failed(error);
                }
            }
        }
        Ok(tally.code())
    }

    async fn apply(&self, api: &Api, manifest: &Manifest) -> Result<Value, CliError> {
        let target = manifest.target(api).await?;
        if target.name.is_none() {
            let place = &manifest.place;
            return Err(CliError::new(format!(
                "apply {place:?}: metadata.name is missing; apply makes no names, `weft create` does"
            )));
        }
        if self.change.dry_run == DryRun::Client {
            self.change
                .tell(api.printer, &manifest.object, "configured")?;
            return Ok(manifest.object.clone());
        }
        let before = present(api, &target).await?;
        let with = |request| self.validation.on(self.change.on(request));
        let object = applied(api, &target, manifest, self.force_conflicts, with).await?;
        let word = match &before {
            None => "created",
            Some(before) if is_same(before, &object) => "unchanged",
            Some(_) => "configured",
        };
        self.change.tell(api.printer, &object, word)?;
        Ok(object)
    }
}
