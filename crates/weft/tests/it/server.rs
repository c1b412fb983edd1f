//! `weft server`: the real kubectl, with the objects it serves.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use serde_json::Value;
use weft_testkit::{Weft, peer};

use crate::server_kubectl::{kubectl, server};

const CONFIG: &str = "
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
  labels: { app: web }
data:
  colour: red
";

/// `curl` with a client certificate of a kubeconfig's user, or none.
fn status(weft: &Weft, path: &str) -> String {
    let mut curl = Command::new(peer("curl").unwrap());
    curl.args([
        "--silent",
        "--insecure",
        "--output",
        "/dev/null",
        "--write-out",
        "%{http_code}",
    ]);
    curl.arg(format!("https://{}{path}", weft.address()));
    String::from_utf8(curl.output().unwrap().stdout).unwrap()
}

#[test]
fn kubectl_makes_shows_changes_and_deletes() {
    let Some(weft) = server() else { return };
    let namespaces = kubectl(&weft, "get namespaces -o name");
    assert_eq!(
        namespaces.ok(),
        "namespace/default\nnamespace/kube-node-lease\nnamespace/kube-public\nnamespace/kube-system"
    );
    weft.kubectl(&["apply", "-f", "-"], CONFIG).unwrap().ok();
    let again = weft.kubectl(&["apply", "-f", "-"], CONFIG).unwrap();
    assert_eq!(again.ok(), "configmap/settings unchanged");
    let larger = CONFIG.replace("colour: red", "colour: blue\n  extra: gone");
    let changed = weft.kubectl(&["apply", "-f", "-"], &larger).unwrap();
    assert_eq!(changed.ok(), "configmap/settings configured");
    let back = weft.kubectl(&["apply", "-f", "-"], CONFIG).unwrap();
    assert_eq!(back.ok(), "configmap/settings configured");
    let described = kubectl(&weft, "describe cm settings");
    assert!(
        described.ok().contains("colour:\n----\nred"),
        "{}",
        described.stdout
    );
    assert!(!described.stdout.contains("gone"), "{}", described.stdout);
    let mut edit = weft.kubectl_command(&["edit", "cm", "settings"]).unwrap();
    edit.env("KUBE_EDITOR", "sed -i s/red/green/");
    let edited = edit.output().unwrap();
    assert!(
        edited.status.success(),
        "{}",
        String::from_utf8_lossy(&edited.stderr)
    );
    let colour = kubectl(&weft, "get cm settings -o jsonpath={.data.colour}");
    assert_eq!(colour.ok(), "green");
    let table = kubectl(&weft, "get cm -l app=web");
    assert!(
        table
            .ok()
            .starts_with("NAME       DATA   AGE\nsettings   1 "),
        "{}",
        table.stdout
    );
    kubectl(&weft, "label cm settings tier=front").ok();
    kubectl(&weft, "annotate cm settings note=x").ok();
    let patch = r#"{"data":{"size":"7","colour":null}}"#;
    let args = ["patch", "cm", "settings", "--type=merge", "-p", patch];
    weft.kubectl(&args, "").unwrap().ok();
    let patch = r#"[{"op":"add","path":"/data/shape","value":"round"}]"#;
    let args = ["patch", "cm", "settings", "--type=json", "-p", patch];
    weft.kubectl(&args, "").unwrap().ok();
    let found = kubectl(&weft, "get cm settings -o json");
    let found: Value = serde_json::from_str(found.ok()).unwrap();
    assert_eq!(
        found["data"],
        serde_json::json!({ "shape": "round", "size": "7" })
    );
    assert_eq!(found["metadata"]["labels"]["tier"], "front");
    assert!(
        found["metadata"]["uid"]
            .as_str()
            .is_some_and(|uid| uid.len() == 36)
    );
    kubectl(&weft, "delete cm settings").ok();
    kubectl(&weft, "get cm settings")
        .fails_saying(&["NotFound", "configmaps \"settings\" not found"]);
}

