//! `weft load`, and sending files as request bodies, which `import` and `cp` do too.

use std::io::{IsTerminal as _, Read};
use std::path::{Path, PathBuf};

use tokio::sync::mpsc;
use weft_client::{Bytes, Upload};

use crate::error::CliError;
use crate::render::progress::{Show, follow};
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// Pieces read ahead of the connection.
const PIECES_MAX: usize = 4;
/// Size of one piece, in bytes.
const PIECE_BYTES: usize = 256 << 10;

/// The command.
pub const VERB: Entry = verb!("load", Args, "Take in images from a tar archive");

/// Flags of `load`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Archive to read instead of stdin
    #[arg(short, long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Do not show progress
    #[arg(short, long)]
    quiet: bool,
}

impl Args {
    /// Takes in the images.
    pub async fn run(self, session: &Session) -> Outcome {
        if self.input.is_none() && std::io::stdin().is_terminal() && !session.is_explaining() {
            return Err(CliError::usage(
                "requested load from stdin, but stdin is empty",
            ));
        }
        let archive = open(self.input.as_deref())?;
        let engine = session.engine().await?;
        let lines = engine.load_images(self.quiet, upload(archive)).await?;
        let show = if self.quiet {
            Show::Nothing
        } else {
            Show::Progress
        };
        follow(lines, session.printer, show, |line| {
            session.printer.line(line)
        })
        .await?;
        Ok(0)
    }
}

/// Opens a file, or stdin for none.
pub fn open(path: Option<&Path>) -> Result<Box<dyn Read + Send>, CliError> {
    match path {
        None => Ok(Box::new(std::io::stdin())),
        Some(path) => match open_file(path) {
            Ok(file) => Ok(Box::new(file)),
            Err(error) => Err(CliError::because(
                format!("open {}", path.display()),
                &error,
            )),
        },
    }
}

/// A directory opens well, and fails only when it is read.
fn open_file(path: &Path) -> std::io::Result<std::fs::File> {
    let file = std::fs::File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(std::io::ErrorKind::IsADirectory.into());
    }
    Ok(file)
}

/// Sends what a reader holds: it is read in a thread, as far ahead as the bound lets it.
pub fn upload(mut reader: impl Read + Send + 'static) -> Upload {
    let (sender, receiver) = mpsc::channel(PIECES_MAX);
    std::thread::spawn(move || {
        loop {
            let mut piece = vec![0; PIECE_BYTES];
            let read = match reader.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => {
                    piece.truncate(count);
                    Ok(Bytes::from(piece))
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let last = read.is_err();
            if sender.blocking_send(read).is_err() || last {
                break;
            }
        }
    });
    receiver
}
