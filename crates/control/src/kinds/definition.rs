//! CustomResourceDefinition: a kind that somebody defines (`apiextensions.k8s.io/v1`).
//!
//! Owns: which definitions can be carried out. What a kind becomes of one is in `custom.rs`.

mod structure;

use std::collections::BTreeSet;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

use self::structure::{PRESERVE, check_schema};
use super::rules::{Mistakes, Spot};
use crate::custom;
use crate::failure::Cause;
use crate::kind::{Column, Document, Generation, Kind, texts};
use crate::names;
use crate::object::Object;
use crate::schema;

pub(crate) const GROUP: &str = "apiextensions.k8s.io";
pub(crate) const PLURAL: &str = "customresourcedefinitions";

/// Where a group of the Kubernetes project says that it was approved.
const APPROVED: &str = "api-approved.kubernetes.io";
/// Most fields of a version that objects are selected by.
const SELECTABLE_MAX: usize = 8;
pub(super) fn kind() -> Kind {
    Kind {
        short: texts(&["crd", "crds"]),
        categories: texts(&["api-extensions"]),
        is_namespaced: false,
        document: Document::Of(document),
        default,
        inherit,
        validate,
        columns: vec![
            Column::name(),
            Column::text("Created At", "When it was made.", |object| {
                object.meta().text("creationTimestamp").into()
            }),
        ],
        has_status: true,
        is_carried_out: true,
        is_seen_first: true,
        generation: Generation::Content,
        ..Kind::of(
            GROUP,
            "v1",
            "CustomResourceDefinition",
            PLURAL,
            "customresourcedefinition",
        )
    }
}

fn document() -> Value {
    let mut document = schemars::schema_for!(CustomResourceDefinition).to_value();
    let definitions = document.get_mut("$defs").and_then(Value::as_object_mut);
    for (name, definition) in definitions.into_iter().flatten() {
        // Its type says object; it holds any value.
        if name.ends_with(".v1.JSON") {
            *definition = json!({ PRESERVE: true });
        }
    }
    document
}

fn default(object: &mut Object) {
    let Some(spec) = object.0.get_mut("spec").and_then(Value::as_object_mut) else {
        return;
    };
    spec.entry("conversion")
        .or_insert_with(|| json!({ "strategy": "None" }));
    if let Some(names) = spec.get_mut("names").and_then(Value::as_object_mut) {
        let kind = names.get("kind").and_then(Value::as_str).unwrap_or("");
        let (singular, list) = (kind.to_lowercase(), format!("{kind}List"));
        for (name, value) in [("singular", singular), ("listKind", list)] {
            names.entry(name).or_insert_with(|| value.into());
        }
    }
    let stored = custom::stored_version(object).to_owned();
    let stored = Some(stored).filter(|name| !name.is_empty());
    object.0.entry("status").or_insert_with(|| {
        json!({
            "acceptedNames": { "kind": "", "plural": "" },
            "conditions": [],
            "storedVersions": stored.as_slice(),
        })
    });
}

/// From now on there may be objects of the version that is stored now.
fn inherit(old: &Object, new: &mut Object) {
    let stored = custom::stored_version(new).to_owned();
    if stored != custom::stored_version(old)
        && let Some(status) = new.0.get_mut("status")
    {
        keep_version(status, &stored);
    }
}

/// Writes down that there may be objects that are stored in this version.
pub(crate) fn keep_version(status: &mut Value, name: &str) {
    let kept = status.get("storedVersions").and_then(Value::as_array);
    let mut kept = kept.cloned().unwrap_or_default();
    if !kept.iter().any(|one| one == name) {
        kept.push(name.into());
    }
    status["storedVersions"] = kept.into();
}

