//! `patches`, `patchesStrategicMerge`, `patchesJson6902`: changes of some objects.

use serde_json::Value;

use super::bounds;
use super::id::{Id, Resource};
use super::load::{Loads, Root};
use super::pattern::Pattern;
use super::strategic;
use super::wire::{Allowed, Kustomization, Patch, Target};
use crate::error::CliError;
use crate::objects::manifest::{self, Dialect};

/// Operations of a JSON patch.
const OPERATIONS_MAX: usize = 10_000;

/// A patch that was read.
enum Read {
    Strategic(Vec<Value>),
    Json(json_patch::Patch),
}

/// Applies `patchesStrategicMerge`: files, or texts.
pub fn strategic(
    file: &Kustomization,
    place: &str,
    root: &Root,
    loads: &Loads,
    all: &mut Vec<Resource>,
) -> Result<(), CliError> {
    for entry in &file.patches_strategic_merge {
        let is_text = entry.contains('\n');
        let (place, text) = match is_text {
            true => (format!("{place}: patchesStrategicMerge"), entry.clone()),
            false => (root.place(entry), loads.text(root, entry)?),
        };
        for patch in documents(&place, &text)? {
            one(all, &patch, &Allowed::default(), &place)?;
        }
    }
    Ok(())
}

/// Applies `patches`.
pub fn either(
    file: &Kustomization,
    place: &str,
    root: &Root,
    loads: &Loads,
    all: &mut Vec<Resource>,
) -> Result<(), CliError> {
    for (at, patch) in file.patches.iter().enumerate() {
        let place = format!("{place}: patches[{at}]");
        let (place, text) = text(patch, &place, root, loads)?;
        match (read(&place, &text)?, &patch.target) {
            (Read::Strategic(patches), None) => {
                for change in &patches {
                    one(all, change, &patch.options, &place)?;
                }
            }
            (Read::Strategic(patches), Some(target)) => {
                for at in chosen(all, target, &place)? {
                    for change in &patches {
                        merge(&mut all[at], change, &patch.options, &place)?;
                    }
                }
                all.retain(|one| !one.value.is_null());
            }
            (Read::Json(_), None) => return Err(no_target(&place)),
            (Read::Json(operations), Some(target)) => {
                for at in chosen(all, target, &place)? {
                    operate(&mut all[at], &operations, &place)?;
                }
            }
        }
    }
    Ok(())
}

/// Applies `patchesJson6902`.
pub fn json(
    file: &Kustomization,
    place: &str,
    root: &Root,
    loads: &Loads,
    all: &mut [Resource],
) -> Result<(), CliError> {
    for (at, patch) in file.patches_json.iter().enumerate() {
        let place = format!("{place}: patchesJson6902[{at}]");
        let (place, text) = text(patch, &place, root, loads)?;
        let (Read::Json(operations), Some(target)) = (read(&place, &text)?, &patch.target) else {
            return Err(no_target(&place));
        };
        let named = |one: &Resource| {
            one.ids().any(|id| {
                id.name == target.of.name
                    && id.kind == target.of.kind
                    && id.group == target.of.group
                    && (target.of.namespace.is_empty() || id.space() == target.of.namespace)
            })
        };
        let Some(found) = all.iter_mut().find(|one| named(one)) else {
            return Err(CliError::new(format!(
                "apply {place}: there is no {} {:?}",
                target.of.kind, target.of.name
            ))
            .hint("`weft kustomize` of the bases lists what there is"));
        };
        operate(found, &operations, &place)?;
    }
    Ok(())
}

fn no_target(place: &str) -> CliError {
    CliError::new(format!(
        "apply {place}: a JSON patch needs a target, and is a list of operations"
    ))
    .hint("add `target` with kind and name")
}

/// Where a patch is, and its text.
fn text(
    patch: &Patch,
    place: &str,
    root: &Root,
    loads: &Loads,
) -> Result<(String, String), CliError> {
    match (&*patch.path, &*patch.patch) {
        ("", "") => Err(CliError::new(format!("read {place}: it has no patch"))
            .hint("name its file in `path`, or write it in `patch`")),
        ("", text) => Ok((place.to_owned(), text.to_owned())),
        (path, "") => Ok((root.place(path), loads.text(root, path)?)),
        _ => Err(
            CliError::new(format!("read {place}: it has path and patch")).hint("keep one of them"),
        ),
    }
}

/// A list is of operations, everything else is merged.
fn read(place: &str, text: &str) -> Result<Read, CliError> {
    let values = manifest::values(place, text, Dialect::Kustomize)?;
    if let [list @ Value::Array(operations)] = &*values {
        if operations.len() > OPERATIONS_MAX {
            let count = operations.len();
            return Err(CliError::new(format!(
                "read {place}: {count} operations are more than {OPERATIONS_MAX}"
            )));
        }
        let patch = serde_json::from_value(list.clone());
        let patch = patch.map_err(|error| CliError::because(format!("read {place}"), &error))?;
        return Ok(Read::Json(patch));
    }
    checked(place, values).map(Read::Strategic)
}

