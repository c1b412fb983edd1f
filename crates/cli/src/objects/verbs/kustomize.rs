//! `weft kustomize`: the objects that a directory describes, as text.

use std::path::{Path, PathBuf};

use serde_json::Value;
use weft_stdx::yaml;

use crate::error::CliError;
use crate::objects::kustomize::{self, Restriction};
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
                for (value, text) in values.iter().zip(&documents) {
                    write(&dir.join(file_name(value)), text)?;
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

/// What an object's file is called: what it is of, and its name.
fn file_name(value: &Value) -> String {
    let parts = [
        &value["metadata"]["namespace"],
        &value["apiVersion"],
        &value["kind"],
        &value["metadata"]["name"],
    ];
    let parts = parts.into_iter().filter_map(Value::as_str);
    // A name is whatever was written; it must not be a way to elsewhere.
    let parts: Vec<String> = parts.map(|part| part.replace('/', "_")).collect();
    format!("{}.yaml", parts.join("_").to_lowercase())
}
