//! Whose name a pod acts in: a service account that is there, and how its containers show it.
//!
//! Never: makes a token; the pod's node is given one for its files.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::kind::Wanted;
use crate::kinds::rules::fill::below;
use crate::object::Object;

const NAME: [&str; 2] = ["spec", "serviceAccountName"];
/// Every namespace has it.
const USUAL: &str = "default";
const SECRETS: &str = "imagePullSecrets";
/// Whether containers are given what they come to the API with; the pod's word is before its account's.
const AUTOMOUNT: &str = "automountServiceAccountToken";
/// How the volume with it is called, and letters of chance behind that.
const VOLUME: &str = "kube-api-access-";
const LETTERS: usize = 5;
/// Where clients in containers look for it.
const PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Upstream's: by this number it knows the tokens nobody asked for.
const LIFE_S: i64 = 3607;
/// Every namespace has it (`daemon`'s `standard`).
const ROOT: [&str; 2] = ["kube-root-ca.crt", "ca.crt"];

/// The account that is named.
pub(super) fn wanted(pod: &Object) -> Wanted {
    let name = pod.text(&NAME).unwrap_or(USUAL);
    Wanted::Beside {
        name: name.to_owned(),
        is_coming: name == USUAL,
    }
}

/// Puts into `pod` what its account gives it.
pub(super) fn take(pod: &mut Object, accounts: &[Arc<Object>]) -> Result<(), String> {
    let Some(account) = accounts.first() else {
        let (namespace, name) = (pod.meta().namespace(), pod.text(&NAME).unwrap_or(USUAL));
        return Err(format!(
            "error looking up service account {namespace}/{name}: serviceaccount {name:?} not found"
        ));
    };
    let is_some = |list: &Value| list.as_array().is_some_and(|list| !list.is_empty());
    let given = account.at(&[SECRETS]).filter(|list| is_some(list));
    if let (Some(given), Some(spec)) = (given, below(&mut pod.0, "spec"))
        && !spec.get(SECRETS).is_some_and(is_some)
    {
        spec.insert(SECRETS.to_owned(), given.clone());
    }
    let says = |object: &Object, path: &[&str]| object.at(path).and_then(Value::as_bool);
    let wanted = says(pod, &["spec", AUTOMOUNT]).or_else(|| says(account, &[AUTOMOUNT]));
    if wanted != Some(false)
        && let Some(spec) = below(&mut pod.0, "spec")
    {
        mount(spec);
    }
    Ok(())
}

/// Mounts token, namespace and the authority's certificate where a container has nothing there.
fn mount(spec: &mut Map<String, Value>) {
    let volumes = spec.get("volumes").and_then(Value::as_array);
    let mut names = volumes.into_iter().flatten().map(|one| &one["name"]);
    let is_one = |name: &&Value| name.as_str().is_some_and(|name| name.starts_with(VOLUME));
    let own = names.find(is_one).and_then(Value::as_str);
    let name = match own {
        Some(own) => own.to_owned(),
        None => format!("{VOLUME}{}", weft_stdx::id::letters(LETTERS)),
    };
    let is_new = own.is_none();
    let mut is_used = false;
    for list in ["initContainers", "containers"] {
        let containers = spec.get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            let Some(container) = container.as_object_mut() else {
                continue;
            };
            let mounts = container.entry("volumeMounts").or_insert(Value::Null);
            if mounts.is_null() {
                *mounts = json!([]);
            }
            let Some(mounts) = mounts.as_array_mut() else {
                continue;
            };
            if !mounts.iter().any(|mount| mount["mountPath"] == PATH) {
                mounts.push(json!({ "name": name, "readOnly": true, "mountPath": PATH }));
                is_used = true;
            }
        }
    }
    if !is_new || !is_used {
        return;
    }
    let volumes = spec.entry("volumes").or_insert(Value::Null);
    if volumes.is_null() {
        *volumes = json!([]);
    }
    if let Some(volumes) = volumes.as_array_mut() {
        volumes.push(volume(&name));
    }
}

