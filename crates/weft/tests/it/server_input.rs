//! `weft server`: bodies and questions that cannot be meant.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use weft_testkit::{Ran, Weft};

use crate::server_kubectl::server;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// Sends `body` as it is.
fn post(weft: &Weft, path: &str, body: &str) -> Ran {
    let args = ["create", "--raw", path, "-f", "-"];
    weft.kubectl(&args, body).unwrap()
}

fn get(weft: &Weft, path: &str) -> Ran {
    weft.kubectl(&["get", "--raw", path], "").unwrap()
}

fn json_of(ran: &Ran) -> Value {
    serde_json::from_str(ran.ok()).unwrap()
}

fn map(name: &str) -> Value {
    json!({ "metadata": { "name": name }, "data": { "a": "b" } })
}

#[test]
fn bodies_that_cannot_be_meant_are_refused_and_leave_nothing() {
    let Some(weft) = server() else { return };
    let deep = format!("{}1{}", "[".repeat(2000), "]".repeat(2000));
    let large = json!({ "metadata": { "name": "x" }, "data": { "a": "y".repeat(4 << 20) } });
    let too_much = json!({ "metadata": { "name": "x" }, "data": { "a": "y".repeat(1100 << 10) } });
    let strict = format!("{MAPS}?fieldValidation=Strict");
    let twice = r#"{"metadata":{"name":"x"},"data":{"a":"1","a":"2"}}"#;
    let odd = r#"{"metadata":{"name":"x"},"dota":{"a":"1"}}"#;
    let other = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "x" } });
    for (path, body, words) in [
        (MAPS, "{".to_owned(), vec!["not valid JSON"]),
        (MAPS, "[]".to_owned(), vec!["the body is no object"]),
        (MAPS, deep, vec!["not valid JSON", "recursion"]),
        (MAPS, large.to_string(), vec!["more than 3145728 bytes"]),
        (MAPS, too_much.to_string(), vec!["1048576 bytes"]),
        (&strict, twice.to_owned(), vec!["duplicate field", "data.a"]),
        (&strict, odd.to_owned(), vec!["unknown field", "dota"]),
        (
            MAPS,
            other.to_string(),
            vec!["does not match the expected kind", "ConfigMap"],
        ),
        (
            MAPS,
            "{}".to_owned(),
            vec!["metadata.name", "Required value"],
        ),
        (
            MAPS,
            map("a/../b").to_string(),
            vec!["metadata.name", "RFC 1123"],
        ),
        (
            MAPS,
            map(&"x".repeat(300)).to_string(),
            vec!["metadata.name", "253"],
        ),
    ] {
        post(&weft, path, &body).fails_saying(&words);
    }
    let mistaken = json!({
        "metadata": { "name": "x", "labels": { "l": 1 }, "finalizers": "f" },
        "data": { "a": 1, "b": [] },
        "immutable": "no",
    });
    post(&weft, MAPS, &mistaken.to_string()).fails_saying(&[
        "data.a",
        "data.b",
        "immutable",
        "metadata.finalizers",
        "metadata.labels.l",
    ]);
    let others = format!("{MAPS}?fieldSelector=metadata.name!=kube-root-ca.crt");
    assert_eq!(json_of(&get(&weft, &others))["items"], json!([]));
}

#[test]
fn questions_that_cannot_be_meant_are_refused() {
    let Some(weft) = server() else { return };
    for (question, words) in [
        ("limit=many", vec!["limit"]),
        ("continue=zz", vec!["continue key is not valid"]),
        (
            "labelSelector=a%20b%20c",
            vec!["unable to parse requirement"],
        ),
        (
            "fieldSelector=data.a=b",
            vec!["field label not supported: data.a"],
        ),
        ("resourceVersion=new", vec!["invalid resource version"]),
        (
            "watch=true&resourceVersion=999999",
            vec!["Too large resource version"],
        ),
    ] {
        get(&weft, &format!("{MAPS}?{question}")).fails_saying(&words);
    }
    for path in [
        "/api/v1/nothings",
        "/apis/none",
        "/api/v1/namespaces/default/configmaps/a/b/c",
    ] {
        get(&weft, path).fails_saying(&["NotFound"]);
    }
}

