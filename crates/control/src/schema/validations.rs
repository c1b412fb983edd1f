//! Rules of a definition that are expressions (`x-kubernetes-validations`).
//!
//! Owns: where they stand, what of an object and of its predecessor each is about, and what is said
//! of a broken one.
//! Never: what an expression means (`cel.rs`).

mod definition;

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

use super::MISTAKES_MAX;
use super::cel::{Fail, Program, Run, Type, Unique, Val};
use crate::failure::Cause;
pub(crate) use definition::mistakes;

/// The rules of a definition.
#[derive(Debug)]
pub(crate) struct Validations {
    root: Site,
}

/// A place in a schema that has rules, or below which some are.
#[derive(Debug)]
struct Site {
    kind: Type,
    /// As messages call what is here: the schema's `type`.
    called: Box<str>,
    rules: Vec<Rule>,
    fields: BTreeMap<Box<str>, Site>,
    /// Of a list's elements, or of a map's values.
    inside: Option<Box<Site>>,
}

#[derive(Debug)]
struct Rule {
    text: Box<str>,
    /// One that cannot be compiled is broken by every object: it was refused when it was written.
    program: Result<Program, String>,
    message: Box<str>,
    message_program: Option<Program>,
    reason: Reason,
    /// What is added to the path: `.spec.name`.
    below: String,
    /// Whether `oldSelf` may be absent.
    has_optional_old: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Reason {
    #[default]
    Invalid,
    Forbidden,
    Required,
    Duplicate,
}

impl Validations {
    /// The rules of a definition's schema, if it has any.
    pub(super) fn of(schema: &Value) -> Option<Validations> {
        let root = definition::sites(schema, "", &mut Vec::new())?;
        Some(Validations { root })
    }

