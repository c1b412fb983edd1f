//! Rules at every level of a schema, and what is said of broken ones.

use serde_json::json;

use super::*;

mod wild;

fn told(schema: &Value, new: Value, old: Option<Value>) -> Vec<String> {
    let wrong = mistakes(schema, "schema");
    assert_eq!(wrong, [], "the rules are right");
    let object = |value: Value| value.as_object().unwrap().clone();
    let rules = Validations::of(schema).expect("there are rules");
    let causes = rules.broken(&object(new), old.map(object).as_ref());
    causes.iter().map(Cause::to_string).collect()
}

/// With one rule, at `spec`.
fn spec(properties: Value, rule: Value) -> Value {
    json!({ "type": "object", "properties": { "spec": {
        "type": "object", "properties": properties, "x-kubernetes-validations": [rule],
    } } })
}

#[test]
fn broken_rules_are_told_as_kubernetes_does() {
    let counts = || json!({ "min": { "type": "integer" }, "max": { "type": "integer" } });
    let rule = "self.min <= self.max";
    for (rule, wanted) in [
        (
            json!({ "rule": rule, "message": " too small " }),
            "spec: Invalid value: \"object\": too small",
        ),
        (
            json!({ "rule": rule }),
            "spec: Invalid value: \"object\": failed rule: self.min <= self.max",
        ),
        (
            json!({ "rule": rule, "messageExpression": "'min ' + string(self.min) + ' is larger'" }),
            "spec: Invalid value: \"object\": min 5 is larger",
        ),
        (
            json!({ "rule": rule, "message": "m", "messageExpression": "string(1 / (self.min - 5))" }),
            "spec: Invalid value: \"object\": m",
        ),
        (
            json!({ "rule": rule, "reason": "FieldValueForbidden", "fieldPath": ".max", "message": "m" }),
            "spec.max: Forbidden: m",
        ),
        (
            json!({ "rule": rule, "reason": "FieldValueRequired", "message": "m" }),
            "spec: Required value: m",
        ),
        (
            json!({ "rule": rule, "reason": "FieldValueDuplicate", "message": "m" }),
            "spec: Duplicate value: \"object\"",
        ),
        (
            json!({ "rule": "self.min / (self.max - 1) == 0" }),
            "spec: Invalid value: \"object\": rule evaluation error: division by zero",
        ),
    ] {
        let schema = spec(counts(), rule);
        let found = told(&schema, json!({ "spec": { "min": 5, "max": 1 } }), None);
        assert_eq!(found, [wanted]);
    }
    let schema = spec(counts(), json!({ "rule": rule }));
    let right = json!({ "spec": { "min": 1, "max": 1 } });
    assert_eq!(told(&schema, right, None), [""; 0]);
    // A rule is about a value: where there is none, it says nothing.
    assert_eq!(told(&schema, json!({}), None), [""; 0]);
}

#[test]
fn rules_stand_at_every_level() {
    let rule = |rule: &str| json!([{ "rule": rule, "message": rule }]);
    let schema = json!({
        "type": "object",
        "x-kubernetes-validations": rule("self.metadata.name.startsWith('a') && self.kind == 'K'"),
        "properties": { "spec": { "type": "object", "properties": {
            "text": { "type": "string", "x-kubernetes-validations": rule("self != 'x'") },
            "list": {
                "type": "array", "x-kubernetes-validations": rule("self.size() > 1"),
                "items": { "type": "integer", "x-kubernetes-validations": rule("self > 0") },
            },
            "map": {
                "type": "object", "x-kubernetes-validations": rule("!('z' in self)"),
                "additionalProperties": {
                    "type": "string", "x-kubernetes-validations": rule("self.size() < 3"),
                },
            },
        } } },
    });
    let found = told(
        &schema,
        json!({
            "kind": "K", "metadata": { "name": "b", "labels": {} },
            "spec": { "text": "x", "list": [0], "map": { "a.b": "long", "z": "" } },
        }),
        None,
    );
    assert_eq!(
        found,
        [
            "<nil>: Invalid value: \"object\": self.metadata.name.startsWith('a') && self.kind == 'K'",
            "spec.list: Invalid value: \"array\": self.size() > 1",
            "spec.list[0]: Invalid value: \"integer\": self > 0",
            "spec.map: Invalid value: \"object\": !('z' in self)",
            "spec.map[a.b]: Invalid value: \"string\": self.size() < 3",
            "spec.text: Invalid value: \"string\": self != 'x'",
        ]
    );
}

#[test]
fn transitions_compare_with_what_the_value_was() {
    let same = |message: &str| json!([{ "rule": "self == oldSelf", "message": message }]);
    let schema = json!({ "type": "object", "properties": { "spec": {
        "type": "object",
        "x-kubernetes-validations": [{
            "rule": "oldSelf.hasValue() || self.text == 'first'", "optionalOldSelf": true,
            "message": "begins with first",
        }],
        "properties": {
            "text": { "type": "string", "x-kubernetes-validations": same("text") },
            "map": {
                "type": "object",
                "additionalProperties": { "type": "string", "x-kubernetes-validations": same("map") },
            },
            "list": {
                "type": "array", "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
                "items": { "type": "object", "properties": {
                    "name": { "type": "string" },
                    "at": { "type": "integer", "x-kubernetes-validations": same("list") },
                } },
            },
        },
    } } });
    let object = |text: &str, map: Value, list: Value| json!({ "spec": { "text": text, "map": map, "list": list } });
    let before = || {
        let list = json!([{ "name": "x", "at": 1 }, { "name": "y", "at": 2 }]);
        object("first", json!({ "a": "1", "b": "2" }), list)
    };
    assert_eq!(told(&schema, before(), None), [""; 0]);
    assert_eq!(told(&schema, before(), Some(before())), [""; 0]);
    // Found again by its key wherever it stands; what is new has nothing to be compared with.
    let list =
        json!([{ "name": "z", "at": 9 }, { "name": "y", "at": 2 }, { "name": "x", "at": 3 }]);
    let new = object("other", json!({ "b": "3", "c": "4" }), list);
    let found = told(&schema, new.clone(), Some(before()));
    assert_eq!(
        found,
        [
            "spec.list[2].at: Invalid value: \"integer\": list",
            "spec.map[b]: Invalid value: \"string\": map",
            "spec.text: Invalid value: \"string\": text",
        ]
    );
    let found = told(&schema, new, None);
    assert_eq!(
        found,
        ["spec: Invalid value: \"object\": begins with first"]
    );
}

