//! Rules for addresses and ports.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::Value;

use super::{Mistakes, Spot};
use crate::names;

pub(crate) const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];
const PORT: &str = "must be between 1 and 65535, inclusive";
/// Longest name of a port.
const PORT_NAME: usize = 15;

impl Mistakes {
    /// The number of a port, if there.
    pub(crate) fn port(&mut self, at: &Spot<'_, '_>) {
        self.within(at, 1..=65_535, PORT);
    }

    /// The number or the name of a port, if there.
    pub(crate) fn port_or_name(&mut self, at: &Spot<'_, '_>) {
        match at.value() {
            None => {}
            Some(Value::String(name)) => {
                if let Err(why) = port_name(name) {
                    self.invalid(at, why);
                }
            }
            Some(_) if at.number().is_some() => self.port(at),
            Some(_) => self.invalid(at, PORT),
        }
    }

    /// The number or the name of a port, and there.
    pub(crate) fn must_be_port_or_name(&mut self, at: &Spot<'_, '_>) {
        if at.is_some() {
            self.port_or_name(at);
        } else {
            self.required(at, "");
        }
    }

    /// Ports of one thing: each has a name of its own if there are several.
    pub(crate) fn port_names(&mut self, ports: &Spot<'_, '_>) {
        let is_one = ports.items().count() == 1;
        let mut seen = BTreeSet::new();
        for port in ports.items() {
            let name = port.at("name");
            if name.is_empty() {
                if !is_one {
                    self.required(&name, "");
                }
            } else if let Err(why) = names::dns_label(name.text()) {
                self.invalid(&name, why);
            } else if !seen.insert(name.text()) {
                self.duplicate(&name);
            }
        }
    }
}

/// A network: an address and how many of its bits are the network's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cidr {
    address: IpAddr,
    prefix: u8,
}

impl Cidr {
    pub(crate) fn parse(text: &str) -> Option<Cidr> {
        let (address, prefix) = text.split_once('/')?;
        let address: IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let is_number = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix: u8 = prefix.parse().ok().filter(|_| is_number)?;
        (prefix <= most).then_some(Cidr { address, prefix })
    }

    /// Whether all of `self` and more is in `other`.
    pub(crate) fn is_strictly_in(self, other: Cidr) -> bool {
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
pub(crate) fn cidr(text: &str) -> Result<(), &'static str> {
    let why = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
    Cidr::parse(text).map(|_| ()).ok_or(why)
}

/// Why `text` is no address.
pub(crate) fn ip(text: &str) -> Result<(), &'static str> {
    let why = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
    text.parse::<IpAddr>().map(|_| ()).map_err(|_| why)
}

/// Why `text` is no IPv4 address.
pub(crate) fn ipv4(text: &str) -> Result<(), &'static str> {
    let parsed = text.parse::<std::net::Ipv4Addr>();
    parsed
        .map(|_| ())
        .map_err(|_| "must be a valid IPv4 address")
}

/// Why `text` is no IPv6 address.
pub(crate) fn ipv6(text: &str) -> Result<(), &'static str> {
    let parsed = text.parse::<std::net::Ipv6Addr>();
    parsed
        .map(|_| ())
        .map_err(|_| "must be a valid IPv6 address")
}

/// Why traffic must not be sent to an address: it would reach whoever sends it.
pub(crate) fn sendable_ip(text: &str) -> Result<(), &'static str> {
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

/// Why `name` is no port's (IANA service names, RFC 6335, 5.1).
pub(crate) fn port_name(name: &str) -> Result<(), &'static str> {
    let is_right = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    if name.len() > PORT_NAME {
        Err("must be no more than 15 characters")
    } else if name.is_empty() || !name.bytes().all(is_right) {
        Err("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    } else if !name.bytes().any(|c| c.is_ascii_lowercase()) {
        Err("must contain at least one letter (a-z)")
    } else if name.contains("--") {
        Err("must not contain consecutive hyphens")
    } else if name.starts_with('-') || name.ends_with('-') {
        Err("must not begin or end with a hyphen")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::failure::Cause;
    use crate::object::Object;

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

    #[test]
    fn ports_have_names() {
        for good in ["http", "a-1", "1a"] {
            assert!(port_name(good).is_ok(), "{good}");
        }
        for bad in ["", "80", "a--b", "-a", "a-", "A", "abcdefghijklmnop"] {
            assert!(port_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn several_ports_have_names_of_their_own() {
        let told = |ports: Value| {
            let object = Object([("ports".to_owned(), ports)].into_iter().collect());
            let mut mistakes = Mistakes::default();
            mistakes.port_names(&Spot::of(&object, "ports"));
            let causes = mistakes.into_causes();
            causes.iter().map(Cause::to_string).collect::<Vec<_>>()
        };
        assert_eq!(told(json!([{ "port": 1 }])), [""; 0]);
        assert_eq!(told(json!([{ "name": "a" }, { "name": "b" }])), [""; 0]);
        assert_eq!(
            told(json!([{ "name": "a" }, { "port": 2 }, { "name": "a" }])),
            [
                "ports[1].name: Required value",
                "ports[2].name: Duplicate value: \"a\"",
            ]
        );
    }
}
