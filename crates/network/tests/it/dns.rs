//! Name servers of user networks: their containers' names, everybody else's, and who may ask.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::Duration;

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use weft_network::{Dns, Host, NetworkSpec, Protocol};

use crate::machine::{Machine, Server, inside, on_a_machine, port, readable, serve_with};

const PATIENCE: Duration = Duration::from_secs(10);
const DOUBT: Duration = Duration::from_millis(300);
/// What resolvers of the machine say of everything.
pub const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 5);

pub struct Names {
    pub host: Host,
    _dns: Dns,
    _runtime: tokio::runtime::Runtime,
}

pub fn start(machine: &Machine, resolvers: &str) -> Names {
    let path = machine.dir.path().join("resolv.conf");
    std::fs::write(&path, resolvers).unwrap();
    let mut config = machine.config();
    config.resolv_conf = path;
    let host = Host::open(config).unwrap();
    // Its threads are in the machine, as the one that makes them.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    Names {
        _dns: Dns::start(&host, runtime.handle()),
        _runtime: runtime,
        host,
    }
}

pub fn network(names: &Names, name: &str, internal: bool) -> Ipv4Addr {
    let spec = NetworkSpec {
        name: name.into(),
        internal,
        ..NetworkSpec::default()
    };
    names.host.create(spec).unwrap().gateway
}

fn query(name: &str, kind: RecordType) -> Vec<u8> {
    let mut query = Message::query();
    query.metadata.recursion_desired = true;
    query.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    query.to_vec().unwrap()
}

/// Asks by UDP, again while nobody listens yet: the server starts when the network gets its
/// first container.
pub fn ask(netns: &OwnedFd, server: Ipv4Addr, name: &str, kind: RecordType) -> Message {
    let question = query(name, kind);
    let answer = inside(netns, || {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.connect((server, 53)).unwrap();
        let mut buffer = [0u8; 4096];
        for _ in 0..1000 {
            socket.send(&question).unwrap();
            match socket.recv(&mut buffer) {
                Ok(length) => return Some(buffer[..length].to_vec()),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                    readable_soon();
                }
                Err(error) => panic!("{name}: {error}"),
            }
        }
        None
    });
    Message::from_vec(&answer.expect("the name server never came up")).unwrap()
}

/// A bounded pause between polls.
fn readable_soon() {
    let (silent, _other) = std::os::unix::net::UnixStream::pair().unwrap();
    readable(&silent);
}

pub fn ask_by_tcp(netns: &OwnedFd, server: Ipv4Addr, name: &str) -> Message {
    let question = query(name, RecordType::A);
    let answer = inside(netns, || {
        let mut stream =
            TcpStream::connect_timeout(&SocketAddr::from((server, 53)), PATIENCE).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
            .write_all(&(question.len() as u16).to_be_bytes())
            .unwrap();
        stream.write_all(&question).unwrap();
        let mut length = [0u8; 2];
        stream.read_exact(&mut length).unwrap();
        let mut answer = vec![0u8; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut answer).unwrap();
        answer
    });
    Message::from_vec(&answer).unwrap()
}

fn is_answered(netns: &OwnedFd, server: Ipv4Addr, name: &str) -> bool {
    inside(netns, || {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.set_read_timeout(Some(DOUBT)).unwrap();
        socket
            .send_to(&query(name, RecordType::A), (server, 53))
            .unwrap();
        socket.recv(&mut [0u8; 512]).is_ok()
    })
}

pub fn addresses(message: &Message) -> HashSet<Ipv4Addr> {
    let address = |record: &Record| match &record.data {
        RData::A(A(address)) => Some(*address),
        _ => None,
    };
    message.answers.iter().filter_map(address).collect()
}

/// A resolver on `address` that says `says` of every name, and says it at length by UDP when
/// the name begins with `long`.
pub fn resolver(netns: &OwnedFd, address: &str, says: Ipv4Addr) -> Server {
    let socket = inside(netns, || UdpSocket::bind((address, 53)).unwrap());
    serve_with(move |_| {
        let mut buffer = [0u8; 4096];
        if !readable(&socket) {
            return;
        }
        let Ok((length, from)) = socket.recv_from(&mut buffer) else {
            return;
        };
        let question = Message::from_vec(&buffer[..length]).unwrap();
        let mut answer = question.clone().into_response();
        let name = question.queries[0].name().clone();
        let times = if name.to_ascii().starts_with("long") {
            60
        } else {
            1
        };
        for _ in 0..times {
            answer.add_answer(Record::from_rdata(name.clone(), 60, RData::A(A(says))));
        }
        let _ = socket.send_to(&answer.to_vec().unwrap(), from);
    })
}

