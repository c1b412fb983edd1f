//! Files of containers, copied in and out while they run or not.
//!
//! ```text
//!   running: /proc/<init>/root, held with its mount namespace ─┐
//!                                                              ├─▶ thread ─ openat2 ─▶ tar
//!   stopped: overlay and volumes, mounted for the thread only ─┘
//! ```
//! All paths are resolved beneath the container's root by the kernel, once, to handles
//! (CVE-2018-15664). Never: enters a container, or runs anything of it (CVE-2019-14271).

mod path;
mod stream;
mod view;

use std::io::{BufReader, BufWriter, Read};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock, oneshot, watch};
use weft_image::pack;
use weft_image::unpack::{self, Limits};

use crate::container::handle::Container;
use crate::engine::Engine;
use crate::error::{EngineError, Result};
use path::Wanted;
use stream::Interruptible;
use view::{Source, View};

pub use path::PathFacts;

/// How long a copy that broke off is let to end.
const END_MAX: Duration = Duration::from_secs(30);
/// Bytes moved at a time.
const PIECE: usize = 64 << 10;
/// What is read away of an archive that was refused, so that its sender gets to read why.
const DRAIN_MAX: u64 = 4 << 20;

/// How an archive is unpacked in a container.
#[derive(Clone, Copy, Debug, Default)]
pub struct CopyIn {
    /// A directory is never replaced by something else, nor the other way around.
    pub keep_kinds: bool,
    /// Everything goes to the user the container runs as, if one was chosen for it.
    pub to_user: bool,
}

/// Who has a container's files open: many while it runs; one while it does not, since then the
/// root is mounted for them; none while it is started or removed.
#[derive(Debug)]
pub(crate) struct Copies {
    users: Arc<RwLock<()>>,
    /// Changes when those who copy have to leave.
    leave: watch::Sender<u64>,
}

impl Default for Copies {
    fn default() -> Self {
        Self {
            users: Arc::default(),
            leave: watch::channel(0).0,
        }
    }
}

/// A copy's place among the [`Copies`].
#[derive(Debug)]
pub(super) struct Place {
    _user: User,
    leave: watch::Receiver<u64>,
}

