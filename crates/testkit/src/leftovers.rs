//! What one instance could leave on the machine, looked up by its names.
//! Owns the looking; never removes anything.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Everything of the instance that is still there, one line each. `dir` is the test's directory:
/// data and run directory lie beneath it, and processes name it on their command line.
pub fn of(instance: &str, bridge: &str, dir: &Path) -> Vec<String> {
    let mut found = processes(dir)
        .into_iter()
        .map(|(pid, line)| format!("process {pid}: {line}"))
        .collect::<Vec<_>>();
    found.extend(
        cgroups(instance)
            .into_iter()
            .map(|path| format!("cgroup {}", path.display())),
    );
    found.extend(mounts(dir).into_iter().map(|line| format!("mount {line}")));
    found.extend(
        links(instance, bridge)
            .into_iter()
            .map(|link| format!("link {link}")),
    );
    found.extend(
        tables(instance)
            .into_iter()
            .map(|table| format!("nft table {table}")),
    );
    found
}

/// Processes whose command line or root mentions `dir`.
pub fn processes(dir: &Path) -> Vec<(i32, String)> {
    let needle = dir.display().to_string();
    let own = std::process::id().to_string();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(pid) = name.parse::<i32>() else {
            continue;
        };
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(&needle) && name != own {
            found.push((pid, line));
        }
    }
    found
}

/// The instance's cgroup and everything below it.
pub fn cgroups(instance: &str) -> Vec<PathBuf> {
    // No name is not the root of the tree: a test that failed before it learnt its engine's name
    // would clean up after everybody else.
    let Some(root) = v2_mount().filter(|_| !instance.is_empty()) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut todo = vec![root.join(instance)];
    while let Some(dir) = todo.pop().filter(|dir| dir.is_dir()) {
        let children = fs::read_dir(&dir).into_iter().flatten().flatten();
        todo.extend(
            children
                .map(|child| child.path())
                .filter(|path| path.is_dir()),
        );
        found.push(dir);
    }
    found
}

/// Where cgroup v2 is mounted.
pub fn v2_mount() -> Option<PathBuf> {
    let text = fs::read_to_string("/proc/self/mountinfo").ok()?;
    text.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        right
            .starts_with("cgroup2 ")
            .then(|| left.split(' ').nth(4).map(PathBuf::from))?
    })
}

/// Where something is mounted in `dir`, in the order in which it was.
pub fn mount_points(dir: &Path) -> Vec<PathBuf> {
    let lines = mounts(dir);
    let places = lines.iter().filter_map(|line| line.split(' ').nth(4));
    places.map(PathBuf::from).collect()
}

fn mounts(dir: &Path) -> Vec<String> {
    let needle = dir.display().to_string();
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    text.lines()
        .filter(|line| line.contains(&needle))
        .map(str::to_owned)
        .collect()
}

/// Links of this machine: the instance's bridges and what is plugged into them.
pub fn links(instance: &str, bridge: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let root = Path::new("/sys/class/net");
    for bridge in bridges(instance, bridge) {
        let ports = fs::read_dir(root.join(&bridge).join("brif"))
            .into_iter()
            .flatten()
            .flatten();
        found.extend(ports.map(|port| port.file_name().to_string_lossy().into_owned()));
        found.insert(bridge);
    }
    found
}

/// The bridges of an instance: the one called `default`, and those that say so.
pub fn bridges(instance: &str, default: &str) -> Vec<String> {
    let mark = format!("weft:{instance}:");
    let links = fs::read_dir("/sys/class/net")
        .into_iter()
        .flatten()
        .flatten();
    let ours = links.filter(|link| {
        let alias = fs::read_to_string(link.path().join("ifalias")).unwrap_or_default();
        alias.starts_with(&mark) || link.file_name() == default
    });
    ours.map(|link| link.file_name().to_string_lossy().into_owned())
        .collect()
}

fn tables(instance: &str) -> Vec<String> {
    let nft = Command::new("nft").args(["list", "tables"]).output();
    let Ok(output) = nft else { return Vec::new() };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .filter(|line| line.split(' ').nth(2) == Some(instance))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Background;

    #[test]
    fn finds_a_process_by_its_directory() {
        let dir = tempfile::Builder::new()
            .prefix("weft-left-")
            .tempdir()
            .unwrap();
        let mut command = Command::new("sh");
        command
            .args(["-c", "echo up; read line; :", "sh"])
            .arg(dir.path())
            .stdin(std::process::Stdio::piped());
        let background = Background::start(command);
        background.says("up");
        assert_eq!(processes(dir.path()).len(), 1);
        drop(background);
        assert_eq!(of("no-such-instance", "", dir.path()), Vec::<String>::new());
        assert_eq!(of("", "", dir.path()), Vec::<String>::new());
    }
}
