//! The functions there are, by name and by what they take.
//!
//! Owns: the table, and what a function gives. What they do is in the files below.

mod format;
mod lists;
pub(super) mod named;
mod net;
mod numbers;
mod operators;
mod optionals;
mod quantities;
mod texts;
pub(super) mod time;
pub(super) mod url;

use super::types::{self, Type};
use super::value::Val;
use super::{Fail, Run};

/// One way to call a name.
pub(super) struct Function {
    name: &'static str,
    is_member: bool,
    /// Types of its arguments; what it is called on comes first.
    takes: &'static [u32],
    pub(super) gives: Gives,
    pub(super) run: Body,
}

type Body = for<'a> fn(&mut Run, &[Val<'a>]) -> Result<Val<'a>, Fail>;

/// What comes of a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Gives {
    Is(u32),
    Any,
    /// A list of texts.
    Texts,
    /// What the first argument is.
    Same,
    /// What is in the first argument.
    Inner,
    /// The same, if it is there.
    Maybe(u32),
    /// What is in the first argument, if it is there.
    MaybeInner,
    /// What the first argument is, if it is there.
    MaybeSame,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Function {
    /// Whether it could be called with arguments of these types.
    pub(super) fn may_take(&self, bits: &[u32]) -> bool {
        let mut pairs = self.takes.iter().zip(bits);
        self.takes.len() == bits.len() && pairs.all(|(takes, bits)| takes & bits != 0)
    }
}

impl Gives {
    pub(super) fn of(self, arguments: &[Type]) -> Type {
        let first = || arguments.first().cloned().unwrap_or(Type::Any);
        match self {
            Gives::Is(types::LIST) => Type::list(Type::Any),
            Gives::Is(bits) => Type::Plain(bits),
            Gives::Any => Type::Any,
            Gives::Texts => Type::list(Type::TEXT),
            Gives::Same => first(),
            Gives::Inner => first().inner(),
            Gives::Maybe(bits) => Type::Optional(Gives::Is(bits).of(&[]).into()),
            Gives::MaybeInner => Type::Optional(first().inner().into()),
            Gives::MaybeSame => Type::Optional(first().into()),
        }
    }
}

/// `f(a)`
const fn global(name: &'static str, takes: &'static [u32], gives: Gives, run: Body) -> Function {
    Function {
        name,
        is_member: false,
        takes,
        gives,
        run,
    }
}

/// `a.f()`
const fn member(name: &'static str, takes: &'static [u32], gives: Gives, run: Body) -> Function {
    Function {
        name,
        is_member: true,
        takes,
        gives,
        run,
    }
}

const TABLES: [&[Function]; 10] = [
    operators::ALL,
    numbers::ALL,
    texts::ALL,
    lists::ALL,
    time::ALL,
    optionals::ALL,
    quantities::ALL,
    net::ALL,
    url::ALL,
    named::ALL,
];

/// All that have a name.
pub(super) fn named(name: &str, is_member: bool) -> impl Iterator<Item = &'static Function> {
    TABLES
        .iter()
        .copied()
        .flatten()
        .filter(move |function| function.name == name && function.is_member == is_member)
}

/// Operators of two values that have to be of one type, or both numbers.
pub(super) const ALIKE: [&str; 6] = ["_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_"];

/// Whether values of these types can be.
pub(super) fn are_alike(bits: &[u32]) -> bool {
    let [a, b] = bits else { return true };
    let has_keys = |bits: u32| bits & (types::MAP | types::OBJECT) != 0;
    let both = a & b != 0
        || (has_keys(*a) && has_keys(*b))
        || (a & types::NUMBER != 0 && b & types::NUMBER != 0);
    both || (a | b) & types::NULL != 0
}

/// A type that expressions can name.
pub(super) fn type_named(name: &str) -> Option<&'static str> {
    let known = [
        types::BOOL,
        types::BYTES,
        types::DOUBLE,
        types::INT,
        types::LIST,
        types::MAP,
        types::NULL,
        types::TEXT,
        types::TYPE,
        types::UINT,
    ];
    known
        .into_iter()
        .map(types::name)
        .find(|known| *known == name)
}

/// What never happens: the table says what a function takes.
fn wrong<'a>() -> Result<Val<'a>, Fail> {
    Err(Fail::new("no such overload"))
}

/// A value there is, or that there is none: too large or too small.
fn within<'a>(value: Option<Val<'a>>) -> Result<Val<'a>, Fail> {
    value.ok_or_else(|| Fail::new("number out of range"))
}
