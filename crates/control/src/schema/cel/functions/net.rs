//! Addresses and ranges of them: `ip('10.0.0.1')`, `cidr('10.0.0.0/8')`.

use std::net::IpAddr;

use super::super::types::{BOOL, CIDR, INT, IP, TEXT};
use super::super::value::Val;
use super::super::{Fail, Run};
use super::{Function, Gives, global, member, wrong};

pub(super) const ALL: &[Function] = &[
    global("ip", &[TEXT], Gives::Is(IP), |run, on| {
        let found = text(run, &on[0], address)?;
        found
            .map(Val::Ip)
            .ok_or_else(|| Fail::new("a string that is no IP address"))
    }),
    global("isIP", &[TEXT], Gives::Is(BOOL), |run, on| {
        Ok(Val::Bool(text(run, &on[0], address)?.is_some()))
    }),
    global("ip.isCanonical", &[TEXT], Gives::Is(BOOL), |run, on| {
        let is = text(run, &on[0], |text| Some(address(text)?.to_string() == text))?;
        let none = || Fail::new("a string that is no IP address");
        is.map(Val::Bool).ok_or_else(none)
    }),
    member("family", &[IP], Gives::Is(INT), |_, on| match &on[0] {
        Val::Ip(IpAddr::V4(_)) => Ok(Val::Int(4)),
        Val::Ip(IpAddr::V6(_)) => Ok(Val::Int(6)),
        _ => wrong(),
    }),
    member("isUnspecified", &[IP], Gives::Is(BOOL), |_, on| {
        is(on, IpAddr::is_unspecified)
    }),
    member("isLoopback", &[IP], Gives::Is(BOOL), |_, on| {
        is(on, IpAddr::is_loopback)
    }),
    member("isLinkLocalMulticast", &[IP], Gives::Is(BOOL), |_, on| {
        is(on, |ip| match ip {
            IpAddr::V4(ip) => ip.octets()[..3] == [224, 0, 0],
            IpAddr::V6(ip) => ip.segments()[0] & 0xff0f == 0xff02,
        })
    }),
    member("isLinkLocalUnicast", &[IP], Gives::Is(BOOL), |_, on| {
        is(on, is_link_local)
    }),
    member("isGlobalUnicast", &[IP], Gives::Is(BOOL), |_, on| {
        is(on, |ip| {
            let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
            let is_none = ip.is_unspecified() || ip.is_loopback() || ip.is_multicast();
            !is_broadcast && !is_none && !is_link_local(ip)
        })
    }),
    global("cidr", &[TEXT], Gives::Is(CIDR), |run, on| {
        let found = text(run, &on[0], range)?;
        let none = || Fail::new("a string that is no CIDR");
        found.map(|(ip, bits)| Val::Cidr(ip, bits)).ok_or_else(none)
    }),
    global("isCIDR", &[TEXT], Gives::Is(BOOL), |run, on| {
        Ok(Val::Bool(text(run, &on[0], range)?.is_some()))
    }),
    member(
        "containsIP",
        &[CIDR, IP | TEXT],
        Gives::Is(BOOL),
        |run, on| {
            let Val::Cidr(net, bits) = &on[0] else {
                return wrong();
            };
            let ip = match &on[1] {
                Val::Ip(ip) => Some(*ip),
                other => text(run, other, address)?,
            };
            let ip = ip.ok_or_else(|| Fail::new("a string that is no IP address"))?;
            Ok(Val::Bool(contains(*net, *bits, ip, length(ip))))
        },
    ),
    member(
        "containsCIDR",
        &[CIDR, CIDR | TEXT],
        Gives::Is(BOOL),
        |run, on| {
            let Val::Cidr(net, bits) = &on[0] else {
                return wrong();
            };
            let other = match &on[1] {
                Val::Cidr(net, bits) => Some((*net, *bits)),
                other => text(run, other, range)?,
            };
            let (ip, length) = other.ok_or_else(|| Fail::new("a string that is no CIDR"))?;
            Ok(Val::Bool(contains(*net, *bits, ip, length)))
        },
    ),
    member("ip", &[CIDR], Gives::Is(IP), |_, on| match &on[0] {
        Val::Cidr(ip, _) => Ok(Val::Ip(*ip)),
        _ => wrong(),
    }),
    member("masked", &[CIDR], Gives::Is(CIDR), |_, on| match &on[0] {
        Val::Cidr(ip, bits) => Ok(Val::Cidr(masked(*ip, *bits), *bits)),
        _ => wrong(),
    }),
    member("prefixLength", &[CIDR], Gives::Is(INT), |_, on| {
        match &on[0] {
            Val::Cidr(_, bits) => Ok(Val::Int((*bits).into())),
            _ => wrong(),
        }
    }),
];

fn text<T>(run: &mut Run, value: &Val<'_>, of: fn(&str) -> Option<T>) -> Result<Option<T>, Fail> {
    let Val::Text(text) = value else {
        return Ok(None);
    };
    run.spend_text(text.len())?;
    Ok(of(text))
}

/// An address without zone; none that is one of IPv4 in IPv6's clothes.
fn address(text: &str) -> Option<IpAddr> {
    let ip: IpAddr = text.parse().ok()?;
    let is_mapped = matches!(ip, IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some());
    (!is_mapped).then_some(ip)
}

fn range(text: &str) -> Option<(IpAddr, u8)> {
    let (ip, bits) = text.split_once('/')?;
    let ip = address(ip)?;
    let is_plain =
        bits.bytes().all(|b| b.is_ascii_digit()) && (bits == "0" || !bits.starts_with('0'));
    let bits: u8 = bits.parse().ok().filter(|_| is_plain)?;
    (bits <= length(ip)).then_some((ip, bits))
}

fn length(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

fn masked(ip: IpAddr, bits: u8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            IpAddr::V4((ip.to_bits() & mask).into())
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            IpAddr::V6((ip.to_bits() & mask).into())
        }
    }
}

fn contains(net: IpAddr, bits: u8, ip: IpAddr, length: u8) -> bool {
    net.is_ipv4() == ip.is_ipv4() && length >= bits && masked(net, bits) == masked(ip, bits)
}

fn is_link_local(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

fn is<'a>(on: &[Val<'a>], is: fn(&IpAddr) -> bool) -> Result<Val<'a>, Fail> {
    match &on[0] {
        Val::Ip(ip) => Ok(Val::Bool(is(ip))),
        _ => wrong(),
    }
}
