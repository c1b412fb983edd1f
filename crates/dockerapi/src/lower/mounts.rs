//! Mounts: `Binds` (`-v`), `Mounts` (`--mount`), `Tmpfs`, and the anonymous `Volumes`.
//!
//! Paths are checked for shape only; the host's side is opened by whoever mounts it.

use std::collections::{BTreeMap, BTreeSet};

use weft_api::docker::text::size;
use weft_api::docker::{HostConfig, Mount, Set};
use weft_engine::spec::{MountSource, MountSpec};

use super::Refusals;

/// Everything the request wants mounted, in its order; one mount for each target.
pub fn all(no: &mut Refusals, host: &HostConfig, volumes: &Set) -> Vec<MountSpec> {
    let mut list = Vec::new();
    let mut keep = |no: &mut Refusals, what: &str, mount: Result<MountSpec, String>| match mount {
        Ok(mount) => list.push(mount),
        Err(why) => no.invalid(format!("{what}: {why}")),
    };
    for text in &host.binds {
        keep(no, "Binds", bind(text));
    }
    for mount in &host.mounts {
        let lowered = from_mount(no, mount);
        keep(no, "Mounts", lowered);
    }
    for (target, options) in &host.tmpfs {
        keep(no, "Tmpfs", tmpfs(target, options));
    }
    let taken: BTreeSet<String> = list.iter().map(|m| m.target.clone()).collect();
    if taken.len() < list.len() {
        let mut seen = BTreeSet::new();
        for mount in list.iter().filter(|mount| !seen.insert(&mount.target)) {
            no.invalid(format!("Duplicate mount point: {}", mount.target));
        }
    }
    for target in volumes.keys() {
        match clean(target) {
            Ok(target) if taken.contains(&target) => {}
            Ok(target) => list.push(MountSpec {
                source: volume(String::new(), false, BTreeMap::new()),
                target,
                read_only: false,
            }),
            Err(why) => no.invalid(format!("Volumes: {why}")),
        }
    }
    list
}

fn volume(name: String, no_copy: bool, labels: BTreeMap<String, String>) -> MountSource {
    MountSource::Volume {
        name,
        no_copy,
        labels,
        subpath: String::new(),
    }
}

/// An absolute path without `.`, empty or `..` components.
fn clean(path: &str) -> Result<String, String> {
    if !path.starts_with('/') {
        return Err(format!("invalid mount path: '{path}' must be absolute"));
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                return Err(format!(
                    "invalid mount path: '{path}' must not contain '..'"
                ));
            }
            other => parts.push(other),
        }
    }
    if parts.is_empty() {
        return Err("invalid mount path: the destination can't be '/'".into());
    }
    Ok(format!("/{}", parts.join("/")))
}

/// Without `.` and `..`, by the names alone, as Docker reads what a person typed: nothing is made on
/// the way to somewhere else.
fn plain_path(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            other => parts.push(other),
        }
    }
    format!("/{}", parts.join("/"))
}

/// `[source:]target[:options]`.
fn bind(text: &str) -> Result<MountSpec, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, options) = match parts.as_slice() {
        [target] => ("", *target, ""),
        [source, target] if !source.is_empty() => (*source, *target, ""),
        [source, target, options] if !source.is_empty() => (*source, *target, *options),
        _ => return Err(format!("invalid volume specification: '{text}'")),
    };
    let target = clean(target).map_err(|why| format!("'{text}': {why}"))?;
    let on_host = source.starts_with('/');
    let (mut read_only, mut no_copy, mut propagation) = (false, false, String::new());
    let given = |word| options.split(',').any(|option| option == word);
    if given("ro") && given("rw") {
        return Err(format!("'{text}': invalid mode: both ro and rw"));
    }
    for option in options.split(',').filter(|option| !option.is_empty()) {
        match option {
            "rw" => read_only = false,
            "ro" => read_only = true,
            "nocopy" if !on_host => no_copy = true,
            // Without SELinux, which weft does not use, there is nothing to relabel; the
            // consistency words speak to Docker's virtual machines on other systems.
            "z" | "Z" | "consistent" | "cached" | "delegated" => {}
            word if on_host && is_propagation(word) => propagation = word.to_owned(),
            other => return Err(format!("'{text}': invalid mode: {other}")),
        }
    }
    let source = if on_host {
        MountSource::Bind {
            path: plain_path(source),
            propagation,
            create: true,
            non_recursive: false,
        }
    } else {
        volume(source.to_owned(), no_copy, BTreeMap::new())
    };
    Ok(MountSpec {
        source,
        target,
        read_only,
    })
}

fn is_propagation(word: &str) -> bool {
    matches!(
        word,
        "private" | "rprivate" | "shared" | "rshared" | "slave" | "rslave"
    )
}

