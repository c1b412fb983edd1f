//! Random nodes and pods of a small vocabulary, so that they have to do with each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use weft_planner::{
    Amounts, Budget, Effect, Image, InclusionPolicy, Node, NodeAffinity, NodeTerm, Operator, Pod,
    PodAffinity, PodTerm, Port, PreemptionPolicy, Protocol, Requirement, Selector, Shape, Spread,
    Taint, Toleration, Unsaid, WhenUnsatisfiable,
};

use crate::naive::Labels;

pub const NODES: u8 = 7;
const KEYS: [&str; 3] = ["zone", "kubernetes.io/hostname", "rack"];

fn text(words: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(words).prop_map(str::to_owned)
}

fn one<T: Clone + std::fmt::Debug + 'static>(of: &'static [T]) -> impl Strategy<Value = T> {
    prop::sample::select(of)
}

/// Mostly nothing.
fn seldom<T: std::fmt::Debug + Clone + 'static>(
    strategy: impl Strategy<Value = T> + 'static,
    most: usize,
) -> impl Strategy<Value = Vec<T>> {
    prop_oneof![
        5 => Just(Vec::new()),
        1 => prop::collection::vec(strategy, 1..=most),
    ]
}

fn amounts(least: u64, most: u64) -> impl Strategy<Value = Amounts> {
    let gpus = prop_oneof![5 => Just(0), 1 => 0..=most / 4];
    (least..=most, least..=most, least..=most, gpus).prop_map(|(cpu, memory, ephemeral, gpus)| {
        Amounts {
            cpu_millis: cpu * 100,
            memory_bytes: memory << 28,
            ephemeral_bytes: ephemeral,
            extended: [("example.com/gpu".to_owned(), gpus)].into(),
        }
    })
}

fn effect() -> impl Strategy<Value = Effect> {
    one(&[
        Effect::NoSchedule,
        Effect::PreferNoSchedule,
        Effect::NoExecute,
    ])
}

fn taint() -> impl Strategy<Value = Taint> {
    let words = (text(&["a", "b"]), text(&["", "x"]), effect());
    words.prop_map(|(key, value, effect)| Taint { key, value, effect })
}

fn image() -> impl Strategy<Value = Image> {
    (text(&["web:latest", "web:1", "db:1"]), 0..2000_u64).prop_map(|(name, mib)| Image {
        names: vec![name],
        size_bytes: mib << 20,
    })
}

pub fn node() -> impl Strategy<Value = Node> {
    let labels = (
        prop_oneof![6 => text(&["a", "b", "c"]).prop_map(Some), 1 => Just(None)],
        prop_oneof![20 => Just(None), 1 => text(&["n0", "n1"]).prop_map(Some)],
        prop::option::weighted(0.8, text(&["r1", "r2"])),
        prop::option::of(text(&["1", "5", "ssd"])),
    );
    let there = prop_oneof![1 => amounts(0, 9), 2 => amounts(8, 40)];
    let rest = (there, 1..12_u64, prop::bool::weighted(0.05));
    (
        0..NODES,
        labels,
        seldom(taint(), 2),
        seldom(image(), 2),
        rest,
    )
        .prop_map(
            |(
                number,
                (zone, host, rack, disk),
                taints,
                images,
                (allocatable, pods_max, cordoned),
            )| {
                let name = format!("n{number}");
                let host = Some(host.unwrap_or_else(|| name.clone()));
                let labels = [
                    (KEYS[0], zone),
                    (KEYS[1], host),
                    (KEYS[2], rack),
                    ("disk", disk),
                ];
                let labels = labels.into_iter();
                Node {
                    labels: labels
                        .filter_map(|(key, value)| Some((key.to_owned(), value?)))
                        .collect(),
                    name,
                    taints,
                    unschedulable: cordoned,
                    allocatable,
                    pods_max,
                    images,
                }
            },
        )
}

pub fn labels() -> impl Strategy<Value = Labels> {
    let app = prop::option::of(text(&["web", "db"]));
    let tier = prop::option::of(text(&["front", "back"]));
    (app, tier).prop_map(|(app, tier)| {
        let pairs = [("app", app), ("tier", tier)].into_iter();
        let pairs = pairs.filter_map(|(key, value)| Some((key.to_owned(), value?)));
        pairs.collect::<BTreeMap<_, _>>()
    })
}

fn operator() -> impl Strategy<Value = Operator> {
    use Operator::{DoesNotExist, Exists, Gt, In, Lt, NotIn};
    one(&[In, In, In, NotIn, Exists, DoesNotExist, Gt, Lt])
}

fn requirement(
    keys: &'static [&'static str],
    values: &'static [&'static str],
) -> impl Strategy<Value = Requirement> {
    let values = prop::collection::vec(text(values), 1..3);
    (text(keys), operator(), values).prop_map(|(key, operator, values)| Requirement {
        key,
        operator,
        values,
    })
}

fn selector() -> impl Strategy<Value = Option<Selector>> {
    let equal = labels().prop_map(|labels| {
        let pairs = labels.iter().map(|(key, value)| (&**key, &**value));
        Selector::labels(pairs)
    });
    let words: &[&str] = &["web", "front", "back", "3"];
    let odd = prop::collection::vec(requirement(&["app", "tier", "pod"], words), 0..2);
    let odd = odd.prop_map(|requirements| Selector { requirements });
    prop_oneof![8 => equal.prop_map(Some), 2 => odd.prop_map(Some), 1 => Just(None)]
}

