//! create: from a spec to a record and a snapshot. Nothing runs yet.

use std::sync::Arc;

use weft_image::{Image, SnapshotError, Snapshotter};
use weft_stdx::{clock, id};

use crate::container::Created;
use crate::container::handle::{self, Container};
use crate::container::record::{RECORD_VERSION, Record, State};
use crate::engine::Engine;
use crate::error::{EngineError, ErrorCode, Result};
use crate::namespaces::has_user_namespace;
use crate::paths::make_dir;
use crate::spec::{HealthSpec, ImageDefaults, Ipc, NetworkMode, Sharing, Spec, resolve};
use crate::{mounts, names};

impl Engine {
    /// Makes a container from `spec`; a `name` of `None` is chosen for it.
    ///
    /// # Errors
    /// The image is not here, the name is taken or none, the spec and the image don't agree.
    pub async fn create(&self, name: Option<&str>, spec: Spec) -> Result<Created> {
        let name = name.map(str::to_owned);
        self.blocking(move |engine| engine.create_blocking(name.as_deref(), spec))
            .await
    }

    fn create_blocking(&self, name: Option<&str>, mut spec: Spec) -> Result<Created> {
        let image = self.image(&spec.image)?;
        let id = id::random_hex(32);
        self.resolve_references(&mut spec)?;
        let volumes: Vec<String> = image.config.volumes.clone();
        mounts::complete(&mut spec, &volumes)?;
        let mut resolved = resolve(&spec, &defaults(&image), &id)?;
        self.fit_sandbox(&mut spec, &mut resolved)?;
        if let NetworkMode::Container(owner) = &spec.network {
            // By which it is known there, and in the files of /etc that are shared too.
            resolved.hostname = self.find(owner)?.with(|r| r.resolved.hostname.clone());
        }
        if let NetworkMode::Networks(list) = &spec.network {
            self.check_ports(&spec, &resolved, list)?;
        }
        crate::oci::check(&spec, self.capability_ceiling(has_user_namespace(&spec)))?;
        let warnings = warnings(&spec);
        let name = self.reserve_name(name, &id)?;
        let record = Record {
            version: RECORD_VERSION,
            id: id.clone(),
            name: name.clone(),
            created_at_ns: clock::unix_ns(),
            image_id: image.id.to_string(),
            volumes: Self::name_volumes(&spec),
            spec,
            resolved,
            state: State::default(),
            attachments: Vec::new(),
        };
        let container = Arc::new(Container::new(record.clone()));
        if let Err(error) = self.acquire(&record, &image) {
            self.discard(&id);
            self.inner.containers.release_name(&name);
            return Err(error);
        }
        self.inner.containers.insert(Arc::clone(&container));
        self.emit(&container, "create", &[]);
        Ok(Created { id, warnings })
    }

    /// The record first: whatever follows can be undone by its id.
    fn acquire(&self, record: &Record, image: &Image) -> Result<()> {
        let dir = self.inner.paths.container(&record.id);
        make_dir(&dir).map_err(|e| storage(format!("make {}", dir.display()), e))?;
        if record.spec.auto_remove {
            let mark = self.inner.paths.fleeting(&record.id);
            std::fs::write(&mark, weft_stdx::clock::boot_id())
                .map_err(|e| storage(format!("make {}", mark.display()), e))?;
        }
        handle::write(&self.inner.paths, record)
            .map_err(|e| storage(format!("write the record of container {}", record.name), e))?;
        self.inner
            .images
            .snapshots()
            .prepare(&record.id, image)
            .map_err(|e| match e {
                // It was there a moment ago.
                SnapshotError::NoImage(_) => EngineError::new(
                    ErrorCode::NotFound,
                    format!("No such image: {}", record.spec.image),
                ),
                e => EngineError::internal(
                    format!("make the root filesystem of container {}", record.name),
                    e,
                ),
            })?;
        self.fill_volumes(record)
    }

