//! Deletion: what owners leave behind, finalizers, grace, namespaces, with the real kubectl.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use weft_testkit::Weft;

use crate::server_kubectl::{kubectl, kubectl_with_input, server};

/// A config map, owned by these, held by these.
fn map(weft: &Weft, name: &str, owners: &[&str], finalizers: &[&str]) -> String {
    let owners: Vec<Value> = owners
        .iter()
        .map(|owner| {
            let uid = kubectl(
                weft,
                &format!("get cm {owner} -o jsonpath={{.metadata.uid}}"),
            );
            json!({
                "apiVersion": "v1", "kind": "ConfigMap", "name": owner, "uid": uid.ok(),
                "blockOwnerDeletion": true,
            })
        })
        .collect();
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": name, "ownerReferences": owners, "finalizers": finalizers },
    });
    kubectl_with_input(weft, "create -f -", &object.to_string())
        .ok()
        .to_owned()
}

fn is_gone(weft: &Weft, name: &str) {
    let wait = format!("wait --for=delete cm/{name} --timeout=30s");
    kubectl(weft, &wait).ok();
}

#[test]
fn what_is_owned_goes_with_its_owners() {
    let Some(mut weft) = server() else { return };
    map(&weft, "father", &[], &[]);
    map(&weft, "mother", &[], &[]);
    map(&weft, "child", &["father", "mother"], &[]);
    map(&weft, "grandchild", &["child"], &[]);
    kubectl(&weft, "delete cm father").ok();
    let left = [
        "wait",
        "--for=jsonpath={.metadata.ownerReferences[0].name}=mother",
        "cm/child",
    ];
    weft.kubectl(&left, "").unwrap().ok();
    // What happens while nobody looks is seen at the next start.
    map(&weft, "late", &["mother"], &[]);
    kubectl(&weft, "delete cm mother").ok();
    weft.kill_daemon();
    weft.start_daemon();
    for name in ["child", "grandchild", "late"] {
        is_gone(&weft, name);
    }
}

#[test]
fn what_is_owned_stays_goes_first_or_goes_later_as_is_asked() {
    let Some(weft) = server() else { return };
    map(&weft, "owner", &[], &[]);
    map(&weft, "kept", &["owner"], &[]);
    kubectl(&weft, "delete cm owner --cascade=orphan").ok();
    let kept = kubectl(&weft, "get cm kept -o jsonpath={.metadata.ownerReferences}");
    assert_eq!(kept.ok(), "");

    map(&weft, "owner", &[], &[]);
    map(&weft, "held", &["owner"], &["example.com/hold"]);
    kubectl(&weft, "delete cm owner --cascade=foreground --wait=false").ok();
    let deleting = [
        "wait",
        "--for=jsonpath={.metadata.deletionGracePeriodSeconds}=0",
        "cm/held",
    ];
    weft.kubectl(&deleting, "").unwrap().ok();
    kubectl(&weft, "get cm owner").ok();
    let free = "patch cm held --type=merge -p {\"metadata\":{\"finalizers\":null}}";
    kubectl(&weft, free).ok();
    is_gone(&weft, "held");
    is_gone(&weft, "owner");
    // An owner that never was.
    let orphan = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": "nobodys", "ownerReferences": [{
            "apiVersion": "v1", "kind": "ConfigMap", "name": "kept", "uid": "another",
        }] },
    });
    kubectl_with_input(&weft, "create -f -", &orphan.to_string()).ok();
    is_gone(&weft, "nobodys");
}

#[test]
fn a_pod_on_a_node_is_given_its_time() {
    let Some(weft) = server() else { return };
    let pod = |name: &str, node: &str| {
        json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name },
            "spec": {
                "nodeName": node, "terminationGracePeriodSeconds": 20,
                "containers": [{ "name": "a", "image": "b" }],
            },
        })
        .to_string()
    };
    kubectl_with_input(&weft, "create -f -", &pod("here", "n1")).ok();
    let mut nowhere: Value = serde_json::from_str(&pod("nowhere", "")).unwrap();
    nowhere["spec"].as_object_mut().unwrap().remove("nodeName");
    kubectl_with_input(&weft, "create -f -", &nowhere.to_string()).ok();
    kubectl(&weft, "delete pod nowhere").ok();
    kubectl(&weft, "delete pod here --wait=false").ok();
    let grace = "get pod here -o jsonpath={.metadata.deletionGracePeriodSeconds}";
    assert_eq!(kubectl(&weft, grace).ok(), "20");
    kubectl(&weft, "delete pod here --wait=false --grace-period=5").ok();
    assert_eq!(kubectl(&weft, grace).ok(), "5");
    kubectl(&weft, "delete pod here --wait=false --grace-period=9").ok();
    assert_eq!(kubectl(&weft, grace).ok(), "5");
    // A change while it ends does not end it.
    kubectl(&weft, "label pod here a=b").ok();
    kubectl(&weft, "get pod here").ok();
    kubectl(&weft, "delete pod here --grace-period=0 --force").ok();
    kubectl(&weft, "get pod here").fails_saying(&["NotFound"]);
}

#[test]
fn what_cannot_be_read_is_deleted_by_who_may_alone() {
    let Some(weft) = server() else { return };
    for name in ["a", "b"] {
        kubectl(
            &weft,
            &format!("create secret generic {name} --from-literal=x=y"),
        )
        .ok();
    }
    kubectl(
        &weft,
        "create rolebinding edits --clusterrole=edit --user=ann",
    )
    .ok();
    let unread = "ignoreStoreReadErrorWithClusterBreakingPotential";
    let delete = |flags: &str, rest: &str| {
        let secret = "/api/v1/namespaces/default/secrets";
        kubectl(&weft, &format!("delete {flags} --raw {secret}{rest}"))
    };
    let ann = format!(
        "--kubeconfig {}",
        weft.kubeconfig("ann", "people").display()
    );
    weft_testkit::until(std::time::Duration::from_secs(60), "ann may delete", || {
        kubectl(&weft, &format!("{ann} auth can-i delete secrets")).code == 0
    });
    delete(&ann, &format!("/a?{unread}=true")).fails_saying(&["unsafe-delete-ignore-read-errors"]);
    for rest in [
        format!("/a?{unread}=true&dryRun=All"),
        format!("/a?{unread}=true&gracePeriodSeconds=0"),
        format!("/a?{unread}=true&propagationPolicy=Orphan"),
        format!("?{unread}=true"),
    ] {
        delete("", &rest).fails_saying(&[unread]);
    }
    // What can be read goes as it always does.
    kubectl(&weft, "get secret a b").ok();
    delete("", &format!("/a?{unread}=true")).ok();
    kubectl(&weft, "get secret a").fails_saying(&["not found"]);
    delete("", &format!("/a?{unread}=true")).fails_saying(&["not found"]);
    delete(&ann, "/b").ok();
}

#[test]
fn an_object_that_goes_is_held_by_nobody_new_and_answers_as_it_was_last() {
    let Some(weft) = server() else { return };
    map(&weft, "held", &[], &["a.b/c"]);
    kubectl(&weft, "delete cm held --wait=false").ok();
    let more = r#"patch cm held --type=merge -p {"metadata":{"finalizers":["a.b/c","d.e/f"]}}"#;
    kubectl(&weft, more).fails_saying(&["no new finalizers can be added", "d.e/f"]);
    let none = r#"patch cm held --type=merge -p {"metadata":{"finalizers":null}}"#;
    assert_eq!(kubectl(&weft, none).ok(), "configmap/held patched");
    kubectl(&weft, "get cm held").fails_saying(&["not found"]);
}
