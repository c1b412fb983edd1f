//! Tests of what well-formed layers become on disk.

use std::io::Cursor;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use weft_image::unpack::{Limits, Report, UnpackError, unpack};

use crate::sample::{Item, Tar, header, item, seal, tree};

fn unpacked(tar: Vec<u8>) -> (tempfile::TempDir, Result<Report, UnpackError>) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let report = unpack(Cursor::new(tar), dir.path(), Limits::default());
    (dir, report)
}

fn good(tar: Vec<u8>) -> tempfile::TempDir {
    let (dir, report) = unpacked(tar);
    report.expect("unpacks");
    dir
}

fn xattr(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 4096];
    let length = rustix::fs::lgetxattr(path, name, &mut value[..]).ok()?;
    value.truncate(length);
    Some(value)
}

#[test]
fn types_owners_modes_and_times_survive() {
    let capability = [
        1, 0, 0, 2, 0, 0x0a, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    let tar = Tar::new()
        .put(item(b'5', "./").mode(0o750).owner(7, 8), b"")
        .put(item(b'5', "d/").mode(0o2775).owner(0, 100), b"")
        .put(
            item(b'0', "d/suid").mode(0o4755).owner(1000, 1000),
            b"content",
        )
        .put(
            item(b'0', "/abs").pax("SCHILY.xattr.security.capability", capability),
            b"x",
        )
        .put(item(b'2', "link").link("/etc/passwd").owner(5, 6), b"")
        .put(item(b'1', "hard").link("d/suid"), b"")
        .put(item(b'3', "null").mode(0o666).device(1, 3), b"")
        .put(item(b'4', "disk").mode(0o600).device(8, 1), b"")
        .put(item(b'6', "pipe").mode(0o622), b"")
        .put(item(b'0', "old").pax("mtime", "-1.25"), b"")
        .end();
    let dir = good(tar);
    let stat = |name: &str| dir.path().join(name).symlink_metadata().expect(name);
    let root = dir.path().symlink_metadata().expect("root");
    assert_eq!(
        (root.mode() & 0o7777, root.uid(), root.gid()),
        (0o750, 7, 8)
    );
    let d = stat("d");
    assert_eq!(
        (d.mode() & 0o7777, d.gid(), d.mtime()),
        (0o2775, 100, 1_600_000_000)
    );
    let suid = stat("d/suid");
    assert_eq!(
        (suid.mode() & 0o7777, suid.uid(), suid.nlink()),
        (0o4755, 1000, 2)
    );
    assert_eq!(suid.ino(), stat("hard").ino());
    assert_eq!(stat("abs").gid(), 0);
    assert_eq!(
        xattr(&dir.path().join("abs"), "security.capability"),
        Some(capability.to_vec())
    );
    assert_eq!(
        (stat("link").uid(), stat("link").mtime()),
        (5, 1_600_000_000)
    );
    assert_eq!(
        std::fs::read_link(dir.path().join("link")).expect("link"),
        Path::new("/etc/passwd")
    );
    assert!(stat("null").file_type().is_char_device());
    assert_eq!(stat("null").rdev(), rustix::fs::makedev(1, 3));
    assert_eq!(stat("null").mode() & 0o7777, 0o666);
    assert!(stat("disk").file_type().is_block_device());
    assert!(stat("pipe").file_type().is_fifo());
    assert_eq!(stat("pipe").mode() & 0o7777, 0o622);
    assert_eq!(
        (stat("old").mtime(), stat("old").mtime_nsec()),
        (-2, 750_000_000)
    );
}

#[test]
fn whiteouts_become_overlayfs_ones() {
    let tar = Tar::new()
        .dir("a/")
        .file("a/.wh.x", "")
        .dir("b/")
        .file("b/keep", "")
        .file("b/.wh..wh..opq", "")
        .file(".wh..wh.plnk", "")
        .file(".wh.c", "")
        .dir("c/")
        .file("d", "stays")
        .file(".wh.d", "")
        .dir("e/")
        .file(".wh.e", "")
        .file("f/.wh.g", "")
        .file(".wh.h", "")
        .file("h/i", "")
        .end();
    let dir = good(tar);
    let path = |name: &str| dir.path().join(name);
    let whiteout = |name: &str| {
        let stat = path(name).symlink_metadata().expect(name);
        stat.file_type().is_char_device() && stat.rdev() == 0
    };
    let opaque = |name: &str| xattr(&path(name), "trusted.overlay.opaque") == Some(b"y".to_vec());
    assert!(whiteout("a/x") && whiteout("f/g"));
    assert!(!opaque("a") && opaque("b") && opaque("c") && opaque("e") && opaque("h"));
    assert_eq!(std::fs::read(path("d")).expect("file"), b"stays");
    assert!(!path(".wh..wh.plnk").exists());
}

#[test]
fn later_entries_replace_earlier_ones() {
    let tar = Tar::new()
        .dir("a/")
        .file("a/b", "x")
        .file("a", "now a file")
        .file("c", "x")
        .dir("c/")
        .file("c/d", "x")
        .symlink("e", "c")
        .dir("e/")
        .file("e/f", "in e")
        .file("g", "1")
        .file("g", "2")
        .dir("h/")
        .put(item(b'5', "h/").mode(0o700), b"")
        .end();
    let dir = good(tar);
    assert_eq!(tree(dir.path()), ["a", "c", "c/d", "e", "e/f", "g", "h"]);
    assert_eq!(std::fs::read(dir.path().join("g")).expect("file"), b"2");
    assert_eq!(
        dir.path().join("h").metadata().expect("dir").mode() & 0o777,
        0o700
    );
}

#[test]
fn long_names_and_links_in_both_dialects() {
    let long = format!("{}/{}", "d".repeat(120), "n".repeat(200));
    let pax = Tar::new()
        .put(item(b'0', "short").pax("path", &long), b"pax")
        .end();
    let mut gnu = Tar::new();
    let mut name = long.clone().into_bytes();
    name.push(0);
    gnu.raw(
        &header(&item(b'L', "././@LongLink"), name.len() as u64),
        &name,
    );
    let mut target = vec![b't'; 300];
    target.push(0);
    gnu.raw(
        &header(&item(b'K', "././@LongLink"), target.len() as u64),
        &target,
    );
    let gnu = gnu.put(item(b'2', "x").link("short"), b"").end();
    for (tar, is_link) in [(pax, false), (gnu, true)] {
        let dir = good(tar);
        let stat = dir.path().join(&long).symlink_metadata().expect("there");
        assert_eq!(stat.is_symlink(), is_link);
    }
    let mut split = header(&item(b'0', "name"), 0);
    split[345..350].copy_from_slice(b"up/on");
    seal(&mut split);
    let mut tar = Tar::new();
    tar.raw(&split, b"");
    assert_eq!(tree(good(tar.end()).path()), ["up", "up/on", "up/on/name"]);
}

fn sparse_header(size: u64, real: u64, pieces: &[(u64, u64)]) -> [u8; 512] {
    let mut block = header(&item(b'S', "s"), size);
    block[257..265].copy_from_slice(b"ustar  \0");
    block[345..512].fill(0);
    for (at, (offset, length)) in pieces.iter().enumerate() {
        let field = 386 + at * 24;
        block[field..field + 11].copy_from_slice(format!("{offset:011o}").as_bytes());
        block[field + 12..field + 23].copy_from_slice(format!("{length:011o}").as_bytes());
    }
    block[483..494].copy_from_slice(format!("{real:011o}").as_bytes());
    seal(&mut block);
    block
}

#[test]
fn sparse_files_keep_their_holes() {
    let real = 64 << 20;
    let data = vec![b'z'; 1000];
    let mut gnu = Tar::new();
    gnu.raw(&sparse_header(1000, real, &[(1 << 20, 1000)]), &data);
    let map = |major: &str| {
        item(b'0', "x")
            .pax("GNU.sparse.major", major)
            .pax("GNU.sparse.minor", "0")
    };
    let mut body = format!("1\n{}\n1000\n", 1 << 20).into_bytes();
    body.resize(512, 0);
    body.extend_from_slice(&data);
    let new = map("1")
        .pax("GNU.sparse.name", "s")
        .pax("GNU.sparse.realsize", real.to_string());
    let middle = item(b'0', "s")
        .pax("GNU.sparse.map", format!("{},1000", 1 << 20))
        .pax("GNU.sparse.size", real.to_string());
    let first = item(b'0', "s")
        .pax("GNU.sparse.size", real.to_string())
        .pax("GNU.sparse.offset", (1 << 20).to_string())
        .pax("GNU.sparse.numbytes", "1000");
    let pax = |item: Item, body: &[u8]| Tar::new().put(item, body).end();
    for tar in [
        gnu.end(),
        pax(new, &body),
        pax(middle, &data),
        pax(first, &data),
    ] {
        let dir = good(tar);
        let path = dir.path().join("s");
        let stat = path.metadata().expect("there");
        assert_eq!(stat.len(), real);
        assert!(stat.blocks() * 512 < 1 << 20, "{} blocks", stat.blocks());
        let content = std::fs::read(&path).expect("reads");
        assert_eq!(&content[1 << 20..(1 << 20) + 1000], &data[..]);
        assert!(content[(1 << 20) + 1000..].iter().all(|byte| *byte == 0));
    }
    let dir = good(Tar::new().file("zeros", vec![0; 1 << 20]).end());
    let stat = dir.path().join("zeros").metadata().expect("there");
    assert_eq!((stat.len(), stat.blocks()), (1 << 20, 0));
}

#[test]
fn gnu_tar_and_we_agree() {
    let source = tempfile::tempdir().expect("temporary directory");
    let script = "cd \"$1\" && mkdir -p a/b c && echo hi > a/b/f && ln a/b/f c/h && ln -s ../a c/s && \
        mkfifo c/p && chmod 4711 a/b/f && touch -d @1234567.5 a/b/f && truncate -s 3M c/sparse && \
        printf x >> c/sparse && mkdir \"c/$(printf 'n%.0s' $(seq 150))\" && : > \"c/new\nline\"";
    let run = |command: &str, argument: &Path, format: &str| {
        let out = std::process::Command::new("sh")
            .args(["-c", command, "sh"])
            .arg(argument)
            .arg(format)
            .output()
            .expect("sh");
        assert!(
            out.status.success(),
            "{}",
            String::from_utf8_lossy(&out.stderr)
        );
        out.stdout
    };
    run(script, source.path(), "");
    for format in ["gnu", "pax", "posix", "oldgnu"] {
        let list = |dir: &Path| {
            let command =
                "cd \"$1\" && find . -mindepth 1 -printf '%P %y %m %U %G %s %n %l %Ts\\n' | sort";
            String::from_utf8(run(command, dir, "")).expect("text")
        };
        let tar = run(
            "tar -C \"$1\" --sparse --format=$2 -cf - .",
            source.path(),
            format,
        );
        let dir = good(tar);
        assert_eq!(list(dir.path()), list(source.path()), "{format}");
    }
}
