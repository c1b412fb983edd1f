//! Health checks: a task per container that has one runs its probe, by exec, again and again.
//! A container without a check costs nothing.
//!
//! ```text
//!   start, adoption ─▶ pause ─▶ exec ─▶ judge ─▶ record, event ─┐
//!                        ▲                                      │   the run's end leaves the circle
//!                        └──────────────────────────────────────┘
//! ```
//! A probe that hangs is killed by its own monitor, so that holds without a daemon, too. Where
//! things stand is kept in the run directory, for the next engine; it is no use after the run.

mod check;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use weft_stdx::clock::unix_ns;
use weft_stdx::file::{self, Durability};

use crate::attach::end_of_run;
use crate::container::handle::Container;
use crate::container::record::{HEALTH_VERSION, HealthFile, Probe, State, Status};
use crate::container::{AttachOptions, ExecOptions};
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use crate::session::{AttachedReader, Event, Output};

pub(crate) use check::Check;

/// Probes that run at once, of all containers; the others wait.
pub(crate) const PROBES_MAX: usize = 32;
/// Bytes of a probe's output that are kept.
const OUTPUT_MAX: usize = 4096;
/// How long a monitor may take to tell of the end of a probe it has killed.
const GRACE: Duration = Duration::from_secs(30);
/// Largest file read back: five outputs, each byte escaped.
const FILE_MAX: u64 = 256 << 10;
const FILE: &str = "health.json";

/// One run of a container that is probed.
struct Watched {
    engine: Engine,
    container: Arc<Container>,
    check: Check,
    /// Pid of the init of this run.
    run: i32,
}

impl Engine {
    /// Begins to probe a run that has just begun, or was just adopted, if it has a check.
    pub(crate) fn watch_health(&self, container: &Arc<Container>) {
        let Some(check) = container.with(|r| Check::of(&r.resolved)) else {
            return;
        };
        let ended = end_of_run(container);
        let watched = Watched {
            engine: self.clone(),
            container: Arc::clone(container),
            check,
            run: container.state().pid,
        };
        self.inner.runtime.spawn(async move {
            tokio::select! {
                () = ended.seen() => {}
                () = watched.circle() => {}
            }
        });
    }

    /// What an earlier engine found out about the run that goes on.
    pub(crate) fn adopt_health(&self, container: &Container) {
        let read = file::read_bounded(&self.health_file(&container.id), FILE_MAX).ok();
        let found = read.and_then(|bytes| serde_json::from_slice::<HealthFile>(&bytes).ok());
        container.note(|r| {
            if Check::of(&r.resolved).is_none() {
                return;
            }
            let ours = found.filter(|f| f.version == HEALTH_VERSION && f.pid == r.state.pid);
            r.state.health = Some(ours.map(|f| f.health).unwrap_or_default());
        });
    }

    fn health_file(&self, id: &str) -> PathBuf {
        self.inner.paths.run(id).join(FILE)
    }
}

impl Watched {
    async fn circle(&self) {
        let state = self.container.state();
        let health = state.health.as_ref();
        let mut pause = self
            .check
            .rest_of_pause(health, state.started_at_ns, unix_ns());
        loop {
            sleep(pause).await;
            pause = self.turn().await;
        }
    }

    /// Probes once; says how long to pause.
    async fn turn(&self) -> Duration {
        // Never closed: it lives as long as the engine.
        let _permit = self.engine.inner.probes.acquire().await;
        if let Some(probe) = self.probe().await {
            self.record(probe);
        }
        let state = self.container.state();
        self.check
            .pause(state.health.as_ref(), state.started_at_ns, unix_ns())
    }

    /// Whether a probe means something: its end may be that of the container, which takes every
    /// process along.
    fn is_this_run(&self, state: &State) -> bool {
        state.status == Status::Running
            && state.pid == self.run
            && !state.stopped_by_user
            && !self.container.init_has_ended()
    }

    /// Runs the probe; `None` when it says nothing, for the container was paused or has ended.
    async fn probe(&self) -> Option<Probe> {
        let started_at_ns = unix_ns();
        if !self.is_this_run(&self.container.state()) {
            return None;
        }
        let (exit_code, output) = match self.execute().await {
            Ok(ran) => ran,
            Err(error) => (-1, error.to_string()),
        };
        self.is_this_run(&self.container.state()).then(|| Probe {
            started_at_ns,
            ended_at_ns: unix_ns(),
            exit_code,
            output,
        })
    }

