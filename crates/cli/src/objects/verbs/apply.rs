//! `weft apply`: makes objects what manifests say, by server-side apply and by nothing else: the
//! server knows which fields are ours.

mod prune;

use serde_json::Value;

use crate::error::CliError;
use crate::objects::choose::Target;
use crate::objects::connect::{Api, Connect, duration};
use crate::objects::manifest::{self, Manifest, Sources};
use crate::objects::verbs::wait;
use crate::objects::write::{Change, DryRun, Tally, Validation, applied, is_same, present};
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};
use prune::Prune;

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
    #[command(flatten)]
    prune: Prune,
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
        let selector = self.prune.checked()?;
        let api = Api::open(&self.connect, session)?;
        let mut tally = Tally::new(api.printer);
        let mut made = Vec::new();
        let mut manifests = manifest::read(&self.sources).await?;
        manifests.retain(|manifest| prune::is_meant(&selector, &manifest.object));
        if manifests.is_empty() {
            return Err(CliError::new("no objects passed to apply"));
        }
        for manifest in manifests {
            match self.apply(&api, &manifest).await {
                Ok(applied) => made.push(applied),
                Err(error) => tally.failed(error),
            }
        }
        // What could not be applied must not be taken for what nobody wants any more.
        if self.prune.is_wanted() && tally.code() == 0 {
            let kept: Vec<Target> = made.iter().map(|(target, _)| target.clone()).collect();
            self.prune
                .run(&api, &kept, &self.change, &mut tally)
                .await?;
        }
        if self.wait && self.change.dry_run == DryRun::None {
            for (_, object) in &made {
                if let Err(error) = wait::until_ready(&api, object, self.timeout).await {
                    tally.failed(error);
                }
            }
        }
        Ok(tally.code())
    }

    async fn apply(&self, api: &Api, manifest: &Manifest) -> Result<(Target, Value), CliError> {
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
            return Ok((target, manifest.object.clone()));
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
        Ok((target, object))
    }
}
