//! Networks among each other, internal ones, and containers that lie about who they are.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::AsFd;

use weft_network::{ErrorKind, Host, NetworkSpec, Protocol};

use crate::machine::{
    Container, MACHINE, Machine, OUTSIDE, fetch, inside, netns, on_a_machine, port, reaches,
    readable, request, ruleset, run, serve,
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
        assert!(fetch(&one.netns, (OUTSIDE, 80)).is_ok());
    });
}

/// A thief, its victim, and a witness that others talk to.
struct Trio {
    thief: Container,
    victim: Container,
    witness: Container,
    ear: UdpSocket,
}

impl Trio {
    fn new(machine: &Machine, host: &Host) -> Trio {
        let [thief, victim, witness] =
            ["thief", "victim", "witness"].map(|id| machine.container(host, id, "bridge"));
        let ear = inside(&witness.netns, || UdpSocket::bind("0.0.0.0:9").unwrap());
        Trio {
            thief,
            victim,
            witness,
            ear,
        }
    }

    /// Whether what the thief sends from `own` to `to` arrives at the witness, as `expected`.
    fn arrives(&self, own: Ipv4Addr, to: Ipv4Addr, expected: bool) -> bool {
        inside(&self.thief.netns, || {
            let socket = UdpSocket::bind((own, 0)).unwrap();
            (0..tries(expected)).any(|_| {
                // A neighbour that did not answer before is an error of a later call.
                let _ = socket.send_to(b"?", (to, 9));
                let arrived = readable(&self.ear);
                if arrived {
                    self.ear.recv_from(&mut [0]).unwrap();
                }
                arrived
            })
        })
    }

    fn steal(&self, commands: &[&str]) {
        let words = [
            ("VICTIM-MAC", self.victim.attachment.mac.to_string()),
            ("THIEF-MAC", self.thief.attachment.mac.to_string()),
            ("WITNESS-MAC", self.witness.attachment.mac.to_string()),
            ("VICTIM", self.victim.address().to_string()),
            ("WITNESS", self.witness.address().to_string()),
        ];
        inside(&self.thief.netns, || {
            for command in commands {
                let filled = words
                    .iter()
                    .fold((*command).to_owned(), |text, (from, to)| {
                        text.replace(from, to)
                    });
                run(&filled);
            }
        });
    }

    /// Whom the witness takes the victim's address for.
    fn neighbour(&self) -> String {
        let victim = self.victim.address();
        inside(&self.witness.netns, || {
            run(&format!("ip neigh show {victim}"))
        })
    }

    /// How many of the bridge's ports the victim's frames would go to but its own.
    fn astray(&self, bridge: &str) -> usize {
        let mac = self.victim.attachment.mac.to_string();
        let own = self.home_of_victim();
        run(&format!("bridge fdb show br {bridge}"))
            .lines()
            .filter(|line| line.starts_with(&mac) && !line.contains(&own))
            .count()
    }

    /// The machine's end of the victim's veth pair.
    fn home_of_victim(&self) -> String {
        let shown = inside(&self.victim.netns, || run("cat /sys/class/net/eth0/iflink"));
        let links = run("ip -o link");
        let found = links
            .lines()
            .find(|line| line.starts_with(&format!("{}:", shown.trim())));
        let name = found.unwrap().split([' ', '@']).nth(1).unwrap();
        format!("dev {name} ")
    }
}

/// How often a datagram is sent: the first may wait for carrier or a neighbour's address.
fn tries(expected: bool) -> u32 {
    if expected { 200 } else { 5 }
}

/// Every way to send as the victim by what an interface can be told, and its undoing. Whoever may
/// send raw frames can send no others.
type Theft = (
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

const AS_VICTIM: [Theft; 2] = [
    (
        "its address, by our own hardware address",
        &[
            "ip addr add VICTIM/32 dev eth0",
            "ip neigh replace WITNESS lladdr WITNESS-MAC dev eth0",
        ],
        &[
            "ip addr del VICTIM/32 dev eth0",
            "ip neigh del WITNESS dev eth0",
        ],
    ),
    (
        "its address, in questions and answers of ARP",
        &["ip addr add VICTIM/32 dev eth0"],
        &["ip addr del VICTIM/32 dev eth0"],
    ),
];

#[test]
fn frames_carry_their_senders_own_addresses() {
    on_a_machine(|machine| {
        let host = machine.open();
        let trio = Trio::new(machine, &host);
        let bridge = host.find("bridge").unwrap().bridge;
        let (own, victim) = (trio.thief.address(), trio.victim.address());
        let witness = trio.witness.address();
        let group = Ipv4Addr::new(10, 44, 9, 9);
        assert!(trio.arrives(own, witness, true));
        let thefts = |succeed: bool| {
            for (what, steal, undo) in AS_VICTIM {
                trio.steal(steal);
                let arrived = trio.arrives(victim, witness, succeed);
                assert_eq!(arrived, succeed, "{what}");
                trio.steal(undo);
            }
            let thief = trio.thief.attachment.mac.to_string();
            assert_eq!(trio.neighbour().contains(&thief), succeed);
            // By the victim's hardware address, also to one that bridges keep for themselves.
            trio.steal(&[
                "ip link set eth0 address VICTIM-MAC",
                "ip neigh replace WITNESS lladdr WITNESS-MAC dev eth0",
                "ip neigh replace 10.44.9.9 lladdr 01:80:c2:00:00:0e dev eth0",
            ]);
            assert_eq!(trio.arrives(own, witness, succeed), succeed);
            trio.arrives(own, group, false);
            assert_eq!(trio.astray(&bridge) > 0, succeed);
            // Which forgets neighbours, too.
            trio.steal(&["ip link set eth0 address THIEF-MAC"]);
        };
        thefts(false);
        assert!(trio.arrives(own, witness, true));
        // A restart keeps the guard, and what keeps them off is our rule.
        drop(host);
        let host = machine.open();
        thefts(false);
        drop(host);
        run("nft delete table bridge weft-test");
        thefts(true);
    });
}

#[test]
fn containers_speak_ipv4_only() {
    on_a_machine(|machine| {
        let host = machine.open();
        let trio = Trio::new(machine, &host);
        for container in [&trio.thief, &trio.witness] {
            inside(&container.netns, || {
                std::fs::write("/proc/sys/net/ipv6/conf/eth0/disable_ipv6", "0").unwrap();
                std::fs::write("/proc/sys/net/ipv6/conf/eth0/accept_dad", "0").unwrap();
            });
        }
        inside(&trio.thief.netns, || {
            run("ip addr add fd00::1/64 dev eth0 nodad")
        });
        let ear = inside(&trio.witness.netns, || {
            run("ip addr add fd00::2/64 dev eth0 nodad");
            UdpSocket::bind("[fd00::2]:9").unwrap()
        });
        let arrives = |expected| {
            inside(&trio.thief.netns, || {
                let socket = UdpSocket::bind("[fd00::1]:0").unwrap();
                (0..tries(expected)).any(|_| {
                    let _ = socket.send_to(b"?", "[fd00::2]:9");
                    readable(&ear)
                })
            })
        };
        assert!(!arrives(false));
        drop(host);
        // Where bridges call the rules for packets, too, those drop it as well.
        run("nft delete table bridge weft-test");
        run("nft delete table inet weft-test");
        assert!(arrives(true));
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
