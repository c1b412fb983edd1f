//! All sandboxes in memory, and their records on disk.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use weft_stdx::file::{self, Durability};

use crate::container::record::{RECORD_VERSION, Record};
use crate::error::{EngineError, Result};
use crate::paths::Paths;

/// A record is some kilobytes.
const RECORD_BYTES_MAX: u64 = 1 << 20;

/// One sandbox.
#[derive(Debug)]
pub(crate) struct Sandbox {
    pub id: String,
    record: Mutex<Record>,
    /// One operation that changes it at a time.
    pub operation: tokio::sync::Mutex<()>,
}

impl Sandbox {
    pub fn new(record: Record) -> Self {
        Self {
            id: record.id.clone(),
            record: Mutex::new(record),
            operation: tokio::sync::Mutex::new(()),
        }
    }

    pub fn record(&self) -> Record {
        self.lock().clone()
    }

    pub fn with<T>(&self, look: impl FnOnce(&Record) -> T) -> T {
        look(&self.lock())
    }

    /// Changes the record in memory only.
    pub fn note(&self, change: impl FnOnce(&mut Record)) {
        change(&mut self.lock());
    }

    /// Changes the record, in memory and on disk.
    ///
    /// # Errors
    /// It can't be written; memory then has the change.
    pub fn update(&self, paths: &Paths, change: impl FnOnce(&mut Record)) -> io::Result<()> {
        let record = {
            let mut record = self.lock();
            change(&mut record);
            record.clone()
        };
        let bytes = serde_json::to_vec(&record)?;
        let path = paths.sandbox_record(&self.id);
        file::replace(&path, &bytes, Durability::Process)
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the record of `id`.
///
/// # Errors
/// It is not there, damaged, or a newer weft's.
pub(super) fn read(paths: &Paths, id: &str) -> io::Result<Record> {
    let bytes = file::read_bounded(&paths.sandbox_record(id), RECORD_BYTES_MAX)?;
    let record: Record = serde_json::from_slice(&bytes)?;
    if record.version > RECORD_VERSION {
        return Err(io::Error::other(format!(
            "written by a newer weft (record version {}, this one reads {RECORD_VERSION})",
            record.version
        )));
    }
    Ok(record)
}

/// By their ids. Bounded by the addresses of their networks.
#[derive(Debug, Default)]
pub(crate) struct Table {
    by_id: Mutex<HashMap<String, Arc<Sandbox>>>,
}

impl Table {
    /// # Errors
    /// Another one has its name.
    pub fn insert(&self, sandbox: &Arc<Sandbox>) -> Result<()> {
        let name = sandbox.with(|r| r.name.clone());
        let mut by_id = self.lock();
        if by_id.values().any(|one| one.with(|r| r.name == name)) {
            return Err(EngineError::conflict(format!(
                "a sandbox is called {name} already; remove it first"
            )));
        }
        by_id.insert(sandbox.id.clone(), Arc::clone(sandbox));
        Ok(())
    }

    pub fn remove(&self, id: &str) {
        self.lock().remove(id);
    }

    pub fn has(&self, id: &str) -> bool {
        self.lock().contains_key(id)
    }

    /// By id, then by name.
    pub fn find(&self, reference: &str) -> Option<Arc<Sandbox>> {
        let by_id = self.lock();
        let by_name = || by_id.values().find(|one| one.with(|r| r.name == reference));
        by_id.get(reference).or_else(by_name).map(Arc::clone)
    }

    pub fn all(&self) -> Vec<Arc<Sandbox>> {
        self.lock().values().map(Arc::clone).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Sandbox>>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
