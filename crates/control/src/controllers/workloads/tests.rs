//! Workload controllers beside a store in memory; the test is every node's agent.

mod budget;
mod cron_job;
mod daemon_set;
mod deployment;
mod job;
mod replica_set;
mod stateful_set;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use weft_keyspace::{Options, Revision, memory};

use crate::kind::Kind;
use crate::object::Object;
use crate::store::{DeleteOptions, ListOptions, Patch, Propagation, WriteOptions, object_once};
use crate::{Failure, Kinds, Store};

const BOUND: Duration = Duration::from_secs(20);

pub(super) struct World {
    pub(super) store: Store,
    began: Revision,
    controllers: Option<tokio::task::JoinHandle<()>>,
}

pub(super) fn of(value: Value) -> Object {
    match value {
        Value::Object(map) => Object(map),
        other => panic!("{other} is no object"),
    }
}

impl World {
    /// A store with a namespace `a`, and controllers.
    pub(super) async fn begin() -> World {
        let store = Store::new(Arc::new(memory(Options::default())), Kinds::built_in());
        let began = store.revision().await.unwrap();
        let mut world = World {
            store,
            began,
            controllers: None,
        };
        let namespace = json!({ "metadata": { "name": "a" } });
        world.make("namespaces", namespace).await.unwrap();
        let account = json!({ "metadata": { "name": "default" } });
        world.make("serviceaccounts", account).await.unwrap();
        world.start();
        world
    }

    pub(super) fn start(&mut self) {
        let store = self.store.clone();
        self.controllers = Some(tokio::spawn(async move {
            tokio::select! {
                never = super::run(&store) => match never {},
                never = super::super::owners::run(&store) => match never {},
            }
        }));
    }

    /// As a kill does it: between any two lines.
    pub(super) async fn kill(&mut self) {
        if let Some(controllers) = self.controllers.take() {
            controllers.abort();
            controllers.await.ok();
        }
    }

    pub(super) fn kind(&self, plural: &str) -> Arc<Kind> {
        let kinds = self.store.kinds();
        let found = ["", "apps", "batch", "policy"]
            .iter()
            .find_map(|group| kinds.at(group, plural));
        Arc::clone(found.unwrap())
    }

    fn namespace(kind: &Kind) -> &'static str {
        if kind.is_namespaced { "a" } else { "" }
    }

    pub(super) async fn make(&self, plural: &str, value: Value) -> Result<Object, Failure> {
        let kind = self.kind(plural);
        let options = WriteOptions::default();
        let made = self
            .store
            .create(&kind, Self::namespace(&kind), of(value), &options);
        object_once(&*made.await?)
    }

    pub(super) async fn get(&self, plural: &str, name: &str) -> Option<Object> {
        let kind = self.kind(plural);
        let found = self
            .store
            .get(&kind, Self::namespace(&kind), name)
            .await
            .ok()?;
        Some(object_once(&found).unwrap())
    }

    pub(super) async fn all(&self, plural: &str) -> Vec<Object> {
        let kind = self.kind(plural);
        let listed = self
            .store
            .list(&kind, "", &ListOptions::default())
            .await
            .unwrap();
        listed
            .items
            .iter()
            .map(|item| object_once(item).unwrap())
            .collect()
    }

    pub(super) async fn patch(&self, plural: &str, name: &str, patch: Value) {
        self.patch_part(plural, name, patch, "").await;
    }

    pub(super) async fn patch_status(&self, plural: &str, name: &str, status: Value) {
        let patch = json!({ "status": status });
        self.patch_part(plural, name, patch, "status").await;
    }

    async fn patch_part(&self, plural: &str, name: &str, patch: Value, subresource: &'static str) {
        let kind = self.kind(plural);
        let options = WriteOptions {
            subresource,
            ..WriteOptions::default()
        };
        let patch = Patch::Merge(patch);
        let done = self
            .store
            .patch(&kind, Self::namespace(&kind), name, &patch, &options);
        done.await.unwrap();
    }

    pub(super) async fn delete(&self, plural: &str, name: &str, propagation: Propagation) {
        let kind = self.kind(plural);
        let options = DeleteOptions {
            propagation,
            grace_s: Some(0),
            ..DeleteOptions::default()
        };
        let done = self
            .store
            .delete(&kind, Self::namespace(&kind), name, &options);
        done.await.unwrap();
    }

    /// A pod runs, and is ready or not.
    pub(super) async fn run_pod(&self, name: &str, is_ready: bool) {
        let status = if is_ready { "True" } else { "False" };
        let now = crate::store::now();
        let status = json!({ "phase": "Running", "conditions": [
            { "type": "Ready", "status": status, "lastTransitionTime": now },
        ] });
        self.patch_status("pods", name, status).await;
    }

    /// All pods that run neither nor are ready become so.
    pub(super) async fn run_all(&self) {
        for pod in self.active().await {
            if super::pods::ready_since(&pod).is_none() {
                self.run_pod(pod.meta().name(), true).await;
            }
        }
    }

    pub(super) async fn active(&self) -> Vec<Object> {
        let mut all = self.all("pods").await;
        all.retain(super::pods::is_active);
        all
    }

    /// Waits until `check` holds of what there is; it is looked at again whenever something changes.
    #[track_caller]
    pub(super) fn until<'a, F>(
        &'a self,
        what: &'a str,
        check: impl Fn() -> F + 'a,
    ) -> impl Future<Output = ()> + 'a
    where
        F: Future<Output = bool> + 'a,
    {
        let at = std::panic::Location::caller();
        async move {
            let mut happenings = self.store.watch_all(self.began).await.unwrap();
            let wait = async {
                while !check().await {
                    happenings.next().await.unwrap();
                }
            };
            let done = tokio::time::timeout(BOUND, wait).await;
            assert!(done.is_ok(), "{at}: never: {what}");
        }
    }

    pub(super) async fn reasons(&self, name: &str) -> Vec<String> {
        let events = self.all("events").await.into_iter();
        let events = events.filter(|event| event.text(&["involvedObject", "name"]) == Some(name));
        events
            .map(|event| event.text(&["reason"]).unwrap().to_owned())
            .collect()
    }
}

pub(super) fn template(app: &str, image: &str) -> Value {
    json!({
        "metadata": { "labels": { "app": app } },
        "spec": { "containers": [{ "name": "c", "image": image }] },
    })
}

pub(super) fn status(object: &Object, name: &str) -> i64 {
    object
        .at(&["status", name])
        .and_then(Value::as_i64)
        .unwrap_or(0)
}
