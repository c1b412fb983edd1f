//! A disk that can be full, fail, write only a part, and lose its power.
//!
//! Owns what is on it and what only seems to be: writes count for the process at once, for the
//! time after a power cut only once they are synced; of the others, any may have made it, whole or
//! torn.

use std::io;
use std::sync::{Arc, Mutex};

use redb::StorageBackend;

#[derive(Debug, Default)]
struct Content {
    /// As the process sees it.
    seen: Vec<u8>,
    /// As it is after a power cut, at least.
    synced: Vec<u8>,
    pending: Vec<Operation>,
    /// Operations until one fails; then all do until it is set again.
    left: Option<u64>,
    /// Most bytes.
    limit: Option<u64>,
    /// What was synced, counted.
    syncs: u64,
}

#[derive(Clone, Debug)]
enum Operation {
    Write(usize, Vec<u8>),
    Length(usize),
}

/// Shared by all who have it open, one after the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct FaultyDisk(Arc<Mutex<Content>>);

impl FaultyDisk {
    /// Fails from the `after`th write, sync or growth on; nothing: works again.
    pub(crate) fn fail_after(&self, after: Option<u64>) {
        self.content().left = after;
    }

    /// Has no room beyond so many bytes; nothing: there is room.
    pub(crate) fn limit(&self, bytes: Option<u64>) {
        self.content().limit = bytes;
    }

    pub(crate) fn length(&self) -> u64 {
        self.content().seen.len() as u64
    }

    pub(crate) fn syncs(&self) -> u64 {
        self.content().syncs
    }

    /// Spoils a byte, for good.
    pub(crate) fn spoil(&self, at: usize) {
        let mut content = self.content();
        content.seen[at] ^= 0x40;
        content.synced[at] ^= 0x40;
    }

    /// What is left after a power cut at this moment; `choose` decides what of the rest is on it.
    pub(crate) fn after_power_cut(&self, mut choose: impl FnMut() -> u64) -> FaultyDisk {
        let content = self.content();
        let mut image = content.synced.clone();
        for operation in &content.pending {
            match (operation, choose() % 4) {
                (_, 0) => {}
                (Operation::Write(at, data), 1) => {
                    // Sectors are written whole.
                    let part = usize::try_from(choose()).unwrap_or(0) % (data.len() / 512 + 1);
                    apply(&mut image, &Operation::Write(*at, data[..part * 512].to_vec()));
                }
                (operation, _) => apply(&mut image, operation),
            }
        }
        FaultyDisk(Arc::new(Mutex::new(Content {
            seen: image.clone(),
            synced: image,
            ..Content::default()
        })))
    }

    fn content(&self) -> std::sync::MutexGuard<'_, Content> {
        self.0.lock().unwrap()
    }
}

fn apply(image: &mut Vec<u8>, operation: &Operation) {
    match operation {
        Operation::Write(at, data) => {
            let end = at + data.len();
            if image.len() < end {
                image.resize(end, 0);
            }
            image[*at..end].copy_from_slice(data);
        }
        Operation::Length(length) => image.resize(*length, 0),
    }
}

impl Content {
    /// False when the disk fails this one.
    fn count(&mut self) -> bool {
        match &mut self.left {
            None => true,
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
        }
    }

    fn change(&mut self, operation: Operation) {
        apply(&mut self.seen, &operation);
        self.pending.push(operation);
    }
}

fn broken() -> io::Error {
    io::Error::from_raw_os_error(5)
}

impl StorageBackend for FaultyDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.length())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let at = usize::try_from(offset).unwrap();
        let content = self.content();
        let found = content.seen.get(at..at + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut content = self.content();
        if !content.count() {
            return Err(broken());
        }
        if content.limit.is_some_and(|limit| length > limit) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        content.change(Operation::Length(usize::try_from(length).unwrap()));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut content = self.content();
        if !content.count() {
            // As Linux does: what could not be written is forgotten, and the next sync succeeds.
            return Err(broken());
        }
        content.syncs += 1;
        let Content {
            synced, pending, ..
        } = &mut *content;
        for operation in pending.drain(..) {
            apply(synced, &operation);
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let at = usize::try_from(offset).unwrap();
        let mut content = self.content();
        if content.count() {
            content.change(Operation::Write(at, data.to_vec()));
            return Ok(());
        }
        // A short write, then the error.
        let part = data[..data.len() / 2].to_vec();
        content.change(Operation::Write(at, part));
        Err(broken())
    }
}
