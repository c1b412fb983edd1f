//! `weft server`: who may do what, by stored roles, with the real kubectl.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use weft_testkit::wait::SOON;
use weft_testkit::{Ran, Weft, peer, until};

use crate::server_kubectl::{kubectl, server};

/// kubectl as another user, with a certificate of theirs.
fn kubectl_as(weft: &Weft, user: &str, line: &str) -> Ran {
    kubectl_as_with(weft, user, line, "")
}

fn kubectl_as_with(weft: &Weft, user: &str, line: &str, input: &str) -> Ran {
    let config = weft.kubeconfig(user, "people");
    let config = config.to_str().unwrap();
    let mut words = vec!["--kubeconfig", config];
    words.extend(line.split_whitespace());
    weft.kubectl(&words, input).unwrap()
}

/// Rights follow what is stored: soon, not in the same instant.
fn can_soon(weft: &Weft, user: &str, what: &str, expected: &str) {
    until(SOON, &format!("{user} {what}: {expected}"), || {
        let said = kubectl_as(weft, user, &format!("auth can-i {what}"));
        said.stdout.trim() == expected
    });
}

#[test]
fn stored_roles_decide() {
    let Some(weft) = server() else { return };
    assert_eq!(
        kubectl_as(&weft, "ann", "auth can-i get cm").stdout.trim(),
        "no"
    );
    kubectl_as(&weft, "ann", "get cm").fails_saying(&["Forbidden", "User \"ann\" cannot list"]);
    kubectl(
        &weft,
        "create role reader --verb=get,list --resource=configmaps",
    )
    .ok();
    kubectl(&weft, "create rolebinding reads --role=reader --user=ann").ok();
    can_soon(&weft, "ann", "list cm", "yes");
    kubectl_as(&weft, "ann", "get cm").ok();
    for no in [
        "delete cm",
        "list cm -n kube-system",
        "list cm -A",
        "get secrets",
    ] {
        assert_eq!(
            kubectl_as(&weft, "ann", &format!("auth can-i {no}"))
                .stdout
                .trim(),
            "no",
            "{no}"
        );
    }
    let listed = kubectl_as(&weft, "ann", "auth can-i --list");
    assert!(listed.ok().contains("configmaps"), "{}", listed.stdout);
    let who = kubectl_as(&weft, "ann", "auth whoami -o json");
    let who: Value = serde_json::from_str(who.ok()).unwrap();
    assert_eq!(who["status"]["userInfo"]["username"], "ann");
    assert_eq!(
        who["status"]["userInfo"]["groups"],
        json!(["people", "system:authenticated"])
    );
    kubectl(&weft, "delete rolebinding reads").ok();
    can_soon(&weft, "ann", "list cm", "no");
    // To a group, for the whole cluster.
    kubectl(
        &weft,
        "create clusterrolebinding view --clusterrole=view --group=people",
    )
    .ok();
    can_soon(&weft, "ann", "list cm -A", "yes");
    can_soon(&weft, "ann", "get secrets", "no");
}

