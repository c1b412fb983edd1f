//! Times that come again: `*/5 8-18 * * mon-fri`, `@daily`, `@every 1h30m` (crontab(5), and what
//! Kubernetes adds to it).

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// What has not come for so many days never comes, as upstream: the 30th of February.
const DAYS_MAX: usize = 5 * 366;

/// When something is due.
#[derive(Clone, Debug, PartialEq)]
pub enum Schedule {
    /// At these minutes.
    At(Box<Minutes>),
    /// So long after the last time.
    Every(Duration),
}

/// Minutes of all times: one bit per value of each field.
#[derive(Clone, Debug, PartialEq)]
pub struct Minutes {
    minute: u64,
    hour: u64,
    day: u64,
    month: u64,
    weekday: u64,
    /// Whether days of the month, and of the week, are all meant.
    is_any: (bool, bool),
}

struct Field {
    least: u32,
    most: u32,
    names: &'static [&'static str],
}

const FIELDS: [Field; 5] = [
    Field::numbers(0, 59),
    Field::numbers(0, 23),
    Field::numbers(1, 31),
    Field {
        least: 1,
        most: 12,
        names: &[
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ],
    },
    Field {
        least: 0,
        most: 6,
        names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
    },
];

impl Schedule {
    /// Reads one.
    ///
    /// # Errors
    /// It is none, in words.
    pub fn parse(text: &str) -> Result<Schedule, String> {
        let text = text.trim();
        if let Some(name) = text.strip_prefix('@') {
            return descriptor(name);
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else {
            let count = fields.len();
            return Err(format!(
                "expected exactly 5 fields, found {count}: {text:?}"
            ));
        };
        let is_any = |field: &str| field.split(',').any(|part| matches!(part, "*" | "?"));
        Ok(Schedule::At(Box::new(Minutes {
            minute: FIELDS[0].parse(minute)?,
            hour: FIELDS[1].parse(hour)?,
            day: FIELDS[2].parse(day)?,
            month: FIELDS[3].parse(month)?,
            weekday: FIELDS[4].parse(weekday)?,
            is_any: (is_any(day), is_any(weekday)),
        })))
    }
}

impl Schedule {
    /// The first time after `after_s`, by the clocks of `zone`; both are seconds since 1970. What
    /// comes after so and so long is counted from `since_s`. A time that clocks leave out is left
    /// out, one that they have twice comes twice.
    pub fn next(&self, after_s: i64, zone: &TimeZone, since_s: i64) -> Option<i64> {
        match self {
            Schedule::At(minutes) => minutes.next(after_s, zone),
            Schedule::Every(span) => {
                let step = i64::try_from(span.as_secs()).ok()?.max(1);
                let steps = after_s.checked_sub(since_s)?.div_euclid(step);
                since_s.checked_add(steps.checked_add(1)?.checked_mul(step)?)
            }
        }
    }
}

fn has(bits: u64, at: i8) -> bool {
    u32::try_from(at).is_ok_and(|at| bits >> at & 1 == 1)
}

impl Minutes {
    /// Whether `time`'s minute is one of them.
    pub fn contains(&self, time: DateTime) -> bool {
        self.has_day(time) && has(self.hour, time.hour()) && has(self.minute, time.minute())
    }

    fn has_day(&self, time: DateTime) -> bool {
        let day = has(self.day, time.day());
        let weekday = has(self.weekday, time.weekday().to_sunday_zero_offset());
        // Days of both kinds: either will do.
        let is_day = match self.is_any {
            (false, false) => day || weekday,
            _ => day && weekday,
        };
        is_day && has(self.month, time.month())
    }

    fn next(&self, after_s: i64, zone: &TimeZone) -> Option<i64> {
        let civil = |at: i64| Some(zone.to_datetime(Timestamp::from_second(at).ok()?));
        let second = i64::from(civil(after_s)?.second());
        let mut at = after_s - second + 60;
        let mut days = 0;
        loop {
            let time = civil(at)?;
            at = if !self.has_day(time) {
                days += 1;
                if days > DAYS_MAX {
                    return None;
                }
                let day = time.date().tomorrow().ok()?;
                day.to_zoned(zone.clone()).ok()?.timestamp().as_second()
            } else if !has(self.hour, time.hour()) {
                at + 60 * (60 - i64::from(time.minute()))
            } else if !has(self.minute, time.minute()) {
                at + 60
            } else {
                return Some(at);
            };
        }
    }
}

fn descriptor(name: &str) -> Result<Schedule, String> {
    let fields = match name {
        "yearly" | "annually" => "0 0 1 1 *",
        "monthly" => "0 0 1 * *",
        "weekly" => "0 0 * * 0",
        "daily" | "midnight" => "0 0 * * *",
        "hourly" => "0 * * * *",
        _ => {
            let span = name
                .strip_prefix("every ")
                .ok_or_else(|| format!("unrecognized descriptor: \"@{name}\""))?;
            let wrong = || format!("failed to parse duration {span:?}: it is like 1h30m");
            return duration(span.trim()).map(Schedule::Every).ok_or_else(wrong);
        }
    };
    Schedule::parse(fields)
}

/// `1h30m`; at least a second.
fn duration(text: &str) -> Option<Duration> {
    let mut seconds = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(end);
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.');
        let (unit, after) = after.split_at(end.unwrap_or(after.len()));
        let unit = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        seconds += number.parse::<f64>().ok()? * unit;
        rest = after;
    }
    let span = Duration::try_from_secs_f64(seconds).ok()?;
    (!text.is_empty()).then(|| span.max(Duration::from_secs(1)))
}

