//! From a definition's schema to the places that have rules, and what is wrong with these.

use serde_json::{Map, Value, json};

use super::super::cel::{Frame, Program, Type};
use super::super::embedded;
use super::{Reason, Rule, Site};
use crate::failure::Cause;

/// Where rules are, in a schema.
const RULES: &str = "x-kubernetes-validations";
/// Most rules of a schema.
const RULES_MAX: usize = 1000;
/// Most bytes of all their expressions.
const BYTES_MAX: usize = 256 * 1024;

/// What is wrong with the rules of a definition's schema, which is at `path`.
pub(crate) fn mistakes(schema: &Value, path: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    sites(schema, path, &mut causes);
    causes
}

/// The place where an object begins, if there are rules.
pub(super) fn sites(schema: &Value, path: &str, causes: &mut Vec<Cause>) -> Option<Site> {
    let mut builder = Builder {
        causes,
        rules: 0,
        bytes: 0,
    };
    let known = json!({
        "type": "object",
        "properties": { "name": { "type": "string" }, "generateName": { "type": "string" } },
    });
    let mut whole = schema.clone();
    embedded::complete(&mut whole, &known);
    let mut whole = whole.as_object()?.clone();
    let fields = whole.get("properties").and_then(Value::as_object);
    let mut fields = fields.cloned().unwrap_or_default();
    let text = || json!({ "type": "string" });
    // What rules may know of every object.
    fields.insert("apiVersion".to_owned(), text());
    fields.insert("kind".to_owned(), text());
    let metadata = fields.insert("metadata".to_owned(), known);
    let metadata = metadata.unwrap_or_default();
    whole.insert("properties".to_owned(), fields.into());
    let site = builder.site(&Value::Object(whole), path, true);
    let at = format!("{path}.properties[metadata]");
    if builder.site(&metadata, &at, true).is_some() {
        let why = "rules of metadata are not supported";
        builder.causes.push(Cause::forbidden(at, why));
    }
    if builder.rules > RULES_MAX || builder.bytes > BYTES_MAX {
        let why = format!("more than {RULES_MAX} rules, or {BYTES_MAX} bytes of expressions");
        builder.causes.push(Cause::forbidden(path, &why));
    }
    site
}

struct Builder<'c> {
    causes: &'c mut Vec<Cause>,
    rules: usize,
    bytes: usize,
}

