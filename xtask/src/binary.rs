//! Building weft for the checks and races that run it from outside.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Builds weft, with cargo's `flags`, and says where it is.
pub fn build(root: &Path, flags: &[&str]) -> Result<PathBuf> {
    let args = [
        "build",
        "--locked",
        "--package",
        "weft",
        "--message-format",
        "json-render-diagnostics",
    ];
    let output = Command::new("cargo")
        .args(args)
        .args(flags)
        .current_dir(root)
        .stderr(Stdio::inherit())
        .output()
        .context("start cargo build")?;
    if !output.status.success() {
        bail!("cargo build failed");
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut executables = text
        .lines()
        .filter_map(|line| line.split_once("\"executable\":\"")?.1.split('"').next());
    let path = executables
        .next_back()
        .context("cargo names the binary it built")?;
    Ok(PathBuf::from(path))
}
