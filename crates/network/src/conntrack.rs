//! Forgetting tracked connections that would keep going where they should not any more
//! (`linux/netfilter/nfnetlink_conntrack.h`).
//!
//! A UDP client that keeps sending keeps its entry alive, and with it the container the entry
//! once led to. Never: entries of others, but for ones without address translation, which the
//! next packet makes again.

use std::net::Ipv4Addr;

use rustix::io::Errno;

use crate::netlink::message::{ACK, DUMP};
use crate::netlink::{Attributes, Batch, Connection, KernelError, find};

const SUBSYSTEM: u16 = 1 << 8;
const GET: u16 = SUBSYSTEM | 1;
const DELETE: u16 = SUBSYSTEM | 2;
const HEADER: [u8; 4] = [2, 0, 0, 0];

const TUPLE_ORIGINAL: u16 = 1;
const TUPLE_REPLY: u16 = 2;
const FILTER: u16 = 25;
const NESTED: u16 = 0x8000;
const UDP: u8 = 17;

/// Connections to forget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Those that end at this container's address.
    To(Ipv4Addr),
    /// UDP to this address (0.0.0.0 is any) and port that is led to another.
    Led {
        at: Ipv4Addr,
        port: u16,
        to: (Ipv4Addr, u16),
    },
    /// UDP to this port that is not led to a container: it began before the port was published.
    Unpublished(u16),
}

/// Forgets the connections `flows` describe, with one walk through the kernel's table: the walk
/// is what costs.
pub(crate) fn forget(connection: &mut Connection, flows: &[Flow]) -> Result<(), KernelError> {
    if flows.is_empty() {
        return Ok(());
    }
    let request = || {
        let mut batch = Batch::new();
        batch.message("list tracked connections", GET, DUMP, &HEADER, |a| {
            if let [flow] = flows {
                filter(a, *flow);
            }
        });
        batch
    };
    let mut doomed = Batch::new();
    connection.ask(request, |_, payload| {
        let rest = payload.get(4..).unwrap_or(&[]);
        let reply = find(rest, TUPLE_REPLY).unwrap_or(&[]);
        if let Some(original) = find(rest, TUPLE_ORIGINAL)
            && flows.iter().any(|flow| is_meant(*flow, original, reply))
        {
            doomed.message("forget a connection", DELETE, ACK, &HEADER, |a| {
                a.bytes(TUPLE_ORIGINAL | NESTED, original);
            });
        }
    })?;
    if doomed.len() == 0 {
        return Ok(());
    }
    let errors = connection.run_all(doomed)?;
    let real = |(_, error): &(usize, KernelError)| !error.is(Errno::NOENT);
    errors
        .into_iter()
        .find(real)
        .map_or(Ok(()), |(_, error)| Err(error))
}

/// Has the kernel answer with what `flow` describes only (Linux 5.8).
fn filter(a: &mut Attributes<'_>, flow: Flow) {
    match flow {
        Flow::To(address) => {
            const SOURCE: u32 = 1;
            a.nest(TUPLE_REPLY, |a| {
                a.nest(1, |a| a.bytes(1, &address.octets()));
            });
            a.nest(FILTER, |a| {
                a.u32(1, 0);
                a.u32(2, SOURCE);
            });
        }
        // As many as there are endpoints: they are found in the whole table.
        Flow::Led { .. } => {}
        Flow::Unpublished(port) => {
            const PROTOCOL_AND_DESTINATION_PORT: u32 = 1 << 3 | 1 << 5;
            a.nest(TUPLE_ORIGINAL, |a| {
                a.nest(2, |a| {
                    a.u8(1, UDP);
                    a.bytes(3, &port.to_be_bytes());
                });
            });
            a.nest(FILTER, |a| {
                a.u32(1, PROTOCOL_AND_DESTINATION_PORT);
                a.u32(2, 0);
            });
        }
    }
}

/// Checks again what was asked for: there may have been no filter, or one not understood.
fn is_meant(flow: Flow, original: &[u8], reply: &[u8]) -> bool {
    let address = |tuple: &[u8], kind| -> Option<Ipv4Addr> {
        let bytes: [u8; 4] = find(find(tuple, 1)?, kind)?.try_into().ok()?;
        Some(bytes.into())
    };
    match flow {
        Flow::To(container) => address(reply, 1) == Some(container),
        Flow::Led { at, port, to } => {
            let protocol = find(original, 2).unwrap_or(&[]);
            let from = find(reply, 2).unwrap_or(&[]);
            find(protocol, 1) == Some(&[UDP])
                && find(protocol, 3) == Some(&port.to_be_bytes())
                && find(from, 2) == Some(&to.1.to_be_bytes())
                && address(reply, 1) == Some(to.0)
                && (at.is_unspecified() || address(original, 2) == Some(at))
        }
        Flow::Unpublished(port) => {
            let protocol = find(original, 2).unwrap_or(&[]);
            find(protocol, 1) == Some(&[UDP])
                && find(protocol, 3) == Some(&port.to_be_bytes())
                && address(original, 1) == address(reply, 2)
                && address(original, 2) == address(reply, 1)
        }
    }
}
