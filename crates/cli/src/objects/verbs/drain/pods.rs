//! Which pods of a node leave it: what is said of each.

use jiff::Timestamp;
use serde_json::Value;

use super::Args;
use crate::error::CliError;
use crate::objects::choose::Target;
use crate::objects::connect::Api;
use crate::objects::write::present;

const OF_DAEMONS: &str = "DaemonSet-managed Pods (use --ignore-daemonsets to ignore)";
const WITH_DATA: &str = "Pods with local storage (use --delete-emptydir-data to override)";
const ALONE: &str = "Pods that declare no controller (use --force to override)";

/// What becomes of a pod.
pub(super) enum Fate {
    /// It leaves.
    Goes,
    /// It leaves, and that is told.
    GoesTold(String),
    /// It stays.
    Stays,
    /// It stays, and that is told.
    StaysTold(String),
    /// Nothing leaves: this one may not.
    Refused(String),
}

/// What is said of all of them.
#[derive(Debug, Default)]
pub(super) struct Chosen {
    /// Those that leave.
    pub(super) pods: Vec<Value>,
    /// Sentences, each with its pods.
    pub(super) warnings: Vec<String>,
    /// The same of what is in the way.
    pub(super) refused: Vec<String>,
}

impl Chosen {
    pub(super) fn take(&mut self, pod: &Value, fate: Fate) {
        if matches!(fate, Fate::Goes | Fate::GoesTold(_)) {
            self.pods.push(pod.clone());
        }
        match fate {
            Fate::Goes | Fate::Stays => {}
            Fate::GoesTold(why) | Fate::StaysTold(why) => add(&mut self.warnings, &why, pod),
            Fate::Refused(why) => add(&mut self.refused, &format!("cannot delete {why}"), pod),
        }
    }
}

/// Adds a pod to the sentence about such ones.
fn add(all: &mut Vec<String>, why: &str, pod: &Value) {
    let (namespace, name) = names(pod);
    let begin = format!("{why}: ");
    match all.iter_mut().find(|one| one.starts_with(&begin)) {
        Some(one) => one.push_str(&format!(", {namespace}/{name}")),
        None => all.push(format!("{begin}{namespace}/{name}")),
    }
}

/// Namespace and name.
pub(super) fn names(pod: &Value) -> (&str, &str) {
    let text = |field: &str| pod["metadata"][field].as_str().unwrap_or_default();
    (text("namespace"), text("name"))
}

/// When it should be gone, if it is being deleted.
pub(super) fn gone_at(pod: &Value) -> Option<Timestamp> {
    pod["metadata"]["deletionTimestamp"].as_str()?.parse().ok()
}

/// Whether it should have been gone for longer than is waited for.
pub(super) fn is_given_up(args: &Args, pod: &Value) -> bool {
    let limit = args.skip_wait_for_delete_timeout;
    let late = gone_at(pod).map(|at| Timestamp::now().as_second() - at.as_second());
    limit > 0 && late.is_some_and(|late| late > limit)
}

/// Who made it and would make it again.
fn controller(pod: &Value) -> Option<&Value> {
    let owners = pod["metadata"]["ownerReferences"].as_array()?;
    owners.iter().find(|owner| owner["controller"] == true)
}

pub(super) async fn fate(args: &Args, api: &Api, pod: &Value) -> Result<Fate, CliError> {
    let annotations = &pod["metadata"]["annotations"];
    if is_given_up(args, pod) || !annotations["kubernetes.io/config.mirror"].is_null() {
        return Ok(Fate::Stays);
    }
    let is_over = matches!(
        pod["status"]["phase"].as_str(),
        Some("Succeeded" | "Failed")
    );
    if is_over {
        return Ok(Fate::Goes);
    }
    let owner = controller(pod);
    let mut told = None;
    if let Some(owner) = owner.filter(|owner| owner["kind"] == "DaemonSet") {
        let name = owner["name"].as_str().unwrap_or_default();
        let target = Target {
            kind: api.kind("daemonsets.apps").await?.clone(),
            namespace: Some(names(pod).0.to_owned()),
            name: Some(name.to_owned()),
        };
        match present(api, &target).await? {
            Some(_) if args.ignore_daemonsets => {
                return Ok(Fate::StaysTold(
                    "ignoring DaemonSet-managed Pods".to_owned(),
                ));
            }
            Some(_) => return Ok(Fate::Refused(OF_DAEMONS.to_owned())),
            None => {
                let why = format!("daemonsets.apps {name:?} not found");
                match args.force {
                    true => told = Some(why),
                    false => return Ok(Fate::Refused(why)),
                }
            }
        }
    }
    let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
    let has_data = volumes.into_iter().any(|one| !one["emptyDir"].is_null());
    if has_data && !args.delete_emptydir_data {
        return Ok(Fate::Refused(WITH_DATA.to_owned()));
    }
    if owner.is_none() {
        if !args.force {
            return Ok(Fate::Refused(ALONE.to_owned()));
        }
        told = Some("deleting Pods that declare no controller".to_owned());
    }
    Ok(told.map_or(Fate::Goes, Fate::GoesTold))
}
