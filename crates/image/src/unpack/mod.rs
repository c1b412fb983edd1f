//! Owns unpacking layer archives beneath a root directory: everything is opened below a held
//! descriptor with `openat2`, so no name, link or order of entries leads out (R1). Never reads
//! or writes a path of the host by name, never runs anything.

mod attributes;
mod directories;
mod path;
mod pax;
mod place;
pub(crate) mod reader;
mod sparse;

use std::io::{self, BufRead};
use std::path::Path;

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

/// What was unpacked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Headers read.
    pub entries: u64,
    /// Bytes of file content stored in the archive.
    pub bytes: u64,
    /// Attributes of overlayfs itself that the archive tried to bring and that were left out.
    pub dropped_attributes: u64,
}

/// An archive could not be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// Reading (or inflating) the stream failed.
    #[error("cannot read the layer archive")]
    Read(#[source] io::Error),
    /// Not a valid archive.
    #[error("layer archive is malformed: {0}")]
    Format(String),
    /// A name leads out of the root.
    #[error("layer archive is refused: {0} leads out of the image")]
    Escape(String),
    /// A bound was hit.
    #[error("layer archive is refused: more than the allowed {1} {0}")]
    Limit(&'static str, u64),
    /// Ids beyond what a container has.
    #[error("layer archive is refused: {path} belongs to {what} {id}, containers have 0 to 65535")]
    Owner {
        /// The entry.
        path: String,
        /// `user` or `group`.
        what: &'static str,
        /// The id.
        id: u64,
    },
    /// Something overlayfs cannot express.
    #[error("layer archive is refused: {0}")]
    Unsupported(String),
    /// The filesystem refused.
    #[error("cannot {doing} {path} of the layer")]
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
            Self::Escape(_) | Self::Owner { .. } | Self::Unsupported(_) => ErrorKind::Invalid,
            Self::Limit(..) => ErrorKind::Exhausted,
            Self::Io { source, .. } => io_kind(source),
        }
    }
}

/// Unpacks the layer archive `source` into the existing, empty directory `root` (a trusted path):
/// whiteouts become overlayfs's, ownership stays as written. Reads to the end of the stream.
pub fn unpack(source: impl BufRead, root: &Path, limits: Limits) -> Result<Report, UnpackError> {
    let mut archive = Archive::new(source, limits);
    let mut place = Place::new(root, limits)?;
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
    })
}

/// A name as it can be told: escaped and of bounded length.
pub(crate) fn shown(name: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(name).chars().take(200).collect();
    format!("{text:?}")
}
