//! exec: further processes in a running container. Each session has a monitor of its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::sync::watch;
use weft_runtime::capabilities::Set;
use weft_runtime::monitor::record::{self as wire, ExecSpec, Streams};
use weft_runtime::spawner::Fds;
use weft_stdx::id::random_hex;

use crate::container::handle::Container;
use crate::container::record::Status;
use crate::container::{AttachOptions, ExecOptions, ExecView};
use crate::engine::Engine;
use crate::error::{EngineError, ErrorCode, Result};
use crate::paths::{make_dir, remove_tree};
use crate::session::{Attached, Recorded};
use crate::{accounts, attach, oci, user};

/// Sessions of one container that are remembered, running or ended.
const SESSIONS_MAX: usize = 4096;

/// The exec sessions of all containers.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    by_id: Mutex<HashMap<String, Arc<Mutex<Session>>>>,
}

#[derive(Debug, Clone)]
struct Session {
    container_id: String,
    options: ExecOptions,
    user: String,
    started: bool,
    pid: i32,
    exit_code: Option<i32>,
    /// Tells those who read its streams that `exit_code` is there.
    over: watch::Sender<bool>,
}

impl Sessions {
    /// Drops those of a container that is no more.
    pub fn forget(&self, container_id: &str) {
        let mut all = self.by_id.lock().expect("no holder panics");
        all.retain(|_, s| s.lock().expect("no holder panics").container_id != container_id);
    }

    /// Ids of the sessions that run in a container.
    pub fn running(&self, container_id: &str) -> Vec<String> {
        let all = self.by_id.lock().expect("no holder panics");
        let runs =
            |s: &Session| s.container_id == container_id && s.started && s.exit_code.is_none();
        all.iter()
            .filter(|(_, s)| runs(&s.lock().expect("no holder panics")))
            .map(|(id, _)| id.clone())
            .collect()
    }

    /// Drops one; what runs goes on.
    pub fn forget_one(&self, id: &str) {
        let mut all = self.by_id.lock().expect("no holder panics");
        all.remove(id);
    }

    fn get(&self, id: &str) -> Result<Arc<Mutex<Session>>> {
        let all = self.by_id.lock().expect("no holder panics");
        all.get(id).cloned().ok_or_else(|| {
            EngineError::new(ErrorCode::NotFound, format!("No such exec instance: {id}"))
        })
    }

    /// One as it stands.
    fn seen(&self, id: &str) -> Result<Session> {
        let session = self.get(id)?;
        let session = session.lock().expect("no holder panics");
        Ok(session.clone())
    }

    fn add(&self, id: String, session: Session) -> Result<()> {
        let mut all = self.by_id.lock().expect("no holder panics");
        let same = |s: &Arc<Mutex<Session>>| {
            s.lock().expect("no holder panics").container_id == session.container_id
        };
        if all.values().filter(|s| same(s)).count() >= SESSIONS_MAX {
            // Ended ones are only kept to be inspected.
            all.retain(|_, s| {
                !(same(s) && s.lock().expect("no holder panics").exit_code.is_some())
            });
        }
        if all.values().filter(|s| same(s)).count() >= SESSIONS_MAX {
            return Err(EngineError::new(
                ErrorCode::Exhausted,
                format!(
                    "container {} has {SESSIONS_MAX} exec sessions already",
                    session.container_id
                ),
            ));
        }
        all.insert(id, Arc::new(Mutex::new(session)));
        Ok(())
    }
}

impl Engine {
    /// Prepares a session; nothing runs yet.
    ///
    /// # Errors
    /// The container does not run, the command is empty.
    pub async fn exec_create(&self, reference: &str, options: ExecOptions) -> Result<String> {
        let container = self.find(reference)?;
        running(&container, reference)?;
        if options.args.is_empty() {
            return Err(EngineError::invalid("No exec command specified"));
        }
        let id = random_hex(32);
        let user = options
            .user
            .clone()
            .unwrap_or_else(|| container.with(|r| r.resolved.user.clone()));
        let action = format!("exec_create: {}", options.args.join(" "));
        let session = Session {
            container_id: container.id.clone(),
            options,
            user,
            started: false,
            pid: 0,
            exit_code: None,
            over: watch::channel(false).0,
        };
        self.inner.execs.add(id.clone(), session)?;
        self.emit(&container, &action, &[("execID", id.clone())]);
        Ok(id)
    }

