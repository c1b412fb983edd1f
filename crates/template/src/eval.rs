//! From nodes and a value to text, within a bound on the work.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use super::functions::{self, truth};
use super::print;
use super::{Bounds, Command, Data, Dialect, Expr, Fault, Node, Operand, Pipe, files};

/// What looking at one node costs; a byte that is made costs 1.
const NODE: u64 = 16;
/// Templates that call one another, or themselves.
const CALLS_MAX: usize = 64;
/// Blocks and parentheses within one another, those of templates that call one another among them: what
/// a thread has of stack.
const DEPTH_MAX: usize = 160;

/// Names that a complaint shows.
const SHOWN: usize = 40;

/// A value; nothing where there is none, which Go tells from one that is nil.
pub type Val<'a> = Option<Cow<'a, Value>>;

/// One use of a template.
pub struct Run<'a> {
    pub dialect: Dialect,
    pub defined: &'a BTreeMap<String, Vec<Node>>,
    /// What a file may show.
    pub data: Option<&'a Data>,
    pub patterns: files::Patterns,
    /// Innermost last; `$` first.
    scope: Vec<(&'a str, Val<'a>)>,
    out: String,
    /// What may still be done.
    work: u64,
    out_max: usize,
    calls: usize,
    depth: usize,
}

enum Flow {
    Next,
    Break,
    Continue,
}

fn fault<T>(at: usize, why: impl Into<String>) -> Result<T, Fault> {
    Err(Fault {
        at,
        why: why.into(),
    })
}

/// Renders the template without a name for `value`.
pub fn render<'a>(
    defined: &'a BTreeMap<String, Vec<Node>>,
    dialect: Dialect,
    value: &'a Value,
    data: Option<&'a Data>,
    bounds: &mut Bounds,
) -> Result<String, Fault> {
    let dot = Some(Cow::Borrowed(value));
    let mut run = Run {
        dialect,
        defined,
        data,
        patterns: files::Patterns::default(),
        scope: vec![("$", dot.clone())],
        out: String::new(),
        work: bounds.work,
        out_max: bounds.out_bytes,
        calls: 0,
        depth: 0,
    };
    let done = match defined.get("") {
        Some(nodes) => run.block(nodes, &dot).map(drop),
        None => Ok(()),
    };
    // A template that fails has done its work, too.
    bounds.work = run.work;
    bounds.out_bytes = bounds.out_bytes.saturating_sub(run.out.len());
    done.map(|()| run.out)
}

impl<'a> Run<'a> {
    /// Takes note of work.
    pub fn charge(&mut self, cost: u64, at: usize) -> Result<(), Fault> {
        match self.work.checked_sub(cost) {
            Some(left) => {
                self.work = left;
                Ok(())
            }
            None => fault(at, "it takes more work than a template may"),
        }
    }

    /// What was made by a function is copied; the rest is borrowed.
    fn charge_copy(&mut self, value: &Val<'a>, at: usize) -> Result<(), Fault> {
        match value {
            Some(Cow::Owned(made)) => self.charge(functions::weight(made), at),
            _ => Ok(()),
        }
    }

