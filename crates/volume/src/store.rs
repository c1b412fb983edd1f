//! The directory of volumes.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use weft_stdx::{clock, file};

use crate::name::check_name;
use crate::record::{RECORD_VERSION, Record};

/// One volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Unique.
    pub name: String,
    /// Where its data lies on this machine.
    pub path: PathBuf,
    /// Unix nanoseconds.
    pub created_at_ns: i64,
    /// Made for one container, removed with it.
    pub anonymous: bool,
    /// The user's.
    pub labels: BTreeMap<String, String>,
}

/// Opening the store failed.
#[derive(Debug, thiserror::Error)]
#[error("open the volumes in {path}")]
pub struct OpenError {
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// Creating or reading a volume failed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum CreateError {
    #[error("{0}")]
    Name(String),
    #[error("create volume {name}")]
    Io {
        name: String,
        #[source]
        source: io::Error,
    },
    #[error("read the record of volume {name}")]
    Record {
        name: String,
        #[source]
        source: io::Error,
    },
}

/// Removing a volume failed.
#[derive(Debug, thiserror::Error)]
#[error("remove volume {name}")]
pub struct RemoveError {
    name: String,
    #[source]
    source: io::Error,
}

/// The volumes below one directory.
#[derive(Debug, Clone)]
pub struct Store {
    dir: PathBuf,
}

/// A record is a few hundred bytes; labels may make it larger.
const RECORD_BYTES_MAX: u64 = 1 << 20;

impl Store {
    /// Opens `dir`, making it (0700) when it is not there, and removes what a crash left half-made.
    ///
    /// # Errors
    /// The directory can't be made or read.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        let failed = |source| OpenError {
            path: dir.to_owned(),
            source,
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(failed)?;
        let store = Self {
            dir: dir.to_owned(),
        };
        for entry in fs::read_dir(dir).map_err(failed)?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            // Removal renames to `.removing-*` first, so such a name is never anyone's data.
            if name.starts_with(".removing-") {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        Ok(store)
    }

    /// The volume `name`, made when it is not there. `labels` count only when it is made.
    ///
    /// # Errors
    /// A name that is none, or what the file system answers.
    pub fn ensure(
        &self,
        name: &str,
        anonymous: bool,
        labels: &BTreeMap<String, String>,
    ) -> Result<Volume, CreateError> {
        if let Some(volume) = self.find(name)? {
            return Ok(volume);
        }
        let failed = |source| CreateError::Io {
            name: name.to_owned(),
            source,
        };
        let dir = self.dir.join(name);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir.join("_data"))
            .map_err(failed)?;
        // The container's root owns it through an idmapped mount; 0755 is what Docker gives.
        fs::set_permissions(dir.join("_data"), fs::Permissions::from_mode(0o755))
            .map_err(failed)?;
        let record = Record {
            version: RECORD_VERSION,
            name: name.to_owned(),
            created_at_ns: clock::unix_ns(),
            anonymous,
            labels: labels.clone(),
        };
        let bytes = serde_json::to_vec(&record).map_err(|e| failed(e.into()))?;
        let durability = if anonymous {
            file::Durability::Process
        } else {
            file::Durability::PowerCut
        };
        file::replace(&dir.join("volume.json"), &bytes, durability).map_err(failed)?;
        Ok(self.volume(record))
    }

    /// The volume `name`, if there is one.
    ///
    /// # Errors
    /// A name that is none, or an unreadable record.
    pub fn find(&self, name: &str) -> Result<Option<Volume>, CreateError> {
        check_name(name).map_err(CreateError::Name)?;
        let failed = |source| CreateError::Record {
            name: name.to_owned(),
            source,
        };
        match file::read_bounded(&self.dir.join(name).join("volume.json"), RECORD_BYTES_MAX) {
            Ok(bytes) => {
                let record: Record =
                    serde_json::from_slice(&bytes).map_err(|e| failed(e.into()))?;
                if record.version > RECORD_VERSION {
                    return Err(failed(io::Error::other(format!(
                        "written by a newer weft (record version {})",
                        record.version
                    ))));
                }
                Ok(Some(self.volume(record)))
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(failed(e)),
        }
    }

    /// Every volume, by name. One with an unreadable record is left out, and left alone.
    pub fn list(&self) -> Vec<Volume> {
        let Ok(entries) = fs::read_dir(&self.dir) else {
            return Vec::new();
        };
        let mut volumes: Vec<Volume> = entries
            .flatten()
            .filter_map(|e| self.find(&e.file_name().to_string_lossy()).ok().flatten())
            .collect();
        volumes.sort_by(|a, b| a.name.cmp(&b.name));
        volumes
    }

    /// Removes `name` with its data; says whether there was one.
    ///
    /// # Errors
    /// What the file system answers; the rest goes at the next [`Store::open`].
    pub fn remove(&self, name: &str) -> Result<bool, RemoveError> {
        if check_name(name).is_err() {
            return Ok(false);
        }
        let failed = |source| RemoveError {
            name: name.to_owned(),
            source,
        };
        let doomed = self.dir.join(format!(".removing-{name}"));
        match fs::rename(self.dir.join(name), &doomed) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(e) => return Err(failed(e)),
        }
        // std's remover works on directory handles and follows no link (CVE-2022-21658).
        fs::remove_dir_all(&doomed).map_err(failed)?;
        Ok(true)
    }

    fn volume(&self, record: Record) -> Volume {
        Volume {
            path: self.dir.join(&record.name).join("_data"),
            name: record.name,
            created_at_ns: record.created_at_ns,
            anonymous: record.anonymous,
            labels: record.labels,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        (dir, store)
    }

    #[test]
    fn a_volume_is_made_once_and_keeps_its_data() {
        let (_dir, store) = store();
        let labels = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
        let first = store.ensure("db", false, &labels).unwrap();
        fs::write(first.path.join("row"), "1").unwrap();
        let second = store.ensure("db", false, &BTreeMap::new()).unwrap();
        assert_eq!(first, second);
        assert_eq!(store.list(), std::slice::from_ref(&first));
        assert!(store.remove("db").unwrap());
        assert!(!store.remove("db").unwrap());
        assert!(!first.path.exists());
        assert!(store.list().is_empty());
    }

    #[test]
    fn what_a_crash_left_of_a_removal_goes_at_the_next_open() {
        let (dir, store) = store();
        store.ensure("db", false, &BTreeMap::new()).unwrap();
        fs::rename(dir.path().join("db"), dir.path().join(".removing-db")).unwrap();
        drop(store);
        Store::open(dir.path()).unwrap();
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_record_of_a_newer_version_is_refused_and_kept() {
        let (dir, store) = store();
        store.ensure("db", false, &BTreeMap::new()).unwrap();
        let path = dir.path().join("db/volume.json");
        let newer = fs::read_to_string(&path)
            .unwrap()
            .replace("\"version\":1", "\"version\":9");
        fs::write(&path, newer).unwrap();
        let error = store.ensure("db", false, &BTreeMap::new()).unwrap_err();
        assert!(matches!(error, CreateError::Record { .. }));
        assert!(path.exists());
    }

    #[test]
    fn hostile_names_touch_nothing() {
        let (dir, store) = store();
        assert!(store.ensure("../out", false, &BTreeMap::new()).is_err());
        assert!(!store.remove("../out").unwrap());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
