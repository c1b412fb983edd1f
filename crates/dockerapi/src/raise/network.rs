//! A container's networks and published ports.
//!
//! While it does not run, its networks are shown without addresses.

use std::collections::BTreeMap;

use weft_api::docker::{
    EndpointIpamConfig, EndpointSettings, NetworkSettings, Port, PortBinding, PortMap,
};
use weft_engine::container::{AttachmentRecord, Record};
use weft_engine::spec::NetworkMode;

use super::host::network_name;

/// By network name.
pub fn endpoints(record: &Record) -> BTreeMap<String, EndpointSettings> {
    let mut map = BTreeMap::new();
    match &record.spec.network {
        NetworkMode::None => drop(map.insert("none".into(), EndpointSettings::default())),
        NetworkMode::Host => drop(map.insert("host".into(), EndpointSettings::default())),
        NetworkMode::Container(_) | NetworkMode::Sandbox(_) => {}
        NetworkMode::Networks(list) => {
            for wish in list {
                let ipv4_address = wish.ip.map(|ip| ip.to_string()).unwrap_or_default();
                let settings = EndpointSettings {
                    ipam_config: wish.ip.map(|_| EndpointIpamConfig {
                        ipv4_address,
                        ..EndpointIpamConfig::default()
                    }),
                    aliases: wish.aliases.clone(),
                    mac_address: wish.mac.clone().unwrap_or_default(),
                    ..EndpointSettings::default()
                };
                map.insert(network_name(&wish.network).to_owned(), settings);
            }
        }
    }
    for attachment in &record.attachments {
        let name = network_name(&attachment.network).to_owned();
        fill(map.entry(name).or_default(), attachment);
    }
    map
}

fn fill(settings: &mut EndpointSettings, attachment: &AttachmentRecord) {
    settings.network_id.clone_from(&attachment.network_id);
    settings.endpoint_id.clone_from(&attachment.endpoint_id);
    settings.gateway = attachment
        .gateway
        .map(|ip| ip.to_string())
        .unwrap_or_default();
    settings.ip_address = attachment
        .address
        .map(|ip| ip.to_string())
        .unwrap_or_default();
    settings.ip_prefix_len = attachment.prefix_len.into();
    settings.mac_address.clone_from(&attachment.mac);
    settings.dns_names = attachment.resolver.map(|_| attachment.names.clone());
}

/// `NetworkSettings` of inspect: the first network's address is repeated at the top.
pub fn settings(record: &Record) -> NetworkSettings {
    let first = record.attachments.first().cloned().unwrap_or_default();
    NetworkSettings {
        sandbox_id: if record.state.pid > 0 {
            record.id.clone()
        } else {
            String::new()
        },
        ports: ports(record),
        endpoint_id: first.endpoint_id,
        gateway: first.gateway.map(|ip| ip.to_string()).unwrap_or_default(),
        ip_address: first.address.map(|ip| ip.to_string()).unwrap_or_default(),
        ip_prefix_len: first.prefix_len.into(),
        mac_address: first.mac,
        networks: endpoints(record),
        ..NetworkSettings::default()
    }
}

/// Every exposed port, published ones with their host side; empty while it does not run.
fn ports(record: &Record) -> PortMap {
    let mut map = PortMap::new();
    if record.attachments.is_empty() {
        return map;
    }
    for (port, protocol) in &record.resolved.exposed {
        map.insert(format!("{port}/{}", protocol.as_str()), None);
    }
    for port in record
        .attachments
        .iter()
        .flat_map(|attachment| &attachment.ports)
    {
        let key = format!("{}/{}", port.container_port, port.protocol.as_str());
        let binding = PortBinding {
            host_ip: port.host_ip.to_string(),
            host_port: port.host_port.to_string(),
        };
        map.entry(key)
            .or_default()
            .get_or_insert_with(Vec::new)
            .push(binding);
    }
    map
}

/// The ports of one line of `docker ps`.
pub fn summary_ports(record: &Record) -> Vec<Port> {
    if record.attachments.is_empty() {
        return Vec::new();
    }
    let published: Vec<_> = record.attachments.iter().flat_map(|a| &a.ports).collect();
    let bare = record.resolved.exposed.iter().filter(|(port, protocol)| {
        !published
            .iter()
            .any(|p| p.container_port == *port && p.protocol == *protocol)
    });
    let mut list: Vec<Port> = bare
        .map(|(port, protocol)| Port {
            private_port: *port,
            r#type: protocol.as_str().into(),
            ..Port::default()
        })
        .collect();
    list.extend(published.iter().map(|port| Port {
        ip: port.host_ip.to_string(),
        private_port: port.container_port,
        public_port: Some(port.host_port),
        r#type: port.protocol.as_str().into(),
    }));
    list
}
