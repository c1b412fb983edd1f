//! Owns reading a log back: the chosen records, oldest first, over all its files.
//! Never: waiting for more; that is the follower's.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use super::files::{Direction, Files, Found};
use super::line::{LogLine, Stream, parse};

/// How much is read at once.
const BLOCK: usize = 64 * 1024;
/// Longest record that is understood; weft writes at most 64 KiB and a prefix.
const RECORD_MAX: usize = 256 * 1024;

/// Which records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Select {
    /// Only so many lines from the end.
    pub tail: Option<u64>,
    /// Only those read at or after this time, in nanoseconds since 1970.
    pub since_ns: Option<i64>,
    /// Only those read at or before this time.
    pub until_ns: Option<i64>,
    /// Those of standard output.
    pub stdout: bool,
    /// Those of standard error.
    pub stderr: bool,
}

impl Default for Select {
    fn default() -> Self {
        Self {
            tail: None,
            since_ns: None,
            until_ns: None,
            stdout: true,
            stderr: true,
        }
    }
}

impl Select {
    fn takes(&self, line: &LogLine<'_>) -> bool {
        self.takes_stream(line.stream)
            && self.since_ns.is_none_or(|since| line.time_ns >= since)
            && self.until_ns.is_none_or(|until| line.time_ns <= until)
    }

    fn takes_stream(&self, stream: Stream) -> bool {
        match stream {
            Stream::Stdout => self.stdout,
            Stream::Stderr => self.stderr,
        }
    }
}

/// Why a log cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the log {path}")]
pub struct ReadError {
    path: String,
    #[source]
    source: io::Error,
}

/// Gives a log's records, oldest first.
#[derive(Debug)]
pub struct Reader {
    path: String,
    pub(super) files: Files,
    select: Select,
    current: Option<Place>,
    /// `buffer[start..]` was read and not given out; it ends at `Place::offset`.
    buffer: Vec<u8>,
    start: usize,
    /// The record in `buffer` that was found last.
    line: Range<usize>,
    damaged: u64,
}

/// Where the next bytes come from.
#[derive(Debug)]
struct Place {
    file: File,
    inode: u64,
    offset: u64,
    /// The file was no longer the newest when this was last looked at: nothing is added to it.
    closed: bool,
}

impl Place {
    fn new(found: Found, offset: u64) -> Self {
        Self {
            file: found.file,
            inode: found.inode,
            offset,
            closed: false,
        }
    }
}

impl Reader {
    /// Opens the log whose newest file is at `path`. A log without files has no records.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn open(path: &Path, select: Select) -> Result<Self, ReadError> {
        let error = |source| ReadError {
            path: path.display().to_string(),
            source,
        };
        let files = Files::of(path).map_err(error)?;
        let current = match select.tail {
            Some(lines) => find_tail(&files, &select, lines),
            None => find_since(&files, select.since_ns),
        };
        Ok(Self {
            path: path.display().to_string(),
            files,
            select,
            current: current.map_err(error)?,
            buffer: Vec::new(),
            start: 0,
            line: 0..0,
            damaged: 0,
        })
    }

    /// How many lines could not be understood and were left out.
    pub fn damaged(&self) -> u64 {
        self.damaged
    }

    /// The next record, or `None` when there is none now; a log that grows may have one later.
    ///
    /// # Errors
    /// [`ReadError`].
    #[expect(
        clippy::should_implement_trait,
        reason = "the record borrows from the reader"
    )]
    pub fn next(&mut self) -> Result<Option<LogLine<'_>>, ReadError> {
        Ok(if self.advance()? { self.line() } else { None })
    }

    /// Goes on to the next record that was asked for; false when there is none now.
    pub(super) fn advance(&mut self) -> Result<bool, ReadError> {
        while let Some(range) = self.next_line()? {
            match parse(&self.buffer[range.clone()]) {
                Ok(line) if self.select.takes(&line) => {
                    self.line = range;
                    return Ok(true);
                }
                Ok(_) => {}
                // An empty line closes a record that was cut short.
                Err(_) if range.is_empty() => {}
                Err(_) => self.damaged += 1,
            }
        }
        Ok(false)
    }

    /// The record [`advance`](Self::advance) went to.
    pub(super) fn line(&self) -> Option<LogLine<'_>> {
        parse(&self.buffer[self.line.clone()]).ok()
    }

    /// The range of the next whole line in the buffer, without its line feed.
    fn next_line(&mut self) -> Result<Option<Range<usize>>, ReadError> {
        let mut searched = 0;
        loop {
            let rest = &self.buffer[self.start..];
            if let Some(at) = rest[searched..].iter().position(|byte| *byte == b'\n') {
                let range = self.start..self.start + searched + at;
                self.start = range.end + 1;
                return Ok(Some(range));
            }
            searched = rest.len();
            if searched > RECORD_MAX {
                self.start = self.buffer.len();
                self.damaged += 1;
                searched = 0;
            }
            let more = self.read_more();
            match more.map_err(|source| self.error(source))? {
                More::Bytes => {}
                More::OtherFile => searched = 0,
                More::Nothing => return Ok(None),
            }
        }
    }

    fn read_more(&mut self) -> io::Result<More> {
        if self.current.is_none() {
            self.current = self.files.oldest()?.map(|found| Place::new(found, 0));
        }
        let Some(place) = &mut self.current else {
            return Ok(More::Nothing);
        };
        self.buffer.drain(..self.start);
        self.start = 0;
        let filled = self.buffer.len();
        self.buffer.resize(filled + BLOCK, 0);
        let count = place.file.read_at(&mut self.buffer[filled..], place.offset);
        self.buffer.truncate(filled + *count.as_ref().unwrap_or(&0));
        let count = count?;
        place.offset += count as u64;
        if count > 0 {
            return Ok(More::Bytes);
        }
        // What is there of an unfinished record is read again later: a writer that ran out of
        // space takes it back.
        place.offset -= filled as u64;
        self.buffer.clear();
        if !place.closed {
            if self.files.is_newest(place.inode) {
                return Ok(More::Nothing);
            }
            // It was renamed: what was added before that has to be read first.
            place.closed = true;
            return Ok(More::OtherFile);
        }
        match self.files.next(place.inode, Direction::Newer)? {
            Some(found) => {
                self.damaged += u64::from(filled > 0);
                self.current = Some(Place::new(found, 0));
                Ok(More::OtherFile)
            }
            None => Ok(More::Nothing),
        }
    }

    fn error(&self, source: io::Error) -> ReadError {
        ReadError {
            path: self.path.clone(),
            source,
        }
    }
}

