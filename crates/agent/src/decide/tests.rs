//! What is decided, step by step, and what holds whatever happens.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use weft_api::assignment::{Container, Pod, Restart};
use weft_driver::{ContainerSeen, PodSeen, RunState, SandboxSeen};

use super::*;
use crate::memory;

fn container(name: &str, sidecar: bool) -> Container {
    Container {
        name: name.to_owned(),
        sidecar,
        ..Container::default()
    }
}

fn pod(init: &[(&str, bool)], containers: &[&str], restart: Restart) -> Pod {
    Pod {
        init: init
            .iter()
            .map(|(name, stays)| container(name, *stays))
            .collect(),
        containers: containers
            .iter()
            .map(|name| container(name, false))
            .collect(),
        restart,
        grace_s: 30,
        ..Pod::default()
    }
}

fn seen(containers: &[(&str, u32, Option<i32>)]) -> PodSeen {
    let one = |(name, attempt, ended): &(&str, u32, Option<i32>)| ContainerSeen {
        id: format!("{name}-{attempt}"),
        name: (*name).to_owned(),
        attempt: *attempt,
        state: match ended {
            None => RunState::Running {
                started_at_ns: 20 * SECOND,
                pid: 7,
            },
            Some(code) => RunState::Ended {
                started_at_ns: 20 * SECOND,
                finished_at_ns: 30 * SECOND,
                code: *code,
                oom_killed: false,
                error: String::new(),
            },
        },
        ..ContainerSeen::default()
    };
    PodSeen {
        sandbox: Some(SandboxSeen {
            ready: true,
            started_at_ns: 10 * SECOND,
            ..SandboxSeen::default()
        }),
        containers: containers.iter().map(one).collect(),
    }
}

/// What is done next, in a few words.
fn next(pod: &Pod, seen: &PodSeen, memory: &Memory, now_s: i64, unwanted: bool) -> String {
    let facts = Facts {
        pod,
        seen,
        memory,
        now_ns: now_s * SECOND,
    };
    match decide(facts, unwanted) {
        Step::Sandbox => "sandbox".to_owned(),
        Step::Start(these) => {
            let these = these
                .iter()
                .map(|(one, attempt)| format!("{}-{attempt}", one.name));
            format!("start {}", these.collect::<Vec<_>>().join(" "))
        }
        Step::Stop(these) => {
            let these = these
                .iter()
                .map(|one| format!("{}/{}", one.id, one.grace_s));
            format!("stop {}", these.collect::<Vec<_>>().join(" "))
        }
        Step::Signal { id, .. } => format!("signal {id}"),
        Step::StopSandbox => "stop sandbox".to_owned(),
        Step::Remove => "remove".to_owned(),
        Step::Fail(why) => format!("fail {}", why.reason),
        Step::Wait(None) => "wait".to_owned(),
        Step::Wait(Some(at)) => format!("wait until {}", at / SECOND),
    }
}

fn started(names: &[&str]) -> Memory {
    let mut memory = Memory::default();
    for name in names {
        let mut one = memory::Container::default();
        one.health.started = true;
        memory.containers.insert((*name).to_owned(), Box::new(one));
    }
    memory
}

#[test]
fn who_looks_around_is_started_once_and_first() {
    let mut pod = pod(&[("a", false)], &["x"], Restart::Always);
    pod.debug = vec![container("d", false)];
    let mut memory = Memory::default();
    for (there, expected) in [
        (&[][..], "start d-0"),
        (&[("a", 0, None)], "start d-0"),
        (&[("a", 0, None), ("d", 0, None)], "wait"),
        (&[("a", 0, Some(0)), ("d", 0, Some(1))], "start x-0"),
        (
            &[("a", 0, Some(0)), ("x", 0, None), ("d", 0, Some(1))],
            "wait",
        ),
    ] {
        let found = next(&pod, &seen(there), &memory, 100, false);
        assert_eq!(found, expected, "{there:?}");
    }
    // What it waits for keeps nobody else waiting.
    let one = memory.containers.entry("d".to_owned()).or_default();
    one.not_before_ns = 110 * SECOND;
    let done = seen(&[("a", 0, Some(0))]);
    assert_eq!(next(&pod, &done, &memory, 100, false), "start x-0");
    let done = seen(&[("a", 0, Some(0)), ("x", 0, None)]);
    assert_eq!(next(&pod, &done, &memory, 100, false), "wait until 110");
    // It ends with the others, and keeps no pod from being over.
    pod.restart = Restart::Never;
    let over = seen(&[("a", 0, Some(0)), ("x", 0, Some(0)), ("d", 0, None)]);
    assert_eq!(next(&pod, &over, &memory, 100, false), "stop d-0/30");
}

