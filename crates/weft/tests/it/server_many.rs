//! `weft server` with a thousand kinds that users defined.
#![allow(clippy::unwrap_used)]

use std::time::Instant;

use futures_util::{StreamExt as _, stream};
use http::{Request, StatusCode};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DynamicObject, GroupVersionKind, ListParams, PostParams};
use kube::client::Body;
use kube::core::ApiResource;
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Value, json};
use weft_testkit::Weft;

use crate::server_line::server;
use crate::server_reflector::client::client;

const GROUPS: usize = 20;
const KINDS: usize = 50;
const DEFINITIONS: usize = GROUPS * KINDS;
/// Requests at once.
const AT_ONCE: usize = 16;

fn definition(number: usize) -> CustomResourceDefinition {
    let (group, number) = (number % GROUPS, number / GROUPS);
    let group = format!("g{group}.example.com");
    let text = |about: &str| json!({ "type": "string", "description": about });
    let value = json!({
        "metadata": { "name": format!("things{number}.{group}") },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {
                "plural": format!("things{number}"),
                "singular": format!("thing{number}"),
                "kind": format!("Thing{number}"),
            },
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": { "openAPIV3Schema": { "type": "object", "properties": {
                    "spec": { "type": "object", "properties": {
                        "owner": text("Whose it is."),
                        "size": { "type": "integer", "minimum": 0, "default": 1 },
                    } },
                } } },
            }],
        },
    });
    serde_json::from_value(value).unwrap()
}

fn memory_mib(weft: &Weft) -> u64 {
    let pid = weft.daemon_pid().as_raw_nonzero();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<u64>().unwrap() / 1024
}

fn is_established(definition: &CustomResourceDefinition) -> bool {
    let status = definition.status.as_ref();
    let conditions = status.and_then(|status| status.conditions.as_ref());
    let mut all = conditions.into_iter().flatten();
    all.any(|one| one.type_ == "Established" && one.status == "True")
}

/// What is answered.
struct Page {
    code: StatusCode,
    tag: String,
    cache: String,
    body: Vec<u8>,
}

impl Page {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
const JSON: &str = "application/json";
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
const INDEX: &str = "/openapi/v3";

/// Asks for a page by somebody who has the one with the tag `known`.
async fn page(client: &Client, path: &str, accept: &str, known: &str) -> Page {
    let began = Instant::now();
    let request = Request::get(path)
        .header("Accept", accept)
        .header("If-None-Match", known)
        .body(Body::empty());
    let answer = client.send(request.unwrap()).await.unwrap();
    let text = |name: &str| {
        let value = answer.headers().get(name).unwrap();
        value.to_str().unwrap().to_owned()
    };
    let (code, tag, cache) = (answer.status(), text("ETag"), text("Cache-Control"));
    let body = answer.into_body().collect_bytes().await.unwrap().to_vec();
    let (bytes, time) = (body.len(), began.elapsed());
    println!("{path}: {code}, {bytes} bytes, {time:?}");
    Page {
        code,
        tag,
        cache,
        body,
    }
}

async fn define(definitions: &Api<CustomResourceDefinition>, number: usize) {
    let (params, definition) = (PostParams::default(), definition(number));
    definitions.create(&params, &definition).await.unwrap();
}

/// Waits until so many are served. Gives the revision of that.
async fn established(definitions: &Api<CustomResourceDefinition>, count: usize) -> u64 {
    loop {
        let listed = definitions.list(&ListParams::default()).await.unwrap();
        if listed.iter().filter(|one| is_established(one)).count() == count {
            return listed.metadata.resource_version.unwrap().parse().unwrap();
        }
    }
}

#[test]
fn a_thousand_kinds_are_defined_and_one_of_the_last_is_used() {
    let Some((weft, caller)) = server() else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let client = &client(&caller, weft.address().parse().unwrap());
        let definitions = &Api::all(client.clone());
        let before = established(definitions, 0).await;
        println!("before: {} MiB", memory_mib(&weft));
        let began = Instant::now();
        stream::iter(0..DEFINITIONS)
            .for_each_concurrent(AT_ONCE, |number| define(definitions, number))
            .await;
        println!("made: {:?}", began.elapsed());
        let after = established(definitions, DEFINITIONS).await;
        println!("served: {:?}", began.elapsed());
        // Each is written once by its maker and once by its controller, however many others come.
        assert_eq!(after - before, 2 * DEFINITIONS as u64);
        is_used(client).await;
        println!("after: {} MiB", memory_mib(&weft));
        let index = are_told(client).await;
        println!("told: {} MiB", memory_mib(&weft));
        one_more(client, definitions, &index).await;
    });
}

