//! Processes: clone3 with its flags, waiting by pidfd, execve, identities.
//!
//! Never: which namespaces a container has, or what its init does.
//!
//! # Forking
//!
//! [`fork`] and [`clone`] have the meaning of the raw system call: the child is a copy of the
//! caller and goes on in Rust after the call. This is sound because both refuse to run in a
//! process with more than one thread (`unshare(CLONE_THREAD)` is the kernel's own test of that,
//! and changes nothing otherwise): with one thread no lock, the allocator's included, can be held
//! by somebody who does not exist in the child.

use std::convert::Infallible;
use std::ffi::{CStr, CString, c_char};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use crate::fd::check;
use crate::namespace::Kinds;

mod vfork;

pub use vfork::vfork;

/// How [`clone`] makes the child.
#[derive(Debug, Default)]
pub struct CloneRequest<'a> {
    /// Namespaces the child gets new.
    pub namespaces: Kinds,
    /// A cgroup v2 directory the child starts in (Linux 5.7).
    pub cgroup: Option<BorrowedFd<'a>>,
    /// The child becomes a child of the caller's parent (`CLONE_PARENT`).
    pub sibling: bool,
}

/// On which side of the fork the caller finds itself.
#[derive(Debug)]
pub enum Side {
    /// In the caller, with its new child.
    Parent(Child),
    /// In the child.
    Child,
}

/// A process made by [`clone`], not waited for yet.
#[derive(Debug)]
pub struct Child {
    /// Its id in the caller's pid namespace.
    pub pid: i32,
    /// Refers to that very process, whatever becomes of the number.
    pub pidfd: OwnedFd,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this status.
    Code(i32),
    /// It was killed by this signal.
    Signal(i32),
}

impl Exit {
    /// The status a shell would report: the code, or 128 + the signal.
    pub fn status(self) -> i32 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal(signal) => 128 + signal,
        }
    }
}

/// Layout of `struct clone_args` up to Linux 5.7 (`CLONE_ARGS_SIZE_VER2`).
#[repr(C, align(8))]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

const CLONE_PIDFD: u64 = 0x1000;
const CLONE_PARENT: u64 = 0x8000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Forks without any new namespace. See the module text for what the child may do.
pub fn fork() -> io::Result<Side> {
    clone(&CloneRequest::default())
}

/// Makes a child with `clone3`, with a pidfd. Fails with `EINVAL` in a process with threads.
pub fn clone(request: &CloneRequest<'_>) -> io::Result<Side> {
    refuse_threads()?;
    let mut pidfd: RawFd = -1;
    let args = clone_args(request, &mut pidfd);
    // SAFETY: `args` is a valid clone_args of the given size and outlives the call. Without
    // CLONE_VM the child has its own copy of all memory, the stack included, and the process has
    // one thread, so both sides may go on as if nothing had happened.
    let result = unsafe {
        libc::syscall(
            libc::SYS_clone3,
            std::ptr::from_ref(&args),
            size_of::<CloneArgs>(),
        )
    };
    match result {
        ..0 => Err(io::Error::last_os_error()),
        0 => Ok(Side::Child),
        pid => Ok(Side::Parent(Child {
            pid: i32::try_from(pid).expect("a pid fits in an i32"),
            // SAFETY: the kernel wrote a new descriptor, which nobody else knows of.
            pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
        })),
    }
}

fn refuse_threads() -> io::Result<()> {
    // SAFETY: with CLONE_THREAD alone this only asks whether the process has other threads.
    check(unsafe { libc::unshare(libc::CLONE_THREAD) }).map(drop)
}

