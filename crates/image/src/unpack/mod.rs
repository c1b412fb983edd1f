//! Owns unpacking layer archives beneath a root directory: everything is opened below a held
//! descriptor with `openat2`, so no name, link or order of entries leads out (R1). Never reads
//! or writes a path of the host by name, never runs anything.

mod attributes;
mod content;
mod directories;
mod header;
mod path;
mod pax;
mod place;
pub(crate) mod reader;
mod sparse;
mod whiteout;

use std::io::{self, BufRead};
use std::path::Path;

use weft_sys::path::Root;

use crate::error::{ErrorKind, io_kind};
use place::Place;
use reader::Archive;

/// Bounds of what one archive may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Headers, extended ones included.
    pub entries: u64,
    /// Bytes of one path.
    pub path: usize,
    /// Levels of directories.
    pub depth: usize,
    /// Bytes of file content, stored and unpacked.
    pub bytes: u64,
    /// Distinct directories; their times are set last, so they are remembered.
    pub directories: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 10_000_000,
            path: 4095,
            depth: 256,
            bytes: 1 << 40,
            directories: 1_000_000,
        }
    }
}

/// What ids in an archive mean on files: `id + base`, of which there are `count`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ids {
    /// What id 0 is outside.
    pub base: u32,
    /// How many there are.
    pub count: u32,
}

impl Ids {
    /// Layers keep the ids as they are written; a container's user namespace maps this many.
    pub const CONTAINER: Ids = Ids {
        base: 0,
        count: 65_536,
    };
    /// All of the host's.
    pub const HOST: Ids = Ids {
        base: 0,
        count: u32::MAX,
    };

    pub(crate) fn outside(self, id: u64) -> Option<u32> {
        let id = u32::try_from(id).ok().filter(|id| *id < self.count)?;
        id.checked_add(self.base)
    }

    /// What a file's owner is called in an archive; somebody from elsewhere is nobody.
    pub(crate) fn inside(self, id: u32) -> u32 {
        const NOBODY: u32 = 65_534;
        let inside = id.checked_sub(self.base);
        inside.filter(|id| *id < self.count).unwrap_or(NOBODY)
    }
}

/// A tree that is in use, to unpack into: whoever works in it may move anything at any time.
#[derive(Debug)]
pub struct Tree<'a> {
    /// What names, links included, cannot leave.
    pub root: Root,
    /// The directory in it that names begin at.
    pub directory: &'a Path,
    /// Whose ids the archive has.
    pub ids: Ids,
    /// Everything goes to this user and group (ids as in the archive), not to those it names.
    pub owner: Option<(u32, u32)>,
    /// A directory is never replaced by something else, nor the other way around.
    pub keep_kinds: bool,
}

/// Most bytes of directory names that are remembered of one archive.
pub(crate) const NAMES_MAX: usize = 128 << 20;

/// What was unpacked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Headers read.
    pub entries: u64,
    /// Bytes of file content stored in the archive.
    pub bytes: u64,
    /// Attributes of overlayfs itself that the archive tried to bring and that were left out.
    pub dropped_attributes: u64,
    /// Directories (the root is an empty name) that the archive has something in, but says nothing
    /// of: they are root's and have mode 0755.
    pub implied: Vec<Vec<u8>>,
}

/// An archive could not be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// Reading (or inflating) the stream failed.
    #[error("cannot read the archive")]
    Read(#[source] io::Error),
    /// Not a valid archive.
    #[error("archive is malformed: {0}")]
    Format(String),
    /// A name leads out of the root.
    #[error("archive is refused: {0} leads out of it")]
    Escape(String),
    /// A bound was hit.
    #[error("archive is refused: more than the allowed {1} {0}")]
    Limit(&'static str, u64),
    /// Ids beyond what a container has.
    #[error("archive is refused: {path} belongs to {what} {id}, the container has 0 to {last}", last = count - 1)]
    Owner {
        /// The entry.
        path: String,
        /// `user` or `group`.
        what: &'static str,
        /// The id.
        id: u64,
        /// How many there are.
        count: u32,
    },
    /// Something overlayfs cannot express.
    #[error("archive is refused: {0}")]
    Unsupported(String),
    /// A directory would take something else's place, or the other way around.
    #[error("cannot overwrite {present} {path} with {new}")]
    Kind {
        /// What is there.
        present: &'static str,
        /// Where.
        path: String,
        /// What the archive has.
        new: &'static str,
    },
    /// The filesystem refused.
    #[error("cannot {doing} {path}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// The entry.
        path: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

impl UnpackError {
    /// Its class.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Read(_) | Self::Format(_) => ErrorKind::Corrupt,
            Self::Escape(_) | Self::Owner { .. } => ErrorKind::Invalid,
            Self::Unsupported(_) | Self::Kind { .. } => ErrorKind::Invalid,
            Self::Limit(..) => ErrorKind::Exhausted,
            Self::Io { source, .. } => io_kind(source),
        }
    }
}

/// Unpacks the layer archive `source` into the existing, empty directory `root` (a trusted path):
/// whiteouts become overlayfs's, ownership stays as written. Reads to the end of the stream.
pub fn unpack(source: impl BufRead, root: &Path, limits: Limits) -> Result<Report, UnpackError> {
    unpack_with(source, Place::layer(root, limits)?, limits)
}

/// Unpacks the archive `source` into a directory of a tree that is in use: no name means a
/// deletion, and what is there of an archive that breaks off stays. Reads to the end of the stream.
pub fn unpack_into(
    source: impl BufRead,
    tree: Tree<'_>,
    limits: Limits,
) -> Result<Report, UnpackError> {
    unpack_with(source, Place::tree(tree, limits)?, limits)
}

fn unpack_with(
    source: impl BufRead,
    mut place: Place,
    limits: Limits,
) -> Result<Report, UnpackError> {
    let mut archive = Archive::new(source, limits);
    while let Some(entry) = archive.next()? {
        place.entry(&entry, &mut archive)?;
    }
    archive.drain()?;
    place.finish()?;
    let (bytes, dropped_attributes) = place.totals();
    Ok(Report {
        entries: archive.entries(),
        bytes,
        dropped_attributes,
        implied: place.implied(),
    })
}

/// A name as it can be told: escaped and of bounded length.
pub(crate) fn shown(name: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(name).chars().take(200).collect();
    format!("{text:?}")
}
