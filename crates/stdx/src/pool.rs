//! Things made ahead of their use by a thread, so that whoever needs one does not wait for it.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Most that is kept ready: more than a burst takes before the thread catches up.
const MOST: usize = 64;
/// How long making pauses after a failure; doubled up to the longest while it fails.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long nothing must have been taken until a pool that is not nearly empty is refilled:
/// whoever took something is still at work with it.
const LULL: Duration = Duration::from_millis(100);

/// Things that are ready, refilled by a thread. Dropped, those left are dropped, too.
#[derive(Debug)]
pub struct Pool<T> {
    shared: Arc<Shared<T>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared<T> {
    queue: Mutex<Queue<T>>,
    changed: Condvar,
    size: usize,
}

#[derive(Debug)]
struct Queue<T> {
    ready: VecDeque<T>,
    closing: bool,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, Queue<T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn few(&self) -> usize {
        self.size / 4
    }

    fn lacks(&self) -> bool {
        let queue = self.lock();
        !queue.closing && queue.ready.len() < self.size
    }

    /// Waits until it is time to make more; false when there will be no need.
    fn waits_for_need(&self) -> bool {
        let mut queue = self.lock();
        loop {
            let ready = queue.ready.len();
            if queue.closing {
                return false;
            }
            if ready >= self.size {
                let waited = self.changed.wait(queue);
                queue = waited.unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let waited = self.changed.wait_timeout_while(queue, LULL, |queue| {
                let left = queue.ready.len();
                !queue.closing && left == ready && left > self.few()
            });
            let (after, lull) = waited.unwrap_or_else(PoisonError::into_inner);
            queue = after;
            if lull.timed_out() || queue.ready.len() <= self.few() {
                return !queue.closing;
            }
        }
    }
}

impl<T: Send + 'static> Pool<T> {
    /// Keeps `size` things ready (at most 64). `make` makes one, and may be slow; `None` is a
    /// failure, which it has reported itself: it is asked again after a pause. The thread is called
    /// `name` (at most 15 bytes).
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn new(
        name: &str,
        size: usize,
        make: impl Fn() -> Option<T> + Send + 'static,
    ) -> io::Result<Pool<T>> {
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue {
                ready: VecDeque::new(),
                closing: false,
            }),
            changed: Condvar::new(),
            size: size.min(MOST),
        });
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || fill(&of_thread, &make))?;
        Ok(Pool {
            shared,
            thread: Some(thread),
        })
    }

    /// One that is ready, if there is one. Others are made in a lull, or when few are left: making
    /// them at once would get in the way of whoever is in a hurry.
    pub fn take(&self) -> Option<T> {
        let taken = self.shared.lock().ready.pop_front();
        self.shared.changed.notify_all();
        taken
    }

    /// Waits until the pool is full, or `patience` is over; says which.
    pub fn is_full_within(&self, patience: Duration) -> bool {
        let (queue, _) = self
            .shared
            .changed
            .wait_timeout_while(self.shared.lock(), patience, |queue| {
                queue.ready.len() < self.shared.size
            })
            .unwrap_or_else(PoisonError::into_inner);
        queue.ready.len() >= self.shared.size
    }
}

impl<T> Drop for Pool<T> {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic in it was reported where it happened.
            let _ = thread.join();
        }
        // Outside the lock: dropping them may take others.
        let left = std::mem::take(&mut self.shared.lock().ready);
        drop(left);
    }
}

fn fill<T>(shared: &Shared<T>, make: &impl Fn() -> Option<T>) {
    let mut pause = SHORTEST_PAUSE;
    while shared.waits_for_need() {
        while shared.lacks() {
            if let Some(made) = make() {
                pause = SHORTEST_PAUSE;
                shared.lock().ready.push_back(made);
                shared.changed.notify_all();
            } else {
                let waited = shared
                    .changed
                    .wait_timeout_while(shared.lock(), pause, |queue| !queue.closing);
                drop(waited);
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    const PATIENCE: Duration = Duration::from_secs(60);

    #[test]
    fn it_fills_refills_and_drops_what_is_left() {
        let alive = Arc::new(());
        let handle = Arc::clone(&alive);
        let pool = Pool::new("test", 3, move || Some(Arc::clone(&handle))).unwrap();
        assert!(pool.is_full_within(PATIENCE));
        let taken = pool.take().unwrap();
        assert!(pool.is_full_within(PATIENCE));
        assert_eq!(Arc::strong_count(&alive), 6);
        drop((pool, taken));
        assert_eq!(Arc::strong_count(&alive), 1);
    }

    #[test]
    fn a_maker_that_fails_is_not_asked_in_a_loop() {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let pool = Pool::<()>::new("test", 3, move || {
            count.fetch_add(1, Ordering::SeqCst);
            None
        });
        let pool = pool.unwrap();
        assert!(!pool.is_full_within(Duration::from_millis(50)));
        assert_eq!(pool.take(), None);
        drop(pool);
        assert!(asked.load(Ordering::SeqCst) <= 1);
    }
}
