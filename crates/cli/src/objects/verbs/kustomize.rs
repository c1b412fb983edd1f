//! `weft kustomize`: the objects that a directory describes, as text.

use std::path::{Path, PathBuf};

use serde_json::Value;
use weft_stdx::yaml;

use crate::error::CliError;
use crate::objects::kustomize::{self, Id, Restriction};
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// It.
pub const VERB: Entry = verb!(
    "kustomize",
    Kustomize,
    "Print the objects that a kustomization.yaml describes"
);

/// Flags of `kustomize`.
#[derive(Debug, clap::Args)]
pub struct Kustomize {
    /// Directory with a kustomization.yaml
    #[arg(value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// File to write to instead of standard output, or a directory for a file of each object
    #[arg(short, long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// From where files may be read
    #[arg(long, value_name = "WHERE", default_value = "LoadRestrictionsRootOnly")]
    load_restrictor: Restriction,
}

impl Kustomize {
    /// Builds and prints.
    #[allow(clippy::unused_async)]
    pub async fn run(self, session: &Session) -> Outcome {
        let values = kustomize::build(&self.dir, self.load_restrictor)?;
        let documents: Vec<String> = values.iter().map(yaml::document).collect();
        match &self.output {
            None => session.printer.data(&documents.join("---\n"))?,
            Some(dir) if dir.is_dir() => {
                for (name, text) in file_names(&values).into_iter().zip(&documents) {
                    write(&dir.join(name), text)?;
                }
            }
            Some(path) => write(path, &documents.join("---\n"))?,
        }
        Ok(0)
    }
}

fn write(path: &Path, text: &str) -> Result<(), CliError> {
    let because = |error| CliError::because(format!("write {}", path.display()), &error);
    std::fs::write(path, text).map_err(because)
}

/// What the files of objects are called: of what they are and how they are called, with their
/// namespaces where there is more than one.
fn file_names(values: &[Value]) -> Vec<String> {
    let ids: Vec<Id> = values.iter().map(Id::of).collect();
    let mut spaces: Vec<&str> = ids.iter().map(Id::space).collect();
    spaces.retain(|space| !space.is_empty());
    spaces.sort_unstable();
    spaces.dedup();
    let name = |id: &Id| {
        let space = if spaces.len() > 1 { id.space() } else { "" };
        let parts = [space, &id.group, &id.version, &id.kind, &id.name];
        let parts = parts.into_iter().filter(|part| !part.is_empty());
        // A name is whatever was written; it must not be a way to elsewhere.
        let parts: Vec<String> = parts.map(|part| part.replace('/', "_")).collect();
        format!("{}.yaml", parts.join("_").to_lowercase())
    };
    ids.iter().map(name).collect()
}
