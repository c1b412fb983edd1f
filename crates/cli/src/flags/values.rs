//! Values as docker reads them: sizes, CPU counts, key=value pairs, times.
//!
//! Pure functions from text to value; the words of their errors are docker's.

use std::collections::BTreeMap;

use weft_api::docker::text;
use weft_client::Filters;

/// Bytes with an optional binary unit: `64m`, `1.5GiB`, `512`.
pub fn size(text: &str) -> Result<i64, String> {
    text::size(text)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| format!("invalid size: '{text}'"))
}

/// Like [`size`], with -1 for no limit.
pub fn size_or_unlimited(text: &str) -> Result<i64, String> {
    if text == "-1" { Ok(-1) } else { size(text) }
}

/// CPUs as a decimal number, in billionths.
pub fn nano_cpus(text: &str) -> Result<i64, String> {
    let failed = || format!("failed to parse {text} as a rational number");
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
        return Err(failed());
    }
    let significant = fraction.trim_end_matches('0');
    if significant.len() > 9 {
        return Err("value is too precise".to_owned());
    }
    let whole: i64 = if whole.is_empty() {
        0
    } else {
        whole.parse().map_err(|_| failed())?
    };
    let fraction: i64 = format!("{significant:0<9}").parse().map_err(|_| failed())?;
    whole
        .checked_mul(1_000_000_000)
        .and_then(|nanos| nanos.checked_add(fraction))
        .ok_or_else(failed)
}

/// `KEY=VALUE`, or `KEY` alone for an empty value.
pub fn pairs(list: &[String]) -> BTreeMap<String, String> {
    list.iter()
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (key.to_owned(), value.to_owned())
        })
        .collect()
}

/// `KEY=VALUE`, as it is.
pub fn filter(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .ok_or_else(|| "invalid filter: must be of the form 'name=value'".to_owned())?;
    Ok((key.trim().to_lowercase(), value.trim().to_owned()))
}

/// The values of `--filter` as the client sends them.
pub fn filters(list: &[(String, String)]) -> Filters {
    let mut filters = Filters::default();
    for (key, value) in list {
        filters.add(key, value);
    }
    filters
}

/// A duration of a flag, in nanoseconds; the words of its errors are Go's.
pub fn duration(text: &str) -> Result<i64, String> {
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    if !rest.is_empty() && rest.chars().all(is_number) && rest != "." {
        return Err(format!("time: missing unit in duration {text:?}"));
    }
    text::duration_ns(rest)
        .map(|ns| sign * ns)
        .ok_or_else(|| format!("time: invalid duration {text:?}"))
}

/// A point in time for `--since` and `--until`, as the API wants it: Unix seconds with a fraction.
///
/// Read as docker does: a Unix time, a duration before `now_ns`, or a date in the local time zone.
pub fn timestamp(text: &str, now_ns: i128) -> Result<String, String> {
    if let Some(duration) = text::duration_ns(text) {
        let at = now_ns - i128::from(duration);
        return Ok(format!(
            "{}.{:09}",
            at.div_euclid(1_000_000_000),
            at.rem_euclid(1_000_000_000)
        ));
    }
    let is_unix = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    if is_unix && text.parse::<f64>().is_ok() {
        return Ok(text.to_owned());
    }
    let timestamp = date(text).ok_or_else(|| {
        format!("{text:?} is neither a Unix time, nor a duration (10m), nor a date (2024-01-02T15:04:05)")
    })?;
    Ok(format!(
        "{}.{:09}",
        timestamp.as_second(),
        timestamp.subsec_nanosecond()
    ))
}

fn date(text: &str) -> Option<jiff::Timestamp> {
    if let Ok(timestamp) = text.parse::<jiff::Timestamp>() {
        return Some(timestamp);
    }
    // Docker also takes dates that stop at the hour or the minute.
    let padded = match text.len() {
        13 => format!("{text}:00:00"),
        _ => text.to_owned(),
    };
    let civil: jiff::civil::DateTime = padded.parse().ok()?;
    Some(
        civil
            .to_zoned(jiff::tz::TimeZone::system())
            .ok()?
            .timestamp(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("64m", Ok(64 << 20)),
            ("", Err("invalid size: ''")),
            ("-1", Err("invalid size: '-1'")),
        ] {
            assert_eq!(size(text), bytes.map_err(str::to_owned), "{text}");
        }
        assert_eq!(size_or_unlimited("-1"), Ok(-1));
    }

    #[test]
    fn cpus() {
        for (text, nanos) in [
            ("1.5", Ok(1_500_000_000)),
            ("2", Ok(2_000_000_000)),
            (".25", Ok(250_000_000)),
            ("0.0000001", Ok(100)),
            ("0.0000000001", Err("value is too precise")),
            ("abc", Err("failed to parse abc as a rational number")),
            ("", Err("failed to parse  as a rational number")),
            ("-1", Err("failed to parse -1 as a rational number")),
        ] {
            assert_eq!(nano_cpus(text), nanos.map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, ns) in [
            ("0", Ok(0)),
            ("1m30s", Ok(90_000_000_000)),
            ("-5ms", Ok(-5_000_000)),
            ("1.5s", Ok(1_500_000_000)),
            ("5", Err("time: missing unit in duration \"5\"")),
            ("", Err("time: invalid duration \"\"")),
            ("soon", Err("time: invalid duration \"soon\"")),
            ("9999999h", Err("time: invalid duration \"9999999h\"")),
        ] {
            assert_eq!(duration(text), ns.map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn times() {
        let now = 1_700_000_000_500_000_000;
        let at = |text| timestamp(text, now);
        assert_eq!(at("10m").unwrap(), "1699999400.500000000");
        assert_eq!(at("1h30m1.5s").unwrap(), "1699994599.000000000");
        assert_eq!(at("1600000000.25").unwrap(), "1600000000.25");
        assert_eq!(at("2024-01-02T03:04:05Z").unwrap(), "1704164645.000000000");
        assert_eq!(
            at("2024-01-02T03:04:05+01:00").unwrap(),
            "1704161045.000000000"
        );
        assert!(at("2024-01-02").is_ok());
        assert!(at("2024-01-02T03").is_ok());
        assert!(
            at("tomorrow")
                .unwrap_err()
                .starts_with("\"tomorrow\" is neither")
        );
    }
}
