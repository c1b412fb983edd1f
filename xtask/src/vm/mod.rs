//! `cargo xtask vm`: what the test machine's kernel cannot show, on a Debian kernel in qemu.
//!
//! Owns the virtual machine: kernel, disk, boots and cuts. Never needs hardware support: it is
//! emulated in software. The checks are in `inside`, which runs as the machine's first process.

mod checks;
mod disk;
pub mod inside;
mod kernel;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::count::Tally;
use crate::{binary, lane, packages};

/// A boot with its checks; emulation is slow and the cores are shared.
const BOOT_MAX: Duration = Duration::from_secs(600);
/// Said by the machine when its power is to be cut.
const CUT: &str = "VM CUT";
/// Said by the machine when a phase is through.
pub const END: &str = "VM END";

/// Runs all phases; true when nothing failed.
pub fn command(root: &Path) -> Result<bool> {
    let tally = run(root)?;
    println!("{tally}");
    Ok(tally.failed == 0)
}

/// Runs all phases and counts their checks.
pub fn run(root: &Path) -> Result<Tally> {
    if !cfg!(target_arch = "x86_64") {
        println!("SKIP the virtual machine is made for x86_64");
        return Ok(Tally {
            skipped: 1,
            ..Tally::default()
        });
    }
    packages::ensure(packages::VM)?;
    let dir = directory(root)?;
    let kernel = kernel::ensure(&dir)?;
    let weft = binary::beside_tests(root, "weft")?;
    let initramfs = kernel::initramfs(&kernel, &dir)?;
    let disk = disk::make(&dir, &weft)?;
    let mut total = Tally::default();
    // A reboot lies between the first two, a power cut between the last two.
    for phase in ["limits", "reboot", "cut"] {
        let machine = qemu(&kernel.image, &initramfs, &disk, phase);
        let outcome = lane::run_until(&format!("vm {phase}"), machine, BOOT_MAX, |line| {
            line.starts_with(CUT)
        })?;
        total += outcome.tally;
        let silent = outcome.tally.passed + outcome.tally.failed == 0;
        total += Tally {
            failed: u64::from(silent || !outcome.ok),
            ..Tally::default()
        };
    }
    std::fs::remove_file(&disk).with_context(|| format!("remove {}", disk.display()))?;
    Ok(total)
}

/// Where kernel and disk are kept between runs: beside cargo's own output.
fn directory(root: &Path) -> Result<PathBuf> {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let dir = target.join("vm");
    std::fs::create_dir_all(&dir).with_context(|| format!("make {}", dir.display()))?;
    Ok(dir)
}

fn qemu(kernel: &Path, initramfs: &Path, disk: &Path, phase: &str) -> Command {
    // Whatever ends this program ends the machine.
    let mut qemu = Command::new("setpriv");
    qemu.args(["--pdeathsig", "KILL", "--", "qemu-system-x86_64"]);
    qemu.args([
        "-accel",
        "tcg,thread=multi",
        "-cpu",
        "max",
        "-smp",
        "2",
        "-m",
        "1024",
    ]);
    qemu.args([
        "-nographic",
        "-no-reboot",
        "-nic",
        "none",
        "-monitor",
        "none",
    ]);
    qemu.arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(initramfs);
    let words = format!("console=ttyS0 quiet panic=-1 weft.phase={phase}");
    qemu.args(["-append", &words]);
    let drive = format!(
        "file={},format=raw,if=virtio,cache=writeback",
        disk.display()
    );
    qemu.args(["-drive", &drive]);
    qemu
}