    /// Forgets a session that nobody will ask of.
    pub fn exec_forget(&self, id: &str) {
        self.inner.execs.forget_one(id);
    }

    /// Starts a session. With no stream in `attach` it runs detached.
    ///
    /// # Errors
    /// It has run already, its container is down, its command can't be executed.
    pub async fn exec_start(
        &self,
        id: &str,
        attach: AttachOptions,
        size: Option<(u16, u16)>,
    ) -> Result<Option<Attached>> {
        let session = self.inner.execs.get(id)?;
        let before = {
            let mut session = session.lock().expect("no holder panics");
            if session.started {
                return Err(EngineError::conflict(format!("Exec {id} has already run")));
            }
            session.started = true;
            session.clone()
        };
        let started = self.exec_launch(id, &before, attach, size).await;
        if let Err(error) = &started {
            session.lock().expect("no holder panics").exit_code =
                Some(error.exit_code.unwrap_or(126));
        }
        let (client, watch, pid) = started?;
        session.lock().expect("no holder panics").pid = pid;
        self.watch_exec(id.to_owned(), session, watch);
        Ok(client)
    }

    async fn exec_launch(
        &self,
        id: &str,
        session: &Session,
        attach: AttachOptions,
        size: Option<(u16, u16)>,
    ) -> Result<(Option<Attached>, Attached, i32)> {
        let container = self.find(&session.container_id)?;
        running(&container, &session.container_id)?;
        let failed = |e| EngineError::internal("make the session with the monitor", e);
        let (watch, socket) = Attached::pair(AttachOptions::default())
            .await
            .map_err(failed)?;
        let mut sockets = vec![socket];
        let mut client = None;
        if attach.stdin || attach.stdout || attach.stderr {
            let (ours, theirs) = Attached::pair(attach).await.map_err(failed)?;
            let mut over = session.over.subscribe();
            let recorded = Recorded::when(async move {
                let _ = over.wait_for(|over| *over).await;
            });
            sockets.push(theirs);
            client = Some(ours.ends_after(recorded));
        }
        let (id, session) = (id.to_owned(), session.clone());
        let spawned = self
            .blocking(move |engine| engine.exec_blocking(&id, &session, &container, size, sockets))
            .await?;
        Ok((client, watch, spawned))
    }

