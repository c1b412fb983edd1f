//! A machine made of a network namespace, with an outside, containers and small servers.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use weft_network::{Attach, Attachment, Host, HostConfig, PortSpec, Protocol};
use weft_sys::namespace::{Kind, Kinds, join, unshare};

/// The machine's address towards the outside, and the outside's.
pub const MACHINE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
pub const OUTSIDE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// How long something that must arrive may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How long something that must not arrive is waited for.
const DOUBT: Duration = Duration::from_millis(400);

/// A test's machine. The test runs in a thread within it.
pub struct Machine {
    pub dir: tempfile::TempDir,
    pub outside: OwnedFd,
    home: OwnedFd,
}

/// Runs a test in a machine of its own, which is gone afterwards.
pub fn on_a_machine(test: impl FnOnce(&Machine) + Send + 'static) {
    let body = move || {
        unshare(Kinds::from(Kind::Network)).unwrap();
        run("ip link set lo up");
        let outside = netns();
        let machine = Machine {
            dir: tempfile::tempdir().unwrap(),
            outside,
            home: own_netns(),
        };
        run("ip link add wan0 type veth peer name wan1");
        run("ip addr add 192.0.2.1/24 dev wan0");
        run("ip link set wan0 up");
        machine.move_outside("wan1");
        inside(&machine.outside, || {
            run("ip link set lo up");
            run("ip addr add 192.0.2.2/24 dev wan1");
            run("ip link set wan1 up");
        });
        test(&machine);
    };
    if let Err(panic) = std::thread::spawn(body).join() {
        std::panic::resume_unwind(panic);
    }
}

impl Machine {
    pub fn open(&self) -> Host {
        Host::open(self.config()).unwrap()
    }

    pub fn config(&self) -> HostConfig {
        HostConfig::new("weft-test", self.dir.path().join("networks"))
    }

    /// Moves an interface of the machine to the outside.
    fn move_outside(&self, name: &str) {
        // `ip` takes a namespace by process or by name; the thread that is in it serves.
        let (up, go) = std::sync::mpsc::sync_channel::<()>(1);
        let (tid, told) = std::sync::mpsc::sync_channel(1);
        let outside = &self.outside;
        std::thread::scope(|scope| {
            scope.spawn(move || {
                join(outside, Kind::Network).unwrap();
                let link = std::fs::read_link("/proc/thread-self").unwrap();
                tid.send(link.file_name().unwrap().to_str().unwrap().to_owned())
                    .unwrap();
                let _ = go.recv();
            });
            run(&format!(
                "ip link set {name} netns {}",
                told.recv().unwrap()
            ));
            drop(up);
        });
    }

    /// A new container on `network`.
    pub fn container<'a>(&self, host: &Host, id: &'a str, network: &'a str) -> Container {
        self.container_with(host, id, network, |_| {})
    }

    pub fn container_with<'a>(
        &self,
        host: &Host,
        id: &'a str,
        network: &'a str,
        change: impl FnOnce(&mut Attach<'_>),
    ) -> Container {
        let netns = netns();
        let mut attach = request(id, network, netns.as_fd());
        change(&mut attach);
        let attachment = host.attach(&attach).unwrap();
        Container { netns, attachment }
    }

    /// The machine's own namespace.
    pub fn home(&self) -> &OwnedFd {
        &self.home
    }
}

pub struct Container {
    pub netns: OwnedFd,
    pub attachment: Attachment,
}

impl Container {
    pub fn address(&self) -> Ipv4Addr {
        self.attachment.address
    }
}

pub fn request<'a>(id: &'a str, network: &'a str, netns: BorrowedFd<'a>) -> Attach<'a> {
    Attach {
        container: id,
        network,
        netns,
        names: vec![id.to_owned()],
        ip: None,
        mac: None,
        ports: Vec::new(),
        interface: "eth0",
    }
}

/// `-p HOST:CONTAINER`, on one address or all.
pub fn port(ip: Option<Ipv4Addr>, host: u16, container: u16, protocol: Protocol) -> PortSpec {
    PortSpec {
        host_ip: ip.map(Into::into),
        host_port: (host != 0).then_some((host, host)),
        container_port: container,
        protocol,
    }
}

