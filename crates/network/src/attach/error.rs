//! Why a container cannot be put on a network.

use std::net::{IpAddr, Ipv4Addr};

use super::Attachment;
use crate::kind::ErrorKind;
use crate::netlink::KernelError;
use crate::network::NetworkError;
use crate::port::{PortError, Protocol};
use crate::record::RecordError;
use crate::subnet::Subnet;

/// A container cannot be put on a network.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// There is none of this name or id.
    #[error("network {0} not found")]
    NetworkNotFound(String),
    /// Not an id.
    #[error("{0:?} is not a container id")]
    BadContainer(String),
    /// Not a name the kernel takes.
    #[error("{0:?} is not an interface name: use up to 15 letters, digits, '_' and '-'")]
    BadInterface(String),
    /// It is on the network already.
    #[error("container {container} is already on network {network}")]
    AlreadyAttached {
        /// The container.
        container: String,
        /// The network.
        network: String,
    },
    /// IPv6 is not there yet.
    #[error("cannot give a container the address {0}: weft has no IPv6 networks yet")]
    Ipv6(IpAddr),
    /// Not one of the network's for containers.
    #[error("address {address} is not a container's address on network {network} ({subnet})")]
    BadAddress {
        /// As asked for.
        address: Ipv4Addr,
        /// The network.
        network: String,
        /// Its addresses.
        subnet: Subnet,
    },
    /// Somebody has it.
    #[error("address {address} on network {network} is already in use")]
    AddressInUse {
        /// As asked for.
        address: Ipv4Addr,
        /// The network.
        network: String,
    },
    /// All are in use.
    #[error("no free address is left on network {network} ({subnet})")]
    AddressesExhausted {
        /// The network.
        network: String,
        /// Its addresses.
        subnet: Subnet,
    },
    /// Nobody could reach it.
    #[error(
        "cannot publish port {port}/{protocol} of a container on network {network}: the network is internal"
    )]
    Internal {
        /// The container's port.
        port: u16,
        /// Its protocol.
        protocol: Protocol,
        /// The network.
        network: String,
    },
    /// A prepared sandbox was made for something else.
    #[error("a prepared sandbox cannot be used: {0}")]
    Unfit(&'static str),
    /// A port cannot be published.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The network's bridge cannot be set up.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// The disk refused.
    #[error("cannot record that container {container} is on network {network}")]
    Record {
        /// The container.
        container: String,
        /// The network.
        network: String,
        /// Why.
        source: RecordError,
    },
    /// The kernel refused.
    #[error("cannot connect container {container} to network {network}")]
    Kernel {
        /// The container.
        container: String,
        /// The network.
        network: String,
        /// Why.
        source: KernelError,
    },
}

impl AttachError {
    /// What sort of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            AttachError::NetworkNotFound(_) => ErrorKind::NotFound,
            AttachError::AlreadyAttached { .. } => ErrorKind::Exists,
            AttachError::AddressInUse { .. } => ErrorKind::Conflict,
            AttachError::AddressesExhausted { .. } => ErrorKind::Exhausted,
            AttachError::BadContainer(_)
            | AttachError::BadInterface(_)
            | AttachError::Ipv6(_)
            | AttachError::BadAddress { .. }
            | AttachError::Unfit(_)
            | AttachError::Internal { .. } => ErrorKind::Invalid,
            AttachError::Port(PortError::InUse { .. }) => ErrorKind::Conflict,
            AttachError::Port(PortError::RangeInUse { .. }) => ErrorKind::Exhausted,
            AttachError::Port(PortError::Hold { .. }) => ErrorKind::Internal,
            AttachError::Port(_) => ErrorKind::Invalid,
            AttachError::Network(error) => error.kind(),
            AttachError::Record { .. } | AttachError::Kernel { .. } => ErrorKind::Internal,
        }
    }

    pub(crate) fn kernel(attachment: &Attachment, source: KernelError) -> AttachError {
        AttachError::Kernel {
            container: attachment.container.clone(),
            network: attachment.network.clone(),
            source,
        }
    }
}
