//! info: what this engine and this machine are.

use crate::container::ListFilter;
use crate::container::record::Status;
use crate::engine::Engine;
use weft_runtime::capabilities::Set;

/// The engine and its machine.
#[derive(Debug, Clone, Default)]
#[allow(missing_docs)]
pub struct Info {
    pub instance: String,
    pub data_dir: String,
    pub containers: usize,
    pub running: usize,
    pub paused: usize,
    pub stopped: usize,
    pub images: usize,
    pub cpus: usize,
    pub memory_bytes: u64,
    pub kernel: String,
    pub machine: String,
    pub hostname: String,
    pub os: String,
    /// cgroup v2 controllers this machine offers; limits of the others are refused.
    pub controllers: Vec<String>,
    /// What a person should know, like a foreign firewall that drops.
    pub warnings: Vec<String>,
}

impl Engine {
    /// What this engine and this machine are.
    pub fn info(&self) -> Info {
        let all = self
            .list(&ListFilter {
                all: true,
                ..ListFilter::default()
            })
            .unwrap_or_default();
        let count = |wanted: fn(Status) -> bool| {
            all.iter().filter(|v| wanted(v.record.state.status)).count()
        };
        let uname = rustix::system::uname();
        let text = |c: &std::ffi::CStr| c.to_string_lossy().into_owned();
        let controllers = self.inner.controllers.clone();
        let mut warnings = self.inner.network.warnings();
        let unreadable = self.inner.unreadable.ids();
        warnings.extend(unreadable.iter().map(|id| self.unreadable_text(id)));
        for (controller, what) in [
            ("memory", "memory"),
            ("pids", "process"),
            ("cpu", "cpu"),
            ("io", "io"),
        ] {
            if !controllers.iter().any(|c| c == controller) {
                warnings.push(format!(
                    "no {what} limits: this machine's cgroup v2 hierarchy lacks the {controller} controller"
                ));
            }
        }
        Info {
            instance: self.inner.config.instance.clone(),
            data_dir: self.inner.config.data_dir.display().to_string(),
            containers: all.len(),
            running: count(|s| s == Status::Running),
            paused: count(|s| s == Status::Paused),
            stopped: count(|s| !s.is_up()),
            images: self.inner.images.list().len(),
            cpus: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: crate::stats::machine_memory_bytes(),
            kernel: text(uname.release()),
            machine: text(uname.machine()),
            hostname: text(uname.nodename()),
            os: os_name(),
            controllers,
            warnings,
        }
    }

    /// The most a container may be given: in a user namespace of its own all the kernel has,
    /// else what the engine itself may pass on.
    pub(crate) fn capability_ceiling(&self, user_namespace: bool) -> Set {
        if user_namespace {
            Set::of_kernel()
        } else {
            self.inner.bounding
        }
    }
}

/// Major and minor of the running kernel.
pub(crate) fn kernel_version() -> (u32, u32) {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy();
    let mut parts = release
        .split(['.', '-', '+'])
        .map(|p| p.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

fn os_name() -> String {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("PRETTY_NAME="));
    line.map_or_else(|| "Linux".to_owned(), |l| l.trim_matches('"').to_owned())
}