#[test]
fn a_pod_comes_up_in_order() {
    let pod = pod(
        &[("a", false), ("s", true), ("b", false)],
        &["x", "y"],
        Restart::Always,
    );
    let none = Memory::default();
    let of = |list: &[(&str, u32, Option<i32>)], memory: &Memory| {
        next(&pod, &seen(list), memory, 40, false)
    };
    assert_eq!(next(&pod, &PodSeen::default(), &none, 40, false), "sandbox");
    assert_eq!(of(&[], &none), "start a-0");
    assert_eq!(of(&[("a", 0, None)], &none), "wait");
    // It failed once: at once again; twice: later.
    assert_eq!(of(&[("a", 0, Some(1))], &none), "start a-1");
    assert_eq!(of(&[("a", 1, Some(1))], &none), "start a-2");
    assert_eq!(of(&[("a", 2, Some(1))], &none), "wait until 50");
    assert_eq!(of(&[("a", 0, Some(0))], &none), "start s-0");
    let up = [("a", 0, Some(0)), ("s", 0, None)];
    assert_eq!(of(&up, &none), "wait");
    assert_eq!(of(&up, &started(&["s"])), "start b-0");
    let all = [("a", 0, Some(0)), ("s", 0, None), ("b", 0, Some(0))];
    assert_eq!(of(&all, &started(&["s"])), "start x-0 y-0");
    // Once they have run, what came first is not run again.
    let running = [("s", 0, Some(1)), ("x", 0, None), ("y", 0, Some(0))];
    assert_eq!(of(&running, &none), "start s-1 y-1");
}

#[test]
fn after_a_new_sandbox_all_begins_anew() {
    let pod = pod(&[("a", false)], &["x"], Restart::Always);
    let mut seen = seen(&[("a", 0, Some(0)), ("x", 3, Some(137))]);
    seen.sandbox.as_mut().unwrap().started_at_ns = 35 * SECOND;
    let none = Memory::default();
    assert_eq!(next(&pod, &seen, &none, 400, false), "start a-1");
    seen.sandbox.as_mut().unwrap().ready = false;
    assert_eq!(next(&pod, &seen, &none, 400, false), "sandbox");
    seen.containers[1].state = RunState::Running {
        started_at_ns: 0,
        pid: 1,
    };
    assert_eq!(next(&pod, &seen, &none, 400, false), "stop x-3/0");
}

#[test]
fn policies_say_what_comes_back() {
    let none = Memory::default();
    for (restart, code, expected) in [
        (Restart::Always, 0, "start x-1"),
        (Restart::OnFailure, 0, "stop sandbox"),
        (Restart::OnFailure, 1, "start x-1"),
        (Restart::Never, 1, "stop sandbox"),
    ] {
        let pod = pod(&[], &["x"], restart);
        let seen = seen(&[("x", 0, Some(code))]);
        assert_eq!(
            next(&pod, &seen, &none, 40, false),
            expected,
            "{restart:?} {code}"
        );
    }
    let never = pod(&[("a", false)], &["x"], Restart::Never);
    let failed = seen(&[("a", 0, Some(2))]);
    assert_eq!(
        next(&never, &failed, &none, 40, false),
        "fail InitContainerFailed"
    );
    let mut late = pod(&[], &["x"], Restart::Always);
    late.active_deadline_s = Some(20);
    let up = seen(&[("x", 0, None)]);
    let began = Memory {
        started_at_ns: 30 * SECOND,
        ..Memory::default()
    };
    assert_eq!(next(&late, &up, &began, 40, false), "wait until 50");
    assert_eq!(next(&late, &up, &began, 50, false), "fail DeadlineExceeded");
}

