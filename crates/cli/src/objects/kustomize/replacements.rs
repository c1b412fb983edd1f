//! `replacements`: a value of one object, written into others.

use serde_json::{Map, Value};

use super::bounds;
use super::fields::{self, Step};
use super::id::{Id, Resource};
use super::load::{Loads, Root};
use super::wire::{Kustomization, Part, Replacement, Selector};
use crate::error::CliError;
use crate::objects::manifest::{self, Dialect};

/// Where a name is, which is what is meant when no field is.
const NAME: &str = "metadata.name";

/// Makes all replacements that `file` has, in order.
pub fn run(
    file: &Kustomization,
    place: &str,
    root: &Root,
    loads: &Loads,
    all: &mut [Resource],
) -> Result<(), CliError> {
    for (at, one) in file.replacements.iter().enumerate() {
        let place = format!("{place}: replacements[{at}]");
        if one.path.is_empty() {
            replace(one, &place, all)?;
            continue;
        }
        let place = root.place(&one.path);
        let text = loads.text(root, &one.path)?;
        for value in manifest::values(&place, &text, Dialect::Kubectl)? {
            for (at, one) in Replacement::read(value, &place)?.iter().enumerate() {
                replace(one, &format!("{place}: replacement {at}"), all)?;
            }
        }
    }
    Ok(())
}

fn replace(one: &Replacement, place: &str, all: &mut [Resource]) -> Result<(), CliError> {
    let wrong = |why: String| CliError::new(format!("make {place}: {why}"));
    let Some(source) = one.source.as_ref().filter(|_| !one.targets.is_empty()) else {
        return Err(wrong("it needs a source, and targets".to_owned()));
    };
    let is_source = |one: &&Resource| one.ids().any(|id| is_exactly(&id, &source.of));
    let found: Vec<&Resource> = all.iter().filter(is_source).collect();
    let [from] = &*found else {
        let count = found.len();
        return Err(
            wrong(format!("its source must be one object, and is {count}"))
                .hint("kind, name and namespace say which"),
        );
    };
    let path = or(&source.field_path, NAME);
    let steps = fields::parse(path).map_err(|why| wrong(format!("{path:?}: {why}")))?;
    let mut value = None;
    let mut read = from.value.clone();
    fields::visit(&mut read, &steps, false, &mut |at| {
        value.get_or_insert_with(|| at.clone());
    });
    let Some(value) = value else {
        return Err(wrong(format!(
            "its source, {}, has no field {path:?}",
            from.id()
        )));
    };
    let value = piece(value, &source.options).map_err(wrong)?;
    for target in &one.targets {
        let Some(select) = &target.select else {
            return Err(wrong("each target needs select".to_owned()));
        };
        for one in all.iter_mut() {
            let is = |wanted: &Selector| one.ids().any(|id| is_exactly(&id, wanted));
            let is_meant = is(select) && !target.reject.iter().any(is);
            if !is_meant {
                continue;
            }
            let names = [NAME.to_owned()];
            let paths = match target.field_paths.is_empty() {
                true => &names[..],
                false => &target.field_paths[..],
            };
            for path in paths {
                let steps = fields::parse(path).map_err(|why| wrong(format!("{path:?}: {why}")))?;
                write(one, &steps, &value, &target.options)
                    .map_err(|why| wrong(format!("{} at {path:?}: {why}", one.id())))?;
            }
        }
    }
    Ok(())
}

fn or<'a>(text: &'a str, empty: &'a str) -> &'a str {
    if text.is_empty() { empty } else { text }
}

/// Whether `id` has all that is said. Here names are no patterns.
fn is_exactly(id: &Id, wanted: &Selector) -> bool {
    let fits = |wanted: &str, own: &str| wanted.is_empty() || wanted == own;
    fits(&wanted.group, &id.group)
        && fits(&wanted.version, &id.version)
        && fits(&wanted.kind, &id.kind)
        && fits(&wanted.name, &id.name)
        && fits(&wanted.namespace, id.space())
}

/// What of the source is meant.
fn piece(value: Value, part: &Part) -> Result<Value, String> {
    if part.delimiter.is_empty() {
        return Ok(value);
    }
    let text = text(&value).ok_or("a value that is split must be no list and no mapping")?;
    let at = usize::try_from(part.index).ok();
    let found = at.and_then(|at| text.split(&part.delimiter).nth(at));
    match found {
        Some(found) => Ok(found.into()),
        None => Err(format!("{text:?} has no part {}", part.index)),
    }
}

/// How a scalar is written.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::Null => Some(String::new()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

fn write(one: &mut Resource, steps: &[Step], value: &Value, part: &Part) -> Result<(), String> {
    one.remember();
    if part.create && !one.value.is_object() {
        one.value = Map::new().into();
    }
    let mut result = Err("there is no such field; `create` makes one".to_owned());
    fields::visit(
        &mut one.value,
        steps,
        part.create,
        &mut |at| match put(at, value, part) {
            Ok(()) if result.is_err() => result = Ok(()),
            Ok(()) => {}
            Err(why) => result = Err(why),
        },
    );
    result.and_then(|()| bounds::check(&one.value))
}

/// Puts `value` at a place, which stays of the type it is.
fn put(at: &mut Value, value: &Value, part: &Part) -> Result<(), String> {
    let mut new = value.clone();
    if !part.delimiter.is_empty() {
        let scalars = text(at).zip(text(value));
        let (old, added) = scalars.ok_or("what is split must be no list and no mapping")?;
        let mut parts: Vec<&str> = old.split(&part.delimiter).collect();
        match usize::try_from(part.index) {
            Err(_) => parts.insert(0, &added),
            Ok(index) if index >= parts.len() => parts.push(&added),
            Ok(index) => parts[index] = &added,
        }
        new = parts.join(&part.delimiter).into();
    }
    *at = match (&*at, text(&new)) {
        (Value::String(_), Some(text)) => text.into(),
        (Value::Number(_) | Value::Bool(_), Some(text)) => {
            match serde_json::from_str::<Value>(&text) {
                Ok(plain) if plain.is_number() || plain.is_boolean() => plain,
                _ => text.into(),
            }
        }
        _ => new,
    };
    Ok(())
}
