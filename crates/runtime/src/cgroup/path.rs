//! Paths below the cgroup mount. Pure.
//!
//! Owns: which ones are taken. Never: whether they are there.

use super::CgroupError;

/// Longest name of a directory in the kernel (`NAME_MAX`).
const MAX_NAME: usize = 255;
/// Deepest path weft makes or opens.
const MAX_DEPTH: usize = 32;

/// The names in `path`, which may start with a slash: at least one, none of them `.` or `..`.
pub(super) fn components(path: &str) -> Result<Vec<String>, CgroupError> {
    let refuse = |reason| CgroupError::Path {
        path: path.to_owned(),
        reason,
    };
    let trimmed = path.strip_prefix('/').unwrap_or(path);
    if trimmed.is_empty() {
        return Err(refuse("it names no cgroup"));
    }
    let names: Vec<&str> = trimmed.split('/').collect();
    if names.len() > MAX_DEPTH {
        return Err(refuse("it is nested deeper than 32 cgroups"));
    }
    for name in &names {
        match *name {
            "" => return Err(refuse("it has an empty component")),
            "." | ".." => return Err(refuse("it has a . or .. component")),
            name if name.len() > MAX_NAME => {
                return Err(refuse("it has a component longer than 255 bytes"));
            }
            name if name.chars().any(char::is_control) => {
                return Err(refuse("it has a control character"));
            }
            _ => {}
        }
    }
    Ok(names.into_iter().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leading_slash_makes_no_difference() {
        assert_eq!(components("/weft/a").unwrap(), ["weft", "a"]);
        assert_eq!(components("weft/a").unwrap(), ["weft", "a"]);
        assert_eq!(
            components("system.slice/x@1.scope").unwrap(),
            ["system.slice", "x@1.scope"]
        );
    }

    #[test]
    fn what_could_lead_elsewhere_is_refused() {
        let long = "x".repeat(256);
        let deep = vec!["a"; 33].join("/");
        for path in [
            "",
            "/",
            "//",
            "..",
            "/..",
            "../weft",
            "weft/../..",
            "weft/.",
            "a//b",
            "a/",
            "//a",
            "a\nb",
            "a\0b",
            &long,
            &deep,
        ] {
            let error = components(path).unwrap_err();
            assert!(matches!(error, CgroupError::Path { .. }), "{path:?}");
        }
    }
}
