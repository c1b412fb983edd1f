//! Replace, patch and apply.
//!
//! ```text
//!   read ─► change ─► kind's rules ─► commit, if it is still what was read
//!     ▲                                 │ no: a patch tries again, a replacement
//!     └─────────────────────────────────┘ that names no version, too
//! ```

use std::sync::Arc;

use serde_json::{Map, Value};
use weft_keyspace::{CommitError, Expect, Guard, Item};

use super::write::{TRIES, Way, check, held_by_spec, is_held, place_in, unwritten};
use super::{Patch, Store, WriteOptions, claims, conflict, invalid, managed, not_found, record};
use crate::failure::{Cause, Failure, Reason};
use crate::kind::{Generation, Kind};
use crate::object::Object;
use crate::schema;

impl Store {
    /// Puts `object` in the place of the one that is there.
    ///
    /// # Errors
    /// It is invalid, not there, or another version than the one `object` names.
    pub async fn replace(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
        mut object: Object,
        options: &WriteOptions,
    ) -> Result<Arc<Item>, Failure> {
        let current = self.current(kind).await?;
        let kind = &*current;
        place_in(kind, namespace, &mut object)?;
        is_named(&object, name)?;
        let change = |_: &Object| Ok(object.clone());
        self.change(kind, namespace, name, options, Way::Update, change)
            .await
    }

    /// The same, and says whether that made the object: of some kinds, one that is not there is made.
    ///
    /// # Errors
    /// It is invalid, or names what is not there.
    pub async fn put_or_make(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
        object: Object,
        options: &WriteOptions,
    ) -> Result<(Arc<Item>, bool), Failure> {
        let is_made = kind.is_made_by_put && options.subresource.is_empty();
        for _ in 0..TRIES {
            let put = object.clone();
            match self.replace(kind, namespace, name, put, options).await {
                Err(failure) if failure.reason == Reason::NotFound => {
                    is_meant(kind, name, &object, "")?;
                    if !is_made {
                        return Err(failure);
                    }
                }
                done => return Ok((done?, false)),
            }
            // As upstream but for this: a version that is named was there.
            if !matches!(object.meta().text("resourceVersion"), "" | "0") {
                return Err(modified(kind, name));
            }
            let mut new = object.clone();
            new.set_meta("resourceVersion", None);
            match self.create(kind, namespace, new, options).await {
                Err(failure) if failure.reason == Reason::AlreadyExists => {}
                made => return Ok((made?, true)),
            }
        }
        Err(modified(kind, name))
    }

    /// Changes the object that is there. Gives the paths of unknown fields, too, which the patch
    /// brought and which were left out.
    ///
    /// # Errors
    /// The patch does not fit, or its result is invalid.
    pub async fn patch(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
        patch: &Patch,
        options: &WriteOptions,
    ) -> Result<(Arc<Item>, Vec<String>), Failure> {
        let current = self.current(kind).await?;
        let kind = &*current;
        let mut unknown = Vec::new();
        let change = |old: &Object| {
            let mut new = patch.apply(kind.schema(), old)?;
            place_in(kind, namespace, &mut new)?;
            is_named(&new, name)?;
            // Mistakes are told later, with all others.
            unknown = schema::prune(kind.schema(), &mut new.0).unknown;
            if options.is_strict && !unknown.is_empty() {
                let message = schema::strict(&unknown, &[]);
                return Err(Failure::bad_request(message).about(&kind.group, &kind.kind, name));
            }
            Ok(new)
        };
        let changed = self.change(kind, namespace, name, options, Way::Update, change);
        let item = changed.await?;
        Ok((item, unknown))
    }

