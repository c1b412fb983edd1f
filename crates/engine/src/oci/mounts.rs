//! The mount list: what every container has, then the user's in the order of their targets.

use serde_json::{Value, json};
use weft_runtime::plan::BENEATH;

use super::Facts;
use crate::container::record::Record;
use crate::spec::{Ipc, NetworkMode};

/// A mount whose host side is known.
#[derive(Debug, Clone, Default)]
pub(crate) struct MountFact {
    /// Absolute path in the container.
    pub target: String,
    /// Host path, or `tmpfs`.
    pub source: String,
    /// `bind` or `tmpfs`.
    pub kind: &'static str,
    /// Further options, spec words.
    pub options: Vec<String>,
    /// Not writable.
    pub read_only: bool,
    /// Made for this run: it belongs to the container's root as the host numbers it.
    pub per_run: bool,
}

/// Where every container has something mounted in its root; the rest is mounted in these.
pub(crate) const KERNEL_TARGETS: [&str; 3] = ["/proc", "/dev", "/sys"];

/// 64 MiB, as Docker has it.
const SHM_BYTES: u64 = 64 << 20;

/// Options of a tmpfs the user asked for.
pub(crate) fn default_tmpfs(size: Option<u64>, mode: Option<u32>, extra: &[String]) -> Vec<String> {
    let mut options: Vec<String> = ["noexec", "nosuid", "nodev"].map(String::from).to_vec();
    for option in extra {
        let opposite = if let Some(positive) = option.strip_prefix("no") {
            positive.to_owned()
        } else {
            format!("no{option}")
        };
        options.retain(|o| *o != opposite && o != option);
        options.push(option.clone());
    }
    options.push(format!("mode={:o}", mode.unwrap_or(0o1777)));
    options.extend(size.map(|s| format!("size={s}")));
    options
}

pub(super) fn mounts(record: &Record, facts: &Facts) -> Vec<Value> {
    let mut list = kernel_mounts(record, facts);
    list.extend(ipc_mounts(record, facts));
    let mut own: Vec<&MountFact> = facts.mounts.iter().collect();
    // A target below another one has to come after it.
    own.sort_by_key(|m| m.target.matches('/').count());
    // One at a standard place takes its place: Docker's rule for /dev/shm, /sys/fs/cgroup ….
    list.retain(|m| !own.iter().any(|o| m["destination"] == o.target.as_str()));
    list.extend(own.into_iter().map(|m| own_mount(m, facts)));
    list
}

fn kernel_mounts(record: &Record, facts: &Facts) -> Vec<Value> {
    let quiet = ["nosuid", "noexec", "nodev"];
    let mut read_only = quiet.to_vec();
    if !record.spec.security.privileged {
        read_only.push("ro");
    }
    let devices = ["nosuid", "strictatime", "mode=755", "size=65536k"];
    let terminals = [
        "nosuid",
        "noexec",
        "newinstance",
        "ptmxmode=0666",
        "mode=0620",
        "gid=5",
    ];
    // sysfs shows the network namespace it is mounted in: the host's can only be bound.
    let sys = if record.spec.network == NetworkMode::Host && facts.id_map.is_some() {
        mount(
            "/sys",
            "/sys",
            "bind",
            &["rbind", "nosuid", "noexec", "nodev", "ro"],
        )
    } else {
        mount("/sys", "sysfs", "sysfs", &read_only)
    };
    vec![
        mount("/proc", "proc", "proc", &quiet),
        mount("/dev", "tmpfs", "tmpfs", &devices),
        mount("/dev/pts", "devpts", "devpts", &terminals),
        sys,
        mount("/sys/fs/cgroup", "cgroup", "cgroup", &read_only),
    ]
}

fn ipc_mounts(record: &Record, facts: &Facts) -> Vec<Value> {
    let quiet = ["nosuid", "noexec", "nodev"];
    // It shows the queues of the IPC namespace it is made in: with the host's, those of the host,
    // whether that has them mounted or not.
    let queues = mount("/dev/mqueue", "mqueue", "mqueue", &quiet);
    let bound = ["bind", "rw", "nosuid", "nodev", "noexec"];
    let memory = match &record.spec.security.ipc {
        Ipc::None => return vec![queues],
        Ipc::Host => mount("/dev/shm", "/dev/shm", "bind", &bound),
        Ipc::Container(_) => {
            let beneath = format!("{BENEATH}dev/shm");
            let root = facts.joined("root").unwrap_or_default();
            mount(
                "/dev/shm",
                root,
                "bind",
                &[&bound[..], &[&beneath]].concat(),
            )
        }
        Ipc::Private | Ipc::Shareable if facts.joined("shm").is_some() => {
            let of_sandbox = facts.joined("shm").unwrap_or_default();
            mount("/dev/shm", of_sandbox, "bind", &bound)
        }
        Ipc::Private | Ipc::Shareable => {
            let size = format!("size={}", record.spec.shm_bytes.unwrap_or(SHM_BYTES));
            let own = ["nosuid", "noexec", "nodev", "mode=1777", &size];
            mount("/dev/shm", "shm", "tmpfs", &own)
        }
    };
    vec![queues, memory]
}

fn mount(target: &str, source: &str, kind: &str, options: &[&str]) -> Value {
    json!({ "destination": target, "source": source, "type": kind, "options": options })
}

fn own_mount(fact: &MountFact, facts: &Facts) -> Value {
    let mut options = fact.options.clone();
    options.push(if fact.read_only { "ro" } else { "rw" }.to_owned());
    if fact.kind == "bind" && facts.id_map.is_some() && !fact.per_run {
        // On disk the ids stay plain: the mount shifts them.
        options.push("idmap".to_owned());
    }
    json!({
        "destination": fact.target,
        "source": fact.source,
        "type": fact.kind,
        "options": options,
    })
}

/// `shared` and `slave` binds need the root to let them through.
pub(super) fn propagation(mounts: &[MountFact]) -> Value {
    let has = |word: &str| {
        mounts
            .iter()
            .any(|m| m.options.iter().any(|o| o.ends_with(word)))
    };
    if has("shared") {
        json!("shared")
    } else if has("slave") {
        json!("rslave")
    } else {
        Value::Null
    }
}
