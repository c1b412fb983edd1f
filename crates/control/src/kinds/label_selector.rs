//! Label selectors within objects (`meta/v1`, `LabelSelector`).

use super::spot::Spot;
use crate::failure::Cause;
use crate::names;

/// What is wrong with the selector at `spot`.
pub(super) fn check(spot: &Spot<'_>) -> Vec<Cause> {
    let mut causes = check_map(&spot.field("matchLabels"));
    for term in spot.field("matchExpressions").items() {
        let values = term.field("values");
        match term.field("operator").text() {
            "In" | "NotIn" => {
                let why = "must be specified when `operator` is 'In' or 'NotIn'";
                causes.extend(values.needed(why));
            }
            "Exists" | "DoesNotExist" if values.is_empty() => {}
            "Exists" | "DoesNotExist" => {
                causes.push(values.forbidden(
                    "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                ))
            }
            _ => causes.push(
                term.field("operator")
                    .invalid("not a valid selector operator"),
            ),
        }
        if let Err(why) = names::label_key(term.field("key").text()) {
            causes.push(term.field("key").invalid(why));
        }
        for value in values.items() {
            causes.extend(value.shaped(names::label_value));
        }
    }
    causes
}

/// What is wrong with a term of a node selector: like a label selector, with numbers and fields.
pub(super) fn check_node_term(term: &Spot<'_>) -> Vec<Cause> {
    let mut causes = Vec::new();
    for one in term.field("matchExpressions").items() {
        let (key, values) = (one.field("key"), one.field("values"));
        causes.extend(
            names::label_key(key.text())
                .err()
                .map(|why| key.invalid(why)),
        );
        match one.field("operator").text() {
            "In" | "NotIn" => {
                causes.extend(values.needed("must be specified when `operator` is 'In' or 'NotIn'"))
            }
            "Exists" | "DoesNotExist" if values.is_empty() => {}
            "Exists" | "DoesNotExist" => {
                causes.push(values.forbidden(
                    "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                ))
            }
            "Gt" | "Lt" => match &values.items()[..] {
                [value] if value.text().parse::<i64>().is_ok() => {}
                [value] => causes.push(value.invalid("must be a whole number")),
                _ => {
                    let why = "must be specified single value when `operator` is 'Lt' or 'Gt'";
                    causes.push(values.required(why));
                }
            },
            _ => causes.push(
                one.field("operator")
                    .invalid("not a valid selector operator"),
            ),
        }
    }
    for one in term.field("matchFields").items() {
        causes.extend(one.field("key").one_of(&["metadata.name"]));
        causes.extend(one.field("operator").one_of(&["In", "NotIn"]));
        if one.field("values").items().len() != 1 {
            let why = "must be only one value when `operator` is 'In' or 'NotIn' for node field \
                       selector";
            causes.push(one.field("values").required(why));
        }
    }
    causes
}

/// What is wrong with a map of labels.
pub(super) fn check_map(spot: &Spot<'_>) -> Vec<Cause> {
    let mut causes = Vec::new();
    for (key, value) in spot.entries() {
        if let Err(why) = names::label_key(key) {
            causes.push(Cause::invalid(spot.path(), key, why));
        }
        if let Err(why) = names::label_value(value.text()) {
            causes.push(Cause::invalid(spot.path(), value.text(), why));
        }
    }
    causes
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::testing::object;

    #[test]
    fn terms_are_checked() {
        let holder = object(json!({ "s": {
            "matchLabels": { "a b": "c d" },
            "matchExpressions": [
                { "key": "a", "operator": "In" },
                { "key": "a", "operator": "Exists", "values": ["b"] },
                { "key": "-", "operator": "Like", "values": ["b c"] },
                { "key": "a", "operator": "NotIn", "values": ["b"] },
                { "key": "a", "operator": "DoesNotExist" },
            ],
        } }));
        let causes = check(&Spot::of(&holder, "s"));
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
}
