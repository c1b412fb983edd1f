//! stop, kill, restart, pause: what is done to a running container.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::container::handle::Container;
use crate::container::record::Status;
use crate::container::{Outcome, StopOptions};
use crate::engine::Engine;
use crate::error::{EngineError, ErrorCode, Result};
use crate::spec::parse_signal;

/// Grace when neither the caller nor the container says otherwise.
const GRACE_DEFAULT: Duration = Duration::from_secs(10);
/// After SIGKILL the kernel needs moments; a process that is still there sits in the kernel.
const KILL_WAIT: Duration = Duration::from_secs(30);
const SIGKILL: i32 = 9;

impl Engine {
    /// Asks the workload to stop, and kills it when the grace is over.
    ///
    /// # Errors
    /// No such container, an unknown signal, or a process the kernel does not let go.
    pub async fn stop(&self, reference: &str, options: StopOptions) -> Result<Outcome> {
        let container = self.find(reference)?;
        let _operation = container.operation.lock().await;
        self.stop_locked(&container, &options).await
    }

    pub(crate) async fn stop_locked(
        &self,
        container: &Arc<Container>,
        options: &StopOptions,
    ) -> Result<Outcome> {
        let status = container.state().status;
        if status == Status::Restarting {
            return self.stop_restarting(container);
        }
        if !status.is_up() {
            return Ok(Outcome::AlreadySo);
        }
        let signal = match &options.signal {
            Some(text) => parse_signal(text)?,
            None => container.with(|r| r.resolved.stop_signal),
        };
        let grace = options.grace.unwrap_or_else(|| own_grace(container));
        self.save(container, |r| r.state.stopped_by_user = true)?;
        if status == Status::Paused {
            // A frozen process can't hear the signal.
            self.thaw(container).await?;
        }
        self.signal(container, signal)?;
        if !self.wait_end(container, grace).await {
            self.kill_all(container).await?;
            if !self.wait_end(container, Some(KILL_WAIT)).await {
                return Err(EngineError::new(
                    ErrorCode::Unavailable,
                    format!(
                        "container {} does not die: a process of it is stuck in the kernel",
                        container.id
                    ),
                ));
            }
        }
        if container.state().status == Status::Restarting {
            // It ended by itself just before it was told not to come back.
            return self.stop_restarting(container);
        }
        self.emit(container, "stop", &[]);
        Ok(Outcome::Done)
    }

    /// It is down between two runs: the next is called off.
    fn stop_restarting(&self, container: &Arc<Container>) -> Result<Outcome> {
        container.cancel_restart.notify_waiters();
        self.save(container, |r| {
            r.state.stopped_by_user = true;
            r.state.status = Status::Exited;
        })?;
        container.report(|p| p.up = false);
        self.emit(container, "stop", &[]);
        Ok(Outcome::Done)
    }

    /// Stops and starts again.
    ///
    /// # Errors
    /// As of [`Engine::stop`] and [`Engine::start`].
    pub async fn restart(&self, reference: &str, options: StopOptions) -> Result<()> {
        let container = self.find(reference)?;
        let _operation = container.operation.lock().await;
        self.stop_locked(&container, &options).await?;
        self.save(&container, |r| {
            r.state.stopped_by_user = false;
            r.state.restart_count = 0;
        })?;
        self.launch(&container).await?;
        self.emit(&container, "restart", &[]);
        Ok(())
    }

    /// Sends a signal to its init; SIGKILL ends every process of it.
    ///
    /// # Errors
    /// It does not run, or the signal is none.
    pub async fn kill(&self, reference: &str, signal: &str) -> Result<()> {
        let number = parse_signal(if signal.is_empty() { "KILL" } else { signal })?;
        let container = self.find(reference)?;
        if !container.state().status.is_up() {
            return Err(EngineError::conflict(format!(
                "Cannot kill container: {reference}: container {} is not running",
                container.id
            )));
        }
        if number == SIGKILL {
            // A person's kill is a person's stop: the policy does not bring it back.
            self.save(&container, |r| r.state.stopped_by_user = true)?;
            self.kill_all(&container).await?;
            self.wait_end(&container, Some(KILL_WAIT)).await;
        } else {
            self.signal(&container, number)?;
        }
        Ok(())
    }

