//! The end of a run: noticing it, releasing what it held, and what its policy says comes next.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use weft_runtime::monitor::record::{EXIT_FILE, ExitRecord, Record as _};
use weft_stdx::clock;
use weft_stdx::file::read_bounded;

use crate::container::Ended;
use crate::container::RemoveOptions;
use crate::container::handle::Container;
use crate::container::record::{HealthStatus, Record, State, Status};
use crate::engine::Engine;
use crate::paths::remove_tree;
use crate::session::Attached;
use crate::spec::RestartPolicy;

/// First wait before a restart by policy; it doubles with each.
const BACKOFF_FIRST: Duration = Duration::from_millis(100);
/// The longest wait.
const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// A run at least this long counts as healthy: the next wait is the first again.
const HEALTHY_NS: i64 = 10_000_000_000;
/// Largest exit record read back.
const EXIT_BYTES_MAX: u64 = 64 << 10;

impl Engine {
    /// Waits, in a task of its own, for the end that `session` will tell.
    pub(crate) fn watch(&self, container: Arc<Container>, session: Attached) {
        let engine = self.clone();
        let runtime = self.inner.runtime.clone();
        runtime.spawn(async move {
            // The writing half stays open: a monitor may take its end for a client gone.
            let (mut reader, _writer) = session.split();
            let told = reader.exit().await;
            engine.ended(&container, told).await;
        });
    }

    /// A run has ended. `told` is `None` when its monitor went without a word.
    pub(crate) async fn ended(&self, container: &Arc<Container>, told: Option<ExitRecord>) {
        let again = {
            let _life = container.life.lock().await;
            self.put_away(container, told).await
        };
        if again {
            self.restart_later(Arc::clone(container));
        } else if container.with(|r| r.spec.auto_remove) {
            let options = RemoveOptions {
                force: true,
                volumes: true,
            };
            // `rm -f` may have come first.
            let removed = self.remove(&container.id, options).await;
            if let Err(error) = removed
                && error.code != crate::ErrorCode::NotFound
            {
                tracing::error!(%error, id = %container.id, "a container of --rm could not be removed");
            }
        }
    }

    /// Releases what the run held, records its end and tells everybody; says whether its policy
    /// wants another. The caller holds the container's life.
    async fn put_away(&self, container: &Arc<Container>, told: Option<ExitRecord>) -> bool {
        let id = container.id.clone();
        let record = self
            .blocking(move |engine| {
                let record = told.unwrap_or_else(|| engine.exit_on_disk(&id));
                engine.release_run(&id);
                record
            })
            .await;
        container.pidfd.lock().expect("no holder panics").take();
        let mut again = false;
        let mut left = Vec::new();
        let end = |r: &mut Record| {
            finish(&mut r.state, &record);
            left = std::mem::take(&mut r.attachments);
            again = wants_restart(r.spec.restart, &r.state, record.code);
            if again {
                r.state.status = Status::Restarting;
            }
        };
        if container.with(|r| r.spec.auto_remove && r.spec.restart == RestartPolicy::No) {
            // Removed next; after a crash in between, adoption finds the run ended and removes.
            container.note(end);
        } else if let Err(error) = self.save(container, end) {
            tracing::error!(%error, id = %container.id, "the end of a container could not be written");
        }
        if record.oom_killed {
            self.emit(container, "oom", &[]);
        }
        self.emit(container, "die", &[("exitCode", record.code.to_string())]);
        self.tell_attached("disconnect", &container.id, &left);
        self.tell_unmounted(container);
        container.report(|p| {
            p.up = again;
            p.exits += 1;
            p.last = Some(Ended {
                code: record.code,
                error: record.error.clone(),
            });
        });
        again
    }

    /// What was written, or that nothing was.
    fn exit_on_disk(&self, id: &str) -> ExitRecord {
        let path = self.inner.paths.container(id).join(EXIT_FILE);
        let read = read_bounded(&path, EXIT_BYTES_MAX).ok();
        read.and_then(|bytes| ExitRecord::from_json(&bytes).ok())
            .unwrap_or_else(|| ExitRecord {
                version: weft_runtime::monitor::record::VERSION,
                pid: 0,
                code: 137,
                signal: Some(9),
                oom_killed: false,
                timed_out: false,
                error: Some("its monitor was killed; the container was stopped with it".into()),
                started_at_ns: 0,
                finished_at_ns: clock::unix_ns(),
                boot_id: clock::boot_id().to_owned(),
            })
    }

    /// Gives back everything a run holds, by id alone. Errors are logged and the rest goes on:
    /// the next start or removal does it again.
    pub(crate) fn release_run(&self, id: &str) {
        if let Err(error) = self.remove_cgroup(id) {
            tracing::warn!(%id, %error, "a control group could not be removed");
        }
        if let Err(error) = self.inner.network.detach(id, None) {
            tracing::warn!(%id, %error, "a container could not be detached from its networks");
        }
        if let Err(error) = remove_tree(&self.inner.paths.run(id)) {
            tracing::warn!(%id, %error, "a run directory could not be removed");
        }
        if let Ok(container) = self.inner.containers.find(id) {
            let base = container.state().id_base;
            if base != 0 && !self.shares_range(id, base) {
                self.inner.ids.give_back(base);
            }
        }
    }

