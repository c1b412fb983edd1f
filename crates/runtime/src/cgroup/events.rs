//! `cgroup.events`, and waiting for it to change.
//!
//! Owns: flat keyed files. Never: sleeping; the kernel says when the file changed (`POLLPRI`).

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::CgroupError;
use super::directory::{Directory, is_absent};

type Result<T> = std::result::Result<T, CgroupError>;

/// The number after `key` in lines of `key value`.
pub(super) fn value(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        line.strip_prefix(key)?
            .strip_prefix(' ')?
            .trim()
            .parse()
            .ok()
    })
}

/// Whether any process is in `directory` or below it.
pub(super) fn is_populated(directory: &Directory) -> Result<bool> {
    Ok(value(&directory.read("cgroup.events")?, "populated") == Some(1))
}

/// Waits until `key` is `wanted`; says whether it came to that within `limit`. A cgroup that has
/// gone is neither populated nor frozen.
pub(super) fn wait(
    directory: &Directory,
    key: &str,
    wanted: bool,
    limit: Duration,
) -> Result<bool> {
    let failed = |source: std::io::Error| CgroupError::File {
        action: "wait for".to_owned(),
        path: directory.path.join("cgroup.events"),
        source,
    };
    let deadline = Instant::now() + limit;
    let file = match directory.open_file("cgroup.events") {
        Ok(file) => file,
        Err(error) if is_absent(&error) => return Ok(!wanted),
        Err(error) => return Err(error),
    };
    // Bounded by `deadline`; each round but the first follows an event.
    loop {
        let mut buffer = [0; 256];
        let length = match rustix::io::pread(&file, &mut buffer, 0) {
            Ok(length) => length,
            Err(rustix::io::Errno::NODEV) => return Ok(!wanted),
            Err(error) => return Err(failed(error.into())),
        };
        let text = String::from_utf8_lossy(&buffer[..length]);
        if value(&text, key) == Some(u64::from(wanted)) {
            return Ok(true);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        let timeout = Timespec::try_from(left)
            .map_err(|_| failed(std::io::ErrorKind::InvalidInput.into()))?;
        match poll(&mut [PollFd::new(&file, PollFlags::PRI)], Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(failed(error.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_whole() {
        let text = "oom 1\noom_kill 2\noom_group_kill 3\nbad\nworse x\n";
        for (key, expected) in [
            ("oom", Some(1)),
            ("oom_kill", Some(2)),
            ("bad", None),
            ("worse", None),
            ("o", None),
        ] {
            assert_eq!(value(text, key), expected, "{key}");
        }
    }
}
