//! `weft server`: definitions with several versions, one of which is stored.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use crate::server_kubectl::{apply, kubectl, kubectl_with_input};
use crate::server_line::{self, Caller};

const PATH: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/routes.example.com";
const MERGE: &str = "application/merge-patch+json";

fn shelf(version: &str) -> String {
    format!("/apis/example.com/{version}/namespaces/default/routes")
}

/// `v1beta1` knows `colour`, `v1` knows `size`; both know `host`.
fn definition(stored: &str) -> Value {
    let version = |name: &str, own: &str, default: &str| {
        json!({
            "name": name, "served": true, "storage": name == stored,
            "subresources": {
                "status": {},
                "scale": { "specReplicasPath": ".spec.tills", "statusReplicasPath": ".status.open" },
            },
            "additionalPrinterColumns": [
                { "name": own, "type": "string", "jsonPath": format!(".spec.{own}") },
            ],
            "schema": { "openAPIV3Schema": { "type": "object", "properties": {
                "spec": { "type": "object", "properties": {
                    "host": { "type": "string", "description": format!("Where {name} is.") },
                    "tills": { "type": "integer" },
                    own: { "type": "string", "default": default },
                } },
                "status": { "type": "object", "properties": { "open": { "type": "integer" } } },
            } } },
        })
    };
    let mut versions = json!([
        version("v1beta1", "colour", "red"),
        version("v1", "size", "small"),
        version("v1alpha1", "size", "tiny"),
    ]);
    versions[0]["deprecated"] = true.into();
    versions[2]["served"] = false.into();
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "routes.example.com" },
        "spec": {
            "group": "example.com", "scope": "Namespaced", "versions": versions,
            "names": { "plural": "routes", "singular": "route", "kind": "Route" },
        },
    })
}

fn route(name: &str, spec: &Value) -> Value {
    json!({ "metadata": { "name": name }, "spec": spec })
}

fn change(caller: &Caller, path: &str, patch: &Value) -> server_line::Said {
    caller.ask("PATCH", path, MERGE, patch.to_string().as_bytes())
}

fn spec(caller: &Caller, version: &str, name: &str) -> Value {
    let path = format!("{}/{name}", shelf(version));
    let found = caller.get(&path).is(200, &[]).json();
    assert_eq!(found["apiVersion"], format!("example.com/{version}"));
    found["spec"].clone()
}

