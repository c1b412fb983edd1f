//! Jobs: pods that run to their end, so and so often, each counted once.
//!
//! ```text
//!   a pod ends ─► its id is written beside the counts ─► its finalizer goes ─► it is counted
//!                 (or its number, in the same place)      (then it may go)      (its id goes)
//! ```
//!
//! Between any two of these all may stop: whoever looks next sees from ids and finalizers how far
//! it was. Never: a pod that is counted before it is let go, or let go before its id is written.

mod acts;
mod counts;
mod indexes;
mod policy;

use std::collections::BTreeSet;

pub use self::indexes::Indexes;
pub use self::policy::{Action, Enough, Failure, Rule, Verdict, When, enough, verdict};
use super::{End, Replica};

/// What is asked for, and what was written of it so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Job {
    /// Most pods at once.
    pub parallelism: u32,
    /// How many are to end well; nothing: until the first one does.
    pub completions: Option<u32>,
    /// Whether each pod has a number, of which each is to end well once.
    pub is_indexed: bool,
    /// Whether there are to be no pods for now.
    pub is_suspended: bool,
    /// Whether it is being deleted.
    pub is_going: bool,
    /// Whether another pod comes only when one has failed, not already when it is to go.
    pub only_failed: bool,
    /// Whether containers begin anew in their pods.
    pub is_in_place: bool,
    /// So many may fail.
    pub backoff_limit: u32,
    /// So many of each number may fail.
    pub per_index: Option<u32>,
    /// So many numbers may fail for good; nothing: all of them.
    pub failed_max: Option<u32>,
    /// It may take so many seconds.
    pub deadline_s: Option<u32>,
    /// When it is done before all have ended well.
    pub enough: Vec<Enough>,
    /// When it began.
    pub started_s: Option<i64>,
    /// How many were counted as ended well.
    pub succeeded: u32,
    /// How many were counted as failed.
    pub failed: u32,
    /// Ids of pods that are written, and not counted.
    pub uncounted: Uncounted,
    /// Numbers that ended well.
    pub completed: Indexes,
    /// Numbers that failed for good.
    pub failed_indexes: Indexes,
    /// What it was seen to come to.
    pub target: Option<Target>,
}

/// Pods that are written, and not counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uncounted {
    /// Those that ended well.
    pub succeeded: BTreeSet<String>,
    /// Those that did not.
    pub failed: BTreeSet<String>,
}

/// What a job comes to: from then on nothing is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whether it is a good end.
    pub is_success: bool,
    /// Why, in one word.
    pub reason: String,
    /// A sentence.
    pub message: String,
}

/// A pod of a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// As one of several.
    pub pod: Replica,
    /// How it ended.
    pub end: End,
    /// Whether it is being deleted.
    pub is_going: bool,
    /// Whether it is held until it is counted.
    pub is_tracked: bool,
    /// Its number.
    pub index: Option<u32>,
    /// How many of its number failed before it, and how many more that did not count.
    pub before: (u32, u32),
    /// How often its containers began anew, all together.
    pub restarts: u32,
    /// When it ended, or was told to.
    pub ended_s: i64,
    /// What the job says of its failure.
    pub verdict: Option<Verdict>,
}

/// A pod that is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct New {
    /// Its number.
    pub index: Option<u32>,
    /// How many of its number failed before it, and how many more that did not count; nothing: not
    /// each number has its own.
    pub before: Option<(u32, u32)>,
}

/// What is to be written first, and then done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// How many run or will.
    pub active: u32,
    /// How many of these are ready.
    pub ready: u32,
    /// How many are to go, and have not ended.
    pub terminating: u32,
    /// As [`Job`] has it.
    pub succeeded: u32,
    /// As [`Job`] has it.
    pub failed: u32,
    /// As [`Job`] has it.
    pub uncounted: Uncounted,
    /// As [`Job`] has it.
    pub completed: Indexes,
    /// As [`Job`] has it.
    pub failed_indexes: Indexes,
    /// As [`Job`] has it.
    pub target: Option<Target>,
    /// Whether all of it is done, and all is counted.
    pub is_over: bool,
    /// Those that need not be held any more.
    pub release: Vec<usize>,
    /// Those that are deleted: the job is at its end.
    pub end: Vec<usize>,
    /// Those that are let go and then deleted: there are too many, and it is not their failure.
    pub surplus: Vec<usize>,
    /// Those that are made.
    pub make: Vec<New>,
    /// In how many seconds time makes another plan.
    pub again_s: Option<u64>,
}

impl Worker {
    fn is_active(&self) -> bool {
        self.end == End::Not && !self.is_going
    }

    fn is_terminating(&self) -> bool {
        self.end == End::Not && self.is_going
    }

    fn has_failed(&self, job: &Job) -> bool {
        match self.end {
            End::Failed => true,
            End::Succeeded => false,
            // Some never get to say how they ended.
            End::Not => self.is_going && !job.only_failed,
        }
    }

