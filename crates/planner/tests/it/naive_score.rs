//! The scores once more, as they are written down.

use std::collections::{BTreeMap, BTreeSet};

use weft_planner::{Effect, Node, Pod, Shape, Taint, WhenUnsatisfiable};

use crate::naive::{self, World};

const HOSTNAME: &str = "kubernetes.io/hostname";
const MIB: f64 = (1 << 20) as f64;

impl World {
    /// The nodes that can take a pod, with their scores.
    pub fn scores(&self, pod: &Pod) -> BTreeMap<&str, i64> {
        let nodes = self.nodes.values();
        let nodes: Vec<&Node> = nodes
            .filter(|node| self.refusals(pod, node).is_empty())
            .collect();
        let shape = &*pod.shape;
        let disliked: Vec<i64> = nodes.iter().map(|node| disliked(shape, node)).collect();
        let worst = disliked.iter().copied().max().unwrap_or(0);
        let affine: Vec<i64> = nodes.iter().map(|node| affine(shape, node)).collect();
        let greatest = affine.iter().copied().max().unwrap_or(0);
        let liked: Vec<i64> = nodes.iter().map(|node| self.liked(shape, node)).collect();
        let likes = (liked.iter().min().copied(), liked.iter().max().copied());
        let even = self.even(shape, &nodes);
        let mut scores = BTreeMap::new();
        for (at, node) in nodes.iter().enumerate() {
            let mut score = self.alone(shape, node) + self.images(shape, node);
            score += 3 * if worst == 0 {
                100
            } else {
                100 - 100 * disliked[at] / worst
            };
            score += 2 * if greatest == 0 {
                0
            } else {
                100 * affine[at] / greatest
            };
            if let (Some(least), Some(most)) = likes
                && most > least
            {
                let part = (liked[at] - least) as f64 / (most - least) as f64;
                score += 2 * (100.0 * part) as i64;
            }
            score += 2 * even[at];
            scores.insert(&*node.name, score);
        }
        scores
    }

    /// The one that should be chosen.
    pub fn choice(&self, pod: &Pod) -> Option<(String, i64)> {
        let scores = self.scores(pod);
        let best = scores
            .iter()
            .min_by_key(|(name, score)| (-**score, self.on(name).count(), weft_hash(name)));
        best.map(|(name, score)| ((*name).to_owned(), *score))
    }

    fn alone(&self, shape: &Shape, node: &Node) -> i64 {
        let nominal = |shape: &Shape| {
            let cpu = shape.requests.cpu_millis + u64::from(shape.unsaid.cpu) * 100;
            let memory =
                shape.requests.memory_bytes + ((u64::from(shape.unsaid.memory) * 200) << 20);
            [cpu, memory]
        };
        let real = |shape: &Shape| [shape.requests.cpu_millis, shape.requests.memory_bytes];
        let there = [node.allocatable.cpu_millis, node.allocatable.memory_bytes];
        let (mut left, mut used) = (Vec::new(), Vec::new());
        for (at, there) in there
            .into_iter()
            .enumerate()
            .filter(|(_, there)| *there > 0)
        {
            let pods = || self.on(&node.name).map(|pod| &*pod.shape).chain([shape]);
            let sum: u64 = pods().map(|shape| nominal(shape)[at]).sum();
            left.push(there.saturating_sub(sum) * 100 / there);
            let sum: u64 = pods().map(|shape| real(shape)[at]).sum();
            used.push((sum as f64 / there as f64).min(1.0));
        }
        let least = match left.len() {
            0 => 0,
            many => left.iter().sum::<u64>() / many as u64,
        };
        let requests = &shape.requests;
        let is_nothing = real(shape) == [0, 0]
            && requests.ephemeral_bytes == 0
            && requests.extended.values().all(|amount| *amount == 0);
        let balance = match used[..] {
            _ if is_nothing => 0,
            [] => 0,
            [_] => 100,
            _ => ((1.0 - (used[0] - used[1]).abs() / 2.0) * 100.0) as i64,
        };
        least as i64 + balance
    }

