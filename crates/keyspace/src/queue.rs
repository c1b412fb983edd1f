//! What waits for the disk.
//!
//! Owns the bound: whoever would exceed it waits before, not in it.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard};

use tokio::sync::{Semaphore, oneshot};

use crate::error::CommitError;
use crate::local::{Answer, Request};
use crate::request::{Change, Commit};

/// Most that waits, in units of 1 KiB; each request takes at least one.
const ROOM_KIB: usize = 64 << 10;
/// Most requests and KiB that are made durable together.
const BATCH: usize = 4096;
const BATCH_KIB: u32 = 8 << 10;

#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) request: Request,
    pub(crate) answer: oneshot::Sender<Result<Answer, CommitError>>,
    size_kib: u32,
}

#[derive(Debug)]
pub(crate) struct Queue {
    line: Mutex<Line>,
    arrived: Condvar,
    room: Semaphore,
}

#[derive(Debug, Default)]
struct Line {
    waiting: VecDeque<Waiting>,
    stopped: bool,
}

impl Queue {
    pub(crate) fn new() -> Queue {
        Queue {
            line: Mutex::default(),
            arrived: Condvar::new(),
            room: Semaphore::new(ROOM_KIB),
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().expect("nobody panics holding it")
    }

    pub(crate) async fn perform(&self, request: Request) -> Result<Answer, CommitError> {
        let closed = |why: &str| CommitError::Closed(why.into());
        let size_kib = size_kib(&request);
        let Ok(room) = self.room.acquire_many(size_kib).await else {
            return Err(closed("it was shut down"));
        };
        let (answer, answered) = oneshot::channel();
        {
            let mut line = self.line();
            if line.stopped {
                return Err(closed("it was shut down"));
            }
            // Given back when it is taken out.
            room.forget();
            line.waiting.push_back(Waiting {
                request,
                answer,
                size_kib,
            });
        }
        self.arrived.notify_one();
        let answered = answered.await;
        answered.unwrap_or_else(|_| Err(closed("its writer stopped; the log has the reason")))
    }

    /// The next requests, waiting for them if wished; nothing: it was stopped and is empty.
    pub(crate) fn take(&self, wait: bool) -> Option<Vec<Waiting>> {
        let mut line = self.line();
        while line.waiting.is_empty() {
            if line.stopped {
                return None;
            }
            if !wait {
                return Some(Vec::new());
            }
            line = self.arrived.wait(line).expect("nobody panics holding it");
        }
        let mut taken = Vec::new();
        let mut size_kib = 0;
        while let Some(next) = line.waiting.front() {
            if taken.len() == BATCH || (size_kib > 0 && size_kib + next.size_kib > BATCH_KIB) {
                break;
            }
            size_kib += next.size_kib;
            taken.extend(line.waiting.pop_front());
        }
        self.room.add_permits(size_kib as usize);
        Some(taken)
    }

    /// Nothing more comes in; what waits is answered.
    pub(crate) fn stop(&self) {
        self.line().stopped = true;
        self.room.close();
        self.arrived.notify_one();
    }

    /// As [`Self::stop`], and what waits gets no answer.
    pub(crate) fn abandon(&self) {
        self.stop();
        self.line().waiting.clear();
    }
}

fn size_kib(request: &Request) -> u32 {
    let Request::Commit(Commit { changes, .. }) = request else {
        return 1;
    };
    let size = |change: &Change| match change {
        Change::Put { key, value, .. } => key.len() + value.len(),
        Change::Delete { key } => key.len(),
    };
    // Valid commits are far below what fits.
    u32::try_from(changes.iter().map(size).sum::<usize>() / 1024 + 1).unwrap_or(u32::MAX)
}
