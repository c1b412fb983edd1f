//! `weft server`: what lists, reads and watches promise, and what is not done to all at once.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use crate::server_line::server;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

#[test]
fn nobody_is_told_older_things_than_they_have_seen() {
    let Some((_weft, caller)) = server() else {
        return;
    };
    let map = json!({ "metadata": { "name": "a" } });
    caller.post(MAPS, &map).is(201, &[]);
    for path in ["", "/a"] {
        for how in ["", "&resourceVersionMatch=NotOlderThan"] {
            let ask =
                |version: &str| caller.get(&format!("{MAPS}{path}?resourceVersion={version}{how}"));
            ask("1").is(200, &[]);
            ask("0").is(200, &[]);
            ask("99999999").is(504, &["Too large resource version: 99999999"]);
            if path.is_empty() {
                continue;
            }
            break;
        }
    }
}

#[test]
fn a_watch_begins_with_all_there_is() {
    let Some((_weft, caller)) = server() else {
        return;
    };
    for name in ["a", "b", "c"] {
        caller
            .post(MAPS, &json!({ "metadata": { "name": name } }))
            .is(201, &[]);
    }
    let watched = caller.get(&format!("{MAPS}?watch=true&limit=1&timeoutSeconds=1"));
    // And the certificate that each namespace has.
    assert_eq!(watched.is(200, &[]).body.matches("ADDED").count(), 4);
}

#[test]
fn one_event_is_what_each_watcher_makes_of_it() {
    let Some((_weft, caller)) = server() else {
        return;
    };
    let made = json!({ "metadata": { "name": "a", "labels": { "is": "old" } } });
    let made = caller.post(MAPS, &made).is(201, &[]).json();
    let version = made["metadata"]["resourceVersion"].as_str().unwrap();
    let patch = br#"{"metadata":{"labels":{"is":"new"}}}"#;
    let path = format!("{MAPS}/a");
    caller
        .ask("PATCH", &path, "application/merge-patch+json", patch)
        .is(200, &[]);
    let told = |selector: &str| {
        let query = format!("watch=true&timeoutSeconds=1&resourceVersion={version}");
        let said = caller.get(&format!("{MAPS}?{query}{selector}"));
        // Between the lines stand the lengths of their chunks.
        let mut lines = said.is(200, &[]).body.lines();
        let line = lines.find(|line| line.starts_with('{')).unwrap();
        let line: Value = serde_json::from_str(line).unwrap();
        (
            line["type"].clone(),
            line["object"]["metadata"]["labels"]["is"].clone(),
        )
    };
    // Whoever comes first makes the line that the others may share.
    for (selector, kind, shown) in [
        ("", "MODIFIED", "new"),
        ("&labelSelector=is%3Dnew", "ADDED", "new"),
        ("&labelSelector=is%3Dold", "DELETED", "old"),
        ("&fieldSelector=metadata.name%3Da", "MODIFIED", "new"),
    ] {
        assert_eq!(told(selector), (kind.into(), shown.into()), "{selector}");
    }
}

#[test]
fn namespaces_go_one_by_one() {
    let Some((_weft, caller)) = server() else {
        return;
    };
    let namespaces = "/api/v1/namespaces";
    caller
        .post(namespaces, &json!({ "metadata": { "name": "aaa" } }))
        .is(201, &[]);
    caller
        .ask("DELETE", namespaces, "application/json", b"")
        .is(405, &[]);
    caller.get("/api/v1/namespaces/aaa").is(200, &["Active"]);
    let kinds = caller.get("/api/v1").is(200, &[]).json();
    let kinds = kinds["resources"].as_array().unwrap();
    let verbs = |name: &str| {
        let kind = kinds.iter().find(|kind| kind["name"] == name);
        kind.unwrap()["verbs"].to_string()
    };
    assert!(!verbs("namespaces").contains("deletecollection"));
    assert!(verbs("pods").contains("deletecollection"));
}

#[test]
fn the_version_has_all_that_clients_insist_on() {
    let Some((_weft, caller)) = server() else {
        return;
    };
    let version = caller.get("/version").is(200, &[]).json();
    for field in [
        "major",
        "minor",
        "gitVersion",
        "gitCommit",
        "gitTreeState",
        "buildDate",
        "goVersion",
        "compiler",
        "platform",
    ] {
        assert!(version[field].is_string(), "{field}: {version}");
    }
    assert_eq!(
        (&version["major"], &version["minor"]),
        (&"1".into(), &"33".into())
    );
}
