//! Owns making the store's content survive a power cut: all of it is written before an image is
//! visible, and much of it already while layers are unpacked, so that the disk works meanwhile.
//! Never lets an image be seen after writes were lost: the kernel tells of a failed write once, and
//! calls the lost pages clean from then on.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::StoreError;
use super::gc::BOOT;

/// Unpacked bytes between two rounds of early writing: what a slow disk takes in a second.
const STRETCH: u64 = 128 << 20;

pub(crate) struct Durable {
    path: PathBuf,
    /// Open as long as the store is: each failed write of the file system is told to each open
    /// file once.
    dir: File,
    /// Whether a write failed since then; held while asking.
    lost: Mutex<bool>,
    /// Bytes unpacked since the last round.
    waiting: AtomicU64,
    running: AtomicBool,
}

impl Durable {
    /// For the store in `path`.
    pub fn new(path: &Path) -> Result<Self, StoreError> {
        Ok(Self {
            path: path.to_owned(),
            dir: File::open(path).map_err(StoreError::io("open", path))?,
            lost: Mutex::default(),
            waiting: AtomicU64::default(),
            running: AtomicBool::default(),
        })
    }

    /// Whether, with `bytes` more, it is time for [`Self::write_early`], which is the caller's then.
    pub fn is_due(&self, bytes: u64) -> bool {
        let waiting = self.waiting.fetch_add(bytes, Ordering::Relaxed) + bytes;
        waiting >= STRETCH && !self.running.swap(true, Ordering::AcqRel)
    }

    /// Writes what waits. A failure is remembered for [`Self::sync`].
    pub fn write_early(&self) {
        self.waiting.store(0, Ordering::Relaxed);
        let _ = self.sync();
        self.running.store(false, Ordering::Release);
    }

    /// Makes all file content and names of the store survive a power cut.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.sync_by(|dir| Ok(rustix::fs::syncfs(dir)?))
    }

    fn sync_by(&self, sync: impl FnOnce(&File) -> io::Result<()>) -> Result<(), StoreError> {
        let mut lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        if *lost {
            return Err(StoreError::Lost(self.path.clone()));
        }
        sync(&self.dir).map_err(|error| {
            *lost = true;
            // The next to open the store begins as after a power cut.
            let _ = std::fs::remove_file(self.path.join(BOOT));
            StoreError::io("write all of", &self.path)(error)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_early_round_at_a_time_after_each_stretch() {
        let dir = tempfile::tempdir().unwrap();
        let durable = Durable::new(dir.path()).unwrap();
        assert!(!durable.is_due(STRETCH - 1));
        assert!(durable.is_due(1));
        assert!(!durable.is_due(STRETCH), "one is under way");
        durable.write_early();
        assert!(!durable.is_due(STRETCH - 1));
        assert!(durable.is_due(1));
    }

    #[test]
    fn what_was_lost_once_stays_lost() {
        let dir = tempfile::tempdir().unwrap();
        let durable = Durable::new(dir.path()).unwrap();
        let boot = dir.path().join(BOOT);
        std::fs::write(&boot, "x").unwrap();
        durable.sync().unwrap();
        assert!(boot.exists());
        let failed = durable.sync_by(|_| Err(io::Error::from_raw_os_error(5)));
        assert!(matches!(failed, Err(StoreError::Io { .. })));
        assert!(!boot.exists(), "the next open trusts nothing");
        assert!(matches!(durable.sync(), Err(StoreError::Lost(_))));
    }
}
