//! How Docker's users write sizes and durations: in flags, in options and in query strings.
//!
//! Pure functions from text to value. What is wrong with a text is for the caller to say.

/// Bytes with an optional binary unit: `64m`, `1.5GiB`, `512`, `32 kB`.
pub fn size(text: &str) -> Option<u64> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().ok()?;
    let unit = unit.strip_prefix(' ').unwrap_or(unit).to_ascii_lowercase();
    let power = match unit.as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        "p" | "pb" | "pib" => 5,
        _ => return None,
    };
    let bytes = number * 1024f64.powi(power);
    // Docker counts in an int64.
    (bytes < 9.2e18).then_some(bytes as u64)
}

/// A duration without a sign, as Go writes it (`1h30m`, `90s`, `250ms`), in nanoseconds.
pub fn duration_ns(text: &str) -> Option<i64> {
    if text.is_empty() {
        return None;
    }
    let mut rest = text;
    let mut total = 0f64;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !is_number(c))?);
        let (unit, after) = after.split_at(after.find(is_number).unwrap_or(after.len()));
        let factor = match unit {
            "ns" => 1.0,
            "us" | "µs" => 1e3,
            "ms" => 1e6,
            "s" => 1e9,
            "m" => 60e9,
            "h" => 3600e9,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * factor;
        rest = after;
    }
    (total < 9.2e18).then_some(total as i64)
}

fn is_number(c: char) -> bool {
    c.is_ascii_digit() || c == '.'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("512", Some(512)),
            ("64m", Some(64 << 20)),
            ("1.5g", Some(3 << 29)),
            ("1GiB", Some(1 << 30)),
            ("32 kB", Some(32 << 10)),
            ("2b", Some(2)),
            ("7T", Some(7 << 40)),
            ("", None),
            ("abc", None),
            ("-1", None),
            ("1x", None),
            ("50%", None),
            ("1..5", None),
            ("99999p", None),
            ("9999999999999999999p", None),
        ] {
            assert_eq!(size(text), bytes, "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, ns) in [
            ("0s", Some(0)),
            ("1m30s", Some(90_000_000_000)),
            ("1h8m9s", Some(4_089_000_000_000)),
            ("1.5s", Some(1_500_000_000)),
            ("250ms", Some(250_000_000)),
            ("7µs", Some(7_000)),
            ("", None),
            ("5", None),
            ("5x", None),
            ("-5s", None),
            ("s", None),
            ("9999999h", None),
        ] {
            assert_eq!(duration_ns(text), ns, "{text}");
        }
    }
}
