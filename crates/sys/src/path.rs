//! Paths inside a tree somebody else controls.
//!
//! [`Root`] resolves every path with `openat2(RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)`: links,
//! also absolute ones and `..`, stay inside, and what comes back is a descriptor, never a name to
//! be looked up again. This is the one place where untrusted paths are opened.
//! Never: paths of the host (they need no protection from themselves).

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// How often a resolution is tried again that the kernel gave up because the tree changed
/// under it. Each try is a system call; whoever renames that fast does not get a container.
const ATTEMPTS: usize = 128;

/// A directory that paths are resolved in, as if it were `/`.
#[derive(Debug)]
pub struct Root(OwnedFd);

impl Root {
    /// Takes the directory that `fd` is open on as the root.
    pub fn new(fd: OwnedFd) -> Root {
        Root(fd)
    }

    /// Opens `directory`, a path of the host's that is trusted, as a root.
    pub fn open_at(directory: &Path) -> io::Result<Root> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Root(rustix::fs::open(directory, flags, Mode::empty())?))
    }

    /// Another handle to the same root.
    pub fn try_clone(&self) -> io::Result<Root> {
        Ok(Root(self.0.try_clone()?))
    }

    /// Opens `path` with `flags` (close-on-exec is added), following links inside the root.
    pub fn open(&self, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
        self.open_mode(path, flags, Mode::empty(), ResolveFlags::empty())
    }

    /// Opens `path` as a mere handle (`O_PATH`), following links inside the root.
    pub fn handle(&self, path: &Path) -> io::Result<OwnedFd> {
        self.open(path, OFlags::PATH)
    }

    /// Opens `path` as a handle, refusing with `ELOOP` if any part of it is a link.
    pub fn handle_without_links(&self, path: &Path) -> io::Result<OwnedFd> {
        // With O_NOFOLLOW the last part could be one, and the handle would be the link's.
        let links = ResolveFlags::NO_SYMLINKS;
        self.open_mode(path, OFlags::PATH, Mode::empty(), links)
    }

    /// Opens `path`, relative, as a handle, refusing with `EXDEV` if a link or `..` leads out of the
    /// root. What is mounted in the root is part of it.
    pub fn handle_beneath(&self, path: &Path) -> io::Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        self.resolve(path, OFlags::PATH, Mode::empty(), resolve)
    }

    /// Opens the directory `path` as a handle, making what is missing of it with `mode`. A link
    /// that leads nowhere leads to a directory made in the root.
    pub fn make_directory(&self, path: &Path, mode: u32) -> io::Result<OwnedFd> {
        let directory = OFlags::PATH | OFlags::DIRECTORY;
        let mut wanted = path.to_owned();
        for _ in 0..LINKS_MAX {
            match self.open(&wanted, directory) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => return other,
            }
            match self.make_missing(&wanted, mode)? {
                Made::Directory(made) => return Ok(made),
                Made::Link(leads_to) => wanted = leads_to,
            }
        }
        Err(Errno::LOOP.into())
    }

    fn make_missing(&self, path: &Path, mode: u32) -> io::Result<Made> {
        let directory = OFlags::PATH | OFlags::DIRECTORY;
        let mut walked = PathBuf::from(".");
        let mut parent = self.open(&walked, directory)?;
        let names = names(path)?;
        for (at, name) in names.iter().enumerate() {
            walked.push(name);
            parent = match self.open(&walked, directory) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    match rustix::fs::mkdirat(&parent, *name, Mode::from_raw_mode(mode)) {
                        Ok(()) => {}
                        // Somebody else made it, or it is a link that leads nowhere.
                        Err(Errno::EXIST) => {
                            if let Ok(link) = rustix::fs::readlinkat(&parent, *name, Vec::new()) {
                                walked.pop();
                                let rest: PathBuf = names[at + 1..].iter().collect();
                                let link = Path::new(OsStr::from_bytes(link.as_bytes()));
                                return Ok(Made::Link(beneath(&walked, link, &rest)));
                            }
                        }
                        Err(errno) => return Err(errno.into()),
                    }
                    self.open(&walked, directory)?
                }
                other => other?,
            };
        }
        Ok(Made::Directory(parent))
    }

    /// Opens `path` as a handle; if it is missing, makes it an empty file with `mode`, and the
    /// directories above it with 0755. A link that leads nowhere leads to a file made in the root.
    pub fn make_file(&self, path: &Path, mode: u32) -> io::Result<OwnedFd> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let mut wanted = path.to_owned();
        for _ in 0..LINKS_MAX {
            match self.handle(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => return other,
            }
            let (parent, name) = self.parent(&wanted, 0o755)?;
            match rustix::fs::openat(&parent, &name, flags, Mode::from_raw_mode(mode)) {
                Ok(_) => return self.handle(path),
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno.into()),
            }
            // Somebody else made it, or it is a link that leads nowhere.
            if let Ok(link) = rustix::fs::readlinkat(&parent, &name, Vec::new()) {
                let link = Path::new(OsStr::from_bytes(link.as_bytes()));
                let above = wanted.parent().unwrap_or(Path::new(""));
                wanted = beneath(above, link, Path::new(""));
            }
        }
        Err(Errno::LOOP.into())
    }

    /// The directory above `path` (made with `mode` where missing) and the last name of `path`,
    /// for calls that make one name and do not follow links.
    pub fn parent(&self, path: &Path, mode: u32) -> io::Result<(OwnedFd, PathBuf)> {
        let (Some(above), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        Ok((self.make_directory(above, mode)?, PathBuf::from(name)))
    }

    fn open_mode(
        &self,
        path: &Path,
        flags: OFlags,
        mode: Mode,
        resolve: ResolveFlags,
    ) -> io::Result<OwnedFd> {
        let resolve = resolve | ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        self.resolve(path, flags, mode, resolve)
    }

    fn resolve(
        &self,
        path: &Path,
        flags: OFlags,
        mode: Mode,
        resolve: ResolveFlags,
    ) -> io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            path
        };
        for _ in 0..ATTEMPTS {
            match rustix::fs::openat2(&self.0, path, flags | OFlags::CLOEXEC, mode, resolve) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
                Ok(fd) => return Ok(fd),
            }
        }
        Err(Errno::AGAIN.into())
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Links followed before a path counts as a loop, as the kernel has it.
const LINKS_MAX: usize = 40;