    fn exec_blocking(
        &self,
        id: &str,
        session: &Session,
        container: &Container,
        size: Option<(u16, u16)>,
        attach: Vec<std::os::fd::OwnedFd>,
    ) -> Result<i32> {
        let record = container.record();
        let state = &record.state;
        let options = &session.options;
        let identity = user::resolve(
            &session.user,
            &record.spec.group_add,
            &accounts::of_process(state.pid),
        )?;
        let ceiling: Set = self.capability_ceiling(state.id_base != 0);
        let process = oci::exec_process(&record, &identity, options, ceiling)?;
        let process = serde_json::from_value(process)
            .map_err(|e| EngineError::internal("describe the process to execute", e))?;
        let run_dir = self.inner.paths.run(&record.id).join(&id[..12]);
        make_dir(&run_dir)
            .map_err(|e| EngineError::internal(format!("make {}", run_dir.display()), e))?;
        let (rows, cols) = size.unwrap_or_default();
        let spec = ExecSpec {
            version: wire::VERSION,
            id: id.to_owned(),
            dir: self.inner.paths.run(&record.id),
            run_dir: run_dir.clone(),
            init_pid: state.pid,
            init_start_ticks: state.start_ticks,
            process,
            id_base: state.id_base,
            streams: Streams {
                terminal: options.tty,
                stdin: options.attach_stdin,
                stdin_once: !options.tty,
                rows,
                cols,
            },
            log: None,
            timeout_ms: options
                .timeout
                .map(|limit| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)),
        };
        let spawned = self.inner.spawner.exec(
            &spec,
            Fds {
                attach,
                join: Vec::new(),
            },
        );
        match spawned {
            Ok(spawned) => {
                self.emit(
                    container,
                    &format!("exec_start: {}", options.args.join(" ")),
                    &[("execID", id.to_owned())],
                );
                Ok(spawned.pid)
            }
            Err(error) => {
                let _ = remove_tree(&run_dir);
                Err(crate::launch::spawn_failed(
                    &format!("execute in container {}", record.name),
                    error,
                ))
            }
        }
    }

    fn watch_exec(&self, id: String, session: Arc<Mutex<Session>>, watch: Attached) {
        let engine = self.clone();
        self.inner.runtime.spawn(async move {
            let (mut reader, _writer) = watch.split();
            let code = reader.exit().await.map_or(137, |r| r.code);
            let container_id = {
                let mut session = session.lock().expect("no holder panics");
                session.exit_code = Some(code);
                session.over.send_replace(true);
                session.container_id.clone()
            };
            let _ = remove_tree(&engine.inner.paths.run(&container_id).join(&id[..12]));
            if let Ok(container) = engine.find(&container_id) {
                engine.emit(
                    &container,
                    "exec_die",
                    &[("execID", id), ("exitCode", code.to_string())],
                );
            }
        });
    }

    /// The session's terminal gets a new size.
    ///
    /// # Errors
    /// It does not run.
    pub async fn exec_resize(&self, id: &str, rows: u16, cols: u16) -> Result<()> {
        let session = self.inner.execs.seen(id)?;
        if !session.started || session.exit_code.is_some() {
            return Err(EngineError::conflict(format!("exec {id} does not run")));
        }
        let socket = self
            .inner
            .paths
            .run(&session.container_id)
            .join(&id[..12])
            .join("monitor.sock");
        attach::resize(&socket, rows, cols)
            .await
            .map_err(|e| EngineError::internal(format!("resize exec {id}"), e))
    }

    /// Nobody is there any more for whom it was run: its processes are told, as when a terminal is
    /// closed.
    ///
    /// # Errors
    /// No such session, or the kernel refuses.
    pub fn exec_hang_up(&self, id: &str) -> Result<()> {
        /// SIGHUP.
        const HANG_UP: i32 = 1;
        let session = self.inner.execs.seen(id)?;
        if !session.started || session.exit_code.is_some() {
            return Ok(());
        }
        let handle =
            Pid::from_raw(session.pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        // The number may be another's by now: what is held is looked at, then told.
        let groups = std::fs::read_to_string(format!("/proc/{}/cgroup", session.pid));
        let is_ours = groups.is_ok_and(|groups| groups.contains(&session.container_id));
        let Some(handle) = handle.filter(|_| is_ours) else {
            return Ok(());
        };
        weft_sys::process::signal_group(handle, HANG_UP)
            .or_else(
                |error| match error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) {
                    true => Ok(()),
                    false => Err(error),
                },
            )
            .map_err(|e| EngineError::internal(format!("end exec {id}"), e))
    }

    /// A client has left the session by the detach keys.
    pub fn exec_detached(&self, id: &str) {
        let session = self.inner.execs.seen(id);
        if let Ok(container) = session.and_then(|session| self.find(&session.container_id)) {
            self.emit(&container, "exec_detach", &[("execID", id.to_owned())]);
        }
    }

    /// A session as it stands.
    ///
    /// # Errors
    /// No such session.
    pub fn exec_inspect(&self, id: &str) -> Result<ExecView> {
        let session = self.inner.execs.seen(id)?;
        Ok(ExecView {
            id: id.to_owned(),
            container_id: session.container_id,
            options: session.options,
            user: session.user,
            running: session.started && session.exit_code.is_none(),
            exit_code: session.exit_code,
            pid: session.pid,
        })
    }
}

fn running(container: &Container, reference: &str) -> Result<()> {
    match container.state().status {
        Status::Running => Ok(()),
        Status::Paused => Err(EngineError::conflict(format!(
            "Container {reference} is paused, unpause the container before exec"
        ))),
        _ => Err(EngineError::conflict(format!(
            "Container {} is not running",
            container.id
        ))),
    }
}
