//! What a cgroup uses.
//!
//! Owns: reading the statistics files, and standing in for those of an absent controller. Never:
//! rates or percentages; two readings make those.

use std::collections::BTreeMap;

use super::CgroupError;
use super::directory::{Directory, is_absent};
use super::events::value;

/// Most cgroups visited below one; a container that makes more hides its processes from `top`,
/// not from limits or from kill.
const MAX_VISITED: usize = 4096;

type Result<T> = std::result::Result<T, CgroupError>;

/// One reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Processor time.
    pub cpu: Cpu,
    /// Memory.
    pub memory: Memory,
    /// Processes and threads.
    pub tasks: Tasks,
    /// Block I/O by device; `None` without the io controller.
    pub io: Option<Vec<Device>>,
}

/// Processor time in microseconds since the cgroup was made (`cpu.stat`, which exists without
/// the cpu controller too; the throttling numbers are zero then).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    /// All of it.
    pub usage_us: u64,
    /// In user mode.
    pub user_us: u64,
    /// In the kernel.
    pub system_us: u64,
    /// Periods in which it could run.
    pub periods: u64,
    /// Periods in which its quota ran out.
    pub throttled_periods: u64,
    /// Time it had to wait for the next period.
    pub throttled_us: u64,
}

/// Memory in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Memory {
    /// As the memory controller counts it.
    Counted {
        /// In use, page cache included.
        current: u64,
        /// The most that was in use (Linux 5.19).
        peak: Option<u64>,
        /// The limit, if there is one.
        max: Option<u64>,
        /// Swap in use.
        swap: Option<u64>,
        /// `memory.stat`, as the kernel names it: `anon`, `file`, `inactive_file`…
        detail: BTreeMap<String, u64>,
    },
    /// Without the memory controller: the resident sets of the processes added up. Pages they
    /// share count once for each, page cache does not count, and there is no limit.
    ResidentSum {
        /// In use.
        current: u64,
    },
}

impl Default for Memory {
    fn default() -> Memory {
        Memory::ResidentSum { current: 0 }
    }
}

impl Memory {
    /// In use, as well as is known.
    pub fn current(&self) -> u64 {
        match self {
            Memory::Counted { current, .. } | Memory::ResidentSum { current } => *current,
        }
    }
}

/// How many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tasks {
    /// Processes and threads, as the pids controller counts them.
    Counted {
        /// Now.
        current: u64,
        /// The limit, if there is one.
        max: Option<u64>,
    },
    /// Without the pids controller: processes, not their threads.
    Processes(u64),
}

impl Default for Tasks {
    fn default() -> Tasks {
        Tasks::Processes(0)
    }
}

/// Block I/O of one device since the cgroup was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// Its number.
    pub major: u32,
    /// Its number.
    pub minor: u32,
    /// Bytes.
    pub read_bytes: u64,
    /// Bytes.
    pub written_bytes: u64,
    /// Operations.
    pub reads: u64,
    /// Operations.
    pub writes: u64,
}

pub(super) fn collect(directory: &Directory) -> Result<Stats> {
    let pids = pids(directory)?;
    Ok(Stats {
        cpu: cpu(&directory.read("cpu.stat")?),
        memory: memory(directory, &pids)?,
        tasks: tasks(directory, pids.len())?,
        io: directory.read_optional("io.stat")?.map(|text| io(&text)),
    })
}

fn cpu(text: &str) -> Cpu {
    let number = |key| value(text, key).unwrap_or(0);
    Cpu {
        usage_us: number("usage_usec"),
        user_us: number("user_usec"),
        system_us: number("system_usec"),
        periods: number("nr_periods"),
        throttled_periods: number("nr_throttled"),
        throttled_us: number("throttled_usec"),
    }
}

fn memory(directory: &Directory, pids: &[i32]) -> Result<Memory> {
    let number = |name| number(directory, name);
    let Some(current) = number("memory.current")? else {
        return Ok(Memory::ResidentSum {
            current: pids.iter().map(|&pid| resident(pid)).sum(),
        });
    };
    let stat = directory.read_optional("memory.stat")?.unwrap_or_default();
    let detail = stat.lines().filter_map(|line| {
        let (key, number) = line.split_once(' ')?;
        Some((key.to_owned(), number.trim().parse().ok()?))
    });
    Ok(Memory::Counted {
        current,
        peak: number("memory.peak")?,
        max: number("memory.max")?,
        swap: number("memory.swap.current")?,
        detail: detail.collect(),
    })
}