    /// Applies a configuration, and says whether that made the object.
    ///
    /// # Errors
    /// Others own what it changes, or the result is invalid.
    pub async fn apply(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
        mut config: Object,
        options: &WriteOptions,
    ) -> Result<(Arc<Item>, bool), Failure> {
        let current = self.current(kind).await?;
        let kind = &*current;
        place_in(kind, namespace, &mut config)?;
        if config.meta().name().is_empty() {
            config.set_meta("name", Some(name.into()));
        }
        is_named(&config, name)?;
        if config.at(&["metadata", "managedFields"]).is_some() {
            let message = "metadata.managedFields must be nil";
            return Err(Failure::bad_request(message));
        }
        for _ in 0..TRIES {
            if self.find(kind, namespace, name).await?.is_none() {
                if !options.subresource.is_empty() {
                    return Err(not_found(kind, name));
                }
                let uid = config.meta().text("uid");
                if !uid.is_empty() {
                    let why = format!(
                        "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
                    );
                    return Err(conflict(kind, name, &why));
                }
                let made = config.clone();
                let made = self
                    .make_new(kind, namespace, made, options, Way::Apply)
                    .await;
                match made {
                    Err(failure) if failure.reason == Reason::AlreadyExists => continue,
                    made => return Ok((made?, true)),
                }
            }
            let change = |old: &Object| {
                let mut new = managed::apply(kind, old, &config, options)?;
                // What the configuration says of version and identity holds as in an update.
                for field in ["resourceVersion", "uid"] {
                    if let Some(said) = config.at(&["metadata", field]) {
                        new.set_meta(field, Some(said.clone()));
                    }
                }
                Ok(new)
            };
            let changed = self.change(kind, namespace, name, options, Way::Apply, change);
            match changed.await {
                // It went in between: it is made again.
                Err(failure) if failure.reason == Reason::NotFound => {}
                changed => return Ok((changed?, false)),
            }
        }
        Err(modified(kind, name))
    }

    /// Reads, changes and commits, until it is the one that was read.
    pub(super) async fn change(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
        options: &WriteOptions,
        way: Way,
        mut change: impl FnMut(&Object) -> Result<Object, Failure>,
    ) -> Result<Arc<Item>, Failure> {
        for _ in 0..TRIES {
            let item = self.get(kind, namespace, name).await?;
            let old = super::object(&item)?;
            let mut new = change(&old)?;
            match new.meta().text("resourceVersion") {
                "" | "0" if way == Way::Update && kind.is_seen_first => {
                    return Err(unnamed(kind, name));
                }
                "" | "0" => {}
                named if named == item.modified.to_string() => {}
                _ => return Err(modified(kind, name)),
            }
            continue_from(kind, &old, &mut new, options)?;
            self.resolve(kind, Some(&old), &mut new).await?;
            if way == Way::Update {
                managed::update(kind, Some(&old), &mut new, options);
            }
            check(kind, &mut new, Some(&old))?;
            self.allot(kind, Some(&old), &mut new).await?;
            options.admitted(Some(&old), &new)?;
            if is_same(&old, &new, &["kind", "apiVersion"]) {
                return Ok(item);
            }
            let guards = vec![Guard {
                key: item.key.clone(),
                expect: Expect::Modified(item.modified),
            }];
            let grace = new.at(&["metadata", "deletionGracePeriodSeconds"]);
            let is_given_time = grace.and_then(Value::as_i64).unwrap_or(0) > 0;
            let done = if new.meta().is_deleting() && !is_held(&new) && !is_given_time {
                let taken = self.take(kind, item.key.clone(), guards, options).await;
                match taken {
                    Ok(taken) => return record::with(kind, &taken, &new),
                    failed => failed,
                }
            } else {
                self.put(kind, namespace, &new, guards, options).await
            };
            match done {
                Err(CommitError::Conflict { key, .. }) if claims::is_claim(&key) => {}
                Err(CommitError::Conflict { found: None, .. }) => {
                    return Err(not_found(kind, name));
                }
                Err(CommitError::Conflict { .. }) => {}
                other => return other.map_err(unwritten),
            }
        }
        Err(modified(kind, name))
    }

    /// Sets what holds an object that is being deleted; by nothing held, it goes.
    ///
    /// # Errors
    /// It is not there.
    pub async fn finalize(
        &self,
        kind: &Kind,
        name: &str,
        finalizers: &[&str],
        manager: &str,
    ) -> Result<(), Failure> {
        let options = WriteOptions {
            manager: manager.to_owned(),
            subresource: "finalize",
            ..WriteOptions::default()
        };
        let change = |old: &Object| {
            let mut new = old.clone();
            match held_by_spec(old) {
                Some(_) => new.0["spec"]["finalizers"] = finalizers.into(),
                None => new.set_meta("finalizers", Some(finalizers.into())),
            }
            Ok(new)
        };
        self.change(kind, "", name, &options, Way::Update, change)
            .await
            .map(drop)
    }
}

fn modified(kind: &Kind, name: &str) -> Failure {
    let why = "the object has been modified; please apply your changes to the latest version and \
               try again";
    conflict(kind, name, why)
}

