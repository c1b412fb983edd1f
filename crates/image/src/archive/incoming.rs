//! Owns an archive being read: every file in it spooled and hashed, by name, until it is known
//! which of them are layers. Names in the archive never become paths.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use super::ArchiveError;
use crate::digest::{Algorithm, Digest, Hasher};
use crate::ingest::{Compression, IngestError};
use crate::store::Inner;
use crate::store::blobs::create_private;
use crate::unpack::reader::{Archive, Entry, Kind};
use crate::unpack::{Limits, shown};

/// Most files of one archive.
const FILES_MAX: u64 = 200_000;
/// Longest chain of links between files of an archive.
const LINKS_MAX: usize = 8;
/// How much is read at a time.
const PIECE: usize = 256 << 10;

/// The files of an archive. Dropping it removes what was spooled.
pub(super) struct Incoming {
    dir: PathBuf,
    files: HashMap<String, Spooled>,
    links: HashMap<String, String>,
}

/// One file of an archive.
#[derive(Clone, Debug)]
pub(super) struct Spooled {
    pub path: PathBuf,
    pub size: u64,
    pub sha256: Digest,
}

impl Drop for Incoming {
    fn drop(&mut self) {
        // What cannot be removed now is cleared when the store is next opened.
        let _ = weft_stdx::tree::remove(&self.dir);
    }
}

impl Incoming {
    /// Reads all of `archive`: a tar, possibly gzip or zstd.
    pub fn read(store: &Inner, archive: impl Read) -> Result<Self, ArchiveError> {
        let dir = store.ingest_path("load");
        let mut builder = std::fs::DirBuilder::new();
        builder
            .mode(0o700)
            .create(&dir)
            .map_err(ArchiveError::Spool)?;
        let mut incoming = Self {
            dir,
            files: HashMap::new(),
            links: HashMap::new(),
        };
        let limits = Limits {
            entries: FILES_MAX,
            ..Limits::default()
        };
        let mut tar = Archive::new(outer(archive)?, limits);
        while let Some(entry) = tar.next().map_err(ArchiveError::Tar)? {
            incoming.take(&entry, &mut tar)?;
        }
        tar.drain().map_err(ArchiveError::Tar)?;
        Ok(incoming)
    }

    fn take<R: BufRead>(
        &mut self,
        entry: &Entry,
        tar: &mut Archive<R>,
    ) -> Result<(), ArchiveError> {
        let name = clean("", &entry.path);
        match entry.kind {
            Kind::File if entry.sparse.is_none() => {
                let spooled = self.spool(tar)?;
                self.links.remove(&name);
                if self.files.insert(name.clone(), spooled).is_some() {
                    return Err(ArchiveError::Format(format!("{name:?} is in it twice")));
                }
            }
            Kind::Symlink => {
                let base = name.rsplit_once('/').map_or("", |(base, _)| base);
                self.links.insert(name.clone(), clean(base, &entry.link));
            }
            Kind::HardLink => drop(self.links.insert(name, clean("", &entry.link))),
            Kind::Directory => {}
            _ => {
                let what = format!("{} is neither file, link nor directory", shown(&entry.path));
                return Err(ArchiveError::Format(what));
            }
        }
        Ok(())
    }

    fn spool<R: BufRead>(&self, tar: &mut Archive<R>) -> Result<Spooled, ArchiveError> {
        let path = self.dir.join(self.files.len().to_string());
        let mut file = create_private(&path).map_err(ArchiveError::Spool)?;
        let mut hasher = Hasher::new(Algorithm::Sha256);
        let mut size = 0;
        loop {
            let data = tar.data().map_err(ArchiveError::Tar)?;
            if data.is_empty() {
                return Ok(Spooled {
                    path,
                    size,
                    sha256: hasher.finish(),
                });
            }
            hasher.update(data);
            file.write_all(data).map_err(ArchiveError::Spool)?;
            let count = data.len();
            size += count as u64;
            tar.used(count);
        }
    }

    /// The file called `name`, through the archive's own links.
    pub fn find(&self, name: &str) -> Option<&Spooled> {
        let mut name = clean("", name.as_bytes());
        for _ in 0..LINKS_MAX {
            if let Some(file) = self.files.get(&name) {
                return Some(file);
            }
            name.clone_from(self.links.get(&name)?);
        }
        None
    }

    pub fn get(&self, name: &str) -> Result<&Spooled, ArchiveError> {
        let missing = || {
            let name: String = name.chars().take(200).collect();
            ArchiveError::Format(format!("it names {name:?} but does not hold it"))
        };
        self.find(name).ok_or_else(missing)
    }

    /// The blob `digest` of an OCI layout, checked against its name.
    pub fn blob(&self, digest: &Digest) -> Result<&Spooled, ArchiveError> {
        let name = format!("blobs/{}/{}", digest.algorithm().name(), digest.hex());
        let file = self.get(&name)?;
        // Layers with other digests are checked as they are unpacked, documents by `document`.
        if digest.algorithm() == Algorithm::Sha256 && file.sha256 != *digest {
            return Err(ArchiveError::Digest {
                name,
                got: file.sha256.clone(),
            });
        }
        Ok(file)
    }

    /// The manifest, index or config `digest` of an OCI layout, checked.
    pub fn document(&self, digest: &Digest, max: u64) -> Result<Vec<u8>, ArchiveError> {
        let bytes = self.blob(digest)?.read(&digest.to_string(), max)?;
        let mut hasher = Hasher::new(digest.algorithm());
        hasher.update(&bytes);
        match hasher.finish() {
            got if got == *digest => Ok(bytes),
            got => Err(ArchiveError::Digest {
                name: digest.to_string(),
                got,
            }),
        }
    }
}

impl Spooled {
    /// Its content, if that is at most `max` bytes.
    pub fn read(&self, what: &str, max: u64) -> Result<Vec<u8>, ArchiveError> {
        if self.size > max {
            return Err(ArchiveError::Large(what.to_owned(), max));
        }
        std::fs::read(&self.path).map_err(ArchiveError::Spool)
    }

    pub fn open(&self) -> Result<File, ArchiveError> {
        File::open(&self.path).map_err(ArchiveError::Spool)
    }
}

/// A name within the archive; `..` stops at its top. It is only ever compared.
fn clean(base: &str, name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    let mut parts: Vec<&str> = Vec::new();
    for part in base.split('/').chain(name.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Undoes the compression of the whole archive.
fn outer<'r>(archive: impl Read + 'r) -> Result<Box<dyn BufRead + 'r>, ArchiveError> {
    let mut start = Vec::new();
    let mut archive = archive;
    (&mut archive)
        .take(6)
        .read_to_end(&mut start)
        .map_err(ArchiveError::Spool)?;
    let compression = Compression::of(&start).map_err(ArchiveError::Outer)?;
    let whole = BufReader::with_capacity(PIECE, io::Cursor::new(start).chain(archive));
    Ok(match compression {
        Compression::None => Box::new(whole),
        Compression::Gzip => {
            let inflated = flate2::bufread::MultiGzDecoder::new(whole);
            Box::new(BufReader::with_capacity(PIECE, inflated))
        }
        Compression::Zstd => {
            let inflated = zstd::stream::read::Decoder::with_buffer(whole)
                .map_err(|error| ArchiveError::Outer(IngestError::Inflate(error)))?;
            Box::new(BufReader::with_capacity(PIECE, inflated))
        }
    })
}
