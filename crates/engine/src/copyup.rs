//! Fills an empty volume with what an image has at the volume's target.
//!
//! The image's layers are read as overlayfs would show them. Only handles are used: nothing in a
//! layer or a volume can lead outside (CVE-2021-43816, CVE-2022-23648).

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Stat, Uid, chownat, mkdirat, mknodat, openat,
    readlinkat, statat, symlinkat,
};
use weft_image::overlay;
use weft_stdx::facts;
use weft_stdx::tree::DIRECTORY;

/// Directories below one another.
const DEPTH_MAX: usize = 128;

/// Copies `target` of `layers` (top first) into `volume` if that is empty and the image has a
/// directory there.
///
/// # Errors
/// What the file system answers; an incomplete copy is emptied by removing the volume.
pub(crate) fn fill(layers: &[PathBuf], target: &str, volume: &Path) -> io::Result<()> {
    if std::fs::read_dir(volume)?.next().is_some() {
        return Ok(());
    }
    let sources = overlay::directories(layers, Path::new(target))?;
    let Some(top) = sources.first() else {
        return Ok(());
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let into = openat(CWD, volume, flags, Mode::empty())?;
    let about = rustix::fs::fstat(top)?;
    merge(&sources, &into, 0)?;
    copy_facts(&about, top, &into)
}

fn merge(sources: &[OwnedFd], into: &OwnedFd, depth: usize) -> io::Result<()> {
    if depth > DEPTH_MAX {
        return Err(io::Error::other(format!(
            "directories are nested deeper than {DEPTH_MAX}"
        )));
    }
    let mut seen: BTreeSet<CString> = BTreeSet::new();
    for (level, source) in sources.iter().enumerate() {
        for entry in Dir::read_from(source)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." || !seen.insert(name.to_owned()) {
                continue;
            }
            let about = statat(source, name, AtFlags::SYMLINK_NOFOLLOW)?;
            let kind = FileType::from_raw_mode(about.st_mode);
            if overlay::is_whiteout(&about) {
                continue; // seen, so that lower layers don't bring it back
            }
            if kind == FileType::Directory {
                merge_directory(&sources[level..], name, &about, into, depth)?;
            } else {
                copy_one(source, name, &about, kind, into)?;
            }
        }
    }
    Ok(())
}

fn merge_directory(
    sources: &[OwnedFd],
    name: &CStr,
    about: &Stat,
    into: &OwnedFd,
    depth: usize,
) -> io::Result<()> {
    let below = overlay::visible(sources, name)?.unwrap_or_default();
    let below: Vec<OwnedFd> = below.into_iter().map(|(_, fd)| fd).collect();
    let Some(top) = below.first() else {
        return Err(io::Error::other("a layer changed while it was read"));
    };
    mkdirat(into, name, Mode::from_raw_mode(0o700))?;
    let made = openat(into, name, DIRECTORY, Mode::empty())?;
    merge(&below, &made, depth + 1)?;
    copy_facts(about, top, &made)
}

