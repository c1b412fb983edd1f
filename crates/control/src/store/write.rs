//! Create, replace and patch.
//!
//! ```text
//!   replace, patch: read ─► change ─► kind's rules ─► commit, if it is still what was read
//!                     ▲                                 │ no: a patch tries again, a replacement
//!                     └─────────────────────────────────┘ that names no version, too
//! ```

use std::sync::Arc;

use serde_json::{Map, Value};
use weft_keyspace::{Change, Commit, CommitError, Committed, Expect, Guard, Item};

use super::{Admit, Patch, Store, conflict, invalid, managed, meta, not_found, place, record};
use crate::failure::{Cause, Failure, Reason};
use crate::kind::Kind;
use crate::object::Object;
use crate::schema;

/// How often a change that does not name a version is made again.
const TRIES: usize = 20;
/// Most bytes of an object.
const LARGEST: usize = 1536 * 1024;
/// Random letters of a generated name.
const GENERATED: usize = 5;
/// Longest beginning of one: names of many kinds end up in labels, which have 63 bytes.
const PREFIX_MAX: usize = 63 - GENERATED;

/// How a change is to be made.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// Only say what would be.
    pub is_dry_run: bool,
    /// `status`: only that is written; empty: all but that.
    pub subresource: &'static str,
    /// Who writes, as owners of fields are told apart.
    pub manager: String,
    /// Whether an application takes fields from others.
    pub is_forced: bool,
    /// Whether a patch that brings unknown fields is refused; else they are left out.
    pub is_strict: bool,
    /// Asked once it is known what would be stored.
    pub admit: Option<Admit>,
}

impl WriteOptions {
    fn admitted(&self, old: Option<&Object>, new: &Object) -> Result<(), Failure> {
        match &self.admit {
            Some(admit) => admit.ask(old, new),
            None => Ok(()),
        }
    }

    pub(super) fn is_status(&self) -> bool {
        self.subresource == "status"
    }
}

