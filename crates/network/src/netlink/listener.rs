//! A netlink socket that hears what others change.
//!
//! Never: requests; what an event means.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use weft_sys::netlink::{Family, Group, RECEIVE_BYTES, listen, open};

use super::connection::{KernelError, errno};
use super::message::{self, Received};

/// A listening socket in the network namespace it was opened in.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: OwnedFd,
    buffer: Vec<u8>,
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Listener {
    /// Hears of `group` from now on.
    pub(crate) fn open(group: Group) -> Result<Listener, KernelError> {
        let family = match group {
            Group::Links => Family::Route,
            Group::Rules => Family::Netfilter,
        };
        let socket = open(family).map_err(errno("open a netlink socket"))?;
        listen(&socket, group).map_err(errno("listen to the kernel"))?;
        Ok(Listener {
            socket,
            buffer: vec![0; RECEIVE_BYTES],
        })
    }

    /// Calls `each` with the events that are there, and waits for none; false when some were lost.
    pub(crate) fn drain(&mut self, mut each: impl FnMut(&Received<'_>)) -> bool {
        let mut complete = true;
        loop {
            match recv(&self.socket, &mut self.buffer[..], RecvFlags::DONTWAIT) {
                Ok((length, _)) => {
                    message::messages(&self.buffer[..length]).for_each(|event| each(&event));
                }
                Err(Errno::INTR) => {}
                // More happened than there was room for.
                Err(Errno::NOBUFS) => complete = false,
                Err(_) => return complete,
            }
        }
    }
}
