//! Containers: starts, ends, and what is seen of them.

use std::time::Duration;

use super::{ANSWERS, Bed, DEAF, ENDS, FLOODS, HANGS, STAYS, TALKS, WRITES, WRITTEN};
use super::{code, cut, found, is_running};
use crate::{Driver, Mounted, RunState, Source};

/// What is killed ends with it.
const KILLED: i32 = 137;
/// Much more than anybody needs of what a command says.
const SAID_MAX: usize = 64 << 10;

pub(super) async fn identity<D: Driver>(bed: &Bed<'_, D>) {
    bed.driver.changed();
    let mut changes = bed.driver.changes();
    changes.mark_unchanged();
    let (pod, id) = bed.one("identity", STAYS).await;
    let told = tokio::time::timeout(super::SOON, changes.changed()).await;
    told.expect("the start is told").expect("it is there");
    assert_eq!(bed.driver.changed(), std::slice::from_ref(&pod.id.uid));
    assert!(bed.driver.changed().is_empty(), "each change is told once");
    let seen = bed.driver.pod(&pod.id.uid);
    let one = found(&seen, &id).expect("it is seen");
    assert_eq!((&*one.name, one.attempt), ("one", 0));
    assert_eq!((&*one.hash, &*one.image), ("hash of one", bed.image));
    assert_eq!(one.image_id, bed.image_id().await);
    let RunState::Running { started_at_ns, pid } = one.state else {
        panic!("it runs: {one:?}");
    };
    assert!(pid > 0 && started_at_ns >= one.created_at_ns && one.created_at_ns > 0);
    bed.driver.stop(&id, 5).await.expect("it ends");
    bed.end_of(&pod, &id).await;
    let changed = bed.driver.changed();
    assert_eq!(
        changed,
        std::slice::from_ref(&pod.id.uid),
        "the end is told"
    );
    bed.clear(&pod).await;
}

pub(super) async fn ends<D: Driver>(bed: &Bed<'_, D>) {
    let (pod, id) = bed.one("ends", ENDS).await;
    assert_eq!(bed.end_of(&pod, &id).await, 3);
    let seen = bed.driver.pod(&pod.id.uid);
    let Some(RunState::Ended {
        started_at_ns,
        finished_at_ns,
        oom_killed,
        ..
    }) = found(&seen, &id).map(|one| one.state.clone())
    else {
        panic!("it has ended: {seen:?}");
    };
    assert!(started_at_ns > 0 && finished_at_ns >= started_at_ns && !oom_killed);
    assert!(
        seen.sandbox.is_some_and(|sandbox| sandbox.ready),
        "it stays"
    );
    bed.clear(&pod).await;
}

pub(super) async fn stops<D: Driver>(bed: &Bed<'_, D>) {
    for (script, grace_s, expected) in [(STAYS, 30, 0), (DEAF, 1, KILLED), (STAYS, 0, KILLED)] {
        let (pod, id) = bed.one("stops", script).await;
        bed.settle(&id).await;
        bed.driver.stop(&id, grace_s).await.expect("it ends");
        let seen = bed.driver.pod(&pod.id.uid);
        assert_eq!(code(&seen, &id), Some(expected), "{script} {grace_s}");
        // It does not run any more.
        bed.driver.stop(&id, 30).await.expect("it has ended");
        bed.clear(&pod).await;
    }
}

pub(super) async fn signalled<D: Driver>(bed: &Bed<'_, D>) {
    let (pod, id) = bed.one("signalled", DEAF).await;
    bed.settle(&id).await;
    bed.driver.signal(&id, "TERM").await.expect("it is sent");
    assert!(is_running(&bed.driver.pod(&pod.id.uid), &id), "it is deaf");
    bed.driver.signal(&id, "KILL").await.expect("it is sent");
    assert_eq!(bed.end_of(&pod, &id).await, KILLED);
    let failure = bed.driver.signal(&id, "TERM").await;
    failure.expect_err("it does not run any more");
    bed.clear(&pod).await;
}

pub(super) async fn used<D: Driver>(bed: &Bed<'_, D>) {
    let (pod, id) = bed.one("used", STAYS).await;
    bed.settle(&id).await;
    let of = |all: Vec<crate::UsageSeen>| all.into_iter().find(|one| one.id == id);
    let first = of(bed.driver.usage().await).expect("it is measured");
    assert_eq!((&*first.uid, &*first.container), (&*pod.id.uid, "one"));
    assert!(first.memory_bytes > 0, "{first:?}");
    let later = of(bed.driver.usage().await).expect("it is measured");
    assert!(later.cpu_ns >= first.cpu_ns, "{first:?} {later:?}");
    bed.driver.stop(&id, 0).await.expect("it ends");
    assert_eq!(of(bed.driver.usage().await), None, "it has ended");
    bed.clear(&pod).await;
}

