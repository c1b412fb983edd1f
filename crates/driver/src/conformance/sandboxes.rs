//! Sandboxes: made once, whole, and gone when nothing needs them.

use super::{Bed, STAYS, code, cut, is_running};
use crate::Driver;

pub(super) async fn made_once<D: Driver>(bed: &Bed<'_, D>) {
    let pod = bed.pod("once");
    assert!(bed.driver.pod(&pod.id.uid).sandbox.is_none());
    let first = bed.driver.sandbox(&pod).await.expect("a sandbox");
    assert!(first.ready && first.ip.is_some() && first.started_at_ns > 0);
    let second = bed.driver.sandbox(&pod).await.expect("the same");
    assert_eq!(
        (first.started_at_ns, first.ip, &first.netns),
        (second.started_at_ns, second.ip, &second.netns)
    );
    let seen = bed.driver.pod(&pod.id.uid).sandbox.expect("it is seen");
    assert_eq!((seen.ready, seen.ip), (true, first.ip));
    assert_eq!(bed.driver.pods(), std::slice::from_ref(&pod.id.uid));
    bed.clear(&pod).await;
    assert!(bed.driver.pod(&pod.id.uid).sandbox.is_none());
}

pub(super) async fn cut_short<D: Driver>(bed: &Bed<'_, D>) {
    for places in [1, 2, 3, 5, 8, 100] {
        let pod = bed.pod("cut");
        cut(bed.driver.sandbox(&pod), places).await;
        let made = bed.driver.sandbox(&pod).await.expect("a sandbox");
        assert!(made.ready && made.ip.is_some());
        let id = bed.start(&bed.asked(&pod, "one", STAYS)).await;
        assert!(is_running(&bed.driver.pod(&pod.id.uid), &id));
        bed.clear(&pod).await;
        // Nobody may finish the first one after that: neither makes it appear again.
        cut(bed.driver.sandbox(&pod), places).await;
        bed.clear(&pod).await;
    }
}

pub(super) async fn addresses<D: Driver>(bed: &Bed<'_, D>) {
    let (one, other, mut host) = (bed.pod("one"), bed.pod("other"), bed.pod("host"));
    host.sandbox.host_network = true;
    let first = bed.driver.sandbox(&one).await.expect("a sandbox");
    let second = bed.driver.sandbox(&other).await.expect("another");
    assert_ne!(first.ip, second.ip);
    let third = bed.driver.sandbox(&host).await.expect("the machine's");
    assert!(third.ready && third.ip.is_none());
    for pod in [one, other, host] {
        bed.clear(&pod).await;
    }
}

pub(super) async fn again<D: Driver>(bed: &Bed<'_, D>) {
    let (pod, id) = bed.one("again", STAYS).await;
    let first = bed.driver.pod(&pod.id.uid).sandbox.expect("it is there");
    bed.driver.stop(&id, 5).await.expect("it ends");
    for _ in 0..2 {
        let stopped = bed.driver.stop_sandbox(&pod.id.uid).await;
        stopped.expect("nothing runs in it");
        let seen = bed.driver.pod(&pod.id.uid);
        assert!(seen.sandbox.is_none_or(|sandbox| !sandbox.ready));
        assert_eq!(code_of(bed, &pod.id.uid, &id), Some(0), "it stays");
    }
    let mut next = bed.asked(&pod, "one", STAYS);
    next.attempt = 1;
    let refused = bed.try_start(&next).await;
    assert!(refused.is_err(), "it has no sandbox");
    let second = bed.driver.sandbox(&pod).await.expect("a new one");
    assert!(second.ready && second.started_at_ns > first.started_at_ns);
    let now = bed.start(&next).await;
    assert!(is_running(&bed.driver.pod(&pod.id.uid), &now));
    bed.clear(&pod).await;
}

fn code_of<D: Driver>(bed: &Bed<'_, D>, uid: &str, id: &str) -> Option<i32> {
    code(&bed.driver.pod(uid), id)
}

pub(super) async fn needed<D: Driver>(bed: &Bed<'_, D>) {
    let (pod, id) = bed.one("needed", STAYS).await;
    let uid = &pod.id.uid;
    let stopped = bed.driver.stop_sandbox(uid).await;
    assert!(stopped.is_err(), "a container runs in it");
    let removed = bed.driver.remove_sandbox(uid).await;
    assert!(removed.is_err(), "a container runs in it");
    assert!(is_running(&bed.driver.pod(uid), &id), "and runs on");
    bed.driver.stop(&id, 5).await.expect("it ends");
    let removed = bed.driver.remove_sandbox(uid).await;
    assert!(removed.is_err(), "one that has ended is in it");
    bed.clear(&pod).await;
    assert!(bed.driver.pod(uid).containers.is_empty());
}

pub(super) async fn absent<D: Driver>(bed: &Bed<'_, D>) {
    let uid = "conformance-nobody";
    let id = "0".repeat(64);
    assert!(bed.driver.pod(uid).sandbox.is_none());
    bed.driver.stop(&id, 1).await.expect("it does not run");
    bed.driver.remove(&id).await.expect("it is not there");
    bed.driver.stop_sandbox(uid).await.expect("it is none");
    bed.driver.remove_sandbox(uid).await.expect("it is none");
    let discarded = bed.driver.discard("conformance-nothing").await;
    discarded.expect("it is none");
    assert_eq!(bed.driver.log_tail(&id, 100, 10).await, "");
    let ran = bed.driver.run(&id, &["true".to_owned()], 1).await;
    assert!(ran.is_err(), "nothing can be run in it");
}
