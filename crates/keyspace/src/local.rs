//! A keyspace of this process, in memory or on disk.
//!
//! Owns the ways in. What is asked is answered from memory; what changes something goes through
//! [`Shared::perform`], in memory at once, on disk through the writer's queue.

use std::sync::{Arc, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::error::{CommitError, ReadError, WatchError};
use crate::hub::{Hub, Slot};
use crate::item::{LeaseId, Revision};
use crate::options::Options;
use crate::queue::Queue;
use crate::request::{Commit, Committed, Found, Range, Span, Watch};
use crate::state::State;
use crate::watch::Watcher;
use crate::{Keyspace, stage, timer};

/// A keyspace of this process. Dropped, it writes what still waits, and its watches end.
#[derive(Debug)]
pub struct Local {
    pub(crate) shared: Arc<Shared>,
    timer: JoinHandle<()>,
    writer: Option<thread::JoinHandle<()>>,
}

/// A keyspace that is gone with the process.
///
/// # Panics
/// Outside of a tokio runtime: leases and history end by its timer.
pub fn memory(options: Options) -> Local {
    let shared = Arc::new(Shared::new(State::default(), options, None));
    Local::new(shared, None)
}

/// What the ways in, the watchers, the timer and the writer have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    state: RwLock<State>,
    /// Locked after the state, never before it.
    hub: Mutex<Hub>,
    pub(crate) options: Options,
    /// Something ends sooner than the timer knows.
    sooner: Arc<Notify>,
    /// Where changes wait for the disk; nothing: in memory only.
    pub(crate) queue: Option<Queue>,
}

/// What changes something.
#[derive(Debug)]
pub(crate) enum Request {
    Commit(Commit),
    Grant(Duration),
    Revoke(LeaseId),
    /// As revoke, unless it was kept alive meanwhile.
    Expire(LeaseId),
    /// To a revision that has happened.
    Compact(Revision),
}

#[derive(Debug)]
pub(crate) enum Answer {
    Committed(Committed),
    Granted(LeaseId),
    Done,
}

impl Shared {
    pub(crate) fn new(state: State, options: Options, queue: Option<Queue>) -> Shared {
        Shared {
            state: RwLock::new(state),
            hub: Mutex::default(),
            options,
            sooner: Arc::default(),
            queue,
        }
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().expect("nobody panics holding it")
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().expect("nobody panics holding it")
    }

    pub(crate) fn hub(&self) -> MutexGuard<'_, Hub> {
        self.hub.lock().expect("nobody panics holding it")
    }

    pub(crate) fn sooner(&self) -> Arc<Notify> {
        Arc::clone(&self.sooner)
    }

    /// Makes the change, durable where there is a disk.
    pub(crate) async fn perform(&self, request: Request) -> Result<Answer, CommitError> {
        if let Request::Commit(commit) = &request {
            stage::validate(commit)?;
        }
        if let Some(queue) = &self.queue {
            return queue.perform(request).await;
        }
        let mut state = self.write();
        let answer = state.stage_request(&request, Instant::now())?;
        if let Request::Compact(to) = request {
            state.compact(to);
        }
        let woken = self.publish(&mut state);
        if let Some(to) = state.history.excess(&self.options) {
            state.compact(to);
        }
        drop(state);
        wake(&woken);
        Ok(answer)
    }

    /// Publishes what is staged. Who is to be woken is woken without the lock.
    pub(crate) fn publish(&self, state: &mut State) -> Vec<Arc<Slot>> {
        let mut woken = Vec::new();
        // What the timer has armed stays the next end, unless a lease is new or much was written.
        let look =
            !state.staged.granted.is_empty() || state.timer.is_none() || timer::is_much(state);
        if let Some(first) = state.publish() {
            let hub = self.hub();
            for entry in state.history.from(first) {
                hub.mark(entry, &mut woken);
            }
        }
        let next = look.then(|| timer::next(state, &self.options)).flatten();
        if next.is_some_and(|next| state.timer.is_none_or(|armed| next < armed)) {
            state.timer = next;
            self.sooner.notify_one();
        }
        woken
    }

    /// Ends everything: watches that have seen all get to know it.
    pub(crate) fn close(&self, why: &str) {
        let mut state = self.write();
        state.closed.get_or_insert_with(|| why.into());
        let all = self.hub().all();
        drop(state);
        wake(&all);
    }
}

