//! start: from a record to a running init.
//!
//! ```text
//!   id range ─ namespaces ─ network ─ files ─ mounts ─ config.json ─ spawner.run ─ record
//! ```
//! Everything on the way is released by [`Engine::release_run`], which needs only the id; the
//! path itself has no rollback.

use std::sync::Arc;
use std::time::Duration;

use weft_runtime::launch::NamespaceKind;
use weft_runtime::monitor::record::{
    self as wire, FailureKind, LogConfig, RootfsRecord, RunRequest, Spawned, Streams,
};
use weft_runtime::spawner::{Fds, SpawnError};
use weft_stdx::clock;
use weft_stdx::file::{self, Durability};

use crate::container::handle::Container;
use crate::container::record::{Health, Record, Status};
use crate::container::{AttachOptions, Outcome, RemoveOptions};
use crate::engine::Engine;
use crate::error::{EngineError, ErrorCode, Result};
use crate::health::Check;
use crate::idrange::RANGE_SIZE;
use crate::namespaces::Namespaces;
use crate::oci::{self, Facts};
use crate::paths::{make_dir, remove_tree};
use crate::session::Attached;
use crate::spec::RestartPolicy;

/// How long a start waits for files being copied before it breaks the copy off.
const COPY_PATIENCE: Duration = Duration::from_secs(10);

impl Engine {
    /// Starts a container that does not run.
    ///
    /// # Errors
    /// It is paused or being removed, something it needs is missing, its command can't be
    /// executed ([`EngineError::exit_code`] 127 or 126).
    pub async fn start(&self, reference: &str) -> Result<Outcome> {
        let container = self.find(reference)?;
        let operation = container.operation.lock().await;
        match container.state().status {
            Status::Running => return Ok(Outcome::AlreadySo),
            Status::Paused => {
                return Err(EngineError::conflict(
                    "cannot start a paused container, try unpause instead",
                ));
            }
            Status::Removing | Status::Dead => {
                return Err(EngineError::conflict(format!(
                    "container {reference} is being removed: it cannot be started"
                )));
            }
            Status::Created | Status::Exited | Status::Restarting => {}
        }
        container.cancel_restart.notify_waiters();
        self.save(&container, |r| {
            r.state.restart_count = 0;
            r.state.stopped_by_user = false;
        })?;
        if let Err(error) = self.launch(&container).await {
            drop(operation);
            if container.with(|r| r.spec.auto_remove) {
                let options = RemoveOptions {
                    force: true,
                    volumes: true,
                };
                self.remove(&container.id, options).await?;
            }
            return Err(error);
        }
        Ok(Outcome::Done)
    }

    /// Starts; the caller holds the container's operation.
    pub(crate) async fn launch(&self, container: &Arc<Container>) -> Result<()> {
        let _life = container.life.lock().await;
        let (watch, socket) = Attached::pair(AttachOptions::default())
            .await
            .map_err(|e| EngineError::internal("make the session with the monitor", e))?;
        // Held until it runs: its root is mounted once at a time.
        let _files = container.copies.end(COPY_PATIENCE).await?;
        let mut attach = container.take_pending();
        attach.push(socket);
        let target = Arc::clone(container);
        let launched = self.blocking(move |engine| {
            let result = engine.launch_blocking(&target, attach);
            if result.is_err() {
                engine.release_run(&target.id);
            }
            result
        });
        match launched.await {
            Ok(spawned) => {
                self.started(container, &spawned)?;
                self.watch_health(container);
                self.watch(Arc::clone(container), watch);
                Ok(())
            }
            Err(error) => {
                let code = error.exit_code.unwrap_or(128);
                let text = error.to_string();
                self.save(container, |r| {
                    r.state.status = if r.state.started_at_ns == 0 {
                        Status::Created
                    } else {
                        Status::Exited
                    };
                    r.state.exit_code = code;
                    r.state.error = text;
                    r.attachments.clear();
                })?;
                container.report(|p| p.up = false);
                Err(error)
            }
        }
    }

    fn launch_blocking(
        &self,
        container: &Container,
        attach: Vec<std::os::fd::OwnedFd>,
    ) -> Result<Spawned> {
        // It comes into being while what it is to run is put together.
        let monitor = self.inner.ready.monitor(&self.inner.spawner);
        let record = container.record();
        let run_dir = self.inner.paths.run(&record.id);
        remove_tree(&run_dir)
            .and_then(|()| make_dir(&run_dir))
            .map_err(|e| EngineError::internal(format!("make {}", run_dir.display()), e))?;
        remove_file(&self.inner.paths.exit_dir(&record).join(wire::EXIT_FILE))?;

        let mut namespaces = self.make_namespaces(&record)?;
        let id_base = namespaces.id_base;
        let attachments = self.attach_networks(&record, &mut namespaces)?;
        // Written when it runs: what a run holds until then goes with descriptors or is found by
        // the container's id.
        container.note(|r| {
            r.state.id_base = id_base;
            r.state.boot_id = clock::boot_id().to_owned();
            r.attachments.clone_from(&attachments);
        });
        self.set_upstreams(&record, &attachments)?;
        self.write_network_files(&run_dir, &record, &attachments, id_base)?;

        let mounts = self.rootfs(&record)?;
        let facts = self.facts(&record, &namespaces, &mounts)?;
        let document = oci::document(&record, &facts)?;
        let config = run_dir.join("config.json");
        let bytes = serde_json::to_vec(&document)
            .map_err(|e| EngineError::internal("write the container's config.json", e))?;
        file::replace(&config, &bytes, Durability::Process)
            .map_err(|e| EngineError::internal(format!("write {}", config.display()), e))?;

        let request = self.run_request(&record, id_base, mounts);
        let fds = Fds {
            attach,
            join: joins(namespaces)?,
        };
        monitor
            .run(&request, fds)
            .map_err(|e| spawn_failed(&format!("start container {}", record.name), e))
    }

