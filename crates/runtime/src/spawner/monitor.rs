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
        Monitor {
            spawner: self.clone(),
            // Without it the spawner is asked again, and tells why it cannot.
            socket: self.order().ok(),
        }
    }

    fn order(&self) -> io::Result<OwnedFd> {
        let (ours, theirs) = pair()?;
        let envelope = Envelope {
            version: record::VERSION,
            attach: 0,
            join: Vec::new(),
            request: Request::Monitor,
        };
        let packet = wire::Packet::new(&envelope.to_json())?;
        let socket = Arc::clone(&self.live().map_err(io::Error::other)?.socket);
        fd::send(&*socket, packet.bytes(), &packet.fds(theirs.as_fd()))?;
        Ok(ours)
    }
}

impl Monitor {
    /// As [`Handle::run`].
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