#[test]
fn the_first_roles_are_objects_that_come_back() {
    let Some(mut weft) = server() else { return };
    let roles = kubectl(&weft, "get clusterroles -o name");
    for name in [
        "cluster-admin",
        "admin",
        "edit",
        "view",
        "system:aggregate-to-view",
    ] {
        let name = format!("clusterrole.rbac.authorization.k8s.io/{name}");
        assert!(
            roles.ok().lines().any(|line| line == name),
            "{}",
            roles.stdout
        );
    }
    let view = kubectl(&weft, "get clusterrole view -o json");
    let view: Value = serde_json::from_str(view.ok()).unwrap();
    let meta = &view["metadata"];
    assert_eq!(
        meta["labels"]["kubernetes.io/bootstrapping"],
        "rbac-defaults"
    );
    assert_eq!(
        meta["annotations"]["rbac.authorization.kubernetes.io/autoupdate"],
        "true"
    );
    assert!(!view["rules"].as_array().unwrap().is_empty());
    // What is added to the smallest is had by those above.
    let nodes = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {
            "name": "see-nodes",
            "labels": { "rbac.authorization.k8s.io/aggregate-to-view": "true" },
        },
        "rules": [{ "apiGroups": [""], "resources": ["nodes"], "verbs": ["get"] }],
    });
    weft.kubectl(&["apply", "-f", "-"], &nodes.to_string())
        .unwrap()
        .ok();
    kubectl(
        &weft,
        "create rolebinding admins --clusterrole=admin --user=bob",
    )
    .ok();
    can_soon(&weft, "bob", "get nodes", "yes");
    kubectl(&weft, "delete clusterrole see-nodes").ok();
    can_soon(&weft, "bob", "get nodes", "no");
    kubectl(&weft, "delete clusterrole view").ok();
    kubectl(
        &weft,
        "annotate --overwrite clusterrole edit rbac.authorization.kubernetes.io/autoupdate=false",
    )
    .ok();
    kubectl(&weft, "label clusterrole edit kubernetes.io/bootstrapping-").ok();
    weft.stop_daemon().code(0);
    weft.start_daemon();
    kubectl(&weft, "get clusterrole view").ok();
    let edit = kubectl(&weft, "get clusterrole edit -o json");
    let edit: Value = serde_json::from_str(edit.ok()).unwrap();
    assert_eq!(
        edit["metadata"]["labels"].get("kubernetes.io/bootstrapping"),
        None
    );
}

#[test]
fn nobody_gives_what_they_do_not_have() {
    let Some(weft) = server() else { return };
    kubectl(
        &weft,
        "create rolebinding admins --clusterrole=admin --user=bob",
    )
    .ok();
    can_soon(&weft, "bob", "create rolebindings", "yes");
    kubectl_as(
        &weft,
        "bob",
        "create role reads --verb=get --resource=configmaps",
    )
    .ok();
    kubectl_as(
        &weft,
        "bob",
        "create role nodes --verb=get --resource=nodes",
    )
    .fails_saying(&["Forbidden", "may not give what they do not have"]);
    kubectl_as(
        &weft,
        "bob",
        "create rolebinding all --clusterrole=cluster-admin --user=bob",
    )
    .fails_saying(&["Forbidden", "may not give what they do not have"]);
    // Nor by any kind of patch.
    let rules = r#"{"rules":[{"apiGroups":["*"],"resources":["*"],"verbs":["*"]}]}"#;
    let operations = r#"[{"op":"replace","path":"/rules/0/verbs/0","value":"*"}]"#;
    for (kind, patch) in [("merge", rules), ("strategic", rules), ("json", operations)] {
        let config = weft.kubeconfig("bob", "people");
        let args = [
            "--kubeconfig",
            config.to_str().unwrap(),
            "patch",
            "role",
            "reads",
        ];
        let args = [&args[..], &["--type", kind, "-p", patch]].concat();
        weft.kubectl(&args, "")
            .unwrap()
            .fails_saying(&["Forbidden"]);
    }
    let found = kubectl(&weft, "get role reads -o jsonpath={.rules[*].verbs}");
    assert_eq!(found.ok(), r#"["get"]"#);
    let wide = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": { "name": "reads", "namespace": "default" },
        "rules": [{ "apiGroups": ["*"], "resources": ["*"], "verbs": ["*"] }],
    });
    let line = "apply --server-side --force-conflicts -f -";
    kubectl_as_with(&weft, "bob", line, &wide.to_string()).fails_saying(&["Forbidden"]);
    let new = wide.to_string().replace("reads", "new");
    kubectl_as_with(&weft, "bob", line, &new).fails_saying(&["Forbidden"]);
    // What does not touch rights is not asked about: bob may not, but the role stays as it is.
    kubectl(&weft, "create role secret --verb=get --resource=nodes").ok();
    let mark = r#"{"metadata":{"finalizers":["a.b/c"]}}"#;
    let config = weft.kubeconfig("bob", "people");
    let config = config.to_str().unwrap();
    let args = [
        "--kubeconfig",
        config,
        "patch",
        "role",
        "secret",
        "--type=merge",
        "-p",
        mark,
    ];
    weft.kubectl(&args, "").unwrap().ok();
}

