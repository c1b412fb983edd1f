//! From nodes and a value to text.

use serde_json::Value;

use super::{Expr, Node};

/// Variables in scope; the nameless one is the dot, `$` the whole value.
type Scope = Vec<(String, Value)>;

/// Renders `nodes` for `value`.
pub fn render(nodes: &[Node], value: &Value) -> Result<String, String> {
    let mut scope = vec![
        ("$".to_owned(), value.clone()),
        (String::new(), value.clone()),
    ];
    let mut out = String::new();
    block(nodes, &mut scope, &mut out)?;
    Ok(out)
}

fn block(nodes: &[Node], scope: &mut Scope, out: &mut String) -> Result<(), String> {
    for node in nodes {
        match node {
            Node::Text(text) => out.push_str(text),
            Node::Print(expr) => out.push_str(&shown(&evaluate(expr, scope)?)),
            Node::If {
                condition,
                is_dot,
                body,
                otherwise,
            } => {
                let condition = evaluate(condition, scope)?;
                let depth = scope.len();
                if !truth(&condition) {
                    block(otherwise, scope, out)?;
                } else {
                    if *is_dot {
                        scope.push((String::new(), condition));
                    }
                    block(body, scope, out)?;
                }
                scope.truncate(depth);
            }
            Node::Range {
                key,
                value,
                list,
                body,
                otherwise,
            } => {
                let items = items(evaluate(list, scope)?)?;
                if items.is_empty() {
                    block(otherwise, scope, out)?;
                }
                for (index, item) in items {
                    let depth = scope.len();
                    if let Some(name) = key {
                        scope.push((name.clone(), index));
                    }
                    if let Some(name) = value {
                        scope.push((name.clone(), item.clone()));
                    }
                    scope.push((String::new(), item));
                    block(body, scope, out)?;
                    scope.truncate(depth);
                }
            }
        }
    }
    Ok(())
}

fn items(list: Value) -> Result<Vec<(Value, Value)>, String> {
    match list {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) => Ok(items
            .into_iter()
            .enumerate()
            .map(|(index, item)| (index.into(), item))
            .collect()),
        Value::Object(members) => Ok(members
            .into_iter()
            .map(|(key, item)| (key.into(), item))
            .collect()),
        other => Err(format!("range over {}", kind(&other))),
    }
}

fn evaluate(expr: &Expr, scope: &Scope) -> Result<Value, String> {
    match expr {
        Expr::Literal(value) => Ok(value.clone()),
        Expr::Field(variable, path) => {
            let (_, value) = scope
                .iter()
                .rev()
                .find(|(name, _)| name == variable)
                .ok_or_else(|| format!("undefined variable {variable:?}"))?;
            descend(value, path)
        }
        Expr::Below(inner, path) => descend(&evaluate(inner, scope)?, path),
        Expr::Call(name, arguments) => {
            let arguments: Vec<Value> = arguments
                .iter()
                .map(|argument| evaluate(argument, scope))
                .collect::<Result<_, _>>()?;
            let dot = &scope.last().expect("the dot is always there").1;
            call(name, &arguments, dot)
        }
    }
}

fn descend(value: &Value, path: &[String]) -> Result<Value, String> {
    let mut at = value;
    for field in path {
        at = match at {
            Value::Object(members) => members.get(field).ok_or_else(|| {
                let known: Vec<&str> = members.keys().map(String::as_str).collect();
                format!("no field {field:?} in {{{}}}", known.join(", "))
            })?,
            other => return Err(format!("no field {field:?} in {}", kind(other))),
        };
    }
    Ok(at.clone())
}

fn call(name: &str, arguments: &[Value], dot: &Value) -> Result<Value, String> {
    let wrong = |what: &str| format!("function {name}: its first argument must be {what}");
    let joined = |separator: &str| -> String {
        let all: Vec<String> = arguments.iter().map(shown).collect();
        all.join(separator)
    };
    Ok(match (name, arguments) {
        ("json", [value]) => value.to_string().into(),
        ("len", [Value::Array(items)]) => items.len().into(),
        ("len", [Value::Object(members)]) => members.len().into(),
        ("len", [Value::String(text)]) => text.len().into(),
        ("len", [Value::Null]) => 0.into(),
        ("len", _) => return Err(wrong("a list, a map or a string")),
        ("upper", [value]) => shown(value).to_uppercase().into(),
        ("lower", [value]) => shown(value).to_lowercase().into(),
        ("join", [Value::Array(items), separator]) => {
            let items: Vec<String> = items.iter().map(shown).collect();
            items.join(&shown(separator)).into()
        }
        ("join", _) => return Err(wrong("a list")),
        ("print", _) => joined("").into(),
        ("println", _) => format!("{}\n", joined(" ")).into(),
        ("eq", [a, b]) => (a == b).into(),
        ("ne", [a, b]) => (a != b).into(),
        ("not", [value]) => (!truth(value)).into(),
        ("and", all) => pick(all, false),
        ("or", all) => pick(all, true),
        ("index", [value, keys @ ..]) => index(value, keys)?,
        (".Label", [key]) => label(dot, &shown(key)),
        _ => return Err(format!("function {name} is not supported")),
    })
}

/// The first argument whose truth is `wanted`, else the last.
fn pick(all: &[Value], wanted: bool) -> Value {
    let found = all.iter().find(|value| truth(value) == wanted);
    found.or(all.last()).cloned().unwrap_or(Value::Null)
}

fn index(value: &Value, keys: &[Value]) -> Result<Value, String> {
    let mut at = value;
    for key in keys {
        at = match (at, key) {
            (Value::Array(items), Value::Number(number)) => number
                .as_u64()
                .and_then(|number| items.get(usize::try_from(number).ok()?))
                .ok_or_else(|| format!("function index: no element {number}"))?,
            // A key that a map lacks is the empty value, as in Go.
            (Value::Object(members), Value::String(key)) => {
                members.get(key).unwrap_or(&Value::Null)
            }
            (other, key) => {
                return Err(format!("function index: {} has no {key}", kind(other)));
            }
        };
    }
    Ok(at.clone())
}

/// A label out of the row's `a=b,c=d`.
fn label(row: &Value, key: &str) -> Value {
    row.get("Labels")
        .and_then(Value::as_str)
        .and_then(|labels| {
            labels
                .split(',')
                .find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='))
        })
        .unwrap_or_default()
        .into()
}

fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => !members.is_empty(),
    }
}

/// A value as Go prints it.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "<no value>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(shown).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|(key, value)| format!("{key}:{}", shown(value)))
                .collect();
            format!("map[{}]", members.join(" "))
        }
        other => other.to_string(),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}
