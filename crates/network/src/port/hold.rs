//! Choosing a port of the machine and holding it with a socket.
//!
//! Never: connections. The sockets are bound, not listening; traffic is led away before it
//! could reach them.

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};
use rustix::rand::{GetRandomFlags, getrandom};

use super::{PortSpec, Protocol, PublishedPort, owner};

/// Ports for which no number was asked: what IANA leaves for dynamic use (RFC 6335 §6).
const DYNAMIC: (u16, u16) = (49153, 65535);
/// The port name servers answer on, on the addresses of our own bridges too.
const DNS: u16 = 53;

/// A port cannot be published.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// Somebody has it.
    #[error("port {port}/{protocol} on {address} is already in use by {owner}")]
    InUse {
        /// The machine's port.
        port: u16,
        /// Its protocol.
        protocol: Protocol,
        /// The machine's address.
        address: Ipv4Addr,
        /// A container, a service, a process, or "another program".
        owner: String,
    },
    /// None of the range is free.
    #[error("no port of {first}-{last}/{protocol} on {address} is free")]
    RangeInUse {
        /// First of the range.
        first: u16,
        /// Last of the range.
        last: u16,
        /// Its protocol.
        protocol: Protocol,
        /// The machine's address.
        address: Ipv4Addr,
    },
    /// The machine has no such address.
    #[error("cannot publish a port on {0}: this machine has no such address")]
    NoSuchAddress(Ipv4Addr),
    /// IPv6 is not there yet.
    #[error("cannot publish a port on {0}: weft publishes on IPv4 addresses only for now")]
    Ipv6(IpAddr),
    /// 0, or a range that ends before it begins.
    #[error("{0} is not a port or range of ports between 1 and 65535")]
    Invalid(String),
    /// The kernel refused the socket.
    #[error("cannot hold port {port}/{protocol} on {address}")]
    Hold {
        /// The machine's port.
        port: u16,
        /// Its protocol.
        protocol: Protocol,
        /// The machine's address.
        address: Ipv4Addr,
        /// Why.
        source: std::io::Error,
    },
}

/// A published port and the socket that keeps others from it.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) port: PublishedPort,
    /// Absent for DNS, which our own name servers share, and where holding failed at a restart.
    _socket: Option<OwnedFd>,
}

/// What a name or process is known to hold a port, beside the kernel.
pub(crate) trait Known {
    /// Who has this port by us, if anybody: `container x` or `service y`.
    fn publisher(&self, address: Ipv4Addr, port: u16, protocol: Protocol) -> Option<String>;
    /// Whether the address is one our own name servers listen on.
    fn is_gateway(&self, address: Ipv4Addr) -> bool;
}

/// Chooses and holds a port of the machine for `spec`.
pub(crate) fn allocate(spec: &PortSpec, known: &dyn Known) -> Result<Held, PortError> {
    let address = match spec.host_ip {
        None => Ipv4Addr::UNSPECIFIED,
        Some(IpAddr::V4(address)) => address,
        Some(address) => return Err(PortError::Ipv6(address)),
    };
    if spec.container_port == 0 {
        return Err(PortError::Invalid("container port 0".to_owned()));
    }
    let protocol = spec.protocol;
    let published = |host_port| PublishedPort {
        host_ip: address,
        host_port,
        container_port: spec.container_port,
        protocol,
    };
    match spec.host_port {
        Some((first, last)) if first == 0 || last < first => {
            Err(PortError::Invalid(format!("{first}-{last}")))
        }
        Some((first, last)) if first == last => hold(published(first), known),
        Some((first, last)) => {
            first_free(first..=last, &published, known)?.ok_or(PortError::RangeInUse {
                first,
                last,
                protocol,
                address,
            })
        }
        None => {
            let (first, last) = DYNAMIC;
            let start = random_between(first, last);
            let ports = (start..=last).chain(first..start);
            first_free(ports, &published, known)?.ok_or(PortError::RangeInUse {
                first,
                last,
                protocol,
                address,
            })
        }
    }
}

