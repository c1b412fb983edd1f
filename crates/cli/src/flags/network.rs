//! Flags about networks, names and ports.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use weft_api::docker::{ContainerCreateRequest, EndpointIpamConfig, EndpointSettings};

use super::topic::Topic;
use super::{invalid, ports};
use crate::error::CliError;

/// How the container is reached, and what it reaches.
#[derive(Debug, Default, clap::Args)]
pub struct NetworkFlags {
    /// Connect to a network: NAME, none, host, container:ID, or name=N,alias=A,ip=IP
    #[arg(long, visible_alias = "net", value_name = "NETWORK", value_parser = network)]
    pub network: Vec<NetworkFlag>,
    /// Additional name in the network
    #[arg(long, visible_alias = "net-alias", value_name = "NAME")]
    pub network_alias: Vec<String>,
    /// IPv4 address in the network
    #[arg(long, value_name = "ADDRESS")]
    pub ip: Option<Ipv4Addr>,
    /// IPv6 address in the network
    #[arg(long, value_name = "ADDRESS")]
    pub ip6: Option<Ipv6Addr>,
    /// Ethernet address
    #[arg(long, value_name = "ADDRESS")]
    pub mac_address: Option<String>,
    /// Publish a container's port on the host
    #[arg(short, long, value_name = "[[IP:]HOST:]PORT[/PROTO]")]
    pub publish: Vec<String>,
    /// Publish all exposed ports on random host ports
    #[arg(short = 'P', long)]
    pub publish_all: bool,
    /// Expose a port or a range of ports
    #[arg(long, value_name = "PORT[/PROTO]")]
    pub expose: Vec<String>,
    /// Add a name to the hosts file: NAME:ADDRESS
    #[arg(long, value_name = "NAME:IP", value_parser = extra_host)]
    pub add_host: Vec<String>,
    /// DNS server
    #[arg(long, value_name = "ADDRESS", value_parser = dns_server)]
    pub dns: Vec<String>,
    /// DNS search domain
    #[arg(long, value_name = "DOMAIN")]
    pub dns_search: Vec<String>,
    /// DNS option
    #[arg(long, visible_alias = "dns-opt", value_name = "OPTION")]
    pub dns_option: Vec<String>,
}

impl Topic for NetworkFlags {
    const NAMES: &'static [&'static str] = &[
        "network",
        "net",
        "network-alias",
        "net-alias",
        "ip",
        "ip6",
        "mac-address",
        "publish",
        "p",
        "publish-all",
        "P",
        "expose",
        "add-host",
        "dns",
        "dns-search",
        "dns-option",
        "dns-opt",
    ];
}

/// One `--network`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkFlag {
    name: String,
    aliases: Vec<String>,
    ip: Option<Ipv4Addr>,
    ip6: Option<Ipv6Addr>,
    mac: Option<String>,
}

impl NetworkFlag {
    fn is_special(&self) -> bool {
        ["host", "none"].contains(&self.name.as_str()) || self.name.starts_with("container:")
    }

    fn is_user_defined(&self) -> bool {
        !self.is_special() && !["default", "bridge"].contains(&self.name.as_str())
    }

    fn endpoint(&self) -> EndpointSettings {
        let ipam = EndpointIpamConfig {
            ipv4_address: self.ip.map(|ip| ip.to_string()).unwrap_or_default(),
            ipv6_address: self.ip6.map(|ip| ip.to_string()).unwrap_or_default(),
            link_local_ips: Vec::new(),
        };
        EndpointSettings {
            ipam_config: (ipam != EndpointIpamConfig::default()).then_some(ipam),
            aliases: self.aliases.clone(),
            mac_address: self.mac.clone().unwrap_or_default(),
            ..EndpointSettings::default()
        }
    }
}

