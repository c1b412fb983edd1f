//! `weft network …`

use std::net::{Ipv4Addr, Ipv6Addr};

use weft_api::docker::{
    EndpointIpamConfig, EndpointSettings, Ipam, IpamConfig, NetworkConnectRequest,
    NetworkCreateRequest, NetworkDisconnectRequest,
};

use super::each::{each, unless_missing};
use super::{inspect, prune};
use crate::error::CliError;
use crate::flags::values::{filter, filters, pairs};
use crate::render::listing::{Column, ListFlags, hidden, print, shown};
use crate::render::units;
use crate::session::Session;
use crate::tree::{Entry, Outcome, noun, verb};

/// The noun.
pub const NOUN: Entry = noun!("network", ENTRIES, "Commands about networks");

const ENTRIES: &[Entry] = &[
    verb!("connect", ConnectArgs, "Put a container into a network"),
    verb!("create", CreateArgs, "Make a network"),
    verb!(
        "disconnect",
        DisconnectArgs,
        "Take a container out of a network"
    ),
    verb!(
        "inspect",
        inspect::NetworkArgs,
        "Show everything about networks, as JSON"
    ),
    verb!("ls" | "list", ListArgs, "List networks"),
    verb!("prune", prune::NetworkArgs, "Remove all unused networks"),
    verb!("rm" | "remove", RemoveArgs, "Remove networks"),
];

/// Flags of `network ls`.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Only show matching networks: name=…, driver=…, label=…
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = filter)]
    filter: Vec<(String, String)>,
    #[command(flatten)]
    list: ListFlags,
}

const COLUMNS: &[Column] = &[
    shown("ID", "NETWORK ID"),
    shown("Name", "NAME"),
    shown("Driver", "DRIVER"),
    shown("Scope", "SCOPE"),
    hidden("Internal", "INTERNAL"),
    hidden("IPv6", "IPV6"),
    hidden("Labels", "LABELS"),
    hidden("CreatedAt", "CREATED AT"),
];

impl ListArgs {
    /// Lists the networks.
    pub async fn run(self, session: &Session) -> Outcome {
        let filters = filters(&self.filter);
        let engine = session.engine().await?;
        let mut networks = engine.list_networks(&filters).await?;
        networks.sort_by(|a, b| a.name.cmp(&b.name));
        if self.list.output.is_some() {
            session.printer.json(&networks)?;
            return Ok(0);
        }
        let rows: Vec<Vec<String>> = networks
            .into_iter()
            .map(|network| {
                vec![
                    if self.list.no_trunc {
                        network.id
                    } else {
                        units::short_id(&network.id).to_owned()
                    },
                    network.name,
                    network.driver,
                    network.scope,
                    network.internal.to_string(),
                    network.enable_ipv6.to_string(),
                    super::ps::labels(&network.labels),
                    network.created,
                ]
            })
            .collect();
        print(session, &self.list, COLUMNS, "ID", &rows)?;
        Ok(0)
    }
}

/// Flags of `network create`.
#[derive(Debug, clap::Args)]
pub struct CreateArgs {
    /// Let containers attach by hand
    #[arg(long)]
    attachable: bool,
    /// Addresses of the subnet that others have: NAME=ADDRESS
    #[arg(long, value_name = "NAME=IP")]
    aux_address: Vec<String>,
    /// Driver
    #[arg(short, long, default_value = "bridge")]
    driver: String,
    /// Address of the host in the subnet
    #[arg(long, value_name = "IP")]
    gateway: Vec<String>,
    /// No way out of the network
    #[arg(long)]
    internal: bool,
    /// Part of the subnet to take addresses from
    #[arg(long, value_name = "CIDR")]
    ip_range: Vec<String>,
    /// Use IPv6
    #[arg(long)]
    ipv6: bool,
    /// Set meta data
    #[arg(long, value_name = "KEY[=VALUE]")]
    label: Vec<String>,
    /// Set an option of the driver
    #[arg(short, long, value_name = "KEY=VALUE")]
    opt: Vec<String>,
    /// Subnet
    #[arg(long, value_name = "CIDR")]
    subnet: Vec<String>,
    /// Name of the network
    name: String,
}

