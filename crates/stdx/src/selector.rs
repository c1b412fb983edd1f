//! Label and field selectors.
//!
//! Grammar: `a=b,c!=d,e in (f,g),h notin (i),j,!k` (Kubernetes, "Labels and Selectors").

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::names;

/// What labels must be like; all requirements hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    Is(String),
    IsNot(String),
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
}

impl Labels {
    /// Whether everything matches.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads a selector.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Labels, String> {
        let mut requirements = Vec::new();
        let mut rest = text.trim();
        while !rest.is_empty() {
            let (one, after) = split(rest);
            requirements.push(requirement(one.trim())?);
            rest = after.trim_start();
        }
        Ok(Labels(requirements))
    }

    /// Reads a `LabelSelector`: `matchLabels` and `matchExpressions`. An empty one means all.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn of(selector: &Value) -> Result<Labels, String> {
        let text = |value: &Value| {
            let text = value.as_str().unwrap_or_default();
            // What would be punctuation in a selector's text is no value of a label.
            names::label_value(text).map(|()| text.to_owned())
        };
        let mut parts = Vec::new();
        for (key, value) in selector["matchLabels"].as_object().into_iter().flatten() {
            names::label_key(key)?;
            parts.push(format!("{key}={}", text(value)?));
        }
        for one in selector["matchExpressions"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let key = one["key"].as_str().unwrap_or_default();
            names::label_key(key)?;
            let values = one["values"].as_array().into_iter().flatten();
            let values: Vec<String> = values.map(text).collect::<Result<_, _>>()?;
            let values = values.join(",");
            parts.push(match one["operator"].as_str().unwrap_or_default() {
                "In" => format!("{key} in ({values})"),
                "NotIn" => format!("{key} notin ({values})"),
                "Exists" => key.to_owned(),
                "DoesNotExist" => format!("!{key}"),
                other => return Err(format!("{other:?} is no operator of a label selector")),
            });
        }
        Labels::parse(&parts.join(","))
    }

    /// The `LabelSelector` that says the same, by key: what [`Labels::of`] reads.
    ///
    /// # Errors
    /// There is no such selector: it has no `!=`.
    pub fn to_value(&self) -> Result<Value, String> {
        let mut labels = Map::new();
        let mut expressions = Vec::new();
        let mut requirements: Vec<&Requirement> = self.0.iter().collect();
        requirements.sort_by(|one, other| one.key.cmp(&other.key));
        for Requirement { key, test } in requirements {
            let (operator, values) = match test {
                Test::Is(value) => {
                    labels.insert(key.clone(), value.as_str().into());
                    continue;
                }
                Test::IsNot(_) => {
                    return Err("\"!=\" is not a valid label selector operator".to_owned());
                }
                Test::In(values) => ("In", Some(values)),
                Test::NotIn(values) => ("NotIn", Some(values)),
                Test::Exists => ("Exists", None),
                Test::Absent => ("DoesNotExist", None),
            };
            let mut expression = json!({ "key": key, "operator": operator });
            if let Some(values) = values {
                let values: BTreeSet<&String> = values.iter().collect();
                expression["values"] = json!(values);
            }
            expressions.push(expression);
        }
        let mut selector = Map::new();
        if !labels.is_empty() {
            selector.insert("matchLabels".to_owned(), labels.into());
        }
        if !expressions.is_empty() {
            selector.insert("matchExpressions".to_owned(), expressions.into());
        }
        Ok(selector.into())
    }

    /// Whether an object with these labels is meant.
    pub fn matches<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.0.iter().all(|requirement| {
            let value = label(&requirement.key);
            let is_one = |values: &[String]| value.is_some_and(|v| values.iter().any(|o| o == v));
            match &requirement.test {
                Test::Is(wanted) => value == Some(wanted),
                Test::IsNot(other) => value != Some(other),
                Test::In(values) => is_one(values),
                Test::NotIn(values) => !is_one(values),
                Test::Exists => value.is_some(),
                Test::Absent => value.is_none(),
            }
        })
    }
}

/// The first requirement, and what follows its comma; commas within parentheses are not meant.
fn split(text: &str) -> (&str, &str) {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => return (&text[..at], &text[at + 1..]),
            _ => {}
        }
    }
    (text, "")
}

fn requirement(text: &str) -> Result<Requirement, String> {
    let (key, test) = if let Some(key) = text.strip_prefix('!') {
        (key, Test::Absent)
    } else if let Some((key, value)) = text.split_once("!=") {
        (key, Test::IsNot(value.trim().to_owned()))
    } else if let Some((key, value)) = text.split_once('=') {
        let value = value.strip_prefix('=').unwrap_or(value);
        (key, Test::Is(value.trim().to_owned()))
    } else if let Some((key, list)) = set(text, " notin") {
        (key, Test::NotIn(list?))
    } else if let Some((key, list)) = set(text, " in") {
        (key, Test::In(list?))
    } else {
        (text, Test::Exists)
    };
    let key = key.trim();
    names::label_key(key).map_err(|why| format!("unable to parse requirement: {key:?}: {why}"))?;
    let values = match &test {
        Test::Is(value) | Test::IsNot(value) => std::slice::from_ref(value),
        Test::In(values) | Test::NotIn(values) => values,
        Test::Exists | Test::Absent => &[],
    };
    for value in values {
        names::label_value(value)
            .map_err(|why| format!("unable to parse requirement: {value:?}: {why}"))?;
    }
    Ok(Requirement {
        key: key.to_owned(),
        test,
    })
}

type SetOf<'a> = (&'a str, Result<Vec<String>, String>);

