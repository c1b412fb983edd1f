//! Services: who is led where, who is refused, and what a restart, a crash and others change.

use std::collections::{BTreeSet, HashMap};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};

use weft_network::{
    Host, NetworkSpec, Protocol, Reach, ServeStep, Service, ServiceEndpoint, ServicePort, Services,
};

use crate::machine::{
    Container, MACHINE, Machine, OUTSIDE, PATIENCE, Server, ask, fetch, fetch_udp, inside,
    on_a_machine, port, reaches, readable, run, serve, serve_udp, serve_with,
};

const WEB: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 7);
const LOCALHOST: Ipv4Addr = Ipv4Addr::LOCALHOST;
const BRIDGED: &str = "/proc/sys/net/bridge/bridge-nf-call-iptables";

fn endpoint(address: Ipv4Addr, port: u16) -> ServiceEndpoint {
    ServiceEndpoint {
        address,
        port,
        is_ready: true,
        is_local: true,
    }
}

fn service(protocol: Protocol, node_port: Option<u16>, to: &[Ipv4Addr]) -> Service {
    Service {
        addresses: vec![WEB],
        ports: vec![ServicePort {
            name: None,
            protocol,
            port: 80,
            node_port,
            endpoints: to.iter().map(|address| endpoint(*address, 8080)).collect(),
        }],
        ..Service::default()
    }
}

/// One service, for the networks `pods` and `more`.
fn services(service: Service) -> Services {
    Services {
        range: Some("10.96.0.0/16".parse().unwrap()),
        networks: ["pods", "more"].map(String::from).into(),
        zone: "cluster.local".into(),
        table: [("web.default.svc".to_owned(), service)].into(),
    }
}

fn set(host: &Host, services: &Services) {
    let unserved = host.set_services(services).unwrap();
    assert!(unserved.is_empty(), "{unserved:?}");
    host.sweep();
}

fn network(host: &Host, name: &str) {
    let spec = NetworkSpec {
        name: name.into(),
        ..NetworkSpec::default()
    };
    host.create(spec).unwrap();
}

/// The machine has a way out, by which it knows an address of its own.
fn open(machine: &Machine) -> Host {
    run("ip route add default via 192.0.2.2");
    let host = machine.open();
    network(&host, "pods");
    host
}

/// A server that says who it is, on TCP 8080.
fn named(container: &Container) -> Server {
    let address = container.address();
    let listener = inside(&container.netns, || {
        TcpListener::bind("0.0.0.0:8080").unwrap()
    });
    serve_with(move |_| {
        if readable(&listener)
            && let Ok((mut stream, _)) = listener.accept()
        {
            let _ = stream.write_all(address.to_string().as_bytes());
        }
    })
}

fn kind_of(error: &std::io::Error) -> std::io::ErrorKind {
    error.kind()
}

const REFUSED: std::io::ErrorKind = std::io::ErrorKind::ConnectionRefused;

#[test]
fn a_service_is_reached_by_who_may_and_sees_who_asks() {
    on_a_machine(reached);
}

#[test]
fn the_same_where_bridged_packets_bypass_the_rules() {
    on_a_machine(|machine| {
        assert_eq!(std::fs::read_to_string(BRIDGED).unwrap().trim(), "1");
        std::fs::write(BRIDGED, "0").unwrap();
        reached(machine);
    });
}

