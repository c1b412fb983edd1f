//! What is mounted into a container: volumes, binds, tmpfs and the files weft writes for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use weft_runtime::plan::{BENEATH, is_proc_bind};
use weft_stdx::id::random_hex;
use weft_sys::path::Root;

use crate::container::record::{Record, VolumeUse};
use crate::engine::Engine;
use crate::error::{EngineError, ErrorCode, Result};
use crate::oci::{MountFact, default_tmpfs};
use crate::paths::make_shared_dir;
use crate::spec::{MountSource, MountSpec, Spec};

/// Files weft writes into /etc of every container that has not mounted its own there.
pub(crate) const NETWORK_FILES: [&str; 3] = ["hosts", "hostname", "resolv.conf"];

/// Checks the user's mounts, and adds an anonymous volume for each the image declares.
///
/// # Errors
/// A relative or repeated target, a target that would hide what isolates the container.
pub(crate) fn complete(spec: &mut Spec, image_volumes: &[String]) -> Result<()> {
    for mount in &spec.mounts {
        check_target(&mount.target)?;
    }
    let mut targets: Vec<String> = spec.mounts.iter().map(|m| clean(&m.target)).collect();
    targets.sort_unstable();
    if let Some(pair) = targets.windows(2).find(|p| p[0] == p[1]) {
        return Err(EngineError::invalid(format!(
            "Duplicate mount point: {}",
            pair[0]
        )));
    }
    for target in image_volumes {
        check_target(target)?;
        if !targets.contains(&clean(target)) {
            spec.mounts.push(MountSpec {
                source: MountSource::Volume {
                    name: String::new(),
                    no_copy: false,
                    labels: BTreeMap::new(),
                    subpath: String::new(),
                },
                target: clean(target),
                read_only: false,
            });
        }
    }
    for mount in &mut spec.mounts {
        mount.target = clean(&mount.target);
    }
    Ok(())
}

/// Everything that is mounted on in a container.
pub(crate) fn targets(record: &Record) -> Vec<PathBuf> {
    let users = record.spec.mounts.iter().map(|m| PathBuf::from(&m.target));
    let files = NETWORK_FILES
        .iter()
        .map(|name| Path::new("/etc").join(name));
    let kernels = crate::oci::KERNEL_TARGETS.iter().map(PathBuf::from);
    kernels.chain(files).chain(users).collect()
}

/// Without empty and `.` components.
fn clean(path: &str) -> String {
    let parts: Vec<&str> = path
        .split('/')
        .filter(|p| !p.is_empty() && *p != ".")
        .collect();
    format!("/{}", parts.join("/"))
}

fn check_target(target: &str) -> Result<()> {
    let wrong = |why: &str| {
        Err(EngineError::invalid(format!(
            "invalid mount target '{target}': {why}"
        )))
    };
    if !target.starts_with('/') {
        return wrong("mount path must be absolute");
    }
    // CVE-2022-23648: no component climbs.
    if target.split('/').any(|p| p == "..") || target.contains('\0') {
        return wrong("it contains '..' or a NUL byte");
    }
    match clean(target).as_str() {
        "/" => wrong("destination can't be '/'"),
        // CVE-2019-19921: what the runtime writes to must be the kernel's.
        "/proc" => wrong("/proc is the kernel's"),
        below if below.starts_with("/proc/") && !is_proc_bind(Path::new(below)) => wrong(
            "what is below /proc is the kernel's; only figures like /proc/meminfo are replaced",
        ),
        "/dev" => wrong("/dev is made by weft; mount below it, or use --device"),
        _ => Ok(()),
    }
}

impl Engine {
    /// Names the volumes behind the mounts, generating those of anonymous ones, so that the
    /// record tells them before they are made.
    pub(crate) fn name_volumes(spec: &Spec) -> Vec<VolumeUse> {
        spec.mounts
            .iter()
            .filter_map(|m| match &m.source {
                MountSource::Volume { name, .. } => Some(VolumeUse {
                    anonymous: name.is_empty(),
                    name: if name.is_empty() {
                        random_hex(32)
                    } else {
                        name.clone()
                    },
                    target: m.target.clone(),
                }),
                _ => None,
            })
            .collect()
    }

    /// The mounts with their host side; volumes are made if they are not there.
    pub(crate) fn mount_facts(&self, record: &Record) -> Result<Vec<MountFact>> {
        let mut facts = Vec::new();
        for mount in &record.spec.mounts {
            facts.push(match &mount.source {
                MountSource::Bind {
                    path,
                    propagation,
                    create,
                    non_recursive,
                } => bind(mount, path, propagation, *create, *non_recursive)?,
                MountSource::Volume {
                    labels, subpath, ..
                } => {
                    let mut fact = self.volume_fact(record, mount, labels)?;
                    if !subpath.is_empty() {
                        check_subpath(record, mount, &fact, subpath)?;
                        fact.options.push(format!("{BENEATH}{subpath}"));
                    }
                    fact
                }
                MountSource::Beneath {
                    root,
                    path,
                    per_run,
                } => MountFact {
                    per_run: *per_run,
                    ..beneath(mount, root, path)
                },
                MountSource::Tmpfs {
                    size_bytes,
                    mode,
                    options,
                } => MountFact {
                    target: mount.target.clone(),
                    source: "tmpfs".into(),
                    kind: "tmpfs",
                    options: default_tmpfs(*size_bytes, *mode, options),
                    read_only: mount.read_only,
                    per_run: false,
                },
            });
        }
        let dir = self.network_files_dir(record)?;
        for name in NETWORK_FILES {
            let target = format!("/etc/{name}");
            if !facts.iter().any(|f: &MountFact| f.target == target) {
                // Not shifted: before Linux 6.3 a tmpfs cannot be.
                facts.push(MountFact {
                    per_run: true,
                    ..plain_bind(&target, &dir.join(name))
                });
            }
        }
        Ok(facts)
    }