enum Made {
    Directory(OwnedFd),
    /// A link that leads nowhere yet: the whole path with it replaced by what it says.
    Link(PathBuf),
}

/// `link`, found in `directory`, and `rest` behind it, as one path that cannot climb out: what
/// `..` would leave is the root itself. It is opened beneath the root all the same.
fn beneath(directory: &Path, link: &Path, rest: &Path) -> PathBuf {
    let mut path = PathBuf::new();
    for component in directory.join(link).join(rest).components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::ParentDir => drop(path.pop()),
            Component::RootDir => path.clear(),
            Component::CurDir | Component::Prefix(_) => {}
        }
    }
    path
}

/// The names of an absolute or relative path; `..` is refused, since what it means depends on
/// links that may be planted.
fn names(path: &Path) -> io::Result<Vec<&OsStr>> {
    path.components()
        .filter_map(|component| match component {
            Component::RootDir | Component::CurDir => None,
            Component::Normal(name) => Some(Ok(name)),
            Component::ParentDir | Component::Prefix(_) => {
                Some(Err(io::ErrorKind::InvalidInput.into()))
            }
        })
        .collect()
}

/// Opens `path` beneath `directory` with `flags`: no links at all, no other mounts.
///
/// For trees whose every entry is known, as a procfs instance of one's own.
pub fn open_strictly(directory: impl AsFd, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV;
    let flags = flags | OFlags::CLOEXEC;
    Ok(rustix::fs::openat2(
        directory,
        path,
        flags,
        Mode::empty(),
        resolve,
    )?)
}

