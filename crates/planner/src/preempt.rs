//! Whose place a pod may take that finds none: on which node, and of which pods of lower priority.
//!
//! On each node that pods keep it from, all lesser pods are thought away; if that helps, they are
//! thought back one by one, the most important first, and those that do not fit any more are the
//! node's victims. Pods whose disruption budget is used up are thought back before all others.
//!
//! Never removes anybody: who asked does that, and waits until they are gone.

use std::cmp::Reverse;
use std::fmt;
use std::sync::Arc;

use crate::body::Body;
use crate::cluster::{Bound, Cluster};
use crate::filter;
use crate::labels::{Selector, Test};
use crate::names::{Name, Names};
use crate::place;
use crate::pod::{Pod, PreemptionPolicy};
use crate::ranking::Ranking;
use crate::reasons::{Reason, Refusal, Refusals};
use crate::spot::{self, Load};
use crate::state::State;

/// Looking ends when so many nodes, or this part of all, could be helped: the greater of the two.
/// Which those are among more depends on the order in which nodes came to be known.
const CANDIDATES_MIN: usize = 100;
const CANDIDATES_PART: usize = 10;

/// How many of some pods may be disrupted (policy/v1 `PodDisruptionBudget`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// `metadata.namespace`.
    pub namespace: String,
    /// `spec.selector`; an empty one and None match nothing.
    pub selector: Option<Selector>,
    /// `status.disruptionsAllowed`.
    pub allowed: u32,
}

/// Whose place a pod may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Preemption {
    /// When these pods are gone, the pod fits on the node.
    Node {
        /// Its name.
        node: String,
        /// The ids of the pods, the most important first.
        victims: Vec<String>,
    },
    /// The pod's policy is to wait.
    Never,
    /// Why no node could be helped.
    Nowhere(Refusals),
}

impl fmt::Display for Preemption {
    /// What follows the refusals of `place`; nothing, if there is a node.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Preemption::Node { .. } => Ok(()),
            Preemption::Never => {
                f.write_str("preemption: not eligible due to preemptionPolicy=Never.")
            }
            Preemption::Nowhere(refusals) => write!(f, "preemption: {refusals}"),
        }
    }
}

impl Cluster {
    /// Whose place a pod may take that `place` found none for.
    pub fn preempt(&mut self, pod: &Pod, budgets: &[Budget]) -> Preemption {
        if pod.preemption == PreemptionPolicy::Never {
            return Preemption::Never;
        }
        let names = &mut self.state.names;
        let budgets = budgets
            .iter()
            .filter_map(|budget| Limit::lower(budget, names));
        let budgets: Vec<Limit> = budgets.collect();
        // The ranking is brought up to date; what is left of it is read.
        let shape = self.narrowed(&pod.shape);
        self.ranking(&shape);
        let (ranking, state) = self.known(&shape);
        let mut refusals = Refusals {
            nodes: state.nodes,
            ..Refusals::default()
        };
        let least = ranking.near().least(&[], &[]);
        let mut found: Vec<Sacrifice> = Vec::new();
        let enough = CANDIDATES_MIN.max(state.nodes / CANDIDATES_PART);
        let slots = state.spots.len();
        // Each pod begins elsewhere, so that not all look at the same nodes.
        let begin = spot::order(&pod.id) % slots.max(1) as u64;
        for step in 0..slots {
            let slot = (begin as usize + step) % slots;
            let Some(refusal) = place::refusal(ranking, slot, &least) else {
                continue;
            };
            let view = View {
                ranking,
                state,
                slot,
                parts: ranking.parts(slot),
            };
            match view.sacrifice(self, pod, refusal, &budgets) {
                Ok(sacrifice) => found.push(sacrifice),
                Err(reasons) => refusals.count(reasons, 1),
            }
            if found.len() == enough {
                break;
            }
        }
        let best = found.into_iter().min_by_key(Sacrifice::weight);
        match best {
            Some(best) => Preemption::Node {
                node: state.spots[best.slot].name.text().to_owned(),
                victims: best.victims.iter().map(|one| one.id.to_string()).collect(),
            },
            None => Preemption::Nowhere(refusals),
        }
    }
}

/// A budget, lowered.
struct Limit {
    namespace: Name,
    pods: Test,
    allowed: u32,
}

/// A pod that is thought away.
struct Victim {
    id: Arc<str>,
    bound: Bound,
}

/// What it takes to make room on a node.
struct Sacrifice {
    slot: usize,
    order: u64,
    /// How many of the victims a budget should keep.
    violations: usize,
    /// The most important first.
    victims: Vec<Victim>,
}

/// A node for the pod in question.
struct View<'a> {
    ranking: &'a Ranking,
    state: &'a State,
    slot: usize,
    /// What stands for it in the rows.
    parts: Vec<i64>,
}

/// A node's load, with pods thought away, and how much more the rows' answers are by that.
struct Thought {
    load: Load,
    more: Vec<i64>,
}

impl Limit {
    fn lower(budget: &Budget, names: &mut Names) -> Option<Limit> {
        let selector = budget.selector.as_ref()?;
        let pods = Test::lower(&selector.requirements, names);
        (!pods.is_empty()).then(|| Limit {
            namespace: names.of(&budget.namespace),
            pods,
            allowed: budget.allowed,
        })
    }