/// The kernel will write the child's pidfd to `pidfd`.
fn clone_args(request: &CloneRequest<'_>, pidfd: &mut RawFd) -> CloneArgs {
    let mut args = CloneArgs {
        flags: CLONE_PIDFD | u64::from(request.namespaces.bits()),
        pidfd: std::ptr::from_mut(pidfd) as u64,
        // With CLONE_PARENT the signal is that of the caller itself and must not be given.
        exit_signal: if request.sibling {
            0
        } else {
            libc::SIGCHLD as u64
        },
        ..CloneArgs::default()
    };
    if request.sibling {
        args.flags |= CLONE_PARENT;
    }
    if let Some(cgroup) = request.cgroup {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    args
}

/// Waits until the child behind `pidfd` ends, and reaps it.
pub fn wait(pidfd: impl AsFd) -> io::Result<Exit> {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    let pidfd = pidfd.as_fd();
    loop {
        match waitid(WaitId::PidFd(pidfd), WaitIdOptions::EXITED) {
            Err(rustix::io::Errno::INTR) | Ok(None) => {}
            Err(error) => return Err(error.into()),
            Ok(Some(status)) => return Ok(exit_of(&status)),
        }
    }
}

/// Reaps the child behind `pidfd` if it has ended already.
pub fn try_wait(pidfd: impl AsFd) -> io::Result<Option<Exit>> {
    use rustix::process::{WaitId, WaitIdOptions, waitid};
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    let status = waitid(WaitId::PidFd(pidfd.as_fd()), options)?;
    Ok(status.map(|status| exit_of(&status)))
}

fn exit_of(status: &rustix::process::WaitIdStatus) -> Exit {
    match status.terminating_signal() {
        Some(signal) => Exit::Signal(signal),
        None => Exit::Code(status.exit_status().unwrap_or(0)),
    }
}

/// The number, in the caller's pid namespace, of the process behind `pidfd`.
///
/// `ESRCH` when it has ended and was reaped.
pub fn pid_of(pidfd: impl AsFd) -> io::Result<i32> {
    let path = format!("/proc/self/fdinfo/{}", pidfd.as_fd().as_raw_fd());
    let text = std::fs::read_to_string(path)?;
    let number = text
        .lines()
        .find_map(|line| line.strip_prefix("Pid:"))
        .and_then(|number| number.trim().parse().ok());
    match number {
        Some(pid) if pid > 0 => Ok(pid),
        Some(_) => Err(io::Error::from_raw_os_error(libc::ESRCH)),
        None => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// Sends `signal` (1 to 64) to the process behind `pidfd`. `ESRCH` when it has ended.
pub fn signal(pidfd: impl AsFd, signal: i32) -> io::Result<()> {
    send(pidfd.as_fd(), signal, 0)
}

/// Sends `signal` to the process group led by the process behind `pidfd`; before Linux 6.9, which
/// cannot do that without a race, to the leader alone.
pub fn signal_group(pidfd: impl AsFd, number: i32) -> io::Result<()> {
    /// `PIDFD_SIGNAL_PROCESS_GROUP` (linux/pidfd.h).
    const GROUP: libc::c_uint = 1 << 2;
    match send(pidfd.as_fd(), number, GROUP) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => signal(pidfd, number),
        other => other,
    }
}

fn send(pidfd: BorrowedFd<'_>, signal: i32, flags: libc::c_uint) -> io::Result<()> {
    // SAFETY: a null siginfo asks for the ordinary one; the rest are integers.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            flags,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Ends the process at once: no destructors, no exit handlers, no flushing.
///
/// This is how a forked child that does not exec has to end.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: does not return.
    unsafe { libc::_exit(code) }
}

/// Strings laid out as `execve` wants them.
#[derive(Debug)]
pub struct Argv {
    pointers: Vec<*const c_char>,
    _strings: Vec<CString>,
}

impl Argv {
    /// Lays the strings out, with the closing null.
    pub fn new(strings: Vec<CString>) -> Argv {
        let mut pointers: Vec<_> = strings.iter().map(|string| string.as_ptr()).collect();
        pointers.push(std::ptr::null());
        Argv {
            pointers,
            _strings: strings,
        }
    }
}

/// Replaces the program. Comes back only with an error.
pub fn execve(path: &CStr, arguments: &Argv, environment: &Argv) -> io::Result<Infallible> {
    // SAFETY: both arrays end in null and their strings are owned by the `Argv`s, which outlive
    // the call.
    unsafe {
        libc::execve(
            path.as_ptr(),
            arguments.pointers.as_ptr(),
            environment.pointers.as_ptr(),
        )
    };
    Err(io::Error::last_os_error())
}

/// Replaces the program by the one `file` is open on. Comes back only with an error.
pub fn execveat(
    file: BorrowedFd<'_>,
    arguments: &Argv,
    environment: &Argv,
) -> io::Result<Infallible> {
    // SAFETY: as in `execve`; the empty path with AT_EMPTY_PATH means the descriptor itself.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            file.as_raw_fd(),
            c"".as_ptr(),
            arguments.pointers.as_ptr(),
            environment.pointers.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    Err(io::Error::last_os_error())
}

/// Sets all three user ids of this thread (raw system call, unlike glibc's `setresuid`).
pub fn set_user(uid: u32) -> io::Result<()> {
    // SAFETY: plain integers.
    check(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) } as libc::c_int).map(drop)
}

