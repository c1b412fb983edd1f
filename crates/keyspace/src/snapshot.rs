//! A keyspace as one stream of bytes, to keep elsewhere and restore from.
//!
//! Owns the stream's form. It holds what is, not what was: a restored keyspace goes on from the
//! snapshot's revision, or from a later one, and older ones are compacted in it. Whoever knows
//! revisions that were handed out after the snapshot has to be told that they are gone: restore
//! beyond all of them.
//!
//! ```text
//!   magic, format u32, revision u64
//!   frames: 'i' item | 'l' lease      (each sealed; items in the order of their keys)
//!   end:    'e' sealed: number of frames u64, crc32 of everything before u32
//! ```

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::LARGEST_VALUE;
use crate::disk::{BaseChange, LeaseChange, record};
use crate::item::{Item, LeaseId, Revision};
use crate::local::Local;
use crate::open::{self, OpenError};

const MAGIC: &[u8; 16] = b"weft-keyspace\0\0\n";
const FORMAT: u32 = 1;
/// More than any frame has.
const LONGEST_FRAME: usize = LARGEST_VALUE + 4096;
/// Bytes of items that are written to the new keyspace in one transaction.
const PORTION_BYTES: usize = 8 << 20;

/// Why nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// What is there is not replaced.
    #[error("restore into {}: it exists; move it away first", .0.display())]
    Exists(std::path::PathBuf),
    /// Torn, altered, or no snapshot at all.
    #[error("read the snapshot: {0}; take another one")]
    Damaged(String),
    /// Another version's.
    #[error("read the snapshot: its format is {0}, this program knows {FORMAT}")]
    Format(u32),
    /// It could not be read.
    #[error("read the snapshot")]
    Read(#[source] io::Error),
    /// The new keyspace could not be made.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The new keyspace could not be written.
    #[error("write the restored keyspace: {0}")]
    Write(String),
}

/// What a snapshot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The revision it is of; of a restored keyspace, the one it goes on from.
    pub revision: Revision,
    /// How many keys.
    pub items: u64,
    /// How many leases.
    pub leases: u64,
}

impl Local {
    /// Writes everything as it is now, while it is worked with. Blocks as `to` does.
    ///
    /// # Errors
    /// What writing to `to` answers; it is no snapshot then.
    pub fn snapshot(&self, to: impl Write) -> io::Result<Snapshot> {
        let (revision, items, leases) = {
            let state = self.shared.read();
            let everything = crate::Span::prefix("");
            let items = state.index.range(&everything, state.revision);
            let items: Vec<Arc<Item>> = items.map(Arc::clone).collect();
            // One that is not on disk yet may be in it: nothing is under it.
            let leases = state.leases.iter().map(|(id, lease)| (id, lease.ttl));
            (state.revision, items, leases.collect::<Vec<_>>())
        };
        write(to, revision, &items, &leases)
    }
}

pub(crate) fn write(
    to: impl Write,
    revision: Revision,
    items: &[Arc<Item>],
    leases: &[(LeaseId, Duration)],
) -> io::Result<Snapshot> {
    let mut to = Sum::new(BufWriter::new(to));
    to.write_all(MAGIC)?;
    to.write_all(&FORMAT.to_le_bytes())?;
    to.write_all(&revision.0.to_le_bytes())?;
    let mut frame = Vec::new();
    for (id, ttl) in leases {
        frame.clear();
        frame.push(b'l');
        record::put_lease(&mut frame, *id, *ttl);
        to.write_all(&frame)?;
    }
    for item in items {
        frame.clear();
        frame.push(b'i');
        record::put_item(&mut frame, item);
        to.write_all(&frame)?;
    }
    let sum = to.sum.clone().finalize();
    let count = (items.len() + leases.len()) as u64;
    to.write_all(&record::end(count, sum))?;
    to.inner.flush()?;
    Ok(Snapshot {
        revision,
        items: items.len() as u64,
        leases: leases.len() as u64,
    })
}

/// Makes a keyspace in `path` of a snapshot, which goes on from what `begin` makes of its revision, if
/// that is later. Blocks.
///
/// # Errors
/// [`RestoreError`]; there is then nothing in `path`, or what was there before.
pub fn restore(
    from: impl Read,
    path: &Path,
    begin: impl FnOnce(Revision) -> Revision,
) -> Result<Snapshot, RestoreError> {
    let exists = path.try_exists().map_err(|source| OpenError::Io {
        path: path.into(),
        source,
    })?;
    if exists {
        return Err(RestoreError::Exists(path.into()));
    }
    let mut reader = Reader::new(from)?;
    let begins = reader.revision.max(begin(reader.revision));
    open::create(path, begins, |disk| {
        let failed = |error: crate::disk::DiskError| RestoreError::Write(error.to_string());
        let (mut items, mut leases, mut bytes) = (Vec::new(), Vec::new(), 0);
        while let Some(frame) = reader.next()? {
            match frame {
                Frame::Item(item) => {
                    bytes += item.key.len() + item.value.len();
                    let change: BaseChange = (item.key.clone(), Some(item));
                    items.push(change);
                }
                Frame::Lease(id, ttl) => {
                    let change: LeaseChange = (id, Some(ttl));
                    leases.push(change);
                }
            }
            if bytes > PORTION_BYTES {
                disk.fill(&std::mem::take(&mut items), &[])
                    .map_err(failed)?;
                bytes = 0;
            }
        }
        disk.fill(&items, &leases).map_err(failed)
    })?;
    Ok(Snapshot {
        revision: begins,
        ..reader.snapshot()
    })
}

