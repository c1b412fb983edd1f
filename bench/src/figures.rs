//! Latencies of a load: how many, and how late the latest are.

use std::time::{Duration, Instant};

/// What a load took.
#[derive(Debug, Default)]
pub struct Figures {
    taken: Vec<Duration>,
    time: Duration,
}

impl Figures {
    /// Of one task.
    pub fn record(&mut self, began: Instant) {
        self.push(began.elapsed());
    }

    /// One that was measured elsewhere.
    pub fn push(&mut self, taken: Duration) {
        self.taken.push(taken);
    }

    /// Those of several tasks that ran for `time` beside each other.
    pub fn beside(parts: impl IntoIterator<Item = Figures>, time: Duration) -> Figures {
        let taken = parts.into_iter().flat_map(|part| part.taken).collect();
        Figures { taken, time }
    }

    /// Adds what was measured at another time.
    pub fn add(&mut self, later: Figures) {
        self.taken.extend(later.taken);
        self.time += later.time;
    }

    /// How many there were.
    pub fn count(&self) -> usize {
        self.taken.len()
    }

    /// A second.
    pub fn rate(&self) -> f64 {
        self.taken.len() as f64 / self.time.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// The percentiles asked for, in ms.
    pub fn at(&mut self, percents: &[usize]) -> Vec<f64> {
        self.taken.sort_unstable();
        let last = self.taken.len().saturating_sub(1);
        let one = |percent: &usize| {
            let found = self.taken.get((last * percent + 50) / 100).copied();
            found.unwrap_or_default().as_secs_f64() * 1000.0
        };
        percents.iter().map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_and_rates() {
        let part = |from: u64| Figures {
            taken: (from..from + 50).rev().map(Duration::from_millis).collect(),
            time: Duration::ZERO,
        };
        let mut all = Figures::beside([part(51), part(1)], Duration::from_secs(2));
        assert_eq!((all.count(), all.rate()), (100, 50.0));
        assert_eq!(all.at(&[0, 50, 99, 100]), [1.0, 51.0, 99.0, 100.0]);
        all.add(Figures::beside([part(1)], Duration::from_secs(1)));
        assert_eq!((all.count(), all.rate()), (150, 50.0));
        assert_eq!(Figures::default().at(&[50]), [0.0]);
    }
}
