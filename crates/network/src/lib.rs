//! One machine's container networking: bridges, addresses, published ports, names.
//!
//! Owns: the interfaces, addresses and routes it made, its own nftables tables, its records.
//! Never: rules, tables and interfaces of others; containers and their processes; any command
//! of the host (`ip`, `nft` and `iptables` are not needed).

mod attach;
mod bridge;
mod conntrack;
mod define;
mod detach;
mod dns;
mod frames;
mod handover;
mod host;
mod inside;
mod kind;
mod netlink;
mod network;
mod nft;
mod plan;
mod pool;
mod port;
mod record;
mod repair;
mod rtnetlink;
mod rules;
mod ruleset;
mod services;
mod state;
mod subnet;
mod sweep;
mod watch;

#[doc(hidden)]
pub use attach::Step;
pub use attach::{Attach, AttachError, Attachment};
pub use detach::DetachError;
pub use dns::Dns;
pub use host::{Host, HostConfig, OpenError};
pub use kind::ErrorKind;
pub use netlink::KernelError;
pub use network::{DEFAULT_NETWORK, Network, NetworkError, NetworkSpec};
pub use pool::Prepared;
pub use port::{PortError, PortSpec, Protocol, PublishedPort, UnknownProtocol};
pub use record::RecordError;
#[doc(hidden)]
pub use services::ServeStep;
pub use services::{
    Obstacle, Reach, Service, ServiceEndpoint, ServiceHost, ServicePort, Services, ServicesError,
    Unserved,
};
pub use subnet::{Mac, ParseError, Subnet};
