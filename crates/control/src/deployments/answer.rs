//! The record of a deployment, in the words Knit's clients know, and what else is known of it.
//!
//! Owns: that it is read off the objects as they are now, whoever changed them. Never: shows a password
//! or the value of a variable.

use serde_json::{Map, Value, json};
use weft_keyspace::Item;

use super::plan::labelled;
use super::{API, DESTINATION, LABEL, MAIN, MANAGER, NETWORK, ORIGIN};
use crate::failure::{Failure, Reason};
use crate::object::Object;
use crate::selector::Labels;
use crate::store::{self, Store};

pub(super) fn not_found(namespace: &str, name: &str) -> Failure {
    let message = format!(
        "deployment {name:?} not found in namespace {namespace:?}; GET /deployments lists what there is"
    );
    Failure::new(Reason::NotFound, message).about("", "deployments", name)
}

/// The record of one.
///
/// # Errors
/// There is none, or POST /deployments did not make it.
pub async fn record(store: &Store, namespace: &str, name: &str) -> Result<Value, Failure> {
    let kinds = store.kinds();
    let kind = kinds.find(MAIN.0, "v1", MAIN.1);
    let kind = kind.ok_or_else(|| Failure::internal("there is no kind of deployments"))?;
    let item = match store.get(kind, namespace, name).await {
        Err(failure) if failure.reason == Reason::NotFound => {
            return Err(not_found(namespace, name));
        }
        item => item?,
    };
    match store::object(&item)?.meta().label(ORIGIN) {
        Some(API) => of(store, &item, None, &[]).await,
        _ => Err(not_found(namespace, name)),
    }
}

/// The records of all in a namespace.
///
/// # Errors
/// They cannot be read.
pub async fn all(store: &Store, namespace: &str) -> Result<Vec<Value>, Failure> {
    let kinds = store.kinds();
    let kind = kinds.find(MAIN.0, "v1", MAIN.1);
    let kind = kind.ok_or_else(|| Failure::internal("there is no kind of deployments"))?;
    let labels = format!("{LABEL},{ORIGIN}={API}");
    let labels = Labels::parse(&labels).map_err(Failure::internal)?;
    let mut records = Vec::new();
    for item in labelled(store, kind, namespace, labels).await? {
        records.push(of(store, &item, None, &[]).await?);
    }
    Ok(records)
}

/// The record of the deployment whose main object this is; `templates` are those that are stored
/// otherwise.
pub(super) async fn of(
    store: &Store,
    item: &Item,
    templates: Option<&Object>,
    warnings: &[String],
) -> Result<Value, Failure> {
    let main = store::object(item)?;
    let (namespace, name) = (main.meta().namespace(), main.meta().name());
    let stored;
    let templates = match templates {
        Some(templates) => Some(templates),
        None => {
            let name = format!("{name}-templates");
            stored = part(store, "configmaps", namespace, &name).await?;
            stored.as_ref().map(|(_, object)| object)
        }
    };
    let login = part(store, "secrets", namespace, &format!("{name}-registry")).await?;
    let login = login.map(|(created, _)| created);
    let mut record = shown(&main, templates, login);
    record["ID"] = item.created.0.into();
    if !warnings.is_empty() {
        record["Warnings"] = json!(warnings);
    }
    Ok(record)
}

