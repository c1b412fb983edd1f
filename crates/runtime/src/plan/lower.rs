//! Lowering of a whole specification.
//!
//! Never: stops at the first thing that is not supported.

use std::path::{Path, PathBuf};

use oci_spec::runtime::{Linux, LinuxIdMapping, LinuxNamespaceType, Process, Spec};
use weft_sys::mount::Propagation;
use weft_sys::namespace::{IdMap, Kind, Kinds};

use super::{
    Filesystem, IdMapping, IdMaps, MountPlan, Namespaces, Plan, Refused, Root, Source, devices,
    mounts, process, refuse_some, sysctl,
};

/// Lowers `spec` for a container whose directory is `dir`. Namespaces in `joined` are joined by
/// descriptor, whatever the specification says of them. Gives all refusals at once.
pub fn lower(spec: &Spec, dir: &Path, joined: &[Kind]) -> Result<Plan, Refused> {
    let mut reasons = Vec::new();
    version(spec, &mut reasons);
    refuse_some(&mut reasons, "solaris", spec.solaris().as_ref());
    refuse_some(&mut reasons, "windows", spec.windows().as_ref());
    refuse_some(&mut reasons, "vm", spec.vm().as_ref());
    refuse_some(&mut reasons, "zos", spec.zos().as_ref());
    let missing = Process::default();
    let process = spec.process().as_ref().unwrap_or(&missing);
    let linux_missing = Linux::default();
    let linux = spec.linux().as_ref().unwrap_or(&linux_missing);
    refuse_linux(linux, &mut reasons);

    let namespaces = namespaces(linux, joined, &mut reasons);
    let id_maps = id_maps(linux, &namespaces, joined, &mut reasons);
    let mounts = mount_plans(spec, dir, id_maps.is_some(), &mut reasons);
    let plan = Plan {
        root: root(spec, linux, dir, &mut reasons),
        devices: devices::nodes(linux, &mounts, &mut reasons),
        mounts,
        masked: paths("linux.maskedPaths", linux.masked_paths(), &mut reasons),
        read_only: paths("linux.readonlyPaths", linux.readonly_paths(), &mut reasons),
        sysctls: sysctl::lower(linux, &namespaces, joined, &mut reasons),
        cgroup: cgroup(linux, &mut reasons),
        resources: devices::resources(linux),
        host_name: named(
            spec.hostname(),
            "hostname",
            &namespaces,
            joined,
            &mut reasons,
        ),
        domain_name: named(
            spec.domainname(),
            "domainname",
            &namespaces,
            joined,
            &mut reasons,
        ),
        hooks: hooks(spec, &mut reasons),
        annotations: spec.annotations().clone().unwrap_or_default(),
        process: process::lower(process, &mut reasons),
        namespaces,
        id_maps,
    };
    if reasons.is_empty() {
        Ok(plan)
    } else {
        Err(Refused { reasons })
    }
}

/// Version 1 with any minor: newer ones only add (semver, as the specification promises).
fn version(spec: &Spec, reasons: &mut Vec<String>) {
    let numbers = spec.version().split(['-', '+']).next().unwrap_or_default();
    let parts: Vec<_> = numbers.split('.').map(str::parse::<u32>).collect();
    if parts.len() != 3 || parts.iter().any(Result::is_err) || parts[0] != Ok(1) {
        reasons.push(format!(
            "ociVersion {:?} is not a version 1.x.y",
            spec.version()
        ));
    }
}

fn refuse_linux(linux: &Linux, reasons: &mut Vec<String>) {
    let label = linux
        .mount_label()
        .as_ref()
        .filter(|label| !label.is_empty());
    refuse_some(reasons, "linux.mountLabel", label);
    refuse_some(reasons, "linux.intelRdt", linux.intel_rdt().as_ref());
    refuse_some(
        reasons,
        "linux.memoryPolicy",
        linux.memory_policy().as_ref(),
    );
    refuse_some(reasons, "linux.personality", linux.personality().as_ref());
    let offsets = linux
        .time_offsets()
        .as_ref()
        .filter(|offsets| !offsets.is_empty());
    refuse_some(reasons, "linux.timeOffsets", offsets);
    let devices = linux
        .net_devices()
        .as_ref()
        .filter(|devices| !devices.is_empty());
    refuse_some(reasons, "linux.netDevices", devices);
}

