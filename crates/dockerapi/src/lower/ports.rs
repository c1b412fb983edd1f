//! Ports: what is published where, and what is merely exposed.
//!
//! Whether a port is free is for the network to say.

use std::net::{IpAddr, Ipv4Addr};

use weft_api::docker::{PortBinding, PortMap, Set};
use weft_engine::spec::{PortSpec, Protocol};

use super::Refusals;

/// Most ports one container may publish or expose: a whole range, once per protocol.
const MAX_PORTS: usize = 2 * 65_535;

/// `HostConfig.PortBindings`.
pub fn published(no: &mut Refusals, map: &PortMap) -> Vec<PortSpec> {
    let mut ports = Vec::new();
    for (key, bindings) in map {
        let (container_port, protocol) = match key_of(key) {
            Ok(found) => found,
            Err(why) => {
                no.invalid(format!("PortBindings: {why}"));
                continue;
            }
        };
        for binding in bindings.iter().flatten() {
            match host_side(binding) {
                Ok((host_ip, host_ports)) => {
                    ports.push(PortSpec {
                        host_ip,
                        host_ports,
                        container_port,
                        protocol,
                    });
                }
                Err(why) => no.invalid(format!("PortBindings '{key}': {why}")),
            }
        }
    }
    if ports.len() > MAX_PORTS {
        no.invalid(format!("PortBindings: more than {MAX_PORTS} ports"));
    }
    ports
}

/// `ExposedPorts`: `80`, `80/tcp`, `8000-8010/udp`.
pub fn exposed(no: &mut Refusals, set: &Set) -> Vec<String> {
    for key in set.keys() {
        let (range, protocol) = key.split_once('/').unwrap_or((key, "tcp"));
        if port_range(range).is_none() || protocol_of(protocol).is_none() {
            no.invalid(format!(
                "ExposedPorts: invalid port '{key}': expected PORT[-PORT][/tcp|udp]"
            ));
        }
    }
    set.keys().cloned().collect()
}

/// `80/tcp`.
fn key_of(key: &str) -> Result<(u16, Protocol), String> {
    let (port, protocol) = key.split_once('/').unwrap_or((key, "tcp"));
    let number = port.parse().ok().filter(|port| *port != 0);
    let number = number.ok_or_else(|| format!("invalid container port '{key}'"))?;
    let protocol = protocol_of(protocol)
        .ok_or_else(|| format!("'{key}': the protocol is neither tcp nor udp"))?;
    Ok((number, protocol))
}

fn protocol_of(text: &str) -> Option<Protocol> {
    match text {
        "tcp" => Some(Protocol::Tcp),
        "udp" => Some(Protocol::Udp),
        _ => None,
    }
}

type HostSide = (Option<Ipv4Addr>, Option<(u16, u16)>);

fn host_side(binding: &PortBinding) -> Result<HostSide, String> {
    let ip = match binding.host_ip.as_str() {
        "" | "0.0.0.0" => None,
        text => match text.parse::<IpAddr>() {
            Ok(IpAddr::V4(ip)) => Some(ip),
            Ok(IpAddr::V6(ip)) => {
                return Err(format!(
                    "publishing on the IPv6 address {ip} is not supported"
                ));
            }
            Err(_) => return Err(format!("invalid host address '{text}'")),
        },
    };
    let ports = match binding.host_port.as_str() {
        "" | "0" => None,
        text => Some(port_range(text).ok_or_else(|| format!("invalid host port '{text}'"))?),
    };
    Ok((ip, ports))
}

/// `80` or `8000-8010`, without 0.
fn port_range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let number = |part: &str| part.parse::<u16>().ok().filter(|port| *port != 0);
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some((first, last))
}
