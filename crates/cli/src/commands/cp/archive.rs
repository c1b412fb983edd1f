//! Tar archives of what is copied: made from files here, and unpacked to files here.
//!
//! Owns the names in them. What an archive from a container says is not trusted: it is unpacked
//! into a fresh directory that nobody else can enter, and only its first name is moved out.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};

use tokio::sync::mpsc;
use weft_client::{Bytes, Bytestream, Upload};

use crate::error::CliError;

/// Pieces under way between the archive's maker and its user.
const PIECES_MAX: usize = 4;
/// Size of one piece, in bytes.
const PIECE_BYTES: usize = 64 << 10;

/// Files here that become an archive.
pub struct Source {
    /// What is copied.
    pub path: PathBuf,
    /// What it is called in the archive; `.` for the contents of a directory.
    pub name: PathBuf,
    /// Copy what the link points to; links below stay links.
    pub follow: bool,
    /// Keep owners, else everything is root's.
    pub keep_owners: bool,
}

impl Source {
    /// The archive, made in a thread as it is sent.
    pub fn stream(self) -> Upload {
        let (sender, receiver) = mpsc::channel(PIECES_MAX);
        std::thread::spawn(move || {
            let pieces = Pieces {
                sender: sender.clone(),
                buffer: Vec::with_capacity(PIECE_BYTES),
            };
            let mut builder = tar::Builder::new(pieces);
            let done = self
                .add(&mut builder, &self.path, &self.name, self.follow)
                .and_then(|()| builder.into_inner()?.flush());
            if let Err(error) = done {
                let _ = sender.blocking_send(Err(error));
            }
        });
        receiver
    }

    fn add(
        &self,
        builder: &mut tar::Builder<Pieces>,
        path: &Path,
        name: &Path,
        follow: bool,
    ) -> io::Result<()> {
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let contents = name == Path::new(".");
        let meta = if follow || contents {
            std::fs::metadata(path)
        } else {
            std::fs::symlink_metadata(path)
        }
        .map_err(named)?;
        let mut header = tar::Header::new_gnu();
        header.set_metadata(&meta);
        if !self.keep_owners {
            header.set_uid(0);
            header.set_gid(0);
        }
        if meta.is_dir() {
            builder
                .append_data(&mut header, name, io::empty())
                .map_err(named)?;
            let mut entries: Vec<_> = std::fs::read_dir(path)
                .map_err(named)?
                .collect::<io::Result<_>>()
                .map_err(named)?;
            entries.sort_by_key(std::fs::DirEntry::file_name);
            for entry in entries {
                let name = name.join(entry.file_name());
                self.add(builder, &entry.path(), &name, false)?;
            }
            Ok(())
        } else if meta.is_symlink() {
            let target = std::fs::read_link(path).map_err(named)?;
            header.set_size(0);
            builder
                .append_link(&mut header, name, target)
                .map_err(named)
        } else if meta.is_file() {
            let file = std::fs::File::open(path).map_err(named)?;
            // A file that grows meanwhile is cut, one that shrinks is an error: the header is out.
            let size = meta.len();
            builder
                .append_data(&mut header, name, Exactly { file, left: size })
                .map_err(named)
        } else {
            header.set_size(0);
            builder
                .append_data(&mut header, name, io::empty())
                .map_err(named)
        }
    }
}

/// Exactly so many bytes of a file, or an error.
struct Exactly {
    file: std::fs::File,
    left: u64,
}

impl Read for Exactly {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let max = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        if max == 0 {
            return Ok(0);
        }
        let count = self.file.read(&mut buffer[..max])?;
        if count == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the file became shorter while it was copied",
            ));
        }
        self.left -= count as u64;
        Ok(count)
    }
}

/// Collects what is written into pieces for the connection.
struct Pieces {
    sender: mpsc::Sender<io::Result<Bytes>>,
    buffer: Vec<u8>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let piece = Bytes::from(std::mem::take(&mut self.buffer));
        self.sender
            .blocking_send(Ok(piece))
            .map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))
    }
}

/// What is in an archive from a container.
pub struct Archived {
    /// What it is called there.
    pub name: String,
    /// What it is to be called in a directory here, where that is something else.
    pub called: Option<String>,
    /// Its contents are copied, not itself.
    pub whole: bool,
    /// If it is a directory, it becomes the one that is there, rather than one in it.
    pub becomes: bool,
}

/// Unpacks `archived` to `target`.
pub async fn unpack(
    mut bytes: Bytestream,
    archived: Archived,
    target: &Path,
    keep_owners: bool,
) -> Result<(), CliError> {
    let (sender, receiver) = mpsc::channel(PIECES_MAX);
    let sending = async {
        while let Some(piece) = bytes.next().await? {
            if sender.send(piece).await.is_err() {
                break;
            }
        }
        drop(sender);
        Ok::<(), CliError>(())
    };
    let unpacking = unpack_pieces(receiver, archived, target, keep_owners);
    let (sent, unpacked) = tokio::join!(sending, unpacking);
    sent?;
    unpacked
}

/// The same of pieces that come; how many come at once is their sender's choice.
pub async fn unpack_pieces(
    receiver: mpsc::Receiver<Bytes>,
    archived: Archived,
    target: &Path,
    keep_owners: bool,
) -> Result<(), CliError> {
    let target = target.to_owned();
    let unpacking = tokio::task::spawn_blocking(move || {
        let place = Unpacked {
            archived,
            target,
            keep_owners,
        };
        place.write(Received {
            receiver,
            piece: Bytes::new(),
        })
    });
    let unpacked = unpacking.await;
    unpacked.map_err(|error| CliError::because("unpack the archive", &error))?
}

