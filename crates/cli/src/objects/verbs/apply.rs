//! `weft apply`: makes objects what manifests say, by server-side apply and by nothing else: the
//! server knows which fields are ours.

mod anew;
pub(super) mod prune;

use serde_json::Value;
use weft_client::cluster::ApiError;

use crate::error::CliError;
use crate::objects::choose::Target;
use crate::objects::connect::{Api, Connect, duration};
use crate::objects::deletion::Deletion;
use crate::objects::manifest::{self, Manifest, Sources};
use crate::objects::verbs::wait;
use crate::objects::write::{
    Change, DryRun, ServerSide, Tally, Validation, applied, is_same, present,
};
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
    #[command(flatten)]
    server_side: ServerSide,
    /// Delete what cannot be changed, at once, and make it anew
    #[arg(long, conflicts_with = "subresource")]
    force: bool,
    /// Apply to a subresource: status, scale
    #[arg(long, value_name = "NAME", conflicts_with = "prune")]
    subresource: Option<String>,
    #[command(flatten)]
    prune: Prune,
    #[command(flatten)]
    deletion: Deletion,
    /// Wait until what was applied is ready
    #[arg(long)]
    wait: bool,
    /// How long to wait at most (0: look once), for --wait and --force
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "5m")]
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
        self.server_side.checked()?;
        self.change.form()?;
        let selector = self.prune.checked()?;
        self.deletion.checked(self.force, session.printer)?;
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
            self.pruned(&api, &kept, &mut tally).await?;
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
        let is_real = self.change.dry_run == DryRun::None;
        let object = match (self.send(api, &target, manifest).await, &before) {
            (Ok(object), _) => object,
            (Err(error), Some(before)) if self.force && is_real && anew::is_invalid(&error) => {
                self.anew(api, &target, manifest, before).await?
            }
            (Err(error), _) => return Err(manifest.while_trying("applying", error)),
        };
        let word = match &before {
            None => "created",
            Some(before) if is_same(before, &object) => "unchanged",
            Some(_) => "configured",
        };
        self.change.tell(api.printer, &object, word)?;
        Ok((target, object))
    }

    async fn send(
        &self,
        api: &Api,
        target: &Target,
        manifest: &Manifest,
    ) -> Result<Value, ApiError> {
        let with = |request| self.validation.on(self.change.on(request));
        let below = self.subresource.as_deref();
        applied(api, target, below, manifest, self.force_conflicts, with).await
    }
}
