//! When more or fewer are asked for in the middle of a rollout: the sets grow or shrink each by its
//! share, so that what is broken takes not more of the new than it has of the old.

use std::cmp::Reverse;

use super::{Asked, Set, Sets, Way};

/// Whether another number is asked for than when a set was resized last.
pub(super) fn is_due(asked: &Asked, all: &[Set]) -> bool {
    let mut active = all.iter().filter(|set| set.wanted > 0);
    active.any(|set| set.asked.is_some_and(|then| then != asked.replicas))
}

/// What sizes the sets are to have.
pub(super) fn sizes(asked: &Asked, sets: &Sets<'_>) -> Vec<(usize, u32)> {
    let active = sets
        .all
        .iter()
        .enumerate()
        .filter(|(_, set)| set.wanted > 0);
    let mut active: Vec<(usize, &Set)> = active.collect();
    match &active[..] {
        [] => {
            // The newest there is.
            let newest = sets.new.or_else(|| {
                let all = sets.all.iter().enumerate();
                all.max_by_key(|(at, set)| (set.created_s, *at))
                    .map(|(at, _)| at)
            });
            let grows = newest.filter(|_| asked.replicas > 0);
            return grows.map(|at| (at, asked.replicas)).into_iter().collect();
        }
        [(at, _)] => return vec![(*at, asked.replicas)],
        _ => {}
    }
    let saturated = sets.new.map(|at| (at, &sets.all[at])).filter(|(_, new)| {
        new.wanted == asked.replicas
            && new.asked == Some(asked.replicas)
            && new.available >= asked.replicas
    });
    if let Some((new, _)) = saturated {
        let old = active.iter().filter(|(at, _)| *at != new);
        return old.map(|(at, _)| (*at, 0)).collect();
    }
    if asked.way == Way::Recreate {
        // They go anyhow; what is new is as large as it is to be when they are gone.
        let active = active.iter();
        return active
            .map(|(at, set)| (*at, set.wanted.min(asked.replicas)))
            .collect();
    }
    let now: i64 = active.iter().map(|(_, set)| i64::from(set.wanted)).sum();
    let most = match asked.replicas {
        0 => 0,
        _ => i64::from(asked.bounds().most),
    };
    let more = most - now;
    match more >= 0 {
        true => active.sort_by_key(|(at, set)| (Reverse(set.wanted), Reverse(set.created_s), *at)),
        false => active.sort_by_key(|(at, set)| (Reverse(set.wanted), set.created_s, *at)),
    }
    let mut added = 0;
    let mut sizes: Vec<(usize, i64)> = Vec::with_capacity(active.len());
    for (at, set) in &active {
        let share = share(asked, sets, set);
        let share = match more >= 0 {
            true => share.clamp(0, more - added),
            false => share.clamp(more - added, 0),
        };
        added += share;
        sizes.push((*at, i64::from(set.wanted) + share));
    }
    // What is left over by rounding is the largest's.
    if let Some((_, size)) = sizes.first_mut() {
        *size = (*size + more - added).max(0);
    }
    let narrow = |size: i64| u32::try_from(size).unwrap_or(0);
    sizes
        .into_iter()
        .map(|(at, size)| (at, narrow(size)))
        .collect()
}

/// By how much a set would grow or shrink if it could do so alone.
fn share(asked: &Asked, sets: &Sets<'_>, set: &Set) -> i64 {
    let size = i64::from(set.wanted);
    if asked.replicas == 0 {
        return -size;
    }
    let before = i64::from(set.most.unwrap_or(sets.counted));
    if before == 0 {
        return 0;
    }
    let most = i64::from(asked.bounds().most);
    // To the nearest.
    (2 * size * most + before) / (2 * before) - size
}
