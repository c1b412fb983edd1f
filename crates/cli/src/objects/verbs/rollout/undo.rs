//! `weft rollout undo`

use serde_json::{Map, Value, json};
use weft_client::{Method, Request};

use super::kept::{self, Kept, bare};
use super::{Chosen, Workload, is_paused, name, read};
use crate::error::CliError;
use crate::objects::choose::Target;
use crate::objects::connect::{Api, Connect};
use crate::objects::verbs::describe;
use crate::objects::write::{APPLIED, Change, DryRun, Tally};
use crate::session::Session;
use crate::tree::Outcome;

/// Annotations that are not taken from a revision: they are of who has them.
const OWN: [&str; 7] = [
    APPLIED,
    "deployment.kubernetes.io/revision",
    "deployment.kubernetes.io/revision-history",
    "deployment.kubernetes.io/desired-replicas",
    "deployment.kubernetes.io/max-replicas",
    "deprecated.deployment.rollback.to",
    "nanocloud.io/completed-revision",
];

/// Flags of `rollout undo`.
#[derive(Debug, clap::Args)]
pub(super) struct Undo {
    #[command(flatten)]
    chosen: Chosen,
    /// Which one to go back to (0: the one before)
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    to_revision: i64,
    #[command(flatten)]
    change: Change,
    #[command(flatten)]
    connect: Connect,
}

impl Undo {
    /// Goes back.
    pub(super) async fn run(self, session: &Session) -> Outcome {
        self.change.form()?;
        if self.to_revision < 0 {
            let found = self.to_revision;
            return Err(CliError::usage(format!(
                "revision must be a positive integer: {found}"
            )));
        }
        let api = Api::open(&self.connect, session)?;
        let mut tally = Tally::new(api.printer);
        for target in self.chosen.all(&api).await? {
            if let Err(error) = self.one(&api, &target).await {
                tally.failed(error);
            }
        }
        Ok(tally.code())
    }

    async fn one(&self, api: &Api, target: &Target) -> Result<(), CliError> {
        let kind = Workload::required(target, "a rollback")?;
        let object = read(api, target).await?;
        if is_paused(&object) {
            let what = target.label();
            return Err(CliError::new(format!(
                "you cannot rollback a paused deployment; resume it first with 'weft rollout resume {what}' and try again"
            )));
        }
        let all = kept::all(api, target, &object, kind).await?;
        let chosen = self.revision(target, &object, &all)?;
        let template = bare(&chosen.template);
        if self.change.dry_run == DryRun::Client && self.change.form()?.is_table() {
            let text = describe::template(&chosen.template);
            return self.change.tell(api.printer, &object, &text);
        }
        if template == bare(&object["spec"]["template"]) {
            let revision = chosen.revision;
            let word =
                format!("skipped rollback (current template already matches revision {revision})");
            return self.change.tell(api.printer, &object, &word);
        }
        let patch = patch(&object, chosen, kind, template);
        let what = format!("roll back {}", target.label());
        let request = Request::new(Method::PATCH, what, &target.path(None));
        let request = self.change.on(request);
        let request = request.body("application/json-patch+json", patch.to_string());
        if self.change.dry_run == DryRun::Client {
            return self.change.tell(api.printer, &object, "rolled back");
        }
        let after = api.send(&request).await?.json()?;
        self.change.tell(api.printer, &after, "rolled back")
    }

    fn revision<'a>(
        &self,
        target: &Target,
        object: &Value,
        all: &'a [Kept],
    ) -> Result<&'a Kept, CliError> {
        let found = match (self.to_revision, all) {
            (0, [.., before, _]) => Some(before),
            (0, _) => {
                let (kind, name) = (target.kind.kind.to_lowercase(), name(object));
                return Err(CliError::new(format!(
                    "no rollout history found for {kind} {name:?}"
                )));
            }
            (wanted, all) => all.iter().find(|one| one.revision == wanted),
        };
        let wanted = self.to_revision;
        found.ok_or_else(|| {
            CliError::new(format!(
                "unable to find specified revision {wanted} in history"
            ))
        })
    }
}

/// The template takes the place of what is there, if that is still what was seen; a deployment gets
/// the annotations of the revision, too.
fn patch(object: &Value, chosen: &Kept, kind: Workload, template: Value) -> Value {
    let mut patch = vec![
        json!({ "op": "test", "path": "/metadata/uid", "value": object["metadata"]["uid"] }),
        json!({ "op": "replace", "path": "/spec/template", "value": template }),
    ];
    if kind == Workload::Deployment {
        let of = |object: &Value, is_own: bool| {
            let all = object["metadata"]["annotations"].as_object().cloned();
            let all = all.unwrap_or_default().into_iter();
            all.filter(move |(name, _)| OWN.contains(&name.as_str()) == is_own)
                .collect::<Map<String, Value>>()
        };
        let mut annotations = of(object, true);
        annotations.extend(of(&chosen.object, false));
        patch.push(json!({ "op": "add", "path": "/metadata/annotations", "value": annotations }));
    }
    patch.into()
}
