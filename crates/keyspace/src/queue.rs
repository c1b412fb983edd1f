//! What waits for the disk.
//!
//! Owns the bound: whoever would exceed it waits before, not in it. And how long a batch is gathered.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, oneshot};

use crate::error::CommitError;
use crate::local::{Answer, Request};
use crate::request::{Change, Commit};

/// Most that waits, in units of 1 KiB; each request takes at least one.
const ROOM_KIB: usize = 64 << 10;
/// Most requests and KiB that are made durable together.
const BATCH: usize = 4096;
const BATCH_KIB: u32 = 8 << 10;
/// Longest that a batch is gathered.
const GATHER: Duration = Duration::from_millis(2);
/// For less nobody is waited for.
const GATHER_LEAST: Duration = Duration::from_micros(50);

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
    /// With so many the writer wants to be woken.
    wanted: usize,
    /// How many were taken last.
    taken: usize,
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
        let is_wanted = {
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
            line.waiting.len() >= line.wanted
        };
        if is_wanted {
            self.arrived.notify_one();
        }
        let answered = answered.await;
        answered.unwrap_or_else(|_| Err(closed("its writer stopped; the log has the reason")))
    }

    /// The next requests; none, if nobody came within `longest`; nothing: it was stopped and is
    /// empty. Of those who were answered last it waits for as long as `patience`.
    pub(crate) fn take(&self, longest: Duration, patience: Duration) -> Option<Vec<Waiting>> {
        let until = Instant::now().checked_add(longest);
        let mut line = self.line();
        let expected = line.waiting.len() + std::mem::take(&mut line.taken);
        line.wanted = 1;
        while line.waiting.is_empty() {
            if line.stopped {
                return None;
            }
            let Some(until) = until else {
                line = self.arrived.wait(line).expect("nobody panics holding it");
                continue;
            };
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Some(Vec::new());
            }
            let waited = self.arrived.wait_timeout(line, left);
            line = waited.expect("nobody panics holding it").0;
        }
        let mut line = self.gather(line, expected.min(BATCH), patience);
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
        line.taken = taken.len();
        Some(taken)
    }

    /// Waits a little for those who have just been answered: most of them come back at once. Without
    /// it they miss this batch by as much as it takes to wake them, each batch is half of what it
    /// could be, and everybody waits for two of them. Ends when all are there, or nobody more comes.
    fn gather<'a>(
        &'a self,
        mut line: MutexGuard<'a, Line>,
        expected: usize,
        patience: Duration,
    ) -> MutexGuard<'a, Line> {
        if patience < GATHER_LEAST {
            return line;
        }
        line.wanted = expected;
        let began = Instant::now();
        while line.waiting.len() < expected && !line.stopped && began.elapsed() < patience {
            let present = line.waiting.len();
            let waited = self.arrived.wait_timeout(line, patience / 4);
            let (now, timeout) = waited.expect("nobody panics holding it");
            line = now;
            if timeout.timed_out() && line.waiting.len() == present {
                break;
            }
        }
        line
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

/// How long a batch may be gathered where it takes so long to make one durable.
pub(crate) fn patience(durable: Duration) -> Duration {
    (durable / 2).min(GATHER)
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use futures_util::FutureExt as _;

    use super::*;
    use crate::item::LeaseId;

    const HOUR: Duration = Duration::from_secs(3600);

    /// Puts one more into the line; its answer is not waited for.
    fn put(queue: &Queue) {
        let revoke = Request::Revoke(LeaseId(1));
        assert!(queue.perform(revoke).now_or_never().is_none());
    }

    #[test]
    fn those_who_were_just_answered_are_waited_for() {
        let queue = Arc::new(Queue::new());
        put(&queue);
        let one = queue.take(Duration::MAX, Duration::ZERO).unwrap();
        assert_eq!(one.len(), 1);
        put(&queue);
        let taker = Arc::clone(&queue);
        let taking = thread::spawn(move || taker.take(Duration::MAX, HOUR).unwrap());
        while queue.line().wanted < 2 {
            assert!(!taking.is_finished(), "it did not wait");
            thread::yield_now();
        }
        put(&queue);
        // What was taken is dropped, and its sender answered, only now.
        assert_eq!(taking.join().unwrap().len(), 2);
    }

    #[test]
    fn who_does_not_come_back_is_not_waited_for_long() {
        let queue = Queue::new();
        put(&queue);
        put(&queue);
        assert_eq!(queue.take(Duration::MAX, Duration::ZERO).unwrap().len(), 2);
        put(&queue);
        assert_eq!(queue.take(Duration::MAX, GATHER).unwrap().len(), 1);
        // Nor is anybody where the disk is quicker than they could be.
        put(&queue);
        assert_eq!(queue.take(Duration::MAX, Duration::ZERO).unwrap().len(), 1);
        assert_eq!(queue.line().wanted, 1);
    }

    #[test]
    fn a_queue_that_is_stopped_is_not_gathered_for() {
        let queue = Arc::new(Queue::new());
        put(&queue);
        assert_eq!(queue.take(Duration::MAX, Duration::ZERO).unwrap().len(), 1);
        put(&queue);
        let taker = Arc::clone(&queue);
        let taking = thread::spawn(move || taker.take(Duration::MAX, HOUR).unwrap());
        while queue.line().wanted < 2 {
            assert!(!taking.is_finished(), "it did not wait");
            thread::yield_now();
        }
        queue.stop();
        assert_eq!(taking.join().unwrap().len(), 1);
        assert!(queue.take(Duration::MAX, Duration::ZERO).is_none());
    }
}