fn first_free(
    ports: impl Iterator<Item = u16>,
    published: &dyn Fn(u16) -> PublishedPort,
    known: &dyn Known,
) -> Result<Option<Held>, PortError> {
    for port in ports {
        let wanted = published(port);
        if known
            .publisher(wanted.host_ip, port, wanted.protocol)
            .is_some()
        {
            continue;
        }
        match bound(&wanted) {
            Ok(socket) => {
                return Ok(Some(Held {
                    port: wanted,
                    _socket: Some(socket),
                }));
            }
            Err(Errno::ADDRINUSE | Errno::ACCESS) => {}
            Err(error) => return Err(refused(&wanted, error)),
        }
    }
    Ok(None)
}

fn random_between(first: u16, last: u16) -> u16 {
    let mut bytes = [0u8; 2];
    // Any port will do: a failure only makes the choice predictable.
    let _ = getrandom(&mut bytes, GetRandomFlags::empty());
    first + u16::from_ne_bytes(bytes) % (last - first + 1)
}

/// Holds exactly this port.
fn hold(port: PublishedPort, known: &dyn Known) -> Result<Held, PortError> {
    let PublishedPort {
        host_ip: address,
        host_port,
        protocol,
        ..
    } = port;
    let in_use = |owner| PortError::InUse {
        port: host_port,
        protocol,
        address,
        owner,
    };
    if let Some(holder) = known.publisher(address, host_port, protocol) {
        return Err(in_use(holder));
    }
    let socket = match bound(&port) {
        // Our own name servers have to be able to bind their bridge's address next to it.
        Ok(_) if host_port == DNS => None,
        Ok(socket) => Some(socket),
        Err(Errno::ADDRINUSE) => {
            let owners = owner::of(address, host_port, protocol);
            let foreign = owners
                .iter()
                .find(|owner| !(host_port == DNS && known.is_gateway(owner.address)));
            match foreign {
                Some(owner) => return Err(in_use(owner.name.clone())),
                None if host_port == DNS && !owners.is_empty() => None,
                None => return Err(in_use("another program".to_owned())),
            }
        }
        Err(error) => return Err(refused(&port, error)),
    };
    Ok(Held {
        port,
        _socket: socket,
    })
}

/// Holds a port that a container published before this daemon started; never fails, because the
/// container already has it.
pub(crate) fn hold_again(port: PublishedPort) -> Held {
    let socket = match port.host_port {
        DNS => None,
        _ => bound(&port).ok(),
    };
    Held {
        port,
        _socket: socket,
    }
}

fn refused(port: &PublishedPort, error: Errno) -> PortError {
    match error {
        Errno::ADDRNOTAVAIL => PortError::NoSuchAddress(port.host_ip),
        error => PortError::Hold {
            port: port.host_port,
            protocol: port.protocol,
            address: port.host_ip,
            source: error.into(),
        },
    }
}

/// A socket bound to the port that nobody else can bind while it is open.
fn bound(port: &PublishedPort) -> rustix::io::Result<OwnedFd> {
    let kind = match port.protocol {
        Protocol::Tcp => SocketType::STREAM,
        Protocol::Udp => SocketType::DGRAM,
    };
    let socket = socket_with(AddressFamily::INET, kind, SocketFlags::CLOEXEC, None)?;
    let tcp = port.protocol == Protocol::Tcp;
    if tcp {
        // Connections of a server that has just left do not count...
        sockopt::set_socket_reuseaddr(&socket, true)?;
    }
    bind(&socket, &SocketAddrV4::new(port.host_ip, port.host_port))?;
    if tcp {
        // ...but nobody may listen next to us, even with this option.
        sockopt::set_socket_reuseaddr(&socket, false)?;
    }
    Ok(socket)
}
