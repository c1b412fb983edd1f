//! Processes of containers as the daemon sees them: handles that survive pid reuse, and /proc.

use std::fs;
use std::os::fd::OwnedFd;

use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// A handle to `pid` if it still is the process that started at `start_ticks`.
pub(crate) fn open(pid: i32, start_ticks: u64) -> Option<OwnedFd> {
    let handle = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
    // Looked at after the handle is held: what it names cannot change any more.
    (start_time(pid)? == start_ticks).then_some(handle)
}

/// `starttime` of a process, in clock ticks after boot (proc(5), field 22 of stat).
pub(crate) fn start_time(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command may contain spaces and parentheses; the fields count from its last one.
    stat.rsplit_once(')')?
        .1
        .split_ascii_whitespace()
        .nth(19)?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_only_given_for_the_same_process() {
        let me = i32::try_from(std::process::id()).unwrap();
        let ticks = start_time(me).unwrap();
        assert!(open(me, ticks).is_some());
        assert!(open(me, ticks + 1).is_none());
        assert!(open(0, 0).is_none());
    }
}
