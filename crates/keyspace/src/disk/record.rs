//! How revisions, items and leases are written down.
//!
//! Owns the bytes. Each record carries its own checksum and place, so that one that is torn, or of
//! another place, is found. Numbers are little-endian.
//!
//! ```text
//!   sealed  = crc32(body) u32, length of body u32, body
//!   commit  = revision u64, count u32, changes
//!   change  = 0 | key   or   1 | item
//!   item    = key, value, lease u64 (0: none), created u64, modified u64, version u64
//!   key     = length u16, bytes       value = length u32, bytes
//!   lease   = id u64, ttl in ms u64
//! ```

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::history::Entry;
use crate::item::{EventKind, Item, LeaseId, Revision};
use crate::memo::Memo;
use crate::{LARGEST_VALUE, LONGEST_KEY};

/// Why bytes are not a record.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum Malformed {
    #[error("it ends too early")]
    Short,
    #[error("its checksum is wrong")]
    Checksum,
    #[error("there is something behind its end")]
    Long,
    #[error("{0} is not possible in it")]
    Impossible(&'static str),
}

/// A change as it is written down.
#[derive(Debug)]
pub(crate) enum Written {
    Put(Item),
    Delete(Bytes),
}

/// A revision as it is written down.
#[derive(Debug)]
pub(crate) struct Logged {
    pub(crate) revision: Revision,
    pub(crate) changes: Vec<Written>,
}

/// Appends a body with its checksum.
fn seal(to: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = to.len();
    to.extend_from_slice(&[0; 8]);
    body(to);
    let length = to.len() - start - 8;
    let length = u32::try_from(length).expect("requests are far smaller");
    let checksum = crc32fast::hash(&to[start + 8..]);
    to[start..start + 4].copy_from_slice(&checksum.to_le_bytes());
    to[start + 4..start + 8].copy_from_slice(&length.to_le_bytes());
}

/// Takes a body off the front.
pub(crate) fn unseal<'a>(from: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let mut reader = Reader(from);
    let checksum = reader.u32()?;
    let length = usize::try_from(reader.u32()?).map_err(|_| Malformed::Short)?;
    let body = reader.take(length)?;
    if crc32fast::hash(body) != checksum {
        return Err(Malformed::Checksum);
    }
    *from = reader.0;
    Ok(body)
}

pub(crate) fn put_commit(to: &mut Vec<u8>, entry: &Entry) {
    seal(to, |to| {
        to.extend_from_slice(&entry.revision.0.to_le_bytes());
        let count = u32::try_from(entry.events.len()).expect("keys are fewer");
        to.extend_from_slice(&count.to_le_bytes());
        for event in &entry.events {
            if event.kind == EventKind::Deleted {
                to.push(0);
                put_key(to, &event.item.key);
            } else {
                to.push(1);
                put_item_body(to, &event.item);
            }
        }
    });
}

pub(crate) fn put_item(to: &mut Vec<u8>, item: &Item) {
    seal(to, |to| put_item_body(to, item));
}

pub(crate) fn put_lease(to: &mut Vec<u8>, id: LeaseId, ttl: Duration) {
    seal(to, |to| {
        to.extend_from_slice(&id.0.to_le_bytes());
        let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1);
        to.extend_from_slice(&ttl_ms.to_le_bytes());
    });
}

/// The last frame of a snapshot.
pub(crate) fn end(count: u64, sum: u32) -> Vec<u8> {
    let mut frame = vec![b'e'];
    seal(&mut frame, |to| {
        to.extend_from_slice(&count.to_le_bytes());
        to.extend_from_slice(&sum.to_le_bytes());
    });
    frame
}

fn put_item_body(to: &mut Vec<u8>, item: &Item) {
    put_key(to, &item.key);
    let length = u32::try_from(item.value.len()).expect("values are smaller");
    to.extend_from_slice(&length.to_le_bytes());
    to.extend_from_slice(&item.value);
    let lease = item.lease.map_or(0, |lease| lease.0);
    for number in [lease, item.created.0, item.modified.0, item.version] {
        to.extend_from_slice(&number.to_le_bytes());
    }
}

