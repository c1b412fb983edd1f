//! Rules that no file is forgotten: every Rust file is a module of its parent, every crate has one
//! integration-test binary.
//! Owns the mapping from files to `mod` lines; never parses further.

use std::collections::HashMap;

use super::{Finding, Source};

/// Dead files and stray test binaries.
pub fn check(sources: &[Source]) -> Vec<Finding> {
    let texts: HashMap<&str, &str> = sources
        .iter()
        .map(|source| (source.path.as_str(), source.text.as_str()))
        .collect();
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| source.is_rust()) {
        let inside = source
            .path
            .strip_prefix("crates/")
            .and_then(|path| path.split_once("/tests/"));
        let stray = inside.is_some_and(|(krate, test)| !krate.contains('/') && !test.contains('/'));
        if stray {
            found.push(Finding::new(
                &source.path,
                "a second test binary: make it a module of tests/it/main.rs",
            ));
        }
        if !is_root(&source.path) && !declared(&source.path, &texts) {
            found.push(Finding::new(
                &source.path,
                "no `mod` line leads here: a file nobody compiles",
            ));
        }
    }
    found
}

/// Files cargo finds by itself.
fn is_root(path: &str) -> bool {
    let (dir, file) = path.rsplit_once('/').unwrap_or(("", path));
    matches!(file, "lib.rs" | "main.rs" | "build.rs")
        || dir.ends_with("/tests")
        || dir.ends_with("/examples")
        || dir.ends_with("/src/bin")
        || dir.ends_with("fuzz_targets")
}

fn declared(path: &str, texts: &HashMap<&str, &str>) -> bool {
    let (mut dir, file) = path.rsplit_once('/').unwrap_or(("", path));
    let mut module = file.trim_end_matches(".rs");
    if module == "mod" {
        (dir, module) = dir.rsplit_once('/').unwrap_or(("", dir));
    }
    let parents = [
        format!("{dir}/mod.rs"),
        format!("{dir}/lib.rs"),
        format!("{dir}/main.rs"),
        format!("{dir}.rs"),
    ];
    let line = format!("mod {module};");
    let by_name = parents
        .iter()
        .filter_map(|parent| texts.get(parent.as_str()))
        .any(|text| {
            text.lines()
                .map(str::trim)
                .any(|is| is == line || is.ends_with(&format!(" {line}")))
        });
    by_name || declared_by_path(dir, file, texts)
}

/// `#[path = "file.rs"]` in a file of the same folder.
fn declared_by_path(dir: &str, file: &str, texts: &HashMap<&str, &str>) -> bool {
    let needle = format!("path = \"{file}\"");
    texts.iter().any(|(path, text)| {
        path.rsplit_once('/').is_some_and(|(is, _)| is == dir) && text.contains(&needle)
    })
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn every_test_file_is_a_module_of_the_one_binary() {
        let main = sample("crates/x/tests/it/main.rs", "mod run;\n");
        let run = sample("crates/x/tests/it/run.rs", "");
        let forgotten = sample("crates/x/tests/it/logs.rs", "");
        let stray = sample("crates/x/tests/more.rs", "");
        let places: Vec<String> = check(&[main, run, forgotten, stray])
            .into_iter()
            .map(|f| f.place)
            .collect();
        assert_eq!(
            places,
            ["crates/x/tests/it/logs.rs", "crates/x/tests/more.rs"]
        );
    }

    #[test]
    fn every_source_file_is_a_module_of_its_parent() {
        let tree = |lib: &str| {
            [
                sample("crates/x/src/lib.rs", lib),
                sample("crates/x/src/a/mod.rs", "pub(crate) mod b;\n"),
                sample("crates/x/src/a/b.rs", "#[cfg(test)]\nmod tests;\n"),
                sample(
                    "crates/x/src/a/b/tests.rs",
                    "#[path = \"far.rs\"]\nmod near;\n",
                ),
                sample("crates/x/src/a/b/far.rs", ""),
            ]
        };
        assert_eq!(check(&tree("mod a;\n")), []);
        assert_eq!(check(&tree("// mod a\n")).len(), 1);
    }
}
