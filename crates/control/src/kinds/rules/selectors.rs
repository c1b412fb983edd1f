//! Selectors in objects: of labels (`matchLabels` and `matchExpressions`), and of nodes.

use serde_json::Value;

use super::super::or_none;
use super::{Mistakes, Spot};
use crate::names;

impl Mistakes {
    /// A label selector, if it is there.
    pub(crate) fn label_selector(&mut self, at: &Spot<'_, '_>) {
        self.labels(&at.at("matchLabels"));
        for requirement in at.at("matchExpressions").items() {
            self.requirement(&requirement, false);
            for value in requirement.at("values").items() {
                self.name(&value, names::label_value);
            }
        }
    }

    /// A term of a node selector: like a label selector, with numbers, and with fields besides.
    pub(crate) fn node_term(&mut self, at: &Spot<'_, '_>) {
        for requirement in at.at("matchExpressions").items() {
            self.requirement(&requirement, true);
        }
        for requirement in at.at("matchFields").items() {
            let (operator, values) = (requirement.at("operator"), requirement.at("values"));
            match operator.text() {
                "In" | "NotIn" if values.items().count() != 1 => self.required(
                    &values,
                    "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
                ),
                "In" | "NotIn" => {}
                _ => self.invalid(&operator, "not a valid selector operator"),
            }
            let key = requirement.at("key");
            if key.text() != "metadata.name" {
                self.invalid(&key, "not a valid field selector key");
            }
        }
    }

    /// What is asked of one label; a node's can be compared with a number.
    fn requirement(&mut self, at: &Spot<'_, '_>, of_node: bool) {
        let (operator, values) = (at.at("operator"), at.at("values"));
        match operator.text() {
            "In" | "NotIn" if values.is_empty() => self.required(
                &values,
                "must be specified when `operator` is 'In' or 'NotIn'",
            ),
            "Exists" | "DoesNotExist" if !values.is_empty() => self.forbidden(
                &values,
                "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
            ),
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            "Gt" | "Lt" if of_node && values.items().count() != 1 => self.required(
                &values,
                "must be specified single value when `operator` is 'Lt' or 'Gt'",
            ),
            "Gt" | "Lt" if of_node => {}
            _ => self.invalid(&operator, "not a valid selector operator"),
        }
        self.shaped(&at.at("key"), names::label_key);
    }
}

/// Whether it asks for nothing.
pub(crate) fn is_empty(selector: &Spot<'_, '_>) -> bool {
    selector.at("matchLabels").is_empty() && selector.at("matchExpressions").is_empty()
}

/// Whether `labels` are what `selector` asks for.
pub(crate) fn matches(selector: &Spot<'_, '_>, labels: &Spot<'_, '_>) -> bool {
    let label = |key: &str| labels.value()?.get(key)?.as_str();
    let wanted = selector.at("matchLabels");
    let mut wanted = wanted.entries();
    let expressions = selector.at("matchExpressions");
    let mut expressions = expressions.items();
    wanted.all(|(key, value)| label(key) == Some(value.text()))
        && expressions.all(|requirement| {
            let found = label(requirement.at("key").text());
            let is_one = |value: &str| requirement.at("values").items().any(|v| v.text() == value);
            match requirement.at("operator").text() {
                "In" => found.is_some_and(is_one),
                "NotIn" => !found.is_some_and(is_one),
                "Exists" => found.is_some(),
                _ => found.is_none(),
            }
        })
}

/// As kubectl shows it: `a=b,c in (d,e),!f`; empty is `<none>`.
pub(crate) fn selector_text(selector: Option<&Value>) -> String {
    let field = |name: &str| selector.and_then(|selector| selector.get(name));
    let mut terms: Vec<(&str, String)> = Vec::new();
    let labels = field("matchLabels").and_then(Value::as_object);
    for (key, value) in labels.into_iter().flatten() {
        let value = value.as_str().unwrap_or_default();
        terms.push((key, format!("{key}={value}")));
    }
    let expressions = field("matchExpressions").and_then(Value::as_array);
    for term in expressions.into_iter().flatten() {
        let text = |name: &str| term.get(name).and_then(Value::as_str).unwrap_or_default();
        let values = term.get("values").and_then(Value::as_array);
        let values = values.into_iter().flatten().filter_map(Value::as_str);
        let mut values: Vec<&str> = values.collect();
        values.sort_unstable();
        let (key, values) = (text("key"), values.join(","));
        let shown = match text("operator") {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            _ => format!("!{key}"),
        };
        terms.push((key, shown));
    }
    terms.sort();
    let terms: Vec<String> = terms.into_iter().map(|(_, shown)| shown).collect();
    or_none(terms.join(","))
}

