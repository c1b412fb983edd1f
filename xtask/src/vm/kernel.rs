//! The kernel of the virtual machine: Debian's cloud image, taken out of its package, and an
//! initramfs with the modules it needs.
//! Owns the package's contents and the cpio format; never installs a kernel on this machine.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::packages;

/// The package that always depends on the newest one.
const META: &str = "linux-image-cloud-amd64";
/// Modules that are loaded, with what they need; names that are built in are passed over.
const MODULES: &[&str] = &[
    "virtio_pci",
    "virtio_blk",
    "ext4",
    "overlay",
    "bridge",
    "veth",
    "tun",
    "nf_tables",
    "nft_chain_nat",
    "nft_nat",
    "nft_masq",
    "nft_redir",
    "nft_ct",
    "nft_fib_inet",
    "nft_reject_inet",
    "nft_limit",
    "nft_meta_bridge",
    "nft_numgen",
    "nf_conntrack",
    "nf_conntrack_netlink",
    "br_netfilter",
    "nft_hash",
];

/// An unpacked kernel.
pub struct Kernel {
    /// The bootable image.
    pub image: PathBuf,
    /// Module name → file.
    modules: HashMap<String, PathBuf>,
}

/// Finds or downloads the kernel.
pub fn ensure(dir: &Path) -> Result<Kernel> {
    let unpacked = dir.join("kernel");
    if !unpacked.join("boot").is_dir() {
        let names = packages::depends(META)?;
        let name = names
            .iter()
            .find(|name| name.starts_with("linux-image-"))
            .with_context(|| format!("{META} depends on no kernel"))?;
        println!("unpacking the Debian package {name} (it is not installed)");
        packages::download(name, dir)?;
        let package = find(dir, |path| {
            path.extension().is_some_and(|ending| ending == "deb")
        })
        .context("the package is there")?;
        let status = Command::new("dpkg-deb")
            .arg("-x")
            .arg(&package)
            .arg(&unpacked)
            .status()
            .context("start dpkg-deb")?;
        if !status.success() {
            bail!("dpkg-deb could not unpack {}", package.display());
        }
        fs::remove_file(&package).with_context(|| format!("remove {}", package.display()))?;
    }
    let is_image = |path: &Path| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz"))
    };
    let image = find(&unpacked.join("boot"), is_image).context("the package has a kernel")?;
    let mut modules = HashMap::new();
    collect(&unpacked.join("lib/modules"), &mut modules)?;
    Ok(Kernel { image, modules })
}

/// Writes an initramfs with this program as `/init` and the modules in loading order.
pub fn initramfs(kernel: &Kernel, dir: &Path) -> Result<PathBuf> {
    let mut order = Vec::new();
    for name in MODULES {
        load_order(kernel, name, &mut order)?;
    }
    // By this way even if cargo has put a newer program in its place meanwhile.
    let own = fs::read("/proc/self/exe").context("read this program")?;
    let mut archive = Cpio::default();
    for name in ["dev", "proc", "disk", "modules"] {
        archive.entry(name, 0o040_755, &[]);
    }
    archive.entry("init", 0o100_755, &own);
    for (index, path) in order.iter().enumerate() {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let content = fs::read(path).with_context(|| format!("read {}", path.display()))?;
        archive.entry(&format!("modules/{index:03}-{name}"), 0o100_644, &content);
    }
    let file = dir.join("initramfs");
    fs::write(&file, archive.finish()).with_context(|| format!("write {}", file.display()))?;
    Ok(file)
}

fn load_order(kernel: &Kernel, name: &str, order: &mut Vec<PathBuf>) -> Result<()> {
    let Some(path) = kernel.modules.get(name) else {
        return Ok(());
    };
    if order.contains(path) {
        return Ok(());
    }
    let content = fs::read(path).with_context(|| format!("read {}", path.display()))?;
    for needed in depends(&content) {
        load_order(kernel, &needed, order)?;
    }
    order.push(path.clone());
    Ok(())
}

/// The `depends=` line of a module's `.modinfo`.
fn depends(module: &[u8]) -> Vec<String> {
    let needle = b"\0depends=";
    let Some(at) = module.windows(needle.len()).position(|part| part == needle) else {
        return Vec::new();
    };
    let list = module[at + needle.len()..]
        .split(|byte| *byte == 0)
        .next()
        .unwrap_or_default();
    let list = String::from_utf8_lossy(list);
    list.split(',')
        .filter(|name| !name.is_empty())
        .map(|name| name.replace('-', "_"))
        .collect()
}

fn collect(dir: &Path, modules: &mut HashMap<String, PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir)
        .with_context(|| format!("list {}", dir.display()))?
        .flatten()
    {
        let mut path = entry.path();
        if path.is_dir() {
            collect(&path, modules)?;
            continue;
        }
        if path.extension().is_some_and(|ending| ending == "xz") {
            let status = Command::new("xz")
                .arg("-d")
                .arg(&path)
                .status()
                .context("start xz")?;
            if !status.success() {
                bail!("xz could not decompress {}", path.display());
            }
            path.set_extension("");
        }
        if path.extension().is_some_and(|ending| ending == "ko") {
            let name = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .replace('-', "_");
            modules.insert(name, path);
        }
    }
    Ok(())
}

fn find(dir: &Path, wanted: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    fs::read_dir(dir)
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| wanted(path))
}

/// The `newc` form of cpio, which is what kernels unpack.
#[derive(Default)]
struct Cpio {
    bytes: Vec<u8>,
    entries: u32,
}

impl Cpio {
    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.entries += 1;
        let numbers = [
            self.entries,
            mode,
            0,
            0,
            1,
            0,
            u32::try_from(content.len()).unwrap_or(u32::MAX),
            0,
            0,
            0,
            0,
            u32::try_from(name.len() + 1).unwrap_or(u32::MAX),
            0,
        ];
        self.bytes.extend_from_slice(b"070701");
        for number in numbers {
            self.bytes
                .extend_from_slice(format!("{number:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(content);
        self.pad();
    }

    fn pad(&mut self) {
        let filled = self.bytes.len().next_multiple_of(4);
        self.bytes.resize(filled, 0);
    }

    fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, &[]);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_module_depends_on() {
        assert_eq!(
            depends(b"\x7fELF\0license=GPL\0depends=llc,nf-nat\0name=x\0"),
            ["llc", "nf_nat"]
        );
        assert_eq!(depends(b"\0depends=\0"), Vec::<String>::new());
    }

    #[test]
    fn entries_are_aligned() {
        let mut archive = Cpio::default();
        archive.entry("a", 0o100_644, b"xyz");
        let bytes = archive.finish();
        assert_eq!(bytes.len() % 4, 0);
        assert!(bytes.starts_with(b"070701"));
    }
}
