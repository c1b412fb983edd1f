//! Attaching and detaching: addresses, reachability within a network, and leaving nothing.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;

use weft_network::{AttachError, ErrorKind, Mac, NetworkSpec};

use crate::machine::{
    MACHINE, OUTSIDE, fetch, inside, netns, on_a_machine, port, request, ruleset, run, serve,
};

#[test]
fn a_container_reaches_its_machine_its_neighbours_and_the_outside() {
    on_a_machine(|machine| {
        let host = machine.open();
        let one = machine.container(&host, "one", "bridge");
        let two = machine.container(&host, "two", "bridge");
        assert_eq!(one.address(), Ipv4Addr::new(10, 44, 0, 2));
        assert_eq!(one.attachment.gateway, Some(Ipv4Addr::new(10, 44, 0, 1)));
        assert_eq!(one.attachment.prefix_len, 20);

        let gateway = one.attachment.gateway.unwrap();
        let _on_machine = serve(machine.home(), 7001);
        assert_eq!(
            fetch(&one.netns, (gateway, 7001)).unwrap(),
            one.address().to_string()
        );

        let _on_two = serve(&two.netns, 7002);
        assert_eq!(
            fetch(&one.netns, (two.address(), 7002)).unwrap(),
            one.address().to_string()
        );
        assert_eq!(
            fetch(machine.home(), (two.address(), 7002)).unwrap(),
            gateway.to_string()
        );

        // The outside sees the machine.
        let _outside = serve(&machine.outside, 7003);
        assert_eq!(
            fetch(&one.netns, (OUTSIDE, 7003)).unwrap(),
            MACHINE.to_string()
        );
    });
}

#[test]
fn the_interface_within_is_as_asked_for() {
    on_a_machine(|machine| {
        let host = machine.open();
        let mac: Mac = "02:42:0a:2c:00:63".parse().unwrap();
        let one = machine.container_with(&host, "one", "bridge", |attach| {
            attach.ip = Some(IpAddr::V4(Ipv4Addr::new(10, 44, 0, 99)));
            attach.mac = Some(mac);
        });
        assert_eq!(one.attachment.mac, mac);
        let shown = inside(&one.netns, || run("ip addr show eth0"));
        assert!(
            shown.contains("inet 10.44.0.99/20 brd 10.44.15.255"),
            "{shown}"
        );
        assert!(shown.contains("link/ether 02:42:0a:2c:00:63"), "{shown}");
        assert!(shown.contains("mtu 1500"), "{shown}");
        assert!(!shown.contains("inet6"), "{shown}");
        let lo = inside(&one.netns, || run("ip addr show lo"));
        assert!(lo.contains("inet 127.0.0.1/8"), "{lo}");
        let routes = inside(&one.netns, || run("ip route"));
        assert!(
            routes.contains("default via 10.44.0.1 dev eth0"),
            "{routes}"
        );
        let ra = inside(&one.netns, || {
            run("cat /proc/sys/net/ipv6/conf/eth0/accept_ra")
        });
        assert_eq!(ra.trim(), "0");
    });
}

#[test]
fn what_cannot_be_is_refused_and_leaves_nothing() {
    on_a_machine(|machine| {
        let host = machine.open();
        let _one = machine.container(&host, "one", "bridge");
        let before = (ruleset(), run("ip -o link").lines().count());
        let netns = netns();
        let refused = |id: &str, network: &str, change: &dyn Fn(&mut weft_network::Attach<'_>)| {
            let mut attach = request(id, network, netns.as_fd());
            change(&mut attach);
            let error = host.attach(&attach).unwrap_err();
            assert!(host.attachments("two").is_empty(), "{error}");
            (error.kind(), error.to_string())
        };
        let at = |ip: &'static str| {
            move |attach: &mut weft_network::Attach<'_>| attach.ip = Some(ip.parse().unwrap())
        };
        let cases = [
            (
                refused("two", "nowhere", &|_| {}),
                ErrorKind::NotFound,
                "network nowhere not found",
            ),
            (
                refused("../x", "bridge", &|_| {}),
                ErrorKind::Invalid,
                "\"../x\" is not a container id",
            ),
            (
                refused("one", "bridge", &|_| {}),
                ErrorKind::Exists,
                "already on network bridge",
            ),
            (
                refused("two", "bridge", &at("10.44.0.2")),
                ErrorKind::Conflict,
                "already in use",
            ),
            (
                refused("two", "bridge", &at("10.44.0.1")),
                ErrorKind::Invalid,
                "not a container's",
            ),
            (
                refused("two", "bridge", &at("10.45.0.9")),
                ErrorKind::Invalid,
                "not a container's",
            ),
            (
                refused("two", "bridge", &at("fd00::2")),
                ErrorKind::Invalid,
                "no IPv6",
            ),
            (
                refused("two", "bridge", &|a| a.interface = "a/b"),
                ErrorKind::Invalid,
                "not an interface name",
            ),
        ];
        for ((kind, text), expected, part) in cases {
            assert_eq!(kind, expected, "{text}");
            assert!(text.contains(part), "{text}");
        }
        assert_eq!((ruleset(), run("ip -o link").lines().count()), before);
    });
}

