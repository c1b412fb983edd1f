//! Fills an empty volume with what an image has at the volume's target.
//!
//! The image's layers are read as overlayfs would show them: the topmost entry of a name wins, a
//! whiteout hides the lower ones, an opaque directory all of them. Only handles are used: nothing
//! in a layer or a volume can lead outside (CVE-2021-43816, CVE-2022-23648).

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, XattrFlags,
    chownat, fgetxattr, flistxattr, fsetxattr, mkdirat, mknodat, openat, readlinkat, statat,
    symlinkat, utimensat,
};
use rustix::io::Errno;
use weft_sys::path::Root;

/// Directories below one another.
const DEPTH_MAX: usize = 128;
/// Bytes of all extended attributes of one file that are carried over.
const XATTR_BYTES_MAX: usize = 64 << 10;
const OPAQUE: &str = "trusted.overlay.opaque";

/// Copies `target` of `layers` (top first) into `volume` if that is empty and the image has a
/// directory there.
///
/// # Errors
/// What the file system answers; an incomplete copy is emptied by removing the volume.
pub(crate) fn fill(layers: &[PathBuf], target: &str, volume: &Path) -> io::Result<()> {
    if std::fs::read_dir(volume)?.next().is_some() {
        return Ok(());
    }
    let mut sources = Vec::new();
    for layer in layers {
        let root = Root::open_at(layer)?;
        let Ok(dir) = root.open(Path::new(target), OFlags::RDONLY | OFlags::DIRECTORY) else {
            continue;
        };
        let opaque = is_opaque(&dir);
        sources.push(dir);
        if opaque {
            break;
        }
    }
    let Some(top) = sources.first() else {
        return Ok(());
    };
    let into = openat(
        CWD,
        volume,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    let about = rustix::fs::fstat(top)?;
    merge(&sources, &into, 0)?;
    copy_facts(&into, c".", &about, top)
}

fn is_opaque(dir: &OwnedFd) -> bool {
    let mut value = [0u8; 1];
    matches!(fgetxattr(dir, OPAQUE, &mut value[..]), Ok(1)) && value == *b"y"
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
            if kind == FileType::CharacterDevice && about.st_rdev == 0 {
                continue; // a whiteout: seen, so that lower layers don't bring it back
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
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut below = Vec::new();
    for source in sources {
        // A lower layer's file of that name is hidden by the directory above it, and hides more.
        let Ok(dir) = openat(source, name, flags, Mode::empty()) else {
            break;
        };
        let opaque = is_opaque(&dir);
        below.push(dir);
        if opaque {
            break;
        }
    }
    mkdirat(into, name, Mode::from_raw_mode(0o700))?;
    let made = openat(into, name, flags, Mode::empty())?;
    merge(&below, &made, depth + 1)?;
    copy_facts(into, name, about, &below[0])
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
            copy_facts(into, name, about, &from)
        }
        FileType::Symlink => {
            let target = readlinkat(source, name, Vec::new())?;
            symlinkat(target.as_c_str(), into, name)?;
            chownat(
                into,
                name,
                owner(about).0,
                owner(about).1,
                AtFlags::SYMLINK_NOFOLLOW,
            )?;
            Ok(())
        }
        // A volume with device nodes would hand out devices the container was not given.
        FileType::CharacterDevice | FileType::BlockDevice => Ok(()),
        other => {
            mknodat(
                into,
                name,
                other,
                Mode::from_raw_mode(about.st_mode & 0o7777),
                0,
            )?;
            chownat(
                into,
                name,
                owner(about).0,
                owner(about).1,
                AtFlags::SYMLINK_NOFOLLOW,
            )?;
            Ok(())
        }
    }
}

fn owner(about: &Stat) -> (Option<Uid>, Option<Gid>) {
    (
        Some(Uid::from_raw(about.st_uid)),
        Some(Gid::from_raw(about.st_gid)),
    )
}

/// Owner, extended attributes, mode and times, in the order in which one does not undo another.
fn copy_facts(dir: &OwnedFd, name: &CStr, about: &Stat, from: &OwnedFd) -> io::Result<()> {
    chownat(
        dir,
        name,
        owner(about).0,
        owner(about).1,
        AtFlags::SYMLINK_NOFOLLOW,
    )?;
    let to = openat(
        dir,
        name,
        OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    copy_xattrs(from, &to)?;
    rustix::fs::fchmod(&to, Mode::from_raw_mode(about.st_mode & 0o7777))?;
    let time = |seconds, nanoseconds: u64| Timespec {
        tv_sec: seconds,
        tv_nsec: i64::try_from(nanoseconds).unwrap_or(0),
    };
    let times = Timestamps {
        last_access: time(about.st_atime, about.st_atime_nsec),
        last_modification: time(about.st_mtime, about.st_mtime_nsec),
    };
    utimensat(dir, name, &times, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(())
}

fn copy_xattrs(from: &OwnedFd, to: &OwnedFd) -> io::Result<()> {
    let mut names = vec![0u8; XATTR_BYTES_MAX];
    let length = match flistxattr(from, &mut names[..]) {
        Ok(length) => length,
        Err(Errno::NOTSUP) => return Ok(()),
        Err(e) => return Err(e.into()),
    };
    for name in names[..length].split(|b| *b == 0).filter(|n| !n.is_empty()) {
        // Overlayfs's own marks mean nothing outside a layer.
        if name.starts_with(b"trusted.") {
            continue;
        }
        let mut value = vec![0u8; XATTR_BYTES_MAX];
        let size = fgetxattr(from.as_fd(), name, &mut value[..])?;
        fsetxattr(to, name, &value[..size], XattrFlags::empty())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let gone = top.join("data/gone");
        mknodat(CWD, &gone, FileType::CharacterDevice, Mode::empty(), 0).unwrap();
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
