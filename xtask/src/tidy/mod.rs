//! The rules of the house as one function each: files in, findings out.
//!
//! Owns the walk over the workspace and the list of rules. Never builds or runs weft. Every rule
//! has a test with a bad and a good snippet beside it; `cargo test -p xtask` runs them all and
//! then holds them against the tree.

mod docs;
mod edges;
mod graph;
mod names;
mod shape;
mod syntax;
mod testfiles;

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// One broken rule at one place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// `file` or `file:line`, relative to the workspace.
    pub place: String,
    /// What is wrong there and what the rule asks for.
    pub what: String,
}

impl Finding {
    fn new(place: impl Into<String>, what: impl Into<String>) -> Finding {
        Finding {
            place: place.into(),
            what: what.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// A text file of the workspace.
pub struct Source {
    /// Path relative to the workspace, with `/`.
    pub path: String,
    /// Its content.
    pub text: String,
}

impl Source {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The crate's folder name for files beneath `crates/`, or the first folder.
    fn krate(&self) -> &str {
        let path = self.path.strip_prefix("crates/").unwrap_or(&self.path);
        path.split('/').next().unwrap_or_default()
    }

    fn is_test(&self) -> bool {
        self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }
}

/// Runs every rule and prints the findings; true when there are none.
pub fn command(root: &Path) -> Result<bool> {
    println!("==> tidy");
    let sources = sources(root)?;
    let findings = findings(root, &sources)?;
    for finding in &findings {
        println!("{finding}");
    }
    for (path, lines) in shape::long(&sources) {
        println!("note: {path} has {lines} lines; 400 is long");
    }
    println!(
        "==> tidy: {}",
        if findings.is_empty() {
            "ok".to_owned()
        } else {
            format!("FAILED, {} findings", findings.len())
        }
    );
    Ok(findings.is_empty())
}

/// All findings, sorted.
pub fn findings(root: &Path, sources: &[Source]) -> Result<Vec<Finding>> {
    let allow: Allow =
        toml::from_str(&read(root, "xtask/allow.toml")?).context("read xtask/allow.toml")?;
    let layers: edges::Layers =
        toml::from_str(&read(root, "xtask/layers.toml")?).context("read xtask/layers.toml")?;
    let mut found = Vec::new();
    for source in sources.iter().filter(|source| source.is_rust()) {
        found.extend(shape::check(source));
        found.extend(names::check(source));
        found.extend(syntax::check(source, &allow));
    }
    found.extend(syntax::stale_allowances(sources, &allow));
    found.extend(testfiles::check(sources));
    found.extend(docs::check(root, sources));
    found.extend(edges::check(&layers, sources)?);
    found.extend(graph::check(root)?);
    found.sort();
    Ok(found)
}

/// What is let through, and only ever less of it.
#[derive(Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allow {
    /// `file::function` of functions longer than the limit, tables mostly.
    #[serde(default)]
    pub long_functions: Vec<String>,
}

/// Every file the rules look at: sources, manifests, documents.
pub fn sources(root: &Path) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    let mut todo = vec![root.to_path_buf()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(&dir).with_context(|| format!("list {}", dir.display()))? {
            let path = entry
                .with_context(|| format!("list {}", dir.display()))?
                .path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            let relative = path
                .strip_prefix(root)
                .expect("the walk stays beneath the root")
                .display()
                .to_string();
            if path.is_dir() && !matches!(name.as_str(), "target" | ".git") {
                todo.push(path);
            } else if [".rs", ".toml", ".md"]
                .iter()
                .any(|ending| name.ends_with(ending))
                || relative == ".ci/run"
            {
                let text = fs::read_to_string(&path).with_context(|| format!("read {relative}"))?;
                sources.push(Source {
                    path: relative,
                    text,
                });
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(sources)
}

fn read(root: &Path, path: &str) -> Result<String> {
    fs::read_to_string(root.join(path)).with_context(|| format!("read {path}"))
}

/// Test support for the rules' own tests.
#[cfg(test)]
fn sample(path: &str, text: &str) -> Source {
    Source {
        path: path.to_owned(),
        text: text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_keeps_the_rules() {
        let root = crate::root();
        let found = findings(&root, &sources(&root).unwrap()).unwrap();
        let lines: Vec<String> = found.iter().map(Finding::to_string).collect();
        assert!(lines.is_empty(), "\n{}", lines.join("\n"));
    }
}