#[test]
fn what_stays_ends_last_and_the_time_is_one_for_all() {
    let pod = pod(&[("s", true), ("t", true)], &["x", "y"], Restart::Always);
    let ending = Memory {
        ending: Some((30, 40 * SECOND)),
        ..Memory::default()
    };
    let of =
        |list: &[(&str, u32, Option<i32>)], now_s| next(&pod, &seen(list), &ending, now_s, true);
    let up = [
        ("s", 0, None),
        ("t", 0, None),
        ("x", 0, None),
        ("y", 1, None),
    ];
    assert_eq!(of(&up, 40), "stop x-0/30 y-1/30");
    let without = [
        ("s", 0, None),
        ("t", 0, None),
        ("x", 0, Some(0)),
        ("y", 1, Some(0)),
    ];
    assert_eq!(of(&without, 55), "stop t-0/15");
    let last = [("s", 0, None), ("t", 0, Some(0))];
    assert_eq!(of(&last, 90), "stop s-0/0");
    assert_eq!(of(&[("s", 0, Some(0))], 90), "remove");
    assert_eq!(next(&pod, &PodSeen::default(), &ending, 90, true), "remove");
}

#[test]
fn the_unwell_and_the_changed_are_started_again() {
    let mut pod = pod(&[], &["x"], Restart::Always);
    let up = seen(&[("x", 0, None)]);
    let mut memory = started(&["x"]);
    let health = &mut memory.containers.get_mut("x").unwrap().health;
    health.id = "x-0".to_owned();
    health.unwell = Some(("sick".to_owned(), Some(5)));
    assert_eq!(next(&pod, &up, &memory, 40, false), "stop x-0/5");
    // What was found out of another run is nothing to this one.
    memory.containers.get_mut("x").unwrap().health.id = "x-9".to_owned();
    assert_eq!(next(&pod, &up, &memory, 40, false), "wait");
    pod.containers[0].hash = "other".to_owned();
    assert_eq!(next(&pod, &up, &memory, 40, false), "stop x-0/30");
}

/// A node of nothing but numbers: does what is decided, and lets containers end as it likes.
#[derive(Debug)]
struct World {
    seen: PodSeen,
    now_s: i64,
}

impl World {
    fn run(&mut self, name: &str, attempt: u32) {
        let runs = self.seen.containers.iter().filter(|one| one.name == name);
        for one in runs {
            assert!(
                matches!(one.state, RunState::Ended { .. }),
                "{name} runs twice"
            );
            assert!(one.attempt < attempt, "{name} has attempt {attempt} twice");
        }
        self.seen.containers.push(ContainerSeen {
            id: format!("{name}-{attempt}"),
            name: name.to_owned(),
            attempt,
            created_at_ns: self.now_s * SECOND,
            state: RunState::Running {
                started_at_ns: self.now_s * SECOND,
                pid: 1,
            },
            ..ContainerSeen::default()
        });
    }

    fn end(&mut self, id: &str, code: i32) {
        let one = self
            .seen
            .containers
            .iter_mut()
            .find(|one| one.id == id)
            .unwrap();
        one.state = RunState::Ended {
            started_at_ns: 0,
            finished_at_ns: self.now_s * SECOND,
            code,
            oom_killed: false,
            error: String::new(),
        };
    }

    fn running(&self) -> Vec<String> {
        let all = self.seen.containers.iter();
        let up = all.filter(|one| matches!(one.state, RunState::Running { .. }));
        up.map(|one| one.id.clone()).collect()
    }
}

