//! A reflector: lists, watches, resumes where its connection broke, and lists anew when what it
//! has seen last is forgotten. It holds what it is told against what truly happened.

use std::sync::Arc;

use tokio::sync::watch;
use weft_control::selector::Labels;
use weft_control::store::{ChangeKind, Changes, ListOptions};
use weft_control::{Failure, Kind, Reason, Store};
use weft_keyspace::Revision;

use crate::shaken::{Dice, Shaken};
use crate::truth::{Meant, State, Told};

/// Changes after which a connection may break, and that are not looked at meanwhile.
const UNTIL_BREAK: u64 = 6;
const SLOW: u64 = 40;

pub(crate) struct Watcher {
    pub(crate) meant: Meant,
    pub(crate) store: Store,
    pub(crate) kind: Arc<Kind>,
    pub(crate) shaken: Arc<Shaken>,
    pub(crate) dice: Arc<Dice>,
    /// The last revision, as soon as it is known.
    pub(crate) end: watch::Receiver<Option<u64>>,
}

/// What it holds and has been told since it listed.
struct Seen {
    state: State,
    listed: u64,
    told: Vec<Told>,
    after: u64,
}

/// What a watcher lived through.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lived {
    pub(crate) events: usize,
    pub(crate) breaks: usize,
    pub(crate) lists: usize,
}

fn is_forgotten<T>(result: Result<T, Failure>) -> Option<T> {
    match result {
        Ok(done) => Some(done),
        Err(failure) if failure.reason == Reason::Expired => None,
        Err(failure) => panic!("{failure:?}"),
    }
}

impl Watcher {
    fn options(&self) -> ListOptions {
        let labels = match self.meant.colour {
            "" => Labels::default(),
            colour => Labels::parse(&format!("colour={colour}")).unwrap(),
        };
        ListOptions {
            labels,
            ..ListOptions::default()
        }
    }

    fn is_over(&self, after: u64) -> bool {
        self.end.borrow().is_some_and(|end| after >= end)
    }

    pub(crate) async fn run(self) -> Lived {
        let mut lived = Lived::default();
        loop {
            lived.lists += 1;
            let Some(mut seen) = self.list().await else {
                continue;
            };
            while self.follow(&mut seen).await && !self.is_over(seen.after) {
                lived.breaks += 1;
            }
            lived.events += seen.told.len();
            self.check(&seen);
            if self.is_over(seen.after) {
                return lived;
            }
            // Only who was told that something is forgotten begins anew.
            assert!(seen.after < self.shaken.truth().compacted());
        }
    }

    /// Nothing: what was to be listed is forgotten.
    async fn list(&self) -> Option<Seen> {
        let mut options = self.options();
        if self.dice.one_in(2) {
            options.limit = 2;
        }
        if self.dice.one_in(3) {
            let newest = self.shaken.truth().newest();
            options.at = Some(Revision(newest - self.dice.roll(newest.min(20))));
        }
        let mut state = State::new();
        let listed = loop {
            let listed = self
                .store
                .list(&self.kind, self.meant.namespace, &options)
                .await;
            let listed = is_forgotten(listed)?;
            for item in &listed.items {
                let key = String::from_utf8(item.key.to_vec()).unwrap();
                assert!(state.insert(key, item.modified.0).is_none(), "listed twice");
            }
            match listed.token {
                Some(token) => options.token = Some(token),
                None => break listed.revision.0,
            }
        };
        let truth = self.shaken.truth();
        assert_eq!(state, truth.state(listed, self.meant), "listed at {listed}");
        drop(truth);
        Some(Seen {
            state,
            listed,
            told: Vec::new(),
            after: listed,
        })
    }

    /// Watches until the connection breaks or all is over; false: it has to list anew.
    async fn follow(&self, seen: &mut Seen) -> bool {
        let after = Revision(seen.after);
        let (namespace, options) = (self.meant.namespace, self.options());
        let watch = self.store.watch(&self.kind, namespace, after, options);
        let Some(mut changes) = is_forgotten(watch.await) else {
            return false;
        };
        for _ in 0..=self.dice.roll(UNTIL_BREAK) {
            if self.is_over(changes.progress().0) {
                break;
            }
            let pause = if self.dice.one_in(8) { SLOW } else { 2 };
            self.dice.pause(pause).await;
            let Some(batch) = is_forgotten(changes.next().await) else {
                return false;
            };
            for change in batch {
                let key = String::from_utf8(change.item.key.to_vec()).unwrap();
                let at = change.revision.0;
                match change.kind {
                    ChangeKind::Deleted => seen.state.remove(&key),
                    _ => seen.state.insert(key.clone(), at),
                };
                seen.told.push((at, change.kind.name(), key));
                seen.after = at;
            }
        }
        self.bookmark(&mut changes, seen);
        true
    }

    /// Now and then it goes on from where all is seen, not from what it was told last.
    fn bookmark(&self, changes: &mut Changes, seen: &mut Seen) {
        let progress = changes.progress().0;
        assert!(progress >= seen.after);
        if self.dice.one_in(2) || self.is_over(progress) {
            seen.after = progress;
        }
    }

    /// What it was told is all that happened, in order, once; what it holds is what there is.
    fn check(&self, seen: &Seen) {
        let truth = self.shaken.truth();
        let expected = truth.told(seen.listed, seen.after, self.meant);
        assert_eq!(
            seen.told, expected,
            "{:?} since {}",
            self.meant, seen.listed
        );
        assert_eq!(seen.state, truth.state(seen.after, self.meant));
    }
}
