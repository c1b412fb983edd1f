//! Published ports: from outside, from this host, from other containers; whose address is seen.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use weft_testkit::registry::own_address;
use weft_testkit::wait::SOON;
use weft_testkit::{Weft, within};

use crate::{WEB, weft};

/// A web server whose page is its client's address.
const SERVE: &str = "mkdir -p /www/cgi-bin; printf '#!/bin/sh\\necho; echo $REMOTE_ADDR\\n' > /www/cgi-bin/who; chmod 755 /www/cgi-bin/who; exec httpd -f -p 8080 -h /www";

fn serve(weft: &Weft, name: &str, publish: &str) -> String {
    weft.ok(&[
        "run",
        "--detach",
        "--name",
        name,
        "--publish",
        publish,
        "busybox",
        "sh",
        "-c",
        SERVE,
    ])
}

fn get(address: &str) -> Option<String> {
    let address: SocketAddr = address.parse().expect("the test names an address");
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(2)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream
        .write_all(b"GET /cgi-bin/who HTTP/1.0\r\n\r\n")
        .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer
        .split_once("\r\n\r\n")
        .or(answer.split_once("\n\n"))
        .map(|(_, body)| plain(body))
        .filter(|body| !body.is_empty())
}

fn port(weft: &Weft, name: &str, container: &str) -> String {
    let shown = weft.ok(&["port", name, container]);
    shown
        .lines()
        .next()
        .and_then(|line| line.rsplit(':').next())
        .unwrap_or_default()
        .to_owned()
}

/// An IPv4 address as a dual-stack server writes it, without the writing.
fn plain(address: &str) -> String {
    address
        .trim()
        .trim_start_matches("[::ffff:")
        .trim_end_matches(']')
        .to_owned()
}

/// Runs inside a container: answers one datagram with itself, then again, for ever.
#[test]
fn inside_udp_echo() {
    if std::env::var_os("WEFT_TEST_INSIDE").is_none() {
        return;
    }
    let socket = UdpSocket::bind("0.0.0.0:9999").unwrap();
    let mut datagram = [0; 64];
    while let Ok((length, from)) = socket.recv_from(&mut datagram) {
        socket.send_to(&datagram[..length], from).unwrap();
    }
}

#[test]
fn from_this_host_by_loopback_and_by_its_address() {
    let Some(weft) = weft() else { return };
    serve(&weft, "web", "8080");
    let port = port(&weft, "web", "8080");
    let gateway = weft.inspect("web")["NetworkSettings"]["Networks"]["bridge"]["Gateway"]
        .as_str()
        .unwrap()
        .to_owned();
    let seen = within(SOON, "the server answers on 127.0.0.1", || {
        get(&format!("127.0.0.1:{port}"))
    });
    // Loopback addresses do not leave the host: the bridge's own stands for it.
    assert_eq!(seen, gateway);
    let Some(own) = own_address() else { return };
    let seen = within(SOON, "the server answers on the host's address", || {
        get(&format!("{own}:{port}"))
    });
    assert!(seen == own.to_string() || seen == gateway, "{seen}");
}

#[test]
fn rules_that_somebody_removes_come_back() {
    let Some(weft) = weft() else { return };
    serve(&weft, "web", "8080");
    let port = port(&weft, "web", "8080");
    let answers = || get(&format!("127.0.0.1:{port}"));
    within(SOON, "the server answers", answers);
    // Only this engine's part of what `nft flush ruleset` does: others are at work here, too.
    let removed = Command::new("nft")
        .args(["delete", "table", "inet", weft.instance()])
        .status();
    assert!(removed.unwrap().success());
    within(SOON, "the server answers again", answers);
    // Of bridges the network crate's tests tell: a subnet that is free for a moment may be taken
    // by another test's engine here.
}

#[test]
fn from_another_container_and_from_itself() {
    let Some(weft) = weft() else { return };
    serve(&weft, "web", "8080");
    let port = port(&weft, "web", "8080");
    within(SOON, "the server answers", || {
        get(&format!("127.0.0.1:{port}"))
    });
    let gateway = weft.inspect("web")["NetworkSettings"]["Networks"]["bridge"]["Gateway"]
        .as_str()
        .unwrap()
        .to_owned();
    let url = format!("http://{gateway}:{port}/cgi-bin/who");
    weft.weft(&[
        "run", "--rm", "busybox", "timeout", "5", "wget", "-qO-", &url,
    ])
    .ok();
    weft.weft(&["exec", "web", "timeout", "5", "wget", "-qO-", &url])
        .ok();
}

