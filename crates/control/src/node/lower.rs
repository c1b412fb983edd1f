//! From a pod and what it refers to to what its node is to run. Pure.
//!
//! What cannot be honoured here is refused by name: the pod fails, and says why.

mod container;
mod env;
mod template;
mod volume;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1 as k8s;
use serde_json::Value;
use weft_api::assignment::{
    Container, Dns, HostPort, Pod, PodId, Refusal, RegistryCredentials, Restart, Sandbox,
};

use super::refer::{Found, Held, held_by_secret};
use crate::object::Object;

/// The domain of the cluster's names.
pub(super) const CLUSTER: &str = "cluster.local";
/// Seconds a pod gets to end, unless it says.
const GRACE_S: i64 = 30;

/// A pod with what it refers to.
#[derive(Debug, Clone, Copy)]
struct Source<'a> {
    object: &'a Object,
    pod: &'a k8s::Pod,
    spec: &'a k8s::PodSpec,
    found: &'a Found,
}

/// What its node is to run.
pub(super) fn pod(object: &Object, pod: &k8s::Pod, found: &Found) -> Pod {
    let empty = k8s::PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&empty);
    let source = Source {
        object,
        pod,
        spec,
        found,
    };
    let grace = spec.termination_grace_period_seconds.unwrap_or(GRACE_S);
    let all = |list: &[k8s::Container], is_init: bool| {
        let list = list.iter();
        list.map(|one| container::lower(source, one, is_init))
            .collect()
    };
    let meta = &pod.metadata;
    Pod {
        id: id(object),
        labels: meta.labels.clone().unwrap_or_default(),
        annotations: meta.annotations.clone().unwrap_or_default(),
        ending: ending(object),
        refused: refused(spec),
        active_deadline_s: spec
            .active_deadline_seconds
            .and_then(|s| u64::try_from(s).ok()),
        restart: restart(spec),
        grace_s: u64::try_from(grace).unwrap_or(0),
        sandbox: sandbox(source),
        init: all(spec.init_containers.as_deref().unwrap_or_default(), true),
        containers: all(&spec.containers, false),
        debug: debug(source),
        fs_group: pod_security(spec)
            .and_then(|security| security.fs_group)
            .and_then(|group| u32::try_from(group).ok()),
        volumes: volume::all(source),
        credentials: credentials(source),
        service_account: spec.service_account_name.clone().unwrap_or_default(),
        shown: template::shown(found),
    }
}

/// What was put in is as other containers are, but for what those may not say.
fn debug(source: Source<'_>) -> Vec<Container> {
    let list = source.spec.ephemeral_containers.iter().flatten();
    let lower = |one: &k8s::EphemeralContainer| {
        let same = as_container(one);
        Container {
            joins: one
                .target_container_name
                .clone()
                .filter(|name| !name.is_empty()),
            ..container::lower(source, &same, false)
        }
    };
    list.map(lower).collect()
}

/// With all that both have.
pub(super) fn as_container(one: &k8s::EphemeralContainer) -> k8s::Container {
    let one = one.clone();
    k8s::Container {
        name: one.name,
        image: one.image,
        command: one.command,
        args: one.args,
        working_dir: one.working_dir,
        env: one.env,
        env_from: one.env_from,
        volume_mounts: one.volume_mounts,
        volume_devices: one.volume_devices,
        image_pull_policy: one.image_pull_policy,
        security_context: one.security_context,
        stdin: one.stdin,
        stdin_once: one.stdin_once,
        tty: one.tty,
        termination_message_path: one.termination_message_path,
        termination_message_policy: one.termination_message_policy,
        ..k8s::Container::default()
    }
}

pub(super) fn id(object: &Object) -> PodId {
    let meta = object.meta();
    PodId {
        namespace: meta.namespace().to_owned(),
        name: meta.name().to_owned(),
        uid: meta.text("uid").to_owned(),
    }
}

