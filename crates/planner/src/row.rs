//! A row: one question about what is near a node, with the answer for every domain of its topology
//! key. Kept up to date by taking away what a node said before and adding what it says now.
//! Never looks at pods: it is told numbers.

use std::collections::BTreeMap;

use crate::names::Name;
use crate::topology::Seat;

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

/// A question and its answers. Bound: an answer per node.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) key: Name,
    pub(crate) rule: Rule,
    /// The key among the topologies.
    pub(crate) topology: usize,
    /// Whether each node answers for itself, even if others are in its domain.
    pub(crate) is_own: bool,
    /// The sum of all answers.
    pub(crate) total: i64,
    /// How many domains have a node that counts.
    pub(crate) kinds: usize,
    /// Of domains that nodes share.
    shared: BTreeMap<u32, Domain>,
    /// How many nodes that are alone in their domain have which answer; of spreads only, which ask
    /// for the least.
    alone: BTreeMap<i64, usize>,
}

#[derive(Debug, Default)]
struct Domain {
    counting: usize,
    answer: i64,
}

impl Row {
    pub(crate) fn new(key: Name, rule: Rule, topology: usize, is_own: bool) -> Row {
        Row {
            key,
            rule,
            topology,
            is_own,
            total: 0,
            kinds: 0,
            shared: BTreeMap::new(),
            alone: BTreeMap::new(),
        }
    }

    /// A node says a number.
    pub(crate) fn add(&mut self, seat: Seat, answer: i64) {
        match seat {
            Seat::Missing => return,
            Seat::Alone => {
                self.kinds += 1;
                if self.is_spread() {
                    *self.alone.entry(answer).or_default() += 1;
                }
            }
            Seat::Shared(id) => {
                let domain = self.shared.entry(id).or_default();
                self.kinds += usize::from(domain.counting == 0);
                domain.counting += 1;
                domain.answer += answer;
            }
        }
        self.total += answer;
    }

    /// It says it no more.
    pub(crate) fn subtract(&mut self, seat: Seat, answer: i64) {
        match seat {
            Seat::Missing => return,
            Seat::Alone => {
                self.kinds -= 1;
                if let Some(nodes) = self.alone.get_mut(&answer) {
                    *nodes -= 1;
                    if *nodes == 0 {
                        self.alone.remove(&answer);
                    }
                }
            }
            Seat::Shared(id) => {
                if let Some(domain) = self.shared.get_mut(&id) {
                    domain.counting -= 1;
                    domain.answer -= answer;
                    if domain.counting == 0 {
                        self.kinds -= 1;
                        self.shared.remove(&id);
                    }
                }
            }
        }
        self.total -= answer;
    }

    /// What stands for a node in the key of its class: its own answer, which is even, or its domain.
    pub(crate) fn part(&self, seat: Seat, answer: i64) -> i64 {
        match seat {
            Seat::Missing => MISSING,
            Seat::Alone => answer * 2,
            Seat::Shared(id) => i64::from(id) * 2 + 1,
        }
    }

    /// The answer for nodes of a class; None if they lack the key.
    pub(crate) fn at(&self, part: i64) -> Option<i64> {
        match shared(part) {
            Some(id) => Some(self.shared.get(&id).map_or(0, |domain| domain.answer)),
            None => (part != MISSING).then_some(part / 2),
        }
    }

    /// The least of the domains' answers, if that of the part's were so much more.
    pub(crate) fn least(&self, part: i64, more: i64) -> i64 {
        let here = shared(part);
        let shared = self
            .shared
            .iter()
            .map(|(id, domain)| match here == Some(*id) {
                true => domain.answer + more,
                false => domain.answer,
            });
        let least = shared.min().unwrap_or(i64::MAX);
        let own = (here.is_none() && part != MISSING && more != 0).then_some(part / 2);
        let mut others = self.alone.iter();
        let other = others.find(|(answer, nodes)| **nodes > usize::from(own == Some(**answer)));
        let least = least.min(other.map_or(i64::MAX, |(answer, _)| *answer));
        own.map_or(least, |own| least.min(own + more))
    }

    pub(crate) fn is_spread(&self) -> bool {
        matches!(self.rule, Rule::Spread(_))
    }
}

/// The domain of a part that is one.
pub(crate) fn shared(part: i64) -> Option<u32> {
    (part != MISSING && part % 2 != 0).then(|| u32::try_from(part / 2).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Names;

    #[test]
    fn domains_add_up_and_the_least_is_known() {
        let mut names = Names::default();
        for [in_a, in_b] in [
            [Seat::Shared(0), Seat::Shared(1)],
            [Seat::Alone, Seat::Alone],
            [Seat::Shared(7), Seat::Alone],
        ] {
            let mut row = Row::new(names.of("zone"), Rule::Spread(0), 0, false);
            assert_eq!(row.least(MISSING, 0), i64::MAX);
            row.add(in_a, 3);
            row.add(in_b, 1);
            row.add(Seat::Missing, 9);
            assert_eq!((row.total, row.kinds, row.least(MISSING, 0)), (4, 2, 1));
            let part = row.part(in_b, 1);
            assert_eq!(row.at(part), Some(1));
            assert_eq!((row.least(part, 5), row.least(part, -1)), (3, 0));
            assert_eq!(row.at(row.part(Seat::Missing, 0)), None);
            row.subtract(in_b, 1);
            assert_eq!((row.total, row.kinds, row.least(MISSING, 0)), (3, 1, 3));
        }
        let mut row = Row::new(names.of("zone"), Rule::Preferred, 0, false);
        row.add(Seat::Shared(3), 1);
        row.add(Seat::Shared(3), -5);
        assert_eq!(row.at(row.part(Seat::Shared(3), -5)), Some(-4));
        assert_eq!(row.at(row.part(Seat::Shared(4), 0)), Some(0));
        assert_eq!(row.at(row.part(Seat::Alone, -5)), Some(-5));
    }
}
