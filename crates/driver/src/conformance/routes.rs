//! Where services lead.

use weft_api::assignment::{Endpoint, Service, ServicePort, Services};

use super::Bed;
use crate::Driver;

/// One of two services has an endpoint that is none: only that is told, and no more once it is gone.
pub(super) async fn unserved<D: Driver>(bed: &Bed<'_, D>) {
    let service = |address: &str, endpoint: &str| Service {
        address: Some(address.to_owned()),
        ports: vec![ServicePort {
            port: 80,
            endpoints: vec![Endpoint {
                address: endpoint.to_owned(),
                port: 8080,
                is_ready: true,
                ..Endpoint::default()
            }],
            ..ServicePort::default()
        }],
        ..Service::default()
    };
    let mut services = Services {
        range: "10.96.0.0/16".to_owned(),
        zone: "cluster.local".to_owned(),
        table: [
            ("bad.one.svc".to_owned(), service("10.96.0.8", "nobody")),
            ("good.one.svc".to_owned(), service("10.96.0.9", "192.0.2.9")),
        ]
        .into(),
    };
    for _ in 0..2 {
        let told = bed.driver.serve(&services).await.expect("it is led");
        let [one] = told.as_slice() else {
            panic!("one part of one service is not served: {told:?}");
        };
        assert_eq!(one.service, "bad.one.svc");
        assert!(one.why.contains("nobody"), "{}", one.why);
    }
    services.table.remove("bad.one.svc");
    assert_eq!(bed.driver.serve(&services).await.expect("it is led"), []);
    let none = bed.driver.serve(&Services::default()).await;
    assert_eq!(none.expect("nothing is led"), []);
}