pub(crate) fn wake(slots: &[Arc<Slot>]) {
    for slot in slots {
        slot.waker.wake();
    }
}

impl State {
    /// Stages what is asked; of a compaction, nothing.
    pub(crate) fn stage_request(
        &mut self,
        request: &Request,
        now: Instant,
    ) -> Result<Answer, CommitError> {
        match request {
            Request::Commit(commit) => self.stage_commit(commit, now).map(Answer::Committed),
            Request::Grant(ttl) => self.stage_grant(*ttl, now).map(Answer::Granted),
            Request::Revoke(lease) => {
                self.stage_revoke(*lease, now);
                Ok(Answer::Done)
            }
            Request::Expire(lease) => {
                if !self.leases.alive(*lease, now) {
                    self.stage_revoke(*lease, now);
                }
                Ok(Answer::Done)
            }
            Request::Compact(_) => Ok(Answer::Done),
        }
    }
}

impl Local {
    pub(crate) fn new(shared: Arc<Shared>, writer: Option<thread::JoinHandle<()>>) -> Local {
        let timer = tokio::spawn(timer::run(Arc::downgrade(&shared)));
        Local {
            shared,
            timer,
            writer,
        }
    }
}

impl Drop for Local {
    fn drop(&mut self) {
        self.timer.abort();
        if let Some(queue) = &self.shared.queue {
            queue.stop();
        }
        if let Some(writer) = self.writer.take() {
            // It has said why when it panicked.
            let _ = writer.join();
        }
        self.shared.close("it was shut down");
    }
}

impl Keyspace for Local {
    fn revision(&self) -> BoxFuture<'_, Result<Revision, ReadError>> {
        ready(Ok(self.shared.read().revision)).boxed()
    }

    fn range(&self, range: Range) -> BoxFuture<'_, Result<Found, ReadError>> {
        async move { self.shared.read().read(&range) }.boxed()
    }

    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Committed, CommitError>> {
        async move {
            match self.shared.perform(Request::Commit(commit)).await? {
                Answer::Committed(committed) => Ok(committed),
                _ => unreachable!("a commit is answered as one"),
            }
        }
        .boxed()
    }

    fn watch(&self, span: Span, after: Revision) -> BoxFuture<'_, Result<Watch, WatchError>> {
        async move { Watcher::new(&self.shared, span, after).map(Watch::new) }.boxed()
    }

    fn grant(&self, ttl: Duration) -> BoxFuture<'_, Result<LeaseId, CommitError>> {
        async move {
            match self.shared.perform(Request::Grant(ttl)).await? {
                Answer::Granted(lease) => Ok(lease),
                _ => unreachable!("a grant is answered as one"),
            }
        }
        .boxed()
    }

    fn keep_alive(&self, lease: LeaseId) -> BoxFuture<'_, Result<(), CommitError>> {
        async move {
            let renewed = self.shared.write().leases.renew(lease, Instant::now());
            renewed.then_some(()).ok_or(CommitError::NoLease(lease))
        }
        .boxed()
    }

    fn revoke(&self, lease: LeaseId) -> BoxFuture<'_, Result<(), CommitError>> {
        async move {
            self.shared.perform(Request::Revoke(lease)).await?;
            Ok(())
        }
        .boxed()
    }

    fn compact(&self, to: Revision) -> BoxFuture<'_, Result<(), ReadError>> {
        async move {
            let newest = self.shared.read().revision;
            if to > newest {
                return Err(ReadError::Future { asked: to, newest });
            }
            match self.shared.perform(Request::Compact(to)).await {
                Ok(_) => Ok(()),
                Err(CommitError::Closed(why)) => Err(ReadError::Closed(why)),
                Err(CommitError::Full(why)) => Err(ReadError::Full(why)),
                Err(_) => unreachable!("a compaction has no guards, leases or keys"),
            }
        }
        .boxed()
    }
}
