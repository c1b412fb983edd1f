//! Times and durations. Times are those of UTC; durations are written as Go does (`1h30m`).

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::super::Fail;
use super::super::types::{DURATION, INT, TEXT, TIME};
use super::super::value::Val;
use super::{Function, Gives, global, member, within, wrong};

pub(super) const ALL: &[Function] = &[
    global(
        "timestamp",
        &[TEXT | TIME],
        Gives::Is(TIME),
        |run, on| match &on[0] {
            Val::Text(text) => {
                run.spend_text(text.len())?;
                let time = text.parse::<Timestamp>();
                let why = |_| Fail::new("a string that is no timestamp");
                time.map(Val::Time).map_err(why)
            }
            other => Ok(other.clone()),
        },
    ),
    global(
        "duration",
        &[TEXT | DURATION],
        Gives::Is(DURATION),
        |run, on| match &on[0] {
            Val::Text(text) => {
                run.spend_text(text.len())?;
                duration(text).map(Val::Duration)
            }
            other => Ok(other.clone()),
        },
    ),
    member("getFullYear", &[TIME], Gives::Is(INT), |_, on| {
        part(on, |at| at.year().into())
    }),
    member("getMonth", &[TIME], Gives::Is(INT), |_, on| {
        part(on, |at| i64::from(at.month()) - 1)
    }),
    member("getDate", &[TIME], Gives::Is(INT), |_, on| {
        part(on, |at| at.day().into())
    }),
    member("getDayOfMonth", &[TIME], Gives::Is(INT), |_, on| {
        part(on, |at| i64::from(at.day()) - 1)
    }),
    member("getDayOfWeek", &[TIME], Gives::Is(INT), |_, on| {
        part(on, |at| weekday(at.weekday()))
    }),
    member("getDayOfYear", &[TIME], Gives::Is(INT), |_, on| {
        part(on, |at| i64::from(at.day_of_year()) - 1)
    }),
    member("getHours", &[TIME | DURATION], Gives::Is(INT), |_, on| {
        clock(on, |at| at.hour().into(), 3600 * 1_000_000_000)
    }),
    member("getMinutes", &[TIME | DURATION], Gives::Is(INT), |_, on| {
        clock(on, |at| at.minute().into(), 60 * 1_000_000_000)
    }),
    member("getSeconds", &[TIME | DURATION], Gives::Is(INT), |_, on| {
        clock(on, |at| at.second().into(), 1_000_000_000)
    }),
    member(
        "getMilliseconds",
        &[TIME | DURATION],
        Gives::Is(INT),
        |_, on| match &on[0] {
            // Of a duration only what is left of its last second.
            Val::Duration(nanos) => Ok(Val::Int(nanos % 1_000_000_000 / 1_000_000)),
            _ => part(on, |at| at.millisecond().into()),
        },
    ),
];

/// The time a field says: of a date its beginning.
pub(in crate::schema::cel) fn read(text: &str) -> Result<Timestamp, Fail> {
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    let date = text.parse::<Date>().ok();
    let start = date.and_then(|date| date.to_zoned(TimeZone::UTC).ok());
    start
        .map(|start| start.timestamp())
        .ok_or_else(|| Fail::new("a string that is no time"))
}

/// Billionths of a second.
pub(in crate::schema::cel) fn duration(text: &str) -> Result<i64, Fail> {
    parsed(text).ok_or_else(|| Fail::new("a string that is no duration, as 1h30m is"))
}

fn parsed(text: &str) -> Option<i64> {
    const UNITS: [(&str, i128); 8] = [
        ("ns", 1),
        ("us", 1_000),
        ("µs", 1_000),
        ("μs", 1_000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ];
    let (sign, mut rest) = match text.as_bytes().first()? {
        b'-' => (-1, &text[1..]),
        b'+' => (1, &text[1..]),
        _ => (1, text),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total: i128 = 0;
    while {
        let is_unit = |c: char| !c.is_ascii_digit() && c != '.';
        let (number, after) = rest.split_at(rest.find(is_unit)?);
        let end = after.find(|c: char| !is_unit(c)).unwrap_or(after.len());
        let (unit, left) = after.split_at(end);
        let (_, nanos) = UNITS.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(times(number, *nanos)?)?;
        rest = left;
        !rest.is_empty()
    } {}
    i64::try_from(total.checked_mul(sign)?).ok()
}

/// `1.5` of a unit.
fn times(number: &str, unit: i128) -> Option<i128> {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && part.is_empty() {
        return None;
    }
    let whole: i128 = match whole {
        "" => 0,
        // No duration has more digits, and what has overflows nothing.
        whole if whole.len() > 19 => return None,
        whole => whole.parse().ok()?,
    };
    let part = &part[..part.len().min(15)];
    let fraction = match part {
        "" => 0,
        part => part.parse::<i128>().ok()? * unit / 10i128.pow(part.len() as u32),
    };
    Some(whole * unit + fraction)
}

/// As durations become texts: `5400s`.
pub(in crate::schema::cel) fn seconds(nanos: i64) -> String {
    let (whole, part) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    if part == 0 {
        return format!("{whole}s");
    }
    let sign = if nanos < 0 { "-" } else { "" };
    let part = format!("{:09}", part.abs());
    format!("{sign}{}.{}s", whole.abs(), part.trim_end_matches('0'))
}

/// A time that is `sign` durations away.
pub(in crate::schema::cel) fn later<'a>(
    time: &Val<'a>,
    by: &Val<'a>,
    sign: i64,
) -> Result<Val<'a>, Fail> {
    let (Val::Time(time), Val::Duration(nanos)) = (time, by) else {
        return wrong();
    };
    let by = nanos.checked_mul(sign).map(SignedDuration::from_nanos);
    within(by.and_then(|by| time.checked_add(by).ok()).map(Val::Time))
}

pub(in crate::schema::cel) fn between<'a>(from: &Val<'a>, to: &Val<'a>) -> Result<Val<'a>, Fail> {
    let (Val::Time(from), Val::Time(to)) = (from, to) else {
        return wrong();
    };
    let nanos = to.as_nanosecond() - from.as_nanosecond();
    within(i64::try_from(nanos).ok().map(Val::Duration))
}

fn part<'a>(on: &[Val<'a>], of: fn(jiff::civil::DateTime) -> i64) -> Result<Val<'a>, Fail> {
    match &on[0] {
        Val::Time(at) => Ok(Val::Int(of(TimeZone::UTC.to_datetime(*at)))),
        _ => wrong(),
    }
}

fn clock<'a>(
    on: &[Val<'a>],
    of: fn(jiff::civil::DateTime) -> i64,
    unit: i64,
) -> Result<Val<'a>, Fail> {
    match &on[0] {
        Val::Duration(nanos) => Ok(Val::Int(nanos / unit)),
        _ => part(on, of),
    }
}

fn weekday(day: Weekday) -> i64 {
    day.to_sunday_zero_offset().into()
}
