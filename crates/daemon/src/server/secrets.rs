//! The key that secrets are sealed with at rest: where it is, and another one.
//!
//! Owns: that no new key is ever made beside objects that are sealed with an older one, and that
//! an older one goes only when nothing needs it.
//! Never: shows a key.
//!
//! ```text
//!   rotate:  file: new, old ─► each object sealed anew ─► history forgotten ─► file: new
//!                └─────────────── the server dies ───────────────┴─► its next start goes on
//! ```

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::{Context, Result, bail};
use tokio::sync::RwLockReadGuard;
use weft_control::store::Seal;
use weft_control::{Failure, Reason, Store};
use weft_identity::sealed::{KeyFileError, Keys, Place};

/// Seals and opens with the keys of the file.
#[derive(Debug)]
pub(super) struct Sealer {
    path: PathBuf,
    keys: RwLock<Arc<Keys>>,
    /// One rotation at a time, and none while the file has to stay as it is.
    turn: tokio::sync::RwLock<()>,
}

impl Sealer {
    /// The keys in `path`. Where nothing is sealed yet and there is no file, it is made.
    pub(super) fn open(path: &Path, sealed: usize) -> Result<Sealer> {
        let keys = match Keys::open(path) {
            Err(KeyFileError::Absent(_)) if sealed == 0 => Keys::create(path),
            other => other,
        };
        let keys = match keys {
            Err(error @ KeyFileError::Absent(_)) => {
                return Err(error).with_context(|| missing(path, sealed));
            }
            other => other.context("open the key that secrets are sealed with")?,
        };
        Ok(Sealer {
            path: path.to_owned(),
            keys: RwLock::new(Arc::new(keys)),
            turn: tokio::sync::RwLock::default(),
        })
    }

    fn keys(&self) -> Arc<Keys> {
        // A writer only swaps: what is there is whole even if one has panicked.
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn swap(&self, keys: Keys) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }

    /// Keeps the file as it is. Blocks while the key is being rotated.
    pub(super) fn hold(&self) -> RwLockReadGuard<'_, ()> {
        self.turn.blocking_read()
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What tells the key that seals from others.
    pub(super) fn newest(&self) -> String {
        self.keys().newest().to_string()
    }

    /// Whether a rotation was begun, here or by root who wrote another key into the file.
    fn is_rotating(&self) -> bool {
        self.keys().ids().count() > 1
    }

    /// Ends a rotation that was begun, if there is one.
    pub(super) async fn settle(&self, store: &Store) -> Result<()> {
        if !self.is_rotating() {
            return Ok(());
        }
        let count = store.reseal(async || Ok(())).await;
        let count = count.context("seal secrets with the newest key")?;
        // A file that root keeps may not be ours to change.
        if let Err(failure) = self.retire().await {
            tracing::warn!(%failure, "older keys are not needed any more: take them away");
        }
        tracing::info!(count, key = %self.newest(), "secrets are sealed with the newest key alone");
        Ok(())
    }

    /// Has another key seal, and every object sealed with it; answers with how many there were.
    pub(super) async fn rotate(&self, store: &Store) -> Result<usize, Failure> {
        let Ok(_turn) = self.turn.try_write() else {
            let message =
                "the key is in use by a rotation or a backup; try again when that is done";
            return Err(Failure::new(Reason::Conflict, message));
        };
        let swap = async || {
            let path = self.path.clone();
            let rotated = tokio::task::spawn_blocking(move || Keys::rotate(&path)).await;
            let rotated = rotated.map_err(Failure::internal)?;
            self.swap(rotated.map_err(|error| refused(&error))?);
            Ok(())
        };
        let count = store.reseal(swap).await?;
        self.retire().await?;
        tracing::info!(count, key = %self.newest(), "secrets are sealed with a new key");
        Ok(count)
    }

    /// Takes all keys but the newest out of the file. In memory they stay until this process ends:
    /// a watcher may still be behind.
    async fn retire(&self) -> Result<(), Failure> {
        let (path, keys) = (self.path.clone(), self.keys());
        let retired = tokio::task::spawn_blocking(move || {
            let mut older = keys.ids().skip(1);
            older.try_for_each(|id| Keys::retire(&path, id).map(drop))
        });
        let retired = retired.await.map_err(Failure::internal)?;
        retired.map_err(|error| refused(&error))
    }
}

impl Seal for Sealer {
    fn seal(&self, key: &str, value: &[u8]) -> Vec<u8> {
        self.keys().seal(place(key), value)
    }

    fn open(&self, key: &str, sealed: &[u8]) -> Result<Vec<u8>, String> {
        let opened = self.keys().unseal(place(key), sealed);
        opened
            .map(|value| value.to_vec())
            .map_err(|why| why.to_string())
    }

    fn reseal(&self, key: &str, sealed: &[u8]) -> Result<Option<Vec<u8>>, String> {
        let again = self.keys().reseal(place(key), sealed);
        again.map_err(|why| why.to_string())
    }
}

/// The whole key of the keyspace: its last step is the object's name.
fn place(key: &str) -> Place<'_> {
    let (namespace, name) = key.rsplit_once('/').unwrap_or(("", key));
    Place { namespace, name }
}

/// Refuses to begin with a key that does not open what is there.
pub(super) async fn check(store: &Store, path: &Path) -> Result<()> {
    if let Err(failure) = store.check_sealed().await {
        bail!(
            "{failure}; put the key file that it was sealed with back at {} (or name it with \
             --secrets-key): nothing was changed",
            path.display()
        );
    }
    Ok(())
}

fn missing(path: &Path, sealed: usize) -> String {
    format!(
        "{sealed} secrets are sealed with the key that was in {}: put that file back (or name it \
         with --secrets-key); nothing is started with a new key in its place",
        path.display()
    )
}

fn refused(error: &KeyFileError) -> Failure {
    Failure::new(Reason::InternalError, chain(error))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        text.push_str(&format!(": {next}"));
        cause = next.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_place_is_bound() {
        let dir = tempfile::tempdir().unwrap();
        let sealer = Sealer::open(&dir.path().join("k"), 0).unwrap();
        let places = [
            "objects/core/secrets/a/b",
            "objects/core/others/a/b",
            "b",
            "a/b",
        ];
        for here in places {
            let sealed = sealer.seal(here, b"value");
            for there in places {
                let opened = Seal::open(&sealer, there, &sealed);
                assert_eq!(opened.is_ok(), here == there, "{here} {there}");
            }
        }
    }

    #[test]
    fn a_key_is_made_only_where_nothing_is_sealed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k");
        let error = Sealer::open(&path, 3).unwrap_err();
        let error = format!("{error:#}");
        assert!(
            error.contains("3 secrets") && error.contains("--secrets-key"),
            "{error}"
        );
        assert!(!path.exists());
        let made = Sealer::open(&path, 0).unwrap().newest();
        assert_eq!(Sealer::open(&path, 3).unwrap().newest(), made);
    }
}
