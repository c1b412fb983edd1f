//! The gate init waits at between create and start.
//!
//! With a caller that stays, it is the channel they have anyway. A caller that ends in between
//! (`weft oci create`) gives init a listening socket, kept in a directory only root can enter.
//! Never: opens for anybody who cannot reach that directory.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use oci_spec::runtime::Hook;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::LaunchError;
use super::channel::{Channel, Message};
use super::hook::{self, State};
use super::step::{Failure, Step};

/// The way to a waiting init.
#[derive(Debug)]
pub struct Gate {
    channel: Channel,
    poststart: Vec<Hook>,
    state: State,
}

/// Makes the socket `name` in `directory`, for init to wait at.
pub fn listen(directory: BorrowedFd<'_>, name: &str) -> io::Result<OwnedFd> {
    let socket = socket()?;
    rustix::net::bind(&socket, &address(directory, name)?)?;
    // One caller starts a container; a second one finds the queue full or the socket gone.
    rustix::net::listen(&socket, 1)?;
    Ok(socket)
}

pub(super) fn accept(listener: &OwnedFd) -> io::Result<OwnedFd> {
    loop {
        match rustix::net::accept_with(listener, SocketFlags::CLOEXEC) {
            Err(rustix::io::Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

fn socket() -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC;
    Ok(rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        flags,
        None,
    )?)
}

/// By way of the descriptor: a socket's address holds 107 bytes, a directory's path more.
fn address(directory: BorrowedFd<'_>, name: &str) -> io::Result<SocketAddrUnix> {
    let path = PathBuf::from(format!("/proc/self/fd/{}/{name}", directory.as_raw_fd()));
    Ok(SocketAddrUnix::new(path)?)
}

impl Gate {
    pub(super) fn new(channel: Channel, poststart: Vec<Hook>, state: State) -> Gate {
        Gate {
            channel,
            poststart,
            state,
        }
    }

    /// The way to an init that waits at the socket `name` in `directory`.
    pub fn connect(
        directory: BorrowedFd<'_>,
        name: &str,
        poststart: Vec<Hook>,
        state: State,
    ) -> io::Result<Gate> {
        let socket = socket()?;
        rustix::net::connect(&socket, &address(directory, name)?)?;
        Ok(Gate::new(Channel::over(socket), poststart, state))
    }

    /// Opens the gate; comes back when the program runs, or with the reason why it does not.
    pub fn open(self) -> Result<(), LaunchError> {
        if self.channel.send(&Message::Go).is_err() {
            return Err(LaunchError::Died("it is gone from its gate".to_owned()));
        }
        self.follow()
    }

    /// Comes back when the program of an init that does not wait runs, or with the reason why not.
    pub(super) fn follow(self) -> Result<(), LaunchError> {
        let lost = |error: io::Error| Failure::new(Step::Channel, "", &error);
        match self.channel.receive().map_err(lost)? {
            Message::Closed => {}
            Message::Failed(failure) => return Err(failure.into()),
            other => return Err(LaunchError::Died(format!("it said {other:?}"))),
        }
        hook::run_all(&self.poststart, &self.state.with_status("running"))?;
        Ok(())
    }
}
