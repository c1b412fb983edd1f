//! Owns the making of the workload's streams, and which ends of them are the monitor's.
//! Never: reading or writing them.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Gid, Uid};
use rustix::pipe::{PipeFlags, pipe_with};

use super::record::Streams;
use crate::launch::Stdio;

/// The monitor's ends.
#[derive(Debug, Default)]
pub(super) struct Ours {
    pub(super) stdin: Option<OwnedFd>,
    pub(super) stdout: Option<OwnedFd>,
    pub(super) stderr: Option<OwnedFd>,
    pub(super) terminal: Option<OwnedFd>,
}

impl Ours {
    /// With the terminal's master, which only exists once the container does.
    pub(super) fn or_terminal(self, terminal: Option<OwnedFd>) -> Self {
        Self { terminal, ..self }
    }
}

/// Makes pipes owned by `owner` (uid, gid as the container sees them), or asks for a terminal.
///
/// The owner matters to programs that open /dev/stdout anew. Without stdin the workload gets the
/// descriptor 0 of this process: the spawner's own null device, which nobody can change.
pub(super) fn make(streams: Streams, id_base: u32, owner: (u32, u32)) -> io::Result<(Stdio, Ours)> {
    if streams.terminal {
        return Ok((Stdio::Terminal, Ours::default()));
    }
    let overflow = || io::Error::new(io::ErrorKind::InvalidInput, "user id beyond its range");
    let uid = Uid::from_raw(id_base.checked_add(owner.0).ok_or_else(overflow)?);
    let gid = Gid::from_raw(id_base.checked_add(owner.1).ok_or_else(overflow)?);
    let pipe = || -> io::Result<(OwnedFd, OwnedFd)> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
        // Both ends are one inode.
        rustix::fs::fchown(&read, Some(uid), Some(gid))?;
        Ok((read, write))
    };
    let (stdin, our_stdin) = if streams.stdin {
        let (read, write) = pipe()?;
        (read, Some(write))
    } else {
        (rustix::io::fcntl_dupfd_cloexec(io::stdin(), 3)?, None)
    };
    let (our_stdout, stdout) = pipe()?;
    let (our_stderr, stderr) = pipe()?;
    let ours = Ours {
        stdin: our_stdin,
        stdout: Some(our_stdout),
        stderr: Some(our_stderr),
        terminal: None,
    };
    let theirs = Stdio::Fds {
        stdin,
        stdout,
        stderr,
    };
    Ok((theirs, ours))
}
