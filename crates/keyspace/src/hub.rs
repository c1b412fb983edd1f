//! Who watches what: finds the watchers of a change without asking all of them.
//!
//! Owns the register. A span of a key or a prefix is found by the key's own beginnings, so that
//! ten thousand watches of other things cost a commit nothing; spans of another shape are asked
//! one by one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::task::AtomicWaker;

use crate::history::Entry;
use crate::item::Revision;
use crate::request::Span;

/// One watcher.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) span: Span,
    pub(crate) waker: AtomicWaker,
    /// The first revision it has to look at; 0: nothing that it has not seen. Changed only while
    /// the state is held, so that a change is either before or after.
    next: AtomicU64,
}

impl Slot {
    pub(crate) fn new(span: Span, next: Option<Revision>) -> Slot {
        Slot {
            span,
            waker: AtomicWaker::new(),
            next: AtomicU64::new(next.map_or(0, |revision| revision.0)),
        }
    }

    pub(crate) fn next(&self) -> Option<Revision> {
        let next = self.next.load(Ordering::Acquire);
        (next != 0).then_some(Revision(next))
    }

    pub(crate) fn set_next(&self, next: Option<Revision>) {
        let next = next.map_or(0, |revision| revision.0);
        self.next.store(next, Ordering::Release);
    }
}

#[derive(Debug, Default)]
pub(crate) struct Hub {
    /// Spans all of whose keys begin with their start.
    prefixes: BTreeMap<(Bytes, u64), Arc<Slot>>,
    /// How many of them have a start of a length.
    lengths: BTreeMap<usize, usize>,
    others: BTreeMap<u64, Arc<Slot>>,
    last: u64,
}

impl Hub {
    pub(crate) fn add(&mut self, slot: &Arc<Slot>) -> u64 {
        self.last += 1;
        let start = &slot.span.start;
        if is_prefix(&slot.span) {
            *self.lengths.entry(start.len()).or_default() += 1;
            self.prefixes
                .insert((start.clone(), self.last), Arc::clone(slot));
        } else {
            self.others.insert(self.last, Arc::clone(slot));
        }
        self.last
    }

    pub(crate) fn remove(&mut self, id: u64, slot: &Slot) {
        let start = &slot.span.start;
        if self.prefixes.remove(&(start.clone(), id)).is_some() {
            if let Some(count) = self.lengths.get_mut(&start.len()) {
                *count -= 1;
                if *count == 0 {
                    self.lengths.remove(&start.len());
                }
            }
        } else {
            self.others.remove(&id);
        }
    }

    /// Marks those the entry concerns who had seen everything before, and adds them to `woken`.
    pub(crate) fn mark(&self, entry: &Entry, woken: &mut Vec<Arc<Slot>>) {
        let mut hit = |slot: &Arc<Slot>| {
            if slot.next().is_none() {
                slot.set_next(Some(entry.revision));
                woken.push(Arc::clone(slot));
            }
        };
        for event in &entry.events {
            let key = &event.item.key;
            for (&length, _) in self.lengths.range(..=key.len()) {
                let start = key.slice(..length);
                let those = (start.clone(), 0)..=(start, u64::MAX);
                let slots = self.prefixes.range(those).map(|(_, slot)| slot);
                slots.filter(|s| s.span.contains(key)).for_each(&mut hit);
            }
            let slots = self.others.values();
            slots.filter(|s| s.span.contains(key)).for_each(&mut hit);
        }
    }

    /// All of them.
    pub(crate) fn all(&self) -> Vec<Arc<Slot>> {
        let all = self.prefixes.values().chain(self.others.values());
        all.map(Arc::clone).collect()
    }
}

/// Whether every key in the span begins with its start.
fn is_prefix(span: &Span) -> bool {
    let one = || {
        let end = span.end.as_deref()?;
        end.strip_prefix(&span.start[..])
    };
    span.end == Span::prefix(span.start.clone()).end || one() == Some(&[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_prefixes_are_told_from_other_spans() {
        assert!(is_prefix(&Span::prefix("")) && is_prefix(&Span::prefix("/a/")));
        assert!(is_prefix(&Span::key("a")) && is_prefix(&Span::prefix(vec![255])));
        let span = |start: &'static str, end: Option<&'static str>| Span {
            start: start.into(),
            end: end.map(Into::into),
        };
        assert!(!is_prefix(&span("a", Some("c"))) && !is_prefix(&span("a", None)));
    }
}
