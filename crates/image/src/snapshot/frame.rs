//! Owns directories that a layer only implies: it has `a/b/c` but says nothing of `a` and `a/b`.
//! Unpacked alone they are root's, mode 0755, and would hide what a lower layer says of them. A
//! frame is one more layer, on top, of just those directories as the layer below has them.
//! Never holds anything but directories.

use std::collections::HashSet;
use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, mkdirat, openat};
use rustix::io::Errno;
use weft_stdx::tree::DIRECTORY;
use weft_stdx::{facts, file};

use crate::overlay::visible;

/// Largest list of implied directories that is read; unpacking stops before it gets larger.
const LIST_MAX: u64 = crate::unpack::NAMES_MAX as u64 * 2;

/// The file beside a layer's `fs` with the directories it implies: each name ends in NUL, the
/// layer's root has an empty one. Missing when there are none.
pub(crate) const LIST: &str = "implied";

/// Writes the list of a layer that is being made in `dir`.
pub(crate) fn write_list(dir: &Path, implied: &[Vec<u8>]) -> io::Result<()> {
    if implied.is_empty() {
        return Ok(());
    }
    let mut bytes = implied.join(&0);
    bytes.push(0);
    std::fs::write(dir.join(LIST), bytes)
}

/// A layer, and which of its directories it only implies.
pub(super) struct Layer {
    pub path: PathBuf,
    implied: HashSet<Vec<u8>>,
}

impl Layer {
    /// Reads the list of the layer whose files are in `path`.
    pub fn read(path: PathBuf) -> io::Result<Self> {
        let bytes = match file::read_bounded(&path.with_file_name(LIST), LIST_MAX) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let names = bytes.split_inclusive(|byte| *byte == 0);
        let implied = names.map(|name| name[..name.len() - 1].to_vec()).collect();
        Ok(Self { path, implied })
    }

    /// Whether it says nothing of its own root.
    pub fn implies_root(&self) -> bool {
        self.implied.contains(b"".as_slice())
    }
}

/// Makes the frame of `layers` (top first) in `frame`, which is left missing if none is needed.
pub(super) fn make(frame: &Path, layers: &[Layer]) -> io::Result<()> {
    if layers
        .iter()
        .all(|layer| layer.implied.len() <= usize::from(layer.implies_root()))
    {
        return Ok(());
    }
    let roots: Result<Vec<OwnedFd>, Errno> = layers
        .iter()
        .map(|layer| openat(CWD, &layer.path, DIRECTORY, Mode::empty()))
        .collect();
    let mut maker = Maker {
        frame,
        layers,
        roots: roots?,
        top: None,
        made: HashSet::new(),
    };
    for (at, layer) in layers.iter().enumerate() {
        let mut names: Vec<&[u8]> = layer.implied.iter().map(Vec::as_slice).collect();
        names.sort_unstable();
        // Below a directory that no other layer has, no other layer has anything either.
        let mut alone: Option<&[u8]> = None;
        for name in names.into_iter().filter(|name| !name.is_empty()) {
            if alone.is_some_and(|alone| is_below(name, alone)) {
                continue;
            }
            let Some(merged) = maker.merged(name)? else {
                continue;
            };
            if merged.len() == 1 {
                alone = Some(name);
            } else if merged[0].0 == at && maker.speaker(name, &merged).is_some() {
                maker.directory(name)?;
            }
        }
    }
    Ok(())
}

fn is_below(name: &[u8], directory: &[u8]) -> bool {
    let rest = name.strip_prefix(directory);
    rest.is_some_and(|rest| rest.starts_with(b"/"))
}

/// Directories of one name in several layers, top first, each with its layer's number.
type Merged = Vec<(usize, OwnedFd)>;

struct Maker<'a> {
    frame: &'a Path,
    layers: &'a [Layer],
    roots: Vec<OwnedFd>,
    top: Option<OwnedFd>,
    made: HashSet<Vec<u8>>,
}

impl Maker<'_> {
    /// The directories that `name` shows; `None` if it is no directory, or lies behind a link.
    fn merged(&self, name: &[u8]) -> io::Result<Option<Merged>> {
        let mut merged: Merged = Vec::with_capacity(self.roots.len());
        for (at, root) in self.roots.iter().enumerate() {
            merged.push((at, root.try_clone()?));
        }
        for part in name.split(|byte| *byte == b'/') {
            let part = CString::new(part)?;
            let (numbers, dirs): (Vec<usize>, Vec<OwnedFd>) = merged.into_iter().unzip();
            merged = match visible(&dirs, &part)? {
                Some(below) if !below.is_empty() => below
                    .into_iter()
                    .map(|(at, fd)| (numbers[at], fd))
                    .collect(),
                _ => return Ok(None),
            };
        }
        Ok(Some(merged))
    }

    /// The topmost of `merged` whose layer says something of it.
    fn speaker<'m>(&self, name: &[u8], merged: &'m Merged) -> Option<&'m OwnedFd> {
        let says = |at: usize| !self.layers[at].implied.contains(name);
        merged.iter().find(|(at, _)| says(*at)).map(|(_, fd)| fd)
    }

    /// Makes `name` in the frame, and what is above it, as they are to be seen.
    fn directory(&mut self, name: &[u8]) -> io::Result<()> {
        let mut parent = self.top()?.try_clone()?;
        let cuts = name.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        let ends: Vec<usize> = cuts.map(|(at, _)| at).chain([name.len()]).collect();
        let mut start = 0;
        let mut opened = Vec::new();
        for end in ends {
            let part = CString::new(&name[start..end])?;
            start = end + 1;
            let made = self.made.insert(name[..end].to_vec());
            if made {
                mkdirat(&parent, &*part, Mode::RWXU)?;
            }
            parent = openat(&parent, &*part, DIRECTORY, Mode::empty())?;
            if made {
                opened.push((&name[..end], parent.try_clone()?));
            }
        }
        // From below, so that nothing is put into one whose times are set.
        for (name, fd) in opened.into_iter().rev() {
            self.settle(name, &fd)?;
        }
        Ok(())
    }

    fn settle(&self, name: &[u8], fd: &OwnedFd) -> io::Result<()> {
        let Some(merged) = self.merged(name)? else {
            return Ok(());
        };
        match self
            .speaker(name, &merged)
            .or(merged.first().map(|(_, fd)| fd))
        {
            Some(like) => copy_facts(like, fd),
            None => Ok(()),
        }
    }

    fn top(&mut self) -> io::Result<&OwnedFd> {
        if self.top.is_none() {
            std::fs::create_dir(self.frame)?;
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
            self.top = Some(openat(CWD, self.frame, flags, Mode::empty())?);
        }
        Ok(self.top.as_ref().expect("set above"))
    }
}

/// Overlayfs's own marks are of the layer they are in.
fn copy_facts(from: &OwnedFd, to: &OwnedFd) -> io::Result<()> {
    let about = rustix::fs::fstat(from)?;
    facts::copy(&about, from, to, |name| {
        !name.to_bytes().starts_with(b"trusted.overlay.")
    })
}
