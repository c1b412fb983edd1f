//! OpenAPI v3: which kinds there are, what they hold, and that writes know `fieldValidation`. What
//! is left to v2 is in `v2`.

mod v2;
mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;

use http::HeaderMap;
use http::request::Parts;
use serde_json::{Map, Value, json};
use weft_control::{Failure, Kind, Kinds, kinds};

use crate::accept::{Accept, not_acceptable};
use crate::answer::Answer;
use crate::pages::{Page, Pages};
use crate::query::Query;

/// What a write may say behind the question mark.
const WRITE_PARAMETERS: [&str; 3] = ["dryRun", "fieldManager", "fieldValidation"];

/// Answers `/openapi/v3` and what is below, and `/openapi/v2`; nothing for another path.
pub(crate) fn answer(
    pages: &Pages,
    kinds: &Arc<Kinds>,
    head: &Parts,
) -> Option<Result<Answer, Failure>> {
    let path = head.uri.path().trim_end_matches('/');
    let name = path.to_owned();
    let headers = &head.headers;
    match path {
        "/openapi/v2" => {
            if let Err(failure) = accepted(headers, &v2::MEDIA) {
                return Some(Err(failure));
            }
            let page = pages.get(kinds, name, || Some(v2::page(kinds)))?;
            Some(Ok(page.answer(headers)))
        }
        "/openapi/v3" => {
            let page = pages.get(kinds, name, || Some(contents(pages, kinds)))?;
            Some(Ok(page.answer(headers)))
        }
        _ => {
            let group = path.strip_prefix("/openapi/v3/")?;
            let make = || Some(document(groups(kinds).get(group)?));
            let page = pages.get(kinds, name, make)?;
            let query = Query::of(&head.uri);
            let answer = page.answer_by(query.text("hash"), headers);
            Some(accepted(headers, &["application/json"]).map(|()| answer))
        }
    }
}

/// Whether a document in this form, by whichever of its names, will do.
fn accepted(headers: &HeaderMap, media: &[&str]) -> Result<(), Failure> {
    let accept = Accept::of(headers);
    match media.iter().any(|media| accept.takes(media)) {
        true => Ok(()),
        false => Err(not_acceptable(media.iter().copied())),
    }
}

/// Which documents there are. Clients keep them by their hash.
fn contents(pages: &Pages, kinds: &Kinds) -> Page {
    let hashes = pages.hashes(&groups(kinds), document);
    let paths: Map<String, Value> = hashes
        .into_iter()
        .map(|(group, hash)| {
            let url = format!("/openapi/v3/{group}?hash={hash}");
            (group, json!({ "serverRelativeURL": url }))
        })
        .collect();
    Page::json(&json!({ "paths": paths }))
}

fn groups(kinds: &Kinds) -> BTreeMap<String, Vec<Arc<Kind>>> {
    let mut groups: BTreeMap<String, Vec<Arc<Kind>>> = BTreeMap::new();
    for kind in kinds.served() {
        groups.entry(root(kind)).or_default().push(Arc::clone(kind));
    }
    groups
}

/// `api/v1`, `apis/apps/v1`
fn root(kind: &Kind) -> String {
    if kind.group.is_empty() {
        format!("api/{}", kind.version)
    } else {
        format!("apis/{}/{}", kind.group, kind.version)
    }
}

fn document(kinds: &[Arc<Kind>]) -> Page {
    Page::json(&told(kinds))
}

fn told(kinds: &[Arc<Kind>]) -> Value {
    let mut schemas = Map::new();
    let mut paths = Map::new();
    for kind in kinds {
        let name = add_schemas(kind, &mut schemas);
        add_paths(kind, &name, &mut paths);
        for (part, sent) in parts(kind) {
            let schema = add_schemas(&sent, &mut schemas);
            let path = part_path(kind, part);
            paths.insert(
                path,
                json!({ "post": operation(&sent, &schema, "post", writes()) }),
            );
        }
    }
    json!({
        "openapi": "3.0.0",
        "info": { "title": "weft", "version": env!("CARGO_PKG_VERSION") },
        "paths": paths,
        "components": { "schemas": schemas },
    })
}

/// Gives the name of the kind's own schema.
fn add_schemas(kind: &Kind, schemas: &mut Map<String, Value>) -> String {
    let mut own = kind.document();
    let definitions = own.as_object_mut().and_then(|own| own.remove("$defs"));
    if let Some(Value::Object(definitions)) = definitions {
        for (name, mut definition) in definitions {
            if !schemas.contains_key(&name) {
                point_elsewhere(&mut definition);
                schemas.insert(name, definition);
            }
        }
    }
    point_elsewhere(&mut own);
    if let Some(own) = own.as_object_mut() {
        own.remove("$schema");
        own.remove("title");
        let gvk = json!([{ "group": kind.group, "version": kind.version, "kind": kind.kind }]);
        own.insert("x-kubernetes-group-version-kind".to_owned(), gvk);
    }
    let name = component(kind);
    schemas.insert(name.clone(), own);
    name
}