    /// Whether its failure is one that counts.
    fn counts(&self) -> bool {
        let verdict = self.verdict.as_ref();
        verdict.is_none_or(|verdict| verdict.action != Action::Ignore)
    }

    /// Of a job of pods with numbers: a number that there is to be.
    fn is_valid(&self, job: &Job) -> bool {
        let end = job.completions.unwrap_or(0);
        !job.is_indexed || self.index.is_some_and(|index| index < end)
    }
}

impl Target {
    fn failure(reason: &str, message: &str) -> Option<Target> {
        Some(Target {
            is_success: false,
            reason: reason.to_owned(),
            message: message.to_owned(),
        })
    }

    fn success(reason: &str, message: &str) -> Option<Target> {
        Some(Target {
            is_success: true,
            ..Target::failure(reason, message)?
        })
    }
}

/// What is to be done now. Everything else waits until something has changed.
pub fn plan(job: &Job, workers: &[Worker], now_s: i64) -> Plan {
    let seen = counts::see(job, workers);
    let count = |is: &dyn Fn(&&Worker) -> bool| {
        let count = workers.iter().filter(is).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    };
    let mut plan = Plan {
        active: count(&|one| one.is_active()),
        ready: count(&|one| one.is_active() && one.pod.ready_since_s.is_some()),
        terminating: count(&|one| one.is_terminating()),
        ..Plan::default()
    };
    let target = job.target.clone();
    plan.target = target.or_else(|| {
        let failure = failure(job, workers, &seen, now_s);
        failure.or_else(|| success(job, &seen, plan.active))
    });
    counts::write(job, workers, &seen, &mut plan);
    if plan.target.is_some() {
        let active = (0..workers.len()).filter(|at| workers[*at].is_active());
        plan.end = active.collect();
        let is_held = workers.iter().any(|one| one.is_tracked);
        plan.is_over = plan.active == 0
            && plan.terminating == 0
            && !is_held
            && plan.uncounted == Uncounted::default();
    } else if !job.is_going {
        acts::act(job, workers, &seen, now_s, &mut plan);
        let left = deadline_left(job, now_s).map(|left| u64::try_from(left).unwrap_or(0));
        plan.again_s = [plan.again_s, left].into_iter().flatten().min();
    }
    plan
}

fn deadline_left(job: &Job, now_s: i64) -> Option<i64> {
    let deadline = job.deadline_s.filter(|_| !job.is_suspended)?;
    let end = job.started_s?.saturating_add(i64::from(deadline));
    Some(end.saturating_sub(now_s))
}

fn failure(job: &Job, workers: &[Worker], seen: &counts::Seen, now_s: i64) -> Option<Target> {
    let told = workers
        .iter()
        .filter(|one| one.is_tracked && one.has_failed(job));
    let mut told = told.filter_map(|one| one.verdict.as_ref());
    if let Some(verdict) = told.find(|one| one.action == Action::FailJob) {
        return Target::failure("PodFailurePolicy", &verdict.why);
    }
    if seen.failed > job.backoff_limit || restarts(job, workers) {
        let why = "Job has reached the specified backoff limit";
        return Target::failure("BackoffLimitExceeded", why);
    }
    if deadline_left(job, now_s).is_some_and(|left| left <= 0) {
        let why = "Job was active longer than specified deadline";
        return Target::failure("DeadlineExceeded", why);
    }
    let count = seen.failed_indexes.count();
    if job.per_index.is_none() || count == 0 {
        return None;
    }
    if job.failed_max.is_some_and(|most| count > most) {
        let why = "Job has exceeded the specified maximal number of failed indexes";
        return Target::failure("MaxFailedIndexesExceeded", why);
    }
    let all = count.saturating_add(seen.completed.count());
    match all >= job.completions.unwrap_or(0) {
        true => Target::failure("FailedIndexes", "Job has failed indexes"),
        false => None,
    }
}

/// Whether containers began anew too often.
fn restarts(job: &Job, workers: &[Worker]) -> bool {
    let open = workers.iter().filter(|one| one.end == End::Not);
    let count = open.map(|one| one.restarts).fold(0, u32::saturating_add);
    job.is_in_place && count >= job.backoff_limit.max(1)
}

fn success(job: &Job, seen: &counts::Seen, active: u32) -> Option<Target> {
    if job.is_indexed
        && let Some(rule) = enough(&job.enough, &seen.completed)
    {
        return Target::success("SuccessPolicy", &format!("Matched rules at index {rule}"));
    }
    let is_complete = match job.completions {
        Some(completions) => seen.succeeded >= completions,
        // Any pod knows whether the work is done.
        None => seen.succeeded > 0,
    };
    let why = "Reached expected number of succeeded pods";
    match is_complete && active == 0 {
        true => Target::success("CompletionsReached", why),
        false => None,
    }
}

#[cfg(test)]
mod tests;
