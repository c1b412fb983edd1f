//! Files that are replaced whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// How far a replacement has to have gone when the call returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Survives the process; a power cut may bring the old content back.
    Process,
    /// Survives a power cut: file and directory are synced.
    PowerCut,
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
