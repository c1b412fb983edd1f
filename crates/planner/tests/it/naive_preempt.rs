//! Preemption once more: worlds without the victims, and the filters of those.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use weft_planner::{Budget, Pod, Preemption, Reason, Refusals};

use crate::naive::{self, World};

impl World {
    pub fn preempt(&self, pod: &Pod, budgets: &[Budget]) -> Preemption {
        let mut counts: BTreeMap<Reason, usize> = BTreeMap::new();
        let mut found = Vec::new();
        for name in self.nodes.keys() {
            match self.sacrifice(name, pod, budgets) {
                Ok((violations, victims)) => found.push((name, violations, victims)),
                Err(reasons) => {
                    for reason in reasons {
                        *counts.entry(reason).or_default() += 1;
                    }
                }
            }
        }
        let best = found.into_iter().min_by_key(|(name, violations, victims)| {
            let first = victims.iter().map(|one| one.priority).max().unwrap();
            let sum: i64 = victims
                .iter()
                .map(|one| i64::from(one.priority) + (1 << 31) + 1)
                .sum();
            let firsts = victims.iter().filter(|one| one.priority == first);
            let started = firsts.map(|one| one.started).min();
            let hash = crate::naive_score::weft_hash(name);
            (
                *violations,
                first,
                sum,
                victims.len(),
                Reverse(started),
                hash,
            )
        });
        match best {
            Some((node, _, victims)) => Preemption::Node {
                node: node.clone(),
                victims: victims.into_iter().map(|one| one.id.clone()).collect(),
            },
            None => Preemption::Nowhere(Refusals {
                nodes: self.nodes.len(),
                counts,
            }),
        }
    }

    fn sacrifice(
        &self,
        name: &str,
        pod: &Pod,
        budgets: &[Budget],
    ) -> Result<(usize, Vec<&Pod>), Vec<Reason>> {
        let node = &self.nodes[name];
        let is_final = |reason: &Reason| {
            use Reason::{
                Affinity, NodeAffinity, NodeName, SpreadLabel, Taint, Unschedulable, Volumes,
            };
            let finals = [
                Unschedulable,
                NodeName,
                NodeAffinity,
                Volumes,
                SpreadLabel,
                Affinity,
            ];
            matches!(reason, Taint(..)) || finals.contains(reason)
        };
        let alone = World {
            nodes: [(name.to_owned(), node.clone())].into(),
            ..World::default()
        };
        let impossible =
            |reason: &Reason| matches!(reason, Reason::TooManyPods | Reason::Insufficient(_));
        let unhelpful = self.refusals(pod, node).iter().any(is_final)
            || alone.refusals(pod, node).iter().any(impossible);
        if unhelpful {
            return Err(vec![Reason::Unhelpful]);
        }
        let mut lesser: Vec<&Pod> = self
            .on(name)
            .filter(|one| one.priority < pod.priority)
            .collect();
        if lesser.is_empty() {
            return Err(vec![Reason::NoVictims]);
        }
        let important = |one: &&Pod| (Reverse(one.priority), one.started, one.id.clone());
        lesser.sort_by_key(important);
        let mut world = self.clone();
        for one in &lesser {
            world.pods.remove(&one.id);
        }
        let refusals = world.refusals(pod, node);
        if !refusals.is_empty() {
            return Err(refusals);
        }
        let mut left: Vec<i64> = budgets.iter().map(|budget| budget.allowed.into()).collect();
        let (mut kept, mut free) = (Vec::new(), Vec::new());
        for one in lesser {
            let mut violates = false;
            for (budget, left) in budgets.iter().zip(&mut left) {
                let Some(selector) = &budget.selector else {
                    continue;
                };
                let means = budget.namespace == one.shape.namespace
                    && !selector.requirements.is_empty()
                    && !one.shape.labels.is_empty()
                    && naive::matches(&selector.requirements, &one.shape.labels);
                *left -= i64::from(means);
                violates |= means && *left < 0;
            }
            if violates {
                kept.push(one)
            } else {
                free.push(one)
            }
        }
        let (mut violations, mut victims) = (0, Vec::new());
        let kept = kept.into_iter().map(|one| (one, 1));
        for (one, violation) in kept.chain(free.into_iter().map(|one| (one, 0))) {
            world
                .pods
                .insert(one.id.clone(), (one.clone(), name.to_owned()));
            if !world.refusals(pod, node).is_empty() {
                world.pods.remove(&one.id);
                violations += violation;
                victims.push(one);
            }
        }
        victims.sort_by_key(important);
        Ok((violations, victims))
    }
}
