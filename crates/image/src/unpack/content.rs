//! Owns a file's content: its pieces at their places, with holes where there is nothing but zeros.

use std::io::{self, BufRead};
use std::os::fd::OwnedFd;

use rustix::io::Errno;

use super::directories::failed;
use super::path::Clean;
use super::reader::{Archive, Entry};
use super::{UnpackError, shown};

/// A piece of zeros at least this long becomes a hole.
const HOLE_MIN: usize = 4096;

/// Bytes of it that are in the archive.
pub(super) fn stored(entry: &Entry) -> u64 {
    match &entry.sparse {
        Some(pieces) => pieces.iter().map(|(_, length)| length).sum(),
        None => entry.size,
    }
}

/// Writes the data that `archive` has next into the empty file `fd`.
pub(super) fn write<R: BufRead>(
    entry: &Entry,
    path: &Clean,
    fd: &OwnedFd,
    archive: &mut Archive<R>,
) -> Result<(), UnpackError> {
    let whole = [(0, entry.size)];
    let pieces = entry.sparse.as_deref().unwrap_or(&whole);
    let mut end = 0;
    for (offset, length) in pieces {
        let (mut at, mut left) = (*offset, *length);
        while left > 0 {
            let data = archive.data()?;
            if data.is_empty() {
                return Err(UnpackError::Format(format!(
                    "{} is cut short",
                    shown(&entry.path)
                )));
            }
            let step = data.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let hole = step >= HOLE_MIN && is_zero(&data[..step]);
            if !hole {
                write_at(fd, &data[..step], at).map_err(failed("write", path.bytes()))?;
                end = at + step as u64;
            }
            archive.used(step);
            at += step as u64;
            left -= step as u64;
        }
    }
    if end < entry.size {
        rustix::fs::ftruncate(fd, entry.size)
            .map_err(|e| failed("extend", path.bytes())(e.into()))?;
    }
    Ok(())
}

fn is_zero(data: &[u8]) -> bool {
    const ZEROS: [u8; 4096] = [0; 4096];
    data.chunks(ZEROS.len())
        .all(|chunk| *chunk == ZEROS[..chunk.len()])
}

fn write_at(fd: &OwnedFd, mut data: &[u8], mut at: u64) -> io::Result<()> {
    while !data.is_empty() {
        match rustix::io::pwrite(fd, data, at) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                data = &data[written..];
                at += written as u64;
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}