/// One of the last, with defaults, rules and a list.
async fn is_used(client: &Client) {
    let kind = format!("Thing{}", KINDS - 1);
    let group = format!("g{}.example.com", GROUPS - 1);
    let gvk = GroupVersionKind::gvk(&group, "v1", &kind);
    let plural = format!("things{}", KINDS - 1);
    let resource = ApiResource::from_gvk_with_plural(&gvk, &plural);
    let things: Api<DynamicObject> = Api::default_namespaced_with(client.clone(), &resource);
    let thing = |size: Value| {
        let mut thing = DynamicObject::new("one", &resource);
        thing.data = json!({ "spec": { "owner": "ann", "size": size } });
        thing
    };
    let params = PostParams::default();
    let refused = things.create(&params, &thing(json!(-1))).await.unwrap_err();
    assert!(refused.to_string().contains("spec.size"), "{refused}");
    let mut made = thing(Value::Null);
    made.data["spec"].as_object_mut().unwrap().remove("size");
    let made = things.create(&params, &made).await.unwrap();
    assert_eq!(made.data["spec"], json!({ "owner": "ann", "size": 1 }));
    let listed = things.list(&ListParams::default()).await.unwrap();
    assert_eq!(listed.items.len(), 1);
    assert_eq!(listed.items[0].name_any(), "one");
}

/// Discovery and OpenAPI know all. Gives where OpenAPI has its documents.
async fn are_told(client: &Client) -> Value {
    let told = page(client, "/apis", AGGREGATED, "").await.json();
    let groups = told["items"].as_array().unwrap().iter();
    let theirs = groups.filter(|group| {
        let name = group["metadata"]["name"].as_str().unwrap();
        name.ends_with(".example.com")
    });
    let kinds = theirs.map(|group| group["versions"][0]["resources"].as_array().unwrap().len());
    assert_eq!(kinds.sum::<usize>(), DEFINITIONS);
    let all = page(client, "/openapi/v2", PROTOBUF, "").await;
    assert_eq!(all.code, StatusCode::OK);
    let index = page(client, INDEX, JSON, "").await.json()["paths"].take();
    let path = format!("apis/g{}.example.com/v1", GROUPS - 1);
    let url = index[&path]["serverRelativeURL"].as_str().unwrap();
    let document = page(client, url, JSON, "").await;
    assert!(document.cache.contains("immutable"), "{}", document.cache);
    let schemas = document.json()["components"]["schemas"].take();
    let kinds = schemas.as_object().unwrap().keys();
    assert_eq!(kinds.filter(|name| name.contains(".Thing")).count(), KINDS);
    // By another hash it is what it is now, and not to be kept.
    let (plain, _) = url.split_once('?').unwrap();
    let older = page(client, &format!("{plain}?hash=older"), JSON, "").await;
    assert!(!older.cache.contains("immutable") && older.body == document.body);
    index
}

/// Only what is about it changes; what clients have of the rest stays good.
async fn one_more(client: &Client, definitions: &Api<CustomResourceDefinition>, index: &Value) {
    let pages = [
        ("/apis", AGGREGATED, true),
        ("/apis", JSON, false),
        ("/openapi/v2", PROTOBUF, true),
        ("/openapi/v3/apis/g0.example.com/v1", JSON, true),
        ("/openapi/v3/apis/g1.example.com/v1", JSON, false),
        ("/openapi/v3/api/v1", JSON, false),
    ];
    let mut tags = Vec::new();
    for (path, accept, _) in pages {
        let first = page(client, path, accept, "").await;
        let again = page(client, path, accept, &first.tag).await;
        assert_eq!(again.code, StatusCode::NOT_MODIFIED, "{path}");
        assert!(again.body.is_empty() && again.tag == first.tag);
        tags.push(first.tag);
    }
    let began = Instant::now();
    define(definitions, DEFINITIONS).await;
    established(definitions, DEFINITIONS + 1).await;
    println!("one more: {:?}", began.elapsed());
    for ((path, accept, is_changed), tag) in pages.into_iter().zip(&tags) {
        let now = page(client, path, accept, tag).await;
        assert_eq!(now.code == StatusCode::OK, is_changed, "{path}");
    }
    let now = page(client, INDEX, JSON, "").await.json()["paths"].take();
    let groups = now.as_object().unwrap().iter();
    let changed = groups.filter(|(name, url)| index[*name] != **url);
    let changed: Vec<&String> = changed.map(|(name, _)| name).collect();
    assert_eq!(changed, ["apis/g0.example.com/v1"]);
}
