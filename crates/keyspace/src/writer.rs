//! The thread that makes changes durable: all that waits, in one transaction.
//!
//! Owns the disk, and what is to be done when it fails. Nothing is answered before it is decided.
//!
//! ```text
//!   gather what waits ──► stage ──► append, fold, sync ──► publish ──► answer
//!                                        └─ failed ──► rollback ──► open again, rewind ──► answer
//! ```

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::disk::file::Storage;
use crate::disk::{Disk, DiskError, Fold, LeaseChange, record};
use crate::error::CommitError;
use crate::fold::{ASKED, Folding, IDLE, Step};
use crate::item::Revision;
use crate::local::{Answer, Request, Shared, wake};
use crate::queue::{self, Queue, Waiting};
use crate::state::State;

/// Bytes of records after which another row begins.
const CHUNK_BYTES: usize = 64 << 10;

type Reply = oneshot::Sender<Result<Answer, CommitError>>;
/// Who waits until what was staged is durable, and what they are told then.
type Held = (Reply, Result<Answer, CommitError>);

pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) storage: Storage,
    /// Nothing: the last write failed, and it could not be opened again yet.
    pub(crate) disk: Option<Disk>,
    /// Until where the base on disk has all.
    compacted: Revision,
    /// Until where history is to be folded, and who waits for that.
    target: Revision,
    compactions: Vec<(Revision, Reply)>,
    folding: Option<Folding>,
    /// The last step could not be written. It is not tried again before somebody asks, or more is
    /// to be forgotten.
    is_stalled: bool,
    /// How long the last append took.
    durable: Duration,
}

impl Writer {
    pub(crate) fn new(
        shared: Arc<Shared>,
        storage: Storage,
        disk: Disk,
        compacted: Revision,
        folding: Option<Folding>,
    ) -> Writer {
        Writer {
            shared,
            storage,
            disk: Some(disk),
            compacted,
            target: Revision(0),
            compactions: Vec::new(),
            folding,
            is_stalled: false,
            durable: Duration::ZERO,
        }
    }