impl CreateArgs {
    /// Makes the network and prints its id.
    pub async fn run(self, session: &Session) -> Outcome {
        let body = self.lower()?;
        let created = session.engine().await?.create_network(&body).await?;
        if !created.warning.is_empty() {
            session
                .printer
                .talk(&format!("warning: {}", created.warning));
        }
        session.printer.line(&created.id)?;
        Ok(0)
    }

    fn lower(&self) -> Result<NetworkCreateRequest, CliError> {
        if self.subnet.len() < self.ip_range.len().max(self.gateway.len()) {
            return Err(CliError::new(
                "every ip-range or gateway must have a corresponding subnet",
            ));
        }
        let mut config: Vec<IpamConfig> = Vec::new();
        for (at, subnet) in self.subnet.iter().enumerate() {
            config.push(IpamConfig {
                subnet: subnet.clone(),
                ip_range: self.ip_range.get(at).cloned().unwrap_or_default(),
                gateway: self.gateway.get(at).cloned().unwrap_or_default(),
                ..IpamConfig::default()
            });
        }
        if let Some(first) = config.first_mut() {
            first.auxiliary_addresses = pairs(&self.aux_address);
        } else if !self.aux_address.is_empty() {
            return Err(CliError::new("no matching subnet for aux-address"));
        }
        Ok(NetworkCreateRequest {
            name: self.name.clone(),
            driver: self.driver.clone(),
            internal: self.internal,
            attachable: self.attachable,
            enable_ipv6: self.ipv6.then_some(true),
            ipam: Ipam {
                driver: "default".to_owned(),
                config,
                options: None,
            },
            options: pairs(&self.opt),
            labels: pairs(&self.label),
            ..NetworkCreateRequest::default()
        })
    }
}

/// Flags of `network rm`.
#[derive(Debug, clap::Args)]
pub struct RemoveArgs {
    /// What does not exist is no failure
    #[arg(short, long)]
    force: bool,
    /// Networks to remove
    #[arg(required = true, value_name = "NETWORK")]
    networks: Vec<String>,
}

impl RemoveArgs {
    /// Removes the networks.
    pub async fn run(self, session: &Session) -> Outcome {
        let engine = session.engine().await?;
        each(session, &self.networks, async |name| {
            unless_missing(self.force, engine.remove_network(name).await)
        })
        .await
    }
}

/// Flags of `network connect`.
#[derive(Debug, clap::Args)]
pub struct ConnectArgs {
    /// Additional name in the network
    #[arg(long, value_name = "NAME")]
    alias: Vec<String>,
    /// IPv4 address
    #[arg(long, value_name = "IP")]
    ip: Option<Ipv4Addr>,
    /// IPv6 address
    #[arg(long, value_name = "IP")]
    ip6: Option<Ipv6Addr>,
    /// The network
    network: String,
    /// The container
    container: String,
}

impl ConnectArgs {
    /// Connects the two.
    pub async fn run(self, session: &Session) -> Outcome {
        let ipam = EndpointIpamConfig {
            ipv4_address: self.ip.map(|ip| ip.to_string()).unwrap_or_default(),
            ipv6_address: self.ip6.map(|ip| ip.to_string()).unwrap_or_default(),
            link_local_ips: Vec::new(),
        };
        let body = NetworkConnectRequest {
            container: self.container,
            endpoint_config: Some(EndpointSettings {
                ipam_config: (ipam != EndpointIpamConfig::default()).then_some(ipam),
                aliases: self.alias,
                ..EndpointSettings::default()
            }),
            ..NetworkConnectRequest::default()
        };
        let engine = session.engine().await?;
        engine.connect_network(&self.network, &body).await?;
        Ok(0)
    }
}

/// Flags of `network disconnect`.
#[derive(Debug, clap::Args)]
pub struct DisconnectArgs {
    /// Even if the container is gone
    #[arg(short, long)]
    force: bool,
    /// The network
    network: String,
    /// The container
    container: String,
}

impl DisconnectArgs {
    /// Disconnects the two.
    pub async fn run(self, session: &Session) -> Outcome {
        let body = NetworkDisconnectRequest {
            container: self.container,
            force: self.force,
            ..NetworkDisconnectRequest::default()
        };
        let engine = session.engine().await?;
        engine.disconnect_network(&self.network, &body).await?;
        Ok(0)
    }
}
