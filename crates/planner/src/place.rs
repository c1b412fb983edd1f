//! The choice of a node: classes are judged, their scores made comparable, and the first member of
//! the best is taken.
//!
//! Among equal scores the node with fewer pods is taken, then the one whose name has the lesser
//! hash: that spreads pods, and is the same in every process that knows the same nodes and pods.

use std::collections::BTreeSet;

use crate::classes::Class;
use crate::node::Site;
use crate::ranking::{Ranking, Standing};
use crate::reasons::{Refusal, Refusals};
use crate::row::{self, MISSING, Row, Rule};
use crate::score;
use crate::state::State;

/// How many reasons back one is looked for.
const FEW: usize = 8;

/// A class that can take the pod, and what its scores are made of.
struct Candidate<'a> {
    class: &'a Class,
    parts: &'a [i64],
    /// The sum of what is liked of what is near.
    liked: i64,
    /// Whether it has all labels that soft spreads are about.
    is_spread: bool,
    /// How crowded it is, by the soft spreads.
    crowd: i64,
}

/// The least and the greatest of some numbers.
#[derive(Clone, Copy)]
struct Reach(i64, i64);

/// The slot of the best node, and its score.
pub(crate) fn choose(ranking: &Ranking, state: &State) -> Option<(u32, i64)> {
    let candidates = candidates(ranking);
    let disliked = Reach::of(candidates.iter().map(|one| one.class.key[0]));
    let affine = Reach::of(candidates.iter().map(|one| one.class.key[1]));
    let liked = Reach::of(candidates.iter().map(|one| one.liked));
    let spread = candidates.iter().filter(|one| one.is_spread);
    let crowd = Reach::of(spread.map(|one| one.crowd));
    let asks_spread = ranking.body.spreads.iter().any(|spread| !spread.is_hard);
    let whole = |one: &Candidate<'_>| {
        let first = one.class.members.first().expect("a class has members");
        let near = score::between(one.liked, liked.0, liked.1);
        let even = match (asks_spread, one.is_spread) {
            (true, true) => score::evenness(one.crowd, crowd.0, crowd.1),
            _ => 0,
        };
        let score = images(ranking, state, one.class) - first.below
            + score::TAINTS * score::few_of_greatest(one.class.key[0], disliked.1)
            + score::NODE_AFFINITY * score::of_greatest(one.class.key[1], affine.1)
            + score::POD_AFFINITY * near
            + score::SPREAD * even;
        (-score, first.pods, first.order, first.slot)
    };
    let best = candidates.iter().map(whole).min();
    best.map(|(score, _, _, slot)| (slot, -score))
}

/// The slots of all nodes that can take the pod.
pub(crate) fn feasible(ranking: &Ranking) -> Vec<u32> {
    let candidates = candidates(ranking);
    let members = candidates.iter().flat_map(|one| &one.class.members);
    members.map(|rank| rank.slot).collect()
}

/// Why no node can take the pod.
pub(crate) fn refusals(ranking: &Ranking, state: &State) -> Refusals {
    let mut refusals = Refusals {
        nodes: state.nodes,
        ..Refusals::default()
    };
    let least = ranking.near().least(&[], &[]);
    // Most nodes refuse for what one of the last few refused for: words are made once for those.
    let mut counted: Vec<(Refusal, &Site, usize)> = Vec::new();
    for (slot, spot) in state.spots.iter().enumerate() {
        let refusal = refusal(ranking, slot, &least);
        let (Some(refusal), Some(site)) = (refusal, &spot.site) else {
            continue;
        };
        let is_same = |(is, at, _): &&mut (Refusal, &Site, usize)| {
            *is == refusal && (at.taints == site.taints || !matches!(is, Refusal::Taint(_)))
        };
        match counted.iter_mut().rev().take(FEW).find(is_same) {
            Some((_, _, nodes)) => *nodes += 1,
            None => counted.push((refusal, site, 1)),
        }
    }
    for (refusal, site, nodes) in counted {
        refusals.count(refusal.reasons(&ranking.body, site), nodes);
    }
    refusals
}

/// Why a node cannot; `least` is of the rows as they are.
pub(crate) fn refusal(ranking: &Ranking, slot: usize, least: &[i64]) -> Option<Refusal> {
    match ranking.standing(slot) {
        Standing::Gone => None,
        Standing::Refused(refusal) => Some(refusal),
        Standing::Member(..) => ranking.near().refusal(&ranking.parts(slot), least, &[]),
    }
}

fn candidates(ranking: &Ranking) -> Vec<Candidate<'_>> {
    let near = ranking.near();
    let least = near.least(&[], &[]);
    let mut candidates = Vec::new();
    for class in ranking.classes.iter() {
        let parts = ranking.row_parts(&class.key);
        if near.refusal(parts, &least, &[]).is_some() {
            continue;
        }
        let preferred = |row: &&(&Row, &i64)| row.0.rule == Rule::Preferred;
        let rows = ranking.rows.iter().zip(parts);
        let liked = rows.filter(|row| preferred(&row));
        candidates.push(Candidate {
            class,
            parts,
            liked: liked.filter_map(|(row, part)| row.at(*part)).sum(),
            is_spread: soft(ranking).all(|(index, _)| parts[index] != MISSING),
            crowd: 0,
        });
    }
    crowds(ranking, &mut candidates);
    candidates
}

/// How crowded each candidate is: domains are those of candidates, pods are all that count.
fn crowds(ranking: &Ranking, candidates: &mut [Candidate<'_>]) {
    let mut sums = vec![0.0; candidates.len()];
    for (index, max_skew) in soft(ranking) {
        let row = &ranking.rows[index];
        let spread = candidates.iter().filter(|one| one.is_spread);
        let parts = spread
            .clone()
            .filter_map(|one| row::shared(one.parts[index]));
        let shared: BTreeSet<u32> = parts.collect();
        let alone = spread.filter(|one| row::shared(one.parts[index]).is_none());
        let alone: usize = alone.map(|one| one.class.members.len()).sum();
        let domains = shared.len() + alone;
        for (sum, one) in sums.iter_mut().zip(candidates.iter()) {
            if let Some(pods) = row.at(one.parts[index]) {
                *sum += score::crowd(pods, domains, max_skew);
            }
        }
    }
    for (sum, one) in sums.into_iter().zip(candidates) {
        one.crowd = sum.round() as i64;
    }
}

/// The rows of soft spreads, with the skew that is fine.
fn soft(ranking: &Ranking) -> impl Iterator<Item = (usize, i64)> + '_ {
    let spreads = ranking.body.spreads.iter().enumerate();
    let soft = spreads.filter(|(_, spread)| !spread.is_hard);
    soft.map(|(index, spread)| (index, spread.max_skew))
}

fn images(ranking: &Ranking, state: &State, class: &Class) -> i64 {
    let names = &ranking.body.images;
    let sizes = ranking.image_sizes(&class.key).iter();
    let there = sizes.zip(names).map(|(size, name)| {
        let nodes = state.images.get(name).copied().unwrap_or(0);
        (size.unsigned_abs(), nodes)
    });
    score::images(there, names.len(), state.nodes)
}

impl Reach {
    fn of(numbers: impl Iterator<Item = i64>) -> Reach {
        numbers.fold(Reach(i64::MAX, i64::MIN), |reach, number| {
            Reach(reach.0.min(number), reach.1.max(number))
        })
    }
}
