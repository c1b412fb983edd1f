//! One container in memory: its record, who waits for it, and the session that tells its end.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::sync::{Notify, watch};
use weft_stdx::file::{self, Durability};

use super::options::Ended;
use super::record::{RECORD_VERSION, Record, State};
use crate::files::Copies;
use crate::paths::Paths;

/// Attach sessions that may wait for one start: the engine's own takes one place more.
pub(crate) const PENDING_MAX: usize = weft_runtime::spawner::ATTACH_MAX - 1;
/// A record is some kilobytes; environment and labels may make it larger.
const RECORD_BYTES_MAX: u64 = 16 << 20;

/// What those who `wait` look at.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress {
    /// Its init is alive, or will be again by its policy.
    pub up: bool,
    /// How many runs have ended.
    pub exits: u64,
    /// How the last one ended.
    pub last: Option<Ended>,
    /// It is no more.
    pub removed: bool,
}

#[derive(Debug)]
pub(crate) struct Container {
    pub id: String,
    record: Mutex<Record>,
    /// The disk lacks something the record has: noted only, or a write that failed.
    unsaved: AtomicBool,
    /// One operation that changes its life at a time.
    pub operation: tokio::sync::Mutex<()>,
    /// Held while a run begins, and while the end of one is seen to: none begins before all of
    /// the last one is put away. Taken after `operation`, never the other way round.
    pub life: tokio::sync::Mutex<()>,
    progress: watch::Sender<Progress>,
    /// Monitor ends of sessions that attached before the start.
    pending: Mutex<Vec<OwnedFd>>,
    /// Told when there is one more of those.
    more_pending: Notify,
    /// Its init, while it runs.
    pub pidfd: Mutex<Option<OwnedFd>>,
    /// Ends the wait of a restart by policy.
    pub cancel_restart: Notify,
    /// Who copies its files.
    pub copies: Copies,
}

impl Container {
    pub fn new(record: Record) -> Self {
        let last = (record.state.finished_at_ns != 0).then(|| Ended {
            code: record.state.exit_code,
            error: (!record.state.error.is_empty()).then(|| record.state.error.clone()),
        });
        let up = record.state.status.is_up();
        Self {
            id: record.id.clone(),
            record: Mutex::new(record),
            unsaved: AtomicBool::new(false),
            operation: tokio::sync::Mutex::new(()),
            life: tokio::sync::Mutex::new(()),
            progress: watch::channel(Progress {
                up,
                last,
                ..Progress::default()
            })
            .0,
            pending: Mutex::new(Vec::new()),
            more_pending: Notify::new(),
            pidfd: Mutex::new(None),
            cancel_restart: Notify::new(),
            copies: Copies::default(),
        }
    }

    pub fn record(&self) -> Record {
        self.with(Record::clone)
    }

    pub fn state(&self) -> State {
        self.with(|r| r.state.clone())
    }

    /// A look at the record without copying it.
    pub fn with<T>(&self, look: impl FnOnce(&Record) -> T) -> T {
        look(&self.record.lock().expect("no holder panics"))
    }

    /// Changes the record, in memory and on disk; a change that changes nothing is not written.
    ///
    /// # Errors
    /// It can't be written; memory then has the change, the disk the old one until the next write.
    pub fn update(&self, paths: &Paths, change: impl FnOnce(&mut Record)) -> io::Result<()> {
        let record = {
            let mut record = self.record.lock().expect("no holder panics");
            let before = record.clone();
            change(&mut record);
            let unsaved = self.unsaved.swap(false, Ordering::Relaxed);
            if *record == before && !unsaved {
                return Ok(());
            }
            record.clone()
        };
        write(paths, &record).inspect_err(|_| self.unsaved.store(true, Ordering::Relaxed))
    }

    /// Changes the record in memory only: whoever reads the disk next finds out for himself.
    pub fn note(&self, change: impl FnOnce(&mut Record)) {
        let mut record = self.record.lock().expect("no holder panics");
        change(&mut record);
        self.unsaved.store(true, Ordering::Relaxed);
    }

    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    pub fn report(&self, change: impl FnOnce(&mut Progress)) {
        self.progress.send_modify(change);
    }

    /// Whether its init has ended, though that may not be recorded yet.
    pub fn init_has_ended(&self) -> bool {
        let pidfd = self.pidfd.lock().expect("no holder panics");
        pidfd
            .as_ref()
            .is_none_or(|pidfd| happened(pidfd, PollFlags::IN))
    }

    /// Keeps a session for the next start; refused when too many wait.
    pub fn add_pending(&self, session: OwnedFd) -> bool {
        let mut pending = self.pending.lock().expect("no holder panics");
        pending.retain(is_waited_for);
        if pending.len() >= PENDING_MAX {
            return false;
        }
        pending.push(session);
        self.more_pending.notify_waiters();
        true
    }

