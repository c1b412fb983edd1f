//! Where services lead, as a node is to know it: services with their slices, as they are now.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::watch;
use weft_api::assignment::{Endpoint, Service, ServicePort, Services};

use super::lower::CLUSTER;
use crate::controllers::mirror::Mirror;
use crate::failure::Failure;
use crate::object::Object;
use crate::store::Store;

const SERVICES: &str = "services";
const SLICES: &str = "endpointslices";
const FOLLOWED: [(&str, &str); 2] = [("", SERVICES), ("discovery.k8s.io", SLICES)];
const SERVICE_NAME: &str = "kubernetes.io/service-name";

pub(super) async fn run(
    store: &Store,
    node: &str,
    range: &str,
    routes: &watch::Sender<Arc<Services>>,
) -> Infallible {
    crate::controllers::anew("finding out where services lead", || {
        try_run(store, node, range, routes)
    })
    .await
}

async fn try_run(
    store: &Store,
    node: &str,
    range: &str,
    routes: &watch::Sender<Arc<Services>>,
) -> Result<Infallible, Failure> {
    let mut mirror = Mirror::begin(store, &FOLLOWED).await?;
    loop {
        let now = all(&mirror, node, range);
        routes.send_if_modified(|before| {
            let is_new = **before != now;
            if is_new {
                *before = Arc::new(now);
            }
            is_new
        });
        while mirror.next().await?.is_empty() {}
    }
}

fn all(mirror: &Mirror, node: &str, range: &str) -> Services {
    let mut slices = BTreeMap::<(&str, &str), Vec<&Object>>::new();
    for (id, slice) in mirror.all(SLICES) {
        let is_of_four = slice.text(&["addressType"]) == Some("IPv4");
        if let Some(name) = slice.meta().label(SERVICE_NAME).filter(|_| is_of_four) {
            let place = (id.namespace.as_str(), name);
            slices.entry(place).or_default().push(slice);
        }
    }
    let mut table = BTreeMap::new();
    for (id, service) in mirror.all(SERVICES) {
        let place = (id.namespace.as_str(), id.name.as_str());
        let slices = slices.get(&place).map(Vec::as_slice).unwrap_or_default();
        let name = format!("{}.{}.svc", id.name, id.namespace);
        table.insert(name, lower(service, slices, node));
    }
    Services {
        range: range.to_owned(),
        zone: CLUSTER.to_owned(),
        table,
    }
}

/// Namespace and name of a service, by what the table calls it.
pub(super) fn place(name: &str) -> Option<(&str, &str)> {
    let (name, namespace) = name.strip_suffix(".svc")?.split_once('.')?;
    Some((namespace, name))
}

fn lower(service: &Object, slices: &[&Object], node: &str) -> Service {
    let text = |name: &str| service.text(&["spec", name]).unwrap_or_default();
    if text("type") == "ExternalName" {
        let name = text("externalName").to_owned();
        return Service {
            alias: Some(name),
            ..Service::default()
        };
    }
    let address = Some(text("clusterIP")).filter(|ip| !ip.is_empty() && *ip != "None");
    let anyway = service.at(&["spec", "publishNotReadyAddresses"]) == Some(&Value::Bool(true));
    let list = |object: &Object, name: &str| -> Vec<Value> {
        object
            .0
            .get(name)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let ports = service.at(&["spec", "ports"]).and_then(Value::as_array);
    let ports = ports.into_iter().flatten().map(|port| {
        let name = port["name"].as_str().unwrap_or_default();
        let mut endpoints = Vec::new();
        for slice in slices {
            let theirs = list(slice, "ports");
            let mut theirs = theirs.iter();
            let found = theirs.find(|one| one["name"].as_str().unwrap_or_default() == name);
            let Some(number) = found.and_then(|one| number(&one["port"])) else {
                continue;
            };
            for one in list(slice, "endpoints") {
                endpoints.extend(endpoint(&one, number, node));
            }
        }
        ServicePort {
            name: (!name.is_empty()).then(|| name.to_owned()),
            udp: port["protocol"] == "UDP",
            port: number(&port["port"]).unwrap_or(0),
            node_port: number(&port["nodePort"]).filter(|port| *port != 0),
            endpoints,
        }
    });
    let affinity = service.at(&[
        "spec",
        "sessionAffinityConfig",
        "clientIP",
        "timeoutSeconds",
    ]);
    let affinity = affinity.and_then(Value::as_u64).unwrap_or(10_800);
    let affinity = u32::try_from(affinity).ok();
    let hosts = slices.iter().flat_map(|slice| list(slice, "endpoints"));
    let hosts = hosts.filter(|one| anyway || one["conditions"]["ready"] != false);
    let hosts = hosts.filter_map(|one| {
        let address = one["addresses"][0].as_str()?.to_owned();
        Some((address, one["hostname"].as_str().map(str::to_owned)))
    });
    Service {
        address: address.map(str::to_owned),
        alias: None,
        ports: ports.collect(),
        affinity_s: affinity.filter(|_| text("sessionAffinity") == "ClientIP"),
        is_inner_local: text("internalTrafficPolicy") == "Local",
        is_outer_local: text("externalTrafficPolicy") == "Local",
        hosts: match address {
            Some(_) => Vec::new(),
            None => hosts.collect(),
        },
    }
}

fn endpoint(one: &Value, port: u16, node: &str) -> Option<Endpoint> {
    Some(Endpoint {
        address: one["addresses"][0].as_str()?.to_owned(),
        port,
        // Who does not say is ready.
        is_ready: one["conditions"]["ready"] != false,
        is_local: one["nodeName"].as_str().is_none_or(|on| on == node),
        node: one["nodeName"].as_str().map(str::to_owned),
    })
}

fn number(value: &Value) -> Option<u16> {
    u16::try_from(value.as_u64()?).ok()
}
