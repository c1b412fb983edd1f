//! Networks: what they are, how they are asked for, and choosing their subnets.
//!
//! Never: endpoints; see `attach`.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::attach::Attachment;
use crate::kind::ErrorKind;
use crate::netlink::KernelError;
use crate::record::RecordError;
use crate::subnet::Subnet;

/// The name of the network containers are on unless told otherwise.
pub const DEFAULT_NETWORK: &str = "bridge";
/// Names with a meaning of their own.
const RESERVED: [&str; 5] = ["bridge", "host", "none", "default", "container"];
/// Smaller ones have no room for a container.
const LONGEST_PREFIX: u8 = 30;
/// Larger ones are a mistake.
const SHORTEST_PREFIX: u8 = 8;
/// Largest and smallest packet an IPv4 interface may be limited to.
const MTU: std::ops::RangeInclusive<u32> = 576..=65535;
/// Options that set the largest packet.
const MTU_OPTIONS: [&str; 2] = ["com.docker.network.driver.mtu", "mtu"];

/// A bridge network of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Unique on this machine.
    pub name: String,
    /// Its addresses.
    pub subnet: Subnet,
    /// The machine's own address on it.
    pub gateway: Ipv4Addr,
    /// The name of its bridge.
    pub bridge: String,
    /// Largest packet, in bytes.
    pub mtu: u32,
    /// It has no way to the outside.
    pub internal: bool,
    /// It is the one containers are on unless told otherwise.
    pub is_default: bool,
    /// Its addresses were weft's choice: while nobody is on it, they may become others.
    pub is_movable: bool,
    /// The user's.
    pub labels: BTreeMap<String, String>,
    /// As given.
    pub options: BTreeMap<String, String>,
    /// Nanoseconds since 1970.
    pub created_ns: i64,
    /// Who is on it, by container id.
    pub endpoints: Vec<Attachment>,
}

/// A network to make.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkSpec {
    /// Letters, digits, `_`, `.` and `-`.
    pub name: String,
    /// One from the pools unless given.
    pub subnet: Option<Subnet>,
    /// The first address unless given.
    pub gateway: Option<Ipv4Addr>,
    /// Without a way to the outside.
    pub internal: bool,
    /// The user's.
    pub labels: BTreeMap<String, String>,
    /// `mtu` or `com.docker.network.driver.mtu`; others are refused.
    pub options: BTreeMap<String, String>,
}

/// A network cannot be made or removed.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// There is none of this name or id.
    #[error("network {0} not found")]
    NotFound(String),
    /// The name is taken.
    #[error("network with name {0} already exists")]
    Exists(String),
    /// Not a name.
    #[error(
        "{0:?} is not a network name: use up to 128 letters, digits, '_', '.' and '-', the first a letter or digit"
    )]
    BadName(String),
    /// A name with a meaning of its own.
    #[error("network name {0} is reserved")]
    Reserved(String),
    /// The default network stays.
    #[error("network {0} is the default network and cannot be removed")]
    IsDefault(String),
    /// Containers are on it.
    #[error("network {network} is in use by container {containers}")]
    InUse {
        /// The network.
        network: String,
        /// The containers, separated by commas.
        containers: String,
    },
    /// Another network, or the machine itself, has these addresses.
    #[error("subnet {subnet} overlaps with {other}")]
    Overlap {
        /// As asked for.
        subnet: Subnet,
        /// `network x (10.44.16.0/24)` or `route 10.0.0.0/8 of interface eth0`.
        other: String,
    },
    /// Too small or too large.
    #[error("subnet {0} cannot be a network: its prefix has to be between 8 and 30 bits")]
    BadSubnet(Subnet),
    /// Not an address of the subnet.
    #[error("gateway {gateway} is not a usable address of {subnet}")]
    BadGateway {
        /// As asked for.
        gateway: Ipv4Addr,
        /// The network's.
        subnet: Subnet,
    },
    /// Not honoured.
    #[error("network option {0} is not supported")]
    UnknownOption(String),
    /// Not a number, or out of range.
    #[error("network option {option}={value} is not a packet size between 576 and 65535")]
    BadMtu {
        /// The option.
        option: String,
        /// Its value.
        value: String,
    },
    /// All are in use.
    #[error("no free subnet is left in {0}: give one with --subnet, or remove unused networks")]
    NoSubnetLeft(String),
    /// The kernel refused.
    #[error("cannot set up network {network}")]
    Kernel {
        /// Its name.
        network: String,
        /// Why.
        source: KernelError,
    },
    /// The disk refused.
    #[error("cannot record network {network}")]
    Record {
        /// Its name.
        network: String,
        /// Why.
        source: RecordError,
    },
}

