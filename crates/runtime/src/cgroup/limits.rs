//! `linux.resources` as a list of files and values. Pure.
//!
//! Owns: what each limit means on cgroup v2, and refusing by name what v2 cannot do. Devices are
//! not here: they are a program (`crate::devices`).
//! Never: which controllers this machine has, or writing.

use oci_spec::runtime::{LinuxCpu, LinuxMemory, LinuxResources};

use super::convert::{self, Limit};

/// One limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    /// Its name in the specification.
    pub limit: String,
    /// The controller that has the file; `None` for those every cgroup has.
    pub controller: Option<String>,
    /// The file and what is written to it, one write per entry.
    pub writes: Vec<Write>,
    /// Whether it is what a new cgroup has anyway.
    pub is_default: bool,
}

/// One write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Write {
    pub file: String,
    pub value: String,
    /// What to write instead when there is no such file.
    pub otherwise: Option<Box<Write>>,
    /// The kernel may be built without this file; it says less than the others.
    pub optional: bool,
}

/// A limit that makes no sense, or that cgroup v2 does not have.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("limit {limit} = {value}: {reason}")]
pub struct LimitError {
    /// Its name in the specification.
    pub limit: String,
    /// What was asked for.
    pub value: String,
    /// Why it cannot be.
    pub reason: String,
}

type Result<T> = std::result::Result<T, LimitError>;

fn refuse<T>(limit: &str, value: impl ToString, reason: impl Into<String>) -> Result<T> {
    Err(LimitError {
        limit: limit.to_owned(),
        value: value.to_string(),
        reason: reason.into(),
    })
}

fn write(file: impl Into<String>, value: impl ToString) -> Write {
    Write {
        file: file.into(),
        value: value.to_string(),
        otherwise: None,
        optional: false,
    }
}

impl Setting {
    fn new(limit: &str, controller: &str, writes: Vec<Write>, is_default: bool) -> Setting {
        let controller = Some(controller.to_owned());
        Setting {
            limit: limit.to_owned(),
            controller,
            writes,
            is_default,
        }
    }
}

/// Every limit in `resources`, in the order in which they have to be written.
pub(super) fn plan(resources: &LinuxResources) -> Result<Vec<Setting>> {
    let mut settings = Vec::new();
    if let Some(cpu) = resources.cpu() {
        cpuset(cpu, &mut settings)?;
        processor(cpu, &mut settings)?;
    }
    if let Some(memory) = resources.memory() {
        self::memory(memory, &mut settings)?;
    }
    if let Some(pids) = resources.pids() {
        let asked = pids.limit();
        let limit = if asked > 0 {
            Limit::At(asked.unsigned_abs())
        } else {
            Limit::Max
        };
        let writes = vec![write("pids.max", limit)];
        settings.push(Setting::new(
            "pids.limit",
            "pids",
            writes,
            limit == Limit::Max,
        ));
    }
    if let Some(block) = resources.block_io() {
        settings.extend(super::io::plan(block)?);
    }
    huge_pages(resources, &mut settings)?;
    rdma(resources, &mut settings)?;
    network(resources)?;
    unified(resources, &mut settings)?;
    Ok(settings)
}

fn cpuset(cpu: &LinuxCpu, settings: &mut Vec<Setting>) -> Result<()> {
    for (limit, file, list) in [
        ("cpu.cpus", "cpuset.cpus", cpu.cpus()),
        ("cpu.mems", "cpuset.mems", cpu.mems()),
    ] {
        let Some(list) = list.as_deref().filter(|list| !list.is_empty()) else {
            continue;
        };
        let is_list = |part: &str| {
            let mut ends = part.splitn(2, '-');
            ends.all(|end| !end.is_empty() && end.bytes().all(|byte| byte.is_ascii_digit()))
        };
        if !list.split(',').all(is_list) {
            return refuse(
                limit,
                list,
                "it is no list of numbers and ranges such as 0-3,7",
            );
        }
        settings.push(Setting::new(
            limit,
            "cpuset",
            vec![write(file, list)],
            false,
        ));
    }
    Ok(())
}

