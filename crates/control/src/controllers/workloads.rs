//! What keeps pods running: ReplicaSets and their kin.
//!
//! ```text
//!   what happens ─► mirror ─► who is concerned ─► queue ─► look (values) ─► work (planner, commits)
//!                                                   ▲                          │
//!                                                   └── when to look again ────┘
//! ```
//!
//! Owns: who is looked at when something changes: the object itself, the controller of what it
//! controls, and for what nobody controls those who select it. One key is with one only; its own
//! writes are seen before it is decided again, so that nothing is made twice. Never: how many pods
//! there are to be, which is the planner's.

mod acts;
mod budget;
mod claim;
mod cron_job;
mod daemon_set;
mod deployment;
mod hash;
mod job;
pub(super) mod pods;
mod replica_set;
mod revisions;
mod stateful_set;

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::Instant;
use weft_keyspace::Revision;

use super::mirror::{Changed, Id, Mirror, controller};
use super::queue::{Outcome, Queue};
use crate::Store;
use crate::failure::{Failure, Reason};
use crate::object::Object;
use crate::selector::Labels;
use crate::store;

/// Most that are worked on at once.
const AT_ONCE: usize = 32;
/// Longest wait for what time brings: clocks are set, and waits do not see it.
const AGAIN_MAX: Duration = Duration::from_secs(60);
/// So many controllers are above one another: who names itself as its own is not followed for ever.
const DEPTH: usize = 2;

/// What is followed: group, plural.
const FOLLOWED: [(&str, &str); 12] = [
    ("", "nodes"),
    ("", "persistentvolumeclaims"),
    ("", "pods"),
    ("", "replicationcontrollers"),
    ("apps", "controllerrevisions"),
    ("apps", "daemonsets"),
    ("apps", "deployments"),
    ("apps", "replicasets"),
    ("apps", "statefulsets"),
    ("batch", "cronjobs"),
    ("batch", "jobs"),
    ("policy", "poddisruptionbudgets"),
];
/// What is worked on: plural, kind, API version, plural of what it controls.
const WORKED: [(&str, &str, &str, &str); 8] = [
    ("cronjobs", "CronJob", "batch/v1", "jobs"),
    ("daemonsets", "DaemonSet", "apps/v1", "pods"),
    ("deployments", "Deployment", "apps/v1", "replicasets"),
    ("jobs", "Job", "batch/v1", "pods"),
    // It counts pods, and controls none.
    (
        "poddisruptionbudgets",
        "PodDisruptionBudget",
        "policy/v1",
        "",
    ),
    (
        "replicationcontrollers",
        "ReplicationController",
        "v1",
        "pods",
    ),
    ("replicasets", "ReplicaSet", "apps/v1", "pods"),
    ("statefulsets", "StatefulSet", "apps/v1", "pods"),
];

/// When it is to be looked at again, if nothing happens.
type Worked = Result<Option<Duration>, Failure>;

struct Workloads {
    store: Store,
    mirror: Mirror,
    queue: Queue<Id>,
    /// Of what is worked on, by its place.
    selectors: HashMap<Id, Arc<Labels>>,
    /// How far deployments have got, and since when: by our own clock, which nobody sets. A server
    /// that begins anew counts anew.
    marks: HashMap<Id, (String, Instant)>,
    /// What was said of objects that is not said again.
    said: HashMap<Id, String>,
    jobs: JoinSet<Outcome>,
    /// Whose they are.
    keys: HashMap<tokio::task::Id, Id>,
}

pub(super) async fn run(store: &Store) -> Infallible {
    super::anew("keeping pods running", || try_run(store)).await
}

async fn try_run(store: &Store) -> Result<Infallible, Failure> {
    let mut workloads = Workloads {
        store: store.clone(),
        mirror: Mirror::begin(store, &FOLLOWED).await?,
        queue: Queue::default(),
        selectors: HashMap::new(),
        marks: HashMap::new(),
        said: HashMap::new(),
        jobs: JoinSet::new(),
        keys: HashMap::new(),
    };
    workloads.begin();
    let Err(failure) = workloads.follow_all().await;
    // What is begun ends before all is looked at anew: else what it still makes would be missed, and
    // made once more.
    while workloads.jobs.join_next().await.is_some() {}
    Err(failure)
}

/// The selector of what is worked on; nothing: it selects nothing.
fn selector(plural: &str, object: &Object) -> Option<Labels> {
    let said = object.at(&["spec", "selector"])?;
    if plural == "poddisruptionbudgets" {
        return store::budget_selector(object);
    }
    let labels = match plural {
        "replicationcontrollers" => Labels::of(&json!({ "matchLabels": said })),
        _ => Labels::of(said),
    };
    labels.ok().filter(|labels| !labels.is_empty())
}

fn generation(object: &Object) -> Option<&Value> {
    object.at(&["metadata", "generation"])
}

