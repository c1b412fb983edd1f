//! Whose place is taken.

use weft_planner::{
    Amounts, Budget, Cluster, Pod, PodTerm, Preemption, PreemptionPolicy, Selector, Shape, Spread,
};

use crate::examples::{labelled, node, pod};

fn asking(id: &str, cpu_millis: u64, priority: i32) -> Pod {
    let mut shape = labelled(&[("app", id)]);
    shape.requests = Amounts {
        cpu_millis,
        ..Amounts::default()
    };
    Pod {
        priority,
        ..pod(id, shape)
    }
}

/// Nodes of 4 cpus with these pods: node, id, cpu, priority.
fn cluster(pods: &[(&str, &str, u64, i32)]) -> Cluster {
    let mut cluster = Cluster::new();
    for (at, id, cpu_millis, priority) in pods {
        cluster.set_node(node(at, &[("zone", "a")]));
        cluster.set_pod(&asking(id, *cpu_millis, *priority), at);
    }
    cluster
}

fn victims(node: &str, victims: &[&str]) -> Preemption {
    Preemption::Node {
        node: node.to_owned(),
        victims: victims.iter().map(|id| (*id).to_owned()).collect(),
    }
}

#[test]
fn only_what_is_in_the_way_goes_and_the_least_important_first() {
    let mut one = cluster(&[
        ("a", "low", 2000, 1),
        ("a", "high", 1000, 2),
        ("a", "least", 1000, 0),
    ]);
    let mut ask = |cpu| one.preempt(&asking("new", cpu, 5), &[]);
    assert_eq!(ask(1000), victims("a", &["least"]));
    assert_eq!(
        ask(2000),
        victims("a", &["low"]),
        "the least one need not go"
    );
    assert_eq!(ask(3000), victims("a", &["low", "least"]));
    assert_eq!(ask(4000), victims("a", &["high", "low", "least"]));
    let Preemption::Nowhere(refusals) = ask(5000) else {
        panic!("it has 4 only");
    };
    assert_eq!(
        refusals.to_string(),
        "0/1 nodes are available: 1 Preemption is not helpful for scheduling."
    );
    let equal = one.preempt(&asking("new", 4000, 0), &[]);
    assert_eq!(
        equal.to_string(),
        "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
    );
}

#[test]
fn of_nodes_the_one_with_the_lowest_and_fewest_victims() {
    let mut lowest = cluster(&[
        ("a", "p1", 4000, 3),
        ("b", "p2", 4000, 2),
        ("c", "p3", 4000, 3),
    ]);
    assert_eq!(
        lowest.preempt(&asking("new", 1000, 9), &[]),
        victims("b", &["p2"])
    );
    let mut fewest = cluster(&[
        ("a", "p1", 2000, 1),
        ("a", "p2", 2000, 1),
        ("b", "p3", 4000, 1),
    ]);
    assert_eq!(
        fewest.preempt(&asking("new", 4000, 9), &[]),
        victims("b", &["p3"])
    );
    let mut youngest = cluster(&[("a", "p1", 4000, 1)]);
    youngest.set_node(node("b", &[]));
    let mut late = asking("p2", 4000, 1);
    late.started = 7;
    youngest.set_pod(&late, "b");
    assert_eq!(
        youngest.preempt(&asking("new", 4000, 9), &[]),
        victims("b", &["p2"])
    );
}

#[test]
fn budgets_are_violated_last() {
    let budget = |app: &str, allowed| Budget {
        namespace: "default".to_owned(),
        selector: Some(Selector::labels([("app", app)])),
        allowed,
    };
    let mut cluster = cluster(&[("a", "p1", 4000, 1), ("b", "p2", 4000, 3)]);
    let new = asking("new", 4000, 9);
    assert_eq!(cluster.preempt(&new, &[]), victims("a", &["p1"]));
    assert_eq!(
        cluster.preempt(&new, &[budget("p1", 1)]),
        victims("a", &["p1"])
    );
    assert_eq!(
        cluster.preempt(&new, &[budget("p1", 0)]),
        victims("b", &["p2"])
    );
    let both = [budget("p1", 0), budget("p2", 0)];
    assert_eq!(cluster.preempt(&new, &both), victims("a", &["p1"]));
    let all = Budget {
        selector: Some(Selector::default()),
        ..budget("p1", 0)
    };
    assert_eq!(
        cluster.preempt(&new, &[all]),
        victims("a", &["p1"]),
        "an empty one means none"
    );
}

#[test]
fn who_must_wait_waits() {
    let mut cluster = cluster(&[("a", "p1", 4000, 1)]);
    let mut new = asking("new", 4000, 9);
    new.preemption = PreemptionPolicy::Never;
    let answer = cluster.preempt(&new, &[]);
    assert_eq!(answer, Preemption::Never);
    assert_eq!(
        answer.to_string(),
        "preemption: not eligible due to preemptionPolicy=Never."
    );
}

#[test]
fn what_is_near_can_be_in_the_way() {
    let mut there = labelled(&[("foo", "bar")]);
    let far = PodTerm {
        topology_key: "kubernetes.io/hostname".to_owned(),
        selector: Some(Selector::labels([("foo", "bar")])),
        ..PodTerm::default()
    };
    let mut cluster = Cluster::new();
    for name in ["a", "b"] {
        cluster.set_node(node(name, &[("zone", name)]));
        cluster.set_pod(&pod(&format!("on-{name}"), there.clone()), name);
    }
    let high = |shape: Shape| Pod {
        priority: 9,
        ..pod("new", shape)
    };
    there.anti_affinity.required = vec![far];
    let apart = high(there.clone());
    assert!(cluster.place(&apart).is_err());
    let Preemption::Node { node, victims } = cluster.preempt(&apart, &[]) else {
        panic!("one of them can go");
    };
    assert_eq!(victims, [format!("on-{node}")]);
    // The other side: who is there must be far from the new one.
    cluster.set_pod(&pod("on-a", there.clone()), "a");
    cluster.set_pod(
        &Pod {
            priority: 20,
            ..pod("on-b", there.clone())
        },
        "b",
    );
    let bare = high(labelled(&[("foo", "bar")]));
    assert!(cluster.place(&bare).is_err());
    assert_eq!(cluster.preempt(&bare, &[]), self::victims("a", &["on-a"]));
    // A spread becomes even when one goes.
    let mut spread = labelled(&[("foo", "bar")]);
    spread.spreads = vec![Spread {
        topology_key: "zone".to_owned(),
        selector: Some(Selector::labels([("foo", "bar")])),
        ..Spread::default()
    }];
    cluster.remove_pod("on-b");
    let mut full = crate::examples::node("b", &[("zone", "b")]);
    full.pods_max = 0;
    cluster.set_node(full);
    cluster.set_pod(&pod("on-a", labelled(&[("foo", "bar")])), "a");
    let spread = high(spread);
    assert!(cluster.place(&spread).is_err());
    assert_eq!(cluster.preempt(&spread, &[]), self::victims("a", &["on-a"]));
}