#[test]
fn a_machine_outside_is_seen_with_its_own_address() {
    let Some(weft) = weft() else { return };
    serve(&weft, "web", "8080");
    let port = port(&weft, "web", "8080");
    within(SOON, "the server answers", || {
        get(&format!("127.0.0.1:{port}"))
    });
    let Some(outside) = Outside::new() else {
        return;
    };
    let seen = outside.run(&[
        "busybox",
        "timeout",
        "5",
        "wget",
        "-qO-",
        &format!("http://{}:{port}/cgi-bin/who", outside.host),
    ]);
    assert_eq!(plain(seen.ok()), outside.own);
}

#[test]
fn a_port_on_loopback_is_for_this_machine_only() {
    let Some(weft) = weft() else { return };
    serve(&weft, "web", "127.0.0.1::8080");
    let port = port(&weft, "web", "8080");
    within(SOON, "the server answers", || {
        get(&format!("127.0.0.1:{port}"))
    });
    let Some(outside) = Outside::new() else {
        return;
    };
    let route = outside.run(&["ip", "route", "add", "127.0.0.1", "via", &outside.host]);
    let ask = |host: &str| {
        outside.run(&[
            "busybox",
            "timeout",
            "3",
            "wget",
            "-qO-",
            &format!("http://{host}:{port}/cgi-bin/who"),
        ])
    };
    assert_ne!(ask(&outside.host).code, 0);
    if route.code == 0 {
        assert_ne!(
            ask("127.0.0.1").code,
            0,
            "CVE-2020-8558: loopback reached from outside"
        );
    }
    // The container's own address is not open to the outside either, published or not.
    let address = weft.inspect("web")["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
        .as_str()
        .unwrap()
        .to_owned();
    outside
        .run(&["ip", "route", "add", &address, "via", &outside.host])
        .ok();
    let direct = outside.run(&[
        "busybox",
        "timeout",
        "3",
        "wget",
        "-qO-",
        &format!("http://{address}:8080/cgi-bin/who"),
    ]);
    assert_ne!(direct.code, 0, "unpublished address reached from outside");
}

#[test]
fn ranges_random_ports_and_udp() {
    let Some(weft) = weft() else { return };
    // The server is this very program, which is static: it runs in any image.
    let own = format!("{}:/it:ro", std::env::current_exe().unwrap().display());
    let mut args = vec!["run", "--detach", "--name", "many", "--volume", &own];
    args.extend(["--publish", "127.0.0.1:42710-42712:7000-7002"]);
    args.extend([
        "--publish",
        "127.0.0.1::9999/udp",
        "--env",
        "WEFT_TEST_INSIDE=1",
        "busybox",
    ]);
    args.extend(["/it", "--exact", "ports::inside_udp_echo"]);
    weft.ok(&args);
    let shown = weft.ok(&["port", "many"]);
    for line in [
        "7000/tcp -> 127.0.0.1:42710",
        "7001/tcp -> 127.0.0.1:42711",
        "7002/tcp -> 127.0.0.1:42712",
        "9999/udp -> 127.0.0.1:",
    ] {
        assert!(shown.contains(line), "{line} in {shown}");
    }
    let udp = port(&weft, "many", "9999/udp");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(200)))
        .unwrap();
    socket.connect(format!("127.0.0.1:{udp}")).unwrap();
    within(SOON, "the datagram comes back", || {
        let _ = socket.send(b"echo");
        let mut answer = [0; 16];
        socket
            .recv(&mut answer)
            .ok()
            .filter(|length| &answer[..*length] == b"echo")
    });
}

