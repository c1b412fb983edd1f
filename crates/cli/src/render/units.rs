//! Sizes and times in docker's words.
//!
//! Pure: the present is an argument.

/// Bytes in decimal units with four significant digits: `4.26MB`.
pub fn size(bytes: u64) -> String {
    scaled(bytes, 1000.0, &["B", "kB", "MB", "GB", "TB", "PB", "EB"], 4)
}

/// Bytes in decimal units with three significant digits, as image sizes are shown: `4.26MB`.
pub fn size_short(bytes: u64) -> String {
    scaled(bytes, 1000.0, &["B", "kB", "MB", "GB", "TB", "PB", "EB"], 3)
}

/// Bytes in binary units: `1.5MiB`.
pub fn binary_size(bytes: u64) -> String {
    scaled(
        bytes,
        1024.0,
        &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"],
        4,
    )
}

fn scaled(bytes: u64, base: f64, units: &[&str], digits: usize) -> String {
    #[allow(clippy::cast_precision_loss, reason = "four digits are shown")]
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= base && unit + 1 < units.len() {
        value /= base;
        unit += 1;
    }
    format!("{}{}", significant(value, digits), units[unit])
}

/// C's `%.*g` for values from 0 to 1024.
fn significant(value: f64, digits: usize) -> String {
    let whole = match value {
        v if v >= 1000.0 => 4,
        v if v >= 100.0 => 3,
        v if v >= 10.0 => 2,
        _ => 1,
    };
    let text = format!("{value:.*}", digits.saturating_sub(whole));
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

/// A length of time in words: `About a minute`, `3 hours`.
pub fn duration(seconds: i64) -> String {
    let minutes = seconds / 60;
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "hours"
    )]
    let hours = (seconds as f64 / 3600.0).round() as i64;
    match () {
        () if seconds < 1 => "Less than a second".to_owned(),
        () if seconds == 1 => "1 second".to_owned(),
        () if seconds < 60 => format!("{seconds} seconds"),
        () if minutes == 1 => "About a minute".to_owned(),
        () if minutes < 60 => format!("{minutes} minutes"),
        () if hours == 1 => "About an hour".to_owned(),
        () if hours < 48 => format!("{hours} hours"),
        () if hours < 24 * 7 * 2 => format!("{} days", hours / 24),
        () if hours < 24 * 30 * 2 => format!("{} weeks", hours / 24 / 7),
        () if hours < 24 * 365 * 2 => format!("{} months", hours / 24 / 30),
        () => format!("{} years", hours / 24 / 365),
    }
}

/// How long ago a Unix time was: `2 minutes ago`.
pub fn ago(then: i64, now: i64) -> String {
    format!("{} ago", duration(now - then))
}

/// Now, in Unix seconds.
pub fn now_seconds() -> i64 {
    weft_stdx::clock::unix_ns().div_euclid(1_000_000_000)
}

/// A Unix time in the machine's time zone, as docker writes it in lists.
pub fn local(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(
        |_| seconds.to_string(),
        |at| {
            at.to_zoned(jiff::tz::TimeZone::system())
                .strftime("%Y-%m-%d %H:%M:%S %z %Z")
                .to_string()
        },
    )
}

/// The first 12 characters of an id, without the name of the hash.
pub fn short_id(id: &str) -> &str {
    let bare = id.strip_prefix("sha256:").unwrap_or(id);
    bare.get(..12).unwrap_or(bare)
}

/// At most `max` characters, the last of them an ellipsis when something is missing.
pub fn ellipsis(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(max.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (bytes, long, short, binary) in [
            (0, "0B", "0B", "0B"),
            (999, "999B", "999B", "999B"),
            (1000, "1kB", "1kB", "1000B"),
            (1024, "1.024kB", "1.02kB", "1KiB"),
            (4_261_550, "4.262MB", "4.26MB", "4.064MiB"),
            (1_500_000_000, "1.5GB", "1.5GB", "1.397GiB"),
            (123_456_789, "123.5MB", "123MB", "117.7MiB"),
            (1023 << 10, "1.048MB", "1.05MB", "1023KiB"),
        ] {
            assert_eq!(size(bytes), long);
            assert_eq!(size_short(bytes), short);
            assert_eq!(binary_size(bytes), binary);
        }
    }

    #[test]
    fn durations() {
        for (seconds, words) in [
            (-5, "Less than a second"),
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (120, "2 minutes"),
            (3599, "59 minutes"),
            (3600, "About an hour"),
            (5400, "2 hours"),
            (47 * 3600, "47 hours"),
            (48 * 3600, "2 days"),
            (14 * 86400, "2 weeks"),
            (60 * 86400, "2 months"),
            (730 * 86400, "2 years"),
        ] {
            assert_eq!(duration(seconds), words, "{seconds}");
        }
        assert_eq!(ago(100, 130), "30 seconds ago");
    }

    #[test]
    fn ids_and_long_texts_are_cut() {
        assert_eq!(short_id("sha256:0123456789abcdef"), "0123456789ab");
        assert_eq!(short_id("abc"), "abc");
        assert_eq!(ellipsis("abcdef", 4), "abc…");
        assert_eq!(ellipsis("äöü", 3), "äöü");
    }
}
