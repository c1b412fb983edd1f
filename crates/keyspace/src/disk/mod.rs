//! The tables of a keyspace on disk.
//!
//! Owns what is in them: the items as they were at the compacted revision (`base`), and what has
//! happened since (`log`). A commit appends to the log only; compaction folds the log's oldest part
//! into the base.
//!
//! ```text
//!   meta   format, compacted revision, revision up to which is being folded
//!   base   key ──► item at the compacted revision, or later while it is folded
//!   log    first revision ──► records of this and the following ones
//!   lease  id ──► ttl
//! ```

#[cfg(test)]
mod failing;
#[cfg(test)]
mod faults;
pub(crate) mod file;
mod load;
pub(crate) mod record;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use redb::{Builder, Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};

use crate::item::{Item, LeaseId, Revision};
use file::Storage;

const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
const BASE: TableDefinition<&[u8], &[u8]> = TableDefinition::new("base");
const LOG: TableDefinition<u64, &[u8]> = TableDefinition::new("log");
const LEASE: TableDefinition<u64, &[u8]> = TableDefinition::new("lease");

const FORMAT: &str = "format";
const COMPACTED: &str = "compacted";
/// There while a fold is on its way: some of the base is as it is at this revision.
const FOLDING: &str = "folding";
/// Of the tables and records; another one is refused.
pub(crate) const FORMAT_KNOWN: u64 = 1;

/// redb's own, for pages on their way to the disk; what is read is in memory already.
const CACHE_BYTES: usize = 1 << 20;

/// Why there is nothing to work with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DiskError {
    #[error("{0}")]
    Damaged(String),
    #[error("its format is {0}, this program knows {FORMAT_KNOWN}")]
    Format(u64),
    #[error(transparent)]
    Redb(redb::Error),
}

impl<E: Into<redb::Error>> From<E> for DiskError {
    fn from(error: E) -> DiskError {
        match error.into() {
            redb::Error::Corrupted(what) => DiskError::Damaged(what),
            error @ (redb::Error::TableDoesNotExist(_)
            | redb::Error::TableTypeMismatch { .. }
            | redb::Error::TypeDefinitionChanged { .. }
            | redb::Error::TableIsMultimap(_)) => DiskError::Damaged(error.to_string()),
            error => DiskError::Redb(error),
        }
    }
}

/// A lease that is new (with its ttl) or over.
pub(crate) type LeaseChange = (LeaseId, Option<Duration>);
/// What a key is at a revision; nothing: gone.
pub(crate) type BaseChange = (Bytes, Option<Arc<Item>>);

/// A piece of a fold.
#[derive(Debug)]
pub(crate) struct Fold {
    /// The compacted revision, once all of it is there.
    pub(crate) to: Revision,
    /// What some keys are at it.
    pub(crate) items: Vec<BaseChange>,
    /// Whether it is all there with these.
    pub(crate) is_last: bool,
    /// Most rows that are taken out of the log then.
    pub(crate) rows: usize,
}

#[derive(Debug)]
pub(crate) struct Disk {
    database: Database,
}

impl Disk {
    /// Makes the tables of a keyspace that begins after `compacted`.
    pub(crate) fn create(storage: Storage, compacted: Revision) -> Result<Disk, DiskError> {
        let database = builder().create_with_backend(storage)?;
        let write = database.begin_write()?;
        {
            let mut meta = write.open_table(META)?;
            meta.insert(FORMAT, FORMAT_KNOWN)?;
            meta.insert(COMPACTED, compacted.0)?;
            write.open_table(BASE)?;
            write.open_table(LOG)?;
            write.open_table(LEASE)?;
        }
        write.commit()?;
        Ok(Disk { database })
    }

    /// Opens what [`Self::create`] made; `check` reads and verifies every page of it.
    pub(crate) fn open(storage: Storage, check: bool) -> Result<Disk, DiskError> {
        use redb::StorageBackend as _;
        // redb would make a new one of it.
        if storage.len().map_err(redb::Error::Io)? == 0 {
            return Err(DiskError::Damaged("it is empty".into()));
        }
        let mut builder = builder();
        builder.set_check_integrity_on_open(check);
        let database = builder.create_with_backend(storage)?;
        Ok(Disk { database })
    }

