//! Resolves an expression's names: variables, properties, functions.
//!
//! Owns: every mistake that can be seen before there is a value. What is not known is refused here,
//! by its name; nothing of it is left to the run.

use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, SelectExpr, operators,
};

use super::functions::{self, Function};
use super::term::{Each, Term, Way, What};
use super::types::{self, Type};
use super::value::Val;
use super::{Frame, pattern};

pub(super) struct Lowered {
    pub(super) term: Term,
    pub(super) kind: Type,
    pub(super) slots: usize,
    pub(super) uses_old: bool,
}

struct Lower {
    /// Variables, by their slots; those of macros come and go.
    names: Vec<(String, Type)>,
    slots: usize,
    uses_old: bool,
}

type Typed = (Term, Type);

/// Names that stand before a function's, as if it were theirs.
const SPACES: [&str; 4] = ["format", "ip", "optional", "sets"];
/// Functions whose last argument but one is a pattern.
const PATTERNS: [&str; 3] = ["matches", "find", "findAll"];

/// Resolves what an expression names.
///
/// # Errors
/// There is none of that name, or not for such values.
pub(super) fn lower(expr: &IdedExpr, frame: &Frame<'_>) -> Result<Lowered, String> {
    let mut lower = Lower {
        names: vec![
            ("self".to_owned(), frame.itself.clone()),
            ("oldSelf".to_owned(), frame.old.clone()),
        ],
        slots: 2,
        uses_old: false,
    };
    let (term, kind) = lower.term(expr)?;
    Ok(Lowered {
        term,
        kind,
        slots: lower.slots,
        uses_old: lower.uses_old,
    })
}

impl Lower {
    fn term(&mut self, expr: &IdedExpr) -> Result<Typed, String> {
        match &expr.expr {
            Expr::Literal(literal) => Ok(of_literal(literal)),
            Expr::Ident(name) => self.variable(name),
            Expr::Select(select) => self.select(select),
            Expr::Call(call) => self.call(call),
            Expr::List(list) if !list.optional_indices.is_empty() => {
                Err("optional elements of lists are not supported".to_owned())
            }
            Expr::List(list) => {
                let (terms, kinds): (Vec<Term>, Vec<Type>) =
                    self.all(&list.elements)?.into_iter().unzip();
                let item = joined(&kinds);
                Ok((Term::List(terms), Type::list(item)))
            }
            Expr::Map(map) => {
                let mut entries = Vec::new();
                for entry in &map.entries {
                    let EntryExpr::MapEntry(entry) = &entry.expr else {
                        return Err("it is no map".to_owned());
                    };
                    if entry.optional {
                        return Err("optional entries of maps are not supported".to_owned());
                    }
                    let key = self.term(&entry.key)?;
                    let keys = types::TEXT | types::BOOL | types::INT | types::UINT;
                    if key.1.bits() & keys == 0 {
                        return Err(format!("a {} cannot be a map's key", key.1.name()));
                    }
                    entries.push((key.0, self.term(&entry.value)?.0));
                }
                Ok((Term::Map(entries), Type::Map(Type::Any.into())))
            }
            Expr::Comprehension(all) => self.each(all),
            Expr::Struct(of) => Err(format!("undeclared reference to '{}'", of.type_name)),
            Expr::Unspecified => Err("it is no expression".to_owned()),
        }
    }

    fn all(&mut self, exprs: &[IdedExpr]) -> Result<Vec<Typed>, String> {
        exprs.iter().map(|expr| self.term(expr)).collect()
    }

    fn variable(&mut self, name: &str) -> Result<Typed, String> {
        let slot = self.names.iter().rposition(|(known, _)| known == name);
        if let Some(slot) = slot {
            self.uses_old |= slot == 1;
            return Ok((Term::Slot(slot), self.names[slot].1.clone()));
        }
        match functions::type_named(name) {
            Some(named) => Ok((Term::Literal(Val::Type(named)), Type::Plain(types::TYPE))),
            None => Err(format!("undeclared reference to '{name}'")),
        }
    }

    fn select(&mut self, select: &SelectExpr) -> Result<Typed, String> {
        let way = if select.test { Way::Has } else { Way::Get };
        let of = self.term(&select.operand)?;
        let (term, kind) = field(of, &select.field, way)?;
        let kind = if select.test { Type::BOOL } else { kind };
        Ok((term, kind))
    }