fn unnamed(kind: &Kind, name: &str) -> Failure {
    let cause = Cause {
        reason: "FieldValueInvalid",
        field: "metadata.resourceVersion".to_owned(),
        message: "Invalid value: 0x0: must be specified for an update".to_owned(),
    };
    invalid(kind, name, vec![cause])
}

pub(super) fn is_named(object: &Object, name: &str) -> Result<(), Failure> {
    let found = object.meta().name();
    if found == name {
        return Ok(());
    }
    let message =
        format!("the name of the object ({found}) does not match the name on the URL ({name})");
    Err(Failure::bad_request(message))
}

/// If the object says whose next version it is, that is the one of this id, empty if none is there.
fn is_meant(kind: &Kind, name: &str, object: &Object, found: &str) -> Result<(), Failure> {
    let uid = object.meta().text("uid");
    if uid.is_empty() || uid == found {
        return Ok(());
    }
    let why =
        format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {found}");
    Err(conflict(kind, name, &why))
}

/// What a new version has from the old one, whatever was sent.
pub(super) fn continue_from(
    kind: &Kind,
    old: &Object,
    new: &mut Object,
    options: &WriteOptions,
) -> Result<(), Failure> {
    is_meant(kind, old.meta().name(), new, old.meta().text("uid"))?;
    if options.is_status() {
        let status = new.0.remove("status");
        let meta = new.0.remove("metadata");
        *new = old.clone();
        if let Some(status) = status {
            new.0.insert("status".to_owned(), status);
        }
        // Labels and annotations of what is built in may come with it, as kubelets send them. What
        // holds an object does not: who may say how it is may not let it go. Definitions are held
        // by who serves them, and says so in their status.
        let meta = meta.as_ref().and_then(Value::as_object);
        let with: &[&str] = match &*kind.group {
            _ if kind.is_custom() => &["managedFields"],
            "apiextensions.k8s.io" => &["finalizers", "managedFields"],
            _ => &["labels", "annotations", "managedFields"],
        };
        for field in with {
            new.set_meta(field, meta.and_then(|meta| meta.get(*field)).cloned());
        }
    } else if kind.has_status {
        match old.0.get("status") {
            Some(status) => new.0.insert("status".to_owned(), status.clone()),
            None => new.0.remove("status"),
        };
    }
    let kept = [
        "name",
        "namespace",
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generateName",
        "resourceVersion",
    ];
    for field in kept {
        let value = old.at(&["metadata", field]).cloned();
        new.set_meta(field, value);
    }
    new.set_meta("selfLink", None);
    if let (Some(held), false) = (held_by_spec(old), options.subresource == "finalize") {
        let spec = new.0.entry("spec").or_insert_with(|| Map::new().into());
        if let Some(spec) = spec.as_object_mut() {
            spec.insert("finalizers".to_owned(), held.clone());
        }
    }
    (kind.inherit)(old, new);
    kind.complete(new);
    count(kind, old, new, options);
    Ok(())
}

/// Counts the generation on where the kind has one.
fn count(kind: &Kind, old: &Object, new: &mut Object, options: &WriteOptions) {
    let annotations = ["metadata", "annotations"];
    let but: &[&str] = match kind.has_status {
        true => &["metadata", "status"],
        false => &["metadata"],
    };
    let is_next = match kind.generation {
        Generation::None => return new.set_meta("generation", None),
        // Annotations that come with a status ask for nothing.
        _ if options.is_status() => false,
        Generation::Content => !is_same(old, new, but),
        Generation::ContentAndAnnotations => {
            !is_same(old, new, but) || old.at(&annotations) != new.at(&annotations)
        }
    };
    let before = old.at(&["metadata", "generation"]).and_then(Value::as_i64);
    let next = before.unwrap_or(0) + i64::from(is_next);
    new.set_meta("generation", Some(next.max(1).into()));
}

/// Whether the fields are the same, but for these.
fn is_same(old: &Object, new: &Object, but: &[&str]) -> bool {
    fn fields<'a>(
        object: &'a Object,
        but: &[&str],
    ) -> impl Iterator<Item = (&'a String, &'a Value)> {
        object
            .0
            .iter()
            .filter(|(name, _)| !but.contains(&name.as_str()))
    }
    fields(old, but).eq(fields(new, but))
}
