//! Installs the Debian packages a lane needs, by name, saying so.
//!
//! Owns apt-get, and programs beside those that are installed: they are unpacked into the user's
//! cache. Never starts a daemon of a package: while it installs, `policy-rc.d` says no.

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
    ("wrk", "wrk"),
];

/// A program that is unpacked into the user's cache, for another version may be installed.
pub struct Beside {
    /// What tests call it.
    name: &'static str,
    package: &'static str,
    /// Where it is in the package.
    path: &'static str,
    /// How what its `version` command says begins.
    version: (&'static [&'static str], &'static str),
}

/// The kubectl of Debian 12: what old clients ask for differs.
pub const OLD_KUBECTL: Beside = Beside {
    name: "kubectl-1.20",
    package: "kubernetes-client",
    path: "usr/bin/kubectl",
    version: (
        &["version", "--client", "--short"],
        "Client Version: v1.20.",
    ),
};

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

/// Unpacks a program into the user's cache, where `weft_testkit::peer` finds it. Where Debian has
/// another version, says so: the tests that need it skip aloud.
pub fn beside(wanted: &Beside) -> Result<()> {
    let Some(dir) = peers() else {
        println!(
            "neither XDG_CACHE_HOME nor HOME says where to put {}",
            wanted.name
        );
        return Ok(());
    };
    let program = dir.join(wanted.name);
    if program.is_file() {
        return Ok(());
    }
    fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
    let work = tempfile::tempdir_in(&dir).context("create a directory to unpack in")?;
    println!(
        "unpacking the Debian package {} (it is not installed)",
        wanted.package
    );
    if download(wanted.package, work.path()).is_err() {
        // The lists of a fresh machine are old, or none.
        apt(&["update", "--quiet=2"])?;
        download(wanted.package, work.path())?;
    }
    let is_package = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "deb");
    let mut files = fs::read_dir(work.path())?
        .flatten()
        .map(|entry| entry.path());
    let package = files.find(is_package).context("the package is there")?;
    let status = Command::new("dpkg-deb")
        .arg("-x")
        .args([&package, work.path()])
        .status()
        .context("start dpkg-deb")?;
    if !status.success() {
        bail!("dpkg-deb could not unpack {}", package.display());
    }
    let unpacked = work.path().join(wanted.path);
    let (ask, begin) = wanted.version;
    let said = Command::new(&unpacked).args(ask).output();
    let said = said.with_context(|| format!("start {}", unpacked.display()))?;
    if !String::from_utf8_lossy(&said.stdout).starts_with(begin) {
        println!(
            "Debian's {} here is another version than {}",
            wanted.package, wanted.name
        );
        return Ok(());
    }
    fs::rename(&unpacked, &program).with_context(|| format!("put {} in place", program.display()))
}

/// Where programs of no package that is installed are.
fn peers() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".cache")))?;
    Some(cache.join("weft/peers"))
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
