//! What is said of a pod: what is there of it, and what is remembered. Pure.

use weft_api::assignment::{Container as Wanted, Pod, Refusal, Restart};
use weft_api::observed::{Container, Ended, Pod as Observed, State};
use weft_driver::{ContainerSeen, PodSeen, RunState};

use crate::decide::{Facts, Last, comes_back};
use crate::memory::Memory;

/// Who observes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Observer<'a> {
    /// As in ids: `weft`.
    pub driver: &'a str,
    /// The address of pods that have the machine's.
    pub host_ip: std::net::IpAddr,
    pub now_ns: i64,
}

pub(crate) fn pod(pod: &Pod, seen: &PodSeen, memory: &Memory, by: Observer<'_>) -> Observed {
    let facts = Facts {
        pod,
        seen,
        memory,
        now_ns: by.now_ns,
    };
    let ready = seen.sandbox.as_ref().filter(|sandbox| sandbox.ready);
    let ip = match pod.sandbox.host_network {
        true => Some(by.host_ip.to_string()),
        false => ready
            .and_then(|sandbox| sandbox.ip)
            .map(|ip| ip.to_string()),
    };
    let all = |list: &[Wanted], part: Part| {
        let list = list.iter();
        list.map(|one| container(facts, one, part, by)).collect()
    };
    Observed {
        id: pod.id.clone(),
        ip,
        started_at_ns: memory.started_at_ns,
        has_sandbox: ready.is_some(),
        init: all(&pod.init, Part::Init),
        containers: all(&pod.containers, Part::Main),
        debug: all(&pod.debug, Part::Debug),
        failed: memory.failed.clone(),
        gone: false,
    }
}

/// Which list of a pod it is in.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Init,
    Main,
    Debug,
}

fn container(facts: Facts<'_, '_>, wanted: &Wanted, part: Part, by: Observer<'_>) -> Container {
    let is_init = part == Part::Init;
    let mut runs: Vec<&ContainerSeen> = facts.seen.containers.iter().collect();
    runs.retain(|one| one.name == wanted.name && one.state != RunState::Made);
    runs.sort_by_key(|one| one.attempt);
    let newest = runs.last().copied();
    let before = runs.iter().rev().nth(1).copied();
    let memory = facts.memory.container(&wanted.name);
    let health = memory.map(|memory| &memory.health);
    let mut told = Container {
        name: wanted.name.clone(),
        image: wanted.image.clone(),
        ..Container::default()
    };
    if let Some(newest) = newest {
        told.image_id.clone_from(&newest.image_id);
        told.container_id = format!("{}://{}", by.driver, newest.id);
        told.restarts = newest.attempt;
        told.last = before.and_then(|one| ended(one, by.driver));
    }
    match facts.last(&wanted.name) {
        Last::Runs(seen) => {
            if let RunState::Running { started_at_ns, .. } = seen.state {
                told.state = State::Running { started_at_ns };
            }
            let health = health.filter(|health| health.id == seen.id);
            told.started = health.is_some_and(|health| health.started);
            told.ready = health.is_some_and(|health| health.ready);
        }
        Last::Never => told.state = waiting(facts, memory, part),
        Last::Ended { attempt, code, .. } => {
            let stillborn = memory.and_then(|memory| memory.stillborn.as_ref());
            let stillborn = stillborn.filter(|(of, _)| *of == attempt);
            let end = match stillborn {
                Some((_, ended)) => Some(ended.clone()),
                None => newest.and_then(|one| ended(one, by.driver)),
            };
            told.restarts = attempt;
            let policy = match (part, wanted.sidecar) {
                (Part::Debug, _) => Restart::Never,
                (_, true) => Restart::Always,
                (_, false) => facts.pod.restart,
            };
            let is_over = facts.memory.failed.is_some() || facts.memory.ending.is_some();
            let again = match is_init && !wanted.sidecar {
                true => code != 0 && comes_back(policy, code),
                false => comes_back(policy, code),
            };
            match (end, memory.and_then(|memory| memory.waiting.clone())) {
                (end, Some(why)) if again && !is_over => {
                    told.last = end;
                    told.state = State::Waiting(why);
                }
                (Some(end), _) => {
                    // An init container that went well is ready for good.
                    told.ready = is_init && code == 0;
                    told.state = State::Ended(end);
                }
                (None, _) => told.state = waiting(facts, memory, part),
            }
        }
    }
    told
}

fn waiting(facts: Facts<'_, '_>, memory: Option<&crate::memory::Container>, part: Part) -> State {
    let own = memory.and_then(|memory| memory.waiting.clone());
    let waits_for_none = match part {
        Part::Init => facts.pod.init.len() == 1,
        Part::Main => facts.pod.init.is_empty(),
        Part::Debug => true,
    };
    let reason = match waits_for_none || facts.pod.init.is_empty() {
        true => "ContainerCreating",
        false => "PodInitializing",
    };
    State::Waiting(own.unwrap_or_else(|| Refusal {
        reason: reason.to_owned(),
        message: String::new(),
    }))
}

fn ended(seen: &ContainerSeen, driver: &str) -> Option<Ended> {
    let RunState::Ended {
        started_at_ns,
        finished_at_ns,
        code,
        oom_killed,
        error,
    } = &seen.state
    else {
        return None;
    };
    let reason = match (oom_killed, code) {
        (true, _) => "OOMKilled",
        (false, 0) => "Completed",
        (false, _) => "Error",
    };
    Some(Ended {
        code: *code,
        reason: reason.to_owned(),
        message: error.clone(),
        started_at_ns: *started_at_ns,
        finished_at_ns: *finished_at_ns,
        container_id: format!("{driver}://{}", seen.id),
    })
}
