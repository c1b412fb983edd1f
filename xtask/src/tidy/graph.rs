//! Rules on the dependency graph: crates that stay out, versions known to be bad.
//!
//! Owns reading `deny.toml`, `Cargo.lock` and `cargo tree`; `cargo deny check bans licenses
//! sources` reads the same file where cargo-deny is at hand. Never reaches the network.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{Finding, read};

/// Crates the binary must not contain, whatever version: C crypto beside aws-lc, code generators.
const OUT: &[&str] = &[
    "ring",
    "openssl",
    "openssl-sys",
    "native-tls",
    "prost-build",
    "protobuf-src",
    "libseccomp-sys",
];

/// The graph rules.
pub fn check(root: &Path) -> Result<Vec<Finding>> {
    let mut found = left_out(&tree(root)?);
    let deny: toml::Table = read(root, "deny.toml")?.parse().context("read deny.toml")?;
    let lock: toml::Table = read(root, "Cargo.lock")?
        .parse()
        .context("read Cargo.lock")?;
    found.extend(known_bad(&denied(&deny), &locked(&lock)));
    found.extend(sources(&locked(&lock)));
    Ok(found)
}

/// Names in the graph of the `weft` binary, build dependencies included.
fn tree(root: &Path) -> Result<Vec<String>> {
    let args = [
        "tree",
        "--locked",
        "--offline",
        "--package",
        "weft",
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--format",
        "{p}",
    ];
    let output = Command::new("cargo")
        .args(args)
        .current_dir(root)
        .output()
        .context("start cargo tree")?;
    if !output.status.success() {
        bail!(
            "cargo tree failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    let names = String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.split(' ').next().map(str::to_owned))
        .collect();
    Ok(names)
}

fn left_out(names: &[String]) -> Vec<Finding> {
    let inside = OUT
        .iter()
        .filter(|out| names.iter().any(|name| name == *out));
    inside
        .map(|name| {
            Finding::new(
                "Cargo.lock",
                format!("{name} is part of weft: find the feature that brings it in"),
            )
        })
        .collect()
}

struct Locked {
    name: String,
    version: String,
    source: Option<String>,
}

fn locked(lock: &toml::Table) -> Vec<Locked> {
    let text = |package: &toml::Value, key: &str| {
        package
            .get(key)
            .and_then(toml::Value::as_str)
            .map(str::to_owned)
    };
    let packages = lock.get("package").and_then(toml::Value::as_array);
    let packages = packages.into_iter().flatten();
    packages
        .map(|package| Locked {
            name: text(package, "name").unwrap_or_default(),
            version: text(package, "version").unwrap_or_default(),
            source: text(package, "source"),
        })
        .collect()
}

/// `bans.deny` entries: a name and, perhaps, `<version` below which it is bad.
fn denied(deny: &toml::Table) -> Vec<(String, Option<String>)> {
    let entries = deny
        .get("bans")
        .and_then(|bans| bans.get("deny"))
        .and_then(toml::Value::as_array);
    let entry = |entry: &toml::Value| {
        let spec = entry.get("crate").and_then(toml::Value::as_str)?;
        let (name, below) = match spec.split_once(':') {
            Some((name, version)) => (name, Some(version.trim_start_matches('<').to_owned())),
            None => (spec, None),
        };
        Some((name.to_owned(), below))
    };
    entries.into_iter().flatten().filter_map(entry).collect()
}

fn known_bad(denied: &[(String, Option<String>)], locked: &[Locked]) -> Vec<Finding> {
    let mut found = Vec::new();
    for (name, below) in denied {
        for package in locked.iter().filter(|package| package.name == *name) {
            // The lock may name crates of features nobody asked for; those are judged in the tree.
            let bad = match below {
                Some(below) => parts(&package.version) < parts(below),
                None => !OUT.contains(&name.as_str()),
            };
            if bad {
                let below = below
                    .as_deref()
                    .map(|below| format!(" below {below}"))
                    .unwrap_or_default();
                found.push(Finding::new(
                    "Cargo.lock",
                    format!("{name} {} is known to be bad{below}", package.version),
                ));
            }
        }
    }
    found
}

/// Everything comes from the one registry.
fn sources(locked: &[Locked]) -> Vec<Finding> {
    let foreign = locked.iter().filter(|package| {
        package
            .source
            .as_ref()
            .is_some_and(|source| !source.contains("crates.io-index"))
    });
    foreign
        .map(|package| {
            Finding::new(
                "Cargo.lock",
                format!("{} does not come from the registry", package.name),
            )
        })
        .collect()
}

fn parts(version: &str) -> Vec<u64> {
    version
        .split(['.', '-', '+'])
        .map_while(|part| part.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, version: &str, source: &str) -> Locked {
        Locked {
            name: name.to_owned(),
            version: version.to_owned(),
            source: Some(source.to_owned()),
        }
    }

    const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

    #[test]
    fn what_stays_out_is_found() {
        assert_eq!(left_out(&["serde".to_owned(), "ring".to_owned()]).len(), 1);
        assert_eq!(left_out(&["serde".to_owned(), "spring".to_owned()]), []);
    }

    #[test]
    fn versions_known_to_be_bad_are_found() {
        let deny: toml::Table =
            "[bans]\ndeny = [{ crate = \"tar:<0.4.45\" }, { crate = \"tokio-tar\" }]"
                .parse()
                .unwrap();
        let denied = denied(&deny);
        assert_eq!(
            known_bad(&denied, &[package("tar", "0.4.44", REGISTRY)]).len(),
            1
        );
        assert_eq!(
            known_bad(&denied, &[package("tar", "0.4.100", REGISTRY)]),
            []
        );
        assert_eq!(
            known_bad(&denied, &[package("tokio-tar", "9.9.9", REGISTRY)]).len(),
            1
        );
    }

    #[test]
    fn one_registry() {
        assert_eq!(sources(&[package("a", "1.0.0", REGISTRY)]), []);
        assert_eq!(
            sources(&[package("a", "1.0.0", "git+https://example.org/a")]).len(),
            1
        );
    }
}
