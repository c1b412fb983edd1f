//! Pods leave a node: evicted or deleted, and waited for.
//!
//! A budget that lets no pod go now is asked again; all others go on meanwhile.

use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::Instant;
use weft_client::cluster::ApiError;
use weft_client::{Method, Request};

use super::Args;
use super::pods::{gone_at, is_given_up, names};
use crate::error::CliError;
use crate::objects::choose::Target;
use crate::objects::connect::Api;
use crate::objects::verbs::wait;
use crate::objects::write::{DryRun, present};

/// How long a budget is given until it is asked again.
const AGAIN: Duration = Duration::from_secs(5);

/// Lets all of them leave; what kept them.
pub(super) async fn all(args: &Args, api: &Api, pods: &[Value]) -> Result<Vec<CliError>, CliError> {
    let kind = api.kind("pods").await?;
    let limit = (!args.timeout.is_zero()).then(|| Instant::now() + args.timeout);
    let leaving: Vec<Leaving<'_>> = pods
        .iter()
        .map(|pod| Leaving {
            args,
            api,
            pod,
            target: Target::of(kind, pod),
            limit,
        })
        .collect();
    if args.disable_eviction {
        for one in &leaving {
            one.delete().await?;
        }
    }
    let left = join_all(leaving.iter().map(Leaving::leave)).await;
    Ok(left.into_iter().filter_map(Result::err).collect())
}

/// One pod that leaves.
struct Leaving<'a> {
    args: &'a Args,
    api: &'a Api,
    pod: &'a Value,
    target: Target,
    limit: Option<Instant>,
}

