//! `configMapGenerator` and `secretGenerator`: objects of files, lines and pairs.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::id::Resource;
use super::load::{Loads, Root};
use super::target::append;
use super::wire::{Generator, Kustomization, Options};
use crate::error::CliError;

/// Letters of base64 on a line, where it has more than one.
const LINE: usize = 70;

/// Makes what `file` has generators for, or changes what is there.
pub fn run(
    file: &Kustomization,
    place: &str,
    root: &Root,
    loads: &Loads,
    all: &mut Vec<Resource>,
) -> Result<(), CliError> {
    let maps = file
        .config_map_generator
        .iter()
        .map(|one| ("ConfigMap", one));
    let secrets = file.secret_generator.iter().map(|one| ("Secret", one));
    for (kind, generator) in maps.chain(secrets) {
        let place = format!("{place}: {kind} {:?}", generator.name);
        let wrong = |why: &str| CliError::new(format!("generate {place}: {why}"));
        if generator.name.is_empty() {
            return Err(wrong("it has no name"));
        }
        if kind == "ConfigMap" && !generator.of_type.is_empty() {
            return Err(wrong("unknown field: type; only secrets have one"));
        }
        let pairs = pairs(generator, &place, root, loads)?;
        let options = joined(&file.generator_options, &generator.options);
        let mut new = Resource::new(object(kind, generator, &options, pairs), &place);
        new.is_hashed = !options.disable_name_suffix_hash;
        match &*generator.behavior {
            "" | "create" => append(all, new)?,
            how @ ("merge" | "replace") => {
                let id = new.id();
                let old = all
                    .iter_mut()
                    .filter(|one| one.ids().any(|own| own.is_like(&id)));
                let mut old: Vec<&mut Resource> = old.collect();
                let [old] = &mut *old else {
                    let count = old.len();
                    let message = format!("to {how} it there must be one, and there are {count}");
                    return Err(wrong(&message).hint("name it as its base does"));
                };
                change(old, new, how == "merge");
            }
            other => {
                let message = format!("behavior {other:?} is none of create, merge and replace");
                return Err(wrong(&message));
            }
        }
    }
    Ok(())
}

/// What one generator says, with what all say.
fn joined(all: &Options, own: &Options) -> Options {
    let both = |all: &BTreeMap<String, String>, own: &BTreeMap<String, String>| {
        let pairs = all.iter().chain(own);
        pairs
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    };
    Options {
        labels: both(&all.labels, &own.labels),
        annotations: both(&all.annotations, &own.annotations),
        disable_name_suffix_hash: all.disable_name_suffix_hash || own.disable_name_suffix_hash,
        immutable: all.immutable || own.immutable,
    }
}

fn object(
    kind: &str,
    generator: &Generator,
    options: &Options,
    pairs: BTreeMap<String, Vec<u8>>,
) -> Value {
    let mut metadata = Map::new();
    metadata.insert("name".to_owned(), generator.name.as_str().into());
    if !generator.namespace.is_empty() {
        metadata.insert("namespace".to_owned(), generator.namespace.as_str().into());
    }
    for (field, pairs) in [
        ("labels", &options.labels),
        ("annotations", &options.annotations),
    ] {
        if !pairs.is_empty() {
            metadata.insert(field.to_owned(), json!(pairs));
        }
    }
    let mut object = json!({ "apiVersion": "v1", "kind": kind, "metadata": metadata });
    if kind == "Secret" {
        object["type"] = match &*generator.of_type {
            "" => "Opaque".into(),
            of_type => of_type.into(),
        };
    }
    for (key, bytes) in pairs {
        match String::from_utf8(bytes) {
            Ok(text) if kind == "ConfigMap" => object["data"][key] = text.into(),
            Ok(text) => object["data"][key] = encoded(text.as_bytes()).into(),
            Err(error) if kind == "ConfigMap" => {
                object["binaryData"][key] = encoded(error.as_bytes()).into();
            }
            Err(error) => object["data"][key] = encoded(error.as_bytes()).into(),
        }
    }
    if options.immutable {
        object["immutable"] = true.into();
    }
    object
}

