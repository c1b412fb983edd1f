//! Block I/O limits as files and values. Pure.
//!
//! Never: which block devices there are.

use std::collections::BTreeMap;

use oci_spec::runtime::{LinuxBlockIo, LinuxThrottleDevice};

use super::convert;
use super::limits::{LimitError, Setting, Write};

/// The files a weight goes to: BFQ's own where the disk is scheduled by it, else the cost
/// model's.
fn weight_write(device: Option<(i64, i64)>, weight: u16) -> Write {
    let prefix = device.map_or(String::new(), |(major, minor)| format!("{major}:{minor} "));
    let file = |file: &str, value: u64| Write {
        file: file.to_owned(),
        value: format!("{prefix}{value}"),
        otherwise: None,
        optional: false,
    };
    let cost = file("io.weight", convert::io_weight(weight));
    Write {
        otherwise: Some(Box::new(cost)),
        ..file("io.bfq.weight", weight.into())
    }
}

pub(super) fn plan(block: &LinuxBlockIo) -> Result<Vec<Setting>, LimitError> {
    let mut settings = Vec::new();
    refuse_leaf("blockIO.leafWeight", block.leaf_weight())?;
    if let Some(weight) = block.weight().filter(|&it| it != 0) {
        let name = "blockIO.weight";
        check_weight(name, weight)?;
        settings.push(setting(
            name.to_owned(),
            vec![weight_write(None, weight)],
            false,
        ));
    }
    for device in block.weight_device().iter().flatten() {
        let name = format!(
            "blockIO.weightDevice[{}:{}]",
            device.major(),
            device.minor()
        );
        refuse_leaf(&name, device.leaf_weight())?;
        check_device(&name, device.major(), device.minor())?;
        if let Some(weight) = device.weight().filter(|&it| it != 0) {
            check_weight(&name, weight)?;
            let write = weight_write(Some((device.major(), device.minor())), weight);
            settings.push(setting(name, vec![write], false));
        }
    }
    settings.extend(throttles(block)?);
    Ok(settings)
}

/// Bytes and operations per second, one line for each device.
fn throttles(block: &LinuxBlockIo) -> Result<Vec<Setting>, LimitError> {
    let lists: [(&str, &Option<Vec<LinuxThrottleDevice>>); 4] = [
        ("rbps", block.throttle_read_bps_device()),
        ("wbps", block.throttle_write_bps_device()),
        ("riops", block.throttle_read_iops_device()),
        ("wiops", block.throttle_write_iops_device()),
    ];
    let mut devices: BTreeMap<(i64, i64), (Vec<String>, bool)> = BTreeMap::new();
    for (key, list) in lists {
        for device in list.iter().flatten() {
            let (major, minor) = (device.major(), device.minor());
            check_device(
                &format!("blockIO.throttle[{major}:{minor}].{key}"),
                major,
                minor,
            )?;
            let entry = devices
                .entry((major, minor))
                .or_insert_with(|| (Vec::new(), true));
            entry.1 &= device.rate() == 0;
            entry.0.push(match device.rate() {
                0 => format!("{key}=max"),
                rate => format!("{key}={rate}"),
            });
        }
    }
    let lines = devices
        .into_iter()
        .map(|((major, minor), (keys, is_default))| {
            let write = Write {
                file: "io.max".to_owned(),
                value: format!("{major}:{minor} {}", keys.join(" ")),
                otherwise: None,
                optional: false,
            };
            setting(
                format!("blockIO.throttle[{major}:{minor}]"),
                vec![write],
                is_default,
            )
        });
    Ok(lines.collect())
}

fn setting(limit: String, writes: Vec<Write>, is_default: bool) -> Setting {
    Setting {
        limit,
        controller: Some("io".to_owned()),
        writes,
        is_default,
    }
}

fn refuse_leaf(name: &str, weight: Option<u16>) -> Result<(), LimitError> {
    match weight.filter(|&it| it != 0) {
        None => Ok(()),
        Some(weight) => error(name, weight, "cgroup v2 has no leaf weights"),
    }
}

fn check_weight(name: &str, weight: u16) -> Result<(), LimitError> {
    if (10..=1000).contains(&weight) {
        return Ok(());
    }
    error(name, weight, "it is between 10 and 1000")
}

fn check_device(name: &str, major: i64, minor: i64) -> Result<(), LimitError> {
    if u32::try_from(major).is_ok() && u32::try_from(minor).is_ok() {
        return Ok(());
    }
    error(
        name,
        format!("{major}:{minor}"),
        "it is no number of a block device",
    )
}

fn error(name: &str, value: impl ToString, reason: &str) -> Result<(), LimitError> {
    Err(LimitError {
        limit: name.to_owned(),
        value: value.to_string(),
        reason: reason.to_owned(),
    })
}
