//! What templates of files have: consul-template's functions, as Nomad's jobs use them.
//!
//! Owns what each takes, and what a template names that has to be known before it is rendered.
//! Never: shows a value in a complaint, which is told to more people than may read secrets.

mod text;

use std::borrow::Cow;
use std::collections::BTreeMap;

use regex::Regex;
use serde_json::{Map, Number, Value};

use super::eval::{Run, Val};
use super::functions::{text, whole, wrong};
use super::{Expr, Fault, Operand, References};

/// Where nothing is to be written.
pub const NOTHING: &str =
    "there is nothing to write here: what is looked up is not there, or is no text";

/// All of them.
pub const FUNCTIONS: &[&str] = &[
    "add",
    "base64Decode",
    "base64Encode",
    "base64URLDecode",
    "base64URLEncode",
    "contains",
    "divide",
    "env",
    "envOrDefault",
    "in",
    "indent",
    "join",
    "key",
    "keyExists",
    "keyOrDefault",
    "loop",
    "maximum",
    "minimum",
    "modulo",
    "multiply",
    "parseBool",
    "parseFloat",
    "parseInt",
    "parseJSON",
    "parseUint",
    "regexMatch",
    "regexReplaceAll",
    "replaceAll",
    "secret",
    "service",
    "services",
    "sha256Hex",
    "split",
    "subtract",
    "toJSON",
    "toJSONPretty",
    "toLower",
    "toTitle",
    "toUnescapedJSON",
    "toUnescapedJSONPretty",
    "toUpper",
    "toYAML",
    "trim",
    "trimPrefix",
    "trimSpace",
    "trimSuffix",
];

/// Why a function of consul-template is not among them.
pub fn absent(name: &str) -> &'static str {
    match name {
        "timestamp" => ": a file would be another one whenever it is looked at",
        "plugin" | "file" | "writeToFile" | "ls" | "tree" | "safeLs" | "safeTree" => {
            ": templates reach no files and run no programs"
        }
        "nomadService" | "nomadServices" => ": use service or services",
        "nomadVar" | "nomadVarExists" => ": use key or secret",
        _ => "",
    }
}

/// What a file may show.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Data {
    /// The dot.
    pub root: Value,
    /// The namespace it is about.
    pub namespace: String,
    /// The config map that the template is in.
    pub own: String,
    /// Config maps by their names, as far as they are referred to: what is no text is null.
    pub maps: Map<String, Value>,
    /// Secrets, likewise.
    pub secrets: Map<String, Value>,
    /// Services by name and namespace: `web.default`.
    pub services: Map<String, Value>,
}

/// Patterns that one template uses; so many are kept.
pub type Patterns = BTreeMap<String, Regex>;
const PATTERNS_MAX: usize = 16;
/// What reading a pattern costs, and what it may grow to.
const PATTERN_COST: u64 = 1 << 15;
const PATTERN_BYTES: usize = 1 << 18;

/// Takes note of what a command names.
pub fn refer(words: &[Expr], references: &mut References) -> Result<(), Fault> {
    for (place, word) in words.iter().enumerate() {
        let inner = match &word.what {
            Operand::Chain(inner, _) => &inner.what,
            what => what,
        };
        let Operand::Function(name) = inner else {
            continue;
        };
        if !matches!(&**name, "key" | "keyExists" | "keyOrDefault" | "secret") {
            continue;
        }
        let argument = words.get(1).filter(|_| place == 0);
        let literal = argument.and_then(|expr| match &expr.what {
            Operand::Literal(Value::String(text)) if !text.is_empty() => Some(text),
            _ => None,
        });
        let Some(literal) = literal else {
            return Err(Fault {
                at: word.at,
                why: format!(
                    "{name} needs a name in quotes right behind it: what a template names is looked \
                     up before it is rendered"
                ),
            });
        };
        if name == "secret" {
            let key = words.get(2).and_then(|expr| match &expr.what {
                Operand::Literal(Value::String(key)) => Some(key.clone()),
                _ => None,
            });
            references.secrets.insert((literal.clone(), key));
        } else {
            let (map, key) = literal.split_once('/').unwrap_or(("", literal));
            references.keys.insert((map.to_owned(), key.to_owned()));
        }
    }
    Ok(())
}

