//! Amounts of a resource: `quantity('500m')`.

use std::cmp::Ordering;

use super::super::types::{BOOL, DOUBLE, INT, QUANTITY, TEXT};
use super::super::value::Val;
use super::super::{Fail, Run};
use super::{Function, Gives, global, member, within, wrong};
use crate::quantity::Quantity;

pub(super) const ALL: &[Function] = &[
    global(
        "quantity",
        &[TEXT],
        Gives::Is(QUANTITY),
        |run, on| match &on[0] {
            Val::Text(text) => {
                run.spend_text(text.len())?;
                exact(text).map(Val::Quantity).map_err(Fail::new)
            }
            _ => wrong(),
        },
    ),
    global(
        "isQuantity",
        &[TEXT],
        Gives::Is(BOOL),
        |run, on| match &on[0] {
            Val::Text(text) => {
                run.spend_text(text.len())?;
                Ok(Val::Bool(exact(text).is_ok()))
            }
            _ => wrong(),
        },
    ),
    member("sign", &[QUANTITY], Gives::Is(INT), |run, on| {
        order(run, &[on[0].clone(), Val::Quantity(Quantity::ZERO)])
    }),
    member("compareTo", &[QUANTITY, QUANTITY], Gives::Is(INT), order),
    member(
        "isGreaterThan",
        &[QUANTITY, QUANTITY],
        Gives::Is(BOOL),
        |_, on| is(on, Ordering::Greater),
    ),
    member(
        "isLessThan",
        &[QUANTITY, QUANTITY],
        Gives::Is(BOOL),
        |_, on| is(on, Ordering::Less),
    ),
    member(
        "isInteger",
        &[QUANTITY],
        Gives::Is(BOOL),
        |_, on| match &on[0] {
            Val::Quantity(quantity) => Ok(Val::Bool(quantity.to_whole().is_some())),
            _ => wrong(),
        },
    ),
    member(
        "asInteger",
        &[QUANTITY],
        Gives::Is(INT),
        |_, on| match &on[0] {
            Val::Quantity(quantity) => within(quantity.to_whole().map(Val::Int)),
            _ => wrong(),
        },
    ),
    member(
        "asApproximateFloat",
        &[QUANTITY],
        Gives::Is(DOUBLE),
        |_, on| match &on[0] {
            Val::Quantity(quantity) => Ok(Val::Double(quantity.to_double())),
            _ => wrong(),
        },
    ),
    member(
        "add",
        &[QUANTITY, QUANTITY],
        Gives::Is(QUANTITY),
        |_, on| match on {
            [Val::Quantity(a), Val::Quantity(b)] => Ok(Val::Quantity(a.plus(*b))),
            _ => wrong(),
        },
    ),
    member(
        "sub",
        &[QUANTITY, QUANTITY],
        Gives::Is(QUANTITY),
        |_, on| match on {
            [Val::Quantity(a), Val::Quantity(b)] => Ok(Val::Quantity(a.plus(b.negated()))),
            _ => wrong(),
        },
    ),
    member(
        "add",
        &[QUANTITY, INT],
        Gives::Is(QUANTITY),
        |_, on| match on {
            [Val::Quantity(a), Val::Int(b)] => Ok(Val::Quantity(a.plus(whole(*b)))),
            _ => wrong(),
        },
    ),
    member(
        "sub",
        &[QUANTITY, INT],
        Gives::Is(QUANTITY),
        |_, on| match on {
            [Val::Quantity(a), Val::Int(b)] => Ok(Val::Quantity(a.plus(whole(*b).negated()))),
            _ => wrong(),
        },
    ),
];

/// Blanks around it are none of it, here.
fn exact(text: &str) -> Result<Quantity, &'static str> {
    match text.trim() == text {
        true => Quantity::parse(text),
        false => Err("unable to parse quantity"),
    }
}

fn whole(number: i64) -> Quantity {
    Quantity::parse(&number.to_string()).unwrap_or(Quantity::ZERO)
}

fn order<'a>(_: &mut Run, on: &[Val<'a>]) -> Result<Val<'a>, Fail> {
    match on {
        [Val::Quantity(a), Val::Quantity(b)] => Ok(Val::Int(a.cmp(b) as i64)),
        _ => wrong(),
    }
}

fn is<'a>(on: &[Val<'a>], wanted: Ordering) -> Result<Val<'a>, Fail> {
    match on {
        [Val::Quantity(a), Val::Quantity(b)] => Ok(Val::Bool(a.cmp(b) == wanted)),
        _ => wrong(),
    }
}
