//! Waiting for something to become true: the one place where tests look again after a pause.
//! Owns the pause and the deadline; never waits without one.

use std::time::{Duration, Instant};

use rustix::event::{Timespec, poll};

/// Between two looks: short against what is waited for, long against the cost of a look.
const PAUSE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 5_000_000,
};

/// How long anything may take that should be quick; generous, because two cores are shared.
pub const SOON: Duration = Duration::from_secs(30);

/// Waits until `condition` holds; panics with `what` when `limit` is over.
#[track_caller]
pub fn until(limit: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    within(limit, what, || condition().then_some(()));
}

/// Waits until `find` finds something and returns it; panics with `what` when `limit` is over.
#[track_caller]
pub fn within<T>(limit: Duration, what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(
            began.elapsed() < limit,
            "not within {} s: {what}",
            limit.as_secs()
        );
        pause();
    }
}

/// One short pause.
pub fn pause() {
    let _ = poll(&mut [], Some(&PAUSE));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_until_it_holds() {
        let mut looks = 0;
        until(SOON, "three looks", || {
            looks += 1;
            looks == 3
        });
        assert_eq!(looks, 3);
    }

    #[test]
    #[should_panic(expected = "not within 0 s: the impossible")]
    fn gives_up_aloud() {
        until(Duration::ZERO, "the impossible", || false);
    }
}
