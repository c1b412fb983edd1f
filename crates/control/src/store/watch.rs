//! Watches: what happens to the objects a list would show.
//!
//! An object that begins to be meant by the selectors is added, one that no longer is, is deleted.

use std::any::Any;
use std::sync::Arc;

use weft_keyspace::{Batch, Event, EventKind, Item, Revision, Span, Watch, WatchError};

use super::list::is_meant;
use super::sealed::Vault;
use super::{ListOptions, Store, place};
use crate::failure::{Failure, Reason};
use crate::kind::{Kind, Kinds};

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// `ADDED`
    Added,
    /// `MODIFIED`
    Modified,
    /// `DELETED`
    Deleted,
}

impl ChangeKind {
    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            ChangeKind::Added => "ADDED",
            ChangeKind::Modified => "MODIFIED",
            ChangeKind::Deleted => "DELETED",
        }
    }
}

/// One change.
#[derive(Clone, Debug)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// The object; as it was last, if it is gone.
    pub item: Arc<Item>,
    /// When.
    pub revision: Revision,
    /// What all who watch share, where they see the item as it is stored.
    event: Option<Arc<Event>>,
}

impl Change {
    /// That an object is there, told to who has not seen it.
    pub fn of_present(item: Arc<Item>) -> Change {
        Change {
            kind: ChangeKind::Added,
            revision: item.modified,
            item,
            event: None,
        }
    }

    /// What `make` makes of it, once for all who watch where they share it. One type only is
    /// kept, and what was made first: the kind of change may be another for each of them.
    pub fn memo<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        match &self.event {
            Some(event) => event.memo.get_or(event.item.value.len(), make),
            None => Arc::new(make()),
        }
    }
}

/// A watch that goes on.
#[derive(Debug)]
pub struct Changes {
    watch: Watch,
    kind: Arc<Kind>,
    options: ListOptions,
    vault: Vault,
    /// Only what is defined may cease to be served.
    served: Option<Served>,
}

type Served = tokio::sync::watch::Receiver<Arc<Kinds>>;

impl Store {
    /// Everything that happens after `after`.
    ///
    /// # Errors
    /// That is too long ago.
    pub async fn watch(
        &self,
        kind: &Arc<Kind>,
        namespace: &str,
        after: Revision,
        options: ListOptions,
    ) -> Result<Changes, Failure> {
        let oldest = kind.defined.as_ref().map_or(Revision(0), |made| made.since);
        if after < oldest {
            // What was seen then was another kind's.
            return Err(gone(WatchError::Compacted {
                asked: after,
                oldest,
            }));
        }
        let span = Span::prefix(place::within(kind, namespace));
        let watch = self.keyspace.watch(span, after).await.map_err(gone)?;
        Ok(Changes {
            watch,
            kind: Arc::clone(kind),
            options,
            vault: self.vault.clone(),
            served: kind.is_custom().then(|| self.kinds.subscribe()),
        })
    }

    /// Everything that happens to objects of all kinds after `after`.
    ///
    /// # Errors
    /// That is too long ago.
    pub(crate) async fn watch_all(&self, after: Revision) -> Result<Happenings, Failure> {
        let span = Span::prefix(place::ALL);
        let watch = self.keyspace.watch(span, after).await.map_err(gone)?;
        Ok(Happenings {
            watch,
            store: self.clone(),
        })
    }

    /// Whether what is asked for has happened yet: a client that has seen newer things is not told
    /// older ones.
    ///
    /// # Errors
    /// It has not.
    pub async fn has_come_to(&self, version: Option<Revision>) -> Result<(), Failure> {
        let Some(asked) = version else { return Ok(()) };
        let newest = self.revision().await?;
        match asked > newest {
            true => Err(gone(WatchError::Future { asked, newest })),
            false => Ok(()),
        }
    }

    /// The newest revision.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn revision(&self) -> Result<Revision, Failure> {
        self.keyspace.revision().await.map_err(super::unreadable)
    }
}

/// A watch of all kinds.
#[derive(Debug)]
pub(crate) struct Happenings {
    watch: Watch,
    store: Store,
}

/// Something that happened to an object.
#[derive(Debug)]
pub(crate) struct Happened {
    pub(crate) kind: Arc<Kind>,
    pub(crate) what: EventKind,
    /// As it is; as it was last, if it is gone.
    pub(crate) item: Arc<Item>,
    /// As it was before.
    pub(crate) previous: Option<Arc<Item>>,
}

