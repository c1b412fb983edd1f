//! Owns turning one layer archive into an unpacked, verified layer: hashing the transferred bytes,
//! inflating, hashing the inflated bytes and unpacking run at once on three threads. Never makes
//! a layer visible whose digests were not checked.
//!
//! ```text
//!  feed ──▶ sha256(blob) ──▶ inflate ─┬──▶ sha256(diff)          (own thread)
//!  (caller's thread)                  └──▶ tar ──▶ files         (own thread)
//! ```

use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use bytes::Bytes;

use crate::digest::{Algorithm, Digest, Hasher};
use crate::error::ErrorKind;
use crate::store::{Durable, Inner, StoreError};
use crate::unpack::{self, Limits, Report, UnpackError};

mod buffer;
mod decode;
mod source;

use buffer::{Pool, Shared};
pub(crate) use decode::Compression;
use decode::Decoder;
use source::{Pieces, Source};

/// Pieces of inflated data that wait for a consumer; each has at most [`PIECE`] bytes.
const QUEUE: usize = 8;
/// Bytes inflated at a time.
const PIECE: usize = 256 << 10;
/// Inflated bytes that need no justification by the blob's size.
const FREE_BYTES: u64 = 1 << 30;
/// Beyond those: deflate cannot do better than 1032 to 1.
const RATIO_MAX: u64 = 1032;

/// Where a layer's bytes come from, and are kept while they pass.
pub(crate) trait Feed {
    /// The next bytes as transferred; `None` at the end.
    fn next(&mut self) -> io::Result<Option<Bytes>>;
}

/// What a layer must turn out to be.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Expected<'a> {
    pub blob: Option<&'a Digest>,
    pub size: Option<u64>,
    pub diff_id: Option<&'a Digest>,
}

/// What a layer turned out to be.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub blob: Digest,
    pub blob_size: u64,
    pub diff_id: Digest,
    pub compression: Compression,
    pub report: Report,
}

/// A layer that is here but belongs to no image yet: kept from being swept.
pub(crate) struct Pinned {
    pub layer: Measured,
    _pins: [crate::store::Pin; 2],
}

/// A layer could not be taken in.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// Its source failed.
    #[error("cannot read the layer")]
    Feed(#[source] io::Error),
    /// More or fewer bytes than announced.
    #[error("layer {blob} has {got} bytes instead of the announced {announced}")]
    Size {
        /// The blob.
        blob: Digest,
        /// Bytes announced.
        announced: u64,
        /// Bytes that came (at least).
        got: u64,
    },
    /// The transferred bytes are not what the manifest names.
    #[error("layer {expected} is not what was sent: its digest is {got}")]
    Blob {
        /// What the manifest names.
        expected: Digest,
        /// What came.
        got: Digest,
    },
    /// The unpacked bytes are not what the config names.
    #[error("layer with diff id {expected} is not what was sent: its diff id is {got}")]
    DiffId {
        /// What the config names.
        expected: Digest,
        /// What came.
        got: Digest,
    },
    /// A compression this crate does not read.
    #[error("layer is compressed with {0}, which is not supported; gzip, zstd and none are")]
    Compression(&'static str),
    /// Inflating failed.
    #[error("cannot inflate the layer")]
    Inflate(#[source] io::Error),
    /// Inflates to absurd size.
    #[error("layer is refused: {blob} bytes inflate to more than {limit}")]
    Bomb {
        /// Bytes transferred so far.
        blob: u64,
        /// Bytes that would have been fine.
        limit: u64,
    },
    /// Unpacking failed.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl IngestError {
    /// Its class.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Feed(error) => crate::error::io_kind(error),
            Self::Size { .. } | Self::Blob { .. } | Self::DiffId { .. } => ErrorKind::Corrupt,
            Self::Inflate(_) => ErrorKind::Corrupt,
            Self::Compression(_) => ErrorKind::Invalid,
            Self::Bomb { .. } => ErrorKind::Exhausted,
            Self::Unpack(error) => error.kind(),
            Self::Store(error) => error.kind(),
        }
    }
}

impl Inner {
    /// Unpacks and verifies a layer, then makes it visible by its diff id (unless it is there
    /// already). The blob itself is the feed's affair. Blocking.
    pub(crate) fn ingest(
        &self,
        feed: &mut (dyn Feed + Send),
        expected: Expected<'_>,
    ) -> Result<Measured, IngestError> {
        let dir = self.ingest_path("layer");
        let made = make_layer_dir(&dir).map_err(StoreError::io("create", &dir));
        let measured = made.map_err(IngestError::from).and_then(|()| {
            let measured = run(feed, &dir.join("fs"), expected, &self.durable)?;
            self.place_layer(&dir, &measured)?;
            Ok(measured)
        });
        if measured.is_err() {
            // What cannot be removed now is cleared when the store is next opened.
            let _ = weft_stdx::tree::remove(&dir);
        }
        measured
    }
}

fn make_layer_dir(dir: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.mode(0o700).create(dir)?;
    let root = dir.join("fs");
    builder.create(&root)?;
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o755))
}

