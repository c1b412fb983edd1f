//! A watcher of a keyspace of this process.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, poll_fn};

use crate::error::WatchError;
use crate::hub::Slot;
use crate::item::Revision;
use crate::local::Shared;
use crate::request::{Batch, Span, WatchSource};

/// A batch is closed after the commit with which it has so many events.
const BATCH: usize = 1000;

#[derive(Debug)]
pub(crate) struct Watcher {
    shared: Arc<Shared>,
    slot: Arc<Slot>,
    id: u64,
}

impl Watcher {
    pub(crate) fn new(
        shared: &Arc<Shared>,
        span: Span,
        after: Revision,
    ) -> Result<Watcher, WatchError> {
        // Held until the slot is registered: no change falls between.
        let state = shared.read();
        state.watchable(after)?;
        let next = (after < state.revision).then_some(Revision(after.0 + 1));
        let slot = Arc::new(Slot::new(span, next));
        let id = shared.hub().add(&slot);
        drop(state);
        Ok(Watcher {
            shared: Arc::clone(shared),
            slot,
            id,
        })
    }

    fn poll(&self, context: &Context<'_>) -> Poll<Result<Batch, WatchError>> {
        self.slot.waker.register(context.waker());
        let state = self.shared.read();
        let Some(next) = self.slot.next() else {
            return match &state.closed {
                Some(why) => Poll::Ready(Err(WatchError::Closed(Arc::clone(why)))),
                None => Poll::Pending,
            };
        };
        if next <= state.history.compacted() {
            let seen = Revision(next.0 - 1);
            return Poll::Ready(Err(WatchError::Slow { seen }));
        }
        let mut events = Vec::new();
        let mut rest = None;
        for entry in state.history.from(next) {
            if events.len() >= BATCH {
                rest = Some(entry.revision);
                break;
            }
            let ours = |event: &&Arc<_>| self.concerns(event);
            events.extend(entry.events.iter().filter(ours).map(Arc::clone));
        }
        self.slot.set_next(rest);
        Poll::Ready(Ok(if events.is_empty() {
            Batch::Progress(state.revision)
        } else {
            Batch::Events(events)
        }))
    }

    fn concerns(&self, event: &crate::item::Event) -> bool {
        self.slot.span.contains(&event.item.key)
    }
}

impl WatchSource for Watcher {
    fn receive(&mut self) -> BoxFuture<'_, Result<Batch, WatchError>> {
        poll_fn(|context| self.poll(context)).boxed()
    }

    fn progress(&mut self) -> Revision {
        let state = self.shared.read();
        match self.slot.next() {
            Some(next) => Revision(next.0 - 1),
            None => state.revision,
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.shared.hub().remove(self.id, &self.slot);
    }
}