    /// Freezes every process of it.
    ///
    /// # Errors
    /// It does not run, or is frozen already.
    pub async fn pause(&self, reference: &str) -> Result<()> {
        let container = self.find(reference)?;
        let _operation = container.operation.lock().await;
        match container.state().status {
            Status::Running => {}
            Status::Paused => {
                return Err(EngineError::conflict(format!(
                    "Container {reference} is already paused"
                )));
            }
            _ => {
                return Err(EngineError::conflict(format!(
                    "Container {reference} is not running"
                )));
            }
        }
        let path = self.cgroup_path(&container.id);
        self.blocking(move |engine| engine.inner.cgroups.open(&path)?.freeze())
            .await
            .map_err(|e| EngineError::internal(format!("pause container {reference}"), e))?;
        self.change_status(&container, Status::Running, Status::Paused)?;
        self.emit(&container, "pause", &[]);
        Ok(())
    }

    /// Thaws what [`Engine::pause`] froze.
    ///
    /// # Errors
    /// It is not frozen.
    pub async fn unpause(&self, reference: &str) -> Result<()> {
        let container = self.find(reference)?;
        let _operation = container.operation.lock().await;
        if container.state().status != Status::Paused {
            return Err(EngineError::conflict(format!(
                "Container {reference} is not paused"
            )));
        }
        self.thaw(&container).await?;
        self.emit(&container, "unpause", &[]);
        Ok(())
    }

    async fn thaw(&self, container: &Arc<Container>) -> Result<()> {
        let path = self.cgroup_path(&container.id);
        self.blocking(move |engine| engine.inner.cgroups.open(&path)?.thaw())
            .await
            .map_err(|e| EngineError::internal(format!("thaw container {}", container.id), e))?;
        self.change_status(container, Status::Paused, Status::Running)
    }

    /// A run that has ended meanwhile stays ended.
    fn change_status(&self, container: &Container, from: Status, to: Status) -> Result<()> {
        self.save(container, |r| {
            if r.state.status == from {
                r.state.status = to;
            }
        })
    }

    fn signal(&self, container: &Container, number: i32) -> Result<()> {
        let held = container.pidfd.lock().expect("no holder panics");
        let Some(pidfd) = held.as_ref() else {
            return Ok(());
        };
        match weft_sys::process::signal(pidfd.as_fd(), number) {
            Ok(()) => {
                // Before its end is told: whoever tells that takes the handle first.
                self.emit(container, "kill", &[("signal", number.to_string())]);
                Ok(())
            }
            // It ended by itself a moment ago.
            Err(e) if e.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => Ok(()),
            Err(e) => {
                let what = format!("send signal {number} to container {}", container.id);
                Err(EngineError::internal(what, e))
            }
        }
    }

    /// Kills everything in its control group, which is more than its init when it shares the
    /// host's process ids. The run that is going on is meant, never the one after it.
    pub(crate) async fn kill_all(&self, container: &Arc<Container>) -> Result<()> {
        let run = container.state().pid;
        let _life = container.life.lock().await;
        let state = container.state();
        if !state.status.is_up() || state.pid != run {
            return Ok(());
        }
        self.signal(container, SIGKILL)?;
        let id = container.id.clone();
        self.blocking(move |engine| engine.kill_cgroup(&id))
            .await
            .map_err(|e| EngineError::internal(format!("kill container {}", container.id), e))
    }

    /// Whether the run ended within `grace`, and all of it is put away; `None` waits forever.
    pub(crate) async fn wait_end(&self, container: &Container, grace: Option<Duration>) -> bool {
        let mut progress = container.progress();
        let ended = async {
            while container.state().status.is_up() {
                if progress.changed().await.is_err() {
                    return;
                }
            }
            drop(container.life.lock().await);
        };
        match grace {
            None => {
                ended.await;
                true
            }
            Some(grace) => timeout(grace, ended).await.is_ok(),
        }
    }
}

fn own_grace(container: &Container) -> Option<Duration> {
    match container.with(|r| r.spec.stop_timeout_seconds) {
        None => Some(GRACE_DEFAULT),
        Some(seconds) => u64::try_from(seconds).ok().map(Duration::from_secs),
    }
}