pub(super) fn restart(spec: &k8s::PodSpec) -> Restart {
    match spec.restart_policy.as_deref() {
        Some("Never") => Restart::Never,
        Some("OnFailure") => Restart::OnFailure,
        _ => Restart::Always,
    }
}

fn ending(object: &Object) -> Option<u64> {
    let meta = object.meta();
    let grace = object.at(&["metadata", "deletionGracePeriodSeconds"]);
    let grace = grace.and_then(Value::as_u64).unwrap_or(0);
    meta.is_deleting().then_some(grace)
}

fn pod_security(spec: &k8s::PodSpec) -> Option<&k8s::PodSecurityContext> {
    spec.security_context.as_ref()
}

/// What this node cannot do for a pod.
fn refused(spec: &k8s::PodSpec) -> Option<Refusal> {
    let mut why: Vec<&str> = Vec::new();
    let mut check = |is_there: bool, what: &'static str| {
        if is_there {
            why.push(what);
        }
    };
    check(spec.runtime_class_name.is_some(), "spec.runtimeClassName");
    check(
        spec.share_process_namespace == Some(true),
        "spec.shareProcessNamespace",
    );
    check(
        spec.set_hostname_as_fqdn == Some(true),
        "spec.setHostnameAsFQDN",
    );
    check(
        spec.resource_claims
            .as_ref()
            .is_some_and(|list| !list.is_empty()),
        "spec.resourceClaims",
    );
    let os = spec.os.as_ref().map(|os| os.name.as_str());
    check(os.is_some_and(|os| os != "linux"), "spec.os");
    let security = pod_security(spec);
    check(
        security.is_some_and(|s| s.windows_options.is_some()),
        "spec.securityContext.windowsOptions",
    );
    let init = spec.init_containers.iter().flatten();
    for one in init.chain(&spec.containers) {
        let devices = one.volume_devices.as_ref();
        check(
            devices.is_some_and(|list| !list.is_empty()),
            "volumeDevices",
        );
        let security = one.security_context.as_ref();
        check(
            security.is_some_and(|s| s.windows_options.is_some()),
            "securityContext.windowsOptions",
        );
    }
    let what = why.first()?;
    Some(Refusal {
        reason: "NotSupported".to_owned(),
        message: format!("this node does not support {what}: leave it out"),
    })
}

fn sandbox(source: Source<'_>) -> Sandbox {
    let Source { spec, pod, .. } = source;
    let security = pod_security(spec);
    let is = |flag: Option<bool>| flag == Some(true);
    let (network, pid, ipc) = (is(spec.host_network), is(spec.host_pid), is(spec.host_ipc));
    let init = spec.init_containers.iter().flatten();
    let mut all = init.chain(&spec.containers);
    let is_privileged = all.any(|one| {
        let security = one.security_context.as_ref();
        security.is_some_and(|security| security.privileged == Some(true))
    });
    let hostname = spec.hostname.clone().or_else(|| pod.metadata.name.clone());
    let hostname = hostname.unwrap_or_default();
    let sysctls = security.and_then(|security| security.sysctls.as_ref());
    Sandbox {
        // Longer ones are cut, as upstream does.
        hostname: hostname.chars().take(63).collect::<String>(),
        domain: spec.subdomain.as_ref().map(|subdomain| {
            let namespace = source.object.meta().namespace();
            format!("{subdomain}.{namespace}.svc.{CLUSTER}")
        }),
        host_network: network,
        host_pid: pid,
        host_ipc: ipc,
        host_users: spec.host_users == Some(true) || network || pid || ipc || is_privileged,
        dns: dns(source),
        host_aliases: spec
            .host_aliases
            .iter()
            .flatten()
            .map(|alias| {
                (
                    alias.ip.clone(),
                    alias.hostnames.clone().unwrap_or_default(),
                )
            })
            .collect(),
        sysctls: sysctls
            .into_iter()
            .flatten()
            .map(|sysctl| (sysctl.name.clone(), sysctl.value.clone()))
            .collect(),
        ports: spec.containers.iter().flat_map(ports).collect(),
    }
}

