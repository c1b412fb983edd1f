//! Archives made and unpacked again.

use super::*;

fn pack(source: Source) -> Vec<u8> {
    let mut upload = source.stream();
    let mut all = Vec::new();
    while let Some(piece) = upload.blocking_recv() {
        all.extend_from_slice(&piece.unwrap());
    }
    all
}

fn unpack_to(archive: &[u8], name: &str, whole: bool, target: &Path) -> Result<(), String> {
    let place = Unpacked {
        archived: Archived {
            name: name.to_owned(),
            called: None,
            whole,
            becomes: false,
        },
        target: target.to_owned(),
        keep_owners: false,
    };
    place
        .write(archive)
        .map_err(|error| error.message().to_owned())
}

/// All paths below, with their contents.
fn tree(root: &Path) -> Vec<String> {
    let mut all = Vec::new();
    let mut left = vec![root.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let meta = std::fs::symlink_metadata(&path).unwrap();
            if meta.is_dir() {
                all.push(format!("{name}/"));
                left.push(path);
            } else if meta.is_symlink() {
                all.push(format!(
                    "{name} -> {}",
                    std::fs::read_link(&path).unwrap().display()
                ));
            } else {
                all.push(format!(
                    "{name}={}",
                    std::fs::read_to_string(&path).unwrap()
                ));
            }
        }
    }
    all.sort();
    all
}

fn sample() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(root.path().join("d/sub")).unwrap();
    std::fs::write(root.path().join("d/a"), "1").unwrap();
    std::fs::write(root.path().join("d/sub/b"), "2").unwrap();
    std::os::unix::fs::symlink("a", root.path().join("d/l")).unwrap();
    root
}

fn source(path: PathBuf, name: &str) -> Source {
    Source {
        path,
        name: PathBuf::from(name),
        follow: false,
        keep_owners: false,
    }
}

#[test]
fn a_directory_goes_into_one_that_exists_and_becomes_one_that_does_not() {
    let root = sample();
    let archive = pack(source(root.path().join("d"), "d"));
    let there = tempfile::tempdir().unwrap();
    unpack_to(&archive, "d", false, there.path()).unwrap();
    let below = ["d/", "d/a=1", "d/l -> a", "d/sub/", "d/sub/b=2"];
    assert_eq!(tree(there.path()), below);
    // Once more: directories merge, files are replaced.
    std::fs::write(there.path().join("d/a"), "old").unwrap();
    unpack_to(&archive, "d", false, there.path()).unwrap();
    assert_eq!(tree(there.path()), below);

    let fresh = there.path().join("fresh");
    unpack_to(&archive, "d", false, &fresh).unwrap();
    assert_eq!(tree(&fresh), ["a=1", "l -> a", "sub/", "sub/b=2"]);
}

#[test]
fn contents_alone_are_copied_when_asked() {
    let root = sample();
    let archive = pack(source(root.path().join("d"), "."));
    let there = tempfile::tempdir().unwrap();
    unpack_to(&archive, "d", true, there.path()).unwrap();
    assert_eq!(tree(there.path()), ["a=1", "l -> a", "sub/", "sub/b=2"]);
}

#[test]
fn a_file_is_renamed_and_never_replaces_a_directory() {
    let root = sample();
    let archive = pack(source(root.path().join("d/a"), "a"));
    let there = tempfile::tempdir().unwrap();
    let target = there.path().join("new");
    unpack_to(&archive, "a", false, &target).unwrap();
    assert_eq!(tree(there.path()), ["new=1"]);
    std::fs::create_dir_all(there.path().join("x/a")).unwrap();
    let error = unpack_to(&archive, "a", false, &there.path().join("x")).unwrap_err();
    assert!(
        error.contains("cannot put a file in the place of the directory"),
        "{error}"
    );
    assert!(unpack_to(&archive, "a", false, Path::new("/nonexistent/x")).is_err());
}

#[test]
fn an_archive_cannot_reach_outside() {
    let outside = tempfile::tempdir().unwrap();
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    builder
        .append_link(&mut header, "d", outside.path())
        .unwrap();
    let mut header = tar::Header::new_gnu();
    header.set_size(4);
    header.set_mode(0o644);
    builder
        .append_data(&mut header, "d/evil", &b"evil"[..])
        .unwrap();
    let archive = builder.into_inner().unwrap();
    let there = tempfile::tempdir().unwrap();
    let _ = unpack_to(&archive, "d", false, there.path());
    assert!(tree(outside.path()).is_empty());
}
