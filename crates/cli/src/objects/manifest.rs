//! Manifests: files, directories, the web, standard input and kustomizations, of YAML or JSON, into
//! objects.
//!
//! Owns the splitting of documents and lists. Never: checks what the server checks.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::Value;
use weft_client::cluster::ApiError;
use weft_client::fetch::{FetchError, fetch};
use weft_stdx::file;

use super::choose::Target;
use super::connect::Api;
use super::kustomize;
use super::refusal::during;
use crate::error::CliError;

/// Largest file, in bytes: more than the server takes for one object, for files of many.
const FILE_BYTES_MAX: u64 = 256 << 20;
/// Directories in one another.
const DEPTH_MAX: usize = 64;
/// Variables that other programs find a proxy in.
const PROXIES: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"];

/// Where manifests are.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Sources {
    /// File, directory, pattern (*.yaml) or address (https://...) of manifests; - is standard input
    #[arg(short, long = "filename", value_name = "FILE")]
    pub filename: Vec<PathBuf>,
    /// Directories below directories, too
    #[arg(short = 'R', long)]
    recursive: bool,
    /// Directory with a kustomization.yaml
    #[arg(short = 'k', long, value_name = "DIR", conflicts_with_all = ["filename", "recursive"])]
    kustomize: Option<PathBuf>,
}

impl Sources {
    /// These files.
    pub fn files(filename: Vec<PathBuf>) -> Sources {
        Sources {
            filename,
            ..Sources::default()
        }
    }

    /// Whether none is named.
    pub fn is_empty(&self) -> bool {
        self.filename.is_empty() && self.kustomize.is_none()
    }

    /// They are the only way to say what is meant.
    pub fn required(&self) -> Result<(), CliError> {
        match self.is_empty() {
            true => Err(CliError::usage("must specify -f or -k")),
            false => Ok(()),
        }
    }
}

/// How what is not quoted is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// As kubectl reads files: `yes`, `no`, `on`, `off` are true and false.
    Kubectl,
    /// As kustomize does: they are texts, and `010` is eight.
    Kustomize,
}

/// An object somebody wrote.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// Where, for messages.
    pub place: String,
    /// The object.
    pub object: Value,
}

/// Reads all that `sources` name.
pub async fn read(sources: &Sources) -> Result<Vec<Manifest>, CliError> {
    let mut manifests = Vec::new();
    if let Some(dir) = &sources.kustomize {
        let place = dir.display().to_string();
        for object in kustomize::build(dir, kustomize::Restriction::default())? {
            manifests.push(checked(&place, object)?);
        }
    }
    for path in &sources.filename {
        let text = path.to_string_lossy();
        if text == "-" {
            let input = tokio::task::spawn_blocking(|| bounded(std::io::stdin(), "standard input"));
            let input = input.await.expect("reading does not panic")?;
            objects("STDIN", &input, Dialect::Kubectl, &mut manifests)?;
        } else if text.starts_with("http://") || text.starts_with("https://") {
            let bytes_max = usize::try_from(FILE_BYTES_MAX).unwrap_or(usize::MAX);
            let file = fetch(&text, bytes_max).await;
            let file = file.map_err(|error| not_fetched(&error))?;
            let file = String::from_utf8(file)
                .map_err(|error| CliError::because(format!("read {text}"), &error))?;
            objects(&text, &file, Dialect::Kubectl, &mut manifests)?;
        } else {
            for path in all_files(path, sources.recursive)? {
                let place = path.to_string_lossy().into_owned();
                let file = std::fs::File::open(&path);
                let file =
                    file.map_err(|error| CliError::because(format!("read {place}"), &error))?;
                objects(
                    &place,
                    &bounded(file, &place)?,
                    Dialect::Kubectl,
                    &mut manifests,
                )?;
            }
        }
    }
    match manifests.is_empty() {
        true => Err(CliError::new("no objects passed")),
        false => Ok(manifests),
    }
}

/// A file of the web that was not got; where a proxy was meant to be asked, that is why, perhaps.
fn not_fetched(error: &FetchError) -> CliError {
    let told = CliError::because(error, error);
    let is_set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    match (error, PROXIES.into_iter().find(is_set)) {
        (FetchError::Connect { .. }, Some(name)) => told.hint(format!(
            "weft asks no proxy, whatever {name} says: have curl fetch the file, and give it by `-f -`"
        )),
        _ => told,
    }
}