    /// Appends to the log, each chunk under its first revision, and folds what is to be folded.
    /// Durable when this answers, all of it or nothing. Answers whether the log has nothing any more
    /// of what is folded.
    pub(crate) fn write(
        &self,
        chunks: &[(Revision, Vec<u8>)],
        leases: &[LeaseChange],
        fold: Option<&Fold>,
    ) -> Result<bool, DiskError> {
        let write = self.database.begin_write()?;
        if !chunks.is_empty() {
            let mut log = write.open_table(LOG)?;
            for (first, records) in chunks {
                log.insert(first.0, &records[..])?;
            }
        }
        write_leases(&write, leases)?;
        let is_swept = fold.map(|fold| write_fold(&write, fold)).transpose()?;
        write.commit()?;
        Ok(is_swept.unwrap_or(false))
    }

    /// Adds to the base of a keyspace that is being made.
    pub(crate) fn fill(
        &self,
        items: &[BaseChange],
        leases: &[LeaseChange],
    ) -> Result<(), DiskError> {
        let write = self.database.begin_write()?;
        write_base(&write, items)?;
        write_leases(&write, leases)?;
        Ok(write.commit()?)
    }

    /// Takes back what was written after `newest`, and with it every lease that is not in `leases`.
    /// Answers with the compacted revision.
    pub(crate) fn rewind(
        &self,
        newest: Revision,
        leases: &[LeaseChange],
    ) -> Result<Revision, DiskError> {
        let write = self.database.begin_write()?;
        let compacted = {
            let mut log = write.open_table(LOG)?;
            // What was made durable together is in chunks of its own.
            log.retain_in(newest.0 + 1.., |_, _| false)?;
            write.open_table(LEASE)?.retain(|_, _| false)?;
            let meta = write.open_table(META)?;
            let compacted = meta.get(COMPACTED)?.map(|number| number.value());
            compacted.ok_or_else(|| DiskError::Damaged("it has no compacted revision".into()))?
        };
        write_leases(&write, leases)?;
        write.commit()?;
        let last = self.last()?.unwrap_or(Revision(compacted));
        if last.max(Revision(compacted)) != newest {
            return Err(DiskError::Damaged(format!(
                "revision {newest} was written, and {last} is the newest found"
            )));
        }
        Ok(Revision(compacted))
    }

    /// The newest revision in the log.
    fn last(&self) -> Result<Option<Revision>, DiskError> {
        let read = self.database.begin_read()?;
        let log = read.open_table(LOG)?;
        let Some((_, records)) = log.last()? else {
            return Ok(None);
        };
        let mut rest = records.value();
        let mut last = None;
        while !rest.is_empty() {
            let taken = record::take_commit(&mut rest);
            let logged = taken.map_err(|why| DiskError::Damaged(format!("log: {why}")))?;
            last = Some(logged.revision);
        }
        Ok(last)
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn write_base(write: &redb::WriteTransaction, items: &[BaseChange]) -> Result<(), DiskError> {
    let mut base = write.open_table(BASE)?;
    let mut record = Vec::new();
    for (key, item) in items {
        match item {
            Some(item) => {
                record.clear();
                record::put_item(&mut record, item);
                base.insert(&key[..], &record[..])?;
            }
            None => {
                base.remove(&key[..])?;
            }
        }
    }
    Ok(())
}

fn write_fold(write: &redb::WriteTransaction, fold: &Fold) -> Result<bool, DiskError> {
    write_base(write, &fold.items)?;
    let mut meta = write.open_table(META)?;
    if !fold.is_last {
        meta.insert(FOLDING, fold.to.0)?;
        return Ok(false);
    }
    meta.insert(COMPACTED, fold.to.0)?;
    meta.remove(FOLDING)?;
    let mut log = write.open_table(LOG)?;
    let mut folded = Vec::new();
    for row in log.range(..=fold.to.0 + 1)?.take(fold.rows + 1) {
        folded.push(row?.0.value());
    }
    // The chunk that holds the next revision stays, whatever else is in it.
    let kept = folded.last().copied().unwrap_or(0);
    log.retain_in(..kept, |_, _| false)?;
    Ok(folded.len() <= fold.rows)
}

fn write_leases(write: &redb::WriteTransaction, leases: &[LeaseChange]) -> Result<(), DiskError> {
    if leases.is_empty() {
        return Ok(());
    }
    let mut table = write.open_table(LEASE)?;
    let mut record = Vec::new();
    for (id, ttl) in leases {
        match ttl {
            Some(ttl) => {
                record.clear();
                record::put_lease(&mut record, *id, *ttl);
                table.insert(id.0, &record[..])?;
            }
            None => {
                table.remove(id.0)?;
            }
        }
    }
    Ok(())
}
