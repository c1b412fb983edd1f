//! An expression whose names are resolved.

use super::functions::Function;
use super::value::Val;

#[derive(Debug)]
pub(super) enum Term {
    Literal(Val<'static>),
    /// A variable: `self` is the first, `oldSelf` the second.
    Slot(usize),
    /// `a.b`, `has(a.b)`, `a.?b`
    Field {
        of: Box<Term>,
        name: Box<str>,
        way: Way,
    },
    /// One of the functions of this name, as its arguments want.
    Call {
        name: Box<str>,
        among: Vec<&'static Function>,
        arguments: Vec<Term>,
    },
    And(Box<[Term; 2]>),
    Or(Box<[Term; 2]>),
    If(Box<[Term; 3]>),
    List(Vec<Term>),
    Map(Vec<(Term, Term)>),
    Each(Box<Each>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Way {
    Get,
    Has,
    Optional,
}

/// A macro that goes through a list, or a map's keys.
#[derive(Debug)]
pub(super) struct Each {
    pub(super) over: Term,
    /// Where its variable is.
    pub(super) slot: usize,
    pub(super) what: What,
    /// `map` and `filter`: which ones.
    pub(super) only: Option<Term>,
    pub(super) step: Term,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum What {
    All,
    Exists,
    ExistsOne,
    Map,
}