fn validate(object: &Object, old: Option<&Object>) -> Vec<Cause> {
    let spec = Spot::of(object, "spec");
    let (group, scope) = (spec.at("group"), spec.at("scope"));
    let mut mistakes = Mistakes::default();
    mistakes.must_be_name(&group, names::dns_subdomain);
    if !group.text().contains('.') {
        mistakes.invalid(&group, "should be a domain with at least one dot");
    }
    if old.is_none() {
        check_approval(&mut mistakes, object, group.text());
    }
    mistakes.must_be_one_of(&scope, &["Cluster", "Namespaced"]);
    let named = spec.at("names");
    for name in ["plural", "singular"] {
        mistakes.must_be_name(&named.at(name), names::dns_1035);
    }
    for name in ["kind", "listKind"] {
        let spot = named.at(name);
        let lower = spot.text().to_lowercase();
        match names::dns_1035(&lower) {
            _ if spot.is_empty() => mistakes.required(&spot, ""),
            Err(why) => mistakes.invalid(&spot, why),
            Ok(()) => {}
        }
    }
    for short in named.at("shortNames").items() {
        mistakes.name(&short, names::dns_1035);
    }
    let expected = format!("{}.{}", named.at("plural").text(), group.text());
    let meta = Spot::of(object, "metadata");
    let name = meta.at("name");
    if name.text() != expected {
        let why = format!("must be spec.names.plural+\".\"+spec.group: {expected}");
        mistakes.invalid(&name, &why);
    }
    let conversion = spec.at("conversion");
    let strategy = conversion.at("strategy");
    if strategy.text() != "None" {
        mistakes.unsupported(&strategy, &["None"]);
    }
    let webhook = conversion.at("webhook");
    if webhook.is_some() && strategy.text() == "None" {
        mistakes.forbidden(
            &webhook,
            "should not be set when strategy is not set to Webhook",
        );
    }
    let keeps = spec.at("preserveUnknownFields");
    if keeps.is_true() {
        let why = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in \
                   spec.versions[*].schema instead";
        mistakes.invalid(&keeps, why);
    }
    if let Some(old) = old {
        let before = Spot::of(old, "spec");
        mistakes.same(&group, &before.at("group"));
        mistakes.same(&scope, &before.at("scope"));
        for name in ["plural", "kind"] {
            mistakes.same(&named.at(name), &before.at("names").at(name));
        }
    }
    check_versions(&mut mistakes, &spec.at("versions"));
    check_stored(&mut mistakes, object);
    mistakes.into_causes()
}

/// Groups of the Kubernetes project are for what it has approved, or what says that it has not.
fn check_approval(mistakes: &mut Mistakes, object: &Object, group: &str) {
    let is_of = |domain: &str| {
        let above = group.strip_suffix(domain);
        above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
    };
    if !is_of("k8s.io") && !is_of("kubernetes.io") {
        return;
    }
    let meta = Spot::of(object, "metadata");
    let annotations = meta.at("annotations");
    let approval = annotations.key(APPROVED);
    let is_url = |text: &str| {
        let (_, host) = text.split_once("://").unwrap_or_default();
        !host.is_empty()
    };
    match approval.text() {
        "" => mistakes.required(
            &approval,
            &format!("protected groups must have approval annotation {APPROVED:?}"),
        ),
        text if text.starts_with("unapproved") || is_url(text) => {}
        _ => mistakes.invalid(
            &approval,
            "protected groups must have the URL of their approval here, or \"unapproved\" with a \
             reason",
        ),
    }
}

/// Of whatever version objects are stored in, the schema is there.
fn check_stored(mistakes: &mut Mistakes, object: &Object) {
    let spec = Spot::of(object, "spec");
    let versions = spec.at("versions");
    let named: Vec<String> = versions
        .items()
        .map(|version| version.at("name").text().to_owned())
        .collect();
    let status = Spot::of(object, "status");
    let kept = status.at("storedVersions");
    let mut has_stored = kept.is_empty();
    for one in kept.items() {
        has_stored |= one.text() == custom::stored_version(object);
        if !named.iter().any(|name| name == one.text()) {
            let why = format!(
                "missing from spec.versions; {} was previously a storage version, and must remain \
                 in spec.versions until a storage migration ensures no data remains persisted in \
                 it and removes it from status.storedVersions",
                one.text()
            );
            mistakes.invalid(&one, &why);
        }
    }
    if !has_stored {
        let stored = custom::stored_version(object);
        mistakes.invalid(&kept, &format!("must have the storage version {stored}"));
    }
}

