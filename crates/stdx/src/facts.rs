//! What a file is besides its content: owner, extended attributes, mode and times. By descriptor,
//! so that nothing renamed meanwhile is met instead.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::AsFd;

use rustix::fs::{
    Gid, Mode, Stat, Timespec, Timestamps, Uid, XattrFlags, fchmod, fchown, fgetxattr, flistxattr,
    fsetxattr, futimens,
};
use rustix::io::Errno;

/// Bytes of all attribute names of one file, and of one value (the kernel's own limit).
const XATTR_BYTES_MAX: usize = 64 << 10;

/// Gives `to` what `about` and the `wanted` attributes say of `from`, in the order in which one does
/// not undo another.
///
/// # Errors
/// What the kernel answers; `to` has a part of it then.
pub fn copy(
    about: &Stat,
    from: impl AsFd,
    to: impl AsFd,
    wanted: impl Fn(&CStr) -> bool,
) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(about.st_uid), Gid::from_raw(about.st_gid));
    fchown(&to, Some(uid), Some(gid))?;
    for (name, value) in xattrs(from, wanted)? {
        fsetxattr(&to, &*name, &value, XattrFlags::empty())?;
    }
    fchmod(&to, Mode::from_raw_mode(about.st_mode & 0o7777))?;
    let time = |seconds, nanoseconds: u64| Timespec {
        tv_sec: seconds,
        tv_nsec: i64::try_from(nanoseconds).unwrap_or(0),
    };
    let times = Timestamps {
        last_access: time(about.st_atime, about.st_atime_nsec),
        last_modification: time(about.st_mtime, about.st_mtime_nsec),
    };
    Ok(futimens(&to, &times)?)
}

/// The `wanted` extended attributes of `file`, by name; none where the file system has none.
///
/// # Errors
/// What the kernel answers.
pub fn xattrs(
    file: impl AsFd,
    wanted: impl Fn(&CStr) -> bool,
) -> io::Result<Vec<(CString, Vec<u8>)>> {
    let mut names = vec![0_u8; XATTR_BYTES_MAX];
    let length = match flistxattr(&file, &mut names[..]) {
        Ok(length) => length,
        Err(Errno::NOTSUP) => return Ok(Vec::new()),
        Err(errno) => return Err(errno.into()),
    };
    names.truncate(length);
    let mut found = Vec::new();
    for name in names.split_inclusive(|byte| *byte == 0) {
        let name = CStr::from_bytes_with_nul(name).map_err(io::Error::other)?;
        if !wanted(name) {
            continue;
        }
        let mut value = vec![0_u8; XATTR_BYTES_MAX];
        match fgetxattr(&file, name, &mut value[..]) {
            Ok(length) => {
                value.truncate(length);
                found.push((name.to_owned(), value));
            }
            // Removed since it was listed.
            Err(Errno::NODATA) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::fs::{File, Permissions};
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use super::*;

    #[test]
    fn mode_times_and_wanted_attributes_go_over() {
        let dir = tempfile::tempdir().unwrap();
        let make = |name| File::create_new(dir.path().join(name)).unwrap();
        let (from, to) = (make("from"), make("to"));
        let set = |name: &CStr, value: &[u8]| fsetxattr(&from, name, value, XattrFlags::empty());
        match set(c"user.kept", b"1") {
            Err(Errno::NOTSUP) => println!("SKIP the file system here has no user attributes"),
            set => set.unwrap(),
        }
        let _ = set(c"user.left", b"2");
        from.set_permissions(Permissions::from_mode(0o4751))
            .unwrap();
        let time = Timespec {
            tv_sec: 1_000_000_000,
            tv_nsec: 7,
        };
        let times = Timestamps {
            last_access: time,
            last_modification: time,
        };
        futimens(&from, &times).unwrap();
        let about = rustix::fs::fstat(&from).unwrap();
        copy(&about, &from, &to, |name| name == c"user.kept").unwrap();
        let made = to.metadata().unwrap();
        assert_eq!(made.mode() & 0o7777, 0o4751);
        assert_eq!((made.mtime(), made.mtime_nsec()), (1_000_000_000, 7));
        let kept =
            |file: &File| xattrs(file, |name| name.to_bytes().starts_with(b"user.")).unwrap();
        let expected: Vec<_> = kept(&from)
            .into_iter()
            .filter(|(name, _)| &**name == c"user.kept")
            .collect();
        assert_eq!(kept(&to), expected);
    }
}
