//! Networks: modes, addresses, names, isolation.

use serde_json::Value;
use weft_testkit::wait::SOON;
use weft_testkit::{Weft, until};

use crate::{idle, shell, weft};

pub fn address(weft: &Weft, name: &str, network: &str) -> String {
    let value: Value =
        weft.inspect(name)["NetworkSettings"]["Networks"][network]["IPAddress"].clone();
    value.as_str().unwrap_or_default().to_owned()
}

#[test]
fn none_has_only_loopback() {
    let Some(weft) = weft() else { return };
    let script = "ls /sys/class/net; ping -c 1 -W 2 127.0.0.1 >/dev/null && echo up";
    assert_eq!(
        weft.ok(&[
            "run",
            "--rm",
            "--network",
            "none",
            // Busybox's ping knows only raw sockets.
            "--cap-add",
            "NET_RAW",
            "busybox",
            "sh",
            "-c",
            script
        ]),
        "lo\nup"
    );
}

#[test]
fn the_bridge_gives_an_address_a_route_and_names() {
    let Some(weft) = weft() else { return };
    weft.ok(&[
        "run",
        "--detach",
        "--name",
        "one",
        "--cap-add",
        "NET_RAW",
        "busybox",
        "sleep",
        "3600",
    ]);
    let address = address(&weft, "one", "bridge");
    let shown = weft.ok(&["exec", "one", "ip", "-4", "addr", "show", "eth0"]);
    assert!(shown.contains(&format!("inet {address}/")), "{shown}");
    let gateway = weft.inspect("one")["NetworkSettings"]["Networks"]["bridge"]["Gateway"]
        .as_str()
        .unwrap()
        .to_owned();
    let route = weft.ok(&["exec", "one", "ip", "route"]);
    assert!(
        route.contains(&format!("default via {gateway} dev eth0")),
        "{route}"
    );
    weft.ok(&["exec", "one", "ping", "-c", "1", "-W", "5", &gateway]);
    let id = weft.inspect("one")["Id"].as_str().unwrap()[..12].to_owned();
    let hosts = weft.ok(&["exec", "one", "cat", "/etc/hosts"]);
    assert!(
        hosts.contains("127.0.0.1") && hosts.contains(&id) && hosts.contains(&address),
        "{hosts}"
    );
    assert_eq!(weft.ok(&["exec", "one", "cat", "/etc/hostname"]), id);
    assert!(
        weft.ok(&["exec", "one", "cat", "/etc/resolv.conf"])
            .contains("nameserver")
    );
}

#[test]
fn host_shares_the_hosts_network() {
    let Some(weft) = weft() else { return };
    let own = std::fs::read_link("/proc/self/ns/net")
        .unwrap()
        .display()
        .to_string();
    assert_eq!(
        weft.ok(&[
            "run",
            "--rm",
            "--network",
            "host",
            "busybox",
            "readlink",
            "/proc/self/ns/net"
        ]),
        own
    );
}

#[test]
fn a_container_can_share_anothers_network() {
    let Some(weft) = weft() else { return };
    idle(&weft, "one");
    let link = |args: &[&str]| weft.ok(&[args, &["readlink", "/proc/self/ns/net"]].concat());
    let shared = link(&["run", "--rm", "--network", "container:one", "busybox"]);
    assert_eq!(shared, link(&["exec", "one"]));
    weft.weft(&[
        "run",
        "--rm",
        "--network",
        "container:nobody",
        "busybox",
        "true",
    ])
    .fails_saying(&["nobody"]);
    weft.weft(&["run", "--rm", "--network", "nosuch", "busybox", "true"])
        .fails_saying(&["nosuch"]);
}

