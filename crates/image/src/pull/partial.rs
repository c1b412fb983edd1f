//! Owns a download that is kept while it comes, so that the next one begins where it ended.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use bytes::Bytes;
use rustix::fs::FlockOperation;
use tokio::sync::mpsc;

use super::transfer::{Message, TransferError};
use crate::ingest::Feed;

/// How much of an interrupted download is read back at a time.
const PIECE: usize = 256 << 10;

/// Opens (or makes) the partial download and waits until nobody else writes it: a pull that was
/// just stopped may still be finishing its last piece.
pub(super) fn open_partial(path: &Path, size: u64) -> io::Result<(File, u64)> {
    loop {
        let mut options = std::fs::OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600);
        let mut file = options.open(path)?;
        rustix::fs::flock(&file, FlockOperation::LockExclusive)?;
        let locked = file.metadata()?;
        let present = std::fs::symlink_metadata(path);
        if !present.is_ok_and(|present| present.ino() == locked.ino()) {
            // It was finished or discarded while we waited.
            continue;
        }
        let mut have = locked.len();
        if have > size {
            file.set_len(0)?;
            have = 0;
        }
        file.seek(SeekFrom::Start(0))?;
        return Ok((file, have));
    }
}

/// A layer's bytes: those of the earlier download, then what comes, kept as it passes.
pub(super) struct PartialFeed {
    /// Appends always go to its end; reads start at its beginning.
    pub file: File,
    /// Bytes of an earlier download still to be read back.
    pub left: u64,
    pub receive: mpsc::Receiver<Message>,
    /// Why the network side gave up.
    pub failure: Option<TransferError>,
}

impl Feed for PartialFeed {
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        if self.left > 0 {
            let step = self.left.min(PIECE as u64);
            let mut piece = vec![0; usize::try_from(step).expect("at most a piece")];
            self.file.read_exact(&mut piece)?;
            self.left -= step;
            return Ok(Some(piece.into()));
        }
        match self.receive.blocking_recv() {
            Some(Message::Data(piece)) => {
                self.file.write_all(&piece)?;
                Ok(Some(piece))
            }
            Some(Message::End) => Ok(None),
            Some(Message::Failed(failure)) => {
                self.failure = Some(failure);
                Err(io::ErrorKind::ConnectionAborted.into())
            }
            None => {
                self.failure = Some(TransferError::Stopped);
                Err(io::ErrorKind::Interrupted.into())
            }
        }
    }
}
