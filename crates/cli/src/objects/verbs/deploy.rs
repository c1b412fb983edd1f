//! `weft deploy FILE`: Knit's JSON, manifests or a compose file, made what a server runs.
//!
//! ```text
//!   file ─► what is it? ─┬─ Knit's JSON ─► POST /deployments
//!                        ├─ manifests ──────────────┐
//!                        └─ compose ─► lowered ─────┴─► labelled, applied ─► what is not in it any more goes
//! ```
//! Owns: the deployment's name, its labels, and that objects of another deployment are left alone.
//! Never: says in words of its own what a compose file means (`deploy::compose`).

mod anew;
mod file;
mod kept;

use std::time::Duration;

use serde_json::Value;
use weft_client::Request;

use crate::deploy::Format;
use crate::error::CliError;
use crate::objects::choose::Target;
use crate::objects::connect::{Api, Connect, duration};
use crate::objects::form::Form;
use crate::objects::manifest::Manifest;
use crate::objects::verbs::wait;
use crate::objects::write::{Change, DryRun, Tally, Validation, applied, is_same, present};
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};
use file::{Deployment, Source};
pub(super) use kept::{Found, LABEL, delete, found, is_data};
use kept::{ORIGIN, labelled};

/// The command.
pub const VERB: Entry = verb!(
    "deploy",
    Args,
    "Run what a file says: Knit's JSON, manifests or a compose file: weft deploy FILE"
);

/// Flags of `deploy`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    source: Source,
    /// Take fields from others who manage them
    #[arg(long)]
    force_conflicts: bool,
    /// Wait until it is ready
    #[arg(long)]
    wait: bool,
    /// How long to wait at most (0: look once), for --wait
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "5m")]
    timeout: Duration,
    #[command(flatten)]
    validation: Validation,
    #[command(flatten)]
    change: Change,
    #[command(flatten)]
    connect: Connect,
}

impl Args {
    /// Deploys it.
    pub async fn run(self, session: &Session) -> Outcome {
        self.change.form()?;
        let deployment = self.source.read()?;
        let api = Api::open(&self.connect, session)?;
        for note in &deployment.notes {
            api.printer.talk(&format!("Note: {note}"));
        }
        match deployment.format {
            Format::Knit => self.post(&api, &deployment).await,
            _ => self.apply_all(&api, deployment).await,
        }
    }

    /// The server knows what Knit's JSON means.
    async fn post(&self, api: &Api, deployment: &Deployment) -> Outcome {
        let name = &deployment.name;
        // The server applies it in its own way.
        for (is_said, flag) in [
            (self.force_conflicts, "--force-conflicts"),
            (self.change.is_of_another(), "--field-manager"),
            (!self.validation.is_strict(), "--validate"),
        ] {
            if is_said {
                let message =
                    format!("{flag} is about manifests and compose files, and this is Knit's JSON");
                return Err(CliError::usage(message));
            }
        }
        if self.change.dry_run == DryRun::Client {
            return self.told(api, name, &deployment.objects[0].object, "sent");
        }
        let mut request = Request::post(format!("deploy {name}"), &["deployments"])
            .query("namespace", &api.namespace);
        if self.change.dry_run == DryRun::Server {
            request = request.query("dryRun", "All");
        }
        let request = request.json(&deployment.objects[0].object);
        let record: Value = api.send(&request).await?.json()?;
        if self.wait && self.change.dry_run == DryRun::None {
            let path = [
                "apis",
                "apps",
                "v1",
                "namespaces",
                &api.namespace,
                "deployments",
                name,
            ];
            let made = api.ask(&Request::get(format!("get {name}"), &path)).await?;
            wait::until_ready(api, &made.json()?, self.timeout).await?;
        }
        self.told(api, name, &record, "deployed")
    }

    fn told(&self, api: &Api, name: &str, record: &Value, word: &str) -> Outcome {
        let word = self.change.word(word);
        match self.change.form()? {
            Form::Table { .. } => api.printer.line(&format!("deployment \"{name}\" {word}"))?,
            Form::Name => api.printer.line(&format!("deployment/{name}"))?,
            form => api.printer.data(&form.whole(record)?)?,
        }
        Ok(0)
    }

