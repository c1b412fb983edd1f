//! Spans of time as `kubectl get` shows them.

use jiff::Timestamp;

/// A span of time as kubectl shows it: two units while they matter (`apimachinery/pkg/util/duration`).
pub fn age(seconds: i64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |large: i64, unit: char, small: i64, below: char| match small {
        0 => format!("{large}{unit}"),
        small => format!("{large}{unit}{small}{below}"),
    };
    match seconds {
        ..0 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        120..600 => two(minutes, 'm', seconds % 60, 's'),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => two(hours, 'h', minutes % 60, 'm'),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => two(days, 'd', hours % 24, 'h'),
        691_200..63_072_000 => format!("{days}d"),
        63_072_000..252_288_000 => two(days / 365, 'y', days % 365, 'd'),
        _ => format!("{}y", days / 365),
    }
}

/// How long ago a time was, as text; nothing, if `text` is no time.
pub fn since(text: &str) -> Option<String> {
    let then: Timestamp = text.parse().ok()?;
    Some(age(Timestamp::now().duration_since(then).as_secs()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn ages_are_kubectls() {
        for (seconds, text) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (121, "2m1s"),
            (600, "10m"),
            (3_600 * 3 - 1, "179m"),
            (3_600 * 3 + 60, "3h1m"),
            (3_600 * 8, "8h"),
            (86_400 * 2, "2d"),
            (86_400 * 2 + 3_600, "2d1h"),
            (86_400 * 8, "8d"),
            (86_400 * 730, "2y"),
        ] {
            assert_eq!(super::age(seconds), text, "{seconds}");
        }
    }
}