fn own_netns() -> OwnedFd {
    File::open("/proc/thread-self/ns/net").unwrap().into()
}

/// A new network namespace that nothing but the descriptor holds.
pub fn netns() -> OwnedFd {
    let make = || {
        unshare(Kinds::from(Kind::Network)).unwrap();
        own_netns()
    };
    std::thread::spawn(make).join().unwrap()
}

/// Runs `work` in a thread within `netns`.
pub fn inside<T: Send>(netns: &OwnedFd, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let run = || {
            join(netns, Kind::Network).unwrap();
            work()
        };
        match scope.spawn(run).join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Runs a command of the machine's, which has to succeed; answers with its output.
pub fn run(command: &str) -> String {
    let mut words = command.split_whitespace();
    let output = Command::new(words.next().unwrap())
        .args(words)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

pub fn ruleset() -> String {
    run("nft -a list ruleset")
}

/// A server that answers everybody with the address it sees; it ends when dropped.
pub struct Server {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().unwrap().join();
    }
}

/// A TCP server on `port` of all addresses in `netns`.
pub fn serve(netns: &OwnedFd, port: u16) -> Server {
    let address = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port);
    let listener = inside(netns, || TcpListener::bind(address).unwrap());
    serve_with(move |stop| {
        if !readable(&listener) || stop {
            return;
        }
        if let Ok((mut stream, peer)) = listener.accept() {
            // A client that has gone is its own affair.
            let _ = stream.write_all(peer.ip().to_string().as_bytes());
        }
    })
}

/// A UDP server on `port` of all addresses in `netns`.
pub fn serve_udp(netns: &OwnedFd, port: u16) -> Server {
    let socket = inside(netns, || {
        UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap()
    });
    serve_with(move |_| {
        let mut buffer = [0u8; 64];
        if readable(&socket)
            && let Ok((_, peer)) = socket.recv_from(&mut buffer)
        {
            let _ = socket.send_to(peer.ip().to_string().as_bytes(), peer);
        }
    })
}

pub fn serve_with(once: impl Fn(bool) + Send + 'static) -> Server {
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    let thread = std::thread::spawn(move || {
        while !told.load(Ordering::Relaxed) {
            once(told.load(Ordering::Relaxed));
        }
    });
    Server {
        stop,
        thread: Some(thread),
    }
}

/// Whether something can be read from `fd` within a twentieth of a second.
pub fn readable(fd: impl AsFd) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    let limit = Timespec {
        tv_sec: 0,
        tv_nsec: 50_000_000,
    };
    matches!(poll(&mut fds, Some(&limit)), Ok(n) if n > 0)
}

/// What the server at `to` says when asked from `netns`.
pub fn fetch(netns: &OwnedFd, to: (Ipv4Addr, u16)) -> io::Result<String> {
    inside(netns, || {
        let mut stream = TcpStream::connect_timeout(&SocketAddr::from(to), PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    })
}

/// What the UDP server at `to` says when asked from `netns`.
pub fn fetch_udp(netns: &OwnedFd, to: (Ipv4Addr, u16)) -> io::Result<String> {
    inside(netns, || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        ask(&socket, to)
    })
}

/// Asks a UDP server with this socket.
pub fn ask(socket: &UdpSocket, to: (Ipv4Addr, u16)) -> io::Result<String> {
    let mut buffer = [0u8; 64];
    socket.send_to(b"?", SocketAddr::from(to))?;
    let (length, _) = socket.recv_from(&mut buffer)?;
    Ok(String::from_utf8_lossy(&buffer[..length]).into_owned())
}

/// Whether `to` can be connected to from `netns`.
pub fn reaches(netns: &OwnedFd, to: (Ipv4Addr, u16)) -> bool {
    inside(netns, || {
        TcpStream::connect_timeout(&SocketAddr::from(to), DOUBT).is_ok()
    })
}
