//! A keyspace in a file: made, opened, checked, locked.
//!
//! Owns what is said when it cannot be used. Never starts empty in place of what it cannot read.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redb::StorageBackend;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use tokio::runtime::Handle;
use tokio::time::Instant;

use crate::disk::file::{Locked, Storage};
use crate::disk::{Disk, DiskError, FORMAT_KNOWN};
use crate::item::Revision;
use crate::local::{Local, Shared};
use crate::options::Options;
use crate::queue::Queue;
use crate::writer::Writer;

/// Why there is no keyspace.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Two would overwrite each other's.
    #[error("open the keyspace {}: another process has it open", .0.display())]
    InUse(PathBuf),
    /// It is not what was written.
    #[error(
        "open the keyspace {}: it is damaged ({what}); nothing starts from it: move it away, keep \
         it, and restore a snapshot in its place", path.display()
    )]
    Damaged {
        /// Its file.
        path: PathBuf,
        /// What is.
        what: String,
    },
    /// Another version's.
    #[error(
        "open the keyspace {}: its format is {found}, this program knows {FORMAT_KNOWN}; use the \
         program that wrote it", path.display()
    )]
    Format {
        /// Its file.
        path: PathBuf,
        /// What it says.
        found: u64,
    },
    /// It could not be read or written.
    #[error("open the keyspace {}", path.display())]
    Io {
        /// Its file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Opens the keyspace in a file; without one, makes it. Reads all of it: call it where that may
/// block.
///
/// # Errors
/// [`OpenError`]; nothing is ever made in place of a file that is there.
///
/// # Panics
/// Outside of a tokio runtime: leases and history end by its timer.
pub fn embedded(path: &Path, options: Options) -> Result<Local, OpenError> {
    if !path.try_exists().map_err(|source| io_error(path, source))? {
        create(path, Revision(0), |_| Ok(()))?;
    }
    let file = Locked::open(path, false).map_err(|source| io_error(path, source))?;
    let file = file.ok_or_else(|| OpenError::InUse(path.into()))?;
    start(Arc::new(file), options).map_err(|error| open_error(path, error))
}

/// Makes a keyspace under another name, has it filled, and gives it its name: it is there as a
/// whole or not at all.
pub(crate) fn create<E: From<OpenError>>(
    path: &Path,
    compacted: Revision,
    fill: impl FnOnce(&Disk) -> Result<(), E>,
) -> Result<(), E> {
    let failed = |source| OpenError::Io {
        path: path.into(),
        source,
    };
    let mut name = OsString::from(path);
    name.push(".new");
    let temporary = PathBuf::from(name);
    let file = Locked::open(&temporary, true).map_err(failed)?;
    let file = file.ok_or_else(|| OpenError::InUse(path.into()))?;
    // Locked until it has its name: nobody else begins with the same file.
    let file = Arc::new(file);
    let storage = Storage::new(Arc::<Locked>::clone(&file));
    let disk = Disk::create(storage, compacted);
    let made = disk
        .map_err(|error| open_error(path, error).into())
        .and_then(|disk| fill(&disk));
    let named = made.and_then(|()| {
        // Fails where it exists: whoever was faster stays.
        let renamed = renameat_with(CWD, &temporary, CWD, path, RenameFlags::NOREPLACE);
        Ok(renamed.map_err(|errno| failed(errno.into()))?)
    });
    if let Err(error) = named {
        // Ours alone while it was locked; a leftover would only waste space.
        let _ = std::fs::remove_file(&temporary);
        return Err(error);
    }
    drop(file);
    let directory = path.parent().filter(|parent| *parent != Path::new(""));
    let directory = directory.unwrap_or(Path::new("."));
    weft_stdx::file::sync_directory(directory).map_err(failed)?;
    Ok(())
}

/// As [`embedded`], on what redb can use.
pub(crate) fn start(file: Arc<dyn StorageBackend>, options: Options) -> Result<Local, DiskError> {
    let storage = Storage::new(file);
    let disk = Disk::open(storage.clone(), true)?;
    let loaded = disk.load(Instant::now())?;
    let shared = Arc::new(Shared::new(loaded.state, options, Some(Queue::new())));
    let (compacted, folding) = (loaded.compacted, loaded.folding);
    let writer = Writer::new(Arc::clone(&shared), storage, disk, compacted, folding);
    let runtime = Handle::current();
    let spawned = std::thread::Builder::new()
        .name("keyspace".into())
        .spawn(move || {
            // Its clock is the runtime's.
            let _entered = runtime.enter();
            writer.run();
        });
    let thread = spawned.map_err(redb::Error::Io)?;
    Ok(Local::new(shared, Some(thread)))
}

fn io_error(path: &Path, source: io::Error) -> OpenError {
    let path = path.into();
    OpenError::Io { path, source }
}

fn open_error(path: &Path, error: DiskError) -> OpenError {
    let path = path.into();
    match error {
        DiskError::Damaged(what) => OpenError::Damaged { path, what },
        DiskError::Format(found) => OpenError::Format { path, found },
        DiskError::Redb(redb::Error::Io(source)) => match source.kind() {
            // redb's words for a file that is not its own, or ends too early.
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => OpenError::Damaged {
                path,
                what: source.to_string(),
            },
            _ => OpenError::Io { path, source },
        },
        DiskError::Redb(other) => OpenError::Damaged {
            path,
            what: other.to_string(),
        },
    }
}
