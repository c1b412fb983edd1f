//! The examples of Kubernetes' documentation: "Assigning Pods to Nodes", "Taints and Tolerations".

use std::sync::Arc;

use weft_planner::{
    Amounts, Cluster, Effect, Node, NodeTerm, Operator, Pod, PodAffinity, PodTerm,
    PreemptionPolicy, Requirement, Selector, Shape, Taint,
};

pub const HOSTNAME: &str = "kubernetes.io/hostname";

pub fn node(name: &str, labels: &[(&str, &str)]) -> Node {
    let mut node = Node {
        name: name.to_owned(),
        allocatable: Amounts {
            cpu_millis: 4000,
            memory_bytes: 8 << 30,
            ..Amounts::default()
        },
        pods_max: 110,
        ..Node::default()
    };
    for (key, value) in labels.iter().chain([&(HOSTNAME, name)]) {
        node.labels.insert((*key).to_owned(), (*value).to_owned());
    }
    node
}

pub fn pod(id: &str, shape: Shape) -> Pod {
    Pod {
        id: id.to_owned(),
        priority: 0,
        preemption: PreemptionPolicy::PreemptLowerPriority,
        started: 0,
        terminating: false,
        shape: Arc::new(shape),
    }
}

pub fn labelled(pairs: &[(&str, &str)]) -> Shape {
    let pairs = pairs.iter();
    Shape {
        namespace: "default".to_owned(),
        labels: pairs
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        ..Shape::default()
    }
}

fn term(topology_key: &str, pairs: &[(&'static str, &'static str)]) -> PodTerm {
    PodTerm {
        topology_key: topology_key.to_owned(),
        selector: Some(Selector::labels(pairs.iter().copied())),
        ..PodTerm::default()
    }
}

/// Four nodes in two zones, and pods `foo: bar` on some of them.
pub fn zones(pods: &[&str]) -> Cluster {
    let mut cluster = Cluster::new();
    for (name, zone) in [
        ("node1", "A"),
        ("node2", "A"),
        ("node3", "B"),
        ("node4", "B"),
    ] {
        cluster.set_node(node(name, &[("zone", zone)]));
    }
    for (number, at) in pods.iter().enumerate() {
        cluster.set_pod(
            &pod(&format!("there-{number}"), labelled(&[("foo", "bar")])),
            at,
        );
    }
    cluster
}

pub fn message(cluster: &mut Cluster, pod: &Pod) -> String {
    cluster.place(pod).unwrap_err().to_string()
}

#[test]
fn web_servers_beside_their_caches() {
    // "More practical use-cases": three nodes, each with one cache and one web server.
    let mut cluster = Cluster::new();
    for name in ["node-1", "node-2", "node-3"] {
        cluster.set_node(node(name, &[]));
    }
    let mut cache = labelled(&[("app", "store")]);
    cache.anti_affinity.required = vec![term(HOSTNAME, &[("app", "store")])];
    let mut web = labelled(&[("app", "web-store")]);
    web.anti_affinity.required = vec![term(HOSTNAME, &[("app", "web-store")])];
    web.affinity.required = vec![term(HOSTNAME, &[("app", "store")])];
    assert_eq!(
        message(&mut cluster, &pod("web", web.clone())),
        "0/3 nodes are available: 3 node(s) didn't match pod affinity rules."
    );
    for (kind, shape) in [("cache", &cache), ("web", &web)] {
        let mut nodes = Vec::new();
        for number in 0..3 {
            let pod = pod(&format!("{kind}-{number}"), shape.clone());
            let placed = cluster.place(&pod).unwrap();
            cluster.set_pod(&pod, &placed.node);
            nodes.push(placed.node);
        }
        nodes.sort();
        assert_eq!(nodes, ["node-1", "node-2", "node-3"]);
    }
    assert_eq!(
        message(&mut cluster, &pod("web-3", web)),
        "0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules."
    );
}

