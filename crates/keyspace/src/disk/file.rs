//! The file below redb.
//!
//! Owns the lock on it, its growth, and the knowledge whether what failed may have been written all
//! the same.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use redb::StorageBackend;
use rustix::fs::{FallocateFlags, OFlags, fallocate};

/// A locked file.
#[derive(Debug)]
pub(crate) struct Locked(File);

impl Locked {
    /// Opens the file, with `create` a new or empty one; nothing: another process has it.
    pub(crate) fn open(path: &Path, create: bool) -> io::Result<Option<Locked>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(create)
            .truncate(false)
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        if create {
            file.set_len(0)?;
        }
        Ok(Some(Locked(file)))
    }
}

impl Drop for Locked {
    /// Closing does not do it while a child that is about to exec has the descriptor, too.
    fn drop(&mut self) {
        // The lock then ends with that child's exec.
        let _ = self.0.unlock();
    }
}

impl StorageBackend for Locked {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(out, offset)
    }

    /// Room is taken at once: a disk that is full says so here, not amid what is written later.
    fn set_len(&self, length: u64) -> io::Result<()> {
        let present = self.len()?;
        if length > present {
            match fallocate(&self.0, FallocateFlags::empty(), present, length - present) {
                Err(rustix::io::Errno::OPNOTSUPP) => {}
                taken => return Ok(taken?),
            }
        }
        self.0.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_all_at(data, offset)
    }
}

/// What redb is given: it may be opened several times, one after the other.
#[derive(Clone, Debug)]
pub(crate) struct Storage {
    inner: Arc<dyn StorageBackend>,
    known: Arc<Known>,
}

/// Since the last sync that succeeded.
#[derive(Debug, Default)]
struct Known {
    incomplete: AtomicBool,
    doubtful: AtomicBool,
    /// Where was written, and how much: no more than a transaction.
    unsynced: Mutex<Vec<(u64, usize)>>,
}

impl Storage {
    pub(crate) fn new(inner: Arc<dyn StorageBackend>) -> Storage {
        Storage {
            inner,
            known: Arc::default(),
        }
    }

    /// Whether a transaction that failed may be on disk all the same: all of it was written, and
    /// the sync failed. One that lacks a page has a wrong checksum and never counts.
    pub(crate) fn doubtful(&self) -> bool {
        self.known.doubtful.load(Ordering::Acquire)
    }

    /// Writes again what no sync has confirmed. Linux takes pages for clean once their sync has
    /// failed: whoever reads them sees what is not on disk, and no later sync puts it there.
    pub(crate) fn rewrite(&self) -> io::Result<()> {
        let unsynced = self.unsynced().clone();
        let length = self.inner.len()?;
        for (offset, size) in unsynced {
            let size = usize::try_from(length.saturating_sub(offset)).map_or(size, |s| s.min(size));
            let mut content = vec![0; size];
            self.inner.read(offset, &mut content)?;
            self.inner.write(offset, &content)?;
        }
        Ok(())
    }

    fn unsynced(&self) -> MutexGuard<'_, Vec<(u64, usize)>> {
        self.known
            .unsynced
            .lock()
            .expect("nobody panics holding it")
    }

    fn written(&self, result: io::Result<()>) -> io::Result<()> {
        if result.is_err() {
            self.known.incomplete.store(true, Ordering::Release);
        }
        result
    }
}

impl StorageBackend for Storage {
    fn len(&self) -> io::Result<u64> {
        self.inner.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.inner.read(offset, out)
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        self.written(self.inner.set_len(length))
    }

    fn sync_data(&self) -> io::Result<()> {
        let synced = self.inner.sync_data();
        let incomplete = self.known.incomplete.load(Ordering::Acquire);
        let doubtful = synced.is_err() && !incomplete;
        self.known.doubtful.store(doubtful, Ordering::Release);
        if synced.is_ok() {
            self.known.incomplete.store(false, Ordering::Release);
            self.unsynced().clear();
        }
        synced
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.unsynced().push((offset, data.len()));
        self.written(self.inner.write(offset, data))
    }
}
