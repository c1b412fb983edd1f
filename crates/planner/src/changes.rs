//! Which nodes changed lately, for who has a cursor into it. Never says how.

use std::collections::VecDeque;

/// Who is further behind looks at the versions of all nodes instead.
const RECENT_MAX: usize = 1 << 14;

/// The slots of changed nodes. Bound: [`RECENT_MAX`].
#[derive(Debug, Default)]
pub(crate) struct Changes {
    recent: VecDeque<u32>,
    /// How many have fallen out.
    dropped: u64,
}

impl Changes {
    pub(crate) fn push(&mut self, slot: u32) {
        if self.recent.len() == RECENT_MAX {
            self.recent.pop_front();
            self.dropped += 1;
        }
        self.recent.push_back(slot);
    }

    /// The cursor of who has seen everything.
    pub(crate) fn end(&self) -> u64 {
        self.dropped + self.recent.len() as u64
    }

    /// What came since; None if part of that has fallen out.
    pub(crate) fn since(&self, cursor: u64) -> Option<impl Iterator<Item = u32> + '_> {
        let from = usize::try_from(cursor.checked_sub(self.dropped)?).ok()?;
        Some(self.recent.range(from.min(self.recent.len())..).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_sees_what_came_since_or_nothing() {
        let mut changes = Changes::default();
        changes.push(1);
        let cursor = changes.end();
        changes.push(2);
        changes.push(3);
        let seen: Vec<u32> = changes.since(cursor).unwrap().collect();
        assert_eq!(seen, [2, 3]);
        assert_eq!(changes.since(changes.end()).unwrap().count(), 0);
        for _ in 0..RECENT_MAX {
            changes.push(4);
        }
        assert!(changes.since(cursor).is_none());
        assert_eq!(changes.recent.len(), RECENT_MAX);
    }
}