fn run(
    feed: &mut (dyn Feed + Send),
    root: &Path,
    expected: Expected<'_>,
    durable: &Durable,
) -> Result<Measured, IngestError> {
    let algorithm = expected
        .diff_id
        .map_or(Algorithm::Sha256, Digest::algorithm);
    let mut source = Source::new(feed, expected);
    let (to_hash, hash_queue) = sync_channel::<Shared>(QUEUE);
    let (to_unpack, unpack_queue) = sync_channel::<Shared>(QUEUE);
    let (inflated, diff_id, unpacked) = std::thread::scope(|scope| {
        let hash = scope.spawn(move || hash_all(algorithm, &hash_queue));
        let root = root.to_owned();
        let unpack = scope
            .spawn(move || unpack::unpack(Pieces::new(unpack_queue), &root, Limits::default()));
        let inflated = inflate(&mut source, to_hash, to_unpack, |bytes| {
            if durable.is_due(bytes) {
                scope.spawn(|| durable.write_early());
            }
        });
        (inflated, join(hash), join(unpack))
    });
    // The digest decides first: what is not what was announced needs no further reading.
    let compression = match inflated {
        Ok(compression) => compression,
        Err(error) => return Err(source.verdict(error)),
    };
    let report = match unpacked {
        Ok(report) => report,
        Err(error) => return Err(source.verdict(error.into())),
    };
    let (blob, blob_size) = source.finish()?;
    if let Some(expected) = expected.diff_id
        && *expected != diff_id
    {
        return Err(IngestError::DiffId {
            expected: expected.clone(),
            got: diff_id,
        });
    }
    Ok(Measured {
        blob,
        blob_size,
        diff_id,
        compression,
        report,
    })
}

fn join<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn hash_all(algorithm: Algorithm, queue: &Receiver<Shared>) -> Digest {
    let mut hasher = Hasher::new(algorithm);
    while let Ok(piece) = queue.recv() {
        hasher.update(&piece);
    }
    hasher.finish()
}

/// Inflates everything, handing each piece to both consumers.
fn inflate(
    source: &mut Source<'_>,
    to_hash: SyncSender<Shared>,
    to_unpack: SyncSender<Shared>,
    passed: impl Fn(u64),
) -> Result<Compression, IngestError> {
    let mut pool = Pool::new(PIECE);
    let mut total = 0_u64;
    let compression = Compression::of(source.peek()?)?;
    let mut decoder = Decoder::new(source, compression).map_err(IngestError::Inflate)?;
    loop {
        let mut buffer = pool.take();
        let filled = fill(&mut decoder, buffer.space());
        let filled = filled.map_err(|error| decoder.source().explain(error))?;
        if filled == 0 {
            break;
        }
        total += filled as u64;
        let seen = decoder.source().seen();
        let limit = FREE_BYTES.max(seen.saturating_mul(RATIO_MAX));
        if compression != Compression::None && total > limit {
            return Err(IngestError::Bomb { blob: seen, limit });
        }
        let piece = buffer.share(filled);
        let hashed = to_hash.send(piece.clone()).is_ok();
        // A consumer that has gone tells why when it is joined.
        if !hashed || to_unpack.send(piece).is_err() {
            break;
        }
        passed(filled as u64);
    }
    Ok(compression)
}

fn fill(from: &mut impl Read, space: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < space.len() {
        match from.read(&mut space[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// A feed from a file or any reader, in pieces.
pub(crate) struct ReaderFeed<R>(pub R);

impl<R: Read> Feed for ReaderFeed<R> {
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        let mut piece = vec![0; PIECE];
        let filled = fill(&mut self.0, &mut piece)?;
        piece.truncate(filled);
        Ok((filled > 0).then(|| piece.into()))
    }
}

/// A feed that keeps what passes in a file.
pub(crate) struct KeepingFeed<'a, F: ?Sized> {
    pub feed: &'a mut F,
    pub file: std::fs::File,
}

impl<F: Feed + ?Sized> Feed for KeepingFeed<'_, F> {
    fn next(&mut self) -> io::Result<Option<Bytes>> {
        let piece = self.feed.next()?;
        if let Some(piece) = &piece {
            io::Write::write_all(&mut self.file, piece)?;
        }
        Ok(piece)
    }
}

impl Inner {
    /// Takes in a layer of unknown digest: keeps its bytes as a blob and unpacks it. Blocking.
    pub(crate) fn ingest_new(
        self: &Arc<Self>,
        archive: &mut (dyn Read + Send),
    ) -> Result<Pinned, IngestError> {
        let path = self.ingest_path("blob");
        let file =
            crate::store::blobs::create_private(&path).map_err(StoreError::io("create", &path))?;
        let mut reader = ReaderFeed(archive);
        let mut feed = KeepingFeed {
            feed: &mut reader,
            file,
        };
        let taken = self
            .ingest(&mut feed, Expected::default())
            .and_then(|measured| {
                let pins = [self.pin(&measured.blob), self.pin(&measured.diff_id)];
                self.place_blob(&path, &measured.blob)?;
                Ok(Pinned {
                    layer: measured,
                    _pins: pins,
                })
            });
        if taken.is_err() {
            // Cleared at the next start otherwise.
            let _ = std::fs::remove_file(&path);
        }
        taken
    }
}