impl Workloads {
    async fn follow_all(&mut self) -> Result<Infallible, Failure> {
        loop {
            self.start_due();
            let next_at = self.queue.next_at();
            let wait = async {
                match next_at {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let has_jobs = !self.jobs.is_empty();
            tokio::select! {
                changed = self.mirror.next() => {
                    for one in changed? {
                        self.take(&one);
                    }
                }
                done = self.jobs.join_next_with_id(), if has_jobs => {
                    if let Some(done) = done {
                        self.done(done);
                    }
                }
                () = wait => {}
            }
        }
    }

    /// All there is, as if all of it had just come.
    fn begin(&mut self) {
        let orphans = job::orphans::all(&self.mirror);
        orphans.into_iter().for_each(|id| self.queue.mark(id));
        for (plural, ..) in WORKED {
            let all = self.mirror.all(plural);
            let all: Vec<_> = all
                .map(|(id, object)| (id.clone(), Arc::clone(object)))
                .collect();
            for (id, object) in all {
                self.note(&id, Some(&object));
                self.queue.mark(id);
            }
        }
    }

    /// Keeps its selector in mind.
    fn note(&mut self, id: &Id, object: Option<&Object>) {
        match object.and_then(|object| selector(id.plural, object)) {
            Some(labels) => drop(self.selectors.insert(id.clone(), Arc::new(labels))),
            None => drop(self.selectors.remove(id)),
        }
    }

    fn take(&mut self, changed: &Changed) {
        let id = &changed.id;
        if WORKED.iter().any(|(plural, ..)| *plural == id.plural) {
            self.note(id, changed.new.as_deref());
            let was = changed.old.as_deref().and_then(generation);
            match &changed.new {
                None => {
                    self.queue.forget(id);
                    self.marks.remove(id);
                    self.said.remove(id);
                }
                Some(new) if generation(new) != was => self.queue.renew(id.clone()),
                Some(_) => self.queue.mark(id.clone()),
            }
        }
        if id.plural == "nodes" && daemon_set::is_other(changed) {
            let all: Vec<Id> = self
                .mirror
                .all("daemonsets")
                .map(|(id, _)| id.clone())
                .collect();
            all.into_iter().for_each(|id| self.queue.mark(id));
        }
        let budgets = budget::concerned(&self.mirror, changed, &self.selectors);
        budgets.into_iter().for_each(|id| self.queue.mark(id));
        let orphans = job::orphans::of(&self.mirror, changed);
        orphans.into_iter().for_each(|id| self.queue.mark(id));
        for object in [&changed.old, &changed.new].into_iter().flatten() {
            self.mark_controller(id, object, DEPTH);
        }
        if let Some(new) = changed.new.as_deref()
            && controller(new).is_none()
        {
            self.mark_selecting(id, new);
        }
    }

    /// Who controls it is looked at, and who controls that.
    fn mark_controller(&mut self, id: &Id, object: &Object, depth: usize) {
        let Some(owner) = controller(object) else {
            return;
        };
        let mut worked = WORKED.iter();
        let found = worked
            .find(|(_, kind, version, _)| (*kind, *version) == (owner.kind, owner.api_version));
        let Some((plural, ..)) = found else { return };
        let owner_id = Id::new(plural, &id.namespace, owner.name);
        let Some(found) = self.mirror.get(&owner_id).map(Arc::clone) else {
            return;
        };
        if found.meta().text("uid") == owner.uid {
            // What becomes of a job's pods, its own owner hears of from the job.
            if depth > 1 && *plural != "jobs" {
                self.mark_controller(&owner_id, &found, depth - 1);
            }
            self.queue.mark(owner_id);
        }
    }

    /// Whoever selects what nobody controls may make it their own.
    fn mark_selecting(&mut self, id: &Id, object: &Object) {
        for (plural, _, _, controlled) in WORKED {
            if controlled != id.plural {
                continue;
            }
            for (owner, _) in self.mirror.within(plural, &id.namespace) {
                let selector = self.selectors.get(owner);
                let is_meant =
                    |labels: &Arc<Labels>| labels.matches(|name| object.meta().label(name));
                if selector.is_some_and(is_meant) {
                    self.queue.mark(owner.clone());
                }
            }
        }
    }

    /// Starts work on what is due.
    fn start_due(&mut self) {
        let (seen, now) = (self.mirror.seen(), Instant::now());
        while self.jobs.len() < AT_ONCE {
            let Some(id) = self.queue.take(seen, now) else {
                return;
            };
            if !self.start(&id) {
                let gone = Outcome {
                    written: Revision(0),
                    again: None,
                    has_failed: false,
                };
                self.queue.done(id.clone(), gone, now);
                self.queue.forget(&id);
            }
        }
    }

    /// Whether there is anything to work on.
    fn start(&mut self, id: &Id) -> bool {
        let stalled = self.stalled(id);
        let (cron_job, budget) = (self.cron_job(id), self.budget(id));
        let (store, selector) = (self.store.clone(), self.selectors.get(id));
        let jobs = &mut self.jobs;
        let handle =
            match id.plural {
                "cronjobs" => cron_job
                    .map(|work| jobs.spawn(follow(store.clone(), id.clone(), work.run(store)))),
                "deployments" => {
                    let work = deployment::look(&self.mirror, id, selector, stalled);
                    work.map(|work| jobs.spawn(follow(store.clone(), id.clone(), work.run(store))))
                }
                "daemonsets" => {
                    let work = daemon_set::look(&self.mirror, id, selector);
                    work.map(|work| jobs.spawn(follow(store.clone(), id.clone(), work.run(store))))
                }
                "jobs" => {
                    let work = job::look(&self.mirror, id, selector);
                    work.map(|work| jobs.spawn(follow(store.clone(), id.clone(), work.run(store))))
                }
                "pods" => {
                    let work = job::orphans::look(&self.mirror, id);
                    work.map(|work| jobs.spawn(follow(store.clone(), id.clone(), work.run(store))))
                }
                "poddisruptionbudgets" => budget
                    .map(|work| jobs.spawn(follow(store.clone(), id.clone(), work.run(store)))),
                "statefulsets" => {
                    let work = stateful_set::look(&self.mirror, id, selector);
                    work.map(|work| jobs.spawn(follow(store.clone(), id.clone(), work.run(store))))
                }
                _ => {
                    let work = replica_set::look(&self.mirror, id, selector);
                    work.map(|work| jobs.spawn(follow(store.clone(), id.clone(), work.run(store))))
                }
            };
        let is_some = handle.is_some();
        if let Some(handle) = handle {
            self.keys.insert(handle.id(), id.clone());
        }
        is_some
    }

    fn cron_job(&mut self, id: &Id) -> Option<cron_job::Work> {
        let is_one = id.plural == "cronjobs";
        let mut work = is_one.then(|| cron_job::look(&self.mirror, id)).flatten()?;
        if !self.is_news(id, work.complaint()) {
            work.is_known();
        }
        Some(work)
    }

    fn budget(&mut self, id: &Id) -> Option<budget::Work> {
        let is_one = id.plural == "poddisruptionbudgets";
        let mut work = is_one.then(|| budget::look(&self.mirror, id)).flatten()?;
        if !self.is_news(id, work.complaint()) {
            work.is_known();
        }
        Some(work)
    }

    /// Whether something else was said of it last.
    fn is_news(&mut self, id: &Id, text: String) -> bool {
        match text.is_empty() {
            true => self.said.remove(id).is_some(),
            false => self.said.insert(id.clone(), text.clone()) != Some(text),
        }
    }

    /// How long a deployment has not got on.
    fn stalled(&mut self, id: &Id) -> Duration {
        let object = self.mirror.get(id).filter(|_| id.plural == "deployments");
        let Some(mark) = object.and_then(|object| deployment::mark(object)) else {
            self.marks.remove(id);
            return Duration::ZERO;
        };
        let now = Instant::now();
        let (known, since) = self
            .marks
            .entry(id.clone())
            .or_insert_with(|| (mark.clone(), now));
        if *known != mark {
            (*known, *since) = (mark, now);
        }
        now - *since
    }

    fn done(&mut self, done: Result<(tokio::task::Id, Outcome), tokio::task::JoinError>) {
        let (task, outcome) = match done {
            Ok(done) => done,
            Err(error) => {
                tracing::error!(%error, "work ended before it was done");
                let failed = Outcome {
                    written: Revision(0),
                    again: None,
                    has_failed: true,
                };
                (error.id(), failed)
            }
        };
        if let Some(id) = self.keys.remove(&task) {
            self.queue.done(id, outcome, Instant::now());
        }
    }
}

/// Does the work, and says up to when it has written.
async fn follow(store: Store, id: Id, work: impl Future<Output = Worked> + Send) -> Outcome {
    let done = work.await;
    // Whatever became of its writes: none of them is later than this.
    let written = store.revision().await;
    let (again, has_failed) = match done {
        Ok(again) => (again.map(|again| again.min(AGAIN_MAX)), false),
        // Somebody was faster: it is decided anew from what is then there.
        Err(failure) if failure.reason == Reason::Conflict => (Some(Duration::ZERO), false),
        Err(failure) => {
            tracing::debug!(%id, %failure, "work on it failed, and is done again");
            (None, true)
        }
    };
    Outcome {
        written: written.as_ref().copied().unwrap_or_default(),
        again,
        has_failed: has_failed || written.is_err(),
    }
}

#[cfg(test)]
mod tests;