#[test]
fn a_list_in_pieces_is_one_list_whatever_happens_meanwhile() {
    let Some(weft) = server() else { return };
    for name in ["a", "b", "c", "d", "e"] {
        post(&weft, MAPS, &map(name).to_string()).ok();
    }
    let mut names = Vec::new();
    let mut question = format!("{MAPS}?limit=2");
    let mut version = None;
    loop {
        let piece = json_of(&get(&weft, &question));
        for item in piece["items"].as_array().unwrap() {
            names.push(item["metadata"]["name"].as_str().unwrap().to_owned());
        }
        let meta = &piece["metadata"];
        let first = version.get_or_insert_with(|| meta["resourceVersion"].clone());
        assert_eq!(*first, meta["resourceVersion"]);
        let Some(token) = meta["continue"].as_str() else {
            break;
        };
        question = format!("{MAPS}?limit=2&continue={token}");
        // What is changed meanwhile is not in it.
        if names.len() == 2 {
            weft.kubectl(&["delete", "configmap", "d"], "")
                .unwrap()
                .ok();
            post(&weft, MAPS, &map("bb").to_string()).ok();
        }
    }
    assert_eq!(names, ["a", "b", "c", "d", "e", "kube-root-ca.crt"]);
}

#[test]
fn one_of_two_changes_of_the_same_version_is_refused() {
    let Some(weft) = server() else { return };
    let made = json_of(&post(&weft, MAPS, &map("a").to_string()));
    let put = |object: &Value| {
        let args = ["replace", "--raw", &format!("{MAPS}/a"), "-f", "-"];
        weft.kubectl(&args, &object.to_string()).unwrap()
    };
    let mut first = made.clone();
    first["data"]["a"] = "first".into();
    let changed = json_of(&put(&first));
    assert_ne!(
        changed["metadata"]["resourceVersion"],
        made["metadata"]["resourceVersion"]
    );
    let mut second = made;
    second["data"]["a"] = "second".into();
    put(&second).fails_saying(&["Conflict", "the object has been modified"]);
    let found = json_of(&get(&weft, &format!("{MAPS}/a")));
    assert_eq!(found["data"]["a"], "first");
    // What says nothing new makes no new version.
    let same = json_of(&put(&found));
    assert_eq!(
        same["metadata"]["resourceVersion"],
        found["metadata"]["resourceVersion"]
    );
}

#[test]
fn types_and_values_that_are_wrong_are_told_at_once() {
    let Some(weft) = server() else { return };
    const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";
    let deployment = |replicas: Value, label: &str, container: &str| {
        let labels = json!({ "app": label });
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": { "name": "web" },
            "spec": {
                "replicas": replicas,
                "selector": { "matchLabels": labels },
                "template": {
                    "metadata": { "labels": labels },
                    "spec": { "containers": [{ "name": container, "image": "web" }] },
                },
            },
        })
        .to_string()
    };
    let words = [
        "cannot be handled as a Deployment",
        "spec.replicas: Invalid value: string: must be of type int32",
        "spec.template.spec.containers[0].name: Invalid value",
    ];
    let wrong = deployment(json!("two"), "web", "We_b");
    post(&weft, DEPLOYMENTS, &wrong).fails_saying(&words);
    post(&weft, DEPLOYMENTS, &deployment(json!(1), "web", "web")).ok();
    // What is there counts, too: its selector stays.
    let path = format!("{DEPLOYMENTS}/web");
    let wrong = deployment(json!("two"), "other", "We_b");
    let args = ["replace", "--raw", &path, "-f", "-"];
    let refused = weft.kubectl(&args, &wrong).unwrap();
    refused.fails_saying(&words);
    refused.fails_saying(&["spec.selector", "field is immutable"]);
}
