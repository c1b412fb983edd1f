//! `weft apply --prune`: deletes what was applied before and is in the manifests no more.
//!
//! Owns: what that is. An object goes if it is of a kind on the list, in a namespace that was applied to (or in none, where
//! nothing says which namespace), has the labels, was applied by the same manager (by kubectl's annotation, or as the
//! server notes who applied), and was not applied now.
//! Never: deletes after a failed apply.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use weft_client::Request;
use weft_client::cluster::discovery::Resource;
use weft_stdx::selector::Labels;

use crate::error::CliError;
use crate::objects::choose::Target;
use crate::objects::connect::{Api, no_kind};
use crate::objects::form::items;
use crate::objects::write::{Change, DryRun, Tally};

/// Kinds that are looked at, as kubectl has them.
const KINDS: [&str; 16] = [
    "core/v1/ConfigMap",
    "core/v1/Endpoints",
    "core/v1/Namespace",
    "core/v1/PersistentVolumeClaim",
    "core/v1/PersistentVolume",
    "core/v1/Pod",
    "core/v1/ReplicationController",
    "core/v1/Secret",
    "core/v1/Service",
    "batch/v1/Job",
    "batch/v1/CronJob",
    "networking.k8s.io/v1/Ingress",
    "apps/v1/DaemonSet",
    "apps/v1/Deployment",
    "apps/v1/ReplicaSet",
    "apps/v1/StatefulSet",
];
/// Where kubectl's client-side apply notes what it applied.
const APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Flags of it.
#[derive(Debug, clap::Args)]
pub struct Prune {
    /// Delete what was applied before and is in the manifests no more; with -l or --all
    #[arg(long)]
    prune: bool,
    /// Prune whatever its labels
    #[arg(long, requires = "prune", conflicts_with = "selector")]
    all: bool,
    /// Only what has these labels: k=v, k!=v, k, !k, k in (v,w), with commas between them
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<String>,
    /// Prune this kind instead of the usual ones: core/v1/ConfigMap
    #[arg(long, value_name = "GROUP/VERSION/KIND", requires = "prune")]
    prune_allowlist: Vec<String>,
    /// What depends on what is pruned: background and foreground delete it, orphan leaves it
    #[arg(long, value_name = "HOW", default_value = "background", value_parser = ["background", "foreground", "orphan"])]
    cascade: String,
}

impl Prune {
    pub(super) fn is_wanted(&self) -> bool {
        self.prune
    }

    /// The labels that are meant.
    pub(super) fn checked(&self) -> Result<Labels, CliError> {
        // An empty one, of a variable that is not set perhaps, means everything too.
        let text = self.selector.as_deref().unwrap_or_default().trim();
        if self.prune && !self.all && text.is_empty() {
            return Err(CliError::usage(
                "all resources selected for prune without explicitly passing --all",
            )
            .hint("--all prunes whatever was applied before, -l what has a label"));
        }
        Labels::parse(text).map_err(|why| CliError::usage(format!("--selector: {why}")))
    }

    /// Deletes what is not among `kept`.
    pub(super) async fn run(
        &self,
        api: &Api,
        kept: &[Target],
        change: &Change,
        tally: &mut Tally,
    ) -> Result<(), CliError> {
        let namespaces: BTreeSet<&str> = kept
            .iter()
            .filter_map(|target| target.namespace.as_deref())
            .collect();
        for kind in self.kinds(api).await? {
            let places: Vec<Option<&str>> = match kind.is_namespaced {
                true => namespaces.iter().copied().map(Some).collect(),
                false => vec![None],
            };
            for namespace in places {
                let all = Target {
                    kind: kind.clone(),
                    namespace: namespace.map(str::to_owned),
                    name: None,
                };
                let request = all.get();
                let request = request.query_opt("labelSelector", self.selector.as_deref());
                let list = api.ask(&request).await?.json()?;
                for object in items(&list) {
                    let target = Target::of(&kind, object);
                    let is_kept = kept.iter().any(|kept| is_same(kept, &target));
                    if is_kept || !is_applied(object, change) {
                        continue;
                    }
                    if let Err(error) = self.delete(api, &target, object, change).await {
                        tally.failed(error);
                    }
                }
            }
        }
        Ok(())
    }

    async fn kinds(&self, api: &Api) -> Result<Vec<Resource>, CliError> {
        let known = api.kinds().await?;
        let find = |text: &str| {
            let (api_version, kind) = text.rsplit_once('/')?;
            let api_version = api_version.strip_prefix("core/").unwrap_or(api_version);
            known.of_object(api_version, kind).cloned()
        };
        if self.prune_allowlist.is_empty() {
            // A namespace that is named means what is in it.
            let kinds = KINDS.iter().filter_map(|text| find(text));
            let is_given = api.is_namespace_given;
            return Ok(kinds
                .filter(|kind| kind.is_namespaced || !is_given)
                .collect());
        }
        let named = self.prune_allowlist.iter();
        named
            .map(|text| find(text).ok_or_else(|| no_kind(text)))
            .collect()
    }

    async fn delete(
        &self,
        api: &Api,
        target: &Target,
        object: &Value,
        change: &Change,
    ) -> Result<(), CliError> {
        if change.dry_run != DryRun::Client {
            let mut body = json!({
                "kind": "DeleteOptions",
                "apiVersion": "v1",
                "propagationPolicy": match self.cascade.as_str() {
                    "orphan" => "Orphan",
                    "foreground" => "Foreground",
                    _ => "Background",
                },
                // Another of that name is another's.
                "preconditions": { "uid": object["metadata"]["uid"] },
            });
            if change.dry_run == DryRun::Server {
                body["dryRun"] = json!(["All"]);
            }
            let request = Request::delete(format!("prune {}", target.label()), &target.path(None));
            match api.send(&request.json(&body)).await {
                Err(error) if !error.is_not_found() => return Err(error.into()),
                _ => {}
            }
        }
        // In a list their kind may be left out.
        let mut object = object.clone();
        object["apiVersion"] = target.kind.api_version().into();
        object["kind"] = target.kind.kind.as_str().into();
        change.tell(api.printer, &object, "pruned")
    }
}

/// Whether both are one object, in whichever version of its kind.
fn is_same(one: &Target, other: &Target) -> bool {
    let place = |target: &Target| {
        let (namespace, name) = (target.namespace.clone(), target.name.clone());
        (target.kind.label(), namespace, name)
    };
    place(one) == place(other)
}

/// Whether a manifest is meant by `-l`.
pub(super) fn is_meant(selector: &Labels, object: &Value) -> bool {
    selector.matches(|name| object["metadata"]["labels"][name].as_str())
}

/// Whether it was applied by us, or by kubectl's client-side apply.
fn is_applied(object: &Value, change: &Change) -> bool {
    let meta = &object["metadata"];
    let managers = meta["managedFields"].as_array().into_iter().flatten();
    let is_own =
        |entry: &Value| entry["manager"] == *change.field_manager && entry["operation"] == "Apply";
    meta["annotations"].get(APPLIED).is_some() || { managers }.any(is_own)
}
