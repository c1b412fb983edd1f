//! From where services lead to the network's words. Pure.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use weft_api::assignment as asked;
use weft_driver::Unserved;
use weft_engine::{Protocol, Reach, Service, ServiceEndpoint, ServiceHost, ServicePort, Services};

/// The services of `network`'s containers, and what of them nobody can read.
pub(super) fn services(wanted: &asked::Services, network: &str) -> (Services, Vec<Unserved>) {
    let mut unread = Vec::new();
    let table = wanted.table.iter();
    let table = table.map(|(name, one)| (name.clone(), service(name, one, &mut unread)));
    let services = Services {
        range: wanted.range.parse().ok(),
        networks: BTreeSet::from([network.to_owned()]),
        zone: wanted.zone.clone(),
        table: table.collect(),
    };
    (services, unread)
}

fn service(name: &str, wanted: &asked::Service, unread: &mut Vec<Unserved>) -> Service {
    let mut address = |text: &String| -> Option<Ipv4Addr> {
        let parsed = text.parse().ok();
        if parsed.is_none() {
            unread.push(Unserved {
                service: name.to_owned(),
                why: format!("{text:?} is no IPv4 address"),
            });
        }
        parsed
    };
    let reach = |is_local| match is_local {
        true => Reach::Local,
        false => Reach::Anywhere,
    };
    let mut ports = Vec::new();
    for port in &wanted.ports {
        let mut endpoints = Vec::new();
        for one in &port.endpoints {
            endpoints.extend(address(&one.address).map(|address| ServiceEndpoint {
                address,
                port: one.port,
                is_ready: one.is_ready,
                is_local: one.is_local,
            }));
        }
        ports.push(ServicePort {
            name: port.name.clone(),
            protocol: if port.udp {
                Protocol::Udp
            } else {
                Protocol::Tcp
            },
            port: port.port,
            node_port: port.node_port,
            endpoints,
        });
    }
    let mut hosts = Vec::new();
    for (text, name) in &wanted.hosts {
        hosts.extend(address(text).map(|address| ServiceHost {
            address,
            name: name.clone(),
        }));
    }
    Service {
        addresses: wanted.address.iter().filter_map(&mut address).collect(),
        alias: wanted.alias.clone(),
        ports,
        affinity_s: wanted.affinity_s,
        inner: reach(wanted.is_inner_local),
        outer: reach(wanted.is_outer_local),
        hosts,
    }
}
