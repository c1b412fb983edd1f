//! Keeping weft's own file out of reach while a process of it is among a container's.
//!
//! A process is seen by a container once it is in its pid namespace. It is not dumpable then, so
//! `/proc/<pid>/exe` is closed, unless somebody there has `CAP_SYS_PTRACE` for the whole machine:
//! that takes a container without a user namespace that was given it, and such a one could open
//! weft's file and write to it later (CVE-2019-5736). For those, weft first executes itself again
//! through a mount of its own file that is read-only for everybody.
//! Never: needed for a container that nobody else is in yet.

use std::convert::Infallible;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;

use oci_spec::runtime::{Capability, LinuxNamespaceType, Spec};
use rustix::fs::{OFlags, StatVfsMountFlags};
use weft_sys::mount::{self, Change, Propagation, attribute};
use weft_sys::process::{Argv, execveat};

/// Whether processes of a container like this could look into one that joins it.
pub fn exposes_joiners(spec: &Spec) -> bool {
    let linux = spec.linux().as_ref();
    let mut namespaces = linux
        .iter()
        .flat_map(|linux| linux.namespaces().iter().flatten());
    let has_user = namespaces.any(|namespace| namespace.typ() == LinuxNamespaceType::User);
    let process = spec.process().as_ref();
    let capabilities = process.and_then(|process| process.capabilities().as_ref());
    let may_trace = capabilities.is_none_or(|capabilities| {
        let bounding = capabilities.bounding().as_ref();
        bounding.is_some_and(|set| set.contains(&Capability::SysPtrace))
    });
    !has_user && may_trace
}

/// Whether init of a container like this is born among the processes of others.
pub fn joins_processes(spec: &Spec) -> bool {
    let linux = spec.linux().as_ref();
    let mut namespaces = linux
        .iter()
        .flat_map(|linux| linux.namespaces().iter().flatten());
    let pid = namespaces.find(|namespace| namespace.typ() == LinuxNamespaceType::Pid);
    pid.is_none_or(|namespace| namespace.path().is_some())
}

/// Executes this program again, with the same arguments, from a read-only mount of its own;
/// does nothing if that has happened already. Needs one thread.
pub fn protect() -> io::Result<()> {
    let own = rustix::fs::open(
        "/proc/self/exe",
        OFlags::PATH | OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )?;
    if rustix::fs::fstatvfs(&own)?
        .f_flag
        .contains(StatVfsMountFlags::RDONLY)
    {
        return Ok(());
    }
    match again(own.as_fd())? {}
}

fn again(own: std::os::fd::BorrowedFd<'_>) -> io::Result<Infallible> {
    let copy = mount::clone_tree(own, false)?;
    let change = Change {
        set: attribute::READ_ONLY,
        propagation: Some(Propagation::Private),
        ..Change::default()
    };
    mount::change(&copy, false, &change)?;
    // Opened through the mount, so that its refusal to write belongs to the open file; an O_PATH
    // handle would do for execve, and not say so if the mount could not be opened at all.
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&copy));
    let program = File::open(path)?;
    let strings = |words: Vec<std::ffi::OsString>| -> io::Result<Argv> {
        let words = words.into_iter().map(|word| CString::new(word.into_vec()));
        Ok(Argv::new(words.collect::<Result<_, _>>()?))
    };
    let arguments = strings(std::env::args_os().collect())?;
    let environment = std::env::vars_os().map(|(mut name, value)| {
        name.push("=");
        name.push(value);
        name
    });
    execveat(
        program.as_fd(),
        &arguments,
        &strings(environment.collect())?,
    )
}
