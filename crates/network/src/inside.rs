//! Work within a container's network namespace, done by a thread that joins it and ends.
//!
//! Never: joining with a thread of the daemon that lives on.

use std::net::Ipv4Addr;
use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use weft_sys::namespace::{Kind, join};
use weft_sys::netlink::Family;

use crate::netlink::{Batch, Connection, KernelError, errno};
use crate::rtnetlink;
use crate::subnet::Subnet;

/// What an interface within the container gets.
#[derive(Debug, Clone)]
pub(crate) struct Inside<'a> {
    pub(crate) interface: &'a str,
    pub(crate) address: Ipv4Addr,
    pub(crate) subnet: Subnet,
    /// Where the default route leads, if it has one.
    pub(crate) gateway: Option<Ipv4Addr>,
}

/// Runs `work` in a thread that is in `netns`.
fn within<T: Send>(
    netns: BorrowedFd<'_>,
    work: impl FnOnce() -> Result<T, KernelError> + Send,
) -> Result<T, KernelError> {
    let run = || {
        join(netns, Kind::Network).map_err(errno("enter a network namespace"))?;
        work()
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .name("netns".to_owned())
            .spawn_scoped(scope, run)
            .map_err(errno("start a thread for a network namespace"))?;
        match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Loopback and `inside.interface` up, with address and default route; no IPv6 on it.
pub(crate) fn configure(netns: BorrowedFd<'_>, inside: &Inside<'_>) -> Result<(), KernelError> {
    within(netns, || {
        let mut connection = Connection::open(Family::Route)?;
        let link = rtnetlink::find_link(&mut connection, inside.interface)?.ok_or_else(|| {
            let what = format!("find interface {} in its container", inside.interface);
            KernelError::new(what, Errno::NODEV)
        })?;
        no_ipv6(inside.interface)?;
        let mut batch = Batch::new();
        rtnetlink::set_up(&mut batch, rtnetlink::LOOPBACK_INDEX);
        rtnetlink::new_address(&mut batch, link.index, inside.address, inside.subnet);
        rtnetlink::set_up(&mut batch, link.index);
        if let Some(gateway) = inside.gateway {
            let metric = rank(inside.interface);
            rtnetlink::new_default_route(&mut batch, link.index, gateway, metric);
        }
        // Another interface of this rank leads outside already.
        const ROUTE: usize = 3;
        let mut errors = connection.run_all(batch)?;
        errors.retain(|(index, error)| !(*index == ROUTE && error.is(Errno::EXIST)));
        errors
            .into_iter()
            .next()
            .map_or(Ok(()), |(_, error)| Err(error))
    })
}

/// `eth0` leads outside before `eth1`, which takes over when the container leaves the network of
/// the first: its routes go with the interface.
pub(crate) fn rank(interface: &str) -> u32 {
    let digits = interface.trim_start_matches(|c: char| !c.is_ascii_digit());
    digits.parse().unwrap_or(0)
}

/// Router advertisements of a neighbour must not make routes, nor must there be addresses that
/// nothing guards: IPv6 networks do not exist yet.
pub(crate) fn no_ipv6(interface: &str) -> Result<(), KernelError> {
    for (key, value) in [("accept_ra", "0"), ("disable_ipv6", "1")] {
        match set(&format!("ipv6/conf/{interface}/{key}"), value) {
            // A kernel without IPv6 has nothing to turn off.
            Err(error) if error.is(Errno::NOENT) => {}
            other => other?,
        }
    }
    Ok(())
}

/// Writes a setting below `/proc/sys/net` of the caller's network namespace.
pub(crate) fn set(key: &str, value: &str) -> Result<(), KernelError> {
    let path = format!("/proc/sys/net/{key}");
    std::fs::write(&path, value).map_err(errno(&format!("set {path} to {value}")))
}
