//! The language of `x-kubernetes-validations` (CEL, the Common Expression Language).
//!
//! ```text
//!   text ─► parse (crate `cel`, bounded) ─► lower (names and types are known) ─► Program
//!                                                            value, work left ─► run ─► Val
//! ```
//!
//! Owns: what an expression means, and how much work it may do. The crate's own interpreter is not
//! used: it copies values at every step, needs tens of kilobytes of stack for each level, and
//! nothing can bound its work.
//! Never: where rules stand and what is said of a broken one; that is `validations.rs`.

mod functions;
mod lower;
mod parse;
mod run;
mod term;
mod types;
mod value;

use std::collections::HashMap;

use regex::Regex;
use serde_json::Value;

use super::pattern;
use term::Term;
pub(super) use types::{Type, Unique};
pub(super) use value::Val;

/// Longest text of an expression.
const LONGEST: usize = 10_000;
/// Deepest an expression is nested.
const DEEPEST: usize = 100;
/// Steps that all rules of one write may take together: an operation is one, and so are eight bytes
/// of text that are looked at or made.
const STEPS: u64 = 4_000_000;
/// Steps that the first use of a pattern counts as.
const PATTERN_STEPS: u64 = 2_000;

/// Why there is no value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Fail {
    /// It has none: `&&` and `||` may do without.
    Error(String),
    /// It would be too much work: everything ends.
    Exhausted,
}

impl Fail {
    fn new(why: impl Into<String>) -> Fail {
        Fail::Error(why.into())
    }

    /// For people.
    pub(super) fn told(&self) -> String {
        match self {
            Fail::Error(why) => why.clone(),
            Fail::Exhausted => {
                format!("the rules of this object need more than {STEPS} steps together")
            }
        }
    }
}

/// What is spent and kept while the rules of one write run.
pub(super) struct Run {
    left: u64,
    patterns: HashMap<String, Regex>,
}

impl Run {
    pub(super) fn new() -> Run {
        Run {
            left: STEPS,
            patterns: HashMap::new(),
        }
    }

    fn spend(&mut self, steps: u64) -> Result<(), Fail> {
        self.left = self.left.checked_sub(steps).ok_or(Fail::Exhausted)?;
        Ok(())
    }

    /// A text of so many bytes is looked at or made.
    fn spend_text(&mut self, bytes: usize) -> Result<(), Fail> {
        self.spend(bytes as u64 / 8 + 1)
    }

    /// Made once, however often it is used.
    fn regex(&mut self, text: &str) -> Result<Regex, Fail> {
        if let Some(regex) = self.patterns.get(text) {
            return Ok(regex.clone());
        }
        self.spend(PATTERN_STEPS)?;
        let regex = pattern(text).map_err(Fail::Error)?;
        self.patterns.insert(text.to_owned(), regex.clone());
        Ok(regex)
    }
}

/// An expression that can be run.
#[derive(Debug)]
pub(super) struct Program {
    term: Term,
    slots: usize,
    /// Whether it looks at the value that was there before.
    pub(super) uses_old: bool,
}

/// What an expression is about, and what it has to give.
pub(super) struct Frame<'a> {
    pub(super) itself: &'a Type,
    pub(super) old: &'a Type,
    pub(super) wanted: &'a Type,
}

impl Program {
    /// Reads an expression.
    ///
    /// # Errors
    /// It is none, or names what there is not.
    pub(super) fn compile(text: &str, frame: &Frame<'_>) -> Result<Program, String> {
        let expr = parse::parse(text)?;
        let lowered = lower::lower(&expr, frame)?;
        if lowered.kind.bits() & frame.wanted.bits() == 0 {
            return Err(format!(
                "must evaluate to {}, and gives {}",
                frame.wanted.name(),
                lowered.kind.name()
            ));
        }
        Ok(Program {
            term: lowered.term,
            slots: lowered.slots,
            uses_old: lowered.uses_old,
        })
    }

    /// What it gives for a value, and for what it was before.
    ///
    /// # Errors
    /// It gives nothing, or not with what work is left.
    pub(super) fn run<'a>(
        &'a self,
        run: &mut Run,
        itself: Val<'a>,
        old: Val<'a>,
    ) -> Result<Val<'a>, Fail> {
        let mut slots = vec![Val::Null; self.slots.max(2)];
        slots[0] = itself;
        slots[1] = old;
        run::term(&self.term, &mut slots, run)
    }
}

/// What an expression gives for a value of a schema, as a text: for trying it out.
///
/// # Errors
/// It is none, or gives nothing.
pub fn attempt(text: &str, schema: &Value, value: &Value) -> Result<String, String> {
    let kind = Type::of(schema);
    let frame = Frame {
        itself: &kind,
        old: &kind,
        wanted: &Type::Any,
    };
    let program = Program::compile(text, &frame)?;
    let read = || Val::read(value, &kind).map_err(|fail| fail.told());
    let given = program.run(&mut Run::new(), read()?, read()?);
    given.map(|given| given.shown()).map_err(|fail| fail.told())
}

#[cfg(test)]
mod tests;
