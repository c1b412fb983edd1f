//! Where the cgroup v2 tree is mounted.
//!
//! Owns: reading mountinfo and checking what is there. Never: mounting.

use std::path::{Path, PathBuf};

use super::CgroupError;
use super::directory::Directory;

/// The first cgroup v2 mount that can be opened and is one; the whole tree is preferred to a
/// part of it.
pub(super) fn find() -> Result<Directory, CgroupError> {
    // Where it nearly always is; the table of all mounts takes longer to read.
    if let Ok(usual) = Directory::open_root(Path::new("/sys/fs/cgroup")) {
        return Ok(usual);
    }
    let table = Path::new("/proc/self/mountinfo");
    let text = std::fs::read_to_string(table).map_err(|source| CgroupError::File {
        action: "read".to_owned(),
        path: table.to_owned(),
        source,
    })?;
    let mut failure = CgroupError::NoHierarchy;
    for point in mount_points(&text) {
        match Directory::open_root(&point) {
            Ok(directory) => return Ok(directory),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Mount points of type cgroup2 (proc_pid_mountinfo(5)), those of a tree's root first.
fn mount_points(mountinfo: &str) -> Vec<PathBuf> {
    let mut points: Vec<(bool, PathBuf)> = mountinfo
        .lines()
        .filter_map(|line| {
            let (mount, file_system) = line.split_once(" - ")?;
            if file_system.split(' ').next() != Some("cgroup2") {
                return None;
            }
            let mut fields = mount.split(' ').skip(3);
            let (root, point) = (fields.next()?, fields.next()?);
            Some((root != "/", PathBuf::from(unescape(point))))
        })
        .collect();
    points.sort_by_key(|(is_part, _)| *is_part);
    points.into_iter().map(|(_, point)| point).collect()
}

/// Space, tab, newline and backslash are written as three octal digits.
fn unescape(text: &str) -> String {
    let escapes = [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ];
    escapes
        .iter()
        .fold(text.to_owned(), |text, (escape, char)| {
            text.replace(escape, char)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unified_and_hybrid_layouts_are_found() {
        let text = "\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 /../.. /run/part rw,nosuid shared:9 master:1 - cgroup2 cgroup2 rw
41 31 0:38 / /sys/fs/cgroup/uni\\040fied rw,relatime shared:2 - cgroup2 cgroup2 rw,nsdelegate
bad line
";
        let expected = ["/sys/fs/cgroup/uni fied", "/run/part"].map(PathBuf::from);
        assert_eq!(mount_points(text), expected);
        assert!(mount_points("").is_empty());
    }

    #[test]
    fn this_machine_has_one() {
        assert!(find().unwrap().read("cgroup.controllers").is_ok());
    }

    #[test]
    fn another_file_system_is_not_taken_for_one() {
        let error = Directory::open_root(Path::new("/tmp")).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("verify that it is a cgroup v2 mount: /tmp")
        );
    }
}
