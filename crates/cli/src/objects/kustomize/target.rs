//! One kustomization, from what it is made of to what it makes of that.

use std::path::Path;

use super::id::Resource;
use super::load::{Loads, Root, remote};
use super::wire::Kustomization;
use super::{
    annotations, generate, images, labels, namespace, patches, rename, replacements, replicas,
};
use crate::error::CliError;

/// What a directory describes, before references are fixed.
pub struct Made {
    pub resources: Vec<Resource>,
    pub is_first_in_first_out: bool,
}

/// Builds the directory that was asked for.
pub fn top(dir: &Path, loads: &mut Loads) -> Result<Made, CliError> {
    if let Some(refused) = remote(&dir.to_string_lossy()) {
        return Err(refused);
    }
    let root = loads.first(dir)?;
    let (file, place) = loads.kustomization(&root, false)?;
    let is_first_in_first_out = file.is_first_in_first_out(&place)?;
    let mut resources = Vec::new();
    accumulate(&file, &place, &root, loads, &mut resources)?;
    Ok(Made {
        resources,
        is_first_in_first_out,
    })
}

/// Adds what `file` describes to `all`; a component works on what is there, too.
fn accumulate(
    file: &Kustomization,
    place: &str,
    root: &Root,
    loads: &mut Loads,
    all: &mut Vec<Resource>,
) -> Result<(), CliError> {
    for name in file.resources.iter().chain(&file.bases) {
        if let Some(refused) = remote(name) {
            return Err(refused);
        }
        let mut found = Vec::new();
        if loads.is_dir(root, name) {
            let root = loads.below(root, name)?;
            let (file, place) = loads.kustomization(&root, false)?;
            accumulate(&file, &place, &root, loads, &mut found)?;
        } else {
            found = loads.objects(root, name)?;
        }
        for one in found {
            append(all, one)?;
        }
    }
    generate::run(file, place, root, loads, all)?;
    for name in &file.components {
        if let Some(refused) = remote(name) {
            return Err(refused);
        }
        let root = loads.below(root, name)?;
        let (file, place) = loads.kustomization(&root, true)?;
        accumulate(&file, &place, &root, loads, all)?;
    }
    transform(file, place, root, loads, all)
}

/// Adds an object that is not there yet.
pub fn append(all: &mut Vec<Resource>, new: Resource) -> Result<(), CliError> {
    let id = new.id();
    if let Some(old) = all.iter().find(|one| one.is(&id)) {
        return Err(
            CliError::new(format!("read {}: {id} is in {}, too", new.place, old.place)).hint(
                "an object comes from one place; what others change of it belongs into `patches`",
            ),
        );
    }
    all.push(new);
    Ok(())
}

/// Kustomize's order.
fn transform(
    file: &Kustomization,
    place: &str,
    root: &Root,
    loads: &Loads,
    all: &mut Vec<Resource>,
) -> Result<(), CliError> {
    patches::strategic(file, place, root, loads, all)?;
    patches::either(file, place, root, loads, all)?;
    if !file.namespace.is_empty() {
        namespace::set(all, &file.namespace, place)?;
    }
    if !file.name_prefix.is_empty() {
        rename::prefix(all, &file.name_prefix);
    }
    if !file.name_suffix.is_empty() {
        rename::suffix(all, &file.name_suffix);
    }
    for label in &file.labels {
        labels::add(all, label);
    }
    if !file.common_labels.is_empty() {
        labels::common(all, &file.common_labels);
    }
    if !file.common_annotations.is_empty() {
        annotations::add(all, &file.common_annotations);
    }
    patches::json(file, place, root, loads, all)?;
    for replica in &file.replicas {
        replicas::set(all, replica, place)?;
    }
    for image in &file.images {
        images::set(all, image);
    }
    replacements::run(file, place, root, loads, all)
}