    async fn apply_all(&self, api: &Api, deployment: Deployment) -> Outcome {
        let mut tally = Tally::new(api.printer);
        let mut made: Vec<(Target, Value)> = Vec::new();
        // Nothing is begun that cannot be ended for want of a kind, or because it is another's.
        let mut all = Vec::new();
        for mut manifest in deployment.objects {
            labelled(&mut manifest.object, &deployment.name);
            let target = manifest.target(api).await?;
            let Some(name) = &target.name else {
                let place = &manifest.place;
                return Err(CliError::new(format!(
                    "deploy {place:?}: metadata.name is missing"
                )));
            };
            let before = match self.change.dry_run {
                DryRun::Client => None,
                _ => present(api, &target).await?,
            };
            let labels = before.as_ref().map(|object| &object["metadata"]["labels"]);
            let owner = labels.and_then(|labels| labels[LABEL].as_str());
            if let Some(owner) = owner.filter(|owner| *owner != deployment.name) {
                return Err(CliError::new(format!(
                    "{} {name:?} is of the deployment {owner:?}",
                    target.kind.label()
                ))
                .hint(
                    "deploy into another namespace with -n, or `weft undeploy` the other first",
                ));
            }
            all.push((manifest, target, before));
        }
        let count = all.len();
        for (manifest, target, before) in all {
            match self.apply(api, &manifest, &target, before.as_ref()).await {
                Ok(object) => made.push((target, object)),
                Err(error) => tally.failed(error),
            }
        }
        // What could not be applied must not be taken for what nobody wants any more.
        if made.len() == count && self.change.dry_run != DryRun::Client {
            self.prune(api, &deployment.name, &made, &mut tally).await?;
        }
        if self.wait && self.change.dry_run == DryRun::None {
            for (_, object) in &made {
                if let Err(error) = wait::until_ready(api, object, self.timeout).await {
                    tally.failed(error);
                }
            }
        }
        Ok(tally.code())
    }

    async fn apply(
        &self,
        api: &Api,
        manifest: &Manifest,
        target: &Target,
        before: Option<&Value>,
    ) -> Result<Value, CliError> {
        if self.change.dry_run == DryRun::Client {
            self.change
                .tell(api.printer, &manifest.object, "deployed")?;
            return Ok(manifest.object.clone());
        }
        let with = |request| self.validation.on(self.change.on(request));
        let sent = applied(api, target, None, manifest, self.force_conflicts, with).await;
        let object = match (sent, before) {
            (Ok(object), _) => object,
            (Err(error), Some(before)) if anew::is_meant(&error, before) => {
                anew::run(api, target, before, self.change.dry_run, self.timeout).await?;
                let again = applied(api, target, None, manifest, self.force_conflicts, with).await;
                again.map_err(|error| manifest.while_trying("deploying", error))?
            }
            (Err(error), _) => return Err(manifest.while_trying("deploying", error)),
        };
        let word = match before {
            None => "created",
            Some(before) if is_same(before, &object) => "unchanged",
            Some(_) => "configured",
        };
        self.change.tell(api.printer, &object, word)?;
        Ok(object)
    }

    /// What an earlier file of the deployment made, and this one does not have. Data stays.
    async fn prune(
        &self,
        api: &Api,
        name: &str,
        made: &[(Target, Value)],
        tally: &mut Tally,
    ) -> Result<(), CliError> {
        let selector = format!("{LABEL}={name},{ORIGIN}=file");
        let uid = |object: &Value| object["metadata"]["uid"].clone();
        for (target, object) in found(api, &selector).await?.objects {
            if made.iter().any(|(_, one)| uid(one) == uid(&object)) {
                continue;
            }
            if is_data(&target) {
                let told = format!(
                    "Note: {} is in the file no more, and is kept: it may hold data",
                    target.label()
                );
                api.printer.talk(&told);
                continue;
            }
            match kept::delete(api, &target, &object, self.change.dry_run).await {
                Ok(()) => self.change.tell(api.printer, &object, "pruned")?,
                Err(error) => tally.failed(error.into()),
            }
        }
        Ok(())
    }
}
