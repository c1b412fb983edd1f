//! Kustomize: a directory with a `kustomization.yaml` into the objects it describes.
//!
//! ```text
//!   target: files and bases ─▶ generators ─▶ components ─▶ transformers, in kustomize's order
//!   top:    hashes into names ─▶ references to names ─▶ order
//! ```
//! Owns: what kustomize does without running programs and without the network.
//! Never: asks a server, writes files, ignores a field it does not know.

mod annotations;
mod bounds;
mod fields;
mod generate;
mod hash;
mod id;
mod images;
mod labels;
mod load;
mod namespace;
mod order;
mod patches;
mod paths;
mod pattern;
mod references;
mod rename;
mod replacements;
mod replicas;
mod strategic;
mod target;
mod wire;

use std::path::Path;

use serde_json::Value;

use crate::error::CliError;
pub use hash::with_name as hash;
pub use id::Id;
pub use load::Restriction;
pub use strategic::{is_known, merge};

/// The objects that the kustomization in `dir` describes.
pub fn build(dir: &Path, restriction: Restriction) -> Result<Vec<Value>, CliError> {
    let mut loads = load::Loads::new(restriction);
    let mut made = target::top(dir, &mut loads)?;
    hash::add(&mut made.resources);
    references::fix(&mut made.resources)?;
    order::sort(&mut made.resources, made.is_first_in_first_out);
    let values = made.resources.into_iter().map(|one| one.value);
    Ok(values.filter(|value| !is_local(value)).collect())
}

/// Reads a text as a kustomization, and as a patch of an object, for the fuzz target.
pub fn attempt(text: &str, object: Value) -> (bool, bool) {
    let read = wire::Kustomization::parse(text, "", false);
    (read.is_ok(), patches::attempt(text, object).is_ok())
}

/// What is only for programs that read the directory.
fn is_local(value: &Value) -> bool {
    let annotations = &value["metadata"]["annotations"];
    annotations["config.kubernetes.io/local-config"] == "true"
}
