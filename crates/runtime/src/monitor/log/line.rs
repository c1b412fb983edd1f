//! Owns one line of a log: the CRI text format, written and read. Pure.
//!
//! `2016-10-06T00:17:09.669794202Z stdout P bytes`: `P` when the workload's line goes on in the
//! next record of its stream, `F` when it ends here.

use std::io::Write;

/// Bytes before the content of a record as written here.
pub const PREFIX_LEN: usize = "2016-10-06T00:17:09.669794202Z stdout F ".len();

const NS_PER_S: i64 = 1_000_000_000;
const S_PER_DAY: i64 = 86_400;

/// Which of the workload's outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output, and all of a terminal.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    /// As it stands in a log.
    pub fn name(self) -> &'static str {
        match self {
            Stream::Stdout => "stdout",
            Stream::Stderr => "stderr",
        }
    }
}

/// A record of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLine<'a> {
    /// When it was read from the workload, in nanoseconds since 1970.
    pub time_ns: i64,
    /// Where it was written.
    pub stream: Stream,
    /// The line goes on in the stream's next record; otherwise a line feed follows.
    pub partial: bool,
    /// What was written, without the line feed.
    pub bytes: &'a [u8],
}

/// Why bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// No time in the form `2016-10-06T00:17:09.669794202Z`.
    #[error("log line does not begin with a time")]
    Time,
    /// Neither stdout nor stderr.
    #[error("log line names no stream")]
    Stream,
    /// Neither partial nor full.
    #[error("log line does not say whether it is whole")]
    Tag,
}

/// The first bytes of a record, made once for all lines read together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prefix([u8; PREFIX_LEN]);

impl Prefix {
    pub(super) fn new(time_ns: i64, stream: Stream) -> Self {
        let mut bytes = [b' '; PREFIX_LEN];
        let seconds = time_ns.div_euclid(NS_PER_S);
        let (year, month, day) = date(seconds.div_euclid(S_PER_DAY));
        let second = seconds.rem_euclid(S_PER_DAY);
        let mut rest = &mut bytes[..];
        // A year of other than four digits would need a clock off by millennia.
        let written = write!(
            rest,
            "{:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:09}Z {} F ",
            year.clamp(0, 9999),
            second / 3600,
            second / 60 % 60,
            second % 60,
            time_ns.rem_euclid(NS_PER_S),
            stream.name(),
        );
        debug_assert!(written.is_ok(), "the prefix has a fixed length");
        Self(bytes)
    }

    /// For a whole line, or a part of one.
    pub(super) fn bytes(&self, partial: bool) -> [u8; PREFIX_LEN] {
        let mut bytes = self.0;
        bytes[PREFIX_LEN - 2] = if partial { b'P' } else { b'F' };
        bytes
    }
}

/// Reads one record, given without its line feed.
///
/// # Errors
/// [`LineError`]: the line is damaged or of another format.
pub fn parse(line: &[u8]) -> Result<LogLine<'_>, LineError> {
    let mut parts = line.splitn(4, |byte| *byte == b' ');
    let time_ns = parts.next().and_then(parse_time).ok_or(LineError::Time)?;
    let stream = match parts.next() {
        Some(b"stdout") => Stream::Stdout,
        Some(b"stderr") => Stream::Stderr,
        _ => return Err(LineError::Stream),
    };
    // Further tags may follow after colons.
    let partial = match parts.next() {
        Some([b'P'] | [b'P', b':', ..]) => true,
        Some([b'F'] | [b'F', b':', ..]) => false,
        _ => return Err(LineError::Tag),
    };
    let bytes = parts.next().unwrap_or_default();
    Ok(LogLine {
        time_ns,
        stream,
        partial,
        bytes,
    })
}

