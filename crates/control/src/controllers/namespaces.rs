//! Namespaces that are being deleted: everything in them goes, then they do.

use std::convert::Infallible;
use std::sync::Arc;

use serde_json::{Value, json};
use weft_keyspace::Item;

use super::{Done, Reconcile, keep};
use crate::Store;
use crate::failure::{Failure, Reason};
use crate::kind::Kind;
use crate::object::Object;
use crate::store::{self, DeleteOptions, ListOptions, WriteOptions};

/// Who it is, as owner of fields.
const NAME: &str = "namespace-controller";

/// The controller.
struct Namespaces<'a> {
    store: &'a Store,
    kind: &'a Kind,
}

pub(super) async fn run(store: &Store) -> Infallible {
    let kinds = store.kinds();
    let Some(kind) = kinds.find("", "v1", "namespaces") else {
        return std::future::pending().await;
    };
    keep(store, kind, &mut Namespaces { store, kind }).await
}

impl Reconcile for Namespaces<'_> {
    async fn reconcile(&mut self, items: &[Arc<Item>]) -> Result<Done, Failure> {
        let mut done = Done::All;
        for item in items {
            let namespace = store::object(item)?;
            let is_ending = namespace.meta().is_deleting();
            if is_ending && end(self.store, self.kind, &namespace).await? == Done::NotYet {
                done = Done::NotYet;
            }
        }
        Ok(done)
    }
}

/// Empties a namespace, and lets it go when it is empty.
async fn end(store: &Store, kind: &Kind, namespace: &Object) -> Result<Done, Failure> {
    let name = namespace.meta().name();
    let mut left = Vec::new();
    for kind in store
        .kinds()
        .iter()
        .filter(|kind| kind.is_namespaced && kind.is_kept())
    {
        let all = ListOptions::default();
        store
            .delete_all(kind, name, &all, &DeleteOptions::default())
            .await?;
        let listed = store
            .list(kind, name, &ListOptions { limit: 1, ..all })
            .await?;
        if !listed.items.is_empty() {
            left.push(kind.resource());
        }
    }
    if left.is_empty() {
        let gone = store.finalize(kind, name, &[], NAME).await;
        return match gone {
            Err(failure) if failure.reason != Reason::NotFound => Err(failure),
            _ => Ok(Done::All),
        };
    }
    tell(store, kind, namespace, &left).await?;
    Ok(Done::NotYet)
}

/// Says in the status what holds it.
async fn tell(
    store: &Store,
    kind: &Kind,
    namespace: &Object,
    left: &[String],
) -> Result<(), Failure> {
    let message = format!("Some resources are remaining: {}", left.join(", "));
    let is_told = |condition: &Value| condition.get("message") == Some(&message.as_str().into());
    let conditions = namespace
        .at(&["status", "conditions"])
        .and_then(Value::as_array);
    if conditions.into_iter().flatten().any(is_told) {
        return Ok(());
    }
    let mut told = namespace.clone();
    told.0["status"]["conditions"] = json!([{
        "type": "NamespaceContentRemaining",
        "status": "True",
        "reason": "SomeResourcesRemain",
        "message": message,
        "lastTransitionTime": crate::store::now(),
    }]);
    told.set_meta("resourceVersion", None);
    let options = WriteOptions {
        subresource: "status",
        manager: NAME.to_owned(),
        ..WriteOptions::default()
    };
    let name = namespace.meta().name();
    match store.replace(kind, "", name, told, &options).await {
        Err(failure) if failure.reason == Reason::NotFound => Ok(()),
        other => other.map(drop),
    }
}
