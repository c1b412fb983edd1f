//! What readers make of values and events, kept while it is among the last that was made.
//!
//! One reader after the other makes the same of a value: it is parsed, opened, written as a line. Kept with each value
//! for as long as that is there, all of it together would be many times what is stored. So a value knows what was
//! made of it, and it is kept here, up to so much; what is made next pushes out what was made first.
//!
//! ```text
//!   Memo ─ weak ─► made ◄─ strong ─ the last that was made (all memos of this process)
//! ```

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Most bytes of what the kept is made of. Parsed JSON is some eight times as large.
const MOST_BYTES: usize = 2 << 20;

static LAST: Mutex<Last> = Mutex::new(Last {
    kept: VecDeque::new(),
    bytes: 0,
});

type Made = Arc<dyn Any + Send + Sync>;

struct Last {
    kept: VecDeque<(Made, usize)>,
    bytes: usize,
}

/// A place for what a reader makes of a value or an event, so that the next need not make it again.
#[derive(Default)]
pub struct Memo(Mutex<Option<Weak<dyn Any + Send + Sync>>>);

impl Memo {
    /// What was made before, or `make`'s. `bytes`: the size of what it is made of. The first type
    /// kept here wins; for another type it is made each time.
    pub fn get_or<T: Any + Send + Sync>(&self, bytes: usize, make: impl FnOnce() -> T) -> Arc<T> {
        if let Some(kept) = self.get() {
            return kept.downcast().unwrap_or_else(|_| Arc::new(make()));
        }
        let made = Arc::new(make());
        let kept: Made = Arc::<T>::clone(&made);
        // Two readers at once: both are right, and one is kept.
        *lock(&self.0) = Some(Arc::downgrade(&kept));
        keep(kept, bytes);
        made
    }

    fn get(&self) -> Option<Made> {
        lock(&self.0).as_ref()?.upgrade()
    }
}

impl fmt::Debug for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.get().is_some() { "made" } else { "-" })
    }
}

/// Keeps nothing any longer: nobody has asked for a while.
pub(crate) fn forget() {
    let mut last = lock(&LAST);
    last.bytes = 0;
    let kept = std::mem::take(&mut last.kept);
    drop(last);
    drop(kept);
}

fn keep(made: Made, bytes: usize) {
    let mut over = Vec::new();
    let mut last = lock(&LAST);
    last.bytes += bytes;
    last.kept.push_back((made, bytes));
    while last.bytes > MOST_BYTES
        && let Some((first, bytes)) = last.kept.pop_front()
    {
        last.bytes -= bytes;
        over.push(first);
    }
    // Trees are taken apart while nobody waits.
    drop(last);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_is_there_until_much_else_was_made() {
        let memo = Memo::default();
        let one = memo.get_or(10, || "made".to_owned());
        let other = memo.get_or(10, || unreachable!("it is there"));
        assert!(Arc::ptr_eq(&one, &other));
        let of_another_type = memo.get_or(10, || 7);
        assert_eq!(*of_another_type, 7);
        drop((one, other));
        let others: Vec<Memo> = (0..100).map(|_| Memo::default()).collect();
        for other in &others {
            other.get_or(MOST_BYTES / 10, || [0; 10]);
        }
        assert!(memo.get().is_none());
        assert!(others.iter().filter(|memo| memo.get().is_some()).count() <= 10);
        assert_eq!(*memo.get_or(10, || 8), 8, "it is another's place now");
        // Larger than all that is kept: it is given, and not kept.
        drop(memo.get_or(10, || 8));
        let large = Memo::default();
        assert_eq!(*large.get_or(2 * MOST_BYTES, || 9), 9);
        assert!(large.get().is_none());
        drop(large.get_or(10, || 9));
        forget();
        assert!(large.get().is_none());
    }
}
