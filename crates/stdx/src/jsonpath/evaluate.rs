//! What paths lead to.

use std::cmp::Ordering;

use serde_json::Value;

use super::{Comparison, FOUND_MAX, Node, Operand, PathError, Piece, Slice, Step, wrong};

/// What a path is followed in.
pub(super) struct Search<'a> {
    pub(super) root: &'a Value,
    /// Whether a field that nothing has is an error.
    pub(super) is_strict: bool,
}

impl<'a> Search<'a> {
    /// Hands what `nodes` make to `out`, piece by piece.
    pub(super) fn each(
        &self,
        nodes: &[Node],
        here: &'a Value,
        out: &mut impl FnMut(Piece<'_>),
    ) -> Result<(), PathError> {
        for node in nodes {
            match node {
                Node::Text(text) => out(Piece::Text(text)),
                Node::Path(steps) => out(Piece::Found(&self.find(steps, here)?)),
                Node::Range(steps, inner) => {
                    for item in self.find(steps, here)? {
                        self.each(inner, item, out)?;
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn find(
        &self,
        steps: &[Step],
        here: &'a Value,
    ) -> Result<Vec<&'a Value>, PathError> {
        let mut found = vec![here];
        for step in steps {
            let mut next = Vec::new();
            for value in &found {
                self.walk(step, value, &mut next)?;
                if next.len() > FOUND_MAX {
                    return wrong(format!("it leads to more than {FOUND_MAX} values"));
                }
            }
            match step {
                Step::Field(name) if self.is_strict && next.is_empty() && !found.is_empty() => {
                    return wrong(format!("{name} is not found"));
                }
                _ => found = next,
            }
        }
        Ok(found)
    }

    fn walk(
        &self,
        step: &Step,
        value: &'a Value,
        next: &mut Vec<&'a Value>,
    ) -> Result<(), PathError> {
        match step {
            Step::Root => next.push(self.root),
            Step::Field(name) => next.extend(value.get(name)),
            Step::All => next.extend(children(value)),
            Step::Below => below(value, next),
            Step::Slice(slice) => take(*slice, value, next)?,
            Step::Union(paths) => {
                for path in paths {
                    next.extend(self.find(path, value)?);
                }
            }
            Step::Filter(left, test) => {
                for item in children(value) {
                    if self.holds(left, test.as_ref(), item)? {
                        next.push(item);
                    }
                }
            }
        }
        Ok(())
    }

    fn holds(
        &self,
        left: &[Step],
        test: Option<&(Comparison, Operand)>,
        item: &'a Value,
    ) -> Result<bool, PathError> {
        let Some((comparison, right)) = test else {
            // It asks whether something is there.
            return Ok(self.find(left, item).is_ok_and(|found| !found.is_empty()));
        };
        let left = self.find(left, item)?;
        let Some(left) = left.first() else {
            return Ok(false);
        };
        let right = match right {
            Operand::Value(value) => value,
            Operand::Path(path) => match self.find(path, item)?.first() {
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
