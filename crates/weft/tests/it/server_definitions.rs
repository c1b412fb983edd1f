//! `weft server`: kinds that users define, and namespaces that end, with the real kubectl.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use weft_testkit::wait::SOON;
use weft_testkit::{Ran, Weft, until};

use crate::server_kubectl::{apply, kubectl, server};
use crate::server_line;

const DEFINITION: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: shops.example.com }
spec:
  group: example.com
  scope: Namespaced
  names: { plural: shops, singular: shop, kind: Shop, shortNames: [sh], categories: [all] }
  versions:
  - name: v1
    served: true
    storage: true
    subresources:
      status: {}
      scale: { specReplicasPath: .spec.tills, statusReplicasPath: .status.open }
    additionalPrinterColumns:
    - { name: Owner, type: string, jsonPath: .spec.owner }
    - { name: Tills, type: integer, jsonPath: .spec.tills }
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [owner]
            properties:
              owner: { type: string, minLength: 2, description: Whose it is. }
              tills: { type: integer, minimum: 0, maximum: 9, default: 1 }
              days: { type: array, items: { type: string, enum: [mon, tue] } }
          status:
            type: object
            properties:
              open: { type: integer }
"#;

const SHOP: &str = "
apiVersion: example.com/v1
kind: Shop
metadata: { name: corner }
spec: { owner: ann }
";

fn shop(weft: &Weft) -> Value {
    serde_json::from_str(kubectl(weft, "get sh corner -o json").ok()).unwrap()
}

fn define(weft: &Weft) {
    apply(weft, DEFINITION).ok();
    let wait = "wait --for=condition=Established --timeout=60s crd/shops.example.com";
    kubectl(weft, wait).ok();
}

fn patch(weft: &Weft, kind: &str, patch: &Value) -> Ran {
    let patch = patch.to_string();
    let words = ["patch", "shop", "corner", "--type", kind, "-p", &patch];
    weft.kubectl(&words, "").unwrap()
}

/// The cells of a table's rows, each row's in one line.
fn cells(ran: &Ran) -> Vec<String> {
    let row = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    ran.ok().lines().map(row).collect()
}

#[test]
fn kubectl_defines_a_kind_and_uses_it_like_any_other() {
    let Some(weft) = server() else { return };
    define(&weft);
    let kinds = kubectl(&weft, "api-resources --api-group=example.com");
    assert!(kinds.ok().contains("sh "), "{}", kinds.stdout);
    let told = kubectl(&weft, "explain shop.spec.owner");
    assert!(told.ok().contains("Whose it is."), "{}", told.stdout);
    assert_eq!(apply(&weft, SHOP).ok(), "shop.example.com/corner created");
    assert_eq!(apply(&weft, SHOP).ok(), "shop.example.com/corner unchanged");
    assert_eq!(shop(&weft)["spec"], json!({ "owner": "ann", "tills": 1 }));
    let table = cells(&kubectl(&weft, "get sh"));
    assert_eq!(table, ["NAME OWNER TILLS", "corner ann 1"]);
    assert!(
        kubectl(&weft, "get all")
            .ok()
            .contains("shop.example.com/corner")
    );

    // Every mistake is told by its path; what is not known is refused, or left out and warned of.
    let wrong = SHOP.replace(
        "{ owner: ann }",
        "{ owner: a, tills: 10, days: [mon, fri] }",
    );
    apply(&weft, &wrong).fails_saying(&["spec.owner", "spec.tills", "spec.days[1]"]);
    let wrong = SHOP.replace("owner: ann", "tills: x");
    apply(&weft, &wrong).fails_saying(&["spec.owner", "spec.tills"]);
    let more = SHOP.replace("owner: ann", "owner: ann, colour: red");
    apply(&weft, &more).fails_saying(&["unknown field", "spec.colour"]);
    let words = ["apply", "--validate=warn", "-f", "-"];
    let warned = weft.kubectl(&words, &more).unwrap();
    warned.ok();
    assert!(warned.stderr.contains("spec.colour"), "{}", warned.stderr);
    assert_eq!(shop(&weft)["spec"].get("colour"), None);

    patch(&weft, "merge", &json!({ "spec": { "owner": "bob" } })).ok();
    patch(
        &weft,
        "json",
        &json!([{ "op": "add", "path": "/spec/days", "value": ["mon"] }]),
    )
    .ok();
    patch(&weft, "strategic", &json!({ "spec": { "owner": "eve" } }))
        .fails_saying(&["strategic-merge-patch+json is not supported"]);
    patch(&weft, "merge", &json!({ "spec": { "owner": null } })).fails_saying(&["spec.owner"]);
    // A whole number is one however it is written.
    patch(&weft, "merge", &json!({ "spec": { "tills": 3.0 } })).ok();
    assert_eq!(shop(&weft)["spec"]["tills"].to_string(), "3");
    patch(&weft, "merge", &json!({ "spec": { "tills": 3.5 } })).fails_saying(&["spec.tills"]);
    kubectl(&weft, "scale shop corner --replicas=4").ok();
    let status = json!({ "status": { "open": 3 }, "spec": { "owner": "nobody" } }).to_string();
    let words = [
        "patch",
        "shop",
        "corner",
        "--subresource=status",
        "--type=merge",
        "-p",
        &status,
    ];
    weft.kubectl(&words, "").unwrap().ok();
    let found = shop(&weft);
    assert_eq!(
        found["spec"],
        json!({ "owner": "bob", "tills": 4, "days": ["mon"] })
    );
    assert_eq!(found["status"], json!({ "open": 3 }));
    let applied = weft.kubectl(
        &["apply", "--server-side", "--force-conflicts", "-f", "-"],
        SHOP,
    );
    applied.unwrap().ok();
    let told = kubectl(&weft, "describe shop corner");
    assert!(told.ok().contains("Tills:"), "{}", told.stdout);
}

