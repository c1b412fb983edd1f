//! stats and top: what a running container uses, and its processes.

use std::fs;

use weft_runtime::cgroup::{Memory, Stats as CgroupStats};
use weft_stdx::clock;

use crate::engine::Engine;
use crate::error::{EngineError, Result};

/// One look at what a container uses. Zero when it does not run.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    /// Unix nanoseconds of the look.
    pub time_ns: i64,
    /// Id and name of the container.
    pub id: String,
    /// Its name.
    pub name: String,
    /// cpu, memory, pids, io; `None` when it does not run.
    pub cgroup: Option<CgroupStats>,
    /// Per interface, without loopback.
    pub networks: Vec<Interface>,
    /// Processors of this machine.
    pub online_cpus: u32,
    /// Nanoseconds all processors of the machine have had, the base of a percentage.
    pub system_cpu_ns: u64,
    /// Bytes of memory of this machine: the limit of one without a limit.
    pub machine_memory_bytes: u64,
}

/// What one container uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time since it started.
    pub cpu_ns: u64,
    /// Memory that cannot be had back by forgetting what files hold anyway: the field's working set.
    pub memory_bytes: u64,
}

/// Counters of one network interface, as the container sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Interface {
    pub name: String,
    pub rx_bytes: u64,
    pub rx_packets: u64,
    pub rx_errors: u64,
    pub rx_dropped: u64,
    pub tx_bytes: u64,
    pub tx_packets: u64,
    pub tx_errors: u64,
    pub tx_dropped: u64,
}

/// One process of a container, as `top` shows it. Ids are the host's.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Process {
    pub pid: i32,
    pub ppid: i32,
    pub uid: u32,
    /// Unix nanoseconds.
    pub started_at_ns: i64,
    /// Processor time used so far.
    pub cpu_seconds: u64,
    pub tty: String,
    pub command: String,
}

impl Engine {
    /// One sample.
    ///
    /// # Errors
    /// No such container.
    pub async fn stats(&self, reference: &str) -> Result<Stats> {
        let container = self.find(reference)?;
        self.blocking(move |engine| {
            let (state, name) = container.with(|r| (r.state.clone(), r.name.clone()));
            let mut stats = Stats {
                time_ns: clock::unix_ns(),
                id: container.id.clone(),
                name,
                online_cpus: online_cpus(),
                system_cpu_ns: system_cpu_ns(),
                machine_memory_bytes: machine_memory_bytes(),
                ..Stats::default()
            };
            if state.status.is_up() {
                let cgroup = engine
                    .inner
                    .cgroups
                    .open(&engine.cgroup_path(&container.id));
                stats.cgroup = cgroup.and_then(|c| c.stats()).ok();
                let text = fs::read_to_string(format!("/proc/{}/net/dev", state.pid));
                stats.networks = interfaces(&text.unwrap_or_default());
            }
            Ok(stats)
        })
        .await
    }

    /// What containers use now, all at one look. Those that do not run are left out.
    ///
    /// # Errors
    /// Nobody can look.
    pub async fn usage(&self, ids: Vec<String>) -> Result<Vec<(String, Usage)>> {
        self.blocking(move |engine| {
            let of = |id: String| {
                let container = engine.find(&id).ok()?;
                if !container.state().status.is_up() {
                    return None;
                }
                let cgroup = engine.inner.cgroups.open(&engine.cgroup_path(&id)).ok()?;
                let stats = cgroup.stats().ok()?;
                let usage = Usage {
                    cpu_ns: stats.cpu.usage_us.saturating_mul(1000),
                    memory_bytes: working_set(&stats.memory),
                };
                Some((id, usage))
            };
            Ok(ids.into_iter().filter_map(of).collect())
        })
        .await
    }

    /// Its processes. Read from /proc by us: nothing of the image is run (CVE-2022-1227).
    ///
    /// # Errors
    /// It does not run.
    pub async fn top(&self, reference: &str) -> Result<Vec<Process>> {
        let container = self.find(reference)?;
        if !container.state().status.is_up() {
            return Err(EngineError::conflict(format!(
                "Container {} is not running",
                container.id
            )));
        }
        self.blocking(move |engine| {
            let cgroup = engine
                .inner
                .cgroups
                .open(&engine.cgroup_path(&container.id));
            let pids = cgroup
                .and_then(|c| c.pids())
                .map_err(|e| EngineError::internal("list the processes of a container", e))?;
            // One that has just ended has nothing to show.
            Ok(pids.into_iter().filter_map(process).collect())
        })
        .await
    }
}

fn working_set(memory: &Memory) -> u64 {
    match memory {
        Memory::Counted {
            current, detail, ..
        } => current.saturating_sub(detail.get("inactive_file").copied().unwrap_or(0)),
        Memory::ResidentSum { current } => *current,
    }
}

fn online_cpus() -> u32 {
    std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(1))
}

