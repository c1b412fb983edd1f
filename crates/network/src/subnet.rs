//! IPv4 subnets and hardware addresses as values: parsing, containment, overlap.
//!
//! Never: which of them are in use.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use rustix::rand::{GetRandomFlags, getrandom};

/// An IPv4 network: its first address and the length of its prefix (0-32).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subnet {
    base: u32,
    prefix: u8,
}

/// Why a text is no subnet or hardware address.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ParseError {
    /// Not `a.b.c.d/n`.
    #[error("{0:?} is not an IPv4 subnet like 10.44.16.0/24")]
    Subnet(String),
    /// IPv6 is not there yet.
    #[error("{0:?} is an IPv6 subnet, and weft has no IPv6 networks yet")]
    Ipv6(String),
    /// Has bits right of its prefix.
    #[error("{given} has host bits set: the subnet is {meant}")]
    HostBits {
        /// As given.
        given: String,
        /// What it would be without these bits.
        meant: Subnet,
    },
    /// Not six hexadecimal bytes, or not the address of one interface.
    #[error("{0:?} is not a unicast hardware address like 02:42:0a:2c:00:02")]
    Mac(String),
}

impl Subnet {
    /// The subnet of `address` with this prefix; host bits are dropped, `prefix` is cut to 32.
    pub fn new(address: Ipv4Addr, prefix: u8) -> Subnet {
        let prefix = prefix.min(32);
        Subnet {
            base: u32::from(address) & mask(prefix),
            prefix,
        }
    }

    /// The first address, which names the network.
    pub fn network(self) -> Ipv4Addr {
        self.base.into()
    }

    /// The last address.
    pub fn broadcast(self) -> Ipv4Addr {
        (self.base | !mask(self.prefix)).into()
    }

    /// Bits of the prefix.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// The address `offset` after the first, if within.
    pub fn nth(self, offset: u32) -> Option<Ipv4Addr> {
        let address = Ipv4Addr::from(self.base.checked_add(offset)?);
        self.contains(address).then_some(address)
    }

    /// Whether `address` is within.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        u32::from(address) & mask(self.prefix) == self.base
    }

    /// Whether any address is in both.
    pub fn overlaps(self, other: Subnet) -> bool {
        let shorter = mask(self.prefix.min(other.prefix));
        self.base & shorter == other.base & shorter
    }

    /// Its parts with a longer prefix, in order.
    pub fn parts(self, prefix: u8) -> impl Iterator<Item = Subnet> {
        let prefix = prefix.clamp(self.prefix, 32);
        let count = 1u64 << (prefix - self.prefix);
        let step = 1u64 << (32 - prefix);
        (0..count).map(move |index| Subnet {
            base: self.base.wrapping_add((index * step) as u32),
            prefix,
        })
    }
}

fn mask(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network(), self.prefix)
    }
}

impl FromStr for Subnet {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Subnet, ParseError> {
        if text.contains(':') {
            return Err(ParseError::Ipv6(text.to_owned()));
        }
        let bad = || ParseError::Subnet(text.to_owned());
        let (address, prefix) = text.split_once('/').ok_or_else(bad)?;
        let address: Ipv4Addr = address.parse().map_err(|_| bad())?;
        let prefix: u8 = prefix.parse().map_err(|_| bad())?;
        if prefix > 32 {
            return Err(bad());
        }
        let meant = Subnet::new(address, prefix);
        if meant.network() != address {
            return Err(ParseError::HostBits {
                given: text.to_owned(),
                meant,
            });
        }
        Ok(meant)
    }
}

