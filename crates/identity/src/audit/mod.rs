//! The audit log: who did what to which object, and what came of it.
//!
//! Owns: a bounded queue, one thread that writes, a bounded number of files. A full queue or disk
//! loses lines rather than requests; how many is counted, and written as soon as it can be.
//! Never: holds a body, a secret or a token.
//!
//! ```text
//!   record ─► queue (4096) ─► writer ─► audit.log ─► audit.log.1 ─► … ─► gone
//!      └─ full: counted ────────┘ {"dropped": n}
//! ```

mod file;
mod wire;

use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use file::Files;

/// Requests that may wait to be written.
pub const QUEUE: usize = 4096;
/// Longest text of one field, in bytes; the rest is cut off.
pub const LONGEST_FIELD: usize = 1024;
/// Most groups that are written.
const MOST_GROUPS: usize = 16;
/// Lines are written together as long as there are some, up to so many bytes.
const BATCH_BYTES: usize = 64 * 1024;

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was carried out, or its own content was refused: see the code.
    Allowed,
    /// The asker may not.
    Denied,
    /// Nobody knows who asked.
    Unauthenticated,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Outcome::Allowed => "allowed",
            Outcome::Denied => "denied",
            Outcome::Unauthenticated => "unauthenticated",
        }
    }
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it was answered, in nanoseconds since 1970.
    pub time_ns: i64,
    /// Who asked.
    pub user: String,
    /// Their groups.
    pub groups: Vec<String>,
    /// Where from.
    pub source: Option<IpAddr>,
    /// What was to be done.
    pub verb: String,
    /// To what: its path in the API.
    pub object: String,
    /// What came of it.
    pub outcome: Outcome,
    /// The HTTP status.
    pub code: u16,
    /// Why it was allowed or denied.
    pub reason: String,
    /// What the client calls itself.
    pub agent: String,
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A file of so many bytes is followed by a new one.
    pub file_bytes: u64,
    /// So many files there are, the current one included.
    pub files: u32,
}

impl Default for Limits {
    /// 5 files of 20 MiB.
    fn default() -> Limits {
        Limits {
            file_bytes: 20 << 20,
            files: 5,
        }
    }
}

/// How it is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Lines written since the start.
    pub written: u64,
    /// Requests that were not written, because the queue was full or the disk refused.
    pub dropped: u64,
}

#[derive(Debug, Default)]
struct Counters {
    written: AtomicU64,
    dropped: AtomicU64,
    /// Of the dropped, those of which no line tells yet.
    untold: AtomicU64,
}

impl Counters {
    fn lose(&self, count: u64) {
        self.dropped.fetch_add(count, Ordering::Relaxed);
        self.untold.fetch_add(count, Ordering::Relaxed);
    }
}

/// Writes what it is told. What is queued when it is dropped is written first.
#[derive(Debug)]
pub struct Audit {
    queue: Option<SyncSender<Box<Entry>>>,
    counters: Arc<Counters>,
    writer: Option<JoinHandle<()>>,
}

impl Audit {
    /// Continues the log at `path`.
    ///
    /// # Errors
    /// When it cannot be opened for writing.
    pub fn open(path: &Path, limits: Limits) -> io::Result<Audit> {
        let files = Files::open(path, limits)?;
        let (mut audit, receiver) = Audit::queue(QUEUE);
        let counters = Arc::clone(&audit.counters);
        let writer = std::thread::Builder::new().name("audit".to_owned());
        let writer = writer.spawn(move || write(files, &receiver, &counters))?;
        audit.writer = Some(writer);
        Ok(audit)
    }

    // Boxed: the queue has room for all that may wait from the start.
    fn queue(bound: usize) -> (Audit, Receiver<Box<Entry>>) {
        let (queue, receiver) = sync_channel(bound);
        let audit = Audit {
            queue: Some(queue),
            counters: Arc::default(),
            writer: None,
        };
        (audit, receiver)
    }

    /// Has `entry` written. Never waits.
    pub fn record(&self, entry: Entry) {
        let Some(queue) = &self.queue else { return };
        match queue.try_send(Box::new(bounded(entry))) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => self.counters.lose(1),
        }
    }

    /// What was written and what was not.
    pub fn count(&self) -> Count {
        Count {
            written: self.counters.written.load(Ordering::Relaxed),
            dropped: self.counters.dropped.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(writer) = self.writer.take() {
            // It has nothing to say but that it panicked, which was printed.
            let _ = writer.join();
        }
    }
}

fn write(mut files: Files, queue: &Receiver<Box<Entry>>, counters: &Counters) {
    let mut last_ns = 0;
    while let Ok(first) = queue.recv() {
        last_ns = first.time_ns;
        write_some(&mut files, &first, queue, counters);
    }
    let untold = counters.untold.swap(0, Ordering::Relaxed);
    if untold > 0 {
        let mut text = Vec::new();
        put(&mut text, last_ns, wire::What::Dropped { dropped: untold });
        // The end: there is nobody left to tell.
        let _ = files.append(&text);
    }
}

/// Writes an entry and those that wait behind it, after a line on those that were lost.
fn write_some(files: &mut Files, first: &Entry, queue: &Receiver<Box<Entry>>, counters: &Counters) {
    let untold = counters.untold.swap(0, Ordering::Relaxed);
    let mut text = Vec::new();
    if untold > 0 {
        let dropped = wire::What::Dropped { dropped: untold };
        put(&mut text, first.time_ns, dropped);
    }
    let mut count = 1;
    put(&mut text, first.time_ns, request(first));
    while text.len() < BATCH_BYTES
        && let Ok(next) = queue.try_recv()
    {
        put(&mut text, next.time_ns, request(&next));
        count += 1;
    }
    match files.append(&text) {
        Ok(()) => {
            counters.written.fetch_add(count, Ordering::Relaxed);
        }
        Err(_) => {
            counters.untold.fetch_add(untold, Ordering::Relaxed);
            counters.lose(count);
        }
    }
}

fn put(text: &mut Vec<u8>, time_ns: i64, what: wire::What<'_>) {
    let line = wire::Line {
        version: wire::VERSION,
        time: &rfc3339(time_ns),
        what,
    };
    serde_json::to_writer(&mut *text, &line).expect("text and numbers are JSON");
    text.push(b'\n');
}

fn request(entry: &Entry) -> wire::What<'_> {
    wire::What::Request(wire::Request {
        user: &entry.user,
        groups: &entry.groups,
        source: entry.source,
        verb: &entry.verb,
        object: &entry.object,
        outcome: entry.outcome.name(),
        code: entry.code,
        reason: &entry.reason,
        agent: &entry.agent,
    })
}

/// What waits has a bound in bytes, too.
fn bounded(mut entry: Entry) -> Entry {
    entry.groups.truncate(MOST_GROUPS);
    let fields = [
        &mut entry.user,
        &mut entry.verb,
        &mut entry.object,
        &mut entry.reason,
        &mut entry.agent,
    ];
    for text in fields.into_iter().chain(&mut entry.groups) {
        if text.len() > LONGEST_FIELD {
            text.truncate(text.floor_char_boundary(LONGEST_FIELD));
            text.shrink_to_fit();
        }
    }
    entry
}

fn rfc3339(time_ns: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(time_ns))
        .unwrap_or_default()
        .to_string()
}

#[cfg(test)]
mod tests;