    fn means(&self, body: &Body) -> bool {
        self.namespace == body.namespace
            && !body.labels.is_empty()
            && self.pods.matches(&body.labels)
    }
}

impl Sacrifice {
    /// What is least is best: violated budgets, the highest priority, all priorities (of which more
    /// pods have more), pods; then those who have not run for long; then the name's hash.
    fn weight(&self) -> (usize, i32, i128, usize, Reverse<u64>, u64) {
        let first = self.victims.iter().map(|one| one.bound.priority).max();
        let first = first.unwrap_or(i32::MIN);
        let above_least = |one: &Victim| i128::from(one.bound.priority) - i128::from(i32::MIN) + 1;
        let important = self
            .victims
            .iter()
            .filter(|one| one.bound.priority == first);
        let started = important.map(|one| one.bound.started).min();
        (
            self.violations,
            first,
            self.victims.iter().map(above_least).sum(),
            self.victims.len(),
            Reverse(started.unwrap_or(u64::MAX)),
            self.order,
        )
    }
}

impl View<'_> {
    /// What room for the pod takes here, or why there can be none.
    fn sacrifice(
        &self,
        cluster: &Cluster,
        pod: &Pod,
        refusal: Refusal,
        budgets: &[Limit],
    ) -> Result<Sacrifice, Vec<Reason>> {
        let spot = &self.state.spots[self.slot];
        let Some(site) = &spot.site else {
            return Err(Vec::new());
        };
        let body = &self.ranking.body;
        if refusal.is_final() || !filter::fit::lack(body, site, &Load::default()).is_nothing() {
            return Err(vec![Reason::Unhelpful]);
        }
        let mut lesser: Vec<Victim> = Vec::new();
        for id in &spot.pods {
            let bound = cluster.pods[id];
            if bound.priority < pod.priority {
                let id = Arc::clone(id);
                lesser.push(Victim { id, bound });
            }
        }
        if lesser.is_empty() {
            return Err(vec![Reason::NoVictims]);
        }
        let mut thought = Thought {
            load: spot.load.clone(),
            more: vec![0; self.ranking.rows.len()],
        };
        lesser.iter().for_each(|one| self.take(one, &mut thought));
        if let Some(refusal) = self.refusal(&thought) {
            return Err(refusal.reasons(body, site));
        }
        lesser.sort_by(|a, b| importance(a).cmp(&importance(b)));
        let (kept, free) = self.by_budget(lesser, budgets);
        let (mut victims, mut violations) = (Vec::new(), 0);
        let kept = kept.into_iter().map(|one| (one, 1));
        for (one, violation) in kept.chain(free.into_iter().map(|one| (one, 0))) {
            self.put_back(&one, &mut thought);
            if self.refusal(&thought).is_some() {
                self.take(&one, &mut thought);
                violations += violation;
                victims.push(one);
            }
        }
        victims.sort_by(|a, b| importance(a).cmp(&importance(b)));
        Ok(Sacrifice {
            slot: self.slot,
            order: spot.order,
            violations,
            victims,
        })
    }

    /// Those whose disruption a budget does not allow, and the others.
    fn by_budget(&self, pods: Vec<Victim>, budgets: &[Limit]) -> (Vec<Victim>, Vec<Victim>) {
        let mut left: Vec<i64> = budgets.iter().map(|one| one.allowed.into()).collect();
        pods.into_iter().partition(|one| {
            let body = &self.state.bodies.get(one.bound.body).body;
            let mut is_kept = false;
            for (left, _) in left
                .iter_mut()
                .zip(budgets)
                .filter(|(_, budget)| budget.means(body))
            {
                *left -= 1;
                is_kept |= *left < 0;
            }
            is_kept
        })
    }

    fn take(&self, one: &Victim, thought: &mut Thought) {
        let id = one.bound.body;
        let body = &self.state.bodies.get(id).body;
        thought.load.remove(id, body, one.bound.is_terminating);
        let change = self.ranking.one(self.slot, id, one.bound.is_terminating);
        for (more, change) in thought.more.iter_mut().zip(change) {
            *more -= change;
        }
    }

    fn put_back(&self, one: &Victim, thought: &mut Thought) {
        let id = one.bound.body;
        let body = &self.state.bodies.get(id).body;
        thought.load.add(id, body, one.bound.is_terminating);
        let change = self.ranking.one(self.slot, id, one.bound.is_terminating);
        for (more, change) in thought.more.iter_mut().zip(change) {
            *more += change;
        }
    }

    fn refusal(&self, thought: &Thought) -> Option<Refusal> {
        let site = self.state.spots[self.slot].site.as_ref()?;
        let refusal = filter::load(&self.ranking.body, site, &thought.load);
        refusal.or_else(|| {
            let near = self.ranking.near();
            let least = near.least(&self.parts, &thought.more);
            near.refusal(&self.parts, &least, &thought.more)
        })
    }
}

/// The least is the most important: by priority, then by how long it has run.
fn importance(one: &Victim) -> (Reverse<i32>, u64, &str) {
    (Reverse(one.bound.priority), one.bound.started, &one.id)
}