    fn call(&mut self, call: &CallExpr) -> Result<Typed, String> {
        let name = call.func_name.as_str();
        let mut arguments = Vec::new();
        if let Some(target) = &call.target {
            if let Expr::Ident(space) = &target.expr
                && SPACES.contains(&space.as_str())
                && !self.names.iter().any(|(known, _)| known == space)
            {
                let arguments = self.all(&call.args)?;
                return function(&format!("{space}.{name}"), false, arguments);
            }
            arguments.push(self.term(target)?);
        }
        if let (operators::OPT_SELECT, [of, named]) = (name, call.args.as_slice())
            && let Expr::Literal(LiteralValue::String(named)) = &named.expr
        {
            let of = self.term(of)?;
            let (term, kind) = field(of, named.inner(), Way::Optional)?;
            return Ok((term, Type::Optional(kind.into())));
        }
        arguments.extend(self.all(&call.args)?);
        if PATTERNS.contains(&name)
            && let Some((Term::Literal(Val::Text(text)), _)) = arguments.get(1)
        {
            pattern(text)?;
        }
        match (name, arguments.len()) {
            (operators::LOGICAL_AND, 2) => {
                let two = booleans(name, arguments)?;
                Ok((Term::And(two), Type::BOOL))
            }
            (operators::LOGICAL_OR, 2) => {
                let two = booleans(name, arguments)?;
                Ok((Term::Or(two), Type::BOOL))
            }
            (operators::CONDITIONAL, 3) => conditional(arguments),
            _ => function(name, call.target.is_some(), arguments),
        }
    }

    /// A macro, by what the parser has made of it.
    fn each(&mut self, all: &ComprehensionExpr) -> Result<Typed, String> {
        let unknown = || "it goes through a list as no macro does".to_owned();
        let (what, only, step) = shape(all).ok_or_else(unknown)?;
        let (over, kind) = self.term(&all.iter_range)?;
        if kind.bits() & (types::LIST | types::MAP) == 0 {
            let name = kind.name();
            return Err(format!(
                "expression of type '{name}' cannot be range of a comprehension"
            ));
        }
        let item = match &kind {
            Type::List(item, _) => (**item).clone(),
            Type::Map(_) => Type::TEXT,
            _ => Type::Any,
        };
        let slot = self.names.len();
        self.names.push((all.iter_var.clone(), item.clone()));
        self.slots = self.slots.max(self.names.len());
        let lowered = (|| {
            let only = only.map(|only| self.condition(only)).transpose()?;
            Ok::<_, String>(match what {
                What::Map => (only, self.term(step)?),
                _ => (only, (self.condition(step)?, Type::BOOL)),
            })
        })();
        self.names.truncate(slot);
        let (only, (step, made)) = lowered?;
        let kind = match what {
            What::Map => Type::list(made),
            _ => Type::BOOL,
        };
        let each = Each {
            over,
            slot,
            what,
            only,
            step,
        };
        Ok((Term::Each(Box::new(each)), kind))
    }

    fn condition(&mut self, expr: &IdedExpr) -> Result<Term, String> {
        let (term, kind) = self.term(expr)?;
        match kind.bits() & types::BOOL {
            0 => Err(format!("expected a bool, found a {}", kind.name())),
            _ => Ok(term),
        }
    }
}

/// What goes through what: which ones, and what is done with each.
type Shape<'a> = (What, Option<&'a IdedExpr>, &'a IdedExpr);

fn shape(all: &ComprehensionExpr) -> Option<Shape<'_>> {
    if all.iter_var2.is_some() {
        return None;
    }
    let Expr::Call(step) = &all.loop_step.expr else {
        return None;
    };
    let made = |expr: &'_ IdedExpr| -> bool {
        matches!(&expr.expr, Expr::Ident(name) if *name == all.accu_var)
    };
    match (
        &all.accu_init.expr,
        step.func_name.as_str(),
        step.args.as_slice(),
    ) {
        (Expr::Literal(LiteralValue::Boolean(_)), operators::LOGICAL_AND, [accu, each])
            if made(accu) =>
        {
            Some((What::All, None, each))
        }
        (Expr::Literal(LiteralValue::Boolean(_)), operators::LOGICAL_OR, [accu, each])
            if made(accu) =>
        {
            Some((What::Exists, None, each))
        }
        (Expr::Literal(LiteralValue::Int(_)), operators::CONDITIONAL, [each, _, accu])
            if made(accu) =>
        {
            Some((What::ExistsOne, None, each))
        }
        (Expr::List(_), operators::ADD, args) => Some((What::Map, None, appended(args)?)),
        (Expr::List(_), operators::CONDITIONAL, [only, more, accu]) if made(accu) => {
            let Expr::Call(more) = &more.expr else {
                return None;
            };
            Some((What::Map, Some(only), appended(&more.args)?))
        }
        _ => None,
    }
}