#[test]
fn kubectl_is_told_what_there_is_and_what_is_wrong() {
    let Some(weft) = server() else { return };
    let kinds = kubectl(&weft, "api-resources -o name");
    for kind in [
        "configmaps",
        "namespaces",
        "selfsubjectreviews.authentication.k8s.io",
    ] {
        assert!(kinds.ok().lines().any(|line| line == kind), "{kind}");
    }
    let field = kubectl(&weft, "explain configmaps.data");
    assert!(
        field.ok().contains("FIELD: data <map[string]string>"),
        "{}",
        field.stdout
    );
    let wrong = CONFIG.replace("colour: red", "colour: 5\nsize: 7");
    let refused = weft.kubectl(&["apply", "-f", "-"], &wrong).unwrap();
    refused.fails_saying(&["data.colour", "unknown field \"size\""]);
    let wrong = CONFIG.replace("name: settings", "name: Settings!");
    let refused = weft.kubectl(&["apply", "-f", "-"], &wrong).unwrap();
    refused.fails_saying(&["metadata.name", "RFC 1123"]);
    let away = ["apply", "-n", "nowhere", "-f", "-"];
    let refused = weft.kubectl(&away, CONFIG).unwrap();
    refused.fails_saying(&["namespaces \"nowhere\" not found"]);
}

#[test]
fn kubectl_creates_in_protobuf() {
    let Some(weft) = server() else { return };
    kubectl(&weft, "create namespace shop").ok();
    kubectl(
        &weft,
        "create -n shop configmap prices --from-literal=apple=3 --from-literal=pear=",
    )
    .ok();
    let found = kubectl(&weft, "get -n shop cm prices -o json");
    let mut found: Value = serde_json::from_str(found.ok()).unwrap();
    let meta = found["metadata"].take();
    assert_eq!(
        found,
        serde_json::json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": null,
            "data": { "apple": "3", "pear": "" },
        })
    );
    assert_eq!(
        (&meta["name"], &meta["namespace"]),
        (&"prices".into(), &"shop".into())
    );
    kubectl(&weft, "create -n shop configmap Prices!").fails_saying(&["RFC 1123"]);
}

#[test]
fn what_was_answered_survives_kill_9_and_a_watcher_goes_on() {
    let Some(mut weft) = server() else { return };
    weft.kubectl(&["apply", "-f", "-"], CONFIG).unwrap().ok();
    let args = ["get", "configmaps", "--watch", "--output", "name"];
    let watch = weft.kubectl_in_background(&args).unwrap();
    watch.says("configmap/settings\n");
    let other = CONFIG.replace("name: settings", "name: other");
    weft.kubectl(&["apply", "-f", "-"], &other).unwrap().ok();
    watch.says("configmap/other\n");
    let version = |weft: &Weft| {
        let text = kubectl(
            weft,
            "get cm other -o jsonpath={.metadata.resourceVersion}{.metadata.uid}",
        );
        text.ok().to_owned()
    };
    let before = version(&weft);
    weft.kill_daemon();
    weft.start_daemon();
    assert_eq!(version(&weft), before);
    kubectl(&weft, "delete cm other").ok();
    kubectl(&weft, "get cm settings").ok();
}

#[test]
fn nobody_gets_in_without_a_certificate_nor_further_than_their_roles() {
    let Some(weft) = server() else { return };
    for open in ["/healthz", "/livez", "/readyz", "/version"] {
        assert_eq!(status(&weft, open), "200", "{open}");
    }
    for closed in [
        "/api",
        "/apis",
        "/openapi/v3",
        "/api/v1/namespaces",
        "/metrics",
        "/nothing",
    ] {
        assert_eq!(status(&weft, closed), "401", "{closed}");
    }
    let guest = weft.kubeconfig("guest", "guests");
    let guest = ["--kubeconfig", guest.to_str().unwrap()];
    let get = weft
        .kubectl(&[&guest[..], &["get", "cm"]].concat(), "")
        .unwrap();
    get.fails_saying(&["Forbidden", "guest", "configmaps"]);
    // Discovery is for everybody who is somebody.
    let kinds = weft
        .kubectl(&[&guest[..], &["api-resources"]].concat(), "")
        .unwrap();
    assert!(kinds.ok().contains("configmaps"));
}