#[test]
fn ports_move_with_the_way_out() {
    let Some(mut weft) = weft() else { return };
    if weft.docker(&["version"]).is_none() {
        return;
    }
    let docker = |weft: &Weft, args: &[&str]| weft.docker(args).unwrap().ok().to_owned();
    for network in ["red", "blue"] {
        docker(&weft, &["network", "create", network]);
    }
    docker(&weft, &["network", "create", "--internal", "inner"]);
    docker(&weft, &["network", "create", "aside"]);
    let server = ["8080", "busybox", "sh", "-c", SERVE];
    docker(&weft, &[&WEB[..], &server].concat());
    docker(&weft, &["network", "connect", "inner", "web"]);
    docker(&weft, &["network", "connect", "blue", "web"]);
    let number = port(&weft, "web", "8080");
    let answers = |weft: &Weft, network: &str| {
        // As a machine outside, and the host, see it.
        let networks = weft.inspect("web")["NetworkSettings"]["Networks"].clone();
        let gateway = networks[network]["Gateway"].as_str().unwrap().to_owned();
        let number = port(weft, "web", "8080");
        let seen = within(SOON, "the server answers", || {
            get(&format!("127.0.0.1:{number}"))
        });
        assert_eq!(seen, gateway, "on {network}");
        let inspected = weft.inspect("web")["NetworkSettings"]["Ports"]["8080/tcp"].clone();
        assert_eq!(inspected[0]["HostPort"], *number, "{inspected}");
        assert_eq!(inspected.as_array().unwrap().len(), 1, "{inspected}");
        let shown = docker(weft, &["port", "web"]);
        assert_eq!(shown, format!("8080/tcp -> 0.0.0.0:{number}"));
    };
    answers(&weft, "red");
    docker(&weft, &["network", "disconnect", "red", "web"]);
    assert_eq!(port(&weft, "web", "8080"), number);
    answers(&weft, "blue");
    if let Some(outside) = Outside::new() {
        let url = format!("http://{}:{number}/cgi-bin/who", outside.host);
        let wget = ["busybox", "timeout", "5", "wget", "-qO-", &url];
        assert_eq!(plain(outside.run(&wget).ok()), outside.own);
    }
    weft.kill_daemon();
    weft.start_daemon();
    answers(&weft, "blue");
    // A network it comes to later is not before the one it is reached by.
    docker(&weft, &["network", "connect", "aside", "web"]);
    answers(&weft, "blue");
    docker(&weft, &["network", "disconnect", "aside", "web"]);

    docker(&weft, &["network", "disconnect", "blue", "web"]);
    assert_eq!(docker(&weft, &["port", "web"]), "");
    docker(&weft, &["network", "disconnect", "inner", "web"]);
    assert_eq!(get(&format!("127.0.0.1:{number}")), None);
    docker(&weft, &["network", "connect", "inner", "web"]);
    docker(&weft, &["network", "connect", "red", "web"]);
    answers(&weft, "red");
    // The internal network is the first now: ports are where the way out is.
    docker(&weft, &["restart", "--time", "0", "web"]);
    answers(&weft, "red");
}

#[test]
fn who_is_left_with_an_internal_network_runs_without_ports() {
    let Some(weft) = weft() else { return };
    weft.ok(&["network", "create", "outer"]);
    weft.ok(&["network", "create", "--internal", "inner"]);
    let run = |name, network| {
        let flags = ["run", "--detach", "--name", name, "--network", network];
        let command = ["--publish", "127.0.0.1::80", "busybox", "sleep", "3600"];
        weft.weft(&[&flags[..], &command[..]].concat())
    };
    run("refused", "inner").fails_saying(&["80/tcp", "inner", "is internal", "leave the port out"]);
    assert_eq!(weft.ok(&["ps", "--all", "--quiet"]), "");
    run("web", "outer").ok();
    weft.ok(&["network", "connect", "inner", "web"]);
    weft.ok(&["network", "disconnect", "outer", "web"]);
    weft.ok(&["restart", "--time", "0", "web"]);
    assert_eq!(weft.ok(&["port", "web"]), "");
    weft.ok(&["network", "connect", "outer", "web"]);
    assert!(
        weft.ok(&["port", "web"])
            .starts_with("80/tcp -> 127.0.0.1:")
    );
}

#[test]
fn a_crash_before_the_record_follows_a_change_of_networks() {
    let Some(mut weft) = weft() else { return };
    for network in ["red", "blue"] {
        weft.ok(&["network", "create", network]);
    }
    let server = ["8080", "busybox", "sh", "-c", SERVE];
    let id = weft.ok(&[&WEB[..], &server].concat());
    let record = weft
        .data_dir()
        .join(format!("containers/{id}/container.json"));
    let number = port(&weft, "web", "8080");
    // The networks have changed, the record of the container has not: what a crash leaves.
    let cut_short = |weft: &mut Weft, change: &[&str]| {
        let before = std::fs::read(&record).unwrap();
        weft.ok(change);
        weft.kill_daemon();
        std::fs::write(&record, before).unwrap();
        weft.start_daemon();
    };
    let networks = |weft: &Weft| {
        let all = weft.inspect("web")["NetworkSettings"]["Networks"].clone();
        let mut on = Vec::new();
        for (name, endpoint) in all.as_object().unwrap() {
            if endpoint["IPAddress"] != "" {
                on.push(name.clone());
            }
        }
        on
    };
    // A connect that never answered is undone, and can be asked for again.
    cut_short(&mut weft, &["network", "connect", "blue", "web"]);
    assert_eq!(networks(&weft), ["red"]);
    weft.ok(&["network", "connect", "blue", "web"]);
    // A disconnect is finished: its network is left, and the ports have moved.
    cut_short(&mut weft, &["network", "disconnect", "red", "web"]);
    assert_eq!(networks(&weft), ["blue"]);
    assert_eq!(port(&weft, "web", "8080"), number);
    within(SOON, "the server answers", || {
        get(&format!("127.0.0.1:{number}"))
    });
    weft.weft(&["network", "disconnect", "red", "web"])
        .fails_saying(&["not connected", "red"]);
    weft.ok(&["network", "connect", "red", "web"]);
    assert_eq!(networks(&weft), ["blue", "red"]);
    assert_eq!(port(&weft, "web", "8080"), number);
}

