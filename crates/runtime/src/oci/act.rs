//! What the other commands do to a container that is there.
//!
//! Never: acts on a process by its number alone.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use super::{Container, GATE, OciError, Status, file_error};
use crate::cgroup::{CgroupError, Hierarchy};
use crate::launch::gate::Gate;
use crate::launch::hook::{self, State};

/// How long a killed container may take to go: what it held (a dying disk) is out of our hands.
const KILL_WAIT: Duration = Duration::from_secs(10);

impl Container {
    /// Starts the program of a created container; comes back when it runs.
    pub fn start(&self) -> Result<(), OciError> {
        match self.status()? {
            Status::Created => {}
            other => return Err(self.refuse("start", other)),
        }
        let directory = File::open(&self.dir).map_err(file_error("open", &self.dir))?;
        let poststart = self.record.poststart.clone();
        let state = self.state("created");
        let gate = Gate::connect(directory.as_fd(), GATE, poststart, state);
        let gate = gate.map_err(file_error("connect to the gate in", &self.dir))?;
        // Gone before the program is there: nobody is to see it running and still at the gate.
        let path = self.dir.join(GATE);
        fs::remove_file(&path).map_err(file_error("remove", &path))?;
        Ok(gate.open()?)
    }

    /// Sends `signal` to init, with `all` to everything in its cgroup.
    pub fn kill(&self, signal: i32, all: bool) -> Result<(), OciError> {
        let failed = |source| OciError::Signal {
            id: self.record.id.clone(),
            source,
        };
        if all && let Some(cgroup) = self.cgroup()? {
            if signal == 9 {
                return Ok(cgroup.kill()?);
            }
            for pid in cgroup.pids()? {
                signal_pid(pid, signal).map_err(failed)?;
            }
            return Ok(());
        }
        let Some(pidfd) = self.pidfd() else {
            return Err(self.refuse("kill", Status::Stopped));
        };
        weft_sys::process::signal(&pidfd, signal).map_err(failed)?;
        // A frozen process does not see it.
        if signal == 9 && self.status()? == Status::Paused {
            self.resume()?;
        }
        Ok(())
    }

    /// Freezes everything in it.
    pub fn pause(&self) -> Result<(), OciError> {
        match (self.status()?, self.cgroup()?) {
            (Status::Running | Status::Created, Some(cgroup)) => Ok(cgroup.freeze()?),
            (other, _) => Err(self.refuse("pause", other)),
        }
    }

    /// Thaws it.
    pub fn resume(&self) -> Result<(), OciError> {
        match (self.status()?, self.cgroup()?) {
            (Status::Paused, Some(cgroup)) => Ok(cgroup.thaw()?),
            (other, _) => Err(self.refuse("resume", other)),
        }
    }

    /// Every process in it, by its number on the host.
    pub fn pids(&self) -> Result<Vec<i32>, OciError> {
        match self.cgroup()? {
            Some(cgroup) => Ok(cgroup.pids()?),
            None => Ok(vec![self.record.pid]),
        }
    }

    /// Removes what is left of it. With `force`, ends it first if it has not ended.
    pub fn delete(self, force: bool) -> Result<(), OciError> {
        match self.status()? {
            Status::Stopped | Status::Creating => {}
            // Nothing of the user's runs yet.
            Status::Created => {}
            other if !force => return Err(self.refuse("delete", other)),
            _ => {}
        }
        self.remove()
    }

    /// The last part of `run` and `delete`: all processes, the cgroup, the directory, the hooks.
    pub fn remove(self) -> Result<(), OciError> {
        if let Some(pidfd) = self.pidfd() {
            let _ = weft_sys::process::signal(&pidfd, 9);
        }
        match self.remove_cgroup() {
            Ok(()) => {}
            // Gone already, as after a reboot.
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(error.into()),
        }
        fs::remove_dir_all(&self.dir).map_err(file_error("remove", &self.dir))?;
        let state = State {
            pid: 0,
            ..self.state("stopped")
        };
        hook::run_all(&self.record.poststop, &state)
            .map_err(crate::launch::LaunchError::from)
            .map_err(OciError::from)
    }

    fn remove_cgroup(&self) -> Result<(), CgroupError> {
        let Some(path) = &self.record.cgroup else {
            return Ok(());
        };
        let hierarchy = Hierarchy::find()?;
        // As it nearly always is: init has ended, and with it everything.
        if hierarchy.remove_if_empty(path)? {
            return Ok(());
        }
        let cgroup = hierarchy.open(path)?;
        if cgroup.events_populated()? {
            cgroup.kill()?;
            cgroup.wait_empty(KILL_WAIT)?;
        }
        cgroup.remove()
    }

    fn state(&self, status: &'static str) -> State {
        State {
            version: self.record.oci_version.clone(),
            id: self.record.id.clone(),
            status,
            pid: self.record.pid,
            dir: self.record.dir.clone(),
            annotations: self.record.annotations.clone(),
        }
    }
}

fn is_gone(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return error.kind() == io::ErrorKind::NotFound;
        }
        cause = error.source();
    }
    false
}

/// One that ends meanwhile needs no signal.
fn signal_pid(pid: i32, signal: i32) -> io::Result<()> {
    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    let Some(number) = Pid::from_raw(pid) else {
        return Ok(());
    };
    match pidfd_open(number, PidfdFlags::empty()) {
        Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(errno) => Err(errno.into()),
        Ok(pidfd) => match weft_sys::process::signal(&pidfd, signal) {
            Err(error) if error.raw_os_error() == Some(3) => Ok(()),
            other => other,
        },
    }
}
