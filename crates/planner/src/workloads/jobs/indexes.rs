//! Sets of pods' numbers, as jobs write them: `0,2-4`.
//!
//! Never larger than there are gaps in it: a million numbers in a row are one entry.

use std::fmt;

/// Numbers, as ranges that rise and do not touch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Indexes(Vec<(u32, u32)>);

impl Indexes {
    /// Those below `end` that a text names; what is none is left out.
    pub fn parse(text: &str, end: u32) -> Indexes {
        let mut all = Indexes::default();
        for part in text.split(',') {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            if let (Ok(from), Ok(to)) = (from.parse::<u32>(), to.parse::<u32>())
                && from < end
            {
                all.insert_range(from, to.min(end - 1));
            }
        }
        all
    }

    /// Whether it has this one.
    pub fn has(&self, index: u32) -> bool {
        let at = self.0.partition_point(|(_, to)| *to < index);
        self.0.get(at).is_some_and(|(from, _)| *from <= index)
    }

    /// Takes one in.
    pub fn insert(&mut self, index: u32) {
        self.insert_range(index, index);
    }

    fn insert_range(&mut self, mut from: u32, mut to: u32) {
        if to < from {
            return;
        }
        let first = self
            .0
            .partition_point(|(_, end)| end.saturating_add(1) < from);
        let after = self
            .0
            .partition_point(|(begin, _)| *begin <= to.saturating_add(1));
        if let Some((begin, _)) = self.0.get(first).filter(|_| first < after) {
            from = from.min(*begin);
            to = to.max(self.0[after - 1].1);
        }
        self.0.splice(first..after.max(first), [(from, to)]);
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        let sizes = self.0.iter().map(|(from, to)| to - from + 1);
        sizes.fold(0, u32::saturating_add)
    }

    /// How many of them are in both.
    pub fn shared(&self, other: &Indexes) -> u32 {
        let both = self.0.iter().flat_map(|(from, to)| {
            let touching = other.0.iter().filter(move |(a, b)| a <= to && from <= b);
            touching.map(move |(a, b)| to.min(b) - from.max(a) + 1)
        });
        both.fold(0, u32::saturating_add)
    }

    /// The first `count` below `end` that are in none of these.
    pub fn missing(all: &[&Indexes], end: u32, count: usize) -> Vec<u32> {
        let mut found = Vec::new();
        let mut next = 0;
        while next < end && found.len() < count {
            let over = all.iter().filter_map(|one| one.end_of(next)).max();
            match over {
                Some(u32::MAX) => break,
                Some(last) => next = last + 1,
                None => {
                    found.push(next);
                    next += 1;
                }
            }
        }
        found
    }

    /// The last one of those in a row that this one is of.
    fn end_of(&self, index: u32) -> Option<u32> {
        let at = self.0.partition_point(|(_, to)| *to < index);
        let (from, to) = self.0.get(at)?;
        (*from <= index).then_some(*to)
    }
}

impl fmt::Display for Indexes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (from, to)) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            match to - from {
                0 => write!(f, "{from}")?,
                1 => write!(f, "{from},{to}")?,
                _ => write!(f, "{from}-{to}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_written_as_they_are_read() {
        for (text, end, written, count) in [
            ("", 9, "", 0),
            ("0", 9, "0", 1),
            ("1,0", 9, "0,1", 2),
            ("0,2-4", 9, "0,2-4", 4),
            ("0-1,2,4", 9, "0-2,4", 4),
            ("1-9", 4, "1-3", 3),
            ("7", 4, "", 0),
            ("x,3,-,5-2", 9, "3", 1),
            ("0-4294967295", u32::MAX, "0-4294967294", u32::MAX),
        ] {
            let read = Indexes::parse(text, end);
            assert_eq!((read.to_string().as_str(), read.count()), (written, count));
            assert_eq!(Indexes::parse(written, end), read);
        }
    }

    #[test]
    fn what_is_missing_is_found_in_order() {
        let (one, other) = (Indexes::parse("0,3-5", 99), Indexes::parse("1", 99));
        assert_eq!(Indexes::missing(&[&one, &other], 8, 9), [2, 6, 7]);
        assert_eq!(Indexes::missing(&[&one, &other], 8, 1), [2]);
        assert_eq!(Indexes::missing(&[], 2, 9), [0, 1]);
        assert_eq!(one.shared(&Indexes::parse("2-4,9", 99)), 2);
        assert!(one.has(4) && !one.has(2) && !one.has(6));
    }

    #[test]
    fn any_order_gives_the_same() {
        // All orders of a few numbers, one after the other.
        let mut numbers = [0, 1, 2, 4, 5, 7];
        for turn in 0..numbers.len() * 7 {
            numbers.swap(turn % 6, (turn * 5 + 1) % 6);
            let mut all = Indexes::default();
            numbers.iter().for_each(|one| all.insert(*one));
            numbers.iter().for_each(|one| all.insert(*one));
            assert_eq!(all.to_string(), "0-2,4,5,7");
        }
    }
}