impl Field {
    const fn numbers(least: u32, most: u32) -> Field {
        Field {
            least,
            most,
            names: &[],
        }
    }

    /// `1,5-10/2,*/15`
    fn parse(&self, text: &str) -> Result<u64, String> {
        let mut bits = 0;
        for part in text.split(',') {
            bits |= self.range(part)?;
        }
        Ok(bits)
    }

    fn range(&self, text: &str) -> Result<u64, String> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (text, None),
        };
        let (from, to) = match range.split_once('-') {
            _ if matches!(range, "*" | "?") => (self.least, self.most),
            Some((from, to)) => (self.value(from, text)?, self.value(to, text)?),
            None => {
                let from = self.value(range, text)?;
                // `5/15` goes on to the end.
                (from, if step.is_some() { self.most } else { from })
            }
        };
        let step = step.map_or(Ok(1), |step| number(step, text))?;
        if step == 0 {
            return Err(format!(
                "step of range should be a positive number: {text:?}"
            ));
        }
        if from < self.least {
            let least = self.least;
            return Err(format!(
                "beginning of range ({from}) below minimum ({least}): {text:?}"
            ));
        }
        if to > self.most {
            let most = self.most;
            return Err(format!(
                "end of range ({to}) above maximum ({most}): {text:?}"
            ));
        }
        if from > to {
            return Err(format!(
                "beginning of range ({from}) beyond end of range ({to}): {text:?}"
            ));
        }
        let mut bits = 0;
        for value in (from..=to).step_by(step as usize) {
            bits |= 1 << value;
        }
        Ok(bits)
    }

    fn value(&self, text: &str, whole: &str) -> Result<u32, String> {
        let named = self.names.iter().zip(self.least..);
        let mut named = named.filter(|(name, _)| text.eq_ignore_ascii_case(name));
        match named.next() {
            Some((_, value)) => Ok(value),
            None => number(text, whole),
        }
    }
}