    fn copy(&mut self, value: &Val<'a>, at: usize) -> Result<Val<'a>, Fault> {
        self.charge_copy(value, at)?;
        Ok(value.clone())
    }

    /// How much text may still be made.
    pub fn room(&self) -> usize {
        usize::try_from(self.work).unwrap_or(usize::MAX)
    }

    fn block(&mut self, nodes: &'a [Node], dot: &Val<'a>) -> Result<Flow, Fault> {
        self.deeper(0)?;
        for node in nodes {
            match self.node(node, dot)? {
                Flow::Next => {}
                flow => {
                    self.depth -= 1;
                    return Ok(flow);
                }
            }
        }
        self.depth -= 1;
        Ok(Flow::Next)
    }

    /// Who fails need not come up again: nothing follows.
    fn deeper(&mut self, at: usize) -> Result<(), Fault> {
        self.depth += 1;
        match self.depth > DEPTH_MAX {
            true => fault(at, format!("all in all nested deeper than {DEPTH_MAX}")),
            false => Ok(()),
        }
    }

    /// Takes note of text that was made.
    fn made(&mut self, bytes: usize, at: usize) -> Result<(), Fault> {
        self.charge(bytes as u64, at)?;
        match self.out.len() > self.out_max {
            true => fault(at, "it makes more text than a template may"),
            false => Ok(()),
        }
    }

    /// A block whose variables end with it.
    fn inner(&mut self, nodes: &'a [Node], dot: &Val<'a>) -> Result<Flow, Fault> {
        let known = self.scope.len();
        let flow = self.block(nodes, dot)?;
        self.scope.truncate(known);
        Ok(flow)
    }

    fn node(&mut self, node: &'a Node, dot: &Val<'a>) -> Result<Flow, Fault> {
        let known = self.scope.len();
        let flow = match node {
            Node::Text(text) => {
                self.out.push_str(text);
                self.made(text.len(), 0)?;
                Flow::Next
            }
            Node::Break => Flow::Break,
            Node::Continue => Flow::Continue,
            Node::Print(pipe) => {
                let value = self.pipe(pipe, dot)?;
                if pipe.names.is_empty() {
                    let before = self.out.len();
                    match &value {
                        None if self.dialect == Dialect::File => {
                            return fault(pipe.at, files::NOTHING);
                        }
                        None => self.out.push_str("<no value>"),
                        Some(value) => print::plain(&mut self.out, value),
                    }
                    self.made(self.out.len() - before, pipe.at)?;
                }
                return Ok(Flow::Next);
            }
            Node::If {
                pipe,
                is_dot,
                body,
                otherwise,
            } => {
                let value = self.pipe(pipe, dot)?;
                match truth(&value) {
                    true if *is_dot => self.inner(body, &value)?,
                    true => self.inner(body, dot)?,
                    false => self.inner(otherwise, dot)?,
                }
            }
            Node::Range {
                pipe,
                body,
                otherwise,
            } => self.range(pipe, body, otherwise, dot)?,
            Node::Template { name, pipe, at } => {
                let value = match pipe {
                    Some(pipe) => self.pipe(pipe, dot)?,
                    None => None,
                };
                self.template(name, value, *at)?;
                Flow::Next
            }
        };
        self.scope.truncate(known);
        Ok(flow)
    }

    fn template(&mut self, name: &str, value: Val<'a>, at: usize) -> Result<(), Fault> {
        let Some(nodes) = self.defined.get(name) else {
            return fault(at, format!("template {name:?} not defined"));
        };
        if self.calls == CALLS_MAX {
            return fault(at, format!("templates call more than {CALLS_MAX} deep"));
        }
        self.calls += 1;
        let outside = std::mem::replace(&mut self.scope, vec![("$", value.clone())]);
        self.block(nodes, &value)?;
        self.scope = outside;
        self.calls -= 1;
        Ok(())
    }

    fn range(
        &mut self,
        pipe: &'a Pipe,
        body: &'a [Node],
        otherwise: &'a [Node],
        dot: &Val<'a>,
    ) -> Result<Flow, Fault> {
        let list = self.commands(&pipe.commands, dot)?;
        let items = match list {
            None => Vec::new(),
            Some(Cow::Borrowed(list)) => entries(list, pipe.at)?,
            Some(Cow::Owned(list)) => entries(&list, pipe.at)?
                .into_iter()
                .map(|(key, item)| (key, Cow::Owned(item.into_owned())))
                .collect(),
        };
        self.charge(items.len() as u64, pipe.at)?;
        if items.is_empty() {
            return self.inner(otherwise, dot);
        }
        for (key, item) in items {
            self.charge(NODE, pipe.at)?;
            let known = self.scope.len();
            let item = Some(item);
            match &pipe.names[..] {
                [value] => self.name(pipe, value, item.clone()),
                [index, value] => {
                    self.name(pipe, index, Some(Cow::Owned(key)));
                    self.name(pipe, value, item.clone());
                }
                _ => {}
            }
            let flow = self.block(body, &item)?;
            self.scope.truncate(known);
            if let Flow::Break = flow {
                break;
            }
        }
        Ok(Flow::Next)
    }

    /// Declares or changes a variable.
    fn name(&mut self, pipe: &Pipe, name: &'a str, value: Val<'a>) {
        let found = self.scope.iter_mut().rev().find(|(own, _)| *own == name);
        match found {
            Some((_, old)) if !pipe.declares => *old = value,
            _ => self.scope.push((name, value)),
        }
    }

    /// The value of a pipe, after its variables have been set.
    fn pipe(&mut self, pipe: &'a Pipe, dot: &Val<'a>) -> Result<Val<'a>, Fault> {
        let value = self.commands(&pipe.commands, dot)?;
        for name in &pipe.names {
            self.name(pipe, name, value.clone());
        }
        Ok(value)
    }