#[test]
fn what_is_defined_survives_kill_9_and_goes_with_its_definition() {
    let Some(mut weft) = server() else { return };
    define(&weft);
    apply(&weft, SHOP).ok();
    let before = shop(&weft);
    weft.kill_daemon();
    weft.start_daemon();
    // At once: who asks first is not told that there is no such kind.
    let path = "/apis/example.com/v1/namespaces/default/shops/corner";
    let found = kubectl(&weft, &format!("get --raw {path}"));
    let found: Value = serde_json::from_str(found.ok()).unwrap();
    assert_eq!(found["metadata"]["uid"], before["metadata"]["uid"]);
    let words = ["get", "shops", "--watch", "-o", "name"];
    let watch = weft.kubectl_in_background(&words).unwrap();
    watch.says("shop.example.com/corner\n");
    apply(&weft, &SHOP.replace("corner", "other")).ok();
    watch.says("shop.example.com/other\n");
    // Another kind of a name that is taken is told so, and is not served.
    let rival = DEFINITION
        .replace("plural: shops", "plural: stalls")
        .replace("shops.", "stalls.");
    apply(&weft, &rival).ok();
    let reason = "get crd stalls.example.com -o jsonpath={.status.conditions[*].message}";
    until(SOON, "the clash is told", || {
        kubectl(&weft, reason).ok().contains("already in use")
    });
    kubectl(&weft, "get --raw /apis/example.com/v1/stalls").fails_saying(&["NotFound"]);

    kubectl(&weft, "delete crd stalls.example.com").ok();

    // A finalizer inside holds the definition; new ones are refused meanwhile.
    let hold = json!({ "metadata": { "finalizers": ["example.com/hold"] } });
    patch(&weft, "merge", &hold).ok();
    kubectl(&weft, "delete crd shops.example.com --wait=false").ok();
    until(SOON, "the other one is gone", || {
        kubectl(&weft, "get shops -o name").stdout.trim() == "shop.example.com/corner"
    });
    let late = SHOP.replace("corner", "late");
    let words = ["create", "-f", "-"];
    assert_ne!(weft.kubectl(&words, &late).unwrap().code, 0);
    patch(
        &weft,
        "merge",
        &json!({ "metadata": { "finalizers": null } }),
    )
    .ok();
    kubectl(
        &weft,
        "wait --for=delete --timeout=60s crd/shops.example.com",
    )
    .ok();
    kubectl(&weft, &format!("get --raw {path}")).fails_saying(&["NotFound"]);
    // The same name again begins without what was.
    define(&weft);
    until(SOON, "the kind is served", || {
        kubectl(&weft, "get shops -o name").stdout.trim().is_empty()
    });
}

