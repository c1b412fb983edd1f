//! Ports: `[HOST_IP:][PUBLISHED:]TARGET[/PROTOCOL]`, with ranges, and the long form.

use std::net::IpAddr;

use super::read::{Map, Spot};

/// One port of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Port {
    pub(super) target: u16,
    /// The machine's; nothing: it is reached inside the cluster.
    pub(super) published: Option<u16>,
    pub(super) host_ip: Option<IpAddr>,
    /// `TCP`
    pub(super) protocol: &'static str,
}

/// Most ports of a range.
const RANGE_MAX: usize = 1024;

/// What `ports` says.
pub(super) fn read(service: &mut Map<'_>) -> Vec<Port> {
    let mut all = Vec::new();
    for spot in service.list("ports") {
        match spot.value {
            serde_json::Value::Object(_) => all.extend(long(spot)),
            _ => {
                if let Some(text) = spot.text() {
                    match short(&text) {
                        Ok(ports) => all.extend(ports),
                        Err(why) => spot.wrong(why),
                    }
                }
            }
        }
    }
    if all.iter().any(|port| port.published.is_none()) {
        let what = "what names no port of the machine gets none: it is reached inside the cluster";
        service.note("ports", what);
    }
    all
}

fn long(spot: Spot<'_>) -> Vec<Port> {
    let Some(mut map) = spot.map() else {
        return Vec::new();
    };
    let target = map.text("target");
    let published = map.text("published");
    let host_ip = map.text("host_ip");
    let protocol = map.text("protocol").unwrap_or_else(|| "tcp".to_owned());
    // All of them are the machine's own, as with mode: host.
    for key in ["mode", "app_protocol", "name"] {
        let _ = map.text(key);
    }
    let mut text = String::new();
    if let Some(address) = host_ip {
        let is_v6 = address.contains(':');
        text.push_str(&if is_v6 {
            format!("[{address}]:")
        } else {
            format!("{address}:")
        });
        if published.is_none() {
            text.push(':');
        }
    }
    if let Some(published) = published.filter(|text| !text.is_empty()) {
        text.push_str(&format!("{published}:"));
    }
    let Some(target) = target else {
        map.wrong("target", "it is missing");
        return Vec::new();
    };
    text.push_str(&format!("{target}/{protocol}"));
    let ports = short(&text)
        .map_err(|why| map.wrong("", why))
        .unwrap_or_default();
    map.end();
    ports
}

/// The short form.
pub(super) fn short(text: &str) -> Result<Vec<Port>, &'static str> {
    let (rest, protocol) = match text.rsplit_once('/') {
        Some((rest, "tcp")) => (rest, "TCP"),
        Some((rest, "udp")) => (rest, "UDP"),
        Some((rest, "sctp")) => (rest, "SCTP"),
        Some(_) => return Err("its protocol is none of tcp, udp and sctp"),
        None => (text, "TCP"),
    };
    let (before, target) = match rest.rsplit_once(':') {
        Some((before, target)) => (Some(before), target),
        None => (None, rest),
    };
    let (host_ip, published) = match before {
        None => (None, ""),
        Some(before) => match before.rsplit_once(':') {
            None => (None, before),
            Some((address, published)) => {
                let address = address.trim_matches(['[', ']']);
                let address = address.parse::<IpAddr>();
                (
                    Some(address.map_err(|_| "it begins with no address")?),
                    published,
                )
            }
        },
    };
    let targets = range(target)?;
    let published = match published {
        "" => None,
        text => Some(range(text)?),
    };
    if published
        .as_ref()
        .is_some_and(|published| published.len() != targets.len())
    {
        return Err("its ranges have not the same length");
    }
    let ports = targets.into_iter().enumerate().map(|(at, target)| Port {
        target,
        published: published.as_ref().and_then(|list| list.get(at).copied()),
        host_ip,
        protocol,
    });
    Ok(ports.collect())
}

fn range(text: &str) -> Result<Vec<u16>, &'static str> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0);
    match (port(first), port(last)) {
        (Some(first), Some(last)) if first <= last && usize::from(last - first) < RANGE_MAX => {
            Ok((first..=last).collect())
        }
        _ => Err("it is no port from 1 to 65535, or range of them: 8080:80"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_ports() {
        let shown = |text: &str| {
            let ports = short(text)?.into_iter();
            let ports = ports.map(|port| {
                let ip = port.host_ip.map_or(String::new(), |ip| format!("{ip} "));
                let published = port
                    .published
                    .map_or(String::new(), |port| format!("{port}>"));
                format!("{ip}{published}{}{}", port.target, port.protocol)
            });
            Ok::<_, &str>(ports.collect::<Vec<_>>().join(","))
        };
        for (text, expected) in [
            ("80", "80TCP"),
            ("8080:80/udp", "8080>80UDP"),
            ("127.0.0.1:8080:80", "127.0.0.1 8080>80TCP"),
            ("127.0.0.1::80", "127.0.0.1 80TCP"),
            ("[::1]:8080:80", "::1 8080>80TCP"),
            ("8080-8081:80-81", "8080>80TCP,8081>81TCP"),
        ] {
            assert_eq!(shown(text).as_deref(), Ok(expected), "{text}");
        }
        for wrong in [
            "",
            "0",
            "x:80",
            "80-70",
            "1-2:3",
            "80/http",
            "x:1:2",
            "65536",
            "1-65535:1-65535",
        ] {
            assert!(short(wrong).is_err(), "{wrong}");
        }
    }
}