/// A part of a deployment, and when it was made.
async fn part(
    store: &Store,
    plural: &str,
    namespace: &str,
    name: &str,
) -> Result<Option<(u64, Object)>, Failure> {
    let kinds = store.kinds();
    let Some(kind) = kinds.find("", "v1", plural) else {
        return Ok(None);
    };
    match store.get(kind, namespace, name).await {
        Ok(item) => Ok(Some((item.created.0, store::object(&item)?))),
        Err(failure) if failure.reason == Reason::NotFound => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn shown(main: &Object, templates: Option<&Object>, login: Option<u64>) -> Value {
    let meta = main.meta();
    let pod = &main.0["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    let network = &main.0["spec"]["template"]["metadata"]["labels"][NETWORK];
    let count = |path: &[&str]| main.at(path).and_then(Value::as_i64).unwrap_or(0);
    let (wanted, ready) = (
        count(&["spec", "replicas"]),
        count(&["status", "readyReplicas"]),
    );
    let names: Vec<&Value> = each(&container["env"]).map(|one| &one["name"]).collect();
    json!({
        "CreatedAt": meta.text("creationTimestamp"),
        "UpdatedAt": updated(main),
        "DeletedAt": null,
        "Name": meta.name(),
        "Image": container["image"],
        "RegistryCredentialsID": login,
        "NetworkAttachments": network.as_str().unwrap_or_default(),
        "Templates": files(templates).to_string(),
        "Namespace": meta.namespace(),
        "Env": names,
        "Ports": each(&container["ports"]).map(port).collect::<Vec<_>>(),
        "NodeSelector": pod.get("nodeSelector").cloned().unwrap_or_else(|| json!({})),
        "Replicas": wanted,
        "Ready": ready,
        "Status": if ready >= wanted { "running" } else { "waiting" },
    })
}

fn each(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn port(port: &Value) -> Value {
    let mut shown = Map::new();
    for (name, from) in [
        ("host_ip", "hostIP"),
        ("host_port", "hostPort"),
        ("container_port", "containerPort"),
    ] {
        if let Some(value) = port.get(from).filter(|value| **value != "") {
            shown.insert(name.to_owned(), value.clone());
        }
    }
    Value::Object(shown)
}

/// Files as they were sent.
fn files(templates: Option<&Object>) -> Value {
    let Some(map) = templates else {
        return json!([]);
    };
    let mut files: Vec<(usize, Value)> = Vec::new();
    for (key, destination) in map.meta().map("annotations") {
        let Some(index) = key.strip_prefix(DESTINATION) else {
            continue;
        };
        let content = map.text(&["data", &format!("template-{index}")]);
        let file = json!({ "content": content, "destination": destination });
        files.push((index.parse().unwrap_or(usize::MAX), file));
    }
    files.sort_by_key(|(index, _)| *index);
    files.into_iter().map(|(_, file)| file).collect()
}

/// When somebody posted it the last time, as far as that changed anything.
fn updated(main: &Object) -> &str {
    let managers = main.at(&["metadata", "managedFields"]);
    let managers = managers.and_then(Value::as_array);
    let mut managers = managers.into_iter().flatten();
    let own = managers.find(|entry| entry["manager"] == MANAGER);
    let time = own.and_then(|entry| entry["time"].as_str());
    time.unwrap_or_else(|| main.meta().text("creationTimestamp"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_knits_and_holds_no_value_of_a_variable() {
        let wanted = r#"{"name": "a", "image": "i", "network": "n", "env": {"PASS": "s3cret"},
            "ports": [{"host_port": 1, "container_port": 2}],
            "templates": [{"destination": "/x", "content": "y"}]}"#;
        let wanted = crate::decode::json(wanted.as_bytes()).unwrap();
        let parts = super::super::Wanted::read(wanted).unwrap().parts();
        let find = |plural: &str| {
            let found = parts.iter().find(|part| part.kind.1 == plural);
            &found.unwrap().object
        };
        let record = shown(find("deployments"), Some(find("configmaps")), Some(7));
        assert_eq!(record["Name"], "a");
        assert_eq!(record["RegistryCredentialsID"], 7);
        assert_eq!(record["NetworkAttachments"], "n");
        let templates: Value = serde_json::from_str(record["Templates"].as_str().unwrap()).unwrap();
        assert_eq!(templates, json!([{ "destination": "/x", "content": "y" }]));
        assert_eq!(
            record["Ports"],
            json!([{ "host_port": 1, "container_port": 2 }])
        );
        assert_eq!(record["Env"], json!(["PASS"]));
        assert!(!record.to_string().contains("s3cret"));
        assert_eq!(record["Status"], "waiting");
    }
}