#[test]
fn a_namespace_goes_when_all_in_it_is_gone() {
    let Some(weft) = server() else { return };
    kubectl(&weft, "create namespace shop").ok();
    kubectl(&weft, "create -n shop configmap a").ok();
    kubectl(&weft, "create -n shop serviceaccount robot").ok();
    let held = r#"{"metadata":{"finalizers":["example.com/hold"]}}"#;
    let words = ["patch", "-n", "shop", "cm", "a", "--type=merge", "-p", held];
    weft.kubectl(&words, "").unwrap().ok();
    kubectl(&weft, "delete namespace shop --wait=false").ok();
    let phase = kubectl(&weft, "get ns shop -o jsonpath={.status.phase}");
    assert_eq!(phase.ok(), "Terminating");
    kubectl(&weft, "create -n shop configmap b").fails_saying(&["being terminated", "forbidden"]);
    let told = "get ns shop -o jsonpath={.status.conditions[*].message}";
    until(SOON, "what holds it is told", || {
        kubectl(&weft, told).ok().contains("configmaps")
    });
    assert_eq!(kubectl(&weft, "get sa -n shop -o name").ok(), "");
    let free = r#"{"metadata":{"finalizers":null}}"#;
    let words = ["patch", "-n", "shop", "cm", "a", "--type=merge", "-p", free];
    weft.kubectl(&words, "").unwrap().ok();
    kubectl(&weft, "wait --for=delete --timeout=60s ns/shop").ok();
    kubectl(&weft, "get ns shop").fails_saying(&["NotFound"]);
    kubectl(&weft, "create namespace shop").ok();
    until(SOON, "only what each namespace has is there", || {
        kubectl(&weft, "get cm -n shop -o name").ok() == "configmap/kube-root-ca.crt"
    });
}

