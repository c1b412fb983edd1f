//! What is done to a server as a whole: a backup, another key for its secrets, a check.
//!
//! Owns: the paths. They are not below `/apis`: whoever is known may read what is there, and these
//! are for those alone who may do everything.
//! Never: does it; the caller's [`Upkeep`] does.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use weft_control::Failure;

use crate::answer::{self, Answer};
use crate::gate::Answering;
use crate::serve::Server;

/// Pieces of a backup that wait to be sent: 64 KiB each.
const WAITING: usize = 4;
/// How long a client may take no piece of a backup.
const STALLED: Duration = Duration::from_secs(60);

/// Keeps a server.
pub trait Upkeep: Send + Sync + fmt::Debug {
    /// Writes all that is needed to begin again elsewhere. Blocks as `to` does. What was written
    /// is whole only when this has answered.
    ///
    /// # Errors
    /// What writing, or reading what goes into it, answers.
    fn backup(&self, to: &mut dyn Write) -> io::Result<()>;

    /// Has secrets sealed with a new key; tells which, and how many there were.
    fn rotate_key(&self) -> Answering<'_, Value>;

    /// Tells how it is, once everything that is sealed was opened.
    fn check(&self) -> Answering<'_, Value>;
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Backup,
    RotateKey,
    Check,
}

impl Task {
    pub(crate) fn of(method: &Method, path: &str) -> Option<Task> {
        match (method, path) {
            (&Method::GET, "/system/backup") => Some(Task::Backup),
            (&Method::POST, "/system/rotate-key") => Some(Task::RotateKey),
            (&Method::GET, "/system/check") => Some(Task::Check),
            _ => None,
        }
    }

    pub(crate) async fn answer(self, server: &Server) -> Result<Answer, Failure> {
        let told = match self {
            Task::Backup => return Ok(backup(&server.upkeep)),
            Task::RotateKey => server.upkeep.rotate_key().await?,
            Task::Check => server.upkeep.check().await?,
        };
        Ok(answer::json(StatusCode::OK, &told))
    }
}

/// Sends a backup while it is made. One that breaks off lacks its end, and nobody takes it.
fn backup(upkeep: &Arc<dyn Upkeep>) -> Answer {
    let (to, from) = channel(WAITING);
    let upkeep = Arc::clone(upkeep);
    let runtime = Handle::current();
    tokio::task::spawn_blocking(move || {
        if let Err(error) = upkeep.backup(&mut Pipe { to, runtime }) {
            tracing::warn!(%error, "a backup broke off");
        }
    });
    let next = |mut from: Receiver<Bytes>| async { Some((from.recv().await?, from)) };
    let pieces = futures_util::stream::unfold(from, next);
    answer::stream("application/octet-stream", pieces)
}

struct Pipe {
    to: Sender<Bytes>,
    runtime: Handle,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = Bytes::copy_from_slice(bytes);
        let sent = async { tokio::time::timeout(STALLED, self.to.send(piece)).await };
        match self.runtime.block_on(sent) {
            Ok(Ok(())) => Ok(bytes.len()),
            Ok(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
