//! Names of services, asked of a network's name server over the wire.

use std::collections::HashSet;
use std::net::Ipv4Addr;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use weft_network::{Protocol, Service, ServiceEndpoint, ServiceHost, ServicePort, Services};

use crate::dns::{ELSEWHERE, addresses, ask, ask_by_tcp, network, resolver, start};
use crate::machine::on_a_machine;

const WEB: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 7);

fn services() -> Services {
    let host = |index: u8, name: Option<&str>| ServiceHost {
        address: Ipv4Addr::new(10, 50, 0, index),
        name: name.map(String::from),
    };
    let port = |endpoints| ServicePort {
        name: Some("http".into()),
        protocol: Protocol::Tcp,
        port: 80,
        node_port: None,
        endpoints,
    };
    let web = Service {
        addresses: vec![WEB],
        ports: vec![port(Vec::new())],
        ..Service::default()
    };
    let endpoint = |index| ServiceEndpoint {
        address: Ipv4Addr::new(10, 50, 0, index),
        port: 8080,
        is_ready: true,
        is_local: true,
    };
    let many = Service {
        ports: vec![port((1..=200).map(endpoint).collect())],
        hosts: (1..=200)
            .map(|index| host(index, (index == 1).then_some("first")))
            .collect(),
        ..Service::default()
    };
    let out = Service {
        alias: Some("example.org".into()),
        ..Service::default()
    };
    let table = [
        ("web.default.svc", web),
        ("many.default.svc", many),
        ("out.default.svc", out),
    ];
    Services {
        range: Some("10.96.0.0/16".parse().unwrap()),
        networks: ["pods".to_owned()].into(),
        zone: "cluster.local".into(),
        table: table
            .map(|(name, service)| (name.to_owned(), service))
            .into(),
    }
}

fn texts(message: &Message) -> Vec<String> {
    let answers = message.answers.iter();
    answers.map(|record| record.data.to_string()).collect()
}

#[test]
fn services_are_found_by_name_where_the_network_has_them() {
    on_a_machine(|machine| {
        let names = start(machine, "nameserver 127.0.0.53\n");
        let _stub = resolver(machine.home(), "127.0.0.53", ELSEWHERE);
        let server = network(&names, "pods", false);
        let one = machine.container(&names.host, "one", "pods");
        let unserved = names.host.set_services(&services()).unwrap();
        assert!(unserved.is_empty(), "{unserved:?}");
        let get = |name: &str, kind| ask(&one.netns, server, name, kind);

        // The question comes back as it was asked.
        let web = "wEb.DEFAULT.svc.cluster.local.";
        let found = get(web, RecordType::A);
        assert_eq!(addresses(&found), HashSet::from([WEB]));
        assert!(found.metadata.authoritative);
        assert_eq!(found.queries[0].name().to_ascii(), web);
        assert_eq!(found.answers[0].name.to_ascii(), web);
        let found = get("7.0.96.10.in-addr.arpa.", RecordType::PTR);
        assert_eq!(texts(&found), ["web.default.svc.cluster.local."]);
        let found = get("_http._tcp.web.default.svc.cluster.local.", RecordType::SRV);
        assert_eq!(texts(&found), ["0 100 80 web.default.svc.cluster.local."]);
        assert_eq!(found.additionals.len(), 1);

        // Nothing of the kind is not nothing of the name; both may be remembered.
        for (name, kind, code) in [
            (web, RecordType::AAAA, ResponseCode::NoError),
            (
                "default.svc.cluster.local.",
                RecordType::A,
                ResponseCode::NoError,
            ),
            (
                "no.default.svc.cluster.local.",
                RecordType::A,
                ResponseCode::NXDomain,
            ),
            (
                "9.0.96.10.in-addr.arpa.",
                RecordType::PTR,
                ResponseCode::NXDomain,
            ),
        ] {
            let found = get(name, kind);
            assert_eq!(found.metadata.response_code, code, "{name}");
            assert!(found.answers.is_empty());
            let soa = &found.authorities[0];
            assert_eq!(soa.record_type(), RecordType::SOA);
            assert_eq!(soa.name.to_ascii(), "cluster.local.");
        }
    });
}

#[test]
fn hosts_pods_and_other_names_are_found_beside_what_was_found_before() {
    on_a_machine(|machine| {
        let names = start(machine, "nameserver 127.0.0.53\n");
        let _stub = resolver(machine.home(), "127.0.0.53", ELSEWHERE);
        let server = network(&names, "pods", false);
        let other = network(&names, "other", false);
        let one = machine.container(&names.host, "one", "pods");
        let two = machine.container(&names.host, "two", "other");
        names.host.set_services(&services()).unwrap();
        let get = |name: &str, kind| ask(&one.netns, server, name, kind);

        // More than fits is asked for again by TCP.
        let many = "many.default.svc.cluster.local.";
        let cut = get(many, RecordType::A);
        assert!(cut.metadata.truncation && cut.answers.is_empty());
        assert_eq!(addresses(&ask_by_tcp(&one.netns, server, many)).len(), 200);
        let first = get("first.many.default.svc.cluster.local.", RecordType::A);
        assert_eq!(
            addresses(&first),
            HashSet::from([Ipv4Addr::new(10, 50, 0, 1)])
        );
        let back = get("9.0.50.10.in-addr.arpa.", RecordType::PTR);
        assert_eq!(texts(&back), ["10-50-0-9.many.default.svc.cluster.local."]);

        // Another name of something elsewhere comes with what is known there.
        let found = get("out.default.svc.cluster.local.", RecordType::A);
        assert_eq!(texts(&found), ["example.org.", &ELSEWHERE.to_string()]);
        let by_tcp = ask_by_tcp(&one.netns, server, "out.default.svc.cluster.local.");
        // The resolver of this test speaks no TCP.
        assert_eq!(by_tcp.metadata.response_code, ResponseCode::ServFail);

        // Pods have names by their addresses.
        let dashed = one.address().to_string().replace('.', "-");
        let found = get(
            &format!("{dashed}.default.pod.cluster.local."),
            RecordType::A,
        );
        assert_eq!(addresses(&found), HashSet::from([one.address()]));

        // Containers and the rest of the world are found as before.
        assert_eq!(
            addresses(&get("one.", RecordType::A)),
            HashSet::from([one.address()])
        );
        let rest = get("example.net.", RecordType::A);
        assert_eq!(addresses(&rest), HashSet::from([ELSEWHERE]));

        // Other networks know nothing of the zone: it is a name like any.
        let web = "web.default.svc.cluster.local.";
        let found = ask(&two.netns, other, web, RecordType::A);
        assert_eq!(addresses(&found), HashSet::from([ELSEWHERE]));

        // And when there are none any more, neither does this one.
        names.host.set_services(&Services::default()).unwrap();
        assert_eq!(
            addresses(&get(web, RecordType::A)),
            HashSet::from([ELSEWHERE])
        );
    });
}
