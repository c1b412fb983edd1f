//! Networks and a container's place in them.
//!
//! Published ports belong to `host`.

use std::collections::BTreeMap;

wire! {
    /// Body of `POST /networks/create`.
    pub struct NetworkCreateRequest {
        name: String,
        check_duplicate: bool,
        driver: String,
        scope: String,
        internal: bool,
        attachable: bool,
        ingress: bool,
        config_only: bool,
        #[serde(rename = "IPAM")]
        ipam: Ipam,
        #[serde(rename = "EnableIPv4")]
        enable_ipv4: Option<bool>,
        #[serde(rename = "EnableIPv6")]
        enable_ipv6: Option<bool>,
        options: BTreeMap<String, String>,
        labels: BTreeMap<String, String>,
        ..rest
    }

    /// Answer of `POST /networks/create`.
    pub struct NetworkCreateResponse {
        id: String,
        warning: String,
    }

    /// Address management of a network.
    pub struct Ipam {
        driver: String,
        config: Vec<IpamConfig>,
        options: Option<BTreeMap<String, String>>,
    }

    /// One subnet of a network.
    pub struct IpamConfig {
        subnet: String,
        #[serde(rename = "IPRange", skip_serializing_if = "String::is_empty")]
        ip_range: String,
        gateway: String,
        #[serde(skip_serializing_if = "BTreeMap::is_empty")]
        auxiliary_addresses: BTreeMap<String, String>,
    }

    /// Answer of `GET /networks/{id}`, and one line of `GET /networks`.
    pub struct NetworkInspect {
        name: String,
        id: String,
        created: String,
        scope: String,
        driver: String,
        #[serde(rename = "EnableIPv4")]
        enable_ipv4: bool,
        #[serde(rename = "EnableIPv6")]
        enable_ipv6: bool,
        #[serde(rename = "IPAM")]
        ipam: Ipam,
        internal: bool,
        attachable: bool,
        ingress: bool,
        config_from: ConfigReference,
        config_only: bool,
        containers: BTreeMap<String, NetworkContainer>,
        options: BTreeMap<String, String>,
        labels: BTreeMap<String, String>,
    }

    /// Another network this one takes its configuration from.
    pub struct ConfigReference {
        network: String,
    }

    /// A container's place in a network, as the network shows it. Addresses are CIDR.
    pub struct NetworkContainer {
        name: String,
        #[serde(rename = "EndpointID")]
        endpoint_id: String,
        mac_address: String,
        #[serde(rename = "IPv4Address")]
        ipv4_address: String,
        #[serde(rename = "IPv6Address")]
        ipv6_address: String,
    }

    /// A container's place in a network, wished for or as it is.
    pub struct EndpointSettings {
        #[serde(rename = "IPAMConfig")]
        ipam_config: Option<EndpointIpamConfig>,
        links: Vec<String>,
        aliases: Vec<String>,
        mac_address: String,
        #[serde(rename = "NetworkID")]
        network_id: String,
        #[serde(rename = "EndpointID")]
        endpoint_id: String,
        gateway: String,
        #[serde(rename = "IPAddress")]
        ip_address: String,
        #[serde(rename = "IPPrefixLen")]
        ip_prefix_len: i64,
        #[serde(rename = "IPv6Gateway")]
        ipv6_gateway: String,
        #[serde(rename = "GlobalIPv6Address")]
        global_ipv6_address: String,
        #[serde(rename = "GlobalIPv6PrefixLen")]
        global_ipv6_prefix_len: i64,
        driver_opts: Option<BTreeMap<String, String>>,
        #[serde(rename = "DNSNames")]
        dns_names: Option<Vec<String>>,
        gw_priority: i64,
        ..rest
    }

    /// Addresses wished for in a network.
    pub struct EndpointIpamConfig {
        #[serde(rename = "IPv4Address", skip_serializing_if = "String::is_empty")]
        ipv4_address: String,
        #[serde(rename = "IPv6Address", skip_serializing_if = "String::is_empty")]
        ipv6_address: String,
        #[serde(rename = "LinkLocalIPs", skip_serializing_if = "Vec::is_empty")]
        link_local_ips: Vec<String>,
    }

    /// Body of `POST /networks/{id}/connect`.
    pub struct NetworkConnectRequest {
        container: String,
        endpoint_config: Option<EndpointSettings>,
        ..rest
    }

    /// Body of `POST /networks/{id}/disconnect`.
    pub struct NetworkDisconnectRequest {
        container: String,
        force: bool,
        ..rest
    }

    /// Answer of `POST /networks/prune`.
    pub struct NetworksPruneResponse {
        networks_deleted: Vec<String>,
    }
}