    /// Until the queue is stopped.
    pub(crate) fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let Some(queue) = &shared.queue else {
            return;
        };
        let _open = Open(&shared, queue);
        loop {
            let step = self.step();
            let longest = step.map_or(Duration::MAX, |step| step.wait);
            let Some(waiting) = queue.take(longest, queue::patience(self.durable)) else {
                break;
            };
            let step = step.filter(|step| waiting.is_empty() || !step.is_put_off);
            self.batch(waiting, step);
            self.answer_compactions();
        }
    }

    fn batch(&mut self, waiting: Vec<Waiting>, step: Option<&Step>) {
        let step = step.map(|step| step.beside(waiting.len()));
        let mut held = Vec::new();
        let (chunks, leases) = {
            let mut state = self.shared.write();
            let now = Instant::now();
            for Waiting {
                request, answer, ..
            } in waiting
            {
                if let Request::Compact(to) = request {
                    self.target = self.target.max(to);
                    self.is_stalled = false;
                    self.compactions.push((to, answer));
                    continue;
                }
                let answered = state.stage_request(&request, now);
                if state.staged.is_empty() {
                    // It rests on nothing that could fail yet.
                    let _ = answer.send(answered);
                } else {
                    held.push((answer, answered));
                }
            }
            encode(&state)
        };
        let fold = step.and_then(|step| self.piece(&step));
        if !held.is_empty() || fold.is_some() {
            let began = std::time::Instant::now();
            let written = self.write(&chunks, &leases, fold.as_ref());
            self.durable = began.elapsed();
            match written {
                Ok(()) => self.publish(held),
                Err(error) => {
                    let error = self.failed(&error);
                    for (answer, _) in held {
                        let _ = answer.send(Err(error.clone()));
                    }
                }
            }
        }
        if let Some(step) = step {
            self.forget(&step);
        }
    }

    fn publish(&mut self, held: Vec<Held>) {
        let mut state = self.shared.write();
        let woken = self.shared.publish(&mut state);
        if self.target <= self.compacted || self.is_stalled {
            let excess = state.history.excess(&self.shared.options);
            self.target = excess.unwrap_or(self.target);
            self.is_stalled &= excess.is_none();
        }
        drop(state);
        wake(&woken);
        for (answer, answered) in held {
            // Whoever has gone does not want it.
            let _ = answer.send(answered);
        }
    }

    /// What the disk is to fold with the next write.
    fn piece(&mut self, step: &Step) -> Option<Fold> {
        if self.folding.is_none() && self.target > self.compacted {
            self.folding = Some(Folding::begin(self.compacted, self.target));
        }
        let folding = self.folding.as_mut()?;
        folding.piece(&self.shared.read().history, step)
    }

    /// What is folded on disk is forgotten in memory.
    fn forget(&mut self, step: &Step) {
        let Some(folding) = &self.folding else {
            return;
        };
        let mut state = self.shared.write();
        if let Some(to) = folding.forgettable(state.history.compacted(), step) {
            state.compact(to);
        }
        if folding.is_over(state.history.compacted()) {
            self.folding = None;
        }
    }

    /// Makes it durable; the fold comes along for one sync of both, and must not stand in the way.
    fn write(
        &mut self,
        chunks: &[(Revision, Vec<u8>)],
        leases: &[LeaseChange],
        fold: Option<&Fold>,
    ) -> Result<(), DiskError> {
        let written = self.try_write(chunks, leases, fold);
        if fold.is_none() {
            return written.map(drop);
        }
        let error = match written {
            Ok(is_swept) => {
                let folding = self.folding.as_mut();
                let compacted = folding.and_then(|folding| folding.made(is_swept));
                self.compacted = compacted.unwrap_or(self.compacted);
                return Ok(());
            }
            Err(error) => error,
        };
        self.is_stalled = true;
        let why: Arc<str> = error.to_string().into();
        for (_, answer) in self.compactions.drain(..) {
            let _ = answer.send(Err(CommitError::Full(Arc::clone(&why))));
        }
        if chunks.is_empty() && leases.is_empty() {
            return Err(error);
        }
        self.disk = None;
        self.try_write(chunks, leases, None).map(drop)
    }

    fn try_write(
        &mut self,
        chunks: &[(Revision, Vec<u8>)],
        leases: &[LeaseChange],
        fold: Option<&Fold>,
    ) -> Result<bool, DiskError> {
        self.disk()?.write(chunks, leases, fold)
    }

    /// Takes back what was staged, and finds out whether it is on disk.
    fn failed(&mut self, error: &DiskError) -> CommitError {
        self.shared.write().rollback();
        let doubtful = self.disk.is_some() && self.storage.doubtful();
        self.disk = None;
        let why = Arc::from(error.to_string());
        // With the disk open again, it was taken back there, too.
        if self.disk().is_ok() || !doubtful {
            return CommitError::Full(why);
        }
        CommitError::Closed(why)
    }

    /// The disk, opened again if need be. redb refuses all work after a failure, rightly: what a
    /// failed sync has left is known only to who reads it again.
    fn disk(&mut self) -> Result<&Disk, DiskError> {
        if self.disk.is_none() {
            self.storage.rewrite().map_err(redb::Error::Io)?;
            let disk = Disk::open(self.storage.clone(), false)?;
            let (newest, leases) = {
                let state = self.shared.read();
                let ttl = |(id, lease): (_, &crate::lease::Lease)| (id, Some(lease.ttl));
                let staged = &state.staged;
                let leases = state.leases.iter().map(ttl);
                let old = leases.filter(|(id, _)| !staged.granted.contains(id));
                let ended = staged.ended.iter().map(|(id, lease)| ttl((*id, lease)));
                let leases: Vec<LeaseChange> = old.chain(ended).collect();
                (state.revision, leases)
            };
            self.compacted = disk.rewind(newest, &leases)?;
            // A fold that failed may have been made all the same.
            if let Some(folding) = &mut self.folding {
                folding.found(self.compacted);
            }
            self.shared.write().compact(self.compacted);
            self.disk = Some(disk);
        }
        self.disk
            .as_ref()
            .ok_or_else(|| DiskError::Damaged("it is closed".into()))
    }

    /// The next step towards the target, if it is not reached.
    fn step(&self) -> Option<&'static Step> {
        if self.is_stalled || (self.folding.is_none() && self.target <= self.compacted) {
            return None;
        }
        let is_pressing = |state: &State| state.history.is_pressing(&self.shared.options);
        if self.compactions.is_empty() && !is_pressing(&self.shared.read()) {
            Some(&IDLE)
        } else {
            Some(&ASKED)
        }
    }

    fn answer_compactions(&mut self) {
        let compacted = self.shared.read().history.compacted().min(self.compacted);
        let done = |(to, _): &mut (Revision, Reply)| *to <= compacted;
        for (_, answer) in self.compactions.extract_if(.., done) {
            let _ = answer.send(Ok(Answer::Done));
        }
    }
}

/// What is staged, as it is written down.
fn encode(state: &State) -> (Vec<(Revision, Vec<u8>)>, Vec<LeaseChange>) {
    let mut chunks: Vec<(Revision, Vec<u8>)> = Vec::new();
    for entry in &state.staged.entries {
        match chunks.last_mut() {
            Some((_, chunk)) if chunk.len() < CHUNK_BYTES => record::put_commit(chunk, entry),
            _ => {
                let mut chunk = Vec::new();
                record::put_commit(&mut chunk, entry);
                chunks.push((entry.revision, chunk));
            }
        }
    }
    let granted = state.staged.granted.iter();
    let granted = granted.filter_map(|id| Some((*id, Some(state.leases.get(*id)?.ttl))));
    let ended = state.staged.ended.iter().map(|(id, _)| (*id, None));
    (chunks, granted.chain(ended).collect())
}

/// While the writer runs: if it panics, nobody waits for ever.
struct Open<'a>(&'a Shared, &'a Queue);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.1.abandon();
            self.0.close("its writer failed; the log has the reason");
        }
    }
}
