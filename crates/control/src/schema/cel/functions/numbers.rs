//! Conversions between types, and what type a value is.

use super::super::types::{
    self, ANY, BOOL, BYTES, CIDR, DOUBLE, DURATION, INT, IP, NUMBER, TEXT, TIME, TYPE, UINT,
};
use super::super::value::Val;
use super::super::{Fail, Run};
use super::{Function, Gives, global, time, within, wrong};

pub(super) const ALL: &[Function] = &[
    global(
        "int",
        &[NUMBER | TEXT | TIME | DURATION],
        Gives::Is(INT),
        int,
    ),
    global("uint", &[NUMBER | TEXT], Gives::Is(UINT), uint),
    global("double", &[NUMBER | TEXT], Gives::Is(DOUBLE), double),
    global("bool", &[BOOL | TEXT], Gives::Is(BOOL), |_, on| {
        match &on[0] {
            Val::Bool(is) => Ok(Val::Bool(*is)),
            Val::Text(text) => match &**text {
                "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(Val::Bool(true)),
                "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(Val::Bool(false)),
                _ => Err(Fail::new("type conversion error: a string that is no bool")),
            },
            _ => wrong(),
        }
    }),
    global(
        "string",
        &[NUMBER | BOOL | TEXT | BYTES | TIME | DURATION | IP | CIDR],
        Gives::Is(TEXT),
        string,
    ),
    global(
        "bytes",
        &[TEXT | BYTES],
        Gives::Is(BYTES),
        |run, on| match &on[0] {
            Val::Text(text) => {
                run.spend_text(text.len())?;
                Ok(Val::Bytes(text.as_bytes().into()))
            }
            bytes => Ok(bytes.clone()),
        },
    ),
    global("dyn", &[ANY], Gives::Any, |_, on| Ok(on[0].clone())),
    global("type", &[ANY], Gives::Is(TYPE), |_, on| {
        let bits = match on[0].bits() {
            types::OBJECT => types::MAP,
            bits => bits,
        };
        Ok(Val::Type(types::name(bits)))
    }),
];

fn int<'a>(run: &mut Run, on: &[Val<'a>]) -> Result<Val<'a>, Fail> {
    within(match &on[0] {
        Val::Int(number) => Some(Val::Int(*number)),
        Val::UInt(number) => i64::try_from(*number).ok().map(Val::Int),
        Val::Double(number) => {
            // The largest are not exact as doubles.
            let fits = *number > i64::MIN as f64 && *number < i64::MAX as f64;
            fits.then_some(Val::Int(*number as i64))
        }
        Val::Text(text) => {
            run.spend_text(text.len())?;
            text.parse().ok().map(Val::Int)
        }
        Val::Time(time) => Some(Val::Int(time.as_second())),
        Val::Duration(nanos) => Some(Val::Int(*nanos)),
        _ => None,
    })
}

fn uint<'a>(run: &mut Run, on: &[Val<'a>]) -> Result<Val<'a>, Fail> {
    within(match &on[0] {
        Val::Int(number) => u64::try_from(*number).ok().map(Val::UInt),
        Val::UInt(number) => Some(Val::UInt(*number)),
        Val::Double(number) => {
            let fits = *number >= 0.0 && *number < u64::MAX as f64;
            fits.then_some(Val::UInt(*number as u64))
        }
        Val::Text(text) => {
            run.spend_text(text.len())?;
            text.parse().ok().map(Val::UInt)
        }
        _ => None,
    })
}

fn double<'a>(run: &mut Run, on: &[Val<'a>]) -> Result<Val<'a>, Fail> {
    within(match &on[0] {
        Val::Int(number) => Some(Val::Double(*number as f64)),
        Val::UInt(number) => Some(Val::Double(*number as f64)),
        Val::Double(number) => Some(Val::Double(*number)),
        Val::Text(text) => {
            run.spend_text(text.len())?;
            text.parse().ok().map(Val::Double)
        }
        _ => None,
    })
}

fn string<'a>(run: &mut Run, on: &[Val<'a>]) -> Result<Val<'a>, Fail> {
    run.spend(8)?;
    Ok(Val::text(match &on[0] {
        Val::Text(_) => return Ok(on[0].clone()),
        Val::Bytes(bytes) => {
            run.spend_text(bytes.len())?;
            let text = std::str::from_utf8(bytes);
            text.map_err(|_| Fail::new("bytes that are no text"))?
                .to_owned()
        }
        Val::UInt(number) => number.to_string(),
        Val::Time(at) => at.to_string(),
        Val::Duration(nanos) => time::seconds(*nanos),
        Val::Ip(ip) => ip.to_string(),
        Val::Cidr(ip, bits) => format!("{ip}/{bits}"),
        other => other.shown(),
    }))
}
