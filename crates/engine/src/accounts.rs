//! The passwd and group files of a container: from its layers before it runs, from its root
//! while it does. Bounded, beneath the root only (CVE-2026-47262: a FIFO or a gigabyte).

use std::fs::File;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use rustix::fs::OFlags;
use weft_image::Mounts;
use weft_stdx::file::read_all_bounded;
use weft_sys::path::Root;

use crate::user::Accounts;

/// More accounts than this are not read: the user is then "not found", never wrong.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// From the layers that will make up the root.
pub(crate) fn of_layers(mounts: &Mounts) -> Accounts {
    let layers: Vec<Root> = std::iter::once(&mounts.upper)
        .chain(&mounts.lower)
        .filter_map(|dir| Root::open_at(dir).ok())
        .collect();
    Accounts {
        passwd: read(&layers, "etc/passwd"),
        group: read(&layers, "etc/group"),
    }
}

/// From the root of the running process `pid`.
pub(crate) fn of_process(pid: i32) -> Accounts {
    let root = Root::open_at(Path::new(&format!("/proc/{pid}/root")));
    root.map_or_else(|_| Accounts::default(), |root| of_root(&root))
}

/// From a root that is open.
pub(crate) fn of_root(root: &Root) -> Accounts {
    let roots = std::slice::from_ref(root);
    Accounts {
        passwd: read(roots, "etc/passwd"),
        group: read(roots, "etc/group"),
    }
}

/// The file in the topmost layer that says anything about it.
fn read(layers: &[Root], name: &str) -> Vec<u8> {
    for layer in layers {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let Ok(handle) = layer.handle(Path::new(name)) else {
            continue;
        };
        let Ok(facts) = File::from(handle).metadata() else {
            continue;
        };
        // A whiteout: the lower layers' file is deleted.
        if facts.file_type().is_char_device() && facts.rdev() == 0 {
            return Vec::new();
        }
        if !facts.is_file() {
            return Vec::new();
        }
        let Ok(fd) = layer.open(Path::new(name), flags) else {
            continue;
        };
        return read_all_bounded(File::from(fd), FILE_BYTES_MAX).unwrap_or_default();
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_topmost_layer_speaks_and_links_stay_inside() {
        let dir = tempfile::tempdir().unwrap();
        let layer = |name: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.join("etc")).unwrap();
            path
        };
        let (upper, top, bottom) = (layer("upper"), layer("top"), layer("bottom"));
        fs::write(bottom.join("etc/passwd"), "bottom").unwrap();
        fs::write(top.join("etc/passwd"), "top").unwrap();
        std::os::unix::fs::symlink("/etc/shadow", bottom.join("etc/group")).unwrap();
        let mounts = Mounts {
            lower: vec![top, bottom],
            upper,
            work: dir.path().join("work"),
        };
        let accounts = of_layers(&mounts);
        assert_eq!(accounts.passwd, b"top");
        assert!(accounts.group.is_empty());
    }
}