/// Versions have names of their own, and one is stored.
fn check_versions(mistakes: &mut Mistakes, versions: &Spot<'_, '_>) {
    mistakes.must_be(versions, "");
    let mut used = 0;
    let mut named = BTreeSet::new();
    for version in versions.items() {
        let name = version.at("name");
        mistakes.must_be_name(&name, names::dns_1035);
        if !named.insert(name.text().to_owned()) {
            mistakes.invalid(&name, "must contain unique version names");
        }
        let (warning, deprecated) = (version.at("deprecationWarning"), version.at("deprecated"));
        if warning.is_some() && !deprecated.is_true() {
            mistakes.invalid(&warning, "can only be set for deprecated versions");
        }
        used += usize::from(version.at("storage").is_true());
        let holder = version.at("schema");
        let schema = holder.at("openAPIV3Schema");
        match schema.value() {
            Some(value) => {
                check_schema(mistakes, &schema, true);
                mistakes.extend(schema::rule_mistakes(value, &schema.path()));
            }
            None => mistakes.required(&schema, "schemas are required"),
        }
        let root = schema.at("type");
        if root.text() != "object" {
            mistakes.invalid(&root, "must be object at the root");
        }
        check_selectable(mistakes, &version.at("selectableFields"), schema.value());
        check_paths(mistakes, &version);
    }
    if used != 1 {
        mistakes.invalid(
            versions,
            "must have exactly one version marked as storage version",
        );
    }
}

/// What objects are selected by has one value, and what that is can be told from the schema.
fn check_selectable(mistakes: &mut Mistakes, fields: &Spot<'_, '_>, schema: Option<&Value>) {
    mistakes.at_most(fields, SELECTABLE_MAX);
    let mut known = BTreeSet::new();
    for field in fields.items() {
        let path = field.at("jsonPath");
        if path.is_empty() {
            mistakes.required(&path, "");
            continue;
        }
        let names = custom::simple(path.text());
        let found = names.as_ref().and_then(|names| {
            let mut names = names.iter();
            names.try_fold(schema?, |schema, name| {
                schema.get("properties")?.get(&**name)
            })
        });
        let kind = found.and_then(|schema| schema.get("type")?.as_str());
        if names.is_some_and(|names| names[0] == "metadata") {
            mistakes.invalid(&path, "must not point to fields in metadata");
        } else if found.is_none() {
            let why =
                "is an invalid path: it should be that of a field of the schema, as .spec.colour";
            mistakes.invalid(&path, why);
        } else if !matches!(kind, Some("string" | "boolean" | "integer")) {
            let why = "must point to a field of type string, boolean or integer. Enum string \
                       fields and strings with formats are allowed.";
            mistakes.invalid(&path, why);
        }
        if !known.insert(path.text().to_owned()) {
            mistakes.duplicate(&path);
        }
    }
}

fn check_paths(mistakes: &mut Mistakes, version: &Spot<'_, '_>) {
    for column in version.at("additionalPrinterColumns").items() {
        mistakes.must_be(&column.at("name"), "");
        let known = ["boolean", "date", "integer", "number", "string"];
        mistakes.must_be_one_of(&column.at("type"), &known);
        let path = column.at("jsonPath");
        if let Err(why) = custom::path(path.text()) {
            mistakes.invalid(&path, &why);
        }
    }
    let subresources = version.at("subresources");
    let scale = subresources.at("scale");
    for (name, below, is_needed) in [
        ("specReplicasPath", ".spec.", true),
        ("statusReplicasPath", ".status.", true),
        ("labelSelectorPath", ".", false),
    ] {
        let path = scale.at(name);
        let is_there = scale.is_some() && (is_needed || path.is_some());
        let is_simple = custom::simple(path.text()).is_some();
        if is_there && !(is_simple && path.text().starts_with(below)) {
            let why = format!("should be a path of fields below {below}");
            mistakes.invalid(&path, &why);
        }
    }
}

#[cfg(test)]
mod tests;
