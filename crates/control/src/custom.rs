//! From a CustomResourceDefinition to the kind it defines, in each of its versions.
//!
//! Never: checks the definition; only those that passed `kinds/definition.rs` come here.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde_json::{Map, Value, json};
use weft_keyspace::Revision;
use weft_stdx::jsonpath::Template;

use crate::kind::{Cell, Column, Document, Generation, Kind, Scale, Text};
use crate::names;
use crate::object::Object;
use crate::schema;
use crate::store::{Defined, Versions};

/// A path of fields, as `.spec.replicas`; nothing: it is another path.
pub(crate) fn simple(text: &str) -> Option<Vec<Text>> {
    let rest = text.strip_prefix('.')?;
    let right = |name: &str| {
        !name.is_empty()
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
    };
    let names: Vec<&str> = rest.split('.').collect();
    let all = names.iter().all(|name| right(name));
    all.then(|| names.iter().map(|&name| name.to_owned().into()).collect())
}

/// The cell at a path, as `.status.conditions[?(@.type=="Ready")].status`.
///
/// # Errors
/// It is none.
pub(crate) fn path(text: &str) -> Result<Cell, String> {
    if !text.starts_with(['.', '[']) {
        return Err("should begin with a dot, as .spec.replicas".to_owned());
    }
    let template = Template::relaxed(text).map_err(|error| error.to_string())?;
    Ok(Cell::At(Arc::new(template)))
}

/// The kind a definition defines, in all versions, that which is stored first; none, if it does not
/// stand there. `since`: its definition is as it is since then.
pub(crate) fn kinds(definition: &Object, since: Revision) -> Vec<Arc<Kind>> {
    let versions = definition.at(&["spec", "versions"]);
    let versions = versions.and_then(Value::as_array).into_iter().flatten();
    let (stored, others): (Vec<&Value>, Vec<&Value>) =
        versions.partition(|version| version.get("storage") == Some(&Value::Bool(true)));
    let name = |version: &Value| Some(version.get("name")?.as_str()?.to_owned());
    let all = || stored.iter().chain(&others);
    let Some(schemas) = Versions::of(all().filter_map(|version| {
        let own = Arc::new(own_schema(version));
        Some((name(version)?, own))
    })) else {
        return Vec::new();
    };
    let defined = Defined {
        since,
        made_of: made_of(definition),
        spec: spec_of(definition),
        versions: Arc::new(schemas),
    };
    let kinds = all().map(|version| kind(definition, version, &defined).map(Arc::new));
    kinds.collect::<Option<_>>().unwrap_or_default()
}

/// The name of the version a definition stores its objects in; empty, if it says none.
pub(crate) fn stored_version(definition: &Object) -> &str {
    let versions = definition.at(&["spec", "versions"]);
    let mut versions = versions.and_then(Value::as_array).into_iter().flatten();
    let stored = versions.find(|version| version.get("storage") == Some(&Value::Bool(true)));
    let name = stored.and_then(|version| version.get("name")?.as_str());
    name.unwrap_or_default()
}

/// Two definitions of one kind say the same if this is the same.
pub(crate) fn spec_of(definition: &Object) -> u64 {
    let mut hasher = DefaultHasher::new();
    let spec = definition.0.get("spec").map(Value::to_string);
    (definition.meta().text("uid"), spec).hash(&mut hasher);
    hasher.finish()
}

/// One version of it.
fn kind(definition: &Object, version: &Value, defined: &Defined) -> Option<Kind> {
    let spec = definition.0.get("spec")?;
    let names = spec.get("names")?;
    let text = |value: &Value, name: &str| -> Option<Text> {
        Some(value.get(name)?.as_str()?.to_owned().into())
    };
    let list = |name: &str| -> Vec<Text> {
        let list = names.get(name).and_then(Value::as_array);
        let list = list.into_iter().flatten().filter_map(Value::as_str);
        list.map(|name| name.to_owned().into()).collect()
    };
    let (group, name, called) = (
        text(spec, "group")?,
        text(version, "name")?,
        text(names, "kind")?,
    );
    let parts = version.get("subresources");
    let scale = parts.and_then(|parts| parts.get("scale"));
    Some(Kind {
        is_seen_first: true,
        is_served: version.get("served") == Some(&Value::Bool(true)),
        deprecation: deprecation(version, (&group, &name, &called)),
        document: Document::Defined(Arc::clone(defined.versions.own(&name)?)),
        group,
        version: name,
        kind: called,
        plural: text(names, "plural")?,
        singular: text(names, "singular")?,
        short: list("shortNames"),
        categories: list("categories"),
        is_namespaced: text(spec, "scope")? == "Namespaced",
        check_name: names::dns_subdomain,
        columns: columns(version),
        own_fields: own_fields(version),
        generation: Generation::Content,
        has_status: parts.is_some_and(|parts| parts.get("status").is_some()),
        scale: scale.and_then(scale_of),
        // Whoever defines a kind brings what carries it out.
        is_carried_out: true,
        is_ending: definition.meta().is_deleting(),
        defined: Some(defined.clone()),
        ..Kind::core("", "", "")
    })
}