impl Builder<'_> {
    /// `has_old`: whether it is known which old value a value here had.
    fn site(&mut self, schema: &Value, path: &str, has_old: bool) -> Option<Site> {
        let kind = Type::of(schema);
        let text = |name: &str| schema.get(name).and_then(Value::as_str);
        let has_old_below = has_old && text("x-kubernetes-map-type") != Some("atomic");
        let mut site = Site {
            called: text("type").unwrap_or_default().into(),
            rules: Vec::new(),
            fields: Default::default(),
            inside: None,
            kind,
        };
        let fields = schema.get("properties").and_then(Value::as_object);
        for (name, schema) in fields.into_iter().flatten() {
            let path = format!("{path}.properties[{name}]");
            if let Some(field) = self.site(schema, &path, has_old_below) {
                site.fields.insert(name.as_str().into(), field);
            }
        }
        let is_by_key = text("x-kubernetes-list-type") == Some("map");
        for (name, has_old) in [
            ("items", has_old && is_by_key),
            ("additionalProperties", has_old_below),
        ] {
            if let Some(schema) = schema.get(name).filter(|schema| schema.is_object()) {
                let inside = self.site(schema, &format!("{path}.{name}"), has_old);
                site.inside = site.inside.or(inside.map(Box::new));
            }
        }
        let rules = schema.get(RULES).and_then(Value::as_array);
        for (index, rule) in rules.into_iter().flatten().enumerate() {
            let path = format!("{path}.{RULES}[{index}]");
            if let Some(rule) = rule.as_object() {
                let rule = self.rule(rule, &path, &site.kind, has_old);
                site.rules.push(rule);
            }
        }
        let is_none = site.rules.is_empty() && site.fields.is_empty() && site.inside.is_none();
        (!is_none).then_some(site)
    }

    fn rule(&mut self, map: &Map<String, Value>, path: &str, kind: &Type, has_old: bool) -> Rule {
        let text = |name: &str| map.get(name).and_then(Value::as_str).unwrap_or_default();
        let (rule, expression) = (text("rule"), text("messageExpression"));
        let has_optional_old = map.get("optionalOldSelf") == Some(&Value::Bool(true));
        self.rules += 1;
        self.bytes += rule.len() + expression.len();
        let is_too_much = self.rules > RULES_MAX || self.bytes > BYTES_MAX;
        let optional = Type::optional(kind.clone());
        let mut compiled = |name: &str, text: &str, wanted: &Type| {
            let frame = Frame {
                itself: kind,
                old: if has_optional_old { &optional } else { kind },
                wanted,
            };
            let program = match text {
                _ if is_too_much => Err("there are too many rules".to_owned()),
                text => Program::compile(text, &frame),
            };
            if let Err(why) = program.as_ref().map_err(String::as_str) {
                let at = format!("{path}.{name}");
                self.causes.push(match text.trim() {
                    "" => Cause::required(at, ""),
                    _ => Cause::invalid(at, text, why),
                });
            }
            program
        };
        let program = compiled("rule", rule, &Type::BOOL);
        let message_program = match expression {
            "" => None,
            text => Some(compiled("messageExpression", text, &Type::TEXT)),
        };
        let uses = |program: &Result<Program, String>| program.as_ref().is_ok_and(|p| p.uses_old);
        let is_about_both = uses(&program);
        if is_about_both && !has_old {
            let why = "oldSelf cannot be used where it is not known which old value a value had: \
                       below lists without keys, sets and what is atomic";
            let cause = Cause::invalid(format!("{path}.rule"), rule, why);
            self.causes.push(cause);
        }
        if has_optional_old && !is_about_both {
            let why = "may not be set if oldSelf is not used in rule";
            let cause = Cause::invalid(format!("{path}.optionalOldSelf"), true, why);
            self.causes.push(cause);
        }
        if message_program.as_ref().is_some_and(uses) && !is_about_both {
            let why = "oldSelf cannot be used in messageExpression if it is not in rule";
            let cause = Cause::invalid(format!("{path}.messageExpression"), expression, why);
            self.causes.push(cause);
        }
        self.message(map, path, rule);
        Rule {
            text: rule.trim().into(),
            program,
            message: text("message").into(),
            message_program: message_program.and_then(Result::ok),
            reason: self.reason(text("reason"), path),
            below: self.below(text("fieldPath"), path, kind),
            has_optional_old,
        }
    }

    fn message(&mut self, map: &Map<String, Value>, path: &str, rule: &str) {
        let at = format!("{path}.message");
        let message = map.get("message").and_then(Value::as_str);
        match message.map(str::trim) {
            Some("") => {
                let why = "message must be non-empty if specified";
                self.causes.push(Cause::invalid(at, "", why));
            }
            Some(message) if message.contains('\n') => {
                let why = "message must not contain line breaks";
                self.causes.push(Cause::invalid(at, message, why));
            }
            None if rule.trim().contains('\n') && !map.contains_key("messageExpression") => {
                let why = "message must be specified if rule contains line breaks";
                self.causes.push(Cause::required(at, why));
            }
            _ => {}
        }
    }

    fn reason(&mut self, reason: &str, path: &str) -> Reason {
        let known = [
            ("FieldValueDuplicate", Reason::Duplicate),
            ("FieldValueForbidden", Reason::Forbidden),
            ("FieldValueInvalid", Reason::Invalid),
            ("FieldValueRequired", Reason::Required),
        ];
        let found = known.iter().find(|(name, _)| *name == reason);
        if found.is_none() && !reason.is_empty() {
            let names = known.map(|(name, _)| name);
            let cause = Cause::unsupported(format!("{path}.reason"), reason, &names);
            self.causes.push(cause);
        }
        found.map_or_else(Reason::default, |(_, reason)| *reason)
    }

    /// What a rule's `fieldPath` adds to the path of its mistakes.
    fn below(&mut self, field: &str, path: &str, kind: &Type) -> String {
        match steps(field, kind) {
            Ok(steps) => steps,
            Err(why) => {
                let cause = Cause::invalid(format!("{path}.fieldPath"), field, &why);
                self.causes.push(cause);
                String::new()
            }
        }
    }
}

/// A path of properties and keys of maps: `.spec.hosts['a.b']`.
fn steps(path: &str, kind: &Type) -> Result<String, String> {
    let mut kind = kind.clone();
    let (mut rest, mut made) = (path.trim(), String::new());
    while !rest.is_empty() {
        let name;
        if let Some(after) = rest.strip_prefix("['") {
            let none = || "no '] ends a key".to_owned();
            (name, rest) = after.split_once("']").ok_or_else(none)?;
        } else if let Some(after) = rest.strip_prefix('.') {
            (name, rest) = after.split_at(after.find(['.', '[']).unwrap_or(after.len()));
        } else {
            return Err("it is no path, as .spec.name or .labels['a.b'] are".to_owned());
        }
        let (step, below) = kind
            .step(name)
            .ok_or_else(|| format!("does not refer to a valid field: there is no {name:?}"))?;
        made.push_str(&step);
        kind = below;
    }
    Ok(made)
}