/// What kind of thing a handle is open on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// `S_IFMT` bits and permissions.
    pub mode: u32,
    /// Device number of the filesystem.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
    /// Device number of a device node.
    pub node: u64,
}

impl Facts {
    /// Asks for the facts of `file`.
    pub fn of(file: impl AsFd) -> io::Result<Facts> {
        let found = rustix::fs::statat(file, c"", AtFlags::EMPTY_PATH)?;
        Ok(Facts {
            mode: found.st_mode,
            device: found.st_dev,
            inode: found.st_ino,
            node: found.st_rdev,
        })
    }

    /// Whether it is a directory.
    pub fn is_directory(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFDIR
    }

    /// Whether it is a symbolic link.
    pub fn is_link(&self) -> bool {
        self.mode & libc::S_IFMT == libc::S_IFLNK
    }
}

/// Sets the mode of what `handle` (which may be a mere one) is open on; refused for a link.
pub fn set_mode(handle: impl AsFd, mode: u32) -> io::Result<()> {
    let mode = Mode::from_raw_mode(mode);
    Ok(rustix::fs::chmod(own_name(handle.as_fd()), mode)?)
}

/// Opens what a mere `handle` is open on, and nothing else that may have its name by now.
pub fn reopen(handle: impl AsFd, flags: OFlags) -> io::Result<OwnedFd> {
    let name = own_name(handle.as_fd());
    Ok(rustix::fs::open(
        name,
        flags | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}

/// Where `handle` lies in its tree of mounts, for showing: nothing is found by it.
pub fn location(handle: impl AsFd) -> io::Result<PathBuf> {
    std::fs::read_link(own_name(handle.as_fd()))
}

fn own_name(handle: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", handle.as_raw_fd())
}

/// Whether `file` is the kernel's talk in the form of files (proc, sysfs, cgroup and their like),
/// where reading and writing has effects, and sizes mean nothing.
pub fn is_kernel_filesystem(file: impl AsFd) -> io::Result<bool> {
    /// Magic numbers of statfs(2), and of linux/magic.h.
    const KERNEL: [u64; 15] = [
        0x9fa0,      // proc
        0x6265_6572, // sysfs
        0x0027_e0eb, // cgroup
        0x6367_7270, // cgroup2
        0x1cd1,      // devpts
        0x1980_0202, // mqueue
        0x7363_6673, // securityfs
        0x6462_6720, // debugfs
        0x7472_6163, // tracefs
        0xcafe_4a11, // bpf
        0x6265_6570, // configfs
        0x4249_4e4d, // binfmt_misc
        0x6e73_6673, // nsfs
        0xde5e_81e4, // efivarfs
        0x6165_676c, // pstore
    ];
    let found = rustix::fs::fstatfs(file)?.f_type;
    Ok(KERNEL.contains(&(u64::from(found as u32))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_that_lead_nowhere_are_made_in_the_root() {
        let dir = tempfile::tempdir().unwrap();
        let inside = dir.path().join("root");
        fs::create_dir_all(inside.join("var")).unwrap();
        symlink("/../../outside/x", inside.join("data")).unwrap();
        symlink("../run", inside.join("var/run")).unwrap();
        symlink("loop", inside.join("loop")).unwrap();
        let root = Root::open_at(&inside).unwrap();
        root.make_directory(Path::new("/data/sub"), 0o755).unwrap();
        assert!(inside.join("outside/x/sub").is_dir());
        assert!(!dir.path().join("outside").exists());
        root.make_directory(Path::new("/var/run/lock"), 0o755)
            .unwrap();
        assert!(inside.join("run/lock").is_dir());
        symlink("../../../outside/f", inside.join("var/file")).unwrap();
        root.make_file(Path::new("/var/file"), 0o644).unwrap();
        assert!(inside.join("outside/f").is_file());
        assert!(root.make_file(Path::new("/loop"), 0o644).is_err());
        assert!(!dir.path().join("outside").exists());
        assert!(root.make_directory(Path::new("/loop/x"), 0o755).is_err());
        assert!(root.make_directory(Path::new("/../x"), 0o755).is_err());
    }
}
