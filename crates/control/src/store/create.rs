//! Create: a new object, in a namespace that is there and stays.

use std::sync::Arc;

use weft_keyspace::{CommitError, Expect, Guard, Item};

use super::write::{TRIES, Way, check, now, place_in, unwritten};
use super::{Store, WriteOptions, claims, managed, place, record};
use crate::failure::{Cause, Failure, Reason};
use crate::kind::{Generation, Kind};
use crate::object::Object;

/// Random letters of a generated name.
const GENERATED: usize = 5;
/// Longest beginning of one: names of many kinds end up in labels, which have 63 bytes.
const PREFIX_MAX: usize = 63 - GENERATED;

impl Store {
    /// Makes an object. Unknown fields must have been taken out.
    ///
    /// # Errors
    /// It is invalid or there already, its namespace is not.
    pub async fn create(
        &self,
        kind: &Kind,
        namespace: &str,
        object: Object,
        options: &WriteOptions,
    ) -> Result<Arc<Item>, Failure> {
        let current = self.current(kind).await?;
        let kind = &*current;
        self.make_new(kind, namespace, object, options, Way::Update)
            .await
    }

    pub(super) async fn make_new(
        &self,
        kind: &Kind,
        namespace: &str,
        mut object: Object,
        options: &WriteOptions,
        way: Way,
    ) -> Result<Arc<Item>, Failure> {
        if !object.meta().text("resourceVersion").is_empty() {
            let message = "resourceVersion should not be set on objects to be created";
            return Err(Failure::bad_request(message));
        }
        if kind.is_ending {
            let message = "create not allowed while custom resource definition is terminating";
            let failure = Failure::new(Reason::MethodNotAllowed, message);
            return Err(failure.about(&kind.group, &kind.plural, object.meta().name()));
        }
        let generate = object.meta().name().is_empty();
        place_in(kind, namespace, &mut object)?;
        // Another name may be taken too: then it begins anew.
        let is_given = claims::is_given(kind);
        let given = (generate || is_given).then(|| object.clone());
        object = self.prepare(kind, object, options, way).await?;
        for attempt in 1.. {
            let name = object.meta().name().to_owned();
            let mut guards = vec![Guard {
                key: place::key(kind, namespace, &name).into(),
                expect: Expect::Absent,
            }];
            guards.extend(self.namespace_guard(kind, namespace, &name).await?);
            match self.put(kind, namespace, &object, guards, options).await {
                // Another has been given the same: it is given something else, or told.
                Err(CommitError::Conflict { ref key, .. })
                    if attempt < TRIES && claims::is_claim(key) =>
                {
                    if let Some(given) = given.clone() {
                        object = self.prepare(kind, given, options, way).await?;
                    }
                }
                // The namespace has changed: it is looked at again.
                Err(CommitError::Conflict { key, .. })
                    if attempt < TRIES
                        && *key != *place::key(kind, namespace, &name).as_bytes() => {}
                Err(CommitError::Conflict { .. }) => {
                    let other_name = given.as_ref().filter(|_| generate && attempt < TRIES);
                    if let Some(given) = other_name {
                        let given = given.clone();
                        object = self.prepare(kind, given, options, way).await?;
                        continue;
                    }
                    let message = format!("{} {name:?} already exists", kind.resource());
                    return Err(Failure::new(Reason::AlreadyExists, message).about(
                        &kind.group,
                        &kind.plural,
                        &name,
                    ));
                }
                other => return other.map_err(unwritten),
            }
        }
        unreachable!("the loop ends by answering")
    }

    /// A new object as it is to be stored.
    async fn prepare(
        &self,
        kind: &Kind,
        given: Object,
        options: &WriteOptions,
        way: Way,
    ) -> Result<Object, Failure> {
        let applied = (way == Way::Apply).then(|| given.clone());
        let mut object = given;
        if object.meta().name().is_empty() {
            generate_name(&mut object);
        }
        begin(kind, &mut object);
        // What it is given by others is nobody's, as upstream.
        match &applied {
            None => managed::update(kind, None, &mut object, options),
            Some(config) => managed::create_applied(kind, config, &mut object, options),
        }
        self.resolve(kind, None, &mut object).await?;
        check(kind, &mut object, None)?;
        self.allot(kind, None, &mut object).await?;
        options.admitted(None, &object)?;
        Ok(object)
    }

    /// The namespace has to be there, and to stay.
    pub(super) async fn namespace_guard(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Guard>, Failure> {
        let kinds = self.kinds();
        let namespaces = kinds.find("", "v1", "namespaces");
        let Some(namespaces) = namespaces.filter(|_| kind.is_namespaced) else {
            return Ok(None);
        };
        let found = self.find(namespaces, "", namespace).await?;
        let item = found.ok_or_else(|| namespace_gone(namespace))?;
        if record::read(&item)?.meta().is_deleting() {
            return Err(namespace_ends(kind, namespace, name));
        }
        Ok(Some(Guard {
            key: item.key.clone(),
            expect: Expect::Modified(item.modified),
        }))
    }
}

fn namespace_ends(kind: &Kind, namespace: &str, name: &str) -> Failure {
    let message = format!(
        "{} {name:?} is forbidden: unable to create new content in namespace {namespace} because \
         it is being terminated",
        kind.resource()
    );
    let failure = Failure::new(Reason::Forbidden, message);
    let mut failure = failure.about(&kind.group, &kind.plural, name);
    failure.about.causes = vec![Cause {
        reason: "NamespaceTerminating",
        field: "metadata.namespace".to_owned(),
        message: format!("namespace {namespace} is being terminated"),
    }];
    failure
}

fn namespace_gone(namespace: &str) -> Failure {
    let message = format!("namespaces {namespace:?} not found");
    Failure::new(Reason::NotFound, message).about("", "namespaces", namespace)
}

pub(super) fn generate_name(object: &mut Object) {
    let mut prefix = object.meta().text("generateName").to_owned();
    if !prefix.is_empty() {
        prefix.truncate(prefix.floor_char_boundary(PREFIX_MAX));
        let random = weft_stdx::id::letters(GENERATED);
        object.set_meta("name", Some(format!("{prefix}{random}").into()));
    }
}

/// What the server says about a new object.
pub(super) fn begin(kind: &Kind, object: &mut Object) {
    for field in [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "generation",
        "selfLink",
    ] {
        object.set_meta(field, None);
    }
    object.set_meta("deletionGracePeriodSeconds", None);
    if kind.has_status && !kind.begins_with_status {
        object.0.remove("status");
    }
    if kind.generation != Generation::None {
        object.set_meta("generation", Some(1.into()));
    }
    // Defaults may name the object by its id.
    object.set_meta("uid", Some(weft_stdx::id::uuid().into()));
    object.set_meta("creationTimestamp", Some(now().into()));
    kind.complete(object);
}
