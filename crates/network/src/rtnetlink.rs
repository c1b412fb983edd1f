//! Links, addresses and routes as rtnetlink messages (RFC 3549, `linux/rtnetlink.h`).
//!
//! Never: which links there should be. Deleting a veth waits for an RCU grace period in the
//! kernel (tens of milliseconds): only the sweeper does it.

use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, BorrowedFd};

use crate::netlink::message::{ACK, CREATE, DUMP, EXCL, Received, text, u32_at};
use crate::netlink::{Attributes, Batch, Connection, KernelError, find, get_u32};
use crate::subnet::{Mac, Subnet};

const NEW_LINK: u16 = 16;
const DELETE_LINK: u16 = 17;
const GET_LINK: u16 = 18;
const NEW_ADDRESS: u16 = 20;
const NEW_ROUTE: u16 = 24;
const GET_ROUTE: u16 = 26;

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_IFALIAS: u16 = 20;
const IFLA_GROUP: u16 = 27;
const IFLA_NET_NS_FD: u16 = 28;

const UP: u32 = 1;
const AF_INET: u8 = 2;
const MAIN_TABLE: u8 = 254;

/// The kernel's number of the loopback interface, in every network namespace.
pub(crate) const LOOPBACK_INDEX: u32 = 1;

fn link_header(index: u32, flags: u32, change: u32) -> [u8; 16] {
    let mut header = [0u8; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&flags.to_ne_bytes());
    header[12..16].copy_from_slice(&change.to_ne_bytes());
    header
}

/// A bridge to make: without spanning tree (so ports forward at once) and without multicast
/// snooping (whose per-port timers cost more than the floods it saves). Nor does it learn from
/// frames for bridges themselves, which no rule sees.
pub(crate) fn new_bridge(batch: &mut Batch, name: &str, mac: Mac, mtu: u32) {
    const MULTICAST_SNOOPING: u16 = 23;
    const SWITCHES: u16 = 46;
    /// `BR_BOOLOPT_NO_LL_LEARN`: its value, then which ones are set.
    const NO_LINK_LOCAL_LEARNING: [u32; 2] = [1, 1];
    let what = format!("create bridge {name}");
    batch.message(
        what,
        NEW_LINK,
        ACK | CREATE | EXCL,
        &link_header(0, 0, 0),
        |a| {
            a.string(IFLA_IFNAME, name);
            a.bytes(IFLA_ADDRESS, &mac.0);
            a.u32(IFLA_MTU, mtu);
            a.nest(IFLA_LINKINFO, |a| {
                a.string(1, "bridge");
                a.nest(2, |a| {
                    a.u8(MULTICAST_SNOOPING, 0);
                    a.bytes(
                        SWITCHES,
                        &NO_LINK_LOCAL_LEARNING.map(u32::to_ne_bytes).concat(),
                    );
                });
            });
        },
    );
}

/// A veth pair to make: `name` here, up, a port of the bridge; its peer in `netns`, still down.
#[derive(Debug)]
pub(crate) struct Veth<'a> {
    pub(crate) name: &'a str,
    pub(crate) bridge: u32,
    pub(crate) mtu: u32,
    pub(crate) netns: BorrowedFd<'a>,
    pub(crate) peer_name: &'a str,
    pub(crate) peer_mac: Mac,
}

pub(crate) fn new_veth(batch: &mut Batch, veth: &Veth<'_>) {
    const PEER: u16 = 1;
    let what = format!("create interface {} for a container", veth.peer_name);
    let header = link_header(0, UP, UP);
    batch.message(what, NEW_LINK, ACK | CREATE | EXCL, &header, |a| {
        a.string(IFLA_IFNAME, veth.name);
        a.u32(IFLA_MTU, veth.mtu);
        a.u32(IFLA_MASTER, veth.bridge);
        a.nest(IFLA_LINKINFO, |a| {
            a.string(1, "veth");
            a.nest(2, |a| {
                a.nest_after(PEER, &link_header(0, 0, 0), |a| {
                    a.string(IFLA_IFNAME, veth.peer_name);
                    a.bytes(IFLA_ADDRESS, &veth.peer_mac.0);
                    a.u32(IFLA_MTU, veth.mtu);
                    a.u32(IFLA_NET_NS_FD, veth.netns.as_raw_fd() as u32);
                });
            });
        });
    });
}

