//! Flags about limits (shared with `update`) and devices.

use weft_api::docker::{DeviceMapping, HostConfig, ThrottleDevice, Ulimit};

use super::topic::Topic;
use super::{invalid, values};
use crate::error::CliError;

/// Limits that can also be changed later.
#[derive(Debug, Default, clap::Args)]
pub struct ResourceFlags {
    /// Memory limit
    #[arg(short, long, value_name = "BYTES", value_parser = values::size)]
    pub memory: Option<i64>,
    /// Limit of memory plus swap; -1 for unlimited swap
    #[arg(long, value_name = "BYTES", value_parser = values::size_or_unlimited, allow_negative_numbers = true)]
    pub memory_swap: Option<i64>,
    /// Memory below which nothing is reclaimed first
    #[arg(long, value_name = "BYTES", value_parser = values::size)]
    pub memory_reservation: Option<i64>,
    /// Number of CPUs
    #[arg(long, value_name = "NUMBER", value_parser = values::nano_cpus)]
    pub cpus: Option<i64>,
    /// CPU shares (relative weight)
    #[arg(short = 'c', long, value_name = "WEIGHT")]
    pub cpu_shares: Option<i64>,
    /// CPU period, in microseconds
    #[arg(long, value_name = "MICROSECONDS")]
    pub cpu_period: Option<i64>,
    /// CPU time per period, in microseconds
    #[arg(long, value_name = "MICROSECONDS", allow_negative_numbers = true)]
    pub cpu_quota: Option<i64>,
    /// CPUs to run on (0-3, 0,1)
    #[arg(long, value_name = "CPUS")]
    pub cpuset_cpus: Option<String>,
    /// Memory nodes to use (0-3, 0,1)
    #[arg(long, value_name = "NODES")]
    pub cpuset_mems: Option<String>,
    /// Most processes; -1 for no limit
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub pids_limit: Option<i64>,
    /// Block I/O weight (10 to 1000)
    #[arg(long, value_name = "WEIGHT")]
    pub blkio_weight: Option<u16>,
}

impl Topic for ResourceFlags {
    const NAMES: &'static [&'static str] = &[
        "memory",
        "m",
        "memory-swap",
        "memory-reservation",
        "cpus",
        "cpu-shares",
        "c",
        "cpu-period",
        "cpu-quota",
        "cpuset-cpus",
        "cpuset-mems",
        "pids-limit",
        "blkio-weight",
    ];
}

impl ResourceFlags {
    pub fn lower(&self, host: &mut HostConfig) {
        host.memory = self.memory.unwrap_or_default();
        host.memory_swap = self.memory_swap.unwrap_or_default();
        host.memory_reservation = self.memory_reservation.unwrap_or_default();
        host.nano_cpus = self.cpus.unwrap_or_default();
        host.cpu_shares = self.cpu_shares.unwrap_or_default();
        host.cpu_period = self.cpu_period.unwrap_or_default();
        host.cpu_quota = self.cpu_quota.unwrap_or_default();
        host.cpuset_cpus = self.cpuset_cpus.clone().unwrap_or_default();
        host.cpuset_mems = self.cpuset_mems.clone().unwrap_or_default();
        host.pids_limit = self.pids_limit;
        host.blkio_weight = self.blkio_weight.unwrap_or_default();
    }
}

/// Limits and devices that are fixed at creation.
#[derive(Debug, Default, clap::Args)]
pub struct DeviceFlags {
    /// How much anonymous memory is swapped (0 to 100)
    #[arg(long, value_name = "PERCENT", allow_negative_numbers = true)]
    pub memory_swappiness: Option<i64>,
    /// Do not kill the container when memory runs out
    #[arg(long)]
    pub oom_kill_disable: bool,
    /// Limit reading from a device, in bytes per second
    #[arg(long, value_name = "DEVICE:RATE", value_parser = bytes_rate)]
    pub device_read_bps: Vec<ThrottleDevice>,
    /// Limit writing to a device, in bytes per second
    #[arg(long, value_name = "DEVICE:RATE", value_parser = bytes_rate)]
    pub device_write_bps: Vec<ThrottleDevice>,
    /// Limit reading from a device, in operations per second
    #[arg(long, value_name = "DEVICE:RATE", value_parser = operations_rate)]
    pub device_read_iops: Vec<ThrottleDevice>,
    /// Limit writing to a device, in operations per second
    #[arg(long, value_name = "DEVICE:RATE", value_parser = operations_rate)]
    pub device_write_iops: Vec<ThrottleDevice>,
    /// Add a host device
    #[arg(long, value_name = "HOST[:INSIDE][:rwm]", value_parser = device_path)]
    pub device: Vec<String>,
    /// Add a rule to the allowed devices
    #[arg(long, value_name = "RULE", value_parser = device_rule)]
    pub device_cgroup_rule: Vec<String>,
    /// Set a resource limit of the process: NAME=SOFT[:HARD]
    #[arg(long, value_name = "LIMIT", value_parser = ulimit)]
    pub ulimit: Vec<Ulimit>,
}