impl Happenings {
    /// What comes next, of kinds that are served.
    ///
    /// # Errors
    /// The watcher is too slow, or the store is closed.
    pub(crate) async fn next(&mut self) -> Result<Vec<Happened>, Failure> {
        let Batch::Events(events) = self.watch.receive().await.map_err(gone)? else {
            return Ok(Vec::new());
        };
        let (kinds, vault) = (self.store.kinds(), &self.store.vault);
        let mut happened = Vec::with_capacity(events.len());
        for event in events {
            let place = place::kind_of(&event.item.key);
            let Some(kind) = place.and_then(|(group, plural)| kinds.at(group, plural)) else {
                continue;
            };
            let open = |item: &Arc<Item>| vault.open(kind, item);
            happened.push(Happened {
                kind: Arc::clone(kind),
                what: event.kind,
                item: open(&event.item)?,
                previous: event.previous.as_ref().map(open).transpose()?,
            });
        }
        Ok(happened)
    }

    /// Everything up to here has been handed out.
    pub(crate) fn progress(&mut self) -> Revision {
        self.watch.progress()
    }
}

impl Changes {
    /// What comes next; nothing: only time has gone by. Cancelled, it has lost nothing.
    ///
    /// # Errors
    /// The watcher is too slow, or the store is closed.
    pub async fn next(&mut self) -> Result<Vec<Change>, Failure> {
        let Batch::Events(events) = self.watch.receive().await.map_err(gone)? else {
            return Ok(Vec::new());
        };
        let mut changes = Vec::with_capacity(events.len());
        for event in events {
            changes.extend(self.change(&event)?);
        }
        Ok(changes)
    }

    /// Completes when the kind is not served any more, or defined in another way. What happened to its objects before that
    /// can be received by then.
    pub fn over(&self) -> impl Future<Output = ()> + Send + use<> {
        let (kind, served) = (Arc::clone(&self.kind), self.served.clone());
        let is_gone = move |kinds: &Arc<Kinds>| {
            let found = kinds.version(&kind.group, &kind.version, &kind.plural);
            let spec = |kind: &Kind| kind.defined.as_ref().map(|made| made.spec);
            found.is_none_or(|found| spec(found) != spec(&kind))
        };
        async move {
            if let Some(mut served) = served
                && served.wait_for(is_gone).await.is_ok()
            {
                return;
            }
            std::future::pending().await
        }
    }

    /// Everything up to here has been handed out.
    pub fn progress(&mut self) -> Revision {
        self.watch.progress()
    }

    fn change(&self, event: &Arc<Event>) -> Result<Option<Change>, Failure> {
        let is_meant = |item: &Item| is_meant(&self.kind, item, &self.options);
        let item = self.open(&event.item)?;
        let previous = event.previous.as_ref();
        let previous = previous.map(|item| self.open(item)).transpose()?;
        let was = match &previous {
            Some(previous) => is_meant(previous)?,
            None => event.kind != EventKind::Created && is_meant(&item)?,
        };
        let is = event.kind != EventKind::Deleted && is_meant(&item)?;
        let (kind, item) = match (was, is) {
            (false, false) => return Ok(None),
            (false, true) => (ChangeKind::Added, item),
            (true, true) => (ChangeKind::Modified, item),
            // As it was when it was meant last.
            (true, false) => (ChangeKind::Deleted, previous.unwrap_or(item)),
        };
        let is_shared = Arc::ptr_eq(&item, &event.item);
        Ok(Some(Change {
            kind,
            item,
            revision: event.revision,
            event: is_shared.then(|| Arc::clone(event)),
        }))
    }

    /// What was may be sealed with a key that is gone; what is, is not: it can be listed.
    fn open(&self, item: &Arc<Item>) -> Result<Arc<Item>, Failure> {
        self.vault.open(&self.kind, item).map_err(|why| Failure {
            reason: Reason::Expired,
            ..why
        })
    }
}

fn gone(error: WatchError) -> Failure {
    match error {
        WatchError::Compacted { asked, oldest } => Failure::new(
            Reason::Expired,
            format!("too old resource version: {asked} ({oldest})"),
        ),
        WatchError::Future { asked, newest } => Failure::new(
            Reason::Timeout,
            format!("Too large resource version: {asked}, current: {newest}"),
        ),
        WatchError::Slow { seen } => Failure::new(
            Reason::Expired,
            format!("the watcher took too long: it saw changes up to {seen}; list and watch again"),
        ),
        WatchError::Closed(why) => Failure::new(Reason::ServiceUnavailable, why.to_string()),
    }
}