    pub(crate) fn volume_fact(
        &self,
        record: &Record,
        mount: &MountSpec,
        labels: &BTreeMap<String, String>,
    ) -> Result<MountFact> {
        let used = record
            .volumes
            .iter()
            .find(|v| v.target == mount.target)
            .expect("create names a volume for each volume mount");
        let volume = self.ensure_volume(&used.name, used.anonymous, labels)?;
        let mut fact = plain_bind(&mount.target, &volume.path);
        fact.read_only = mount.read_only;
        Ok(fact)
    }
}

/// Says early what the mount would say without the names; that is what counts.
fn check_subpath(
    record: &Record,
    mount: &MountSpec,
    fact: &MountFact,
    subpath: &str,
) -> Result<()> {
    let opened = Root::open_at(Path::new(&fact.source))
        .and_then(|root| root.handle_beneath(Path::new(subpath)));
    let Err(error) = opened else { return Ok(()) };
    let used = record.volumes.iter().find(|v| v.target == mount.target);
    let name = used.map_or("", |v| v.name.as_str());
    let (why, code) = match error.kind() {
        std::io::ErrorKind::NotFound => (
            "it is not there; make it in the volume first",
            ErrorCode::NotFound,
        ),
        std::io::ErrorKind::CrossesDevices => ("it leads out of the volume", ErrorCode::Invalid),
        _ => ("it cannot be opened", ErrorCode::Invalid),
    };
    let what = format!(
        "mount volume-subpath '{subpath}' of volume {name} at {}: {why}",
        mount.target
    );
    Err(EngineError::caused(code, what, error))
}

fn beneath(mount: &MountSpec, root: &str, path: &str) -> MountFact {
    let mut fact = plain_bind(&mount.target, Path::new(root));
    fact.read_only = mount.read_only;
    if !path.is_empty() {
        fact.options.push(format!("{BENEATH}{path}"));
    }
    fact
}

fn plain_bind(target: &str, source: &Path) -> MountFact {
    MountFact {
        target: target.to_owned(),
        source: source.to_string_lossy().into_owned(),
        kind: "bind",
        options: vec!["rbind".into(), "rprivate".into()],
        read_only: false,
        per_run: false,
    }
}

fn bind(
    mount: &MountSpec,
    path: &str,
    propagation: &str,
    create: bool,
    flat: bool,
) -> Result<MountFact> {
    let missing = std::fs::metadata(path).err();
    match missing {
        None => {}
        Some(e) if create && e.kind() == std::io::ErrorKind::NotFound => {
            make_shared_dir(Path::new(path)).map_err(|e| {
                EngineError::caused(
                    ErrorCode::Invalid,
                    format!("make the bind source {path}"),
                    e,
                )
            })?;
        }
        Some(e) => {
            return Err(EngineError::caused(
                ErrorCode::Invalid,
                format!(
                    "invalid mount config for type \"bind\": bind source path does not exist: {path}"
                ),
                e,
            ));
        }
    }
    let mut fact = plain_bind(&mount.target, Path::new(path));
    let propagation = if propagation.is_empty() {
        "rprivate"
    } else {
        propagation
    };
    fact.options = vec![
        if flat { "bind" } else { "rbind" }.into(),
        propagation.to_owned(),
    ];
    fact.read_only = mount.read_only;
    Ok(fact)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(target: &str) -> MountSpec {
        MountSpec {
            source: MountSource::Volume {
                name: "v".into(),
                no_copy: false,
                labels: BTreeMap::new(),
                subpath: String::new(),
            },
            target: target.into(),
            read_only: false,
        }
    }

    #[test]
    fn image_volumes_are_added_once() {
        let mut spec = Spec {
            mounts: vec![volume("/data/")],
            ..Spec::default()
        };
        complete(&mut spec, &["/data".into(), "/var//lib/x".into()]).unwrap();
        let targets: Vec<&str> = spec.mounts.iter().map(|m| m.target.as_str()).collect();
        assert_eq!(targets, ["/data", "/var/lib/x"]);
        assert!(Engine::name_volumes(&spec)[1].anonymous);
    }

    #[test]
    fn targets_that_climb_or_hide_are_refused() {
        for target in [
            "",
            "x",
            "/",
            "/../etc",
            "/a/../../b",
            "/proc",
            "/proc/1/x",
            "/proc/sys/kernel",
            "/dev/",
            "//",
            "/a\0b",
        ] {
            let mut spec = Spec {
                mounts: vec![volume(target)],
                ..Spec::default()
            };
            assert!(complete(&mut spec, &[]).is_err(), "{target}");
            assert!(
                complete(&mut Spec::default(), &[target.into()]).is_err(),
                "{target}"
            );
        }
        let mut twice = Spec {
            mounts: vec![volume("/a"), volume("/a/")],
            ..Spec::default()
        };
        assert!(complete(&mut twice, &[]).is_err());
    }
}
