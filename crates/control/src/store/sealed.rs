//! Kinds that are sealed where they are stored: their whole objects, bound to where they are.
//!
//! Owns: that nothing else of them goes to the keyspace, and that what comes back is opened; what
//! is opened is kept in memory for a while with the item it is of.
//! Never: has a key, or knows how values are sealed.
//!
//! ```text
//!   write ─► JSON ─► seal(key of the keyspace, JSON) ─► commit
//!   read, watch ─► item ─► open(its key, its value) ─► item with JSON
//!   other key: swapped ─► what was under way is done ─► each object anew ─► history forgotten
//! ```

use std::fmt::Debug;
use std::sync::Arc;

use tokio::sync::{OwnedRwLockReadGuard, RwLock};
use weft_keyspace::{
    Change, Commit, CommitError, Expect, Guard, Item, Memo, Range, Revision, Span,
};

use super::{Store, defined, place, record, unreadable};
use crate::failure::{Failure, Reason};
use crate::kind::Kind;

/// Most objects that are sealed anew in one commit: others come between.
const PORTION: usize = 16;

/// What seals values, each for one key of the keyspace. Sealed, a value cannot be read, changed or
/// moved to another key.
pub trait Seal: Send + Sync + Debug {
    /// `value`, sealed for `key` with the newest key.
    fn seal(&self, key: &str, value: &[u8]) -> Vec<u8>;

    /// What was sealed for `key`.
    ///
    /// # Errors
    /// Why it cannot be opened, and what to do.
    fn open(&self, key: &str, sealed: &[u8]) -> Result<Vec<u8>, String>;

    /// `sealed` under the newest key; nothing: it is already.
    ///
    /// # Errors
    /// Why it cannot be opened.
    fn reseal(&self, key: &str, sealed: &[u8]) -> Result<Option<Vec<u8>>, String>;
}

/// What the store seals with.
#[derive(Clone, Debug, Default)]
pub(super) struct Vault {
    seal: Option<Arc<dyn Seal>>,
    /// Held for reading from sealing until the commit is under way.
    turn: Arc<RwLock<()>>,
}

/// Held while something that was sealed is being committed.
pub(super) type Held = Option<OwnedRwLockReadGuard<()>>;

impl Vault {
    fn of(&self, kind: &Kind) -> Result<&Arc<dyn Seal>, String> {
        let told = || format!("{} are sealed, and this server has no key", kind.resource());
        self.seal.as_ref().ok_or_else(told)
    }

    /// `change` as it may be stored.
    pub(super) async fn close(
        &self,
        kind: &Kind,
        change: Change,
    ) -> Result<(Change, Held), CommitError> {
        let (true, Change::Put { key, value, lease }) = (kind.is_sealed, &change) else {
            return Ok((change, None));
        };
        let told = |why: String| CommitError::Closed(why.into());
        let seal = self.of(kind).map_err(told)?;
        let held = Arc::clone(&self.turn).read_owned().await;
        let value = seal.seal(&String::from_utf8_lossy(key), value).into();
        let (key, lease) = (key.clone(), *lease);
        Ok((Change::Put { key, value, lease }, Some(held)))
    }

    /// `item` as it was before it was sealed; in the form `kind` is.
    pub(super) fn open(&self, kind: &Kind, item: &Arc<Item>) -> Result<Arc<Item>, Failure> {
        if kind.form.is_some() {
            return record::shown(kind, &self.open(kind.stored(), item)?);
        }
        if !kind.is_sealed {
            return defined::settled(kind, item);
        }
        let opened = item.memo.get_or(item.value.len(), || {
            let key = String::from_utf8_lossy(&item.key);
            let value = self.of(kind)?.open(&key, &item.value)?;
            Ok::<_, String>(Arc::new(Item {
                key: item.key.clone(),
                value: value.into(),
                created: item.created,
                modified: item.modified,
                version: item.version,
                lease: item.lease,
                memo: Memo::default(),
            }))
        });
        opened.as_ref().clone().map_err(|why| unopened(item, &why))
    }

    pub(super) fn open_all(
        &self,
        kind: &Kind,
        items: Vec<Arc<Item>>,
    ) -> Result<Vec<Arc<Item>>, Failure> {
        if !kind.is_sealed && kind.form.is_none() && kind.defined.is_none() {
            return Ok(items);
        }
        items.iter().map(|item| self.open(kind, item)).collect()
    }
}

