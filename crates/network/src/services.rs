//! Services: addresses and ports that lead to one of several endpoints each.
//!
//! What there should be is handed over whole, as values; what of it is already so costs nothing.
//! An endpoint more or less is a handful of elements of maps, however many there are. Never: who
//! is ready, which address a service has, or what all this is for.
//!
//! ```text
//!  10.96.0.7:80 ──▶ map services ──▶ chain service-3: a number below 3 ──▶ map endpoints ──▶ 10.44.16.9:8080
//!  any address of this machine:30080 ──▶ map node-ports ──▶ chain node-3 ──▶ the same
//!  nobody ready ──▶ not in the maps ──▶ refused on the way out
//! ```

mod lead;
pub(crate) mod rules;
mod serve;

#[doc(hidden)]
pub use serve::ServeStep;
pub(crate) use serve::Serving;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use crate::netlink::KernelError;
use crate::port::{PortError, Protocol};
use crate::subnet::Subnet;

/// Everything that is to be served.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Services {
    /// Virtual addresses are of this range, and nothing else on this machine or beyond is.
    pub range: Option<Subnet>,
    /// The networks whose containers use services and are their endpoints, by name or id.
    pub networks: BTreeSet<String>,
    /// What names of services end with: `cluster.local`.
    pub zone: String,
    /// By their names without the zone: `web.default.svc`.
    pub table: BTreeMap<String, Service>,
}

/// One service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Service {
    /// Its virtual addresses; without any it has names only.
    pub addresses: Vec<Ipv4Addr>,
    /// The name it is another name of; then it has nothing else.
    pub alias: Option<String>,
    /// Its ports.
    pub ports: Vec<ServicePort>,
    /// Seconds in which a client that comes again is led to the same endpoint.
    pub affinity_s: Option<u32>,
    /// Which endpoints clients within are led to.
    pub inner: Reach,
    /// Which endpoints those are led to who come by a port of this machine.
    pub outer: Reach,
    /// Addresses its name has when it has no virtual one, with names of their own.
    pub hosts: Vec<ServiceHost>,
}

/// Which endpoints serve.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reach {
    /// All.
    #[default]
    Anywhere,
    /// Those on this machine; without any, what comes is dropped.
    Local,
}

/// A port of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePort {
    /// What it is called.
    pub name: Option<String>,
    /// Its protocol.
    pub protocol: Protocol,
    /// Its number on the virtual addresses.
    pub port: u16,
    /// Its number on every address of this machine.
    pub node_port: Option<u16>,
    /// Where it leads.
    pub endpoints: Vec<ServiceEndpoint>,
}

/// Where a port of a service leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceEndpoint {
    /// Its address.
    pub address: Ipv4Addr,
    /// Its port.
    pub port: u16,
    /// New connections may go there.
    pub is_ready: bool,
    /// It is on this machine.
    pub is_local: bool,
}

/// An address behind a service's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceHost {
    /// The address.
    pub address: Ipv4Addr,
    /// Its own name below the service's.
    pub name: Option<String>,
}

/// A part of a service that is not served; the rest is.
#[derive(Debug, thiserror::Error)]
#[error("service {service}")]
pub struct Unserved {
    /// Its name in the table.
    pub service: String,
    /// What is in the way.
    #[source]
    pub obstacle: Obstacle,
}

/// What is in the way of a part of a service.
#[derive(Debug, thiserror::Error)]
pub enum Obstacle {
    /// The machine's port is not to be had.
    #[error(transparent)]
    NodePort(#[from] PortError),
    /// A virtual address that is not one, or that another service has.
    #[error("address {address} port {port}/{protocol} {why}")]
    Address {
        /// The service's address.
        address: Ipv4Addr,
        /// Its port.
        port: u16,
        /// Of this protocol.
        protocol: Protocol,
        /// What is wrong.
        why: &'static str,
    },
    /// An endpoint nobody may be led to.
    #[error("endpoint {address} {why}")]
    Endpoint {
        /// The endpoint's address.
        address: Ipv4Addr,
        /// What is wrong.
        why: &'static str,
    },
}

/// Services cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("cannot lead traffic to services")]
pub struct ServicesError(#[from] KernelError);
