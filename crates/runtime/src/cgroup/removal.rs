//! Removing a cgroup with all that is below it.
//!
//! Owns: the order (deepest first), and waiting for the last processes to be gone. A container
//! may have nested as deep as it liked, so this neither recurses nor holds a descriptor per level.
//! Never: killing.

use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::directory::{Directory, is_absent};
use super::{CgroupError, events, stats};

/// How long processes that are being killed may take to be gone.
const PATIENCE: Duration = Duration::from_secs(10);
/// One wait: EBUSY may outlive the last process by a moment that no event announces.
const SLICE: Duration = Duration::from_millis(20);

type Result<T> = std::result::Result<T, CgroupError>;

/// Removes the cgroup; one that is not there is removed already.
pub(super) fn remove(root: &Directory, components: &[String]) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let (name, parents) = components.split_last().expect("a path has a component");
    let parent = if parents.is_empty() {
        Ok(None)
    } else {
        root.open(&parents.join("/")).map(Some)
    };
    let parent = match parent {
        Ok(parent) => parent,
        Err(error) if is_absent(&error) => return Ok(()),
        Err(error) => return Err(error),
    };
    let parent = parent.as_ref().unwrap_or(root);
    // Each round removes one cgroup or waits for one; bounded by `deadline`.
    loop {
        let removed = match remove_deepest(parent, name) {
            Ok(Step::Done) => return Ok(()),
            Ok(Step::Removed) => Ok(()),
            Ok(Step::Busy(directory, error)) => {
                wait_a_little(&directory)?;
                Err((directory, error))
            }
            Err(error) if is_absent(&error) => Ok(()),
            Err(error) => return Err(error),
        };
        if Instant::now() >= deadline {
            return Err(match removed {
                Err((directory, _)) if events::is_populated(&directory)? => CgroupError::Timeout {
                    action: "remove",
                    path: directory.path.clone(),
                    waited: PATIENCE,
                    processes: stats::pids(&directory).map_or(0, |pids| pids.len()),
                },
                Err((_, error)) => error,
                Ok(()) => timeout(parent, name),
            });
        }
    }
}

enum Step {
    /// The cgroup asked for is gone.
    Done,
    /// One below it is gone.
    Removed,
    /// The deepest one cannot be removed yet.
    Busy(Directory, CgroupError),
}

/// Follows first children down from `name` and removes the last.
fn remove_deepest(top: &Directory, name: &str) -> Result<Step> {
    let mut parent: Option<Directory> = None;
    let mut name = name.to_owned();
    let mut is_top = true;
    loop {
        let directory = match parent.as_ref().unwrap_or(top).open(&name) {
            Ok(directory) => directory,
            Err(error) if is_absent(&error) && is_top => return Ok(Step::Done),
            Err(error) => return Err(error),
        };
        if let Some(child) = directory.children(1)?.pop() {
            (parent, name, is_top) = (Some(directory), child, false);
            continue;
        }
        return match parent.as_ref().unwrap_or(top).remove(&name) {
            Ok(()) if is_top => Ok(Step::Done),
            Ok(()) => Ok(Step::Removed),
            Err(error) if is_busy(&error) => Ok(Step::Busy(directory, error)),
            Err(error) => Err(error),
        };
    }
}

fn wait_a_little(directory: &Directory) -> Result<()> {
    if events::is_populated(directory)? {
        return events::wait(directory, "populated", false, SLICE).map(drop);
    }
    // Only the end of the time ends this wait, or somebody who moves in.
    events::wait(directory, "populated", true, SLICE).map(drop)
}

fn timeout(parent: &Directory, name: &str) -> CgroupError {
    let path = parent.path.join(name);
    CgroupError::Timeout {
        action: "remove",
        path,
        waited: PATIENCE,
        processes: 0,
    }
}

/// Whether the error says that something is still in it.
pub(super) fn is_busy(error: &CgroupError) -> bool {
    let CgroupError::File { source, .. } = error else {
        return false;
    };
    [Errno::BUSY, Errno::NOTEMPTY]
        .iter()
        .any(|errno| source.raw_os_error() == Some(errno.raw_os_error()))
}