/// As upstream: an object that is there stays usable when its definition becomes stricter.
#[test]
fn what_is_not_changed_is_not_refused() {
    let rule = json!({ "rule": "self.a > 5", "message": "m" });
    let schema = spec(json!({ "a": { "type": "integer" } }), rule);
    let object = |a: i32, label: &str| json!({ "metadata": { "l": label }, "spec": { "a": a } });
    assert_eq!(told(&schema, object(1, "x"), Some(object(1, "y"))), [""; 0]);
    assert_eq!(told(&schema, object(2, "x"), Some(object(1, "x"))).len(), 1);
}

#[test]
fn rules_that_cannot_be_meant_are_refused_by_their_path() {
    let fields = || json!({ "a": { "type": "integer" } });
    for (rule, wanted) in [
        (
            json!({ "rule": "self.b > 1" }),
            "rule: Invalid value: \"self.b > 1\": undefined field 'b'",
        ),
        (
            json!({ "rule": "self.a" }),
            "rule: Invalid value: \"self.a\": must evaluate to bool",
        ),
        (json!({ "rule": "" }), "rule: Required value"),
        (
            json!({ "rule": "true", "reason": "Because" }),
            "reason: Unsupported value: \"Because\"",
        ),
        (
            json!({ "rule": "true", "fieldPath": ".b" }),
            "fieldPath: Invalid value: \".b\"",
        ),
        (
            json!({ "rule": "true", "fieldPath": "a" }),
            "fieldPath: Invalid value: \"a\"",
        ),
        (
            json!({ "rule": "true", "message": " " }),
            "message: Invalid value",
        ),
        (
            json!({ "rule": "true", "message": "a\nb" }),
            "message: Invalid value",
        ),
        (
            json!({ "rule": "true ||\nfalse" }),
            "message: Required value",
        ),
        (
            json!({ "rule": "true", "messageExpression": "self.a" }),
            "messageExpression: Invalid value",
        ),
        (
            json!({ "rule": "true", "messageExpression": "string(oldSelf.a)" }),
            "messageExpression: Invalid value",
        ),
        (
            json!({ "rule": "true", "optionalOldSelf": true }),
            "optionalOldSelf: Invalid value",
        ),
    ] {
        let schema = spec(fields(), rule);
        let found: Vec<String> = mistakes(&schema, "s")
            .iter()
            .map(Cause::to_string)
            .collect();
        let at = "s.properties[spec].x-kubernetes-validations[0].";
        let is_told = found
            .iter()
            .any(|found| found.starts_with(&format!("{at}{wanted}")));
        assert!(is_told, "{wanted}: {found:?}");
    }
}

#[test]
fn rules_stand_where_they_can_be_kept() {
    let same = || json!([{ "rule": "self == oldSelf" }]);
    let text = || json!({ "type": "string", "x-kubernetes-validations": same() });
    for (field, wanted) in [
        (json!({ "type": "array", "items": text() }), 1),
        (
            json!({ "type": "array", "items": text(), "x-kubernetes-list-type": "set" }),
            1,
        ),
        (
            json!({ "type": "array", "x-kubernetes-validations": same() }),
            0,
        ),
        (
            json!({ "type": "object", "additionalProperties": text() }),
            0,
        ),
        (
            json!({ "type": "object", "properties": { "a": text() }, "x-kubernetes-map-type": "atomic" }),
            1,
        ),
    ] {
        let schema = json!({ "type": "object", "properties": { "spec": field } });
        let found = mistakes(&schema, "s");
        assert_eq!(found.len(), wanted, "{schema}: {found:?}");
    }
    let named = json!({ "type": "object", "properties": { "metadata": {
        "type": "object", "properties": { "name": text() },
    } } });
    let found = mistakes(&named, "s");
    assert_eq!(
        found[0].to_string(),
        "s.properties[metadata]: Forbidden: rules of metadata are not supported"
    );
    let many = vec![json!({ "rule": "true" }); 1001];
    let many = json!({ "type": "object", "x-kubernetes-validations": many });
    let found = mistakes(&many, "s");
    let is_told = |cause: &Cause| cause.message.contains("more than 1000 rules");
    assert!(found.iter().any(is_told), "{found:?}");
}

/// All rules of a write share what it may cost.
#[test]
fn an_object_that_costs_too_much_is_refused() {
    let schema = spec(
        json!({ "l": { "type": "array", "items": { "type": "integer" } } }),
        json!({ "rule": "self.l.all(a, self.l.exists_one(b, a == b))" }),
    );
    let object = |count: i32| json!({ "spec": { "l": (0..count).collect::<Vec<_>>() } });
    assert_eq!(told(&schema, object(300), None), [""; 0]);
    let found = told(&schema, object(3000), None);
    let wanted = "spec: Invalid value: \"object\": the rules of this object need more than 4000000 \
                  steps together";
    assert_eq!(found, [wanted]);
}
