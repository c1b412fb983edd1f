//! The examples of Kubernetes' documentation: "Pod Topology Spread Constraints".

use weft_planner::{
    Cluster, InclusionPolicy, NodeAffinity, NodeTerm, Operator, Pod, Requirement, Selector, Spread,
    WhenUnsatisfiable,
};

use crate::examples::{HOSTNAME, labelled, message, node, pod, zones};

fn spread(topology_key: &str) -> Spread {
    Spread {
        topology_key: topology_key.to_owned(),
        selector: Some(Selector::labels([("foo", "bar")])),
        ..Spread::default()
    }
}

fn spreading(spreads: Vec<Spread>) -> Pod {
    let mut shape = labelled(&[("foo", "bar")]);
    shape.spreads = spreads;
    pod("mypod", shape)
}

#[test]
fn one_topology_spread_constraint() {
    let mut cluster = zones(&["node1", "node2", "node3"]);
    let mypod = spreading(vec![spread("zone")]);
    assert_eq!(cluster.feasible(&mypod), ["node3", "node4"]);
    assert_eq!(
        cluster.place(&mypod).unwrap().node,
        "node4",
        "it has fewer pods"
    );
    let mut loose = spread("zone");
    loose.max_skew = 2;
    assert_eq!(cluster.feasible(&spreading(vec![loose])).len(), 4);
}

#[test]
fn multiple_topology_spread_constraints() {
    let mut cluster = zones(&["node1", "node2", "node3"]);
    let mypod = spreading(vec![spread("zone"), spread(HOSTNAME)]);
    assert_eq!(cluster.feasible(&mypod), ["node4"]);
}

#[test]
fn conflicting_topology_spread_constraints() {
    let mut cluster = Cluster::new();
    for (name, zone) in [("node1", "A"), ("node2", "A"), ("node3", "B")] {
        cluster.set_node(node(name, &[("zone", zone)]));
    }
    for (number, at) in ["node1", "node1", "node2", "node3", "node3"]
        .iter()
        .enumerate()
    {
        cluster.set_pod(
            &pod(&format!("there-{number}"), labelled(&[("foo", "bar")])),
            at,
        );
    }
    let mypod = spreading(vec![spread("zone"), spread(HOSTNAME)]);
    assert_eq!(
        message(&mut cluster, &mypod),
        "0/3 nodes are available: 3 node(s) didn't match pod topology spread constraints."
    );
    let soft = Spread {
        when_unsatisfiable: WhenUnsatisfiable::ScheduleAnyway,
        ..spread(HOSTNAME)
    };
    assert_eq!(
        cluster
            .place(&spreading(vec![spread("zone"), soft]))
            .unwrap()
            .node,
        "node3"
    );
}

#[test]
fn constraints_with_node_affinity() {
    let mut cluster = zones(&["node1", "node2", "node3"]);
    cluster.set_node(node("node5", &[("zone", "C")]));
    let not_c = Requirement {
        key: "zone".to_owned(),
        operator: Operator::NotIn,
        values: vec!["C".to_owned()],
    };
    let mut shape = labelled(&[("foo", "bar")]);
    shape.spreads = vec![spread("zone")];
    shape.node_affinity = NodeAffinity {
        required: Some(vec![NodeTerm {
            expressions: vec![not_c],
            fields: vec![],
        }]),
        preferred: vec![],
    };
    let mypod = pod("mypod", shape.clone());
    assert_eq!(
        cluster.feasible(&mypod),
        ["node3", "node4"],
        "C does not count"
    );
    shape.spreads[0].node_affinity_policy = InclusionPolicy::Ignore;
    assert_eq!(
        message(&mut cluster, &pod("mypod", shape)),
        "0/5 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 4 node(s) \
         didn't match pod topology spread constraints."
    );
}

#[test]
fn min_domains_and_missing_labels() {
    let mut cluster = zones(&["node1", "node3"]);
    let mut three = spread("zone");
    three.min_domains = Some(3);
    // There are two zones only, so the least is said to be 0.
    assert!(cluster.feasible(&spreading(vec![three.clone()])).is_empty());
    cluster.set_node(node("node5", &[("zone", "C")]));
    assert_eq!(cluster.feasible(&spreading(vec![three.clone()])), ["node5"]);
    cluster.set_node(node("node6", &[]));
    assert_eq!(cluster.feasible(&spreading(vec![three])), ["node5"]);
    let rack = spreading(vec![spread("rack")]);
    assert_eq!(
        message(&mut cluster, &rack),
        "0/6 nodes are available: 6 node(s) didn't match pod topology spread constraints (missing \
         required label)."
    );
}

#[test]
fn match_label_keys_count_one_revision() {
    let mut cluster = zones(&[]);
    let revision = |hash: &str| {
        let mut shape = labelled(&[("foo", "bar"), ("pod-template-hash", hash)]);
        shape.spreads = vec![Spread {
            match_label_keys: vec!["pod-template-hash".to_owned()],
            ..spread("zone")
        }];
        shape
    };
    cluster.set_pod(&pod("old", revision("1")), "node1");
    assert_eq!(cluster.feasible(&pod("new", revision("2"))).len(), 4);
    assert_eq!(
        cluster.feasible(&pod("new", revision("1"))),
        ["node3", "node4"]
    );
}
