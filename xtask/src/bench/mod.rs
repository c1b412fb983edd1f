//! `cargo xtask bench`: weft and its peers in turn on one machine, as ratios.
//!
//! Owns the order of cases and the table. Each phase runs in network and mount namespaces of its
//! own, so that what peers leave behind goes with them. Never part of the tests: it asserts
//! nothing.

mod crowd;
mod engines;
mod image;
mod memory;
mod pull;
mod runtimes;
mod stats;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::packages::{self, Need};

/// What the peers come from.
const PEERS: &[Need] = &[
    ("busybox", "busybox-static"),
    ("crun", "crun"),
    ("ctr", "containerd"),
    ("docker", "docker.io"),
    ("docker-registry", "docker-registry"),
    ("dockerd", "docker.io"),
    ("etcd", "etcd-server"),
    ("ip", "iproute2"),
    ("mkfs.ext4", "e2fsprogs"),
    ("iptables", "iptables"),
    ("podman", "podman"),
    ("runc", "runc"),
    ("skopeo", "skopeo"),
    ("strace", "strace"),
];

const PHASES: &[&str] = &[
    "engines", "runtimes", "pull", "memory", "crowd", "keyspace", "api", "pods",
];

/// Builds weft for release and runs the phases named, or all.
pub fn command(root: &Path, args: &[&str]) -> Result<bool> {
    if let ["--inside", phase, weft, load] = args {
        inside(phase, Path::new(weft), Path::new(load))?;
        return Ok(true);
    }
    if !rustix::process::geteuid().is_root() {
        bail!("the bench needs root: it starts engines and namespaces");
    }
    packages::ensure(PEERS)?;
    println!("building weft for release");
    let [weft, load] = crate::binary::build(root, ["weft", "weft-bench"], &["--release"])?;
    versions(&weft);
    let own = std::env::current_exe().context("find this program")?;
    for phase in PHASES
        .iter()
        .filter(|phase| args.is_empty() || args.contains(phase))
    {
        let mut unshare = Command::new("unshare");
        unshare
            .args(["--net", "--mount", "--propagation", "private"])
            .arg(&own);
        unshare.args(["bench", "--inside", phase]);
        unshare.arg(&weft).arg(&load);
        let status = unshare.status().context("start unshare")?;
        if !status.success() {
            println!("| {phase} | did not finish: {status} |");
        }
    }
    Ok(true)
}

/// Mounts an ext4 as machines have it at `dir`: one without a journal, as some test machines' root
/// is, searches among all that was deleted in the last minutes for each file it makes.
fn disk(dir: &Path) -> Result<PathBuf> {
    const BYTES: u64 = 24 << 30;
    let image = dir.with_extension("img");
    std::fs::File::create(&image)
        .and_then(|file| file.set_len(BYTES))
        .with_context(|| format!("make {}", image.display()))?;
    call("mkfs.ext4", &["-q", "-F"], &image)?;
    let source = image.display().to_string();
    call("mount", &["-o", "loop", &source], dir)?;
    Ok(image)
}

fn call<P: AsRef<OsStr>>(program: P, args: &[impl AsRef<OsStr>], at: &Path) -> Result<()> {
    let name = program.as_ref().display();
    let status = Command::new(&program).args(args).arg(at).status();
    let status = status.with_context(|| format!("start {name}"))?;
    if !status.success() {
        bail!("{name} {}: {status}", at.display());
    }
    Ok(())
}

fn inside(phase: &str, weft: &Path, load: &Path) -> Result<()> {
    let up = Command::new("ip")
        .args(["link", "set", "lo", "up"])
        .status()
        .context("start ip")?;
    if !up.success() {
        bail!("loopback cannot be brought up");
    }
    let dir = std::env::temp_dir().join(format!("weft-bench-{}", std::process::id()));
    std::fs::create_dir_all(&dir).with_context(|| format!("make {}", dir.display()))?;
    let disk = disk(&dir)?;
    // What does not survive a reboot everybody keeps in memory, as `/run` is.
    let run = dir.join("run");
    std::fs::create_dir_all(&run).with_context(|| format!("make {}", run.display()))?;
    call("mount", &["-t", "tmpfs", "bench"], &run)?;
    let done = match phase {
        "engines" => engines::run(weft, &dir),
        "runtimes" => runtimes::run(weft, &dir),
        "pull" => pull::run(weft, &dir),
        "memory" => memory::run(weft, &dir),
        "crowd" => crowd::run(weft, &dir),
        // A load that has to be fast is a program of its own: `bench/`.
        "keyspace" => call(load, &[Path::new("keyspace")], &dir),
        "api" => call(load, &[Path::new("api"), weft], &dir),
        "pods" => {
            let image = image::small(&dir)?;
            call(load, &[Path::new("pods"), weft, &image], &dir)
        }
        other => bail!("no phase {other:?}; there are {}", PHASES.join(", ")),
    };
    call("umount", &["--lazy"], &run)?;
    call("umount", &["--lazy"], &dir)?;
    let removed = std::fs::remove_dir(&dir).and_then(|()| std::fs::remove_file(&disk));
    done.and(removed.with_context(|| format!("remove {}", dir.display())))
}

fn versions(weft: &Path) {
    let first = |program: &str, flag: &str| {
        let output = Command::new(program).arg(flag).output();
        let text = output
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default();
        text.lines().next().unwrap_or("not there").to_owned()
    };
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    println!("kernel {}", release.trim());
    println!("weft: {}", first(&weft.display().to_string(), "--version"));
    for peer in [
        "dockerd",
        "podman",
        "crun",
        "runc",
        "containerd",
        "skopeo",
        "etcd",
    ] {
        println!("{peer}: {}", first(peer, "--version"));
    }
    println!();
}