fn ports(container: &k8s::Container) -> impl Iterator<Item = HostPort> {
    let ports = container.ports.iter().flatten();
    ports.filter_map(|port| {
        let host = port.host_port.filter(|port| *port != 0)?;
        Some(HostPort {
            address: port.host_ip.clone().filter(|ip| !ip.is_empty()),
            host: u16::try_from(host).ok()?,
            container: u16::try_from(port.container_port).ok()?,
            udp: port.protocol.as_deref() == Some("UDP"),
        })
    })
}

fn dns(source: Source<'_>) -> Dns {
    let spec = source.spec;
    let on_host = spec.host_network == Some(true);
    let policy = spec.dns_policy.as_deref().unwrap_or("ClusterFirst");
    let cluster = match policy {
        "ClusterFirst" => !on_host,
        "ClusterFirstWithHostNet" => true,
        _ => false,
    };
    let mut dns = Dns {
        cluster,
        machine: !cluster && policy != "None",
        ..Dns::default()
    };
    if cluster {
        let namespace = source.object.meta().namespace();
        dns.searches = vec![
            format!("{namespace}.svc.{CLUSTER}"),
            format!("svc.{CLUSTER}"),
            CLUSTER.to_owned(),
        ];
        dns.options = vec!["ndots:5".to_owned()];
    }
    if let Some(config) = &spec.dns_config {
        dns.servers
            .extend(config.nameservers.iter().flatten().cloned());
        for search in config.searches.iter().flatten() {
            if !dns.searches.contains(search) {
                dns.searches.push(search.clone());
            }
        }
        for option in config.options.iter().flatten() {
            let name = option.name.clone().unwrap_or_default();
            // The pod's own wish takes the place of the usual one.
            let is_same = |known: &String| known.split(':').next() == Some(&name);
            dns.options.retain(|known| !is_same(known));
            dns.options.push(match &option.value {
                Some(value) => format!("{name}:{value}"),
                None => name,
            });
        }
    }
    dns
}

/// Names and passwords of its registries.
fn credentials(source: Source<'_>) -> Vec<RegistryCredentials> {
    let mut all = Vec::new();
    for of in source.spec.image_pull_secrets.iter().flatten() {
        let Some(secret) = source.found.secrets.get(&of.name) else {
            continue;
        };
        let held = held_by_secret(secret);
        for key in [".dockerconfigjson", ".dockercfg"] {
            let Some(Held::Base64(text)) = held.get(key) else {
                continue;
            };
            let bytes = STANDARD.decode(text).unwrap_or_default();
            let config: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            let registries = match key {
                ".dockercfg" => config.as_object(),
                _ => config["auths"].as_object(),
            };
            all.extend(registries.into_iter().flatten().filter_map(registry));
        }
    }
    all
}

fn registry((registry, entry): (&String, &Value)) -> Option<RegistryCredentials> {
    let text = |name: &str| entry[name].as_str().map(str::to_owned);
    let (username, password) = match (text("username"), text("password")) {
        (Some(username), Some(password)) => (username, password),
        _ => {
            let both = STANDARD.decode(text("auth")?).ok()?;
            let both = String::from_utf8(both).ok()?;
            let (username, password) = both.split_once(':')?;
            (username.to_owned(), password.to_owned())
        }
    };
    Some(RegistryCredentials {
        registry: registry.clone(),
        username,
        password,
    })
}

/// A refusal for a container whose configuration is not there.
fn config_error(message: String) -> Refusal {
    Refusal {
        reason: "CreateContainerConfigError".to_owned(),
        message,
    }
}

/// Labels or annotations as the downward API writes all of them into a file.
fn lines(map: Option<&BTreeMap<String, String>>) -> String {
    let lines = map.into_iter().flatten();
    let lines: Vec<String> = lines
        .map(|(key, value)| format!("{key}={value:?}"))
        .collect();
    lines.join("\n")
}