#[test]
fn what_is_there_repels_whom_it_must_be_far_from() {
    let mut cluster = zones(&[]);
    let mut lonely = labelled(&[("app", "lonely")]);
    lonely.anti_affinity.required = vec![term("zone", &[("foo", "bar")])];
    cluster.set_pod(&pod("lonely", lonely), "node1");
    let mypod = pod("mypod", labelled(&[("foo", "bar")]));
    assert_eq!(cluster.feasible(&mypod), ["node3", "node4"]);
    cluster.remove_node("node3");
    cluster.remove_node("node4");
    assert_eq!(
        message(&mut cluster, &mypod),
        "0/2 nodes are available: 2 node(s) didn't satisfy existing pods anti-affinity rules."
    );
}

#[test]
fn the_first_of_a_group_may_go_anywhere_that_has_the_label() {
    let mut cluster = zones(&[]);
    cluster.set_node(node("nowhere", &[]));
    let mut group = labelled(&[("app", "group")]);
    group.affinity = PodAffinity {
        required: vec![term("zone", &[("app", "group")])],
        preferred: vec![],
    };
    let all = ["node1", "node2", "node3", "node4"];
    assert_eq!(cluster.feasible(&pod("first", group.clone())), all);
    cluster.set_pod(&pod("first", group.clone()), "node3");
    assert_eq!(cluster.feasible(&pod("second", group)), ["node3", "node4"]);
}

#[test]
fn namespaces_of_terms_are_named_or_selected() {
    let mut cluster = zones(&[]);
    let mut elsewhere = labelled(&[("app", "db")]);
    elsewhere.namespace = "data".to_owned();
    cluster.set_pod(&pod("db", elsewhere), "node1");
    let near = |change: fn(&mut PodTerm)| {
        let mut term = term("zone", &[("app", "db")]);
        change(&mut term);
        let mut shape = labelled(&[]);
        shape.affinity.required = vec![term];
        pod("near", shape)
    };
    assert!(
        cluster.feasible(&near(|_| {})).is_empty(),
        "its own namespace"
    );
    let named = near(|term| term.namespaces = vec!["data".to_owned()]);
    assert_eq!(cluster.feasible(&named), ["node1", "node2"]);
    let all = near(|term| term.namespace_selector = Some(Selector::default()));
    assert_eq!(cluster.feasible(&all), ["node1", "node2"]);
    let team = near(|term| {
        term.namespace_selector = Some(Selector::labels([("team", "a")]));
    });
    assert!(cluster.feasible(&team).is_empty());
    let labels = [("team".to_owned(), "a".to_owned())].into();
    cluster.set_namespace("data", &labels);
    assert_eq!(cluster.feasible(&team), ["node1", "node2"]);
    cluster.set_namespace("data", &[].into());
    assert!(cluster.feasible(&team).is_empty());
}

#[test]
fn the_sentence_that_people_know() {
    let mut cluster = Cluster::new();
    let mut mypod = pod("mypod", labelled(&[]));
    assert_eq!(
        message(&mut cluster, &mypod),
        "no nodes available to schedule pods"
    );
    let taint = Taint {
        key: "a".to_owned(),
        value: "b".to_owned(),
        effect: Effect::NoSchedule,
    };
    for name in ["n1", "n2", "n3"] {
        let mut node = node(name, &[]);
        if name != "n1" {
            node.taints.push(taint.clone());
        }
        cluster.set_node(node);
    }
    let requests = Amounts {
        cpu_millis: 5000,
        ..Amounts::default()
    };
    mypod.shape = Arc::new(Shape {
        requests,
        ..labelled(&[])
    });
    let refusals = message(&mut cluster, &mypod);
    let preemption = cluster.preempt(&mypod, &[]);
    assert_eq!(
        format!("{refusals} {preemption}"),
        "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint {a: b}. \
         preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
    );
}