#[test]
fn a_definition_that_becomes_narrower_holds_nothing_for_ever() {
    let Some(weft) = server() else { return };
    weft.kubectl(&["apply", "-f", "-"], DEFINITION)
        .unwrap()
        .ok();
    let wait = "wait --for=condition=Established crd/shops.example.com --timeout=20s";
    kubectl(&weft, wait).ok();
    let shop = SHOP
        .replace("owner: ann", "owner: ann, tills: 9, days: [mon]")
        .replace("corner }", "corner, finalizers: [a.b/c] }");
    weft.kubectl(&["create", "-f", "-"], &shop).unwrap().ok();
    let narrower = DEFINITION.replace("maximum: 9", "maximum: 2").replace(
        "              days: { type: array, items: { type: string, enum: [mon, tue] } }\n",
        "",
    );
    weft.kubectl(&["apply", "-f", "-"], &narrower).unwrap().ok();
    // Until the new definition holds.
    let more = r#"patch shop corner --type=merge -p {"spec":{"tills":8}}"#;
    until(SOON, "the narrower definition holds", || {
        kubectl(&weft, more)
            .stderr
            .contains("less than or equal to 2")
    });
    kubectl(&weft, "label shop corner a=b").ok();
    let other = r#"patch shop corner --type=merge -p {"spec":{"owner":"bob"}}"#;
    kubectl(&weft, other).ok();
    assert_eq!(
        kubectl(&weft, "get shop corner -o jsonpath={.spec}").ok(),
        r#"{"owner":"bob","tills":9}"#
    );
    // Who may only say how it is does not let it go.
    let status = r#"patch shop corner --subresource=status --type=merge -p {"metadata":{"finalizers":null,"labels":{"a":"c"}},"status":{"open":1}}"#;
    kubectl(&weft, status).ok();
    let held = "get shop corner -o jsonpath={.metadata.finalizers}{.metadata.labels}{.status}";
    assert_eq!(kubectl(&weft, held).ok(), r#"["a.b/c"]{"a":"b"}{"open":1}"#);
    kubectl(&weft, "delete shop corner --wait=false").ok();
    kubectl(
        &weft,
        r#"patch shop corner --type=merge -p {"metadata":{"finalizers":null}}"#,
    )
    .ok();
    kubectl(&weft, "get shop corner").fails_saying(&["not found"]);
}

/// Defaults and fields of today, of objects stored before.
#[test]
fn what_is_stored_is_read_as_it_is_defined_today() {
    let Some(mut weft) = server() else { return };
    define(&weft);
    let old = SHOP.replace("owner: ann", "owner: ann, days: [mon]");
    apply(&weft, &old).ok();
    let version = "get shop corner -o jsonpath={.metadata.resourceVersion}";
    let before = kubectl(&weft, version).ok().to_owned();
    let days = "              days: { type: array, items: { type: string, enum: [mon, tue] } }\n";
    let colour = "              colour: { type: string, default: red }\n";
    let changed = DEFINITION.replace(days, colour);
    apply(&weft, &changed).ok();
    // A write does not go by what was there before.
    let made = SHOP.replace("corner", "second");
    apply(&weft, &made).ok();
    let list = "get shops -o jsonpath={.items[*].spec}";
    let spec = r#"{"colour":"red","owner":"ann","tills":1}"#;
    let both = format!("{spec} {spec}");
    assert_eq!(kubectl(&weft, list).ok(), both);
    assert_eq!(shop(&weft)["spec"]["colour"], "red");
    let chosen = kubectl(
        &weft,
        "get --raw /apis/example.com/v1/shops?watch=1&timeoutSeconds=1",
    );
    assert_eq!(chosen.ok().matches(spec).count(), 2);
    // Nothing is written by that, nor by a change of nothing.
    patch(&weft, "merge", &json!({ "spec": { "owner": "ann" } })).ok();
    assert_eq!(kubectl(&weft, version).ok(), before);
    weft.kill_daemon();
    weft.start_daemon();
    assert_eq!(kubectl(&weft, list).ok(), both);
    let bob = json!([{ "op": "test", "path": "/spec/colour", "value": "red" },
        { "op": "replace", "path": "/spec/owner", "value": "bob" }]);
    patch(&weft, "json", &bob).ok();
    // What was the default is the object's own by now.
    apply(&weft, &changed.replace("default: red", "default: blue")).ok();
    apply(&weft, &made.replace("ann", "eve")).ok();
    let colours = "get shops -o jsonpath={.items[*].spec.colour}";
    assert_eq!(kubectl(&weft, colours).ok(), "red red");
}

#[test]
fn a_watch_tells_all_that_goes_with_a_definition_and_then_it_ends() {
    let Some((weft, caller)) = server_line::server() else {
        return;
    };
    define(&weft);
    let shops = "/apis/example.com/v1/namespaces/default/shops";
    let shop = |name: &str| json!({ "metadata": { "name": name }, "spec": { "owner": "ann" } });
    let mut held = shop("held");
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    let made = caller.post(shops, &held).is(201, &[]).json();
    caller.post(shops, &shop("free")).is(201, &[]);
    let version = made["metadata"]["resourceVersion"].as_str().unwrap();
    let watch = &format!("{shops}?watch=true&timeoutSeconds=600&resourceVersion={version}");
    let table = [("Accept", "application/json;as=Table;g=meta.k8s.io;v=v1")];
    let definition = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/shops.example.com";
    std::thread::scope(|scope| {
        let watches = [&[][..], &table].map(|accept| {
            let caller = &caller;
            scope.spawn(move || caller.say("GET", watch, accept, b""))
        });
        caller
            .ask("DELETE", definition, "application/json", b"")
            .is(200, &[]);
        until(SOON, "its end is told", || {
            let told = caller.get(definition).body;
            told.contains("InstanceDeletionInProgress") && told.contains("\"Terminating\"")
        });
        let late = caller.post(shops, &shop("late"));
        late.is(
            405,
            &["create not allowed while custom resource definition is terminating"],
        );
        let free = json!({ "metadata": { "finalizers": null } }).to_string();
        let media = "application/merge-patch+json";
        caller
            .ask("PATCH", &format!("{shops}/held"), media, free.as_bytes())
            .is(200, &[]);
        for watch in watches {
            let told = watch.join().unwrap();
            let told = &told.is(200, &[]).body;
            assert_eq!(told.matches("\"DELETED\"").count(), 2, "{told}");
            assert!(!told.contains("\"ERROR\""), "{told}");
        }
    });
    caller.get(watch).is(404, &[]);
}
