//! What readers make of values and events, kept while it is among the last that was made.
//!
//! One reader after the other makes the same of a value: it is parsed, opened, written as a line. Kept with each value
//! for as long as that is there, all of it together would be many times what is stored. So a value knows what was
//! made of it, and it is kept here, up to so much; what is made next pushes out what was made first.
//!
//! ```text
//!   Memo ─ weak ─► made ◄─ strong ─ the last that was made (all memos of this process)
//!        └ weak ─► held ◄─ strong ─ readers who hold on to it, and have one of it together
//! ```

use std::any::Any;
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Most bytes of what the kept is made of. Parsed JSON is some eight times as large; readers follow at once, and what is
/// kept longer only lies among what lives on (docs/design/0009).
const MOST_BYTES: usize = 128 << 10;

static LAST: Mutex<Last> = Mutex::new(Last {
    kept: VecDeque::new(),
    bytes: 0,
});

type Made = Arc<dyn Any + Send + Sync>;

struct Last {
    kept: VecDeque<(Made, usize)>,
    bytes: usize,
}

/// A place for what readers make of a value or an event, so that the next need not make it again: one of
/// each type.
#[derive(Default)]
pub struct Memo(Mutex<Vec<Weak<dyn Any + Send + Sync>>>);

impl Memo {
    /// What was made before, or `make`'s. `bytes`: the size of what it is made of.
    pub fn get_or<T: Any + Send + Sync>(&self, bytes: usize, make: impl FnOnce() -> T) -> Arc<T> {
        if let Some(kept) = find(&lock(&self.0)) {
            return kept;
        }
        let made = Arc::new(make());
        let kept: Made = Arc::<T>::clone(&made);
        // Two readers at once: both are right, and one is kept.
        put(&mut lock(&self.0), &kept);
        keep(kept, bytes);
        made
    }

    /// What others hold of this type, or `make`'s: all who ask have the same one, for as long as one of
    /// them holds it. Who asks meanwhile waits.
    ///
    /// # Errors
    /// Those of `make`; nothing is kept then.
    pub fn held_or<T: Any + Send + Sync, E>(
        &self,
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<Arc<T>, E> {
        let mut all = lock(&self.0);
        if let Some(held) = find(&all) {
            return Ok(held);
        }
        let made = Arc::new(make()?);
        let held: Made = Arc::<T>::clone(&made);
        put(&mut all, &held);
        Ok(made)
    }
}

fn find<T: Any + Send + Sync>(all: &[Weak<dyn Any + Send + Sync>]) -> Option<Arc<T>> {
    let mut alive = all.iter().filter_map(Weak::upgrade);
    alive.find_map(|made| made.downcast().ok())
}

fn put(all: &mut Vec<Weak<dyn Any + Send + Sync>>, made: &Made) {
    all.retain(|other| other.strong_count() > 0);
    all.push(Arc::downgrade(made));
}

impl fmt::Debug for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_made = lock(&self.0).iter().any(|made| made.strong_count() > 0);
        f.write_str(if is_made { "made" } else { "-" })
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
    // The last stays whatever its size: a thousand watchers are about to ask for it.
    while last.bytes > MOST_BYTES
        && last.kept.len() > 1
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
        let is_there = |memo: &Memo| format!("{memo:?}") == "made";
        let memo = Memo::default();
        let one = memo.get_or(10, || "made".to_owned());
        let other = memo.get_or(10, || unreachable!("it is there"));
        assert!(Arc::ptr_eq(&one, &other));
        let of_another_type = memo.get_or(10, || 7);
        assert_eq!(*of_another_type, 7);
        drop((one, other, of_another_type));
        let others: Vec<Memo> = (0..100).map(|_| Memo::default()).collect();
        for other in &others {
            other.get_or(MOST_BYTES / 10, || [0; 10]);
        }
        assert!(!is_there(&memo));
        assert!(others.iter().filter(|memo| is_there(memo)).count() <= 10);
        assert_eq!(*memo.get_or(10, || 8), 8);
        // Larger than all that is kept: it is kept until something else is made.
        let large = Memo::default();
        assert_eq!(*large.get_or(2 * MOST_BYTES, || 9), 9);
        assert!(is_there(&large) && !is_there(&memo));
        drop(memo.get_or(10, || 8));
        assert!(!is_there(&large) && is_there(&memo));
        forget();
        assert!(!is_there(&memo));
    }

    #[test]
    fn what_is_held_is_had_by_all_together() {
        let memo = Memo::default();
        let held = |text: &str| memo.held_or(|| Ok::<_, ()>(text.to_owned())).unwrap();
        let one = held("one");
        assert!(Arc::ptr_eq(&one, &held("other")));
        assert_eq!(*memo.get_or(10, || 7), 7);
        assert!(Arc::ptr_eq(&one, &held("other")));
        drop(one);
        assert_eq!(*held("other"), "other");
        let none = Memo::default();
        assert_eq!(none.held_or(|| Err::<u8, _>("no")), Err("no"));
        assert_eq!(*none.held_or(|| Ok::<u8, ()>(1)).unwrap(), 1);
    }
}