impl Store {
    /// The same store with something to seal with. Without, no object of a sealed kind can be
    /// read or written.
    #[must_use]
    pub fn with_seal(mut self, seal: Arc<dyn Seal>) -> Store {
        self.vault.seal = Some(seal);
        self
    }

    /// How many objects are sealed.
    ///
    /// # Errors
    /// The store does not answer.
    pub async fn sealed(&self) -> Result<usize, Failure> {
        Ok(self.all_sealed().await?.len())
    }

    /// Opens every sealed object, keeping nothing of it.
    ///
    /// # Errors
    /// The first that cannot be opened, and why.
    pub async fn check_sealed(&self) -> Result<(), Failure> {
        for (kind, item) in self.all_sealed().await? {
            let key = String::from_utf8_lossy(&item.key);
            let opened = self.vault.of(&kind);
            let opened = opened.and_then(|seal| seal.open(&key, &item.value));
            opened.map_err(|why| unopened(&item, &why))?;
        }
        Ok(())
    }

    /// Has `swap` put another key first, then seals every object with it. When this answers,
    /// nothing that is kept needs an older key; answers with how many were sealed anew.
    ///
    /// # Errors
    /// What `swap` answers, or an object cannot be opened or written: older keys are still needed.
    pub async fn reseal(
        &self,
        swap: impl AsyncFnOnce() -> Result<(), Failure>,
    ) -> Result<usize, Failure> {
        {
            let _alone = self.vault.turn.write().await;
            swap().await?;
        }
        // Whoever sealed with an older key has handed that in before: behind this, it is there.
        let nothing = Commit {
            guards: Vec::new(),
            changes: Vec::new(),
        };
        self.keyspace.commit(nothing).await.map_err(unresealed)?;
        let mut count = 0;
        loop {
            let anew = self.reseal_portions().await?;
            if anew == 0 {
                break;
            }
            count += anew;
        }
        // What was is still sealed as it was.
        let newest = self.keyspace.revision().await.map_err(unreadable)?;
        self.keyspace.compact(newest).await.map_err(unreadable)?;
        Ok(count)
    }

    /// Answers with how many were not sealed with the newest key when they were looked at.
    async fn reseal_portions(&self) -> Result<usize, Failure> {
        let mut count = 0;
        for portion in self.all_sealed().await?.chunks(PORTION) {
            let (mut guards, mut changes) = (Vec::new(), Vec::new());
            for (kind, item) in portion {
                let key = String::from_utf8_lossy(&item.key);
                let seal = self.vault.of(kind);
                let again = seal.and_then(|seal| seal.reseal(&key, &item.value));
                if let Some(value) = again.map_err(|why| unopened(item, &why))? {
                    guards.push(Guard {
                        key: item.key.clone(),
                        expect: Expect::Modified(item.modified),
                    });
                    changes.push(Change::Put {
                        key: item.key.clone(),
                        value: value.into(),
                        lease: item.lease,
                    });
                }
            }
            if changes.is_empty() {
                continue;
            }
            count += changes.len();
            match self.keyspace.commit(Commit { guards, changes }).await {
                // One was changed meanwhile: they are looked at again.
                Ok(_) | Err(CommitError::Conflict { .. }) => {}
                Err(error) => return Err(unresealed(error)),
            }
        }
        Ok(count)
    }

    async fn all_sealed(&self) -> Result<Vec<(Arc<Kind>, Arc<Item>)>, Failure> {
        let mut all = Vec::new();
        for kind in self.kinds().iter().filter(|kind| kind.is_sealed) {
            let range = Range {
                span: Span::prefix(place::within(kind, "")),
                at: None::<Revision>,
                limit: None,
            };
            let found = self.keyspace.range(range).await.map_err(unreadable)?;
            all.extend(found.items.into_iter().map(|item| (Arc::clone(kind), item)));
        }
        Ok(all)
    }
}

fn unopened(item: &Item, why: &str) -> Failure {
    let key = String::from_utf8_lossy(&item.key);
    Failure::internal(format!("open what is sealed at {key}: {why}"))
}

fn unresealed(error: CommitError) -> Failure {
    Failure::new(
        Reason::ServiceUnavailable,
        format!("seal the objects anew: {error}"),
    )
}

#[cfg(test)]
mod tests;
