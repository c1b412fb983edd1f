//! Amounts of a resource: `500m`, `1.5Gi`, `2e3` (Kubernetes' "Quantity").
//!
//! Never: floating point; billionths are the smallest part there is, as in Kubernetes.

use std::cmp::Ordering;
use std::fmt;

use serde_json::Value;

const NANO: i128 = 1_000_000_000;
/// Larger amounts become this one.
const LARGEST: i128 = i64::MAX as i128 * NANO;
/// Digits looked at; those that follow only round.
const DIGITS: usize = 30;
/// Longest text of one.
const LONGEST: usize = 256;
const WRONG: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const BINARY: [&str; 6] = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];

/// An amount, and how it was written.
#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    nano: i128,
    style: Style,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    Decimal,
    Binary,
    Exponent,
}

impl Quantity {
    /// Nothing.
    pub const ZERO: Quantity = Quantity {
        nano: 0,
        style: Style::Decimal,
    };

    /// Reads one.
    ///
    /// # Errors
    /// It is none, in words.
    pub fn parse(text: &str) -> Result<Quantity, &'static str> {
        let text = text.trim();
        if text.len() > LONGEST {
            return Err(WRONG);
        }
        let (sign, rest) = match text.as_bytes().first() {
            Some(b'-') => (-1, &text[1..]),
            Some(b'+') => (1, &text[1..]),
            _ => (1, text),
        };
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
        let (number, suffix) = rest.split_at(end.unwrap_or(rest.len()));
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        if part.contains('.') || whole.is_empty() && part.is_empty() {
            return Err(WRONG);
        }
        let binary = BINARY.iter().zip(1u32..).find(|(name, _)| **name == suffix);
        let (nano, style) = match binary {
            Some((_, power)) => (binary_nano(whole, part, 10 * power), Style::Binary),
            None => {
                let (exponent, style) = exponent(suffix)?;
                (decimal_nano(whole, part, exponent), style)
            }
        };
        Ok(Quantity {
            nano: sign * nano.min(LARGEST),
            style,
        })
    }

    /// What a field says: a text or a number.
    ///
    /// # Errors
    /// It says no quantity.
    pub fn of(value: &Value) -> Result<Quantity, &'static str> {
        match value {
            Value::String(text) => Quantity::parse(text),
            Value::Number(number) => Quantity::parse(&number.to_string()),
            _ => Err(WRONG),
        }
    }

    /// Whether it is below nothing.
    pub fn is_negative(&self) -> bool {
        self.nano < 0
    }

    /// Whether it is nothing.
    pub fn is_zero(&self) -> bool {
        self.nano == 0
    }

    /// Whether it has no fraction.
    pub fn is_whole(&self) -> bool {
        self.nano % NANO == 0
    }

    /// Rounded up to thousandths, as resource lists are.
    #[must_use]
    pub fn to_thousandths(self) -> Quantity {
        const STEP: i128 = NANO / 1000;
        let nano = divided_up(self.nano.abs(), STEP) * STEP * self.nano.signum();
        Quantity { nano, ..self }
    }

    /// As a whole number; up, where there is a fraction.
    pub fn whole(&self) -> i128 {
        self.times(1)
    }

    /// In thousandths; up, where there is less.
    pub fn thousandths(&self) -> i128 {
        self.times(1000)
    }

    fn times(&self, parts: i128) -> i128 {
        divided_up(self.nano.abs(), NANO / parts) * self.nano.signum()
    }

    /// As much below nothing as it is above.
    #[must_use]
    pub fn negated(self) -> Quantity {
        Quantity {
            nano: -self.nano,
            ..self
        }
    }

    /// The whole number it is, if it is one.
    pub fn to_whole(self) -> Option<i64> {
        i64::try_from(self.nano / NANO)
            .ok()
            .filter(|_| self.is_whole())
    }

    /// Nearly what it is.
    pub fn to_double(self) -> f64 {
        self.nano as f64 / NANO as f64
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Quantity) -> Quantity {
        let nano = (self.nano + other.nano).clamp(-LARGEST, LARGEST);
        Quantity { nano, ..self }
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Quantity) -> bool {
        self.nano == other.nano
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Quantity) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Quantity) -> Ordering {
        self.nano.cmp(&other.nano)
    }
}

/// As Kubernetes writes it: no fraction, the largest suffix that fits; a decimal one where a binary
/// one would lose something.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nano == 0 {
            return f.write_str("0");
        }
        if self.nano < 0 {
            f.write_str("-")?;
        }
        let size = self.nano.abs();
        if self.style == Style::Binary && size >= 1024 * NANO && self.is_whole() {
            let mut whole = size / NANO;
            let mut power = 0;
            while power < BINARY.len() && whole % 1024 == 0 {
                whole /= 1024;
                power += 1;
            }
            let suffix = power.checked_sub(1).map_or("", |power| BINARY[power]);
            return write!(f, "{whole}{suffix}");
        }
        let (mut number, mut power) = (size, 0);
        while number % 1000 == 0 && (power + 1 < DECIMAL.len() || self.style == Style::Exponent) {
            number /= 1000;
            power += 1;
        }
        let exponent = power as i64 * 3 - 9;
        match self.style {
            Style::Exponent if exponent == 0 => write!(f, "{number}"),
            Style::Exponent => write!(f, "{number}e{exponent}"),
            _ => write!(f, "{number}{}", DECIMAL[power]),
        }
    }
}