impl NetworkError {
    /// What sort of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            NetworkError::NotFound(_) => ErrorKind::NotFound,
            NetworkError::Exists(_) => ErrorKind::Exists,
            NetworkError::IsDefault(_)
            | NetworkError::InUse { .. }
            | NetworkError::Overlap { .. } => ErrorKind::Conflict,
            NetworkError::BadName(_)
            | NetworkError::Reserved(_)
            | NetworkError::BadSubnet(_)
            | NetworkError::BadGateway { .. }
            | NetworkError::UnknownOption(_)
            | NetworkError::BadMtu { .. } => ErrorKind::Invalid,
            NetworkError::NoSubnetLeft(_) => ErrorKind::Exhausted,
            NetworkError::Kernel { .. } | NetworkError::Record { .. } => ErrorKind::Internal,
        }
    }
}

/// Whether `name` may be a network's: what never becomes a path or an option.
pub(crate) fn check_name(name: &str) -> Result<(), NetworkError> {
    if !weft_stdx::name::is_plain(name) {
        return Err(NetworkError::BadName(name.to_owned()));
    }
    if RESERVED.contains(&name) {
        return Err(NetworkError::Reserved(name.to_owned()));
    }
    Ok(())
}

/// The largest packet the options ask for, or `default`; options not honoured are refused.
pub(crate) fn mtu_of(
    options: &BTreeMap<String, String>,
    default: u32,
) -> Result<u32, NetworkError> {
    let mut mtu = default;
    for (option, value) in options {
        if !MTU_OPTIONS.contains(&option.as_str()) {
            return Err(NetworkError::UnknownOption(option.clone()));
        }
        mtu = value
            .parse()
            .ok()
            .filter(|number| MTU.contains(number))
            .ok_or_else(|| NetworkError::BadMtu {
                option: option.clone(),
                value: value.clone(),
            })?;
    }
    Ok(mtu)
}

/// The machine's address on the subnet: the one asked for, or the first.
pub(crate) fn gateway_of(
    subnet: Subnet,
    asked: Option<Ipv4Addr>,
) -> Result<Ipv4Addr, NetworkError> {
    if !(SHORTEST_PREFIX..=LONGEST_PREFIX).contains(&subnet.prefix()) {
        return Err(NetworkError::BadSubnet(subnet));
    }
    let gateway = asked
        .or_else(|| subnet.nth(1))
        .ok_or(NetworkError::BadSubnet(subnet))?;
    let usable =
        subnet.contains(gateway) && gateway != subnet.network() && gateway != subnet.broadcast();
    if !usable {
        return Err(NetworkError::BadGateway { gateway, subnet });
    }
    Ok(gateway)
}

/// Addresses somebody has, and how to say who.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Occupied {
    pub(crate) subnet: Subnet,
    pub(crate) by: String,
}

/// The one that has some of these addresses, if any.
pub(crate) fn occupant(subnet: Subnet, occupied: &[Occupied]) -> Option<&Occupied> {
    occupied.iter().find(|other| other.subnet.overlaps(subnet))
}

/// The first of `candidates` nobody has an address of.
pub(crate) fn first_free(
    candidates: impl IntoIterator<Item = Subnet>,
    occupied: &[Occupied],
) -> Option<Subnet> {
    candidates
        .into_iter()
        .find(|candidate| occupant(*candidate, occupied).is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_be_something_else_are_refused() {
        for good in ["a", "my_net.1-x", &"a".repeat(128)] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", ".a", "a/b", "a b", "ä", "../x", &"a".repeat(129)] {
            assert!(
                matches!(check_name(bad), Err(NetworkError::BadName(_))),
                "{bad}"
            );
        }
        assert!(matches!(check_name("host"), Err(NetworkError::Reserved(_))));
    }

    #[test]
    fn unknown_options_are_refused_by_name() {
        let options = |key: &str, value: &str| BTreeMap::from([(key.into(), value.into())]);
        assert_eq!(mtu_of(&options("mtu", "1400"), 1500).unwrap(), 1400);
        let error = mtu_of(&options("com.docker.network.bridge.name", "x"), 1500).unwrap_err();
        assert!(error.to_string().contains("com.docker.network.bridge.name"));
        assert!(mtu_of(&options("mtu", "12"), 1500).is_err());
    }

    #[test]
    fn the_gateway_is_the_first_address_or_the_one_asked_for() {
        let subnet: Subnet = "10.44.16.0/24".parse().unwrap();
        assert_eq!(
            gateway_of(subnet, None).unwrap(),
            Ipv4Addr::new(10, 44, 16, 1)
        );
        let last = Ipv4Addr::new(10, 44, 16, 254);
        assert_eq!(gateway_of(subnet, Some(last)).unwrap(), last);
        for bad in [[10, 44, 16, 0], [10, 44, 16, 255], [10, 44, 17, 1]] {
            assert!(gateway_of(subnet, Some(bad.into())).is_err());
        }
        assert!(gateway_of("10.0.0.0/31".parse().unwrap(), None).is_err());
    }

    #[test]
    fn a_free_subnet_is_one_nobody_has() {
        let occupied = [Occupied {
            subnet: "10.44.16.0/23".parse().unwrap(),
            by: "route".into(),
        }];
        let pool: Subnet = "10.44.16.0/20".parse().unwrap();
        assert_eq!(
            first_free(pool.parts(24), &occupied).unwrap().to_string(),
            "10.44.18.0/24"
        );
    }
}