    /// Starts again after the policy's wait, unless a person acts first.
    pub(crate) fn restart_later(&self, container: Arc<Container>) {
        let engine = self.clone();
        let wait = backoff(&container.state());
        self.inner.runtime.spawn(async move {
            let cancelled = container.cancel_restart.notified();
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = cancelled => return,
            }
            let _operation = container.operation.lock().await;
            if container.state().status != Status::Restarting {
                return;
            }
            let _ = engine.save(&container, |r| r.state.restart_count += 1);
            // Boxed: launch watches, a watched end restarts, a restart launches.
            let launch: std::pin::Pin<Box<dyn Future<Output = crate::Result<()>> + Send + '_>> =
                Box::pin(engine.launch(&container));
            if let Err(error) = launch.await {
                tracing::warn!(%error, id = %container.id, "a restart by policy failed");
                let state = container.state();
                let policy = container.with(|r| r.spec.restart);
                if wants_restart(policy, &state, state.exit_code) {
                    let _ = engine.save(&container, |r| r.state.status = Status::Restarting);
                    container.report(|p| p.up = true);
                    engine.restart_later(Arc::clone(&container));
                }
            }
        });
    }

    /// An event about a container, with its name, image and labels as Docker gives them.
    pub(crate) fn emit(&self, container: &Container, action: &str, extra: &[(&str, String)]) {
        let mut attributes: BTreeMap<String, String> = container.with(|r| {
            let mut map = r.resolved.labels.clone();
            map.insert("name".into(), r.name.clone());
            map.insert("image".into(), r.spec.image.clone());
            map
        });
        for (key, value) in extra {
            attributes.insert((*key).to_owned(), value.clone());
        }
        self.inner
            .events
            .emit("container", action, &container.id, attributes);
    }
}

fn finish(state: &mut State, record: &ExitRecord) {
    if state.status != Status::Removing {
        state.status = Status::Exited;
    }
    state.pid = 0;
    state.start_ticks = 0;
    state.monitor_pid = 0;
    state.finished_at_ns = record.finished_at_ns;
    state.exit_code = record.code;
    state.oom_killed = record.oom_killed;
    state.error = record.error.clone().unwrap_or_default();
    state.id_base = 0;
    if let Some(health) = &mut state.health {
        // As Docker has it: nobody looks any more.
        health.status = HealthStatus::Unhealthy;
    }
    if state.finished_at_ns - state.started_at_ns >= HEALTHY_NS {
        state.restart_count = 0;
    }
}

/// Pure: whether the policy starts it again.
pub(crate) fn wants_restart(policy: RestartPolicy, state: &State, code: i32) -> bool {
    if state.stopped_by_user || state.status == Status::Removing {
        return false;
    }
    match policy {
        RestartPolicy::No => false,
        RestartPolicy::Always | RestartPolicy::UnlessStopped => true,
        RestartPolicy::OnFailure { max } => code != 0 && (max == 0 || state.restart_count < max),
    }
}

fn backoff(state: &State) -> Duration {
    let doubled = BACKOFF_FIRST.saturating_mul(1u32 << state.restart_count.min(16));
    doubled.min(BACKOFF_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies() {
        let state = |stopped, count| State {
            stopped_by_user: stopped,
            restart_count: count,
            ..State::default()
        };
        let check = |policy, state: &State, code, expect| {
            assert_eq!(
                wants_restart(policy, state, code),
                expect,
                "{policy:?} {code}"
            );
        };
        check(RestartPolicy::No, &state(false, 0), 1, false);
        check(RestartPolicy::Always, &state(false, 9), 0, true);
        check(RestartPolicy::Always, &state(true, 0), 0, false);
        check(RestartPolicy::UnlessStopped, &state(true, 0), 1, false);
        check(
            RestartPolicy::OnFailure { max: 0 },
            &state(false, 99),
            1,
            true,
        );
        check(
            RestartPolicy::OnFailure { max: 2 },
            &state(false, 1),
            1,
            true,
        );
        check(
            RestartPolicy::OnFailure { max: 2 },
            &state(false, 2),
            1,
            false,
        );
        check(
            RestartPolicy::OnFailure { max: 2 },
            &state(false, 0),
            0,
            false,
        );
    }

    #[test]
    fn waits_double_up_to_a_bound() {
        let wait = |n| {
            backoff(&State {
                restart_count: n,
                ..State::default()
            })
        };
        assert_eq!(wait(0), BACKOFF_FIRST);
        assert_eq!(wait(3), BACKOFF_FIRST * 8);
        assert_eq!(wait(60), BACKOFF_MAX);
    }
}
