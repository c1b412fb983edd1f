//! Images for the bench: a program that only exits, and a large tree.
//! Owns their bytes, which are the same on every run; never leaves its directory.

use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

/// A static program of a hundred-odd bytes that exits with 0, so that the payload's own start is
/// as good as nothing.
pub fn exit_program() -> Vec<u8> {
    #[cfg(target_arch = "x86_64")]
    // xor edi,edi; mov eax,60; syscall
    let (machine, code): (u8, &[u8]) = (62, &[0x31, 0xff, 0xb8, 60, 0, 0, 0, 0x0f, 0x05]);
    #[cfg(target_arch = "aarch64")]
    // mov x0,0; mov x8,93; svc 0
    let (machine, code): (u8, &[u8]) = (
        183,
        &[0, 0, 0x80, 0xd2, 0xa8, 0x0b, 0x80, 0xd2, 1, 0, 0, 0xd4],
    );
    const BASE: u64 = 0x40_0000;
    const HEADERS: u64 = 64 + 56;
    let size = HEADERS + code.len() as u64;
    let mut elf = vec![
        0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, machine, 0, 1, 0, 0, 0,
    ];
    elf.extend_from_slice(&(BASE + HEADERS).to_le_bytes());
    elf.extend_from_slice(&64_u64.to_le_bytes());
    elf.extend_from_slice(&0_u64.to_le_bytes());
    elf.extend_from_slice(&[0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    elf.extend_from_slice(&[1, 0, 0, 0, 5, 0, 0, 0]);
    for number in [0, BASE, BASE, size, size, 0x1000] {
        elf.extend_from_slice(&number.to_le_bytes());
    }
    elf.extend_from_slice(code);
    elf
}

/// Writes `docker save`'s form of an image with `/true` and busybox: `bench:1`.
pub fn small(dir: &Path) -> Result<PathBuf> {
    let layer = dir.join("small-layer.tar");
    let mut tar = Tar::create(&layer)?;
    tar.dir("bin")?;
    tar.file("true", 0o755, &exit_program())?;
    tar.file(
        "bin/busybox",
        0o755,
        &fs::read("/bin/busybox").context("read busybox")?,
    )?;
    tar.finish()?;
    archive(dir, "bench:1", &[layer])
}

/// Writes the same form of a large image: five layers, 40,000 files, about half a gigabyte once
/// compressed: `large:1`.
pub fn large(dir: &Path) -> Result<PathBuf> {
    let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
    let mut layers = Vec::new();
    for layer in 0..5 {
        let path = dir.join(format!("large-layer{layer}.tar"));
        let mut tar = Tar::create(&path)?;
        for folder in 0..80 {
            let folder = format!("l{layer}/d{folder}");
            tar.dir(&folder)?;
            for file in 0..100 {
                // Mostly small files, some large: 1.4 KiB to 700 KiB.
                let large = if noise.next().is_multiple_of(16) {
                    4
                } else {
                    0
                };
                let size = 1400 << (noise.next() % 6) << large;
                tar.file(&format!("{folder}/f{file}"), 0o644, &noise.content(size))?;
            }
        }
        tar.finish()?;
        layers.push(path);
    }
    archive(dir, "large:1", &layers)
}

fn archive(dir: &Path, name: &str, layers: &[PathBuf]) -> Result<PathBuf> {
    let digests = layers
        .iter()
        .map(|layer| sha256(layer))
        .collect::<Result<Vec<_>>>()?;
    let architecture = if cfg!(target_arch = "aarch64") {
        "arm64"
    } else {
        "amd64"
    };
    let diff_ids: Vec<String> = digests
        .iter()
        .map(|digest| format!("\"sha256:{digest}\""))
        .collect();
    let config = format!(
        "{{\"architecture\":\"{architecture}\",\"os\":\"linux\",\"config\":{{\"Cmd\":[\"/true\"]}},\"rootfs\":{{\"type\":\"layers\",\"diff_ids\":[{}]}}}}",
        diff_ids.join(",")
    );
    let config_name = format!("{}.json", hex(&Sha256::digest(config.as_bytes())));
    let names: Vec<String> = digests
        .iter()
        .map(|digest| format!("\"{digest}/layer.tar\""))
        .collect();
    let manifest = format!(
        "[{{\"Config\":\"{config_name}\",\"RepoTags\":[\"{name}\"],\"Layers\":[{}]}}]",
        names.join(",")
    );
    let path = dir.join(format!("{}.tar", name.replace(':', "-")));
    let mut tar = Tar::create(&path)?;
    tar.file("manifest.json", 0o644, manifest.as_bytes())?;
    tar.file(&config_name, 0o644, config.as_bytes())?;
    for (layer, digest) in layers.iter().zip(&digests) {
        tar.stream(&format!("{digest}/layer.tar"), layer)?;
        fs::remove_file(layer).with_context(|| format!("remove {}", layer.display()))?;
    }
    tar.finish()?;
    Ok(path)
}

fn sha256(path: &Path) -> Result<String> {
    let mut file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    let mut hash = Sha256::new();
    let mut chunk = vec![0; 1 << 20];
    loop {
        let length = file
            .read(&mut chunk)
            .with_context(|| format!("read {}", path.display()))?;
        if length == 0 {
            return Ok(hex(&hash.finalize()));
        }
        hash.update(&chunk[..length]);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Content that compresses about two to one, the same on every run.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn content(&mut self, size: usize) -> Vec<u8> {
        let mut content = Vec::with_capacity(size + 16);
        while content.len() < size {
            content.extend_from_slice(&self.next().to_le_bytes());
            content.extend_from_slice(b"warp and weft, ");
        }
        content.truncate(size);
        content
    }
}

/// A plain ustar writer.
struct Tar(BufWriter<File>);

impl Tar {
    fn create(path: &Path) -> Result<Tar> {
        let file = File::create(path).with_context(|| format!("create {}", path.display()))?;
        Ok(Tar(BufWriter::with_capacity(1 << 20, file)))
    }

    fn dir(&mut self, name: &str) -> Result<()> {
        self.header(&format!("{name}/"), 0o755, b'5', 0)
    }

    fn file(&mut self, name: &str, mode: u32, content: &[u8]) -> Result<()> {
        self.header(name, mode, b'0', content.len() as u64)?;
        self.0.write_all(content).context("write the archive")?;
        self.pad(content.len() as u64)
    }

    fn stream(&mut self, name: &str, from: &Path) -> Result<()> {
        let mut file = File::open(from).with_context(|| format!("open {}", from.display()))?;
        let size = file.metadata().context("measure a layer")?.len();
        self.header(name, 0o644, b'0', size)?;
        std::io::copy(&mut file, &mut self.0).context("copy a layer")?;
        self.pad(size)
    }

    fn pad(&mut self, size: u64) -> Result<()> {
        let missing =
            usize::try_from(size.next_multiple_of(512) - size).context("less than a block")?;
        self.0
            .write_all(&[0; 512][..missing])
            .context("write the archive")
    }

    fn header(&mut self, name: &str, mode: u32, kind: u8, size: u64) -> Result<()> {
        let mut block = [0; 512];
        let mut put = |at: usize, value: &[u8]| block[at..at + value.len()].copy_from_slice(value);
        put(0, name.as_bytes());
        put(100, format!("{mode:07o}").as_bytes());
        put(108, b"0000000\x000000000\0");
        put(124, format!("{size:011o}").as_bytes());
        put(136, b"13727405400\0        ");
        put(156, &[kind]);
        put(257, b"ustar\x0000");
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        self.0.write_all(&block).context("write the archive")
    }

    fn finish(mut self) -> Result<()> {
        self.0.write_all(&[0; 1024]).context("write the archive")?;
        self.0.flush().context("write the archive")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_program_exits_with_0() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("true");
        fs::write(&path, exit_program()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        assert!(std::process::Command::new(path).status().unwrap().success());
    }

    #[test]
    fn tar_reads_the_archive() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.tar");
        let mut tar = Tar::create(&path).unwrap();
        tar.dir("d").unwrap();
        tar.file("d/f", 0o644, b"content").unwrap();
        tar.finish().unwrap();
        let listing = std::process::Command::new("tar")
            .arg("-tf")
            .arg(&path)
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&listing.stdout), "d/\nd/f\n");
    }
}