/// Calls one of them.
pub fn call<'a>(
    run: &mut Run<'a>,
    name: &str,
    args: &[Val<'a>],
    at: usize,
) -> Result<Val<'a>, Fault> {
    let told = |why: String| Fault { at, why };
    let nothing = Data::default();
    match name {
        "env" | "envOrDefault" | "key" | "keyExists" | "keyOrDefault" | "secret" | "service"
        | "services" => {
            let Some(data) = run.data else {
                // Only what has no data to show has none: it was parsed for its references.
                return look_up(&nothing, name, args)
                    .map(|value| value.map(|value| Cow::Owned(value.into_owned())))
                    .map_err(told);
            };
            look_up(data, name, args).map_err(told)
        }
        "regexMatch" | "regexReplaceAll" => {
            let pattern = args.first().map_or(wrong("it needs a pattern"), text);
            let pattern = pattern.map_err(told)?;
            if !run.patterns.contains_key(pattern) {
                run.charge(PATTERN_COST, at)?;
                let built = regex::RegexBuilder::new(pattern)
                    .size_limit(PATTERN_BYTES)
                    .dfa_size_limit(4 * PATTERN_BYTES)
                    .nest_limit(32)
                    .build();
                let built = built.map_err(|_| {
                    told("!its pattern is no regular expression, or a large one".into())
                })?;
                if run.patterns.len() == PATTERNS_MAX {
                    run.patterns.clear();
                }
                run.patterns.insert(pattern.to_owned(), built);
            }
            // A pattern looks at each byte for each of its states.
            let length = args.last().and_then(|last| last.as_deref()?.as_str());
            let length = length.map_or(0, str::len) as u64;
            run.charge(length.saturating_mul(16), at)?;
            let room = run.room();
            let found = text::by_pattern(&run.patterns[pattern], name, &args[1..], room);
            found.map(made).map_err(told)
        }
        "add" | "subtract" | "multiply" | "divide" | "modulo" | "minimum" | "maximum" => {
            numbers(name, args).map(made).map_err(told)
        }
        "loop" => count(args, run.room()).map(made).map_err(told),
        _ => text::call(name, args, run.room()).map(made).map_err(told),
    }
}

fn made<'a>(value: Value) -> Val<'a> {
    Some(Cow::Owned(value))
}

/// What is looked up in what is known.
fn look_up<'a>(data: &'a Data, name: &str, args: &[Val<'a>]) -> Result<Val<'a>, String> {
    let texts = args.iter().map(text).collect::<Result<Vec<&str>, _>>()?;
    let namespace = &data.namespace;
    match (name, &texts[..]) {
        ("env", [name]) => match variable(data, name) {
            Some(value) => Ok(Some(Cow::Borrowed(value))),
            None => wrong(format!(
                "there is no variable {name:?} in the container: set it, or use envOrDefault"
            )),
        },
        ("envOrDefault", [name, default]) => {
            let set = variable(data, name).filter(|value| value.as_str() != Some(""));
            Ok(set.map_or_else(
                || made((*default).into()),
                |value| Some(Cow::Borrowed(value)),
            ))
        }
        ("key", [path]) => match key(data, path) {
            (_, _, Some(value @ Value::String(_))) => Ok(Some(Cow::Borrowed(value))),
            (map, key, Some(_)) => wrong(format!("config map {map:?} has no text under {key:?}")),
            (map, key, None) => match data.maps.contains_key(&map) {
                true => wrong(format!(
                    "config map {map:?} has no key {key:?}: add it, or use keyOrDefault"
                )),
                false => wrong(format!(
                    "there is no config map {map:?} in namespace {namespace:?}: create it, or use \
                     keyOrDefault"
                )),
            },
        },
        ("keyExists", [path]) => Ok(made(key(data, path).2.is_some().into())),
        ("keyOrDefault", [path, default]) => match key(data, path).2 {
            Some(value @ Value::String(_)) => Ok(Some(Cow::Borrowed(value))),
            _ => Ok(made((*default).into())),
        },
        ("secret", [name, key @ ..]) if key.len() < 2 => {
            let Some(secret) = data.secrets.get(*name) else {
                return wrong(format!(
                    "there is no secret {name:?} in namespace {namespace:?}: create it, or correct \
                     the name"
                ));
            };
            let Some(key) = key.first() else {
                return Ok(Some(Cow::Borrowed(secret)));
            };
            match secret.get(*key) {
                Some(value @ Value::String(_)) => Ok(Some(Cow::Borrowed(value))),
                Some(_) => wrong(format!("secret {name:?} has no text under {key:?}")),
                None => wrong(format!(
                    "secret {name:?} has no key {key:?}: add it, or correct the key"
                )),
            }
        }
        ("service", [name, port @ ..]) if port.len() < 2 => {
            endpoints(data, name, port.first().copied()).map(made)
        }
        ("services", []) => {
            let all = data.services.values();
            let own = all.filter(|one| one["Namespace"] == **namespace);
            Ok(made(own.map(without_endpoints).collect()))
        }
        _ => wrong(format!("it does not take {} arguments", args.len())),
    }
}

fn variable<'a>(data: &'a Data, name: &str) -> Option<&'a Value> {
    data.root.get("env")?.get(name)
}