impl Leaving<'_> {
    /// What is sent along.
    fn options(&self) -> Value {
        let mut options = json!({});
        if self.args.grace_period >= 0 {
            options["gracePeriodSeconds"] = self.args.grace_period.into();
        }
        if self.args.nodes.dry_run == DryRun::Server {
            options["dryRun"] = json!(["All"]);
        }
        options
    }

    async fn delete(&self) -> Result<(), CliError> {
        let mut options = self.options();
        options["preconditions"] = json!({ "uid": self.pod["metadata"]["uid"] });
        let what = format!("delete {}", self.target.label());
        let request = Request::delete(what, &self.target.path(None)).json(&options);
        match self.api.send(&request).await {
            Err(error) if !error.is_not_found() => Err(error.into()),
            _ => Ok(()),
        }
    }

    async fn leave(&self) -> Result<(), CliError> {
        let printer = self.api.printer;
        let is_tried = self.args.nodes.dry_run == DryRun::Server;
        let (namespace, name) = names(self.pod);
        let word = match self.args.disable_eviction {
            true if is_tried => {
                return printer.line(&format!("deleting pod {namespace}/{name} (server dry run)"));
            }
            true => "deleted",
            false => {
                if !self.evict().await? || is_tried {
                    return Ok(());
                }
                "evicted"
            }
        };
        let waited = self.until_gone().await.map_err(|error| {
            let why = error.message();
            CliError::new(format!(
                "error when waiting for pod {name:?} in namespace {namespace:?} to terminate: {why}"
            ))
        });
        match waited? {
            true => printer.line(&format!("pod/{name} {word}")),
            false => {
                let limit = self.args.skip_wait_for_delete_timeout;
                printer.line(&format!(
                    "pod {name:?} has DeletionTimestamp older than {limit} seconds, skipping"
                ))
            }
        }
    }

    /// Evicts it; not: it was gone already.
    async fn evict(&self) -> Result<bool, CliError> {
        let printer = self.api.printer;
        let (namespace, name) = names(self.pod);
        let tried = match self.args.nodes.dry_run {
            DryRun::Server => " (server dry run)",
            _ => "",
        };
        let eviction = json!({
            "apiVersion": "policy/v1", "kind": "Eviction",
            "metadata": { "name": name, "namespace": namespace },
            "deleteOptions": self.options(),
        });
        let what = format!("evict {}", self.target.label());
        let request = Request::new(Method::POST, what, &self.target.path(Some("eviction")));
        let request = request.json(&eviction);
        let failed = |why: &str| {
            CliError::new(format!(
                "error when evicting pods/{name:?} -n {namespace:?}: {why}"
            ))
        };
        loop {
            printer.line(&format!("evicting pod {namespace}/{name}{tried}"))?;
            if self.limit.is_some_and(|limit| limit <= Instant::now()) {
                return Err(failed(&self.late()));
            }
            let error = match self.api.send(&request).await {
                Ok(_) => return Ok(true),
                Err(error) if error.is_not_found() => return Ok(false),
                Err(error) => error,
            };
            let is_of_ending = is_of_ending(&error);
            if is_of_ending && gone_at(self.pod).is_some() {
                return Ok(true);
            }
            let code = error.refusal().map(|refusal| refusal.code);
            if code != Some(429) && !is_of_ending {
                return Err(failed(&error.to_string()));
            }
            let which = match is_of_ending {
                true => format!("pod {name:?} from terminating namespace {namespace:?}"),
                false => format!("pods/{name:?} -n {namespace:?}"),
            };
            printer.talk(&format!(
                "error when evicting {which} (will retry after 5s): {error}"
            ));
            let again = Instant::now() + AGAIN;
            tokio::time::sleep_until(self.limit.map_or(again, |limit| limit.min(again))).await;
        }
    }

    /// Waits until it is gone; not: it should have been for too long.
    async fn until_gone(&self) -> Result<bool, CliError> {
        let uid = self.pod["metadata"]["uid"].as_str().unwrap_or_default();
        let gone = wait::until_gone(self.api, &self.target, uid, None);
        let given_up = async {
            match self.given_up_in().await? {
                Some(left) => tokio::time::sleep(left).await,
                None => std::future::pending().await,
            }
            Ok(false)
        };
        let late = async {
            match self.limit {
                Some(limit) => tokio::time::sleep_until(limit).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            gone = gone => gone.map(|()| true),
            given_up = given_up => given_up,
            () = late => Err(CliError::new(self.late())),
        }
    }

    /// How long it is waited for, if not for as long as it takes.
    async fn given_up_in(&self) -> Result<Option<Duration>, CliError> {
        let limit = self.args.skip_wait_for_delete_timeout;
        if limit <= 0 {
            return Ok(None);
        }
        let Some(now) = present(self.api, &self.target).await? else {
            return Ok(None);
        };
        if is_given_up(self.args, &now) {
            return Ok(Some(Duration::ZERO));
        }
        let left = gone_at(&now).map(|at| {
            let left = at.as_second() + limit + 1 - Timestamp::now().as_second();
            Duration::from_secs(u64::try_from(left).unwrap_or(0))
        });
        Ok(left)
    }

    fn late(&self) -> String {
        format!("global timeout reached: {}", spelled(self.args.timeout))
    }
}

/// Whether nothing is done any more because the namespace goes.
fn is_of_ending(error: &ApiError) -> bool {
    let causes = error.refusal().map(|refusal| refusal.causes.iter());
    let mut causes = causes.into_iter().flatten();
    causes.any(|(reason, _, _)| reason == "NamespaceTerminating")
}

/// A time as Go writes it: `1m30s`.
fn spelled(time: Duration) -> String {
    let (seconds, part) = (time.as_secs(), time.subsec_millis());
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let rest = match part {
        0 => format!("{rest}s"),
        part if seconds == 0 => format!("{part}ms"),
        part => format!("{rest}.{}s", format!("{part:03}").trim_end_matches('0')),
    };
    match (hours, minutes) {
        (0, 0) => rest,
        (0, minutes) => format!("{minutes}m{rest}"),
        (hours, minutes) => format!("{hours}h{minutes}m{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_spelled_as_go_does() {
        for (ms, spelled_so) in [
            (1000, "1s"),
            (500, "500ms"),
            (1500, "1.5s"),
            (60_000, "1m0s"),
            (5_430_000, "1h30m30s"),
        ] {
            assert_eq!(spelled(Duration::from_millis(ms)), spelled_so);
        }
    }
}