/// What the kind's own schema is called.
fn component(kind: &Kind) -> String {
    let group = if kind.group.is_empty() {
        "core"
    } else {
        &kind.group
    };
    format!("io.k8s.api.{group}.{}.{}", kind.version, kind.kind)
}

/// The path of all of a kind.
fn all_path(kind: &Kind) -> String {
    let within = if kind.is_namespaced {
        "/namespaces/{namespace}"
    } else {
        ""
    };
    format!("/{}{within}/{}", root(kind), kind.plural)
}

/// References to `$defs` become references to the document's components, the way Go's
/// readers want them: alone, in `allOf`, where something is said beside them.
fn point_elsewhere(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(point_elsewhere),
        Value::Object(map) => {
            map.values_mut().for_each(point_elsewhere);
            let Some(Value::String(reference)) = map.get("$ref") else {
                return;
            };
            let name = reference.rsplit('/').next().unwrap_or_default();
            let reference = json!({ "$ref": format!("#/components/schemas/{name}") });
            map.remove("$ref");
            map.insert("allOf".to_owned(), json!([reference]));
        }
        _ => {}
    }
}

/// Parts of objects that something of another kind is sent to.
fn parts(kind: &Kind) -> Vec<(&'static str, Kind)> {
    match (&*kind.group, &*kind.plural) {
        ("", "pods") => vec![
            ("binding", kinds::binding()),
            ("eviction", kinds::eviction("v1")),
        ],
        ("", "serviceaccounts") => vec![("token", kinds::token_request())],
        _ => Vec::new(),
    }
}

fn part_path(kind: &Kind, part: &str) -> String {
    format!("{}/{{name}}/{part}", all_path(kind))
}

/// One thing that can be asked: what comes back is of this schema.
fn operation(kind: &Kind, schema: &str, action: &str, parameters: Value) -> Value {
    json!({
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": {
            "group": kind.group, "version": kind.version, "kind": kind.kind,
        },
        "parameters": parameters,
        "responses": { "200": {
            "description": "OK",
            "content": { "application/json": {
                "schema": { "$ref": format!("#/components/schemas/{schema}") },
            } },
        } },
    })
}

fn writes() -> Value {
    let parameters = WRITE_PARAMETERS
        .map(|name| json!({ "name": name, "in": "query", "schema": { "type": "string" } }));
    json!(parameters)
}

fn add_paths(kind: &Kind, schema: &str, paths: &mut Map<String, Value>) {
    let all = all_path(kind);
    let of = |action: &str, parameters| operation(kind, schema, action, parameters);
    if kind.is_question {
        paths.insert(all, json!({ "post": of("post", writes()) }));
        return;
    }
    if kind.is_measured {
        paths.insert(all.clone(), json!({ "get": of("list", json!([])) }));
        let one = json!({ "get": of("get", json!([])) });
        paths.insert(format!("{all}/{{name}}"), one);
        return;
    }
    paths.insert(
        all.clone(),
        json!({ "get": of("list", json!([])), "post": of("post", writes()) }),
    );
    let one = json!({
        "get": of("get", json!([])),
        "put": of("put", writes()),
        "patch": of("patch", writes()),
        "delete": of("delete", json!([])),
    });
    paths.insert(format!("{all}/{{name}}"), one);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_to_parts_of_objects_is_told() {
        let told = told(&groups(&Kinds::built_in())["api/v1"]);
        for (path, group, kind) in [
            ("pods/{name}/eviction", "policy", "Eviction"),
            ("pods/{name}/binding", "", "Binding"),
            ("bindings", "", "Binding"),
            (
                "serviceaccounts/{name}/token",
                "authentication.k8s.io",
                "TokenRequest",
            ),
        ] {
            let post = &told["paths"][format!("/api/v1/namespaces/{{namespace}}/{path}")]["post"];
            let said = &post["x-kubernetes-group-version-kind"];
            let expected = json!({ "group": group, "version": "v1", "kind": kind });
            assert_eq!(*said, expected, "{path}");
            let content = &post["responses"]["200"]["content"]["application/json"];
            let name = content["schema"]["$ref"].as_str().unwrap();
            let name = name.rsplit('/').next().unwrap();
            let schema = &told["components"]["schemas"][name];
            assert_eq!(schema["x-kubernetes-group-version-kind"][0], expected);
        }
    }
}