/// Base64, in lines where it is long.
fn encoded(bytes: &[u8]) -> String {
    let text = STANDARD.encode(bytes);
    if text.len() <= LINE {
        return text;
    }
    let mut lines = String::new();
    for (at, letter) in text.chars().enumerate() {
        if at > 0 && at % LINE == 0 {
            lines.push('\n');
        }
        lines.push(letter);
    }
    lines + "\n"
}

/// Changes what a base made: its name stays.
fn change(old: &mut Resource, new: Resource, is_merge: bool) {
    let id = old.id();
    let mut value = new.value;
    for field in ["data", "binaryData"] {
        if let (true, Value::Object(before)) = (is_merge, old.value[field].take()) {
            add(&mut value[field], before);
        }
        if value[field].is_null() {
            value.as_object_mut().map(|map| map.remove(field));
        }
    }
    for field in ["labels", "annotations"] {
        if let Value::Object(before) = old.metadata().remove(field).unwrap_or_default() {
            add(&mut value["metadata"][field], before);
        }
    }
    if is_merge && let Some(kept) = old.value.get("immutable") {
        value["immutable"] = kept.clone();
    }
    old.value = value;
    let metadata = old.metadata();
    metadata.insert("name".to_owned(), id.name.into());
    match &*id.namespace {
        "" => drop(metadata.remove("namespace")),
        space => drop(metadata.insert("namespace".to_owned(), space.into())),
    }
    old.is_hashed |= new.is_hashed;
}

/// Adds what is not there.
fn add(value: &mut Value, before: Map<String, Value>) {
    if value.is_null() {
        *value = Map::new().into();
    }
    if let Value::Object(map) = value {
        for (key, one) in before {
            map.entry(key).or_insert(one);
        }
    }
}

/// What it holds, of all its sources.
fn pairs(
    generator: &Generator,
    place: &str,
    root: &Root,
    loads: &Loads,
) -> Result<BTreeMap<String, Vec<u8>>, CliError> {
    let wrong = |why: String| CliError::new(format!("generate {place}: {why}"));
    let mut all = BTreeMap::new();
    let mut put = |key: &str, bytes: Vec<u8>| {
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        if key.is_empty() || !key.chars().all(is_plain) || key.len() > 253 {
            let why = format!("{key:?} is no key: letters, digits, - _ and . are");
            return Err(wrong(why));
        }
        match all.insert(key.to_owned(), bytes) {
            Some(_) => Err(wrong(format!("{key:?} is given more than once"))),
            None => Ok(()),
        }
    };
    let env = Some(&generator.env).filter(|env| !env.is_empty());
    for file in generator.envs.iter().chain(env) {
        let text = loads.text(root, file)?;
        for line in text
            .trim_start_matches('\u{feff}')
            .lines()
            .map(str::trim_start)
        {
            if !line.is_empty() && !line.starts_with('#') {
                let (key, value) = line.split_once('=').unwrap_or((line, ""));
                put(key, value.as_bytes().to_vec())?;
            }
        }
    }
    for literal in &generator.literals {
        let Some((key, value)) = literal.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            return Err(wrong(format!("literal {literal:?} is not KEY=VALUE")));
        };
        put(key, unquoted(value).as_bytes().to_vec())?;
    }
    for file in &generator.files {
        let (key, path) = match file.split_once('=') {
            Some((key, path)) => (key, path),
            None => (file.rsplit('/').next().unwrap_or(file), &**file),
        };
        put(key, loads.bytes(root, path)?)?;
    }
    Ok(all)
}

/// Without the quotes around it.
fn unquoted(value: &str) -> &str {
    let within = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    within('"').or_else(|| within('\'')).unwrap_or(value)
}
