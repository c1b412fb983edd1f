//! Pods, as the verbs that reach into one choose them: by name, or through what has pods.
//!
//! Owns which pod of several and which container of a pod is meant, in kubectl's way.
//! Never: talks to a container (`session`, `forward`).

pub mod channels;
pub mod forward;
mod order;
pub mod session;

use std::time::Duration;

use serde_json::Value;
use weft_client::Request;

pub use self::order::Preference;
use super::choose::{PAGE, Target, pages, targets};
use super::connect::Api;
use super::form::items;
use super::manifest::{self, Sources};
use crate::error::CliError;
use crate::printer::Printer;

/// The container that is meant where several could be.
const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

/// Where containers stand in a pod, and how they are told apart in a list of all.
const PLACES: [(&str, &str); 3] = [
    ("containers", ""),
    ("initContainers", " (init)"),
    ("ephemeralContainers", " (ephem)"),
];

/// The object that `word` names: `POD`, or `TYPE/NAME`.
///
/// # Errors
/// There is none.
pub async fn named(api: &Api, word: &str) -> Result<Value, CliError> {
    let mut found = match word.contains('/') {
        true => targets(api, &[word.to_owned()], &Sources::default(), false).await?,
        false => vec![Target {
            kind: api.kind("pods").await?.clone(),
            namespace: Some(api.namespace.clone()),
            name: Some(word.to_owned()),
        }],
    };
    match found.len() {
        1 => read(api, &found.remove(0)).await,
        _ => Err(CliError::usage(format!(
            "{word}: one object is wanted, and this names {}",
            found.len()
        ))),
    }
}

/// The object that a manifest is about, as the server has it.
///
/// # Errors
/// There is none, or there are several.
pub async fn in_file(api: &Api, sources: &Sources) -> Result<Value, CliError> {
    match &manifest::read(sources).await?[..] {
        [one] => read(api, &one.target(api).await?).await,
        all => Err(CliError::usage(format!(
            "one object is wanted, and the files have {}",
            all.len()
        ))),
    }
}

async fn read(api: &Api, target: &Target) -> Result<Value, CliError> {
    let mut object: Value = api.ask(&target.get()).await?.json()?;
    object["kind"] = target.kind.kind.as_str().into();
    object["apiVersion"] = target.kind.api_version().into();
    Ok(object)
}

/// What chooses the pods of `object`; nothing: it is one itself.
///
/// # Errors
/// It has none.
pub fn selector(object: &Value) -> Result<Option<String>, CliError> {
    use super::verbs::describe::selector;
    let label = super::form::label(object);
    let of_map = |map: &Value| selector(&serde_json::json!({ "matchLabels": map }));
    let chosen = match object["kind"].as_str().unwrap_or_default() {
        "Pod" => return Ok(None),
        "Deployment" | "ReplicaSet" | "StatefulSet" | "DaemonSet" | "Job" => {
            selector(&object["spec"]["selector"])
        }
        "ReplicationController" | "Service" => of_map(&object["spec"]["selector"]),
        "CronJob" => {
            let hint = "`weft get jobs` lists its runs: name one of them, as job/NAME";
            return Err(CliError::new(format!("{label} has no pods: its jobs have")).hint(hint));
        }
        _ => {
            let hint = "name a pod, a workload or a service";
            return Err(CliError::new(format!("{label} has no pods")).hint(hint));
        }
    };
    match chosen.is_empty() {
        true => Err(CliError::new(format!(
            "{label} has no selector, so it chooses no pods"
        ))),
        false => Ok(Some(chosen)),
    }
}

/// The pods that `selector` chooses.
///
/// # Errors
/// The server does not tell.
pub async fn chosen_by(api: &Api, namespace: &str, selector: &str) -> Result<Vec<Value>, CliError> {
    let request = Request::get("list pods", &path(namespace, &[])).query("labelSelector", selector);
    let list = pages(request, PAGE, async |page| api.ask(page).await).await?;
    Ok(items(&list).into_iter().cloned().collect())
}

/// The pod that `object` is, or the one of its pods that is preferred. It is waited for the first
/// one at most for `patience`. Also how many there are.
///
/// # Errors
/// There is none within that time.
pub async fn one_of(
    api: &Api,
    object: Value,
    preference: Preference,
    patience: Duration,
) -> Result<(Value, usize), CliError> {
    let Some(selector) = selector(&object)? else {
        return Ok((object, 1));
    };
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
    let mut pods = chosen_by(api, namespace, &selector).await?;
    if pods.is_empty() {
        let label = super::form::label(&object);
        pods.push(first(api, namespace, &selector, patience, &label).await?);
    }
    let count = pods.len();
    Ok((preference.best(pods).expect("one was found"), count))
}