#[test]
fn addresses_run_out_with_an_error() {
    on_a_machine(|machine| {
        let host = machine.open();
        let spec = NetworkSpec {
            name: "tiny".into(),
            subnet: Some("10.99.0.0/30".parse().unwrap()),
            ..NetworkSpec::default()
        };
        host.create(spec).unwrap();
        let _one = machine.container(&host, "one", "tiny");
        let netns = netns();
        let error = host
            .attach(&request("two", "tiny", netns.as_fd()))
            .unwrap_err();
        assert!(matches!(error, AttachError::AddressesExhausted { .. }));
        assert_eq!(
            error.to_string(),
            "no free address is left on network tiny (10.99.0.0/30)"
        );
        host.detach("one", None).unwrap();
        host.attach(&request("two", "tiny", netns.as_fd())).unwrap();
    });
}

#[test]
fn attaching_two_hundred_times_leaves_nothing() {
    on_a_machine(|machine| {
        let host = machine.open();
        // The bridge stays; what comes and goes is compared with it there.
        machine.container(&host, "first", "bridge");
        host.detach("first", None).unwrap();
        host.sweep();
        let before = (ruleset_without_handles(), run("ip -o link").lines().count());
        for round in 0..200 {
            let netns = netns();
            let id = format!("c{round}");
            let mut attach = request(&id, "bridge", netns.as_fd());
            attach.ports = vec![port(None, 0, 80, weft_network::Protocol::Tcp)];
            host.attach(&attach).unwrap();
            // Alternately the namespace goes first, or the attachment.
            if round % 2 == 0 {
                drop(netns);
            }
            host.detach(&id, None).unwrap();
        }
        host.sweep();
        assert_eq!(
            (ruleset_without_handles(), run("ip -o link").lines().count()),
            before
        );
        let endpoints = machine.dir.path().join("networks/endpoints");
        assert_eq!(std::fs::read_dir(endpoints).unwrap().count(), 0);
    });
}

fn ruleset_without_handles() -> String {
    run("nft list ruleset")
}

#[test]
fn a_second_network_leaves_the_way_out_alone_until_it_is_the_only_one() {
    on_a_machine(|machine| {
        let host = machine.open();
        host.create(NetworkSpec {
            name: "side".into(),
            ..NetworkSpec::default()
        })
        .unwrap();
        let one = machine.container(&host, "one", "bridge");
        let mut attach = request("one", "side", one.netns.as_fd());
        attach.interface = "eth1";
        host.attach(&attach).unwrap();
        let routes = inside(&one.netns, || run("ip route"));
        assert!(
            routes.contains("default via 10.44.0.1 dev eth0"),
            "{routes}"
        );
        let way = || inside(&one.netns, || run("ip route get 203.0.113.1"));
        assert!(way().contains("via 10.44.0.1 dev eth0"), "{}", way());
        assert_eq!(host.attachments("one").len(), 2);

        // Leaving and coming back at once: the old interface may still be on its way out.
        host.detach("one", Some("side")).unwrap();
        host.attach(&attach).unwrap();
        host.detach("one", Some("bridge")).unwrap();
        host.sweep();
        assert!(way().contains("dev eth1"), "{}", way());
        host.detach("one", None).unwrap();
        assert!(host.attachments("one").is_empty());
    });
}