/// `YYYY-MM-DDThh:mm:ss[.fraction](Z|±hh:mm)`, as nanoseconds since 1970.
fn parse_time(text: &[u8]) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| -> Option<i64> {
        let digits = text.get(range)?;
        digits.iter().all(u8::is_ascii_digit).then_some(())?;
        Some(
            digits
                .iter()
                .fold(0, |n, digit| n * 10 + i64::from(digit - b'0')),
        )
    };
    let [year, month, day] = [number(0..4)?, number(5..7)?, number(8..10)?];
    let [hour, minute, second] = [number(11..13)?, number(14..16)?, number(17..19)?];
    let marks = [4, 7, 10, 13, 16].map(|at| text[at]);
    if marks != *b"--T::" || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut at = 19;
    let mut nanoseconds = 0;
    if text.get(at) == Some(&b'.') {
        let digits = text[at + 1..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count();
        if digits == 0 || digits > 9 {
            return None;
        }
        let scale = 10_i64.pow(9 - u32::try_from(digits).ok()?);
        nanoseconds = number(at + 1..at + 1 + digits)? * scale;
        at += 1 + digits;
    }
    let offset_s = match &text[at..] {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let seconds = number(at + 1..at + 3)? * 3600 + number(at + 4..at + 6)? * 60;
            if *sign == b'-' { -seconds } else { seconds }
        }
        _ => return None,
    };
    let seconds = days(year, month, day) * S_PER_DAY + hour * 3600 + minute * 60 + second;
    (seconds - offset_s)
        .checked_mul(NS_PER_S)?
        .checked_add(nanoseconds)
}

/// Days since 1970-01-01 of a day of the Gregorian calendar. Years are counted from March, so
/// that the odd day comes last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The inverse of [`days`]: year, month, day.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 {
        march_month + 3
    } else {
        march_month - 9
    };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// For a fuzzer: any bytes are a record or an error, and a record written again reads the same.
pub fn fuzz(bytes: &[u8]) {
    let Ok(line) = parse(bytes) else { return };
    let mut again = Prefix::new(line.time_ns, line.stream)
        .bytes(line.partial)
        .to_vec();
    again.extend_from_slice(line.bytes);
    assert_eq!(parse(&again), Ok(line), "reading is the inverse of writing");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn records_look_as_cri_has_them() {
        let prefix = Prefix::new(1_475_713_029_669_794_202, Stream::Stdout);
        assert_eq!(
            &prefix.bytes(false)[..],
            b"2016-10-06T00:17:09.669794202Z stdout F "
        );
        let line =
            parse(b"2016-10-06T00:17:09.669794202Z stderr P The content of the log ").unwrap();
        assert_eq!(line.time_ns, 1_475_713_029_669_794_202);
        assert_eq!((line.stream, line.partial), (Stream::Stderr, true));
        assert_eq!(line.bytes, b"The content of the log ");
        let zoned = parse(b"2016-10-06T02:17:09.5+02:00 stdout F:x").unwrap();
        assert_eq!(zoned.time_ns, 1_475_713_029_500_000_000);
    }

    #[test]
    fn what_is_no_record_is_an_error() {
        for (line, error) in [
            (&b""[..], LineError::Time),
            (b"yesterday stdout F x", LineError::Time),
            (b"2016-13-06T00:17:09Z stdout F x", LineError::Time),
            (
                b"2016-10-06T00:17:09.1234567890Z stdout F x",
                LineError::Time,
            ),
            (b"2016-10-06T00:17:09Z stdin F x", LineError::Stream),
            (b"2016-10-06T00:17:09Z stdout X x", LineError::Tag),
            (b"2016-10-06T00:17:09Z stdout", LineError::Tag),
        ] {
            assert_eq!(parse(line), Err(error), "{}", String::from_utf8_lossy(line));
        }
    }

    proptest! {
        #[test]
        fn dates_and_days_are_inverse(day in -1_000_000_i64..1_000_000) {
            let (year, month, day_of_month) = date(day);
            prop_assert_eq!(days(year, month, day_of_month), day);
        }

        #[test]
        fn what_is_written_reads_the_same(time_ns in 0_i64..4_102_444_800_000_000_000,
                                          partial: bool, err: bool,
                                          bytes in proptest::collection::vec(any::<u8>(), 0..99)) {
            let stream = if err { Stream::Stderr } else { Stream::Stdout };
            let mut line = Prefix::new(time_ns, stream).bytes(partial).to_vec();
            line.extend_from_slice(&bytes);
            let expected = LogLine { time_ns, stream, partial, bytes: &bytes };
            prop_assert_eq!(parse(&line), Ok(expected));
            fuzz(&line);
        }

        #[test]
        fn hostile_lines_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80),
                                     cut in 0usize..40) {
            fuzz(&bytes);
            let mut line = b"2016-10-06T00:17:09.669794202Z stdout F x"[..cut].to_vec();
            line.extend_from_slice(&bytes);
            fuzz(&line);
        }
    }
}