#[test]
fn reviews_are_answered_and_stored_nowhere() {
    let Some(weft) = server() else { return };
    let ask = |object: Value| -> Value {
        let args = ["create", "--validate=false", "-f", "-", "-o", "json"];
        let said = weft.kubectl(&args, &object.to_string()).unwrap();
        serde_json::from_str(said.ok()).unwrap()
    };
    let review = |kind: &str, spec: Value| {
        let version = "authorization.k8s.io/v1";
        json!({ "apiVersion": version, "kind": kind, "spec": spec })
    };
    let get = json!({ "verb": "get", "resource": "nodes" });
    let of = |groups: Value| json!({ "user": "ann", "groups": groups, "resourceAttributes": get });
    let masters = ask(review("SubjectAccessReview", of(json!(["system:masters"]))));
    assert_eq!(masters["status"]["allowed"], true);
    let nobody = ask(review("SubjectAccessReview", of(json!([]))));
    assert_eq!(nobody["status"]["allowed"], false);
    let path =
        json!({ "user": "a", "nonResourceAttributes": { "path": "/metrics", "verb": "get" } });
    let path = ask(review("SubjectAccessReview", path));
    assert_eq!(path["status"]["allowed"], false);
    let mut local = review(
        "LocalSubjectAccessReview",
        json!({
            "user": "a",
            "resourceAttributes": { "verb": "get", "resource": "pods", "namespace": "default" },
        }),
    );
    local["metadata"]["namespace"] = "default".into();
    assert_eq!(ask(local.clone())["status"]["allowed"], false);
    local["spec"]["resourceAttributes"]["namespace"] = "other".into();
    let refused = weft
        .kubectl(
            &["create", "--validate=false", "-f", "-"],
            &local.to_string(),
        )
        .unwrap();
    refused.fails_saying(&["spec.resourceAttributes.namespace"]);
    for (spec, why) in [
        (
            json!({ "resourceAttributes": get }),
            "at least one of user or groups",
        ),
        (json!({ "user": "a" }), "exactly one of"),
        (json!({ "user": 1 }), "spec.user"),
    ] {
        let object = review("SubjectAccessReview", spec).to_string();
        let refused = weft
            .kubectl(&["create", "--validate=false", "-f", "-"], &object)
            .unwrap();
        refused.fails_saying(&[why]);
    }
    let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    kubectl(&weft, &format!("get --raw {path}")).fails_saying(&["MethodNotAllowed"]);
}

#[test]
fn somebody_may_ask_as_somebody_else() {
    let Some(weft) = server() else { return };
    let who = kubectl(
        &weft,
        "--as=eve --as-group=dev auth whoami -o jsonpath={.status.userInfo}",
    );
    let who: Value = serde_json::from_str(who.ok()).unwrap();
    assert_eq!(who["username"], "eve");
    assert_eq!(who["groups"], json!(["dev", "system:authenticated"]));
    kubectl(&weft, "--as=eve get cm").fails_saying(&["Forbidden", "\"eve\""]);
    let account = kubectl(
        &weft,
        "--as=system:serviceaccount:default:default auth whoami -o jsonpath={.status.userInfo.groups}",
    );
    assert!(
        account.ok().contains("system:serviceaccounts:default"),
        "{}",
        account.stdout
    );
    // Only who may: neither a user nor a group.
    kubectl_as(&weft, "ann", "--as=eve get cm").fails_saying(&["cannot impersonate", "users"]);
    kubectl(
        &weft,
        "create clusterrole eve --verb=impersonate --resource=users --resource-name=eve",
    )
    .ok();
    kubectl(
        &weft,
        "create clusterrolebinding eve --clusterrole=eve --user=ann",
    )
    .ok();
    until(SOON, "ann may be eve", || {
        kubectl_as(&weft, "ann", "--as=eve auth whoami")
            .stdout
            .contains("eve")
    });
    kubectl_as(&weft, "ann", "--as=eve --as-group=system:masters get cm")
        .fails_saying(&["cannot impersonate", "groups"]);
    kubectl_as(&weft, "ann", "--as=root get cm").fails_saying(&["cannot impersonate"]);
    // A uid is a right of its own, in another group.
    kubectl_as(&weft, "ann", "--as=eve --as-uid=u-1 get cm").fails_saying(&[
        "uids.authentication.k8s.io \"u-1\" is forbidden",
        "cannot impersonate",
    ]);
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": { "name": "said" },
        "rules": [{
            "apiGroups": ["authentication.k8s.io"], "verbs": ["impersonate"],
            "resources": ["uids", "userextras/scopes"],
        }],
    });
    let role = role.to_string();
    weft.kubectl(&["create", "-f", "-"], &role).unwrap().ok();
    kubectl(
        &weft,
        "create clusterrolebinding said --clusterrole=said --user=ann",
    )
    .ok();
    let who = "--as=eve --as-uid=u-1 auth whoami -o jsonpath={.status.userInfo.uid}";
    until(SOON, "ann may say eve's uid", || {
        kubectl_as(&weft, "ann", who).stdout == "u-1"
    });
}

