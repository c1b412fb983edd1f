//! After any sequence of changes the cluster says what a model says that recomputes everything: the
//! same nodes can take a pod, the same one is chosen, for the same score, or refused for the same
//! reasons; and nothing is ever on a node that does not fit.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use weft_planner::{Amounts, Budget, Cluster, Node, Pod, Refusals, Shape};

use crate::naive::{Labels, World};
use crate::random;

const PODS: u8 = 24;

#[derive(Clone, Debug)]
enum Step {
    SetNode(Node),
    RemoveNode(u8),
    /// A pod is placed and bound.
    Place(u8, usize, (i32, u64, bool)),
    /// A pod turns up on a node, whether it fits or not.
    Bind(u8, usize, (i32, u64, bool), u8),
    RemovePod(u8),
    Namespace(&'static str, Labels),
    Preempt(usize, i32, Vec<Budget>),
}

fn step() -> impl Strategy<Value = Step> {
    let how = || (0..4_i32, 0..4_u64, prop::bool::weighted(0.1));
    let budgets = prop::collection::vec(random::budget(), 0..3);
    let namespace = prop::sample::select(&["x", "y"][..]);
    prop_oneof![
        4 => random::node().prop_map(Step::SetNode),
        1 => (0..random::NODES).prop_map(Step::RemoveNode),
        12 => (0..PODS, 0..6_usize, how()).prop_map(|(id, shape, how)| Step::Place(id, shape, how)),
        4 => (0..PODS, 0..6_usize, how(), 0..random::NODES)
            .prop_map(|(id, shape, how, node)| Step::Bind(id, shape, how, node)),
        2 => (0..PODS).prop_map(Step::RemovePod),
        1 => (namespace, random::labels()).prop_map(|(name, labels)| Step::Namespace(name, labels)),
        2 => (0..6_usize, 1..6_i32, budgets)
            .prop_map(|(shape, priority, budgets)| Step::Preempt(shape, priority, budgets)),
    ]
}

fn steps() -> impl Strategy<Value = (Vec<Node>, Vec<Arc<Shape>>, Vec<Step>)> {
    (
        prop::collection::vec(random::node(), 2..8),
        prop::collection::vec(random::shape(), 6),
        prop::collection::vec(step(), 1..60),
    )
}

struct Both {
    cluster: Cluster,
    world: World,
}

impl Both {
    fn set_node(&mut self, node: &Node) {
        self.cluster.set_node(node.clone());
        self.world.nodes.insert(node.name.clone(), node.clone());
    }

    fn bind(&mut self, pod: &Pod, node: &str) {
        self.cluster.set_pod(pod, node);
        let bound = (pod.clone(), node.to_owned());
        self.world.pods.insert(pod.id.clone(), bound);
    }

    fn place(&mut self, pod: &Pod) {
        // Who is there already is looked at as one more.
        let expected: Vec<String> = self
            .world
            .scores(pod)
            .keys()
            .map(|&name| name.to_owned())
            .collect();
        assert_eq!(self.cluster.feasible(pod), expected);
        match (self.cluster.place(pod), self.world.choice(pod)) {
            (Ok(placed), Some(choice)) => {
                assert_eq!((&placed.node, placed.score), (&choice.0, choice.1));
                self.world_fits(pod, &placed.node);
                self.bind(pod, &placed.node);
            }
            (Err(refusals), None) => assert_eq!(refusals, self.refusals(pod)),
            other => panic!("{other:?}"),
        }
    }

    fn refusals(&self, pod: &Pod) -> Refusals {
        let mut counts = BTreeMap::new();
        for node in self.world.nodes.values() {
            for reason in self.world.refusals(pod, node) {
                *counts.entry(reason).or_default() += 1;
            }
        }
        Refusals {
            nodes: self.world.nodes.len(),
            counts,
        }
    }

    /// No resource that the pod asks for is overdrawn by it.
    fn world_fits(&self, pod: &Pod, node: &str) {
        let there = &self.world.nodes[node];
        let with = || {
            self.world
                .on(node)
                .chain([pod])
                .map(|pod| &pod.shape.requests)
        };
        let sum = |of: fn(&Amounts) -> u64| with().map(of).sum::<u64>();
        let wants = &pod.shape.requests;
        assert!(with().count() as u64 <= there.pods_max);
        let fits = |of: fn(&Amounts) -> u64| of(wants) == 0 || sum(of) <= of(&there.allocatable);
        assert!(fits(|is| is.cpu_millis) && fits(|is| is.memory_bytes));
        assert!(fits(|is| is.ephemeral_bytes));
        assert!(fits(|is| is
            .extended
            .get("example.com/gpu")
            .copied()
            .unwrap_or(0)));
    }

    fn take(&mut self, step: &Step, shapes: &[Arc<Shape>]) {
        match step {
            Step::SetNode(node) => self.set_node(node),
            Step::RemoveNode(number) => {
                self.cluster.remove_node(&format!("n{number}"));
                self.world.nodes.remove(&format!("n{number}"));
            }
            Step::Place(id, shape, how) => self.place(&random::pod(*id, &shapes[*shape], *how)),
            Step::Bind(id, shape, how, node) => {
                self.bind(
                    &random::pod(*id, &shapes[*shape], *how),
                    &format!("n{node}"),
                );
            }
            Step::RemovePod(id) => {
                self.cluster.remove_pod(&format!("p{id}"));
                self.world.pods.remove(&format!("p{id}"));
            }
            Step::Namespace(name, labels) => {
                self.cluster.set_namespace(name, labels);
                self.world
                    .namespaces
                    .insert((*name).to_owned(), labels.clone());
            }
            Step::Preempt(shape, priority, budgets) => {
                let pod = random::pod(PODS, &shapes[*shape], (*priority, 9, false));
                if self.world.choice(&pod).is_none() {
                    let found = self.cluster.preempt(&pod, budgets);
                    assert_eq!(found, self.world.preempt(&pod, budgets));
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_comes_to_what_the_model_says((nodes, shapes, steps) in steps()) {
        let mut both = Both { cluster: Cluster::new(), world: World::default() };
        nodes.iter().for_each(|node| both.set_node(node));
        for step in &steps {
            both.take(step, &shapes);
        }
        for shape in &shapes {
            both.place(&random::pod(PODS, shape, (0, 9, false)));
        }
        // What is left is nothing that a new cluster would not have.
        let mut fresh = Cluster::new();
        for node in both.world.nodes.values() {
            fresh.set_node(node.clone());
        }
        for (name, labels) in &both.world.namespaces {
            fresh.set_namespace(name, labels);
        }
        for (pod, node) in both.world.pods.values() {
            fresh.set_pod(pod, node);
        }
        for shape in &shapes {
            let pod = random::pod(PODS + 1, shape, (0, 9, false));
            prop_assert_eq!(fresh.place(&pod), both.cluster.place(&pod));
        }
    }
}
