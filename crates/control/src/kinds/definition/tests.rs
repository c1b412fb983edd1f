//! Definitions that can be carried out, and those that cannot.

use serde_json::json;
use weft_keyspace::Revision;

use super::*;
use crate::custom;

fn definition() -> Value {
    json!({
        "metadata": { "name": "shops.example.com" },
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": { "plural": "shops", "kind": "Shop", "shortNames": ["sh"] },
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": { "openAPIV3Schema": {
                    "type": "object",
                    "properties": { "spec": {
                        "type": "object",
                        "required": ["owner"],
                        "properties": {
                            "owner": { "type": "string", "pattern": "^[a-z]+$" },
                            "open": { "type": "boolean", "default": true },
                            "size": { "x-kubernetes-int-or-string": true },
                            "more": {
                                "type": "object", "x-kubernetes-preserve-unknown-fields": true,
                            },
                            "none": { "type": "object" },
                        },
                    } },
                } },
                "subresources": {
                    "status": {},
                    "scale": {
                        "specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size",
                    },
                },
                "additionalPrinterColumns": [
                    { "name": "Owner", "type": "string", "jsonPath": ".spec.owner" },
                ],
            }],
        },
    })
}

fn object(value: Value) -> Object {
    match value {
        Value::Object(map) => Object(map),
        _ => panic!("an object"),
    }
}

fn told(change: impl Fn(&mut Value)) -> Vec<String> {
    let mut value = definition();
    change(&mut value);
    let mut object = object(value);
    let findings = schema::check(kind().schema(), &mut object.0);
    assert_eq!(findings.unknown, [""; 0]);
    default(&mut object);
    let causes = findings.mistakes.into_iter().chain(validate(&object, None));
    causes.map(|cause| cause.to_string()).collect()
}

#[test]
fn what_cannot_be_carried_out_is_refused_by_its_path() {
    assert_eq!(told(|_| {}), [""; 0]);
    let schema = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/owner";
    let set = |path: &'static str, value: Value| {
        move |object: &mut Value| {
            let (map, name) = path.rsplit_once('/').unwrap();
            object.pointer_mut(map).unwrap()[name] = value.clone();
        }
    };
    type Case = (Box<dyn Fn(&mut Value)>, &'static str);
    let cases: [Case; 14] = [
        (
            Box::new(set("/metadata/name", "a".into())),
            "metadata.name: Invalid value: \"a\": must be",
        ),
        (
            Box::new(set("/spec/group", "apps".into())),
            "spec.group: Invalid value",
        ),
        (
            Box::new(set("/spec/scope", "Here".into())),
            "spec.scope: Unsupported value",
        ),
        (
            Box::new(set("/spec/versions/0/deprecationWarning", "x".into())),
            "versions[0].deprecationWarning",
        ),
        (
            Box::new(set("/spec/versions/0/storage", false.into())),
            "exactly one version",
        ),
        (
            Box::new(set("/spec/conversion", json!({ "strategy": "Webhook" }))),
            "spec.conversion.strategy: Unsupported",
        ),
        (
            Box::new(set(
                "/spec/conversion",
                json!({ "strategy": "None", "webhook": { "conversionReviewVersions": ["v1"] } }),
            )),
            "spec.conversion.webhook: Forbidden",
        ),
        (
            Box::new(set("/spec/preserveUnknownFields", true.into())),
            "spec.preserveUnknownFields: Invalid value: true",
        ),
        (
            Box::new(set("/spec/group", "gateway.networking.k8s.io".into())),
            "metadata.annotations[api-approved.kubernetes.io]: Required value",
        ),
        (
            Box::new(move |object| {
                object.pointer_mut(schema).unwrap()["anyOf"] =
                    json!([{ "x-kubernetes-validations": [{ "rule": "true" }] }]);
            }),
            "properties[owner].anyOf[0].x-kubernetes-validations: Forbidden",
        ),
        (
            Box::new(move |object| object.pointer_mut(schema).unwrap()["pattern"] = "(".into()),
            "properties[owner].pattern: Invalid value",
        ),
        (
            Box::new(move |object| object.pointer_mut(schema).unwrap()["type"] = "text".into()),
            "properties[owner].type: Unsupported value: \"text\"",
        ),
        (
            Box::new(move |object| *object.pointer_mut(schema).unwrap() = json!({})),
            "properties[owner].type: Required value",
        ),
        (
            Box::new(set(
                "/spec/versions/0/additionalPrinterColumns/0/jsonPath",
                "owner".into(),
            )),
            "additionalPrinterColumns[0].jsonPath: Invalid value",
        ),
    ];
    for (change, why) in cases {
        let found = told(change);
        assert!(
            found.iter().any(|found| found.contains(why)),
            "{why}: {found:?}"
        );
    }
}

#[test]
fn a_definition_becomes_a_kind() {
    let mut stored = object(definition());
    default(&mut stored);
    let shops = custom::kinds(&stored, Revision(1)).remove(0);
    assert_eq!(
        (shops.resource(), shops.api_version()),
        ("shops.example.com".into(), "example.com/v1".into())
    );
    assert!(shops.is_custom() && shops.has_status && shops.is_namespaced);
    let names: Vec<&str> = shops.columns.iter().map(|column| &*column.name).collect();
    assert_eq!(names, ["Name", "Owner"]);

    let mut shop = object(json!({
        "metadata": { "name": "a", "labels": { "x": "y" } },
        "spec": {
            "owner": "ann", "size": "2", "extra": 1, "more": { "any": [1] }, "none": { "a": 1 },
        },
    }));
    let findings = schema::check(shops.schema(), &mut shop.0);
    assert_eq!(findings.mistakes, []);
    assert_eq!(findings.unknown, ["spec.none.a", "spec.extra"]);
    shops.complete(&mut shop);
    assert_eq!(
        shop.0["spec"],
        json!({ "owner": "ann", "size": "2", "more": { "any": [1] }, "none": {}, "open": true })
    );
    let mut wrong = object(json!({ "metadata": { "name": "a" }, "spec": { "owner": "Ann" } }));
    let findings = schema::check(shops.schema(), &mut wrong.0);
    assert_eq!(
        findings.mistakes[0].to_string(),
        "spec.owner: Invalid value: \"Ann\": spec.owner in body should match '^[a-z]+$'"
    );
    let mut wrong = object(json!({ "metadata": { "name": "a" }, "spec": { "open": 1 } }));
    let found = schema::check(shops.schema(), &mut wrong.0).mistakes;
    let paths: Vec<&str> = found.iter().map(|cause| &*cause.field).collect();
    assert_eq!(paths, ["spec.open", "spec.owner"]);
}
