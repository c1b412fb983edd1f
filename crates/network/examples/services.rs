//! What services cost: `unshare -n cargo run --release -p weft-network --example services`.
//!
//! Sets 1,000 services of 10 endpoints, changes one endpoint again and again, and opens anew.
//! Never: the machine's own network; it is meant for a namespace of its own.

use std::net::Ipv4Addr;
use std::time::Instant;

use weft_network::{Host, HostConfig, Protocol, Service, ServiceEndpoint, ServicePort, Services};

const SERVICES: u32 = 1_000;
const ENDPOINTS: u32 = 10;
const CHANGES: u32 = 200;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::temp_dir().join(format!("weft-services-{}", std::process::id()));
    let open = || Host::open(HostConfig::new("weft-bench", &dir));
    let mut host = open()?;
    let mut services = Services {
        range: Some("10.96.0.0/16".parse()?),
        zone: "cluster.local".to_owned(),
        table: (0..SERVICES).map(service).collect(),
        ..Services::default()
    };
    let told = |what: &str, since: Instant, times: u32| {
        let each = since.elapsed() / times;
        println!("{what}: {:.2} ms", each.as_secs_f64() * 1e3);
    };
    let start = Instant::now();
    host.set_services(&services)?;
    told("set all", start, 1);
    let start = Instant::now();
    host.set_services(&services)?;
    told("set the same", start, 1);
    let start = Instant::now();
    for change in 0..CHANGES {
        let name = format!("s{}.default.svc", change % SERVICES);
        let service = services.table.get_mut(&name).ok_or("it is there")?;
        let endpoint = &mut service.ports[0].endpoints[0];
        endpoint.is_ready = !endpoint.is_ready;
        host.set_services(&services)?;
    }
    told("change one endpoint", start, CHANGES);
    drop(host);
    let start = Instant::now();
    host = open()?;
    told("open anew", start, 1);
    let start = Instant::now();
    host.set_services(&Services::default())?;
    told("set none", start, 1);
    host.dismantle()?;
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}

fn service(number: u32) -> (String, Service) {
    let address = |base: [u8; 4], offset: u32| Ipv4Addr::from(u32::from_be_bytes(base) + offset);
    let endpoint = |index| ServiceEndpoint {
        address: address([10, 42, 0, 1], number * ENDPOINTS + index),
        port: 8080,
        is_ready: true,
        is_local: true,
    };
    let port = ServicePort {
        name: Some("http".to_owned()),
        protocol: Protocol::Tcp,
        port: 80,
        node_port: None,
        endpoints: (0..ENDPOINTS).map(endpoint).collect(),
    };
    let service = Service {
        addresses: vec![address([10, 96, 0, 10], number)],
        ports: vec![port],
        ..Service::default()
    };
    (format!("s{number}.default.svc"), service)
}
