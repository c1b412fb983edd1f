//! Rules about addresses and ports.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::rules::mistakes::port_name;
use super::spot::Spot;
use crate::failure::Cause;
use crate::names;

pub(super) const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];
pub(super) const PORT_RANGE: &str = "must be between 1 and 65535, inclusive";

/// A network: an address and how many of its bits are the network's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cidr {
    address: IpAddr,
    prefix: u8,
}

impl Cidr {
    pub(super) fn parse(text: &str) -> Option<Cidr> {
        let (address, prefix) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let is_number = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix: u8 = prefix.parse().ok().filter(|_| is_number)?;
        (prefix <= most).then_some(Cidr { address, prefix })
    }

    /// Whether all of `self` and more is in `other`.
    pub(super) fn is_strictly_in(self, other: Cidr) -> bool {
        self.prefix > other.prefix
            && match (self.address, other.address) {
                (IpAddr::V4(own), IpAddr::V4(its)) => is_same(
                    u32::from(own).into(),
                    u32::from(its).into(),
                    32 - other.prefix,
                ),
                (IpAddr::V6(own), IpAddr::V6(its)) => {
                    is_same(own.into(), its.into(), 128 - other.prefix)
                }
                _ => false,
            }
    }
}

/// Whether all but the last bits are the same.
fn is_same(one: u128, other: u128, last: u8) -> bool {
    let shift = u32::from(last);
    one.checked_shr(shift) == other.checked_shr(shift)
}

/// Why `text` is no network.
pub(super) fn cidr(text: &str) -> Result<(), &'static str> {
    let why = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
    Cidr::parse(text).map(|_| ()).ok_or(why)
}

/// Why `text` is no address.
pub(super) fn ip(text: &str) -> Result<(), &'static str> {
    let why = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
    text.parse::<IpAddr>().map(|_| ()).map_err(|_| why)
}

/// Why `text` is no IPv4 address.
pub(super) fn ipv4(text: &str) -> Result<(), &'static str> {
    let parsed = text.parse::<std::net::Ipv4Addr>();
    parsed
        .map(|_| ())
        .map_err(|_| "must be a valid IPv4 address")
}

/// Why `text` is no IPv6 address.
pub(super) fn ipv6(text: &str) -> Result<(), &'static str> {
    let parsed = text.parse::<std::net::Ipv6Addr>();
    parsed
        .map(|_| ())
        .map_err(|_| "must be a valid IPv6 address")
}

/// Why traffic must not be sent to an address: it would reach whoever sends it.
pub(super) fn sendable_ip(text: &str) -> Result<(), &'static str> {
    ip(text)?;
    let Ok(address) = text.parse::<IpAddr>() else {
        return Ok(());
    };
    let (link_local, link_multicast) = match address {
        IpAddr::V4(v4) => (v4.is_link_local(), v4.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(v6) => (
            v6.segments()[0] & 0xffc0 == 0xfe80,
            v6.segments()[0] & 0xff0f == 0xff02,
        ),
    };
    if address.is_unspecified() {
        Err("may not be unspecified (0.0.0.0 or ::)")
    } else if address.is_loopback() {
        Err("may not be in the loopback range (127.0.0.0/8, ::1/128)")
    } else if link_local {
        Err("may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    } else if link_multicast {
        Err("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")
    } else {
        Ok(())
    }
}

/// A port that is there has to be one.
pub(super) fn port(spot: &Spot<'_>) -> Option<Cause> {
    spot.within(1..=65_535, PORT_RANGE)
}

/// A port that is there, a number or a name, has to be one.
pub(super) fn port_or_name(spot: &Spot<'_>) -> Option<Cause> {
    match spot.value()? {
        serde_json::Value::String(name) => port_name(name).err().map(|why| spot.invalid(why)),
        _ => port(spot),
    }
}

/// Ports of one thing: each has a name of its own if there are several.
pub(super) fn names_of_ports(ports: &Spot<'_>) -> Vec<Cause> {
    let ports = ports.items();
    let mut causes = Vec::new();
    let mut seen = BTreeSet::new();
    for port in &ports {
        let name = port.field("name");
        if name.is_empty() {
            causes.extend((ports.len() > 1).then(|| name.required("")));
        } else if let Some(cause) = name.shaped(names::dns_label) {
            causes.push(cause);
        } else if !seen.insert(name.text()) {
            causes.push(name.duplicate());
        }
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_smaller_ones() {
        let parsed = |text: &str| Cidr::parse(text).unwrap();
        for (inner, outer, yes) in [
            ("10.1.0.0/16", "10.0.0.0/8", true),
            ("10.0.0.0/8", "0.0.0.0/0", true),
            ("::1/128", "::/0", true),
            ("fd00:1::/32", "fd00::/16", true),
            ("10.0.0.0/8", "10.0.0.0/8", false),
            ("10.0.0.0/8", "10.1.0.0/16", false),
            ("11.0.0.0/16", "10.0.0.0/8", false),
            ("::/16", "0.0.0.0/0", false),
        ] {
            assert_eq!(
                parsed(inner).is_strictly_in(parsed(outer)),
                yes,
                "{inner} {outer}"
            );
        }
        for wrong in [
            "",
            "10.0.0.0",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "1.1.1.1/+8",
            "a/8",
            "/8",
        ] {
            assert!(Cidr::parse(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn addresses_and_ports() {
        for (text, why) in [
            ("10.0.0.1", ""),
            ("2001:db8::1", ""),
            ("nope", "valid IP"),
            ("0.0.0.0", "unspecified"),
            ("127.0.0.1", "loopback"),
            ("::1", "loopback"),
            ("169.254.1.1", "link-local range"),
            ("fe80::1", "link-local range"),
            ("224.0.0.5", "multicast"),
            ("ff02::1", "multicast"),
        ] {
            let found = sendable_ip(text).err().unwrap_or_default();
            assert!(
                found.contains(why) && found.is_empty() == why.is_empty(),
                "{text}: {found}"
            );
        }
    }
}
