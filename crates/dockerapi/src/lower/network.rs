//! Networks: the mode, the endpoints, names and addresses; and the network create request.
//!
//! Names are taken as they are: whether a network exists is for the engine to say.

use std::net::{IpAddr, Ipv4Addr};

use weft_api::docker::{
    ContainerCreateRequest, EndpointSettings, HostConfig, NetworkCreateRequest,
};
use weft_engine::spec::{Dns, NetworkAttach, NetworkMode};

use super::{Refusals, container::some};
use crate::error::ApiError;

/// Most networks one container may join at create.
const MAX_NETWORKS: usize = 64;

/// `HostConfig.NetworkMode` with `NetworkingConfig.EndpointsConfig`.
pub fn mode(no: &mut Refusals, body: &ContainerCreateRequest) -> NetworkMode {
    let endpoints = &body.networking_config.endpoints_config;
    no.rest("NetworkingConfig.", &body.networking_config.rest);
    if endpoints.len() > MAX_NETWORKS {
        no.invalid(format!(
            "EndpointsConfig: more than {MAX_NETWORKS} networks"
        ));
    }
    let name = body.host_config.network_mode.as_str();
    if let Some(alone) = without_networks(name) {
        let wished = endpoints
            .iter()
            .any(|(key, e)| key != name && key != "default" || e.as_ref().is_some_and(is_wish));
        if wished {
            no.invalid(format!(
                "EndpointsConfig can't be used with the network mode '{name}'"
            ));
        }
        no.unsupported_if(
            !body.mac_address.is_empty(),
            "MacAddress with that network mode",
        );
        if let NetworkMode::Container(_) = alone {
            shared(no, &body.host_config);
        }
        return alone;
    }
    let is_first = |key: &str| key == name || is_default(key) && is_default(name);
    let mut first = NetworkAttach {
        network: network_name(name),
        ..Default::default()
    };
    let mut further = Vec::new();
    for (key, settings) in endpoints {
        let settings = settings.clone().unwrap_or_default();
        let attach = attach(no, network_name(key), &settings);
        if is_first(key) {
            first = attach
        } else {
            further.push(attach)
        }
    }
    if first.mac.is_none() {
        first.mac = mac(no, &body.mac_address);
    }
    let mut list = vec![first];
    list.append(&mut further);
    NetworkMode::Networks(list)
}

/// Names and addresses of a shared network are the other container's: wishes would be lost.
fn shared(no: &mut Refusals, host: &HostConfig) {
    let names = [&host.dns, &host.dns_search, &host.dns_options];
    if names.iter().any(|list| !list.is_empty()) {
        no.invalid("conflicting options: dns and the network mode");
    }
    if !host.extra_hosts.is_empty() {
        no.invalid(
            "conflicting options: custom host-to-IP mapping and the network mode; give it to the \
             container whose network this is",
        );
    }
}

fn without_networks(mode: &str) -> Option<NetworkMode> {
    match mode {
        "none" => Some(NetworkMode::None),
        "host" => Some(NetworkMode::Host),
        other => other
            .strip_prefix("container:")
            .map(|id| NetworkMode::Container(id.into())),
    }
}

fn is_default(name: &str) -> bool {
    matches!(name, "" | "default" | "bridge")
}

fn network_name(name: &str) -> String {
    if is_default(name) {
        String::new()
    } else {
        name.to_owned()
    }
}

fn is_wish(settings: &EndpointSettings) -> bool {
    let wished = settings.ipam_config.as_ref();
    !settings.aliases.is_empty()
        || wished.is_some_and(|ipam| !ipam.ipv4_address.is_empty() || !ipam.ipv6_address.is_empty())
}

/// One endpoint of `POST /networks/{id}/connect`.
pub fn endpoint(network: &str, settings: &EndpointSettings) -> Result<NetworkAttach, ApiError> {
    let mut no = Refusals::default();
    let attach = attach(&mut no, network.to_owned(), settings);
    no.check()?;
    Ok(attach)
}

/// Ids, gateways and prefix lengths in a request are echoes of an inspect: the engine's to set.
fn attach(no: &mut Refusals, network: String, settings: &EndpointSettings) -> NetworkAttach {
    no.rest("EndpointSettings.", &settings.rest);
    no.unsupported_if(!settings.links.is_empty(), "EndpointSettings.Links");
    no.unsupported_if(settings.gw_priority != 0, "EndpointSettings.GwPriority");
    no.unsupported_if(
        settings
            .driver_opts
            .as_ref()
            .is_some_and(|opts| !opts.is_empty()),
        "EndpointSettings.DriverOpts",
    );
    let ipam = settings.ipam_config.clone().unwrap_or_default();
    no.unsupported_if(!ipam.ipv6_address.is_empty(), "IPAMConfig.IPv6Address");
    no.unsupported_if(!ipam.link_local_ips.is_empty(), "IPAMConfig.LinkLocalIPs");
    let ip = some(ipam.ipv4_address).and_then(|text| {
        let ip = text.parse::<Ipv4Addr>().ok();
        if ip.is_none() {
            no.invalid(format!("IPAMConfig: invalid IPv4 address '{text}'"));
        }
        ip
    });
    for alias in settings.aliases.iter().filter(|alias| !is_dns_name(alias)) {
        no.invalid(format!("Aliases: '{alias}' is not a host name"));
    }
    let mac = mac(no, &settings.mac_address);
    NetworkAttach {
        network,
        aliases: settings.aliases.clone(),
        ip,
        mac,
    }
}

