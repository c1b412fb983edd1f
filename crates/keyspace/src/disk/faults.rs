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
    /// Operations until the power is cut, what decides about what is pending then, and what is
    /// left.
    until_cut: Option<(u64, u64)>,
    cut: Option<Vec<u8>>,
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

    /// Cuts the power before the `after`th operation from now, for whoever looks at [`Self::cut`].
    pub(crate) fn cut_after(&self, after: u64, seed: u64) {
        self.content().until_cut = Some((after, seed));
    }

    /// What was left when the power was cut; nothing: it was not.
    pub(crate) fn cut(&self) -> Option<FaultyDisk> {
        self.content().cut.take().map(FaultyDisk::holding)
    }

    /// What is left when the power is cut now.
    pub(crate) fn cut_now(&self, seed: u64) -> FaultyDisk {
        FaultyDisk::holding(self.content().power_cut(seed))
    }

    /// Everything as it is, on another disk.
    pub(crate) fn copy(&self) -> FaultyDisk {
        FaultyDisk::holding(self.content().seen.clone())
    }

    fn holding(image: Vec<u8>) -> FaultyDisk {
        FaultyDisk(Arc::new(Mutex::new(Content {
            seen: image.clone(),
            synced: image,
            ..Content::default()
        })))
    }

    /// Spoils a byte, for good.
    pub(crate) fn spoil(&self, at: usize) {
        let mut content = self.content();
        content.seen[at] ^= 0x40;
        content.synced[at] ^= 0x40;
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
    /// What is left when the power is cut now: of what is not synced anything may be there, whole
    /// or torn.
    fn power_cut(&self, mut seed: u64) -> Vec<u8> {
        let mut choose = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        };
        let mut image = self.synced.clone();
        for operation in &self.pending {
            match (operation, choose() % 4) {
                (_, 0) => {}
                (Operation::Write(at, data), 1) => {
                    // Sectors are written whole.
                    let part = usize::try_from(choose()).unwrap() % (data.len() / 512 + 1);
                    let part = data[..part * 512].to_vec();
                    apply(&mut image, &Operation::Write(*at, part));
                }
                (operation, _) => apply(&mut image, operation),
            }
        }
        image
    }

    /// False when the disk fails this one.
    fn count(&mut self) -> bool {
        match &mut self.until_cut {
            Some((0, seed)) => {
                let seed = *seed;
                self.cut = Some(self.power_cut(seed));
                self.until_cut = None;
            }
            Some((after, _)) => *after -= 1,
            None => {}
        }
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
            // As Linux does: what could not be written is seen, and never written by a later sync.
            content.pending.clear();
            return Err(broken());
        }
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