#[test]
fn containers_of_a_network_find_each_other_by_name() {
    on_a_machine(|machine| {
        let names = start(machine, "");
        let server = network(&names, "red", false);
        let one = machine.container_with(&names.host, "one", "red", |attach| {
            attach.names = vec!["one".into(), "All".into()];
        });
        let two = machine.container_with(&names.host, "two", "red", |attach| {
            attach.names = vec!["two".into(), "all".into()];
        });
        assert_eq!(one.attachment.resolver, Some(server));
        let found = ask(&one.netns, server, "two.", RecordType::A);
        assert_eq!(addresses(&found), HashSet::from([two.address()]));
        assert!(found.metadata.authoritative);
        let all = ask(&two.netns, server, "all.", RecordType::A);
        assert_eq!(
            addresses(&all),
            HashSet::from([one.address(), two.address()])
        );
        assert_eq!(
            addresses(&ask_by_tcp(&one.netns, server, "TWO.")),
            addresses(&found)
        );
        let six = ask(&one.netns, server, "two.", RecordType::AAAA);
        assert_eq!(six.metadata.response_code, ResponseCode::NoError);
        assert!(six.answers.is_empty());
        let octets = two.address().octets();
        let reverse = format!(
            "{}.{}.{}.{}.in-addr.arpa.",
            octets[3], octets[2], octets[1], octets[0]
        );
        let back = ask(&one.netns, server, &reverse, RecordType::PTR);
        assert_eq!(back.answers[0].data.to_string(), "two.red.");
        // Who left is not found any more; nor is who never was.
        names.host.detach("two", None).unwrap();
        for name in ["two.", "nobody."] {
            let gone = ask(&one.netns, server, name, RecordType::A);
            assert_eq!(
                gone.metadata.response_code,
                ResponseCode::NXDomain,
                "{name}"
            );
        }
        let left = ask(&one.netns, server, "all.", RecordType::A);
        assert_eq!(addresses(&left), HashSet::from([one.address()]));
    });
}

#[test]
fn other_names_are_asked_of_the_machines_resolvers() {
    on_a_machine(|machine| {
        // The first one is dead, the second is on the machine's own loopback.
        let names = start(machine, "nameserver 127.0.0.9\nnameserver 127.0.0.53\n");
        let server = network(&names, "red", false);
        let one = machine.container(&names.host, "one", "red");
        let failed = ask(&one.netns, server, "example.org.", RecordType::A);
        assert_eq!(failed.metadata.response_code, ResponseCode::ServFail);
        let _stub = resolver(machine.home(), "127.0.0.53", ELSEWHERE);
        let found = ask(&one.netns, server, "example.org.", RecordType::A);
        assert_eq!(addresses(&found), HashSet::from([ELSEWHERE]));
        // More than the container takes by UDP.
        let cut = ask(&one.netns, server, "long.example.org.", RecordType::A);
        assert!(cut.metadata.truncation && cut.answers.is_empty());
        // The list may change.
        let path = machine.dir.path().join("resolv.conf");
        std::fs::write(&path, "nameserver 192.0.2.2\n").unwrap();
        let other = Ipv4Addr::new(203, 0, 113, 6);
        let _outside = resolver(&machine.outside, "192.0.2.2", other);
        let found = ask(&one.netns, server, "example.org.", RecordType::A);
        assert_eq!(addresses(&found), HashSet::from([other]));
        // And a container may have resolvers of its own, which a restart does not forget.
        let own: IpAddr = "127.0.0.53".parse().unwrap();
        names.host.set_upstreams("one", &[own]).unwrap();
        let found = ask(&one.netns, server, "example.org.", RecordType::A);
        assert_eq!(addresses(&found), HashSet::from([ELSEWHERE]));
        drop(names);
        let names = start(machine, "nameserver 192.0.2.2\n");
        assert_eq!(names.host.attachments("one")[0].upstreams, [own]);
        let found = ask(&one.netns, server, "example.org.", RecordType::A);
        assert_eq!(addresses(&found), HashSet::from([ELSEWHERE]));
    });
}

#[test]
fn only_a_networks_own_containers_are_answered() {
    on_a_machine(|machine| {
        let names = start(machine, "nameserver 127.0.0.53\n");
        let stub = resolver(machine.home(), "127.0.0.53", ELSEWHERE);
        let red = network(&names, "red", false);
        let blue = network(&names, "blue", true);
        let one = machine.container(&names.host, "one", "red");
        let two = machine.container(&names.host, "two", "blue");
        // An internal network knows its own, and nothing of the outside.
        assert_eq!(ask(&one.netns, red, "one.", RecordType::A).answers.len(), 1);
        assert_eq!(
            ask(&two.netns, blue, "two.", RecordType::A).answers.len(),
            1
        );
        let outside = ask(&two.netns, blue, "example.org.", RecordType::A);
        assert_eq!(outside.metadata.response_code, ResponseCode::NXDomain);
        assert!(!is_answered(&one.netns, blue, "two."));
        assert!(!is_answered(machine.home(), red, "one."));
        let unknown = ask(&one.netns, red, "two.", RecordType::A);
        assert_eq!(unknown.metadata.response_code, ResponseCode::NXDomain);
        drop(stub);
        // A container that publishes port 53 of the machine does not become the name server.
        let dns = |attach: &mut weft_network::Attach<'_>| {
            attach.ports = vec![
                port(None, 53, 53, Protocol::Udp),
                port(None, 53, 53, Protocol::Tcp),
            ];
        };
        let _three = machine.container_with(&names.host, "three", "red", dns);
        assert_eq!(ask(&one.netns, red, "one.", RecordType::A).answers.len(), 1);
        assert_eq!(ask_by_tcp(&one.netns, red, "one.").answers.len(), 1);
    });
}
