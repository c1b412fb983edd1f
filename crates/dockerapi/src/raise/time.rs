//! Times as Docker writes them.
//!
//! The clock is an argument.

use jiff::Timestamp;

/// What Docker writes for "never".
pub const NEVER: &str = "0001-01-01T00:00:00Z";

/// Unix nanoseconds as RFC 3339 with nanoseconds; 0 is never.
pub fn rfc3339(unix_ns: i64) -> String {
    if unix_ns == 0 {
        return NEVER.to_owned();
    }
    let at =
        Timestamp::from_nanosecond(unix_ns.into()).expect("every i64 of nanoseconds is a time");
    format!("{at:.9}")
}

/// Unix seconds as RFC 3339; 0 is never.
pub fn rfc3339_seconds(unix: i64) -> String {
    if unix == 0 {
        return NEVER.to_owned();
    }
    Timestamp::from_second(unix).map_or_else(|_| NEVER.to_owned(), |at| at.to_string())
}

/// How long `from_ns` is ago, in Docker's words: `5 minutes`, `About an hour`, `3 weeks`.
pub fn ago(from_ns: i64, now: Timestamp) -> String {
    let now_ns = i64::try_from(now.as_nanosecond()).unwrap_or(i64::MAX);
    let seconds = now_ns.saturating_sub(from_ns).max(0) / 1_000_000_000;
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match seconds {
        0 => "Less than a second".into(),
        1 => "1 second".into(),
        _ if seconds < 60 => format!("{seconds} seconds"),
        _ if minutes == 1 => "About a minute".into(),
        _ if minutes < 60 => format!("{minutes} minutes"),
        _ if hours == 1 => "About an hour".into(),
        _ if hours < 48 => format!("{hours} hours"),
        _ if hours < 24 * 14 => format!("{} days", hours / 24),
        _ if hours < 24 * 60 => format!("{} weeks", hours / 24 / 7),
        _ if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", hours / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::{ago, rfc3339};

    #[test]
    fn instants() {
        assert_eq!(rfc3339(0), "0001-01-01T00:00:00Z");
        assert_eq!(
            rfc3339(1_700_000_000_000_000_001),
            "2023-11-14T22:13:20.000000001Z"
        );
        assert_eq!(
            rfc3339(1_700_000_000_000_000_000),
            "2023-11-14T22:13:20.000000000Z"
        );
    }

    #[test]
    fn ages() {
        let now = "2024-01-01T00:00:00Z".parse::<jiff::Timestamp>().unwrap();
        let check = |seconds: i64, words: &str| {
            let from = (now.as_second() - seconds) * 1_000_000_000;
            assert_eq!(ago(from, now), words);
        };
        check(-5, "Less than a second");
        check(1, "1 second");
        check(59, "59 seconds");
        check(60, "About a minute");
        check(130, "2 minutes");
        check(3600, "About an hour");
        check(7200, "2 hours");
        check(86_400 * 3, "3 days");
        check(86_400 * 30, "4 weeks");
        check(86_400 * 100, "3 months");
        check(86_400 * 1000, "2 years");
    }
}
