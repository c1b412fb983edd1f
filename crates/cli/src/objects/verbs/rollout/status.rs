//! `weft rollout status`

use std::cell::RefCell;
use std::time::Duration;

use serde_json::Value;

use super::kept::revision;
use super::{Chosen, Workload, name, number, read};
use crate::error::CliError;
use crate::objects::choose::Target;
use crate::objects::connect::{Api, Connect, duration};
use crate::objects::verbs::wait;
use crate::objects::write::Tally;
use crate::session::Session;
use crate::tree::Outcome;

/// Flags of `rollout status`.
#[derive(Debug, clap::Args)]
pub(super) struct Status {
    #[command(flatten)]
    chosen: Chosen,
    /// Fail unless it is this revision of a deployment
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    revision: i64,
    /// How long to wait at most (0: for ever)
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "0s")]
    timeout: Duration,
    /// Wait until it is done
    #[arg(short, long, value_name = "BOOL", default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    watch: bool,
    #[command(flatten)]
    connect: Connect,
}

/// How far it has got.
#[derive(Debug, PartialEq)]
struct Progress {
    line: String,
    is_done: bool,
}

impl Status {
    /// Tells how far it has got, until it is done.
    pub(super) async fn run(self, session: &Session) -> Outcome {
        if self.revision < 0 {
            let found = self.revision;
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
        let kind = Workload::required(target, "a status")?;
        if self.revision > 0 && kind != Workload::Deployment {
            return Err(CliError::usage(
                "--revision is for deployments: others do not say of which revision their status is",
            ));
        }
        if !self.watch {
            let found = progress(kind, &read(api, target).await?, self.revision)?;
            return api.printer.line(&found.line);
        }
        // One that is not there is not waited for.
        read(api, target).await?;
        let (last, failure) = (RefCell::new(String::new()), RefCell::new(None));
        let limit = Some(self.timeout).filter(|limit| !limit.is_zero());
        let is_over = |object: Option<&Value>| {
            let found = match object {
                Some(object) => progress(kind, object, self.revision),
                None => Err(CliError::new("object has been deleted")),
            };
            let told = found.and_then(|found| {
                if *last.borrow() != found.line {
                    api.printer.line(&found.line)?;
                    last.replace(found.line);
                }
                Ok(found.is_done)
            });
            told.unwrap_or_else(|error| {
                failure.replace(Some(error));
                true
            })
        };
        wait::until(api, target, limit, is_over).await?;
        failure.into_inner().map_or(Ok(()), Err)
    }
}

fn progress(kind: Workload, object: &Value, wanted: i64) -> Result<Progress, CliError> {
    match kind {
        Workload::Deployment => deployment(object, wanted),
        Workload::DaemonSet => daemon_set(object),
        Workload::StatefulSet => stateful_set(object),
    }
}

fn goes(line: String) -> Result<Progress, CliError> {
    Ok(Progress {
        line,
        is_done: false,
    })
}

fn done(line: String) -> Result<Progress, CliError> {
    Ok(Progress {
        line,
        is_done: true,
    })
}

/// Whether its controller has seen it as it is.
fn is_seen(object: &Value) -> bool {
    number(&object["metadata"]["generation"]) <= number(&object["status"]["observedGeneration"])
}

fn deployment(object: &Value, wanted: i64) -> Result<Progress, CliError> {
    let running = revision(object);
    if wanted > 0 && running != wanted {
        return Err(CliError::new(format!(
            "desired revision ({wanted}) is different from the running revision ({running})"
        )));
    }
    if !is_seen(object) {
        return goes("Waiting for deployment spec update to be observed...".to_owned());
    }
    let (name, status) = (name(object), &object["status"]);
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let mut conditions = conditions.filter(|one| one["type"] == "Progressing");
    if conditions.any(|one| one["reason"] == "ProgressDeadlineExceeded") {
        return Err(CliError::new(format!(
            "deployment {name:?} exceeded its progress deadline"
        )));
    }
    let count = |name: &str| number(&status[name]);
    let wanted = object["spec"]["replicas"].as_i64().unwrap_or(1);
    let (all, updated, available) = (
        count("replicas"),
        count("updatedReplicas"),
        count("availableReplicas"),
    );
    let waiting = format!("Waiting for deployment {name:?} rollout to finish:");
    if updated < wanted {
        return goes(format!(
            "{waiting} {updated} out of {wanted} new replicas have been updated..."
        ));
    }
    if all > updated {
        let old = all - updated;
        return goes(format!(
            "{waiting} {old} old replicas are pending termination..."
        ));
    }
    if available < updated {
        return goes(format!(
            "{waiting} {available} of {updated} updated replicas are available..."
        ));
    }
    done(format!("deployment {name:?} successfully rolled out"))
}

fn is_rolling(object: &Value) -> Result<(), CliError> {
    match object["spec"]["updateStrategy"]["type"] == "RollingUpdate" {
        true => Ok(()),
        false => Err(CliError::new(
            "rollout status is only available for RollingUpdate strategy type",
        )),
    }
}

fn daemon_set(object: &Value) -> Result<Progress, CliError> {
    is_rolling(object)?;
    if !is_seen(object) {
        return goes("Waiting for daemon set spec update to be observed...".to_owned());
    }
    let name = name(object);
    let count = |name: &str| number(&object["status"][name]);
    let (wanted, updated) = (
        count("desiredNumberScheduled"),
        count("updatedNumberScheduled"),
    );
    let available = count("numberAvailable");
    let waiting = format!("Waiting for daemon set {name:?} rollout to finish:");
    if updated < wanted {
        return goes(format!(
            "{waiting} {updated} out of {wanted} new pods have been updated..."
        ));
    }
    if available < wanted {
        return goes(format!(
            "{waiting} {available} of {wanted} updated pods are available..."
        ));
    }
    done(format!("daemon set {name:?} successfully rolled out"))
}

fn stateful_set(object: &Value) -> Result<Progress, CliError> {
    is_rolling(object)?;
    if !is_seen(object) {
        return goes("Waiting for statefulset spec update to be observed...".to_owned());
    }
    let (spec, status) = (&object["spec"], &object["status"]);
    let count = |name: &str| number(&status[name]);
    let wanted = number(&spec["replicas"]);
    let (ready, updated) = (count("readyReplicas"), count("updatedReplicas"));
    if ready < wanted {
        let missing = wanted - ready;
        return goes(format!("Waiting for {missing} pods to be ready..."));
    }
    let rolling = &spec["updateStrategy"]["rollingUpdate"];
    if let Some(partition) = rolling["partition"].as_i64() {
        let new = wanted - partition;
        if updated < new {
            return goes(format!(
                "Waiting for partitioned roll out to finish: {updated} out of {new} new pods have been updated..."
            ));
        }
        return done(format!(
            "partitioned roll out complete: {updated} new pods have been updated..."
        ));
    }
    let revision = |name: &str| status[name].as_str().unwrap_or_default();
    let (current, update) = (revision("currentRevision"), revision("updateRevision"));
    if current != update {
        return goes(format!(
            "waiting for statefulset rolling update to complete {updated} pods at revision {update}..."
        ));
    }
    let current_count = count("currentReplicas");
    done(format!(
        "statefulset rolling update complete {current_count} pods at revision {current}..."
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_workload_says_how_far_it_has_got() {
        let of = |replicas: i64, status: Value| {
            json!({
                "metadata": { "name": "web", "generation": 2, "annotations": { "deployment.kubernetes.io/revision": "3" } },
                "spec": { "replicas": replicas, "updateStrategy": { "type": "RollingUpdate" } }, "status": status,
            })
        };
        let waiting = "Waiting for deployment \"web\" rollout to finish: ";
        for (status, line, is_done) in [
            (
                json!({ "observedGeneration": 1 }),
                "Waiting for deployment spec update to be observed...",
                false,
            ),
            (
                json!({ "updatedReplicas": 1 }),
                &*format!("{waiting}1 out of 2 new replicas have been updated..."),
                false,
            ),
            (
                json!({ "updatedReplicas": 2, "replicas": 3 }),
                &*format!("{waiting}1 old replicas are pending termination..."),
                false,
            ),
            (
                json!({ "updatedReplicas": 2, "replicas": 2, "availableReplicas": 1 }),
                &*format!("{waiting}1 of 2 updated replicas are available..."),
                false,
            ),
            (
                json!({ "updatedReplicas": 2, "replicas": 2, "availableReplicas": 2 }),
                "deployment \"web\" successfully rolled out",
                true,
            ),
        ] {
            let mut status = status;
            status["observedGeneration"] =
                status["observedGeneration"].as_i64().unwrap_or(2).into();
            let found = deployment(&of(2, status), 3).unwrap();
            assert_eq!((found.line.as_str(), found.is_done), (line, is_done));
        }
        let seen = json!({ "observedGeneration": 2 });
        assert!(
            deployment(&of(2, seen.clone()), 2).is_err(),
            "it is another revision"
        );
        let late = json!([{ "type": "Progressing", "reason": "ProgressDeadlineExceeded" }]);
        let late = json!({ "observedGeneration": 2, "conditions": late });
        assert!(deployment(&of(2, late), 0).is_err());
        let found = stateful_set(&of(2, seen.clone())).unwrap();
        assert_eq!(found.line, "Waiting for 2 pods to be ready...");
        let mut on_delete = of(2, seen);
        on_delete["spec"]["updateStrategy"]["type"] = "OnDelete".into();
        assert!(daemon_set(&on_delete).is_err() && stateful_set(&on_delete).is_err());
    }
}