proptest! {
    /// Whatever happens to containers: none runs twice, none of the pod's runs before those that
    /// come first are done, and a pod that nobody wants comes to its end.
    #[test]
    fn a_pod_keeps_its_promises(
        happenings in prop::collection::vec((0..4u8, 0..3i32, 1..400i64), 1..60),
        restart in prop::sample::select(vec![Restart::Always, Restart::OnFailure, Restart::Never]),
    ) {
        let pod = pod(&[("a", false), ("s", true), ("b", false)], &["x", "y"], restart);
        let mut memory = started(&["s"]);
        let mut world = World { seen: PodSeen::default(), now_s: 1 };
        for (what, code, later) in happenings {
            let unwanted = memory.ending.is_some();
            let facts = Facts { pod: &pod, seen: &world.seen, memory: &memory, now_ns: world.now_s * SECOND };
            match decide(facts, unwanted) {
                Step::Sandbox => world.seen.sandbox = Some(SandboxSeen {
                    ready: true,
                    started_at_ns: world.now_s * SECOND,
                    ..SandboxSeen::default()
                }),
                Step::Start(these) => {
                    let these: Vec<(String, u32)> =
                        these.iter().map(|(one, attempt)| (one.name.clone(), *attempt)).collect();
                    for (name, attempt) in these {
                        if name == "x" || name == "y" {
                            let done = |of: &str| world.seen.containers.iter().any(|one| {
                                one.name == of && matches!(one.state, RunState::Ended { code: 0, .. })
                            });
                            prop_assert!(done("a") && done("b"), "{name} before those that come first");
                        }
                        world.run(&name, attempt);
                    }
                }
                Step::Stop(these) => {
                    let these: Vec<String> = these.iter().map(|one| one.id.to_owned()).collect();
                    for id in these {
                        world.end(&id, 143);
                    }
                }
                Step::Fail(why) => memory.failed = Some(why),
                Step::Signal { .. } => prop_assert!(false, "nothing has changed"),
                Step::StopSandbox => world.seen.sandbox.as_mut().unwrap().ready = false,
                Step::Remove => {
                    prop_assert!(world.running().is_empty());
                    return Ok(());
                }
                Step::Wait(_) => {
                    world.now_s += later;
                    if what == 3 {
                        memory.ending = Some((30, world.now_s * SECOND));
                    }
                    if let Some(id) = world.running().get(usize::from(what)).cloned() {
                        world.end(&id, code);
                    }
                }
            }
        }
        memory.ending = Some((30, world.now_s * SECOND));
        for _ in 0..10 {
            let facts = Facts { pod: &pod, seen: &world.seen, memory: &memory, now_ns: world.now_s * SECOND };
            match decide(facts, true) {
                Step::Stop(these) => {
                    let these: Vec<String> = these.iter().map(|one| one.id.to_owned()).collect();
                    for id in these {
                        world.end(&id, 143);
                    }
                }
                Step::Remove => return Ok(()),
                other => prop_assert!(false, "an unwanted pod: {other:?}"),
            }
        }
        prop_assert!(false, "an unwanted pod does not end");
    }
}

/// A pod whose container has been asked for something by a file that changed.
fn changed(
    restart: Restart,
    change: &str,
    at_s: i64,
    ended: Option<i32>,
) -> (Pod, PodSeen, Memory) {
    let mut memory = Memory::default();
    let one = memory::Container {
        change: memory::Change::read(change).map(|change| memory::Change {
            at_ns: at_s * SECOND,
            ..change
        }),
        ..memory::Container::default()
    };
    memory.containers.insert("a".to_owned(), Box::new(one));
    (pod(&[], &["a"], restart), seen(&[("a", 3, ended)]), memory)
}

#[test]
fn a_changed_file_restarts_or_signals_once_its_time_has_come() {
    let at = |now_s: i64, restart, change: &str, ended| {
        let (pod, seen, memory) = changed(restart, change, 50, ended);
        next(&pod, &seen, &memory, now_s, false)
    };
    let (always, on_failure) = (Restart::Always, Restart::OnFailure);
    for (now_s, policy, change, ended, expected) in [
        (49, always, "1 3 waits restart", None, "wait until 50"),
        (50, always, "1 3 waits restart", None, "stop a-3/30"),
        (50, always, "1 3 waits SIGHUP", None, "signal a-3"),
        // Of another run.
        (50, always, "1 2 waits restart", None, "wait"),
        // It is started at once, however often, and even where it would have ended for good.
        (31, always, "1 3 begun restart", Some(0), "start a-4"),
        (31, on_failure, "1 3 begun restart", Some(0), "start a-4"),
        (31, on_failure, "1 3 begun restart", Some(137), "start a-4"),
        // One that ended by itself before it was asked.
        (31, on_failure, "1 3 waits restart", Some(0), "stop sandbox"),
        (31, always, "1 3 waits restart", Some(1), "wait until 70"),
    ] {
        assert_eq!(
            at(now_s, policy, change, ended),
            expected,
            "{now_s} {change}"
        );
    }
}
