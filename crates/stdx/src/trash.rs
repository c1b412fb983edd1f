//! Trees that are gone for everybody at once and deleted at leisure, off the path of whoever
//! waits for the removal. What a crash leaves in the directory goes at the next opening.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::{id, tree};

/// How the names of things begin that are not to be deleted yet.
const ASIDE: &str = "aside-";

/// A directory things are renamed into, and the thread that empties it. The queue is the directory
/// itself: nothing of it is kept in memory. Dropped, what is being deleted is deleted to its end
/// and the rest is left to the next opening.
#[derive(Debug)]
pub struct Trash {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    order: Mutex<Order>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Order {
    /// Something was put in since the thread last looked.
    wanted: bool,
    /// The thread is deleting.
    busy: bool,
    closing: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trash {
    /// Trash in `dir`, which exists and is on the same filesystem as what will be put in. What is
    /// in it already begins to go.
    pub fn new(dir: &Path) -> Self {
        let trash = Self {
            shared: Arc::new(Shared {
                dir: dir.to_owned(),
                order: Mutex::default(),
                changed: Condvar::new(),
            }),
            thread: Mutex::new(None),
        };
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            // What can't be moved is tried again at the next opening.
            let _ = trash.put(&entry.path());
        }
        trash
    }

    /// Takes `path` out of sight; fine if it is not there.
    ///
    /// # Errors
    /// It can't be renamed; it is then where it was.
    pub fn put(&self, path: &Path) -> io::Result<()> {
        if self.move_in(path, &id::random_hex(8))?.is_some() {
            self.wake();
        }
        Ok(())
    }

    /// As [`Trash::put`], but it stays whole where the answer says, until that is put in; `None` when it
    /// was not there.
    ///
    /// # Errors
    /// As [`Trash::put`].
    pub fn set_aside(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        self.move_in(path, &format!("{ASIDE}{}", id::random_hex(8)))
    }

    fn move_in(&self, path: &Path, name: &str) -> io::Result<Option<PathBuf>> {
        let to = self.shared.dir.join(name);
        match std::fs::rename(path, &to) {
            Ok(()) => Ok(Some(to)),
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            // Without the trash itself that is the answer, too.
            Err(e) if path.symlink_metadata().is_ok() => Err(e),
            Err(_) => Ok(None),
        }
    }

    /// Waits until what was put in so far is deleted, as far as it can be.
    pub fn settle(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() {
            return;
        }
        drop(thread);
        let settled = self.shared.changed.wait_while(self.shared.lock(), |order| {
            !order.closing && (order.wanted || order.busy)
        });
        drop(settled);
    }

    fn wake(&self) {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        self.shared.lock().wanted = true;
        self.shared.changed.notify_all();
        if thread.is_none() {
            let shared = Arc::clone(&self.shared);
            let run = move || run(&shared);
            // Without a thread it stays until the next opening.
            *thread = std::thread::Builder::new()
                .name("trash".to_owned())
                .spawn(run)
                .ok();
        }
    }
}

impl Drop for Trash {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.changed.notify_all();
        let thread = self
            .thread
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take() {
            // A panic in it was reported where it happened.
            let _ = thread.join();
        }
    }
}

fn run(shared: &Shared) {
    // Whoever threw it away has somebody waiting for an answer; nobody waits for this.
    let _ = rustix::process::nice(19);
    loop {
        let mut order = shared
            .changed
            .wait_while(shared.lock(), |order| !order.wanted && !order.closing)
            .unwrap_or_else(PoisonError::into_inner);
        if order.closing {
            return;
        }
        (order.wanted, order.busy) = (false, true);
        drop(order);
        empty(shared);
        shared.lock().busy = false;
        shared.changed.notify_all();
    }
}

/// What can't be deleted is tried again with the next thing, and at the next opening.
fn empty(shared: &Shared) {
    let Ok(entries) = std::fs::read_dir(&shared.dir) else {
        return;
    };
    for entry in entries.flatten() {
        if shared.lock().closing {
            return;
        }
        if !entry.file_name().to_string_lossy().starts_with(ASIDE) {
            let _ = tree::remove(&entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn what_is_put_in_is_out_of_sight_at_once_and_goes() {
        let dir = tempfile::tempdir().unwrap();
        let (bin, thing) = (dir.path().join("trash"), dir.path().join("thing"));
        fs::create_dir(&bin).unwrap();
        fs::create_dir_all(thing.join("below")).unwrap();
        let trash = Trash::new(&bin);
        trash.put(&thing).unwrap();
        assert!(!thing.exists());
        trash.put(&thing).unwrap();
        trash.settle();
        assert!(fs::read_dir(&bin).unwrap().next().is_none());
    }

    #[test]
    fn what_a_crash_left_goes_at_the_next_opening() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("left")).unwrap();
        Trash::new(dir.path()).settle();
        assert!(fs::read_dir(dir.path()).unwrap().next().is_none());
    }

    #[test]
    fn what_is_set_aside_is_whole_until_it_is_put_in() {
        let dir = tempfile::tempdir().unwrap();
        let (bin, thing) = (dir.path().join("trash"), dir.path().join("thing"));
        fs::create_dir(&bin).unwrap();
        fs::write(&thing, "x").unwrap();
        let trash = Trash::new(&bin);
        let aside = trash.set_aside(&thing).unwrap().unwrap();
        assert!(trash.set_aside(&thing).unwrap().is_none());
        fs::write(&thing, "y").unwrap();
        trash.put(&thing).unwrap();
        trash.settle();
        assert_eq!(fs::read(&aside).unwrap(), b"x");
        trash.put(&aside).unwrap();
        trash.settle();
        assert!(fs::read_dir(&bin).unwrap().next().is_none());
        // After a crash nobody puts it in any more.
        fs::write(&aside, "z").unwrap();
        Trash::new(&bin).settle();
        assert!(!aside.exists());
    }

    #[test]
    fn a_thing_that_cannot_be_moved_stays() {
        let dir = tempfile::tempdir().unwrap();
        let thing = dir.path().join("thing");
        fs::write(&thing, "x").unwrap();
        assert!(Trash::new(&dir.path().join("none")).put(&thing).is_err());
        assert!(thing.exists());
    }
}