    fn run_request(&self, record: &Record, id_base: u32, mounts: weft_image::Mounts) -> RunRequest {
        let log = &record.spec.log;
        let (rows, cols) = record.spec.console_size.unwrap_or_default();
        RunRequest {
            version: wire::VERSION,
            id: record.id.clone(),
            dir: self.inner.paths.run(&record.id),
            exit_dir: self.inner.paths.exit_dir(record),
            run_dir: self.inner.paths.run(&record.id),
            rootfs: RootfsRecord::Overlay {
                lower: mounts.lower,
                upper: mounts.upper,
                work: mounts.work,
            },
            id_base,
            init: record.spec.init,
            once: record.spec.auto_remove && record.spec.restart == RestartPolicy::No,
            streams: Streams {
                terminal: record.spec.tty,
                stdin: record.spec.open_stdin,
                // Of a terminal the next client may take over.
                stdin_once: record.spec.stdin_once && !record.spec.tty,
                rows,
                cols,
            },
            log: log.enabled.then(|| LogConfig {
                path: self.inner.paths.log(&record.id),
                max_size: log.max_size_bytes,
                max_files: log.max_files,
            }),
        }
    }

    /// What the document needs to know of the machine.
    fn facts(
        &self,
        record: &Record,
        namespaces: &Namespaces,
        root: &weft_image::Mounts,
    ) -> Result<Facts> {
        let accounts = crate::accounts::of_layers(root);
        let identity =
            crate::user::resolve(&record.resolved.user, &record.spec.group_add, &accounts)?;
        Ok(Facts {
            identity,
            id_map: (namespaces.id_base != 0).then_some((namespaces.id_base, RANGE_SIZE)),
            mounts: self.mount_facts(record)?,
            joins: namespaces.paths.clone(),
            controllers: self.inner.controllers.clone(),
            cgroup_parent: format!("/{}", self.inner.config.instance),
            devices: crate::devices::facts(&record.spec)?,
            block_devices: crate::devices::block_devices(&record.spec.resources)?,
            bounding: self.capability_ceiling(namespaces.id_base != 0),
            kernel: self.inner.kernel,
        })
    }

    fn started(&self, container: &Arc<Container>, spawned: &Spawned) -> Result<()> {
        *container.pidfd.lock().expect("no holder panics") =
            crate::process::open(spawned.pid, spawned.start_ticks);
        self.save(container, |r| {
            let state = &mut r.state;
            state.status = Status::Running;
            state.pid = spawned.pid;
            state.start_ticks = spawned.start_ticks;
            state.monitor_pid = spawned.monitor_pid;
            state.started_at_ns = spawned.started_at_ns;
            state.exit_code = 0;
            state.oom_killed = false;
            state.error.clear();
            state.health = Check::of(&r.resolved).map(|_| Health::default());
        })?;
        container.report(|p| p.up = true);
        let places = container.with(|r| r.attachments.clone());
        self.tell_attached("connect", &container.id, &places);
        self.tell_mounted(container);
        self.emit(container, "start", &[]);
        Ok(())
    }

    /// Changes a container's record, in memory and on disk.
    pub(crate) fn save(
        &self,
        container: &Container,
        change: impl FnOnce(&mut Record),
    ) -> Result<()> {
        container.update(&self.inner.paths, change).map_err(|e| {
            EngineError::caused(
                if e.kind() == std::io::ErrorKind::StorageFull {
                    ErrorCode::Exhausted
                } else {
                    ErrorCode::Internal
                },
                format!("write the record of container {}", container.id),
                e,
            )
        })
    }
}

/// The namespaces that are handed over: the user namespace first, it owns the other.
fn joins(namespaces: Namespaces) -> Result<Vec<(NamespaceKind, std::os::fd::OwnedFd)>> {
    let mut join = Vec::new();
    if let Some(user) = namespaces.user {
        join.push((NamespaceKind::User, user));
    }
    if let Some(net) = namespaces.net {
        join.push((NamespaceKind::Network, net));
    }
    Ok(join)
}

/// A failed spawn as the faces see it: a command that can't be executed is the user's mistake.
pub(crate) fn spawn_failed(what: &str, error: SpawnError) -> EngineError {
    let kind = error.kind();
    let code = match kind {
        FailureKind::NotFound | FailureKind::NotExecutable => ErrorCode::Invalid,
        FailureKind::NotRunning => ErrorCode::Conflict,
        FailureKind::Other => ErrorCode::Internal,
    };
    let mut failed = EngineError::caused(code, what, error);
    if code == ErrorCode::Invalid {
        failed.exit_code = Some(kind.exit_code());
    }
    failed
}

fn remove_file(path: &std::path::Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(EngineError::internal(
            format!("remove {}", path.display()),
            e,
        )),
        _ => Ok(()),
    }
}