fn documents(place: &str, text: &str) -> Result<Vec<Value>, CliError> {
    checked(place, manifest::values(place, text, Dialect::Kustomize)?)
}

fn checked(place: &str, values: Vec<Value>) -> Result<Vec<Value>, CliError> {
    let patches: Vec<Value> = values.into_iter().filter(|one| !one.is_null()).collect();
    match !patches.is_empty() && patches.iter().all(Value::is_object) {
        true => Ok(patches),
        false => Err(CliError::new(format!(
            "read {place}: it is neither a part of an object nor a list of operations"
        ))
        .hint("a strategic merge patch has apiVersion, kind and metadata.name")),
    }
}

/// Applies a patch to the one object that it names.
fn one(
    all: &mut Vec<Resource>,
    patch: &Value,
    allowed: &Allowed,
    place: &str,
) -> Result<(), CliError> {
    let id = Id::of(patch);
    let is_meant = |one: &&mut Resource| one.ids().any(|own| own.is_same(&id));
    let mut found: Vec<&mut Resource> = all.iter_mut().filter(is_meant).collect();
    match &mut *found {
        [found] => merge(found, patch, allowed, place)?,
        found => {
            let count = found.len();
            return Err(CliError::new(format!(
                "apply {place}: it is for {id}, of which there are {count}"
            ))
            .hint("apiVersion, kind, name and namespace are as before the kustomization renames"));
        }
    }
    all.retain(|one| !one.value.is_null());
    Ok(())
}

/// Merges; what an object is called stays as it is. A deleted object is null.
fn merge(
    one: &mut Resource,
    patch: &Value,
    allowed: &Allowed,
    place: &str,
) -> Result<(), CliError> {
    let id = one.id();
    one.remember();
    let (version, kind) = (one.value["apiVersion"].clone(), one.value["kind"].clone());
    let tried = || format!("apply {place} to {id}");
    strategic::merge(&mut one.value, patch).map_err(|error| CliError::because(tried(), &error))?;
    if one.value.is_null() {
        return Ok(());
    }
    if !allowed.allow_kind_change {
        one.value["apiVersion"] = version;
        one.value["kind"] = kind;
    }
    if !allowed.allow_name_change {
        one.metadata().insert("name".to_owned(), id.name.into());
    }
    match &*id.namespace {
        "" => drop(one.metadata().remove("namespace")),
        space => drop(one.metadata().insert("namespace".to_owned(), space.into())),
    }
    Ok(())
}

fn operate(
    one: &mut Resource,
    operations: &json_patch::Patch,
    place: &str,
) -> Result<(), CliError> {
    let tried = format!("apply {place} to {}", one.id());
    one.remember();
    for operation in &operations.0 {
        json_patch::patch(&mut one.value, std::slice::from_ref(operation))
            .map_err(|error| CliError::because(&tried, &error))?;
        let is_growing = !matches!(
            operation,
            json_patch::PatchOperation::Remove(_) | json_patch::PatchOperation::Test(_)
        );
        if is_growing {
            bounds::check(&one.value).map_err(|why| CliError::new(format!("{tried}: {why}")))?;
        }
    }
    let id = one.id();
    match id.kind.is_empty() || id.name.is_empty() {
        true => Err(CliError::new(format!(
            "{tried}: it leaves no object with kind and name"
        ))),
        false => Ok(()),
    }
}

/// Reads a patch and applies it to `object`, whatever it is for.
pub fn attempt(text: &str, object: Value) -> Result<(), CliError> {
    let mut one = Resource::new(object, "");
    match read("", text)? {
        Read::Json(operations) => operate(&mut one, &operations, ""),
        Read::Strategic(patches) => patches
            .iter()
            .try_for_each(|patch| merge(&mut one, patch, &Allowed::default(), "")),
    }
}

/// Where those are that `target` means; each of its fields is a pattern for the whole text.
fn chosen(all: &[Resource], target: &Target, place: &str) -> Result<Vec<usize>, CliError> {
    if !target.label_selector.is_empty() || !target.annotation_selector.is_empty() {
        return Err(CliError::new(format!(
            "read {place}: target: labelSelector and annotationSelector are not done"
        ))
        .hint("choose by name: it is a regular expression"));
    }
    let pattern = Pattern::of(&target.of, place)?;
    let is_meant = |one: &Resource| one.ids().any(|id| pattern.fits(&id));
    Ok((0..all.len()).filter(|at| is_meant(&all[*at])).collect())
}