enum More {
    Bytes,
    OtherFile,
    Nothing,
}

/// The oldest file that may hold records of `since_ns` or later.
fn find_since(files: &Files, since_ns: Option<i64>) -> io::Result<Option<Place>> {
    let mut candidate = files.oldest()?;
    while let (Some(since), Some(found)) = (since_ns, &candidate) {
        let metadata = found.file.metadata()?;
        // Nothing in a file is newer than its last change.
        let last_ns = metadata.mtime().saturating_mul(1_000_000_000) + metadata.mtime_nsec();
        if last_ns >= since {
            break;
        }
        match files.next(found.inode, Direction::Newer)? {
            Some(newer) => candidate = Some(newer),
            None => break,
        }
    }
    Ok(candidate.map(|found| Place::new(found, 0)))
}

/// Where the last `lines` lines begin, looked for backwards.
///
/// A line ends with a full record, or with the last partial one of its stream.
fn find_tail(files: &Files, select: &Select, lines: u64) -> io::Result<Option<Place>> {
    let mut counted = 0;
    let mut seen = [false; 2];
    let mut place = None;
    let mut candidate = files.newest()?;
    while let Some(found) = candidate {
        let older = |inode| files.next(inode, Direction::Older);
        let begins = backwards(&found.file, |line| {
            let Ok(line) = parse(line) else { return false };
            let after_end = select.until_ns.is_some_and(|until| line.time_ns > until);
            if after_end || !select.takes_stream(line.stream) {
                return false;
            }
            let seen = &mut seen[usize::from(line.stream == Stream::Stderr)];
            let ends_line = !line.partial || !*seen;
            *seen = true;
            if ends_line && counted == lines {
                return true;
            }
            counted += u64::from(ends_line);
            false
        })?;
        let inode = found.inode;
        place = Some(Place::new(found, begins.unwrap_or(0)));
        if begins.is_some() {
            break;
        }
        candidate = older(inode)?;
    }
    Ok(place)
}

/// Shows the whole lines of a file from the last to the first until one is `enough`; answers the
/// offset after that one.
fn backwards(file: &File, mut enough: impl FnMut(&[u8]) -> bool) -> io::Result<Option<u64>> {
    let mut begin = file.metadata()?.len();
    // What was read, from `begin` on, up to the end of the last line not shown yet.
    let mut pending: Vec<u8> = Vec::new();
    // Whether `pending` ends with a line feed's place: bytes after the last one are no line.
    let mut in_line = false;
    loop {
        if begin == 0 {
            if in_line && !pending.is_empty() && enough(&pending) {
                return Ok(Some(pending.len() as u64 + 1));
            }
            return Ok(None);
        }
        let size = (BLOCK as u64).min(begin);
        begin -= size;
        let mut block = vec![0; usize::try_from(size).expect("at most a block")];
        file.read_exact_at(&mut block, begin)?;
        block.append(&mut pending);
        while let Some(at) = block.iter().rposition(|byte| *byte == b'\n') {
            if in_line && enough(&block[at + 1..]) {
                return Ok(Some(begin + block.len() as u64 + 1));
            }
            block.truncate(at);
            in_line = true;
        }
        if !in_line || block.len() > RECORD_MAX {
            // Not a line, or too long to be one.
            in_line &= block.len() <= RECORD_MAX;
            block.clear();
        }
        pending = block;
    }
}
