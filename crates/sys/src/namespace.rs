//! Namespaces: their kinds, joining, leaving, and user namespaces that exist without a process.
//!
//! Never: which ones a container has.

use std::fs::File;
use std::io::{self, Read, Write};
use std::ops::{BitOr, BitOrAssign};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use crate::fd::check;
use crate::process::{CloneRequest, Side, clone, exit_now, signal, wait};

/// A kind of namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Users, groups and capabilities.
    User,
    /// Mounts.
    Mount,
    /// Process ids.
    Pid,
    /// Network devices, addresses, ports.
    Network,
    /// System V IPC and POSIX message queues.
    Ipc,
    /// Host and domain name.
    Uts,
    /// The root of the cgroup tree.
    Cgroup,
}

impl Kind {
    /// Every kind, in the order in which they have to be joined.
    pub const ALL: [Kind; 7] = [
        Kind::User,
        Kind::Pid,
        Kind::Network,
        Kind::Ipc,
        Kind::Uts,
        Kind::Cgroup,
        Kind::Mount,
    ];

    /// Its file below `/proc/<pid>/ns`.
    pub fn file_name(self) -> &'static str {
        match self {
            Kind::User => "user",
            Kind::Mount => "mnt",
            Kind::Pid => "pid",
            Kind::Network => "net",
            Kind::Ipc => "ipc",
            Kind::Uts => "uts",
            Kind::Cgroup => "cgroup",
        }
    }

    fn bits(self) -> u32 {
        (match self {
            Kind::User => libc::CLONE_NEWUSER,
            Kind::Mount => libc::CLONE_NEWNS,
            Kind::Pid => libc::CLONE_NEWPID,
            Kind::Network => libc::CLONE_NEWNET,
            Kind::Ipc => libc::CLONE_NEWIPC,
            Kind::Uts => libc::CLONE_NEWUTS,
            Kind::Cgroup => libc::CLONE_NEWCGROUP,
        }) as u32
    }
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds(u32);

impl Kinds {
    /// No kind.
    pub const NONE: Kinds = Kinds(0);

    /// Whether `kind` is in the set.
    pub fn contains(self, kind: Kind) -> bool {
        self.0 & kind.bits() != 0
    }

    /// The set without `kind`.
    #[must_use]
    pub fn without(self, kind: Kind) -> Kinds {
        Kinds(self.0 & !kind.bits())
    }

    /// Whether the set is empty.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// As `CLONE_NEW*` flags.
    pub fn bits(self) -> u32 {
        self.0
    }
}

impl From<Kind> for Kinds {
    fn from(kind: Kind) -> Kinds {
        Kinds(kind.bits())
    }
}

impl<T: Into<Kinds>> BitOr<T> for Kinds {
    type Output = Kinds;
    fn bitor(self, other: T) -> Kinds {
        Kinds(self.0 | other.into().0)
    }
}

impl<T: Into<Kinds>> BitOrAssign<T> for Kinds {
    fn bitor_assign(&mut self, other: T) {
        self.0 |= other.into().0;
    }
}

impl FromIterator<Kind> for Kinds {
    fn from_iter<I: IntoIterator<Item = Kind>>(kinds: I) -> Kinds {
        kinds.into_iter().fold(Kinds::NONE, |set, kind| set | kind)
    }
}

/// Joins the namespace behind `fd`, which must be of `kind`.
pub fn join(fd: impl AsFd, kind: Kind) -> io::Result<()> {
    // SAFETY: plain integers; a wrong kind is refused by the kernel.
    check(unsafe { libc::setns(fd.as_fd().as_raw_fd(), kind.bits() as libc::c_int) }).map(drop)
}

/// Joins `kinds` of the process behind `pidfd`, in one call, all or none (Linux 5.8).
///
/// A process that is alone in its user namespace already may not join it again: leave it out.
pub fn join_process(pidfd: impl AsFd, kinds: Kinds) -> io::Result<()> {
    // SAFETY: plain integers.
    check(unsafe { libc::setns(pidfd.as_fd().as_raw_fd(), kinds.bits() as libc::c_int) }).map(drop)
}

/// Leaves `kinds` for new ones.
pub fn unshare(kinds: Kinds) -> io::Result<()> {
    // SAFETY: only namespace flags, which touch no memory and no descriptor table.
    check(unsafe { libc::unshare(kinds.bits() as libc::c_int) }).map(drop)
}

