//! What can be done with objects: create, read, replace, patch, delete, list, watch.
//!
//! Owns: the rules that hold for all kinds (names, identity, optimistic concurrency, finalizers).
//! Never: HTTP, nor who may do it.

mod admit;
mod bind;
mod change;
mod claims;
mod create;
mod defined;
mod delete;
mod evict;
mod fleeting;
mod list;
mod managed;
mod meta;
mod mistakes;
mod patch;
mod place;
mod record;
mod resolve;
mod scale;
mod sealed;
mod strategic;
mod watch;
mod write;

use std::sync::Arc;

use serde_json::{Map, Value};
use tokio::sync::watch as tokio_watch;
use weft_keyspace::{Item, Keyspace, Range, ReadError, Revision, Span};

use crate::failure::{Failure, Reason, told};
use crate::kind::{Kind, Kinds};
use crate::object::Object;

pub use admit::Admit;
pub(crate) use bind::set_condition;
pub use claims::RANGE as SERVICE_RANGE;
pub use defined::Defined;
pub(crate) use defined::Versions;
pub use delete::{DeleteOptions, Deleted, Propagation};
pub(crate) use evict::{budget_selector, say_allowed};
pub use list::{ListOptions, Listed};
pub use patch::Patch;
pub use record::{unkept, wire, wire_at};
pub use scale::{ScaleChange, scale_kind, scale_schema};
pub use sealed::Seal;
pub use watch::{Change, ChangeKind, Changes};
pub(crate) use watch::{Happened, Happenings};
pub use write::WriteOptions;
pub(crate) use write::{now, now_micro};

/// The objects of a cluster. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    keyspace: Arc<dyn Keyspace>,
    kinds: Arc<tokio_watch::Sender<Arc<Kinds>>>,
    vault: sealed::Vault,
    fleeting: fleeting::Fleeting,
}

impl Store {
    /// The objects in `keyspace`.
    pub fn new(keyspace: Arc<dyn Keyspace>, kinds: Kinds) -> Store {
        Store {
            keyspace,
            kinds: Arc::new(tokio_watch::Sender::new(Arc::new(kinds))),
            vault: sealed::Vault::default(),
            fleeting: fleeting::Fleeting::default(),
        }
    }

    /// The kinds there are now.
    pub fn kinds(&self) -> Arc<Kinds> {
        Arc::clone(&self.kinds.borrow())
    }

    /// From now on there are these kinds. If they are the same, so is what [`Store::kinds`] gives:
    /// what is made of it is still good.
    pub(crate) fn set_kinds(&self, kinds: Kinds) {
        self.kinds.send_if_modified(|now| {
            let is_other = !now.are(&kinds);
            if is_other {
                *now = Arc::new(kinds);
            }
            is_other
        });
    }

    /// One object, as it is.
    ///
    /// # Errors
    /// Not found.
    pub async fn get(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
    ) -> Result<Arc<Item>, Failure> {
        let found = self.find(kind, namespace, name).await?;
        found.ok_or_else(|| not_found(kind, name))
    }

    async fn find(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<Item>>, Failure> {
        let item = self.stored(kind, namespace, name).await?;
        item.map(|item| self.vault.open(kind, &item)).transpose()
    }

    /// What is stored of it, sealed if its kind is.
    async fn stored(
        &self,
        kind: &Kind,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<Item>>, Failure> {
        let range = Range {
            span: Span::key(place::key(kind, namespace, name)),
            at: None,
            limit: Some(1),
        };
        let found = self.keyspace.range(range).await.map_err(unreadable)?;
        Ok(found.items.into_iter().next())
    }
}

/// The object in an item, with its version.
///
/// # Errors
/// What is stored is no object: it was damaged.
pub fn object(item: &Item) -> Result<Object, Failure> {
    Ok(versioned((*record::read(item)?).clone(), item))
}

/// The same without the owners of fields, for who holds on to it: all who do have one together.
///
/// # Errors
/// See [`object`].
pub(crate) fn held(item: &Item) -> Result<Arc<Object>, Failure> {
    let read = || Ok(versioned(record::parse_unowned(item)?, item));
    item.memo.held_or(read)
}

/// The same as [`object`], of one of many that are looked at once: nothing is kept of it.
///
/// # Errors
/// See [`object`].
pub fn object_once(item: &Item) -> Result<Object, Failure> {
    Ok(versioned(record::parse(item)?, item))
}

fn versioned(mut object: Object, item: &Item) -> Object {
    let version = record::version_of(item.modified);
    object.set_meta("resourceVersion", version.map(Into::into));
    object
}

/// The metadata of the object in an item, with its version; the rest is not read.
///
/// # Errors
/// See [`object`].
pub fn metadata_once(item: &Item) -> Result<Map<String, Value>, Failure> {
    let mut metadata = record::metadata(item)?;
    if let Some(version) = record::version_of(item.modified) {
        metadata.insert("resourceVersion".to_owned(), version.into());
    }
    Ok(metadata)
}

fn not_found(kind: &Kind, name: &str) -> Failure {
    let message = format!("{} {name:?} not found", kind.resource());
    Failure::new(Reason::NotFound, message).about(&kind.group, &kind.plural, name)
}

fn invalid(kind: &Kind, name: &str, causes: Vec<crate::Cause>) -> Failure {
    let told = told(&causes);
    let named = match &*kind.group {
        "" => kind.kind.to_string(),
        group => format!("{}.{group}", kind.kind),
    };
    let message = format!("{named} {name:?} is invalid: {told}");
    let mut failure = Failure::new(Reason::Invalid, message).about(&kind.group, &kind.kind, name);
    failure.about.causes = causes;
    failure
}

fn conflict(kind: &Kind, name: &str, why: &str) -> Failure {
    let resource = kind.resource();
    let message = format!("Operation cannot be fulfilled on {resource} {name:?}: {why}");
    Failure::new(Reason::Conflict, message).about(&kind.group, &kind.plural, name)
}

fn unreadable(error: ReadError) -> Failure {
    match error {
        ReadError::Compacted { .. } => Failure::new(
            Reason::Expired,
            "The provided continue parameter or resource version is too old to display a \
             consistent list result: start a new list without it",
        ),
        ReadError::Future { asked, newest } => Failure::new(
            Reason::Timeout,
            format!("Too large resource version: {asked}, current: {newest}"),
        ),
        ReadError::Full(why) | ReadError::Closed(why) => {
            Failure::new(Reason::ServiceUnavailable, why.to_string())
        }
    }
}

/// Reads a resource version; empty is none.
///
/// # Errors
/// It is no number.
pub fn revision(text: &str) -> Result<Option<Revision>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    let number = text.parse::<u64>().map_err(|_| {
        Failure::bad_request(format!("invalid resource version: {text:?} is no number"))
    })?;
    Ok(Some(Revision(number)))
}
