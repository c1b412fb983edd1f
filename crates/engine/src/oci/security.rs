//! Capabilities, filters, hidden paths: what a container may not do unless told otherwise.

use serde_json::{Map, Value, json};
use weft_runtime::capabilities::Set;
use weft_runtime::launch::NamespaceKind;
use weft_runtime::plan::sysctl;
use weft_runtime::seccomp;

use crate::container::record::Record;
use crate::error::{EngineError, ErrorCode, Result};
use crate::spec::{Ipc, NetworkMode, Seccomp, Security, Sharing, Spec};

/// Paths that tell of the host or change it; Docker's list, with its later additions.
const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

const READONLY: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// What the workload may have: never more than the engine itself.
pub(super) fn capabilities(security: &Security, bounding: Set) -> Result<Set> {
    if security.privileged {
        return Ok(bounding);
    }
    let wanted = Set::DEFAULT
        .adjust(&security.cap_add, &security.cap_drop, bounding)
        .map_err(|e| EngineError::caused(ErrorCode::Invalid, "read --cap-add and --cap-drop", e))?;
    Ok(wanted.intersection(bounding))
}

/// Inheritable and ambient stay empty (CVE-2022-24769).
pub(super) fn capability_sets(caps: Set) -> Value {
    let names: Vec<String> = caps.names();
    json!({ "bounding": names, "effective": names, "permitted": names })
}

pub(super) fn no_new_privileges(security: &Security) -> bool {
    security.no_new_privileges.unwrap_or(!security.privileged)
}

pub(super) fn seccomp(security: &Security, caps: Set, kernel: (u32, u32)) -> Result<Value> {
    match &security.seccomp {
        _ if security.privileged => Ok(Value::Null),
        Seccomp::Unconfined => Ok(Value::Null),
        Seccomp::Default => serde_json::to_value(seccomp::default_profile(caps))
            .map_err(|e| EngineError::internal("write the seccomp profile", e)),
        Seccomp::Profile(text) => super::profile::from_docker(text, caps, kernel)
            .map_err(|e| EngineError::caused(ErrorCode::Invalid, "read the seccomp profile", e)),
    }
}

pub(super) fn masked_paths(security: &Security) -> Value {
    match &security.masked_paths {
        Some(paths) => json!(paths),
        None if security.privileged => json!([]),
        None => json!(MASKED),
    }
}

pub(super) fn readonly_paths(security: &Security) -> Value {
    match &security.readonly_paths {
        Some(paths) => json!(paths),
        None if security.privileged => json!([]),
        None => json!(READONLY),
    }
}

/// The user's; and in a network namespace of its own a container may ping and use low ports
/// without NET_RAW and NET_BIND_SERVICE.
pub(super) fn sysctls(record: &Record) -> Value {
    let mut map = Map::new();
    for (key, value) in default_sysctls(&record.spec.network) {
        map.insert(key, json!(value));
    }
    for (key, value) in &record.spec.security.sysctls {
        map.insert(key.clone(), json!(value));
    }
    Value::Object(map)
}

/// What a network namespace of one's own has.
pub(crate) fn default_sysctls(network: &NetworkMode) -> Vec<(String, String)> {
    if !matches!(network, NetworkMode::None | NetworkMode::Networks(_)) {
        return Vec::new();
    }
    let of = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    vec![
        of("net.ipv4.ping_group_range", "0 65535"),
        of("net.ipv4.ip_unprivileged_port_start", "0"),
    ]
}

/// Only parameters of namespaces that are not the host's.
pub(crate) fn check_sysctls(spec: &Spec) -> Result<()> {
    for (key, value) in &spec.security.sysctls {
        let (_, kind) = sysctl::read(key, value)
            .map_err(|e| EngineError::caused(ErrorCode::Invalid, "cannot set sysctl", e))?;
        let (shared, flag) = match kind {
            NamespaceKind::Network => (spec.network == NetworkMode::Host, "--network"),
            NamespaceKind::Ipc => (spec.security.ipc == Ipc::Host, "--ipc"),
            _ => (spec.security.uts == Sharing::Host, "--uts"),
        };
        if shared {
            return Err(EngineError::invalid(format!(
                "sysctl {key} cannot be set with {flag} host: it would change the host's own; \
                 leave out one of them, or set it on the host with sysctl -w"
            )));
        }
    }
    Ok(())
}