    fn commands(&mut self, commands: &'a [Command], dot: &Val<'a>) -> Result<Val<'a>, Fault> {
        self.deeper(commands.first().map_or(0, Command::at))?;
        let mut before: Option<Val<'a>> = None;
        for command in commands {
            let value = self.command(command, before, dot)?;
            // A nil is none once it is the value of a pipe.
            before = Some(value.filter(|value| !value.is_null()));
        }
        self.depth -= 1;
        Ok(before.flatten())
    }

    fn command(
        &mut self,
        command: &'a Command,
        before: Option<Val<'a>>,
        dot: &Val<'a>,
    ) -> Result<Val<'a>, Fault> {
        let [first, arguments @ ..] = &command.words[..] else {
            return Ok(None);
        };
        let is_alone = arguments.is_empty() && before.is_none();
        match &first.what {
            Operand::Function(name) => self.call(name, first.at, arguments, before, dot),
            Operand::Field(path) if !is_alone && self.is_label(path) => {
                self.call(".Label", first.at, arguments, before, dot)
            }
            _ if is_alone => self.operand(first, dot),
            _ => fault(first.at, "what is no function takes no arguments"),
        }
    }

    /// The one method of docker's: `.Label "key"`.
    fn is_label(&self, path: &[String]) -> bool {
        self.dialect == Dialect::Docker && path == ["Label"]
    }

    fn call(
        &mut self,
        name: &'a str,
        at: usize,
        arguments: &'a [Expr],
        before: Option<Val<'a>>,
        dot: &Val<'a>,
    ) -> Result<Val<'a>, Fault> {
        self.charge(NODE, at)?;
        if let ("and" | "or", false) = (name, arguments.is_empty()) {
            // What comes after the one that decides is not looked at.
            let mut last = None;
            for argument in arguments {
                last = self.operand(argument, dot)?;
                if truth(&last) == (name == "or") {
                    return Ok(last);
                }
            }
            return Ok(before.unwrap_or(last));
        }
        let mut values = Vec::with_capacity(arguments.len() + 1);
        for argument in arguments {
            values.push(self.operand(argument, dot)?);
        }
        values.extend(before);
        let value = functions::call(self, name, values, dot, at);
        value.map_err(|fault| match fault.why.strip_prefix('!') {
            Some(why) => Fault {
                at,
                why: format!("function {name}: {why}"),
            },
            None => fault,
        })
    }

    fn operand(&mut self, expr: &'a Expr, dot: &Val<'a>) -> Result<Val<'a>, Fault> {
        self.charge(NODE, expr.at)?;
        match &expr.what {
            Operand::Nil => Ok(Some(Cow::Owned(Value::Null))),
            Operand::Literal(value) => Ok(Some(Cow::Borrowed(value))),
            Operand::Dot => self.copy(dot, expr.at),
            Operand::Field(path) => {
                let dot = self.copy(dot, expr.at)?;
                self.descend(dot, path, expr.at)
            }
            Operand::Variable(name, path) => {
                let found = self.scope.iter().rev().find(|(own, _)| own == name);
                let Some((_, value)) = found else {
                    return fault(expr.at, format!("undefined variable {name:?}"));
                };
                let value = value.clone();
                self.charge_copy(&value, expr.at)?;
                self.descend(value, path, expr.at)
            }
            Operand::Function(name) => self.call(name, expr.at, &[], None, dot),
            Operand::Pipe(pipe) => self.commands(&pipe.commands, dot),
            Operand::Chain(inner, path) => {
                let value = self.operand(inner, dot)?;
                self.descend(value, path, expr.at)
            }
        }
    }

    fn descend(&self, value: Val<'a>, path: &[String], at: usize) -> Result<Val<'a>, Fault> {
        let mut value = value;
        for field in path {
            value = match value {
                Some(Cow::Borrowed(Value::Object(members))) => match members.get(field) {
                    Some(found) => Some(Cow::Borrowed(found)),
                    None => self.missing(field, members, at)?,
                },
                Some(Cow::Owned(Value::Object(mut members))) => match members.remove(field) {
                    Some(found) => Some(Cow::Owned(found)),
                    None => self.missing(field, &members, at)?,
                },
                None if self.dialect == Dialect::Kubectl { is_strict: false } => None,
                None => return fault(at, format!("no field {field:?} in nothing")),
                Some(other) => {
                    let kind = print::kind(&other);
                    return fault(at, format!("no field {field:?} in {kind}"));
                }
            };
        }
        Ok(value)
    }

    fn missing(
        &self,
        field: &str,
        members: &serde_json::Map<String, Value>,
        at: usize,
    ) -> Result<Val<'a>, Fault> {
        match self.dialect {
            Dialect::Kubectl { is_strict: false } => Ok(None),
            Dialect::Kubectl { is_strict: true } => {
                fault(at, format!("map has no entry for key {field:?}"))
            }
            Dialect::Docker | Dialect::File => {
                let known = known(members);
                fault(at, format!("no field {field:?} in {{{known}}}"))
            }
        }
    }
}

/// The names of fields, as many as a person reads.
fn known(members: &serde_json::Map<String, Value>) -> String {
    let shown: Vec<&str> = members.keys().take(SHOWN).map(String::as_str).collect();
    match members.len() > SHOWN {
        true => format!("{}, …", shown.join(", ")),
        false => shown.join(", "),
    }
}

/// What a range goes over: indexes and elements, or keys in their order and values.
fn entries(list: &Value, at: usize) -> Result<Vec<(Value, Cow<'_, Value>)>, Fault> {
    match list {
        Value::Array(items) => Ok(items
            .iter()
            .enumerate()
            .map(|(index, item)| (index.into(), Cow::Borrowed(item)))
            .collect()),
        Value::Object(members) => {
            let mut all: Vec<_> = members
                .iter()
                .map(|(key, item)| (Value::from(key.as_str()), Cow::Borrowed(item)))
                .collect();
            all.sort_by(|(a, _), (b, _)| a.as_str().cmp(&b.as_str()));
            Ok(all)
        }
        other => fault(at, format!("range over {}", print::kind(other))),
    }
}
