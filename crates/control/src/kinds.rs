//! The kinds this server knows: one file each.

mod autoscaler;
mod config_map;
mod controller_revision;
mod cron_job;
mod daemon_set;
mod data;
pub(crate) mod definition;
pub(crate) mod deployment;
mod disruption_budget;
mod endpoint_slice;
mod endpoints;
mod event;
mod ingress;
mod ingress_class;
mod job;
mod lease;
mod limit_range;
mod namespace;
mod nanocloud;
mod network_policy;
mod node;
mod persistent_volume;
mod persistent_volume_claim;
mod pod;
mod pod_spec;
mod priority_class;
mod rbac;
mod replica_set;
mod replication_controller;
mod resource_quota;
mod review;
mod rules;
mod secret;
mod service;
mod service_account;
mod stateful_set;
mod storage_class;
#[cfg(test)]
mod testing;
mod usage;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use self::rules::Spot;
pub(crate) use self::rules::amounts::Share;
use crate::kind::{Document, Kind};
use crate::object::Object;

pub use nanocloud::bootstrap_token_record;
pub use pod::debugged as debugged_pod;
pub use priority_class::system_priority_classes;
pub use review::{binding, eviction, token_request};

/// All of them.
pub(crate) fn all() -> Vec<Kind> {
    let mut all = vec![
        autoscaler::kind(),
        config_map::kind(),
        controller_revision::kind(),
        definition::kind(),
        cron_job::kind(),
        daemon_set::kind(),
        deployment::kind(),
        disruption_budget::kind(),
        endpoint_slice::kind(),
        endpoints::kind(),
        event::kind(),
        ingress::kind(),
        ingress_class::kind(),
        job::kind(),
        lease::kind(),
        limit_range::kind(),
        namespace::kind(),
        nanocloud::bootstrap_token(),
        nanocloud::bundle(),
        nanocloud::certificate(),
        nanocloud::device(),
        network_policy::kind(),
        node::kind(),
        persistent_volume::kind(),
        persistent_volume_claim::kind(),
        pod::kind(),
        priority_class::kind(),
        rbac::cluster_role(),
        rbac::cluster_role_binding(),
        rbac::role(),
        rbac::role_binding(),
        replica_set::kind(),
        replication_controller::kind(),
        resource_quota::kind(),
        secret::kind(),
        service::kind(),
        service_account::kind(),
        stateful_set::kind(),
        storage_class::kind(),
        usage::nodes(),
        usage::pods(),
    ];
    all.extend(review::kinds());
    all
}

/// The JSON schema of a type.
fn document<T: schemars::JsonSchema>() -> Document {
    Document::Of(|| schemars::schema_for!(T).to_value())
}

/// The schema of an object with these parts besides its metadata, which is an `M`.
fn schema_of<M: schemars::JsonSchema>(
    title: &str,
    about: &str,
    mut parts: Value,
    required: &[&str],
) -> Value {
    let mut made = schemars::SchemaGenerator::default();
    parts["apiVersion"] = json!({ "type": "string", "description": "Version of the schema." });
    parts["kind"] = json!({ "type": "string", "description": "What it is." });
    parts["metadata"] = made.subschema_for::<M>().to_value();
    json!({
        "title": title,
        "type": "object",
        "description": about,
        "required": required,
        "properties": parts,
        "$defs": made.take_definitions(true),
    })
}

/// The text at `path`, for a cell; empty where there is none.
fn text(object: &Object, path: &[&str]) -> Value {
    object.text(path).unwrap_or_default().into()
}

/// The number of fields of the map at `path`.
fn count(object: &Object, path: &[&str]) -> usize {
    object
        .at(path)
        .and_then(Value::as_object)
        .map_or(0, serde_json::Map::len)
}

/// `<none>` where there is nothing.
fn or_none(text: String) -> String {
    if text.is_empty() {
        "<none>".to_owned()
    } else {
        text
    }
}

/// The first of some texts, and how many more there are.
fn first_of(all: &[String], shown: usize) -> String {
    let first = all[..all.len().min(shown)].join(",");
    match all.len().checked_sub(shown) {
        None | Some(0) => first,
        Some(more) => format!("{first} + {more} more..."),
    }
}

/// Addresses a load balancer gave to an object, each once.
fn balanced(object: &Object) -> BTreeSet<String> {
    let status = Spot::of(object, "status");
    let balancer = status.at("loadBalancer");
    let points = balancer.at("ingress");
    let shown = points.items().map(|point| match point.at("ip").text() {
        "" => point.at("hostname").text().to_owned(),
        ip => ip.to_owned(),
    });
    shown.filter(|text| !text.is_empty()).collect()
}

/// Whether an object is only being made: it has no version yet.
fn is_new(object: &Object) -> bool {
    object.meta().text("resourceVersion").is_empty()
}
