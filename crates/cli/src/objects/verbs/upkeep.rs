//! `weft system backup`, `check` and `rotate-key`: what is done to a server as a whole.
//!
//! Never: what is done where no server runs (`weft system restore`, and `check` there).

use std::io;
use std::path::{Path, PathBuf};

use weft_client::cluster::ApiError;
use weft_client::{Bytestream, Request};
use weft_stdx::file::Pending;
use weft_stdx::parts::{BACKUP, Passing};

use crate::error::CliError;
use crate::objects::connect::{Api, Connect};
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// Takes one.
pub const BACKUP_VERB: Entry = verb!(
    "backup",
    Backup,
    "Write all that a running server needs to begin again into a file"
);

/// Another key.
pub const ROTATE_KEY: Entry = verb!(
    "rotate-key",
    RotateKey,
    "Seal a server's secrets with a new key, and drop the old one"
);

/// How it is.
pub const CHECK: Entry = verb!(
    "check",
    Check,
    "Check a server, running or not, or a backup"
);

/// Flags of `system backup`.
#[derive(Debug, clap::Args)]
pub struct Backup {
    /// Where it goes; what is there is replaced once the backup is whole. -: standard output
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    connect: Connect,
}

impl Backup {
    /// Takes it.
    pub async fn run(self, session: &Session) -> Outcome {
        let api = Api::open(&self.connect, session)?;
        let request = Request::get("take a backup", &["system", "backup"]);
        let mut bytes = api.cluster.bytes(&request).await?;
        if self.file == Path::new("-") {
            let mut out = io::stdout().lock();
            copy(&mut bytes, &mut out, Path::new("standard output")).await?;
            return Ok(0);
        }
        let file = std::path::absolute(&self.file);
        let file = file.map_err(|error| CliError::because("name the backup", &error))?;
        let length = take(&mut bytes, &file).await?;
        session.printer.talk(&format!(
            "{}: {length} bytes; whoever has it is master of the server: keep it as its keys",
            self.file.display()
        ));
        Ok(0)
    }
}

/// Writes a backup beside its place; it has its name when it is whole and on disk.
async fn take(bytes: &mut Bytestream, file: &Path) -> Result<u64, CliError> {
    let failed = |error| CliError::because(format!("write {}", file.display()), &error);
    let mut out = Pending::begin(file).map_err(failed)?;
    let length = copy(bytes, &mut out, file).await?;
    out.commit(true).map_err(failed)?;
    Ok(length)
}

async fn copy(
    bytes: &mut Bytestream,
    to: &mut impl io::Write,
    shown: &Path,
) -> Result<u64, CliError> {
    let failed = |error| CliError::because(format!("write {}", shown.display()), &error);
    let mut passing = Passing::new(BACKUP);
    let mut length = 0;
    while let Some(piece) = bytes.next().await.map_err(ApiError::Stream)? {
        passing.pass(&piece);
        to.write_all(&piece).map_err(failed)?;
        length += piece.len() as u64;
    }
    to.flush().map_err(failed)?;
    if !passing.is_whole() {
        return Err(
            CliError::new("take a backup: the server broke off before its end")
                .hint("what was written is no backup; the server's log says why"),
        );
    }
    Ok(length)
}

/// Flags of `system rotate-key`.
#[derive(Debug, clap::Args)]
pub struct RotateKey {
    #[command(flatten)]
    connect: Connect,
}

impl RotateKey {
    /// Has it done; afterwards only the new key is in the file.
    pub async fn run(self, session: &Session) -> Outcome {
        let api = Api::open(&self.connect, session)?;
        let request = Request::post("rotate the key of secrets", &["system", "rotate-key"]);
        let told = api.send(&request).await.map_err(CliError::from)?.json()?;
        let key = told["key"].as_str().unwrap_or_default();
        let secrets = &told["secrets"];
        session.printer.line(&format!(
            "{secrets} secrets are sealed with key {key} alone"
        ))?;
        Ok(0)
    }
}

/// Flags of `system check`, of a server that runs.
#[derive(Debug, clap::Args)]
pub struct Check {
    #[command(flatten)]
    connect: Connect,
}

impl Check {
    /// Has it look at itself.
    pub async fn run(self, session: &Session) -> Outcome {
        let api = Api::open(&self.connect, session)?;
        let request = Request::get("check the server", &["system", "check"]);
        let told = api.send(&request).await.map_err(CliError::from)?.json()?;
        let (revision, secrets) = (&told["revision"], &told["secrets"]);
        session.printer.line(&format!(
            "the server runs, and is sound: revision {revision}, {secrets} secrets that open"
        ))?;
        Ok(0)
    }
}
