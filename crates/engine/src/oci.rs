//! From a container's record to the OCI runtime-spec document the runtime executes. Pure:
//! everything found out about the machine, the image and the network is in [`Facts`].

pub(crate) mod environment;
mod mounts;
mod profile;
mod resources;
mod security;

use serde_json::{Value, json};
use weft_runtime::capabilities::Set;

use crate::container::record::Record;
use crate::error::{EngineError, Result};
use crate::spec::{NetworkMode, Sharing, Spec};
use crate::user::Identity;

pub(crate) use mounts::{KERNEL_TARGETS, MountFact, default_tmpfs};
pub(crate) use security::{check_sysctls, default_sysctls};

/// The version of the runtime spec this document follows.
const OCI_VERSION: &str = "1.2.0";

/// What the pure function cannot know by itself.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// Numeric user.
    pub identity: Identity,
    /// First host id and number of ids of the user namespace, if there is one.
    pub id_map: Option<(u32, u32)>,
    /// Volumes, binds and the files weft writes, with their host paths.
    pub mounts: Vec<MountFact>,
    /// Paths of the namespaces of other containers to join: (OCI type, path). Of whom the IPC
    /// namespace is joined, the root is `root`.
    pub joins: Vec<(&'static str, String)>,
    /// cgroup v2 controllers this machine offers.
    pub controllers: Vec<String>,
    /// Parent of the container's cgroup, like `/weft`.
    pub cgroup_parent: String,
    /// Devices as (path, type, major, minor, mode).
    pub devices: Vec<DeviceFact>,
    /// (device path → major, minor) of the io limits.
    pub block_devices: Vec<(String, u32, u32)>,
    /// Capabilities the engine itself has: nobody gets more.
    pub bounding: Set,
    /// Major and minor of the running kernel.
    pub kernel: (u32, u32),
}

impl Facts {
    /// Where the namespace of `kind` that is joined is, or the root of whose it is.
    fn joined(&self, kind: &str) -> Option<&str> {
        let found = self.joins.iter().find(|(k, _)| *k == kind);
        found.map(|(_, path)| path.as_str())
    }
}

/// A device node of the host that is made available.
#[derive(Debug, Clone)]
pub(crate) struct DeviceFact {
    pub container_path: String,
    pub kind: char,
    pub major: u32,
    pub minor: u32,
    pub mode: u32,
    pub permissions: String,
}

/// The document.
///
/// # Errors
/// A capability, sysctl, limit or profile that is none.
pub(crate) fn document(record: &Record, facts: &Facts) -> Result<Value> {
    let caps = security::capabilities(&record.spec.security, facts.bounding)?;
    let linux = json!({
        "namespaces": namespaces(record, facts),
        "uidMappings": id_mappings(facts),
        "gidMappings": id_mappings(facts),
        "cgroupsPath": format!("{}/{}", facts.cgroup_parent, record.id),
        "resources": resources::resources(record, facts)?,
        "devices": resources::device_nodes(facts),
        "sysctl": security::sysctls(record),
        "seccomp": security::seccomp(&record.spec.security, caps, facts.kernel)?,
        "maskedPaths": security::masked_paths(&record.spec.security),
        "readonlyPaths": security::readonly_paths(&record.spec.security),
        "rootfsPropagation": mounts::propagation(&facts.mounts),
    });
    let mut document = json!({
        "ociVersion": OCI_VERSION,
        "root": { "path": "rootfs", "readonly": record.spec.security.read_only_rootfs },
        "hostname": record.resolved.hostname,
        "process": process(record, &facts.identity, caps),
        "mounts": mounts::mounts(record, facts),
        "linux": prune(linux),
    });
    if record.spec.security.uts == Sharing::Host {
        remove(&mut document, "hostname");
    } else if let Some(domain) = &record.spec.domainname {
        document["domainname"] = json!(domain);
    }
    Ok(document)
}

