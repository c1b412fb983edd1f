//! Jobs at times: which time is due, and which jobs are forgotten.
//!
//! Never: which times a schedule means; who asks says which one follows another.

/// What is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cron {
    /// When it was made; seconds.
    pub created_s: i64,
    /// The last time for which a job was made.
    pub last_s: Option<i64>,
    /// So late a job may begin.
    pub deadline_s: Option<u32>,
    /// What time it is.
    pub now_s: i64,
}

/// What is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// The time for which a job is to be made now.
    pub at_s: Option<i64>,
    /// It is too late for this one.
    pub missed_s: Option<i64>,
    /// Whether there were very many for which none was made.
    pub are_many: bool,
    /// The next one.
    pub next_s: Option<i64>,
}

/// More than so many are very many, as upstream.
const MANY: usize = 100;

/// What is due, where `next` says which time is the first after another. Of all times that have
/// gone by the last one counts.
pub fn due(cron: &Cron, next: impl Fn(i64) -> Option<i64>) -> Due {
    let now = cron.now_s;
    let mut due = Due {
        next_s: next(now),
        ..Due::default()
    };
    // A clock that was set back has times come again: those that were done are known by their names.
    let since = cron.last_s.unwrap_or(cron.created_s).min(now);
    let Some(last) = newest(since, now, &next) else {
        return due;
    };
    let in_time = match cron.deadline_s {
        Some(deadline) => now.saturating_sub(i64::from(deadline)),
        None => i64::MIN,
    };
    if last < in_time {
        due.missed_s = Some(last);
        return due;
    }
    due.at_s = Some(last);
    // The deadline's own second is still in time.
    let mut at = since.max(in_time.saturating_sub(1));
    for _ in 0..MANY {
        match next(at).filter(|next| *next <= now) {
            Some(next) => at = next,
            None => return due,
        }
    }
    due.are_many = next(at).is_some_and(|next| next <= now);
    due
}

/// The last time after `since` and not after `now`.
fn newest(since: i64, now: i64, next: impl Fn(i64) -> Option<i64>) -> Option<i64> {
    let follows = |at: i64| next(at).filter(|next| *next <= now);
    let mut found = follows(since)?;
    // Before it there is one to follow, after it none: it is between the two.
    let (mut low, mut high) = (since, now);
    while low + 1 < high {
        let middle = low + (high - low) / 2;
        match follows(middle) {
            Some(one) => (low, found) = (middle, one),
            None => high = middle,
        }
    }
    Some(found)
}

/// A job that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Past {
    /// When it began, if it did.
    pub started_s: Option<i64>,
    /// What tells it from others.
    pub name: String,
}

/// Which of them are forgotten so that `limit` are left: the oldest ones.
pub fn forgotten(past: &[Past], limit: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..past.len()).collect();
    let age = |at: &usize| {
        let one = &past[*at];
        // Those that never began are kept longest, as upstream.
        (one.started_s.unwrap_or(i64::MAX), one.name.as_str())
    };
    order.sort_by(|one, other| age(one).cmp(&age(other)));
    order.truncate(past.len().saturating_sub(limit));
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every so many seconds.
    fn each(step: i64) -> impl Fn(i64) -> Option<i64> {
        move |at: i64| Some((at.div_euclid(step) + 1) * step)
    }

    #[test]
    fn the_last_time_that_has_gone_by_is_due() {
        let at = |last_s, now_s| Cron {
            created_s: 30,
            last_s,
            deadline_s: None,
            now_s,
        };
        for (cron, at_s, are_many, next_s) in [
            (at(None, 59), None, false, 60),
            (at(None, 60), Some(60), false, 120),
            (at(None, 61), Some(60), false, 120),
            (at(Some(60), 61), None, false, 120),
            (at(Some(60), 600), Some(600), false, 660),
            (at(Some(0), 6000), Some(6000), false, 6060),
            (at(Some(0), 6060), Some(6060), true, 6120),
            // The clock was set back, and made to run on.
            (at(Some(6000), 100), None, false, 120),
            (at(Some(6000), 120), None, false, 180),
        ] {
            let expected = Due {
                at_s,
                are_many,
                next_s: Some(next_s),
                missed_s: None,
            };
            assert_eq!(due(&cron, each(60)), expected, "{cron:?}");
        }
        assert_eq!(due(&at(None, 99), |_| None), Due::default());
    }

    #[test]
    fn what_is_too_late_is_missed() {
        let at = |deadline_s, now_s| Cron {
            deadline_s: Some(deadline_s),
            now_s,
            ..Cron::default()
        };
        for (cron, at_s, missed_s, are_many) in [
            (at(10, 69), Some(60), None, false),
            (at(10, 70), Some(60), None, false),
            (at(10, 71), None, Some(60), false),
            (at(0, 60), Some(60), None, false),
            (at(10, 60_000), Some(60_000), None, false),
            (at(7000, 60_000), Some(60_000), None, true),
        ] {
            let found = due(&cron, each(60));
            let found = (found.at_s, found.missed_s, found.are_many);
            assert_eq!(found, (at_s, missed_s, are_many), "{cron:?}");
        }
    }

    #[test]
    fn times_that_are_not_even_are_found_too() {
        // Two a day, a minute apart, which upstream's estimate goes past.
        let next = |at: i64| {
            let day = at.div_euclid(86_400) * 86_400;
            let times = [day, day + 60, day + 86_400];
            times.into_iter().find(|one| *one > at)
        };
        for now_s in [86_461, 86_400 + 43_200, 86_400 * 2 - 1] {
            let cron = Cron {
                now_s,
                ..Cron::default()
            };
            assert_eq!(due(&cron, next).at_s, Some(86_460), "{now_s}");
        }
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let past = |started_s, name: &str| Past {
            started_s,
            name: name.to_owned(),
        };
        let all = [
            past(Some(5), "a"),
            past(None, "b"),
            past(Some(3), "c"),
            past(Some(5), "0"),
        ];
        assert_eq!(forgotten(&all, 1), [2, 3, 0]);
        assert_eq!(forgotten(&all, 0), [2, 3, 0, 1]);
        assert!(forgotten(&all, 4).is_empty() && forgotten(&[], 0).is_empty());
    }
}
