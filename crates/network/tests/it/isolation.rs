//! Networks among each other, internal ones, and containers that lie about who they are.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;

use weft_network::{ErrorKind, NetworkSpec, Protocol};

use crate::machine::{
    MACHINE, OUTSIDE, fetch, inside, netns, on_a_machine, port, reaches, request, ruleset, run,
    serve,
};

fn named(name: &str) -> NetworkSpec {
    NetworkSpec {
        name: name.into(),
        ..NetworkSpec::default()
    }
}

#[test]
fn networks_do_not_reach_each_other() {
    on_a_machine(|machine| {
        let host = machine.open();
        let red = host.create(named("red")).unwrap();
        let blue = host.create(named("blue")).unwrap();
        assert_eq!(red.subnet.to_string(), "10.44.16.0/24");
        assert_eq!(blue.subnet.to_string(), "10.44.17.0/24");
        assert!(red.bridge.starts_with("wf-") && red.bridge.len() == 11);
        let places = ["bridge", "red", "blue"];
        let ids = ["one", "two", "three"];
        let containers: Vec<_> = places
            .iter()
            .zip(ids)
            .map(|(network, id)| machine.container(&host, id, network))
            .collect();
        let _servers: Vec<_> = containers.iter().map(|c| serve(&c.netns, 80)).collect();
        for from in &containers {
            for to in &containers {
                let same = from.address() == to.address();
                assert_eq!(reaches(&from.netns, (to.address(), 80)), same);
            }
        }
        let _outside = serve(&machine.outside, 80);
        for from in &containers {
            assert_eq!(
                fetch(&from.netns, (OUTSIDE, 80)).unwrap(),
                MACHINE.to_string()
            );
        }
    });
}

#[test]
fn an_internal_network_has_no_outside() {
    on_a_machine(|machine| {
        let host = machine.open();
        host.create(NetworkSpec {
            internal: true,
            ..named("cell")
        })
        .unwrap();
        let one = machine.container(&host, "one", "cell");
        let two = machine.container(&host, "two", "cell");
        let web = machine.container_with(&host, "web", "bridge", |attach| {
            attach.ports = vec![port(None, 8080, 80, Protocol::Tcp)];
        });
        let _servers = [serve(&two.netns, 80), serve(&web.netns, 80)];
        let _outside = serve(&machine.outside, 80);
        assert!(fetch(&one.netns, (two.address(), 80)).is_ok());
        assert_eq!(one.attachment.gateway, None);
        assert!(!reaches(&one.netns, (OUTSIDE, 80)));
        // Nor does a route of its own help.
        inside(&one.netns, || run("ip route add default via 10.44.16.1"));
        assert!(!reaches(&one.netns, (OUTSIDE, 80)));
        assert!(!reaches(&one.netns, (web.address(), 80)));
        assert!(!reaches(&one.netns, (MACHINE, 8080)));
        let netns = netns();
        let mut attach = request("three", "cell", netns.as_fd());
        attach.ports = vec![port(None, 8081, 80, Protocol::Tcp)];
        let error = host.attach(&attach).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(
            error.to_string().contains("the network is internal"),
            "{error}"
        );
    });
}

#[test]
fn a_container_cannot_send_as_somebody_else() {
    on_a_machine(|machine| {
        let host = machine.open();
        let one = machine.container(&host, "one", "bridge");
        let _outside = serve(&machine.outside, 80);
        inside(&machine.outside, || {
            run("ip route add 198.51.100.0/24 via 192.0.2.1")
        });
        run(&format!(
            "ip route add 198.51.100.0/24 dev {}",
            host.find("bridge").unwrap().bridge
        ));
        inside(&one.netns, || {
            run("ip addr add 198.51.100.7/32 dev eth0");
            run("ip route add 192.0.2.0/24 via 10.44.0.1 src 198.51.100.7");
        });
        assert!(!reaches(&one.netns, (OUTSIDE, 80)));
        inside(&one.netns, || {
            run("ip route del 192.0.2.0/24 via 10.44.0.1")
        });
        assert!(reaches(&one.netns, (OUTSIDE, 80)));
    });
}

#[test]
fn networks_are_made_and_removed() {
    on_a_machine(|machine| {
        let host = machine.open();
        let before = ruleset();
        let links = run("ip -o link").lines().count();
        let network = host.create(named("red")).unwrap();
        assert_eq!(
            host.create(named("red")).unwrap_err().kind(),
            ErrorKind::Exists
        );
        let one = machine.container(&host, "one", "red");
        let error = host.remove("red").unwrap_err();
        assert_eq!(error.to_string(), "network red is in use by container one");
        drop(one);
        host.detach("one", None).unwrap();
        assert_eq!(host.remove(&network.id[..12]).unwrap().name, "red");
        assert_eq!(host.remove("red").unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(
            host.remove("bridge").unwrap_err().kind(),
            ErrorKind::Conflict
        );
        host.sweep();
        assert_eq!(ruleset(), before);
        assert_eq!(run("ip -o link").lines().count(), links);
        assert_eq!(host.networks().len(), 1);
    });
}

#[test]
fn subnets_in_use_are_avoided_or_refused_by_name() {
    on_a_machine(|machine| {
        run("ip route add 10.44.0.0/21 via 192.0.2.2");
        run("ip addr add 10.44.16.9/25 dev wan0");
        let host = machine.open();
        assert_eq!(
            host.find("bridge").unwrap().subnet.to_string(),
            "10.45.0.0/20"
        );
        assert_eq!(
            host.create(named("red")).unwrap().subnet.to_string(),
            "10.44.17.0/24"
        );
        let refused = |name: &str, subnet: &str| {
            let spec = NetworkSpec {
                subnet: Some(subnet.parse().unwrap()),
                ..named(name)
            };
            host.create(spec).unwrap_err().to_string()
        };
        assert_eq!(
            refused("blue", "10.44.17.128/25"),
            "subnet 10.44.17.128/25 overlaps with network red (10.44.17.0/24)"
        );
        assert_eq!(
            refused("blue", "192.0.2.0/25"),
            "subnet 192.0.2.0/25 overlaps with route 192.0.2.0/24 of interface wan0"
        );
        let options = BTreeMap::from([("com.docker.network.bridge.name".into(), "x".into())]);
        let spec = NetworkSpec {
            options,
            ..named("green")
        };
        assert_eq!(
            host.create(spec).unwrap_err().to_string(),
            "network option com.docker.network.bridge.name is not supported"
        );
        let gateway = Some(Ipv4Addr::new(10, 45, 99, 1));
        let spec = NetworkSpec {
            gateway,
            ..named("green")
        };
        assert_eq!(host.create(spec).unwrap_err().kind(), ErrorKind::Invalid);
        assert_eq!(host.networks().len(), 2);
    });
}

#[test]
fn a_network_has_its_packet_size() {
    on_a_machine(|machine| {
        let host = machine.open();
        let options = BTreeMap::from([("com.docker.network.driver.mtu".into(), "1400".into())]);
        host.create(NetworkSpec {
            options,
            ..named("narrow")
        })
        .unwrap();
        let one = machine.container(&host, "one", "narrow");
        let shown = inside(&one.netns, || run("ip link show eth0"));
        assert!(shown.contains("mtu 1400"), "{shown}");
    });
}
