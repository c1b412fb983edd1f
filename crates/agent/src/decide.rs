//! What a pod needs next. Pure: the pod as it is wanted, what is there of it, what is remembered and
//! the time in; one step out.
//!
//! ```text
//!   sandbox ─► those that look around, once each
//!           ─► init containers, one after the other ─► containers, all at once
//!                  └ those that stay: started, then the next        │
//!                                                                   ▼
//!   over (all have ended, failed, unwanted) ─► containers end ─► those that stay, last first
//!                                           ─► sandbox ends ─► unwanted: all of it is removed
//! ```

use weft_api::assignment::{Container, Pod, Refusal, Restart};
use weft_driver::{ContainerSeen, PodSeen, RunState};

use crate::disk;
use crate::memory::{Change, Memory, SECOND};

/// What the end of a run counts as that was asked for, and went well: SIGTERM's. With 0 a pod might be over.
const ASKED: i32 = 143;

/// What is done next.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step<'a> {
    /// Make what its containers share.
    Sandbox,
    /// Start these, each after its image is there.
    Start(Vec<(&'a Container, u32)>),
    /// End these, with the time they get; and why, if it is told.
    Stop(Vec<Stop<'a>>),
    /// Send it what its changed files ask for.
    Signal { id: &'a str, name: &'a str },
    /// Give back what its containers shared.
    StopSandbox,
    /// Remove all of it.
    Remove,
    /// It has failed.
    Fail(Refusal),
    /// Nothing, until then or until something happens.
    Wait(Option<i64>),
}

/// A container that is to end.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Stop<'a> {
    pub id: &'a str,
    pub name: &'a str,
    pub grace_s: u64,
    /// Its hook is run before; not when it is ended because it is another by now.
    pub why: Option<String>,
}

/// How a container's last run stands, or what it led to without a container.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Last<'a> {
    Never,
    Runs(&'a ContainerSeen),
    Ended { attempt: u32, code: i32, at_ns: i64 },
}

/// All there is to decide by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a, 'm> {
    pub pod: &'a Pod,
    pub seen: &'a PodSeen,
    pub memory: &'m Memory,
    pub now_ns: i64,
}

impl<'a> Facts<'a, '_> {
    /// The newest run of the container `name`.
    pub fn last(&self, name: &str) -> Last<'a> {
        // One that did not start is left of a start that was cut short: it is made again.
        let of_name = self.seen.containers.iter();
        let of_name = of_name.filter(|one| one.name == name && one.state != RunState::Made);
        let newest = of_name.max_by_key(|one| (one.attempt, one.created_at_ns));
        let stillborn = self.memory.container(name);
        let stillborn = stillborn.and_then(|one| one.stillborn.as_ref());
        if let Some((attempt, ended)) = stillborn
            && newest.is_none_or(|one| one.attempt < *attempt)
        {
            return Last::Ended {
                attempt: *attempt,
                code: ended.code,
                at_ns: ended.finished_at_ns,
            };
        }
        match newest {
            None => Last::Never,
            Some(one) => match &one.state {
                RunState::Running { .. } | RunState::Made => Last::Runs(one),
                RunState::Ended {
                    code,
                    finished_at_ns,
                    ..
                } => Last::Ended {
                    attempt: one.attempt,
                    code: match self.is_asked(one) && *code == 0 {
                        true => ASKED,
                        false => *code,
                    },
                    at_ns: *finished_at_ns,
                },
            },
        }
    }

    /// Whether it was asked to end because a file has changed.
    fn is_asked(&self, one: &ContainerSeen) -> bool {
        let memory = self.memory.container(&one.name);
        memory.is_some_and(|memory| memory.is_asked(one.attempt))
    }

    /// Whether it has ended since what the pod's containers share was made last.
    fn is_of_now(&self, at_ns: i64) -> bool {
        let sandbox = self.seen.sandbox.as_ref();
        sandbox.is_none_or(|sandbox| at_ns >= sandbox.started_at_ns)
    }

    /// All containers have ended, and none is started again.
    pub fn is_complete(&self) -> bool {
        let mut containers = self.pod.containers.iter();
        containers.all(|one| match self.last(&one.name) {
            Last::Ended { code, .. } => !comes_back(self.pod.restart, code),
            _ => false,
        })
    }

    fn grace_s(&self) -> u64 {
        match self.memory.ending {
            Some((grace_s, since_ns)) => {
                let gone = u64::try_from((self.now_ns - since_ns) / SECOND).unwrap_or(0);
                grace_s.saturating_sub(gone)
            }
            None if disk::is_eviction(self.memory.failed.as_ref()) => {
                self.pod.grace_s.min(disk::GRACE_S)
            }
            None => self.pod.grace_s,
        }
    }

    fn running(&self) -> impl Iterator<Item = &'a ContainerSeen> {
        let all = self.seen.containers.iter();
        all.filter(|one| matches!(one.state, RunState::Running { .. }))
    }
}