fn kind(typ: LinuxNamespaceType) -> Option<Kind> {
    Some(match typ {
        LinuxNamespaceType::Mount => Kind::Mount,
        LinuxNamespaceType::Cgroup => Kind::Cgroup,
        LinuxNamespaceType::Uts => Kind::Uts,
        LinuxNamespaceType::Ipc => Kind::Ipc,
        LinuxNamespaceType::User => Kind::User,
        LinuxNamespaceType::Pid => Kind::Pid,
        LinuxNamespaceType::Network => Kind::Network,
        LinuxNamespaceType::Time => return None,
    })
}

fn namespaces(linux: &Linux, joined: &[Kind], reasons: &mut Vec<String>) -> Namespaces {
    let mut found = Namespaces::default();
    let mut seen = Kinds::NONE;
    for namespace in linux.namespaces().iter().flatten() {
        let Some(kind) = kind(namespace.typ()) else {
            reasons.push("linux.namespaces: time is not supported".to_owned());
            continue;
        };
        if seen.contains(kind) {
            reasons.push(format!("linux.namespaces has {} twice", kind.file_name()));
        }
        seen |= kind;
        if joined.contains(&kind) {
            continue;
        }
        match namespace
            .path()
            .as_ref()
            .filter(|path| !path.as_os_str().is_empty())
        {
            Some(path) if path.is_absolute() => found.join.push((kind, path.clone())),
            Some(path) => reasons.push(format!("linux.namespaces: path {path:?} is not absolute")),
            None => found.new |= kind,
        }
    }
    if !found.new.contains(Kind::Mount) {
        reasons.push("linux.namespaces: a container needs a mount namespace of its own".to_owned());
    }
    found
}

fn id_maps(
    linux: &Linux,
    namespaces: &Namespaces,
    joined: &[Kind],
    reasons: &mut Vec<String>,
) -> Option<IdMaps> {
    let convert = |maps: &Option<Vec<LinuxIdMapping>>| -> Vec<IdMap> {
        let maps = maps.iter().flatten();
        maps.map(|map| IdMap {
            inside: map.container_id(),
            outside: map.host_id(),
            count: map.size(),
        })
        .collect()
    };
    let maps = IdMaps {
        users: convert(linux.uid_mappings()),
        groups: convert(linux.gid_mappings()),
    };
    for map in maps.users.iter().chain(&maps.groups) {
        let fits = |first: u32| first.checked_add(map.count).is_some();
        if map.count == 0 || !fits(map.inside) || !fits(map.outside) {
            reasons.push("linux.uidMappings and gidMappings: a range is empty or too long".into());
        }
    }
    let new = namespaces.new.contains(Kind::User);
    let by_path = namespaces.join.iter().any(|(kind, _)| *kind == Kind::User);
    let empty = maps.users.is_empty() || maps.groups.is_empty();
    if !new && !by_path && !joined.contains(&Kind::User) {
        if !(maps.users.is_empty() && maps.groups.is_empty()) {
            reasons.push("linux.uidMappings and gidMappings need a user namespace".to_owned());
        }
        return None;
    }
    if empty {
        reasons.push("a user namespace needs linux.uidMappings and gidMappings".to_owned());
    } else if maps.user(0).is_none() || maps.group(0).is_none() {
        reasons.push("linux.uidMappings and gidMappings have to map id 0".to_owned());
    }
    Some(maps)
}

fn root(spec: &Spec, linux: &Linux, dir: &Path, reasons: &mut Vec<String>) -> Root {
    let word = linux
        .rootfs_propagation()
        .as_deref()
        .filter(|word| !word.is_empty());
    let propagation = match word.map(mounts::propagation) {
        None => Propagation::Private,
        Some(Some((propagation, _))) => propagation,
        Some(None) => {
            reasons.push("linux.rootfsPropagation is not a propagation type".to_owned());
            Propagation::Private
        }
    };
    let path = match spec.root() {
        Some(root) if !root.path().as_os_str().is_empty() => dir.join(root.path()),
        _ => {
            reasons.push("root.path is missing".to_owned());
            PathBuf::new()
        }
    };
    let read_only = spec
        .root()
        .as_ref()
        .and_then(|root| root.readonly())
        .unwrap_or(false);
    Root {
        path,
        read_only,
        propagation,
    }
}

