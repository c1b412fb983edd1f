//! Owns the exit record on disk, and finding out whether memory ran out.
//! Never: telling clients.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use oci_spec::runtime::Spec;
use weft_stdx::clock::{boot_id, unix_ns};
use weft_stdx::file::{Durability, replace, sync_directory};

use crate::cgroup::Hierarchy;

use super::log::Log;
use super::record::{self, EXIT_FILE, ExitRecord, Failure, Record};

/// Where the exit record of this monitor goes.
#[derive(Clone, Debug)]
pub(super) struct Keeper {
    directory: PathBuf,
}

impl Keeper {
    pub(super) fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.join(EXIT_FILE)
    }

    /// Removes the record of an earlier run: while something runs there is none.
    pub(super) fn clear(&self) -> io::Result<()> {
        match std::fs::remove_file(self.path()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Writes the record, whole or not at all; whether it could be.
    ///
    /// On a full disk the oldest lines of the log make room.
    pub(super) fn keep(&self, record: &ExitRecord, mut log: Option<&mut Log>) -> bool {
        let json = record.to_json();
        loop {
            match replace(&self.path(), &json, Durability::Process) {
                Ok(()) => return true,
                Err(error) if is_full(&error) => {
                    let freed = log.as_mut().is_some_and(|log| log.drop_oldest());
                    if !freed {
                        return false;
                    }
                }
                Err(_) => return false,
            }
        }
    }

    /// Makes the record survive a power cut.
    pub(super) fn sync(&self) {
        // A failure changes nothing about what was told; after a power cut there is no record,
        // and the boot id says so.
        let _ = File::open(self.path()).and_then(|file| file.sync_all());
        let _ = sync_directory(&self.directory);
    }

    /// The record of something that never ran.
    pub(super) fn keep_failure(&self, failure: &Failure) {
        let record = ExitRecord {
            version: record::VERSION,
            pid: 0,
            code: failure.kind.exit_code(),
            signal: None,
            oom_killed: false,
            timed_out: false,
            error: Some(failure.text.clone()),
            started_at_ns: 0,
            finished_at_ns: unix_ns(),
            boot_id: boot_id().to_owned(),
        };
        // The requester is told anyway.
        let _ = self.keep(&record, None);
    }
}

fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}

/// Looks whether the kernel killed something in the container's cgroup for want of memory.
#[derive(Debug)]
pub(super) struct OomWatch {
    cgroup: Option<String>,
}

impl OomWatch {
    pub(super) fn of(spec: &Spec) -> Self {
        let linux = spec.linux().as_ref();
        let path = linux.and_then(|linux| linux.cgroups_path().as_deref());
        Self {
            cgroup: path.and_then(Path::to_str).map(ToOwned::to_owned),
        }
    }

    pub(super) fn none() -> Self {
        Self { cgroup: None }
    }

    /// False also when nobody can know: no such cgroup, no memory controller.
    pub(super) fn killed(&self) -> bool {
        let kills = |path: &str| Hierarchy::find()?.open(path)?.oom_kills();
        let kills = self.cgroup.as_deref().map(kills);
        matches!(kills, Some(Ok(Some(1..))))
    }
}
