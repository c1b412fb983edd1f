//! What paths lead to.

use std::cmp::Ordering;

use serde_json::Value;

use super::{Comparison, FOUND_MAX, Node, Operand, PathError, Slice, Step, plain, wrong};

pub(super) fn render(
    nodes: &[Node],
    root: &Value,
    here: &Value,
    out: &mut String,
) -> Result<(), PathError> {
    for node in nodes {
        match node {
            Node::Text(text) => out.push_str(text),
            Node::Path(steps) => {
                let found = find(steps, root, here)?;
                let texts: Vec<String> = found.into_iter().map(plain).collect();
                out.push_str(&texts.join(" "));
            }
            Node::Range(steps, inner) => {
                for item in find(steps, root, here)? {
                    render(inner, root, item, out)?;
                }
            }
        }
    }
    Ok(())
}

pub(super) fn find<'a>(
    steps: &[Step],
    root: &'a Value,
    here: &'a Value,
) -> Result<Vec<&'a Value>, PathError> {
    let mut found = vec![here];
    for step in steps {
        let mut next = Vec::new();
        for value in found {
            walk(step, root, value, &mut next)?;
            if next.len() > FOUND_MAX {
                return wrong(format!("it leads to more than {FOUND_MAX} values"));
            }
        }
        found = next;
    }
    Ok(found)
}

fn walk<'a>(
    step: &Step,
    root: &'a Value,
    value: &'a Value,
    next: &mut Vec<&'a Value>,
) -> Result<(), PathError> {
    match step {
        Step::Root => next.push(root),
        Step::Field(name) => next.extend(value.get(name)),
        Step::All => next.extend(children(value)),
        Step::Below => below(value, next),
        Step::Slice(slice) => take(*slice, value, next)?,
        Step::Union(paths) => {
            for path in paths {
                next.extend(find(path, root, value)?);
            }
        }
        Step::Filter(left, test) => {
            for item in children(value) {
                if holds(left, test.as_ref(), root, item)? {
                    next.push(item);
                }
            }
        }
    }
    Ok(())
}

fn children(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(list) => list.iter().collect(),
        Value::Object(map) => map.values().collect(),
        _ => Vec::new(),
    }
}

fn below<'a>(value: &'a Value, next: &mut Vec<&'a Value>) {
    next.push(value);
    for child in children(value) {
        below(child, next);
    }
}

fn take<'a>(slice: Slice, value: &'a Value, next: &mut Vec<&'a Value>) -> Result<(), PathError> {
    let Value::Array(list) = value else {
        return Ok(());
    };
    let length = i64::try_from(list.len()).unwrap_or(i64::MAX);
    let counted = |index: i64| if index < 0 { index + length } else { index };
    let from = counted(slice.from.unwrap_or(0));
    let to = match (slice.is_index, slice.to) {
        (true, _) => from + 1,
        (false, to) => to.map_or(length, counted),
    };
    if from == to {
        return Ok(());
    }
    if from < 0 || from >= length {
        return wrong(format!(
            "array index out of bounds: index {from}, length {length}"
        ));
    }
    if to < 0 || to > length {
        return wrong(format!(
            "array index out of bounds: index {to}, length {length}"
        ));
    }
    if from > to {
        return wrong(format!(
            "starting index {from} is greater than ending index {to}"
        ));
    }
    let step = usize::try_from(slice.step).unwrap_or(1);
    let (from, to) = (from as usize, to as usize);
    next.extend(list[from..to].iter().step_by(step));
    Ok(())
}

fn holds(
    left: &[Step],
    test: Option<&(Comparison, Operand)>,
    root: &Value,
    item: &Value,
) -> Result<bool, PathError> {
    let left = find(left, root, item)?;
    let Some((comparison, right)) = test else {
        return Ok(!left.is_empty());
    };
    let Some(left) = left.first() else {
        return Ok(false);
    };
    let right = match right {
        Operand::Value(value) => value,
        Operand::Path(path) => match find(path, root, item)?.first() {
            Some(value) => *value,
            None => return Ok(false),
        },
    };
    let order = order(left, right);
    Ok(match comparison {
        Comparison::Equal => order == Some(Ordering::Equal),
        Comparison::Unequal => order != Some(Ordering::Equal),
        Comparison::Less => order == Some(Ordering::Less),
        Comparison::LessOrEqual => order.is_some_and(Ordering::is_le),
        Comparison::Greater => order == Some(Ordering::Greater),
        Comparison::GreaterOrEqual => order.is_some_and(Ordering::is_ge),
    })
}

fn order(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => match (left.as_i64(), right.as_i64()) {
            (Some(left), Some(right)) => Some(left.cmp(&right)),
            _ => left.as_f64()?.partial_cmp(&right.as_f64()?),
        },
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        (left, right) => (left == right).then_some(Ordering::Equal),
    }
}
