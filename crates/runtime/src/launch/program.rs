//! The last steps before the program: streams, descriptors, the file to execute.
//!
//! Never: comes back, once the start program has been entered.

use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{Access, AtFlags, CWD, OFlags};
use rustix::io::Errno;
use weft_sys::path::{Facts, Root};
use weft_sys::process::Argv;
use weft_sys::trampoline::Trampoline;

use super::LaunchError;
use super::step::{Failure, Named, Step};
use crate::plan::ProcessPlan;
use crate::seccomp::Program;

/// Where programs are looked for when the environment has no PATH (execvp(3)).
const DEFAULT_PATH: &[u8] = b"/bin:/usr/bin";

/// The program that starts the program, and what is loaded before it if it cannot do that itself.
#[derive(Debug)]
pub(super) struct Start {
    trampoline: Trampoline,
    /// A filter that has to be loaded while there are still capabilities.
    pub(super) early: Option<Arc<Program>>,
}

impl Start {
    pub(super) fn make(
        seccomp: Option<&oci_spec::runtime::LinuxSeccomp>,
        process: &ProcessPlan,
    ) -> Result<Start, LaunchError> {
        let program = match seccomp {
            Some(profile) => Some(crate::seccomp::compile(profile).map_err(LaunchError::Seccomp)?),
            None => None,
        };
        // Without no_new_privs only a capability allows it, which is given up before the end.
        let (late, early) = if process.no_new_privileges {
            (program, None)
        } else {
            (None, program)
        };
        let filter = late
            .as_ref()
            .map(|program| (program.instructions(), program.flags()));
        let trampoline = Trampoline::new(filter).named(Step::Trampoline, "")?;
        Ok(Start { trampoline, early })
    }
}

impl AsFd for Start {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.trampoline.as_fd()
    }
}

/// Enters the working directory, and makes sure that it is in the root.
///
/// A directory outside would show in `getcwd` as unreachable; `/proc/self/fd/N`, which could lead
/// there, is not followed (CVE-2024-21626).
pub(super) fn enter_directory(root: &Root, path: &Path) -> Result<(), Failure> {
    let shown = || path.display();
    let directory = root
        .open(path, OFlags::PATH | OFlags::DIRECTORY)
        .named(Step::Directory, shown())?;
    rustix::process::fchdir(directory).named(Step::Directory, shown())?;
    let now = rustix::process::getcwd(Vec::new()).named(Step::Directory, shown())?;
    if now.as_bytes().first() == Some(&b'/') {
        return Ok(());
    }
    let error = io::Error::other("it is outside the container");
    Err(Failure::new(Step::Directory, shown(), &error))
}

/// Makes `streams` the standard streams.
pub(super) fn connect(streams: [BorrowedFd<'_>; 3]) -> Result<(), Failure> {
    for (number, stream) in (0..).zip(streams) {
        weft_sys::fd::install(stream, number).named(Step::Streams, "")?;
    }
    Ok(())
}

/// Becomes the program. Comes back only with the reason why not.
pub(super) fn execute(
    process: &ProcessPlan,
    start: &Start,
    report: &OwnedFd,
    preserve: u32,
) -> Result<Infallible, Failure> {
    let path = find(process)?;
    if process.no_new_privileges {
        rustix::thread::set_no_new_privs(true).named(Step::NoNewPrivileges, "")?;
    }
    let first = 3 + i32::try_from(preserve).unwrap_or(i32::MAX - 3);
    for number in 3..first {
        // One that is not open is the caller's mistake, which the program will notice.
        if let Ok(fd) = weft_sys::fd::adopt(number) {
            let kept = weft_sys::fd::install(fd.as_fd(), number);
            std::mem::forget(fd);
            kept.named(Step::Streams, number)?;
        }
    }
    weft_sys::fd::close_on_exec_from(first).named(Step::Streams, "")?;
    weft_sys::process::reset_signals().named(Step::Execute, "")?;
    let environment = Argv::new(process.environment.clone());
    start
        .trampoline
        .execute(report.as_fd(), &path, &process.arguments, &environment)
        .named(Step::Trampoline, path.to_string_lossy())
}

/// The path to execute: the first argument itself if it has a slash, else what PATH leads to.
fn find(process: &ProcessPlan) -> Result<CString, Failure> {
    let name = &process.arguments[0];
    let shown = || name.to_string_lossy();
    if name.as_bytes().contains(&b'/') {
        return Ok(name.clone());
    }
    let path = process
        .environment
        .iter()
        .find_map(|variable| variable.as_bytes().strip_prefix(b"PATH="));
    let mut best = Errno::NOENT;
    for directory in path.unwrap_or(DEFAULT_PATH).split(|byte| *byte == b':') {
        let directory = if directory.is_empty() {
            b"."
        } else {
            directory
        };
        let candidate = [directory, b"/", name.as_bytes()].concat();
        let candidate = CString::new(candidate).expect("neither part has a NUL");
        match executable(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(Errno::ACCESS) => best = Errno::ACCESS,
            Err(_) => {}
        }
    }
    Err(best).named(Step::Find, format!("{} in PATH", shown()))
}

fn executable(path: &CStr) -> Result<(), Errno> {
    rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS)?;
    let file = rustix::fs::open(
        path,
        OFlags::PATH | OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )?;
    match Facts::of(&file) {
        Ok(facts) if !facts.is_directory() => Ok(()),
        _ => Err(Errno::ACCESS),
    }
}
