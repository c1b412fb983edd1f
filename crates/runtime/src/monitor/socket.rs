//! Owns monitor.sock: where it lies, that one monitor at a time has it, and how to reach it.
//! Never: what is said through it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, listen, socket_with,
};

const NAME: &str = "monitor.sock";
/// Connections that wait to be accepted.
const BACKLOG: i32 = 16;

/// The socket of a living monitor; only it holds the lock on the directory.
#[derive(Debug)]
pub(super) struct Listener {
    directory: OwnedFd,
    socket: OwnedFd,
}

impl Listener {
    /// Takes over `run_dir`, whatever a dead monitor left there included.
    pub(super) fn bind(run_dir: &Path) -> io::Result<Self> {
        let directory = open_directory(run_dir)?;
        match rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => {
                let text = "another monitor is at work there";
                return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
            }
            other => other?,
        }
        match rustix::fs::unlinkat(&directory, NAME, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        bind(&socket, &address(directory.as_fd())?)?;
        rustix::fs::chmodat(
            &directory,
            NAME,
            Mode::from_raw_mode(0o600),
            AtFlags::empty(),
        )?;
        listen(&socket, BACKLOG)?;
        Ok(Self { directory, socket })
    }

    /// The next client that waits, if there is one.
    pub(super) fn accept(&self) -> Option<OwnedFd> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        accept_with(&self.socket, flags).ok()
    }

    /// Removes the socket and gives the directory free, in this order: whoever takes it next
    /// finds nothing of ours.
    pub(super) fn close(self) {
        let _ = rustix::fs::unlinkat(&self.directory, NAME, AtFlags::empty());
        let _ = rustix::fs::flock(&self.directory, FlockOperation::Unlock);
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Connects to the monitor whose socket lies in `run_dir`.
///
/// A stream that ends without an `Exit` frame, or a refused connection, means: look for the exit
/// record, which is written before the socket goes; if there is none the monitor died.
///
/// # Errors
/// `NotFound` or `ConnectionRefused` when no monitor is there.
pub fn connect(run_dir: &Path) -> io::Result<UnixStream> {
    let directory = open_directory(run_dir)?;
    UnixStream::connect(path(directory.as_fd()))
}

fn open_directory(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    Ok(OwnedFd::from(File::from(rustix::fs::open(
        path,
        flags,
        Mode::empty(),
    )?)))
}

/// A path of at most 107 bytes, however long that of the directory is.
fn path(directory: BorrowedFd<'_>) -> PathBuf {
    format!("/proc/self/fd/{}/{NAME}", directory.as_raw_fd()).into()
}

fn address(directory: BorrowedFd<'_>) -> io::Result<SocketAddrUnix> {
    Ok(SocketAddrUnix::new(path(directory))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn one_monitor_at_a_time_even_in_a_deep_directory() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("d".repeat(200));
        std::fs::create_dir(&deep).unwrap();
        assert_eq!(connect(&deep).unwrap_err().kind(), io::ErrorKind::NotFound);

        let listener = Listener::bind(&deep).unwrap();
        let mode = std::fs::metadata(deep.join(NAME))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(
            Listener::bind(&deep).unwrap_err().kind(),
            io::ErrorKind::AddrInUse
        );
        assert!(listener.accept().is_none());
        let _client = connect(&deep).unwrap();
        assert!(listener.accept().is_some());

        // A monitor that was killed leaves its socket, but no lock.
        drop(listener);
        assert_eq!(
            connect(&deep).unwrap_err().kind(),
            io::ErrorKind::ConnectionRefused
        );
        Listener::bind(&deep).unwrap().close();
        assert_eq!(connect(&deep).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