fn mount_plans(
    spec: &Spec,
    dir: &Path,
    user_namespace: bool,
    reasons: &mut Vec<String>,
) -> Vec<MountPlan> {
    let mut plans = Vec::new();
    for mount in spec.mounts().iter().flatten() {
        plans.extend(mounts::lower(mount, dir, reasons));
    }
    for plan in &plans {
        let mapped =
            matches!(&plan.source, Source::Bind { id_map, .. } if *id_map != IdMapping::No);
        if mapped && !user_namespace {
            let shown = plan.destination.display();
            reasons.push(format!("mounts: {shown}: idmap needs a user namespace"));
        }
    }
    let dev = Path::new("/dev");
    if !plans.iter().any(|plan| plan.destination == dev) {
        plans.insert(0, default_dev());
    }
    plans
}

/// Without a mount there, `/dev` would be the image's, and nodes would have to be made in it.
fn default_dev() -> MountPlan {
    let option = |key: &str, value: &str| {
        let string = |text: &str| std::ffi::CString::new(text).expect("a literal without NUL");
        (string(key), Some(string(value)))
    };
    MountPlan {
        destination: "/dev".into(),
        source: Source::Filesystem {
            kind: Filesystem::Tmpfs,
            options: vec![option("mode", "755"), option("size", "65536k")],
        },
        own: super::Attributes {
            set: weft_sys::mount::attribute::NO_SUID,
            clear: 0,
        },
        recursive: super::Attributes::default(),
        propagation: None,
    }
}

fn paths(field: &str, paths: &Option<Vec<String>>, reasons: &mut Vec<String>) -> Vec<PathBuf> {
    let mut cleaned = Vec::new();
    for path in paths.iter().flatten() {
        if path.starts_with('/') && !path.contains('\0') {
            cleaned.push(mounts::clean(Path::new(path)));
        } else {
            reasons.push(format!("{field}: {path:?} is not an absolute path"));
        }
    }
    cleaned
}

fn cgroup(linux: &Linux, reasons: &mut Vec<String>) -> Option<String> {
    let path = linux.cgroups_path().as_ref()?;
    let Some(text) = path.to_str().filter(|text| !text.contains('\0')) else {
        reasons.push("linux.cgroupsPath is not text".to_owned());
        return None;
    };
    if text.is_empty() {
        return None;
    }
    if !text.starts_with('/') && text.matches(':').count() == 2 {
        reasons.push(format!(
            "linux.cgroupsPath {text:?}: systemd is not asked for cgroups"
        ));
    }
    if path
        .components()
        .any(|part| part == std::path::Component::ParentDir)
    {
        reasons.push(format!("linux.cgroupsPath {text:?} has .. in it"));
    }
    Some(mounts::clean(path).to_str().unwrap_or_default().to_owned())
}

fn named(
    name: &Option<String>,
    field: &str,
    namespaces: &Namespaces,
    joined: &[Kind],
    reasons: &mut Vec<String>,
) -> Option<String> {
    /// `__NEW_UTS_LEN`.
    const LONGEST: usize = 64;
    let name = name.as_ref().filter(|name| !name.is_empty())?;
    let own = namespaces.new.contains(Kind::Uts)
        || joined.contains(&Kind::Uts)
        || namespaces.join.iter().any(|(kind, _)| *kind == Kind::Uts);
    if !own {
        reasons.push(format!("{field} needs a uts namespace"));
    }
    if name.len() > LONGEST {
        reasons.push(format!("{field} is longer than {LONGEST} bytes"));
    }
    Some(name.clone())
}

fn hooks(spec: &Spec, reasons: &mut Vec<String>) -> oci_spec::runtime::Hooks {
    let hooks = spec.hooks().clone().unwrap_or_default();
    let prestart = hooks.prestart();
    let all = [
        prestart,
        hooks.create_runtime(),
        hooks.create_container(),
        hooks.start_container(),
        hooks.poststart(),
        hooks.poststop(),
    ];
    for hook in all.into_iter().flat_map(|hooks| hooks.iter().flatten()) {
        if !hook.path().is_absolute() {
            reasons.push(format!("hooks: {:?} is not an absolute path", hook.path()));
        }
        if hook.timeout().is_some_and(|seconds| seconds <= 0) {
            reasons.push(format!("hooks: {:?} has no time to run", hook.path()));
        }
    }
    hooks
}