fn reached(machine: &Machine) {
    let host = open(machine);
    let [one, two] = ["one", "two"].map(|id| machine.container(&host, id, "pods"));
    network(&host, "more");
    let far = machine.container(&host, "far", "more");
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        let get = |netns, to| match protocol {
            Protocol::Tcp => fetch(netns, to),
            Protocol::Udp => fetch_udp(netns, to),
        };
        let _server = match protocol {
            Protocol::Tcp => serve(&one.netns, 8080),
            Protocol::Udp => serve_udp(&one.netns, 8080),
        };
        let given = service(protocol, Some(30080), &[one.address()]);
        set(&host, &services(given));
        let gateway = one.attachment.gateway.unwrap().to_string();
        for (who, netns, sees) in [
            ("neighbour", &two.netns, two.address().to_string()),
            ("other network", &far.netns, far.address().to_string()),
            ("itself", &one.netns, gateway.clone()),
            ("machine", machine.home(), MACHINE.to_string()),
        ] {
            for to in [(WEB, 80), (MACHINE, 30080)] {
                let seen = get(netns, to).unwrap_or_else(|error| panic!("{who} {to:?}: {error}"));
                assert_eq!(seen, sees, "{who} {to:?}");
            }
        }
        // The machine's port: from outside with the client's address, and by loopback from within.
        let outside = get(&machine.outside, (MACHINE, 30080)).unwrap();
        assert_eq!(outside, OUTSIDE.to_string());
        assert_eq!(get(machine.home(), (LOCALHOST, 30080)).unwrap(), gateway);
    }
    // Neighbours still meet without a service, either way.
    let _plain = serve(&two.netns, 81);
    let seen = fetch(&one.netns, (two.address(), 81)).unwrap();
    assert_eq!(seen, one.address().to_string());
}

#[test]
fn the_outside_and_other_networks_reach_no_virtual_address() {
    on_a_machine(|machine| {
        let host = open(machine);
        let one = machine.container(&host, "one", "pods");
        let _server = serve(&one.netns, 8080);
        network(&host, "apart");
        let apart = machine.container(&host, "apart", "apart");
        let _apart = serve(&apart.netns, 8080);
        set(
            &host,
            &services(service(Protocol::Tcp, None, &[one.address()])),
        );
        inside(&machine.outside, || {
            run("ip route add 10.96.0.0/16 via 192.0.2.1")
        });
        fetch(machine.home(), (WEB, 80)).unwrap();
        assert!(!reaches(&machine.outside, (WEB, 80)));
        // A network without services is refused at once.
        let error = fetch(&apart.netns, (WEB, 80)).unwrap_err();
        assert_eq!(kind_of(&error), REFUSED);
        // No service leads into a network that has no part in them, nor to loopback addresses.
        for (address, why) in [
            (apart.address(), "network that has no part"),
            (LOCALHOST, "loopback"),
            (Ipv4Addr::new(10, 96, 0, 9), "service's address"),
            (Ipv4Addr::new(169, 254, 169, 254), "not one machine's"),
        ] {
            let given = services(service(Protocol::Tcp, Some(30080), &[address]));
            let unserved = host.set_services(&given).unwrap();
            assert_eq!(unserved.len(), 1, "{unserved:?}");
            let told = unserved[0].obstacle.to_string();
            assert!(told.contains(why), "{told}");
            assert!(!reaches(&one.netns, (WEB, 80)));
            assert!(!reaches(&machine.outside, (MACHINE, 30080)));
        }
        // One that comes to be there later neither.
        let later = Ipv4Addr::new(10, 99, 0, 2);
        set(&host, &services(service(Protocol::Tcp, None, &[later])));
        assert!(run("nft list ruleset").contains("10.99.0.2"));
        host.create(NetworkSpec {
            name: "later".into(),
            subnet: Some("10.99.0.0/24".parse().unwrap()),
            ..NetworkSpec::default()
        })
        .unwrap();
        assert!(!run("nft list ruleset").contains("10.99.0.2"));
        let later = machine.container(&host, "later", "later");
        assert_eq!(later.address(), Ipv4Addr::new(10, 99, 0, 2));
        let _later = serve(&later.netns, 8080);
        assert!(!reaches(&one.netns, (WEB, 80)));
    });
}

