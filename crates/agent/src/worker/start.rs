//! Starting a container: its volumes, its image, its variables, its hook; and what is remembered when
//! one of them fails.

use std::sync::Arc;

use weft_api::assignment::{Action, Container, Pod, Refusal};
use weft_api::observed::Ended;
use weft_driver::{Driver, Failure, ImageError, PodSeen, RunState, Start};

use super::{Turn, Worker};
use crate::env;
use crate::marks::Stillborn;
use crate::memory::{SECOND, doubled};
use crate::probe::{self, Target};

/// Whether the container of this name runs.
fn runs(seen: &PodSeen, name: &str) -> bool {
    let mut all = seen.containers.iter();
    all.any(|one| one.name == name && matches!(one.state, RunState::Running { .. }))
}

impl<D: Driver> Worker<D> {
    pub(super) async fn start(
        &mut self,
        pod: &Pod,
        seen: &PodSeen,
        one: &Container,
        attempt: u32,
    ) -> Turn<()> {
        if !self.prepare(pod, seen) {
            return Turn::Otherwise;
        }
        if let Some(why) = self.unmade(pod, one) {
            self.hold(one, why);
            return Turn::Done(());
        }
        if let Some(why) = &one.refused {
            self.hold(one, why.clone());
            return Turn::Done(());
        }
        if let Some(target) = &one.joins
            && !runs(seen, target)
        {
            let why = Refusal {
                reason: "CreateContainerConfigError".to_owned(),
                message: format!("unable to find target container {target:?}: it does not run"),
            };
            self.hold(one, why);
            return Turn::Done(());
        }
        let image_id = match self.image(pod, one).await {
            Turn::Otherwise => return Turn::Otherwise,
            Turn::Done(None) => return Turn::Done(()),
            Turn::Done(Some(id)) => id,
        };
        let started = self
            .start_container(pod, seen, one, attempt, &image_id)
            .await;
        match started {
            Ok(id) => {
                let memory = self.memory.containers.entry(one.name.clone()).or_default();
                memory.waiting = None;
                memory.stillborn = None;
                memory.pulls_failed = 0;
                memory.doomed = None;
                self.forget_change(&one.name);
                let message = format!("Created container: {}", one.name);
                self.tell(Some(&one.name), false, "Created", &message);
                let message = format!("Started container {}", one.name);
                self.tell(Some(&one.name), false, "Started", &message);
                self.clear(seen, one, attempt).await;
                if let Some(hook) = &one.post_start {
                    return self.after_start(pod, seen, one, id, hook).await;
                }
            }
            Err(failure) if failure.is_config => {
                let why = Refusal {
                    reason: "CreateContainerConfigError".to_owned(),
                    message: failure.message,
                };
                self.hold(one, why);
            }
            Err(failure) => self.stillborn(one, attempt, failure),
        }
        Turn::Done(())
    }

    async fn start_container(
        &self,
        pod: &Pod,
        seen: &PodSeen,
        one: &Container,
        attempt: u32,
        image_id: &str,
    ) -> Result<String, Failure> {
        let facts = env::Facts {
            pod_ip: self.address(pod, seen),
            host_ip: self.node.address,
            node: &self.node.name,
        };
        let env = env::resolve(&one.env, &facts);
        let expand = |texts: &Vec<String>| -> Vec<String> {
            let value = |name: &str| {
                let found = env.iter().find(|(known, _)| known == name);
                found.map(|(_, value)| value.clone())
            };
            texts.iter().map(|text| env::expand(text, value)).collect()
        };
        let mut container = one.clone();
        container.command = one.command.as_ref().map(expand);
        container.args = one.args.as_ref().map(expand);
        let config = |error: crate::volumes::VolumeError| Failure {
            message: error.to_string(),
            is_config: true,
        };
        let mut mounts = self.files.mounts(pod, one, &env).map_err(config)?;
        let message = self
            .files
            .make_message(&one.name, attempt)
            .map_err(config)?;
        if !mounts.iter().any(|mount| mount.target == one.message_path) {
            mounts.push(weft_driver::Mounted {
                source: weft_driver::Source::Path(message),
                subpath: String::new(),
                target: one.message_path.clone(),
                read_only: false,
                propagation: weft_api::assignment::Propagation::Private,
            });
        }
        let start = Start {
            pod,
            container: &container,
            attempt,
            image_id,
            env,
            mounts,
        };
        self.driver.start(start).await
    }

