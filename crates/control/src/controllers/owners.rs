//! What owners leave behind: objects whose owners are gone go, too (Kubernetes, "Garbage
//! Collection").
//!
//! ```text
//!   owner gone ─► each dependent: another owner is there? ─ yes ─► one owner less
//!                                                         └ no ──► deleted
//!   owner marked, foregroundDeletion ─► dependents deleted; those that block are gone ─► it goes
//!   owner marked, orphan ─► dependents have one owner less ─► it goes
//! ```

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::sync::{Arc, LazyLock};

use memchr::memmem::Finder;
use serde_json::{Value, json};
use weft_keyspace::{EventKind, Item, Revision};

use crate::Store;
use crate::failure::{Failure, Reason};
use crate::kind::Kind;
use crate::object::Object;
use crate::store::{self, DeleteOptions, Happened, ListOptions, Patch, Propagation, WriteOptions};

/// How often an object is looked at that is changed all the time.
const TRIES: usize = 20;
/// Who it is, as owner of fields.
const NAME: &str = "garbage-collector";
/// What is looked for in an object's bytes before it is read.
static MENTIONS: LazyLock<[Finder<'static>; 3]> = LazyLock::new(|| {
    [
        "\"ownerReferences\"",
        "\"foregroundDeletion\"",
        "\"orphan\"",
    ]
    .map(Finder::new)
});

/// An object: group, plural, namespace, name.
type Id = (String, String, String, String);

/// What is known of owners.
struct Owners<'a> {
    store: &'a Store,
    /// By their owner's uid.
    dependents: HashMap<String, BTreeSet<Id>>,
}

pub(super) async fn run(store: &Store) -> Infallible {
    super::anew("collecting what owners leave behind", || try_run(store)).await
}

async fn try_run(store: &Store) -> Result<Infallible, Failure> {
    let mut owners = Owners {
        store,
        dependents: HashMap::new(),
    };
    let seen = owners.begin().await?;
    let mut happenings = store.watch_all(seen).await?;
    loop {
        for happened in happenings.next().await? {
            owners.take(happened).await?;
        }
    }
}

