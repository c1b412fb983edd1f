//! How often a program waits for its disk: counted by strace, which stops it at nothing else.
//!
//! Never: beside a measured round; what is traced is slower.

use std::path::{Path, PathBuf};

/// A count that goes on.
#[derive(Debug)]
pub struct Syncs(PathBuf);

impl Syncs {
    /// Counts into `file`.
    pub fn new(file: &Path) -> Syncs {
        Syncs(file.to_path_buf())
    }

    /// What the program's command line begins with.
    pub fn wrapper(&self) -> Vec<String> {
        let trace = "trace=fdatasync,fsync,msync,sync_file_range";
        let words = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", trace, "-o"];
        let words = words.iter().map(|word| (*word).to_owned());
        words.chain([self.0.display().to_string()]).collect()
    }

    /// Calls so far.
    pub fn count(&self) -> usize {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        text.lines().filter(|line| is_call(line)).count()
    }
}

/// `PID fdatasync(7) = 0`; one that was in flight has a second line, `resumed`.
fn is_call(line: &str) -> bool {
    line.contains("sync") && !line.contains("resumed>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_call_is_counted_once() {
        let lines = [
            "7 fdatasync(7 <unfinished ...>",
            "7 <... fdatasync resumed>) = 0",
            "8 fsync(3) = 0",
            "8 +++ exited with 0 +++",
        ];
        assert_eq!(lines.iter().filter(|line| is_call(line)).count(), 2);
    }
}
