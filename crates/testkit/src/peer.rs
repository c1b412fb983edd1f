//! The real programs tests work with. A missing one fails in CI and is skipped aloud elsewhere.
//! Owns finding them; never installs any (`cargo xtask test` does).

use std::path::{Path, PathBuf};
use std::process::Command;

/// Says why a test does not run; the runner counts these lines. In CI nothing may be skipped.
#[track_caller]
pub fn skip(reason: &str) {
    assert!(
        std::env::var_os("CI").is_none(),
        "in CI nothing is skipped: {reason}"
    );
    println!("SKIP {reason}");
}

/// Where a peer program is; `None`, said aloud, when it is not there.
#[track_caller]
pub fn peer(name: &str) -> Option<PathBuf> {
    let found = find(name);
    if found.is_none() {
        skip(&format!("{name} is not installed"));
    }
    found
}

/// Whether tests that change the kernel's state can run at all.
#[track_caller]
pub fn root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skip("needs root");
    }
    root
}

/// The real docker command, pointed at a socket.
#[track_caller]
pub fn docker(socket: &Path) -> Option<Command> {
    let mut command = Command::new(peer("docker")?);
    command
        .arg("--host")
        .arg(format!("unix://{}", socket.display()));
    for inherited in [
        "DOCKER_HOST",
        "DOCKER_CONTEXT",
        "DOCKER_TLS_VERIFY",
        "DOCKER_CERT_PATH",
    ] {
        command.env_remove(inherited);
    }
    Some(command)
}

/// The kubectl that is spoken of here, where there are several.
const KUBECTL: &str = "kubectl.1.32";

fn find(name: &str) -> Option<PathBuf> {
    let found = find_first(name)?;
    if name != "kubectl" {
        return Some(found);
    }
    // What is called so may only choose, by the version that the server says it has.
    let versions = std::fs::canonicalize(&found).ok();
    let spoken_of = versions.map(|path| path.with_file_name(KUBECTL));
    Some(spoken_of.filter(|path| path.is_file()).unwrap_or(found))
}

fn find_first(name: &str) -> Option<PathBuf> {
    let path = std::env::var("PATH").unwrap_or_default();
    let dirs = path
        .split(':')
        .chain(["/usr/local/sbin", "/usr/sbin", "/sbin"]);
    dirs.map(PathBuf::from)
        .chain(unpacked())
        .map(|dir| dir.join(name))
        .find(|candidate| candidate.is_file())
}

/// Where `cargo xtask test` puts programs beside those that are installed (`kubectl-1.20`).
fn unpacked() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".cache")))?;
    Some(cache.join("weft/peers"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_programs() {
        assert!(find("sh").is_some());
        assert_eq!(find("no-such-program-anywhere"), None);
    }
}
