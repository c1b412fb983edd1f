//! Published ports: who reaches them, who does not, and who is in the way.

use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::fd::AsFd;

use weft_network::{ErrorKind, NetworkSpec, PortSpec, Protocol};

use crate::machine::{
    MACHINE, Machine, OUTSIDE, ask, fetch, fetch_udp, inside, netns, on_a_machine, port, reaches,
    readable, request, ruleset, run, serve, serve_udp,
};

const LOCALHOST: Ipv4Addr = Ipv4Addr::LOCALHOST;

#[test]
fn a_published_port_is_reached_from_everywhere_and_sees_who_asks() {
    on_a_machine(published);
}

#[test]
fn the_same_where_bridged_packets_bypass_the_rules() {
    on_a_machine(|machine| {
        const BRIDGED: &str = "/proc/sys/net/bridge/bridge-nf-call-iptables";
        assert_eq!(std::fs::read_to_string(BRIDGED).unwrap().trim(), "1");
        std::fs::write(BRIDGED, "0").unwrap();
        published(machine);
    });
}

fn published(machine: &Machine) {
    {
        let host = machine.open();
        let web = machine.container_with(&host, "web", "bridge", |attach| {
            attach.ports = vec![port(None, 8080, 80, Protocol::Tcp)];
        });
        let _server = serve(&web.netns, 80);
        let gateway = web.attachment.gateway.unwrap();
        // The outside keeps its address.
        assert_eq!(
            fetch(&machine.outside, (MACHINE, 8080)).unwrap(),
            OUTSIDE.to_string()
        );
        // The machine itself, by its address and by loopback addresses.
        assert_eq!(
            fetch(machine.home(), (MACHINE, 8080)).unwrap(),
            MACHINE.to_string()
        );
        assert_eq!(
            fetch(machine.home(), (LOCALHOST, 8080)).unwrap(),
            gateway.to_string()
        );
        let other_loopback = Ipv4Addr::new(127, 9, 9, 9);
        assert_eq!(
            fetch(machine.home(), (other_loopback, 8080)).unwrap(),
            gateway.to_string()
        );
        // Other containers, and the container itself, by the machine's address.
        let other = machine.container(&host, "other", "bridge");
        assert_eq!(
            fetch(&other.netns, (MACHINE, 8080)).unwrap(),
            gateway.to_string()
        );
        assert_eq!(
            fetch(&web.netns, (MACHINE, 8080)).unwrap(),
            gateway.to_string()
        );
        host.create(NetworkSpec {
            name: "far".into(),
            ..NetworkSpec::default()
        })
        .unwrap();
        let far = machine.container(&host, "far", "far");
        assert_eq!(
            fetch(&far.netns, (MACHINE, 8080)).unwrap(),
            far.address().to_string()
        );
        // Not what is not published.
        let _hidden = serve(&web.netns, 81);
        assert!(!reaches(&machine.outside, (MACHINE, 81)));
        inside(&machine.outside, || {
            run("ip route add 10.44.0.0/16 via 192.0.2.1")
        });
        assert!(!reaches(&machine.outside, (web.address(), 81)));
        assert!(!reaches(&machine.outside, (web.address(), 80)));
        assert!(reaches(machine.home(), (web.address(), 81)));
    }
}

#[test]
fn udp_is_published_too() {
    on_a_machine(|machine| {
        let host = machine.open();
        let dns = machine.container_with(&host, "dns", "bridge", |attach| {
            attach.ports = vec![port(None, 5353, 53, Protocol::Udp)];
        });
        let _server = serve_udp(&dns.netns, 53);
        assert_eq!(
            fetch_udp(&machine.outside, (MACHINE, 5353)).unwrap(),
            OUTSIDE.to_string()
        );
        let gateway = dns.attachment.gateway.unwrap();
        assert_eq!(
            fetch_udp(machine.home(), (LOCALHOST, 5353)).unwrap(),
            gateway.to_string()
        );
    });
}

