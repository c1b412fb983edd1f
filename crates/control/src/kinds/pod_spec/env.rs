//! Rules for environment variables and for what takes values from elsewhere.

use super::super::data::check_key;
use super::super::rules::{Mistakes, Spot};
use crate::names;

const NAME: &str = "a valid environment variable name must consist only of printable ASCII \
                    characters other than '='";
const SOURCES: [&str; 4] = [
    "fieldRef",
    "resourceFieldRef",
    "configMapKeyRef",
    "secretKeyRef",
];
/// Fields a variable can be.
const FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
/// Fields a file can be.
pub(super) const FILE_FIELDS: [&str; 5] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "metadata.labels",
    "metadata.annotations",
];
const RESOURCES: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

/// Variables of a container.
pub(super) fn env(mistakes: &mut Mistakes, container: &Spot<'_, '_>) {
    for variable in container.at("env").items() {
        mistakes.must_be_name(&variable.at("name"), variable_name);
        let from = variable.at("valueFrom");
        if from.is_some() {
            value_from(mistakes, &from, !variable.at("value").is_empty());
        }
    }
    for from in container.at("envFrom").items() {
        mistakes.name(&from.at("prefix"), variable_name);
        let sources = [from.at("configMapRef"), from.at("secretRef")];
        match sources.iter().filter(|source| source.is_some()).count() {
            0 => {
                mistakes.invalid_unseen(&from, "must specify one of: `configMapRef` or `secretRef`")
            }
            1 => {}
            _ => mistakes.invalid_unseen(
                &from,
                "may not have more than one field specified at a time",
            ),
        }
        for source in sources.iter().filter(|source| source.is_some()) {
            mistakes.must_be_name(&source.at("name"), names::dns_subdomain);
        }
    }
}

fn value_from(mistakes: &mut Mistakes, from: &Spot<'_, '_>, has_value: bool) {
    let found = SOURCES
        .iter()
        .filter(|name| from.at(name).is_some())
        .count();
    if found == 0 {
        let why = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or \
                   `secretKeyRef`";
        mistakes.invalid_unseen(from, why);
    } else if has_value {
        mistakes.invalid_unseen(from, "may not be specified when `value` is not empty");
    } else if found > 1 {
        mistakes.invalid_unseen(from, "may not have more than one field specified at a time");
    }
    field(mistakes, &from.at("fieldRef"), &FIELDS, true);
    resource(mistakes, &from.at("resourceFieldRef"), false);
    for name in ["configMapKeyRef", "secretKeyRef"] {
        let reference = from.at(name);
        if reference.is_some() {
            mistakes.must_be_name(&reference.at("name"), names::dns_subdomain);
            mistakes.must_be_name(&reference.at("key"), check_key);
        }
    }
}

/// A field of the pod; `is_host_known` where what is of the node can be told, too.
pub(super) fn field(mistakes: &mut Mistakes, field: &Spot<'_, '_>, known: &[&str], is_env: bool) {
    if !field.is_some() {
        return;
    }
    let version = field.at("apiVersion");
    mistakes.must_be_one_of(&version, &["v1"]);
    let path = field.at("fieldPath");
    let subscript = path
        .text()
        .strip_suffix("']")
        .and_then(|path| path.split_once("['"));
    match subscript {
        Some(("metadata.labels" | "metadata.annotations", key)) => {
            if let Err(why) = names::label_key(key) {
                mistakes.invalid(&path, why);
            }
        }
        Some(_) => mistakes.invalid(&path, "does not support subscript"),
        None if is_env && matches!(path.text(), "metadata.labels" | "metadata.annotations") => {
            mistakes.invalid(&path, "a key is needed: metadata.labels['<KEY>']");
        }
        None => mistakes.must_be_one_of(&path, known),
    }
}

/// A resource of a container.
pub(super) fn resource(mistakes: &mut Mistakes, resource: &Spot<'_, '_>, names_container: bool) {
    if !resource.is_some() {
        return;
    }
    if names_container {
        mistakes.must_be(&resource.at("containerName"), "");
    }
    let name = resource.at("resource");
    let huge = |text: &str| {
        text.starts_with("requests.hugepages-") || text.starts_with("limits.hugepages-")
    };
    if !huge(name.text()) {
        mistakes.must_be_one_of(&name, &RESOURCES);
    }
    mistakes.amount(&resource.at("divisor"));
}

fn variable_name(name: &str) -> Result<(), &'static str> {
    let is_right = |c: u8| (b' '..=b'~').contains(&c) && c != b'=';
    if name.bytes().all(is_right) {
        Ok(())
    } else {
        Err(NAME)
    }
}