/// Lets the bridge send a frame back where it came from: a container that asks for its own
/// published port is led back to itself, and where `br_netfilter` is on this happens within the
/// bridge.
pub(crate) fn set_hairpin(batch: &mut Batch, name: &str) {
    const SLAVE_KIND: u16 = 4;
    const SLAVE_DATA: u16 = 5;
    const HAIRPIN: u16 = 4;
    let what = format!("let bridge port {name} reflect");
    batch.message(what, NEW_LINK, ACK, &link_header(0, 0, 0), |a| {
        a.string(IFLA_IFNAME, name);
        a.nest(IFLA_LINKINFO, |a| {
            a.string(SLAVE_KIND, "bridge");
            a.nest(SLAVE_DATA, |a| a.u8(HAIRPIN, 1));
        });
    });
}

pub(crate) fn set_up(batch: &mut Batch, index: u32) {
    let header = link_header(index, UP, UP);
    batch.message("bring an interface up", NEW_LINK, ACK, &header, |_| {});
}

/// Says whose the link is, to whoever lists links.
pub(crate) fn set_alias(batch: &mut Batch, name: &str, alias: &str) {
    let what = format!("mark interface {name} as ours");
    batch.message(what, NEW_LINK, ACK, &link_header(0, 0, 0), |a| {
        a.string(IFLA_IFNAME, name);
        a.string(IFLA_IFALIAS, alias);
    });
}

/// Makes the link a port of the bridge.
pub(crate) fn set_bridge(batch: &mut Batch, name: &str, bridge: u32) {
    let what = format!("make interface {name} a port of its bridge");
    batch.message(what, NEW_LINK, ACK, &link_header(0, 0, 0), |a| {
        a.string(IFLA_IFNAME, name);
        a.u32(IFLA_MASTER, bridge);
    });
}

/// Puts the link into a group, so that one message can delete many.
pub(crate) fn set_group(batch: &mut Batch, name: &str, group: u32) {
    let what = format!("mark interface {name} for deletion");
    batch.message(what, NEW_LINK, ACK, &link_header(0, 0, 0), |a| {
        a.string(IFLA_IFNAME, name);
        a.u32(IFLA_GROUP, group);
    });
}

pub(crate) fn delete_group(batch: &mut Batch, group: u32) {
    let header = link_header(0, 0, 0);
    batch.message("delete unused interfaces", DELETE_LINK, ACK, &header, |a| {
        a.u32(IFLA_GROUP, group);
    });
}

pub(crate) fn delete_link(batch: &mut Batch, name: &str) {
    let what = format!("delete interface {name}");
    batch.message(what, DELETE_LINK, ACK, &link_header(0, 0, 0), |a| {
        a.string(IFLA_IFNAME, name);
    });
}

pub(crate) fn new_address(batch: &mut Batch, index: u32, address: Ipv4Addr, subnet: Subnet) {
    let mut header = [AF_INET, subnet.prefix(), 0, 0, 0, 0, 0, 0];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    let what = format!(
        "give an interface the address {address}/{}",
        subnet.prefix()
    );
    batch.message(what, NEW_ADDRESS, ACK | CREATE | EXCL, &header, |a| {
        a.bytes(1, &address.octets());
        a.bytes(2, &address.octets());
        a.bytes(4, &subnet.broadcast().octets());
    });
}

/// A default route; fails with `EEXIST` when the namespace has one.
/// The default route with the smallest `metric` is the one that is taken.
pub(crate) fn new_default_route(batch: &mut Batch, index: u32, gateway: Ipv4Addr, metric: u32) {
    const BOOT: u8 = 3;
    const UNICAST: u8 = 1;
    let header = [AF_INET, 0, 0, 0, MAIN_TABLE, BOOT, 0, UNICAST, 0, 0, 0, 0];
    let what = format!("route to the outside by {gateway}");
    batch.message(what, NEW_ROUTE, ACK | CREATE | EXCL, &header, |a| {
        a.bytes(5, &gateway.octets());
        a.u32(4, index);
        a.u32(6, metric);
    });
}

