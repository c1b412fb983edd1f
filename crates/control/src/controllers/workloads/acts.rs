//! What workload controllers do to objects: make, delete, say. Never: decides what.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use weft_keyspace::Item;

use super::super::tell::{self, Told};
use crate::Store;
use crate::failure::{Failure, Reason};
use crate::kind::Kind;
use crate::object::Object;
use crate::store::{self, DeleteOptions, Patch, WriteOptions};

/// Most that are made or deleted at once.
const AT_ONCE: usize = 64;

/// Somebody who writes.
#[derive(Clone, Debug)]
pub(super) struct Hand {
    pub(super) store: Store,
    /// Who, as owner of fields and in events.
    pub(super) name: &'static str,
}

/// Something to be said of an object.
#[derive(Clone, Debug)]
pub(super) struct Say {
    pub(super) is_warning: bool,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

impl Say {
    pub(super) fn normal(reason: &'static str, message: String) -> Say {
        Say {
            is_warning: false,
            reason,
            message,
        }
    }

    pub(super) fn warning(reason: &'static str, message: String) -> Say {
        Say {
            is_warning: true,
            ..Say::normal(reason, message)
        }
    }
}

impl Hand {
    fn options(&self, subresource: &'static str) -> WriteOptions {
        WriteOptions {
            manager: self.name.to_owned(),
            subresource,
            ..WriteOptions::default()
        }
    }

    pub(super) async fn create(
        &self,
        kind: &Kind,
        namespace: &str,
        object: Object,
    ) -> Result<Arc<Item>, Failure> {
        let options = self.options("");
        self.store.create(kind, namespace, object, &options).await
    }

    /// Deletes this very object; one that is gone is deleted.
    pub(super) async fn delete(&self, kind: &Kind, object: &Object) -> Result<(), Failure> {
        let meta = object.meta();
        let options = DeleteOptions {
            uid: Some(meta.text("uid").to_owned()),
            ..DeleteOptions::default()
        };
        let deleted = self
            .store
            .delete(kind, meta.namespace(), meta.name(), &options);
        match deleted.await {
            Err(failure) if failure.reason == Reason::NotFound => Ok(()),
            done => done.map(drop),
        }
    }

    /// Changes this very version of an object by a merge patch.
    pub(super) async fn patch(
        &self,
        kind: &Kind,
        object: &Object,
        mut patch: Value,
    ) -> Result<Object, Failure> {
        let meta = object.meta();
        patch["metadata"]["uid"] = meta.text("uid").into();
        patch["metadata"]["resourceVersion"] = meta.text("resourceVersion").into();
        let (patch, options) = (Patch::Merge(patch), self.options(""));
        let (item, _) = self
            .store
            .patch(kind, meta.namespace(), meta.name(), &patch, &options)
            .await?;
        store::object_once(&item)
    }

    /// Puts an object in the place of the version it names.
    pub(super) async fn replace(&self, kind: &Kind, object: Object) -> Result<Object, Failure> {
        self.replace_part(kind, object, "").await
    }

    async fn replace_part(
        &self,
        kind: &Kind,
        object: Object,
        part: &'static str,
    ) -> Result<Object, Failure> {
        let (namespace, name) = (object.meta().namespace(), object.meta().name());
        let (namespace, name) = (namespace.to_owned(), name.to_owned());
        let options = self.options(part);
        let replaced = self
            .store
            .replace(kind, &namespace, &name, object, &options);
        store::object_once(&*replaced.await?)
    }

    /// Gives this very version of an object its status, if it is another; gives the object then.
    pub(super) async fn set_status(
        &self,
        kind: &Kind,
        object: &Object,
        status: Value,
    ) -> Result<Object, Failure> {
        match object.at(&["status"]) == Some(&status) {
            true => Ok(object.clone()),
            false => self.write_status(kind, object, status).await,
        }
    }

    /// The same, and its annotations: what is asked for stays.
    pub(super) async fn write_status(
        &self,
        kind: &Kind,
        object: &Object,
        status: Value,
    ) -> Result<Object, Failure> {
        let mut object = object.clone();
        object.0.insert("status".to_owned(), status);
        self.replace_part(kind, object, "status").await
    }

    /// Says all this of an object; what cannot be said is lost.
    pub(super) async fn say(&self, kind: &Arc<Kind>, object: &Arc<Object>, all: Vec<Say>) {
        each(all, |say| {
            let (hand, kind, object) = (self.clone(), Arc::clone(kind), Arc::clone(object));
            async move {
                let told = Told {
                    host: "",
                    field: "",
                    by: hand.name,
                    kind: if say.is_warning { "Warning" } else { "Normal" },
                    reason: say.reason,
                    message: &say.message,
                };
                if let Err(failure) = tell::tell(&hand.store, &kind, &object, &told).await {
                    tracing::warn!(%failure, "could not tell what happened");
                }
            }
        })
        .await;
    }
}

/// The reference of what `object`, which is of `kind`, controls.
pub(super) fn reference(kind: &Kind, object: &Object) -> Value {
    json!({
        "apiVersion": kind.api_version(), "kind": *kind.kind, "name": object.meta().name(),
        "uid": object.meta().text("uid"), "controller": true, "blockOwnerDeletion": true,
    })
}

/// Why one of a template could not be made: without the name that was made for it, so that it is the
/// same each time.
pub(super) fn why_not(failure: &Failure, template: &Object) -> String {
    let prefix = template.meta().text("generateName");
    let name = &failure.about.name;
    match !prefix.is_empty() && name.starts_with(prefix) {
        true => failure.message.replace(name.as_str(), prefix),
        false => failure.message.clone(),
    }
}

/// Does something with each, several at once, and gives what came of it in no order.
pub(super) async fn each<T, F>(all: Vec<T>, make: impl Fn(T) -> F) -> Vec<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let mut done = Vec::with_capacity(all.len());
    let mut jobs = JoinSet::new();
    for one in all {
        if jobs.len() >= AT_ONCE
            && let Some(Ok(one)) = jobs.join_next().await
        {
            done.push(one);
        }
        jobs.spawn(make(one));
    }
    while let Some(one) = jobs.join_next().await {
        done.extend(one);
    }
    done
}

/// Makes something of each: of one first, then of twice as many each time, until one fails. What is
/// refused is so refused a few times, not a thousand times. Gives what came of those that were tried.
pub(super) async fn slowly<T, R, F>(all: Vec<T>, make: impl Fn(T) -> F) -> Vec<Result<R, Failure>>
where
    F: Future<Output = Result<R, Failure>> + Send + 'static,
    R: Send + 'static,
{
    let mut done: Vec<Result<R, Failure>> = Vec::with_capacity(all.len());
    let mut left = all.into_iter();
    let mut size = 1;
    loop {
        let part: Vec<T> = left.by_ref().take(size).collect();
        let count = part.len();
        let part = each(part, &make).await;
        // One that gave no answer counts as failed: all of it is looked at again.
        let has_failed = part.len() < count || part.iter().any(Result::is_err);
        done.extend(part);
        if has_failed || count < size {
            return done;
        }
        size *= 2;
    }
}
