//! Making and deleting: never more at once than are asked for, and failures are waited for.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{End, Replica, victims};
use super::counts::Seen;
use super::{Action, Indexes, Job, New, Plan, Worker};

/// Most pods that are made or deleted before it is looked at again.
const BURST: usize = 500;
/// First wait after a failure; it doubles with each.
const WAIT_S: i64 = 10;
/// Longest wait after a failure.
const WAIT_MAX_S: i64 = 360;

pub(super) fn act(job: &Job, workers: &[Worker], seen: &Seen, now_s: i64, plan: &mut Plan) {
    let wanted = match job.completions {
        _ if job.is_suspended => 0,
        Some(completions) => completions
            .saturating_sub(seen.succeeded)
            .min(job.parallelism),
        // One knew that the work is done: the others end by themselves.
        None if seen.succeeded > 0 => plan.active,
        None => job.parallelism,
    };
    plan.surplus = surplus(job, workers, wanted, now_s);
    // Where some go, none comes in the same turn.
    if !plan.surplus.is_empty() || job.is_suspended {
        return;
    }
    let there = match job.only_failed {
        true => plan.active.saturating_add(plan.terminating),
        false => plan.active,
    };
    let missing = (wanted.saturating_sub(there) as usize).min(BURST);
    if missing == 0 {
        return;
    }
    if job.per_index.is_some() {
        let (make, again) = each_its_own(job, workers, seen, missing, now_s);
        (plan.make, plan.again_s) = (make, again);
        return;
    }
    let left = wait_left(job, workers, now_s);
    if left > 0 {
        plan.again_s = u64::try_from(left).ok();
        return;
    }
    plan.make = match job.is_indexed {
        true => {
            let indexes = pending(job, workers, seen, missing).into_iter();
            let new = |index| New {
                index: Some(index),
                before: None,
            };
            indexes.map(new).collect()
        }
        false => vec![
            New {
                index: None,
                before: None
            };
            missing
        ],
    };
}

/// Those that go: of each number all but one, and then so many that no more are left than wanted.
fn surplus(job: &Job, workers: &[Worker], wanted: u32, now_s: i64) -> Vec<usize> {
    let active = (0..workers.len()).filter(|at| workers[*at].is_active());
    let mut left: Vec<usize> = active.collect();
    let count = left.len().saturating_sub(wanted as usize);
    let first = |of: &[usize], count: usize| -> Vec<usize> {
        let pods: Vec<Replica> = of.iter().map(|at| workers[*at].pod.clone()).collect();
        let go = victims(&pods, count, now_s);
        go.into_iter().map(|at| of[at]).collect()
    };
    let mut go = Vec::new();
    if job.is_indexed {
        let mut same: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for at in &left {
            match workers[*at].index.filter(|_| workers[*at].is_valid(job)) {
                Some(index) => same.entry(index).or_default().push(*at),
                None => go.push(*at),
            }
        }
        for all in same.values().filter(|all| all.len() > 1) {
            go.extend(first(all, all.len() - 1));
        }
        let gone: BTreeSet<usize> = go.iter().copied().collect();
        left.retain(|at| !gone.contains(at));
    }
    if go.len() < count {
        go.extend(first(&left, count - go.len()));
    }
    go.truncate(BURST);
    go
}

/// The first numbers that have neither ended nor a pod.
fn pending(job: &Job, workers: &[Worker], seen: &Seen, count: usize) -> Vec<u32> {
    let mut taken = Indexes::default();
    for one in workers {
        if one.is_active() || (job.only_failed && one.is_terminating()) {
            one.index.into_iter().for_each(|index| taken.insert(index));
        }
    }
    let all = [&taken, &seen.completed, &seen.failed_indexes];
    Indexes::missing(&all, job.completions.unwrap_or(0), count)
}

/// Each number waits for itself.
fn each_its_own(
    job: &Job,
    workers: &[Worker],
    seen: &Seen,
    missing: usize,
    now_s: i64,
) -> (Vec<New>, Option<u64>) {
    let (mut make, mut again) = (Vec::new(), None);
    for index in pending(job, workers, seen, missing) {
        let before = seen.last.get(&index).map_or((0, 0), |at| {
            let (one, (failed, ignored)) = (&workers[*at], workers[*at].before);
            let all = failed.saturating_add(ignored).saturating_add(1);
            let left = left_after(all, one.ended_s, now_s);
            if left > 0 {
                let left = u64::try_from(left).unwrap_or(0);
                again = Some(again.map_or(left, |again: u64| again.min(left)));
                return (u32::MAX, 0);
            }
            let ignores = |one: &Worker| {
                let verdict = one.verdict.as_ref();
                verdict.is_some_and(|verdict| verdict.action == Action::Ignore)
            };
            match ignores(one) {
                true => (failed, ignored.saturating_add(1)),
                false => (failed.saturating_add(1), ignored),
            }
        });
        if before.0 < u32::MAX {
            make.push(New {
                index: Some(index),
                before: Some(before),
            });
        }
    }
    (make, again)
}

/// How long to wait after so many failures, the last of which was then.
fn left_after(failures: u32, ended_s: i64, now_s: i64) -> i64 {
    if failures == 0 {
        return 0;
    }
    let wait = WAIT_S.saturating_mul(1 << (failures - 1).min(16));
    let wait = wait.min(WAIT_MAX_S);
    // A clock that was set back makes nobody wait longer.
    ended_s.saturating_add(wait).saturating_sub(now_s).min(wait)
}

/// How long to wait after the failures since one ended well.
fn wait_left(job: &Job, workers: &[Worker], now_s: i64) -> i64 {
    let good = workers.iter().filter(|one| one.end == End::Succeeded);
    let good = good.map(|one| one.ended_s).max().unwrap_or(i64::MIN);
    // Who is let go and has not ended was one too many.
    let failed = workers
        .iter()
        .filter(|one| one.is_tracked || one.end == End::Failed);
    let failed = failed.filter(|one| one.has_failed(job));
    let failed: Vec<i64> = failed
        .map(|one| one.ended_s)
        .filter(|at| *at > good)
        .collect();
    let count = u32::try_from(failed.len()).unwrap_or(u32::MAX);
    let last = failed.into_iter().max().unwrap_or(0);
    left_after(count, last, now_s)
}