fn processor(cpu: &LinuxCpu, settings: &mut Vec<Setting>) -> Result<()> {
    const NO_REALTIME: &str = "cgroup v2 has no limits on realtime scheduling";
    if let Some(runtime) = cpu.realtime_runtime().filter(|&it| it != 0) {
        return refuse("cpu.realtimeRuntime", runtime, NO_REALTIME);
    }
    if let Some(period) = cpu.realtime_period().filter(|&it| it != 0) {
        return refuse("cpu.realtimePeriod", period, NO_REALTIME);
    }
    let is_idle = match cpu.idle() {
        None => false,
        Some(idle @ (0 | 1)) => {
            let writes = vec![write("cpu.idle", idle)];
            settings.push(Setting::new("cpu.idle", "cpu", writes, idle == 0));
            idle == 1
        }
        Some(other) => return refuse("cpu.idle", other, "it is 0 or 1"),
    };
    if let Some(shares) = cpu.shares().filter(|&it| it != 0) {
        if is_idle {
            return refuse(
                "cpu.shares",
                shares,
                "an idle cgroup (cpu.idle = 1) has no weight",
            );
        }
        let weight = convert::cpu_weight(shares);
        let writes = vec![write("cpu.weight", weight)];
        settings.push(Setting::new("cpu.shares", "cpu", writes, weight == 100));
    }
    bandwidth(cpu, settings)
}

/// Microseconds, all of them. The kernel takes periods from 1 ms to 1 s and at least 1 ms of
/// quota (kernel/sched/core.c).
fn bandwidth(cpu: &LinuxCpu, settings: &mut Vec<Setting>) -> Result<()> {
    let quota = cpu.quota().filter(|&it| it != 0);
    let period = cpu.period().filter(|&it| it != 0);
    if let Some(period) = period
        && !(1_000..=1_000_000).contains(&period)
    {
        return refuse(
            "cpu.period",
            period,
            "it is between 1000 and 1000000 microseconds",
        );
    }
    if let Some(quota @ 1..1_000) = quota {
        return refuse("cpu.quota", quota, "it is at least 1000 microseconds");
    }
    let burst = cpu.burst().map(|burst| write("cpu.max.burst", burst));
    if quota.is_some() || period.is_some() {
        let limit = quota
            .filter(|&it| it > 0)
            .map_or("max".to_owned(), |it| it.to_string());
        let value = format!("{limit} {}", period.unwrap_or(100_000));
        let is_default = value == "max 100000";
        // A quota below the burst in force is refused: the burst goes first.
        let reset = burst.iter().map(|_| write("cpu.max.burst", 0));
        let writes = reset.chain([write("cpu.max", value)]).collect();
        settings.push(Setting::new("cpu.quota", "cpu", writes, is_default));
    }
    if let Some(burst) = burst {
        let is_default = burst.value == "0";
        settings.push(Setting::new("cpu.burst", "cpu", vec![burst], is_default));
    }
    Ok(())
}

fn memory(memory: &LinuxMemory, settings: &mut Vec<Setting>) -> Result<()> {
    refuse_v1_memory(memory)?;
    let add = |settings: &mut Vec<Setting>, limit: &str, file: &str, value: Limit, default| {
        let writes = vec![write(file, value)];
        settings.push(Setting::new(limit, "memory", writes, value == default));
    };
    let parse =
        |limit: &str, asked: i64| Limit::of(asked).or_else(|reason| refuse(limit, asked, reason));
    if let Some(asked) = memory.limit().filter(|&it| it != 0) {
        add(
            settings,
            "memory.limit",
            "memory.max",
            parse("memory.limit", asked)?,
            Limit::Max,
        );
    }
    if let Some(asked) = memory.swap() {
        match convert::swap(memory.limit(), asked) {
            Ok(None) => {}
            Ok(Some(limit)) => {
                add(
                    settings,
                    "memory.swap",
                    "memory.swap.max",
                    limit,
                    Limit::Max,
                );
            }
            Err(reason) => return refuse("memory.swap", asked, reason),
        }
    }
    if let Some(asked) = memory.reservation().filter(|&it| it != 0) {
        let limit = parse("memory.reservation", asked)?;
        add(
            settings,
            "memory.reservation",
            "memory.low",
            limit,
            Limit::At(0),
        );
    }
    Ok(())
}