fn is_dns_name(name: &str) -> bool {
    (1..=253).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

fn mac(no: &mut Refusals, text: &str) -> Option<String> {
    if text.is_empty() {
        return None;
    }
    let lower = text.to_ascii_lowercase().replace('-', ":");
    let parts: Vec<Option<u8>> = lower
        .split(':')
        .map(|part| {
            (part.len() == 2)
                .then(|| u8::from_str_radix(part, 16).ok())
                .flatten()
        })
        .collect();
    match parts.as_slice() {
        // The lowest bit of the first byte marks a group address.
        [Some(first), Some(_), Some(_), Some(_), Some(_), Some(_)] if first & 1 == 0 => Some(lower),
        _ => {
            no.invalid(format!("MacAddress: '{text}' is not a valid MAC address"));
            None
        }
    }
}

/// `Dns`, `DnsSearch`, `DnsOptions`.
pub fn dns(no: &mut Refusals, host: &HostConfig) -> Dns {
    let mut servers = Vec::new();
    for text in &host.dns {
        match text.parse() {
            Ok(IpAddr::V4(ip)) => servers.push(ip),
            Ok(IpAddr::V6(_)) => no.unsupported(format!("HostConfig.Dns with IPv6 ({text})")),
            Err(_) => no.invalid(format!("Dns: '{text}' is not an address")),
        }
    }
    for text in host.dns_search.iter().chain(&host.dns_options) {
        if text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            no.invalid(format!(
                "DnsSearch, DnsOptions: '{}' is not one word",
                text.escape_debug()
            ));
        }
    }
    Dns {
        direct: false,
        servers,
        search: host.dns_search.clone(),
        options: host.dns_options.clone(),
    }
}

/// `name:address`.
pub fn extra_hosts(no: &mut Refusals, list: &[String]) -> Vec<(String, String)> {
    let mut hosts = Vec::new();
    for text in list {
        let pair = text.split_once(['=', ':']).filter(|(name, address)| {
            is_dns_name(name) && (*address == "host-gateway" || address.parse::<IpAddr>().is_ok())
        });
        match pair {
            Some((name, address)) => hosts.push((name.to_owned(), address.to_owned())),
            None => no.invalid(format!(
                "ExtraHosts: '{}' is not name:address",
                text.escape_debug()
            )),
        }
    }
    hosts
}

/// What `POST /networks/create` asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct NetworkWish {
    /// CIDR.
    pub subnet: Option<String>,
    /// Address of the bridge.
    pub gateway: Option<Ipv4Addr>,
}

/// Checks the body of `POST /networks/create` and takes its addresses.
pub fn network_create(body: &NetworkCreateRequest) -> Result<NetworkWish, ApiError> {
    let mut no = Refusals::default();
    no.rest("", &body.rest);
    if !matches!(body.driver.as_str(), "" | "bridge" | "default") {
        no.unsupported(format!("Driver '{}'", body.driver));
    }
    if !matches!(body.scope.as_str(), "" | "local") {
        no.unsupported(format!("Scope '{}'", body.scope));
    }
    no.unsupported_if(body.ingress, "Ingress");
    no.unsupported_if(body.config_only, "ConfigOnly");
    no.unsupported_if(body.enable_ipv6 == Some(true), "EnableIPv6");
    no.unsupported_if(body.enable_ipv4 == Some(false), "EnableIPv4=false");
    for name in body.options.keys() {
        no.unsupported(format!("Options '{name}'"));
    }
    if !matches!(body.ipam.driver.as_str(), "" | "default") {
        no.unsupported(format!("IPAM.Driver '{}'", body.ipam.driver));
    }
    no.unsupported_if(
        body.ipam
            .options
            .as_ref()
            .is_some_and(|options| !options.is_empty()),
        "IPAM.Options",
    );
    let mut wish = NetworkWish::default();
    match body.ipam.config.as_slice() {
        [] => {}
        [one] => {
            no.unsupported_if(!one.ip_range.is_empty(), "IPAM.Config.IPRange");
            no.unsupported_if(
                !one.auxiliary_addresses.is_empty(),
                "IPAM.Config.AuxiliaryAddresses",
            );
            wish.subnet = some(one.subnet.clone());
            if !one.gateway.is_empty() {
                wish.gateway = one.gateway.parse().ok();
                if wish.gateway.is_none() {
                    no.invalid(format!("IPAM: invalid gateway '{}'", one.gateway));
                }
            }
        }
        _ => no.unsupported("IPAM.Config with more than one subnet"),
    }
    no.check()?;
    Ok(wish)
}
