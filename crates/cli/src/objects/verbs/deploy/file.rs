//! The file that is deployed: where it is, what it is, and what its deployment is called.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::deploy::compose::{self, Around};
use crate::deploy::{Format, dns_label};
use crate::error::CliError;
use crate::objects::manifest::{self, Dialect, Manifest, bytes, values};

/// Names of compose files in a directory, the best first, as docker's.
const COMPOSE: [&str; 4] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yaml",
    "docker-compose.yml",
];
/// Largest of the files that a compose file names: what a config map may hold is less.
const NAMED_BYTES_MAX: u64 = 1 << 20;

/// Flags about it.
#[derive(Debug, clap::Args)]
pub(super) struct Source {
    /// Knit's JSON, manifests or a compose file; a directory with a compose file; - is standard input
    #[arg(value_name = "FILE", required = true)]
    file: PathBuf,
    /// What the deployment is called [default: what the file says, else its directory or the file itself]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Services of this profile of a compose file, too; several times for several
    #[arg(long, value_name = "NAME")]
    profile: Vec<String>,
    /// File with variables of a compose file [default: .env beside it]
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
}

/// What is to be deployed.
#[derive(Debug)]
pub(super) struct Deployment {
    pub(super) name: String,
    pub(super) format: Format,
    pub(super) objects: Vec<Manifest>,
    /// What cannot be honoured.
    pub(super) notes: Vec<String>,
}

impl Source {
    /// Reads it.
    pub(super) fn read(&self) -> Result<Deployment, CliError> {
        let path = self.path()?;
        let place = path.to_string_lossy().into_owned();
        let text = String::from_utf8(bytes(&path)?)
            .map_err(|error| CliError::because(format!("read {place}"), &error))?;
        let documents = values(&place, &text, Dialect::Kubectl)?;
        let format = Format::of(&documents)
            .map_err(|why| CliError::new(format!("deploy {place}: {why}")))?;
        if format != Format::Compose && (!self.profile.is_empty() || !self.env_file.is_empty()) {
            let message = "--profile and --env-file are about compose files, and this is none";
            return Err(CliError::usage(message));
        }
        match format {
            Format::Knit => self.knit(&place, documents),
            Format::Manifests => self.manifests(&path, &text),
            Format::Compose => self.compose(&path, &text),
        }
    }

    /// The file that a directory means.
    fn path(&self) -> Result<PathBuf, CliError> {
        if !self.file.is_dir() {
            return Ok(self.file.clone());
        }
        let mut files = COMPOSE.iter().map(|name| self.file.join(name));
        files.find(|path| path.exists()).ok_or_else(|| {
            let names = COMPOSE.join(", ");
            CliError::new(format!(
                "deploy {}: the directory has none of {names}",
                self.file.display()
            ))
        })
    }

    fn knit(&self, place: &str, documents: Vec<Value>) -> Result<Deployment, CliError> {
        let mut object = documents
            .into_iter()
            .find(|one| !one.is_null())
            .unwrap_or_default();
        if let Some(name) = &self.name {
            object["name"] = name.as_str().into();
        }
        let name = object["name"].as_str().unwrap_or_default().to_owned();
        let place = place.to_owned();
        Ok(Deployment {
            name,
            format: Format::Knit,
            objects: vec![Manifest { place, object }],
            notes: Vec::new(),
        })
    }

    fn manifests(&self, path: &Path, text: &str) -> Result<Deployment, CliError> {
        let name = match &self.name {
            Some(name) => label(name)?,
            None => path
                .file_stem()
                .filter(|_| path != Path::new("-"))
                .and_then(|stem| dns_label(&stem.to_string_lossy()))
                .ok_or_else(|| nameless(path))?,
        };
        let mut objects = Vec::new();
        manifest::objects(
            &path.to_string_lossy(),
            text,
            Dialect::Kubectl,
            &mut objects,
        )?;
        Ok(Deployment {
            name,
            format: Format::Manifests,
            objects,
            notes: Vec::new(),
        })
    }

    fn compose(&self, path: &Path, text: &str) -> Result<Deployment, CliError> {
        let place = path.to_string_lossy().into_owned();
        // As compose reads them: `yes` is a text, and 0440 is octal.
        let documents = values(&place, text, Dialect::Kustomize)?;
        let document = documents
            .into_iter()
            .find(|one| !one.is_null())
            .unwrap_or_default();
        let dir = match path.parent().filter(|_| path != Path::new("-")) {
            Some(parent) if parent != Path::new("") => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let dir = std::path::absolute(&dir)
            .and_then(|dir| dir.canonicalize())
            .map_err(|error| CliError::because(format!("read {}", dir.display()), &error))?;
        let name = self.name.as_deref().map(label).transpose()?;
        let read = |path: &Path| {
            let read = weft_stdx::file::read_bounded(path, NAMED_BYTES_MAX);
            read.map_err(|error| error.to_string())
        };
        let around = Around {
            dir: &dir,
            name: name.as_deref(),
            profiles: &self.profile,
            env_files: &self.env_file,
            env: &|name| std::env::var(name).ok(),
            read: &read,
            is_file: &|path| path.is_file(),
        };
        let lowered = compose::lower(document, &around).map_err(|mistakes| {
            let told = mistakes.join("\n  ");
            CliError::new(format!("deploy {place}:\n  {told}"))
        })?;
        let objects = lowered.objects.into_iter().map(|object| Manifest {
            place: place.clone(),
            object,
        });
        Ok(Deployment {
            name: lowered.name,
            format: Format::Compose,
            objects: objects.collect(),
            notes: lowered.notes,
        })
    }
}

fn label(name: &str) -> Result<String, CliError> {
    match weft_stdx::names::dns_label(name) {
        Ok(()) => Ok(name.to_owned()),
        Err(why) => Err(CliError::usage(format!("--name {name:?}: {why}"))),
    }
}

fn nameless(path: &Path) -> CliError {
    CliError::usage(format!("deploy {}: what is it called?", path.display())).hint("--name says it")
}