pub(super) async fn written<D: Driver>(bed: &Bed<'_, D>) {
    let disk = async |id: &str| bed.driver.disk(id).await.expect("it is measured");
    let (pod, small) = bed.one("written", TALKS).await;
    bed.end_of(&pod, &small).await;
    let log = disk(&small).await;
    assert!((1..WRITTEN).contains(&log), "its log counts: {log}");
    let large = bed.start(&bed.asked(&pod, "two", WRITES)).await;
    bed.end_of(&pod, &large).await;
    let written = disk(&large).await;
    assert!(written >= WRITTEN, "{written}");
    bed.driver.remove(&large).await.expect("it is removed");
    assert_eq!(disk(&large).await, 0, "it is gone");
    bed.clear(&pod).await;
}

pub(super) async fn hurried<D: Driver>(bed: &Bed<'_, D>) {
    let (pod, id) = bed.one("hurried", DEAF).await;
    bed.settle(&id).await;
    let slow = bed.driver.stop(&id, 600);
    let quick = async {
        tokio::task::yield_now().await;
        bed.driver.stop(&id, 0).await.expect("it ends");
    };
    // The first one is let go as soon as the second is done.
    tokio::select! {
        _ = slow => {}
        () = quick => {}
    }
    assert_eq!(bed.end_of(&pod, &id).await, KILLED);
    bed.clear(&pod).await;
}

pub(super) async fn unstartable<D: Driver>(bed: &Bed<'_, D>) {
    if !bed.runs {
        // It has no program that could be missing.
        return;
    }
    let pod = bed.pod("unstartable");
    bed.driver.sandbox(&pod).await.expect("a sandbox");
    let mut asked = bed.asked(&pod, "one", STAYS);
    asked.container.command = Some(vec!["/no/such/program".to_owned()]);
    for attempt in 0..3 {
        asked.attempt = attempt;
        let failure = bed.try_start(&asked).await.expect_err("there is none");
        assert!(failure.message.contains("/no/such/program"), "{failure}");
        assert!(bed.driver.pod(&pod.id.uid).containers.is_empty());
    }
    // The next one is not held up by those.
    let id = bed.start(&bed.asked(&pod, "one", STAYS)).await;
    assert!(is_running(&bed.driver.pod(&pod.id.uid), &id));
    bed.clear(&pod).await;
}

pub(super) async fn cut_short<D: Driver>(bed: &Bed<'_, D>) {
    for places in [1, 2, 3, 5, 8, 13, 100, 1000] {
        let pod = bed.pod("cut");
        bed.driver.sandbox(&pod).await.expect("a sandbox");
        let asked = bed.asked(&pod, "one", STAYS);
        let before = cut(bed.try_start(&asked), places).await;
        let id = match before {
            Some(done) => done.expect("it starts"),
            None => bed.start(&asked).await,
        };
        let seen = bed.driver.pod(&pod.id.uid);
        assert!(is_running(&seen, &id), "after {places}: {seen:?}");
        assert_eq!(seen.containers.len(), 1, "after {places}: {seen:?}");
        bed.clear(&pod).await;
    }
}

pub(super) async fn attempts<D: Driver>(bed: &Bed<'_, D>) {
    let pod = bed.pod("attempts");
    bed.driver.sandbox(&pod).await.expect("a sandbox");
    let mut ids = Vec::new();
    for attempt in 0..3 {
        let mut asked = bed.asked(&pod, "one", ENDS);
        asked.attempt = attempt;
        ids.push(bed.start(&asked).await);
        bed.end_of(&pod, &ids[ids.len() - 1]).await;
    }
    let other = bed.start(&bed.asked(&pod, "other", STAYS)).await;
    let seen = bed.driver.pod(&pod.id.uid);
    let told = seen.containers.iter();
    let told = told.map(|one| (&*one.name, one.attempt, &*one.id));
    let told: Vec<_> = told.collect();
    let expected = [
        ("one", 0, &*ids[0]),
        ("one", 1, &ids[1]),
        ("one", 2, &ids[2]),
        ("other", 0, &other),
    ];
    assert_eq!(told, expected, "the oldest first");
    bed.clear(&pod).await;
}

