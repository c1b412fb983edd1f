//! `exec`: a further process, described by a file or by words.
//!
//! Never: looks a user up; ids are numbers here, as runc's callers give them.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use oci_spec::runtime::{Capabilities, LinuxCapabilities, Process, Spec, UserBuilder};

use super::create::{Bundle, write_pid};
use super::{Container, OciError, Status};
use crate::capabilities::Set;
use crate::launch::{self, ExecRequest, Running, Stdio};

/// What is to be executed, where it differs from the container's own process.
#[derive(Debug, Default)]
pub struct ExecOptions {
    /// All of it, instead of everything below.
    pub process: Option<Process>,
    /// Program and arguments.
    pub arguments: Vec<String>,
    /// Whether it has a terminal.
    pub terminal: bool,
    /// `UID[:GID]`.
    pub user: Option<String>,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Working directory.
    pub cwd: Option<PathBuf>,
    /// `NAME=value`, on top of the container's.
    pub environment: Vec<String>,
    /// Capabilities, on top of the container's.
    pub capabilities: Vec<String>,
    /// Whether execve never gives more privileges.
    pub no_new_privileges: bool,
    /// Whether a frozen container is no reason not to.
    pub ignore_paused: bool,
    /// Where its number is written to.
    pub pid_file: Option<PathBuf>,
}

/// A process that was just started.
pub type Executed = Running;

impl Container {
    /// Starts a further process; comes back when its program runs.
    pub fn exec(&self, options: ExecOptions) -> Result<Executed, OciError> {
        let status = self.status()?;
        let fits = status == Status::Running || (status == Status::Paused && options.ignore_paused);
        let (true, Some(init_pidfd)) = (fits, self.pidfd()) else {
            return Err(self.refuse("exec in", status));
        };
        let Bundle { spec, .. } = Bundle::open(&self.record.dir)?;
        let pid_file = options.pid_file.clone();
        let process = process(&spec, options)?;
        let stdio = if process.terminal().unwrap_or(false) {
            Stdio::Terminal
        } else {
            Stdio::Inherit
        };
        let running = launch::exec(ExecRequest {
            init_pidfd,
            spec,
            process,
            stdio,
        })?;
        if let Some(path) = pid_file
            && let Err(error) = write_pid(&path, running.pid)
        {
            end(&running.pidfd);
            return Err(error);
        }
        Ok(running)
    }
}

fn end(pidfd: &OwnedFd) {
    let _ = weft_sys::process::signal(pidfd, 9);
    let _ = weft_sys::process::wait(pidfd);
}

fn process(spec: &Spec, options: ExecOptions) -> Result<Process, OciError> {
    if let Some(process) = options.process {
        return Ok(process);
    }
    let mut process = spec.process().clone().unwrap_or_default();
    process.set_args(Some(options.arguments));
    process.set_terminal(Some(options.terminal));
    process.set_console_size(None);
    if let Some(cwd) = options.cwd {
        process.set_cwd(cwd);
    }
    if let Some(user) = &options.user {
        let (uid, gid) = user_of(user)?;
        let gid = gid.unwrap_or(0);
        let user = UserBuilder::default().uid(uid).gid(gid).build();
        process.set_user(user.map_err(|error| OciError::Invalid(error.to_string()))?);
    }
    if !options.groups.is_empty() {
        process.user_mut().set_additional_gids(Some(options.groups));
    }
    if options.no_new_privileges {
        process.set_no_new_privileges(Some(true));
    }
    let mut environment = process.env().clone().unwrap_or_default();
    environment.extend(options.environment);
    process.set_env(Some(environment));
    if !options.capabilities.is_empty() {
        let added = Set::EMPTY
            .adjust(&options.capabilities, &[], Set::bounding())
            .map_err(|error| OciError::Invalid(error.to_string()))?;
        let old = process.capabilities().clone().unwrap_or_default();
        process.set_capabilities(Some(with(&old, added)));
    }
    Ok(process)
}

/// Inheritable and ambient stay what they were: adding there is CVE-2022-29162.
fn with(old: &LinuxCapabilities, added: Set) -> LinuxCapabilities {
    let more = |set: &Option<Capabilities>| {
        let set = set.as_ref().map_or(Set::EMPTY, Set::from_oci);
        Some(set.union(added).to_oci())
    };
    let mut new = old.clone();
    new.set_bounding(more(old.bounding()));
    new.set_effective(more(old.effective()));
    new.set_permitted(more(old.permitted()));
    new
}

/// Digits only: what does not parse is no user, least of all root (CVE-2026-30892).
fn user_of(text: &str) -> Result<(u32, Option<u32>), OciError> {
    let id = |part: &str| -> Option<u32> {
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let id: u32 = digits.then(|| part.parse().ok())??;
        (id != u32::MAX).then_some(id)
    };
    let parsed = match text.split_once(':') {
        None => id(text).map(|uid| (uid, None)),
        Some((uid, gid)) => id(uid).zip(id(gid)).map(|(uid, gid)| (uid, Some(gid))),
    };
    parsed
        .ok_or_else(|| OciError::Invalid(format!("user {text:?} is not UID or UID:GID in numbers")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_digits_or_nothing() {
        assert_eq!(user_of("0").unwrap(), (0, None));
        assert_eq!(user_of("1000:50").unwrap(), (1000, Some(50)));
        for wrong in [
            "",
            ":",
            "0:",
            ":0",
            "root",
            "-1",
            "+1",
            "0x0",
            " 1",
            "1 ",
            "4294967296",
            "4294967295",
            "1:2:3",
            "1:root",
            "\u{0661}",
        ] {
            assert!(user_of(wrong).is_err(), "{wrong:?}");
        }
    }
}