/// A link as the kernel lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) kind: Option<String>,
    pub(crate) alias: Option<String>,
    pub(crate) is_up: bool,
}

impl Link {
    pub(crate) fn is_bridge(&self) -> bool {
        self.kind.as_deref() == Some("bridge")
    }
}

/// Whether an event tells that a bridge is gone or down.
pub(crate) fn tells_of_lost_bridge(event: &Received<'_>) -> bool {
    // Changes of a bridge's ports come with a family of their own.
    let of_link = event.payload.first() == Some(&0);
    of_link
        && link(event.payload)
            .is_some_and(|link| link.is_bridge() && (event.kind == DELETE_LINK || !link.is_up))
}

fn link(payload: &[u8]) -> Option<Link> {
    let index = u32_at(payload.get(4..)?)?;
    let rest = payload.get(16..)?;
    Some(Link {
        index,
        name: find(rest, IFLA_IFNAME).map(text)?,
        kind: find(rest, IFLA_LINKINFO)
            .and_then(|info| find(info, 1))
            .map(text),
        alias: find(rest, IFLA_IFALIAS).map(text),
        is_up: u32_at(payload.get(8..)?)? & UP != 0,
    })
}

/// Every link of the namespace.
pub(crate) fn links(connection: &mut Connection) -> Result<Vec<Link>, KernelError> {
    let request = || {
        let mut batch = Batch::new();
        let header = link_header(0, 0, 0);
        batch.message("list interfaces", GET_LINK, DUMP, &header, skip_statistics);
        batch
    };
    let mut found = Vec::new();
    connection.ask(request, |_, payload| found.extend(link(payload)))?;
    Ok(found)
}

fn skip_statistics(attributes: &mut Attributes<'_>) {
    const EXT_MASK: u16 = 29;
    const SKIP_STATS: u32 = 1 << 3;
    attributes.u32(EXT_MASK, SKIP_STATS);
}

/// The link of this name, if there is one.
pub(crate) fn find_link(
    connection: &mut Connection,
    name: &str,
) -> Result<Option<Link>, KernelError> {
    let request = || {
        let mut batch = Batch::new();
        let header = link_header(0, 0, 0);
        batch.message(
            format!("look up interface {name}"),
            GET_LINK,
            0,
            &header,
            |a| {
                a.string(IFLA_IFNAME, name);
                skip_statistics(a);
            },
        );
        batch
    };
    let mut found = None;
    match connection.ask(request, |_, payload| found = link(payload)) {
        Err(error) if error.is(rustix::io::Errno::NODEV) => Ok(None),
        Err(error) => Err(error),
        Ok(()) => Ok(found),
    }
}

/// An IPv4 route of the namespace, whatever its table, other than a default route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) destination: Subnet,
    /// The interface it leads to.
    pub(crate) index: u32,
}

/// Every IPv4 route but the default ones. Addresses show as routes too.
pub(crate) fn routes(connection: &mut Connection) -> Result<Vec<Route>, KernelError> {
    let request = || {
        let mut batch = Batch::new();
        let mut header = [0u8; 12];
        header[0] = AF_INET;
        batch.message("list routes", GET_ROUTE, DUMP, &header, |_| {});
        batch
    };
    let mut found = Vec::new();
    connection.ask(request, |_, payload| found.extend(route(payload)))?;
    Ok(found)
}

fn route(payload: &[u8]) -> Option<Route> {
    let prefix = *payload.get(1)?;
    let rest = payload.get(12..)?;
    let destination: [u8; 4] = find(rest, 1)?.try_into().ok()?;
    (prefix > 0).then_some(Route {
        destination: Subnet::new(destination.into(), prefix),
        index: get_u32(rest, 4).unwrap_or(0),
    })
}
