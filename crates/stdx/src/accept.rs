//! What an error of accept(2) means to who accepts.
//!
//! Never: waits; who accepts has other things to listen to.

use std::io;
use std::time::Duration;

use rustix::io::Errno;

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Accept the next one at once: only the connection that was next is broken.
    Again,
    /// Accept the next one after this time, so as not to spin: it waits, and the machine has
    /// nothing left to accept it with.
    After(Duration),
    /// Give up: the listener is none, and never will be one.
    Stop,
}

/// Long enough to cost nothing, short enough that who waits to connect hardly sees it.
const PAUSE: Duration = Duration::from_millis(100);

/// What to do after `error`.
pub fn next(error: &io::Error) -> Next {
    match Errno::from_io_error(error) {
        Some(Errno::BADF | Errno::INVAL | Errno::NOTSOCK | Errno::OPNOTSUPP | Errno::FAULT) => {
            Next::Stop
        }
        // Errors that were waiting on the new socket (accept(2), "Error handling").
        Some(
            Errno::CONNABORTED
            | Errno::INTR
            | Errno::PERM
            | Errno::PROTO
            | Errno::NOPROTOOPT
            | Errno::HOSTDOWN
            | Errno::NONET
            | Errno::HOSTUNREACH
            | Errno::NETUNREACH
            | Errno::NETDOWN,
        ) => Next::Again,
        // EMFILE, ENFILE, ENOBUFS, ENOMEM, and what nobody knows.
        _ => Next::After(PAUSE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_ends_only_when_it_is_none() {
        for (error, expected) in [
            (Errno::MFILE, Next::After(PAUSE)),
            (Errno::NFILE, Next::After(PAUSE)),
            (Errno::NOBUFS, Next::After(PAUSE)),
            (Errno::NOMEM, Next::After(PAUSE)),
            (Errno::IO, Next::After(PAUSE)),
            (Errno::CONNABORTED, Next::Again),
            (Errno::PERM, Next::Again),
            (Errno::NETDOWN, Next::Again),
            (Errno::BADF, Next::Stop),
            (Errno::NOTSOCK, Next::Stop),
            (Errno::INVAL, Next::Stop),
        ] {
            assert_eq!(next(&error.into()), expected, "{error}");
        }
        let other = io::Error::other("not the kernel's");
        assert_eq!(next(&other), Next::After(PAUSE));
    }

    #[test]
    fn what_is_no_listener_is_known_by_what_the_kernel_says() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let fd = std::os::fd::OwnedFd::from(stream);
        // A connection is not accepted from.
        let error = std::net::TcpListener::from(fd).accept().unwrap_err();
        assert_eq!(next(&error), Next::Stop, "{error}");
    }
}