/// The first pod that comes.
async fn first(
    api: &Api,
    namespace: &str,
    selector: &str,
    patience: Duration,
    label: &str,
) -> Result<Value, CliError> {
    let request = Request::get("watch pods", &path(namespace, &[]))
        .query("labelSelector", selector)
        .query("watch", "true");
    let coming = async {
        let mut events = api.cluster.watch(&request).await?;
        while let Some((_, object)) = events.next().await? {
            if object["kind"] == "Pod" {
                return Ok(object);
            }
        }
        Err(CliError::new(format!(
            "{label} has no pods, and the server ended the watch for them"
        )))
    };
    let none = |_| {
        let seconds = patience.as_secs();
        CliError::new(format!(
            "{label} has no pods, and none came within {seconds} s"
        ))
        .hint(format!("`weft why {label}` tells why"))
    };
    tokio::time::timeout(patience, coming).await.map_err(none)?
}

/// Path of pods, as segments.
pub fn path<'a>(namespace: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
    let mut path = vec!["api", "v1"];
    if !namespace.is_empty() {
        path.extend(["namespaces", namespace]);
    }
    path.push("pods");
    path.extend(rest);
    path
}

/// Name and namespace of an object.
pub fn place(object: &Value) -> (&str, &str) {
    let text = |key: &str| object["metadata"][key].as_str().unwrap_or_default();
    (text("name"), text("namespace"))
}

/// All containers of a pod: those that go on, those that begin, those that were added.
pub fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    PLACES.iter().flat_map(|(place, _)| {
        let list = pod["spec"][place].as_array();
        list.map_or(&[][..], Vec::as_slice)
    })
}

/// `app, side, setup (init)`
fn all_names(pod: &Value) -> String {
    let all = PLACES.iter().flat_map(|(place, mark)| {
        let list = pod["spec"][place].as_array();
        let list = list.map_or(&[][..], Vec::as_slice);
        list.iter().map(move |one| name(one).to_owned() + mark)
    });
    all.collect::<Vec<_>>().join(", ")
}

/// What a container is called.
pub fn name(container: &Value) -> &str {
    container["name"].as_str().unwrap_or_default()
}

/// The container of `pod` that is meant: the one of that name, the one its annotation names, the
/// first. Which one it is is said where it is not sure and not to be `quiet`.
///
/// # Errors
/// There is none of that name.
pub fn container<'a>(
    pod: &'a Value,
    wanted: Option<&str>,
    quiet: bool,
    printer: Printer,
) -> Result<&'a Value, CliError> {
    let find = |wanted: &str| containers(pod).find(|one| name(one) == wanted);
    let own = place(pod).0;
    if let Some(wanted) = wanted.filter(|wanted| !wanted.is_empty()) {
        return find(wanted).ok_or_else(|| {
            CliError::new(format!("container {wanted} not found in pod {own}"))
                .hint(format!("it has: {}", all_names(pod)))
        });
    }
    if let Some(noted) = pod["metadata"]["annotations"][DEFAULT_CONTAINER].as_str() {
        match find(noted) {
            Some(found) => return Ok(found),
            None if !quiet => printer.talk(&format!(
                "Default container name {noted:?} not found in pod {own}"
            )),
            None => {}
        }
    }
    let first = containers(pod).next();
    let first = first.ok_or_else(|| CliError::new(format!("pod {own} has no containers")))?;
    if containers(pod).nth(1).is_some() && !quiet {
        let (name, all) = (name(first), all_names(pod));
        printer.talk(&format!("Defaulted container {name:?} out of: {all}"));
    }
    Ok(first)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_container_is_chosen_as_kubectl_does() {
        let pod = |noted: Value| {
            json!({
                "metadata": { "name": "web", "annotations": { DEFAULT_CONTAINER: noted } },
                "spec": {
                    "containers": [{ "name": "app" }, { "name": "side" }],
                    "initContainers": [{ "name": "setup" }],
                },
            })
        };
        for (noted, wanted, found) in [
            (json!(null), None, Ok("app")),
            (json!(null), Some(""), Ok("app")),
            (json!("side"), None, Ok("side")),
            (json!("nope"), None, Ok("app")),
            (json!("side"), Some("setup"), Ok("setup")),
            (
                json!(null),
                Some("x"),
                Err("container x not found in pod web"),
            ),
        ] {
            let pod = pod(noted);
            let chosen = container(&pod, wanted, true, Printer).map(name);
            let chosen = chosen.map_err(|error| error.message().to_owned());
            assert_eq!(chosen, found.map_err(str::to_owned));
        }
        assert_eq!(all_names(&pod(json!(null))), "app, side, setup (init)");
    }

    #[test]
    fn what_has_pods_says_which() {
        for (object, chosen) in [
            (json!({ "kind": "Pod" }), Ok(None)),
            (
                json!({ "kind": "Deployment", "spec": { "selector": { "matchLabels": { "a": "b" } } } }),
                Ok(Some("a=b")),
            ),
            (
                json!({ "kind": "Service", "spec": { "selector": { "a": "b", "c": "d" } } }),
                Ok(Some("a=b,c=d")),
            ),
            (
                json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "x" }, "spec": {} }),
                Err("service/x has no selector, so it chooses no pods"),
            ),
            (
                json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "x" } }),
                Err("configmap/x has no pods"),
            ),
        ] {
            let found = selector(&object).map_err(|error| error.message().to_owned());
            let chosen = chosen.map(|some: Option<&str>| some.map(str::to_owned));
            assert_eq!(found, chosen.map_err(str::to_owned), "{object}");
        }
    }
}