    /// Every rule that an object breaks, by itself or as the successor of another.
    pub(super) fn broken(
        &self,
        object: &Map<String, Value>,
        old: Option<&Map<String, Value>>,
    ) -> Vec<Cause> {
        let object = Value::Object(object.clone());
        let old = old.map(|old| Value::Object(old.clone()));
        let mut walk = Walk {
            run: Run::new(),
            path: String::new(),
            causes: Vec::new(),
        };
        if let Err(fail) = walk.site(&self.root, &object, old.as_ref()) {
            walk.tell("object", Reason::Invalid, "", &fail.told());
        }
        walk.causes.truncate(MISTAKES_MAX);
        walk.causes
    }
}

struct Walk {
    run: Run,
    path: String,
    causes: Vec<Cause>,
}

impl Walk {
    /// # Errors
    /// No work is left.
    fn site(&mut self, site: &Site, value: &Value, old: Option<&Value>) -> Result<(), Fail> {
        if self.causes.len() >= MISTAKES_MAX || value.is_null() {
            return Ok(());
        }
        if !site.rules.is_empty() {
            let is_same = old.is_some_and(|old| is_same(value, old, self.path.is_empty()));
            for rule in &site.rules {
                self.rule(site, rule, value, old, is_same)?;
            }
        }
        match value {
            Value::Object(map) => {
                let before = |name: &str| old.and_then(|old| old.get(name));
                for (name, site) in &site.fields {
                    if let Some(value) = map.get(&**name) {
                        let dot = if self.path.is_empty() { "" } else { "." };
                        let old = before(name);
                        self.below(&format!("{dot}{name}"), |walk| walk.site(site, value, old))?;
                    }
                }
                for (name, value) in map {
                    if let Some(inside) = &site.inside {
                        let old = before(name);
                        self.below(&format!("[{name}]"), |walk| walk.site(inside, value, old))?;
                    }
                }
                Ok(())
            }
            Value::Array(list) => match &site.inside {
                Some(inside) => self.list(site, inside, list, old),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn list(
        &mut self,
        site: &Site,
        inside: &Site,
        list: &[Value],
        old: Option<&Value>,
    ) -> Result<(), Fail> {
        let keys: &[Box<str>] = match &site.kind {
            Type::List(_, unique) => match &**unique {
                Unique::By(keys) => keys,
                _ => &[],
            },
            _ => &[],
        };
        let key = |value: &Value| -> Vec<String> {
            let keys = keys.iter().map(|key| value.get(&**key));
            keys.map(|found| found.map_or_else(String::new, Value::to_string))
                .collect()
        };
        let old = old.and_then(Value::as_array).filter(|_| !keys.is_empty());
        let old: HashMap<Vec<String>, &Value> = old
            .into_iter()
            .flatten()
            .map(|old| (key(old), old))
            .collect();
        for (index, value) in list.iter().enumerate() {
            let old = match old.is_empty() {
                true => None,
                false => old.get(&key(value)).copied(),
            };
            self.below(&format!("[{index}]"), |walk| walk.site(inside, value, old))?;
        }
        Ok(())
    }

    fn below(
        &mut self,
        step: &str,
        visit: impl FnOnce(&mut Self) -> Result<(), Fail>,
    ) -> Result<(), Fail> {
        let before = self.path.len();
        self.path.push_str(step);
        visit(self)?;
        self.path.truncate(before);
        Ok(())
    }

    fn rule(
        &mut self,
        site: &Site,
        rule: &Rule,
        value: &Value,
        old: Option<&Value>,
        is_same: bool,
    ) -> Result<(), Fail> {
        let program = match &rule.program {
            Ok(program) => program,
            Err(why) => {
                self.failed(site, why);
                return Ok(());
            }
        };
        // What was there before a rule stays, as long as nobody changes it.
        let is_about_both = program.uses_old;
        if is_about_both && old.is_none() && !rule.has_optional_old || is_same && !is_about_both {
            return Ok(());
        }
        let given = self.given(program, site, rule, value, old);
        match given {
            Ok(Val::Bool(true)) => {}
            Ok(_) => {
                let message = self.message(site, rule, value, old)?;
                self.tell(&site.called, rule.reason, &rule.below, &message);
            }
            Err(Fail::Exhausted) => return Err(Fail::Exhausted),
            Err(fail) => self.failed(site, &fail.told()),
        }
        Ok(())
    }

    fn given<'a>(
        &mut self,
        program: &'a Program,
        site: &'a Site,
        rule: &Rule,
        value: &'a Value,
        old: Option<&'a Value>,
    ) -> Result<Val<'a>, Fail> {
        let old = old.filter(|_| program.uses_old);
        let old = old.map(|old| Val::read(old, &site.kind)).transpose()?;
        let old = match rule.has_optional_old {
            true => Val::optional(old),
            false => old.unwrap_or(Val::Null),
        };
        program.run(&mut self.run, Val::read(value, &site.kind)?, old)
    }

    /// What is said of a broken rule.
    fn message(
        &mut self,
        site: &Site,
        rule: &Rule,
        value: &Value,
        old: Option<&Value>,
    ) -> Result<String, Fail> {
        if let Some(program) = &rule.message_program {
            match self.given(program, site, rule, value, old) {
                Ok(Val::Text(text)) if !text.trim().is_empty() && !text.contains('\n') => {
                    return Ok(text.trim().to_owned());
                }
                Err(Fail::Exhausted) => return Err(Fail::Exhausted),
                // Then what else is said holds, as upstream.
                _ => {}
            }
        }
        Ok(match rule.message.trim() {
            "" => format!("failed rule: {}", rule.text),
            message => message.to_owned(),
        })
    }

    fn failed(&mut self, site: &Site, why: &str) {
        let why = format!("rule evaluation error: {why}");
        self.tell(&site.called, Reason::Invalid, "", &why);
    }

    fn tell(&mut self, called: &str, reason: Reason, below: &str, why: &str) {
        let path = format!("{}{below}", self.path);
        let path = match path.strip_prefix('.').unwrap_or(&path) {
            // As upstream says of the object itself.
            "" => "<nil>".to_owned(),
            path => path.to_owned(),
        };
        self.causes.push(match reason {
            Reason::Invalid => Cause::invalid(path, called, why),
            Reason::Forbidden => Cause::forbidden(path, why),
            Reason::Required => Cause::required(path, why),
            Reason::Duplicate => Cause::duplicate(path, called),
        });
    }
}

/// Whether nothing has changed. Of the object's metadata rules know what never does.
fn is_same(value: &Value, old: &Value, is_root: bool) -> bool {
    match (value, old) {
        (Value::Object(value), Value::Object(old)) if is_root => {
            fn fields(map: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
                map.iter().filter(|(name, _)| *name != "metadata")
            }
            fields(value).eq(fields(old))
        }
        (value, old) => value == old,
    }
}

#[cfg(test)]
mod tests;
