//! Operators: arithmetic, comparisons, `in`, `[]`.

use std::cmp::Ordering;

use super::super::types::Unique;
use super::super::types::{
    ANY, BOOL, BYTES, DOUBLE, DURATION, INT, LIST, MAP, NUMBER, OPTIONAL, TEXT, TIME, UINT,
};
use super::super::value::Val;
use super::super::{Fail, Run};
use super::{Function, Gives, global, within, wrong};

const ORDERED: u32 = NUMBER | BOOL | TEXT | BYTES | TIME | DURATION;

pub(super) const ALL: &[Function] = &[
    global("_==_", &[ANY, ANY], Gives::Is(BOOL), |run, on| {
        Ok(Val::Bool(on[0].is(&on[1], run)?))
    }),
    global("_!=_", &[ANY, ANY], Gives::Is(BOOL), |run, on| {
        Ok(Val::Bool(!on[0].is(&on[1], run)?))
    }),
    global("_<_", &[ORDERED, ORDERED], Gives::Is(BOOL), |run, on| {
        Ok(Val::Bool(order(run, on)? == Some(Ordering::Less)))
    }),
    global("_<=_", &[ORDERED, ORDERED], Gives::Is(BOOL), |run, on| {
        let order = order(run, on)?;
        Ok(Val::Bool(order.is_some_and(Ordering::is_le)))
    }),
    global("_>_", &[ORDERED, ORDERED], Gives::Is(BOOL), |run, on| {
        Ok(Val::Bool(order(run, on)? == Some(Ordering::Greater)))
    }),
    global("_>=_", &[ORDERED, ORDERED], Gives::Is(BOOL), |run, on| {
        let order = order(run, on)?;
        Ok(Val::Bool(order.is_some_and(Ordering::is_ge)))
    }),
    global("!_", &[BOOL], Gives::Is(BOOL), |_, on| match &on[0] {
        Val::Bool(is) => Ok(Val::Bool(!is)),
        _ => wrong(),
    }),
    global("-_", &[INT | DOUBLE], Gives::Same, |_, on| match &on[0] {
        Val::Int(a) => within(a.checked_neg().map(Val::Int)),
        Val::Double(a) => Ok(Val::Double(-a)),
        _ => wrong(),
    }),
    global("_+_", &[INT, INT], Gives::Is(INT), arithmetic),
    global("_+_", &[UINT, UINT], Gives::Is(UINT), arithmetic),
    global("_+_", &[DOUBLE, DOUBLE], Gives::Is(DOUBLE), arithmetic),
    global("_+_", &[TEXT, TEXT], Gives::Is(TEXT), |run, on| match on {
        [Val::Text(a), Val::Text(b)] => {
            run.spend_text(a.len() + b.len())?;
            Ok(Val::text([&**a, &**b].concat()))
        }
        _ => wrong(),
    }),
    global("_+_", &[LIST, LIST], Gives::Is(LIST), joined),
    global("_+_", &[TIME, DURATION], Gives::Is(TIME), |_, on| {
        super::time::later(&on[0], &on[1], 1)
    }),
    global("_+_", &[DURATION, TIME], Gives::Is(TIME), |_, on| {
        super::time::later(&on[1], &on[0], 1)
    }),
    global(
        "_+_",
        &[DURATION, DURATION],
        Gives::Is(DURATION),
        |_, on| durations(on, i64::checked_add),
    ),
    global("_-_", &[INT, INT], Gives::Is(INT), |_, on| {
        numbers(on, i64::checked_sub, u64::checked_sub, |a, b| a - b)
    }),
    global("_-_", &[UINT, UINT], Gives::Is(UINT), |_, on| {
        numbers(on, i64::checked_sub, u64::checked_sub, |a, b| a - b)
    }),
    global("_-_", &[DOUBLE, DOUBLE], Gives::Is(DOUBLE), |_, on| {
        numbers(on, i64::checked_sub, u64::checked_sub, |a, b| a - b)
    }),
    global("_-_", &[TIME, DURATION], Gives::Is(TIME), |_, on| {
        super::time::later(&on[0], &on[1], -1)
    }),
    global("_-_", &[TIME, TIME], Gives::Is(DURATION), |_, on| {
        super::time::between(&on[1], &on[0])
    }),
    global(
        "_-_",
        &[DURATION, DURATION],
        Gives::Is(DURATION),
        |_, on| durations(on, i64::checked_sub),
    ),
    global("_*_", &[INT, INT], Gives::Is(INT), product),
    global("_*_", &[UINT, UINT], Gives::Is(UINT), product),
    global("_*_", &[DOUBLE, DOUBLE], Gives::Is(DOUBLE), product),
    global("_/_", &[INT, INT], Gives::Is(INT), quotient),
    global("_/_", &[UINT, UINT], Gives::Is(UINT), quotient),
    global("_/_", &[DOUBLE, DOUBLE], Gives::Is(DOUBLE), quotient),
    global("_%_", &[INT, INT], Gives::Is(INT), rest),
    global("_%_", &[UINT, UINT], Gives::Is(UINT), rest),
    global("@in", &[ANY, LIST], Gives::Is(BOOL), |run, on| {
        let list = on[1].elements(run)?;
        Ok(Val::Bool(on[0].is_in(&list, run)?))
    }),
    global("@in", &[ANY, MAP], Gives::Is(BOOL), |run, on| {
        Ok(Val::Bool(on[1].key(&on[0], run)?.is_some()))
    }),
    global("_[_]", &[LIST, INT | UINT], Gives::Inner, |_, on| {
        let missing = || Fail::new(format!("index out of bounds: {}", on[1].shown()));
        at(&on[0], &on[1]).ok_or_else(missing)?
    }),
    global("_[_]", &[MAP, ANY], Gives::Inner, |run, on| {
        let found = on[0].key(&on[1], run)?;
        found.ok_or_else(|| Fail::new(format!("no such key: {}", on[1].shown())))
    }),
    global("_[?_]", &[LIST, INT | UINT], Gives::MaybeInner, |_, on| {
        Ok(Val::optional(at(&on[0], &on[1]).transpose()?))
    }),
    global("_[?_]", &[MAP, ANY], Gives::MaybeInner, |run, on| {
        Ok(Val::optional(on[0].key(&on[1], run)?))
    }),
    global("_[?_]", &[OPTIONAL, ANY], Gives::Any, |run, on| {
        let Val::Optional(Some(of)) = &on[0] else {
            return Ok(Val::Optional(None));
        };
        Ok(Val::optional(match at(of, &on[1]) {
            Some(found) => Some(found?),
            None => of.key(&on[1], run)?,
        }))
    }),
];