/// USER_HZ of Linux: the unit of times in /proc.
const TICKS_PER_SECOND: u64 = 100;

fn system_cpu_ns() -> u64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    // user nice system idle iowait irq softirq steal; guest time is in user already.
    let ticks: u64 = line
        .split_ascii_whitespace()
        .skip(1)
        .take(8)
        .filter_map(|f| f.parse::<u64>().ok())
        .sum();
    ticks * (1_000_000_000 / TICKS_PER_SECOND)
}

pub(crate) fn machine_memory_bytes() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text
        .lines()
        .find(|l| l.starts_with("MemTotal:"))
        .unwrap_or_default();
    line.split_ascii_whitespace()
        .nth(1)
        .and_then(|f| f.parse::<u64>().ok())
        .unwrap_or(0)
        * 1024
}

/// proc_pid_net(5): name, then eight received and eight sent counters.
fn interfaces(text: &str) -> Vec<Interface> {
    let parse = |line: &str| -> Option<Interface> {
        let (name, rest) = line.split_once(':')?;
        let n: Vec<u64> = rest
            .split_ascii_whitespace()
            .map(|f| f.parse().unwrap_or(0))
            .collect();
        let at = |i: usize| n.get(i).copied().unwrap_or(0);
        Some(Interface {
            name: name.trim().to_owned(),
            rx_bytes: at(0),
            rx_packets: at(1),
            rx_errors: at(2),
            rx_dropped: at(3),
            tx_bytes: at(8),
            tx_packets: at(9),
            tx_errors: at(10),
            tx_dropped: at(11),
        })
    };
    text.lines()
        .skip(2)
        .filter_map(parse)
        .filter(|i| i.name != "lo")
        .collect()
}

fn process(pid: i32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, rest) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let number = |i: usize| {
        fields
            .get(i)
            .and_then(|f| f.parse::<i64>().ok())
            .unwrap_or(0)
    };
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let command = if arguments.is_empty() {
        format!("[{}]", head.split_once('(').map_or("", |(_, c)| c))
    } else {
        String::from_utf8_lossy(&arguments)
            .trim_end_matches('\0')
            .replace('\0', " ")
    };
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let uid = status
        .lines()
        .find_map(|l| l.strip_prefix("Uid:"))?
        .split_ascii_whitespace()
        .next()?;
    let ticks = u64::try_from(number(11) + number(12)).unwrap_or(0);
    Some(Process {
        pid,
        ppid: i32::try_from(number(1)).unwrap_or(0),
        uid: uid.parse().unwrap_or(0),
        started_at_ns: started_at(u64::try_from(number(19)).unwrap_or(0)),
        cpu_seconds: ticks / TICKS_PER_SECOND,
        tty: tty(number(4)),
        command,
    })
}

fn started_at(ticks: u64) -> i64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let boot: i64 = text
        .lines()
        .find_map(|l| l.strip_prefix("btime "))
        .and_then(|f| f.trim().parse().ok())
        .unwrap_or(0);
    boot * 1_000_000_000 + i64::try_from(ticks * (1_000_000_000 / TICKS_PER_SECOND)).unwrap_or(0)
}

/// The terminal's name from its number: 136… are pseudo terminals.
fn tty(number: i64) -> String {
    let (major, minor) = (
        (number >> 8) & 0xfff,
        (number & 0xff) | ((number >> 12) & 0xfff00),
    );
    match major {
        0 => "?".to_owned(),
        136..=143 => format!("pts/{minor}"),
        _ => format!("{major}:{minor}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_files_hold_anyway_is_no_use_of_memory() {
        let counted = |inactive: u64| Memory::Counted {
            current: 100,
            peak: None,
            max: None,
            swap: None,
            detail: [("inactive_file".to_owned(), inactive)].into(),
        };
        assert_eq!(working_set(&counted(30)), 70);
        assert_eq!(working_set(&counted(130)), 0);
        assert_eq!(working_set(&Memory::ResidentSum { current: 5 }), 5);
    }

    #[test]
    fn interface_counters_are_read() {
        let text = "Inter-|   Receive  |  Transmit\n face |bytes\n    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n  eth0: 10 2 0 1 0 0 0 0 30 4 5 6 0 0 0 0\n";
        let list = interfaces(text);
        assert_eq!(list.len(), 1);
        assert_eq!(
            (
                list[0].rx_bytes,
                list[0].rx_dropped,
                list[0].tx_bytes,
                list[0].tx_dropped
            ),
            (10, 1, 30, 6)
        );
    }

    #[test]
    fn our_own_process_is_shown() {
        let me = process(i32::try_from(std::process::id()).unwrap()).unwrap();
        assert!(!me.command.is_empty());
        assert!((clock::unix_ns() - me.started_at_ns).abs() < 3_600_000_000_000);
        assert!(process(i32::MAX).is_none());
        assert!(machine_memory_bytes() > 0 && system_cpu_ns() > 0);
    }
}
