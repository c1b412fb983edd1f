//! How a new template takes the place of old ones.
//!
//! ```text
//!   wanted + surge ────────────  never more pods than this
//!       old ███████▓▓▓░░░          old ones go as far as enough of all are available
//!       new       ░░▓▓▓███████     new ones come as far as there is room
//!   wanted − missing ──────────  never fewer that are available, by a step of ours
//! ```

mod spread;

use std::cmp::Reverse;

/// A number, or so many hundredths of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// So many.
    Number(u32),
    /// So many hundredths.
    Percent(u32),
}

impl Share {
    fn down(self, all: u32) -> u32 {
        match self {
            Share::Number(number) => number,
            Share::Percent(percent) => narrow(u64::from(all) * u64::from(percent) / 100),
        }
    }

    /// So many of all; a part counts as one.
    pub fn up(self, all: u32) -> u32 {
        match self {
            Share::Number(number) => number,
            Share::Percent(percent) => narrow((u64::from(all) * u64::from(percent)).div_ceil(100)),
        }
    }
}

fn narrow(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// How the old template goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// All old pods are gone before a new one comes.
    Recreate,
    /// Step by step.
    Rolling {
        /// How many there may be beyond all.
        surge: Share,
        /// How many may be missing.
        missing: Share,
    },
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// How many pods.
    pub replicas: u32,
    /// How the old ones go.
    pub way: Way,
    /// Nothing new is begun.
    pub is_paused: bool,
}

/// How far it may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Most pods.
    pub most: u32,
    /// Fewest that are available.
    pub fewest: u32,
}

impl Asked {
    /// How far it may go. Something has to give way: if nothing may, one pod may be missing. Where
    /// all is made anew, nothing is promised on the way, and it is available when all of it is.
    pub fn bounds(&self) -> Bounds {
        let (surge, missing) = match self.way {
            Way::Recreate => (0, 0),
            Way::Rolling { surge, missing } => {
                match (surge.up(self.replicas), missing.down(self.replicas)) {
                    (0, 0) => (0, 1),
                    both => both,
                }
            }
        };
        let missing = missing.min(self.replicas);
        Bounds {
            most: self.replicas.saturating_add(surge),
            fewest: self.replicas - missing,
        }
    }
}

/// The pods of one template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Set {
    /// How many there are to be.
    pub wanted: u32,
    /// How many of them are available.
    pub available: u32,
    /// When it was made; seconds.
    pub created_s: i64,
    /// How many were asked for in all when it was resized last, where that is known.
    pub asked: Option<u32>,
    /// How many there might be in all at that time, where that is known.
    pub most: Option<u32>,
}

/// All there is of it.
#[derive(Clone, Copy, Debug)]
pub struct Sets<'a> {
    /// Of all templates.
    pub all: &'a [Set],
    /// Which of them is of the newest, if it is there.
    pub new: Option<usize>,
    /// Whether pods of old templates are there, whatever is wanted.
    pub has_old_pods: bool,
    /// How many pods were counted last.
    pub counted: u32,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Nothing, until something happens.
    None,
    /// Make the set of the newest template, of this size.
    Make(u32),
    /// These sets are to be of these sizes; those that are already are to know what is asked for.
    Resize(Vec<(usize, u32)>),
}

/// What is to be done next.
pub fn step(asked: &Asked, sets: &Sets<'_>) -> Step {
    if asked.is_paused || spread::is_due(asked, sets.all) {
        return resize(spread::sizes(asked, sets));
    }
    match asked.way {
        Way::Recreate => recreate(asked, sets),
        Way::Rolling { .. } => roll(asked, sets),
    }
}

fn resize(sizes: Vec<(usize, u32)>) -> Step {
    match sizes.is_empty() {
        true => Step::None,
        false => Step::Resize(sizes),
    }
}

fn recreate(asked: &Asked, sets: &Sets<'_>) -> Step {
    let old = sets.old().filter(|(_, set)| set.wanted > 0);
    let old: Vec<(usize, u32)> = old.map(|(at, _)| (at, 0)).collect();
    match sets.new {
        _ if !old.is_empty() => Step::Resize(old),
        _ if sets.has_old_pods => Step::None,
        None => Step::Make(asked.replicas),
        Some(at) if sets.all[at].wanted == asked.replicas => Step::None,
        Some(at) => Step::Resize(vec![(at, asked.replicas)]),
    }
}

fn roll(asked: &Asked, sets: &Sets<'_>) -> Step {
    let bounds = asked.bounds();
    let now = sets.new.map_or(0, |at| sets.all[at].wanted);
    let room = bounds.most.saturating_sub(sets.wanted());
    let more = room.min(asked.replicas.saturating_sub(now));
    let size = asked.replicas.min(now + more);
    match sets.new {
        None => Step::Make(size),
        Some(at) if size != now => Step::Resize(vec![(at, size)]),
        Some(at) => resize(shrink(sets, at, bounds.fewest)),
    }
}

impl Sets<'_> {
    fn wanted(&self) -> u32 {
        let sum = self.all.iter().map(|set| u64::from(set.wanted)).sum();
        narrow(sum)
    }

    fn old(&self) -> impl Iterator<Item = (usize, &Set)> {
        let all = self.all.iter().enumerate();
        all.filter(|(at, _)| Some(*at) != self.new)
    }
}

/// How many of a set are available, and stay so when it is made as small as it is to be.
fn sure(set: &Set) -> u32 {
    set.available.min(set.wanted)
}

/// Old sets, the oldest first, as small as they may be: what is not available is missed by nobody,
/// but those new ones that are not available yet may need its place.
fn shrink(sets: &Sets<'_>, new: usize, fewest: u32) -> Vec<(usize, u32)> {
    let new_missing = sets.all[new].wanted - sure(&sets.all[new]);
    let mut room = sets
        .wanted()
        .saturating_sub(fewest.saturating_add(new_missing));
    let mut spare = {
        let sure: u64 = sets.all.iter().map(|set| u64::from(sure(set))).sum();
        narrow(sure).saturating_sub(fewest)
    };
    let mut old: Vec<(usize, &Set)> = sets.old().filter(|(_, set)| set.wanted > 0).collect();
    old.sort_by_key(|(at, set)| (set.created_s, *at));
    let mut sizes: Vec<(usize, u32)> = Vec::new();
    for (at, set) in &old {
        let gone = (set.wanted - sure(set)).min(room);
        room -= gone;
        sizes.push((*at, set.wanted - gone));
    }
    for ((_, size), (_, set)) in sizes.iter_mut().zip(&old) {
        // Those that are not available go first here, too: only the rest is taken from what is spare.
        let gone = (*size)
            .min(room)
            .min(spare + (*size - sure(set).min(*size)));
        let lost = sure(set).min(*size).saturating_sub(*size - gone);
        room -= gone;
        spare -= lost;
        *size -= gone;
    }
    sizes.retain(|(at, size)| sets.all[*at].wanted != *size);
    sizes
}

/// Which old sets are forgotten: all but the newest `kept`; of each its revision, and whether it has
/// no pods and is settled.
pub fn forgotten(old: &[(i64, bool)], kept: u32) -> Vec<usize> {
    let mut order: Vec<usize> = (0..old.len()).collect();
    order.sort_by_key(|at| Reverse(old[*at].0));
    let mut over = order.split_off(order.len().min(kept as usize));
    over.retain(|at| old[*at].1);
    over
}

#[cfg(test)]
mod tests;
