//! The files of /etc that tell of a container's networks, while it comes to some and leaves others.

use std::net::UdpSocket;

use weft_testkit::wait::SOON;
use weft_testkit::{Weft, until};

use crate::network::address;
use crate::{idle, weft};

#[test]
fn the_files_of_a_running_container_follow_its_networks() {
    let Some(mut weft) = weft() else { return };
    for network in ["red", "blue"] {
        weft.ok(&["network", "create", network]);
    }
    idle(&weft, "one");
    let id = weft.inspect("one")["Id"].as_str().unwrap()[..12].to_owned();
    let read = |weft: &Weft, name: &str, file: &str| {
        weft.ok(&["exec", name, "cat", &format!("/etc/{file}")])
    };
    let line = |weft: &Weft, network: &str| format!("{}\t{id}", address(weft, "one", network));
    let servers = |weft: &Weft, name: &str| {
        let text = read(weft, name, "resolv.conf");
        let lines = text.lines().filter(|line| line.starts_with("nameserver"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    weft.ok(&["exec", "one", "sh", "-c", "echo 1.2.3.4 own >> /etc/hosts"]);
    // Who shares its network sees the same files.
    let guest = [
        "run",
        "--detach",
        "--name",
        "guest",
        "--network",
        "container:one",
    ];
    weft.ok(&[&guest[..], &["busybox", "sleep", "3600"]].concat());
    assert_eq!(weft.ok(&["exec", "guest", "hostname"]), id);
    let before = (
        read(&weft, "one", "hosts"),
        read(&weft, "one", "resolv.conf"),
    );

    weft.ok(&["network", "connect", "red", "one"]);
    weft.ok(&["network", "connect", "blue", "one"]);
    let hosts = read(&weft, "one", "hosts");
    for network in ["bridge", "red", "blue"] {
        assert!(hosts.contains(&line(&weft, network)), "{hosts}");
    }
    assert!(hosts.contains("1.2.3.4 own"), "{hosts}");
    let own = weft.inspect("one")["NetworkSettings"]["Networks"]["red"]["Gateway"].clone();
    let of_red = [format!("nameserver {}", own.as_str().unwrap())];
    assert_eq!(servers(&weft, "one"), of_red);
    for name in ["one", "guest"] {
        let found = weft.ok(&["exec", name, "nslookup", "one"]);
        assert!(found.contains(&address(&weft, "one", "red")), "{found}");
    }
    for file in ["hosts", "hostname", "resolv.conf"] {
        assert_eq!(
            read(&weft, "guest", file),
            read(&weft, "one", file),
            "{file}"
        );
    }
    for path in ["HostsPath", "ResolvConfPath"] {
        assert_eq!(
            weft.inspect("guest")[path],
            weft.inspect("one")[path],
            "{path}"
        );
    }

    let red = line(&weft, "red");
    weft.ok(&["network", "disconnect", "red", "one"]);
    let hosts = read(&weft, "one", "hosts");
    assert!(
        !hosts.contains(&red) && hosts.contains(&line(&weft, "blue")),
        "{hosts}"
    );
    assert_ne!(servers(&weft, "one"), of_red);
    assert!(
        weft.ok(&["exec", "one", "nslookup", "one"])
            .contains("Name:")
    );
    // A disconnect that a crash cut short: the record still says it is on blue.
    let record = weft.data_dir().join(format!(
        "containers/{}/container.json",
        weft.inspect("one")["Id"].as_str().unwrap()
    ));
    let old = std::fs::read(&record).unwrap();
    let files = ["hosts", "resolv.conf"].map(|file| {
        let path = weft.run_dir().join("c").join(&id).join(file);
        (std::fs::read(&path).unwrap(), path)
    });
    weft.ok(&["network", "disconnect", "blue", "one"]);
    weft.kill_daemon();
    std::fs::write(&record, old).unwrap();
    for (content, path) in files {
        std::fs::write(path, content).unwrap();
    }
    weft.start_daemon();
    let after = (
        read(&weft, "one", "hosts"),
        read(&weft, "one", "resolv.conf"),
    );
    assert_eq!(after, before);
}

/// A name server that has one answer for every name. It ends when dropped.
struct Oracle(UdpSocket);

impl Oracle {
    fn at(address: &str) -> Oracle {
        let socket = UdpSocket::bind((address, 53)).unwrap();
        let own = socket.try_clone().unwrap();
        std::thread::spawn(move || {
            let mut query = [0; 512];
            while let Ok((count, from)) = own.recv_from(&mut query) {
                if count == 0 {
                    return;
                }
                own.send_to(&answer(&query[..count]), from).unwrap();
            }
        });
        Oracle(socket)
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let own = self.0.local_addr().unwrap();
        self.0.send_to(&[], own).unwrap();
    }
}

/// 192.0.2.77 for whoever asks for an IPv4 address, nothing for others (RFC 1035 §4.1).
fn answer(query: &[u8]) -> Vec<u8> {
    let name = query[12..].iter().position(|byte| *byte == 0).unwrap();
    let question = &query[12..12 + name + 5];
    let is_a = question[name + 1..name + 3] == [0, 1];
    let mut answer = query[..2].to_vec();
    answer.extend([0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
    answer.extend(question);
    if is_a {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 77]);
    }
    answer
}

#[test]
fn name_servers_asked_for_serve_on_networks_joined_later() {
    let Some(weft) = weft() else { return };
    idle(&weft, "other");
    let place = &weft.inspect("other")["NetworkSettings"]["Networks"]["bridge"];
    let server = place["Gateway"].as_str().unwrap();
    let _oracle = Oracle::at(server);
    weft.ok(&["network", "create", "red"]);
    let run = ["run", "--detach", "--name", "one", "--dns", server];
    weft.ok(&[&run[..], &["busybox", "sleep", "3600"]].concat());
    let asked = || weft.weft(&["exec", "one", "nslookup", "answer.example"]);
    let answers = || asked().stdout.contains("192.0.2.77");
    until(SOON, "the server answers", answers);
    weft.ok(&["network", "connect", "red", "one"]);
    let servers = weft.ok(&["exec", "one", "cat", "/etc/resolv.conf"]);
    assert!(!servers.contains(server), "{servers}");
    assert!(answers(), "{}", asked());
    weft.ok(&["network", "disconnect", "red", "one"]);
    assert!(answers(), "{}", asked());
}