#[test]
fn who_finds_nobody_is_refused_at_once() {
    on_a_machine(|machine| {
        let host = open(machine);
        let one = machine.container(&host, "one", "pods");
        let nowhere = Ipv4Addr::new(10, 96, 200, 200);
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let mut given = service(protocol, Some(30080), &[one.address()]);
            given.ports[0].endpoints[0].is_ready = false;
            set(&host, &services(given));
            for netns in [machine.home(), &one.netns] {
                for to in [(WEB, 80), (WEB, 81), (nowhere, 80), (MACHINE, 30080)] {
                    let error = match protocol {
                        Protocol::Tcp => fetch(netns, to).unwrap_err(),
                        Protocol::Udp => refusal(netns, to),
                    };
                    // The kernel tells whoever is refused on the way out of a datagram so.
                    let told = kind_of(&error);
                    let is_own = std::ptr::eq(netns, machine.home());
                    let is_datagram = is_own && protocol == Protocol::Udp && to.0 != MACHINE;
                    let denied = is_datagram && told == std::io::ErrorKind::PermissionDenied;
                    assert!(told == REFUSED || denied, "{protocol} {to:?}: {error}");
                }
            }
            let error = match protocol {
                Protocol::Tcp => fetch(&machine.outside, (MACHINE, 30080)).unwrap_err(),
                Protocol::Udp => refusal(&machine.outside, (MACHINE, 30080)),
            };
            assert_eq!(kind_of(&error), REFUSED);
        }
        // Where only this machine's endpoints count, those of others are not told of.
        let mut given = service(Protocol::Tcp, Some(30080), &[one.address()]);
        given.ports[0].endpoints[0].is_local = false;
        given.outer = Reach::Local;
        set(&host, &services(given));
        let _server = serve(&one.netns, 8080);
        fetch(machine.home(), (WEB, 80)).unwrap();
        let silent = inside(&machine.outside, || {
            let to = SocketAddr::from((MACHINE, 30080));
            TcpStream::connect_timeout(&to, std::time::Duration::from_millis(300)).unwrap_err()
        });
        assert_eq!(kind_of(&silent), std::io::ErrorKind::TimedOut);
    });
}

/// What a connected UDP socket is told.
fn refusal(netns: &std::os::fd::OwnedFd, to: (Ipv4Addr, u16)) -> std::io::Error {
    inside(netns, || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.connect(to).unwrap();
        match socket.send(b"?") {
            Err(error) => error,
            Ok(_) => socket.recv(&mut [0; 9]).unwrap_err(),
        }
    })
}

#[test]
fn connections_are_spread_evenly_and_clients_stay_where_asked() {
    on_a_machine(|machine| {
        let host = open(machine);
        let ids = ["a", "b", "c"];
        let pods = ids.map(|id| machine.container(&host, id, "pods"));
        let _servers: Vec<Server> = pods.iter().map(named).collect();
        let client = machine.container(&host, "client", "pods");
        let all = pods.each_ref().map(Container::address);
        set(&host, &services(service(Protocol::Tcp, None, &all)));
        let mut counts: HashMap<String, usize> = HashMap::new();
        for _ in 0..300 {
            *counts
                .entry(fetch(&client.netns, (WEB, 80)).unwrap())
                .or_default() += 1;
        }
        // 100 each; 60 is five standard deviations away.
        assert_eq!(counts.len(), 3, "{counts:?}");
        assert!(counts.values().all(|count| *count > 60), "{counts:?}");

        let mut sticky = service(Protocol::Tcp, None, &all);
        sticky.affinity_s = Some(600);
        set(&host, &services(sticky.clone()));
        let visited = || -> BTreeSet<String> {
            let visit = |_| fetch(&client.netns, (WEB, 80)).unwrap();
            (0..30).map(visit).collect()
        };
        let first = visited();
        assert_eq!(first.len(), 1);
        // A restart does not forget.
        drop(host);
        let host = machine.open();
        set(&host, &services(sticky.clone()));
        assert_eq!(visited(), first);
        // When that one leaves, there is another, and only one.
        let left: Ipv4Addr = first.first().unwrap().parse().unwrap();
        sticky.ports[0].endpoints.retain(|e| e.address != left);
        set(&host, &services(sticky.clone()));
        let second = visited();
        assert_eq!(second.len(), 1);
        assert_ne!(second, first);
        // And it is stayed with when the first comes back.
        sticky.ports[0].endpoints.push(endpoint(left, 8080));
        set(&host, &services(sticky.clone()));
        assert_eq!(visited(), second);
        // For as long as was asked for.
        sticky.affinity_s = Some(1);
        set(&host, &services(sticky));
        let mut seen = BTreeSet::new();
        for _ in 0..1000 {
            seen.extend(visited());
            if seen.len() > 1 {
                return;
            }
            let (silent, _other) = std::os::unix::net::UnixStream::pair().unwrap();
            for _ in 0..25 {
                readable(&silent);
            }
        }
        panic!("never forgotten");
    });
}