/// Sets all three group ids of this thread.
pub fn set_group(gid: u32) -> io::Result<()> {
    // SAFETY: plain integers.
    check(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) } as libc::c_int).map(drop)
}

/// Replaces the supplementary groups of this thread.
pub fn set_groups(groups: &[u32]) -> io::Result<()> {
    // SAFETY: the pointer and length describe `groups`.
    let result = unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) };
    check(result as libc::c_int).map(drop)
}

/// Does `work` as somebody whose files belong to `uid` and `gid`, with all other rights as before.
///
/// For mounts that remember who made them. Threads other than the caller's are not changed.
pub fn with_file_owner<T>(uid: u32, gid: u32, work: impl FnOnce() -> T) -> io::Result<T> {
    let capabilities = rustix::thread::capabilities(None)?;
    let (old_uid, old_gid) = set_file_owner(uid, gid);
    // Leaving user 0 has taken the capabilities that belong to files.
    let kept = rustix::thread::set_capabilities(None, capabilities);
    let done = kept.map(|()| work());
    set_file_owner(old_uid, old_gid);
    rustix::thread::set_capabilities(None, capabilities)?;
    Ok(done?)
}

fn set_file_owner(uid: u32, gid: u32) -> (u32, u32) {
    // SAFETY: plain integers; both give the id from before, and cannot fail with our rights.
    unsafe { (libc::setfsuid(uid) as u32, libc::setfsgid(gid) as u32) }
}

/// Sets the caller's resource limit `resource` (a `RLIMIT_*` number).
pub fn set_limit(resource: u32, soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit64 {
        rlim_cur: soft,
        rlim_max: hard,
    };
    // SAFETY: `limit` is valid for the call and the old value is not asked for.
    let result = unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            0,
            resource,
            std::ptr::from_ref(&limit),
            std::ptr::null_mut::<libc::rlimit64>(),
        )
    };
    check(result as libc::c_int).map(drop)
}

/// Sets every signal handler back to the default and unblocks all signals, as a new program
/// expects. Signals ignored by the caller stay ignored through `execve` otherwise; SIGPIPE is
/// ignored by Rust itself.
pub fn reset_signals() -> io::Result<()> {
    /// Highest signal of x86-64 and arm64.
    const LAST: libc::c_int = 64;
    for number in 1..=LAST {
        // SAFETY: an all-zero kernel_sigaction is SIG_DFL with an empty mask. The raw call
        // refuses SIGKILL and SIGSTOP, which cannot be changed anyway.
        unsafe {
            let action = [0_u64; 4];
            libc::syscall(
                libc::SYS_rt_sigaction,
                number,
                action.as_ptr(),
                std::ptr::null_mut::<u64>(),
                size_of::<u64>(),
            );
        }
    }
    let none = 0_u64;
    // SAFETY: an empty mask of the kernel's size (8 bytes).
    let result = unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            std::ptr::from_ref(&none),
            std::ptr::null_mut::<u64>(),
            size_of::<u64>(),
        )
    };
    check(result as libc::c_int).map(drop)
}