#[test]
fn a_udp_client_that_keeps_sending_finds_the_next_container() {
    on_a_machine(|machine| {
        let host = machine.open();
        let publish = |attach: &mut weft_network::Attach<'_>| {
            attach.ports = vec![port(None, 5353, 53, Protocol::Udp)];
        };
        let client = inside(&machine.outside, || {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
            let second = std::time::Duration::from_secs(1);
            socket.set_read_timeout(Some(second)).unwrap();
            socket
        });
        // Before the port is published nobody answers, but the connection is tracked.
        assert!(ask(&client, (MACHINE, 5353)).is_err());
        for id in ["one", "two"] {
            let server = machine.container_with(&host, id, "bridge", publish);
            host.sweep();
            let _server = serve_udp(&server.netns, 53);
            assert_eq!(ask(&client, (MACHINE, 5353)).unwrap(), OUTSIDE.to_string());
            host.detach(id, None).unwrap();
            host.sweep();
        }
    });
}

#[test]
fn a_port_published_on_loopback_is_this_machines_alone() {
    on_a_machine(|machine| {
        let host = machine.open();
        let web = machine.container_with(&host, "web", "bridge", |attach| {
            attach.ports = vec![port(Some(LOCALHOST), 8080, 80, Protocol::Tcp)];
        });
        let _server = serve(&web.netns, 80);
        let other = machine.container(&host, "other", "bridge");
        assert!(fetch(machine.home(), (LOCALHOST, 8080)).is_ok());
        assert!(!reaches(machine.home(), (MACHINE, 8080)));
        assert!(!reaches(&machine.outside, (MACHINE, 8080)));
        assert!(!reaches(&other.netns, (MACHINE, 8080)));
        assert!(!reaches(
            &other.netns,
            (web.attachment.gateway.unwrap(), 8080)
        ));

        // Somebody on the same wire sends loopback addresses, and the container's, our way.
        inside(&machine.outside, || {
            send_loopback_by("wan1", "192.0.2.1");
            run("ip route add 10.44.0.0/16 via 192.0.2.1");
        });
        assert!(!reaches(&machine.outside, (LOCALHOST, 8080)));
        assert!(!reaches(&machine.outside, (web.address(), 80)));
    });
}

/// Makes the caller's namespace send loopback addresses elsewhere, and take answers from them.
fn send_loopback_by(interface: &str, gateway: &str) {
    run("ip route del local 127.0.0.0/8 dev lo table local");
    run("ip route del local 127.0.0.1 dev lo table local");
    run(&format!("ip route add 127.0.0.0/8 via {gateway}"));
    let setting = format!("/proc/sys/net/ipv4/conf/{interface}/route_localnet");
    std::fs::write(setting, "1").unwrap();
}

#[test]
fn services_of_the_machine_on_loopback_stay_out_of_containers_reach() {
    on_a_machine(|machine| {
        let host = machine.open();
        let one = machine.container(&host, "one", "bridge");
        let private = UdpSocket::bind("127.0.0.1:7000").unwrap();
        inside(&one.netns, || send_loopback_by("eth0", "10.44.0.1"));
        let arrives = || {
            inside(&one.netns, || {
                let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
                socket.send_to(b"?", "127.0.0.1:7000").unwrap();
            });
            let arrived = readable(&private);
            if arrived {
                private.recv_from(&mut [0]).unwrap();
            }
            arrived
        };
        // The first packet may wait for the neighbour's address, so there are a few.
        assert!(!(0..5).any(|_| arrives()));
        // What keeps them out is our rule: without it, they would come in.
        drop(host);
        run("nft flush chain inet weft-test guard");
        assert!((0..5).any(|_| arrives()));
        // A restart brings the rule back.
        let _again = machine.open();
        assert!(!(0..5).any(|_| arrives()));
    });
}

