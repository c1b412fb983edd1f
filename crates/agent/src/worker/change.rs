//! What follows when a file that a template made becomes another: nothing, a signal, a restart.
//!
//! ```text
//!   made anew ─► kept in mind, on disk, too ─► written ─► wait: chance's share of the splay
//!                                                      ─► signal ─► forgotten
//!                                                      ─► asked to end ─► started ─► forgotten
//! ```
//! Killed at any point, the next agent goes on from there: with what is on disk, or by finding that
//! the file is not what it should be.

use std::collections::BTreeMap;

use weft_api::assignment::{Change as Asked, Container, Mount, Pod, Refusal, Restart, Volume};
use weft_driver::{ContainerSeen, Driver, PodSeen, RunState};

use super::Worker;
use crate::decide::Stop;
use crate::memory::Change;
use crate::templates::{self, viewers};
use crate::volumes::Changed;

impl<D: Driver> Worker<D> {
    /// Before files are written: what is to be done to containers that run and see them.
    pub(super) fn note_changes(&mut self, pod: &Pod, seen: &PodSeen, changed: &[Changed]) {
        for file in changed {
            let viewers: Vec<&Container> = viewers(pod, &file.volume)
                .filter(|one| sees(one, file) && stays(pod, one))
                .collect();
            for one in viewers {
                if let Some(run) = running(seen, &one.name) {
                    self.note_change(pod, one, run, file);
                }
            }
        }
    }

    fn note_change(&mut self, pod: &Pod, one: &Container, run: &ContainerSeen, file: &Changed) {
        let name = &file.template;
        let changed = format!("Template {name} changed");
        let (restart, signal) = match &file.change {
            Asked::Nothing => {
                let message = format!("{changed}, nothing is done to container {}", one.name);
                return self.tell(Some(&one.name), false, "TemplateChanged", &message);
            }
            Asked::Restart if pod.restart == Restart::Never && !one.sidecar => {
                let message = format!(
                    "{changed}, container {} is not restarted: restartPolicy is Never; use \
                     OnFailure or Always, or change mode noop or signal",
                    one.name
                );
                return self.tell(Some(&one.name), true, "TemplateChanged", &message);
            }
            Asked::Restart => (true, None),
            Asked::Signal(signal) => (false, Some(signal.clone())),
        };
        let message = match &signal {
            None => format!("{changed}, container {} will be restarted", one.name),
            Some(signal) => format!("{changed}, container {} will get {signal}", one.name),
        };
        let now_ns = (self.node.clock)();
        let memory = self.memory.containers.entry(one.name.clone()).or_default();
        let fresh = memory.change_of(run.attempt).is_none();
        if fresh {
            memory.change = Some(Change {
                attempt: run.attempt,
                at_ns: now_ns.saturating_add(share(file.splay_ms)),
                ..Change::default()
            });
        }
        if let Some(change) = &mut memory.change {
            change.restart |= restart;
            change.signals.extend(signal);
            change.template.clone_from(name);
            let kept = change.kept();
            self.keep(&one.name, Some(&kept));
        }
        self.tell(Some(&one.name), false, "TemplateChanged", &message);
    }

    /// What is wrong with templates is told once to those that run with what was made before.
    pub(super) fn note_broken(
        &mut self,
        pod: &Pod,
        seen: &PodSeen,
        broken: BTreeMap<String, String>,
    ) {
        for (volume, why) in &broken {
            if self.memory.broken.get(volume) == Some(why) || !self.files.has(volume) {
                continue;
            }
            let viewers: Vec<&Container> = viewers(pod, volume).collect();
            for one in viewers {
                if running(seen, &one.name).is_some() {
                    let message = format!("{why}; volume {volume} stays as it was until then");
                    self.tell(Some(&one.name), true, "TemplateFailed", &message);
                }
            }
        }
        self.memory.broken = broken;
    }

    /// Why a container cannot be started: a template was never made into a file for it.
    pub(super) fn unmade(&self, pod: &Pod, one: &Container) -> Option<Refusal> {
        let mut mounts = one.mounts.iter();
        let unmade = mounts.find(|mount| {
            let volume = pod.volumes.get(&mount.volume);
            let is_made_here = volume.is_some_and(|volume| match volume {
                Volume::Files { files } => templates::of(files).next().is_some(),
                _ => false,
            });
            is_made_here && !self.files.has(&mount.volume)
        })?;
        let why = self.memory.broken.get(&unmade.volume);
        let message = match why {
            Some(why) => why.clone(),
            None => "templates wait until this node knows the services there are".to_owned(),
        };
        Some(Refusal {
            reason: "CreateContainerConfigError".to_owned(),
            message,
        })
    }