pub(super) async fn removed<D: Driver>(bed: &Bed<'_, D>) {
    let (pod, id) = bed.one("removed", STAYS).await;
    let refused = bed.driver.remove(&id).await;
    assert!(refused.is_err(), "it runs");
    assert!(is_running(&bed.driver.pod(&pod.id.uid), &id), "and runs on");
    bed.driver.stop(&id, 5).await.expect("it ends");
    for _ in 0..2 {
        bed.driver.remove(&id).await.expect("it is removed");
        assert!(bed.driver.pod(&pod.id.uid).containers.is_empty());
        assert_eq!(bed.driver.log_tail(&id, 100, 10).await, "");
    }
    bed.clear(&pod).await;
}

pub(super) async fn tails<D: Driver>(bed: &Bed<'_, D>) {
    let (pod, id) = bed.one("tails", TALKS).await;
    bed.end_of(&pod, &id).await;
    let tail = async |bytes, lines| bed.driver.log_tail(&id, bytes, lines).await;
    assert_eq!(tail(1 << 20, 2).await, "line 98\nline 99\n");
    assert_eq!(tail(4, 50).await, " 99\n");
    assert_eq!(tail(1 << 20, 1000).await.lines().count(), 100);
    // Others have ended, and what it said is still there.
    let stopped = bed.driver.stop_sandbox(&pod.id.uid).await;
    stopped.expect("nothing runs");
    assert_eq!(tail(1 << 20, 1).await, "line 99\n");
    bed.clear(&pod).await;
}

pub(super) async fn commands<D: Driver>(bed: &Bed<'_, D>) {
    let (pod, id) = bed.one("commands", STAYS).await;
    let run = async |script: &str, timeout_s| {
        let command = ["sh", "-c", script].map(str::to_owned);
        bed.driver.run(&id, &command, timeout_s).await
    };
    let (code, said) = run(ANSWERS, 30).await.expect("it is run");
    assert_eq!((code, &*said), (4, "fine\n"));
    let (code, said) = run(FLOODS, 30).await.expect("it is run");
    assert!(code == 0 || code == 141, "{code}");
    assert!(said.starts_with("y\ny\n") && said.len() <= SAID_MAX);
    let hung = tokio::time::timeout(Duration::from_secs(500), run(HANGS, 1)).await;
    let hung = hung.expect("it is over when its time is");
    assert!(hung.is_err(), "its time is over: {hung:?}");
    let absent = bed.driver.run(&id, &["/no/such".to_owned()], 30).await;
    let is_told = absent.as_ref().is_err() || absent.as_ref().is_ok_and(|(code, _)| *code != 0);
    assert!(is_told, "{absent:?}");
    // None of them has harmed it.
    assert!(is_running(&bed.driver.pod(&pod.id.uid), &id));
    bed.clear(&pod).await;
}

pub(super) async fn volumes<D: Driver>(bed: &Bed<'_, D>) {
    let name = "conformance-kept";
    let pod = bed.pod("volumes");
    bed.driver.sandbox(&pod).await.expect("a sandbox");
    let mut asked = bed.asked(&pod, "one", STAYS);
    asked.mounts = vec![mounted(Source::Volume(name.to_owned()), "/kept")];
    let id = bed.start(&asked).await;
    assert!(bed.driver.discard(name).await.is_err(), "it is used");
    bed.driver.stop(&id, 0).await.expect("it ends");
    let discarded = bed.driver.discard(name).await;
    assert!(discarded.is_err(), "it may be started again");
    bed.clear(&pod).await;
    for _ in 0..2 {
        bed.driver.discard(name).await.expect("nobody has it");
    }
}

pub(super) fn mounted(source: Source, target: &str) -> Mounted {
    Mounted {
        source,
        subpath: String::new(),
        target: target.to_owned(),
        read_only: false,
        propagation: weft_api::assignment::Propagation::Private,
    }
}

impl<D: Driver> Bed<'_, D> {
    /// Waits until the shell has set its traps: it answers a command only when it is that far.
    async fn settle(&self, id: &str) {
        if !self.runs {
            return;
        }
        let script = "grep -q 'SigIgn:.*[4-7c-f]...$\\|SigCgt:.*[4-7c-f]...$' /proc/1/status";
        let command = ["sh", "-c", script].map(str::to_owned);
        let settled = async {
            while !matches!(self.driver.run(id, &command, 30).await, Ok((0, _))) {
                tokio::task::yield_now().await;
            }
        };
        let settled = tokio::time::timeout(super::SOON, settled).await;
        settled.expect("it sets its traps");
    }
}