#[test]
fn ports_are_refused_when_somebody_has_them() {
    on_a_machine(|machine| {
        let host = machine.open();
        let _web = machine.container_with(&host, "web", "bridge", |attach| {
            attach.ports = vec![port(None, 8080, 80, Protocol::Tcp)];
        });
        let taken = TcpListener::bind("127.0.0.1:7070").unwrap();
        let before = ruleset();
        let netns = netns();
        let refused = |ports: Vec<PortSpec>| {
            let mut attach = request("two", "bridge", netns.as_fd());
            attach.ports = ports;
            let error = host.attach(&attach).unwrap_err();
            (error.kind(), error.to_string())
        };
        let pid = std::process::id();
        let name = std::fs::read_to_string("/proc/self/comm").unwrap();
        let by_us = format!(
            "port 7070/tcp on 0.0.0.0 is already in use by process {} (pid {pid})",
            name.trim()
        );
        let (kind, text) = refused(vec![port(None, 7070, 80, Protocol::Tcp)]);
        assert_eq!((kind, text), (ErrorKind::Conflict, by_us));
        let (kind, text) = refused(vec![port(Some(LOCALHOST), 8080, 80, Protocol::Tcp)]);
        let by_web = "port 8080/tcp on 127.0.0.1 is already in use by container web";
        assert_eq!((kind, text.as_str()), (ErrorKind::Conflict, by_web));
        // The first port is let go when the second is refused.
        let both = [9090, 7070].map(|number| port(None, number, 80, Protocol::Tcp));
        refused(both.to_vec());
        let elsewhere = Ipv4Addr::new(203, 0, 113, 7);
        let (kind, text) = refused(vec![port(Some(elsewhere), 8081, 80, Protocol::Tcp)]);
        assert_eq!(kind, ErrorKind::Invalid);
        assert!(text.contains("this machine has no such address"), "{text}");
        let ipv6 = PortSpec {
            host_ip: Some("::1".parse().unwrap()),
            ..port(None, 8081, 80, Protocol::Tcp)
        };
        assert!(refused(vec![ipv6]).1.contains("IPv4 addresses only"));
        let backwards = PortSpec {
            host_port: Some((9000, 8000)),
            ..port(None, 1, 80, Protocol::Tcp)
        };
        assert_eq!(refused(vec![backwards]).0, ErrorKind::Invalid);
        assert_eq!(ruleset(), before);
        // UDP is another matter, and the program's port is free when it is gone.
        drop(taken);
        let udp = port(None, 8080, 80, Protocol::Udp);
        machine.container_with(&host, "two", "bridge", |attach| {
            attach.ports = vec![udp, port(None, 7070, 80, Protocol::Tcp)];
        });
        // Nobody takes a published port.
        assert!(TcpListener::bind("0.0.0.0:8080").is_err());
        host.detach("web", None).unwrap();
        assert!(TcpListener::bind("0.0.0.0:8080").is_ok());
    });
}

#[test]
fn ranges_and_random_ports_find_free_ones() {
    on_a_machine(|machine| {
        let host = machine.open();
        let _taken = TcpListener::bind("0.0.0.0:9000").unwrap();
        let range = PortSpec {
            host_port: Some((9000, 9002)),
            ..port(None, 1, 80, Protocol::Tcp)
        };
        for (id, expected) in [("one", Some(9001)), ("two", Some(9002)), ("three", None)] {
            let netns = netns();
            let mut attach = request(id, "bridge", netns.as_fd());
            attach.ports = vec![range.clone()];
            match (host.attach(&attach), expected) {
                (Ok(attachment), Some(port)) => assert_eq!(attachment.ports[0].host_port, port),
                (Err(error), None) => {
                    assert_eq!(error.kind(), ErrorKind::Exhausted);
                    assert_eq!(
                        error.to_string(),
                        "no port of 9000-9002/tcp on 0.0.0.0 is free"
                    );
                }
                (other, _) => panic!("{other:?}"),
            }
        }
        let web = machine.container_with(&host, "web", "bridge", |attach| {
            attach.ports = vec![port(None, 0, 80, Protocol::Tcp)];
        });
        let random = web.attachment.ports[0].host_port;
        assert!(random >= 49153, "{random}");
        let _server = serve(&web.netns, 80);
        assert!(fetch(&machine.outside, (MACHINE, random)).is_ok());
    });
}

#[test]
fn detaching_unpublishes() {
    on_a_machine(|machine| {
        let host = machine.open();
        let other = machine.container(&host, "other", "bridge");
        let before = ruleset();
        let web = machine.container_with(&host, "web", "bridge", |attach| {
            attach.ports = vec![
                port(None, 8080, 80, Protocol::Tcp),
                port(Some(LOCALHOST), 8081, 80, Protocol::Udp),
            ];
        });
        assert_ne!(ruleset(), before);
        let _server = serve(&web.netns, 80);
        assert!(reaches(&machine.outside, (MACHINE, 8080)));
        host.detach("web", None).unwrap();
        assert!(!ruleset().contains("808"));
        // Its place on the network goes with its interface.
        host.sweep();
        assert_eq!(ruleset(), before);
        assert!(!reaches(&machine.outside, (MACHINE, 8080)));
        host.detach("web", None).unwrap();
        drop(other);
    });
}