#[test]
fn user_networks_know_names_and_are_apart() {
    let Some(weft) = weft() else { return };
    weft.ok(&["network", "create", "red"]);
    weft.ok(&["network", "create", "blue"]);
    let on = |network: &str, name: &str| {
        weft.ok(&[
            "run",
            "--detach",
            "--network",
            network,
            "--cap-add",
            "NET_RAW",
            "--network-alias",
            &format!("{name}-alias"),
            "--name",
            name,
            "busybox",
            "sleep",
            "3600",
        ])
    };
    on("red", "one");
    on("red", "two");
    on("blue", "three");
    let ping = |from: &str, to: &str| weft.weft(&["exec", from, "ping", "-c", "1", "-W", "2", to]);
    ping("one", "two").code(0);
    ping("two", "one-alias").code(0);
    ping("one", "three").fails_saying(&["three"]);
    ping("one", &address(&weft, "three", "blue")).code(1);

    // Connected to both, it is reached from both.
    weft.ok(&["network", "connect", "blue", "two"]);
    ping("three", "two").code(0);
    weft.ok(&["network", "disconnect", "blue", "two"]);
    assert_ne!(ping("three", "two").code, 0);
    weft.weft(&["network", "rm", "red"])
        .fails_saying(&["red", "one"]);
}

#[test]
fn a_renamed_container_is_found_by_its_new_name_at_once() {
    let Some(mut weft) = weft() else { return };
    weft.ok(&["network", "create", "red"]);
    for (name, alias) in [("one", "also"), ("other", "another")] {
        let who = ["run", "--detach", "--name", name, "--network-alias", alias];
        weft.ok(&[&who[..], &["--network", "red", "busybox", "sleep", "3600"]].concat());
    }
    let one = address(&weft, "one", "red");
    weft.ok(&["rename", "one", "two"]);
    let finds = |weft: &Weft, name: &str| {
        let asked = weft.weft(&["exec", "other", "nslookup", name]);
        asked.code == 0 && asked.stdout.contains(&one)
    };
    let id = weft.inspect("two")["Id"].as_str().unwrap()[..12].to_owned();
    for name in ["two", "also", &id] {
        assert!(finds(&weft, name), "{name}");
    }
    assert!(!finds(&weft, "one"));
    let networks = &weft.inspect("two")["NetworkSettings"]["Networks"];
    let known = networks["red"]["DNSNames"].as_array().unwrap().clone();
    assert!(known.contains(&Value::from("two")), "{known:?}");
    assert!(!known.contains(&Value::from("one")), "{known:?}");

    // Nor does the next engine know it by the name it had.
    weft.kill_daemon();
    weft.start_daemon();
    assert!(finds(&weft, "two"));
    assert!(!finds(&weft, "one"));
}