#[test]
fn who_leaves_gets_nothing_new_and_finishes_what_it_has() {
    on_a_machine(|machine| {
        let host = open(machine);
        std::fs::write(BRIDGED, "0").unwrap();
        let [one, two, client] =
            ["one", "two", "client"].map(|id| machine.container(&host, id, "pods"));
        set(
            &host,
            &services(service(Protocol::Tcp, None, &[one.address()])),
        );
        let listener = inside(&one.netns, || TcpListener::bind("0.0.0.0:8080").unwrap());
        let mut stream = inside(&client.netns, || {
            TcpStream::connect(SocketAddr::from((WEB, 80))).unwrap()
        });
        let (mut served, _) = listener.accept().unwrap();
        let two_is = named(&two);
        set(
            &host,
            &services(service(Protocol::Tcp, None, &[two.address()])),
        );
        for _ in 0..10 {
            let answer = fetch(&client.netns, (WEB, 80)).unwrap();
            assert_eq!(answer, two.address().to_string());
        }
        stream.write_all(b"still").unwrap();
        let mut got = [0u8; 5];
        served.read_exact(&mut got).unwrap();
        served.write_all(b"there").unwrap();
        stream.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"there");
        drop(two_is);

        // UDP has no end: who keeps asking is led to who is there now.
        let from = |to: &[Ipv4Addr]| services(service(Protocol::Udp, Some(30080), to));
        let client = inside(&machine.outside, || {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
            socket.set_read_timeout(Some(PATIENCE)).unwrap();
            socket
        });
        let says = |container: &Container| {
            let name = container.address().to_string();
            let socket = inside(&container.netns, || {
                UdpSocket::bind("0.0.0.0:8080").unwrap()
            });
            serve_with(move |_| {
                let mut buffer = [0; 9];
                if readable(&socket)
                    && let Ok((_, peer)) = socket.recv_from(&mut buffer)
                {
                    let _ = socket.send_to(name.as_bytes(), peer);
                }
            })
        };
        let _says = [says(&one), says(&two)];
        for container in [&one, &two, &one] {
            set(&host, &from(&[container.address()]));
            let answer = ask(&client, (MACHINE, 30080)).unwrap();
            assert_eq!(answer, container.address().to_string());
        }
    });
}

#[test]
fn a_port_of_the_machine_is_one_owners() {
    on_a_machine(|machine| {
        let host = open(machine);
        let one = machine.container_with(&host, "one", "pods", |attach| {
            attach.ports = vec![port(None, 30001, 80, Protocol::Tcp)];
        });
        let listener = TcpListener::bind("0.0.0.0:30002").unwrap();
        let of = |number| services(service(Protocol::Tcp, Some(number), &[one.address()]));
        let refused = |number, by: &str| {
            let unserved = host.set_services(&of(number)).unwrap();
            let [one] = unserved.as_slice() else {
                panic!("{unserved:?}");
            };
            let cause = std::error::Error::source(one).unwrap().to_string();
            assert!(cause.contains(by), "{cause}");
        };
        refused(30001, "container one");
        refused(30002, &format!("(pid {})", std::process::id()));
        // The rest of the service is served all the same.
        let _server = serve(&one.netns, 8080);
        fetch(machine.home(), (WEB, 80)).unwrap();
        drop(listener);
        set(&host, &of(30002));
        fetch(&machine.outside, (MACHINE, 30002)).unwrap();
        assert!(TcpListener::bind("0.0.0.0:30002").is_err());
        // Nor does a container get a service's port.
        let netns = crate::machine::netns();
        let mut attach = crate::machine::request("two", "pods", std::os::fd::AsFd::as_fd(&netns));
        attach.ports = vec![port(None, 30002, 80, Protocol::Tcp)];
        let error = host.attach(&attach).unwrap_err().to_string();
        assert!(error.contains("service web.default.svc"), "{error}");
        // Two services of one port: the first has it.
        let mut both = of(30002);
        let mut other = both.table["web.default.svc"].clone();
        other.addresses = vec![Ipv4Addr::new(10, 96, 0, 8)];
        both.table.insert("z.default.svc".into(), other);
        let unserved = host.set_services(&both).unwrap();
        assert_eq!(unserved.len(), 1);
        let cause = std::error::Error::source(&unserved[0]).unwrap().to_string();
        assert!(cause.contains("service web.default.svc"), "{cause}");
        set(&host, &Services::default());
        TcpListener::bind("0.0.0.0:30002").unwrap();
    });
}

