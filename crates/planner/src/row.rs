//! A row: one question about what is near a node, with the answer for every domain of its topology
//! key. Kept up to date by taking away what a node said before and adding what it says now.
//! Never looks at pods: it is told numbers.

use std::collections::{BTreeMap, HashMap};

use crate::names::Name;

/// Stands for the domain of a node that lacks the key.
pub(crate) const MISSING: i64 = i64::MIN;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// How many pods the constraint of this number counts.
    Spread(usize),
    /// How many pods match all terms of required affinity.
    Together,
    /// How many pods match the terms of required anti-affinity.
    Apart,
    /// How many pods have terms of required anti-affinity that match this one.
    Repelled,
    /// The weights of what is liked, on both sides.
    Preferred,
}

/// A question and its answers. Bound: a domain per node.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) key: Name,
    pub(crate) rule: Rule,
    /// Whether no two nodes are in one domain, so that the answer is a node's own.
    pub(crate) is_fine: bool,
    /// Whether a node answers for itself even if others are in its domain.
    pub(crate) is_own: bool,
    /// The sum of all answers.
    pub(crate) total: i64,
    /// How many domains have a node that counts.
    pub(crate) kinds: usize,
    by_value: HashMap<Name, u32>,
    domains: Vec<Domain>,
    free: Vec<u32>,
    /// Of a fine row of a spread: how many nodes have which answer.
    answers: BTreeMap<i64, usize>,
}

#[derive(Debug)]
struct Domain {
    value: Name,
    /// Nodes that have it.
    nodes: usize,
    /// Of those, who count.
    counting: usize,
    answer: i64,
}

impl Row {
    pub(crate) fn new(key: Name, rule: Rule, is_fine: bool, is_own: bool) -> Row {
        Row {
            key,
            rule,
            is_fine,
            is_own,
            total: 0,
            kinds: 0,
            by_value: HashMap::new(),
            domains: Vec::new(),
            free: Vec::new(),
            answers: BTreeMap::new(),
        }
    }

    /// A node comes to have a value: its domain, and how many nodes that has now.
    pub(crate) fn enter(&mut self, value: &Name) -> (u32, usize) {
        let id = match self.by_value.get(value) {
            Some(id) => *id,
            None => self.open(value),
        };
        let domain = &mut self.domains[id as usize];
        domain.nodes += 1;
        (id, domain.nodes)
    }

    /// It has it no more.
    pub(crate) fn leave(&mut self, id: u32) {
        let domain = &mut self.domains[id as usize];
        domain.nodes -= 1;
        if domain.nodes == 0 {
            self.by_value.remove(&domain.value);
            self.free.push(id);
        }
    }

    /// A node of a domain says a number.
    pub(crate) fn add(&mut self, id: u32, answer: i64) {
        let domain = &mut self.domains[id as usize];
        self.kinds += usize::from(domain.counting == 0);
        domain.counting += 1;
        domain.answer += answer;
        self.total += answer;
        if self.is_fine && matches!(self.rule, Rule::Spread(_)) {
            *self.answers.entry(answer).or_default() += 1;
        }
    }

    /// It says it no more.
    pub(crate) fn subtract(&mut self, id: u32, answer: i64) {
        let domain = &mut self.domains[id as usize];
        domain.counting -= 1;
        self.kinds -= usize::from(domain.counting == 0);
        domain.answer -= answer;
        self.total -= answer;
        if let Some(nodes) = self.answers.get_mut(&answer) {
            *nodes -= 1;
            if *nodes == 0 {
                self.answers.remove(&answer);
            }
        }
    }

    /// What stands for a node in the key of its class: its own answer, or its domain.
    pub(crate) fn part(&self, domain: Option<u32>, answer: i64) -> i64 {
        match domain {
            None => MISSING,
            Some(_) if self.is_fine => answer,
            Some(id) => id.into(),
        }
    }

    /// The answer for nodes of a class; None if they lack the key.
    pub(crate) fn at(&self, part: i64) -> Option<i64> {
        match part {
            MISSING => None,
            own if self.is_fine => Some(own),
            id => Some(self.domain(id).answer),
        }
    }

    /// The least of the domains' answers, if that of the part's were so much more.
    pub(crate) fn least(&self, part: i64, more: i64) -> i64 {
        if !self.is_fine {
            let all = self.domains.iter().enumerate();
            let counting = all.filter(|(_, domain)| domain.counting > 0);
            let answers = counting.map(|(id, domain)| match id as i64 == part {
                true => domain.answer + more,
                false => domain.answer,
            });
            return answers.min().unwrap_or(i64::MAX);
        }
        let first = |without: Option<i64>| {
            let left =
                |(answer, nodes): (&i64, &usize)| *nodes > usize::from(without == Some(*answer));
            let mut answers = self.answers.iter();
            answers
                .find(|one| left(*one))
                .map_or(i64::MAX, |(answer, _)| *answer)
        };
        match more {
            0 => first(None),
            _ => first(Some(part)).min(part + more),
        }
    }

    fn open(&mut self, value: &Name) -> u32 {
        let domain = Domain {
            value: value.clone(),
            nodes: 0,
            counting: 0,
            answer: 0,
        };
        let id = match self.free.pop() {
            Some(id) => {
                self.domains[id as usize] = domain;
                id
            }
            None => {
                self.domains.push(domain);
                u32::try_from(self.domains.len() - 1).expect("fewer domains than nodes")
            }
        };
        self.by_value.insert(value.clone(), id);
        id
    }

    fn domain(&self, id: i64) -> &Domain {
        let id = usize::try_from(id).expect("a part of a coarse row is an id");
        &self.domains[id]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Names;

    #[test]
    fn domains_add_up_and_the_least_is_known() {
        let mut names = Names::default();
        let (a, b) = (names.of("a"), names.of("b"));
        for is_fine in [false, true] {
            let mut row = Row::new(names.of("zone"), Rule::Spread(0), is_fine, false);
            assert_eq!(row.least(MISSING, 0), i64::MAX);
            let (in_a, nodes) = row.enter(&a);
            assert_eq!(nodes, 1);
            let (in_b, _) = row.enter(&b);
            row.add(in_a, 3);
            row.add(in_b, 1);
            assert_eq!((row.total, row.kinds, row.least(MISSING, 0)), (4, 2, 1));
            let part = row.part(Some(in_b), 1);
            assert_eq!(row.at(part), Some(1));
            assert_eq!((row.least(part, 5), row.least(part, -1)), (3, 0));
            assert_eq!(row.at(row.part(None, 0)), None);
            row.subtract(in_b, 1);
            row.leave(in_b);
            assert_eq!((row.total, row.kinds, row.least(MISSING, 0)), (3, 1, 3));
        }
        let mut row = Row::new(names.of("zone"), Rule::Apart, false, false);
        let (id, _) = row.enter(&a);
        assert_eq!(row.enter(&a), (id, 2));
        row.add(id, 1);
        row.add(id, 1);
        assert_eq!(row.at(row.part(Some(id), 1)), Some(2));
    }
}
