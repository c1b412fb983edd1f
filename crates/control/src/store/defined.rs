//! Kinds that users define, while their definitions change: what is stored was made by the
//! definition that was there then, and is read by the one that is there now.
//!
//! ```text
//!   write ─► is the kind made of the definition that is there? ─► commit, if it still is
//!              │ no: it is waited for
//!   read  ─► written after the kind's definition changed ─► as it is
//!              │ no: without what is not known any more, with the defaults of today; kept in memory
//! ```
//!
//! So an object that is newer than its definition needs no look, and most are.

use std::ops::Deref;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use weft_keyspace::{CommitError, Expect, Guard, Item, Revision};

use super::{Store, record};
use crate::custom;
use crate::failure::{Failure, Reason};
use crate::kind::Kind;
use crate::kinds::definition;
use crate::object::Object;
use crate::schema;

/// How long a write waits until a definition that has changed is served.
const WAIT: Duration = Duration::from_secs(5);

/// Of which definition a kind was made.
#[derive(Debug)]
pub struct Defined {
    /// Objects that were written later were written by it.
    pub(crate) since: Revision,
    /// Which one it was, as [`custom::made_of`] tells it.
    pub(crate) made_of: String,
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

/// An object as it is read by a kind whose definition is newer than it.
#[derive(Debug)]
pub(super) struct Settled {
    by: Revision,
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
                let found = served
                    .borrow_and_update()
                    .at(&kind.group, &kind.plural)
                    .cloned();
                if let Some(found) = found
                    && self.definition(&found).await?.is_none_or(|(_, is)| is)
                {
                    return Ok(Current::Newer(found));
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

/// `item` as `kind` has it today.
pub(super) fn settled(kind: &Kind, item: &Arc<Item>) -> Result<Arc<Item>, Failure> {
    let since = kind.defined.as_ref().map_or(Revision(0), |made| made.since);
    if item.modified >= since {
        return Ok(Arc::clone(item));
    }
    let made = record::made(item);
    let mut kept = made.settled.lock().unwrap_or_else(PoisonError::into_inner);
    let settled = match kept.take().filter(|kept| kept.by == since) {
        Some(kept) => kept,
        None => Settled {
            by: since,
            item: anew(kind, item)?,
        },
    };
    let settled = kept.insert(settled);
    Ok(Arc::clone(settled.item.as_ref().unwrap_or(item)))
}

/// Nothing: it is the same.
fn anew(kind: &Kind, item: &Item) -> Result<Option<Arc<Item>>, Failure> {
    let before = record::read(item)?;
    let mut object = Object::clone(&before);
    schema::prune(kind.schema(), &mut object.0);
    kind.complete(&mut object);
    (object != *before)
        .then(|| record::with(kind, item, &object))
        .transpose()
}