#[test]
fn who_did_what_is_written() {
    let Some(mut weft) = server() else { return };
    kubectl(&weft, "create cm noted --from-literal=password=hunter2").ok();
    kubectl(&weft, "get cm noted").ok();
    kubectl_as(&weft, "ann", "get cm noted").fails_saying(&["Forbidden"]);
    kubectl(&weft, "--as=eve --as-group=system:masters delete cm noted").ok();
    let mut curl = std::process::Command::new(peer("curl").unwrap());
    curl.args([
        "--silent",
        "--insecure",
        "--header",
        "Authorization: Bearer abc.def.ghi",
    ]);
    curl.arg(format!("https://{}/api/v1/pods?secret=1", weft.address()));
    assert!(curl.output().unwrap().status.success());
    // What is queued is written at the end.
    weft.stop_daemon().code(0);
    let read =
        |name: &str| std::fs::read_to_string(weft.data_dir().join("server").join(name)).unwrap();
    let known = read("audit.log");
    // Whoever is not known writes elsewhere, and pushes nothing out of here.
    assert!(!known.contains("unauthenticated"), "{known}");
    let text = known + &read("audit-unauthenticated.log");
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let path = "/api/v1/namespaces/default/configmaps/noted";
    let about = |verb: &str, outcome: &str| {
        let mut found = lines
            .iter()
            .filter(|line| line["verb"] == verb && line["outcome"] == outcome);
        let first = found
            .next()
            .unwrap_or_else(|| panic!("{verb} {outcome}: {text}"));
        assert!(found.next().is_none(), "{verb} {outcome}: {text}");
        first
    };
    let made = about("create", "allowed");
    assert_eq!(
        (&made["user"], &made["code"]),
        (&json!("admin"), &json!(201))
    );
    assert_eq!(made["object"], "/api/v1/namespaces/default/configmaps");
    let denied = about("get", "denied");
    assert_eq!(
        (&denied["user"], &denied["object"]),
        (&json!("ann"), &json!(path))
    );
    let gone = about("delete", "allowed");
    assert_eq!(
        (&gone["user"], &gone["object"]),
        (&json!("admin"), &json!(path))
    );
    assert!(
        gone["reason"].as_str().unwrap().starts_with("as \"eve\""),
        "{gone}"
    );
    let stranger = about("get", "unauthenticated");
    assert_eq!(
        (&stranger["object"], &stranger["code"]),
        (&json!("/api/v1/pods"), &json!(401))
    );
    for secret in ["hunter2", "abc.def.ghi", "secret=1"] {
        assert!(!text.contains(secret), "{text}");
    }
    weft.start_daemon();
}

#[test]
fn what_is_applied_and_not_there_is_made() {
    let Some(weft) = server() else { return };
    let line = "create role patcher --verb=get,patch --resource=configmaps";
    kubectl(&weft, line).ok();
    kubectl(
        &weft,
        "create rolebinding patcher --role=patcher --user=ann",
    )
    .ok();
    can_soon(&weft, "ann", "patch cm", "yes");
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "a" }, "data": { "b": "c" },
    });
    let line = "apply --server-side -f -";
    kubectl_as_with(&weft, "ann", line, &object.to_string())
        .fails_saying(&["Forbidden", "cannot create"]);
    kubectl(&weft, "create cm a").ok();
    kubectl_as_with(&weft, "ann", line, &object.to_string()).ok();
}
