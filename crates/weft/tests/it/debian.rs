//! A whole distribution, made by debootstrap, pushed by skopeo, pulled and used: thousands of real
//! files with all their owners, modes, links and capabilities.

use std::fs;
use std::process::Command;

use serde_json::json;
use weft_testkit::image::Image;
use weft_testkit::registry::Access;
use weft_testkit::{Registry, Weft, command};

use crate::WEFT;
use crate::distribution::tree;

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
