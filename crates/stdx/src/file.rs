//! Files that are replaced whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// How far a replacement has to have gone when the call returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Survives the process; a power cut may bring the old content back.
    Process,
    /// Survives a power cut: file and directory are synced.
    PowerCut,
}

/// A file that is being made beside its place, for its owner alone. Dropped, it is gone.
#[derive(Debug)]
pub struct Pending {
    file: File,
    temporary: PathBuf,
    place: PathBuf,
}

impl Pending {
    /// Begins a file that will be at `place`, an absolute path.
    ///
    /// # Errors
    /// Whatever creating it answers: nothing can be written there.
    pub fn begin(place: &Path) -> io::Result<Pending> {
        let mut name = place.file_name().unwrap_or_default().to_owned();
        name.push(format!(".tmp-{}", crate::id::random_hex(4)));
        let temporary = place.with_file_name(name);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)?;
        let place = place.to_owned();
        Ok(Pending {
            file,
            temporary,
            place,
        })
    }

    /// Gives it the owner and mode of another file.
    ///
    /// # Errors
    /// Whatever changing them answers.
    pub fn like(&self, other: &fs::Metadata) -> io::Result<()> {
        let own = self.file.metadata()?;
        if (own.uid(), own.gid()) != (other.uid(), other.gid()) {
            std::os::unix::fs::fchown(&self.file, Some(other.uid()), Some(other.gid()))?;
        }
        self.file.set_permissions(other.permissions())
    }

    /// Gives it its place, whole and on disk. What is there is replaced; or, where it is only to
    /// be made, stays, and this fails.
    ///
    /// # Errors
    /// Whatever syncing and renaming answer; `AlreadyExists` where it is only to be made.
    pub fn commit(self, is_replacing: bool) -> io::Result<()> {
        self.file.sync_all()?;
        match is_replacing {
            true => fs::rename(&self.temporary, &self.place)?,
            // A link is made only where there is nothing, on every file system.
            false => fs::hard_link(&self.temporary, &self.place)?,
        }
        let parent = self.place.parent().unwrap_or(Path::new("/"));
        sync_directory(parent)
    }
}

impl Write for Pending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        // The name is ours alone; what has its place does not need it.
        let _ = fs::remove_file(&self.temporary);
    }
}

/// Replaces `path` by `content` (mode 0600): a reader sees the old or the new, never a part.
///
/// # Errors
/// Whatever creating, writing, syncing or renaming answers; the old file is then untouched.
pub fn replace(path: &Path, content: &[u8], durability: Durability) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".tmp-{}", crate::id::random_hex(4)));
    let temporary = path.with_file_name(name);
    let written =
        write(&temporary, content, durability).and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = written {
        // The name is ours alone; a leftover would only waste space.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    if durability == Durability::PowerCut {
        sync_directory(path.parent().unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

/// What one `write` changes as a whole, whatever becomes of the process.
const PAGE: usize = 4096;

/// As [`replace`] with [`Durability::Process`], for text: a file that fits in a page keeps its blocks
/// and is padded with line ends, for a disk may take longer to free blocks than to write them.
///
/// # Errors
/// As [`replace`].
pub fn overwrite(path: &Path, text: &[u8]) -> io::Result<()> {
    let file = OpenOptions::new()
        .write(true)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path);
    let Ok(file) = file else {
        return replace(path, text, Durability::Process);
    };
    let present = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    let length = text.len().max(present);
    if length > PAGE {
        return replace(path, text, Durability::Process);
    }
    let mut page = [b'\n'; PAGE];
    page[..text.len()].copy_from_slice(text);
    let written = file.write_at(&page[..length], 0)?;
    if written < length {
        return replace(path, text, Durability::Process);
    }
    Ok(())
}

fn write(path: &Path, content: &[u8], durability: Durability) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(content)?;
    if durability == Durability::PowerCut {
        file.sync_all()?;
    }
    Ok(())
}

/// Makes the names in `directory` survive a power cut.
///
/// # Errors
/// Whatever opening or syncing it answers.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Reads a whole file of at most `limit` bytes.
///
/// # Errors
/// `InvalidData` when it is larger, else whatever reading answers.
pub fn read_bounded(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_all_bounded(File::open(path)?, limit)
}

/// As [`read_bounded`], from something already open.
///
/// # Errors
/// `InvalidData` when there is more than `limit`, else whatever reading answers.
pub fn read_all_bounded(reader: impl io::Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(reader, limit + 1), &mut content)?;
    if content.len() as u64 > limit {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("larger than {limit} bytes"),
        ));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacing_leaves_one_file_with_the_new_content() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record.json");
        for (content, durability) in [("one", Durability::Process), ("two", Durability::PowerCut)] {
            replace(&path, content.as_bytes(), durability).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_pending_is_there_when_it_is_whole() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config");
        let begin = |text: &str| {
            let mut pending = Pending::begin(&path).unwrap();
            pending.write_all(text.as_bytes()).unwrap();
            pending
        };
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        drop(begin("never"));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        begin("one").commit(false).unwrap();
        assert_eq!(
            (fs::read_to_string(&path).unwrap().as_str(), mode()),
            ("one", 0o600)
        );
        let refused = begin("two").commit(false).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "one");
        let three = begin("three");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        three.like(&fs::metadata(&path).unwrap()).unwrap();
        three.commit(true).unwrap();
        assert_eq!(
            (fs::read_to_string(&path).unwrap().as_str(), mode()),
            ("three", 0o640)
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let nowhere = Pending::begin(&dir.path().join("not/there"));
        assert_eq!(nowhere.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn overwriting_keeps_the_file_and_leaves_nothing_of_what_was() {
        use std::os::unix::fs::MetadataExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("record.json");
        let inode = || fs::metadata(&path).unwrap().ino();
        overwrite(&path, b"{\"long\":1}").unwrap();
        let first = inode();
        for text in ["{}", "{\"much longer\":\"than before\"}"] {
            overwrite(&path, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap().trim_end(), text);
            assert_eq!(inode(), first);
        }
        let large = "x".repeat(PAGE + 1);
        overwrite(&path, large.as_bytes()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), large);
        overwrite(&path, b"{}").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        // A link is replaced, not followed.
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        overwrite(&link, b"new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{}");
        assert_eq!(fs::read_to_string(&link).unwrap(), "new");
    }

    #[test]
    fn a_failed_replacement_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("taken");
        fs::create_dir(&path).unwrap();
        fs::write(path.join("inside"), "x").unwrap();
        assert!(replace(&path, b"y", Durability::Process).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn reading_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, "12345").unwrap();
        assert_eq!(read_bounded(&path, 5).unwrap(), b"12345");
        assert_eq!(
            read_bounded(&path, 4).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
    }
}
