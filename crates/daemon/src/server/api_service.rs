//! The service `kubernetes` in `default`: how the API is reached from within the cluster.
//!
//! Never: serves, nor routes.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use weft_control::store::WriteOptions;
use weft_control::{Failure, Object, Reason, Store};

const NAME: &str = "kubernetes";
/// Its address: the first that services have.
pub(super) const ADDRESS: &str = "10.96.0.1";

/// Makes it and its endpoint, or brings them to where the API is reached now.
pub(super) async fn ensure(
    store: &Store,
    reached: Option<SocketAddrV4>,
    served: SocketAddr,
) -> Result<()> {
    if reached.is_none() {
        tracing::info!(%served, "the API is not reached from pods: it listens for this machine only");
    }
    let port = reached.map_or(served.port(), |reached| reached.port());
    for (group, plural, object) in objects(reached.map(|reached| *reached.ip()), port) {
        match put(store, group, plural, object).await {
            Ok(()) => {}
            // Whoever has the address keeps it; the server is of use all the same.
            Err(failure) if failure.reason == Reason::Invalid => {
                tracing::warn!(why = failure.message, "the API has no service of its own");
            }
            Err(failure) => return Err(failure).with_context(|| format!("make {plural} {NAME}")),
        }
    }
    Ok(())
}

async fn put(store: &Store, group: &str, plural: &str, object: Object) -> Result<(), Failure> {
    let kinds = store.kinds();
    let Some(kind) = kinds.find(group, "v1", plural) else {
        return Ok(());
    };
    let options = WriteOptions::default();
    let made = store.create(kind, "default", object.clone(), &options);
    match made.await {
        Err(failure) if failure.reason == Reason::AlreadyExists => {
            let put = store.replace(kind, "default", NAME, object, &options);
            put.await.map(drop)
        }
        made => made.map(drop),
    }
}

/// The address others reach the API at: none, when it listens on a loopback address.
pub(super) fn reached(served: SocketAddr) -> Option<SocketAddrV4> {
    let address = match served.ip() {
        address if address.is_unspecified() => own_address(),
        IpAddr::V4(address) if !address.is_loopback() => Some(address),
        _ => None,
    };
    address.map(|address| SocketAddrV4::new(address, served.port()))
}

/// The address this machine has towards the outside. Nothing is sent.
fn own_address() -> Option<Ipv4Addr> {
    // Of documentation (RFC 5737): only the way there is looked up.
    const SOMEWHERE: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 9);
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(SOMEWHERE).ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(address) if !address.is_loopback() => Some(address),
        _ => None,
    }
}

fn objects(reached: Option<Ipv4Addr>, port: u16) -> [(&'static str, &'static str, Object); 3] {
    let service = json!({
        "metadata": {
            "name": NAME,
            "labels": { "component": "apiserver", "provider": "kubernetes" },
        },
        "spec": {
            "clusterIP": ADDRESS,
            "ports": [{ "name": "https", "port": 443, "protocol": "TCP", "targetPort": port }],
        },
    });
    let address = reached.map(|address| address.to_string());
    let subsets: Vec<Value> = address
        .iter()
        .map(|ip| {
            json!({
                "addresses": [{ "ip": ip }],
                "ports": [{ "name": "https", "port": port, "protocol": "TCP" }],
            })
        })
        .collect();
    let endpoints = json!({
        "metadata": {
            "name": NAME,
            "labels": { "endpointslice.kubernetes.io/skip-mirror": "true" },
        },
        "subsets": subsets,
    });
    let ready: Vec<Value> = address
        .iter()
        .map(|ip| json!({ "addresses": [ip], "conditions": { "ready": true } }))
        .collect();
    let slice = json!({
        "metadata": { "name": NAME, "labels": { "kubernetes.io/service-name": NAME } },
        "addressType": "IPv4",
        "endpoints": ready,
        "ports": [{ "name": "https", "port": port, "protocol": "TCP" }],
    });
    let object = |value: Value| match value {
        Value::Object(fields) => Object(fields),
        _ => Object::default(),
    };
    [
        ("", "services", object(service)),
        ("", "endpoints", object(endpoints)),
        ("discovery.k8s.io", "endpointslices", object(slice)),
    ]
}