fn put_key(to: &mut Vec<u8>, key: &[u8]) {
    let length = u16::try_from(key.len()).expect("keys are shorter");
    to.extend_from_slice(&length.to_le_bytes());
    to.extend_from_slice(key);
}

/// Takes a commit off the front.
pub(crate) fn take_commit(from: &mut &[u8]) -> Result<Logged, Malformed> {
    let mut reader = Reader(unseal(from)?);
    let revision = Revision(reader.u64()?);
    let count = reader.u32()?;
    let mut changes = Vec::new();
    for _ in 0..count {
        changes.push(match reader.take(1)? {
            [0] => Written::Delete(reader.key()?),
            [1] => Written::Put(reader.item()?),
            _ => return Err(Malformed::Impossible("a change of this kind")),
        });
    }
    reader.end()?;
    Ok(Logged { revision, changes })
}

/// Reads exactly one item.
pub(crate) fn item(mut from: &[u8]) -> Result<Arc<Item>, Malformed> {
    let mut reader = Reader(unseal(&mut from)?);
    let item = reader.item()?;
    reader.end()?;
    Reader(from).end()?;
    Ok(Arc::new(item))
}

/// Reads exactly one lease.
pub(crate) fn lease(mut from: &[u8]) -> Result<(LeaseId, Duration), Malformed> {
    let mut reader = Reader(unseal(&mut from)?);
    let (id, ttl_ms) = (reader.u64()?, reader.u64()?);
    reader.end()?;
    Reader(from).end()?;
    if id == 0 || ttl_ms == 0 {
        return Err(Malformed::Impossible("a lease without number or time"));
    }
    Ok((LeaseId(id), Duration::from_millis(ttl_ms)))
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Malformed::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| Malformed::Short)
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_le_bytes)
    }

    fn key(&mut self) -> Result<Bytes, Malformed> {
        let length = usize::from(u16::from_le_bytes(self.array()?));
        if !(1..=LONGEST_KEY).contains(&length) {
            return Err(Malformed::Impossible("a key of this length"));
        }
        self.take(length).map(Bytes::copy_from_slice)
    }

    fn item(&mut self) -> Result<Item, Malformed> {
        let key = self.key()?;
        let length = usize::try_from(self.u32()?).unwrap_or(usize::MAX);
        if length > LARGEST_VALUE {
            return Err(Malformed::Impossible("a value of this length"));
        }
        let value = Bytes::copy_from_slice(self.take(length)?);
        let lease = self.u64()?;
        let (created, modified) = (self.u64()?, self.u64()?);
        let version = self.u64()?;
        if created == 0 || modified < created || version == 0 || version > modified - created + 1 {
            return Err(Malformed::Impossible("an item of this age"));
        }
        Ok(Item {
            key,
            value,
            created: Revision(created),
            modified: Revision(modified),
            version,
            lease: (lease != 0).then_some(LeaseId(lease)),
            memo: Memo::default(),
        })
    }

    fn end(&self) -> Result<(), Malformed> {
        self.0.is_empty().then_some(()).ok_or(Malformed::Long)
    }
}

/// For the fuzzer: `body` with the checksum it should have.
pub(crate) fn sealed(body: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::new();
    seal(&mut sealed, |to| to.extend_from_slice(body));
    sealed
}

/// For the fuzzer: whatever can be read is the same when it is written and read again.
///
/// # Panics
/// Where it is not.
pub(crate) fn fuzz(mut input: &[u8]) {
    if let Ok(read) = item(input) {
        let mut written = Vec::new();
        put_item(&mut written, &read);
        assert_eq!(written, input);
    }
    if let Ok((id, ttl)) = lease(input) {
        let mut written = Vec::new();
        put_lease(&mut written, id, ttl);
        assert_eq!(written, input);
    }
    while take_commit(&mut input).is_ok() {}
}
