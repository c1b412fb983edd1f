//! Deletion: at once, or marked until what has to be done first is done.
//!
//! Never: fails because creation did not finish.

use std::sync::{Arc, OnceLock};

use serde_json::Value;
use weft_keyspace::{CommitError, Expect, Guard, Item};

use super::write::{is_held, now, unwritten};
use super::{ListOptions, Store, WriteOptions, conflict, not_found};
use crate::failure::{Failure, Reason};
use crate::kind::Kind;
use crate::schema::Schema;

/// Namespaces that stay.
const KEPT: [&str; 3] = ["default", "kube-public", "kube-system"];
/// How often it is tried while somebody else changes the object.
const TRIES: usize = 20;

/// How something is to be deleted.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    /// Only this very object.
    pub uid: Option<String>,
    /// Only this version of it.
    pub version: Option<String>,
    /// Only say what would be.
    pub is_dry_run: bool,
}

impl DeleteOptions {
    /// What a request may say of it (`meta/v1`, `DeleteOptions`).
    pub fn schema() -> &'static Schema {
        use k8s_openapi::apimachinery::pkg::apis::meta::v1;
        static SCHEMA: OnceLock<Schema> = OnceLock::new();
        SCHEMA.get_or_init(|| Schema::compile(&schemars::schema_for!(v1::DeleteOptions).to_value()))
    }
}

/// What became of it.
#[derive(Clone, Debug)]
pub enum Deleted {
    /// It is gone; this was its last version.
    Gone(Arc<Item>),
    /// It goes when its finalizers are done.
    Marked(Arc<Item>),
}

impl Store {
    /// Deletes an object.
    ///
    /// # Errors
    /// It is not there, or not the one that was meant.
    pub async fn delete(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
        options: &DeleteOptions,
    ) -> Result<Deleted, Failure> {
        let is_namespace = kind.group.is_empty() && kind.plural == "namespaces";
        if is_namespace && KEPT.contains(&name) {
            let message =
                format!("namespaces {name:?} is forbidden: this namespace may not be deleted");
            return Err(Failure::new(Reason::Forbidden, message).about("", "namespaces", name));
        }
        for _ in 0..TRIES {
            let item = self.get(kind, namespace, name).await?;
            match self.delete_item(kind, namespace, &item, options).await? {
                Some(deleted) => return Ok(deleted),
                None => continue,
            }
        }
        Err(conflict(
            kind,
            name,
            "it is changed all the time; try again",
        ))
    }

    /// Nothing: it is another version by now.
    async fn delete_item(
        &self,
        kind: &Kind,
        namespace: &str,
        item: &Arc<Item>,
        options: &DeleteOptions,
    ) -> Result<Option<Deleted>, Failure> {
        let object = super::object(item)?;
        let name = object.meta().name();
        let found = [
            ("UID", &options.uid, object.meta().text("uid")),
            (
                "ResourceVersion",
                &options.version,
                object.meta().text("resourceVersion"),
            ),
        ];
        for (what, wanted, found) in found {
            if let Some(wanted) = wanted.as_deref().filter(|wanted| *wanted != found) {
                let why = format!(
                    "the {what} in the precondition ({wanted}) does not match the {what} in record \
                     ({found}). The object might have been deleted and then recreated"
                );
                return Err(conflict(kind, name, &why));
            }
        }
        let write = WriteOptions {
            is_dry_run: options.is_dry_run,
            ..WriteOptions::default()
        };
        let done = if is_held(&object) {
            if object.meta().is_deleting() {
                return Ok(Some(Deleted::Marked(Arc::clone(item))));
            }
            let mut marked = object.clone();
            marked.set_meta("deletionTimestamp", Some(now().into()));
            marked.set_meta("deletionGracePeriodSeconds", Some(Value::from(0)));
            if marked.at(&["spec", "finalizers"]).is_some() {
                marked.0["status"]["phase"] = "Terminating".into();
            }
            let guards = vec![is_still(item)];
            let put = self.put(kind, namespace, &marked, guards, &write).await;
            put.map(Deleted::Marked)
        } else {
            let taken = self
                .take(item.key.clone(), vec![is_still(item)], &write)
                .await;
            taken.map(Deleted::Gone)
        };
        match done {
            Ok(deleted) => Ok(Some(deleted)),
            Err(CommitError::Conflict { found: None, .. }) => Err(not_found(kind, name)),
            Err(CommitError::Conflict { .. }) => Ok(None),
            Err(error) => Err(unwritten(error)),
        }
    }

    /// Deletes all objects a list would show; gives what was there.
    ///
    /// # Errors
    /// One could not be deleted; those before it are.
    pub async fn delete_all(
        &self,
        kind: &Kind,
        namespace: &str,
        which: &ListOptions,
        options: &DeleteOptions,
    ) -> Result<Vec<Arc<Item>>, Failure> {
        let listed = self.list(kind, namespace, which).await?;
        for item in &listed.items {
            let object = super::object(item)?;
            let meta = object.meta();
            let one = self.delete_one(kind, meta.namespace(), meta.name(), options);
            one.await?;
        }
        Ok(listed.items)
    }

    /// One that is gone meanwhile is deleted.
    async fn delete_one(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
        options: &DeleteOptions,
    ) -> Result<(), Failure> {
        for _ in 0..TRIES {
            let Some(item) = self.find(kind, namespace, name).await? else {
                return Ok(());
            };
            match self.delete_item(kind, namespace, &item, options).await {
                Ok(None) => {}
                Ok(Some(_)) => return Ok(()),
                Err(error) if error.reason == Reason::NotFound => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Err(conflict(
            kind,
            name,
            "it is changed all the time; try again",
        ))
    }
}

fn is_still(item: &Item) -> Guard {
    Guard {
        key: item.key.clone(),
        expect: Expect::Modified(item.modified),
    }
}