/// Whether a document can be made of this at all, without knowing the machine: told at create,
/// not at start.
///
/// # Errors
/// As of [`document`].
pub(crate) fn check(spec: &Spec, ceiling: Set) -> Result<()> {
    let caps = security::capabilities(&spec.security, ceiling)?;
    security::seccomp(&spec.security, caps, (0, 0))?;
    security::check_sysctls(spec)?;
    if spec.security.uts == Sharing::Host {
        for (flag, given) in [
            ("--hostname", spec.hostname.is_some()),
            ("--domainname", spec.domainname.is_some()),
        ] {
            if given {
                return Err(EngineError::invalid(format!(
                    "conflicting options: {flag} and --uts host"
                )));
            }
        }
    }
    resources::check(&spec.resources)
}

/// The limits alone, for changing those of a running container.
pub(crate) fn limits(record: &Record, controllers: &[String]) -> Result<Value> {
    let facts = Facts {
        controllers: controllers.to_vec(),
        ..Facts::default()
    };
    let mut limits = resources::resources(record, &facts)?;
    remove(&mut limits, "devices");
    Ok(limits)
}

fn process(record: &Record, identity: &Identity, caps: Set) -> Value {
    let resources = &record.spec.resources;
    let rlimits: Vec<Value> = resources
        .ulimits
        .iter()
        .map(|u| {
            json!({
                "type": format!("RLIMIT_{}", u.name.to_ascii_uppercase()),
                "soft": u.soft,
                "hard": u.hard,
            })
        })
        .collect();
    prune(json!({
        "terminal": record.spec.tty,
        "user": { "uid": identity.uid, "gid": identity.gid, "additionalGids": identity.groups },
        "args": record.resolved.args(),
        "env": environment::environment(record, &identity.home),
        "cwd": record.resolved.cwd,
        "capabilities": security::capability_sets(caps),
        "noNewPrivileges": security::no_new_privileges(&record.spec.security),
        "rlimits": rlimits,
        "oomScoreAdj": resources.oom_score_adj,
    }))
}

/// The process document of an `exec` session in `record`'s container.
pub(crate) fn exec_process(
    record: &Record,
    identity: &Identity,
    options: &crate::container::ExecOptions,
    bounding: Set,
) -> Result<Value> {
    let mut security = record.spec.security.clone();
    security.privileged |= options.privileged;
    let caps = security::capabilities(&security, bounding)?;
    let mut copy = record.clone();
    copy.spec.security = security;
    copy.spec.tty = options.tty;
    copy.resolved.entrypoint = options.args.clone();
    copy.resolved.cmd = Vec::new();
    if let Some(cwd) = &options.cwd {
        copy.resolved.cwd = cwd.clone();
    }
    for entry in &options.env {
        environment::put(&mut copy.resolved.env, entry);
    }
    Ok(process(&copy, identity, caps))
}

fn namespaces(record: &Record, facts: &Facts) -> Vec<Value> {
    let security = &record.spec.security;
    let joined = |kind: &str| facts.joined(kind).map(str::to_owned);
    let mut list = vec![json!({ "type": "mount" })];
    for (kind, sharing) in [
        ("pid", &security.pid),
        ("ipc", &security.ipc.namespace()),
        ("uts", &security.uts),
        ("cgroup", &security.cgroup),
    ] {
        match sharing {
            Sharing::Private => {
                list.push(prune(json!({ "type": kind, "path": joined(kind) })));
            }
            Sharing::Host => {}
            Sharing::Container(_) => list.push(json!({ "type": kind, "path": joined(kind) })),
        }
    }
    if let Some(path) = joined("network") {
        list.push(json!({ "type": "network", "path": path }));
    } else if record.spec.network != NetworkMode::Host {
        // Its own: it comes by handle, or init makes it.
        list.push(json!({ "type": "network" }));
    }
    if facts.id_map.is_some() {
        list.push(prune(json!({ "type": "user", "path": joined("user") })));
    }
    list
}

fn id_mappings(facts: &Facts) -> Value {
    match facts.id_map {
        Some((base, size)) => json!([{ "containerID": 0, "hostID": base, "size": size }]),
        None => Value::Null,
    }
}

/// Drops null members: in the spec an absent field and a null one are not the same.
fn prune(mut value: Value) -> Value {
    if let Value::Object(map) = &mut value {
        map.retain(|_, v| !v.is_null());
    }
    value
}

fn remove(document: &mut Value, key: &str) {
    if let Value::Object(map) = document {
        map.remove(key);
    }
}

#[cfg(test)]
pub(crate) mod tests;