/// A file with one number in it; `None` for `max`, and when there is no such file.
fn number(directory: &Directory, name: &str) -> Result<Option<u64>> {
    Ok(directory
        .read_optional(name)?
        .and_then(|text| text.trim().parse().ok()))
}

/// `VmRSS` in bytes (proc_pid_status(5)). A process that has gone uses nothing.
fn resident(pid: i32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kibibytes.unwrap_or(0) * 1024
}

fn tasks(directory: &Directory, processes: usize) -> Result<Tasks> {
    let number = |name| number(directory, name);
    Ok(match number("pids.current")? {
        Some(current) => Tasks::Counted {
            current,
            max: number("pids.max")?,
        },
        None => Tasks::Processes(processes as u64),
    })
}

/// Lines of `MAJOR:MINOR rbytes=… wbytes=… rios=… wios=… …`.
fn io(text: &str) -> Vec<Device> {
    let device = |line: &str| {
        let (number, rest) = line.split_once(' ')?;
        let (major, minor) = number.split_once(':')?;
        let mut device = Device {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
            ..Device::default()
        };
        for (key, number) in rest.split(' ').filter_map(|pair| pair.split_once('=')) {
            let number = number.parse().ok()?;
            match key {
                "rbytes" => device.read_bytes = number,
                "wbytes" => device.written_bytes = number,
                "rios" => device.reads = number,
                "wios" => device.writes = number,
                _ => {}
            }
        }
        Some(device)
    };
    text.lines().filter_map(device).collect()
}

/// Every process in the cgroup and those below it.
pub(super) fn pids(directory: &Directory) -> Result<Vec<i32>> {
    let mut pids = Vec::new();
    let mut pending = vec![String::new()];
    let mut visited = 0;
    while let Some(path) = pending.pop() {
        visited += 1;
        let nested = match path.as_str() {
            "" => None,
            path => match directory.open(path) {
                Ok(nested) => Some(nested),
                Err(error) if is_absent(&error) => continue,
                Err(error) => return Err(error),
            },
        };
        let here = nested.as_ref().unwrap_or(directory);
        let text = here.read_optional("cgroup.procs")?.unwrap_or_default();
        pids.extend(text.lines().filter_map(|line| line.parse::<i32>().ok()));
        let room = MAX_VISITED.saturating_sub(visited + pending.len());
        if room > 0 {
            let children = here.children(room)?.into_iter();
            let prefix = if path.is_empty() { path } else { path + "/" };
            pending.extend(children.map(|child| format!("{prefix}{child}")));
        }
    }
    pids.sort_unstable();
    pids.dedup();
    Ok(pids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throttling_is_read_where_it_is() {
        let bare = cpu("usage_usec 30\nuser_usec 20\nsystem_usec 10\n");
        assert_eq!(
            bare,
            Cpu {
                usage_us: 30,
                user_us: 20,
                system_us: 10,
                ..Cpu::default()
            }
        );
        let full = cpu("usage_usec 3\nnr_periods 7\nnr_throttled 2\nthrottled_usec 9\n");
        assert_eq!(
            (full.periods, full.throttled_periods, full.throttled_us),
            (7, 2, 9)
        );
    }

    #[test]
    fn block_io_is_read_by_device() {
        let text = "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n\nnonsense\n9:1 \n";
        let first = Device {
            major: 8,
            read_bytes: 1,
            written_bytes: 2,
            reads: 3,
            writes: 4,
            ..Device::default()
        };
        assert_eq!(
            io(text),
            [
                first,
                Device {
                    major: 9,
                    minor: 1,
                    ..Device::default()
                }
            ]
        );
    }

    #[test]
    fn our_own_resident_set_is_something() {
        assert!(resident(std::process::id() as i32) > 4096);
        assert_eq!(resident(i32::MAX), 0);
    }
}
