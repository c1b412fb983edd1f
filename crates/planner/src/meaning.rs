//! What another pod means for a shape: which rows it counts in, and how much. By that, rows are made.
//! Never knows where the other pod is.

use crate::body::{Body, Namespaces};
use crate::names::Name;
use crate::row::{Row, Rule};
use crate::state::State;

/// What an existing pod's required affinity weighs for a pod that it matches (kube-scheduler's
/// `hardPodAffinityWeight`).
const REQUIRED_WEIGHT: i64 = 1;
/// Each node is one host, whoever else says to be called so.
const HOSTNAME: &str = "kubernetes.io/hostname";

/// The keys of rows that others ask for. Bound: the topology keys that pods on nodes name.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    repelled: Vec<Name>,
    preferred: Vec<Name>,
}

/// The rows are not those that are needed.
#[derive(Debug)]
pub(crate) enum Outdated {
    /// Somebody repels the shape by another key.
    Repelled(Name),
    /// Somebody likes or dislikes it by another key.
    Preferred(Name),
}

impl Keys {
    /// Takes up what was missing.
    pub(crate) fn add(&mut self, outdated: Outdated) {
        let (keys, key) = match outdated {
            Outdated::Repelled(key) => (&mut self.repelled, key),
            Outdated::Preferred(key) => (&mut self.preferred, key),
        };
        keys.push(key);
    }

    /// The rows of a shape, in the order in which they are asked: the spreads are the first.
    pub(crate) fn rows(&self, body: &Body, state: &mut State) -> Vec<Row> {
        let mut asked: Vec<(Rule, &Name)> = Vec::new();
        for (index, spread) in body.spreads.iter().enumerate() {
            asked.push((Rule::Spread(index), &spread.key));
        }
        let likes = body.likes.iter().map(|(_, term)| &term.key);
        let affinity = body.affinity.iter().map(|term| (Rule::Together, &term.key));
        let anti_affinity = body.anti_affinity.iter();
        let all = affinity
            .chain(anti_affinity.map(|term| (Rule::Apart, &term.key)))
            .chain(self.repelled.iter().map(|key| (Rule::Repelled, key)))
            .chain(
                likes
                    .chain(&self.preferred)
                    .map(|key| (Rule::Preferred, key)),
            );
        for one in all {
            if !asked.contains(&one) {
                asked.push(one);
            }
        }
        let row = |(rule, key): (Rule, &Name)| {
            let is_soft = matches!(rule, Rule::Spread(index) if !body.spreads[index].is_hard);
            let is_own = is_soft && key.text() == HOSTNAME;
            Row::new(key.clone(), rule, state.topology(key), is_own)
        };
        asked.into_iter().map(row).collect()
    }
}

/// What each pod of the other body adds to the rows; None: nothing to any.
pub(crate) fn weights(
    body: &Body,
    rows: &[Row],
    other: &Body,
    namespaces: &Namespaces,
) -> Result<Option<Box<[i64]>>, Outdated> {
    let mut weights = vec![0; rows.len()];
    let mut add = |rule: Rule, key: &Name, weight: i64| {
        let row = rows
            .iter()
            .position(|row| row.rule == rule && row.key == *key);
        row.map(|row| weights[row] += weight)
            .ok_or_else(|| key.clone())
    };
    for (index, spread) in body.spreads.iter().enumerate() {
        if other.is_counted(spread, &body.namespace) {
            add(Rule::Spread(index), &spread.key, 1).map_err(Outdated::Preferred)?;
        }
    }
    let mut all = body.affinity.iter();
    if all.all(|term| other.is_meant(term, namespaces)) {
        for row in rows.iter().filter(|row| row.rule == Rule::Together) {
            add(Rule::Together, &row.key, 1).map_err(Outdated::Preferred)?;
        }
    }
    for term in &body.anti_affinity {
        if other.is_meant(term, namespaces) {
            add(Rule::Apart, &term.key, 1).map_err(Outdated::Repelled)?;
        }
    }
    for term in &other.anti_affinity {
        if body.is_meant(term, namespaces) {
            add(Rule::Repelled, &term.key, 1).map_err(Outdated::Repelled)?;
        }
    }
    let own = body
        .likes
        .iter()
        .filter(|(_, term)| other.is_meant(term, namespaces));
    let required = other.affinity.iter().map(|term| (REQUIRED_WEIGHT, term));
    let others = other.likes.iter().map(|(weight, term)| (*weight, term));
    let others = others
        .chain(required)
        .filter(|(_, term)| body.is_meant(term, namespaces));
    for (weight, term) in own.map(|(weight, term)| (*weight, term)).chain(others) {
        add(Rule::Preferred, &term.key, weight).map_err(Outdated::Preferred)?;
    }
    Ok(weights
        .iter()
        .any(|weight| *weight != 0)
        .then(|| weights.into()))
}
