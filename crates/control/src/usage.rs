//! What pods and nodes use of their machines, as `metrics.k8s.io` tells it.
//!
//! Owns: how what nodes measure becomes objects. Never: measures; that is done where pods run.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use weft_api::observed::{Usage, Used};
use weft_keyspace::Item;

use crate::Store;
use crate::failure::{Failure, Reason};
use crate::kind::Kind;
use crate::object::Object;
use crate::store::{self, ListOptions};

/// What each node uses, by its name.
pub type Measured = Vec<(String, Usage)>;
/// What is measured, when it has been.
pub type Measuring<'a> = Pin<Box<dyn Future<Output = Result<Measured, Failure>> + Send + 'a>>;

/// Says what nodes and their pods use.
pub trait Meter: Send + Sync + fmt::Debug {
    /// All there is to say, of late.
    fn read(&self) -> Measuring<'_>;
}

/// The metrics of those of a kind that `options` mean.
///
/// # Errors
/// Nobody measures, or what is stored can't be read.
pub async fn list(
    store: &Store,
    meter: Option<&dyn Meter>,
    (kind, namespace): (&Kind, &str),
    options: &ListOptions,
) -> Result<Vec<Arc<Item>>, Failure> {
    let Some(meter) = meter else {
        let message = "nothing is measured: this server runs no pods (--disable-agent)";
        return Err(Failure::new(Reason::ServiceUnavailable, message));
    };
    // What is measured has the name and the labels of what it is measured of.
    let kinds = store.kinds();
    let Some(of) = kinds.find("", "v1", &kind.plural) else {
        return Ok(Vec::new());
    };
    let listed = store.list(of, namespace, options).await?;
    let measured = meter.read().await?;
    let mut items = Vec::new();
    for item in &listed.items {
        let object = store::object_once(item)?;
        let metrics = match kind.is_namespaced {
            true => of_pod(&object, &measured),
            false => of_node(&object, &measured),
        };
        if let Some(metrics) = metrics {
            items.push(store::unkept(kind, &metrics)?);
        }
    }
    Ok(items)
}

/// How much of `measured` is a pod's: by container, with what it was measured with.
pub(crate) fn of_containers<'a>(
    uid: &str,
    measured: &'a [(String, Usage)],
) -> Option<(&'a Usage, &'a [(String, Used)])> {
    let mut found = measured.iter();
    found.find_map(|(_, usage)| Some((usage, usage.pods.get(uid)?.as_slice())))
}

fn of_pod(pod: &Object, measured: &[(String, Usage)]) -> Option<Object> {
    if pod.text(&["status", "phase"]) != Some("Running") {
        return None;
    }
    let (usage, containers) = of_containers(pod.meta().text("uid"), measured)?;
    let containers = containers
        .iter()
        .map(|(name, used)| json!({ "name": name, "usage": amounts(*used) }));
    let containers = containers.collect::<Vec<Value>>();
    Some(object(pod, usage, "containers", containers.into()))
}

fn of_node(node: &Object, measured: &[(String, Usage)]) -> Option<Object> {
    let mut found = measured.iter();
    let (_, usage) = found.find(|(name, _)| name == node.meta().name())?;
    Some(object(node, usage, "usage", amounts(usage.node)))
}

fn object(of: &Object, usage: &Usage, field: &str, value: Value) -> Object {
    let mut object = Object::default();
    for name in ["name", "namespace", "labels"] {
        let same = of.at(&["metadata", name]).cloned();
        object.set_meta(name, same);
    }
    let seconds = Timestamp::from_nanosecond(usage.time_ns.into());
    let time = seconds.unwrap_or_default().strftime("%Y-%m-%dT%H:%M:%SZ");
    let time = time.to_string();
    object.set_meta("creationTimestamp", Some(json!(time)));
    let window = format!("{:.3}s", usage.window_ns as f64 / 1e9);
    object.0.insert("timestamp".to_owned(), json!(time));
    object.0.insert("window".to_owned(), json!(window));
    object.0.insert(field.to_owned(), value);
    object
}

fn amounts(used: Used) -> Value {
    json!({
        "cpu": format!("{}n", used.cpu_n),
        "memory": format!("{}Ki", used.memory_bytes / 1024),
    })
}