/// What is in a file, or comes from standard input (`-`), as it is.
pub fn bytes(path: &Path) -> Result<Vec<u8>, CliError> {
    let place = path.to_string_lossy();
    let text = match &*place {
        "-" => bounded(std::io::stdin(), "standard input")?,
        _ => {
            let file = std::fs::File::open(path);
            let file = file.map_err(|error| CliError::because(format!("read {place}"), &error))?;
            bounded(file, &place)?
        }
    };
    Ok(text.into_bytes())
}

fn bounded(from: impl std::io::Read, place: &str) -> Result<String, CliError> {
    let mut text = String::new();
    let read = from.take(FILE_BYTES_MAX + 1).read_to_string(&mut text);
    read.map_err(|error| CliError::because(format!("read {place}"), &error))?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(CliError::new(format!(
            "read {place}: it has more than {FILE_BYTES_MAX} bytes"
        )));
    }
    Ok(text)
}

/// What is in the file at `path`; `tried` is what for.
pub fn whole(path: &Path, tried: &str) -> Result<Vec<u8>, CliError> {
    let because = |error| CliError::because(tried, &error);
    file::read_bounded(path, FILE_BYTES_MAX).map_err(because)
}

/// The files that `path` means, which may be a pattern that no shell has filled in.
fn all_files(path: &Path, recursive: bool) -> Result<Vec<PathBuf>, CliError> {
    let text = path.to_string_lossy();
    if path.exists() || !text.contains(['*', '?', '[']) {
        return files(path, recursive, 0);
    }
    let tried = || format!("read {text}");
    let paths = glob::glob(&text).map_err(|error| CliError::because(tried(), &error))?;
    let mut found = Vec::new();
    for path in paths {
        let path = path.map_err(|error| CliError::because(tried(), &error))?;
        found.extend(files(&path, recursive, 0)?);
    }
    match found.is_empty() {
        true => Err(CliError::new(format!("{}: no file is called so", tried()))),
        false => Ok(found),
    }
}

/// The file, or those of a directory that look like manifests, by name.
fn files(path: &Path, recursive: bool, depth: usize) -> Result<Vec<PathBuf>, CliError> {
    let because = |error| CliError::because(format!("read {}", path.display()), &error);
    if !std::fs::metadata(path).map_err(because)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(path).map_err(because)? {
        entries.push(entry.map_err(because)?.path());
    }
    entries.sort();
    let mut found = Vec::new();
    for entry in entries {
        if entry.is_dir() {
            if recursive && depth < DEPTH_MAX {
                found.extend(files(&entry, recursive, depth + 1)?);
            }
        } else if entry
            .extension()
            .is_some_and(|end| ["yaml", "yml", "json"].iter().any(|known| end == *known))
        {
            found.push(entry);
        }
    }
    Ok(found)
}

/// Splits `text` into objects.
pub fn objects(
    place: &str,
    text: &str,
    dialect: Dialect,
    out: &mut Vec<Manifest>,
) -> Result<(), CliError> {
    for value in values(place, text, dialect)? {
        match value {
            Value::Null => {}
            value if is_list(&value) => {
                for item in value["items"].as_array().into_iter().flatten() {
                    out.push(checked(place, item.clone())?);
                }
            }
            value => out.push(checked(place, value)?),
        }
    }
    Ok(())
}

/// Splits `text` into what its documents say.
pub fn values(place: &str, text: &str, dialect: Dialect) -> Result<Vec<Value>, CliError> {
    let wrong =
        |why: &dyn std::fmt::Display| CliError::new(format!("error parsing {place}: {why}"));
    let mut values: Vec<Value> = Vec::new();
    let mut is_json = text.trim_start().starts_with('{');
    if is_json {
        let read = serde_json::Deserializer::from_str(text).into_iter();
        match read.collect() {
            Ok(read) => values = read,
            // A mapping of YAML may begin so, too.
            Err(_) if dialect == Dialect::Kustomize => is_json = false,
            Err(error) => return Err(wrong(&error)),
        }
    }
    if !is_json {
        for document in documents(text) {
            let is_kustomize = dialect == Dialect::Kustomize;
            let options = serde_saphyr::options! {
                strict_booleans: is_kustomize,
                legacy_octal_numbers: is_kustomize,
            };
            let value = serde_saphyr::from_str_with_options(&document, options);
            let value: Value = value.map_err(|error| wrong(&error))?;
            values.push(value);
        }
    }
    Ok(values)
}

fn is_list(value: &Value) -> bool {
    let kind = value["kind"].as_str().unwrap_or_default();
    kind.ends_with("List") && value["items"].is_array()
}

