//! Limits and devices: sizes, rates, ulimits.
//!
//! Zero means "not limited" on the wire and is absent below. Whether the host has the
//! controller is for the engine to say.

use weft_api::docker::{self, HostConfig, ThrottleDevice};
use weft_engine::spec::{DeviceRule, DeviceSpec, Resources, Ulimit};

use super::Refusals;

/// Docker's least memory limit: below it nothing starts.
const MEMORY_MIN: i64 = 6 << 20;

/// The kernel's least CPU time, 1 ms per 100 ms.
const NANO_CPUS_MIN: i64 = 10_000_000;

/// Everything in `HostConfig` that limits.
pub fn resources(no: &mut Refusals, host: &HostConfig) -> Resources {
    let resources = Resources {
        memory_bytes: positive(no, "HostConfig.Memory", host.memory),
        memory_reservation_bytes: positive(
            no,
            "HostConfig.MemoryReservation",
            host.memory_reservation,
        ),
        memory_swap_bytes: non_zero(host.memory_swap),
        oom_kill_disable: host.oom_kill_disable.unwrap_or(false),
        nano_cpus: positive(no, "HostConfig.NanoCpus", host.nano_cpus),
        cpu_shares: positive(no, "HostConfig.CpuShares", host.cpu_shares).map(i64::unsigned_abs),
        cpu_quota_us: positive(no, "HostConfig.CpuQuota", host.cpu_quota.max(0)),
        cpu_period_us: positive(no, "HostConfig.CpuPeriod", host.cpu_period).map(i64::unsigned_abs),
        cpuset_cpus: cpuset(no, "HostConfig.CpusetCpus", &host.cpuset_cpus),
        cpuset_mems: cpuset(no, "HostConfig.CpusetMems", &host.cpuset_mems),
        pids_limit: host.pids_limit.and_then(pids_limit),
        blkio_weight: blkio_weight(no, host.blkio_weight),
        read_bps: rates(no, &host.blkio_device_read_bps),
        write_bps: rates(no, &host.blkio_device_write_bps),
        read_iops: rates(no, &host.blkio_device_read_iops),
        write_iops: rates(no, &host.blkio_device_write_iops),
        ulimits: ulimits(no, host),
        oom_score_adj: oom_score_adj(no, host.oom_score_adj),
    };
    no.unsupported_if(
        host.memory_swappiness.is_some_and(|percent| percent != -1),
        "HostConfig.MemorySwappiness (control groups v2 have no such setting)",
    );
    check(no, &resources);
    resources
}

/// What the limits have to be to each other.
pub(super) fn check(no: &mut Refusals, limits: &Resources) {
    let memory = limits.memory_bytes;
    if memory.is_some_and(|bytes| (1..MEMORY_MIN).contains(&bytes)) {
        no.invalid("Memory: the minimum memory limit is 6MB");
    }
    match (memory, limits.memory_swap_bytes) {
        (_, None | Some(-1)) => {}
        (_, Some(swap)) if swap < 0 => no.invalid("MemorySwap: must be -1 or positive"),
        (None, Some(_)) => {
            no.invalid(
                "MemorySwap: you should always set the Memory limit when using Memoryswap limit",
            );
        }
        (Some(memory), Some(swap)) if swap < memory => {
            no.invalid("MemorySwap: minimum memoryswap limit should be larger than memory limit");
        }
        _ => {}
    }
    if let (Some(memory), Some(reservation)) = (memory, limits.memory_reservation_bytes)
        && reservation > memory
    {
        no.invalid("MemoryReservation: must not be larger than the memory limit");
    }
    if limits
        .nano_cpus
        .is_some_and(|cpus| (0..NANO_CPUS_MIN).contains(&cpus))
    {
        no.invalid("NanoCpus: the least is 0.01 CPUs");
    }
    if limits.nano_cpus.is_some()
        && (limits.cpu_quota_us.or(limits.cpu_period_us.map(|_| 0))).is_some()
    {
        no.invalid("NanoCpus and CpuPeriod/CpuQuota cannot both be set");
    }
    if limits
        .cpu_period_us
        .is_some_and(|us| !(1_000..=1_000_000).contains(&us))
    {
        no.invalid("CpuPeriod: must be within 1000 and 1000000 microseconds");
    }
    if limits.cpu_quota_us.is_some_and(|us| us < 1_000) {
        no.invalid("CpuQuota: must be at least 1000 microseconds");
    }
}

/// A positive number; zero is absence.
pub(super) fn positive(no: &mut Refusals, member: &str, value: i64) -> Option<i64> {
    if value < 0 {
        no.invalid(format!("{member}: {value} is negative"));
    }
    (value > 0).then_some(value)
}

pub(super) fn non_zero(value: i64) -> Option<i64> {
    (value != 0).then_some(value)
}

/// -1 is "no limit"; clients send 0 for "not said".
pub(super) fn pids_limit(value: i64) -> Option<i64> {
    non_zero(value).map(|limit| limit.max(-1))
}

pub(super) fn cpuset(no: &mut Refusals, member: &str, text: &str) -> Option<String> {
    let valid = text.split(',').all(|part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        matches!((first.parse::<u16>(), last.parse::<u16>()), (Ok(a), Ok(b)) if a <= b)
    });
    if !text.is_empty() && !valid {
        no.invalid(format!(
            "{member}: '{}' is not a list like 0-2,4",
            text.escape_debug()
        ));
    }
    (!text.is_empty()).then(|| text.to_owned())
}

