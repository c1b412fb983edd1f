//! What a test run must leave as it was: processes, cgroups, mounts, namespaces, links, firewall
//! rules, sockets, temporary files, and the host's device nodes.
//!
//! Owns reading the machine's state and comparing two readings. Never cleans up: what is left is
//! somebody's bug and is named.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::event::{Timespec, poll};

use crate::packages;

/// How long the kernel may take to finish what was asked of it (links die after an RCU pause).
const SETTLE_MAX: Duration = Duration::from_secs(20);

const DEVICES: &[&str] = &["null", "zero", "full", "random", "urandom", "tty", "ptmx"];

/// One reading of the machine: kind of thing → the things, each as one line.
pub type Reading = BTreeMap<&'static str, BTreeSet<String>>;

/// Reads everything a test could leave behind.
pub fn read() -> Result<Reading> {
    let mountinfo =
        fs::read_to_string("/proc/self/mountinfo").context("read /proc/self/mountinfo")?;
    let processes = processes()?;
    Ok(BTreeMap::from([
        ("process", processes.foreign),
        ("network namespace", processes.netns),
        ("cgroup", cgroups(&mountinfo)),
        ("mount", mounts(&mountinfo)),
        ("link", names_in(Path::new("/sys/class/net"))),
        ("firewall rule", firewall()),
        (
            "socket",
            sockets(&fs::read_to_string("/proc/net/unix").unwrap_or_default()),
        ),
        (
            "temporary file",
            names_in(&std::env::temp_dir())
                .into_iter()
                .filter(|n| n.starts_with("weft"))
                .collect(),
        ),
        ("device node", devices(Path::new("/dev"))),
    ]))
}

/// Differences between `before` and now, one line each, after giving the kernel time to settle.
pub fn since(before: &Reading) -> Result<Vec<String>> {
    let began = Instant::now();
    loop {
        let left = differences(before, &read()?);
        if left.is_empty() || began.elapsed() > SETTLE_MAX {
            return Ok(left);
        }
        // No event tells that the last RCU callback ran, so this one place looks again.
        poll(
            &mut [],
            Some(&Timespec {
                tv_sec: 0,
                tv_nsec: 200_000_000,
            }),
        )
        .context("wait")?;
    }
}

fn differences(before: &Reading, after: &Reading) -> Vec<String> {
    let mut lines = Vec::new();
    for (kind, was) in before {
        let is = &after[kind];
        lines.extend(
            is.difference(was)
                .map(|thing| format!("{kind} left behind: {thing}")),
        );
        lines.extend(
            was.difference(is)
                .map(|thing| format!("{kind} gone: {thing}")),
        );
    }
    // Other people's processes may end while we run; only ours appearing is our doing.
    lines.retain(|line| {
        !line.starts_with("process gone") && !line.starts_with("network namespace gone")
    });
    lines
}

struct Processes {
    foreign: BTreeSet<String>,
    netns: BTreeSet<String>,
}

/// Processes that are weft's or live in another pid namespace, and all network namespaces in use.
fn processes() -> Result<Processes> {
    let own_pid_ns = fs::read_link("/proc/self/ns/pid").context("read /proc/self/ns/pid")?;
    let mut found = Processes {
        foreign: BTreeSet::new(),
        netns: BTreeSet::new(),
    };
    for pid in names_in(Path::new("/proc"))
        .iter()
        .filter(|name| name.bytes().all(|b| b.is_ascii_digit()))
    {
        let dir = Path::new("/proc").join(pid);
        let Ok(pid_ns) = fs::read_link(dir.join("ns/pid")) else {
            continue;
        };
        if let Ok(netns) = fs::read_link(dir.join("ns/net")) {
            found.netns.insert(netns.display().to_string());
        }
        let exe = fs::read_link(dir.join("exe")).unwrap_or_default();
        if pid_ns != own_pid_ns || is_weft(&exe) {
            let command = fs::read(dir.join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            found
                .foreign
                .insert(format!("{pid} {} ({})", command.trim_end(), exe.display()));
        }
    }
    Ok(found)
}

fn is_weft(exe: &Path) -> bool {
    let name = exe.file_name().unwrap_or_default().to_string_lossy();
    let name = name.trim_end_matches(" (deleted)");
    name == "weft" || name.starts_with("memfd:weft")
}

fn cgroups(mountinfo: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let root = mountinfo.lines().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        right
            .starts_with("cgroup2 ")
            .then(|| PathBuf::from(left.split(' ').nth(4).unwrap_or_default()))
    });
    let mut todo: Vec<PathBuf> = root.into_iter().collect();
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                found.insert(entry.path().display().to_string());
                todo.push(entry.path());
            }
        }
    }
    // A systemd machine starts and stops its own services meanwhile.
    found.retain(|path| {
        ![".slice", ".service", ".scope"]
            .iter()
            .any(|part| path.contains(part))
    });
    found
}