    /// Sends a container the signals its files ask for.
    pub(super) async fn signal(&mut self, id: &str, name: &str) {
        let change = self.memory.container(name);
        let change = change.and_then(|memory| memory.change.clone());
        for signal in change.iter().flat_map(|change| &change.signals) {
            if let Err(error) = self.driver.signal(id, signal).await {
                let message = format!("send {signal} to container {name}: {}", error.message);
                self.tell(Some(name), true, "TemplateSignalFailed", &message);
            }
        }
        self.forget_change(name);
    }

    /// Takes note that containers are asked to end for a file's sake, before they are.
    pub(super) fn begin_changes(&mut self, seen: &PodSeen, these: &[Stop<'_>]) {
        if self.memory.ending.is_some() {
            return;
        }
        let now_ns = (self.node.clock)();
        for stop in these {
            let run = seen.containers.iter().find(|run| run.id == stop.id);
            let memory = self.memory.containers.get_mut(stop.name);
            let (Some(run), Some(memory)) = (run, memory) else {
                continue;
            };
            let is_due = |change: &Change| {
                change.attempt == run.attempt && change.restart && change.at_ns <= now_ns
            };
            let Some(change) = memory.change.as_mut().filter(|change| is_due(change)) else {
                continue;
            };
            // One run less that counts when it is found out how long the next one waits.
            if !change.begun {
                memory.forgiven += 1;
            }
            change.begun = true;
            memory.waiting = Some(Refusal {
                reason: "TemplateChanged".to_owned(),
                message: stop.why.clone().unwrap_or_default(),
            });
            let kept = change.kept();
            self.keep(stop.name, Some(&kept));
        }
    }

    /// A new run has the new files.
    pub(super) fn forget_change(&mut self, name: &str) {
        let memory = self.memory.containers.get_mut(name);
        if memory.and_then(|memory| memory.change.take()).is_some() {
            self.keep(name, None);
        }
    }

    fn keep(&self, name: &str, change: Option<&str>) {
        if let Err(error) = self.files.keep_change(name, change) {
            tracing::warn!(%error, container = name, "what is to be done to it is not on disk");
        }
    }
}

fn running<'a>(seen: &'a PodSeen, name: &str) -> Option<&'a ContainerSeen> {
    let mut all = seen.containers.iter();
    all.find(|one| one.name == name && matches!(one.state, RunState::Running { .. }))
}

/// Init containers that end by themselves are left alone.
fn stays(pod: &Pod, one: &Container) -> bool {
    one.sidecar || pod.containers.iter().any(|other| other.name == one.name)
}

fn sees(one: &Container, file: &Changed) -> bool {
    let has = |mount: &Mount| {
        let below = file.path.strip_prefix(&*mount.subpath);
        let below = below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        mount.volume == file.volume && (mount.subpath.is_empty() || mount.expand || below)
    };
    one.mounts.iter().any(has)
}

/// Chance's share of a splay, in nanoseconds.
fn share(splay_ms: u64) -> i64 {
    let mut random = [0; 8];
    weft_stdx::id::fill_random(&mut random);
    let most = splay_ms.saturating_mul(1_000_000);
    let share = u64::from_le_bytes(random) % most.saturating_add(1).max(1);
    i64::try_from(share).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_sees_a_file_is_touched() {
        let file = Changed {
            volume: "v".to_owned(),
            path: "d/a.conf".to_owned(),
            template: "m/a".to_owned(),
            change: Asked::Restart,
            splay_ms: 0,
        };
        for (volume, subpath, is_seen) in [
            ("v", "", true),
            ("v", "d", true),
            ("v", "d/a.conf", true),
            ("v", "d/a", false),
            ("v", "e", false),
            ("w", "", false),
        ] {
            let one = Container {
                mounts: vec![Mount {
                    volume: volume.to_owned(),
                    subpath: subpath.to_owned(),
                    ..Mount::default()
                }],
                ..Container::default()
            };
            assert_eq!(sees(&one, &file), is_seen, "{volume} {subpath}");
        }
    }

    #[test]
    fn a_share_is_within_the_splay() {
        assert_eq!(share(0), 0);
        for _ in 0..100 {
            assert!((0..=5_000_000).contains(&share(5)));
        }
        assert!(share(u64::MAX) >= 0);
    }
}