/// What users of a version are warned of.
fn deprecation(version: &Value, (group, name, kind): (&str, &str, &str)) -> Option<Text> {
    (version.get("deprecated") == Some(&Value::Bool(true))).then(|| {
        let said = version.get("deprecationWarning").and_then(Value::as_str);
        let usual = || format!("{group}/{name} {kind} is deprecated");
        said.map_or_else(usual, str::to_owned).into()
    })
}

/// Which definition this is, and in what state, as far as its kind is made of that.
pub(crate) fn made_of(definition: &Object) -> String {
    let meta = definition.meta();
    let generation = definition.at(&["metadata", "generation"]);
    format!("{}/{generation:?}/{}", meta.text("uid"), meta.is_deleting())
}

/// The fields by which the objects of a version can be selected.
fn own_fields(version: &Value) -> Vec<(String, Vec<Text>)> {
    let fields = version.get("selectableFields").and_then(Value::as_array);
    let path = |field: &Value| {
        let text = field.get("jsonPath")?.as_str()?;
        Some((text.strip_prefix('.')?.to_owned(), simple(text)?))
    };
    fields.into_iter().flatten().filter_map(path).collect()
}

fn scale_of(scale: &Value) -> Option<Scale> {
    let path = |name: &str| simple(scale.get(name)?.as_str()?);
    Some(Scale {
        wanted: path("specReplicasPath")?,
        found: path("statusReplicasPath")?,
        selector: path("labelSelectorPath").unwrap_or_default(),
    })
}

fn columns(version: &Value) -> Vec<Column> {
    let own = version.get("additionalPrinterColumns");
    let own = own.and_then(Value::as_array).into_iter().flatten();
    let mut columns = vec![Column::name()];
    let mut has_age = false;
    for column in own {
        let text = |name: &str| column.get(name).and_then(Value::as_str).unwrap_or_default();
        let Ok(cell) = path(text("jsonPath")) else {
            continue;
        };
        has_age |= text("name") == "Age";
        columns.push(Column {
            name: text("name").to_owned().into(),
            kind: text("type").to_owned().into(),
            format: "",
            about: match text("description") {
                "" => {
                    let path = text("jsonPath");
                    format!("Custom resource definition column (in JSONPath format): {path}").into()
                }
                about => about.to_owned().into(),
            },
            priority: column
                .get("priority")
                .and_then(Value::as_i64)
                .and_then(|priority| i32::try_from(priority).ok())
                .unwrap_or(0),
            cell,
        });
    }
    if columns.len() == 1 && !has_age {
        columns.push(Column::age());
    }
    columns
}

/// What the definition says.
fn own_schema(version: &Value) -> Value {
    let own = version.pointer("/schema/openAPIV3Schema").cloned();
    let mut own = own.unwrap_or_else(|| json!({}));
    close(&mut own);
    own
}

/// Its schema, with the metadata every object has.
pub(crate) fn document(own: &Value) -> Value {
    let mut own = own.clone();
    let mut made = schemars::SchemaGenerator::default();
    let metadata = made.subschema_for::<ObjectMeta>().to_value();
    schema::embedded::complete(&mut own, &metadata);
    let mut definitions: Map<String, Value> = made.take_definitions(true);
    for (name, definition) in &mut definitions {
        if name.ends_with(".FieldsV1") {
            definition["x-kubernetes-preserve-unknown-fields"] = true.into();
        }
    }
    if let Some(map) = own.as_object_mut() {
        let properties = map.entry("properties").or_insert_with(|| json!({}));
        properties["apiVersion"] = json!({ "type": "string" });
        properties["kind"] = json!({ "type": "string" });
        properties["metadata"] = metadata;
        map.insert("type".to_owned(), "object".into());
        map.insert("$defs".to_owned(), definitions.into());
    }
    own
}

/// What a definition does not name is not known: an object of which nothing is said has nothing.
fn close(schema: &mut Value) {
    match schema {
        Value::Array(list) => list.iter_mut().for_each(close),
        Value::Object(map) => {
            for (name, value) in map.iter_mut() {
                // Values, not schemas.
                if !matches!(name.as_str(), "default" | "enum" | "example") {
                    close(value);
                }
            }
            let preserves = map.get("x-kubernetes-preserve-unknown-fields");
            if map.get("type").is_some_and(|kind| kind == "object")
                && preserves != Some(&Value::Bool(true))
            {
                map.entry("additionalProperties").or_insert(false.into());
            }
        }
        _ => {}
    }
}
