//! The files of the log: one that grows, and some that were full.
//!
//! Owns: their number and size. A line is never split over two files, and one that was cut off by
//! a crash or a full disk is ended before the next.
//! Never: knows what is in a line.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::Limits;

/// The files, from the one that is written to the oldest.
#[derive(Debug)]
pub(super) struct Files {
    path: PathBuf,
    limits: Limits,
    file: File,
    length: u64,
    /// The file does not end with a whole line.
    torn: bool,
}

impl Files {
    pub(super) fn open(path: &Path, limits: Limits) -> io::Result<Files> {
        let mut file = open(path)?;
        let length = file.metadata()?.len();
        Ok(Files {
            path: path.to_owned(),
            limits,
            length,
            torn: length > 0 && last_byte(&mut file)? != b'\n',
            file,
        })
    }

    /// Appends whole lines, to a new file if the current one has become too long.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let adds = lines.len() as u64 + u64::from(self.torn);
        if self.length > 0 && self.length + adds > self.limits.file_bytes {
            self.rotate()?;
        }
        if self.torn {
            self.write(b"\n")?;
            self.torn = false;
        }
        self.write(lines)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.file.write_all(bytes) {
            Ok(()) => {
                self.length += bytes.len() as u64;
                Ok(())
            }
            Err(error) => {
                // What is in the file by now is for the file to tell.
                let now = self.file.metadata().map_or(self.length, |data| data.len());
                self.torn |= now != self.length;
                self.length = now;
                Err(error)
            }
        }
    }

    fn rotate(&mut self) -> io::Result<()> {
        let kept = self.limits.files.max(1) - 1;
        if kept == 0 {
            fs::remove_file(&self.path)?;
        }
        for number in (0..kept).rev() {
            match fs::rename(self.numbered(number), self.numbered(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        self.file = open(&self.path)?;
        self.length = self.file.metadata()?.len();
        self.torn = false;
        Ok(())
    }

    fn numbered(&self, number: u32) -> PathBuf {
        if number == 0 {
            return self.path.clone();
        }
        let mut path = self.path.clone().into_os_string();
        path.push(format!(".{number}"));
        PathBuf::from(path)
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
}

fn last_byte(file: &mut File) -> io::Result<u8> {
    let mut byte = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut byte)?;
    Ok(byte[0])
}
