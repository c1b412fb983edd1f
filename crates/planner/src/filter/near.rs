//! What is near a node: topology spread, pod affinity and anti-affinity, on both sides.
//! Kubernetes, "Pod Topology Spread Constraints" and "Inter-pod affinity and anti-affinity".

use crate::body::Body;
use crate::reasons::Refusal;
use crate::row::{MISSING, Row, Rule};

/// A shape's questions with their answers.
pub(crate) struct Near<'a> {
    pub(crate) body: &'a Body,
    /// In the order of their rules.
    pub(crate) rows: &'a [Row],
    /// Whether the pod matches all its own terms of required affinity.
    pub(crate) likes_itself: bool,
}

impl Near<'_> {
    /// What nodes with these parts refuse. `least` is of each row's domains; `more` says how much
    /// more each answer is thought to be, and is empty if they are what they are.
    pub(crate) fn refusal(&self, parts: &[i64], least: &[i64], more: &[i64]) -> Option<Refusal> {
        let more = |index: usize| more.get(index).copied().unwrap_or(0);
        // Of the rows of affinity, of which the first may be excused if nobody is anywhere.
        let (mut is_somebody, mut is_near) = (false, true);
        for (index, row) in self.rows.iter().enumerate() {
            let answer = row.at(parts[index]).map(|answer| answer + more(index));
            let refusal = match row.rule {
                Rule::Spread(at) => self.uneven(at, answer, least[index]),
                Rule::Together if answer.is_none() => Some(Refusal::Affinity),
                Rule::Together => {
                    is_near &= answer > Some(0);
                    is_somebody |= row.total + more(index) > 0;
                    let next = self.rows.get(index + 1);
                    let is_last = next.is_none_or(|next| next.rule != Rule::Together);
                    let is_first_of_group = !is_somebody && self.likes_itself;
                    (is_last && !is_near && !is_first_of_group).then_some(Refusal::Affinity)
                }
                Rule::Apart => (answer > Some(0)).then_some(Refusal::AntiAffinity),
                Rule::Repelled => (answer > Some(0)).then_some(Refusal::ExistingAntiAffinity),
                Rule::Preferred => None,
            };
            if refusal.is_some() {
                return refusal;
            }
        }
        None
    }

    /// The least of each row's domains, if those of the parts had so much more; 0 where there are
    /// fewer domains than there should be.
    pub(crate) fn least(&self, parts: &[i64], more: &[i64]) -> Vec<i64> {
        let of = |(index, row): (usize, &Row)| match row.rule {
            Rule::Spread(at) if !self.body.spreads[at].is_hard => 0,
            Rule::Spread(at) if row.kinds < self.body.spreads[at].min_domains => 0,
            Rule::Spread(_) => {
                let part = parts.get(index).copied().unwrap_or(MISSING);
                row.least(part, more.get(index).copied().unwrap_or(0))
            }
            _ => 0,
        };
        self.rows.iter().enumerate().map(of).collect()
    }

    fn uneven(&self, at: usize, pods: Option<i64>, least: i64) -> Option<Refusal> {
        let spread = &self.body.spreads[at];
        let Some(pods) = pods else {
            return spread.is_hard.then_some(Refusal::SpreadLabel);
        };
        let with_itself = pods + i64::from(spread.counts_itself);
        let is_uneven = with_itself.saturating_sub(least) > spread.max_skew;
        (spread.is_hard && is_uneven).then_some(Refusal::Spread)
    }
}
