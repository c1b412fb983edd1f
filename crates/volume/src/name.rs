//! Volume names become directory names, so they are checked before anything else (R16).

use weft_stdx::name;

/// Docker's rule: `[a-zA-Z0-9][a-zA-Z0-9_.-]+`, here at most 128 characters.
///
/// # Errors
/// A sentence saying what a name looks like.
pub fn check_name(name: &str) -> Result<(), String> {
    if name.len() >= 2 && name::is_plain(name) {
        return Ok(());
    }
    Err(format!(
        "volume name '{}' is invalid: use 2 to 128 of letters, digits, '_', '.', '-', starting with a letter or digit",
        name::shown(name)
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