/// A map of labels as kubectl shows it: `a=b,c=d`; empty is `<none>`.
pub(crate) fn labels_text(labels: Option<&Value>) -> String {
    let labels = labels.and_then(Value::as_object);
    let labels = labels.into_iter().flatten();
    let mut terms: Vec<String> = labels
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    terms.sort();
    or_none(terms.join(","))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::Object;

    #[test]
    fn selectors_match_and_are_shown() {
        let selector = json!({
            "matchLabels": { "app": "web" },
            "matchExpressions": [
                { "key": "tier", "operator": "In", "values": ["front", "back"] },
                { "key": "old", "operator": "DoesNotExist" },
                { "key": "zone", "operator": "NotIn", "values": ["x"] },
                { "key": "app", "operator": "Exists" },
            ],
        });
        let text = "app,app=web,!old,tier in (back,front),zone notin (x)";
        assert_eq!(selector_text(Some(&selector)), text);
        assert_eq!(selector_text(Some(&json!({}))), "<none>");
        assert_eq!(labels_text(Some(&json!({ "a": "b", "c": "" }))), "a=b,c=");
        for (labels, expected) in [
            (json!({ "app": "web", "tier": "back" }), true),
            (json!({ "app": "web", "tier": "back", "zone": "y" }), true),
            (json!({ "app": "web", "tier": "back", "zone": "x" }), false),
            (json!({ "app": "web", "tier": "back", "old": "" }), false),
            (json!({ "app": "web" }), false),
            (json!({ "app": "db", "tier": "back" }), false),
        ] {
            let object = json!({ "selector": selector, "labels": labels });
            let object = Object(object.as_object().unwrap().clone());
            let (selector, labels) = (Spot::of(&object, "selector"), Spot::of(&object, "labels"));
            assert_eq!(matches(&selector, &labels), expected, "{labels:?}");
        }
    }

    #[test]
    fn terms_are_checked() {
        let holder = json!({ "s": {
            "matchLabels": { "a b": "c d" },
            "matchExpressions": [
                { "key": "a", "operator": "In" },
                { "key": "a", "operator": "Exists", "values": ["b"] },
                { "key": "-", "operator": "Like", "values": ["b c"] },
                { "key": "a", "operator": "NotIn", "values": ["b"] },
                { "key": "a", "operator": "DoesNotExist" },
            ],
        } });
        let holder = Object(holder.as_object().unwrap().clone());
        let mut mistakes = Mistakes::default();
        mistakes.label_selector(&Spot::of(&holder, "s"));
        let causes = mistakes.into_causes();
        let fields: Vec<&str> = causes.iter().map(|cause| &*cause.field).collect();
        assert_eq!(
            fields,
            [
                "s.matchLabels",
                "s.matchLabels",
                "s.matchExpressions[0].values",
                "s.matchExpressions[1].values",
                "s.matchExpressions[2].operator",
                "s.matchExpressions[2].key",
                "s.matchExpressions[2].values[0]",
            ]
        );
    }

    #[test]
    fn terms_of_nodes_have_numbers_and_fields() {
        let term = json!({
            "matchExpressions": [
                { "key": "a", "operator": "Gt", "values": ["1"] },
                { "key": "a", "operator": "Lt", "values": ["1", "2"] },
                { "key": "", "operator": "In", "values": ["b"] },
            ],
            "matchFields": [
                { "key": "metadata.name", "operator": "In", "values": ["a"] },
                { "key": "metadata.uid", "operator": "Exists" },
                { "key": "metadata.name", "operator": "NotIn" },
            ],
        });
        let object = Object([("t".to_owned(), term)].into_iter().collect());
        let mut mistakes = Mistakes::default();
        mistakes.node_term(&Spot::of(&object, "t"));
        let told = mistakes.into_causes();
        let fields: Vec<&str> = told.iter().map(|cause| &*cause.field).collect();
        assert_eq!(
            fields,
            [
                "t.matchExpressions[1].values",
                "t.matchExpressions[2].key",
                "t.matchFields[1].operator",
                "t.matchFields[1].key",
                "t.matchFields[2].values",
            ]
        );
    }
}
