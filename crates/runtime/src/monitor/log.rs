//! Owns a container's log: records in the CRI text format, in files of bounded size and number.
//! Never: failing. What cannot be written is dropped, counted, and the loss recorded when there is
//! room again.
//!
//! ```text
//!   path      newest, appended to        on reaching max_size:  path.1 → path.2 → … → removed
//!   path.1    the one before                                    path → path.1, a new path
//! ```
//! A file is never written to once it has been renamed: readers rely on it.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags, openat, renameat, statat, unlinkat};
use rustix::io::Errno;

use super::record::LogConfig;

mod files;
mod follow;
mod line;
mod reader;

pub use follow::Follower;
pub use line::{LineError, LogLine, Stream, fuzz, parse};
pub use reader::{ReadError, Reader, Select};

/// Most records are collected for one write, in bytes.
const BATCH: usize = 96 * 1024;
/// Most files of a log, whatever is asked for.
const FILES_MAX: u32 = 1000;

/// The writing side.
#[derive(Debug)]
pub struct Log {
    directory: OwnedFd,
    name: OsString,
    max_size: u64,
    max_files: u32,
    /// `None` while it cannot be created.
    file: Option<OwnedFd>,
    /// Of the newest file, up to the last whole record.
    size: u64,
    batch: Vec<u8>,
    batch_lines: u64,
    /// Lines dropped since the last that could be written.
    lost: u64,
    why_lost: Option<Errno>,
}

impl Log {
    /// Opens the log for appending, creating it.
    ///
    /// # Errors
    /// Whatever opening answers; something at its path that is no file is refused.
    pub fn open(config: &LogConfig) -> io::Result<Self> {
        let invalid = |text: &str| io::Error::new(io::ErrorKind::InvalidInput, text);
        let name = config
            .path
            .file_name()
            .ok_or_else(|| invalid("no file name"))?;
        let parent = config.path.parent().unwrap_or(Path::new("."));
        if config.max_files == 0 || config.max_files > FILES_MAX {
            return Err(invalid("a log has 1 to 1000 files"));
        }
        let mut log = Self {
            directory: open_directory(parent)?,
            name: name.to_owned(),
            max_size: if config.max_size == 0 {
                u64::MAX
            } else {
                config.max_size
            },
            max_files: config.max_files,
            file: None,
            size: 0,
            batch: Vec::new(),
            batch_lines: 0,
            lost: 0,
            why_lost: None,
        };
        log.open_newest()?;
        log.close_half_record();
        Ok(log)
    }

