//! Values that may be there: `optional.of(x)`, `a.?b.orValue(c)`.

use super::super::Fail;
use super::super::types::{ANY, BOOL, OPTIONAL};
use super::super::value::Val;
use super::{Function, Gives, global, member, wrong};

pub(super) const ALL: &[Function] = &[
    global("optional.of", &[ANY], Gives::MaybeSame, |_, on| {
        Ok(Val::optional(Some(on[0].clone())))
    }),
    global("optional.none", &[], Gives::Is(OPTIONAL), |_, _| {
        Ok(Val::Optional(None))
    }),
    member(
        "hasValue",
        &[OPTIONAL],
        Gives::Is(BOOL),
        |_, on| match &on[0] {
            Val::Optional(value) => Ok(Val::Bool(value.is_some())),
            _ => wrong(),
        },
    ),
    member("value", &[OPTIONAL], Gives::Inner, |_, on| match &on[0] {
        Val::Optional(Some(value)) => Ok(Val::clone(value)),
        _ => Err(Fail::new("optional.none() dereference")),
    }),
    member(
        "orValue",
        &[OPTIONAL, ANY],
        Gives::Inner,
        |_, on| match &on[0] {
            Val::Optional(Some(value)) => Ok(Val::clone(value)),
            _ => Ok(on[1].clone()),
        },
    ),
    member(
        "or",
        &[OPTIONAL, OPTIONAL],
        Gives::Same,
        |_, on| match &on[0] {
            Val::Optional(Some(_)) => Ok(on[0].clone()),
            _ => Ok(on[1].clone()),
        },
    ),
];