fn volume(name: &str) -> Value {
    let [map, key] = ROOT;
    let namespace = json!({ "apiVersion": "v1", "fieldPath": "metadata.namespace" });
    json!({
        "name": name,
        "projected": {
            "defaultMode": 0o644,
            "sources": [
                { "serviceAccountToken": { "expirationSeconds": LIFE_S, "path": "token" } },
                { "configMap": { "name": map, "items": [{ "key": key, "path": key }] } },
                { "downwardAPI": { "items": [{ "path": "namespace", "fieldRef": namespace }] } },
            ],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::testing::object;

    fn pod(spec: Value) -> Object {
        object(json!({ "metadata": { "namespace": "shop" }, "spec": spec }))
    }

    #[test]
    fn an_account_has_to_be_there_and_gives_its_secrets() {
        let account = Arc::new(object(json!({ "imagePullSecrets": [{ "name": "hub" }] })));
        for (given, wanted) in [
            (json!({}), "hub"),
            (json!({ "imagePullSecrets": [] }), "hub"),
            (json!({ "imagePullSecrets": [{ "name": "own" }] }), "own"),
        ] {
            let mut pod = pod(given);
            take(&mut pod, &[Arc::clone(&account)]).unwrap();
            assert_eq!(
                pod.0["spec"]["imagePullSecrets"],
                json!([{ "name": wanted }])
            );
        }
        let mut nobody = pod(json!({ "serviceAccountName": "robot" }));
        assert_eq!(
            take(&mut nobody, &[]).unwrap_err(),
            "error looking up service account shop/robot: serviceaccount \"robot\" not found"
        );
    }

    #[test]
    fn containers_are_given_what_they_come_to_the_api_with() {
        let account = Arc::new(object(json!({})));
        let own = json!([{ "name": "own", "mountPath": PATH }]);
        let mut pod = pod(json!({
            "volumes": [{ "name": "own" }],
            "initContainers": [{ "name": "first" }],
            "containers": [
                { "name": "main", "volumeMounts": [{ "name": "own", "mountPath": "/x" }] },
                { "name": "own", "volumeMounts": own },
            ],
        }));
        take(&mut pod, &[Arc::clone(&account)]).unwrap();
        let spec = &pod.0["spec"];
        let name = spec["volumes"][1]["name"].as_str().unwrap().to_owned();
        assert_eq!(name.len(), VOLUME.len() + LETTERS, "{name}");
        assert_eq!(spec["volumes"][1], volume(&name));
        let mount = json!({ "name": name, "readOnly": true, "mountPath": PATH });
        assert_eq!(spec["initContainers"][0]["volumeMounts"], json!([mount]));
        assert_eq!(spec["containers"][0]["volumeMounts"][1], mount);
        assert_eq!(spec["containers"][1]["volumeMounts"], own);
        // Who has it is not given another.
        let before = pod.clone();
        take(&mut pod, &[account]).unwrap();
        assert_eq!(pod, before);
    }

    #[test]
    fn a_pod_or_its_account_may_not_want_that() {
        let (yes, no) = (json!({ AUTOMOUNT: true }), json!({ AUTOMOUNT: false }));
        for (account, spec, is_mounted) in [
            (json!({}), json!({}), true),
            (json!({}), no.clone(), false),
            (no.clone(), json!({}), false),
            (no.clone(), json!({ AUTOMOUNT: null }), false),
            (no.clone(), yes.clone(), true),
            (yes, no, false),
        ] {
            let mut spec = spec;
            spec["containers"] = json!([{ "name": "main" }]);
            let mut pod = pod(spec.clone());
            take(&mut pod, &[Arc::new(object(account.clone()))]).unwrap();
            let volumes = pod.at(&["spec", "volumes"]);
            assert_eq!(volumes.is_some(), is_mounted, "{account} {spec}");
        }
        // All have something else there: nothing is added.
        let other = json!([{ "name": "other", "mountPath": PATH }]);
        let mut pod = pod(json!({ "containers": [{ "name": "main", "volumeMounts": other }] }));
        take(&mut pod, &[Arc::new(object(json!({})))]).unwrap();
        assert_eq!(pod.at(&["spec", "volumes"]), None);
    }
}
