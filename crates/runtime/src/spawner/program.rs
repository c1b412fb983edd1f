//! Owns the sealed copy of the program that the spawner is started from.
//! Never: running it.
//!
//! The copy lives in memory and can be neither written, grown nor shrunk, by anyone: whatever a
//! container reaches through /proc/<monitor>/exe, the program on disk is out of its reach
//! (CVE-2019-5736).

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::MemfdFlags;
use rustix::io::Errno;

use super::Program;

/// Copies the program into sealed memory.
pub(super) fn seal(program: &Program) -> io::Result<OwnedFd> {
    let mut source = match program {
        Program::Own => File::open("/proc/self/exe")?,
        Program::Path(path) => File::open(path)?,
    };
    let image = memory()?;
    let mut target = File::from(image);
    io::copy(&mut source, &mut target)?;
    let image = OwnedFd::from(target);
    weft_sys::seal::seal(&image)?;
    Ok(image)
}

fn memory() -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    match rustix::fs::memfd_create("weft", flags | MemfdFlags::EXEC) {
        // Kernels before 6.3 do not know the flag: there every memfd can be executed.
        Err(Errno::INVAL) => Ok(rustix::fs::memfd_create("weft", flags)?),
        other => Ok(other?),
    }
}

/// A name under which this process can execute the copy.
pub(super) fn path(image: &OwnedFd) -> PathBuf {
    format!("/proc/self/fd/{}", image.as_raw_fd()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn the_copy_is_whole_and_cannot_be_changed() {
        let image = seal(&Program::Own).unwrap();
        let original = std::fs::metadata("/proc/self/exe").unwrap().len();
        let mut file = File::from(image);
        assert_eq!(file.metadata().unwrap().len(), original);
        assert!(file.write(b"x").is_err());
        assert!(file.set_len(1).is_err());
        let again = File::options().write(true).open(path(&file.into()));
        assert!(again.and_then(|mut again| again.write(b"x")).is_err());
    }
}
