//! Lists: Kubernetes' extensions, and sets.

use std::cmp::Ordering;

use super::super::types::{ANY, BOOL, DOUBLE, DURATION, INT, LIST, NUMBER, UINT};
use super::super::value::Val;
use super::super::{Fail, Run};
use super::{Function, Gives, global, member, within};

pub(super) const ALL: &[Function] = &[
    member("isSorted", &[LIST], Gives::Is(BOOL), |run, on| {
        let list = on[0].elements(run)?;
        for pair in list.windows(2) {
            if ordered(run, &pair[0], &pair[1])? == Ordering::Greater {
                return Ok(Val::Bool(false));
            }
        }
        Ok(Val::Bool(true))
    }),
    member("sum", &[LIST], Gives::Any, sum),
    member("min", &[LIST], Gives::Inner, |run, on| {
        extreme(run, on, Ordering::Less)
    }),
    member("max", &[LIST], Gives::Inner, |run, on| {
        extreme(run, on, Ordering::Greater)
    }),
    member("indexOf", &[LIST, ANY], Gives::Is(INT), |run, on| {
        place(run, on, false)
    }),
    member("lastIndexOf", &[LIST, ANY], Gives::Is(INT), |run, on| {
        place(run, on, true)
    }),
    global(
        "sets.contains",
        &[LIST, LIST],
        Gives::Is(BOOL),
        |run, on| Ok(Val::Bool(contains(run, &on[0], &on[1])?)),
    ),
    global(
        "sets.equivalent",
        &[LIST, LIST],
        Gives::Is(BOOL),
        |run, on| {
            let both = contains(run, &on[0], &on[1])? && contains(run, &on[1], &on[0])?;
            Ok(Val::Bool(both))
        },
    ),
    global(
        "sets.intersects",
        &[LIST, LIST],
        Gives::Is(BOOL),
        |run, on| {
            let all = on[0].elements(run)?;
            for value in on[1].elements(run)? {
                if value.is_in(&all, run)? {
                    return Ok(Val::Bool(true));
                }
            }
            Ok(Val::Bool(false))
        },
    ),
];

fn contains<'a>(run: &mut Run, all: &Val<'a>, some: &Val<'a>) -> Result<bool, Fail> {
    let all = all.elements(run)?;
    for value in some.elements(run)? {
        if !value.is_in(&all, run)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn ordered(run: &mut Run, a: &Val<'_>, b: &Val<'_>) -> Result<Ordering, Fail> {
    run.spend(1)?;
    if let (Val::Text(a), Val::Text(b)) = (a, b) {
        run.spend_text(a.len().min(b.len()))?;
    }
    let none = || Fail::new("no such overload: values that have no order");
    a.order(b).ok_or_else(none)
}

fn extreme<'a>(run: &mut Run, on: &[Val<'a>], wanted: Ordering) -> Result<Val<'a>, Fail> {
    let mut list = on[0].elements(run)?.into_iter();
    let none = || Fail::new("an empty list has neither min nor max");
    let mut found = list.next().ok_or_else(none)?;
    for value in list {
        if ordered(run, &value, &found)? == wanted {
            found = value;
        }
    }
    Ok(found)
}

fn sum<'a>(run: &mut Run, on: &[Val<'a>]) -> Result<Val<'a>, Fail> {
    let list = on[0].elements(run)?;
    // The sum of none is a whole number.
    let kind = list.first().map_or(INT, Val::bits);
    if kind & (NUMBER | DURATION) == 0 || list.iter().any(|value| value.bits() != kind) {
        return Err(Fail::new(
            "no such overload: only numbers and durations have a sum",
        ));
    }
    let all = list.iter();
    within(match kind {
        INT => whole(all, |value| match value {
            Val::Int(number) => Some((*number).into()),
            _ => None,
        })
        .and_then(|sum| sum.try_into().ok().map(Val::Int)),
        UINT => whole(all, |value| match value {
            Val::UInt(number) => Some((*number).into()),
            _ => None,
        })
        .and_then(|sum| sum.try_into().ok().map(Val::UInt)),
        DOUBLE => {
            let numbers = all.filter_map(|value| match value {
                Val::Double(number) => Some(*number),
                _ => None,
            });
            Some(Val::Double(numbers.sum()))
        }
        _ => whole(all, |value| match value {
            Val::Duration(nanos) => Some((*nanos).into()),
            _ => None,
        })
        .and_then(|sum| sum.try_into().ok().map(Val::Duration)),
    })
}

fn whole<'v, 'a: 'v>(
    all: impl Iterator<Item = &'v Val<'a>>,
    of: fn(&Val<'a>) -> Option<i128>,
) -> Option<i128> {
    all.map(of).sum()
}

fn place<'a>(run: &mut Run, on: &[Val<'a>], is_last: bool) -> Result<Val<'a>, Fail> {
    let mut found = -1;
    for (index, value) in on[0].elements(run)?.iter().enumerate() {
        if value.is(&on[1], run)? {
            found = index as i64;
            if !is_last {
                break;
            }
        }
    }
    Ok(Val::Int(found))
}