#[test]
fn a_container_cannot_answer_for_another() {
    let Some(mut weft) = weft() else { return };
    idle(&weft, "victim");
    let victim = address(&weft, "victim", "bridge");
    let mac = |weft: &Weft, name: &str| {
        let networks = weft.inspect(name)["NetworkSettings"]["Networks"].clone();
        networks["bridge"]["MacAddress"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    // Unasked for, it tells everybody that the victim's address is its own.
    // (Busybox wants an address to be there before it lies about it.)
    let claim = format!(
        "ip addr add {victim}/32 dev eth0; while :; do arping -U -c 1 -I eth0 {victim}; echo told; done"
    );
    let rights = ["--cap-add", "NET_RAW", "--cap-add", "NET_ADMIN"];
    let thief = ["--name", "thief", "busybox", "sh", "-c", &claim];
    weft.ok(&[&["run", "--detach"][..], &rights, &thief].concat());
    let talk = format!("while :; do nc -w 1 {victim} 9 </dev/null; sleep 0.1; done");
    shell(&weft, "witness", &talk);
    let (own, thiefs) = (mac(&weft, "victim"), mac(&weft, "thief"));
    let table = format!("/proc/{}/net/arp", weft.inspect("witness")["State"]["Pid"]);
    let believes = |mac: &str| {
        let neighbours = std::fs::read_to_string(&table).unwrap();
        let mut of_victim = neighbours.lines().filter(|line| line.starts_with(&victim));
        of_victim.any(|line| line.contains(mac))
    };
    until(SOON, "the witness knows the victim", || believes(&own));
    let told = || weft.ok(&["logs", "thief"]).matches("told").count();
    let before = told();
    until(SOON, "the thief has lied some more", || told() > before + 3);
    assert!(believes(&own));
    // What keeps it from being believed is our table, which a daemon would put back.
    weft.kill_daemon();
    let removed = std::process::Command::new("nft")
        .args(["delete", "table", "bridge", weft.instance()])
        .status();
    assert!(removed.unwrap().success());
    until(SOON, "the thief is believed", || believes(&thiefs));
    weft.start_daemon();
    until(SOON, "the victim is known again", || believes(&own));
}

#[test]
fn name_answers_are_dns_answers() {
    let Some(weft) = weft() else { return };
    weft.ok(&["network", "create", "red"]);
    weft.ok(&[
        "run",
        "--detach",
        "--network",
        "red",
        "--name",
        "one",
        "busybox",
        "sleep",
        "3600",
    ]);
    let answer = weft.ok(&["exec", "one", "nslookup", "one"]);
    assert!(answer.contains(&address(&weft, "one", "red")), "{answer}");
    let unknown = weft.weft(&["exec", "one", "nslookup", "nobody-of-that-name"]);
    assert_ne!(unknown.code, 0, "{unknown}");
    assert!(unknown.stdout.contains("NXDOMAIN"), "{unknown}");
}

#[test]
fn subnets_addresses_and_internal_networks() {
    let Some(weft) = weft() else { return };
    weft.ok(&[
        "network",
        "create",
        "--subnet",
        "10.99.7.0/24",
        "--gateway",
        "10.99.7.254",
        "fixed",
    ]);
    let run = [
        "run",
        "--rm",
        "--network",
        "fixed",
        "--ip",
        "10.99.7.77",
        "busybox",
        "ip",
        "-4",
        "addr",
        "show",
        "eth0",
    ];
    assert!(weft.ok(&run).contains("inet 10.99.7.77/24"));
    weft.weft(&["network", "create", "--subnet", "10.99.7.0/25", "clash"])
        .fails_saying(&["10.99.7.0/2"]);
    weft.weft(&["network", "create", "--subnet", "not-a-subnet", "bad"])
        .fails_saying(&["not-a-subnet"]);
    weft.weft(&["network", "create", "fixed"])
        .fails_saying(&["fixed", "already"]);
    weft.weft(&["network", "rm", "bridge"])
        .fails_saying(&["bridge"]);
    weft.ok(&["network", "rm", "--force", "missing"]);
    weft.weft(&["network", "rm", "--force", "bridge", "missing"])
        .code(1)
        .fails_saying(&["bridge"]);

    weft.ok(&["network", "create", "--internal", "inside"]);
    let route = weft.ok(&[
        "run",
        "--rm",
        "--network",
        "inside",
        "busybox",
        "ip",
        "route",
    ]);
    assert!(!route.contains("default"), "{route}");
    assert_eq!(
        weft.ok(&["network", "ls", "--quiet", "--filter", "name=inside"])
            .lines()
            .count(),
        1
    );
    let inspected: Value =
        serde_json::from_str(&weft.ok(&["network", "inspect", "fixed"])).unwrap();
    assert_eq!(inspected[0]["IPAM"]["Config"][0]["Subnet"], "10.99.7.0/24");
}

#[test]
fn added_hosts_and_dns_options() {
    let Some(weft) = weft() else { return };
    let script = "cat /etc/hosts /etc/resolv.conf";
    let flags = [
        "--add-host",
        "db:10.1.2.3",
        "--add-host",
        "me:host-gateway",
        "--dns",
        "9.9.9.9",
        "--dns-search",
        "example.org",
        "--dns-option",
        "ndots:3",
    ];
    let text = weft.ok(&[
        &["run", "--rm"][..],
        &flags,
        &["busybox", "sh", "-c", script],
    ]
    .concat());
    for part in [
        "10.1.2.3\tdb",
        "nameserver 9.9.9.9",
        "search example.org",
        "options ndots:3",
    ] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    assert!(
        text.lines()
            .any(|line| line.ends_with("\tme") || line.ends_with(" me")),
        "{text}"
    );
}

#[test]
fn addresses_are_given_back() {
    let Some(weft) = weft() else { return };
    weft.ok(&["network", "create", "--subnet", "10.99.8.0/29", "small"]);
    // Five usable addresses, used thrice over.
    for _ in 0..15 {
        weft.weft(&["run", "--rm", "--network", "small", "busybox", "true"])
            .code(0);
    }
    for index in 0..5 {
        weft.ok(&[
            "run",
            "--detach",
            "--network",
            "small",
            "--name",
            &format!("c{index}"),
            "busybox",
            "sleep",
            "3600",
        ]);
    }
    weft.weft(&["run", "--rm", "--network", "small", "busybox", "true"])
        .fails_saying(&["address", "small"]);
}

#[test]
fn the_files_weft_writes_are_the_containers_own() {
    let Some(weft) = weft() else { return };
    let script =
        "for f in hosts hostname resolv.conf; do stat -c '%u:%g %a' /etc/$f; echo >> /etc/$f; done";
    let told = weft.ok(&["run", "--rm", "busybox", "sh", "-c", script]);
    assert_eq!(told, ["0:0 644"; 3].join("\n"));
}

#[test]
fn inspect_tells_what_was_asked_for_what_it_is_called_and_where_its_files_are() {
    let Some(weft) = weft() else { return };
    weft.ok(&["network", "create", "red"]);
    let create = [
        "create",
        "--name",
        "one",
        "--hostname",
        "host-of-one",
        "--env",
        "X=1",
    ];
    let net = ["--network", "red", "--network-alias", "also", "busybox"];
    weft.ok(&[&create[..], &net, &["sleep", "3600"]].concat());
    let files = ["HostsPath", "HostnamePath", "ResolvConfPath"];
    let created = weft.inspect("one");
    for file in files {
        assert_eq!(created[file], "", "{file}");
    }
    weft.ok(&["start", "one"]);
    let started = weft.inspect("one");
    let env: Vec<&str> = started["Config"]["Env"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry.as_str().unwrap())
        .collect();
    assert!(env.contains(&"X=1"), "{env:?}");
    assert!(!env.iter().any(|e| e.starts_with("HOSTNAME=")), "{env:?}");
    let inside = weft.ok(&["exec", "one", "env"]);
    assert!(inside.contains("HOSTNAME=host-of-one"), "{inside}");

    let id = &started["Id"].as_str().unwrap()[..12];
    let names = &started["NetworkSettings"]["Networks"]["red"]["DNSNames"];
    assert_eq!(
        *names,
        serde_json::json!(["one", "also", id, "host-of-one"])
    );
    for name in names.as_array().unwrap() {
        let answer = weft.ok(&["exec", "one", "nslookup", name.as_str().unwrap()]);
        assert!(answer.contains(&address(&weft, "one", "red")), "{answer}");
    }
    for (file, target) in files.iter().zip(["hosts", "hostname", "resolv.conf"]) {
        let path = started[*file].as_str().unwrap();
        let there = std::fs::read_to_string(path).unwrap();
        let seen = weft.ok(&["exec", "one", "cat", &format!("/etc/{target}")]);
        assert_eq!(there.trim(), seen.trim(), "{file}");
    }
    // On the default network there is no name server to know names.
    idle(&weft, "two");
    let two = weft.inspect("two");
    assert_eq!(
        two["NetworkSettings"]["Networks"]["bridge"]["DNSNames"],
        Value::Null
    );
}

#[test]
fn two_engines_do_not_take_each_others_subnets() {
    let (Some(first), Some(second)) = (weft(), weft()) else {
        return;
    };
    let engines = [&first, &second];
    let networks = ["red", "blue"];
    for network in networks {
        for engine in engines {
            engine.ok(&["network", "create", network]);
        }
    }
    let mut addresses = std::collections::HashSet::new();
    for network in networks {
        for engine in engines {
            let run = ["run", "--detach", "--name", network, "--network", network];
            engine.ok(&[&run[..], &["busybox", "sleep", "3600"]].concat());
            let own = engine.ok(&["exec", network, "nslookup", network]);
            assert!(own.contains(&address(engine, network, network)), "{own}");
            assert!(
                addresses.insert(address(engine, network, network)),
                "{addresses:?}"
            );
        }
    }
}
