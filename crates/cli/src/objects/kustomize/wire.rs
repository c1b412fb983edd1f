//! `kustomization.yaml`: its fields, read so that each one is either honoured or refused by name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::CliError;

/// What a kustomization may be called; one of them.
pub const NAMES: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// What kustomize has and this has not, and what to do instead.
const REFUSED: [(&str, &str); 14] = [
    (
        "buildMetadata",
        "write the annotations or labels with `commonAnnotations` or `labels`",
    ),
    (
        "configurations",
        "change fields that kustomize does not know with `patches`",
    ),
    (
        "crds",
        "name objects of own kinds in full, or change them with `patches`",
    ),
    (
        "generators",
        "run the program yourself, and name the file it writes in `resources`",
    ),
    (
        "helmChartInflationGenerator",
        "`helm template` writes a file to name in `resources`",
    ),
    (
        "helmCharts",
        "`helm template` writes a file to name in `resources`",
    ),
    (
        "helmGlobals",
        "`helm template` writes a file to name in `resources`",
    ),
    ("imageTags", "use `images`, which took its place"),
    (
        "inventory",
        "`weft delete -k DIR` deletes what a kustomization describes",
    ),
    (
        "openapi",
        "lists of own kinds are replaced by patches; write them whole, or as JSON patches",
    ),
    ("transformers", "use the fields of the kustomization itself"),
    (
        "validators",
        "the server checks what it is given; `weft apply --dry-run=server` asks it",
    ),
    ("vars", "write the value where it is needed, with `patches`"),
    ("metadataTemplate", "use `commonAnnotations` or `labels`"),
];

/// All that is honoured.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Kustomization {
    api_version: Option<String>,
    kind: Option<String>,
    metadata: Value,
    pub resources: Vec<String>,
    pub bases: Vec<String>,
    pub components: Vec<String>,
    pub namespace: String,
    pub name_prefix: String,
    pub name_suffix: String,
    pub common_labels: BTreeMap<String, String>,
    pub labels: Vec<Label>,
    pub common_annotations: BTreeMap<String, String>,
    pub images: Vec<Image>,
    pub replicas: Vec<Replica>,
    pub config_map_generator: Vec<Generator>,
    pub secret_generator: Vec<Generator>,
    pub generator_options: Options,
    pub patches: Vec<Patch>,
    pub patches_strategic_merge: Vec<String>,
    #[serde(rename = "patchesJson6902")]
    pub patches_json: Vec<Patch>,
    pub replacements: Vec<Replacement>,
    pub sort_options: Sort,
}

/// An entry of `labels`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Label {
    pub pairs: BTreeMap<String, String>,
    pub include_selectors: bool,
    pub include_templates: bool,
}

/// An entry of `images`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Image {
    pub name: String,
    pub new_name: String,
    pub new_tag: String,
    pub digest: String,
}

/// An entry of `replicas`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Replica {
    pub name: String,
    pub count: i64,
}

/// An entry of `configMapGenerator` or `secretGenerator`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Generator {
    pub name: String,
    pub namespace: String,
    pub behavior: String,
    pub literals: Vec<String>,
    pub files: Vec<String>,
    pub envs: Vec<String>,
    pub env: String,
    /// Of secrets only.
    #[serde(rename = "type")]
    pub of_type: String,
    pub options: Options,
}

/// What generated objects have besides their data.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Options {
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
    pub disable_name_suffix_hash: bool,
    pub immutable: bool,
}

/// An entry of `patches` or `patchesJson6902`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Patch {
    pub path: String,
    pub patch: String,
    pub target: Option<Target>,
    pub options: Allowed,
}

/// Which objects a patch is for.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Target {
    #[serde(flatten)]
    pub of: Selector,
    pub label_selector: String,
    pub annotation_selector: String,
}

/// Objects by what they are and are called.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Selector {
    pub group: String,
    pub version: String,
    pub kind: String,
    pub name: String,
    pub namespace: String,
}

/// An entry of `replacements`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Replacement {
    pub path: String,
    pub source: Option<Source>,
    pub targets: Vec<Into>,
}

/// Where a replacement's value is from.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Source {
    #[serde(flatten)]
    pub of: Selector,
    pub field_path: String,
    pub options: Part,
}

/// Where a replacement's value goes.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Into {
    pub select: Option<Selector>,
    pub reject: Vec<Selector>,
    pub field_paths: Vec<String>,
    pub options: Part,
}

/// Which part of a value.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Part {
    pub delimiter: String,
    pub index: i64,
    pub create: bool,
}

impl Replacement {
    /// Reads those of a file of their own: one, or a list.
    pub fn read(value: Value, place: &str) -> Result<Vec<Replacement>, CliError> {
        let list = match value {
            Value::Array(list) => list,
            one => vec![one],
        };
        known(&without_nulls(list.into()), place)
    }
}

/// What else a patch may change.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Allowed {
    pub allow_name_change: bool,
    pub allow_kind_change: bool,
}

