//! Owns opening a container's root, and as whom files are made there.
//! Never looks a name up in it.

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use weft_image::unpack::Ids;
use weft_runtime::launch::{LaunchError, Rootfs};
use weft_runtime::rootfs::{self, Bind};
use weft_sys::namespace::{self, Kind};
use weft_sys::path::Root;
use weft_sys::process::{pid_of, with_file_owner};

use crate::accounts;
use crate::container::record::{Record, State};
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use crate::idrange::RANGE_SIZE;
use crate::mounts::NETWORK_FILES;
use crate::namespaces::has_user_namespace;
use crate::oci::MountFact;
use crate::spec::{MountSource, NetworkMode};

/// What to open.
#[derive(Debug)]
pub(super) enum Source {
    Running(View),
    Stopped {
        rootfs: Rootfs,
        binds: Vec<Bind>,
        read_only: bool,
        ids: Ids,
    },
}

/// A container's root, open.
#[derive(Debug)]
pub(super) struct View {
    pub root: Root,
    /// How its ids show on files here.
    pub ids: Ids,
    /// Keeps what is mounted in it there, should the container end meanwhile.
    namespace: Option<OwnedFd>,
}

impl Source {
    /// The root of a running container; `None` when its init is no more.
    pub fn running(state: &State) -> Option<Source> {
        let process = crate::process::open(state.pid, state.start_ticks)?;
        let root = Root::open_at(Path::new(&format!("/proc/{}/root", state.pid))).ok()?;
        let namespace = namespace::of_process(state.pid, Kind::Mount).ok()?;
        // Still there: it was its root, and not that of who got its number.
        pid_of(&process).ok()?;
        let ids = match state.id_base {
            0 => Ids::HOST,
            base => Ids {
                base,
                count: RANGE_SIZE,
            },
        };
        Some(Source::Running(View {
            root,
            ids,
            namespace: Some(namespace),
        }))
    }

    /// Opens the container's root without anything mounted in it, for the calling thread, which
    /// ends with the copy.
    pub fn open_bare(self) -> Result<View> {
        let failed = |e| {
            let error = LaunchError::from(e);
            EngineError::internal("open the container's root filesystem", error)
        };
        match self {
            Source::Running(view) => {
                let namespace = view.namespace.as_ref().expect("who runs has one");
                let root = rootfs::bare(namespace).map_err(failed)?;
                Ok(View {
                    root: Root::new(root),
                    ..view
                })
            }
            Source::Stopped { rootfs, ids, .. } => {
                let root = rootfs::view(&rootfs, &[], true).map_err(failed)?;
                Ok(View {
                    root,
                    ids,
                    namespace: None,
                })
            }
        }
    }

    /// Opens it, for the calling thread, which ends with the copy.
    pub fn open(self) -> Result<View> {
        match self {
            Source::Running(view) => Ok(view),
            Source::Stopped {
                rootfs,
                binds,
                read_only,
                ids,
            } => {
                let root = rootfs::view(&rootfs, &binds, read_only).map_err(|e| {
                    let error = LaunchError::from(e);
                    EngineError::internal("mount the container's root filesystem", error)
                })?;
                Ok(View {
                    root,
                    ids,
                    namespace: None,
                })
            }
        }
    }
}

impl View {
    /// Does `work` with new files belonging to the container's root.
    pub fn writing<T>(&self, work: impl FnOnce() -> T) -> io::Result<T> {
        if self.ids.base == 0 {
            return Ok(work());
        }
        with_file_owner(self.ids.base, self.ids.base, work)
    }

    /// User and group that `user` means in the container.
    pub fn owner(&self, user: &str) -> Result<(u32, u32)> {
        let accounts = accounts::of_root(&self.root);
        let identity = crate::user::resolve(user, &[], &accounts)?;
        Ok((identity.uid, identity.gid))
    }
}

impl Engine {
    /// The layers of a container that does not run, with its volumes and binds; what is missing of
    /// those is left out.
    pub(super) fn stopped_source(&self, record: &Record) -> Result<Source> {
        let mounts = self.rootfs(record)?;
        let ids = if has_user_namespace(&record.spec) {
            Ids::CONTAINER
        } else {
            Ids::HOST
        };
        Ok(Source::Stopped {
            rootfs: Rootfs::Overlay {
                lower: mounts.lower,
                upper: mounts.upper,
                work: mounts.work,
            },
            binds: self.binds(record)?,
            read_only: record.spec.security.read_only_rootfs,
            ids,
        })
    }

    fn binds(&self, record: &Record) -> Result<Vec<Bind>> {
        let mut binds = Vec::new();
        for mount in &record.spec.mounts {
            let (source, beneath, recursive) = match &mount.source {
                MountSource::Tmpfs { .. } => continue,
                MountSource::Bind {
                    path,
                    non_recursive,
                    ..
                } => (PathBuf::from(path), None, !non_recursive),
                MountSource::Beneath { root, path, .. } => {
                    let beneath = (!path.is_empty()).then(|| PathBuf::from(path));
                    (PathBuf::from(root), beneath, true)
                }
                MountSource::Volume {
                    labels, subpath, ..
                } => {
                    let MountFact { source, .. } = self.volume_fact(record, mount, labels)?;
                    let beneath = (!subpath.is_empty()).then(|| PathBuf::from(subpath));
                    (PathBuf::from(source), beneath, true)
                }
            };
            binds.push(Bind {
                source,
                beneath,
                target: PathBuf::from(&mount.target),
                recursive,
                read_only: mount.read_only,
            });
        }
        let network = &record.spec.network;
        if !matches!(network, NetworkMode::Container(_) | NetworkMode::Sandbox(_)) {
            let dir = self.inner.paths.container(&record.id);
            for name in NETWORK_FILES {
                let target = PathBuf::from(format!("/etc/{name}"));
                if !binds.iter().any(|bind| bind.target == target) {
                    binds.push(Bind {
                        source: dir.join(name),
                        beneath: None,
                        target,
                        recursive: false,
                        read_only: false,
                    });
                }
            }
        }
        binds.retain(is_there);
        // A target below another one has to come after it.
        binds.sort_by_key(|bind| bind.target.components().count());
        Ok(binds)
    }
}

fn is_there(bind: &Bind) -> bool {
    let Some(beneath) = &bind.beneath else {
        return bind.source.exists();
    };
    Root::open_at(&bind.source)
        .and_then(|root| root.handle_beneath(beneath))
        .is_ok()
}