/// Opens the namespace of `kind` that process `pid` is in.
pub fn of_process(pid: i32, kind: Kind) -> io::Result<OwnedFd> {
    let path = format!("/proc/{pid}/ns/{}", kind.file_name());
    open_readable(&path)
}

/// Opens the namespace of `kind` the calling thread is in.
pub fn of_self(kind: Kind) -> io::Result<OwnedFd> {
    open_readable(&format!("/proc/thread-self/ns/{}", kind.file_name()))
}

fn open_readable(path: &str) -> io::Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags, open};
    Ok(open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)
}

/// The kind of the namespace behind `fd`, or `None` when it is not one weft knows.
pub fn kind_of(fd: impl AsFd) -> io::Result<Option<Kind>> {
    const NS_GET_NSTYPE: libc::c_ulong = 0xb703;
    // SAFETY: this ioctl takes no argument; on something else than a namespace it fails.
    let bits = check(unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), NS_GET_NSTYPE as _) })?;
    Ok(Kind::ALL
        .into_iter()
        .find(|kind| kind.bits() == bits as u32))
}

/// One line of a `uid_map`: `count` ids from `inside` on are `outside` on for the parent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdMap {
    /// First id within the namespace.
    pub inside: u32,
    /// First id in the namespace of the maker.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

/// Makes a user namespace with these maps, and with it new namespaces of `with`, owned by it.
///
/// Nothing but the descriptors holds them. They come in the order user, then [`Kind::ALL`]'s. The
/// loopback device of a network namespace is up.
/// Needs one thread and the right to map these ids.
pub fn create_user(
    uids: &[IdMap],
    gids: &[IdMap],
    with: Kinds,
) -> io::Result<(OwnedFd, Vec<(Kind, OwnedFd)>)> {
    let (mut gate, keeper) = io::pipe()?;
    let (mut told, mut ready) = io::pipe()?;
    let request = CloneRequest {
        namespaces: with | Kind::User,
        ..CloneRequest::default()
    };
    let child = match clone(&request)? {
        Side::Parent(child) => child,
        Side::Child => {
            // Lives until it is killed, or the maker dies and the pipe with it.
            drop(keeper);
            if !with.contains(Kind::Network) || raise_loopback().is_ok() {
                let _ = ready.write_all(&[0]);
            }
            drop(ready);
            let _ = gate.read(&mut [0]);
            exit_now(0);
        }
    };
    drop((gate, ready));
    let made = (|| {
        told.read_exact(&mut [0])?;
        write_map(child.pid, "uid_map", uids)?;
        write_map(child.pid, "gid_map", gids)?;
        let user = of_process(child.pid, Kind::User)?;
        let mut others = Vec::new();
        for kind in Kind::ALL {
            if with.contains(kind) && kind != Kind::User {
                others.push((kind, of_process(child.pid, kind)?));
            }
        }
        Ok((user, others))
    })();
    drop(keeper);
    // It may have gone by itself when the pipe was closed.
    let _ = signal(&child.pidfd, libc::SIGKILL);
    wait(&child.pidfd)?;
    made
}

fn write_map(pid: i32, file: &str, maps: &[IdMap]) -> io::Result<()> {
    let mut lines = String::new();
    for map in maps {
        lines.push_str(&format!("{} {} {}\n", map.inside, map.outside, map.count));
    }
    // The kernel takes a map in one write.
    File::options()
        .write(true)
        .open(format!("/proc/{pid}/{file}"))?
        .write_all(lines.as_bytes())
}

/// Brings the loopback device of the caller's network namespace up.
pub fn raise_loopback() -> io::Result<()> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
    let kind = SocketType::DGRAM;
    let socket = socket_with(AddressFamily::INET, kind, SocketFlags::CLOEXEC, None)?;
    // SAFETY: all zeroes is a valid ifreq: an empty name and no flags.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = libc::IFF_UP as libc::c_short;
    // SAFETY: SIOCSIFFLAGS reads an ifreq, which lives until the call returns.
    let result = unsafe {
        libc::ioctl(
            socket.as_raw_fd(),
            libc::SIOCSIFFLAGS as _,
            &raw const request,
        )
    };
    check(result).map(drop)
}