/// `sortOptions`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Sort {
    pub order: String,
    legacy_sort_options: Option<Value>,
}

impl Kustomization {
    /// Reads that of `place`; a component where `is_component` says so.
    pub fn parse(text: &str, place: &str, is_component: bool) -> Result<Kustomization, CliError> {
        let wrong = |why: &dyn std::fmt::Display| CliError::new(format!("read {place}: {why}"));
        let read: Value = serde_saphyr::from_str(text).map_err(|error| wrong(&error))?;
        let Value::Object(fields) = &read else {
            return Err(wrong(&"it is empty, or no mapping of fields"));
        };
        if fields.is_empty() {
            return Err(wrong(&"it is empty"));
        }
        let mut refused = Vec::new();
        let mut rest = serde_json::Map::new();
        for (name, value) in fields {
            match REFUSED.iter().find(|(field, _)| field == name) {
                Some(found) => refused.push(found),
                None if value.is_null() => drop(rest.insert(name.clone(), Value::Null)),
                None => drop(rest.insert(name.clone(), value.clone())),
            }
        }
        if !refused.is_empty() {
            let names: Vec<&str> = refused.iter().map(|(name, _)| *name).collect();
            let message = format!("it has what weft does not do: {}", names.join(", "));
            let hint = |told: CliError, (name, instead): &&(&str, &str)| {
                told.hint(format!("{name}: {instead}"))
            };
            return Err(refused.iter().fold(wrong(&message), hint));
        }
        let told: Kustomization = known(&without_nulls(rest.into()), place)?;
        told.check(is_component).map_err(|why| wrong(&why))?;
        Ok(told)
    }

    fn check(&self, is_component: bool) -> Result<(), String> {
        let wanted = match is_component {
            true => "Component",
            false => "Kustomization",
        };
        match self.kind.as_deref() {
            Some(kind) if kind == wanted => {}
            None if !is_component => {}
            found => {
                let found = found.unwrap_or("none");
                return Err(format!(
                    "its kind is {found}; one of kind {wanted} is asked for here"
                ));
            }
        }
        let versions = [
            "kustomize.config.k8s.io/v1beta1",
            "kustomize.config.k8s.io/v1alpha1",
        ];
        match self.api_version.as_deref() {
            Some(version) if !versions.contains(&version) => Err(format!(
                "its apiVersion is {version:?}; {} are known",
                versions.join(" and ")
            )),
            _ => Ok(()),
        }
    }

    /// Whether objects come out as they were read.
    pub fn is_first_in_first_out(&self, place: &str) -> Result<bool, CliError> {
        let wrong = |why: String| Err(CliError::new(format!("read {place}: sortOptions: {why}")));
        match (
            &*self.sort_options.order,
            &self.sort_options.legacy_sort_options,
        ) {
            (_, Some(_)) => {
                wrong("legacySortOptions is not done: order is legacy or fifo".to_owned())
            }
            ("fifo", None) => Ok(true),
            ("" | "legacy", None) => Ok(false),
            (other, None) => wrong(format!("order {other:?} is neither legacy nor fifo")),
        }
    }
}

/// Takes what was written if all of it is known.
fn known<T: Serialize + for<'de> Deserialize<'de>>(
    written: &Value,
    place: &str,
) -> Result<T, CliError> {
    let wrong = |why: &dyn std::fmt::Display| CliError::new(format!("read {place}: {why}"));
    let told: T = serde_path_to_error::deserialize(written).map_err(|error| wrong(&error))?;
    let understood = serde_json::to_value(&told).map_err(|error| wrong(&error))?;
    let mut unknown = Vec::new();
    differ(written, &understood, "", &mut unknown);
    if !unknown.is_empty() {
        let message = format!("it has fields that are not known: {}", unknown.join(", "));
        return Err(wrong(&message).hint("they are misspelled, or not done here"));
    }
    Ok(told)
}

/// Fields that say nothing are as if they were left out.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let said = map.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(
                said.map(|(name, value)| (name, without_nulls(value)))
                    .collect(),
            )
        }
        Value::Array(list) => list.into_iter().map(without_nulls).collect(),
        other => other,
    }
}

/// What was written and is not among what was understood.
fn differ(written: &Value, understood: &Value, path: &str, unknown: &mut Vec<String>) {
    match (written, understood) {
        (Value::Object(written), Value::Object(understood)) => {
            for (name, value) in written {
                let path = match path {
                    "" => name.clone(),
                    path => format!("{path}.{name}"),
                };
                match understood.get(name) {
                    Some(understood) => differ(value, understood, &path, unknown),
                    None => unknown.push(path),
                }
            }
        }
        (Value::Array(written), Value::Array(understood)) => {
            for (at, (value, understood)) in written.iter().zip(understood).enumerate() {
                differ(value, understood, &format!("{path}[{at}]"), unknown);
            }
        }
        _ => {}
    }
}