    /// Appends what was read from the workload at `now_ns`.
    pub fn write(&mut self, stream: Stream, bytes: &[u8], now_ns: i64) {
        let prefix = line::Prefix::new(now_ns, stream);
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (content, partial) = match part {
                [content @ .., b'\n'] => (content, false),
                content => (content, true),
            };
            self.append(&prefix.bytes(partial), content);
        }
        self.flush(now_ns);
    }

    /// At the end: records what was lost, if there is room by now.
    pub fn finish(&mut self, now_ns: i64) {
        self.flush(now_ns);
    }

    /// Gives memory back.
    pub fn shrink(&mut self) {
        self.batch = Vec::new();
    }

    /// Removes the oldest file that is not being written to, to make room on a full disk.
    pub fn drop_oldest(&mut self) -> bool {
        (1..self.max_files).rev().any(|index| {
            unlinkat(
                &self.directory,
                numbered(&self.name, index),
                AtFlags::empty(),
            )
            .is_ok()
        })
    }

    fn append(&mut self, prefix: &[u8], content: &[u8]) {
        let record = prefix.len() + content.len() + 1;
        let pending = self.batch.len() as u64;
        if self.size + pending + record as u64 > self.max_size {
            self.write_batch();
            if self.size > 0 {
                self.rotate();
            }
        } else if self.batch.len() + record > BATCH {
            self.write_batch();
        }
        self.batch.extend_from_slice(prefix);
        self.batch.extend_from_slice(content);
        self.batch.push(b'\n');
        self.batch_lines += 1;
    }

    /// Writes what is collected, after a note about what was lost before.
    fn flush(&mut self, now_ns: i64) {
        if self.lost > 0 {
            let lost = self.lost;
            let why = self
                .why_lost
                .map_or(String::new(), |error| format!(": {error}"));
            let note = format!("weft: {lost} log lines were lost here{why}\n");
            let mut record = line::Prefix::new(now_ns, Stream::Stderr)
                .bytes(false)
                .to_vec();
            record.extend_from_slice(note.as_bytes());
            if !self.write_whole(&record) {
                self.drop_batch();
                return;
            }
            self.lost = 0;
        }
        self.write_batch();
    }

    fn write_batch(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        // While lines are missing, what follows waits for the note about them.
        if batch.is_empty() || (self.lost == 0 && self.write_whole(&batch)) {
            self.batch_lines = 0;
        } else {
            self.lost += std::mem::take(&mut self.batch_lines);
        }
        self.batch = batch;
        self.batch.clear();
    }

    fn drop_batch(&mut self) {
        self.lost += std::mem::take(&mut self.batch_lines);
        self.batch.clear();
    }

    /// Writes records, all or none.
    fn write_whole(&mut self, records: &[u8]) -> bool {
        if self.file.is_none() && self.open_newest().is_err() {
            return false;
        }
        let Some(file) = &self.file else { return false };
        let mut rest = records;
        while !rest.is_empty() {
            match rustix::io::write(file, rest) {
                Ok(count) => rest = &rest[count..],
                Err(Errno::INTR) => {}
                Err(error) => {
                    self.why_lost = Some(error);
                    // A half record must not stay: what comes next would be read as its end.
                    let _ = rustix::fs::ftruncate(file, self.size);
                    return false;
                }
            }
        }
        self.size += records.len() as u64;
        true
    }

    /// Starts a new file. What fails leaves the old one in use, which then grows beyond its bound
    /// rather than losing lines.
    fn rotate(&mut self) {
        let oldest = self.max_files - 1;
        if oldest == 0 {
            let _ = unlinkat(&self.directory, &self.name, AtFlags::empty());
        }
        // Up to the first number that is free; the file with the last number is replaced.
        let taken = |index: &u32| {
            let name = numbered(&self.name, *index);
            statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
        };
        let free = (1..oldest).find(|index| !taken(index)).unwrap_or(oldest);
        for index in (0..free).rev() {
            let (from, to) = (numbered(&self.name, index), numbered(&self.name, index + 1));
            let renamed = renameat(&self.directory, &from, &self.directory, &to);
            if index == 0 && renamed.is_err() {
                return;
            }
        }
        self.file = None;
        if let Err(error) = self.open_newest() {
            self.why_lost = error.raw_os_error().map(Errno::from_raw_os_error);
        }
    }

    fn open_newest(&mut self) -> io::Result<()> {
        let flags = OFlags::RDWR
            | OFlags::APPEND
            | OFlags::CREATE
            | OFlags::CLOEXEC
            | OFlags::NOFOLLOW
            | OFlags::NONBLOCK;
        let mode = Mode::from_raw_mode(0o600);
        let file = File::from(openat(&self.directory, &self.name, flags, mode)?);
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a regular file",
            ));
        }
        self.size = metadata.len();
        self.file = Some(file.into());
        Ok(())
    }

    /// A monitor that was killed while writing may have left half a record: it gets its line feed.
    fn close_half_record(&mut self) {
        let Some(file) = &self.file else { return };
        let mut last = [0];
        let at_end = self
            .size
            .checked_sub(1)
            .map(|at| rustix::io::pread(file, &mut last, at));
        if matches!(at_end, Some(Ok(1))) && last != *b"\n" && rustix::io::write(file, b"\n").is_ok()
        {
            self.size += 1;
        }
    }
}

/// `name` for 0, else `name.N`.
fn numbered(name: &OsString, index: u32) -> OsString {
    let mut name = name.clone();
    if index > 0 {
        name.push(format!(".{index}"));
    }
    name
}

fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

#[cfg(test)]
mod tests;
