//! `weft server`: definitions as real operators have them, driven by kubectl.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use crate::server_kubectl::{apply, kubectl, kubectl_with_input};
use crate::server_line::{self, Caller};

/// What a controller of ours would define: in a group of the Kubernetes project, in two versions,
/// with rules, keyed lists, a template that is a whole object, and fields to select by.
fn definition() -> Value {
    let template = json!({
        "type": "object",
        "x-kubernetes-embedded-resource": true,
        "x-kubernetes-preserve-unknown-fields": true,
        "x-kubernetes-validations": [{
            "rule": "self.kind != 'Secret' || self.metadata.name.startsWith('tls-')",
            "message": "a secret is called tls-…", "reason": "FieldValueForbidden",
        }],
    });
    let rules = json!({
        "type": "array", "maxItems": 8,
        "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
        "items": {
            "type": "object", "required": ["name"],
            "properties": {
                "name": { "type": "string", "maxLength": 20 },
                "port": { "x-kubernetes-int-or-string": true },
                "address": { "type": "string", "maxLength": 60 },
            },
            "x-kubernetes-validations": [{
                "rule": "!has(self.address) || isURL(self.address) && url(self.address).getScheme() == 'https'",
                "messageExpression": "'rule ' + self.name + ' wants https'",
                "fieldPath": ".address",
            }],
        },
    });
    let spec = json!({
        "type": "object", "required": ["host"],
        "properties": {
            "host": { "type": "string", "maxLength": 200, "description": "Whom it is for." },
            "secure": { "type": "boolean" },
            "replicas": { "type": "integer", "default": 1 },
            "memory": { "type": "string", "maxLength": 20 },
            "rules": rules,
            "template": template,
        },
        "x-kubernetes-validations": [
            {
                "rule": "!oldSelf.hasValue() || self.host == oldSelf.value().host",
                "optionalOldSelf": true, "message": "host is for ever",
            },
            { "rule": "!has(self.memory) || isQuantity(self.memory) && quantity(self.memory).isGreaterThan(quantity('1Mi'))" },
        ],
    });
    let version = |name: &str, is_stored: bool| {
        let mut spec = spec.clone();
        if is_stored {
            spec["properties"]["class"] = json!({ "type": "string", "default": "shared" });
        }
        json!({
            "name": name, "served": true, "storage": is_stored,
            "selectableFields": [{ "jsonPath": ".spec.host" }, { "jsonPath": ".spec.secure" }],
            "additionalPrinterColumns": [
                { "name": "Host", "type": "string", "jsonPath": ".spec.host" },
                { "name": "Ready", "type": "string",
                  "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status" },
            ],
            "subresources": {
                "status": {},
                "scale": {
                    "specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas",
                },
            },
            "schema": { "openAPIV3Schema": {
                "type": "object", "required": ["spec"],
                "properties": {
                    "spec": spec,
                    "status": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
                },
            } },
        })
    };
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {
            "name": "gates.edge.k8s.io",
            "annotations": { "api-approved.kubernetes.io": "unapproved, a trial" },
        },
        "spec": {
            "group": "edge.k8s.io", "scope": "Namespaced",
            "versions": [version("v1alpha2", false), version("v1beta1", true)],
            "names": {
                "plural": "gates", "singular": "gate", "kind": "Gate", "shortNames": ["gt"],
                "categories": ["edge"],
            },
        },
    })
}

fn gate(version: &str, name: &str, spec: &Value) -> String {
    json!({
        "apiVersion": format!("edge.k8s.io/{version}"), "kind": "Gate",
        "metadata": { "name": name }, "spec": spec,
    })
    .to_string()
}

