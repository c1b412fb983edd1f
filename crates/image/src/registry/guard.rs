//! Owns which addresses a registry may send us to: redirects, token servers and foreign layers
//! must not reach into this machine or its network unless the registry itself is there (R9).
//! A name is resolved once and connected to at the address that was judged.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use reqwest::Url;

/// How close to home an address is; a registry may send us no closer than it is itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    Global,
    Private,
    Loopback,
    /// Link-local (cloud metadata lives there), multicast, unspecified: nobody sends us there.
    Never,
}

pub(super) fn reach(address: IpAddr) -> Reach {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let shared = a == 100 && (64..128).contains(&b);
            if v4.is_loopback() {
                Reach::Loopback
            } else if v4.is_private() || shared || (a == 198 && (b & 0xfe) == 18) {
                Reach::Private
            } else if v4.is_link_local() || v4.is_multicast() || a == 0 || a >= 240 {
                Reach::Never
            } else {
                Reach::Global
            }
        }
        IpAddr::V6(v6) => match embedded(v6) {
            Some(v4) => reach(v4),
            None if v6.is_loopback() => Reach::Loopback,
            None if v6.is_unique_local() => Reach::Private,
            None if v6.is_unicast_link_local() || v6.is_multicast() || v6.is_unspecified() => {
                Reach::Never
            }
            None => Reach::Global,
        },
    }
}

/// IPv4 in IPv6 clothes: mapped, 6to4 and NAT64.
fn embedded(v6: Ipv6Addr) -> Option<IpAddr> {
    let s = v6.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Some(IpAddr::from([a, b, c, d]))
    };
    match s {
        [0, 0, 0, 0, 0, 0xffff, high, low] => v4(high, low),
        [0x2002, high, low, ..] => v4(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(high, low),
        _ => None,
    }
}

/// Whether a host is this machine by its name alone: docker's rule for plain HTTP.
pub(super) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost"
        || bare
            .parse::<IpAddr>()
            .is_ok_and(|ip| reach(ip) == Reach::Loopback)
}

/// Where a URL leads: all addresses of its host, and the closest reach among them.
pub(super) async fn resolve(url: &Url) -> std::io::Result<(Vec<SocketAddr>, Reach)> {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let port = url.port_or_known_default().unwrap_or(443);
    let addresses: Vec<SocketAddr> = tokio::net::lookup_host((bare, port)).await?.collect();
    let closest = addresses.iter().map(|address| reach(address.ip())).max();
    let closest = closest.ok_or_else(|| std::io::Error::other("the name has no address"))?;
    Ok((addresses, closest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_judged_by_where_they_lead() {
        let table = [
            ("93.184.216.34", Reach::Global),
            ("10.1.2.3", Reach::Private),
            ("172.31.0.1", Reach::Private),
            ("192.168.0.1", Reach::Private),
            ("100.64.0.1", Reach::Private),
            ("127.9.9.9", Reach::Loopback),
            ("169.254.169.254", Reach::Never),
            ("0.0.0.0", Reach::Never),
            ("224.0.0.1", Reach::Never),
            ("255.255.255.255", Reach::Never),
            ("::1", Reach::Loopback),
            ("fe80::1", Reach::Never),
            ("fd00:ec2::254", Reach::Private),
            ("::ffff:169.254.169.254", Reach::Never),
            ("::ffff:127.0.0.1", Reach::Loopback),
            ("64:ff9b::7f00:1", Reach::Loopback),
            ("2002:a9fe:a9fe::", Reach::Never),
            ("2606:2800:220:1::1", Reach::Global),
        ];
        for (text, expected) in table {
            assert_eq!(reach(text.parse().expect("address")), expected, "{text}");
        }
        for loopback in ["localhost", "127.0.0.1", "127.1.2.3", "[::1]"] {
            assert!(is_loopback(loopback), "{loopback}");
        }
        for other in [
            "localhost.example",
            "10.0.0.1",
            "128.0.0.1",
            "example.com",
            "",
        ] {
            assert!(!is_loopback(other), "{other}");
        }
    }
}
