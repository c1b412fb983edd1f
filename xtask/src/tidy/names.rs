//! Rules on names: no file or module is called after the fact that things were put there.
//! Owns the list of banned names; never looks inside functions.

use super::{Finding, Source};

const BANNED: &[&str] = &[
    "utils", "util", "common", "helpers", "helper", "manager", "misc",
];

/// The name rules for one Rust file.
pub fn check(source: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    let parts = source.path.trim_end_matches(".rs").split('/');
    for part in parts.filter(|part| BANNED.contains(part)) {
        found.push(Finding::new(
            &source.path,
            format!("`{part}` says nothing: name it after what it owns"),
        ));
    }
    for (number, line) in source.text.lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let module = words
            .iter()
            .position(|word| *word == "mod")
            .and_then(|at| words.get(at + 1));
        let name = module.map(|name| name.trim_end_matches([';', '{']));
        if let Some(name) =
            name.filter(|name| BANNED.contains(name) && !line.trim_start().starts_with("//"))
        {
            found.push(Finding::new(
                format!("{}:{}", source.path, number + 1),
                format!("module `{name}`: name it after what it owns"),
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn banned_names_are_found_in_paths_and_modules() {
        assert_eq!(check(&sample("crates/x/src/utils.rs", "")).len(), 1);
        assert_eq!(check(&sample("crates/x/src/common/mod.rs", "")).len(), 1);
        for name in BANNED {
            assert_eq!(
                check(&sample(
                    "crates/x/src/lib.rs",
                    &format!("pub mod {name} {{\nmod {name};\n")
                ))
                .len(),
                2
            );
        }
        assert_eq!(
            check(&sample("crates/x/src/port.rs", "mod port;\n// mod utils\n")),
            []
        );
    }
}