fn at<'a>(list: &Val<'a>, index: &Val<'a>) -> Option<Result<Val<'a>, Fail>> {
    let index = match index {
        Val::Int(index) => usize::try_from(*index).ok()?,
        Val::UInt(index) => usize::try_from(*index).ok()?,
        _ => return None,
    };
    list.at(index)
}

fn order(run: &mut Run, on: &[Val<'_>]) -> Result<Option<Ordering>, Fail> {
    if let [Val::Text(a), Val::Text(b)] = on {
        run.spend_text(a.len().min(b.len()))?;
    }
    let is_number = |value: &Val<'_>| value.bits() & NUMBER != 0;
    if on[0].bits() != on[1].bits() && !on.iter().all(is_number) {
        return Err(Fail::new(
            "no such overload: values of two types have no order",
        ));
    }
    // Numbers that are none have none, and are in no order.
    Ok(on[0].order(&on[1]))
}

fn numbers<'a>(
    on: &[Val<'a>],
    int: fn(i64, i64) -> Option<i64>,
    uint: fn(u64, u64) -> Option<u64>,
    double: fn(f64, f64) -> f64,
) -> Result<Val<'a>, Fail> {
    match on {
        [Val::Int(a), Val::Int(b)] => within(int(*a, *b).map(Val::Int)),
        [Val::UInt(a), Val::UInt(b)] => within(uint(*a, *b).map(Val::UInt)),
        [Val::Double(a), Val::Double(b)] => Ok(Val::Double(double(*a, *b))),
        _ => wrong(),
    }
}

fn durations<'a>(on: &[Val<'a>], of: fn(i64, i64) -> Option<i64>) -> Result<Val<'a>, Fail> {
    match on {
        [Val::Duration(a), Val::Duration(b)] => within(of(*a, *b).map(Val::Duration)),
        _ => wrong(),
    }
}

fn arithmetic<'a>(_: &mut Run, on: &[Val<'a>]) -> Result<Val<'a>, Fail> {
    numbers(on, i64::checked_add, u64::checked_add, |a, b| a + b)
}

fn product<'a>(_: &mut Run, on: &[Val<'a>]) -> Result<Val<'a>, Fail> {
    numbers(on, i64::checked_mul, u64::checked_mul, |a, b| a * b)
}

fn quotient<'a>(_: &mut Run, on: &[Val<'a>]) -> Result<Val<'a>, Fail> {
    by_nothing(on, "division by zero")?;
    numbers(on, i64::checked_div, u64::checked_div, |a, b| a / b)
}

fn rest<'a>(_: &mut Run, on: &[Val<'a>]) -> Result<Val<'a>, Fail> {
    by_nothing(on, "modulus by zero")?;
    numbers(on, i64::checked_rem, u64::checked_rem, |a, b| a % b)
}

fn by_nothing(on: &[Val<'_>], why: &str) -> Result<(), Fail> {
    match on[1] {
        Val::Int(0) | Val::UInt(0) => Err(Fail::new(why)),
        _ => Ok(()),
    }
}

/// What is in two lists: of sets each value once, of lists with keys the second's where both have
/// an element.
fn joined<'a>(run: &mut Run, on: &[Val<'a>]) -> Result<Val<'a>, Fail> {
    let mut made = on[0].elements(run)?;
    let more = on[1].elements(run)?;
    for value in more {
        let same = match on[0].unique() {
            Unique::Place => None,
            Unique::Value => position(&made, &value, run, |a, b, run| a.is(b, run))?,
            Unique::By(keys) => position(&made, &value, run, |a, b, run| {
                for key in keys {
                    let same = match (property(a, key, run)?, property(b, key, run)?) {
                        (Some(a), Some(b)) => a.is(&b, run)?,
                        (a, b) => a.is_none() && b.is_none(),
                    };
                    if !same {
                        return Ok(false);
                    }
                }
                Ok(true)
            })?,
        };
        match same {
            Some(at) => made[at] = value,
            None => made.push(value),
        }
    }
    Ok(Val::List(made.into()))
}

fn property<'a>(of: &Val<'a>, name: &str, run: &mut Run) -> Result<Option<Val<'a>>, Fail> {
    match super::super::types::escaped(name) {
        Some(name) => of.field(&name, run),
        None => Ok(None),
    }
}

fn position<'a>(
    among: &[Val<'a>],
    value: &Val<'a>,
    run: &mut Run,
    mut is_same: impl FnMut(&Val<'a>, &Val<'a>, &mut Run) -> Result<bool, Fail>,
) -> Result<Option<usize>, Fail> {
    for (at, other) in among.iter().enumerate() {
        if is_same(other, value, run)? {
            return Ok(Some(at));
        }
    }
    Ok(None)
}