fn from_mount(no: &mut Refusals, mount: &Mount) -> Result<MountSpec, String> {
    no.rest("HostConfig.Mounts.", &mount.rest);
    let target = clean(&mount.target)?;
    let foreign = [
        ("bind", mount.bind_options.is_some(), "BindOptions"),
        ("volume", mount.volume_options.is_some(), "VolumeOptions"),
        ("tmpfs", mount.tmpfs_options.is_some(), "TmpfsOptions"),
    ];
    for (kind, given, name) in foreign {
        if given && kind != mount.r#type {
            return Err(format!(
                "'{target}': {name} must not be given for type {}",
                mount.r#type
            ));
        }
    }
    let source = match mount.r#type.as_str() {
        "bind" => bind_source(no, mount)?,
        "volume" => volume_source(no, mount)?,
        "tmpfs" => tmpfs_source(no, mount)?,
        other => return Err(format!("'{target}': mount type '{other}' is not supported")),
    };
    Ok(MountSpec {
        source,
        target,
        read_only: mount.read_only,
    })
}

fn bind_source(no: &mut Refusals, mount: &Mount) -> Result<MountSource, String> {
    if !mount.source.starts_with('/') {
        return Err(format!(
            "invalid mount path: '{}' must be absolute",
            mount.source
        ));
    }
    let options = mount.bind_options.clone().unwrap_or_default();
    no.rest("HostConfig.Mounts.BindOptions.", &options.rest);
    if !options.propagation.is_empty() && !is_propagation(&options.propagation) {
        return Err(format!("invalid propagation '{}'", options.propagation));
    }
    Ok(MountSource::Bind {
        path: plain_path(&mount.source),
        propagation: options.propagation,
        create: options.create_mountpoint,
        non_recursive: options.non_recursive,
    })
}

fn volume_source(no: &mut Refusals, mount: &Mount) -> Result<MountSource, String> {
    let options = mount.volume_options.clone().unwrap_or_default();
    no.rest("HostConfig.Mounts.VolumeOptions.", &options.rest);
    let driver = options.driver_config.unwrap_or_default();
    no.unsupported_if(
        !matches!(driver.name.as_str(), "" | "local") || !driver.options.is_empty(),
        "HostConfig.Mounts.VolumeOptions.DriverConfig",
    );
    Ok(MountSource::Volume {
        name: mount.source.clone(),
        no_copy: options.no_copy,
        labels: options.labels,
        subpath: subpath(&options.subpath)?,
    })
}

/// Relative, without `.`, empty or `..` components; empty for the whole volume.
fn subpath(text: &str) -> Result<String, String> {
    let wrong = |why: &str| {
        let shown = text.escape_debug();
        Err(format!("invalid volume-subpath '{shown}': it {why}"))
    };
    if text.starts_with('/') {
        return wrong("must be relative to the volume");
    }
    if text.contains('\0') {
        return wrong("has a NUL byte");
    }
    let parts = || text.split('/').filter(|part| !matches!(*part, "" | "."));
    if parts().any(|part| part == "..") {
        return wrong("must not contain '..'");
    }
    Ok(parts().collect::<Vec<_>>().join("/"))
}

fn tmpfs_source(no: &mut Refusals, mount: &Mount) -> Result<MountSource, String> {
    if !mount.source.is_empty() {
        return Err("a tmpfs has no source".into());
    }
    let options = mount.tmpfs_options.clone().unwrap_or_default();
    no.rest("HostConfig.Mounts.TmpfsOptions.", &options.rest);
    let size = u64::try_from(options.size_bytes)
        .map_err(|_| format!("invalid tmpfs size {}", options.size_bytes))?;
    if options.mode > 0o7777 {
        return Err(format!("invalid tmpfs mode {:o}", options.mode));
    }
    Ok(MountSource::Tmpfs {
        size_bytes: (size > 0).then_some(size),
        mode: (options.mode > 0).then_some(options.mode),
        options: Vec::new(),
    })
}

/// One entry of `HostConfig.Tmpfs`: a target and mount options.
fn tmpfs(target: &str, text: &str) -> Result<MountSpec, String> {
    let target = clean(target)?;
    let (mut size_bytes, mut mode, mut read_only, mut options) = (None, None, false, Vec::new());
    for option in text.split(',').filter(|option| !option.is_empty()) {
        let wrong = || format!("'{target}': invalid tmpfs option '{option}'");
        match option.split_once('=').unwrap_or((option, "")) {
            ("rw", "") => read_only = false,
            ("ro", "") => read_only = true,
            ("size", value) => size_bytes = Some(size(value).ok_or_else(wrong)?),
            ("mode", value) => {
                let bits = u32::from_str_radix(value, 8)
                    .ok()
                    .filter(|bits| *bits <= 0o7777);
                mode = Some(bits.ok_or_else(wrong)?);
            }
            ("uid" | "gid" | "nr_inodes", value) if value.parse::<u32>().is_ok() => {
                options.push(option.to_owned());
            }
            (word, "") if is_flag(word) => options.push(option.to_owned()),
            _ => return Err(wrong()),
        }
    }
    let source = MountSource::Tmpfs {
        size_bytes,
        mode,
        options,
    };
    Ok(MountSpec {
        source,
        target,
        read_only,
    })
}

fn is_flag(word: &str) -> bool {
    let plain = word.strip_prefix("no").unwrap_or(word);
    matches!(plain, "exec" | "suid" | "dev" | "atime" | "diratime")
}