#[test]
fn likes_decide_among_nodes_that_can() {
    let mut cluster = zones(&[]);
    let mut shape = labelled(&[("app", "web")]);
    let zone_b = Requirement {
        key: "zone".to_owned(),
        operator: Operator::In,
        values: vec!["B".to_owned()],
    };
    let liked = NodeTerm {
        expressions: vec![zone_b],
        fields: vec![],
    };
    shape.node_affinity.preferred = vec![(1, liked)];
    let placed = cluster.place(&pod("one", shape)).unwrap();
    assert!(["node3", "node4"].contains(&&*placed.node));
    let mut near = labelled(&[]);
    near.affinity.preferred = vec![(100, term(HOSTNAME, &[("app", "db")]))];
    cluster.set_pod(&pod("db", labelled(&[("app", "db")])), "node2");
    assert_eq!(
        cluster.place(&pod("two", near.clone())).unwrap().node,
        "node2"
    );
    near.anti_affinity.preferred = std::mem::take(&mut near.affinity.preferred);
    assert_ne!(cluster.place(&pod("two", near)).unwrap().node, "node2");
    let mut tainted = node("node2", &[("zone", "A")]);
    tainted.taints = vec![Taint {
        key: "slow".to_owned(),
        value: String::new(),
        effect: Effect::PreferNoSchedule,
    }];
    for name in ["node1", "node3", "node4"] {
        cluster.remove_node(name);
    }
    cluster.set_node(node("node9", &[]));
    cluster.set_node(tainted.clone());
    assert_eq!(
        cluster.place(&pod("three", labelled(&[]))).unwrap().node,
        "node9"
    );
    cluster.remove_node("node9");
    assert_eq!(
        cluster.place(&pod("three", labelled(&[]))).unwrap().node,
        "node2"
    );
}

#[test]
fn who_has_not_looked_for_long_sees_what_is_there_now() {
    let mut cluster = zones(&[]);
    let mut apart = labelled(&[("app", "web")]);
    apart.anti_affinity.required = vec![term("zone", &[("app", "web")])];
    let apart = pod("apart", apart);
    assert_eq!(cluster.feasible(&apart).len(), 4);
    // More changes than are remembered.
    for number in 0..20_000 {
        let node = format!("node{}", number % 4 + 1);
        cluster.set_pod(&pod("other", labelled(&[])), &node);
    }
    cluster.set_pod(&pod("web", labelled(&[("app", "web")])), "node1");
    assert_eq!(cluster.feasible(&apart), ["node3", "node4"]);
    // More shapes and keys than are kept.
    for number in 0..1_200_u64 {
        let mut shape = labelled(&[]);
        shape.requests.cpu_millis = number;
        shape.affinity.preferred = vec![(1, term(&format!("key-{number}"), &[("app", "web")]))];
        assert_eq!(cluster.feasible(&pod("one", shape)).len(), 4);
    }
    cluster.set_pod(&pod("web", labelled(&[("app", "web")])), "node3");
    assert_eq!(cluster.feasible(&apart), ["node1", "node2"]);
}

#[test]
fn a_cluster_can_be_handed_to_another_thread() {
    fn goes<T: Send>(_: T) {}
    goes(Cluster::new());
}

/// "Persistent Volumes", node affinity.
#[test]
fn a_volume_is_reached_from_where_it_is() {
    let mut cluster = zones(&[]);
    let on = |name: &str| NodeTerm {
        expressions: vec![Requirement {
            key: HOSTNAME.to_owned(),
            operator: Operator::In,
            values: vec![name.to_owned()],
        }],
        fields: Vec::new(),
    };
    let mut shape = labelled(&[]);
    shape.volumes = vec![vec![on("node3"), on("node4")], vec![on("node3")]];
    assert_eq!(cluster.feasible(&pod("a", shape.clone())), ["node3"]);
    shape.volumes.push(vec![on("node1")]);
    assert_eq!(
        message(&mut cluster, &pod("b", shape)),
        "0/4 nodes are available: 4 node(s) had volume node affinity conflict."
    );
}
