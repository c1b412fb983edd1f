//! What a bind shows, opened once, to a handle.
//!
//! A source can lie beneath a root that somebody else writes to, a volume or another container's:
//! then nothing on the way leads out of it. Never: looks into the new container's root.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use weft_sys::namespace::{self, Kind};
use weft_sys::path::Root;

use crate::launch::step::{Failure, Named, Step};

/// Opens `path` of the host's, or `beneath` in the directory `path`.
pub(super) fn open(path: &Path, beneath: Option<&Path>) -> Result<OwnedFd, Failure> {
    let Some(beneath) = beneath else {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        return rustix::fs::open(path, flags, Mode::empty()).named(Step::Source, path.display());
    };
    let root = Root::open_at(path).named(Step::Source, path.display())?;
    let whole = path.join(beneath);
    root.handle_beneath(beneath)
        .named(Step::Source, whole.display())
}

/// The mount namespace of the process whose root `path` is: what is mounted there is copied only
/// from inside.
pub(super) fn namespace_of(path: &Path) -> Result<Option<OwnedFd>, Failure> {
    let Some(pid) = process_of(path) else {
        return Ok(None);
    };
    namespace::of_process(pid, Kind::Mount)
        .map(Some)
        .named(Step::Source, path.display())
}

/// `/proc/<pid>/root`.
fn process_of(path: &Path) -> Option<i32> {
    let mut parts = path.strip_prefix("/proc").ok()?.iter();
    let pid = parts.next()?.to_str()?.parse().ok()?;
    (parts.next()? == "root" && parts.next().is_none()).then_some(pid)
}

/// Does `work` in the mount namespace `elsewhere`. The caller is the process' only thread, or one
/// that has left what threads share of the filesystem.
pub(super) fn inside<T>(elsewhere: &OwnedFd, work: impl FnOnce() -> T) -> io::Result<T> {
    let handle = |path: &str| {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::empty())
    };
    let (own, root, cwd) = (namespace::of_self(Kind::Mount)?, handle("/")?, handle(".")?);
    namespace::join(elsewhere, Kind::Mount)?;
    let done = work();
    namespace::join(&own, Kind::Mount)?;
    // To join one is to be put at its root.
    rustix::process::fchdir(&root)?;
    rustix::process::chroot(".")?;
    rustix::process::fchdir(&cwd)?;
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_root_of_a_process_is_elsewhere() {
        let of = |path: &str| process_of(Path::new(path));
        assert_eq!(of("/proc/17/root"), Some(17));
        for other in ["/proc/17/root/x", "/proc/self/root", "/proc/17", "/17/root"] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn nothing_beneath_a_root_leads_out_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, root.join(name)).unwrap();
        link("/etc", "absolute");
        link("../..", "up");
        link("a", "inner");
        let opened = |path: &str| open(&root, Some(Path::new(path)));
        opened("a/b").unwrap();
        opened("inner/b").unwrap();
        for path in ["absolute", "up", "a/../../..", "/etc", "missing"] {
            assert!(opened(path).is_err(), "{path}");
        }
    }
}
