//! The daemon goes and comes back; others change the machine meanwhile.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;

use weft_network::{Host, HostConfig, NetworkSpec, Protocol};

use crate::machine::{
    MACHINE, OUTSIDE, PATIENCE, fetch, inside, netns, on_a_machine, port, reaches, request,
    ruleset, run, serve,
};

#[test]
fn a_restart_changes_nothing() {
    on_a_machine(|machine| {
        let host = machine.open();
        host.create(NetworkSpec {
            name: "red".into(),
            ..NetworkSpec::default()
        })
        .unwrap();
        let web = machine.container_with(&host, "web", "red", |attach| {
            attach.ports = vec![
                port(None, 8080, 80, Protocol::Tcp),
                port(Some(MACHINE), 8081, 81, Protocol::Udp),
            ];
        });
        let plain = machine.container(&host, "plain", "bridge");
        let listener = inside(&web.netns, || TcpListener::bind("0.0.0.0:80").unwrap());
        let mut client = inside(&machine.outside, || {
            TcpStream::connect(SocketAddr::from((MACHINE, 8080))).unwrap()
        });
        let (mut served, _) = listener.accept().unwrap();

        let before = (
            ruleset(),
            run("ip -o link"),
            run("ip addr"),
            host.networks(),
        );
        let monitor = run("nft list ruleset");
        drop(host);
        let host = machine.open();
        assert_eq!(run("nft list ruleset"), monitor);
        assert_eq!(
            (
                ruleset(),
                run("ip -o link"),
                run("ip addr"),
                host.networks()
            ),
            before
        );
        assert_eq!(
            host.attachments("web"),
            std::slice::from_ref(&web.attachment)
        );

        // The connection lives, and the port is still held and still known as web's.
        client.write_all(b"hello").unwrap();
        let mut got = [0u8; 5];
        served.read_exact(&mut got).unwrap();
        assert_eq!(&got, b"hello");
        assert!(TcpListener::bind("0.0.0.0:8080").is_err());
        let next = machine.container(&host, "next", "bridge");
        assert_ne!(next.address(), plain.address());

        // Whom the daemon does not know any more is released.
        host.retain(&HashSet::from(["plain".to_owned()])).unwrap();
        assert!(host.attachments("web").is_empty());
        assert_eq!(host.attachments("plain").len(), 1);
        assert!(!run("nft list ruleset").contains("8080"));
        let endpoints = machine.dir.path().join("networks/endpoints");
        assert_eq!(std::fs::read_dir(endpoints).unwrap().count(), 1);
    });
}

#[test]
fn tables_of_others_are_not_touched() {
    on_a_machine(|machine| {
        run("nft add table inet other");
        run(
            "nft add chain inet other input { type filter hook input priority 0 ; policy accept ; }",
        );
        run("nft add rule inet other input tcp dport 9 counter drop");
        run("nft add table ip weft-test");
        let foreign =
            || run("nft -a list table inet other") + &run("nft -a list table ip weft-test");
        let before = foreign();
        let host = machine.open();
        let _web = machine.container_with(&host, "web", "bridge", |attach| {
            attach.ports = vec![port(None, 8080, 80, Protocol::Tcp)];
        });
        drop(host);
        let host = machine.open();
        host.detach("web", None).unwrap();
        assert_eq!(foreign(), before);
        assert!(host.warnings().iter().all(|w| !w.contains("nftables")));
    });
}

#[test]
fn rules_that_stand_in_the_way_are_reported() {
    on_a_machine(|machine| {
        run("nft add table ip filter");
        run(
            "nft add chain ip filter FORWARD { type filter hook forward priority 0 ; policy drop ; }",
        );
        let host = machine.open();
        let warnings = host.warnings();
        let expected = "chain FORWARD of nftables table filter drops what it does not know: \
                        containers may not reach the outside, nor be reached";
        assert!(warnings.iter().any(|w| w == expected), "{warnings:?}");
    });
}