    /// A start that came to nothing counts as a run that ended at once.
    fn stillborn(&mut self, one: &Container, attempt: u32, failure: Failure) {
        let now = (self.node.clock)();
        self.marks.stillborn(
            &one.name,
            &Stillborn {
                attempt,
                at_ns: now,
                message: failure.message.clone(),
            },
        );
        let memory = self.memory.containers.entry(one.name.clone()).or_default();
        let ended = Ended {
            code: 128,
            reason: "StartError".to_owned(),
            message: failure.message.clone(),
            started_at_ns: now,
            finished_at_ns: now,
            ..Ended::default()
        };
        memory.stillborn = Some((attempt, ended));
        memory.waiting = Some(Refusal {
            reason: "RunContainerError".to_owned(),
            message: failure.message.clone(),
        });
        let message = format!("Error: {}", failure.message);
        self.tell(Some(&one.name), true, "Failed", &message);
    }

    /// Something has to change first: it is looked at again then, and from time to time.
    fn hold(&mut self, one: &Container, why: Refusal) {
        let memory = self.memory.containers.entry(one.name.clone()).or_default();
        let is_new = memory.waiting.as_ref() != Some(&why);
        memory.waiting = Some(why.clone());
        memory.not_before_ns = (self.node.clock)() + 10 * SECOND;
        if is_new {
            let message = format!("Error: {}", why.message);
            self.tell(Some(&one.name), true, "Failed", &message);
        }
    }

    /// Its image, once it is here.
    async fn image(&mut self, pod: &Pod, one: &Container) -> Turn<Option<String>> {
        let driver = Arc::clone(&self.driver);
        let began = std::time::Instant::now();
        if one.pull == weft_api::assignment::Pull::Always {
            let message = format!("Pulling image {:?}", one.image);
            self.tell(Some(&one.name), false, "Pulling", &message);
        }
        let getting = driver.image(&one.image, one.pull, &pod.credentials);
        let got = match self.unless_otherwise(getting).await {
            Turn::Otherwise => return Turn::Otherwise,
            Turn::Done(got) => got,
        };
        let error = match got {
            Ok((id, was_fetched)) => {
                let message = match was_fetched {
                    true => format!(
                        "Successfully pulled image {:?} in {:.3}s",
                        one.image,
                        began.elapsed().as_secs_f64()
                    ),
                    false => format!("Container image {:?} already present on machine", one.image),
                };
                self.tell(Some(&one.name), false, "Pulled", &message);
                return Turn::Done(Some(id));
            }
            Err(error) => error,
        };
        let memory = self.memory.containers.entry(one.name.clone()).or_default();
        memory.pulls_failed += 1;
        let (first, later) = match &error {
            ImageError::NeverPulled(_) => ("ErrImageNeverPull", "ErrImageNeverPull"),
            ImageError::Name(..) => ("InvalidImageName", "InvalidImageName"),
            ImageError::Pull(_) => ("ErrImagePull", "ImagePullBackOff"),
        };
        let wait_s = doubled(memory.pulls_failed + 1);
        memory.not_before_ns = (self.node.clock)() + i64::try_from(wait_s).unwrap_or(0) * SECOND;
        let message = error.to_string();
        let is_first = memory.pulls_failed == 1;
        memory.waiting = Some(match is_first {
            true => Refusal {
                reason: first.to_owned(),
                message: message.clone(),
            },
            false => Refusal {
                reason: later.to_owned(),
                message: format!("Back-off pulling image {:?}: {message}", one.image),
            },
        });
        let failed = format!("Failed to pull image {:?}: {message}", one.image);
        self.tell(Some(&one.name), true, "Failed", &failed);
        if !is_first {
            let message = format!("Back-off pulling image {:?}", one.image);
            self.tell(Some(&one.name), false, "BackOff", &message);
        }
        Turn::Done(None)
    }

    /// Removes the runs of a container before the last one, whose log is still asked for.
    async fn clear(&mut self, seen: &PodSeen, one: &Container, attempt: u32) {
        self.files
            .clear_messages(&one.name, attempt.saturating_sub(1));
        let old = seen.containers.iter();
        let old = old.filter(|seen| seen.name == one.name && seen.attempt + 1 < attempt);
        for seen in old {
            if let Err(error) = self.driver.remove(&seen.id).await {
                tracing::warn!(%error, id = seen.id, "an old container could not be removed");
            }
        }
    }

    async fn after_start(
        &mut self,
        pod: &Pod,
        seen: &PodSeen,
        one: &Container,
        id: String,
        hook: &Action,
    ) -> Turn<()> {
        let driver = Arc::clone(&self.driver);
        let target = Target {
            id: id.clone(),
            ip: self.address(pod, seen),
        };
        let acting = probe::act(&*driver, hook, &target, u32::MAX);
        match self.unless_ending(acting).await {
            Turn::Otherwise => Turn::Otherwise,
            Turn::Done(Ok(())) => Turn::Done(()),
            Turn::Done(Err(why)) => {
                let message = format!("PostStartHook failed: {why}");
                self.tell(Some(&one.name), true, "FailedPostStartHook", &message);
                let memory = self.memory.containers.entry(one.name.clone()).or_default();
                memory.doomed = Some((id, "FailedPostStartHook".to_owned()));
                Turn::Done(())
            }
        }
    }
}
