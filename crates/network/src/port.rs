//! Published ports: what was asked for, which port of the machine it gets, and holding it.
//!
//! A published port is held by a bound socket that never listens, so that no other program can
//! take it while the engine runs. Never: the rules that lead it to a container.

mod hold;
mod owner;

pub use hold::PortError;
pub(crate) use hold::{Held, Known, allocate, hold_again};

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

/// A transport protocol with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// Its IANA number.
    pub(crate) fn number(self) -> u8 {
        match self {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        })
    }
}

/// A protocol weft does not publish.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("cannot publish ports of protocol {0:?}: only tcp and udp")]
pub struct UnknownProtocol(pub String);

impl FromStr for Protocol {
    type Err = UnknownProtocol;

    fn from_str(text: &str) -> Result<Protocol, UnknownProtocol> {
        match text {
            "tcp" => Ok(Protocol::Tcp),
            "udp" => Ok(Protocol::Udp),
            other => Err(UnknownProtocol(other.to_owned())),
        }
    }
}

/// A port to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortSpec {
    /// The machine's address it is reachable at; none, or 0.0.0.0, is every one.
    pub host_ip: Option<IpAddr>,
    /// First and last port of the machine to choose from; none is any free one.
    pub host_port: Option<(u16, u16)>,
    /// The port in the container.
    pub container_port: u16,
    /// Its protocol.
    pub protocol: Protocol,
}

/// A port that is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublishedPort {
    /// The machine's address it is reachable at; 0.0.0.0 is every one.
    pub host_ip: Ipv4Addr,
    /// The port of the machine.
    pub host_port: u16,
    /// The port in the container.
    pub container_port: u16,
    /// Its protocol.
    pub protocol: Protocol,
}