fn set<'a>(text: &'a str, word: &str) -> Option<SetOf<'a>> {
    let (head, list) = text.split_once('(')?;
    let key = head.trim_end().strip_suffix(word)?;
    let values = match list.strip_suffix(')') {
        Some(list) => Ok(list.split(',').map(|one| one.trim().to_owned()).collect()),
        None => Err(format!("unable to parse requirement: {text:?} has no ')'")),
    };
    Some((key, values))
}

/// What fields must be like: `metadata.name=a,status.phase!=Running`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(Vec<(String, bool, String)>);

impl Fields {
    /// Reads a selector; `known` says which fields of the kind can be asked for.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str, known: impl Fn(&str) -> bool) -> Result<Fields, String> {
        let mut terms = Vec::new();
        for term in text.split(',').filter(|term| !term.is_empty()) {
            let (field, equal, value) = if let Some((field, value)) = term.split_once("!=") {
                (field, false, value)
            } else if let Some((field, value)) = term.split_once('=') {
                (field, true, value.strip_prefix('=').unwrap_or(value))
            } else {
                return Err(format!(
                    "invalid selector: {text:?}; can't understand {term:?}"
                ));
            };
            if !known(field) {
                return Err(format!("field label not supported: {field}"));
            }
            terms.push((field.to_owned(), equal, value.to_owned()));
        }
        Ok(Fields(terms))
    }

    /// Whether an object with these fields is meant; an absent one is empty.
    pub fn matches<T: AsRef<str>>(&self, field: impl Fn(&str) -> T) -> bool {
        let holds = |(name, equal, value): &(String, bool, String)| {
            (field(name).as_ref() == value) == *equal
        };
        self.0.iter().all(holds)
    }

    /// The name, if the selector asks for one only.
    pub fn name(&self) -> Option<&str> {
        match &self.0[..] {
            [(field, true, name)] if field == "metadata.name" => Some(name),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(selector: &str, labels: &[(&str, &str)]) -> bool {
        let find = |key: &str| labels.iter().find(|(k, _)| *k == key).map(|(_, v)| *v);
        Labels::parse(selector).unwrap().matches(find)
    }

    #[test]
    fn labels_match_as_kubernetes_says() {
        let labels = [("app", "web"), ("tier", "front")];
        for yes in [
            "",
            "app",
            "!db",
            "app=web",
            "app==web",
            "app!=db",
            "db!=x",
            "app in (db, web)",
            "app notin (db)",
            "x notin (y)",
            "app=web,tier in (front,back),!z",
        ] {
            assert!(matches(yes, &labels), "{yes}");
        }
        for no in [
            "db",
            "!app",
            "app=db",
            "app!=web",
            "app in (db)",
            "app notin (web)",
            "app=web,db",
        ] {
            assert!(!matches(no, &labels), "{no}");
        }
        for wrong in ["a=b c", "=a", "a in (b", "-", "a=-", "!"] {
            assert!(Labels::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_selector_object_is_what_its_text_would_be() {
        for (object, text) in [
            (json!({}), ""),
            (json!({ "matchLabels": { "a": "b" } }), "a=b"),
            (
                json!({ "matchLabels": { "a": "" }, "matchExpressions": [
                    { "key": "c", "operator": "In", "values": ["d", "e"] },
                    { "key": "f", "operator": "NotIn", "values": ["g"] },
                    { "key": "h", "operator": "Exists" },
                    { "key": "i", "operator": "DoesNotExist" },
                ] }),
                "a=,c in (d,e),f notin (g),h,!i",
            ),
        ] {
            assert_eq!(Labels::of(&object), Labels::parse(text), "{text}");
        }
        for wrong in [
            json!({ "matchLabels": { "a": "b,c" } }),
            json!({ "matchLabels": { "!a": "b" } }),
            json!({ "matchLabels": { "a": 1 , "": "x" } }),
            json!({ "matchExpressions": [{ "key": "a", "operator": "Near" }] }),
            json!({ "matchExpressions": [{ "key": "a", "operator": "In", "values": ["b)"] }] }),
        ] {
            assert!(Labels::of(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_selector_can_be_written_as_an_object() {
        for (text, object) in [
            ("", json!({})),
            ("a=b,c==d", json!({ "matchLabels": { "a": "b", "c": "d" } })),
            (
                "z=1,x in (c,b,c),!n,e,b notin (d)",
                json!({ "matchLabels": { "z": "1" }, "matchExpressions": [
                    { "key": "b", "operator": "NotIn", "values": ["d"] },
                    { "key": "e", "operator": "Exists" },
                    { "key": "n", "operator": "DoesNotExist" },
                    { "key": "x", "operator": "In", "values": ["b", "c"] },
                ] }),
            ),
        ] {
            assert_eq!(
                Labels::parse(text).unwrap().to_value(),
                Ok(object),
                "{text}"
            );
        }
        assert!(Labels::parse("a!=b").unwrap().to_value().is_err());
    }

    #[test]
    fn fields_are_known_or_refused() {
        let known = |field: &str| field == "metadata.name";
        let one = Fields::parse("metadata.name=a", known).unwrap();
        assert_eq!(one.name(), Some("a"));
        assert!(one.matches(|_| "a") && !one.matches(|_| "b"));
        let not = Fields::parse("metadata.name!=a", known).unwrap();
        assert!(not.name().is_none() && not.matches(|_| "b"));
        assert!(Fields::parse("spec.x=1", known).is_err());
        assert!(Fields::parse("metadata.name", known).is_err());
    }
}
