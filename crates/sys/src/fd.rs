//! File descriptors as a whole: duplicates with a chosen number, passing over sockets, closing ranges.
//!
//! Never: what a descriptor means.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};

/// Most descriptors one message carries.
///
/// Linux allows 253 (`SCM_MAX_FD`); weft never needs more than this.
pub const MAX_FDS: usize = 64;

/// Makes `target` refer to what `fd` refers to, without close-on-exec, closing what was there.
///
/// Meant for the standard streams and for descriptors a program is to inherit.
pub fn install(fd: BorrowedFd<'_>, target: RawFd) -> io::Result<()> {
    let number = fd.as_raw_fd();
    // SAFETY: both calls take plain integers; `target` is named by the caller, who gives up
    // whatever it referred to.
    let result = unsafe {
        if number == target {
            libc::fcntl(number, libc::F_SETFD, 0)
        } else {
            libc::dup3(number, target, 0)
        }
    };
    check(result).map(drop)
}

/// Marks every descriptor from `first` up as close-on-exec, in one call (Linux 5.11).
pub fn close_on_exec_from(first: RawFd) -> io::Result<()> {
    let first = libc::c_uint::try_from(first).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the call takes plain integers and closes nothing now.
    let result = unsafe {
        libc::syscall(
            libc::SYS_close_range,
            first,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Closes every descriptor from `first` up that is not in `keep`, at once.
///
/// For a forked child that will exec or exit without returning: whatever owns these descriptors in
/// its copy of the memory must never be used or dropped again.
pub fn close_except(first: RawFd, keep: &[RawFd]) -> io::Result<()> {
    let mut keep: Vec<RawFd> = keep.iter().copied().filter(|fd| *fd >= first).collect();
    keep.sort_unstable();
    keep.dedup();
    let mut from = first;
    for fd in keep.into_iter().chain([RawFd::MAX]) {
        if fd > from {
            // SAFETY: closes descriptors that, by contract of this function, nobody uses again.
            let result = unsafe { libc::syscall(libc::SYS_close_range, from, fd - 1, 0) };
            if result < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        from = fd.saturating_add(1);
    }
    Ok(())
}

/// Takes over a descriptor that was inherited from the caller of this program, as in
/// `--preserve-fds` or a supervisor's socket.
///
/// Gives an error when `number` is not open. It must not be taken twice: that is on the caller,
/// who names the number.
pub fn adopt(number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_GETFD only looks at the table.
    check(unsafe { libc::fcntl(number, libc::F_GETFD) })?;
    // SAFETY: the descriptor is open, as just checked, and by contract of this function nobody
    // else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Sends `bytes` with `fds` attached as one message.
pub fn send(socket: impl AsFd, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "more file descriptors than one message takes",
        ));
    }
    let sent = rustix::net::sendmsg(
        socket,
        &[io::IoSlice::new(bytes)],
        &mut control,
        SendFlags::NOSIGNAL,
    )?;
    if sent != bytes.len() {
        return Err(io::ErrorKind::WriteZero.into());
    }
    Ok(())
}

/// Receives one message into `buffer`: its length and the descriptors with it, close-on-exec.
///
/// A length of 0 on a stream or sequenced-packet socket means that the peer is gone.
pub fn receive(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let socket = socket.as_fd();
    let received = loop {
        let mut into = [io::IoSliceMut::new(buffer)];
        match rustix::net::recvmsg(socket, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => {}
            other => break other?,
        }
    };
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            fds.extend(rights);
        }
    }
    Ok((received.bytes, fds))
}

pub(crate) fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}