fn divided_up(number: i128, by: i128) -> i128 {
    number / by + i128::from(number % by != 0)
}

/// Power of ten that a suffix stands for.
fn exponent(suffix: &str) -> Result<(i64, Style), &'static str> {
    if let Some(at) = DECIMAL.iter().position(|name| *name == suffix) {
        return Ok((at as i64 * 3 - 9, Style::Decimal));
    }
    let digits = suffix.strip_prefix(['e', 'E']).ok_or(WRONG)?;
    let exponent: i32 = digits.parse().map_err(|_| WRONG)?;
    Ok((exponent.into(), Style::Exponent))
}

fn decimal_nano(whole: &str, part: &str, exponent: i64) -> i128 {
    let digits = whole.bytes().chain(part.bytes());
    let mut digits = digits.skip_while(|digit| *digit == b'0');
    let mut mantissa: i128 = 0;
    for digit in digits.by_ref().take(DIGITS) {
        mantissa = mantissa * 10 + i128::from(digit - b'0');
    }
    let rest: Vec<u8> = digits.collect();
    let is_more = rest.iter().any(|digit| *digit != b'0');
    let mut shift = exponent + 9 - part.len() as i64 + rest.len() as i64;
    if mantissa == 0 {
        return 0;
    }
    while shift > 0 && mantissa <= LARGEST {
        mantissa *= 10;
        shift -= 1;
    }
    let mut is_rounded = is_more;
    while shift < 0 && mantissa > 0 {
        is_rounded |= mantissa % 10 != 0;
        mantissa /= 10;
        shift += 1;
    }
    mantissa + i128::from(is_rounded)
}

fn binary_nano(whole: &str, part: &str, power: u32) -> i128 {
    /// Digits of a fraction: with the largest suffix their product still fits.
    const PART: usize = 18;
    let unit = 1i128 << power;
    let whole = whole.bytes().fold(0, |sum: i128, digit| {
        (sum * 10 + i128::from(digit - b'0')).min(LARGEST)
    });
    let (seen, rest) = part.split_at(part.len().min(PART));
    let digits = seen
        .bytes()
        .fold(0, |sum: i128, digit| sum * 10 + i128::from(digit - b'0'));
    let scale = 10i128.pow(seen.len() as u32);
    let (full, left) = (digits * unit / scale, digits * unit % scale);
    let is_more = rest.bytes().any(|digit| digit != b'0');
    let part = full * NANO + divided_up(left * NANO, scale) + i128::from(is_more);
    (whole.min(i64::MAX.into()) * unit)
        .min(LARGEST / NANO)
        .saturating_mul(NANO)
        .saturating_add(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_written_as_kubernetes_does() {
        for (text, written) in [
            ("0", "0"),
            ("1", "1"),
            ("1000m", "1"),
            ("0.5", "500m"),
            (".5", "500m"),
            ("1.", "1"),
            ("1500m", "1500m"),
            ("1024Mi", "1Gi"),
            ("0.5Gi", "512Mi"),
            ("1.5Ki", "1536"),
            ("1Ki", "1Ki"),
            ("1.2Gi", "1288490188800m"),
            ("0.5Ki", "512"),
            ("1000", "1k"),
            ("1e3", "1e3"),
            ("12E2", "1200"),
            ("1E", "1E"),
            ("+2M", "2M"),
            ("-1500k", "-1500k"),
            ("1n", "1n"),
            ("0.1n", "1n"),
            ("100000000000000000000", "9223372036854775807"),
            ("1e400", "9223372036854775807"),
            ("1e-400", "1e-9"),
            ("999Ei", "9223372036854775807"),
            (" 7 ", "7"),
        ] {
            let quantity = Quantity::parse(text).unwrap();
            let canonical = quantity.to_string();
            assert_eq!(canonical, written, "{text}");
            let again = Quantity::parse(&canonical).unwrap();
            assert_eq!(again.to_string(), canonical, "{text}: it stays as it is");
        }
        let sixty = "0".repeat(60);
        assert_eq!(
            Quantity::parse(&format!("1{sixty}e-60")).unwrap().nano,
            NANO
        );
    }

    #[test]
    fn what_is_none_is_refused() {
        let long = "1".repeat(300);
        for text in [
            "",
            "-",
            "1.2.3",
            "1x",
            "Gi",
            "1Gii",
            "1ee3",
            "1e",
            ".",
            "1 Gi",
            "e3",
            "1e99999999999",
            "١",
            "1mm",
            &long,
        ] {
            assert!(Quantity::parse(text).is_err(), "{text}");
        }
        assert!(Quantity::of(&Value::Bool(true)).is_err());
    }

    #[test]
    fn they_compare_and_add_by_what_they_are() {
        let of = |text| Quantity::parse(text).unwrap();
        assert_eq!(of("1"), of("1000m"));
        assert!(of("1G") < of("1Gi"));
        assert_eq!(of("1Gi").plus(of("1024Mi")).to_string(), "2Gi");
        assert!(of("-1").is_negative() && of("2").is_whole() && !of("100m").is_whole());
        assert_eq!(of("1u").to_thousandths().to_string(), "1m");
        assert_eq!((of("1.2").whole(), of("-1.2").whole()), (2, -2));
        assert_eq!(
            (of("1500u").thousandths(), of("3").thousandths()),
            (2, 3000)
        );
        assert_eq!(Quantity::of(&serde_json::json!(0.25)).unwrap(), of("250m"));
    }
}