impl NetworkFlags {
    pub(super) fn lower(&self, body: &mut ContainerCreateRequest) -> Result<(), CliError> {
        for spec in &self.publish {
            let bindings = &mut body.host_config.port_bindings;
            ports::publish(spec, &mut body.exposed_ports, bindings).map_err(invalid)?;
        }
        for spec in &self.expose {
            ports::expose(spec, &mut body.exposed_ports).map_err(invalid)?;
        }
        let networks = self.networks()?;
        let host = &mut body.host_config;
        host.network_mode = networks[0].name.clone();
        for network in &networks {
            let plain = network.endpoint() == EndpointSettings::default();
            if network.is_special() && !plain {
                return Err(invalid(format!(
                    "conflicting options: addresses and names cannot be set with network {:?}",
                    network.name
                )));
            }
            if plain && networks.len() == 1 {
                continue;
            }
            let twice = body
                .networking_config
                .endpoints_config
                .insert(network.name.clone(), Some(network.endpoint()));
            if twice.is_some() {
                return Err(invalid(format!(
                    "network {:?} is specified multiple times",
                    network.name
                )));
            }
        }
        host.publish_all_ports = self.publish_all;
        host.dns.clone_from(&self.dns);
        host.dns_search.clone_from(&self.dns_search);
        host.dns_options.clone_from(&self.dns_option);
        host.extra_hosts.clone_from(&self.add_host);
        Ok(())
    }

    /// The networks, at least one; flags without a network of their own belong to the first.
    fn networks(&self) -> Result<Vec<NetworkFlag>, CliError> {
        let mut networks = self.network.clone();
        if networks.is_empty() {
            networks.push(NetworkFlag {
                name: "default".to_owned(),
                aliases: Vec::new(),
                ip: None,
                ip6: None,
                mac: None,
            });
        }
        if networks.len() > 1
            && let Some(special) = networks.iter().find(|network| network.is_special())
        {
            return Err(invalid(format!(
                "conflicting options: cannot attach both user-defined and {} networks",
                special.name
            )));
        }
        let first = &mut networks[0];
        if !self.network_alias.is_empty() {
            if !first.is_user_defined() {
                return Err(invalid(
                    "network-scoped aliases are only supported for user-defined networks",
                ));
            }
            first.aliases.extend(self.network_alias.iter().cloned());
        }
        merge("--ip", &mut first.ip, self.ip.as_ref())?;
        merge("--ip6", &mut first.ip6, self.ip6.as_ref())?;
        merge("--mac-address", &mut first.mac, self.mac_address.as_ref())?;
        Ok(networks)
    }
}

fn merge<T: Clone>(flag: &str, own: &mut Option<T>, global: Option<&T>) -> Result<(), CliError> {
    if own.is_some() && global.is_some() {
        return Err(invalid(format!(
            "conflicting options: cannot specify both {flag} and the network's own"
        )));
    }
    if let Some(value) = global {
        *own = Some(value.clone());
    }
    Ok(())
}

fn network(text: &str) -> Result<NetworkFlag, String> {
    let mut flag = NetworkFlag {
        name: text.to_owned(),
        aliases: Vec::new(),
        ip: None,
        ip6: None,
        mac: None,
    };
    if text.contains('=') {
        flag.name.clear();
        for field in text.split(',') {
            let (key, value) = field
                .split_once('=')
                .ok_or_else(|| format!("invalid field {field:?}"))?;
            let address = |_| format!("invalid address {value:?}");
            match key {
                "name" => value.clone_into(&mut flag.name),
                "alias" => flag.aliases.push(value.to_owned()),
                "ip" => flag.ip = Some(value.parse().map_err(address)?),
                "ip6" => flag.ip6 = Some(value.parse().map_err(address)?),
                "mac-address" => flag.mac = Some(value.to_owned()),
                _ => return Err(format!("invalid field key {key}")),
            }
        }
    }
    if flag.name.is_empty() {
        return Err("no name set for network".to_owned());
    }
    Ok(flag)
}

fn dns_server(text: &str) -> Result<String, String> {
    text.parse::<IpAddr>()
        .map(|address| address.to_string())
        .map_err(|_| format!("IP address is not correctly formatted: {text}"))
}

/// `NAME:ADDRESS` or `NAME=ADDRESS`, as `NAME:ADDRESS`.
fn extra_host(text: &str) -> Result<String, String> {
    let (name, address) = text
        .split_once('=')
        .or_else(|| text.split_once(':'))
        .filter(|(name, _)| !name.is_empty())
        .ok_or_else(|| format!("bad format for add-host: {text:?}"))?;
    let bare = address
        .strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'))
        .unwrap_or(address);
    if bare != "host-gateway" && bare.parse::<IpAddr>().is_err() {
        return Err(format!("invalid IP address in add-host: {address:?}"));
    }
    Ok(format!("{name}:{bare}"))
}
