//! Kinds that users define, while their definitions change: what is stored was made by the
//! definition that was there then, and is read by the one that is there now.
//!
//! ```text
//!   write ─► is the kind made of the definition that is there? ─► commit, if it still is
//!              │ no: it is waited for
//!   read  ─► written after the kind's definition changed ─► as it is
//!              │ no: without what is not known any more, with the defaults of today; kept in memory
//!   other version ─► under that name, without what is not known there; kept in memory
//! ```
//!
//! So an object that is newer than its definition needs no look, and most are.

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::{Arc, OnceLock, PoisonError};
use std::time::Duration;

use serde_json::Value;
use weft_keyspace::{CommitError, Expect, Guard, Item, Revision};

use super::{Store, record};
use crate::custom;
use crate::failure::{Failure, Reason};
use crate::kind::Kind;
use crate::kinds::definition;
use crate::object::Object;
use crate::schema::{self, Schema};

/// How long a write waits until a definition that has changed is served.
const WAIT: Duration = Duration::from_secs(5);

/// Of which definition a kind was made.
#[derive(Clone, Debug)]
pub struct Defined {
    /// Objects that were written later were written by it.
    pub(crate) since: Revision,
    /// Which one it was, as [`custom::made_of`] tells it.
    pub(crate) made_of: String,
    /// What it says, as [`custom::spec_of`] tells it.
    pub(crate) spec: u64,
    /// All versions of the kind.
    pub(crate) versions: Arc<Versions>,
}

/// The schemas of a kind's versions. Nothing else has to be converted: objects are the same in all.
#[derive(Debug)]
pub(crate) struct Versions {
    /// That in which objects are stored.
    stored: Version,
    others: Vec<Version>,
}

#[derive(Debug)]
struct Version {
    name: String,
    own: Arc<Value>,
    /// Compiled when it is first needed.
    schema: OnceLock<Schema>,
}

impl Versions {
    /// Names and schemas, of what is stored first; nothing: there are none.
    pub(crate) fn of(all: impl Iterator<Item = (String, Arc<Value>)>) -> Option<Versions> {
        let mut all = all.map(|(name, own)| Version {
            name,
            own,
            schema: OnceLock::new(),
        });
        Some(Versions {
            stored: all.next()?,
            others: all.collect(),
        })
    }

    fn find(&self, name: &str) -> Option<&Version> {
        let mut all = std::iter::once(&self.stored).chain(&self.others);
        all.find(|version| version.name == name)
    }

    /// What the definition says of a version.
    pub(crate) fn own(&self, name: &str) -> Option<&Arc<Value>> {
        self.find(name).map(|version| &version.own)
    }
}

impl Version {
    fn schema(&self) -> &Schema {
        let make = || Schema::defined(&custom::document(&self.own));
        self.schema.get_or_init(make)
    }
}

impl Defined {
    /// The name of the version objects are stored in.
    pub(crate) fn stored_version(&self) -> &str {
        &self.versions.stored.name
    }

    /// The schema of a version.
    pub(crate) fn schema(&self, version: &str) -> Option<&Schema> {
        self.versions.find(version).map(Version::schema)
    }

    /// An object of `kind`, a version, as it is stored.
    pub(super) fn as_stored<'a>(&self, kind: &Kind, object: &'a Object) -> Cow<'a, Object> {
        if kind.version == self.stored_version() {
            return Cow::Borrowed(object);
        }
        let mut object = object.clone();
        let schema = self.versions.stored.schema();
        schema::prune(schema, &mut object.0);
        schema.fill(&mut object.0);
        Cow::Owned(object)
    }
}

/// A kind as it is defined now.
pub(super) enum Current<'a> {
    Given(&'a Kind),
    Newer(Arc<Kind>),
}

impl Deref for Current<'_> {
    type Target = Kind;

    fn deref(&self) -> &Kind {
        match self {
            Current::Given(kind) => kind,
            Current::Newer(kind) => kind,
        }
    }
}

/// An object as it is read by a kind whose definition is newer than it, or in another version than
/// the one that is stored.
#[derive(Debug)]
pub(super) struct Settled {
    by: Revision,
    version: String,
    /// Nothing: as it is stored.
    item: Option<Arc<Item>>,
}

