//! Points in time as Docker's clients write them: unix seconds, RFC 3339, or an age.
//!
//! The clock is an argument.

use jiff::Timestamp;
use weft_api::docker::text::duration_ns;

use crate::error::ApiError;

/// Reads `1700000000.5`, `2024-01-02`, `2024-01-02T03:04:05Z`, `10m`, `1h30m`.
pub fn parse(name: &str, text: &str, now: Timestamp) -> Result<Timestamp, ApiError> {
    unix(text)
        .or_else(|| before(now, text))
        .or_else(|| calendar(text))
        .ok_or_else(|| {
            let shown: String = text.chars().take(64).collect();
            ApiError::invalid(format!(
                "'{name}': '{shown}' is neither unix seconds, nor RFC 3339, nor an age like 10m"
            ))
        })
}

fn unix(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    let negative = seconds.starts_with('-');
    let seconds: i64 = seconds.parse().ok()?;
    if fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let nanos: i32 = format!("{fraction:0<9}").parse().ok()?;
    Timestamp::new(seconds, if negative { -nanos } else { nanos }).ok()
}

fn before(now: Timestamp, age: &str) -> Option<Timestamp> {
    let age = jiff::SignedDuration::from_nanos(duration_ns(age)?);
    now.checked_sub(age).ok()
}

/// RFC 3339, or a date with or without time and no zone, which means UTC.
fn calendar(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| {
        let civil: jiff::civil::DateTime = text.parse().ok()?;
        civil
            .to_zoned(jiff::tz::TimeZone::UTC)
            .ok()
            .map(|zoned| zoned.timestamp())
    })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn every_form() {
        let now = "2024-05-06T07:08:09Z".parse().unwrap();
        let at = |text| {
            parse("since", text, now)
                .map(|t| t.to_string())
                .map_err(|e| e.to_string())
        };
        assert_eq!(at("1700000000.25").unwrap(), "2023-11-14T22:13:20.25Z");
        assert_eq!(at("0").unwrap(), "1970-01-01T00:00:00Z");
        assert_eq!(
            at("2024-01-02T03:04:05.5+01:00").unwrap(),
            "2024-01-02T02:04:05.5Z"
        );
        assert_eq!(at("2024-01-02").unwrap(), "2024-01-02T00:00:00Z");
        assert_eq!(at("2024-01-02T03:04").unwrap(), "2024-01-02T03:04:00Z");
        assert_eq!(at("1h8m9s").unwrap(), "2024-05-06T06:00:00Z");
        for text in [
            "",
            "tomorrow",
            "1.x",
            "5y",
            "99999999999999999999",
            "1e9",
            "m",
        ] {
            assert!(at(text).is_err(), "{text}");
        }
    }
}
