//! Counts what test programs print. Owns the reading of libtest's summary lines and of our own
//! `SKIP reason` lines; never runs anything.

use std::fmt;
use std::ops::AddAssign;

/// Passed, failed and skipped tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tests that ran and held.
    pub passed: u64,
    /// Tests that ran and did not hold.
    pub failed: u64,
    /// Tests that said `SKIP reason` instead of running.
    pub skipped: u64,
}

impl Tally {
    /// One check that is not a libtest test (fmt, clippy, the residue check).
    pub fn one(ok: bool) -> Tally {
        Tally {
            passed: u64::from(ok),
            failed: u64::from(!ok),
            skipped: 0,
        }
    }

    /// Takes in one line of output. libtest counts a test that skipped itself as passed, so each
    /// `SKIP` line moves one from passed to skipped; `finish` does that once all lines are in.
    pub fn read_line(&mut self, line: &str) {
        if line.starts_with("SKIP ") {
            self.skipped += 1;
        }
        // What the virtual machine says on its console.
        self.passed += u64::from(line.starts_with("VM ok "));
        self.failed += u64::from(line.starts_with("VM FAILED "));
        let Some(rest) = line.trim_start().strip_prefix("test result: ") else {
            return;
        };
        for part in rest.split([';', '.']) {
            let mut words = part.split_whitespace();
            let Some(Ok(number)) = words.next().map(str::parse::<u64>) else {
                continue;
            };
            match words.next() {
                Some("passed") => self.passed += number,
                Some("failed") => self.failed += number,
                Some("ignored") => self.skipped += number,
                _ => {}
            }
        }
    }

    /// Takes the tests that skipped themselves out of those libtest calls passed.
    pub fn finish(mut self, said_skip: u64) -> Tally {
        self.passed = self.passed.saturating_sub(said_skip);
        self
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_summaries_and_takes_skips_out_of_passed() {
        let lines = [
            "running 3 tests",
            "SKIP docker is not installed",
            "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test result: FAILED. 4 passed; 2 failed; 1 ignored; 0 measured; 7 filtered out; finished in 1.50s",
        ];
        let mut tally = Tally::default();
        for line in lines {
            tally.read_line(line);
        }
        let tally = tally.finish(1);
        assert_eq!(
            tally,
            Tally {
                passed: 6,
                failed: 2,
                skipped: 2
            }
        );
        assert_eq!(tally.to_string(), "6 passed, 2 failed, 2 skipped");
    }

    #[test]
    fn other_lines_count_nothing() {
        let mut tally = Tally::default();
        tally.read_line("test foo::bar ... ok");
        tally.read_line("the word SKIP inside a line");
        assert_eq!(tally, Tally::default());
    }
}