impl Store {
    /// `kind` as it is defined now.
    ///
    /// # Errors
    /// Its definition is gone, or is not served in time.
    pub(super) async fn current<'a>(&self, kind: &'a Kind) -> Result<Current<'a>, Failure> {
        if self.definition(kind).await?.is_none_or(|(_, is)| is) {
            return Ok(Current::Given(kind));
        }
        let mut served = self.kinds.subscribe();
        let newer = async {
            loop {
                let kinds = Arc::clone(&served.borrow_and_update());
                if let Some(found) = kinds.at(&kind.group, &kind.plural)
                    && self.definition(found).await?.is_none_or(|(_, is)| is)
                {
                    let same = kinds.version(&kind.group, &kind.version, &kind.plural);
                    let same = same.filter(|same| same.is_served || !kind.is_served);
                    return same.cloned().map(Current::Newer).ok_or_else(unserved);
                }
                if served.changed().await.is_err() {
                    return Err(changed(kind));
                }
            }
        };
        let waited = tokio::time::timeout(WAIT, newer).await;
        waited.unwrap_or_else(|_| Err(changed(kind)))
    }

    /// What holds if nobody has changed the definition of `kind`.
    pub(super) async fn definition_stays(&self, kind: &Kind) -> Result<Option<Guard>, CommitError> {
        let closed = |failure: Failure| CommitError::Closed(failure.message.into());
        match self.definition(kind).await.map_err(closed)? {
            None => Ok(None),
            Some((item, true)) => Ok(Some(Guard {
                key: item.key.clone(),
                expect: Expect::Modified(item.modified),
            })),
            Some((_, false)) => Err(closed(changed(kind))),
        }
    }

    /// The definition of `kind`, and whether it was made of it; nothing: nobody defined it.
    async fn definition(&self, kind: &Kind) -> Result<Option<(Arc<Item>, bool)>, Failure> {
        let Some(defined) = &kind.defined else {
            return Ok(None);
        };
        let kinds = self.kinds();
        let Some(definitions) = kinds.at(definition::GROUP, definition::PLURAL) else {
            return Ok(None);
        };
        let name = format!("{}.{}", kind.plural, kind.group);
        let item = self.get(definitions, "", &name).await?;
        let is = custom::made_of(&*record::read(&item)?) == defined.made_of;
        Ok(Some((item, is)))
    }
}

fn changed(kind: &Kind) -> Failure {
    let message = format!(
        "the definition of {} has just changed; try again",
        kind.resource()
    );
    Failure::new(Reason::ServiceUnavailable, message)
}

fn unserved() -> Failure {
    let message = "the server could not find the requested resource";
    Failure::new(Reason::NotFound, message)
}

/// `item` as `kind` has it today.
pub(super) fn settled(kind: &Kind, item: &Arc<Item>) -> Result<Arc<Item>, Failure> {
    let Some(defined) = &kind.defined else {
        return Ok(Arc::clone(item));
    };
    let since = defined.since;
    if item.modified >= since && kind.version == defined.stored_version() {
        return Ok(Arc::clone(item));
    }
    let made = record::made(item);
    let mut kept = made.settled.lock().unwrap_or_else(PoisonError::into_inner);
    kept.retain(|settled| settled.by == since);
    if let Some(known) = kept.iter().find(|settled| settled.version == kind.version) {
        return Ok(Arc::clone(known.item.as_ref().unwrap_or(item)));
    }
    let settled = anew(kind, defined, item)?;
    let shown = Arc::clone(settled.as_ref().unwrap_or(item));
    kept.push(Settled {
        by: since,
        version: kind.version.to_string(),
        item: settled,
    });
    Ok(shown)
}

/// Nothing: it is the same. As upstream, what is missing is filled in by the version that is
/// stored, and what is not known in either is left out.
fn anew(kind: &Kind, defined: &Defined, item: &Item) -> Result<Option<Arc<Item>>, Failure> {
    let before = record::read(item)?;
    let mut object = Object::clone(&before);
    let version = kind.api_version();
    let own = before.text(&["apiVersion"]).unwrap_or_default();
    if own != version {
        let name = own.rsplit('/').next().unwrap_or_default();
        if let Some(schema) = defined.schema(name) {
            schema::prune(schema, &mut object.0);
            schema.fill(&mut object.0);
        }
        object.0.insert("apiVersion".to_owned(), version.into());
        schema::prune(kind.schema(), &mut object.0);
    } else {
        schema::prune(kind.schema(), &mut object.0);
        kind.complete(&mut object);
    }
    (object != *before)
        .then(|| record::with(kind, item, &object))
        .transpose()
}