#[test]
fn each_version_of_a_definition_is_served_and_one_is_stored() {
    let Some((weft, caller)) = server_line::server() else {
        return;
    };
    apply(&weft, &definition("v1").to_string()).ok();
    kubectl(
        &weft,
        "wait --for=condition=Established --timeout=60s crd/routes.example.com",
    )
    .ok();
    let group = caller.get("/apis/example.com").is(200, &[]).json();
    let versions = group["versions"].as_array().unwrap().iter();
    let versions: Vec<&str> = versions.filter_map(|one| one["version"].as_str()).collect();
    assert_eq!(versions, ["v1", "v1beta1"]);
    assert_eq!(group["preferredVersion"]["version"], "v1");
    caller.get(&shelf("v1alpha1")).is(404, &[]);
    for version in ["v1", "v1beta1"] {
        let told = kubectl(
            &weft,
            &format!("explain route.spec.host --api-version=example.com/{version}"),
        );
        assert!(
            told.ok().contains(&format!("Where {version} is.")),
            "{}",
            told.stdout
        );
    }

    // Each version has its fields; what is stored is the same.
    let from = |version: &str| {
        let list = caller.get(&shelf(version)).is(200, &[]).json();
        assert_eq!(list["apiVersion"], format!("example.com/{version}"));
        let since = list["metadata"]["resourceVersion"]
            .as_str()
            .unwrap()
            .to_owned();
        format!(
            "{}?watch=true&timeoutSeconds=1&resourceVersion={since}",
            shelf(version)
        )
    };
    let (old, new) = (from("v1beta1"), from("v1"));
    let both = json!({ "host": "a", "size": "big", "colour": "blue" });
    caller.post(&shelf("v1"), &route("new", &both)).is(201, &[]);
    let made = caller.post(&shelf("v1beta1"), &route("old", &both));
    assert_eq!(
        made.is(201, &[]).json()["apiVersion"],
        "example.com/v1beta1"
    );
    let head = &made.head;
    assert!(
        head.contains("example.com/v1beta1 Route is deprecated"),
        "{head}"
    );
    let absent = caller.get(&format!("{}/absent", shelf("v1beta1")));
    let head = &absent.is(404, &[]).head;
    assert!(head.contains("Route is deprecated"), "{head}");
    assert_eq!(
        spec(&caller, "v1", "new"),
        json!({ "host": "a", "size": "big" })
    );
    assert_eq!(spec(&caller, "v1beta1", "new"), json!({ "host": "a" }));
    assert_eq!(
        spec(&caller, "v1", "old"),
        json!({ "host": "a", "size": "small" })
    );
    for (path, version) in [(&old, "v1beta1"), (&new, "v1")] {
        let told = caller.get(path);
        let mark = format!("\"apiVersion\":\"example.com/{version}\",\"metadata\"");
        assert_eq!(
            told.is(200, &[]).body.matches(&mark).count(),
            2,
            "{}",
            told.body
        );
    }
    let table = |version: &str| {
        let line = format!("get routes.{version}.example.com --no-headers");
        kubectl(&weft, &line)
            .ok()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(table("v1"), "new big old small");
    assert_eq!(table("v1beta1").split(' ').count(), 2);

    // Writes of either are seen by the other: as a whole, in part, applied, of status and scale.
    change(
        &caller,
        &format!("{}/old", shelf("v1beta1")),
        &json!({ "spec": { "host": "b" } }),
    )
    .is(200, &[]);
    change(
        &caller,
        &format!("{}/old/status", shelf("v1beta1")),
        &json!({ "status": { "open": 3 } }),
    )
    .is(200, &[]);
    change(
        &caller,
        &format!("{}/old/scale", shelf("v1beta1")),
        &json!({ "spec": { "replicas": 2 } }),
    )
    .is(200, &[]);
    let found = caller.get(&format!("{}/old", shelf("v1"))).json();
    assert_eq!(
        found["spec"],
        json!({ "host": "b", "size": "small", "tills": 2 })
    );
    assert_eq!(found["status"], json!({ "open": 3 }));
    for (version, host) in [("v1beta1", "c"), ("v1", "d")] {
        let config = json!({
            "apiVersion": format!("example.com/{version}"), "kind": "Route",
            "metadata": { "name": "both" }, "spec": { "host": host },
        });
        kubectl_with_input(&weft, "apply --server-side -f -", &config.to_string()).ok();
        let found = caller.get(&format!("{}/both", shelf("v1"))).json();
        let owners = found["metadata"]["managedFields"].as_array().unwrap();
        assert_eq!(
            (owners.len(), &owners[0]["apiVersion"]),
            (1, &config["apiVersion"])
        );
        assert_eq!(found["spec"]["host"], host);
    }
    let wrong = json!({ "apiVersion": "example.com/v1", "metadata": { "name": "x" } });
    caller
        .post(&shelf("v1beta1"), &wrong)
        .is(400, &["does not match the expected apiVersion"]);
    caller
        .ask("DELETE", &shelf("v1beta1"), "application/json", b"")
        .is(200, &[]);
    assert_eq!(caller.get(&shelf("v1")).json()["items"], json!([]));
}

#[test]
fn what_was_stored_in_another_version_is_not_lost() {
    let Some((mut weft, caller)) = server_line::server() else {
        return;
    };
    apply(&weft, &definition("v1beta1").to_string()).ok();
    kubectl(
        &weft,
        "wait --for=condition=Established --timeout=60s crd/routes.example.com",
    )
    .ok();
    let stored = || caller.get(PATH).json()["status"]["storedVersions"].clone();
    assert_eq!(stored(), json!(["v1beta1"]));
    caller
        .post(
            &shelf("v1beta1"),
            &route("old", &json!({ "host": "a", "colour": "blue" })),
        )
        .is(201, &[]);
    let since = caller.get(&shelf("v1")).json()["metadata"]["resourceVersion"].clone();
    let since = since.as_str().unwrap();
    let watch = format!(
        "{}?watch=true&timeoutSeconds=600&resourceVersion={since}",
        shelf("v1")
    );
    std::thread::scope(|scope| {
        let ends = scope.spawn(|| caller.get(&watch));
        // What a kind is made of has changed: who watches it lists anew.
        apply(&weft, &definition("v1").to_string()).ok();
        ends.join().unwrap();
    });
    assert_eq!(stored(), json!(["v1beta1", "v1"]));
    caller
        .post(
            &shelf("v1beta1"),
            &route("new", &json!({ "host": "a", "colour": "blue" })),
        )
        .is(201, &[]);
    caller
        .get(&watch)
        .is(200, &["\"code\":410", "too old resource version"]);
    for _ in 0..2 {
        assert_eq!(
            spec(&caller, "v1beta1", "old"),
            json!({ "host": "a", "colour": "blue" })
        );
        assert_eq!(spec(&caller, "v1", "old"), json!({ "host": "a" }));
        assert_eq!(spec(&caller, "v1beta1", "new"), json!({ "host": "a" }));
        weft.kill_daemon();
        weft.start_daemon();
    }

    // Its schema stays as long as there may be something of it.
    let mut less = definition("v1");
    less["spec"]["versions"].as_array_mut().unwrap().remove(0);
    apply(&weft, &less.to_string())
        .fails_saying(&["status.storedVersions[0]", "missing from spec.versions"]);
    change(
        &caller,
        &format!("{}/old", shelf("v1")),
        &json!({ "spec": { "host": "b" } }),
    )
    .is(200, &[]);
    let none = json!({ "status": { "storedVersions": ["v1beta1"] } });
    change(&caller, &format!("{PATH}/status"), &none)
        .is(422, &["must have the storage version v1"]);
    let done = json!({ "status": { "storedVersions": ["v1"] } });
    change(&caller, &format!("{PATH}/status"), &done).is(200, &[]);
    apply(&weft, &less.to_string()).ok();
    let gone = caller.post(&shelf("v1beta1"), &route("x", &json!({})));
    gone.is(404, &[]);
    assert_eq!(
        spec(&caller, "v1", "old"),
        json!({ "host": "b", "size": "small" })
    );
    let mut twice = definition("v1");
    twice["spec"]["versions"][0]["name"] = "v1".into();
    apply(&weft, &twice.to_string()).fails_saying(&["unique version names"]);
    let mut two = definition("v1");
    two["spec"]["versions"][0]["storage"] = true.into();
    apply(&weft, &two.to_string()).fails_saying(&["exactly one version marked as storage version"]);
}
