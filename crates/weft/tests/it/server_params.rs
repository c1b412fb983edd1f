//! `weft server`: what stands behind the question mark is meant, or refused.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use crate::server_line::server;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const MERGE: &str = "application/merge-patch+json";

#[test]
fn parameters_that_cannot_be_meant_are_refused_before_anything_is_done() {
    let Some((_weft, caller)) = server() else {
        return;
    };
    let made = caller.post(MAPS, &json!({ "metadata": { "name": "a" } }));
    let uid = made.is(201, &[]).json()["metadata"]["uid"].clone();
    let one = &format!("{MAPS}/a");
    let long = "x".repeat(129);
    for (method, path, media, code, words) in [
        (
            "GET",
            format!("{MAPS}?resourceVersionMatch=Exact"),
            "",
            422,
            "ListOptions.meta.k8s.io \\\"\\\" is invalid: resourceVersionMatch: Forbidden",
        ),
        (
            "GET",
            format!("{MAPS}?watch=1&sendInitialEvents=true"),
            "",
            422,
            "requires setting resourceVersionMatch to NotOlderThan",
        ),
        (
            "GET",
            format!("{MAPS}?continue=00&resourceVersion=5"),
            "",
            400,
            "specifying resource version is not allowed when using continue",
        ),
        (
            "GET",
            format!("{MAPS}?limit=x"),
            "",
            400,
            "limit: \\\"x\\\" is no whole number",
        ),
        (
            "GET",
            format!("{MAPS}?watch=1&timeoutSeconds=x"),
            "",
            400,
            "timeoutSeconds: \\\"x\\\" is no whole number",
        ),
        (
            "GET",
            format!("{MAPS}?resourceVersion=x"),
            "",
            400,
            "invalid resource version",
        ),
        (
            "POST",
            format!("{MAPS}?fieldManager={long}"),
            "",
            422,
            "CreateOptions.meta.k8s.io \\\"\\\" is invalid: fieldManager: Too long",
        ),
        (
            "POST",
            format!("{MAPS}?dryRun=Some"),
            "",
            422,
            "dryRun: Unsupported value",
        ),
        (
            "PUT",
            format!("{one}?fieldValidation=Loose"),
            "",
            422,
            "UpdateOptions.meta.k8s.io \\\"\\\" is invalid: fieldValidation: Unsupported value",
        ),
        (
            "PATCH",
            format!("{one}?force=true"),
            MERGE,
            422,
            "PatchOptions.meta.k8s.io \\\"\\\" is invalid: force: Forbidden: may not be specified for non-apply patch",
        ),
        (
            "PATCH",
            one.clone(),
            "application/apply-patch+yaml",
            422,
            "fieldManager: Required value: is required for apply patch",
        ),
        (
            "DELETE",
            format!("{one}?propagationPolicy=All"),
            "",
            422,
            "DeleteOptions.meta.k8s.io \\\"\\\" is invalid: propagationPolicy: Unsupported value",
        ),
        (
            "DELETE",
            format!("{one}?propagationPolicy=Orphan&orphanDependents=false"),
            "",
            422,
            "cannot be both set",
        ),
        (
            "DELETE",
            format!("{one}?dryRun=all"),
            "",
            422,
            "dryRun: Unsupported value",
        ),
        (
            "DELETE",
            format!("{one}?gracePeriodSeconds=x"),
            "",
            400,
            "gracePeriodSeconds: \\\"x\\\" is no whole number",
        ),
        (
            "DELETE",
            format!("{one}?uid=another"),
            "",
            409,
            "does not match the UID in record",
        ),
        (
            "DELETE",
            format!("{MAPS}?resourceVersionMatch=Exact"),
            "",
            422,
            "ListOptions",
        ),
        (
            "POST",
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews?dryRun=x".to_owned(),
            "",
            422,
            "CreateOptions",
        ),
    ] {
        let media = if media.is_empty() {
            "application/json"
        } else {
            media
        };
        let body: &[u8] = match method {
            "GET" | "DELETE" => b"",
            _ => br#"{"metadata":{"name":"a","labels":{"l":"1"}}}"#,
        };
        let said = caller.ask(method, &path, media, body);
        println!("{method} {path}");
        said.is(code, &[words]);
    }
    for body in [
        json!({ "propagationPolicy": "Orphan", "orphanDependents": true }),
        json!({ "propagationPolicy": "orphan" }),
        json!({ "dryRun": ["All", "Some"] }),
    ] {
        let said = caller.ask(
            "DELETE",
            one,
            "application/json",
            body.to_string().as_bytes(),
        );
        said.is(422, &["DeleteOptions"]);
    }
    let found = caller.get(one).is(200, &[]).json();
    assert_eq!(found["metadata"]["uid"], uid);
    assert!(found["metadata"].get("labels").is_none());

    // Python's clients write switches so.
    caller
        .get(&format!(
            "{MAPS}?watch=True&timeoutSeconds=1&allowWatchBookmarks=False"
        ))
        .is(200, &["ADDED"]);
    caller
        .get(&format!("{MAPS}?watch=False&limit=-1"))
        .is(200, &["ConfigMapList"]);
    // As much as nothing said.
    caller
        .ask(
            "DELETE",
            &format!("{one}?gracePeriodSeconds=-5"),
            "application/json",
            b"",
        )
        .is(200, &[]);
}