/// What the engine sent, to be read.
struct Received {
    receiver: mpsc::Receiver<Bytes>,
    piece: Bytes,
}

impl Read for Received {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let count = self.piece.len().min(buffer.len());
        buffer[..count].copy_from_slice(&self.piece.split_to(count));
        Ok(count)
    }
}

struct Unpacked {
    archived: Archived,
    target: PathBuf,
    keep_owners: bool,
}

impl Unpacked {
    fn write(&self, from: impl Read) -> Result<(), CliError> {
        let tried = |error: &io::Error| {
            CliError::because(format!("copy to {}", self.target.display()), error)
        };
        let is_directory = self.target.is_dir();
        let (parent, last) = if is_directory {
            (self.target.clone(), None)
        } else {
            let parent = match self.target.parent() {
                Some(parent) if parent != Path::new("") => parent.to_owned(),
                _ => PathBuf::from("."),
            };
            (parent, self.target.file_name())
        };
        let staging = Staging::new(&parent).map_err(|error| tried(&error))?;
        let mut archive = tar::Archive::new(from);
        archive.set_preserve_permissions(true);
        archive.set_preserve_ownerships(self.keep_owners);
        archive.set_overwrite(true);
        unpack_all(&mut archive, &staging.0).map_err(|error| tried(&error))?;
        let first = if self.archived.whole {
            staging.0.clone()
        } else {
            let plain = Path::new(&self.archived.name).components().next_back();
            match plain {
                Some(Component::Normal(name)) => staging.0.join(name),
                _ => staging.0.clone(),
            }
        };
        // The root of a container has no name of its own: its contents are copied.
        let contents = first == staging.0;
        // Not what a link of the archive's leads to.
        let is_directory = std::fs::symlink_metadata(&first).is_ok_and(|meta| meta.is_dir());
        let becomes = self.archived.becomes && is_directory;
        let done = match last {
            Some(last) if contents => {
                let fresh = parent.join(last);
                std::fs::create_dir(&fresh).and_then(|()| move_into(&first, &fresh))
            }
            Some(last) => merge(&first, &parent.join(last)),
            None if contents || becomes => move_into(&first, &parent),
            None => {
                let called = self.archived.called.as_deref().map(OsStr::new);
                let name = called.or(first.file_name()).unwrap_or_default();
                merge(&first, &parent.join(name))
            }
        };
        done.map_err(|error| tried(&error))
    }
}

/// Unpacks into the fresh directory `to`; directories last, since they may not be writable.
fn unpack_all(archive: &mut tar::Archive<impl Read>, to: &Path) -> io::Result<()> {
    let mut directories = Vec::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        if kind.is_dir() {
            directories.push(entry);
        } else if kind.is_fifo() || kind.is_character_special() || kind.is_block_special() {
            make_node(entry.header(), &entry.path()?, to)?;
        } else {
            entry.unpack_in(to)?;
        }
    }
    directories.sort_by(|a, b| b.path_bytes().cmp(&a.path_bytes()));
    for mut directory in directories {
        directory.unpack_in(to)?;
    }
    Ok(())
}

/// Makes a pipe or device, which no content tells of.
fn make_node(header: &tar::Header, name: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{FileType, Mode, makedev, mknodat};
    let mut path = to.to_owned();
    for part in name.components() {
        // Nothing is made where an earlier entry of the archive put a link.
        if !std::fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_dir()) {
            std::fs::create_dir(&path)?;
        }
        match part {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        }
    }
    let kind = match header.entry_type() {
        tar::EntryType::Fifo => FileType::Fifo,
        tar::EntryType::Char => FileType::CharacterDevice,
        _ => FileType::BlockDevice,
    };
    let device = if kind == FileType::Fifo {
        0
    } else {
        let number = |part: Option<u32>| part.unwrap_or_default();
        makedev(
            number(header.device_major()?),
            number(header.device_minor()?),
        )
    };
    let mode = Mode::from_raw_mode(header.mode()? & 0o7777);
    mknodat(rustix::fs::CWD, &path, kind, mode, device)?;
    Ok(rustix::fs::chmod(&path, mode)?)
}

/// Moves everything below `from` into the directory `to`.
fn move_into(from: &Path, to: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        merge(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Moves `from` to `to`; directories that exist are filled, links are replaced, not followed.
fn merge(from: &Path, to: &Path) -> io::Result<()> {
    let source_is_directory = std::fs::symlink_metadata(from)?.is_dir();
    match std::fs::symlink_metadata(to) {
        Ok(there) if source_is_directory && there.is_dir() => move_into(from, to),
        Ok(there) if source_is_directory != there.is_dir() => Err(io::Error::other(format!(
            "cannot put a {} in the place of the {} {}",
            kind(source_is_directory),
            kind(there.is_dir()),
            to.display()
        ))),
        _ => std::fs::rename(from, to),
    }
}

fn kind(is_directory: bool) -> &'static str {
    if is_directory { "directory" } else { "file" }
}

/// A fresh directory on the target's filesystem, for us alone; gone when dropped.
struct Staging(PathBuf);

impl Staging {
    fn new(parent: &Path) -> io::Result<Staging> {
        use std::os::unix::fs::DirBuilderExt as _;
        let name = format!(
            ".weft-cp-{}-{}",
            std::process::id(),
            weft_stdx::clock::unix_ns()
        );
        let path = parent.join(name);
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Staging(path))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[cfg(test)]
mod tests;