#[test]
fn a_change_is_small_and_nothing_is_left() {
    on_a_machine(|machine| {
        let host = open(machine);
        let _one = machine.container(&host, "one", "pods");
        let before = run("nft list ruleset");
        let to: Vec<Ipv4Addr> = (10..40).map(|n| Ipv4Addr::new(10, 50, 0, n)).collect();
        let all = services(service(Protocol::Tcp, Some(30080), &to));
        set(&host, &all);
        let whole = run("nft list ruleset");
        let elements = |text: &str| -> BTreeSet<String> {
            text.split([',', '\n', '{', '}'])
                .map(|part| part.trim().to_owned())
                .collect()
        };
        let mut fewer = all.clone();
        let service = fewer.table.get_mut("web.default.svc").unwrap();
        service.ports[0].endpoints.remove(3);
        set(&host, &fewer);
        let without = run("nft list ruleset");
        let (whole, without) = (elements(&whole), elements(&without));
        let changed = whole.symmetric_difference(&without).count();
        assert!(changed < 24, "{changed}");
        set(&host, &Services::default());
        assert_eq!(run("nft list ruleset"), before);
    });
}

#[test]
fn a_restart_and_others_change_nothing() {
    on_a_machine(|machine| {
        let host = open(machine);
        let one = machine.container(&host, "one", "pods");
        let _server = serve(&one.netns, 8080);
        let mut given = service(Protocol::Tcp, Some(30080), &[one.address()]);
        given.affinity_s = Some(60);
        let given = services(given);
        set(&host, &given);
        // Clients that are remembered come and go.
        let rules = || {
            let text = run("nft list ruleset");
            let keep = |line: &&str| !line.contains("expires");
            text.lines().filter(keep).collect::<Vec<_>>().join("\n")
        };
        let before = rules();
        drop(host);
        let host = machine.open();
        assert_eq!(rules(), before);
        fetch(machine.home(), (WEB, 80)).unwrap();
        set(&host, &given);
        assert_eq!(rules(), before);
        run("nft flush ruleset");
        for _ in 0..400 {
            if rules() == before {
                break;
            }
            let (silent, _other) = std::os::unix::net::UnixStream::pair().unwrap();
            readable(&silent);
        }
        assert_eq!(rules(), before);
        fetch(machine.home(), (WEB, 80)).unwrap();
        fetch(&machine.outside, (MACHINE, 30080)).unwrap();
    });
}

#[test]
fn a_death_between_plan_and_deed_leaves_one_state_or_the_other() {
    on_a_machine(|machine| {
        let host = open(machine);
        let [one, two] = ["one", "two"].map(|id| machine.container(&host, id, "pods"));
        let old = services(service(Protocol::Udp, Some(30080), &[one.address()]));
        let new = services(service(Protocol::Udp, Some(30081), &[two.address()]));
        set(&host, &new);
        let with_new = run("nft list ruleset");
        set(&host, &old);
        let with_old = run("nft list ruleset");
        drop(host);
        for (step, left) in [
            (ServeStep::Planned, &with_old),
            (ServeStep::Led, &with_new),
            (ServeStep::Done, &with_new),
        ] {
            let host = machine.open();
            set(&host, &old);
            assert_eq!(run("nft list ruleset"), with_old);
            host.set_services_until(&new, step).unwrap();
            drop(host);
            assert_eq!(run("nft list ruleset"), *left, "{step:?}");
            let host = machine.open();
            assert_eq!(run("nft list ruleset"), *left, "{step:?}");
            set(&host, &new);
            assert_eq!(run("nft list ruleset"), with_new, "{step:?}");
            assert!(UdpSocket::bind("0.0.0.0:30080").is_ok());
            assert!(UdpSocket::bind("0.0.0.0:30081").is_err());
        }
    });
}
