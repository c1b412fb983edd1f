//! Names of containers: the rule, and names for those who don't choose one.

use rustix::rand::{GetRandomFlags, getrandom};
use weft_stdx::name;

use crate::error::{EngineError, Result};

/// Docker's rule, `[a-zA-Z0-9][a-zA-Z0-9_.-]+`, here at most 128 characters.
///
/// # Errors
/// A sentence saying what a name looks like.
pub(crate) fn check(name: &str) -> Result<()> {
    if name.len() >= 2 && name::is_plain(name) {
        return Ok(());
    }
    Err(EngineError::invalid(format!(
        "Invalid container name ({}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed, 2 to 128 of them",
        name::shown(name)
    )))
}

const FIRST: [&str; 32] = [
    "amber", "ashen", "bold", "brisk", "calm", "clear", "coral", "crisp", "deft", "dusky", "even",
    "fair", "fleet", "gentle", "golden", "hazel", "keen", "light", "lively", "lunar", "mellow",
    "misty", "noble", "pale", "plain", "quick", "quiet", "rapid", "silver", "steady", "sunny",
    "warm",
];
const SECOND: [&str; 32] = [
    "apron", "basket", "bobbin", "braid", "canvas", "carder", "cotton", "damask", "denim",
    "fabric", "felt", "flax", "fringe", "heddle", "jute", "knot", "lace", "linen", "loom",
    "needle", "plaid", "reed", "ribbon", "satin", "selvage", "shuttle", "silk", "spindle",
    "thread", "twill", "velvet", "wool",
];

/// Two words and, since a machine may run thousands, a number.
pub(crate) fn generate() -> String {
    let mut bytes = [0u8; 4];
    // A short answer only makes the name less random, never wrong.
    let _ = getrandom(&mut bytes[..], GetRandomFlags::empty());
    let number = u16::from_le_bytes([bytes[2], bytes[3]]) % 1000;
    format!(
        "{}_{}{number}",
        FIRST[usize::from(bytes[0]) % 32],
        SECOND[usize::from(bytes[1]) % 32]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_never_become_paths() {
        for good in ["web", "a1", "my_web.1-x", &generate()] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a",
            "/web",
            "..",
            "a/b",
            "-a",
            "a b",
            "ä1",
            "a\n",
            &"a".repeat(129),
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