/// The references to an object's owners.
fn references(object: &Object) -> impl Iterator<Item = &Value> {
    let list = object.at(&["metadata", "ownerReferences"]);
    list.and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(reference: &'a Value, name: &str) -> &'a str {
    reference
        .get(name)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn id(kind: &Kind, object: &Object) -> Id {
    let meta = object.meta();
    (
        kind.group.to_string(),
        kind.plural.to_string(),
        meta.namespace().to_owned(),
        meta.name().to_owned(),
    )
}

/// Whether an object may be anybody's, or wait for something.
fn is_of_interest(item: &Item) -> bool {
    MENTIONS.iter().any(|text| text.find(&item.value).is_some())
}

impl Owners<'_> {
    /// Looks at all objects; gives up to when.
    async fn begin(&mut self) -> Result<Revision, Failure> {
        let seen = self.store.revision().await?;
        let mut found = Vec::new();
        for kind in self.store.kinds().iter().filter(|kind| kind.is_kept()) {
            let listed = self.store.list(kind, "", &ListOptions::default()).await?;
            for item in listed.items.iter().filter(|item| is_of_interest(item)) {
                let object = store::object(item)?;
                self.note(kind, &object);
                found.push((Arc::clone(kind), object));
            }
        }
        for (kind, object) in found {
            if references(&object).next().is_some() {
                self.look_after(&kind, &id(&kind, &object)).await?;
            }
            self.go_on(&kind, &object).await?;
        }
        Ok(seen)
    }

    async fn take(&mut self, happened: Happened) -> Result<(), Failure> {
        let Happened {
            kind,
            what,
            item,
            previous,
        } = &happened;
        if *what == EventKind::Deleted {
            if self.dependents.is_empty() {
                return Ok(());
            }
            let object = store::object(item)?;
            self.forget(kind, &object);
            for dependent in self.take_dependents(object.meta().text("uid")) {
                self.look_after_id(&dependent).await?;
            }
            // An owner may have waited for this one.
            for reference in references(&object) {
                self.wake(&object, reference).await?;
            }
            return Ok(());
        }
        let previous = previous.as_ref().filter(|item| is_of_interest(item));
        if let Some(previous) = previous {
            self.forget(kind, &store::object(previous)?);
        }
        if !is_of_interest(item) {
            return Ok(());
        }
        let object = store::object(item)?;
        self.note(kind, &object);
        if *what == EventKind::Created && references(&object).next().is_some() {
            self.look_after(kind, &id(kind, &object)).await?;
        }
        self.go_on(kind, &object).await
    }

    fn note(&mut self, kind: &Kind, object: &Object) {
        for reference in references(object) {
            let owner = text(reference, "uid").to_owned();
            self.dependents
                .entry(owner)
                .or_default()
                .insert(id(kind, object));
        }
    }

    fn forget(&mut self, kind: &Kind, object: &Object) {
        for reference in references(object) {
            let owner = text(reference, "uid");
            if let Some(dependents) = self.dependents.get_mut(owner) {
                dependents.remove(&id(kind, object));
                if dependents.is_empty() {
                    self.dependents.remove(owner);
                }
            }
        }
    }

    fn take_dependents(&self, owner: &str) -> Vec<Id> {
        let found = self.dependents.get(owner).into_iter().flatten();
        found.cloned().collect()
    }

    fn kind(&self, id: &Id) -> Option<Arc<Kind>> {
        self.store.kinds().at(&id.0, &id.1).cloned()
    }

    async fn read(&self, kind: &Kind, id: &Id) -> Result<Option<Object>, Failure> {
        match self.store.get(kind, &id.2, &id.3).await {
            Ok(item) => store::object(&item).map(Some),
            Err(failure) if failure.reason == Reason::NotFound => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn look_after_id(&mut self, id: &Id) -> Result<(), Failure> {
        match self.kind(id) {
            Some(kind) => self.look_after(&kind, id).await,
            None => Ok(()),
        }
    }

    /// Deletes an object whose owners are all gone; one that has some left loses the others.
    async fn look_after(&mut self, kind: &Kind, id: &Id) -> Result<(), Failure> {
        for _ in 0..TRIES {
            let Some(object) = self.read(kind, id).await? else {
                return Ok(());
            };
            let (mut left, mut gone) = (Vec::new(), 0);
            for reference in references(&object) {
                match self.owner(&object, reference).await? {
                    Some(_) => left.push(reference.clone()),
                    None => gone += 1,
                }
            }
            let done = match gone {
                0 => return Ok(()),
                _ if left.is_empty() => self.delete(kind, &object, Propagation::Background).await,
                _ => self.set_owners(kind, &object, left).await,
            };
            // Somebody changed it meanwhile: it is looked at again.
            match done {
                Err(failure) if failure.reason == Reason::Conflict => {}
                done => return passed(done),
            }
        }
        Ok(())
    }

    /// The owner a reference means, if it is there.
    async fn owner(
        &self,
        dependent: &Object,
        reference: &Value,
    ) -> Result<Option<(Arc<Kind>, Object)>, Failure> {
        let kinds = self.store.kinds();
        let kind = kinds.called(text(reference, "apiVersion"), text(reference, "kind"));
        let Some(kind) = kind else {
            return Ok(None);
        };
        let namespace = match kind.is_namespaced {
            true => dependent.meta().namespace(),
            false => "",
        };
        let id = (
            kind.group.to_string(),
            kind.plural.to_string(),
            namespace.to_owned(),
            text(reference, "name").to_owned(),
        );
        let found = self.read(kind, &id).await?;
        let found = found.filter(|owner| owner.meta().text("uid") == text(reference, "uid"));
        Ok(found.map(|owner| (Arc::clone(kind), owner)))
    }

    async fn delete(
        &self,
        kind: &Kind,
        object: &Object,
        propagation: Propagation,
    ) -> Result<(), Failure> {
        let meta = object.meta();
        let options = DeleteOptions {
            uid: Some(meta.text("uid").to_owned()),
            propagation,
            ..DeleteOptions::default()
        };
        let deleted = self
            .store
            .delete(kind, meta.namespace(), meta.name(), &options);
        passed(deleted.await.map(drop))
    }

    async fn set_owners(
        &self,
        kind: &Kind,
        object: &Object,
        owners: Vec<Value>,
    ) -> Result<(), Failure> {
        let owners = if owners.is_empty() {
            Value::Null
        } else {
            owners.into()
        };
        self.patch(kind, object, json!({ "ownerReferences": owners }))
            .await
    }

    async fn patch(&self, kind: &Kind, object: &Object, mut meta: Value) -> Result<(), Failure> {
        let (namespace, name) = (object.meta().namespace(), object.meta().name());
        meta["uid"] = object.meta().text("uid").into();
        meta["resourceVersion"] = object.meta().text("resourceVersion").into();
        let patch = Patch::Merge(json!({ "metadata": meta }));
        let options = WriteOptions {
            manager: NAME.to_owned(),
            ..WriteOptions::default()
        };
        let patched = self.store.patch(kind, namespace, name, &patch, &options);
        patched.await.map(drop)
    }

    /// An owner that is being deleted goes on: what it waits for is done, as far as it can be.
    async fn go_on(&mut self, kind: &Kind, object: &Object) -> Result<(), Failure> {
        if !object.meta().is_deleting() {
            return Ok(());
        }
        let has = |policy: Propagation| {
            let mut finalizers = object.meta().finalizers();
            finalizers.any(|name| Some(name) == policy.finalizer())
        };
        let uid = object.meta().text("uid");
        if has(Propagation::Orphan) {
            for id in self.take_dependents(uid) {
                let Some(kind) = self.kind(&id) else { continue };
                let Some(dependent) = self.read(&kind, &id).await? else {
                    continue;
                };
                let left = references(&dependent).filter(|one| text(one, "uid") != uid);
                let left = left.cloned().collect();
                // The owner stays until all have changed.
                self.set_owners(&kind, &dependent, left).await?;
            }
            return passed(self.let_go(kind, object, Propagation::Orphan).await);
        }
        if !has(Propagation::Foreground) {
            return Ok(());
        }
        let mut is_blocked = false;
        for id in self.take_dependents(uid) {
            let Some(kind) = self.kind(&id) else { continue };
            let Some(dependent) = self.read(&kind, &id).await? else {
                continue;
            };
            let own = references(&dependent).find(|one| text(one, "uid") == uid);
            let Some(own) = own else { continue };
            is_blocked |= own.get("blockOwnerDeletion") == Some(&Value::Bool(true));
            if !dependent.meta().is_deleting() {
                self.delete(&kind, &dependent, Propagation::Foreground)
                    .await?;
            }
        }
        match is_blocked {
            // It is looked at again when one of them is gone.
            true => Ok(()),
            false => passed(self.let_go(kind, object, Propagation::Foreground).await),
        }
    }

    /// Takes away the finalizer that held an object.
    async fn let_go(
        &self,
        kind: &Kind,
        object: &Object,
        policy: Propagation,
    ) -> Result<(), Failure> {
        let finalizers = object.meta().finalizers();
        let left: Vec<&str> = finalizers
            .filter(|name| Some(*name) != policy.finalizer())
            .collect();
        let left = if left.is_empty() {
            Value::Null
        } else {
            left.into()
        };
        self.patch(kind, object, json!({ "finalizers": left }))
            .await
    }

    /// Looks again at an owner that may have waited for a dependent that is gone.
    async fn wake(&mut self, dependent: &Object, reference: &Value) -> Result<(), Failure> {
        match self.owner(dependent, reference).await? {
            Some((kind, owner)) => self.go_on(&kind, &owner).await,
            None => Ok(()),
        }
    }
}

/// Whoever was faster brings another event: what is gone or changed meanwhile is no failure.
fn passed(done: Result<(), Failure>) -> Result<(), Failure> {
    match done {
        Err(failure) if matches!(failure.reason, Reason::NotFound | Reason::Conflict) => Ok(()),
        other => other,
    }
}
