//! Ranges of host ids for user namespaces: each running container has one to itself.

use std::collections::BTreeSet;
use std::sync::Mutex;

/// Ids in one range: what a container can use.
pub(crate) const RANGE_SIZE: u32 = 65_536;
/// Below lie the host's own ids, `/etc/subuid`'s usual ranges and systemd's.
const FIRST: u32 = 0x1000;
/// Ids from 0x7fff_0000 on belong to systemd-nspawn's and "nobody"-like conventions.
const LAST: u32 = 0x7ffe;

/// Allocator; what is taken is rebuilt from the containers' records at start.
#[derive(Debug, Default)]
pub(crate) struct IdRanges {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    taken: BTreeSet<u32>,
    /// Next to try: a range is not given again at once, so a stray process of the last owner
    /// never shares ids with the next.
    next: u32,
}

impl IdRanges {
    /// A free range's first id, or `None` when all 28,671 are taken.
    pub fn take(&self) -> Option<u32> {
        let mut state = self.state.lock().expect("no holder panics");
        let start = state.next.clamp(FIRST, LAST);
        let slot = (start..=LAST)
            .chain(FIRST..start)
            .find(|s| !state.taken.contains(s))?;
        state.taken.insert(slot);
        state.next = if slot == LAST { FIRST } else { slot + 1 };
        Some(slot * RANGE_SIZE)
    }

    /// Marks the range of an adopted container.
    pub fn adopt(&self, base: u32) {
        self.state
            .lock()
            .expect("no holder panics")
            .taken
            .insert(base / RANGE_SIZE);
    }

    /// Gives a range back; giving back one that is not taken is no error.
    pub fn give_back(&self, base: u32) {
        self.state
            .lock()
            .expect("no holder panics")
            .taken
            .remove(&(base / RANGE_SIZE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_exclusive_and_come_back() {
        let ranges = IdRanges::default();
        let a = ranges.take().unwrap();
        let b = ranges.take().unwrap();
        assert!(a >= 0x1000_0000 && b == a + RANGE_SIZE);
        ranges.give_back(a);
        assert_ne!(ranges.take().unwrap(), a);
        let adopted = IdRanges::default();
        adopted.adopt(a);
        assert_eq!(adopted.take().unwrap(), a + RANGE_SIZE);
    }

    #[test]
    fn exhaustion_is_told_not_wrapped() {
        let ranges = IdRanges::default();
        let all = usize::try_from(LAST - FIRST + 1).unwrap();
        assert_eq!(std::iter::from_fn(|| ranges.take()).count(), all);
        assert_eq!(ranges.take(), None);
    }
}