fn mounts(mountinfo: &str) -> BTreeSet<String> {
    let line = |line: &str| -> Option<String> {
        let (left, right) = line.split_once(" - ")?;
        let left: Vec<&str> = left.split(' ').collect();
        Some(format!(
            "{} on {} type {}",
            left.get(3)?,
            left.get(4)?,
            right.split(' ').next()?
        ))
    };
    mountinfo.lines().filter_map(line).collect()
}

/// The ruleset without counters, one entry per line and table.
fn firewall() -> BTreeSet<String> {
    let Some(nft) = packages::find("nft") else {
        return BTreeSet::new();
    };
    let Ok(output) = Command::new(nft).args(["-s", "list", "ruleset"]).output() else {
        return BTreeSet::new();
    };
    let mut table = String::new();
    let mut found = BTreeSet::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        if line.starts_with("table ") {
            table = line.trim_end_matches(" {").to_owned();
        }
        found.insert(format!("{table}: {}", line.trim()));
    }
    found
}

fn sockets(proc_net_unix: &str) -> BTreeSet<String> {
    proc_net_unix
        .lines()
        .filter_map(|line| line.split_whitespace().nth(7))
        .filter(|path| path.contains("weft"))
        .map(str::to_owned)
        .collect()
}

fn devices(dev: &Path) -> BTreeSet<String> {
    let describe = |name: &&str| {
        let path = dev.join(name);
        match fs::symlink_metadata(&path) {
            Ok(meta) => format!(
                "{} mode {:o} owner {}:{} device {:x}",
                path.display(),
                meta.mode(),
                meta.uid(),
                meta.gid(),
                meta.rdev()
            ),
            Err(error) => format!("{}: {error}", path.display()),
        }
    };
    DEVICES.iter().map(describe).collect()
}

fn names_in(dir: &Path) -> BTreeSet<String> {
    fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_is_new_and_what_is_gone() {
        let before =
            Reading::from([("link", BTreeSet::from(["lo".to_owned(), "eth0".to_owned()]))]);
        let after = Reading::from([(
            "link",
            BTreeSet::from(["lo".to_owned(), "veth1".to_owned()]),
        )]);
        assert_eq!(
            differences(&before, &after),
            ["link left behind: veth1", "link gone: eth0"]
        );
        assert_eq!(differences(&before, &before), Vec::<String>::new());
    }

    #[test]
    fn a_changed_device_node_is_a_difference() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("null"), "").unwrap();
        let before = Reading::from([("device node", devices(dir.path()))]);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(dir.path().join("null"), mode).unwrap();
        let after = Reading::from([("device node", devices(dir.path()))]);
        assert_eq!(differences(&before, &after).len(), 2);
    }

    #[test]
    fn reads_mountinfo() {
        let text = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n41 31 0:38 /a /mnt rw - ext4 /dev/x rw\n";
        let expected = BTreeSet::from([
            "/ on /sys/fs/cgroup type tmpfs".to_owned(),
            "/a on /mnt type ext4".to_owned(),
        ]);
        assert_eq!(mounts(text), expected);
    }

    #[test]
    fn knows_weft_processes_and_sockets() {
        assert!(is_weft(Path::new("/usr/bin/weft")));
        assert!(is_weft(Path::new("/memfd:weft (deleted)")));
        assert!(!is_weft(Path::new("/usr/bin/weftless")));
        let text = "Num RefCount Protocol Flags Type St Inode Path\n0: 2 0 1 1 1 7 /tmp/weft-x/engine.sock\n0: 2 0 1 1 1 8 /run/other\n";
        assert_eq!(
            sockets(text),
            BTreeSet::from(["/tmp/weft-x/engine.sock".to_owned()])
        );
    }

    #[test]
    fn reads_this_machine() {
        let reading = read().unwrap();
        assert!(reading["link"].contains("lo"));
        assert_eq!(reading["device node"].len(), DEVICES.len());
    }
}
