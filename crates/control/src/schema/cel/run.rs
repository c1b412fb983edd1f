//! Runs an expression.
//!
//! Owns: the order of evaluation, and that every step is counted. How deep it calls itself is bounded
//! by how deep expressions may be.

use super::term::{Each, Term, Way, What};
use super::value::Val;
use super::{Fail, Run, types};

/// What an expression gives.
///
/// # Errors
/// It gives nothing, or no work is left.
pub(super) fn term<'a>(
    of: &'a Term,
    slots: &mut Vec<Val<'a>>,
    run: &mut Run,
) -> Result<Val<'a>, Fail> {
    run.spend(1)?;
    match of {
        Term::Literal(value) => Ok(value.clone()),
        Term::Slot(slot) => Ok(slots[*slot].clone()),
        Term::Field { of, name, way } => {
            let value = term(of, slots, run)?;
            field(value, name, *way, run)
        }
        Term::Call {
            name,
            among,
            arguments,
        } => {
            let mut given = Vec::with_capacity(arguments.len());
            for argument in arguments {
                given.push(term(argument, slots, run)?);
            }
            let bits: Vec<u32> = given.iter().map(Val::bits).collect();
            match among.iter().find(|function| function.may_take(&bits)) {
                Some(function) => (function.run)(run, &given),
                None => {
                    let found: Vec<&str> = bits.iter().map(|bits| types::name(*bits)).collect();
                    let found = found.join(", ");
                    Err(Fail::new(format!("no such overload: {name}({found})")))
                }
            }
        }
        Term::And(two) => both(two, false, slots, run),
        Term::Or(two) => both(two, true, slots, run),
        Term::If(parts) => {
            let [condition, yes, no] = &**parts;
            match boolean(term(condition, slots, run)?)? {
                true => term(yes, slots, run),
                false => term(no, slots, run),
            }
        }
        Term::List(terms) => {
            let values = terms.iter().map(|of| term(of, slots, run));
            Ok(Val::List(values.collect::<Result<Vec<_>, _>>()?.into()))
        }
        Term::Map(entries) => {
            let mut map: Vec<(Val<'a>, Val<'a>)> = Vec::with_capacity(entries.len());
            for (key, value) in entries {
                let key = term(key, slots, run)?;
                for (other, _) in &map {
                    if other.is(&key, run)? {
                        return Err(Fail::new("a map has a key twice"));
                    }
                }
                map.push((key, term(value, slots, run)?));
            }
            Ok(Val::Map(map.into()))
        }
        Term::Each(all) => each(all, slots, run),
    }
}

fn boolean(value: Val<'_>) -> Result<bool, Fail> {
    match value {
        Val::Bool(is) => Ok(is),
        other => {
            let found = types::name(other.bits());
            Err(Fail::new(format!("expected a bool, found a {found}")))
        }
    }
}

fn field<'a>(value: Val<'a>, name: &str, way: Way, run: &mut Run) -> Result<Val<'a>, Fail> {
    let (value, is_optional) = match value {
        Val::Optional(None) if way == Way::Has => return Ok(Val::Bool(false)),
        Val::Optional(None) => return Ok(Val::Optional(None)),
        Val::Optional(Some(value)) => (Val::clone(&value), true),
        value => (value, false),
    };
    let found = value.field(name, run)?;
    match way {
        Way::Has => Ok(Val::Bool(found.is_some())),
        Way::Get if !is_optional => found.ok_or_else(|| Fail::new(format!("no such key: {name}"))),
        Way::Get | Way::Optional => Ok(Val::optional(found)),
    }
}

/// `&&`, `||`: one side that decides is enough, even where the other fails.
fn both<'a>(
    two: &'a [Term; 2],
    decides: bool,
    slots: &mut Vec<Val<'a>>,
    run: &mut Run,
) -> Result<Val<'a>, Fail> {
    let mut failed = None;
    for of in two {
        match term(of, slots, run).and_then(boolean) {
            Ok(is) if is == decides => return Ok(Val::Bool(decides)),
            Ok(_) => {}
            Err(Fail::Exhausted) => return Err(Fail::Exhausted),
            Err(fail) => failed = Some(failed.unwrap_or(fail)),
        }
    }
    match failed {
        Some(fail) => Err(fail),
        None => Ok(Val::Bool(!decides)),
    }
}

fn each<'a>(all: &'a Each, slots: &mut Vec<Val<'a>>, run: &mut Run) -> Result<Val<'a>, Fail> {
    let over = term(&all.over, slots, run)?;
    if over.bits() & (types::LIST | types::MAP) == 0 {
        let found = types::name(over.bits());
        return Err(Fail::new(format!("a {found} has no elements")));
    }
    let mut failed = None;
    let mut count = 0;
    let mut made = Vec::new();
    for element in over.elements(run)? {
        slots[all.slot] = element;
        if let Some(only) = &all.only
            && !boolean(term(only, slots, run)?)?
        {
            continue;
        }
        let given = term(&all.step, slots, run);
        if all.what == What::Map {
            made.push(given?);
            continue;
        }
        match given.and_then(boolean) {
            Ok(false) if all.what == What::All => return Ok(Val::Bool(false)),
            Ok(true) if all.what == What::Exists => return Ok(Val::Bool(true)),
            Ok(is) => count += usize::from(is),
            Err(fail) if fail == Fail::Exhausted || all.what == What::ExistsOne => {
                return Err(fail);
            }
            Err(fail) => failed = Some(failed.unwrap_or(fail)),
        }
    }
    match (failed, all.what) {
        (Some(fail), _) => Err(fail),
        (None, What::Map) => Ok(Val::List(made.into())),
        (None, What::ExistsOne) => Ok(Val::Bool(count == 1)),
        (None, What::All) => Ok(Val::Bool(true)),
        (None, What::Exists) => Ok(Val::Bool(false)),
    }
}
