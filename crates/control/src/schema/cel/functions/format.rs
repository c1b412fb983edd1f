//! `'%s has %d'.format([name, count])`: what `printf` knows, as far as the language has it.

use super::super::value::Val;
use super::super::{Fail, Run};
use super::{time, wrong};

/// Most digits behind the point.
const DIGITS_MAX: usize = 100;

pub(super) fn format<'a>(run: &mut Run, on: &[Val<'a>]) -> Result<Val<'a>, Fail> {
    let Val::Text(text) = &on[0] else {
        return wrong();
    };
    run.spend_text(text.len())?;
    let given = on[1].elements(run)?;
    let mut given = given.iter();
    let (mut made, mut rest) = (String::new(), &**text);
    while let Some((before, after)) = rest.split_once('%') {
        made.push_str(before);
        let (digits, after) = digits(after)?;
        let mut after = after.chars();
        let verb = after
            .next()
            .ok_or_else(|| Fail::new("format: nothing follows a %"))?;
        rest = after.as_str();
        if verb == '%' {
            made.push('%');
            continue;
        }
        let none = || Fail::new("format: more is named than there is");
        let shown = shown(given.next().ok_or_else(none)?, verb, digits)?;
        run.spend_text(shown.len())?;
        made.push_str(&shown);
    }
    made.push_str(rest);
    match given.next() {
        None => Ok(Val::text(made)),
        Some(_) => Err(Fail::new("format: more is there than is named")),
    }
}

/// How many digits are wanted behind the point: `.3`
fn digits(text: &str) -> Result<(usize, &str), Fail> {
    const DIGITS: usize = 6;
    let Some(after) = text.strip_prefix('.') else {
        return Ok((DIGITS, text));
    };
    let end = after.find(|c: char| !c.is_ascii_digit());
    let (digits, rest) = after.split_at(end.unwrap_or(after.len()));
    match digits.parse() {
        Ok(digits) if digits <= DIGITS_MAX => Ok((digits, rest)),
        _ => Err(Fail::new("format: precision out of range")),
    }
}

fn shown(value: &Val<'_>, verb: char, digits: usize) -> Result<String, Fail> {
    let double = match value {
        Val::Double(number) => Some(*number),
        Val::Int(number) => Some(*number as f64),
        Val::UInt(number) => Some(*number as f64),
        _ => None,
    };
    Ok(match (verb, value, double) {
        ('s', Val::Null, _) => "null".to_owned(),
        ('s', Val::Time(at), _) => at.to_string(),
        ('s', Val::Duration(nanos), _) => time::seconds(*nanos),
        ('s', Val::UInt(number), _) => number.to_string(),
        ('s', value, _) => value.shown(),
        ('d', Val::Int(number), _) => number.to_string(),
        ('d', Val::UInt(number), _) => number.to_string(),
        ('f', _, Some(number)) => format!("{number:.digits$}"),
        ('x', Val::Int(number), _) => format!("{}{:x}", sign(*number), number.unsigned_abs()),
        ('x', Val::UInt(number), _) => format!("{number:x}"),
        ('b', Val::Int(number), _) => format!("{}{:b}", sign(*number), number.unsigned_abs()),
        ('b', Val::UInt(number), _) => format!("{number:b}"),
        ('b', Val::Bool(is), _) => u8::from(*is).to_string(),
        _ => {
            let kind = super::types::name(value.bits());
            return Err(Fail::new(format!("format: %{verb} cannot show a {kind}")));
        }
    })
}

fn sign(number: i64) -> &'static str {
    if number < 0 { "-" } else { "" }
}
