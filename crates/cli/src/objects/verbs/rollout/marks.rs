//! `weft rollout pause`, `resume` and `restart`: one field each.

use jiff::Timestamp;
use serde_json::{Value, json};
use weft_client::{Method, Request};

use super::{Chosen, Workload, is_paused, name, read};
use crate::error::CliError;
use crate::objects::choose::Target;
use crate::objects::connect::{Api, Connect};
use crate::objects::write::{Change, DryRun, Tally};
use crate::session::Session;
use crate::tree::Outcome;

#[derive(Debug, clap::Args)]
struct Args {
    #[command(flatten)]
    chosen: Chosen,
    #[command(flatten)]
    change: Change,
    #[command(flatten)]
    connect: Connect,
}

/// Flags of `rollout pause`.
#[derive(Debug, clap::Args)]
pub(super) struct Pause {
    #[command(flatten)]
    args: Args,
}

/// Flags of `rollout resume`.
#[derive(Debug, clap::Args)]
pub(super) struct Resume {
    #[command(flatten)]
    args: Args,
}

/// Flags of `rollout restart`.
#[derive(Debug, clap::Args)]
pub(super) struct Restart {
    #[command(flatten)]
    args: Args,
}

impl Pause {
    /// Pauses deployments.
    pub(super) async fn run(self, session: &Session) -> Outcome {
        let patch = |target: &Target, object: &Value| {
            only_deployments(target, "pausing")?;
            match is_paused(object) {
                true => refuse(target, object, "is already paused"),
                false => Ok(json!({ "spec": { "paused": true } })),
            }
        };
        self.args.run(session, "paused", patch).await
    }
}

impl Resume {
    /// Lets them go on.
    pub(super) async fn run(self, session: &Session) -> Outcome {
        let patch = |target: &Target, object: &Value| {
            only_deployments(target, "resuming")?;
            match is_paused(object) {
                false => refuse(target, object, "is not paused"),
                true => Ok(json!({ "spec": { "paused": null } })),
            }
        };
        self.args.run(session, "resumed", patch).await
    }
}

impl Restart {
    /// Makes their template another that means the same.
    pub(super) async fn run(self, session: &Session) -> Outcome {
        let patch = |target: &Target, object: &Value| {
            Workload::required(target, "restarting")?;
            if is_paused(object) {
                let why = "can't restart paused deployment (run rollout resume first)";
                return refuse(target, object, why);
            }
            let now = Timestamp::from_second(weft_stdx::clock::unix_s());
            let now = now.map_or_else(|_| String::new(), |now| now.to_string());
            let annotations = json!({ "kubectl.kubernetes.io/restartedAt": now });
            Ok(json!({ "spec": { "template": { "metadata": { "annotations": annotations } } } }))
        };
        self.args.run(session, "restarted", patch).await
    }
}

fn only_deployments(target: &Target, what: &str) -> Result<(), CliError> {
    match Workload::of(target) {
        Some(Workload::Deployment) => Ok(()),
        _ => Err(CliError::new(format!(
            "{}: {what} is not supported",
            target.label()
        ))),
    }
}

fn refuse(target: &Target, object: &Value, why: &str) -> Result<Value, CliError> {
    let (kind, name) = (target.kind.full_name(), name(object));
    Err(CliError::new(format!("{kind} {name:?} {why}")))
}

impl Args {
    async fn run(
        self,
        session: &Session,
        word: &str,
        patch: impl Fn(&Target, &Value) -> Result<Value, CliError>,
    ) -> Outcome {
        self.change.form()?;
        let api = Api::open(&self.connect, session)?;
        let mut tally = Tally::new(api.printer);
        for target in self.chosen.all(&api).await? {
            let done = async {
                let before = read(&api, &target).await?;
                let patch = patch(&target, &before)?;
                self.one(&api, &target, before, &patch, word).await
            };
            if let Err(error) = done.await {
                tally.failed(error);
            }
        }
        Ok(tally.code())
    }

    async fn one(
        &self,
        api: &Api,
        target: &Target,
        mut object: Value,
        patch: &Value,
        word: &str,
    ) -> Result<(), CliError> {
        if self.change.dry_run == DryRun::Client {
            json_patch::merge(&mut object, patch);
            return self.change.tell(api.printer, &object, word);
        }
        let what = format!("patch {}", target.label());
        let request = Request::new(Method::PATCH, what, &target.path(None));
        let request = self.change.on(request);
        let request = request.body("application/merge-patch+json", patch.to_string());
        let after = api.send(&request).await?.json()?;
        self.change.tell(api.printer, &after, word)
    }
}