#[test]
fn a_port_that_is_taken_is_refused_by_name() {
    let Some(weft) = weft() else { return };
    serve(&weft, "web", "127.0.0.1:42713:8080");
    weft.weft(&[
        "run",
        "--rm",
        "--name",
        "second",
        "--publish",
        "127.0.0.1:42713:8080",
        "busybox",
        "true",
    ])
    .fails_saying(&["42713"]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().port().to_string();
    weft.weft(&[
        "run",
        "--rm",
        "--name",
        "third",
        "--publish",
        &format!("127.0.0.1:{taken}:80"),
        "busybox",
        "true",
    ])
    .fails_saying(&[&taken]);
    // What was refused left nothing: the name is free, too.
    assert_eq!(weft.ok(&["ps", "--all", "--format", "{{.Names}}"]), "web");
    weft.ok(&["rm", "--force", "web"]);
    serve(&weft, "web", "127.0.0.1:42713:8080");
}

#[test]
fn malformed_ports_are_refused() {
    let Some(weft) = weft() else { return };
    for publish in [
        "80:80:80:80",
        "x:80",
        "0.0.0.0:99999:80",
        "80/icmp",
        "10-12:80-81",
        "-1:80",
    ] {
        let ran = weft.weft(&["create", "--publish", publish, "busybox"]);
        assert_ne!(ran.code, 0, "{publish}: {ran}");
        assert!(!ran.stderr.contains("panicked"), "{ran}");
    }
    assert_eq!(weft.ok(&["ps", "--all", "--quiet"]), "");
}

/// How many machines beyond the host there are, and whether `ip` had its directory as a mount before
/// the first of them: it makes one, and leaves it.
static OUTSIDES: Mutex<(u32, bool)> = Mutex::new((0, false));
const NETNS: &str = "/run/netns";

/// A machine beyond the host: a network namespace on a veth of its own, gone when dropped.
struct Outside {
    name: String,
    host: String,
    own: String,
}

impl Outside {
    fn new() -> Option<Outside> {
        weft_testkit::peer("ip")?;
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let tag = (std::process::id() + count) % 200;
        let name = format!("wt{}x{count}", std::process::id());
        let (host, own) = (format!("10.97.{tag}.1"), format!("10.97.{tag}.2"));
        let outside = Outside {
            name: name.clone(),
            host: host.clone(),
            own: own.clone(),
        };
        let ip = |line: String| run_ip(&line.split(' ').collect::<Vec<_>>());
        {
            let mut outsides = OUTSIDES.lock().unwrap();
            if outsides.0 == 0 {
                let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
                outsides.1 = mounts.contains(&format!(" {NETNS} "));
            }
            outsides.0 += 1;
            ip(format!("netns add {name}"));
        }
        ip(format!(
            "link add {name}h type veth peer name {name}o netns {name}"
        ));
        ip(format!("addr add {host}/30 dev {name}h"));
        ip(format!("link set {name}h up"));
        ip(format!("-n {name} addr add {own}/30 dev {name}o"));
        ip(format!("-n {name} link set {name}o up"));
        ip(format!("-n {name} link set lo up"));
        ip(format!("-n {name} route add default via {host}"));
        Some(outside)
    }

    fn run(&self, command: &[&str]) -> weft_testkit::Ran {
        let mut ip = std::process::Command::new("ip");
        ip.args(["netns", "exec", &self.name]).args(command);
        weft_testkit::command::run(ip, b"", weft_testkit::command::LIMIT)
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let _ = std::process::Command::new("ip")
            .args(["link", "delete", &format!("{}h", self.name)])
            .status();
        let _ = std::process::Command::new("ip")
            .args(["netns", "delete", &self.name])
            .status();
        // Another that failed meanwhile has its own words for it.
        let mut outsides = OUTSIDES.lock().unwrap_or_else(PoisonError::into_inner);
        outsides.0 = outsides.0.saturating_sub(1);
        if let (0, false) = *outsides {
            let _ = std::process::Command::new("umount").arg(NETNS).status();
        }
    }
}

fn run_ip(args: &[&str]) {
    let mut ip = std::process::Command::new("ip");
    ip.args(args);
    weft_testkit::command::run(ip, b"", weft_testkit::command::LIMIT).ok();
}
