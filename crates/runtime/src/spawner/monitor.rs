//! Owns ordering a monitor before it is known what it is to run: the spawner forks while the daemon
//! still puts the container together.
//! Never: what is run.
//!
//! ```text
//!  daemon   -- Monitor + socket --> spawner
//!    |  puts together                 | fork
//!    |  <---------- THERE ------------ monitor
//!    '----------- Run --------------->   |      (or the socket closes, and it ends)
//! ```

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use weft_sys::fd;

use super::{FETCH_MAX, Fds, Handle, SpawnError, pair, wire};
use crate::monitor::record::{self, Envelope, Record as _, Request, RunRequest, Spawned};

/// What a monitor says that waits to be told what to run.
pub(super) const THERE: u8 = b'!';

/// A monitor on its way, or there, and not told yet what to run. Dropped, it ends.
#[derive(Debug)]
pub struct Monitor {
    spawner: Handle,
    socket: Option<OwnedFd>,
}

impl Handle {
    /// Has a monitor made, to be told what to run when that is known. Does not wait for it.
    pub fn monitor(&self) -> Monitor {
        self.ordered(false)
    }

    /// As [`Self::monitor`], for a container nobody has asked for yet: there is time to make it
    /// faster.
    pub fn monitor_ahead(&self) -> Monitor {
        self.ordered(true)
    }

    fn ordered(&self, ahead: bool) -> Monitor {
        Monitor {
            spawner: self.clone(),
            // Without it the spawner is asked again, and tells why it cannot.
            socket: self.order(ahead).ok(),
        }
    }

    fn order(&self, ahead: bool) -> io::Result<OwnedFd> {
        let (ours, theirs) = pair()?;
        let envelope = Envelope {
            version: record::VERSION,
            attach: 0,
            join: Vec::new(),
            request: Request::Monitor { ahead },
        };
        let packet = wire::Packet::new(&envelope.to_json())?;
        let socket = Arc::clone(&self.live().map_err(io::Error::other)?.socket);
        fd::send(&*socket, packet.bytes(), &packet.fds(theirs.as_fd()))?;
        Ok(ours)
    }
}

impl Monitor {
    /// Creates and starts a container; answers once its program runs.
    ///
    /// # Errors
    /// [`SpawnError`]; [`SpawnError::kind`] tells a missing command from the rest.
    pub fn run(self, request: &RunRequest, fds: Fds) -> Result<Spawned, SpawnError> {
        let socket = self.socket.filter(is_there);
        let what = format!("container {}", request.id);
        let request = Request::Run(Box::new(request.clone()));
        self.spawner.spawn(socket.as_ref(), what, request, fds)
    }
}

/// Whether a monitor is at the other end of `socket`: not if the spawner died before it made one.
fn is_there(socket: &OwnedFd) -> bool {
    let limit = rustix::net::sockopt::Timeout::Recv;
    let limited = rustix::net::sockopt::set_socket_timeout(socket, limit, Some(FETCH_MAX));
    let mut said = [0];
    limited.is_ok() && matches!(fd::receive(socket, &mut said), Ok((1, _)) if said == [THERE])
}
