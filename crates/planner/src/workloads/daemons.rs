//! A pod on each node that is meant: where it is to be, and how a new template takes an old one's
//! place node by node.

use std::sync::Arc;

use crate::body::Body;
use crate::filter::{affinity, taints};
use crate::names::Names;
use crate::node::{Effect, Node, Site};
use crate::pod::Shape;

/// Whether the pod is to be on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// It is.
    Runs,
    /// It may stay, and would not come.
    Stays,
    /// It may not be there.
    Goes,
}

/// Whether a pod of this shape is to be on `node`; what is on it does not matter, nor that it is cordoned.
pub fn fit(shape: &Arc<Shape>, node: Node) -> Fit {
    let mut names = Names::default();
    let body = Body::lower(shape, &mut names);
    let mut site = Site::lower(node, &mut names);
    let is_named = body
        .node_name
        .as_ref()
        .is_none_or(|name| *name == site.name);
    if !is_named || !affinity::holds(&body, &site) {
        return Fit::Goes;
    }
    let tolerations = &body.shape.tolerations;
    if taints::untolerated(tolerations, &site.taints).is_none() {
        return Fit::Runs;
    }
    site.taints
        .retain(|taint| taint.effect == Effect::NoExecute);
    match taints::untolerated(tolerations, &site.taints) {
        None => Fit::Stays,
        Some(_) => Fit::Goes,
    }
}

/// How a pod ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Not yet.
    Not,
    /// As if its work were done.
    Succeeded,
    /// It failed.
    Failed,
}

/// The pod of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    /// What tells it from all others.
    pub uid: String,
    /// When it was made; seconds.
    pub created_s: i64,
    /// Whether it has ended.
    pub end: End,
    /// Whether it is being deleted.
    pub is_going: bool,
    /// Whether it is of the newest template.
    pub is_new: bool,
    /// Whether it has been ready for long enough.
    pub is_available: bool,
}

/// A node, and its pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// Whether they are to be there.
    pub fit: Fit,
    /// Those that are.
    pub pods: Vec<Daemon>,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Do {
    /// This node needs a pod.
    Make(usize),
    /// The pod of this node and number goes.
    Delete(usize, usize),
}

