//! The whole of weft, as a user meets it: the binary, real kernels, real peers.
//!
//! Each test has an engine of its own; when it ends, nothing of that engine may be left. Owns the
//! scenarios. Never asserts on time taken (`cargo xtask bench` measures) and never sleeps.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod bad_input;
mod bad_registry;
mod copy;
mod crash;
mod damage;
mod debian;
mod distribution;
mod docker_api;
mod docker_cli;
mod driver_native;
mod ends;
mod events;
mod exec;
mod export;
mod first_use;
mod health;
mod images;
mod kustomize;
mod launch;
mod layers;
mod lifecycle;
mod limits;
mod logs;
mod netfiles;
mod network;
mod oci;
mod ports;
mod prune;
mod residue;
mod run;
mod security;
mod server;
mod server_access;
mod server_acting;
mod server_apply;
mod server_backup;
mod server_bad_table;
mod server_bodies;
mod server_bootstrap;
mod server_certificate;
mod server_claims;
mod server_cli;
mod server_clients;
mod server_create;
mod server_debug;
mod server_definition_rules;
mod server_definition_shapes;
mod server_definition_versions;
mod server_definitions;
mod server_delete;
mod server_deployments;
mod server_describe;
mod server_door;
mod server_drain;
mod server_empty;
mod server_flags;
mod server_forms;
mod server_hostile;
mod server_input;
mod server_jobs;
mod server_kinds;
mod server_kubectl;
mod server_ledger;
mod server_line;
mod server_lists;
mod server_many;
mod server_nanocloud;
mod server_params;
mod server_paths;
mod server_plugin;
mod server_pod_access;
mod server_pod_cli;
mod server_pods;
mod server_pods_bad;
mod server_pods_fields;
mod server_prune;
mod server_reads;
mod server_real;
mod server_real_traffic;
mod server_reconcile;
mod server_reflector;
mod server_restart;
mod server_scheduling;
mod server_secrets;
mod server_services;
mod server_services_traffic;
mod server_standard;
mod server_streams;
mod server_templates;
mod server_templates_rendered;
mod server_tokens;
mod server_updates;
mod server_usage;
mod server_verbs;
mod server_versions;
mod server_web;
mod server_workloads;
mod server_workloads_rollout;
mod server_writes;
mod surprises;
mod survival;
mod terminal;
mod volumes;

use serde_json::Value;
use weft_testkit::Weft;

/// The binary under test.
const WEFT: &str = env!("CARGO_BIN_EXE_weft");

/// An engine with `busybox:latest`.
#[track_caller]
fn weft() -> Option<Weft> {
    Weft::start(WEFT)
}

/// Starts a container that lives until it is told to end, and returns its id.
#[track_caller]
fn idle(weft: &Weft, name: &str) -> String {
    weft.ok(&[
        "run", "--detach", "--name", name, "busybox", "sleep", "3600",
    ])
}

/// Starts a container that runs a shell script, and returns its id.
#[track_caller]
fn shell(weft: &Weft, name: &str, script: &str) -> String {
    let run = ["run", "--detach", "--name", name, "busybox"];
    weft.ok(&[&run[..], &["sh", "-c", script]].concat())
}

/// `docker run` of a server that is found as `web` on the network `red`; the port to publish follows.
const WEB: [&str; 7] = [
    "run",
    "--detach",
    "--name",
    "web",
    "--network",
    "red",
    "--publish",
];

/// The events told so far that `filters` let through.
#[track_caller]
fn told(weft: &Weft, filters: &[&str]) -> Vec<Value> {
    let now = weft.ok(&["info", "--format", "{{.SystemTime}}"]);
    let args = [
        "events", "--since", "0", "--until", &now, "--format", "json",
    ];
    let filters = filters.iter().flat_map(|filter| ["--filter", filter]);
    let lines = weft.ok(&args.into_iter().chain(filters).collect::<Vec<_>>());
    let event = |line| serde_json::from_str(line).unwrap();
    lines.lines().map(event).collect()
}
