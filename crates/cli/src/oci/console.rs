//! Terminals of containers: handed to somebody else, or carried to and from our own.
//!
//! Never: interprets what goes through.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};

use super::Failure;

/// Most bytes carried at once.
const CHUNK: usize = 16 * 1024;

/// Sends the master to whoever listens at `socket`, as runc does: its name, and it.
pub fn send(socket: &Path, master: &OwnedFd) -> Result<(), Failure> {
    let failed = |error: io::Error| format!("send the terminal to {}: {error}", socket.display());
    let stream = UnixStream::connect(socket).map_err(failed)?;
    weft_runtime::oci::send_fd(&stream, b"/dev/ptmx", master).map_err(failed)?;
    Ok(())
}

/// Our own terminal, raw as long as this lives.
pub struct Raw(Option<Termios>);

impl Raw {
    /// Makes it raw, if standard input is one.
    pub fn enter() -> Raw {
        let input = std::io::stdin();
        let Ok(old) = tcgetattr(&input) else {
            return Raw(None);
        };
        let mut raw = old.clone();
        raw.make_raw();
        match tcsetattr(&input, OptionalActions::Drain, &raw) {
            Ok(()) => Raw(Some(old)),
            Err(_) => Raw(None),
        }
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some(old) = &self.0 {
            let _ = tcsetattr(std::io::stdin(), OptionalActions::Drain, old);
        }
    }
}

/// Gives `master` the size of our own terminal, if we have one.
pub fn resize(master: &OwnedFd) {
    if let Ok(size) = tcgetwinsize(std::io::stdout()) {
        let _ = tcsetwinsize(master, size);
    }
}

/// Carries what is there from one to the other; false when there will be no more.
pub fn carry(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<bool> {
    let mut buffer = [0_u8; CHUNK];
    let length = match rustix::io::read(from, &mut buffer) {
        // The last user of a terminal is gone.
        Ok(0) | Err(rustix::io::Errno::IO) => return Ok(false),
        Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => return Ok(true),
        other => other?,
    };
    let mut rest = &buffer[..length];
    while !rest.is_empty() {
        match rustix::io::write(to.as_fd(), rest) {
            Err(rustix::io::Errno::INTR) => {}
            other => rest = &rest[other?..],
        }
    }
    Ok(true)
}
