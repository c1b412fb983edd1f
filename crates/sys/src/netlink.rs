//! Netlink sockets: opening one of a family, its address, and the groups it listens to.
//!
//! Never: what the messages mean; callers encode and decode them.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use crate::fd::check;

/// Which part of the kernel a socket talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// rtnetlink: links, addresses, routes.
    Route,
    /// nfnetlink: `nf_tables` and connection tracking.
    Netfilter,
}

/// The largest answer the kernel puts in one datagram is 32 KiB; acknowledgements are small.
pub const RECEIVE_BYTES: usize = 64 * 1024;

/// Room for one request and for its answers; a batch larger than this is refused by the kernel.
const BUFFER_BYTES: libc::c_int = 8 * 1024 * 1024;

/// Opens a socket of `family` in the caller's network namespace, where it stays.
///
/// Errors come with the kernel's explanation (`NETLINK_EXT_ACK`), requests are not echoed.
pub fn open(family: Family) -> io::Result<OwnedFd> {
    let protocol = match family {
        Family::Route => libc::NETLINK_ROUTE,
        Family::Netfilter => libc::NETLINK_NETFILTER,
    };
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: plain integers.
    let raw = check(unsafe { libc::socket(libc::AF_NETLINK, kind, protocol) })?;
    // SAFETY: just opened, owned by nobody else.
    let socket = unsafe { OwnedFd::from_raw_fd(raw) };
    set(&socket, libc::SOL_NETLINK, libc::NETLINK_EXT_ACK, 1)?;
    set(&socket, libc::SOL_NETLINK, libc::NETLINK_CAP_ACK, 1)?;
    // Forcing needs CAP_NET_ADMIN in the first user namespace; without it the default has to do.
    for option in [libc::SO_SNDBUFFORCE, libc::SO_RCVBUFFORCE] {
        let _ = set(&socket, libc::SOL_SOCKET, option, BUFFER_BYTES);
    }
    Ok(socket)
}

/// What the kernel tells whoever listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Links that come, go and change (`RTNLGRP_LINK`), of [`Family::Route`].
    Links,
    /// Changes of `nf_tables` by anybody (`NFNLGRP_NFTABLES`), of [`Family::Netfilter`].
    Rules,
}

/// Lets `socket` hear of a group's events.
pub fn listen(socket: &OwnedFd, group: Group) -> io::Result<()> {
    // Without an address it would be taken for the kernel, which is not told of its own events.
    port(socket)?;
    let group = match group {
        Group::Links => 1,
        Group::Rules => 7,
    };
    set(
        socket,
        libc::SOL_NETLINK,
        libc::NETLINK_ADD_MEMBERSHIP,
        group,
    )
}

/// The address of a socket, chosen by the kernel: events name whose request caused them by it.
pub fn port(socket: &OwnedFd) -> io::Result<u32> {
    // SAFETY: a `sockaddr_nl` of zeroes is a valid value.
    let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
    address.nl_family = libc::AF_NETLINK as libc::sa_family_t;
    let mut length = size_of::<libc::sockaddr_nl>() as libc::socklen_t;
    let raw = socket.as_raw_fd();
    // SAFETY: pointer and length describe `address`, which outlives the calls; its number is 0,
    // by which the kernel chooses one.
    check(unsafe { libc::bind(raw, (&raw const address).cast(), length) })?;
    // SAFETY: as above; the kernel writes no more than `length` bytes.
    check(unsafe { libc::getsockname(raw, (&raw mut address).cast(), &raw mut length) })?;
    Ok(address.nl_pid)
}

fn set(socket: &OwnedFd, level: i32, option: i32, value: libc::c_int) -> io::Result<()> {
    // SAFETY: the pointer and the length describe `value`, which outlives the call.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    })
    .map(drop)
}
