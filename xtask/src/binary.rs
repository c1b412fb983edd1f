//! Building weft, and what is measured beside it, for the checks and races that run them from
//! outside.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Builds these packages, with cargo's `flags`, and says where their binaries are.
pub fn build<const N: usize>(
    root: &Path,
    packages: [&str; N],
    flags: &[&str],
) -> Result<[PathBuf; N]> {
    let named = packages.iter().flat_map(|package| ["--package", package]);
    let args: Vec<&str> = named.chain(flags.iter().copied()).collect();
    let messages = messages(root, &args)?;
    let found: Result<Vec<_>> = packages
        .map(|name| find(&messages, name))
        .into_iter()
        .collect();
    found?
        .try_into()
        .map_err(|_| anyhow::anyhow!("a binary is missing"))
}

/// Builds one binary with the features the tests have: alone it would have fewer, and all that
/// depends on them would be compiled a second time.
pub fn beside_tests(root: &Path, name: &str) -> Result<PathBuf> {
    // Only where a test is built, too, does cargo count the features tests ask for.
    let messages = messages(root, &["--workspace", "--bin", name, "--test", "it"])?;
    find(&messages, name)
}

/// What cargo says of a build.
fn messages(root: &Path, args: &[&str]) -> Result<String> {
    let usual = [
        "build",
        "--locked",
        "--message-format",
        "json-render-diagnostics",
    ];
    let output = Command::new("cargo")
        .args(usual)
        .args(args)
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()
        .context("start cargo build")?;
    if !output.status.success() {
        bail!("cargo build failed");
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn find(messages: &str, name: &str) -> Result<PathBuf> {
    executable(messages, name).with_context(|| format!("cargo does not name the binary of {name}"))
}

/// The binary called `name` in cargo's messages.
fn executable(messages: &str, name: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| line.split_once("\"executable\":\"")?.1.split('"').next())
        .map(PathBuf::from)
        .find(|path| path.file_name().is_some_and(|own| own == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binaries_are_found_by_their_name() {
        let messages = "{\"reason\":\"compiler-artifact\",\"executable\":null}\n\
                        {\"executable\":\"/t/weft-bench\",\"fresh\":true}\n\
                        {\"executable\":\"/t/weft\",\"fresh\":true}\n";
        assert_eq!(executable(messages, "weft"), Some("/t/weft".into()));
        assert_eq!(
            executable(messages, "weft-bench"),
            Some("/t/weft-bench".into())
        );
        assert_eq!(executable(messages, "xtask"), None);
    }
}