/// A hardware address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// A random one: unicast, locally administered (IEEE 802, second bit of the first byte).
    pub fn random() -> Mac {
        let mut bytes = [0u8; 6];
        getrandom(&mut bytes, GetRandomFlags::empty())
            .expect("the kernel's random pool is ready after boot");
        Mac(bytes).local()
    }

    /// The one that stands for an id: who knew it still does when its owner is made again.
    pub(crate) fn of(id: &str) -> Mac {
        let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let [_, _, bytes @ ..] = hash.to_be_bytes();
        Mac(bytes).local()
    }

    fn local(mut self) -> Mac {
        self.0[0] = (self.0[0] & 0xfc) | 0x02;
        self
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for Mac {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Mac, ParseError> {
        let bad = || ParseError::Mac(text.to_owned());
        let mut bytes = [0u8; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part = parts.next().filter(|p| p.len() == 2).ok_or_else(bad)?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| bad())?;
        }
        if parts.next().is_some() || bytes[0] & 1 != 0 || bytes == [0; 6] {
            return Err(bad());
        }
        Ok(Mac(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn subnet(text: &str) -> Subnet {
        text.parse().unwrap()
    }

    #[test]
    fn subnets_parse_and_print() {
        assert_eq!(subnet("10.44.0.0/20").to_string(), "10.44.0.0/20");
        assert_eq!(
            subnet("10.44.0.0/20").broadcast(),
            Ipv4Addr::new(10, 44, 15, 255)
        );
        assert_eq!(subnet("0.0.0.0/0").broadcast(), Ipv4Addr::BROADCAST);
        for bad in [
            "",
            "10.0.0.0",
            "10.0.0.0/33",
            "10.0.0/8",
            "10.0.0.0/-1",
            "a/8",
        ] {
            assert_eq!(bad.parse::<Subnet>(), Err(ParseError::Subnet(bad.into())));
        }
        assert!(matches!(
            "fd00::/64".parse::<Subnet>(),
            Err(ParseError::Ipv6(_))
        ));
        assert!(matches!(
            "10.0.0.1/8".parse::<Subnet>(),
            Err(ParseError::HostBits { .. })
        ));
    }

    #[test]
    fn overlap_is_containment_of_one_in_the_other() {
        assert!(subnet("10.44.0.0/16").overlaps(subnet("10.44.16.0/24")));
        assert!(subnet("10.44.16.0/24").overlaps(subnet("10.44.0.0/16")));
        assert!(!subnet("10.44.16.0/24").overlaps(subnet("10.44.17.0/24")));
        assert!(subnet("0.0.0.0/0").overlaps(subnet("10.44.17.0/24")));
    }

    #[test]
    fn a_subnet_has_its_parts() {
        let parts: Vec<_> = subnet("10.44.16.0/22").parts(24).collect();
        assert_eq!(parts.len(), 4);
        assert_eq!(parts[3], subnet("10.44.19.0/24"));
    }

    #[test]
    fn hardware_addresses_parse() {
        let mac: Mac = "02:42:0a:2c:00:02".parse().unwrap();
        assert_eq!(mac.to_string(), "02:42:0a:2c:00:02");
        for bad in [
            "",
            "02:42",
            "01:00:5e:00:00:01",
            "00:00:00:00:00:00",
            "02:42:0a:2c:00:02:03",
        ] {
            assert!(bad.parse::<Mac>().is_err(), "{bad}");
        }
        let random = Mac::random();
        assert_eq!(random.0[0] & 3, 2);
        assert_eq!(Mac::of("a").0[0] & 3, 2);
        assert_eq!(Mac::of("a"), Mac::of("a"));
        assert_ne!(Mac::of("a"), Mac::of("b"));
        assert_eq!(random.to_string().parse::<Mac>().unwrap(), random);
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_without_a_panic(text in "\\PC{0,30}") {
            let _ = (text.parse::<Subnet>(), text.parse::<Mac>());
        }

        #[test]
        fn nth_stays_within(base: u32, prefix in 0u8..=32, offset: u32) {
            let subnet = Subnet::new(base.into(), prefix);
            if let Some(address) = subnet.nth(offset) {
                prop_assert!(subnet.contains(address));
            }
        }
    }
}