#[test]
fn versions_mean_what_they_mean_upstream() {
    let Some((_weft, caller)) = server() else {
        return;
    };
    let map = |name: &str| {
        caller
            .post(MAPS, &json!({ "metadata": { "name": name } }))
            .is(201, &[])
            .json()
    };
    let version = |object: &Value| {
        object["metadata"]["resourceVersion"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let first = version(&map("a"));
    let second = version(&map("b"));
    let names = |path: &str| {
        let list = caller.get(path).is(200, &[]).json();
        let items = list["items"].as_array().unwrap().iter();
        let names: Vec<&str> = items
            .filter_map(|item| item["metadata"]["name"].as_str())
            .filter(|name| name.len() == 1)
            .collect();
        names.join(" ")
    };
    // A piece of a version that is named is of that very version; all of it is not older.
    assert_eq!(
        names(&format!("{MAPS}?resourceVersion={first}&limit=50")),
        "a"
    );
    assert_eq!(names(&format!("{MAPS}?resourceVersion={first}")), "a b");
    assert_eq!(
        names(&format!(
            "{MAPS}?resourceVersion={first}&limit=50&resourceVersionMatch=NotOlderThan"
        )),
        "a b"
    );
    assert_eq!(names(&format!("{MAPS}?resourceVersion=0&limit=50")), "a b");
    // A watch without what there is.
    let watch = format!(
        "{MAPS}?watch=true&timeoutSeconds=1&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"
    );
    let none = caller.get(&format!("{watch}&sendInitialEvents=false"));
    assert!(!none.is(200, &[]).body.contains("ADDED"), "{}", none.body);
    let later = caller.get(&format!(
        "{watch}&sendInitialEvents=false&resourceVersion={first}"
    ));
    let later = &later.is(200, &["ADDED", "\"name\":\"b\""]).body;
    assert!(!later.contains("\"name\":\"a\""), "{later}");
    let all = caller.get(&format!(
        "{watch}&sendInitialEvents=true&resourceVersion={second}"
    ));
    all.is(
        200,
        &[
            "\"name\":\"a\"",
            "\"name\":\"b\"",
            "k8s.io/initial-events-end",
        ],
    );
    caller
        .get(&format!(
            "{watch}&sendInitialEvents=true&resourceVersion=99999999"
        ))
        .is(504, &["Too large resource version"]);

    // Nothing and "0" are any version, but of kinds that are to be seen first.
    let put = |path: &str, object: &Value| {
        caller.ask(
            "PUT",
            path,
            "application/json",
            object.to_string().as_bytes(),
        )
    };
    for said in ["", "0"] {
        let object = json!({ "metadata": { "name": "a", "resourceVersion": said }, "data": { "said": said } });
        put(&format!("{MAPS}/a"), &object).is(200, &[]);
    }
    let object = json!({ "metadata": { "name": "a", "resourceVersion": first }, "data": {} });
    put(&format!("{MAPS}/a"), &object).is(409, &[]);
    let leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
    let mut lease = json!({ "metadata": { "name": "l" }, "spec": { "holderIdentity": "x" } });
    let seen = caller.post(leases, &lease).is(201, &[]).json();
    for said in ["", "0"] {
        lease["metadata"]["resourceVersion"] = said.into();
        let words =
            ["metadata.resourceVersion: Invalid value: 0x0: must be specified for an update"];
        put(&format!("{leases}/l"), &lease).is(422, &words);
    }
    put(&format!("{leases}/l"), &seen).is(200, &[]);
}
