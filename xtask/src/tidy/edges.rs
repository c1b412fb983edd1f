//! Rules on manifests: crate edges are those of `layers.toml` and point strictly down, and every
//! crate opts into the workspace's lints.
//! Owns reading manifests; never looks at sources.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::{Finding, Source};

/// `xtask/layers.toml`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layers {
    layers: BTreeMap<String, u32>,
    edges: BTreeMap<String, Vec<String>>,
    test: BTreeMap<String, Vec<String>>,
}

/// The manifest rules.
pub fn check(layers: &Layers, sources: &[Source]) -> Result<Vec<Finding>> {
    let mut found = upward(layers);
    let manifests = sources
        .iter()
        .filter(|source| source.path.ends_with("/Cargo.toml"));
    let mut crates = Vec::new();
    for source in manifests {
        let manifest: toml::Table = source
            .text
            .parse()
            .with_context(|| format!("read {}", source.path))?;
        let lints = manifest
            .get("lints")
            .and_then(|lints| lints.get("workspace"));
        let outside = manifest.contains_key("workspace");
        if !outside && lints.and_then(toml::Value::as_bool) != Some(true) {
            found.push(Finding::new(
                &source.path,
                "lacks `[lints] workspace = true`",
            ));
        }
        if source.path.starts_with("crates/") {
            crates.push(source.krate().to_owned());
            found.extend(edges(layers, source, &manifest));
        }
    }
    for name in layers.layers.keys().filter(|name| !crates.contains(name)) {
        found.push(Finding::new(
            "xtask/layers.toml",
            format!("{name} is no crate"),
        ));
    }
    Ok(found)
}

fn upward(layers: &Layers) -> Vec<Finding> {
    let mut found = Vec::new();
    for (from, targets) in &layers.edges {
        for to in targets {
            let down = match (layers.layers.get(from), layers.layers.get(to)) {
                (Some(from), Some(to)) => to < from,
                _ => false,
            };
            if !down {
                found.push(Finding::new(
                    "xtask/layers.toml",
                    format!("{from} → {to} does not point down"),
                ));
            }
        }
    }
    found
}

fn edges(layers: &Layers, source: &Source, manifest: &toml::Table) -> Vec<Finding> {
    let name = source.krate();
    let Some(allowed) = layers.edges.get(name).or_else(|| layers.test.get(name)) else {
        return vec![Finding::new(
            &source.path,
            format!("{name} has no layer in xtask/layers.toml"),
        )];
    };
    let mut found = Vec::new();
    for to in weft_crates(manifest, "dependencies").filter(|to| !allowed.contains(to)) {
        found.push(Finding::new(
            &source.path,
            format!("{name} → {to} is not in xtask/layers.toml"),
        ));
    }
    let normal: Vec<String> = weft_crates(manifest, "dependencies").collect();
    for to in allowed.iter().filter(|to| !normal.contains(to)) {
        // An edge that is allowed and unused is fine: it is the plan of the layers.
        let known = layers.layers.contains_key(to);
        if !known {
            found.push(Finding::new(
                "xtask/layers.toml",
                format!("{name} → {to}: no such crate"),
            ));
        }
    }
    // Tests may use test support and whatever lies lower.
    let layer = layers.layers.get(name).copied().unwrap_or(u32::MAX);
    for to in weft_crates(manifest, "dev-dependencies") {
        let lower = layers.layers.get(&to).is_some_and(|to| *to < layer);
        if !lower && !layers.test.contains_key(&to) {
            found.push(Finding::new(
                &source.path,
                format!("tests of {name} use {to}, which is not lower"),
            ));
        }
    }
    found
}

fn weft_crates(manifest: &toml::Table, section: &str) -> impl Iterator<Item = String> {
    let names: Vec<String> = manifest
        .get(section)
        .and_then(toml::Value::as_table)
        .into_iter()
        .flat_map(|table| table.keys().cloned())
        .collect();
    names
        .into_iter()
        .filter_map(|name| name.strip_prefix("weft-").map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    const LAYERS: &str = "\
[layers]
sys = 2
engine = 4
[edges]
sys = []
engine = [\"sys\"]
[test]
testkit = [\"sys\"]
";

    fn found(engine: &str) -> Vec<String> {
        let layers: Layers = toml::from_str(LAYERS).unwrap();
        let lints = "[lints]\nworkspace = true\n";
        let sources = [
            sample("crates/sys/Cargo.toml", lints),
            sample("crates/engine/Cargo.toml", engine),
        ];
        check(&layers, &sources)
            .unwrap()
            .into_iter()
            .map(|finding| finding.what)
            .collect()
    }

    #[test]
    fn edges_are_those_written_down() {
        let lints = "[lints]\nworkspace = true\n";
        assert_eq!(
            found(&format!(
                "{lints}[dependencies]\nweft-sys = \"1\"\nserde = \"1\"\n"
            )),
            Vec::<String>::new()
        );
        assert_eq!(
            found(&format!("{lints}[dependencies]\nweft-api = \"1\"\n")).len(),
            1
        );
        assert_eq!(
            found(&format!(
                "{lints}[dev-dependencies]\nweft-testkit = \"1\"\n"
            )),
            Vec::<String>::new()
        );
        assert_eq!(
            found(&format!("{lints}[dev-dependencies]\nweft-daemon = \"1\"\n")).len(),
            1
        );
    }

    #[test]
    fn every_crate_opts_into_the_lints() {
        assert_eq!(
            found("[package]\nname = \"weft-engine\"\n"),
            ["lacks `[lints] workspace = true`"]
        );
    }

    #[test]
    fn edges_point_down() {
        let layers = LAYERS.replace("sys = []", "sys = [\"engine\"]");
        assert_eq!(upward(&toml::from_str(&layers).unwrap()).len(), 1);
        assert_eq!(upward(&toml::from_str(LAYERS).unwrap()), []);
    }
}