fn number(text: &str, whole: &str) -> Result<u32, String> {
    let digits = text.bytes().all(|c| c.is_ascii_digit());
    let parsed = text.parse().ok().filter(|_| digits);
    parsed.ok_or_else(|| format!("failed to parse int from {text:?}: {whole:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_say_when() {
        for (schedule, time, is_due) in [
            ("* * * * *", "2026-11-22T11:25:31", true),
            ("*/5 * * * *", "2026-11-22T11:25:00", true),
            ("*/5 * * * *", "2026-11-22T11:26:00", false),
            ("7/15 * * * *", "2026-11-22T11:52:00", true),
            ("0-30/10,45 8-18 * * *", "2026-11-22T18:45:00", true),
            ("0 0 * * MON-fri", "2026-11-23T00:00:00", true),
            ("0 0 * * 1-5", "2026-11-22T00:00:00", false),
            ("0 0 13 * FRI", "2026-11-13T00:00:00", true),
            ("0 0 13 * FRI", "2026-11-20T00:00:00", true),
            ("0 0 13 * ?", "2026-11-20T00:00:00", false),
            ("0 0 1 Jan *", "2027-01-01T00:00:00", true),
            ("@weekly", "2026-11-22T00:00:00", true),
            ("@hourly", "2026-11-22T01:01:00", false),
        ] {
            let Schedule::At(minutes) = Schedule::parse(schedule).unwrap() else {
                panic!("{schedule}");
            };
            assert_eq!(
                minutes.contains(time.parse().unwrap()),
                is_due,
                "{schedule} {time}"
            );
        }
        for (text, seconds) in [
            ("@every 1h30m", 5400),
            ("@every 0.1s", 1),
            ("@every 90s", 90),
        ] {
            let every = Schedule::Every(Duration::from_secs(seconds));
            assert_eq!(Schedule::parse(text).unwrap(), every, "{text}");
        }
    }

    #[test]
    fn the_next_time_is_by_the_clocks_of_a_place() {
        for (schedule, zone, after, expected) in [
            (
                "* * * * *",
                "UTC",
                "2026-11-22T11:25:31Z",
                "2026-11-22T11:26:00Z",
            ),
            (
                "* * * * *",
                "UTC",
                "2026-11-22T11:25:00Z",
                "2026-11-22T11:26:00Z",
            ),
            (
                "59 23 31 12 *",
                "UTC",
                "2026-12-31T23:59:00Z",
                "2027-12-31T23:59:00Z",
            ),
            (
                "0 0 29 2 *",
                "UTC",
                "2025-01-01T00:00:00Z",
                "2028-02-29T00:00:00Z",
            ),
            (
                "0 9 * * *",
                "Europe/Berlin",
                "2026-07-01T07:00:00Z",
                "2026-07-02T07:00:00Z",
            ),
            (
                "0 9 * * *",
                "Europe/Berlin",
                "2026-12-01T07:00:00Z",
                "2026-12-01T08:00:00Z",
            ),
            (
                "30 0 * * *",
                "Asia/Kolkata",
                "2026-12-01T00:00:00Z",
                "2026-12-01T19:00:00Z",
            ),
            // Clocks go from 2 to 3 on the 29th of March.
            (
                "30 2 * * *",
                "Europe/Berlin",
                "2026-03-28T02:00:00Z",
                "2026-03-30T00:30:00Z",
            ),
            (
                "0 3 * * *",
                "Europe/Berlin",
                "2026-03-28T12:00:00Z",
                "2026-03-29T01:00:00Z",
            ),
            // And from 3 to 2 on the 25th of October.
            (
                "30 2 * * *",
                "Europe/Berlin",
                "2026-10-24T12:00:00Z",
                "2026-10-25T00:30:00Z",
            ),
            (
                "30 2 * * *",
                "Europe/Berlin",
                "2026-10-25T00:30:00Z",
                "2026-10-25T01:30:00Z",
            ),
            (
                "30 2 * * *",
                "Europe/Berlin",
                "2026-10-25T01:30:00Z",
                "2026-10-26T01:30:00Z",
            ),
            // Half an hour is left out, and comes twice.
            (
                "15 2 * * *",
                "Australia/Lord_Howe",
                "2026-10-03T00:00:00Z",
                "2026-10-04T15:15:00Z",
            ),
            (
                "45 1 * * *",
                "Australia/Lord_Howe",
                "2026-04-04T14:45:00Z",
                "2026-04-04T15:15:00Z",
            ),
            // There is no midnight here on the 5th of September 2027.
            (
                "0 0 * * *",
                "America/Santiago",
                "2027-09-04T12:00:00Z",
                "2027-09-06T03:00:00Z",
            ),
            (
                "@every 90s",
                "UTC",
                "2026-01-01T00:00:00Z",
                "2026-01-01T00:01:00Z",
            ),
        ] {
            let second = |text: &str| text.parse::<Timestamp>().unwrap().as_second();
            let zone = TimeZone::get(zone).unwrap();
            let since = second("2025-12-31T23:59:30Z");
            let next = Schedule::parse(schedule)
                .unwrap()
                .next(second(after), &zone, since);
            let next = Timestamp::from_second(next.unwrap()).unwrap();
            assert_eq!(next.to_string(), expected, "{schedule} {after}");
        }
        let never = Schedule::parse("0 0 30 2 *").unwrap();
        assert_eq!(never.next(0, &TimeZone::UTC, 0), None);
    }

    #[test]
    fn what_is_none_is_told_why() {
        for (text, why) in [
            ("", "expected exactly 5 fields, found 0"),
            ("* * * *", "expected exactly 5 fields, found 4"),
            ("* * * * * *", "expected exactly 5 fields, found 6"),
            ("60 * * * *", "end of range (60) above maximum (59)"),
            ("* * 0 * *", "beginning of range (0) below minimum (1)"),
            ("5-2 * * * *", "beyond end of range"),
            ("*/0 * * * *", "positive number"),
            ("* * * * 7", "above maximum (6)"),
            ("a * * * *", "failed to parse int from \"a\""),
            ("-1 * * * *", "failed to parse int from \"\""),
            ("+1 * * * *", "failed to parse int from \"+1\""),
            ("1,,2 * * * *", "failed to parse int from \"\""),
            ("99999999999 * * * *", "failed to parse int"),
            ("@often", "unrecognized descriptor"),
            ("@every x", "failed to parse duration"),
            ("@every ", "unrecognized descriptor"),
            ("@every 1", "failed to parse duration"),
        ] {
            let error = Schedule::parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
