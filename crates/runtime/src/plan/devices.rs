//! Lowering of devices: the nodes in `/dev`, and the rules for using them.
//!
//! Never: allows what is not asked for and not a default.

use std::path::{Path, PathBuf};

use oci_spec::runtime::{Linux, LinuxDevice, LinuxDeviceCgroup, LinuxDeviceType, LinuxResources};

use super::{Device, Filesystem, MountPlan, Source, mounts};
use crate::devices::default_rules;

/// What every container finds in `/dev` (runtime-spec, config-linux.md, "Default Devices").
const DEFAULT_DEVICES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

pub(super) fn nodes(
    linux: &Linux,
    mounts: &[MountPlan],
    reasons: &mut Vec<String>,
) -> Option<Vec<Device>> {
    let at_dev = mounts
        .iter()
        .find(|mount| mount.destination == Path::new("/dev"));
    let asked = linux.devices().as_deref().unwrap_or_default();
    match at_dev.map(|mount| &mount.source) {
        Some(Source::Filesystem {
            kind: Filesystem::Tmpfs,
            ..
        }) => {}
        Some(Source::Filesystem { .. }) => {
            reasons.push("mounts: /dev: only a tmpfs or a bind can be there".to_owned());
            return None;
        }
        _ => {
            if !asked.is_empty() {
                reasons.push("linux.devices: /dev is a bind, nothing is made in it".to_owned());
            }
            return None;
        }
    }
    let mut devices: Vec<Device> = DEFAULT_DEVICES
        .iter()
        .map(|(name, major, minor)| Device {
            path: PathBuf::from(name),
            kind: libc_mode::CHARACTER,
            major: *major,
            minor: *minor,
            mode: 0o666,
            uid: 0,
            gid: 0,
        })
        .collect();
    // The link to the container's own devpts is what everybody finds at /dev/ptmx.
    let own_ptmx = |device: &&LinuxDevice| mounts::clean(device.path()) == Path::new("/dev/ptmx");
    for asked in asked.iter().filter(|device| !own_ptmx(device)) {
        if let Some(device) = device(asked, reasons) {
            devices.retain(|other| other.path != device.path);
            devices.push(device);
        }
    }
    Some(devices)
}

mod libc_mode {
    //! `S_IF*` values (stat.h).
    pub const CHARACTER: u32 = 0o020_000;
    pub const BLOCK: u32 = 0o060_000;
    pub const FIFO: u32 = 0o010_000;
}

fn device(asked: &LinuxDevice, reasons: &mut Vec<String>) -> Option<Device> {
    let path = mounts::clean(asked.path());
    let shown = asked.path().display().to_string();
    let relative = path
        .strip_prefix("/dev")
        .ok()
        .filter(|path| !path.as_os_str().is_empty());
    let Some(relative) = relative else {
        reasons.push(format!("linux.devices: {shown} is not below /dev"));
        return None;
    };
    let kind = match asked.typ() {
        LinuxDeviceType::C | LinuxDeviceType::U => libc_mode::CHARACTER,
        LinuxDeviceType::B => libc_mode::BLOCK,
        LinuxDeviceType::P => libc_mode::FIFO,
        other => {
            reasons.push(format!(
                "linux.devices: {shown}: type {other:?} makes no node"
            ));
            return None;
        }
    };
    let (Ok(major), Ok(minor)) = (u32::try_from(asked.major()), u32::try_from(asked.minor()))
    else {
        reasons.push(format!("linux.devices: {shown}: numbers out of range"));
        return None;
    };
    Some(Device {
        path: relative.to_owned(),
        kind,
        major,
        minor,
        mode: asked.file_mode().unwrap_or(0o666) & 0o7777,
        uid: asked.uid().unwrap_or(0),
        gid: asked.gid().unwrap_or(0),
    })
}

/// The limits, with the device rules completed: everything is denied but what is asked for and
/// the default devices, which every container may use.
pub(super) fn resources(linux: &Linux) -> LinuxResources {
    let mut resources = linux.resources().clone().unwrap_or_default();
    let asked = resources.devices().clone().unwrap_or_default();
    if asked.last().is_some_and(allows_all) {
        return resources;
    }
    let (deny, allow): (Vec<_>, Vec<_>) =
        default_rules().into_iter().partition(|rule| !rule.allow());
    resources.set_devices(Some(deny.into_iter().chain(asked).chain(allow).collect()));
    resources
}

fn allows_all(rule: &LinuxDeviceCgroup) -> bool {
    let any = |number: Option<i64>| number.is_none_or(|number| number == -1);
    let access = rule.access().as_deref().unwrap_or("rwm");
    rule.allow()
        && matches!(rule.typ(), None | Some(LinuxDeviceType::A))
        && any(rule.major())
        && any(rule.minor())
        && ["r", "w", "m"].iter().all(|letter| access.contains(letter))
}
