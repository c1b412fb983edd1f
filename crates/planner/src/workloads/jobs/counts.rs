//! Counting: each pod once, whatever stops in between.

use std::collections::{BTreeMap, BTreeSet};

use super::super::End;
use super::{Action, Indexes, Job, Plan, Uncounted, Worker};

/// Most ids that are written at once.
const UNCOUNTED_MAX: usize = 500;

/// What there is if all that has ended is counted.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) succeeded: u32,
    pub(super) failed: u32,
    pub(super) completed: Indexes,
    pub(super) failed_indexes: Indexes,
    /// Of numbers without a pod: the last one that failed. It stays, and says how many there were.
    pub(super) last: BTreeMap<u32, usize>,
    /// Counted by now: those whose ids are written and that are not held any more.
    counted: (u32, u32),
    uncounted: Uncounted,
}

fn size(of: usize) -> u32 {
    u32::try_from(of).unwrap_or(u32::MAX)
}

pub(super) fn see(job: &Job, workers: &[Worker]) -> Seen {
    let held = workers.iter().filter(|one| one.is_tracked);
    let held: BTreeSet<&str> = held.map(|one| one.pod.uid.as_str()).collect();
    let mut counted = (job.succeeded, job.failed);
    let mut uncounted = job.uncounted.clone();
    for (ids, count) in [
        (&mut uncounted.succeeded, &mut counted.0),
        (&mut uncounted.failed, &mut counted.1),
    ] {
        let before = ids.len();
        ids.retain(|uid| held.contains(uid.as_str()));
        *count = count.saturating_add(size(before - ids.len()));
    }
    let fresh = |one: &&Worker| {
        let uid = &one.pod.uid;
        one.is_tracked
            && one.is_valid(job)
            && !uncounted.succeeded.contains(uid)
            && !uncounted.failed.contains(uid)
    };
    let mut completed = job.completed.clone();
    let mut failed_indexes = job.failed_indexes.clone();
    let (mut succeeded, mut failed) = (0_u32, 0_u32);
    for one in workers.iter().filter(fresh) {
        if one.end == End::Succeeded {
            succeeded = succeeded.saturating_add(1);
            one.index
                .into_iter()
                .for_each(|index| completed.insert(index));
        } else if one.has_failed(job) {
            failed = failed.saturating_add(u32::from(one.counts()));
            if let Some(index) = one.index.filter(|_| has_failed_for_good(job, one)) {
                failed_indexes.insert(index);
            }
        }
    }
    succeeded = match job.is_indexed {
        true => completed.count(),
        false => succeeded
            .saturating_add(counted.0)
            .saturating_add(size(uncounted.succeeded.len())),
    };
    Seen {
        succeeded,
        failed: failed
            .saturating_add(counted.1)
            .saturating_add(size(uncounted.failed.len())),
        last: last(job, workers, &completed, &failed_indexes),
        completed,
        failed_indexes,
        counted,
        uncounted,
    }
}

fn has_failed_for_good(job: &Job, one: &Worker) -> bool {
    let Some(limit) = job.per_index else {
        return false;
    };
    let is_said = one
        .verdict
        .as_ref()
        .is_some_and(|verdict| verdict.action == Action::FailIndex);
    is_said || (one.counts() && one.before.0 >= limit)
}

fn last(
    job: &Job,
    workers: &[Worker],
    completed: &Indexes,
    failed: &Indexes,
) -> BTreeMap<u32, usize> {
    let mut last: BTreeMap<u32, usize> = BTreeMap::new();
    if job.per_index.is_none() {
        return last;
    }
    let active = workers.iter().filter(|one| one.is_active());
    let active: BTreeSet<u32> = active.filter_map(|one| one.index).collect();
    let all = |at: usize| workers[at].before.0.saturating_add(workers[at].before.1);
    for (at, one) in workers.iter().enumerate() {
        let is_meant = one.is_tracked && one.is_valid(job) && one.has_failed(job);
        let Some(index) = one.index.filter(|_| is_meant) else {
            continue;
        };
        if completed.has(index) || failed.has(index) || active.contains(&index) {
            continue;
        }
        let known = last.entry(index).or_insert(at);
        if all(at) > all(*known) {
            *known = at;
        }
    }
    last
}

/// Writes down what has ended, and says who is let go then.
pub(super) fn write(job: &Job, workers: &[Worker], seen: &Seen, plan: &mut Plan) {
    plan.uncounted = seen.uncounted.clone();
    (plan.succeeded, plan.failed) = seen.counted;
    plan.completed = job.completed.clone();
    plan.failed_indexes = seen.failed_indexes.clone();
    let has_failed = plan
        .target
        .as_ref()
        .is_some_and(|target| !target.is_success);
    let is_ending = job.is_going || plan.target.is_some();
    let mut written = 0;
    for (at, one) in workers.iter().enumerate().filter(|(_, one)| one.is_tracked) {
        let failed = one.has_failed(job);
        let stays = one
            .index
            .is_some_and(|index| seen.last.get(&index) == Some(&at));
        if !(is_ending || one.end == End::Succeeded || (failed && !stays)) {
            continue;
        }
        if written == UNCOUNTED_MAX {
            break;
        }
        plan.release.push(at);
        let uid = &one.pod.uid;
        let is_known =
            plan.uncounted.succeeded.contains(uid) || plan.uncounted.failed.contains(uid);
        if is_known || !one.is_valid(job) {
            continue;
        }
        if one.end == End::Succeeded {
            match one.index.filter(|_| job.is_indexed) {
                Some(index) => plan.completed.insert(index),
                None => drop(plan.uncounted.succeeded.insert(uid.clone())),
            }
            written += 1;
        } else if (failed && one.counts()) || (!failed && has_failed) {
            // Who still runs when all has failed has failed with it.
            plan.uncounted.failed.insert(uid.clone());
            written += 1;
        }
    }
    if job.is_indexed {
        plan.succeeded = plan.completed.count();
    }
}
