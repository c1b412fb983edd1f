//! Names that people choose and that become names of files.

/// Longest such name.
const LONGEST: usize = 128;
/// Characters of a refused name that are shown.
const SHOWN: usize = 40;

/// Whether `name` is of letters, digits, `_`, `.` and `-`, begins with a letter or digit, and has
/// at most 128 of them: it can be no path, option or hidden file.
pub fn is_plain(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    name.len() <= LONGEST
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(inner)
}

/// A name that is refused, fit for a message.
pub fn shown(name: &str) -> String {
    name.chars()
        .take(SHOWN)
        .flat_map(char::escape_default)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_never_become_paths() {
        for good in ["a", "db", "a0", "0", "my_vol.1-x", &"a".repeat(128)] {
            assert!(is_plain(good), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "../x",
            "/a",
            "a/b",
            "-a",
            ".a",
            "_a",
            "a b",
            "a\nb",
            "a\0b",
            "ä",
            "aä",
            &"a".repeat(129),
        ] {
            assert!(!is_plain(bad), "{bad}");
        }
    }

    #[test]
    fn what_is_shown_is_short_and_harmless() {
        assert_eq!(shown("a\u{1b}[2J"), "a\\u{1b}[2J");
        assert_eq!(shown(&"a".repeat(200)).len(), SHOWN);
    }
}