fn checked(place: &str, object: Value) -> Result<Manifest, CliError> {
    let missing = ["apiVersion", "kind"].into_iter().find(|key| {
        object
            .get(key)
            .and_then(Value::as_str)
            .is_none_or(str::is_empty)
    });
    match missing {
        Some(key) => Err(CliError::new(format!(
            "error validating {place:?}: {key} not set"
        ))),
        None => Ok(Manifest {
            place: place.to_owned(),
            object,
        }),
    }
}

/// YAML documents; those with nothing but comments are none.
fn documents(text: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    for line in text.lines() {
        let is_end = line == "---"
            || line
                .strip_prefix("---")
                .is_some_and(|rest| rest.starts_with([' ', '\t']));
        if is_end {
            // What follows on the same line belongs to the next document.
            all.push(line[3..].trim_start().to_owned() + "\n");
        } else if let Some(last) = all.last_mut() {
            last.push_str(line);
            last.push('\n');
        }
    }
    let says_something = |document: &String| {
        document
            .lines()
            .any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
    };
    all.retain(says_something);
    all
}

impl Manifest {
    /// A refusal met while `doing` something with it: `applying`, `creating`.
    pub fn while_trying(&self, doing: &str, error: ApiError) -> CliError {
        during(error, &format!("error when {doing} {:?}", self.place))
    }

    /// What it is of and where it goes.
    pub async fn target(&self, api: &Api) -> Result<Target, CliError> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (version, kind) = (text(&self.object["apiVersion"]), text(&self.object["kind"]));
        let found = api.kinds().await?.of_object(&version, &kind);
        let Some(found) = found else {
            let place = &self.place;
            return Err(CliError::new(format!(
                "unable to recognize {place:?}: no matches for kind {kind:?} in version {version:?}"
            ))
            .hint(
                "ensure CRDs are installed first; `weft api-resources` lists the types there are",
            ));
        };
        let own = text(&self.object["metadata"]["namespace"]);
        if found.is_namespaced && api.is_namespace_given && !own.is_empty() && own != api.namespace
        {
            return Err(CliError::new(format!(
                "the namespace from the provided object \"{own}\" does not match the namespace \"{}\". You must pass '--namespace={own}' to perform this operation.",
                api.namespace
            )));
        }
        let namespace = match own.is_empty() {
            true => api.namespace.clone(),
            false => own,
        };
        let name = text(&self.object["metadata"]["name"]);
        Ok(Target {
            kind: found.clone(),
            namespace: found.is_namespaced.then_some(namespace),
            name: (!name.is_empty()).then_some(name),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn names(text: &str) -> Result<Vec<String>, CliError> {
        let mut out = Vec::new();
        objects("x.yaml", text, Dialect::Kubectl, &mut out)?;
        let name = |one: &Manifest| one.object["metadata"]["name"].as_str().unwrap().to_owned();
        Ok(out.iter().map(name).collect())
    }

    #[test]
    fn a_pattern_means_the_files_that_fit() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.yaml", "a.yaml", "c.txt", "[x].yaml"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let names = |pattern: &str| {
            let found = all_files(&dir.path().join(pattern), false)?;
            let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
            Ok::<_, CliError>(found.iter().map(name).collect::<Vec<_>>())
        };
        assert_eq!(names("[ab].yaml").unwrap(), ["a.yaml", "b.yaml"]);
        assert_eq!(names("*.txt").unwrap(), ["c.txt"]);
        // What is called so is meant, whatever else the name could mean.
        assert_eq!(names("[x].yaml").unwrap(), ["[x].yaml"]);
        assert!(names("*.json").is_err());
        assert!(names("none.yaml").is_err());
    }

    #[test]
    fn documents_and_lists_come_apart() {
        let one =
            |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: {name} }}\n");
        let text = format!(
            "# only a comment\n---\n{}---\n---\n{}--- # two\n{}",
            one("a"),
            one("b"),
            one("c")
        );
        assert_eq!(names(&text).unwrap(), ["a", "b", "c"]);
        let json = r#"{"apiVersion":"v1","kind":"A","metadata":{"name":"a"}}"#;
        assert_eq!(names(&format!("{json}\n{json}\n")).unwrap(), ["a", "a"]);
        let list = format!(r#"{{"apiVersion":"v1","kind":"List","items":[{json}]}}"#);
        assert_eq!(names(&list).unwrap(), ["a"]);
        assert!(names("").unwrap().is_empty());
        for wrong in [
            "a: [",
            "kind: A",
            "apiVersion: v1",
            "- a",
            "just text",
            "{\"kind\"",
        ] {
            assert!(names(wrong).is_err(), "{wrong}");
        }
    }
}
