//! What ends by itself: leases, history that is old enough, and a time of many writes.
//!
//! Owns the one timer of a keyspace. It sleeps until the next end and not at all where there is
//! none; what could not be written is tried again.

use std::sync::Weak;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout_at};

use crate::local::{Request, Shared};
use crate::memo;
use crate::options::Options;
use crate::state::State;

/// So many revisions at once are much.
const MUCH: usize = 1000;

/// Hardly anything was written for so long: what many writes need is not needed now.
const LULL: Duration = Duration::from_secs(15);

/// So many revisions in that time are hardly anything: nodes renew their leases all the time.
const FEW: usize = 100;

/// After a write that failed.
const RETRY: Duration = Duration::from_secs(1);

/// When something ends next. History is forgotten a fifth late, so that it is not done for each
/// commit.
pub(crate) fn next(state: &State, options: &Options) -> Option<Instant> {
    let age = options.history_age;
    let old = state.history.oldest().and_then(|at| {
        let late = age.checked_add(age / 5)?;
        at.checked_add(late)
    });
    [state.leases.next_deadline(), old, lull(state)]
        .into_iter()
        .flatten()
        .min()
}

/// When it is quiet enough to give back what much that was written has left.
fn lull(state: &State) -> Option<Instant> {
    let last = is_much(state).then(|| state.history.before(FEW))??;
    last.checked_add(LULL)
}

/// Whether much was written since memory was given back.
pub(crate) fn is_much(state: &State) -> bool {
    state.revision.0.saturating_sub(state.relieved.0) >= MUCH as u64
}

pub(crate) async fn run(shared: Weak<Shared>) {
    while let Some(deadline) = arm(&shared) {
        if !wait(&shared, deadline).await {
            continue;
        }
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let now = Instant::now();
        let mut failed = false;
        let (before, is_lull) = {
            let state = shared.read();
            (
                state.history.len(),
                lull(&state).is_some_and(|at| at <= now),
            )
        };
        for request in due(&shared, now) {
            failed |= shared.perform(request).await.is_err();
        }
        if is_lull || shared.read().history.len() + MUCH <= before {
            memo::forget();
            let mut state = shared.write();
            state.relieved = state.revision;
            drop(state);
            tokio::task::spawn_blocking(shared.options.relieved);
        }
        drop(shared);
        if failed {
            sleep_until(now + RETRY).await;
        }
    }
}

/// Until when to sleep, where it is known; nothing: the keyspace is gone.
fn arm(shared: &Weak<Shared>) -> Option<Option<Instant>> {
    let shared = shared.upgrade()?;
    let mut state = shared.write();
    state.timer = next(&state, &shared.options);
    Some(state.timer)
}

/// True at the deadline, false when there is a sooner one.
async fn wait(shared: &Weak<Shared>, deadline: Option<Instant>) -> bool {
    let Some(sooner) = shared.upgrade().map(|shared| shared.sooner()) else {
        return false;
    };
    match deadline {
        Some(deadline) => timeout_at(deadline, sooner.notified()).await.is_err(),
        None => {
            sooner.notified().await;
            false
        }
    }
}

fn due(shared: &Shared, now: Instant) -> Vec<Request> {
    let state = shared.read();
    let mut due: Vec<Request> = state
        .leases
        .expired(now)
        .into_iter()
        .map(Request::Expire)
        .collect();
    let then = now.checked_sub(shared.options.history_age);
    let old = then.and_then(|then| state.history.at(then));
    due.extend(old.map(Request::Compact));
    due
}
