//! `weft save`

use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use weft_client::Bytestream;

use crate::error::CliError;
use crate::session::Session;
use crate::terminal::pump::copy_stream;
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = verb!("save", Args, "Write images to a tar archive");

/// Flags of `save`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    to: Destination,
    /// Images to save
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
}

impl Args {
    /// Writes the images as a tar archive.
    pub async fn run(self, session: &Session) -> Outcome {
        self.to.check(session, "save")?;
        let engine = session.engine().await?;
        self.to
            .take(engine.save_images(&self.images).await?)
            .await?;
        Ok(0)
    }
}

/// Where an archive goes.
#[derive(Debug, clap::Args)]
pub struct Destination {
    /// File to write instead of stdout
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Destination {
    /// # Errors
    /// It would go to a terminal; `doing` is what was asked for.
    pub fn check(&self, session: &Session, doing: &str) -> Result<(), CliError> {
        let to_terminal = self.output.is_none() && std::io::stdout().is_terminal();
        if to_terminal && !session.is_explaining() {
            return Err(CliError::usage(format!(
                "cowardly refusing to {doing} to a terminal; use the -o flag or redirect",
            )));
        }
        Ok(())
    }

    /// Takes all of `archive`.
    pub async fn take(&self, archive: Bytestream) -> Result<(), CliError> {
        match &self.output {
            Some(path) => to_file(archive, path).await,
            None => copy_stream(archive, false).await,
        }
    }
}

/// Writes a stream to a file that appears once it is complete.
async fn to_file(mut bytes: Bytestream, path: &Path) -> Result<(), CliError> {
    let tried =
        |error: &std::io::Error| CliError::because(format!("write {}", path.display()), error);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(name);
    let mut file = std::fs::File::create_new(&part).map_err(|error| tried(&error))?;
    let written = async {
        while let Some(piece) = bytes.next().await? {
            file.write_all(&piece).map_err(|error| tried(&error))?;
        }
        std::fs::rename(&part, path).map_err(|error| tried(&error))
    };
    let written: Result<(), CliError> = written.await;
    if written.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    written
}