/// Whether a container is started again that has ended so.
pub(crate) fn comes_back(policy: Restart, code: i32) -> bool {
    match policy {
        Restart::Always => true,
        Restart::OnFailure => code != 0,
        Restart::Never => false,
    }
}

/// The next step. `unwanted`: the pod is to be gone.
pub(crate) fn decide<'a>(facts: Facts<'a, '_>, unwanted: bool) -> Step<'a> {
    let Facts { pod, memory, .. } = facts;
    if unwanted || memory.failed.is_some() || facts.is_complete() {
        return end(facts, unwanted);
    }
    if let Some(refusal) = &pod.refused {
        return Step::Fail(refusal.clone());
    }
    let deadline = pod.active_deadline_s.map(|seconds| {
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX / SECOND);
        memory
            .started_at_ns
            .saturating_add(seconds.saturating_mul(SECOND))
    });
    if deadline.is_some_and(|at| facts.now_ns >= at) {
        return Step::Fail(Refusal {
            reason: "DeadlineExceeded".to_owned(),
            message: "Pod was active on the node longer than the specified deadline".to_owned(),
        });
    }
    if let Some(why) = &memory.exceeds {
        return Step::Fail(why.clone());
    }
    match go_on(facts) {
        Step::Wait(at) => Step::Wait(at.into_iter().chain(deadline).min()),
        step => step,
    }
}

fn go_on<'a>(facts: Facts<'a, '_>) -> Step<'a> {
    let Facts {
        pod, seen, memory, ..
    } = facts;
    if let Some((_, until)) = &memory.stuck
        && facts.now_ns < *until
    {
        return Step::Wait(Some(*until));
    }
    let is_ready = seen.sandbox.as_ref().is_some_and(|sandbox| sandbox.ready);
    if !is_ready {
        // What ran in one that is gone cannot be reached any more.
        let left: Vec<_> = facts.running().map(|one| stop(one, 0, None)).collect();
        return match left.is_empty() {
            true => Step::Sandbox,
            false => Step::Stop(left),
        };
    }
    let mut wake = Wake::default();
    // Whoever looks around does so above all where the others do not come to run.
    let debug = pod.debug.iter();
    let debug: Vec<_> = debug
        .filter(|one| is_to_look(facts, one, &mut wake))
        .map(|one| (one, 0))
        .collect();
    if !debug.is_empty() {
        return Step::Start(debug);
    }
    let is_past_init = pod
        .containers
        .iter()
        .any(|one| match facts.last(&one.name) {
            Last::Never => false,
            Last::Runs(_) => true,
            Last::Ended { at_ns, .. } => facts.is_of_now(at_ns),
        });
    let mut starts = Vec::new();
    for one in &pod.init {
        match init(facts, one, is_past_init, &mut wake) {
            Turn::Next => {}
            Turn::Start(attempt) => {
                starts.push((one, attempt));
                if !is_past_init {
                    return Step::Start(starts);
                }
            }
            Turn::Wait => return Step::Wait(wake.0),
            Turn::Step(step) => return step,
        }
    }
    for one in &pod.containers {
        match run(facts, one, &mut wake) {
            Turn::Next | Turn::Wait => {}
            Turn::Start(attempt) => starts.push((one, attempt)),
            Turn::Step(step) => return step,
        }
    }
    match starts.is_empty() {
        true => Step::Wait(wake.0),
        false => Step::Start(starts),
    }
}

/// Whether one that is put in to look around is started now: it runs once.
fn is_to_look(facts: Facts<'_, '_>, one: &Container, wake: &mut Wake) -> bool {
    if !matches!(facts.last(&one.name), Last::Never) {
        return false;
    }
    let memory = facts.memory.container(&one.name);
    let not_before = memory.map_or(0, |memory| memory.not_before_ns);
    if facts.now_ns < not_before {
        wake.at(not_before);
        return false;
    }
    true
}

/// The soonest of several times.
#[derive(Default)]
struct Wake(Option<i64>);

impl Wake {
    fn at(&mut self, at: i64) {
        self.0 = Some(self.0.map_or(at, |now| now.min(at)));
    }
}

/// What a container means for those after it.
enum Turn<'a> {
    Next,
    Wait,
    Start(u32),
    Step(Step<'a>),
}

fn init<'a>(facts: Facts<'a, '_>, one: &'a Container, past: bool, wake: &mut Wake) -> Turn<'a> {
    if one.sidecar {
        let turn = run_again(facts, one, Restart::Always, wake);
        let has_started = facts
            .memory
            .containers
            .get(&one.name)
            .is_some_and(|memory| memory.health.started);
        return match turn {
            Turn::Next if has_started || past => Turn::Next,
            Turn::Next => Turn::Wait,
            Turn::Wait if past => Turn::Next,
            other => other,
        };
    }
    if past {
        return Turn::Next;
    }
    match facts.last(&one.name) {
        Last::Ended { code: 0, at_ns, .. } if facts.is_of_now(at_ns) => Turn::Next,
        Last::Ended { code, at_ns, .. }
            if facts.is_of_now(at_ns) && facts.pod.restart == Restart::Never =>
        {
            let message = format!("init container {} failed with exit code {code}", one.name);
            Turn::Step(Step::Fail(Refusal {
                reason: "InitContainerFailed".to_owned(),
                message,
            }))
        }
        Last::Runs(_) => Turn::Wait,
        _ => run_again(facts, one, Restart::Always, wake),
    }
}

