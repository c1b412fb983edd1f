//! The first process of the virtual machine: makes a usable system, runs a phase's checks, says
//! how they went on the console, and turns the machine off.
//!
//! Owns everything that happens inside. Never runs on the test machine.

use std::ffi::CStr;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::event::{Timespec, poll};
use rustix::mount::{MountFlags, mount, mount_move};
use rustix::process::{chdir, chroot};
use rustix::system::{RebootCommand, finit_module, reboot};

use super::{END, checks};

/// How long anything may take under emulation.
const SOON: Duration = Duration::from_secs(60);

/// Lines of the kernel's log shown after a failed check.
const KERNEL_LINES_MAX: usize = 5;

/// Runs as `/init`; does not return.
pub fn main() -> ! {
    // The firmware leaves its own last line unfinished.
    println!();
    if let Err(error) = boot().and_then(|()| phase()) {
        println!("VM FAILED boot: {error:#}");
    }
    println!("{END}");
    rustix::fs::sync();
    let _ = reboot(RebootCommand::PowerOff);
    loop {
        pause();
    }
}

/// From the initramfs to the disk: pivot_root, which containers need, refuses an initramfs.
fn boot() -> Result<()> {
    mount_at("devtmpfs", "/dev", c"")?;
    mount_at("proc", "/proc", c"")?;
    let mut modules: Vec<_> = fs::read_dir("/modules")
        .context("list /modules")?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    modules.sort();
    for module in modules {
        let file = fs::File::open(&module).with_context(|| format!("open {}", module.display()))?;
        if let Err(error) = finit_module(file, c"", 0) {
            println!("load {}: {error}", module.display());
        }
    }
    wait("the disk", || Path::new("/dev/vda").exists())?;
    mount("/dev/vda", "/disk", "ext4", MountFlags::empty(), c"").context("mount the disk")?;
    mount_move("/dev", "/disk/dev").context("move /dev")?;
    mount_move("/proc", "/disk/proc").context("move /proc")?;
    chdir("/disk").context("enter the disk")?;
    mount_move("/disk", "/").context("make the disk the root")?;
    chroot(".").context("make the disk the root")?;
    chdir("/").context("enter the root")?;
    mount_at("sysfs", "/sys", c"")?;
    mount_at("cgroup2", "/sys/fs/cgroup", c"")?;
    mount_at("tmpfs", "/run", c"mode=755")?;
    mount_at("tmpfs", "/tmp", c"")?;
    busybox(&["ip", "link", "set", "lo", "up"])?;
    Ok(())
}

fn mount_at(kind: &str, at: &str, data: &CStr) -> Result<()> {
    mount(kind, at, kind, MountFlags::empty(), data)
        .with_context(|| format!("mount {kind} on {at}"))
}

fn phase() -> Result<()> {
    let words = fs::read_to_string("/proc/cmdline").context("read /proc/cmdline")?;
    let phase = words
        .split_whitespace()
        .find_map(|word| word.strip_prefix("weft.phase="))
        .unwrap_or_default();
    match phase {
        "limits" => checks::limits(),
        "reboot" => checks::after_reboot(),
        "cut" => checks::after_cut(),
        other => bail!("no phase {other:?}"),
    }
    Ok(())
}

/// Runs one check and says how it went.
pub fn check(name: &str, run: impl FnOnce() -> Result<()>) {
    match run() {
        Ok(()) => println!("VM ok {name}"),
        Err(error) => {
            println!(
                "VM FAILED {name}: {}",
                format!("{error:#}").replace('\n', " | ")
            );
            // What the kernel had to say about it, if anything.
            let log = busybox(&["dmesg", "-c"]).unwrap_or_default();
            // Ports of bridges come and go all the time.
            let telling = |line: &&str| {
                !["weft0", " wv", "link becomes"]
                    .iter()
                    .any(|dull| line.contains(dull))
            };
            for line in log.lines().rev().filter(telling).take(KERNEL_LINES_MAX) {
                println!("  kernel: {line}");
            }
        }
    }
}

/// Runs weft, which must end with `code`, and returns what it printed.
pub fn weft(args: &[&str], code: i32) -> Result<String> {
    let output = Command::new("/bin/weft")
        .args(args)
        .env("PATH", "/bin")
        .output()
        .context("start weft")?;
    let said = String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned();
    if output.status.code() != Some(code) {
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        bail!(
            "weft {} ended with {}: {said} {why}",
            args.join(" "),
            output.status
        );
    }
    Ok(said)
}

/// Runs weft, which must end with `code` and print `expected`.
pub fn expect(args: &[&str], code: i32, expected: &str) -> Result<()> {
    let said = weft(args, code)?;
    ensure!(
        said == expected,
        "weft {} said {said:?}, not {expected:?}",
        args.join(" ")
    );
    Ok(())
}

/// Runs a busybox applet and returns what it printed.
pub fn busybox(args: &[&str]) -> Result<String> {
    let output = Command::new("/bin/busybox")
        .args(args)
        .env("PATH", "/bin")
        .output()
        .context("start busybox")?;
    ensure!(
        output.status.success(),
        "busybox {}: {}",
        args.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Waits until `condition` holds.
pub fn wait(what: &str, condition: impl Fn() -> bool) -> Result<()> {
    let began = Instant::now();
    while !condition() {
        ensure!(
            began.elapsed() < SOON,
            "not within {} s: {what}",
            SOON.as_secs()
        );
        pause();
    }
    Ok(())
}

/// The machine has no event for what is waited for here, so it looks again.
pub fn pause() {
    let _ = poll(
        &mut [],
        Some(&Timespec {
            tv_sec: 0,
            tv_nsec: 100_000_000,
        }),
    );
}