    /// Comes back when a session waits for the next start, or it is up already.
    pub async fn attached(&self) {
        let mut more = std::pin::pin!(self.more_pending.notified());
        more.as_mut().enable();
        let waited_for = !self.pending.lock().expect("no holder panics").is_empty();
        if !waited_for && !self.state().status.is_up() {
            more.await;
        }
    }

    pub fn take_pending(&self) -> Vec<OwnedFd> {
        std::mem::take(&mut self.pending.lock().expect("no holder panics"))
    }
}

/// Whether somebody still holds the other end.
fn is_waited_for(session: &OwnedFd) -> bool {
    !happened(session, PollFlags::HUP)
}

/// Looks, without waiting.
fn happened(fd: &OwnedFd, what: PollFlags) -> bool {
    let mut fds = [PollFd::new(fd, what)];
    let _ = poll(&mut fds, Some(&Timespec::default()));
    fds[0].revents().contains(what)
}

/// Writes `record`. One of `--rm` need not survive a power cut: it would be removed then.
pub(crate) fn write(paths: &Paths, record: &Record) -> io::Result<()> {
    let bytes = serde_json::to_vec(record)?;
    let path = paths.record(&record.id);
    if record.spec.auto_remove {
        file::overwrite(&path, &bytes)
    } else {
        file::replace(&path, &bytes, Durability::PowerCut)
    }
}

/// Reads the record of `id`; `None` when there is none, or when one of `--rm` was lost.
pub(crate) fn read(paths: &Paths, id: &str) -> io::Result<Option<Record>> {
    let path = paths.record(id);
    let bytes = match file::read_bounded(&path, RECORD_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let record: Record = match serde_json::from_slice(&bytes) {
        Ok(record) => record,
        // A power cut came before all of it was written: the container is gone with what it had.
        Err(_) if may_be_lost(paths, id) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if record.version > RECORD_VERSION {
        return Err(io::Error::other(format!(
            "written by a newer weft (record version {}, this one reads {RECORD_VERSION})",
            record.version
        )));
    }
    Ok(Some(record))
}

/// Whether `id` is a container of `--rm` made in another boot.
fn may_be_lost(paths: &Paths, id: &str) -> bool {
    let made = std::fs::read_to_string(paths.fleeting(id));
    made.is_ok_and(|boot| boot != weft_stdx::clock::boot_id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_written_is_written_with_the_next_change() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(dir.path(), dir.path());
        let container = Container::new(crate::oci::tests::record(crate::spec::Spec::default()));
        let stop = |r: &mut Record| r.state.stopped_by_user = true;
        assert!(container.update(&paths, stop).is_err());
        crate::paths::make_dir(&paths.container(&container.id)).unwrap();
        container.update(&paths, stop).unwrap();
        let kept = |paths| read(paths, &container.id).unwrap();
        assert!(kept(&paths).unwrap().state.stopped_by_user);
        container.note(|r| r.state.exit_code = 7);
        container.update(&paths, |_| {}).unwrap();
        assert_eq!(kept(&paths).unwrap().state.exit_code, 7);
        // Nothing has changed: nothing is written.
        std::fs::remove_dir_all(paths.container(&container.id)).unwrap();
        container.update(&paths, stop).unwrap();
    }

    #[test]
    fn a_record_in_part_is_damage_unless_it_need_not_survive() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(dir.path(), dir.path());
        let mut record = crate::oci::tests::record(crate::spec::Spec::default());
        record.spec.auto_remove = true;
        crate::paths::make_dir(&paths.container(&record.id)).unwrap();
        write(&paths, &record).unwrap();
        record.state.exit_code = 3;
        write(&paths, &record).unwrap();
        assert_eq!(read(&paths, &record.id).unwrap(), Some(record.clone()));
        let whole = std::fs::read(paths.record(&record.id)).unwrap();
        let half = &whole[..whole.len() / 2];
        for lost in [&b""[..], b"\0\0\0", half] {
            std::fs::write(paths.record(&record.id), lost).unwrap();
            let mark = paths.fleeting(&record.id);
            assert!(read(&paths, &record.id).is_err());
            // In this boot no power was cut.
            std::fs::write(&mark, weft_stdx::clock::boot_id()).unwrap();
            assert!(read(&paths, &record.id).is_err());
            for other in ["", "another boot"] {
                std::fs::write(&mark, other).unwrap();
                assert_eq!(read(&paths, &record.id).unwrap(), None);
            }
            std::fs::remove_file(&mark).unwrap();
        }
    }

    #[test]
    fn sessions_nobody_waits_for_make_room() {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let theirs = OwnedFd::from(theirs);
        assert!(is_waited_for(&theirs));
        drop(ours);
        assert!(!is_waited_for(&theirs));
    }
}
