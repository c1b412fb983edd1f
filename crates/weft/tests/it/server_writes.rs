//! `weft server`: configurations applied to a scale, and objects made by a PUT.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use crate::server_line::{Caller, Said, server};

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
const APPLY: &str = "application/apply-patch+yaml";

fn scale(replicas: i64) -> Value {
    json!({ "apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": { "name": "web" },
        "spec": { "replicas": replicas } })
}

fn apply(caller: &Caller, path: &str, said: &str, config: &Value) -> Said {
    let path = format!("{path}?fieldManager={said}");
    caller.ask("PATCH", &path, APPLY, config.to_string().as_bytes())
}

/// Who owns how many there are to be: manager, operation, subresource, version.
fn owners(caller: &Caller, path: &str, field: &str) -> Vec<[String; 4]> {
    let object = caller.get(path).is(200, &[]).json();
    let entries = object["metadata"]["managedFields"].as_array().unwrap();
    let owns = |entry: &&Value| !entry["fieldsV1"]["f:spec"][field].is_null();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let of = |entry: &Value| {
        ["manager", "operation", "subresource", "apiVersion"].map(|name| text(&entry[name]))
    };
    entries.iter().filter(owns).map(of).collect()
}

#[test]
fn a_scale_is_applied_and_its_owner_is_the_objects() {
    let Some((_weft, caller)) = server() else {
        return;
    };
    let web = format!("{DEPLOYMENTS}/web");
    let path = format!("{web}/scale");
    apply(&caller, &path, "none", &scale(3)).is(404, &["\\\"web\\\" not found"]);
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
        "spec": {
            "replicas": 1,
            "selector": { "matchLabels": { "a": "b" } },
            "template": {
                "metadata": { "labels": { "a": "b" } },
                "spec": { "containers": [{ "name": "c", "image": "i" }] },
            },
        },
    });
    apply(&caller, &web, "owner", &deployment).is(201, &[]);

    // Who applied the object owns it, and is named in the scale's words.
    let refused = apply(&caller, &path, "scaler", &scale(3));
    let words = [
        "conflict with \\\"owner\\\": .spec.replicas",
        "FieldManagerConflict",
    ];
    refused.is(409, &words);
    let forced = apply(&caller, &path, "scaler&force=true&dryRun=All", &scale(3));
    assert_eq!(forced.is(200, &[]).json()["spec"]["replicas"], 3);
    let owner = |name: &str, operation: &str, subresource: &str| {
        [[name, operation, subresource, "apps/v1"].map(str::to_owned)]
    };
    let before = owners(&caller, &web, "f:replicas");
    assert_eq!(before, owner("owner", "Apply", ""));
    let forced = apply(&caller, &path, "scaler&force=true", &scale(3)).json();
    assert_eq!(forced["kind"], "Scale");
    assert_eq!(forced["spec"]["replicas"], 3);
    let scaler = owner("scaler", "Apply", "scale");
    assert_eq!(owners(&caller, &web, "f:replicas"), scaler);
    assert_eq!(caller.get(&web).json()["spec"]["replicas"], 3);

    // The same again changes nothing; now it is the object that is in conflict.
    let generation = || caller.get(&web).json()["metadata"]["generation"].clone();
    let before = generation();
    apply(&caller, &path, "scaler", &scale(3)).is(200, &[]);
    assert_eq!(generation(), before);
    apply(&caller, &web, "owner", &deployment).is(409, &["subresource", "scale"]);
    // An update of the scale takes it, and is named by the scale's version.
    let two = br#"{"spec":{"replicas":2}}"#;
    let merge = "application/merge-patch+json";
    let updated = format!("{path}?fieldManager=hand");
    caller.ask("PATCH", &updated, merge, two).is(200, &[]);
    assert_eq!(
        owners(&caller, &web, "f:replicas"),
        owner("hand", "Update", "scale")
    );
    apply(&caller, &path, "scaler", &scale(4)).is(409, &["using autoscaling/v1"]);

    // What cannot be meant.
    let mut other = scale(4);
    other["metadata"]["name"] = json!("other");
    apply(&caller, &path, "scaler", &other).is(400, &["does not match the name on the URL"]);
    apply(&caller, &path, "scaler", &scale(-1)).is(422, &["spec.replicas"]);
    let mut stale = scale(2);
    stale["metadata"]["resourceVersion"] = json!("1");
    apply(&caller, &path, "scaler", &stale).is(409, &["has been modified"]);
    stale = scale(2);
    stale["metadata"]["uid"] = json!("other");
    apply(&caller, &path, "scaler", &stale).is(409, &["UID in precondition"]);
    stale = scale(2);
    stale["metadata"]["managedFields"] = json!([{ "manager": "x" }]);
    apply(&caller, &path, "scaler", &stale).is(400, &["managedFields must be nil"]);

    // What is applied no longer is none.
    apply(&caller, &path, "scaler&force=true", &scale(4)).is(200, &[]);
    let mut none = scale(0);
    none["spec"] = json!({});
    apply(&caller, &path, "scaler", &none).is(200, &[]);
    assert_eq!(caller.get(&web).json()["spec"]["replicas"], 0);
}

