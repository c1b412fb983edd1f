//! `weft apply --prune`, and `weft diff --prune`: deletes what was applied before and is in the manifests no more.
//!
//! Owns: what that is. An object goes if it is of a kind on the list, in a namespace that was applied to (or in none, where
//! nothing says which namespace), has the labels, was applied by the same manager (by kubectl's annotation, or as the
//! server notes who applied), and was not applied now.
//! Never: deletes after a failed apply.

use std::collections::BTreeSet;

use serde_json::Value;
use weft_client::Request;
use weft_client::cluster::ApiError;
use weft_client::cluster::discovery::Resource;
use weft_stdx::selector::Labels;

use super::Args;
use crate::error::CliError;
use crate::objects::choose::Target;
use crate::objects::connect::{Api, no_kind};
use crate::objects::form::items;
use crate::objects::write::{APPLIED, DryRun, Tally};

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

/// Flags of `apply` about it.
#[derive(Debug, clap::Args)]
pub struct Prune {
    #[command(flatten)]
    choice: Choice,
    /// Prune whatever its labels
    #[arg(long, requires = "prune", conflicts_with = "selector")]
    all: bool,
}

/// What goes, and whether anything does.
#[derive(Debug, clap::Args)]
pub struct Choice {
    /// Also what was applied before and is in the manifests no more: it goes (apply: with -l or --all)
    #[arg(long)]
    prune: bool,
    /// Only what has these labels: k=v, k!=v, k, !k, k in (v,w), with commas between them
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<String>,
    /// Prune this kind instead of the usual ones: core/v1/ConfigMap
    #[arg(long, value_name = "GROUP/VERSION/KIND", requires = "prune")]
    prune_allowlist: Vec<String>,
}

impl Prune {
    pub(super) fn is_wanted(&self) -> bool {
        self.choice.prune
    }

    /// The labels that are meant.
    pub(super) fn checked(&self) -> Result<Labels, CliError> {
        // An empty one, of a variable that is not set perhaps, means everything too.
        if self.choice.prune && !self.all && self.choice.text().is_empty() {
            return Err(CliError::usage(
                "all resources selected for prune without explicitly passing --all",
            )
            .hint("--all prunes whatever was applied before, -l what has a label"));
        }
        self.choice.labels()
    }
}

impl Choice {
    fn text(&self) -> &str {
        self.selector.as_deref().unwrap_or_default().trim()
    }

    /// The labels that are meant.
    pub fn labels(&self) -> Result<Labels, CliError> {
        Labels::parse(self.text()).map_err(|why| CliError::usage(format!("--selector: {why}")))
    }

    /// What is not among `kept`, and was applied by `manager`.
    pub async fn found(
        &self,
        api: &Api,
        kept: &[Target],
        manager: &str,
    ) -> Result<Vec<(Target, Value)>, CliError> {
        let mut found = Vec::new();
        if !self.prune {
            return Ok(found);
        }
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
                    if is_kept || !is_applied(object, manager) {
                        continue;
                    }
                    // In a list their kind may be left out.
                    let mut object = object.clone();
                    object["apiVersion"] = kind.api_version().into();
                    object["kind"] = kind.kind.as_str().into();
                    found.push((target, object));
                }
            }
        }
        Ok(found)
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
}

impl Args {
    /// Deletes what is not among `kept`.
    pub(super) async fn pruned(
        &self,
        api: &Api,
        kept: &[Target],
        tally: &mut Tally,
    ) -> Result<(), CliError> {
        let manager = &self.change.field_manager;
        for (target, object) in self.prune.choice.found(api, kept, manager).await? {
            match self.delete(api, &target, &object).await {
                Ok(()) => self.change.tell(api.printer, &object, "pruned")?,
                Err(error) => tally.failed(error.into()),
            }
        }
        Ok(())
    }

    async fn delete(&self, api: &Api, target: &Target, object: &Value) -> Result<(), ApiError> {
        if self.change.dry_run == DryRun::Client {
            return Ok(());
        }
        // Another of that name is another's.
        let uid = object["metadata"]["uid"].as_str();
        let body = self.deletion.options(self.force, self.change.dry_run, uid);
        let request = Request::delete(format!("prune {}", target.label()), &target.path(None));
        match api.send(&request.json(&body)).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
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
pub fn is_meant(selector: &Labels, object: &Value) -> bool {
    selector.matches(|name| object["metadata"]["labels"][name].as_str())
}

/// Whether it was applied by us, or by kubectl's client-side apply.
fn is_applied(object: &Value, manager: &str) -> bool {
    let meta = &object["metadata"];
    let managers = meta["managedFields"].as_array().into_iter().flatten();
    let is_own = |entry: &Value| entry["manager"] == manager && entry["operation"] == "Apply";
    meta["annotations"].get(APPLIED).is_some() || { managers }.any(is_own)
}