/// Config map, key, and what is there.
fn key<'a>(data: &'a Data, path: &str) -> (String, String, Option<&'a Value>) {
    let (map, key) = path.split_once('/').unwrap_or(("", path));
    let map = if map.is_empty() { &data.own } else { map };
    let found = data.maps.get(map).and_then(|map| map.get(key));
    (map.to_owned(), key.to_owned(), found)
}

fn without_endpoints(service: &Value) -> Value {
    let members = service.as_object().into_iter().flatten();
    let kept = members.filter(|(name, _)| *name != "Endpoints");
    let kept = kept.map(|(name, value)| (name.clone(), value.clone()));
    Value::Object(kept.collect())
}

/// Where a port of a service leads.
fn endpoints(data: &Data, name: &str, port: Option<&str>) -> Result<Value, String> {
    let full = match name.contains('.') {
        true => name.to_owned(),
        false => format!("{name}.{}", data.namespace),
    };
    let Some(service) = data.services.get(&full) else {
        let (name, namespace) = full.split_once('.').unwrap_or((&full, ""));
        return wrong(format!(
            "there is no service {name:?} in namespace {namespace:?}: create it, or correct the name"
        ));
    };
    let ports = service["Ports"].as_array();
    let ports = ports.into_iter().flatten();
    let names: Vec<&str> = ports.filter_map(|port| port["Name"].as_str()).collect();
    let all = service["Endpoints"].as_array();
    let all = all.into_iter().flatten();
    match port {
        Some(port) if !names.contains(&port) => wrong(format!(
            "service {name:?} has no port {port:?}; it has {}",
            names.join(", ")
        )),
        Some(port) => Ok(all.filter(|one| one["PortName"] == port).cloned().collect()),
        None if names.len() > 1 => wrong(format!(
            "service {name:?} has the ports {}: say which one, service {name:?} {:?}",
            names.join(", "),
            names[0]
        )),
        None => Ok(all.cloned().collect()),
    }
}

/// `10 | divide 2`: what comes last is what is counted with.
fn numbers(name: &str, args: &[Val<'_>]) -> Result<Value, String> {
    let [Some(b), Some(a)] = [0, 1].map(|at| args.get(at).and_then(Option::as_deref)) else {
        return wrong(format!("it does not take {} arguments", args.len()));
    };
    let (Value::Number(a), Value::Number(b), 2) = (a, b, args.len()) else {
        return wrong("it takes two numbers: use parseInt or parseFloat for a text");
    };
    if let (Some(a), Some(b)) = (whole(a), whole(b)) {
        if b == 0 && matches!(name, "divide" | "modulo") {
            return wrong("division by zero");
        }
        // Of two numbers of 64 bits: these do not overflow 128.
        let result = match name {
            "add" => a + b,
            "subtract" => a - b,
            "multiply" => a * b,
            "divide" => a / b,
            "modulo" => a % b,
            "minimum" => a.min(b),
            _ => a.max(b),
        };
        return match i64::try_from(result) {
            Ok(result) => Ok(result.into()),
            Err(_) => wrong("the result is larger than 64 bits"),
        };
    }
    let float = |number: &Number| number.as_f64().unwrap_or(f64::NAN);
    let (a, b) = (float(a), float(b));
    let result = match name {
        "add" => a + b,
        "subtract" => a - b,
        "multiply" => a * b,
        "divide" => a / b,
        "minimum" => a.min(b),
        "maximum" => a.max(b),
        _ => return wrong("it takes whole numbers"),
    };
    Number::from_f64(result).map_or_else(|| wrong("the result is no number"), |n| Ok(n.into()))
}

/// `loop 3`: 0, 1, 2; `loop 5 7`: 5, 6.
fn count(args: &[Val<'_>], room: usize) -> Result<Value, String> {
    let number = |value: &Val<'_>| match value.as_deref() {
        Some(Value::Number(number)) => number.as_i64(),
        _ => None,
    };
    let ends: Option<Vec<i64>> = args.iter().map(number).collect();
    let (from, to) = match ends.as_deref() {
        Some([to]) => (0, *to),
        Some([from, to]) => (*from, *to),
        _ => return wrong("it takes one or two whole numbers"),
    };
    let many = to.saturating_sub(from).max(0);
    if usize::try_from(many).is_ok_and(|many| many > room / 64) {
        return wrong("it makes more than a template may");
    }
    Ok((from..to).map(Value::from).collect())
}

#[cfg(test)]
mod tests;
