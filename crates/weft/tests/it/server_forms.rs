//! `weft server`: the forms of an answer, and what of them a client accepts.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use crate::server_line::{Caller, Said, server};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const YAML: &str = "application/yaml";
const PARTIAL: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const PARTIALS: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
const TABLE: &str = "application/json;as=Table;g=meta.k8s.io;v=v1beta1";

fn get(caller: &Caller, path: &str, accept: &str) -> Said {
    caller.say("GET", path, &[("Accept", accept)], b"")
}

fn yaml(said: &Said) -> Value {
    let head = said.head.to_lowercase();
    assert!(
        head.contains("content-type: application/yaml\r\n"),
        "{head}"
    );
    serde_saphyr::from_str(&said.body).unwrap()
}

#[test]
fn an_answer_has_the_form_that_is_accepted() {
    let Some((_weft, caller)) = server() else {
        return;
    };
    let map =
        json!({ "metadata": { "name": "a", "labels": { "l": "1" } }, "data": { "k": "1\n" } });
    caller.post(MAPS, &map).is(201, &[]);
    let one = &format!("{MAPS}/a");
    let whole = caller.get(one).json();
    let list = caller.get(MAPS).json();

    // YAML: of objects, lists, what failed, and of what there is.
    assert_eq!(yaml(&get(&caller, one, YAML)), whole);
    assert_eq!(yaml(&get(&caller, MAPS, YAML))["items"], list["items"]);
    assert_eq!(
        yaml(get(&caller, &format!("{MAPS}/b"), YAML).is(404, &[]))["reason"],
        "NotFound"
    );
    for path in ["/api", "/apis/apps", "/api/v1"] {
        assert_eq!(
            yaml(&get(&caller, path, YAML)),
            caller.get(path).json(),
            "{path}"
        );
    }
    let all = "application/yaml;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    get(&caller, "/apis", all).is(200, &["kind: APIGroupDiscoveryList"]);
    let made = caller.say(
        "POST",
        MAPS,
        &[("Accept", YAML), ("Content-Type", YAML)],
        b"metadata:\n  name: made\n",
    );
    assert_eq!(yaml(made.is(201, &[]))["metadata"]["name"], "made");
    get(
        &caller,
        one,
        "application/json;q=0.1, application/*;q=0.5, application/yaml",
    )
    .is(200, &["kind: ConfigMap\n"]);

    // The metadata alone.
    let partial = |said: &Said| {
        let found = said.json();
        assert_eq!(found["kind"], "PartialObjectMetadata", "{found}");
        assert_eq!(found["apiVersion"], "meta.k8s.io/v1");
        assert!(found.get("data").is_none(), "{found}");
        found["metadata"].clone()
    };
    assert_eq!(partial(&get(&caller, one, PARTIAL)), whole["metadata"]);
    let found = get(&caller, MAPS, PARTIALS).is(200, &[]).json();
    assert_eq!(found["kind"], "PartialObjectMetadataList");
    assert_eq!(found["items"][0]["kind"], "PartialObjectMetadata");
    assert_eq!(found["items"][0]["metadata"], list["items"][0]["metadata"]);
    assert!(
        found["items"][0].get("data").is_none() && found["metadata"]["resourceVersion"].is_string()
    );
    let both = [
        ("Accept", PARTIAL),
        ("Content-Type", "application/merge-patch+json"),
    ];
    let patched = caller.say("PATCH", one, &both, br#"{"metadata":{"labels":{"l":"2"}}}"#);
    assert_eq!(partial(patched.is(200, &[]))["labels"]["l"], "2");
    let made = caller.say(
        "POST",
        MAPS,
        &[("Accept", PARTIAL)],
        br#"{"metadata":{"name":"m"},"data":{"k":"v"}}"#,
    );
    assert_eq!(partial(made.is(201, &[]))["name"], "m");
    let deployment = json!({ "metadata": { "name": "d" }, "spec": {
        "selector": { "matchLabels": { "a": "b" } },
        "template": { "metadata": { "labels": { "a": "b" } }, "spec": { "containers": [{ "name": "c", "image": "i" }] } },
    } });
    let deployments = "/apis/apps/v1/namespaces/default/deployments";
    caller.post(deployments, &deployment).is(201, &[]);
    assert_eq!(
        partial(&get(&caller, &format!("{deployments}/d/scale"), PARTIAL))["name"],
        "d"
    );

    // A watch of that.
    let watch = format!(
        "{MAPS}?watch=true&timeoutSeconds=1&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"
    );
    let watched = get(&caller, &watch, PARTIAL);
    let events: Vec<Value> = watched
        .is(200, &[])
        .body
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(Value::is_object)
        .collect();
    let count = caller.get(MAPS).json()["items"].as_array().unwrap().len();
    assert_eq!(
        events
            .iter()
            .filter(|event| event["type"] == "ADDED")
            .count(),
        count,
        "{}",
        watched.body
    );
    assert!(
        events.iter().any(|event| event["type"] == "BOOKMARK"),
        "{}",
        watched.body
    );
    for event in &events {
        assert_eq!(event["object"]["kind"], "PartialObjectMetadata", "{event}");
        assert!(event["object"].get("data").is_none(), "{event}");
    }

    // Tables, in both versions, also of what was deleted.
    let table = get(
        &caller,
        one,
        &format!("{PROTOBUF};as=Table;g=meta.k8s.io;v=v1,{TABLE}"),
    )
    .json();
    assert_eq!(table["apiVersion"], "meta.k8s.io/v1beta1");
    assert_eq!(
        table["rows"][0]["object"]["apiVersion"],
        "meta.k8s.io/v1beta1"
    );
    get(&caller, &format!("{one}?includeObject=Some"), TABLE).is(
        400,
        &["Unable to convert to Table as requested: includeObject"],
    );
    let deleted = caller.say("DELETE", MAPS, &[("Accept", TABLE)], b"");
    assert_eq!(
        deleted.is(200, &[]).json()["rows"]
            .as_array()
            .unwrap()
            .len(),
        count
    );

    // For people, if they ask for it.
    let lines = |path: &str, accept: &str| {
        get(&caller, path, accept)
            .is(200, &[])
            .body
            .matches("\n  ")
            .count()
    };
    assert_eq!(lines("/api/v1", "application/json"), 0);
    assert!(lines("/api/v1?pretty=true", "application/json") > 100);
    assert!(lines("/api/v1/namespaces?pretty=1", "*/*") > 10);
    assert!(lines("/api/v1/namespaces", "application/json;pretty=1") > 10);
    assert_eq!(
        lines(
            "/api/v1/namespaces?pretty=false",
            "application/json;pretty=1"
        ),
        0
    );
}

#[test]
fn what_nobody_here_speaks_is_neither_given_nor_taken() {
    let Some((_weft, caller)) = server() else {
        return;
    };
    let map = br#"{"metadata":{"name":"a"}}"#;
    let watch = &format!("{MAPS}?watch=true&timeoutSeconds=1");
    let only = "only the following media types are accepted: application/json";
    for (method, path, accept, words) in [
        ("GET", MAPS, PROTOBUF, only),
        ("GET", MAPS, "text/html", only),
        ("GET", MAPS, "application/json;q=0", only),
        (
            "GET",
            MAPS,
            "application/json;as=Poem;g=meta.k8s.io;v=v1",
            only,
        ),
        (
            "GET",
            MAPS,
            "application/json;as=Table;g=meta.k8s.io;v=v2",
            only,
        ),
        ("GET", MAPS, "application/json;as=Table", only),
        ("GET", "/api/v1", PROTOBUF, only),
        (
            "GET",
            "/api/v1",
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
            only,
        ),
        ("GET", "/openapi/v2", "application/json", "protobuf"),
        ("GET", "/openapi/v3/api/v1", PROTOBUF, only),
        (
            "GET",
            MAPS,
            PARTIAL,
            "you requested PartialObjectMetadata, but the requested object is a list",
        ),
        (
            "GET",
            "/api/v1/namespaces/default",
            PARTIALS,
            "you requested PartialObjectMetadataList",
        ),
        // Nothing is done, either.
        ("POST", MAPS, PROTOBUF, only),
        ("POST", MAPS, PARTIALS, "you requested"),
        (
            "DELETE",
            "/api/v1/namespaces/default/serviceaccounts",
            PARTIAL,
            "you requested",
        ),
    ] {
        let said = caller.say(method, path, &[("Accept", accept)], map);
        let status = said.is(406, &[words]).json();
        assert_eq!(
            status["reason"], "NotAcceptable",
            "{method} {path} {accept}"
        );
        assert_eq!(status["kind"], "Status");
    }
    caller.get(&format!("{MAPS}/a")).is(404, &[]);
    caller
        .get("/api/v1/namespaces/default/serviceaccounts/default")
        .is(200, &[]);
    for accept in [
        &format!("{PROTOBUF},application/json"),
        "*/*",
        "",
        "application/*",
        "text/html,*/*;q=0.1",
    ] {
        get(&caller, MAPS, accept).is(200, &["\"kind\":\"ConfigMapList\""]);
    }
    get(
        &caller,
        watch,
        "application/yaml,application/json;stream=watch",
    )
    .is(200, &[]);
    get(&caller, watch, YAML).is(406, &["reason: NotAcceptable", only]);
    get(&caller, "/nothing", "text/html").is(404, &["\"kind\":\"Status\""]);
    get(&caller, "/apis/no.such.group", "text/html").is(404, &[]);

    for (method, path, media) in [
        ("POST", MAPS, "text/plain"),
        ("POST", MAPS, "application/x-www-form-urlencoded"),
        ("POST", MAPS, "application/octet-stream"),
        (
            "PUT",
            "/api/v1/namespaces/default/configmaps/a",
            "application/cbor",
        ),
        (
            "PATCH",
            "/api/v1/namespaces/default/configmaps/a",
            "application/json",
        ),
        (
            "DELETE",
            "/api/v1/namespaces/default/configmaps/a",
            "text/plain",
        ),
        (
            "POST",
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            "text/plain",
        ),
    ] {
        let said = caller.say(method, path, &[("Content-Type", media)], map);
        let words = [
            "the body of the request was in an unknown format - accepted media types include: application/",
        ];
        let status = said.is(415, &words).json();
        assert_eq!(status["reason"], "UnsupportedMediaType", "{method} {media}");
    }
    caller
        .say(
            "POST",
            MAPS,
            &[("Content-Type", "Application/JSON; charset=utf-8")],
            map,
        )
        .is(201, &[]);
}

#[test]
fn a_rehearsal_has_no_version_and_all_forms_of_a_list_say_the_same() {
    let Some((_weft, caller)) = server() else {
        return;
    };
    let said = caller.say(
        "POST",
        &format!("{MAPS}?dryRun=All"),
        &[("Accept", TABLE), ("Content-Type", "application/json")],
        br#"{"metadata":{"name":"tried"}}"#,
    );
    let table = said.is(201, &[]).json();
    assert_eq!(table["metadata"], json!({}));
    assert_eq!(table["rows"][0]["cells"][0], "tried");

    let plain = caller.get(MAPS).is(200, &[]).json();
    assert_eq!(yaml(&get(&caller, MAPS, YAML)), plain);
    let pretty = caller.get(&format!("{MAPS}?pretty=true"));
    assert!(pretty.body.starts_with("{\n"), "{}", pretty.body);
    assert_eq!(pretty.json(), plain);
    let partials = get(&caller, MAPS, PARTIALS).is(200, &[]).json();
    assert_eq!(partials["metadata"], plain["metadata"]);
    let metadata = |list: &Value| {
        let items = list["items"].as_array().unwrap();
        let each = items.iter().map(|item| item["metadata"].clone());
        each.collect::<Vec<_>>()
    };
    assert_eq!(metadata(&partials), metadata(&plain));
    assert_eq!(metadata(&plain).len(), 1);
    let item = &partials["items"][0];
    assert_eq!(
        (&item["kind"], item.as_object().unwrap().len()),
        (&json!("PartialObjectMetadata"), 3)
    );
}
