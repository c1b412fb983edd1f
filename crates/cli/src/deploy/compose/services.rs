//! Services: which are meant, what each becomes, and under which names others find it.
//!
//! ```text
//!   service ─┬─ container and pod     ┐
//!            ├─ mounts                ├─► Deployment, Job or DaemonSet
//!            ├─ deploy                ┘
//!            └─ names ─► a Service without an address of its own: any port is reached, as with docker
//! ```

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Around;
use super::container::{self, Pod};
use super::files::Files;
use super::mounts;
use super::read::{Map, Sink, Spot};
use super::workload;
use crate::deploy::dns_label;

/// The service of a compose file that something runs.
const SERVICE: &str = "nanocloud.io/service";
/// The deployment, as every object has it.
const DEPLOYMENT: &str = "nanocloud.io/deployment";

/// What all services have in common.
pub(super) struct Whole<'a> {
    pub(super) name: &'a str,
    pub(super) around: &'a Around<'a>,
    pub(super) look: &'a dyn Fn(&str) -> Option<String>,
    pub(super) networks: &'a BTreeSet<String>,
}

/// Keys without which it would be something else.
const NO: [(&str, &str); 15] = [
    (
        "extends",
        "it is not read; `docker compose config` prints it whole",
    ),
    ("cgroup", "cgroups are the machine's"),
    ("cgroup_parent", "cgroups are the machine's"),
    ("credential_spec", "it is Windows'"),
    (
        "device_cgroup_rules",
        "devices are not given to pods by rules",
    ),
    (
        "devices",
        "devices are not given to pods by path; mount the directory, and set privileged, if you have to",
    ),
    (
        "external_links",
        "containers outside are not linked to: use their address",
    ),
    ("gpus", "devices are not given to pods by name"),
    ("isolation", "it is Windows'"),
    ("models", "there are none here"),
    ("provider", "nothing else provides services here"),
    ("runtime", "there is one runtime"),
    ("userns_mode", "user namespaces are not chosen here"),
    ("uts", "the machine's name is not shared"),
    ("volumes_from", "name the volumes instead"),
];

/// Keys that are left out where they say something.
const WITHOUT: [(&str, &str); 24] = [
    (
        "attach",
        "logs are asked for with `weft logs` and kubectl logs",
    ),
    ("blkio_config", "disks are not shared out"),
    ("cpu_count", "it is Windows'"),
    ("cpu_percent", "it is Windows'"),
    ("cpu_period", "it is left out: cpus limits"),
    ("cpu_quota", "it is left out: cpus limits"),
    ("cpu_rt_period", "it is left out: cpus limits"),
    ("cpu_rt_runtime", "it is left out: cpus limits"),
    (
        "cpu_shares",
        "it is left out: deploy.resources.reservations.cpus shares out",
    ),
    ("cpuset", "processors are not chosen"),
    ("develop", "nothing is watched or built"),
    (
        "init",
        "the first process of a container has to wait for its children itself",
    ),
    ("label_file", "it is not read"),
    (
        "logging",
        "logs are kept by the machine, and asked for with kubectl logs",
    ),
    ("mac_address", "it is chosen by the machine"),
    ("mem_swappiness", "it is left out"),
    ("memswap_limit", "it is left out"),
    ("oom_kill_disable", "who takes more than the limit ends"),
    ("oom_score_adj", "it is set by what is reserved"),
    ("pids_limit", "processes are not counted"),
    ("post_start", "it is left out"),
    ("pre_stop", "it is left out"),
    ("storage_opt", "it is left out"),
    ("ulimits", "they are the machine's"),
];