#[test]
fn rules_others_removed_come_back_by_themselves() {
    on_a_machine(|machine| {
        let host = machine.open();
        let web = machine.container_with(&host, "web", "bridge", |attach| {
            attach.ports = vec![port(None, 8080, 80, Protocol::Tcp)];
        });
        let _server = serve(&web.netns, 80);
        // In whatever order the tables were made.
        let rules = || {
            let listed = run("nft list ruleset");
            let mut lines: Vec<_> = listed.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let before = rules();
        for removal in [
            "nft flush ruleset",
            "nft delete table inet weft-test",
            "nft delete table bridge weft-test",
            "nft flush set bridge weft-test senders",
            "nft flush chain inet weft-test publish",
            "nft flush map inet weft-test ports",
            "nft add element inet weft-test ports { tcp . 8081 : 192.0.2.9 . 80 }",
        ] {
            run(removal);
            until(removal, || rules() == before);
            assert!(fetch(&machine.outside, (MACHINE, 8080)).is_ok());
        }
        let expected = "nft changed weft's nftables rules; they were put back";
        assert_eq!(host.warnings().last().unwrap(), expected);
    });
}

#[test]
fn changes_meanwhile_find_out_what_others_removed() {
    on_a_machine(|machine| {
        let host = machine.open();
        let publish = |attach: &mut weft_network::Attach<'_>| {
            attach.ports = vec![port(None, 8080, 80, Protocol::Tcp)];
        };
        for _ in 0..10 {
            run("nft flush ruleset");
            let web = machine.container_with(&host, "web", "bridge", publish);
            let _server = serve(&web.netns, 80);
            assert!(fetch(&machine.outside, (MACHINE, 8080)).is_ok());
            run("nft flush ruleset");
            host.detach("web", None).unwrap();
            assert!(!run("nft list ruleset").contains("8080"));
        }
    });
}

/// Waits until `met`, which an event leads to.
fn until(what: &str, met: impl Fn() -> bool) {
    let began = std::time::Instant::now();
    while !met() {
        assert!(began.elapsed() < PATIENCE, "still not, after {what}");
        std::thread::yield_now();
    }
}

#[test]
fn our_own_changes_are_nobodys() {
    on_a_machine(|machine| {
        let host = machine.open();
        for round in 0..20u16 {
            let id = format!("c{round}");
            let web = machine.container_with(&host, &id, "bridge", |attach| {
                attach.ports = vec![port(None, 8080 + round, 80, Protocol::Tcp)];
            });
            host.detach(&web.attachment.container, None).unwrap();
        }
        // What comes behind them in the order of events is heard of; they were not.
        run("nft delete table inet weft-test");
        until("deletion", || {
            host.warnings().iter().any(|w| w.starts_with("nft "))
        });
        assert_eq!(
            host.warnings()
                .iter()
                .filter(|w| w.contains("rules"))
                .count(),
            1
        );
    });
}

#[test]
fn bridges_others_removed_come_back_with_their_ports() {
    on_a_machine(|machine| {
        let host = machine.open();
        host.create(NetworkSpec {
            name: "red".into(),
            ..NetworkSpec::default()
        })
        .unwrap();
        let pool = host.pool(1, || Ok(netns())).unwrap();
        assert!(pool.is_full_within(PATIENCE));
        let web = machine.container_with(&host, "web", "red", |attach| {
            attach.ports = vec![port(None, 8080, 80, Protocol::Tcp)];
        });
        let _server = serve(&web.netns, 80);
        let _outside = serve(&machine.outside, 80);
        let bridge = host.find("red").unwrap().bridge;
        let default = host.find("bridge").unwrap().bridge;
        let works = || {
            reaches(&machine.outside, (MACHINE, 8080))
                && reaches(&web.netns, (OUTSIDE, 80))
                && reaches(&web.netns, (MACHINE, 8080))
        };
        until("the start", works);
        for removal in [
            format!("ip link set {bridge} down"),
            format!("ip link delete {bridge}"),
            format!("ip link delete {default}"),
        ] {
            run(&removal);
            until(&removal, || {
                run("ip -o link show up type bridge").lines().count() == 2
            });
            until(&removal, works);
        }
        // What waits in the pool has its place again, too.
        let prepared = pool.take().unwrap();
        let unused = netns();
        let attach = request("next", "bridge", unused.as_fd());
        let (_, next) = host.claim(&attach, prepared).unwrap();
        assert!(fetch(&next, (OUTSIDE, 80)).is_ok());
        drop(pool);

        // One that nobody is on stays away until somebody comes.
        host.detach("web", None).unwrap();
        host.sweep();
        run(&format!("ip link delete {bridge}"));
        let again = machine.container(&host, "again", "red");
        assert!(fetch(&again.netns, (OUTSIDE, 80)).is_ok());
    });
}

#[test]
fn a_bridge_that_no_record_claims_is_removed() {
    on_a_machine(|machine| {
        let named = |name: &str| NetworkSpec {
            name: name.into(),
            ..NetworkSpec::default()
        };
        let other = Host::open(HostConfig::new("weft-other", machine.dir.path().join("o")));
        let other = other.unwrap();
        other.create(named("theirs")).unwrap();
        let _theirs = machine.container(&other, "theirs", "theirs");
        run("ip link add br-foreign type bridge");
        let host = machine.open();
        let red = host.create(named("red")).unwrap();
        let blue = host.create(named("blue")).unwrap();
        let one = machine.container(&host, "one", "red");
        let _two = machine.container(&host, "two", "blue");
        let bridges = || {
            let listed = run("ip -o link show type bridge");
            let name = |line: &str| line.split(": ").nth(1).unwrap().to_owned();
            listed.lines().map(name).collect::<HashSet<_>>()
        };
        let mut expected = bridges();
        drop(host);
        // The record went, and with it whatever knew of the bridge.
        let record = machine.dir.path().join(format!("networks/{}.json", red.id));
        std::fs::remove_file(record).unwrap();
        let host = machine.open();
        assert!(expected.remove(&red.bridge) && expected.contains(&blue.bridge));
        assert_eq!(bridges(), expected);
        assert!(expected.contains("br-foreign") && host.find("red").is_none());
        host.sweep();
        drop(one);
    });
}

