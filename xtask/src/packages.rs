//! Installs the Debian packages a lane needs, by name, saying so.
//!
//! Owns apt-get. Never starts a daemon of a package: while it installs, `policy-rc.d` says no.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// A program and the Debian package that brings it.
pub type Need = (&'static str, &'static str);

/// What `cargo xtask test` needs beside Rust.
pub const TEST: &[Need] = &[
    ("busybox", "busybox-static"),
    ("crun", "crun"),
    ("curl", "curl"),
    ("debootstrap", "debootstrap"),
    ("docker", "docker.io"),
    ("docker-registry", "docker-registry"),
    ("ip", "iproute2"),
    ("kubectl", "kubernetes-client"),
    ("nft", "nftables"),
    ("openssl", "openssl"),
    ("runc", "runc"),
    ("skopeo", "skopeo"),
    ("strace", "strace"),
];

/// What `cargo xtask vm` needs.
pub const VM: &[Need] = &[
    ("busybox", "busybox-static"),
    ("mke2fs", "e2fsprogs"),
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("xz", "xz-utils"),
];

/// Installs those of `needs` whose program is not on the PATH. Without root, says what is missing
/// and carries on: the tests that need it skip aloud.
pub fn ensure(needs: &[Need]) -> Result<()> {
    let missing: Vec<&str> = needs
        .iter()
        .filter(|(program, _)| find(program).is_none())
        .map(|(_, package)| *package)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    if !rustix::process::geteuid().is_root() {
        println!(
            "not installed, and not root to install them: {}",
            missing.join(" ")
        );
        return Ok(());
    }
    println!("installing Debian packages: {}", missing.join(" "));
    let _quiet = NoDaemons::new(Path::new("/usr/sbin/policy-rc.d"))?;
    apt(&["update", "--quiet=2"])?;
    let mut install = vec!["install", "--yes", "--quiet=2", "--no-install-recommends"];
    install.extend(&missing);
    apt(&install)
}

/// Where `program` is on the PATH or in the usual system directories.
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':')
        .chain(["/usr/sbin", "/sbin", "/usr/local/sbin"])
        .map(|dir| Path::new(dir).join(program))
        .find(|candidate| candidate.is_file())
}

/// Downloads the newest version of `package` into `dir` without installing it.
pub fn download(package: &str, dir: &Path) -> Result<()> {
    let status = Command::new("apt-get")
        .args(["download", package])
        .current_dir(dir)
        .status()
        .context("start apt-get")?;
    if !status.success() {
        bail!("apt-get download {package} failed: {status}; does `apt-get update` work?");
    }
    Ok(())
}

/// The packages `package` depends on, as apt knows them; brings the lists up to date if need be.
pub fn depends(package: &str) -> Result<Vec<String>> {
    let ask = || -> Result<Vec<String>> {
        let output = Command::new("apt-cache")
            .args(["depends", package])
            .output()
            .context("start apt-cache")?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Ok(text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("Depends: ").map(str::to_owned))
            .collect())
    };
    let known = ask()?;
    if known.is_empty() {
        apt(&["update", "--quiet=2"])?;
        return ask();
    }
    Ok(known)
}

fn apt(args: &[&str]) -> Result<()> {
    let status = Command::new("apt-get")
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .status()
        .context("start apt-get (the tests' packages come from Debian)")?;
    if !status.success() {
        bail!("apt-get {} failed: {status}", args.join(" "));
    }
    Ok(())
}

/// While this lives, package scripts may not start services.
struct NoDaemons(Option<PathBuf>);

impl NoDaemons {
    fn new(path: &Path) -> Result<NoDaemons> {
        if path.exists() {
            return Ok(NoDaemons(None));
        }
        fs::write(path, "#!/bin/sh\nexit 101\n")
            .with_context(|| format!("write {}", path.display()))?;
        fs::set_permissions(path, Permissions::from_mode(0o755))
            .with_context(|| format!("chmod {}", path.display()))?;
        Ok(NoDaemons(Some(path.to_owned())))
    }
}

impl Drop for NoDaemons {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_programs_by_name() {
        assert!(find("sh").is_some());
        assert_eq!(find("no-such-program-anywhere"), None);
    }

    #[test]
    fn the_policy_file_is_there_only_meanwhile_and_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("policy-rc.d");
        {
            let _guard = NoDaemons::new(&path).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), "#!/bin/sh\nexit 101\n");
        }
        assert!(!path.exists());
        fs::write(&path, "mine").unwrap();
        drop(NoDaemons::new(&path).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }
}