#[derive(Debug)]
enum User {
    One(#[expect(dead_code, reason = "held")] OwnedRwLockReadGuard<()>),
    Only(#[expect(dead_code, reason = "held")] OwnedRwLockWriteGuard<()>),
}

impl Copies {
    async fn enter(&self, alone: bool) -> Place {
        let users = Arc::clone(&self.users);
        let user = if alone {
            User::Only(users.write_owned().await)
        } else {
            User::One(users.read_owned().await)
        };
        Place {
            _user: user,
            leave: self.leave.subscribe(),
        }
    }

    /// Waits until nobody copies, breaking copies off after `patience`.
    pub async fn end(&self, patience: Duration) -> Result<OwnedRwLockWriteGuard<()>> {
        let mut ended = std::pin::pin!(Arc::clone(&self.users).write_owned());
        if let Ok(guard) = tokio::time::timeout(patience, &mut ended).await {
            return Ok(guard);
        }
        self.leave.send_modify(|times| *times += 1);
        tokio::time::timeout(END_MAX, ended).await.map_err(|_| {
            EngineError::conflict(
                "the container's files are being copied, and the copy does not end: try again later",
            )
        })
    }
}

impl Engine {
    /// What is at `path` in a container; a link is not followed.
    ///
    /// # Errors
    /// No such container, or nothing is there.
    pub async fn path_facts(&self, reference: &str, path: &str) -> Result<PathFacts> {
        let wanted = Wanted::parse(path, reference)?;
        let container = self.find(reference)?;
        self.with_files(&container, move |view, _| wanted.facts(view))
            .await
    }

    /// Writes the file or directory at `path` as a tar archive to `out`, after `begin` has heard
    /// what it is. On an error after that, `out` has a part of an archive.
    ///
    /// # Errors
    /// No such container, nothing is there, it cannot be read, or nobody takes it.
    pub async fn copy_out(
        &self,
        reference: &str,
        path: &str,
        begin: impl FnOnce(PathFacts) + Send + 'static,
        out: impl AsyncWrite + Unpin + Send + 'static,
    ) -> Result<()> {
        let wanted = Wanted::parse(path, reference)?;
        let container = self.find(reference)?;
        let runtime = self.inner.runtime.clone();
        self.with_files(&container, move |view, leave| {
            let (handle, facts) = wanted.open(view)?;
            begin(facts);
            let out = Interruptible::new(out, leave, runtime);
            let out = BufWriter::with_capacity(PIECE, out);
            pack::pack(out, &handle, wanted.name(), view.ids).map_err(|error| {
                EngineError::caused(
                    crate::images::code(error.kind()),
                    wanted.what("copy"),
                    error,
                )
            })
        })
        .await?;
        self.emit(&container, "archive-path", &[("path", path.to_owned())]);
        Ok(())
    }

    /// Writes the root filesystem of a container as a tar archive to `out`, after `begin` was
    /// called: without what is mounted in it. On an error after that, `out` has a part of an archive.
    ///
    /// # Errors
    /// No such container, it cannot be read, or nobody takes it.
    pub async fn export(
        &self,
        reference: &str,
        begin: impl FnOnce() + Send + 'static,
        out: impl AsyncWrite + Unpin + Send + 'static,
    ) -> Result<()> {
        let container = self.find(reference)?;
        let runtime = self.inner.runtime.clone();
        let what = format!("export container {reference}");
        let write = move |view: &View, leave| {
            begin();
            let out = Interruptible::new(out, leave, runtime);
            let out = BufWriter::with_capacity(PIECE, out);
            let root = rustix::io::dup(view.root.as_fd())
                .map_err(|e| EngineError::internal(what.clone(), e))?;
            pack::pack_contents(out, &root, view.ids).map_err(|error| {
                EngineError::caused(crate::images::code(error.kind()), what, error)
            })
        };
        self.with_root(&container, Source::open_bare, write).await?;
        self.emit(&container, "export", &[]);
        Ok(())
    }

    /// Unpacks a tar archive into the directory at `path`, links followed.
    ///
    /// # Errors
    /// No such container or directory, it is read-only, the archive is none or leads out.
    pub async fn copy_in(
        &self,
        reference: &str,
        path: &str,
        options: CopyIn,
        archive: impl AsyncRead + Unpin + Send + 'static,
    ) -> Result<()> {
        let wanted = Wanted::parse(path, reference)?;
        let container = self.find(reference)?;
        let runtime = self.inner.runtime.clone();
        let user = container.with(|r| r.resolved.user.clone());
        self.with_files(&container, move |view, leave| {
            let archive = Interruptible::new(archive, leave, runtime);
            let mut archive = BufReader::with_capacity(PIECE, archive);
            let owner = (options.to_user && !user.is_empty())
                .then(|| view.owner(&user))
                .transpose()?;
            let put = wanted.directory(view).and_then(|()| {
                let tree = unpack::Tree {
                    root: view
                        .root
                        .try_clone()
                        .map_err(|e| EngineError::internal(wanted.what("copy to"), e))?,
                    directory: wanted.path(),
                    ids: view.ids,
                    owner,
                    keep_kinds: options.keep_kinds,
                };
                view.writing(|| unpack::unpack_into(&mut archive, tree, Limits::default()))
                    .map_err(|e| EngineError::internal(wanted.what("copy to"), e))?
                    .map_err(|error| {
                        let code = crate::images::code(error.kind());
                        EngineError::caused(code, wanted.what("copy to"), error)
                    })
            });
            if put.is_err() {
                let _ = std::io::copy(&mut archive.take(DRAIN_MAX), &mut std::io::sink());
            }
            put.map(drop)
        })
        .await?;
        self.emit(&container, "extract-to-dir", &[("path", path.to_owned())]);
        Ok(())
    }

    /// Does `work` with the container's files, in a thread of its own.
    async fn with_files<T: Send + 'static>(
        &self,
        container: &Arc<Container>,
        work: impl FnOnce(&View, watch::Receiver<u64>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.with_root(container, Source::open, work).await
    }

    async fn with_root<T: Send + 'static>(
        &self,
        container: &Arc<Container>,
        open: impl FnOnce(Source) -> Result<View> + Send + 'static,
        work: impl FnOnce(&View, watch::Receiver<u64>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (place, source) = self.files_of(container).await?;
        let (done, result) = oneshot::channel();
        let thread = move || {
            let leave = place.leave.clone();
            let worked = open(source).and_then(|view| work(&view, leave));
            // Before the answer: who asks next need not wait.
            drop(place);
            let _ = done.send(worked);
        };
        std::thread::Builder::new()
            .name("weft-files".to_owned())
            .spawn(thread)
            .map_err(|e| EngineError::internal("start a thread to copy files", e))?;
        result
            .await
            .unwrap_or_else(|_| Err(EngineError::internal("copy files", "the copy broke off")))
    }

    /// A place to copy from, and what to open: the container neither starts nor goes from here on.
    async fn files_of(&self, container: &Arc<Container>) -> Result<(Place, Source)> {
        loop {
            let mut progress = container.progress();
            progress.borrow_and_update();
            let up = container.state().status.is_up();
            let place = container.copies.enter(!up).await;
            if self.find(&container.id).is_err() {
                return Err(EngineError::no_container(&container.id));
            }
            let record = container.record();
            if record.state.status.is_up() != up {
                continue;
            }
            if !up {
                return Ok((place, self.stopped_source(&record)?));
            }
            if let Some(source) = Source::running(&record.state) {
                return Ok((place, source));
            }
            drop(place);
            // It has ended, and that is not yet known here.
            let heard = tokio::time::timeout(END_MAX, progress.changed()).await;
            if !matches!(heard, Ok(Ok(()))) {
                return Err(EngineError::conflict(format!(
                    "container {} is ending: try again",
                    record.name
                )));
            }
        }
    }
}