fn copy_one(
    source: &OwnedFd,
    name: &CStr,
    about: &Stat,
    kind: FileType,
    into: &OwnedFd,
) -> io::Result<()> {
    match kind {
        FileType::RegularFile => {
            let read = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
            let from = openat(source, name, read, Mode::empty())?;
            let write = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let to = openat(into, name, write, Mode::from_raw_mode(0o600))?;
            let mut to = File::from(to);
            io::copy(&mut File::from(from.try_clone()?), &mut to)?;
            return copy_facts(about, &from, &to);
        }
        // A volume with device nodes would hand out devices the container was not given.
        FileType::CharacterDevice | FileType::BlockDevice => return Ok(()),
        FileType::Symlink => {
            let target = readlinkat(source, name, Vec::new())?;
            symlinkat(target.as_c_str(), into, name)?;
        }
        other => {
            let mode = Mode::from_raw_mode(about.st_mode & 0o7777);
            mknodat(into, name, other, mode, 0)?;
        }
    }
    let (uid, gid) = (Uid::from_raw(about.st_uid), Gid::from_raw(about.st_gid));
    chownat(into, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}

/// Overlayfs's own marks, and others of the kind, mean nothing outside a layer.
fn copy_facts(about: &Stat, from: &OwnedFd, to: impl AsFd) -> io::Result<()> {
    facts::copy(about, from, to, |name| {
        !name.to_bytes().starts_with(b"trusted.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::XattrFlags;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

    #[test]
    fn the_volume_gets_what_overlayfs_would_show() {
        let dir = tempfile::tempdir().unwrap();
        let layer = |name: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.join("data/sub")).unwrap();
            path
        };
        let (top, bottom) = (layer("top"), layer("bottom"));
        fs::write(bottom.join("data/both"), "bottom").unwrap();
        fs::write(bottom.join("data/sub/low"), "low").unwrap();
        fs::write(bottom.join("data/gone"), "gone").unwrap();
        fs::write(top.join("data/both"), "top").unwrap();
        chown(top.join("data/both"), Some(33), Some(34)).unwrap();
        fs::set_permissions(top.join("data/both"), fs::Permissions::from_mode(0o4750)).unwrap();
        whiteout(&top.join("data/gone"));
        std::os::unix::fs::symlink("/etc/shadow", top.join("data/link")).unwrap();

        let volume = dir.path().join("volume");
        fs::create_dir(&volume).unwrap();
        fill(&[top.clone(), bottom.clone()], "/data", &volume).unwrap();
        assert_eq!(fs::read_to_string(volume.join("both")).unwrap(), "top");
        let about = fs::metadata(volume.join("both")).unwrap();
        assert_eq!(
            (about.uid(), about.gid(), about.mode() & 0o7777),
            (33, 34, 0o4750)
        );
        assert_eq!(fs::read_to_string(volume.join("sub/low")).unwrap(), "low");
        assert!(!volume.join("gone").exists());
        assert!(volume.join("link").is_symlink());

        // One that has something already stays as it is.
        fs::remove_file(volume.join("both")).unwrap();
        fill(&[top, bottom], "/data", &volume).unwrap();
        assert!(!volume.join("both").exists());
    }

    fn whiteout(path: &Path) {
        mknodat(CWD, path, FileType::CharacterDevice, Mode::empty(), 0).unwrap();
    }

    fn opaque(path: &Path) {
        let (name, flags) = (c"trusted.overlay.opaque", XattrFlags::empty());
        rustix::fs::setxattr(path, name, b"y", flags).unwrap();
    }

    /// `/srv/data/sub` with a file called after the layer.
    fn layers(dir: &Path) -> [PathBuf; 3] {
        ["top", "middle", "bottom"].map(|name| {
            let sub = dir.join(name).join("srv/data/sub");
            fs::create_dir_all(&sub).unwrap();
            fs::write(sub.join(name), "x").unwrap();
            dir.join(name)
        })
    }

    fn filled(dir: &Path, layers: &[PathBuf], target: &str) -> Vec<String> {
        let volume = dir.join("volume");
        fs::create_dir(&volume).unwrap();
        fill(layers, target, &volume).unwrap();
        let names = fs::read_dir(volume.join("sub")).into_iter().flatten();
        let mut names: Vec<_> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_layer_without_the_directory_hides_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let layers = layers(dir.path());
        fs::remove_dir_all(layers[1].join("srv/data/sub")).unwrap();
        let names = filled(dir.path(), &layers, "/srv/data");
        assert_eq!(names, ["bottom", "top"]);
    }

    #[test]
    fn what_a_layer_deleted_or_replaced_stays_away() {
        for at in ["srv/data/sub", "srv/data", "srv"] {
            let dir = tempfile::tempdir().unwrap();
            let layers = layers(dir.path());
            fs::remove_dir_all(layers[1].join(at)).unwrap();
            whiteout(&layers[1].join(at));
            assert_eq!(filled(dir.path(), &layers, "/srv/data"), ["top"], "{at}");
        }
        for at in ["srv/data/sub", "srv/data", "srv"] {
            let dir = tempfile::tempdir().unwrap();
            let layers = layers(dir.path());
            opaque(&layers[1].join(at));
            let names = filled(dir.path(), &layers, "/srv/data");
            assert_eq!(names, ["middle", "top"], "{at}");
        }
    }

    #[test]
    fn links_on_the_way_are_followed_through_all_layers() {
        let dir = tempfile::tempdir().unwrap();
        let layers = layers(dir.path());
        std::os::unix::fs::symlink("srv", layers[0].join("var")).unwrap();
        let names = filled(dir.path(), &layers, "/var/data");
        assert_eq!(names, ["bottom", "middle", "top"]);
    }

    #[test]
    fn a_target_that_links_outside_copies_nothing_from_there() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        fs::create_dir_all(&outside).unwrap();
        fs::write(outside.join("secret"), "x").unwrap();
        let layer = dir.path().join("layer");
        fs::create_dir(&layer).unwrap();
        std::os::unix::fs::symlink(&outside, layer.join("data")).unwrap();
        let volume = dir.path().join("volume");
        fs::create_dir(&volume).unwrap();
        fill(&[layer], "/data", &volume).unwrap();
        assert_eq!(fs::read_dir(&volume).unwrap().count(), 0);
    }
}