pub(super) fn blkio_weight(no: &mut Refusals, weight: u16) -> Option<u16> {
    if weight != 0 && !(10..=1000).contains(&weight) {
        no.invalid("BlkioWeight: must be within 10 and 1000");
    }
    (weight != 0).then_some(weight)
}

fn oom_score_adj(no: &mut Refusals, value: i64) -> Option<i32> {
    if !(-1000..=1000).contains(&value) {
        no.invalid("OomScoreAdj: must be within -1000 and 1000");
        return None;
    }
    i32::try_from(value).ok().filter(|value| *value != 0)
}

fn rates(no: &mut Refusals, list: &[ThrottleDevice]) -> Vec<(String, u64)> {
    for device in list.iter().filter(|device| !device.path.starts_with('/')) {
        no.invalid(format!(
            "BlkioDevice: '{}' is not an absolute path",
            device.path
        ));
    }
    list.iter()
        .map(|device| (device.path.clone(), device.rate))
        .collect()
}

fn ulimits(no: &mut Refusals, host: &HostConfig) -> Vec<Ulimit> {
    let mut list: Vec<Ulimit> = Vec::new();
    for wish in &host.ulimits {
        let name = wish.name.to_ascii_lowercase();
        // Docker's own command does not offer `as`.
        if name != "as" && !docker::Ulimit::NAMES.contains(&name.as_str()) {
            no.invalid(format!(
                "Ulimits: invalid ulimit type: '{}'",
                wish.name.escape_debug()
            ));
            continue;
        }
        // -1 is RLIM_INFINITY, which is all ones.
        let limit = |value: i64| {
            if value == -1 {
                Some(u64::MAX)
            } else {
                u64::try_from(value).ok()
            }
        };
        match (limit(wish.soft), limit(wish.hard)) {
            (Some(soft), Some(hard)) if soft <= hard => {
                list.retain(|other| other.name != name);
                list.push(Ulimit { name, soft, hard });
            }
            (Some(_), Some(_)) => {
                no.invalid(format!(
                    "Ulimits: {name}: the soft limit is above the hard limit"
                ));
            }
            _ => no.invalid(format!("Ulimits: {name}: a limit is negative")),
        }
    }
    list
}

/// `HostConfig.Devices`.
pub fn devices(no: &mut Refusals, host: &HostConfig) -> Vec<DeviceSpec> {
    let mut list = Vec::new();
    for device in &host.devices {
        let or = |text: &str, default: &str| {
            if text.is_empty() {
                default.to_owned()
            } else {
                text.to_owned()
            }
        };
        let spec = DeviceSpec {
            host: device.path_on_host.clone(),
            container: or(&device.path_in_container, &device.path_on_host),
            permissions: or(&device.cgroup_permissions, "rwm"),
        };
        if !spec.host.starts_with('/') || !spec.container.starts_with('/') {
            no.invalid(format!("Devices: '{}' is not an absolute path", spec.host));
        } else if !is_below_dev(&spec.container) {
            no.invalid(format!(
                "--device {}:{}: a device's place in the container is below /dev",
                spec.host, spec.container
            ));
        } else if !spec.permissions.bytes().all(|b| b"rwm".contains(&b)) {
            no.invalid(format!(
                "Devices: invalid permissions '{}'",
                spec.permissions
            ));
        } else {
            list.push(spec);
        }
    }
    list
}

fn is_below_dev(path: &str) -> bool {
    let mut parts = std::path::Path::new(path).components().skip(1);
    let first = parts.next().is_some_and(|part| part.as_os_str() == "dev");
    let mut rest = parts.peekable();
    first
        && rest.peek().is_some()
        && rest.all(|part| matches!(part, std::path::Component::Normal(_)))
}

/// More than anybody writes; the program that decides has its own bound.
const DEVICE_RULES_MAX: usize = 512;

/// `HostConfig.DeviceCgroupRules`.
pub fn device_rules(no: &mut Refusals, host: &HostConfig) -> Vec<DeviceRule> {
    let texts = &host.device_cgroup_rules;
    if texts.len() > DEVICE_RULES_MAX {
        no.invalid(format!(
            "DeviceCgroupRules: {} rules, at most {DEVICE_RULES_MAX} are taken",
            texts.len()
        ));
        return Vec::new();
    }
    let mut list = Vec::new();
    for text in texts {
        match device_rule(text) {
            Some(rule) => list.push(rule),
            None => no.invalid(format!(
                "DeviceCgroupRules: '{}' is no rule: it is written like 'c 1:3 rwm', with a, b or c, \
                 numbers or *, and some of rwm",
                text.escape_debug()
            )),
        }
    }
    list
}

fn device_rule(text: &str) -> Option<DeviceRule> {
    let parts: Vec<&str> = text.split(' ').collect();
    let [kind @ ("a" | "b" | "c"), numbers, permissions] = parts[..] else {
        return None;
    };
    let number = |text: &str| match text {
        "*" => Some(None),
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok().map(Some),
        _ => None,
    };
    let (major, minor) = numbers.split_once(':')?;
    let known = permissions.bytes().all(|b| b"rwm".contains(&b));
    if !known || !(1..=3).contains(&permissions.len()) {
        return None;
    }
    Some(DeviceRule {
        kind: kind.chars().next()?,
        major: number(major)?,
        minor: number(minor)?,
        permissions: permissions.to_owned(),
    })
}