    /// Names of other containers and networks become ids now: a later rename changes nothing.
    fn resolve_references(&self, spec: &mut Spec) -> Result<()> {
        if let NetworkMode::Container(reference) = &mut spec.network {
            *reference = self.find(reference)?.id.clone();
        }
        if let Sharing::Container(reference) = &mut spec.security.pid {
            *reference = self.find(reference)?.id.clone();
        }
        if let Ipc::Container(reference) = &mut spec.security.ipc {
            let owner = self.find(reference)?;
            let shared = owner.with(|r| r.spec.security.ipc.clone());
            if matches!(shared, Ipc::Private | Ipc::None) {
                return Err(EngineError::conflict(format!(
                    "cannot join the IPC namespace of container {reference}: it is its own; create that container with --ipc shareable"
                )));
            }
            reference.clone_from(&owner.id);
        }
        if let NetworkMode::Networks(list) = &spec.network {
            for attach in list {
                self.network(&attach.network)?;
            }
        }
        self.partner(spec)?;
        let publishes = !spec.ports.is_empty() || spec.publish_all;
        match &spec.network {
            NetworkMode::Container(_) if publishes => Err(EngineError::invalid(
                "conflicting options: port publishing and the container type network mode",
            )),
            NetworkMode::Container(_) if spec.hostname.is_some() => Err(EngineError::invalid(
                "conflicting options: hostname and the network mode",
            )),
            _ => Ok(()),
        }
    }

    fn reserve_name(&self, name: Option<&str>, id: &str) -> Result<String> {
        if let Some(name) = name {
            names::check(name)?;
            self.inner.containers.reserve(name, id)?;
            return Ok(name.to_owned());
        }
        // A collision is rare; after a few the id itself is a name.
        for _ in 0..8 {
            let name = names::generate();
            if self.inner.containers.reserve(&name, id).is_ok() {
                return Ok(name);
            }
        }
        self.inner.containers.reserve(&id[..12], id)?;
        Ok(id[..12].to_owned())
    }
}

fn storage(what: String, error: std::io::Error) -> EngineError {
    let code = if error.kind() == std::io::ErrorKind::StorageFull {
        ErrorCode::Exhausted
    } else {
        ErrorCode::Internal
    };
    EngineError::caused(code, what, error)
}

fn defaults(image: &Image) -> ImageDefaults {
    let config = &image.config;
    ImageDefaults {
        entrypoint: config.entrypoint.clone(),
        cmd: config.cmd.clone(),
        env: config.env.clone(),
        cwd: config.working_dir.clone(),
        user: config.user.clone(),
        labels: config.labels.clone(),
        stop_signal: config.stop_signal.clone(),
        exposed: config
            .exposed_ports
            .iter()
            .map(|p| format!("{}-{}/{}", p.first, p.last, p.protocol))
            .collect(),
        health: config.healthcheck.as_ref().map(|health| HealthSpec {
            test: health.test.clone(),
            interval_ns: health.interval_ns,
            timeout_ns: health.timeout_ns,
            start_period_ns: health.start_period_ns,
            start_interval_ns: health.start_interval_ns,
            retries: health.retries,
        }),
        shell: config.shell.clone(),
    }
}

fn warnings(spec: &Spec) -> Vec<String> {
    let mut warnings = Vec::new();
    if !has_user_namespace(spec) && !spec.security.userns_host {
        let why = if spec.security.privileged {
            "--privileged"
        } else {
            "a namespace shared with the host"
        };
        warnings.push(format!(
            "{why} means no user namespace: root in the container is root on the host"
        ));
    }
    let mode = match spec.network {
        NetworkMode::Host => Some("host network mode"),
        NetworkMode::None => Some("no network"),
        _ => None,
    };
    if let Some(mode) = mode.filter(|_| !spec.ports.is_empty() || spec.publish_all) {
        warnings.push(format!("Published ports are discarded when using {mode}"));
    }
    warnings
}