fn refuse_v1_memory(memory: &LinuxMemory) -> Result<()> {
    let kernel = memory.kernel();
    for (limit, value) in [
        ("memory.kernel", kernel),
        ("memory.kernelTCP", memory.kernel_tcp()),
    ] {
        if let Some(value) = value.filter(|&it| it > 0) {
            return refuse(
                limit,
                value,
                "cgroup v2 counts the kernel's memory in memory.limit",
            );
        }
    }
    if let Some(swappiness) = memory.swappiness() {
        return refuse(
            "memory.swappiness",
            swappiness,
            "cgroup v2 has none per cgroup",
        );
    }
    if memory.disable_oom_killer() == Some(true) {
        return refuse(
            "memory.disableOOMKiller",
            true,
            "cgroup v2 cannot switch it off",
        );
    }
    if memory.use_hierarchy() == Some(false) {
        return refuse(
            "memory.useHierarchy",
            false,
            "cgroup v2 always counts hierarchically",
        );
    }
    Ok(())
}

fn huge_pages(resources: &LinuxResources, settings: &mut Vec<Setting>) -> Result<()> {
    for page in resources.hugepage_limits().iter().flatten() {
        let size = page.page_size();
        let name = format!("hugepageLimits[{size}]");
        let digits = size.trim_end_matches(|it: char| it.is_ascii_uppercase());
        let unit = &size[digits.len()..];
        let is_number = !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit());
        if !is_number || !matches!(unit, "KB" | "MB" | "GB") {
            return refuse(
                &name,
                page.limit(),
                "a page size is written as 64KB, 2MB or 1GB",
            );
        }
        let limit =
            Limit::of(page.limit()).or_else(|reason| refuse(&name, page.limit(), reason))?;
        let reserved = Write {
            optional: true,
            ..write(format!("hugetlb.{size}.rsvd.max"), limit)
        };
        let writes = vec![write(format!("hugetlb.{size}.max"), limit), reserved];
        settings.push(Setting::new(&name, "hugetlb", writes, limit == Limit::Max));
    }
    Ok(())
}

fn rdma(resources: &LinuxResources, settings: &mut Vec<Setting>) -> Result<()> {
    for (device, limit) in resources.rdma().iter().flatten() {
        let name = format!("rdma[{device}]");
        let is_name = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-' | b'.');
        if device.is_empty() || !device.bytes().all(is_name) {
            return refuse(&name, "", "it is no name of a device");
        }
        let text = |value: Option<u32>| value.map_or("max".to_owned(), |it| it.to_string());
        let (handles, objects) = (text(limit.hca_handles()), text(limit.hca_objects()));
        let is_default = handles == "max" && objects == "max";
        let value = format!("{device} hca_handle={handles} hca_object={objects}");
        settings.push(Setting::new(
            &name,
            "rdma",
            vec![write("rdma.max", value)],
            is_default,
        ));
    }
    Ok(())
}

fn network(resources: &LinuxResources) -> Result<()> {
    let Some(network) = resources.network() else {
        return Ok(());
    };
    let reason = "cgroup v2 has no network controllers; shape traffic on the interface instead";
    if let Some(class) = network.class_id().filter(|&it| it != 0) {
        return refuse("network.classID", class, reason);
    }
    match network.priorities().as_deref() {
        None | Some([]) => Ok(()),
        Some(priorities) => refuse("network.priorities", priorities.len(), reason),
    }
}

/// Files named by the user, last, so that they have the last word. Those that move processes,
/// change the tree or act at once are weft's own.
fn unified(resources: &LinuxResources, settings: &mut Vec<Setting>) -> Result<()> {
    const CORE: [&str; 3] = [
        "cgroup.max.depth",
        "cgroup.max.descendants",
        "cgroup.pressure",
    ];
    let mut entries: Vec<_> = resources.unified().iter().flatten().collect();
    entries.sort();
    for (file, value) in entries {
        let name = format!("unified[{file}]");
        let is_letter = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'.' | b'_');
        let controller = file.split('.').next().unwrap_or_default();
        let has_form = file.bytes().all(is_letter) && file.contains('.') && !controller.is_empty();
        if !has_form || file.len() > 255 || file.contains("..") || file.ends_with('.') {
            return refuse(&name, value, "it is no name of a controller's file");
        }
        if controller == "cgroup" && !CORE.contains(&file.as_str()) {
            return refuse(&name, value, "weft itself uses that file");
        }
        if value.is_empty() || value.bytes().any(|it| it == 0 || it == b'\n') {
            return refuse(&name, value, "a value is one line");
        }
        let mut setting = Setting::new(&name, controller, vec![write(file, value)], false);
        setting.controller.take_if(|it| it == "cgroup");
        settings.push(setting);
    }
    Ok(())
}

#[cfg(test)]
#[path = "limits_tests.rs"]
mod tests;
