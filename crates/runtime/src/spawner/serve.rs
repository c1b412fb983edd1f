//! Owns the spawner process: one thread that waits for requests, forks a monitor for each and
//! reaps them. Never: waiting for a container, or holding anything a monitor needs to live.
//!
//! It ends by itself when the daemon's socket closes; the monitors go on.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::sync::OnceLock;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{DumpableBehavior, WaitOptions};
use weft_sys::fd;
use weft_sys::mount::{self, Change, Context, attribute};
use weft_sys::namespace::{self, IdMap, Kind, Kinds};
use weft_sys::process::{Side, exit_now, fork};
use weft_sys::signal::SignalFd;

use super::monitor::THERE;
use super::{ATTACH_MAX, Fds, answer, wire};
use crate::capabilities;
use crate::cgroup::Hierarchy;
use crate::devices;
use crate::launch;
use crate::monitor::record::{Envelope, Failure, FailureKind, Record, Reply, Request};
use crate::monitor::{self, Task};
use crate::seccomp;

/// Without requests for so long, the pages of the program are let go: most were used once, at the start.
const QUIET: Timespec = Timespec {
    tv_sec: 2,
    tv_nsec: 0,
};

/// `weft spawner`: stdin is the daemon's socket. Comes back when the daemon is gone.
pub fn main(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    if let Some(arg) = args.next() {
        eprintln!("weft spawner takes no arguments, not {}", arg.display());
        return ExitCode::from(125);
    }
    // The spawner's own descriptors are closed when `serve` returns, also in a new monitor.
    match Spawner::set_up().and_then(Spawner::serve) {
        Ok(Turn::Over) => ExitCode::SUCCESS,
        Ok(Turn::Monitor(order)) => {
            // The daemon's stderr is not kept open by what outlives the daemon.
            let silenced = fd::install(io::stdin().as_fd(), 2);
            debug_assert!(silenced.is_ok(), "descriptor 0 is open");
            monitor::settle();
            match order.or_told() {
                Some((task, fds, reply)) => monitor::main(task, fds, reply),
                None => ExitCode::SUCCESS,
            }
        }
        Err(error) => {
            eprintln!("weft spawner: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A config.json like most.
fn typical() -> &'static [u8] {
    static DOCUMENT: OnceLock<Vec<u8>> = OnceLock::new();
    DOCUMENT.get_or_init(|| {
        let mut spec = oci_spec::runtime::Spec::default();
        let mut linux = spec.linux().clone().unwrap_or_default();
        linux.set_seccomp(Some(seccomp::default_profile(capabilities::Set::DEFAULT)));
        spec.set_linux(Some(linux));
        serde_json::to_vec(&spec).unwrap_or_default()
    })
}

/// Why the loop was left.
enum Turn {
    /// The daemon is gone.
    Over,
    /// This process is a monitor now.
    Monitor(Order),
}

/// What a new monitor is to do, and for whom.
enum Order {
    Now(Task, Fds, OwnedFd),
    /// It is told over this socket.
    Told {
        socket: OwnedFd,
        ahead: bool,
    },
}

impl Order {
    /// Waits to be told. `None` when nobody wants it any more, or it was told nonsense.
    fn or_told(self) -> Option<(Task, Fds, OwnedFd)> {
        let (socket, ahead) = match self {
            Order::Now(task, fds, reply) => return Some((task, fds, reply)),
            Order::Told { socket, ahead } => (socket, ahead),
        };
        // Whoever waits already does not wait for this, too.
        if ahead {
            launch::rehearse(typical());
        }
        let _ = rustix::thread::set_name(c"weft-waits");
        fd::send(&socket, &[THERE], &[]).ok()?;
        let mut buffer = vec![0; 1 + wire::INLINE_MAX];
        let (count, fds) = fd::receive(&socket, &mut buffer).ok()?;
        drop(socket);
        monitor::take_name();
        let unpacked = wire::unpack(&buffer[..count], fds)?;
        match take(&unpacked.request, unpacked.fds) {
            Ok((Request::Run(request), fds)) => Some((Task::Run(request), fds, unpacked.reply)),
            Ok((Request::Exec(spec), fds)) => Some((Task::Exec(spec), fds, unpacked.reply)),
            Ok(_) => {
                refuse(&unpacked.reply, "a monitor only runs things".to_owned());
                None
            }
            Err(text) => {
                refuse(&unpacked.reply, text);
                None
            }
        }
    }
}

struct Spawner {
    socket: OwnedFd,
    children: SignalFd,
}

impl Spawner {
    fn set_up() -> io::Result<Self> {
        // Fails for a session's leader, which is what it is to become.
        let _ = rustix::process::setsid();
        rustix::process::umask(Mode::from_raw_mode(0o077));
        rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
        rustix::thread::set_name(c"weft-spawner")?;
        let socket = rustix::io::fcntl_dupfd_cloexec(io::stdin(), 3)?;
        if rustix::net::sockopt::socket_type(&socket)? != rustix::net::SocketType::SEQPACKET {
            let text = "stdin is not the daemon's socket";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let null = null_device()?;
        fd::install(null.as_fd(), 0)?;
        fd::install(null.as_fd(), 1)?;
        // What is mounted from here on stays here; what the host mounts or unmounts is followed.
        namespace::unshare(Kinds::from(Kind::Mount))?;
        let propagation = rustix::mount::MountPropagationFlags::DOWNSTREAM
            | rustix::mount::MountPropagationFlags::REC;
        rustix::mount::mount_change("/", propagation)?;
        // What every monitor would find out anew: it inherits these caches.
        let _ = weft_stdx::clock::boot_id();
        let _ = Hierarchy::find();
        let _ = devices::default_program();
        let _ = seccomp::compile(&seccomp::default_profile(capabilities::Set::DEFAULT));
        let _ = typical();
        let children = SignalFd::block(&[rustix::process::Signal::CHILD.as_raw()])?;
        Ok(Self { socket, children })
    }

    fn serve(self) -> io::Result<Turn> {
        let mut buffer = vec![0; 1 + wire::INLINE_MAX];
        let mut is_settled = false;
        loop {
            let mut fds = [
                PollFd::new(&self.socket, PollFlags::IN),
                PollFd::new(&self.children, PollFlags::IN),
            ];
            match poll(&mut fds, (!is_settled).then_some(&QUIET)) {
                Err(Errno::INTR) => continue,
                Ok(0) => {
                    // A kernel that does not tell what is mapped has it stay.
                    let _ = weft_sys::memory::trim_program();
                    is_settled = true;
                    continue;
                }
                other => other?,
            };
            let [request, child] = fds.map(|fd| !fd.revents().is_empty());
            if child {
                self.reap()?;
            }
            if request {
                is_settled = false;
                let (count, fds) = fd::receive(&self.socket, &mut buffer)?;
                if count == 0 {
                    return Ok(Turn::Over);
                }
                let Some(unpacked) = wire::unpack(&buffer[..count], fds) else {
                    continue;
                };
                match take(&unpacked.request, unpacked.fds) {
                    Ok((request, fds)) => {
                        if let Some(order) = handle(request, fds, unpacked.reply) {
                            return Ok(Turn::Monitor(order));
                        }
                    }
                    Err(text) => refuse(&unpacked.reply, text),
                }
            }
        }
    }

    fn reap(&self) -> io::Result<()> {
        self.children.clear()?;
        loop {
            match rustix::process::wait(WaitOptions::NOHANG) {
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) | Err(Errno::CHILD) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Answers the request, or has it answered by a monitor: then, in the monitor, its order comes back.
fn handle(request: Request, fds: Fds, reply: OwnedFd) -> Option<Order> {
    let order = match request {
        Request::Run(request) => Order::Now(Task::Run(request), fds, reply),
        Request::Exec(spec) => Order::Now(Task::Exec(spec), fds, reply),
        Request::Monitor { ahead } => Order::Told {
            socket: reply,
            ahead,
        },
        Request::Sandbox { base, size } => {
            // The kernel makes one network namespace after the other, and a container that is to
            // start does not wait for those made ahead.
            match fork() {
                Ok(Side::Parent(_)) => {}
                Ok(Side::Child) => {
                    answer_sandbox(base, size, &reply);
                    exit_now(0);
                }
                Err(error) => refuse(&reply, format!("cannot fork: {error}")),
            }
            return None;
        }
        Request::IpcAndUts => {
            answer_ipc_and_uts(&fds, &reply);
            return None;
        }
        Request::Netns => {
            match netns() {
                Ok(net) => answer(&reply, &Reply::Namespaces, &[net.as_fd()]),
                Err(error) => refuse(&reply, format!("cannot make a network namespace: {error}")),
            }
            return None;
        }
    };
    match fork() {
        // Its pidfd is not kept: the monitor lives its own life.
        Ok(Side::Parent(_)) => None,
        Ok(Side::Child) => Some(order),
        Err(error) => {
            let (Order::Now(_, _, reply) | Order::Told { socket: reply, .. }) = &order;
            refuse(reply, format!("cannot fork a monitor: {error}"));
            None
        }
    }
}

/// Reads the request and sorts its descriptors.
fn take(request: &[u8], fds: Vec<OwnedFd>) -> Result<(Request, Fds), String> {
    let envelope = Envelope::from_json(request).map_err(|error| format!("{error}"))?;
    let attach = envelope.attach as usize;
    if attach > ATTACH_MAX || fds.len() != attach + envelope.join.len() {
        return Err(format!(
            "a request came with {} descriptors too many or few",
            fds.len()
        ));
    }
    let mut fds = fds.into_iter();
    let attach = fds.by_ref().take(attach).collect();
    let mut join = Vec::new();
    for (name, fd) in envelope.join.iter().zip(fds) {
        let kind = Kind::ALL.into_iter().find(|kind| kind.file_name() == name);
        join.push((
            kind.ok_or_else(|| format!("unknown kind of namespace {name:?}"))?,
            fd,
        ));
    }
    Ok((envelope.request, Fds { attach, join }))
}

/// A null device of our own, on a read-only file system that is mounted nowhere: workloads get it
/// as stdin, and even a privileged one can neither chmod nor chown it, nor reach the host's.
fn null_device() -> io::Result<OwnedFd> {
    const NULL: (u32, u32) = (1, 3);
    let root = Context::open(c"tmpfs")?.mount(attribute::NO_SUID | attribute::NO_EXEC)?;
    let device = rustix::fs::makedev(NULL.0, NULL.1);
    let mode = Mode::from_raw_mode(0o666);
    rustix::fs::mknodat(&root, "null", FileType::CharacterDevice, mode, device)?;
    // The umask took bits away.
    rustix::fs::chmodat(&root, "null", mode, AtFlags::empty())?;
    let read_only = Change {
        set: attribute::READ_ONLY,
        ..Change::default()
    };
    mount::change(&root, false, &read_only)?;
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(&root, "null", flags, Mode::empty())?)
}

fn refuse(reply: &OwnedFd, text: String) {
    answer(
        reply,
        &Reply::Failed(Failure {
            kind: FailureKind::Other,
            text,
        }),
        &[],
    );
}

/// In a process of its own: who has joined a user namespace does not come back.
fn answer_ipc_and_uts(fds: &Fds, reply: &OwnedFd) {
    match fork() {
        Ok(Side::Parent(_)) => {}
        Ok(Side::Child) => {
            match ipc_and_uts(fds) {
                Ok(made) => answer(reply, &Reply::Namespaces, &made.each_ref().map(AsFd::as_fd)),
                Err(error) => refuse(
                    reply,
                    format!("cannot make IPC and UTS namespaces: {error}"),
                ),
            }
            exit_now(0);
        }
        Err(error) => refuse(reply, format!("cannot fork: {error}")),
    }
}

fn ipc_and_uts(fds: &Fds) -> io::Result<[OwnedFd; 2]> {
    for (kind, fd) in &fds.join {
        namespace::join(fd, *kind)?;
    }
    namespace::unshare(Kinds::from(Kind::Ipc) | Kind::Uts)?;
    Ok([
        namespace::of_self(Kind::Ipc)?,
        namespace::of_self(Kind::Uts)?,
    ])
}

fn answer_sandbox(base: u32, size: u32, reply: &OwnedFd) {
    match sandbox(base, size) {
        Ok(made) => answer(reply, &Reply::Namespaces, &made.each_ref().map(AsFd::as_fd)),
        Err(error) => refuse(
            reply,
            format!("cannot make user and network namespaces for ids from {base}: {error}"),
        ),
    }
}

fn sandbox(base: u32, size: u32) -> io::Result<[OwnedFd; 2]> {
    let map = [IdMap {
        inside: 0,
        outside: base,
        count: size,
    }];
    let (user, others) = namespace::create_user(&map, &map, Kinds::from(Kind::Network))?;
    let net = others.into_iter().find(|(kind, _)| *kind == Kind::Network);
    let (_, net) = net.ok_or_else(|| io::Error::other("no network namespace was made"))?;
    Ok([user, net])
}

/// Made by leaving and coming back: one thread, so nobody can notice.
fn netns() -> io::Result<OwnedFd> {
    let home = namespace::of_self(Kind::Network)?;
    namespace::unshare(Kinds::from(Kind::Network))?;
    let made = namespace::raise_loopback().and_then(|()| namespace::of_self(Kind::Network));
    if namespace::join(&home, Kind::Network).is_err() {
        // Everything from here on would be made in the wrong network: better not to be.
        exit_now(1);
    }
    made
}