fn node_term() -> impl Strategy<Value = NodeTerm> {
    let values: &[&str] = &["a", "b", "1", "3", "ssd"];
    let expressions = prop::collection::vec(requirement(&["zone", "disk"], values), 0..3);
    let field = requirement(&["metadata.name"], &["n0", "n1", "n2"]);
    (expressions, seldom(field, 1)).prop_map(|(expressions, fields)| NodeTerm {
        expressions,
        fields,
    })
}

fn node_affinity() -> impl Strategy<Value = NodeAffinity> {
    let required = prop::collection::vec(node_term(), 0..3);
    let required = prop_oneof![9 => Just(None), 1 => required.prop_map(Some)];
    let preferred = seldom((1..100_u32, node_term()), 2);
    (required, preferred).prop_map(|(required, preferred)| NodeAffinity {
        required,
        preferred,
    })
}

fn pod_term() -> impl Strategy<Value = PodTerm> {
    let namespaces = seldom(text(&["x", "y"]), 2);
    let spaces = seldom(selector(), 1).prop_map(|some| some.into_iter().next().flatten());
    let keys = (seldom(text(&["tier"]), 1), seldom(text(&["tier"]), 1));
    (text(&KEYS), selector(), namespaces, spaces, keys).prop_map(
        |(topology_key, selector, namespaces, namespace_selector, keys)| PodTerm {
            topology_key,
            selector,
            namespaces,
            namespace_selector,
            match_label_keys: keys.0,
            mismatch_label_keys: keys.1,
        },
    )
}

fn pod_affinity() -> impl Strategy<Value = PodAffinity> {
    (seldom(pod_term(), 2), seldom((1..100_u32, pod_term()), 2)).prop_map(
        |(required, preferred)| PodAffinity {
            required,
            preferred,
        },
    )
}

fn spread() -> impl Strategy<Value = Spread> {
    let policy = || one(&[InclusionPolicy::Honor, InclusionPolicy::Ignore]);
    use WhenUnsatisfiable::{DoNotSchedule, ScheduleAnyway};
    let when = one(&[DoNotSchedule, ScheduleAnyway]);
    let least = prop_oneof![3 => Just(None), 1 => (1..4_u32).prop_map(Some)];
    let own = seldom(text(&["tier"]), 1);
    let first = (1..3_u32, text(&KEYS), when, selector());
    (first, least, policy(), policy(), own).prop_map(
        |((max_skew, topology_key, when, selector), min_domains, affine, tainted, own)| Spread {
            max_skew,
            topology_key,
            when_unsatisfiable: when,
            selector,
            min_domains,
            node_affinity_policy: affine,
            node_taints_policy: tainted,
            match_label_keys: own,
        },
    )
}

fn toleration() -> impl Strategy<Value = Toleration> {
    let key = text(&["", "a", "b", "node.kubernetes.io/unschedulable"]);
    (
        key,
        any::<bool>(),
        text(&["", "x"]),
        prop::option::of(effect()),
    )
        .prop_map(|(key, exists, value, effect)| Toleration {
            key,
            exists,
            value,
            effect,
        })
}

fn port() -> impl Strategy<Value = Port> {
    let ip = text(&["", "0.0.0.0", "10.0.0.1", "10.0.0.2"]);
    let protocol = one(&[Protocol::Tcp, Protocol::Udp]);
    (ip, protocol, 80..82_u16).prop_map(|(ip, protocol, port)| Port { ip, protocol, port })
}

pub fn shape() -> impl Strategy<Value = Arc<Shape>> {
    let who = (
        text(&["x", "y"]),
        labels(),
        amounts(0, 4),
        0..2_u32,
        0..2_u32,
    );
    let nodes = (
        prop_oneof![20 => Just(None), 1 => text(&["n0", "n1"]).prop_map(Some)],
        prop_oneof![6 => Just(None), 1 => text(&["a", "b"]).prop_map(Some)],
        node_affinity(),
        seldom(prop::collection::vec(node_term(), 0..3), 1),
    );
    let spreads = prop_oneof![1 => Just(Vec::new()), 1 => prop::collection::vec(spread(), 1..3)];
    let pods = (pod_affinity(), pod_affinity(), spreads);
    let rest = (
        seldom(toleration(), 2),
        seldom(port(), 1),
        seldom(text(&["web", "web:1", "db:1"]), 2),
    );
    (who, nodes, pods, rest).prop_map(|(who, nodes, pods, rest)| {
        let zone = nodes.1.map(|zone| ("zone".to_owned(), zone));
        Arc::new(Shape {
            namespace: who.0,
            labels: who.1,
            requests: who.2,
            unsaid: Unsaid {
                cpu: who.3,
                memory: who.4,
            },
            node_name: nodes.0,
            node_selector: zone.into_iter().collect(),
            node_affinity: nodes.2,
            volumes: nodes.3,
            affinity: pods.0,
            anti_affinity: pods.1,
            spreads: pods.2,
            tolerations: rest.0,
            ports: rest.1,
            images: rest.2,
        })
    })
}

/// A pod of a shape; some have a label of their own, as those of a StatefulSet do.
pub fn pod(number: u8, shape: &Arc<Shape>, how: (i32, u64, bool)) -> Pod {
    let mut shape = Shape::clone(shape);
    if number.is_multiple_of(3) {
        shape.labels.insert("pod".to_owned(), number.to_string());
    }
    Pod {
        id: format!("p{number}"),
        priority: how.0,
        preemption: PreemptionPolicy::PreemptLowerPriority,
        started: how.1,
        terminating: how.2,
        shape: Arc::new(shape),
    }
}

pub fn budget() -> impl Strategy<Value = Budget> {
    (text(&["x", "y"]), selector(), 0..2_u32).prop_map(|(namespace, selector, allowed)| Budget {
        namespace,
        selector,
        allowed,
    })
}
