//! Server-side apply: the real kubectl, with owners of fields and their conflicts.
#![allow(clippy::unwrap_used)]

use serde_json::Value;
use weft_testkit::Weft;

use crate::server_kubectl::{kubectl, kubectl_with_input, server};

const CONFIG: &str = "
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
data:
  colour: red
  size: small
";

fn data(weft: &Weft) -> Value {
    let found = kubectl(weft, "get cm settings -o jsonpath={.data}");
    serde_json::from_str(found.ok()).unwrap()
}

#[test]
fn kubectl_applies_on_the_server() {
    let Some(weft) = server() else { return };
    let apply = "apply --server-side -f -";
    let made = kubectl_with_input(&weft, apply, CONFIG);
    assert_eq!(made.ok(), "configmap/settings serverside-applied");
    let version = || {
        let found = kubectl(
            &weft,
            "get cm settings -o jsonpath={.metadata.resourceVersion}",
        );
        found.ok().to_owned()
    };
    let before = version();
    kubectl_with_input(&weft, apply, CONFIG).ok();
    assert_eq!(version(), before, "the same again changes nothing");

    // Another one wants another colour.
    let other = CONFIG.replace("red", "blue").replace("  size: small\n", "");
    let rival = "apply --server-side --field-manager=rival -f -";
    kubectl_with_input(&weft, rival, &other).fails_saying(&[
        "Apply failed with 1 conflict: conflict with \"kubectl\": .data.colour",
        "--force-conflicts",
    ]);
    let forced = kubectl_with_input(&weft, &format!("{rival} --force-conflicts"), &other);
    forced.ok();
    assert_eq!(data(&weft)["colour"], "blue");
    // What the first one no longer names goes, what it lost stays.
    let less = CONFIG.replace("  colour: red\n  size: small\n", "  shape: round\n");
    kubectl_with_input(&weft, apply, &less).ok();
    assert_eq!(
        data(&weft),
        serde_json::json!({ "colour": "blue", "shape": "round" })
    );

    // An update takes what it changes.
    kubectl(
        &weft,
        "patch cm settings --type=merge -p {\"data\":{\"shape\":\"flat\"}}",
    )
    .ok();
    kubectl_with_input(&weft, apply, &less)
        .fails_saying(&["conflict with \"kubectl-patch\" using v1", ".data.shape"]);
    let shown = kubectl(&weft, "get cm settings -o yaml --show-managed-fields");
    assert!(shown.ok().contains("manager: rival"), "{}", shown.stdout);
    let shown = kubectl(&weft, "get cm settings -o yaml");
    assert!(!shown.ok().contains("managedFields"), "{}", shown.stdout);

    let diff = kubectl_with_input(
        &weft,
        "diff --server-side --force-conflicts -f -",
        &less.replace("round", "long"),
    );
    let mut changed = diff
        .stdout
        .lines()
        .filter(|line| line.starts_with(['+', '-']));
    assert!(diff.stdout.contains("+  shape: long"), "{}", diff.stdout);
    assert!(
        !changed.any(|line| line.contains("resourceVersion")),
        "{}",
        diff.stdout
    );
    kubectl_with_input(
        &weft,
        apply,
        "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: b }\ndata: { a: 1 }",
    )
    .fails_saying(&["data.a"]);
}

#[test]
fn what_was_applied_by_the_client_goes_on_on_the_server() {
    let Some(weft) = server() else { return };
    kubectl_with_input(&weft, "apply -f -", CONFIG).ok();
    let other = CONFIG.replace("red", "green");
    kubectl_with_input(&weft, "apply --server-side -f -", &other).ok();
    assert_eq!(data(&weft)["colour"], "green");
    let less = other.replace("  size: small\n", "");
    kubectl_with_input(&weft, "apply --server-side -f -", &less).ok();
    assert_eq!(data(&weft), serde_json::json!({ "colour": "green" }));
}

const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, labels: { app: web } }
spec:
  replicas: 1
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
      - { name: web, image: red, ports: [{ containerPort: 80 }] }
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: web }, ports: [{ port: 80 }] }
";

#[test]
fn a_workload_goes_from_the_client_to_the_server_and_back() {
    let Some(weft) = server() else { return };
    let image = "get deployment web -o jsonpath={..image}";
    kubectl_with_input(&weft, "apply -f -", WEB).ok();
    for (verb, colour) in [
        ("apply --server-side -f -", "red"),
        ("apply --server-side -f -", "green"),
        ("apply -f -", "blue"),
        ("apply --server-side --force-conflicts -f -", "white"),
    ] {
        let config = WEB.replace("red", colour);
        let applied = kubectl_with_input(&weft, verb, &config);
        applied.ok();
        let warned = applied.stderr.contains("re-apply");
        assert!(!warned, "{verb}: {}", applied.stderr);
        assert_eq!(kubectl(&weft, image).ok(), colour, "{verb}");
        let port = "get service web -o jsonpath={.spec.ports[0].port}";
        assert_eq!(kubectl(&weft, port).ok(), "80");
    }
}

/// Left out on its own side again, a field goes; labels are not touched in between.
#[test]
fn what_the_server_applied_the_client_knows_when_it_is_back() {
    let Some(weft) = server() else { return };
    kubectl_with_input(&weft, "apply -f -", CONFIG).ok();
    let more = CONFIG.replace("  size: small\n", "  size: small\n  shape: round\n");
    kubectl_with_input(&weft, "apply --server-side -f -", &more).ok();
    kubectl_with_input(&weft, "apply -f -", CONFIG).ok();
    assert_eq!(data(&weft).get("shape"), None);
    // Nobody else's application is written down.
    let rival = "apply --server-side --field-manager=rival -f -";
    kubectl_with_input(&weft, rival, &more).ok();
    kubectl_with_input(&weft, "apply -f -", CONFIG).ok();
    assert_eq!(data(&weft)["shape"], "round");
}
