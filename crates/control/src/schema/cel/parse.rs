//! From text to a syntax tree that is not too deep.
//!
//! Owns: the bounds within which the parser's own recursion stays harmless. Its limit of depth does
//! not count conditions (`a ? b : c ? d : …`) and chains (`a.b.c…`); each is bounded here.

use std::mem;

use cel::common::ast::{EntryExpr, Expr, IdedExpr};
use cel::parser::PrattParser;

use super::{DEEPEST, LONGEST};

/// How often the parser may call itself for parentheses, calls and lists.
const NESTED: u16 = 40;
/// Most calls: for each the parser copies what stands before it.
const CALLS: usize = 500;

/// Reads a text.
///
/// # Errors
/// It is no expression, or too large a one.
pub(super) fn parse(text: &str) -> Result<IdedExpr, String> {
    let count = |byte: u8| text.bytes().filter(|found| *found == byte).count();
    if text.len() > LONGEST {
        let found = text.len();
        return Err(format!("it has {found} bytes: at most {LONGEST} are read"));
    }
    if count(b'?') > DEEPEST || count(b'(') > CALLS {
        return Err(format!(
            "it has more than {DEEPEST} conditions or {CALLS} calls"
        ));
    }
    let parser = PrattParser::new()
        .max_recursion_depth(NESTED)
        .error_reporting_limit(1)
        .error_recovery_limit(1)
        .enable_optional_syntax(true)
        .enable_ident_escape_syntax(true);
    let parsed = parser.parse(text).map_err(|errors| {
        let first = errors.errors.first();
        let why = first.map_or("it is no expression", |error| error.msg.as_str());
        let (line, column) = first.map_or((0, 0), |error| error.pos);
        format!("compilation failed: {line}:{column}: {why}")
    })?;
    if is_too_deep(&parsed) {
        dismantle(parsed);
        return Err(format!("it is nested deeper than {DEEPEST} levels"));
    }
    Ok(parsed)
}

fn is_too_deep(expr: &IdedExpr) -> bool {
    let mut open = vec![(expr, 0)];
    while let Some((expr, depth)) = open.pop() {
        if depth > DEEPEST {
            return true;
        }
        open.extend(below(expr).into_iter().map(|below| (below, depth + 1)));
    }
    false
}

fn below(expr: &IdedExpr) -> Vec<&IdedExpr> {
    match &expr.expr {
        Expr::Call(call) => call
            .target
            .as_deref()
            .into_iter()
            .chain(&call.args)
            .collect(),
        Expr::Comprehension(all) => vec![
            &all.iter_range,
            &all.accu_init,
            &all.loop_cond,
            &all.loop_step,
            &all.result,
        ],
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Select(select) => vec![&select.operand],
        Expr::Map(map) => entries(map.entries.iter().map(|entry| &entry.expr)),
        Expr::Struct(of) => entries(of.entries.iter().map(|entry| &entry.expr)),
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Vec::new(),
    }
}

fn entries<'a>(entries: impl Iterator<Item = &'a EntryExpr>) -> Vec<&'a IdedExpr> {
    entries
        .flat_map(|entry| match entry {
            EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
            EntryExpr::StructField(field) => vec![&field.value],
        })
        .collect()
}

/// Drops a tree level by level: by itself it would recurse.
fn dismantle(expr: IdedExpr) {
    let mut open = vec![expr];
    while let Some(mut expr) = open.pop() {
        match &mut expr.expr {
            Expr::Call(call) => {
                open.extend(call.target.take().map(|target| *target));
                open.append(&mut call.args);
            }
            Expr::Comprehension(all) => {
                open.push(mem::take(&mut all.iter_range));
                open.push(mem::take(&mut all.loop_step));
            }
            Expr::List(list) => open.append(&mut list.elements),
            Expr::Select(select) => open.push(mem::take(&mut select.operand)),
            Expr::Map(map) => {
                for entry in map.entries.drain(..) {
                    if let EntryExpr::MapEntry(entry) = entry.expr {
                        open.extend([entry.key, entry.value]);
                    }
                }
            }
            Expr::Struct(of) => {
                for entry in of.entries.drain(..) {
                    if let EntryExpr::StructField(field) = entry.expr {
                        open.push(field.value);
                    }
                }
            }
            Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => {}
        }
    }
}