/// How a change came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Somebody wrote what the object is to be.
    Update,
    /// A configuration was applied, and who owns what is settled.
    Apply,
}

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
        self.make_new(kind, namespace, object, options, Way::Update)
            .await
    }

    async fn make_new(
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
        let given = generate.then(|| object.clone());
        object = self.prepare(kind, object, options, way).await?;
        for attempt in 1.. {
            let name = object.meta().name().to_owned();
            let mut guards = vec![Guard {
                key: place::key(kind, namespace, &name).into(),
                expect: Expect::Absent,
            }];
            guards.extend(self.namespace_guard(kind, namespace, &name).await?);
            match self.put(kind, namespace, &object, guards, options).await {
                // The namespace has changed: it is looked at again.
                Err(CommitError::Conflict { key, .. })
                    if attempt < TRIES
                        && *key != *place::key(kind, namespace, &name).as_bytes() => {}
                Err(CommitError::Conflict { .. }) => {
                    if let Some(given) = given.as_ref().filter(|_| attempt < TRIES) {
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
        self.resolve(kind, None, &mut object).await?;
        match &applied {
            None => managed::update(kind, None, &mut object, options),
            Some(config) => managed::create_applied(kind, config, &mut object, options),
        }
        check(kind, &mut object, None)?;
        options.admitted(None, &object)?;
        Ok(object)
    }

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
        place_in(kind, namespace, &mut object)?;
        is_named(&object, name)?;
        let change = |_: &Object| Ok(object.clone());
        self.change(kind, namespace, name, options, Way::Update, change)
            .await
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
        let mut unknown = Vec::new();
        let change = |old: &Object| {
            let mut new = patch.apply(kind.schema(), old)?;
            // Mistakes are told later, with all others.
            unknown = schema::check(kind.schema(), &mut new.0).unknown;
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
                if options.is_status() {
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
            let named = new.meta().text("resourceVersion").to_owned();
            if !named.is_empty() && named != item.modified.to_string() {
                return Err(modified(kind, name));
            }
            continue_from(kind, &old, &mut new, options)?;
            self.resolve(kind, Some(&old), &mut new).await?;
            if way == Way::Update {
                managed::update(kind, Some(&old), &mut new, options);
            }
            check(kind, &mut new, Some(&old))?;
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
                self.take(kind, item.key.clone(), guards, options).await
            } else {
                self.put(kind, namespace, &new, guards, options).await
            };
            match done {
                Err(CommitError::Conflict { found: None, .. }) => {
                    return Err(not_found(kind, name));
                }
                Err(CommitError::Conflict { .. }) => {}
                other => return other.map_err(unwritten),
            }
        }
        Err(modified(kind, name))
    }

    pub(super) async fn put(
        &self,
        kind: &Kind,
        namespace: &str,
        object: &Object,
        guards: Vec<Guard>,
        options: &WriteOptions,
    ) -> Result<Arc<Item>, CommitError> {
        let told = |error: Failure| CommitError::Invalid(error.message);
        let value = record::stored(kind, object).map_err(told)?;
        if value.len() > LARGEST {
            let length = value.len();
            return Err(CommitError::Invalid(format!(
                "the object has {length} bytes: at most {LARGEST} can be stored"
            )));
        }
        let key = place::key(kind, namespace, object.meta().name());
        let change = Change::Put {
            key: key.into(),
            value,
            lease: None,
        };
        self.make(kind, change, guards, options).await
    }

    /// The object goes; what is answered is its last version.
    pub(super) async fn take(
        &self,
        kind: &Kind,
        key: bytes::Bytes,
        guards: Vec<Guard>,
        options: &WriteOptions,
    ) -> Result<Arc<Item>, CommitError> {
        self.make(kind, Change::Delete { key }, guards, options)
            .await
    }

    async fn make(
        &self,
        kind: &Kind,
        change: Change,
        guards: Vec<Guard>,
        options: &WriteOptions,
    ) -> Result<Arc<Item>, CommitError> {
        if options.is_dry_run {
            return self.rehearse(kind, change, guards).await;
        }
        let (change, _held) = self.vault.close(kind, change).await?;
        let commit = Commit {
            guards,
            changes: vec![change],
        };
        let Committed { items, .. } = self.keyspace.commit(commit).await?;
        let item = items.into_iter().next().flatten();
        let gone = || CommitError::Invalid("nothing was there to be deleted".to_owned());
        self.opened(kind, &item.ok_or_else(gone)?)
    }

    fn opened(&self, kind: &Kind, item: &Arc<Item>) -> Result<Arc<Item>, CommitError> {
        let opened = self.vault.open(kind, item);
        opened.map_err(|why| CommitError::Closed(why.message.into()))
    }

    /// What a commit would answer; only its guards are committed.
    async fn rehearse(
        &self,
        kind: &Kind,
        change: Change,
        guards: Vec<Guard>,
    ) -> Result<Arc<Item>, CommitError> {
        let commit = Commit {
            guards,
            changes: Vec::new(),
        };
        let Committed { revision, .. } = self.keyspace.commit(commit).await?;
        match change {
            Change::Put { key, value, lease } => {
                let item = Arc::new(Item {
                    key,
                    value,
                    created: revision,
                    modified: revision,
                    version: 1,
                    lease,
                    memo: Default::default(),
                });
                let shown = record::shown(kind, &item);
                shown.map_err(|why| CommitError::Invalid(why.message))
            }
            Change::Delete { key } => {
                let range = weft_keyspace::Range {
                    span: weft_keyspace::Span::key(key),
                    at: None,
                    limit: Some(1),
                };
                let closed =
                    |error: weft_keyspace::ReadError| CommitError::Closed(error.to_string().into());
                let found = self.keyspace.range(range).await.map_err(closed)?;
                let gone = || CommitError::Invalid("nothing is there to be deleted".to_owned());
                self.opened(kind, found.items.first().ok_or_else(gone)?)
            }
        }
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

    /// The namespace has to be there, and to stay.
    async fn namespace_guard(
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

/// Whether something has to be done before an object that is being deleted is gone. A namespace
/// says so in its spec, too.
pub(super) fn is_held(object: &Object) -> bool {
    let of_spec = held_by_spec(object).and_then(Value::as_array);
    object.meta().finalizers().next().is_some() || of_spec.is_some_and(|list| !list.is_empty())
}

/// What a namespace says in its spec. A field of that name means nothing in other kinds.
pub(super) fn held_by_spec(object: &Object) -> Option<&Value> {
    let is = |field: &str, value: &str| object.text(&[field]) == Some(value);
    let is_namespace = is("kind", "Namespace") && is("apiVersion", "v1");
    object.at(&["spec", "finalizers"]).filter(|_| is_namespace)
}

fn namespace_gone(namespace: &str) -> Failure {
    let message = format!("namespaces {namespace:?} not found");
    Failure::new(Reason::NotFound, message).about("", "namespaces", namespace)
}

fn modified(kind: &Kind, name: &str) -> Failure {
    let why = "the object has been modified; please apply your changes to the latest version and \
               try again";
    conflict(kind, name, why)
}

pub(super) fn unwritten(error: CommitError) -> Failure {
    match error {
        CommitError::Invalid(why) => Failure::new(Reason::RequestEntityTooLarge, why),
        CommitError::Full(why) => Failure::new(
            Reason::ServiceUnavailable,
            format!("it could not be written, and was not: {why}"),
        ),
        CommitError::Closed(why) => Failure::new(Reason::ServiceUnavailable, why.to_string()),
        other => Failure::internal(other),
    }
}

fn is_named(object: &Object, name: &str) -> Result<(), Failure> {
    let found = object.meta().name();
    if found == name {
        return Ok(());
    }
    let message =
        format!("the name of the object ({found}) does not match the name on the URL ({name})");
    Err(Failure::bad_request(message))
}

/// The namespace of the URL holds, and the object must not name another.
fn place_in(kind: &Kind, namespace: &str, object: &mut Object) -> Result<(), Failure> {
    let named = object.meta().namespace().to_owned();
    if !kind.is_namespaced {
        object.set_meta("namespace", None);
        return Ok(());
    }
    if !named.is_empty() && named != namespace {
        return Err(Failure::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    object.set_meta("namespace", Some(namespace.into()));
    Ok(())
}

fn generate_name(object: &mut Object) {
    let mut prefix = object.meta().text("generateName").to_owned();
    if !prefix.is_empty() {
        prefix.truncate(prefix.floor_char_boundary(PREFIX_MAX));
        let random = weft_stdx::id::letters(GENERATED);
        object.set_meta("name", Some(format!("{prefix}{random}").into()));
    }
}

/// What the server says about a new object.
fn begin(kind: &Kind, object: &mut Object) {
    for field in [
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "generation",
    ] {
        object.set_meta(field, None);
    }
    object.set_meta("deletionGracePeriodSeconds", None);
    if kind.has_status {
        if !kind.begins_with_status {
            object.0.remove("status");
        }
        object.set_meta("generation", Some(1.into()));
    }
    // Defaults may name the object by its id.
    object.set_meta("uid", Some(weft_stdx::id::uuid().into()));
    object.set_meta("creationTimestamp", Some(now().into()));
    kind.complete(object);
}

/// Now, as objects have it.
pub(crate) fn now() -> String {
    later(0)
}

/// In so many seconds, as objects have it.
pub(super) fn later(seconds: i64) -> String {
    let now = weft_stdx::clock::unix_ns() / 1_000_000_000;
    jiff::Timestamp::from_second(now.saturating_add(seconds))
        .map_or_else(|_| String::new(), |time| time.to_string())
}

/// What a new version has from the old one, whatever was sent.
fn continue_from(
    kind: &Kind,
    old: &Object,
    new: &mut Object,
    options: &WriteOptions,
) -> Result<(), Failure> {
    let uid = new.meta().text("uid");
    if !uid.is_empty() && uid != old.meta().text("uid") {
        let why = format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            old.meta().text("uid")
        );
        return Err(conflict(kind, old.meta().name(), &why));
    }
    if options.is_status() {
        let status = new.0.remove("status");
        let meta = new.0.remove("metadata");
        *new = old.clone();
        if let Some(status) = status {
            new.0.insert("status".to_owned(), status);
        }
        // Labels and annotations may come with it, as everywhere.
        let meta = meta.as_ref().and_then(Value::as_object);
        for field in ["labels", "annotations", "finalizers", "managedFields"] {
            new.set_meta(field, meta.and_then(|meta| meta.get(field)).cloned());
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
        "generation",
        "resourceVersion",
    ];
    for field in kept {
        let value = old.at(&["metadata", field]).cloned();
        new.set_meta(field, value);
    }
    if let (Some(held), false) = (held_by_spec(old), options.subresource == "finalize") {
        let spec = new.0.entry("spec").or_insert_with(|| Map::new().into());
        if let Some(spec) = spec.as_object_mut() {
            spec.insert("finalizers".to_owned(), held.clone());
        }
    }
    (kind.inherit)(old, new);
    kind.complete(new);
    let generation = old.at(&["metadata", "generation"]).and_then(Value::as_i64);
    let is_old = is_same(old, new, &["metadata", "status"]);
    if let (Some(generation), false) = (generation, is_old) {
        new.set_meta("generation", Some((generation + 1).into()));
    }
    Ok(())
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

/// Everything that is wrong with an object.
fn check(kind: &Kind, object: &mut Object, old: Option<&Object>) -> Result<(), Failure> {
    let name = object.meta().name().to_owned();
    let mut causes = schema::check(kind.schema(), &mut object.0).mistakes;
    causes.extend(meta::mistakes(kind, object, old));
    causes.truncate(schema::MISTAKES_MAX);
    if causes.is_empty() {
        causes = (kind.validate)(object, old);
    }
    if causes.is_empty() {
        Ok(())
    } else {
        Err(invalid(kind, &name, causes))
    }
}