/// Lowers all services that are meant.
pub(super) fn lower(whole: &Whole<'_>, services: Map<'_>, files: &mut Files) -> Vec<Value> {
    let mut all = Vec::new();
    let sink = services.sink;
    for (key, spot) in services.each() {
        let Some(mut map) = spot.map() else { continue };
        let profiles = map.texts("profiles");
        let is_meant = profiles.is_empty()
            || profiles
                .iter()
                .any(|one| whole.around.profiles.contains(one));
        match (is_meant, dns_label(&key)) {
            (false, _) => {
                let names = profiles.join(", ");
                map.note("", &format!("left out: --profile {names} deploys it, too"));
            }
            (true, None) => map.wrong("", "nothing of its name can be a name in the cluster"),
            (true, Some(name)) => all.push((key, name, map)),
        }
    }
    let mut seen = BTreeSet::new();
    for (key, name, map) in &all {
        if !seen.insert(name.clone()) {
            map.wrong(
                "",
                "another service has the same name but for letters that names cannot have",
            );
        } else if name != key {
            map.note("", &format!("its name in the cluster is {name}"));
        }
    }
    let keys: BTreeSet<String> = all.iter().map(|(key, ..)| key.clone()).collect();
    let mut to_end = BTreeSet::new();
    for (_, _, map) in &mut all {
        depends(map, &keys, &mut to_end);
    }
    let mut objects = Vec::new();
    for (key, name, map) in all {
        let ends = to_end.contains(&key);
        objects.extend(service(whole, &name, map, ends, files));
    }
    called_once(&objects, "services", sink);
    if objects.is_empty() && sink.borrow().mistakes.is_empty() {
        sink.borrow_mut().wrong("services", "none is meant");
    }
    objects
}

/// Which others it needs; those that have to end are gathered.
fn depends(map: &mut Map<'_>, keys: &BTreeSet<String>, to_end: &mut BTreeSet<String>) {
    let Some(spot) = map.take("depends_on") else {
        return;
    };
    let at = spot.clone();
    let mut names: Vec<(String, bool)> = Vec::new();
    match &spot.value {
        Value::Object(_) => {
            for (name, spot) in spot.map().map(Map::each).unwrap_or_default() {
                let Some(mut one) = spot.map() else { continue };
                match one.text("condition").as_deref() {
                    None | Some("service_started" | "service_healthy") => {}
                    Some("service_completed_successfully") => drop(to_end.insert(name.clone())),
                    Some(other) => {
                        let why = format!(
                            "{other}: it is service_started, service_healthy or service_completed_successfully"
                        );
                        one.wrong("condition", &why);
                    }
                }
                let is_required = one.take("required").and_then(|spot| spot.bool());
                one.without("restart", "it is not started again with the other");
                one.end();
                names.push((name, is_required.unwrap_or(true)));
            }
        }
        _ => names.extend(spot.texts().into_iter().map(|name| (name, true))),
    }
    for (name, is_required) in names {
        if is_required && !keys.contains(&name) {
            at.wrong(&format!(
                "there is no service {name:?}, or its profile is not wanted"
            ));
        }
    }
    at.note("all services start at once: what needs another has to try again, or to end and be started again");
}

fn service(
    whole: &Whole<'_>,
    name: &str,
    mut map: Map<'_>,
    ends: bool,
    files: &mut Files,
) -> Vec<Value> {
    let mut pod = Pod::default();
    container::read(name, &mut map, whole, &mut pod);
    mounts::read(&mut map, whole, files, &mut pod);
    if let Some(signal) = map.text("stop_signal")
        && !matches!(signal.as_str(), "SIGTERM" | "TERM" | "15")
    {
        let why = format!("{signal}: what is ended gets the image's signal: set STOPSIGNAL there");
        map.wrong("stop_signal", &why);
    }
    let names = names(whole, name, &mut map);
    let exposed = exposed(&mut map, &pod);
    for (key, why) in NO {
        map.no(key, why);
    }
    for (key, what) in WITHOUT {
        map.without(key, what);
    }
    let _ = map
        .take("use_api_socket")
        .map(|spot| spot.wrong("there is no socket to be given"));
    let selector = json!({ DEPLOYMENT: whole.name, SERVICE: name });
    let made = workload::lower(name, &mut map, ends, &selector, &mut pod);
    map.end();
    let mut objects: Vec<Value> = names
        .into_iter()
        .map(|called| {
            let mut spec = json!({
                "clusterIP": "None", "selector": selector, "publishNotReadyAddresses": true,
            });
            if !exposed.is_empty() {
                spec["ports"] = exposed.clone().into();
            }
            json!({
                "apiVersion": "v1", "kind": "Service",
                "metadata": { "name": called, "labels": { "app": name, SERVICE: name } },
                "spec": spec,
            })
        })
        .collect();
    objects.push(made);
    objects
}

