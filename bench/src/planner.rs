//! Placements: 5,000 nodes, 50,000 pods, one core, in this process.
//!
//! Owns the load and its table; uses nothing of the other cases, so that it can be built without
//! them: `cargo run --release -p weft-planner --example speed`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use weft_planner::{
    Amounts, Cluster, Node, Pod, PodTerm, Preemption, PreemptionPolicy, Selector, Shape, Spread,
    WhenUnsatisfiable,
};

const NODES: usize = 5_000;
const PODS: usize = 50_000;
const ZONES: usize = 3;
const ZONE: &str = "topology.kubernetes.io/zone";
const HOSTNAME: &str = "kubernetes.io/hostname";
/// Pods that preempt, or that are one of a kind.
const FEW: usize = 1_000;

/// What pods ask for besides room.
#[derive(Clone, Copy)]
enum Asks {
    Nothing,
    /// No other of its template on the node; even among zones and nodes.
    Apart,
    /// Evenly among zones and nodes, if that can be.
    Evenly,
}

/// Runs the phase.
pub fn run() {
    println!("### planner, {NODES} nodes in {ZONES} zones, {PODS} pods\n");
    println!("| pods | templates | in turn | placements/s | longest ms |");
    println!("|---|---|---|---|---|");
    for (name, asks, templates) in [
        ("plain", Asks::Nothing, 1),
        ("plain", Asks::Nothing, 50),
        (
            "anti-affinity, spread over zones and nodes",
            Asks::Apart,
            50,
        ),
        ("preferably spread over zones and nodes", Asks::Evenly, 50),
    ] {
        for in_turn in [false, true].into_iter().take(templates.min(2)) {
            let shapes: Vec<Arc<Shape>> = (0..templates).map(|one| shape(one, asks)).collect();
            let of = |number: usize| match in_turn {
                true => Arc::clone(&shapes[number % templates]),
                false => Arc::clone(&shapes[number * templates / PODS]),
            };
            let (mut cluster, mut longest) = (cluster(16_000), Duration::ZERO);
            let began = Instant::now();
            fill(&mut cluster, 0..PODS, &of, &mut longest);
            row(name, templates, in_turn, PODS, began.elapsed(), longest);
        }
    }
    let (mut cluster, mut longest) = (cluster(16_000), Duration::ZERO);
    let began = Instant::now();
    fill(
        &mut cluster,
        0..FEW,
        &|one| shape(one, Asks::Apart),
        &mut longest,
    );
    row(
        "each its own template, spread",
        FEW,
        true,
        FEW,
        began.elapsed(),
        longest,
    );
    indexed();
    preempting();
    println!();
}

/// Pods with a label of their own each, as those of a StatefulSet have.
fn indexed() {
    let (mut cluster, mut longest) = (cluster(16_000), Duration::ZERO);
    let of = |one: usize| {
        let mut shape = Shape::clone(&shape(0, Asks::Nothing));
        shape.labels.insert("index".to_owned(), one.to_string());
        Arc::new(shape)
    };
    let began = Instant::now();
    fill(&mut cluster, 0..PODS, &of, &mut longest);
    row(
        "plain, each with a label of its own",
        1,
        false,
        PODS,
        began.elapsed(),
        longest,
    );
}

/// A full cluster, in which more important pods take the place of others.
fn preempting() {
    let mut cluster = cluster(1_000);
    let (plain, mut longest) = (shape(0, Asks::Nothing), Duration::ZERO);
    fill(&mut cluster, 0..PODS, &|_| Arc::clone(&plain), &mut longest);
    longest = Duration::ZERO;
    let began = Instant::now();
    for number in 0..FEW {
        let one = Instant::now();
        let pod = pod(PODS + number, 1, &plain);
        assert!(cluster.place(&pod).is_err(), "the cluster is full");
        let Preemption::Node { node, victims } = cluster.preempt(&pod, &[]) else {
            panic!("all others are less important");
        };
        for victim in &victims {
            cluster.remove_pod(victim);
        }
        cluster.set_pod(&pod, &node);
        longest = longest.max(one.elapsed());
    }
    row("preempting", 1, false, FEW, began.elapsed(), longest);
}

fn row(
    name: &str,
    templates: usize,
    in_turn: bool,
    pods: usize,
    took: Duration,
    longest: Duration,
) {
    let in_turn = if in_turn { "yes" } else { "no" };
    let rate = pods as f64 / took.as_secs_f64();
    let longest = longest.as_secs_f64() * 1000.0;
    println!("| {name} | {templates} | {in_turn} | {rate:.0} | {longest:.2} |");
}

fn fill(
    cluster: &mut Cluster,
    pods: std::ops::Range<usize>,
    shape: &dyn Fn(usize) -> Arc<Shape>,
    longest: &mut Duration,
) {
    for number in pods {
        let began = Instant::now();
        let pod = pod(number, 0, &shape(number));
        match cluster.place(&pod) {
            Ok(placement) => cluster.set_pod(&pod, &placement.node),
            Err(refusals) => panic!("{}: {refusals}", pod.id),
        }
        *longest = (*longest).max(began.elapsed());
    }
}

fn cluster(cpu_millis: u64) -> Cluster {
    let mut cluster = Cluster::new();
    for number in 0..NODES {
        let name = format!("node-{number}");
        let pairs = [
            (HOSTNAME, name.clone()),
            (ZONE, format!("zone-{}", number % ZONES)),
            ("kubernetes.io/arch", "amd64".to_owned()),
            ("kubernetes.io/os", "linux".to_owned()),
            ("node.kubernetes.io/instance-type", "large".to_owned()),
        ];
        cluster.set_node(Node {
            name,
            labels: pairs.map(|(key, value)| (key.to_owned(), value)).into(),
            allocatable: Amounts {
                cpu_millis,
                memory_bytes: 64 << 30,
                ..Amounts::default()
            },
            pods_max: 110,
            ..Node::default()
        });
    }
    cluster
}

fn pod(number: usize, priority: i32, shape: &Arc<Shape>) -> Pod {
    Pod {
        id: format!("load/pod-{number}"),
        priority,
        preemption: PreemptionPolicy::PreemptLowerPriority,
        started: number as u64,
        terminating: false,
        // As who lowers objects would: a value of its own, equal to the others'.
        shape: Arc::new(Shape::clone(shape)),
    }
}

fn shape(template: usize, asks: Asks) -> Arc<Shape> {
    let app = format!("app-{template}");
    let selector = Some(Selector::labels([("app", &*app)]));
    let spread = |topology_key: &str, when_unsatisfiable| Spread {
        topology_key: topology_key.to_owned(),
        when_unsatisfiable,
        selector: selector.clone(),
        ..Spread::default()
    };
    let mut shape = Shape {
        namespace: "load".to_owned(),
        labels: [("app".to_owned(), app.clone())].into(),
        requests: Amounts {
            cpu_millis: 100,
            memory_bytes: 128 << 20,
            ..Amounts::default()
        },
        images: vec![format!("registry.example.com/{app}:1")],
        ..Shape::default()
    };
    let both = |when| vec![spread(ZONE, when), spread(HOSTNAME, when)];
    match asks {
        Asks::Nothing => {}
        Asks::Apart => {
            shape.spreads = both(WhenUnsatisfiable::DoNotSchedule);
            shape.anti_affinity.required.push(PodTerm {
                topology_key: HOSTNAME.to_owned(),
                selector: selector.clone(),
                ..PodTerm::default()
            });
        }
        Asks::Evenly => shape.spreads = both(WhenUnsatisfiable::ScheduleAnyway),
    }
    Arc::new(shape)
}
