//! Rules on a file as text: its first line, its length, what it must not mention.
//! Owns line counts and needles; never parses.

use super::{Finding, Source};

const LINES_LONG: usize = 400;
const LINES_MAX: usize = 700;

/// The text rules for one Rust file.
pub fn check(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    if !source.text.starts_with("//!") {
        found.push(Finding::new(
            &source.path,
            "starts without `//!`: say what the file owns and what it never does",
        ));
    }
    let lines = source.text.lines().count();
    if lines > LINES_MAX {
        found.push(Finding::new(
            &source.path,
            format!("{lines} lines; the limit is {LINES_MAX}: split it by what it owns"),
        ));
    }
    for (number, line) in source.text.lines().enumerate() {
        for (needle, why) in needles() {
            if mentions(line, &needle) {
                found.push(Finding::new(
                    format!("{}:{}", source.path, number + 1),
                    format!("`{needle}`: {why}"),
                ));
            }
        }
    }
    found
}

/// Rust files over 400 lines: reported, not refused.
pub fn long(sources: &[Source]) -> Vec<(&str, usize)> {
    let mut long: Vec<(&str, usize)> = sources
        .iter()
        .filter(|source| source.is_rust())
        .map(|source| (source.path.as_str(), source.text.lines().count()))
        .filter(|(_, lines)| *lines > LINES_LONG)
        .collect();
    long.sort_by_key(|(_, lines)| std::cmp::Reverse(*lines));
    long
}

/// Whether `needle` stands in `line` by itself, not as the end of a longer path.
fn mentions(line: &str, needle: &str) -> bool {
    let alone = |at: usize| !line[..at].ends_with(|before: char| before.is_alphanumeric());
    line.match_indices(needle).any(|(at, _)| alone(at))
}

/// Text no file may hold, put together here so that this file does not hold it either.
fn needles() -> [(String, &'static str); 4] {
    [
        (["/ro", "ot/"].concat(), "a path of somebody's machine"),
        (["/wo", "rk/"].concat(), "a path of somebody's machine"),
        (
            ["#[ign", "ore"].concat(),
            "a test runs, or says SKIP and why",
        ),
        (["thread::", "sleep("].concat(), "wait for the event itself"),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn count(text: &str) -> usize {
        check(&sample("crates/x/src/a.rs", text)).len()
    }

    #[test]
    fn every_file_starts_with_its_doc() {
        assert_eq!(count("//! Owns a.\n"), 0);
        assert_eq!(count("use std::fs;\n"), 1);
    }

    #[test]
    fn seven_hundred_lines_are_the_limit() {
        let lines = |n: usize| format!("//! Doc.\n{}", "\n".repeat(n - 1));
        assert_eq!(count(&lines(700)), 0);
        assert_eq!(count(&lines(701)), 1);
        let sources = [sample("a.rs", &lines(401)), sample("b.rs", &lines(400))];
        assert_eq!(long(&sources), [("a.rs", 401)]);
    }

    #[test]
    fn no_machine_paths_no_ignored_tests() {
        for (needle, _) in needles() {
            assert_eq!(count(&format!("//! Doc.\n// {needle}\n")), 1, "{needle}");
        }
        assert_eq!(
            count("//! Doc.\n// HOME=/root is a container's business\n"),
            0
        );
        assert_eq!(count("//! Doc.\n// /proc/1/root/ is one, too\n"), 0);
    }
}