fn names(caller: &Caller, selector: &str) -> Vec<String> {
    let path = format!("/apis/edge.k8s.io/v1alpha2/gates?fieldSelector={selector}");
    let list = caller.get(&path).is(200, &[]).json();
    let items = list["items"].as_array().unwrap().iter();
    items
        .map(|item| item["metadata"]["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_definition_as_operators_have_it_does_what_it_says() {
    let Some((weft, caller)) = server_line::server() else {
        return;
    };
    let mut bare = definition();
    bare["metadata"]["annotations"] = json!({});
    apply(&weft, &bare.to_string()).fails_saying(&["api-approved.kubernetes.io", "Required value"]);
    apply(&weft, &definition().to_string()).ok();
    kubectl(
        &weft,
        "wait --for=condition=Established --timeout=60s crd/gates.edge.k8s.io",
    )
    .ok();
    for version in ["v1alpha2", "v1beta1"] {
        let line = format!("explain gate.spec.host --api-version=edge.k8s.io/{version}");
        let told = kubectl(&weft, &line);
        assert!(told.ok().contains("Whom it is for."), "{}", told.stdout);
    }

    // An object within it keeps what is its own, and its metadata is metadata.
    let mut spec = json!({
        "host": "a.example.com", "secure": true, "memory": "2Mi",
        "rules": [{ "name": "in", "port": "http", "address": "https://b/" }, { "name": "out", "port": 80 }],
        "template": {
            "apiVersion": "v1", "kind": "Secret", "data": { "n": { "x": null } },
            "metadata": { "name": "tls-a", "labels": { "a": "b" } },
        },
    });
    apply(&weft, &gate("v1alpha2", "a", &spec)).ok();
    kubectl_with_input(
        &weft,
        "apply --server-side -f -",
        &gate("v1beta1", "b", &spec),
    )
    .ok();
    let path = "/apis/edge.k8s.io/v1beta1/namespaces/default/gates";
    let found = caller.get(&format!("{path}/b")).is(200, &[]).json();
    assert_eq!(found["spec"]["template"], spec["template"]);
    assert_eq!(found["spec"]["class"], "shared");
    let good = spec.clone();
    let wrong = |change: &dyn Fn(&mut Value), words: &[&str]| {
        let mut spec = good.clone();
        change(&mut spec);
        apply(&weft, &gate("v1alpha2", "c", &spec)).fails_saying(words);
    };
    wrong(
        &|spec| spec["template"] = json!({ "metadata": {} }),
        &[
            "spec.template.apiVersion: Required value",
            "spec.template.kind: Required value",
        ],
    );
    wrong(
        &|spec| spec["template"]["metadata"]["labels"] = json!({ "-": "-" }),
        &["spec.template.metadata.labels: Invalid value"],
    );
    wrong(
        &|spec| spec["template"]["kind"] = "a b".into(),
        &["spec.template.kind: Invalid value"],
    );
    wrong(
        &|spec| spec["template"]["metadata"]["nothing"] = 1.into(),
        &["unknown field", "spec.template.metadata.nothing"],
    );
    wrong(
        &|spec| spec["template"]["metadata"]["name"] = "a".into(),
        &["a secret is called tls-"],
    );
    wrong(
        &|spec| spec["rules"][0]["address"] = "http://b/".into(),
        &["spec.rules[0].address", "rule in wants https"],
    );
    wrong(
        &|spec| spec["memory"] = "1Ki".into(),
        &["spec: Invalid value"],
    );
    spec["host"] = "c.example.com".into();
    apply(&weft, &gate("v1beta1", "b", &spec)).fails_saying(&["host is for ever"]);
    spec["secure"] = false.into();
    apply(&weft, &gate("v1beta1", "c", &spec)).ok();

    // Selected by its own fields: lists, watches and deletions.
    assert_eq!(names(&caller, "spec.secure%3Dtrue"), ["a", "b"]);
    assert_eq!(names(&caller, "spec.host%3Dc.example.com"), ["c"]);
    assert_eq!(
        names(&caller, "spec.host%21%3Dc.example.com,metadata.name%3Da"),
        ["a"]
    );
    caller
        .get(&format!("{path}?fieldSelector=spec.memory%3D1"))
        .is(400, &["field label not supported"]);
    let watch = format!("{path}?watch=true&timeoutSeconds=1&fieldSelector=spec.secure%3Dfalse");
    let told = caller.get(&watch);
    assert_eq!(
        told.is(200, &[]).body.matches("\"ADDED\"").count(),
        1,
        "{}",
        told.body
    );

    kubectl(&weft, "scale gate a --replicas=3").ok();
    let status = r#"{"status":{"conditions":[{"type":"Ready","status":"True"}],"replicas":3}}"#;
    kubectl(
        &weft,
        &format!("patch gt a --subresource=status --type=merge -p {status}"),
    )
    .ok();
    let shown = kubectl(&weft, "get gates.v1alpha2.edge.k8s.io a --no-headers");
    let cells: Vec<&str> = shown.ok().split_whitespace().collect();
    assert_eq!(cells, ["a", "a.example.com", "True"]);
    assert_eq!(kubectl(&weft, "get edge -o name").ok().lines().count(), 3);
    let gone = format!("{path}?fieldSelector=spec.secure%3Dtrue");
    caller
        .ask("DELETE", &gone, "application/json", b"")
        .is(200, &[]);
    assert_eq!(kubectl(&weft, "get gt -o name").ok(), "gate.edge.k8s.io/c");
}

#[test]
fn what_objects_are_selected_by_is_a_value_of_the_schema() {
    let Some((weft, _)) = server_line::server() else {
        return;
    };
    for (path, why) in [
        (".spec.nothing", "is an invalid path"),
        (".spec.rules[0].name", "is an invalid path"),
        (
            ".spec.rules",
            "must point to a field of type string, boolean or integer",
        ),
        (".metadata.name", "must not point to fields in metadata"),
        (".spec.secure", "Duplicate value"),
    ] {
        let mut wrong = definition();
        wrong["spec"]["versions"][0]["selectableFields"][0]["jsonPath"] = path.into();
        let told = apply(&weft, &wrong.to_string());
        told.fails_saying(&["spec.versions[0].selectableFields[", why]);
    }
    let mut wrong = definition();
    let schema = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/template";
    let template = wrong.pointer_mut(schema).unwrap().as_object_mut().unwrap();
    template.remove("x-kubernetes-preserve-unknown-fields");
    apply(&weft, &wrong.to_string())
        .fails_saying(&["must not be empty if x-kubernetes-embedded-resource is true"]);
}

#[test]
fn nulls_stay_where_anything_may_be() {
    let Some((weft, caller)) = server_line::server() else {
        return;
    };
    let mut any = definition();
    for version in 0..2 {
        let schema = format!("/spec/versions/{version}/schema/openAPIV3Schema/properties/spec");
        any.pointer_mut(&schema).unwrap()["properties"]["values"] =
            json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    }
    apply(&weft, &any.to_string()).ok();
    kubectl(
        &weft,
        "wait --for=condition=Established --timeout=60s crd/gates.edge.k8s.io",
    )
    .ok();
    let values = json!({ "a": { "b": [1, 2.5, null, { "x": null }], "c": null } });
    let spec = json!({ "host": "a", "values": values });
    // kubectl's apply leaves some out itself, before it sends them.
    let shelf = "/apis/edge.k8s.io/v1beta1/namespaces/default/gates";
    let mut given: Value = serde_json::from_str(&gate("v1beta1", "a", &spec)).unwrap();
    caller.post(shelf, &given).is(201, &[]);
    let path = &format!("{shelf}/a");
    assert_eq!(caller.get(path).json()["spec"]["values"], values);
    given["metadata"]["resourceVersion"] =
        caller.get(path).json()["metadata"]["resourceVersion"].clone();
    let more = json!({ "a": [{ "y": null }], "d": null });
    given["spec"]["values"] = more.clone();
    let put = given.to_string();
    caller
        .ask("PUT", path, "application/json", put.as_bytes())
        .is(200, &[]);
    assert_eq!(caller.get(path).json()["spec"]["values"], more);
}
