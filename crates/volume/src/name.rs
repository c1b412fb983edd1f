//! Volume names become directory names, so they are checked before anything else (R16).

/// Docker's rule: `[a-zA-Z0-9][a-zA-Z0-9_.-]*`, here at most 128 characters.
///
/// # Errors
/// A sentence saying what a name looks like.
pub fn check_name(name: &str) -> Result<(), String> {
    let first = |c: char| c.is_ascii_alphanumeric();
    let rest = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let ok = name.len() <= 128
        && name.len() >= 2
        && name.chars().next().is_some_and(first)
        && name.chars().all(rest);
    if ok {
        return Ok(());
    }
    let shown: String = name
        .chars()
        .take(40)
        .flat_map(char::escape_default)
        .collect();
    Err(format!(
        "volume name '{shown}' is invalid: use 2 to 128 of letters, digits, '_', '.', '-', starting with a letter or digit"
    ))
}

#[cfg(test)]
mod tests {
    use super::check_name;

    #[test]
    fn names_never_become_paths() {
        for good in ["db", "a0", "my_vol.1-x", &"a".repeat(128)] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a",
            ".",
            "..",
            "../x",
            "a/b",
            "-a",
            ".a",
            "a b",
            "a\0b",
            "ä1",
            &"a".repeat(129),
        ] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