    fn images(&self, shape: &Shape, node: &Node) -> i64 {
        let size = |node: &Node, name: &String| {
            let mut images = node.images.iter();
            let found = images.find(|image| image.names.contains(name));
            found.map(|image| image.size_bytes)
        };
        let mut sum = 0.0;
        for name in &shape.images {
            let tagged = match name.contains(':') {
                true => name.clone(),
                false => format!("{name}:latest"),
            };
            if let Some(bytes) = size(node, &tagged) {
                let with = self
                    .nodes
                    .values()
                    .filter(|node| size(node, &tagged).is_some());
                sum += (bytes as f64 * (with.count() as f64 / self.nodes.len() as f64)).floor();
            }
        }
        let (least, most) = (23.0 * MIB, 1000.0 * MIB * shape.images.len() as f64);
        match shape.images.is_empty() {
            true => 0,
            false => (100.0 * (sum.clamp(least, most) - least) / (most - least)).floor() as i64,
        }
    }

    /// The weights of everything that is liked of what is near, by either side.
    fn liked(&self, shape: &Shape, node: &Node) -> i64 {
        let mut sum = 0;
        for (other, at) in self.pods.values() {
            let Some(other_node) = self.nodes.get(at) else {
                continue;
            };
            let is_near = |key: &String| {
                let value = node.labels.get(key);
                value.is_some() && other_node.labels.get(key) == value
            };
            let mut add = |owner: &Shape, term: &weft_planner::PodTerm, meant: &Shape, weight| {
                if is_near(&term.topology_key) && self.means(owner, term, meant) {
                    sum += weight;
                }
            };
            for (owner, meant) in [(shape, &*other.shape), (&*other.shape, shape)] {
                for (weight, term) in &owner.affinity.preferred {
                    add(owner, term, meant, i64::from(*weight));
                }
                for (weight, term) in &owner.anti_affinity.preferred {
                    add(owner, term, meant, -i64::from(*weight));
                }
            }
            for term in &other.shape.affinity.required {
                add(&other.shape, term, shape, 1);
            }
        }
        sum
    }

    /// How even each node would leave things, by the soft constraints.
    fn even(&self, shape: &Shape, nodes: &[&Node]) -> Vec<i64> {
        let soft = shape.spreads.iter();
        let soft = soft.filter(|one| one.when_unsatisfiable == WhenUnsatisfiable::ScheduleAnyway);
        let soft: Vec<_> = soft.collect();
        let has = |node: &Node| {
            soft.iter()
                .all(|one| node.labels.contains_key(&one.topology_key))
        };
        let spread: Vec<&&Node> = nodes.iter().filter(|node| has(node)).collect();
        let mut crowds: BTreeMap<&str, f64> = BTreeMap::new();
        for one in &soft {
            let key = &one.topology_key;
            let is_host = key == HOSTNAME;
            let values: BTreeSet<&String> = spread.iter().map(|node| &node.labels[key]).collect();
            let size = if is_host { spread.len() } else { values.len() };
            let domains = self.domains(shape, one);
            for node in &spread {
                let counted =
                    |pod: &&Pod| !pod.terminating && World::counts(shape, one, &pod.shape);
                let pods = match is_host {
                    true => self.on(&node.name).filter(counted).count() as i64,
                    false => domains.get(&node.labels[key]).copied().unwrap_or(0),
                };
                *crowds.entry(&node.name).or_default() +=
                    pods as f64 * ((size + 2) as f64).ln() + f64::from(one.max_skew) - 1.0;
            }
        }
        let crowds: BTreeMap<&str, i64> = crowds
            .into_iter()
            .map(|(name, crowd)| (name, crowd.round() as i64))
            .collect();
        let least = crowds.values().min().copied().unwrap_or(0);
        let most = crowds.values().max().copied().unwrap_or(0);
        let one = |node: &&Node| match crowds.get(&*node.name) {
            None => 0,
            Some(_) if most == 0 => 100,
            Some(crowd) => 100 * (most + least - crowd) / most,
        };
        nodes.iter().map(one).collect()
    }
}

fn disliked(shape: &Shape, node: &Node) -> i64 {
    let tolerated = |taint: &Taint| {
        shape
            .tolerations
            .iter()
            .any(|one| naive::tolerates(one, taint))
    };
    let soft = node
        .taints
        .iter()
        .filter(|taint| taint.effect == Effect::PreferNoSchedule);
    soft.filter(|taint| !tolerated(taint)).count() as i64
}

fn affine(shape: &Shape, node: &Node) -> i64 {
    let preferred = shape.node_affinity.preferred.iter();
    let liked = preferred.filter(|(_, term)| naive::term_holds(term, node));
    liked.map(|(weight, _)| i64::from(*weight)).sum()
}

/// FNV-1a.
pub fn weft_hash(name: &str) -> u64 {
    let mut hash = 14_695_981_039_346_656_037_u64;
    for byte in name.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(1_099_511_628_211);
    }
    hash
}