#[test]
fn a_bridge_that_cannot_be_put_back_is_told_of() {
    on_a_machine(|machine| {
        let host = machine.open();
        let _one = machine.container(&host, "one", "bridge");
        let bridge = host.find("bridge").unwrap().bridge;
        // Whoever deletes it takes its addresses, too.
        std::fs::write(
            machine.dir.path().join("batch"),
            format!("link delete {bridge}\naddr add 10.44.0.9/24 dev wan0\n"),
        )
        .unwrap();
        let batch = machine.dir.path().join("batch");
        let told = || {
            host.warnings()
                .iter()
                .any(|w| w.contains("could not be put back"))
        };
        // The repair may be faster than the second command: then it is deleted again.
        until("taking its addresses", || {
            let _ = std::process::Command::new("ip")
                .arg("-force")
                .arg("-batch")
                .arg(&batch)
                .output();
            told()
        });
        run("ip addr del 10.44.0.9/24 dev wan0");
        let two = machine.container(&host, "two", "bridge");
        let _outside = serve(&machine.outside, 80);
        assert!(fetch(&two.netns, (OUTSIDE, 80)).is_ok());
    });
}

#[test]
fn a_bridge_half_made_is_completed() {
    on_a_machine(|machine| {
        let host = machine.open();
        let one = machine.container(&host, "one", "bridge");
        let _outside = serve(&machine.outside, 80);
        let bridge = host.find("bridge").unwrap().bridge;
        drop(host);
        run(&format!("ip addr flush dev {bridge}"));
        run(&format!("ip link set {bridge} down"));
        assert!(!reaches(&one.netns, (OUTSIDE, 80)));
        let host = machine.open();
        assert!(fetch(&one.netns, (OUTSIDE, 80)).is_ok());
        drop(host);
    });
}

#[test]
fn dismantling_takes_everything_but_records_and_comes_back() {
    on_a_machine(|machine| {
        let seen = || (run("nft list ruleset"), run("ip -o link").lines().count());
        run("nft add table inet foreign");
        run("ip link add br-foreign type bridge");
        let before = seen();
        let host = machine.open();
        host.create(NetworkSpec {
            name: "red".into(),
            ..NetworkSpec::default()
        })
        .unwrap();
        let one = machine.container(&host, "one", "red");
        let _two = machine.container(&host, "two", "bridge");
        let with_containers = seen();
        assert!(!host.dismantle().unwrap());
        assert_eq!(seen(), with_containers);
        host.detach("one", None).unwrap();
        host.detach("two", None).unwrap();
        // One that is gone already is no reason to leave the others.
        run(&format!(
            "ip link delete {}",
            host.find("bridge").unwrap().bridge
        ));
        assert!(host.dismantle().unwrap());
        assert_eq!(seen(), before);
        assert!(host.dismantle().unwrap());
        assert_eq!(host.networks().len(), 2);
        drop(one);
        let again = machine.container(&host, "again", "red");
        let _outside = serve(&machine.outside, 80);
        assert!(fetch(&again.netns, (OUTSIDE, 80)).is_ok());
    });
}

#[test]
fn a_damaged_record_is_an_error_or_a_loss_of_one() {
    on_a_machine(|machine| {
        let host = machine.open();
        let _one = machine.container(&host, "one", "bridge");
        let network = host.find("bridge").unwrap();
        drop(host);
        let dir = machine.dir.path().join("networks");
        let endpoint = std::fs::read_dir(dir.join("endpoints"))
            .unwrap()
            .next()
            .unwrap();
        std::fs::write(endpoint.unwrap().path(), "{").unwrap();
        let host = machine.open();
        assert!(host.attachments("one").is_empty());
        host.sweep();
        assert!(!run("ip -o link").contains("wv"));
        drop(host);
        let record = dir.join(format!("{}.json", network.id));
        for content in ["", "{", "[]", "null"] {
            std::fs::write(&record, content).unwrap();
            let error = weft_network::Host::open(machine.config()).unwrap_err();
            assert_eq!(
                error.to_string(),
                "cannot read the networks of this machine"
            );
        }
    });
}
