//! What is there when a driver has gone, and another one is opened.

use weft_api::assignment::Pod;

use super::{Bed, ENDS, STAYS, code, is_running};
use crate::{Driver, PodSeen};

/// What was left to be found again.
#[derive(Debug)]
pub struct Left {
    pods: [Pod; 2],
    stays: String,
    ended: String,
    seen: PodSeen,
}

/// Leaves a pod with one container that runs and one that has ended, and one with a sandbox alone.
/// The driver is to be dropped then, and [`find_again`] called with another one.
///
/// # Panics
/// Where it cannot be made.
pub async fn leave<D: Driver>(bed: &Bed<'_, D>) -> Left {
    let (pod, stays) = bed.one("left", STAYS).await;
    let ended = bed.start(&bed.asked(&pod, "other", ENDS)).await;
    bed.end_of(&pod, &ended).await;
    let empty = bed.pod("empty");
    bed.driver.sandbox(&empty).await.expect("a sandbox");
    Left {
        seen: bed.driver.pod(&pod.id.uid),
        pods: [pod, empty],
        stays,
        ended,
    }
}

/// Finds it all as it was, goes on with it, and removes it.
///
/// # Panics
/// Where something is not as it was.
pub async fn find_again<D: Driver>(bed: &Bed<'_, D>, left: Left) {
    println!("conformance: what was left is found again");
    let [pod, empty] = &left.pods;
    let mut uids = bed.driver.pods();
    uids.sort();
    assert_eq!(uids, [empty.id.uid.clone(), pod.id.uid.clone()]);
    let now = bed.driver.pod(&pod.id.uid);
    let told = |seen: &PodSeen| -> Vec<_> {
        let all = seen.containers.iter();
        let all = all.map(|one| {
            (
                one.id.clone(),
                one.name.clone(),
                one.hash.clone(),
                one.state.clone(),
            )
        });
        all.collect()
    };
    assert_eq!(told(&now), told(&left.seen));
    let address = |seen: &PodSeen| seen.sandbox.as_ref().map(|one| (one.ready, one.ip));
    assert_eq!(address(&now), address(&left.seen));
    assert!(is_running(&now, &left.stays));
    assert_eq!(code(&now, &left.ended), Some(3));
    // A sandbox that is there is not made again, and another container finds its place in it.
    let again = bed.driver.sandbox(pod).await.expect("it is there");
    assert_eq!(Some((true, again.ip)), address(&left.seen));
    let third = bed.start(&bed.asked(pod, "third", STAYS)).await;
    bed.driver.stop(&left.stays, 30).await.expect("it ends");
    assert_eq!(bed.end_of(pod, &left.stays).await, 0);
    assert!(is_running(&bed.driver.pod(&pod.id.uid), &third));
    bed.clear(pod).await;
    bed.clear(empty).await;
    bed.is_empty("what was left");
}