/// What is to be done; `rolling` says how many nodes may have two pods, and how many none, while a
/// new template comes. Without it, old pods stay.
pub fn daemons(spots: &[Spot], rolling: Option<(u32, u32)>) -> Vec<Do> {
    let surge = rolling.map_or(0, |(surge, _)| surge);
    let mut all = Vec::new();
    for (at, spot) in spots.iter().enumerate() {
        keep(at, spot, surge > 0, &mut all);
    }
    match rolling {
        None => {}
        Some((0, missing)) => replace(spots, missing, &mut all),
        Some((surge, _)) => exceed(spots, surge, &mut all),
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// One pod where there is to be one, none where there is not.
fn keep(at: usize, spot: &Spot, may_be_two: bool, all: &mut Vec<Do>) {
    let pods = spot.pods.iter().enumerate();
    let mut staying = pods.filter(|(_, pod)| !pod.is_going);
    if spot.fit == Fit::Goes {
        all.extend(staying.map(|(number, _)| Do::Delete(at, number)));
        return;
    }
    if spot.pods.is_empty() {
        if spot.fit == Fit::Runs {
            all.push(Do::Make(at));
        }
        return;
    }
    let (mut running, ended): (Vec<_>, Vec<_>) =
        staying.by_ref().partition(|(_, pod)| pod.end == End::Not);
    all.extend(ended.iter().map(|(number, _)| Do::Delete(at, *number)));
    // One that works stays, and of those the oldest.
    running.sort_by_key(|(_, pod)| (!pod.is_available, pod.created_s, pod.uid.as_str()));
    let mut spare: Vec<usize> = match may_be_two {
        // One of each template.
        true => {
            let of = |is_new: bool| {
                let kind = running.iter().filter(move |(_, pod)| pod.is_new == is_new);
                kind.skip(1).map(|(number, _)| *number)
            };
            of(true).chain(of(false)).collect()
        }
        false => running.iter().skip(1).map(|(number, _)| *number).collect(),
    };
    spare.sort_unstable();
    all.extend(spare.into_iter().map(|number| Do::Delete(at, number)));
}

/// The one pod of each template that a node has; nothing: it has several of one.
fn pair(spot: &Spot) -> Option<(Option<usize>, Option<usize>)> {
    let (mut old, mut new) = (None, None);
    let staying = |(_, pod): &(usize, &Daemon)| !pod.is_going && pod.end == End::Not;
    for (number, pod) in spot.pods.iter().enumerate().filter(staying) {
        let place = if pod.is_new { &mut new } else { &mut old };
        if place.replace(number).is_some() {
            return None;
        }
    }
    Some((old, new))
}

/// Old pods go, so many at once that not more nodes than `missing` are without one that works.
fn replace(spots: &[Spot], missing: u32, all: &mut Vec<Do>) {
    let mut without = 0;
    let mut ready = Vec::new();
    for (at, spot) in spots
        .iter()
        .enumerate()
        .filter(|(_, spot)| spot.fit != Fit::Goes)
    {
        match pair(spot) {
            Some((Some(old), None)) if spot.pods[old].is_available => {
                ready.push(Do::Delete(at, old))
            }
            // What does not work is missed by nobody.
            Some((Some(old), None)) => {
                without += 1;
                all.push(Do::Delete(at, old));
            }
            Some((None, Some(new))) if spot.pods[new].is_available => {}
            Some((None, None)) if spot.fit == Fit::Stays => {}
            _ => without += 1,
        }
    }
    let room = missing.saturating_sub(without) as usize;
    all.extend(ready.into_iter().take(room));
}

/// New pods come first, beside the old ones, so many at once.
fn exceed(spots: &[Spot], surge: u32, all: &mut Vec<Do>) {
    let mut double = 0;
    let mut waiting = Vec::new();
    for (at, spot) in spots
        .iter()
        .enumerate()
        .filter(|(_, spot)| spot.fit != Fit::Goes)
    {
        match pair(spot) {
            Some((Some(old), Some(new))) if spot.pods[new].is_available => {
                all.push(Do::Delete(at, old));
            }
            Some((Some(_), Some(_))) => double += 1,
            Some((Some(old), None)) if spot.fit == Fit::Runs => match spot.pods[old].is_available {
                true => waiting.push(Do::Make(at)),
                false => all.push(Do::Make(at)),
            },
            _ => {}
        }
    }
    let room = surge.saturating_sub(double) as usize;
    all.extend(waiting.into_iter().take(room));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::Taint;
    use crate::pod::Toleration;

    fn pod(is_new: bool, is_available: bool) -> Daemon {
        Daemon {
            uid: String::new(),
            created_s: 0,
            end: End::Not,
            is_going: false,
            is_new,
            is_available,
        }
    }

    fn runs<const COUNT: usize>(pods: [&Daemon; COUNT]) -> Spot {
        Spot {
            fit: Fit::Runs,
            pods: pods.map(Daemon::clone).to_vec(),
        }
    }

    #[test]
    fn each_node_has_one_pod_or_none() {
        let (old, mut ended, mut going) = (pod(true, true), pod(true, false), pod(true, true));
        ended.end = End::Failed;
        going.is_going = true;
        let younger = Daemon {
            created_s: 5,
            ..old.clone()
        };
        for (spot, expected) in [
            (runs([]), vec![Do::Make(0)]),
            (runs([&old]), vec![]),
            (runs([&going]), vec![]),
            (runs([&ended]), vec![Do::Delete(0, 0)]),
            (runs([&younger, &old]), vec![Do::Delete(0, 0)]),
        ] {
            assert_eq!(
                daemons(std::slice::from_ref(&spot), None),
                expected,
                "{spot:?}"
            );
            let gone = Spot {
                fit: Fit::Goes,
                pods: vec![old.clone(), going.clone()],
            };
            assert_eq!(daemons(&[gone], None), [Do::Delete(0, 0)]);
        }
        let stays = Spot {
            fit: Fit::Stays,
            pods: vec![],
        };
        assert!(daemons(&[stays], Some((0, 1))).is_empty());
    }

    #[test]
    fn a_template_comes_node_by_node() {
        let (old, new, broken) = (pod(false, true), pod(true, true), pod(false, false));
        let young = pod(true, false);
        let spots = [runs([&old]), runs([&old]), runs([&new])];
        assert_eq!(daemons(&spots, Some((0, 1))), [Do::Delete(0, 0)]);
        assert_eq!(
            daemons(&spots, Some((0, 5))),
            [Do::Delete(0, 0), Do::Delete(1, 0)]
        );
        assert!(
            daemons(&spots, None).is_empty(),
            "they are deleted by somebody else"
        );
        let spots = [runs([&old]), runs([&young])];
        assert!(
            daemons(&spots, Some((0, 1))).is_empty(),
            "one is missing already"
        );
        let spots = [runs([&old]), runs([&broken])];
        assert_eq!(daemons(&spots, Some((0, 1))), [Do::Delete(1, 0)]);
        // With one more for a while.
        let spots = [runs([&old]), runs([&old]), runs([&broken])];
        assert_eq!(daemons(&spots, Some((1, 0))), [Do::Make(0), Do::Make(2)]);
        let spots = [runs([&old, &young]), runs([&old])];
        assert!(daemons(&spots, Some((1, 0))).is_empty());
        let spots = [runs([&old, &new]), runs([&old])];
        assert_eq!(
            daemons(&spots, Some((1, 0))),
            [Do::Make(1), Do::Delete(0, 0)]
        );
    }

    #[test]
    fn taints_keep_away_or_drive_out() {
        let tainted = |effect| Node {
            name: "one".to_owned(),
            unschedulable: true,
            taints: vec![Taint {
                key: "a".to_owned(),
                value: String::new(),
                effect,
            }],
            ..Node::default()
        };
        let shape = Arc::new(Shape::default());
        assert_eq!(
            fit(
                &shape,
                Node {
                    unschedulable: true,
                    ..Node::default()
                }
            ),
            Fit::Runs
        );
        assert_eq!(fit(&shape, tainted(Effect::PreferNoSchedule)), Fit::Runs);
        assert_eq!(fit(&shape, tainted(Effect::NoSchedule)), Fit::Stays);
        assert_eq!(fit(&shape, tainted(Effect::NoExecute)), Fit::Goes);
        let tolerant = Arc::new(Shape {
            tolerations: vec![Toleration {
                key: "a".to_owned(),
                exists: true,
                value: String::new(),
                effect: None,
            }],
            ..Shape::default()
        });
        assert_eq!(fit(&tolerant, tainted(Effect::NoExecute)), Fit::Runs);
        let elsewhere = Arc::new(Shape {
            node_name: Some("two".to_owned()),
            ..Shape::default()
        });
        assert_eq!(
            fit(&elsewhere, tainted(Effect::PreferNoSchedule)),
            Fit::Goes
        );
    }
}