    async fn execute(&self) -> Result<(i32, String)> {
        let engine = &self.engine;
        let options = ExecOptions {
            args: self.check.args.clone(),
            attach_stdout: true,
            attach_stderr: true,
            timeout: Some(self.check.timeout),
            ..ExecOptions::default()
        };
        let id = engine.exec_create(&self.container.id, options).await?;
        let _forget = Forget {
            engine,
            id: id.clone(),
        };
        let streams = AttachOptions {
            stdin: false,
            stdout: true,
            stderr: true,
        };
        let attached = engine.exec_start(&id, streams, None).await?;
        // Only a start without streams gives none.
        let Some(attached) = attached else {
            return Err(EngineError::invalid("the probe has no output"));
        };
        let (mut reader, _writer) = attached.split();
        let mut kept = Kept::default();
        let limit = self.check.timeout.saturating_add(GRACE);
        let exit = timeout(limit, read(&mut reader, &mut kept)).await;
        Ok(match exit.ok().flatten() {
            Some((code, false)) => (code, kept.text()),
            _ => {
                let (limit, output) = (self.check.timeout, kept.text());
                (
                    -1,
                    format!("Health check exceeded timeout ({limit:?}): {output}"),
                )
            }
        })
    }

    fn record(&self, probe: Probe) {
        let mut file = None;
        let mut changed = None;
        self.container.note(|r| {
            let state = &mut r.state;
            if !self.is_this_run(state) {
                return;
            }
            let health = state.health.get_or_insert_default();
            let before = health.status;
            self.check.judge(health, probe, state.started_at_ns);
            changed = (health.status != before).then_some(health.status);
            file = Some(HealthFile {
                version: HEALTH_VERSION,
                pid: self.run,
                health: health.clone(),
            });
        });
        if let Some(file) = file {
            self.write(&file);
        }
        if let Some(status) = changed {
            let action = format!("health_status: {}", status.as_str());
            self.engine.emit(&self.container, &action, &[]);
        }
    }

    /// Where it cannot be written the next engine begins anew.
    fn write(&self, file: &HealthFile) {
        let path = self.engine.health_file(&self.container.id);
        let written = serde_json::to_vec(file)
            .map_err(std::io::Error::other)
            .and_then(|bytes| file::replace(&path, &bytes, Durability::Process));
        if let Err(error) = written {
            tracing::debug!(%error, path = %path.display(), "a container's health could not be written");
        }
    }
}

/// Reads a probe's output to its end: exit code, and whether it was killed for its time. `None`
/// when its monitor went without a word.
async fn read(reader: &mut AttachedReader, kept: &mut Kept) -> Option<(i32, bool)> {
    loop {
        match reader.read().await? {
            Event::Output(Output::Stdout(bytes) | Output::Stderr(bytes)) => kept.add(&bytes),
            Event::Output(Output::Exit(_)) => {}
            Event::Exit(record) => return Some((record.code, record.timed_out)),
        }
    }
}

/// The beginning of a probe's output.
#[derive(Debug, Default)]
struct Kept {
    bytes: Vec<u8>,
    cut: bool,
}

impl Kept {
    fn add(&mut self, bytes: &[u8]) {
        let room = OUTPUT_MAX - self.bytes.len();
        self.cut |= bytes.len() > room;
        self.bytes
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn text(&self) -> String {
        let mut text = String::from_utf8_lossy(&self.bytes).into_owned();
        if self.cut {
            text.push_str("...");
        }
        text
    }
}

/// Nobody asks for a probe's session later, and there are many.
struct Forget<'a> {
    engine: &'a Engine,
    id: String,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.engine.inner.execs.forget_one(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::record::Health;

    #[test]
    fn output_is_cut_at_its_bound() {
        let mut kept = Kept::default();
        kept.add(&[b'a'; OUTPUT_MAX - 1]);
        kept.add(b"b");
        assert_eq!(kept.text().len(), OUTPUT_MAX);
        kept.add(b"c");
        kept.add(b"d");
        let text = kept.text();
        assert!(text.ends_with("ab...") && text.len() == OUTPUT_MAX + 3);
    }

    #[test]
    fn what_is_kept_fits_what_is_read_back() {
        let probe = Probe {
            // The longest way a byte can be written.
            output: "\u{1}".repeat(OUTPUT_MAX),
            ..Probe::default()
        };
        let file = HealthFile {
            version: HEALTH_VERSION,
            pid: i32::MAX,
            health: Health {
                log: vec![probe; 5],
                ..Health::default()
            },
        };
        let bytes = serde_json::to_vec(&file).unwrap();
        assert!(u64::try_from(bytes.len()).unwrap() < FILE_MAX);
        let back: HealthFile = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(back.health, file.health);
    }
}
