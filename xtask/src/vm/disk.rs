//! The virtual machine's disk: an ext4 file system with weft, busybox and a tree to make an image
//! of. Owns its contents; it is made without mounting anything.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::packages;

const SIZE: &str = "2G";
const APPLETS: &[&str] = &[
    "cat", "dd", "echo", "grep", "head", "httpd", "ls", "mknod", "sh", "sleep", "tail", "true",
    "wc", "wget", "seq", "kill",
];

/// Makes the disk.
pub fn make(dir: &Path, weft: &Path) -> Result<PathBuf> {
    let tree = dir.join("tree");
    let _ = fs::remove_dir_all(&tree);
    for part in [
        "bin",
        "dev",
        "proc",
        "sys",
        "run",
        "tmp",
        "var/lib",
        "etc",
        "image/bin",
        "image/etc",
        "image/tmp",
    ] {
        fs::create_dir_all(tree.join(part)).with_context(|| format!("make {part} of the disk"))?;
    }
    let busybox = packages::find("busybox").context("busybox-static is installed")?;
    copy(weft, &tree.join("bin/weft"))?;
    strip(&tree.join("bin/weft"));
    copy(&busybox, &tree.join("bin/busybox"))?;
    copy(&busybox, &tree.join("image/bin/busybox"))?;
    for applet in APPLETS {
        symlink("busybox", tree.join("image/bin").join(applet)).context("link an applet")?;
    }
    fs::write(tree.join("image/etc/passwd"), "root:x:0:0::/:/bin/sh\n").context("write passwd")?;
    let disk = dir.join("disk");
    let _ = fs::remove_file(&disk);
    let made = Command::new("mke2fs")
        .args(["-q", "-t", "ext4", "-d"])
        .arg(&tree)
        .arg(&disk)
        .arg(SIZE)
        .status()
        .context("start mke2fs")?;
    if !made.success() {
        bail!("mke2fs could not make {}", disk.display());
    }
    let _ = fs::remove_dir_all(&tree);
    Ok(disk)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to).with_context(|| format!("copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

/// Smaller loads faster under emulation; without the program it is merely slower.
fn strip(binary: &Path) {
    let _ = Command::new("strip")
        .arg("--strip-debug")
        .arg(binary)
        .status();
}