/// The names others find it under.
fn names(whole: &Whole<'_>, name: &str, map: &mut Map<'_>) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = [name.to_owned()].into();
    if weft_stdx::names::dns_1035(name).is_err() {
        map.wrong(
            "",
            "its name has to begin with a letter: others find it by a service of that name",
        );
    }
    let mut wanted: Vec<(String, String)> = Vec::new();
    if let Some(called) = map.text("container_name") {
        wanted.push(("container_name".to_owned(), called));
    }
    for link in map.texts("links") {
        if let Some((_, alias)) = link.split_once(':') {
            let why =
                format!("{link}: name {alias} as an alias of the other service's network instead");
            map.wrong("links", &why);
        }
    }
    if let Some(spot) = map.take("networks") {
        networks(whole, spot, &mut wanted);
    }
    for (key, called) in wanted {
        match weft_stdx::names::dns_1035(&called) {
            Ok(()) => drop(names.insert(called)),
            Err(why) => {
                let what = format!("{called:?} is no name in the cluster ({why}), and is left out");
                map.note(&key, &what);
            }
        }
    }
    names
}

/// The networks a service is on: what it is called there is gathered.
fn networks(whole: &Whole<'_>, spot: Spot<'_>, wanted: &mut Vec<(String, String)>) {
    let networks: Vec<(String, Option<Map<'_>>)> = match &spot.value {
        Value::Object(_) => {
            let each = spot.clone().map().map(Map::each).unwrap_or_default();
            let each = each.into_iter().map(|(key, spot)| match spot.value {
                Value::Null => (key, None),
                _ => (key, spot.map()),
            });
            each.collect()
        }
        _ => spot.texts().into_iter().map(|key| (key, None)).collect(),
    };
    for (key, network) in networks {
        if !whole.networks.contains(&key) {
            spot.wrong(&format!(
                "the network {key:?} is not among the networks at the top"
            ));
        }
        let Some(mut network) = network else { continue };
        for alias in network.texts("aliases") {
            wanted.push((format!("networks.{key}.aliases"), alias));
        }
        for key in [
            "ipv4_address",
            "ipv6_address",
            "link_local_ips",
            "mac_address",
        ] {
            network.no(key, "pods have addresses that nobody chooses");
        }
        for key in ["priority", "gw_priority", "interface_name", "driver_opts"] {
            network.without(key, "pods have one network");
        }
        network.end();
    }
}

/// A name leads to one service here.
fn called_once(objects: &[Value], services: &str, sink: &RefCell<Sink>) {
    let mut seen = BTreeSet::new();
    for object in objects.iter().filter(|object| object["kind"] == "Service") {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        if !seen.insert(name) {
            let why = format!("two of them are called {name:?}, as an alias perhaps");
            sink.borrow_mut().wrong(services, &why);
        }
    }
}

/// The ports of its service: what it publishes and what it exposes.
fn exposed(map: &mut Map<'_>, pod: &Pod) -> Vec<Value> {
    let mut ports: BTreeSet<(u16, &'static str)> = BTreeSet::new();
    ports.extend(pod.ports.iter().map(|port| (port.target, port.protocol)));
    for spot in map.list("expose") {
        let Some(text) = spot.text() else { continue };
        match super::ports::short(&text) {
            Ok(list) => ports.extend(list.iter().map(|port| (port.target, port.protocol))),
            Err(why) => spot.wrong(why),
        }
    }
    let ports = ports.into_iter().map(|(port, protocol)| {
        let name = format!("{}-{port}", protocol.to_ascii_lowercase());
        json!({ "name": name, "port": port, "protocol": protocol })
    });
    ports.collect()
}
