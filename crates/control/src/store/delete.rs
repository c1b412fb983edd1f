//! Deletion: at once, or marked until what has to be done first is done.
//!
//! Never: fails because creation did not finish.

use std::sync::{Arc, OnceLock};

use serde_json::Value;
use weft_keyspace::{Change, Commit, CommitError, Expect, Guard, Item};

use super::write::{held_by_spec, is_held, later, unwritten};
use super::{ListOptions, Store, WriteOptions, conflict, not_found};
use crate::failure::{Failure, Reason};
use crate::kind::Kind;
use crate::object::Object;
use crate::schema::Schema;

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
    /// How many seconds it is given, if not as many as its kind gives.
    pub grace_s: Option<i64>,
    /// What becomes of what it owns.
    pub propagation: Propagation,
    /// Also if what is stored cannot be read: nothing that holds it is looked at then, nor whether
    /// it is the one that is meant.
    pub is_unread: bool,
}

/// What becomes of what a deleted object owns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Propagation {
    /// It goes afterwards.
    #[default]
    Background,
    /// It goes first.
    Foreground,
    /// It stays, and has one owner less.
    Orphan,
}

impl Propagation {
    /// The finalizer that says so.
    pub(crate) fn finalizer(self) -> Option<&'static str> {
        match self {
            Propagation::Background => None,
            Propagation::Foreground => Some("foregroundDeletion"),
            Propagation::Orphan => Some("orphan"),
        }
    }

    /// As requests say it; nothing: it is none.
    pub fn of(text: &str) -> Option<Propagation> {
        match text {
            "Background" => Some(Propagation::Background),
            "Foreground" => Some(Propagation::Foreground),
            "Orphan" => Some(Propagation::Orphan),
            _ => None,
        }
    }
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
    /// It could not be read, and is gone.
    Unread,
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
        for _ in 0..TRIES {
            if options.is_unread && self.delete_unread(kind, namespace, name).await? {
                return Ok(Deleted::Unread);
            }
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

    /// Deletes what cannot be read; not: it can be, or is not there, or is another one by now.
    async fn delete_unread(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
    ) -> Result<bool, Failure> {
        let Some(item) = self.stored(kind, namespace, name).await? else {
            return Ok(false);
        };
        let opened = self.vault.open(kind, &item);
        if opened.is_ok_and(|item| super::object(&item).is_ok()) {
            return Ok(false);
        }
        let key = item.key.clone();
        let commit = Commit {
            guards: vec![is_still(&item)],
            changes: vec![Change::Delete { key }],
        };
        match self.keyspace.commit(commit).await {
            Ok(_) => Ok(true),
            Err(CommitError::Conflict { .. }) => Ok(false),
            Err(error) => Err(unwritten(error)),
        }
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
        if kind.kept.contains(&name) {
            let (resource, singular) = (kind.resource(), &kind.singular);
            let message =
                format!("{resource} {name:?} is forbidden: this {singular} may not be deleted");
            let failure = Failure::new(Reason::Forbidden, message);
            return Err(failure.about(&kind.group, &kind.plural, name));
        }
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
        let marked = marked(kind, &object, options);
        let guards = vec![is_still(item)];
        let done = match marked {
            Some(marked) if marked == object => {
                return Ok(Some(Deleted::Marked(Arc::clone(item))));
            }
            Some(marked) => {
                let put = self.put(kind, namespace, &marked, guards, &write).await;
                put.map(Deleted::Marked)
            }
            None => {
                let taken = self.take(kind, item.key.clone(), guards, &write).await;
                taken.map(Deleted::Gone)
            }
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

/// The object with the mark of its deletion; nothing: it goes at once.
fn marked(kind: &Kind, object: &Object, options: &DeleteOptions) -> Option<Object> {
    let mut marked = object.clone();
    if let Some(finalizer) = options.propagation.finalizer() {
        let mut all: Vec<&str> = object.meta().finalizers().collect();
        if !all.contains(&finalizer) {
            all.push(finalizer);
            marked.set_meta("finalizers", Some(all.into()));
        }
    }
    // Only kinds that are ended by somebody are given time.
    let given = (kind.grace_s)(object);
    let grace = match options.grace_s {
        Some(seconds) if given > 0 => seconds.max(0),
        _ => given,
    };
    if !is_held(&marked) && grace == 0 {
        return None;
    }
    let before = object.at(&["metadata", "deletionGracePeriodSeconds"]);
    let before = before.and_then(Value::as_i64);
    // It may be made shorter, never longer.
    if !object.meta().is_deleting() || before.is_some_and(|before| grace < before) {
        let generation = object.at(&["metadata", "generation"]);
        if let Some(generation) = generation.and_then(Value::as_i64) {
            marked.set_meta("generation", Some((generation + 1).into()));
        }
        marked.set_meta("deletionTimestamp", Some(later(grace).into()));
        marked.set_meta("deletionGracePeriodSeconds", Some(grace.into()));
    }
    if held_by_spec(&marked).is_some() {
        marked.0["status"]["phase"] = "Terminating".into();
    }
    Some(marked)
}

fn is_still(item: &Item) -> Guard {
    Guard {
        key: item.key.clone(),
        expect: Expect::Modified(item.modified),
    }
}