#[test]
fn a_scale_of_what_is_defined_is_applied_where_the_definition_has_it() {
    let Some((_weft, caller)) = server() else {
        return;
    };
    let definition = json!({
        "metadata": { "name": "shops.example.com" },
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": { "plural": "shops", "singular": "shop", "kind": "Shop" },
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": { "scale": {
                    "specReplicasPath": ".spec.tills", "statusReplicasPath": ".status.open" } },
                "schema": { "openAPIV3Schema": { "type": "object", "properties": {
                    "spec": { "type": "object", "properties": {
                        "tills": { "type": "integer", "maximum": 9 } } } } } },
            }],
        },
    });
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    caller.post(definitions, &definition).is(201, &[]);
    let shops = "/apis/example.com/v1/namespaces/default/shops";
    let shop =
        json!({ "apiVersion": "example.com/v1", "kind": "Shop", "metadata": { "name": "web" } });
    let served = || caller.post(shops, &shop).code != 404;
    weft_testkit::until(weft_testkit::wait::SOON, "shops are served", served);
    let path = format!("{shops}/web");
    let scaled = apply(&caller, &format!("{path}/scale"), "scaler", &scale(3));
    assert_eq!(scaled.is(200, &[]).json()["spec"]["replicas"], 3);
    assert_eq!(caller.get(&path).json()["spec"]["tills"], 3);
    let scaler = ["scaler", "Apply", "scale", "example.com/v1"].map(str::to_owned);
    assert_eq!(owners(&caller, &path, "f:tills"), [scaler]);
    apply(&caller, &format!("{path}/scale"), "scaler", &scale(10)).is(422, &["spec.tills"]);
}

#[test]
fn some_kinds_are_made_by_a_put() {
    let Some((weft, caller)) = server() else {
        return;
    };
    let put = |path: &str, object: &Value| {
        caller.ask(
            "PUT",
            path,
            "application/json",
            object.to_string().as_bytes(),
        )
    };
    let object = |fields: Value| {
        let mut object = fields;
        object["metadata"] = json!({ "name": "a" });
        object
    };
    let rbac = "rbac.authorization.k8s.io";
    let role = json!({ "apiGroup": rbac, "kind": "ClusterRole", "name": "view" });
    let regarding = json!({ "kind": "Pod", "name": "a", "namespace": "default" });
    let near = "namespaces/default";
    let leases = format!("/apis/coordination.k8s.io/v1/{near}/leases/a");
    let maps = format!("/api/v1/{near}/configmaps/a");
    for (path, fields) in [
        (
            leases.clone(),
            json!({ "spec": { "holderIdentity": "me" } }),
        ),
        (format!("/api/v1/{near}/endpoints/a"), json!({})),
        (
            format!("/api/v1/{near}/events/a"),
            json!({ "involvedObject": regarding }),
        ),
        (
            format!("/api/v1/{near}/limitranges/a"),
            json!({ "spec": { "limits": [] } }),
        ),
        (
            format!("/api/v1/{near}/services/a"),
            json!({ "spec": { "ports": [{ "port": 80 }] } }),
        ),
        (
            format!("/apis/{rbac}/v1/{near}/roles/a"),
            json!({ "rules": [] }),
        ),
        (
            format!("/apis/{rbac}/v1/{near}/rolebindings/a"),
            json!({ "roleRef": role }),
        ),
        (
            format!("/apis/{rbac}/v1/clusterroles/a"),
            json!({ "rules": [] }),
        ),
        (
            format!("/apis/{rbac}/v1/clusterrolebindings/a"),
            json!({ "roleRef": role }),
        ),
    ] {
        let tried = put(&format!("{path}?dryRun=All"), &object(fields.clone()));
        tried.is(201, &[]);
        caller.get(&path).is(404, &[]);
        let made = put(&path, &object(fields)).is(201, &[]).json();
        assert!(made["metadata"]["uid"].is_string(), "{made}");
        // What is there is put in its place.
        put(&path, &made).is(200, &[]);
    }
    put(&maps, &object(json!({}))).is(404, &["not found"]);
    put(&format!("{leases}/status"), &object(json!({}))).is(404, &[]);

    // Whoever names what was there does not get another.
    let gone = caller.get(&leases).json();
    caller
        .ask("DELETE", &leases, "application/json", b"")
        .is(200, &[]);
    put(&leases, &gone).is(409, &["UID in precondition"]);
    let mut version = gone.clone();
    version["metadata"]["uid"] = Value::Null;
    put(&leases, &version).is(409, &["has been modified"]);
    let mut map = object(json!({}));
    map["metadata"]["uid"] = gone["metadata"]["uid"].clone();
    put(&maps, &map).is(409, &["UID in precondition"]);

    // Who may update may not make.
    let kubectl = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        weft.kubectl(&words, "").unwrap()
    };
    kubectl("create role keeper --verb=update --resource=leases.coordination.k8s.io").ok();
    kubectl("create rolebinding keeper --role=keeper --user=keeper").ok();
    let lease = object(json!({ "spec": { "holderIdentity": "me" } })).to_string();
    let as_keeper = || {
        caller.say(
            "PUT",
            &leases,
            &[("Impersonate-User", "keeper")],
            lease.as_bytes(),
        )
    };
    weft_testkit::until(weft_testkit::wait::SOON, "the binding holds", || {
        !as_keeper().body.contains("cannot update")
    });
    as_keeper().is(403, &["cannot create"]);
    caller.get(&leases).is(404, &[]);
}