fn appended(args: &[IdedExpr]) -> Option<&IdedExpr> {
    match args {
        [
            _,
            IdedExpr {
                expr: Expr::List(list),
                ..
            },
        ] => list.elements.first(),
        _ => None,
    }
}

fn of_literal(literal: &LiteralValue) -> Typed {
    let value = match literal {
        LiteralValue::Boolean(is) => Val::Bool(*is.inner()),
        LiteralValue::Bytes(bytes) => Val::Bytes(bytes.inner().into()),
        LiteralValue::Double(number) => Val::Double(*number.inner()),
        LiteralValue::Int(number) => Val::Int(*number.inner()),
        LiteralValue::Null => Val::Null,
        LiteralValue::String(text) => Val::text(text.inner()),
        LiteralValue::UInt(number) => Val::UInt(*number.inner()),
    };
    let kind = Type::Plain(value.bits());
    (Term::Literal(value), kind)
}

fn field((of, kind): Typed, name: &str, way: Way) -> Result<Typed, String> {
    let found = match &kind {
        Type::Object(fields) if !fields.is_open => match fields.known.get(name) {
            Some((_, kind)) => kind.clone(),
            None => return Err(format!("undefined field '{name}'")),
        },
        Type::Optional(inner) if way != Way::Has => {
            let of = (of, (**inner).clone());
            let (term, kind) = field(of, name, Way::Optional)?;
            return match way {
                Way::Optional => Ok((term, kind)),
                _ => Ok((term, Type::Optional(kind.into()))),
            };
        }
        kind if kind.bits() & (types::MAP | types::OPTIONAL) == 0 => {
            let name = kind.name();
            return Err(format!("type '{name}' does not support field selection"));
        }
        kind => kind.inner(),
    };
    let term = Term::Field {
        of: Box::new(of),
        name: name.into(),
        way,
    };
    Ok((term, found))
}

fn booleans(name: &str, arguments: Vec<Typed>) -> Result<Box<[Term; 2]>, String> {
    let is_right = |(_, kind): &Typed| kind.bits() & types::BOOL != 0;
    if !arguments.iter().all(is_right) {
        return Err(no_overload(name, &arguments));
    }
    let terms: Vec<Term> = arguments.into_iter().map(|(term, _)| term).collect();
    let terms = <Box<[Term; 2]>>::try_from(terms.into_boxed_slice());
    terms.map_err(|_| "two are joined".to_owned())
}

fn conditional(arguments: Vec<Typed>) -> Result<Typed, String> {
    if arguments[0].1.bits() & types::BOOL == 0 {
        return Err(no_overload(operators::CONDITIONAL, &arguments));
    }
    let (terms, kinds): (Vec<Term>, Vec<Type>) = arguments.into_iter().unzip();
    let kind = joined(&kinds[1..]);
    let terms = <Box<[Term; 3]>>::try_from(terms.into_boxed_slice());
    let terms = terms.map_err(|_| "a condition has three parts".to_owned())?;
    Ok((Term::If(terms), kind))
}

/// What all of these are, if that is one thing.
fn joined(kinds: &[Type]) -> Type {
    match kinds {
        [Type::Plain(first), rest @ ..]
            if rest
                .iter()
                .all(|kind| matches!(kind, Type::Plain(bits) if bits == first)) =>
        {
            Type::Plain(*first)
        }
        [one] => one.clone(),
        _ => Type::Any,
    }
}

fn function(name: &str, is_member: bool, arguments: Vec<Typed>) -> Result<Typed, String> {
    let named: Vec<&'static Function> = functions::named(name, is_member).collect();
    if named.is_empty() {
        return Err(format!("undeclared reference to '{name}'"));
    }
    let bits: Vec<u32> = arguments.iter().map(|(_, kind)| kind.bits()).collect();
    let fits = |function: &&Function| function.may_take(&bits);
    let among: Vec<&'static Function> = named.into_iter().filter(fits).collect();
    let are_alike = !functions::ALIKE.contains(&name) || functions::are_alike(&bits);
    let Some(first) = among.first().filter(|_| are_alike) else {
        return Err(no_overload(name, &arguments));
    };
    let (terms, kinds): (Vec<Term>, Vec<Type>) = arguments.into_iter().unzip();
    let kind = match among.iter().all(|other| other.gives == first.gives) {
        true => first.gives.of(&kinds),
        false => Type::Any,
    };
    let term = Term::Call {
        name: name.into(),
        among,
        arguments: terms,
    };
    Ok((term, kind))
}

fn no_overload(name: &str, arguments: &[Typed]) -> String {
    let kinds: Vec<&str> = arguments.iter().map(|(_, kind)| kind.name()).collect();
    let kinds = kinds.join(", ");
    format!("found no matching overload for '{name}' applied to '({kinds})'")
}