fn run<'a>(facts: Facts<'a, '_>, one: &'a Container, wake: &mut Wake) -> Turn<'a> {
    run_again(facts, one, facts.pod.restart, wake)
}

fn run_again<'a>(
    facts: Facts<'a, '_>,
    one: &'a Container,
    policy: Restart,
    wake: &mut Wake,
) -> Turn<'a> {
    let memory = facts.memory.container(&one.name);
    let not_before = memory.map_or(0, |memory| memory.not_before_ns);
    let next = match facts.last(&one.name) {
        Last::Never => 0,
        Last::Runs(seen) => {
            let health = memory.map(|memory| &memory.health);
            let unwell = health
                .filter(|health| health.id == seen.id)
                .and_then(|health| health.unwell.clone());
            if let Some((why, grace_s)) = unwell {
                let grace_s = grace_s.unwrap_or(facts.pod.grace_s);
                return Turn::Step(Step::Stop(vec![stop(seen, grace_s, Some(why))]));
            }
            let doomed = memory.and_then(|memory| memory.doomed.as_ref());
            if let Some((_, why)) = doomed.filter(|(id, _)| *id == seen.id) {
                let stop = stop(seen, facts.pod.grace_s, Some(why.clone()));
                return Turn::Step(Step::Stop(vec![stop]));
            }
            if let Some(change) = memory.and_then(|memory| memory.change_of(seen.attempt))
                && let Some(step) = change_due(facts, one, seen, change, wake)
            {
                return Turn::Step(step);
            }
            if seen.hash != one.hash {
                let why = format!(
                    "Container {} definition changed, will be restarted",
                    one.name
                );
                let grace_s = facts.pod.grace_s;
                return Turn::Step(Step::Stop(vec![stop(seen, grace_s, Some(why))]));
            }
            return Turn::Next;
        }
        Last::Ended { code, .. } if !comes_back(policy, code) => return Turn::Next,
        Last::Ended { attempt, at_ns, .. } => {
            let unforgiven = crate::memory::Container::default();
            let wait_s = memory.unwrap_or(&unforgiven).backoff_s(attempt + 1);
            let wait_s = i64::try_from(wait_s).unwrap_or(0);
            let at = at_ns.saturating_add(wait_s.saturating_mul(SECOND));
            if facts.now_ns < at {
                wake.at(at);
                return Turn::Wait;
            }
            attempt + 1
        }
    };
    if facts.now_ns < not_before {
        wake.at(not_before);
        return Turn::Wait;
    }
    Turn::Start(next)
}

/// What a file that has changed asks for, once its time has come.
fn change_due<'a>(
    facts: Facts<'a, '_>,
    one: &'a Container,
    seen: &'a ContainerSeen,
    change: &Change,
    wake: &mut Wake,
) -> Option<Step<'a>> {
    if facts.now_ns < change.at_ns {
        wake.at(change.at_ns);
        return None;
    }
    if !change.restart {
        let (id, name) = (&*seen.id, &*one.name);
        return Some(Step::Signal { id, name });
    }
    let why = match &*change.template {
        "" => format!(
            "A template changed, container {} will be restarted",
            one.name
        ),
        name => format!(
            "Template {name} changed, container {} will be restarted",
            one.name
        ),
    };
    let grace_s = facts.pod.grace_s;
    Some(Step::Stop(vec![stop(seen, grace_s, Some(why))]))
}

fn stop<'a>(seen: &'a ContainerSeen, grace_s: u64, why: Option<String>) -> Stop<'a> {
    Stop {
        id: &seen.id,
        name: &seen.name,
        grace_s,
        why,
    }
}

/// The way to the end: what serves others ends after them.
fn end<'a>(facts: Facts<'a, '_>, unwanted: bool) -> Step<'a> {
    let Facts { pod, seen, .. } = facts;
    let place = |name: &str| {
        let sidecars = pod
            .init
            .iter()
            .position(|one| one.sidecar && one.name == name);
        sidecars.map_or(usize::MAX, |place| place)
    };
    // All containers at once; then those that stay, the last first.
    if let Some(last) = facts.running().map(|one| place(&one.name)).max() {
        let grace_s = facts.grace_s();
        let these = facts.running().filter(|one| place(&one.name) == last);
        let why = |one: &ContainerSeen| Some(format!("Stopping container {}", one.name));
        return Step::Stop(these.map(|one| stop(one, grace_s, why(one))).collect());
    }
    if unwanted {
        return Step::Remove;
    }
    match &seen.sandbox {
        Some(sandbox) if sandbox.ready => Step::StopSandbox,
        _ => Step::Wait(None),
    }
}

#[cfg(test)]
mod tests;