/// Reads a whole snapshot without keeping it: is it one?
///
/// # Errors
/// [`RestoreError`], of reading.
pub fn verify(from: impl Read) -> Result<Snapshot, RestoreError> {
    let mut reader = Reader::new(from)?;
    while reader.next()?.is_some() {}
    Ok(reader.snapshot())
}

enum Frame {
    Item(Arc<Item>),
    Lease(LeaseId, Duration),
}

struct Reader<R: Read> {
    from: Sum<BufReader<R>>,
    revision: Revision,
    last: Option<Bytes>,
    items: u64,
    leases: u64,
}

impl<R: Read> Reader<R> {
    fn new(from: R) -> Result<Reader<R>, RestoreError> {
        let mut from = Sum::new(BufReader::new(from));
        let magic: [u8; 16] = from.array()?;
        if magic != *MAGIC {
            return Err(damaged("it does not begin as one"));
        }
        match u32::from_le_bytes(from.array()?) {
            FORMAT => {}
            other => return Err(RestoreError::Format(other)),
        }
        let revision = Revision(u64::from_le_bytes(from.array()?));
        Ok(Reader {
            from,
            revision,
            last: None,
            items: 0,
            leases: 0,
        })
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            revision: self.revision,
            items: self.items,
            leases: self.leases,
        }
    }

    /// What comes next; nothing: that was all of it, and it is whole.
    fn next(&mut self) -> Result<Option<Frame>, RestoreError> {
        let before = self.from.sum.clone().finalize();
        let [kind] = self.from.array()?;
        let sealed = self.sealed()?;
        let place = self.items + self.leases;
        let malformed = |why| damaged(format_args!("frame {place}: {why}"));
        match kind {
            b'i' => {
                let item = record::item(&sealed).map_err(malformed)?;
                if self.last.as_ref().is_some_and(|last| *last >= item.key) {
                    return Err(damaged(format_args!("frame {place}: it is out of order")));
                }
                if item.modified > self.revision {
                    return Err(damaged(format_args!("frame {place}: it is too new")));
                }
                self.last = Some(item.key.clone());
                self.items += 1;
                Ok(Some(Frame::Item(item)))
            }
            b'l' => {
                let (id, ttl) = record::lease(&sealed).map_err(malformed)?;
                self.leases += 1;
                Ok(Some(Frame::Lease(id, ttl)))
            }
            b'e' => {
                let end = [&[kind], &sealed[..]].concat();
                if end != record::end(place, before) {
                    return Err(damaged("its sum or number of frames is wrong"));
                }
                match self.from.inner.read(&mut [0]).map_err(RestoreError::Read)? {
                    0 => Ok(None),
                    _ => Err(damaged("there is something behind its end")),
                }
            }
            _ => Err(damaged(format_args!("frame {place}: it is of no kind"))),
        }
    }

    fn sealed(&mut self) -> Result<Vec<u8>, RestoreError> {
        let head: [u8; 8] = self.from.array()?;
        let [_, _, _, _, length @ ..] = head;
        let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        if length > LONGEST_FRAME {
            return Err(damaged(format_args!("a frame of {length} bytes")));
        }
        let mut sealed = head.to_vec();
        // Not taken in advance: the length may be a lie.
        let wanted = length as u64;
        let read = (&mut self.from.inner).take(wanted).read_to_end(&mut sealed);
        if read.map_err(RestoreError::Read)? < length {
            return Err(damaged("it ends too early"));
        }
        self.from.sum.update(&sealed[8..]);
        Ok(sealed)
    }
}

fn damaged(why: impl std::fmt::Display) -> RestoreError {
    RestoreError::Damaged(why.to_string())
}

/// Adds up what goes through it.
struct Sum<T> {
    inner: T,
    sum: crc32fast::Hasher,
}

impl<T> Sum<T> {
    fn new(inner: T) -> Sum<T> {
        let sum = crc32fast::Hasher::new();
        Sum { inner, sum }
    }
}

impl<T: Write> Sum<T> {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sum.update(bytes);
        self.inner.write_all(bytes)
    }
}

impl<T: Read> Sum<T> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], RestoreError> {
        let mut array = [0; N];
        self.inner
            .read_exact(&mut array)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => damaged("it ends too early"),
                _ => RestoreError::Read(error),
            })?;
        self.sum.update(&array);
        Ok(array)
    }
}
