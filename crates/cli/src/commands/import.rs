//! `weft import`

use std::path::Path;

use weft_client::Import;

use super::load::{open, upload};
use super::pull::split_name;
use crate::error::CliError;
use crate::render::progress::{Show, follow};
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = verb!(
    "import",
    Args,
    "Make an image of a root filesystem in a tar archive"
);

/// Flags of `import`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Apply a Dockerfile instruction to the image
    #[arg(short, long, value_name = "INSTRUCTION")]
    change: Vec<String>,
    /// Comment in the image's history
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// Platform of the image: OS/ARCH[/VARIANT]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,
    /// Archive to read; - for stdin
    #[arg(value_name = "FILE|-")]
    source: String,
    /// Name of the image
    #[arg(value_name = "NAME[:TAG]")]
    name: Option<String>,
}

impl Args {
    /// Makes an image of the archive and prints its id.
    pub async fn run(self, session: &Session) -> Outcome {
        if self.source.starts_with("http://") || self.source.starts_with("https://") {
            return Err(CliError::usage(format!(
                "import {}: addresses are not supported, only files are",
                self.source
            ))
            .hint(format!("curl -fsSL {} | weft import -", self.source)));
        }
        let path = (self.source != "-").then(|| Path::new(&self.source));
        let archive = open(path)?;
        let (repo, tag) = match &self.name {
            None => (None, None),
            Some(name) => {
                let (repo, tag) = split_name(name);
                (Some(repo.to_owned()), tag.map(str::to_owned))
            }
        };
        let import = Import {
            repo,
            tag,
            message: self.message.clone(),
            changes: self.change.clone(),
            platform: self.platform.clone(),
        };
        let engine = session.engine().await?;
        let lines = engine.import_image(&import, upload(archive)).await?;
        // The id comes as a status, and is the result.
        let id = follow_for_id(session, lines).await?;
        session.printer.line(&id)?;
        Ok(0)
    }
}

async fn follow_for_id(
    session: &Session,
    lines: weft_client::JsonLines<weft_api::docker::JsonMessage>,
) -> Result<String, CliError> {
    let mut id = String::new();
    let last = follow(lines, session.printer, Show::Nothing, |line| {
        line.clone_into(&mut id);
        Ok(())
    })
    .await?;
    Ok(if id.is_empty() { last } else { id })
}
