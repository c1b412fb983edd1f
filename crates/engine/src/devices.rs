//! Host devices a container is given, and the block devices of its io limits.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{major, minor};

use crate::error::{EngineError, Result};
use crate::oci::DeviceFact;
use crate::spec::{DeviceSpec, Resources, Spec};

/// A directory given as `--device` (like /dev/snd) brings at most this many nodes.
const NODES_MAX: usize = 1024;

/// Every device of the spec, with its numbers; `--privileged` brings all of the host's.
pub(crate) fn facts(spec: &Spec) -> Result<Vec<DeviceFact>> {
    let mut facts = Vec::new();
    if spec.security.privileged {
        let all = DeviceSpec {
            host: "/dev".into(),
            container: "/dev".into(),
            permissions: "rwm".into(),
        };
        collect(Path::new("/dev"), &all, &mut facts);
    }
    for device in &spec.devices {
        let before = facts.len();
        collect(Path::new(&device.host), device, &mut facts);
        if facts.len() == before {
            return Err(EngineError::invalid(format!(
                "error gathering device information while adding custom device \"{}\": no such device on this machine",
                device.host
            )));
        }
    }
    Ok(facts)
}

fn collect(path: &Path, device: &DeviceSpec, facts: &mut Vec<DeviceFact>) {
    let mut pending: Vec<PathBuf> = vec![path.to_owned()];
    while let Some(path) = pending.pop() {
        let Ok(about) = std::fs::symlink_metadata(&path) else {
            continue;
        };
        let about = if about.is_symlink() && path == Path::new(&device.host) {
            let Ok(target) = std::fs::metadata(&path) else {
                continue;
            };
            target
        } else {
            about
        };
        let kind = about.file_type();
        // What weft makes for each container, or the host's terminal.
        let own = ["pts", "shm", "mqueue", "fd", "ptmx", "console"]
            .iter()
            .any(|n| path == Path::new("/dev").join(n));
        if own && path != Path::new(&device.host) {
            continue;
        }
        if kind.is_dir() {
            if let Ok(entries) = std::fs::read_dir(&path) {
                pending.extend(entries.flatten().map(|e| e.path()));
            }
            continue;
        }
        if !(kind.is_char_device() || kind.is_block_device()) || facts.len() >= NODES_MAX {
            continue;
        }
        let below = path.strip_prefix(&device.host).unwrap_or(Path::new(""));
        let target = if below.as_os_str().is_empty() {
            PathBuf::from(&device.container)
        } else {
            Path::new(&device.container).join(below)
        };
        facts.push(DeviceFact {
            container_path: target.to_string_lossy().into_owned(),
            kind: if kind.is_char_device() { 'c' } else { 'b' },
            major: major(about.rdev()),
            minor: minor(about.rdev()),
            mode: about.mode(),
            permissions: device.permissions.clone(),
        });
    }
}

/// (path, major, minor) of every block device an io limit names.
pub(crate) fn block_devices(resources: &Resources) -> Result<Vec<(String, u32, u32)>> {
    let lists = [
        &resources.read_bps,
        &resources.write_bps,
        &resources.read_iops,
        &resources.write_iops,
    ];
    let mut found = Vec::new();
    for (path, _) in lists.into_iter().flatten() {
        let about = std::fs::metadata(path).map_err(|e| {
            EngineError::caused(
                crate::ErrorCode::Invalid,
                format!("look at the device {path} of an io limit"),
                e,
            )
        })?;
        if !about.file_type().is_block_device() {
            return Err(EngineError::invalid(format!(
                "{path} is no block device: an io limit needs one"
            )));
        }
        found.push((path.clone(), major(about.rdev()), minor(about.rdev())));
    }
    Ok(found)
}
