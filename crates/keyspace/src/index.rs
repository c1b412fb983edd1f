//! Every key's versions since the last compaction, in the order of the keys.
//!
//! Owns the chains. A version newer than what is published may be in them: readers name a revision
//! and never see it, and it can be taken back.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use crate::item::{Item, Revision};
use crate::request::Span;

#[derive(Debug)]
pub(crate) enum Version {
    Value(Arc<Item>),
    Gone(Revision),
}

impl Version {
    fn since(&self) -> Revision {
        match self {
            Version::Value(item) => item.modified,
            Version::Gone(revision) => *revision,
        }
    }

    fn item(&self) -> Option<&Arc<Item>> {
        match self {
            Version::Value(item) => Some(item),
            Version::Gone(_) => None,
        }
    }
}

/// Most keys have one version only: then `older` takes no memory of its own.
#[derive(Debug)]
struct Chain {
    older: Vec<Version>,
    newest: Version,
}

impl Chain {
    fn at(&self, revision: Revision) -> Option<&Arc<Item>> {
        if self.newest.since() <= revision {
            return self.newest.item();
        }
        let then = self.older.partition_point(|v| v.since() <= revision);
        self.older[..then].last().and_then(Version::item)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Index {
    chains: BTreeMap<Bytes, Chain>,
}

impl Index {
    /// What the key is, counting what is not published yet.
    pub(crate) fn newest(&self, key: &[u8]) -> Option<&Arc<Item>> {
        self.chains.get(key)?.newest.item()
    }

    /// Everything that was in the span at `revision`.
    pub(crate) fn range(
        &self,
        span: &Span,
        revision: Revision,
    ) -> impl Iterator<Item = &Arc<Item>> {
        let end = span.end.as_ref().filter(|end| **end >= span.start);
        let empty = span.end.is_some() && end.is_none();
        let bounds = (
            Bound::Included(span.start.clone()),
            match end {
                _ if empty => Bound::Excluded(span.start.clone()),
                Some(end) => Bound::Excluded(end.clone()),
                None => Bound::Unbounded,
            },
        );
        // `BTreeMap::range` panics on a range from and before the same key.
        let chains = (!empty && end != Some(&span.start)).then(|| self.chains.range(bounds));
        chains
            .into_iter()
            .flatten()
            .filter_map(move |(_, chain)| chain.at(revision))
    }

    pub(crate) fn push(&mut self, key: &Bytes, version: Version) {
        match self.chains.get_mut(key) {
            Some(chain) => {
                let before = std::mem::replace(&mut chain.newest, version);
                chain.older.push(before);
            }
            None => {
                let older = Vec::new();
                let newest = version;
                self.chains.insert(key.clone(), Chain { older, newest });
            }
        }
    }

    /// Takes the newest version back.
    pub(crate) fn pop(&mut self, key: &[u8]) {
        let Some(chain) = self.chains.get_mut(key) else {
            return;
        };
        match chain.older.pop() {
            Some(before) => chain.newest = before,
            None => {
                self.chains.remove(key);
            }
        }
    }

    /// Forgets the key's versions that were over at `revision`.
    pub(crate) fn trim(&mut self, key: &[u8], revision: Revision) {
        let Some(chain) = self.chains.get_mut(key) else {
            return;
        };
        if chain.newest.since() <= revision {
            chain.older = Vec::new();
            if matches!(chain.newest, Version::Gone(_)) {
                self.chains.remove(key);
            }
            return;
        }
        let then = chain.older.partition_point(|v| v.since() <= revision);
        if then == 0 {
            return;
        }
        let gone = matches!(chain.older[then - 1], Version::Gone(_));
        chain.older.drain(..if gone { then } else { then - 1 });
        chain.older.shrink_to_fit();
    }
}