impl Topic for DeviceFlags {
    const NAMES: &'static [&'static str] = &[
        "memory-swappiness",
        "oom-kill-disable",
        "device-read-bps",
        "device-write-bps",
        "device-read-iops",
        "device-write-iops",
        "device",
        "device-cgroup-rule",
        "ulimit",
    ];
}

impl DeviceFlags {
    pub(super) fn lower(&self, host: &mut HostConfig) -> Result<(), CliError> {
        host.memory_swappiness = self.memory_swappiness;
        host.oom_kill_disable = self.oom_kill_disable.then_some(true);
        host.blkio_device_read_bps.clone_from(&self.device_read_bps);
        host.blkio_device_write_bps
            .clone_from(&self.device_write_bps);
        host.blkio_device_read_iops
            .clone_from(&self.device_read_iops);
        host.blkio_device_write_iops
            .clone_from(&self.device_write_iops);
        for spec in &self.device {
            host.devices.push(device(spec).map_err(invalid)?);
        }
        host.device_cgroup_rules
            .clone_from(&self.device_cgroup_rule);
        host.ulimits.clone_from(&self.ulimit);
        host.ulimits.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(())
    }
}

fn throttle(
    text: &str,
    unit: &str,
    rate: impl Fn(&str) -> Option<u64>,
) -> Result<ThrottleDevice, String> {
    let (path, value) = text
        .split_once(':')
        .filter(|(path, _)| !path.is_empty())
        .ok_or_else(|| format!("bad format: {text}"))?;
    if !path.starts_with("/dev/") {
        return Err(format!("bad format for device path: {text}"));
    }
    let rate = rate(value).ok_or_else(|| {
        format!("invalid rate for device: {text}. The correct format is <device-path>:{unit}")
    })?;
    Ok(ThrottleDevice {
        path: path.to_owned(),
        rate,
    })
}

fn bytes_rate(text: &str) -> Result<ThrottleDevice, String> {
    const FORMAT: &str = "<number>[<unit>]. Number must be a positive integer. \
                          Unit is optional and can be kb, mb, or gb";
    throttle(text, FORMAT, |rate| {
        values::size(rate)
            .ok()
            .and_then(|rate| rate.try_into().ok())
    })
}

fn operations_rate(text: &str) -> Result<ThrottleDevice, String> {
    const FORMAT: &str = "<number>. Number must be a positive integer";
    throttle(text, FORMAT, |rate| rate.parse().ok())
}

fn device_path(text: &str) -> Result<String, String> {
    let bad = |part: &str| !part.starts_with('/') && !is_device_mode(part);
    if text.is_empty() || text.split(':').count() > 3 || bad(text.split(':').next().unwrap_or("")) {
        return Err(format!("{text} is not an absolute path"));
    }
    Ok(text.to_owned())
}

fn is_device_mode(text: &str) -> bool {
    !text.is_empty() && text.len() <= 3 && text.bytes().all(|b| b"rwm".contains(&b))
}

fn device(text: &str) -> Result<DeviceMapping, String> {
    let mut parts = text.split(':');
    let source = parts.next().unwrap_or_default();
    let (second, third) = (parts.next(), parts.next());
    let (inside, permissions) = match (second, third) {
        (None, _) => (source, "rwm"),
        (Some(mode), None) if is_device_mode(mode) => (source, mode),
        (Some(inside), None) => (inside, "rwm"),
        (Some(inside), Some(mode)) => (inside, mode),
    };
    if !is_device_mode(permissions) {
        return Err(format!("bad mode specified: {permissions}"));
    }
    Ok(DeviceMapping {
        path_on_host: source.to_owned(),
        path_in_container: inside.to_owned(),
        cgroup_permissions: permissions.to_owned(),
    })
}

fn device_rule(text: &str) -> Result<String, String> {
    let invalid = || format!("invalid device cgroup format '{text}'");
    let parts: Vec<&str> = text.split(' ').collect();
    let [kind, numbers, access] = parts[..] else {
        return Err(invalid());
    };
    let number = |text: &str| text == "*" || text.parse::<u32>().is_ok();
    let (major, minor) = numbers.split_once(':').ok_or_else(invalid)?;
    let good =
        ["a", "b", "c"].contains(&kind) && number(major) && number(minor) && is_device_mode(access);
    if good {
        Ok(text.to_owned())
    } else {
        Err(invalid())
    }
}

fn ulimit(text: &str) -> Result<Ulimit, String> {
    let (name, limits) = text
        .split_once('=')
        .ok_or_else(|| format!("invalid ulimit argument: {text}"))?;
    if !Ulimit::NAMES.contains(&name) {
        return Err(format!("invalid ulimit type: {name}"));
    }
    let number = |text: &str| match text {
        "unlimited" => Ok(-1),
        _ => text
            .parse::<i64>()
            .ok()
            .filter(|value| *value >= -1)
            .ok_or_else(|| format!("invalid ulimit value: {text}")),
    };
    let (soft, hard) = match limits.split_once(':') {
        Some((soft, hard)) => (number(soft)?, number(hard)?),
        None => (number(limits)?, number(limits)?),
    };
    if hard != -1 && (soft == -1 || soft > hard) {
        return Err(format!(
            "ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"
        ));
    }
    Ok(Ulimit {
        name: name.to_owned(),
        soft,
        hard,
    })
}