#[test]
fn ports_go_with_the_way_out_to_the_next_network() {
    on_a_machine(|machine| {
        let host = machine.open();
        for (name, internal) in [("inner", true), ("side", false)] {
            host.create(NetworkSpec {
                name: name.into(),
                internal,
                ..NetworkSpec::default()
            })
            .unwrap();
        }
        let web = machine.container_with(&host, "web", "bridge", |attach| {
            attach.ports = vec![
                port(None, 8080, 80, Protocol::Tcp),
                port(Some(MACHINE), 5353, 53, Protocol::Udp),
            ];
        });
        for (network, interface) in [("inner", "eth1"), ("side", "eth2")] {
            let mut attach = request("web", network, web.netns.as_fd());
            attach.interface = interface;
            host.attach(&attach).unwrap();
        }
        let _servers = (serve(&web.netns, 80), serve_udp(&web.netns, 53));
        let client = inside(&machine.outside, || UdpSocket::bind("0.0.0.0:0").unwrap());
        client
            .set_read_timeout(Some(crate::machine::PATIENCE))
            .unwrap();
        assert_eq!(ask(&client, (MACHINE, 5353)).unwrap(), OUTSIDE.to_string());

        let records = machine.dir.path().join("networks/endpoints");
        let first = record_of(&records, &web.attachment.network_id);
        let before = std::fs::read(&first).unwrap();
        host.detach("web", Some("bridge")).unwrap();
        host.sweep();
        let reached = |host: &weft_network::Host| {
            // Who asks is seen, and who asked before is led to the new place.
            let seen = fetch(&machine.outside, (MACHINE, 8080)).unwrap();
            assert_eq!(seen, OUTSIDE.to_string());
            assert_eq!(ask(&client, (MACHINE, 5353)).unwrap(), OUTSIDE.to_string());
            let side = &host.attachments("web")[1];
            let gateway = side.gateway.unwrap().to_string();
            let seen = fetch(machine.home(), (LOCALHOST, 8080)).unwrap();
            assert_eq!(seen, gateway);
            // The container itself, by the machine's address: its bridge port turns packets round.
            assert_eq!(fetch(&web.netns, (MACHINE, 8080)).unwrap(), gateway);
            assert_eq!(
                (side.network.as_str(), &side.ports),
                ("side", &web.attachment.ports)
            );
        };
        reached(&host);
        // They are held as before, for this daemon and for the next.
        assert!(TcpListener::bind((MACHINE, 8080)).is_err());
        drop(host);
        let host = machine.open();
        reached(&host);
        assert!(TcpListener::bind((MACHINE, 8080)).is_err());

        // A crash before the first record went leaves two with the ports; one may have them.
        drop(host);
        std::fs::write(&first, before).unwrap();
        let host = machine.open();
        let publishing = |host: &weft_network::Host| -> Vec<String> {
            let all = host.attachments("web").into_iter();
            all.filter(|a| !a.ports.is_empty())
                .map(|a| a.network)
                .collect()
        };
        assert_eq!(publishing(&host), ["bridge"]);
        host.detach("web", Some("bridge")).unwrap();
        reached(&host);

        // To no internal network: nobody could answer from there.
        host.detach("web", Some("side")).unwrap();
        assert_eq!(publishing(&host), [""; 0]);
        assert!(!reaches(machine.home(), (MACHINE, 8080)));
        drop(TcpListener::bind((MACHINE, 8080)).unwrap());
    });
}

/// The record of the endpoint on a network.
fn record_of(records: &std::path::Path, network: &str) -> std::path::PathBuf {
    let mut entries = std::fs::read_dir(records)
        .unwrap()
        .map(|e| e.unwrap().path());
    let of = |path: &std::path::PathBuf| path.to_str().unwrap().contains(&network[..12]);
    entries.find(of).unwrap()
}
