//! Signals as events: blocked, and read from a descriptor instead.
//!
//! Never: which signals matter.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::fd::check;

/// Blocks signals for the calling thread and tells of them through a descriptor that polls as
/// readable. Dropping it does not unblock them.
#[derive(Debug)]
pub struct SignalFd {
    fd: OwnedFd,
}

impl SignalFd {
    /// For `signals`, by number (1 to 64).
    pub fn block(signals: &[i32]) -> io::Result<Self> {
        let mut set = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigemptyset initialises the set; sigaddset refuses numbers that are no signals.
        let set = unsafe {
            check(libc::sigemptyset(set.as_mut_ptr()))?;
            for signal in signals {
                check(libc::sigaddset(set.as_mut_ptr(), *signal))?;
            }
            set.assume_init()
        };
        // SAFETY: the set is valid for the call and the old one is not asked for.
        let failed = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set, std::ptr::null_mut()) };
        if failed != 0 {
            return Err(io::Error::from_raw_os_error(failed));
        }
        // SAFETY: as above; the descriptor is new and nobody else's.
        let fd = unsafe {
            let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
            OwnedFd::from_raw_fd(check(libc::signalfd(-1, &set, flags))?)
        };
        Ok(Self { fd })
    }

    /// The number of a signal that has come, if one has.
    pub fn take(&self) -> io::Result<Option<i32>> {
        let mut info = std::mem::MaybeUninit::<libc::signalfd_siginfo>::uninit();
        let size = size_of::<libc::signalfd_siginfo>();
        // SAFETY: the pointer and length describe `info`.
        let got = unsafe { libc::read(self.fd.as_raw_fd(), info.as_mut_ptr().cast(), size) };
        if got == size as isize {
            // SAFETY: the kernel has filled all of it.
            let info = unsafe { info.assume_init() };
            return Ok(i32::try_from(info.ssi_signo).ok());
        }
        let error = io::Error::last_os_error();
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted => Ok(None),
            _ => Err(error),
        }
    }

    /// Forgets all signals that have come so far. They are merged: one may stand for many.
    pub fn clear(&self) -> io::Result<()> {
        loop {
            let mut buffer = [0_u8; 16 * size_of::<libc::signalfd_siginfo>()];
            // SAFETY: the pointer and length describe `buffer`.
            let got = unsafe {
                libc::read(
                    self.fd.as_raw_fd(),
                    buffer.as_mut_ptr().cast(),
                    buffer.len(),
                )
            };
            if got < 0 {
                let error = io::Error::last_os_error();
                return match error.kind() {
                    io::ErrorKind::WouldBlock => Ok(()),
                    io::ErrorKind::Interrupted => continue,
                    _ => Err(error),
                };
            }
        }
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    #[test]
    fn a_blocked_signal_becomes_readable() {
        let signals = SignalFd::block(&[libc::SIGUSR2]).unwrap();
        let ready = || {
            let mut fds = [PollFd::new(&signals, PollFlags::IN)];
            poll(
                &mut fds,
                Some(&Timespec {
                    tv_sec: 0,
                    tv_nsec: 0,
                }),
            )
            .unwrap()
        };
        assert_eq!(ready(), 0);
        // SAFETY: directed at this thread, where it is blocked.
        let sent = unsafe { libc::pthread_kill(libc::pthread_self(), libc::SIGUSR2) };
        assert_eq!(sent, 0);
        assert_eq!(ready(), 1);
        signals.clear().unwrap();
        assert_eq!(ready(), 0);
    }
}
