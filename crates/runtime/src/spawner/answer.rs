//! Owns the answer to a request, on both sides of the reply socket.
//! Never: what the request was.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use weft_sys::fd;

use super::{SpawnError, died};
use crate::monitor::record::{Failure, Reply};

/// How long a request may take before [`SpawnError::Timeout`]: a rootfs may lie on a slow disk.
pub(super) const ANSWER_MAX: Duration = Duration::from_secs(120);
/// Largest reply, in bytes: a failure's text is cut to fit.
const REPLY_MAX: usize = 32 * 1024;

/// Waits for the answer to the request for `what`, and the descriptors beside it.
pub(super) fn receive(answer: &OwnedFd, what: &str) -> Result<(Reply, Vec<OwnedFd>), SpawnError> {
    let what = || what.to_owned();
    let broken = |source| SpawnError::Answer {
        what: what(),
        source,
    };
    let limit = rustix::net::sockopt::Timeout::Recv;
    rustix::net::sockopt::set_socket_timeout(answer, limit, Some(ANSWER_MAX))
        .map_err(|error| broken(error.into()))?;
    let mut buffer = vec![0; REPLY_MAX];
    match fd::receive(answer, &mut buffer) {
        Ok((0, _)) => Err(SpawnError::Died { what: what() }),
        Ok((count, fds)) => {
            let reply = serde_json::from_slice(&buffer[..count])
                .map_err(|error| broken(io::Error::new(io::ErrorKind::InvalidData, error)))?;
            Ok((reply, fds))
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(SpawnError::Timeout { what: what() })
        }
        Err(error) if died(&error) => Err(SpawnError::Died { what: what() }),
        Err(error) => Err(broken(error)),
    }
}

/// Answers a request; the requester may have gone, which is its own affair.
pub(crate) fn answer(socket: &OwnedFd, reply: &Reply, fds: &[BorrowedFd<'_>]) {
    let mut bytes = serde_json::to_vec(reply).expect("replies have string keys");
    if bytes.len() > REPLY_MAX
        && let Reply::Failed(failure) = reply
    {
        // JSON escapes a byte into at most six.
        let end = failure.text.floor_char_boundary(REPLY_MAX / 8);
        let cut = Failure {
            kind: failure.kind,
            text: failure.text[..end].to_owned(),
        };
        bytes = serde_json::to_vec(&Reply::Failed(cut)).expect("replies have string keys");
    }
    let _ = fd::send(socket, &bytes, fds);
}
