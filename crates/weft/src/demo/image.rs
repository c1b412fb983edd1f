//! The root filesystem of the demo's image: this binary and the files it needs, as a tarball.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result};

const PAGE: &str = include_str!("page.html");

/// Writes `rootfs.tar` into `dir`; answers its path.
pub fn tarball(dir: &Path) -> Result<String> {
    let path = dir.join("rootfs.tar");
    let file = File::create(&path).with_context(|| format!("create {}", path.display()))?;
    let mut tar = tar::Builder::new(file);
    let mut binary = File::open("/proc/self/exe").context("open the weft binary")?;
    let size = binary.metadata().context("look at the weft binary")?.len();
    tar.append_data(&mut header(size, 0o755), "weft", &mut binary)
        .context("pack the weft binary")?;
    for (name, text) in [
        ("www/index.html", PAGE),
        ("etc/passwd", "root:x:0:0:root:/:/weft\n"),
    ] {
        tar.append_data(&mut header(text.len() as u64, 0o644), name, text.as_bytes())
            .with_context(|| format!("pack {name}"))?;
    }
    tar.into_inner()
        .and_then(|f| f.sync_all())
        .context("finish the tarball")?;
    Ok(path.to_string_lossy().into_owned())
}

fn header(size: u64, mode: u32) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    header.set_mode(mode);
    header
}
