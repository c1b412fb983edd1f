//! A whole distribution, made by debootstrap, pushed by skopeo, pulled and used: thousands of real
//! files with all their owners, modes, links and capabilities.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::json;
use weft_testkit::image::Image;
use weft_testkit::registry::Access;
use weft_testkit::{Registry, Weft, command, peer};

use crate::WEFT;

/// debootstrap downloads and unpacks some two hundred packages.
const BOOTSTRAP_MAX: Duration = Duration::from_secs(900);

/// The tree as a tar, made once per build directory.
fn tree() -> Option<PathBuf> {
    peer::peer("debootstrap")?;
    if !peer::root() {
        return None;
    }
    let kept = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("debian.tar");
    if kept.exists() {
        return Some(kept);
    }
    let dir = tempfile::Builder::new()
        .prefix("weft-debian-")
        .tempdir_in(env!("CARGO_TARGET_TMPDIR"))
        .unwrap();
    let root = dir.path().join("root");
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let suite = release
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .unwrap_or("stable");
    let mut debootstrap = Command::new("debootstrap");
    debootstrap
        .args(["--variant=minbase", suite])
        .arg(&root)
        .env_remove("TMPDIR");
    command::run(debootstrap, b"", BOOTSTRAP_MAX).ok();
    let made = dir.path().join("debian.tar");
    let mut tar = Command::new("tar");
    tar.arg("--numeric-owner")
        .arg("--xattrs")
        .arg("-C")
        .arg(&root)
        .arg("-cf")
        .arg(&made)
        .arg(".");
    command::run(tar, b"", BOOTSTRAP_MAX).ok();
    fs::rename(made, &kept).unwrap();
    Some(kept)
}

#[test]
fn a_distribution_is_pulled_whole_and_works() {
    let Some(tree) = tree() else { return };
    let Some(registry) = Registry::start(Access::Plain).unwrap() else {
        return;
    };
    let image = Image::new("debian:1", json!({ "Cmd": ["bash"] })).layer(fs::read(&tree).unwrap());
    registry.push(&image.archive(), "debian:1").unwrap();
    drop(image);
    let Some(weft) = Weft::empty(WEFT) else {
        return;
    };
    let name = format!("{}/debian:1", registry.host());
    weft.ok(&["pull", &name]);

    let run = |script: &str| weft.ok(&["run", "--rm", &name, "bash", "-c", script]);
    assert!(
        run("dpkg --audit && dpkg -l | wc -l")
            .trim()
            .parse::<u32>()
            .unwrap()
            > 80
    );
    assert_eq!(run("perl -e 'print 6*7'"), "42");
    assert_eq!(
        run("stat -c '%a %U:%G' /etc/shadow /usr/bin/passwd /var/mail /tmp"),
        "640 root:shadow\n4755 root:root\n2775 root:mail\n1777 root:root"
    );
    // Every file dpkg knows the sum of is as it was packed.
    assert_eq!(
        run("cd / && cat /var/lib/dpkg/info/*.md5sums | md5sum --quiet --check - 2>&1 | tail -3"),
        ""
    );
    // The tree is the tar, entry for entry.
    let mut tar = Command::new("tar");
    tar.args(["--numeric-owner", "-tvf"]).arg(&tree);
    let packed = command::run(tar, b"", command::LIMIT).ok().lines().count();
    let there = run(
        "find / -xdev \\( -path /dev -o -path /proc -o -path /sys \\) -prune -o -print | wc -l",
    );
    let missing = packed.abs_diff(there.trim().parse::<usize>().unwrap());
    // Differences: /dev's nodes, and the files weft puts into /etc.
    assert!(missing < 60, "{packed} entries packed, {there} there");
}
