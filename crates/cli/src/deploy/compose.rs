//! Compose files: services, networks, volumes, configs and secrets as a cluster's objects.
//!
//! Owns: what each field means there, and that what means nothing there is named: as a note, where it
//! runs without, as a mistake, where it would be something else. Pure but for the files it names.
//! Never: sends anything, or builds an image.
//!
//! ```text
//!   document ─► interpolated ─► read by path ─► services ─► Deployment, Job or DaemonSet + Service each
//!                                             └ volumes, configs, secrets ─► claims, ConfigMaps, Secrets
//! ```

mod container;
mod dotenv;
mod files;
mod interpolate;
mod mounts;
mod ports;
mod read;
mod services;
#[cfg(test)]
mod tests;
mod words;
mod workload;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::dns_label;
use files::Files;
use read::{Map, Sink};

/// What a compose file is read with.
pub struct Around<'a> {
    /// Its directory, absolute.
    pub dir: &'a Path,
    /// What the deployment is to be called, whatever the file says.
    pub name: Option<&'a str>,
    /// Profiles that are wanted.
    pub profiles: &'a [String],
    /// Files with variables, instead of `.env`.
    pub env_files: &'a [PathBuf],
    /// The environment.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Reads a file, within bounds.
    pub read: &'a dyn Fn(&Path) -> Result<Vec<u8>, String>,
    /// Whether a path is that of a file.
    pub is_file: &'a dyn Fn(&Path) -> bool,
}

/// What it means.
#[derive(Debug, PartialEq)]
pub struct Lowered {
    /// What the deployment is called.
    pub name: String,
    /// The objects, in the order they are to be made in.
    pub objects: Vec<Value>,
    /// What cannot be honoured, and what is otherwise than with docker.
    pub notes: Vec<String>,
}

/// Lowers a compose file.
///
/// # Errors
/// Each mistake, with its path.
pub fn lower(document: Value, around: &Around<'_>) -> Result<Lowered, Vec<String>> {
    let sink = RefCell::new(Sink::default());
    let lowered = whole(document, around, &sink);
    let sink = sink.into_inner();
    match (sink.mistakes.is_empty(), lowered) {
        (true, Some((name, objects))) => Ok(Lowered {
            name,
            objects,
            notes: sink.notes,
        }),
        _ => Err(sink.mistakes),
    }
}

fn whole(
    document: Value,
    around: &Around<'_>,
    sink: &RefCell<Sink>,
) -> Option<(String, Vec<Value>)> {
    let variables = variables(around, sink);
    let look = |name: &str| (around.env)(name).or_else(|| variables.get(name).cloned());
    let document = interpolate::all(document, &look, sink);
    let mut top = Map::of(document, "", sink)?;
    let said = top.text("name");
    // Obsolete, and of no meaning.
    let _ = top.text("version");
    if top.take("include").is_some() {
        top.wrong(
            "include",
            "it is not read; `docker compose config` prints one whole file",
        );
    }
    top.no("models", "there are none here");
    let directory = around.dir.file_name().unwrap_or_default().to_string_lossy();
    let name = around.name.or(said.as_deref()).unwrap_or(&directory);
    let Some(name) = dns_label(name) else {
        top.wrong(
            "name",
            "the deployment needs one: letters, digits and -; --name gives it",
        );
        return None;
    };
    let mut files = Files::read(&name, &mut top, around, &look);
    let networks = files::networks(&mut top);
    let services = top.map("services");
    top.end();
    let Some(services) = services else {
        sink.borrow_mut().wrong("services", "there are none");
        return None;
    };
    let whole = services::Whole {
        name: &name,
        around,
        look: &look,
        networks: &networks,
    };
    let made = services::lower(&whole, services, &mut files);
    let mut objects = files.objects();
    objects.extend(made);
    Some((name, objects))
}

/// What `.env` says, or the files instead of it.
fn variables(around: &Around<'_>, sink: &RefCell<Sink>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let own = [PathBuf::from(".env")];
    let files = match around.env_files.is_empty() {
        true => &own[..],
        false => around.env_files,
    };
    for file in files {
        let path = around.dir.join(file);
        let is_optional = around.env_files.is_empty() && !(around.is_file)(&path);
        if is_optional {
            continue;
        }
        let place = file.display().to_string();
        match (around.read)(&path) {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                for (name, value) in dotenv::read(&place, &text, around.env, sink) {
                    all.insert(name, value.unwrap_or_default());
                }
            }
            Err(why) => sink.borrow_mut().wrong(&place, &why),
        }
    }
    all
}
