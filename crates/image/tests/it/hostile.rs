//! Tests of what hostile layers must not do.

use std::io::Cursor;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use weft_image::unpack::{Limits, Report, UnpackError, unpack};
use weft_image::{ErrorKind, ImageConfig};

use crate::sample::{Tar, header, item, pax_record, seal, store, tree};

/// Unpacks below `root` in a directory that has a canary beside it, and checks the canary.
fn attack(tar: Vec<u8>) -> (tempfile::TempDir, Result<Report, UnpackError>) {
    attack_within(tar, Limits::default())
}

fn attack_within(tar: Vec<u8>, limits: Limits) -> (tempfile::TempDir, Result<Report, UnpackError>) {
    let dir = tempfile::tempdir().expect("temporary directory");
    let (root, canary) = (dir.path().join("root"), dir.path().join("canary"));
    std::fs::create_dir(&root).expect("creates");
    std::fs::create_dir(&canary).expect("creates");
    std::fs::write(canary.join("file"), "untouched").expect("writes");
    let before = canary.join("file").metadata().expect("there");
    let report = unpack(Cursor::new(tar), &root, limits);
    let after = canary.join("file").metadata().expect("still there");
    assert_eq!(tree(&canary), ["file"]);
    assert_eq!(
        std::fs::read(canary.join("file")).expect("reads"),
        b"untouched"
    );
    assert_eq!(
        (before.ino(), before.mode(), before.nlink()),
        (after.ino(), after.mode(), after.nlink())
    );
    assert_eq!(
        tree(dir.path())
            .iter()
            .filter(|path| !path.contains('/'))
            .count(),
        2
    );
    (dir, report)
}

fn refused(tar: Vec<u8>) -> UnpackError {
    attack(tar).1.expect_err("refused")
}

#[test]
fn names_that_lead_out_are_refused() {
    for name in [
        "../canary/new",
        "../../x",
        "a/../../canary/file",
        "/../canary/file",
        "..",
        "a/../..",
    ] {
        let error = refused(Tar::new().file(name, "x").end());
        assert!(matches!(error, UnpackError::Escape(_)), "{name}: {error}");
        let error = refused(Tar::new().put(item(b'0', "x").pax("path", name), b"").end());
        assert!(matches!(error, UnpackError::Escape(_)), "{name}: {error}");
    }
    for name in [".wh...", "a/.wh..", ".wh."] {
        let error = refused(Tar::new().file(name, "").end());
        assert!(matches!(error, UnpackError::Format(_)), "{name}: {error}");
    }
}

#[test]
fn links_do_not_lead_out() {
    for target in [
        "../canary",
        "/canary",
        "../../../../../../../../tmp",
        "/proc/self/root",
    ] {
        let (dir, _) = attack(Tar::new().symlink("l", target).file("l/new", "x").end());
        let (_dir, _) = attack(Tar::new().symlink("l", target).file("l/file", "x").end());
        let (_dir, _) = attack(
            Tar::new()
                .symlink("l", target)
                .dir("l/")
                .file("l/file", "x")
                .end(),
        );
        let (_dir, _) = attack(Tar::new().symlink("l", target).file("l/.wh.file", "").end());
        let (_dir, _) = attack(
            Tar::new()
                .symlink("l", target)
                .file("l/.wh..wh..opq", "")
                .end(),
        );
        let (_dir, _) = attack(
            Tar::new()
                .symlink("l", target)
                .hardlink("h", "l/file")
                .end(),
        );
        let (_dir, _) = attack(
            Tar::new()
                .symlink("l", target)
                .put(item(b'5', "l").mode(0o777), b"")
                .end(),
        );
        drop(dir);
    }
    // A chain: each link is fine by itself.
    let (_dir, _) = attack(
        Tar::new()
            .dir("a/")
            .symlink("a/up", "..")
            .symlink("b", "a/up/../canary")
            .file("b/file", "x")
            .end(),
    );
    // A file over a link replaces the link.
    let (dir, report) = attack(
        Tar::new()
            .symlink("l", "../canary/file")
            .file("l", "mine")
            .end(),
    );
    report.expect("unpacks");
    assert!(
        dir.path()
            .join("root/l")
            .symlink_metadata()
            .expect("there")
            .is_file()
    );
}

#[test]
fn hard_links_stay_inside() {
    for target in ["../canary/file", "/../canary/file", "", ".", "missing", "h"] {
        let report = attack(Tar::new().hardlink("h", target).end()).1;
        assert!(report.is_err(), "{target}");
    }
    let inside = Tar::new()
        .symlink("s", "../canary/file")
        .hardlink("h", "s")
        .end();
    let (dir, report) = attack(inside);
    report.expect("a second name for the link itself");
    assert!(
        dir.path()
            .join("root/h")
            .symlink_metadata()
            .expect("there")
            .is_symlink()
    );
    let chmod = Tar::new()
        .symlink("s", "../canary/file")
        .put(item(b'1', "h").link("s").mode(0o777), b"")
        .end();
    attack(chmod).1.expect("the link's target is not touched");
}

#[test]
fn overlayfs_cannot_be_steered() {
    let smuggled = Tar::new()
        .put(
            item(b'5', "d/").pax("SCHILY.xattr.trusted.overlay.redirect", "/etc"),
            b"",
        )
        .put(
            item(b'0', "f").pax("SCHILY.xattr.trusted.overlay.metacopy", ""),
            b"x",
        )
        .put(
            item(b'0', "g").pax("SCHILY.xattr.user.overlay.opaque", "y"),
            b"x",
        )
        .put(item(b'0', "h").pax("SCHILY.xattr.user.mine", "kept"), b"x")
        .end();
    let (dir, report) = attack(smuggled);
    assert_eq!(report.expect("unpacks").dropped_attributes, 3);
    for (name, attribute) in [
        ("d", "trusted.overlay.redirect"),
        ("f", "trusted.overlay.metacopy"),
    ] {
        let path = dir.path().join("root").join(name);
        assert!(rustix::fs::lgetxattr(&path, attribute, &mut [0_u8; 16][..]).is_err());
    }
    let mut value = [0; 16];
    let kept = rustix::fs::lgetxattr(dir.path().join("root/h"), "user.mine", &mut value[..]);
    assert_eq!(&value[..kept.expect("there")], b"kept");
}

#[test]
fn parsers_cannot_be_made_to_disagree() {
    // A pax size that hides a second archive inside the data.
    let inner = Tar::new().file("smuggled", "x").0;
    let two_sizes = Tar::new()
        .put(item(b'0', "outer").pax("size", "0"), &inner)
        .end();
    let error = refused(two_sizes);
    assert!(error.to_string().contains("two sizes"), "{error}");

    let record = |bytes: &[u8]| {
        let mut tar = Tar::new();
        tar.raw(&header(&item(b'x', "pax"), bytes.len() as u64), bytes);
        tar.file("a", "").end()
    };
    for bytes in [
        &b"garbage\n"[..],
        b"6 path=a\n",
        b"99 path=a\n",
        b"0 path=a\n",
        b"9 path=ab",
        b"5 =a\n",
        b"11 size=-1\n\n",
        b"10 size=1x\n",
        b"18446744073709551616 path=a\n",
        b"11 path=a\0b\n",
        b"15 GNU.sparse.x\n",
    ] {
        assert!(
            matches!(refused(record(bytes)), UnpackError::Format(_)),
            "{bytes:?}"
        );
    }
    let global = pax_record("path", b"elsewhere");
    let mut tar = Tar::new();
    tar.raw(&header(&item(b'g', "pax"), global.len() as u64), &global);
    assert!(matches!(
        refused(tar.file("a", "").end()),
        UnpackError::Format(_)
    ));

    let mut checksum = header(&item(b'0', "a"), 0);
    checksum[0] ^= 1;
    let mut unknown = header(&item(b'Z', "a"), 0);
    seal(&mut unknown);
    let mut octal = header(&item(b'0', "a"), 0);
    octal[124] = b'9';
    seal(&mut octal);
    let mut negative = header(&item(b'0', "a"), 0);
    negative[124..136].fill(0xff);
    seal(&mut negative);
    for block in [checksum, unknown, octal, negative] {
        let mut tar = Tar::new();
        tar.raw(&block, b"");
        assert!(matches!(refused(tar.end()), UnpackError::Format(_)));
    }
    let whole = Tar::new().file("a", vec![1; 2000]).end();
    for length in [100, 511, 513, 1000, 2500] {
        let error = refused(whole[..length].to_vec());
        assert!(matches!(error, UnpackError::Format(_)), "{length}: {error}");
    }
}

#[test]
fn bounds_hold() {
    let deep = |levels: usize| {
        Tar::new()
            .file(format!("{}f", "d/".repeat(levels)), "")
            .end()
    };
    let pax = |path: String| Tar::new().put(item(b'0', "f").pax("path", path), b"").end();
    attack(deep(40)).1.expect("fine");
    attack(pax(format!("{}f", "d/".repeat(200))))
        .1
        .expect("fine");
    for tar in [
        pax(format!("{}f", "d/".repeat(300))),
        pax("n".repeat(256)),
        pax(format!("{}/f", vec!["n".repeat(200); 21].join("/"))),
        Tar::new()
            .put(item(b'0', "f").pax("comment", vec![b'x'; 2 << 20]), b"")
            .end(),
    ] {
        assert!(matches!(refused(tar), UnpackError::Limit(..)));
    }
    let many = (0..200)
        .fold(Tar::new(), |tar, at| tar.file(format!("f{at}"), ""))
        .end();
    let few = Limits {
        entries: 100,
        ..Limits::default()
    };
    let error = attack_within(many, few).1.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Exhausted);
    let wide = (0..200)
        .fold(Tar::new(), |tar, at| tar.dir(&format!("d{at}/")))
        .end();
    let few = Limits {
        directories: 100,
        ..Limits::default()
    };
    assert!(matches!(
        attack_within(wide, few).1,
        Err(UnpackError::Limit("directories", 100))
    ));
    for item in [
        item(b'0', "f").pax("uid", "65536"),
        item(b'0', "f").owner(0, 70_000),
    ] {
        let error = refused(Tar::new().put(item, b"").end());
        assert!(matches!(error, UnpackError::Owner { .. }), "{error}");
    }
}

#[test]
fn strange_names_are_just_names() {
    let names: [&[u8]; 5] = [b"new\nline", b"bell\x07", b"\xff\xfe", b" ", b"-rf"];
    let tar = names
        .iter()
        .fold(Tar::new(), |tar, name| tar.file(name, "x"))
        .end();
    let (dir, report) = attack(tar);
    assert_eq!(report.expect("unpacks").entries, 5);
    assert_eq!(
        std::fs::read_dir(dir.path().join("root"))
            .expect("lists")
            .count(),
        5
    );
}

#[test]
fn a_hundred_thousand_entries_and_a_million_refused() {
    let mut tar = Tar::new();
    let mut block = header(&item(b'0', "f"), 0);
    for at in 0..100_000_u32 {
        block[..16].fill(0);
        let name = format!("d{}/f{at}", at / 1000);
        block[..name.len()].copy_from_slice(name.as_bytes());
        seal(&mut block);
        tar.raw(&block, b"");
    }
    let few = Limits {
        entries: 99_999,
        ..Limits::default()
    };
    assert!(matches!(
        attack_within(tar.0.clone(), few).1,
        Err(UnpackError::Limit(..))
    ));
    assert_eq!(attack(tar.end()).1.expect("unpacks").entries, 100_000);
}

#[test]
fn sparse_lies_are_refused() {
    let mapped = |map: &str, size: &str| {
        let item = item(b'0', "s")
            .pax("GNU.sparse.map", map)
            .pax("GNU.sparse.size", size);
        refused(Tar::new().put(item, &[1; 10]).end())
    };
    for (map, size) in [
        ("0,10,5,10", "100"),
        ("50,10,0,1", "100"),
        ("0,1000", "1000"),
        ("95,10", "100"),
        ("18446744073709551615,10", "100"),
        ("1", "100"),
        ("x,y", "100"),
        ("0,1", "99999999999999999"),
    ] {
        let error = mapped(map, size);
        let fits = matches!(error, UnpackError::Format(_) | UnpackError::Limit(..));
        assert!(fits, "{map}: {error}");
    }
    let endless = item(b'0', "s")
        .pax("GNU.sparse.major", "1")
        .pax("GNU.sparse.minor", "0");
    refused(Tar::new().put(endless.clone(), &[b'1'; 5000]).end());
    refused(Tar::new().put(endless, b"999999999\n").end());
}

#[test]
fn bombs_are_refused_and_leave_nothing() {
    let (dir, store) = store();
    let before = tree(dir.path());
    let mut start = header(&item(b'0', "big"), 0);
    start[124..135].copy_from_slice(b"77777777777");
    seal(&mut start);
    let bomb = [
        crate::sample::zstd(&start),
        crate::sample::zstd(&vec![0; 64 << 20]).repeat(40),
    ]
    .concat();
    let layers: Vec<Box<dyn std::io::Read + Send>> = vec![Box::new(Cursor::new(bomb))];
    let error = store
        .create(ImageConfig::default(), layers, None)
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Exhausted, "{error:?}");
    let left: Vec<_> = tree(dir.path())
        .into_iter()
        .filter(|p| !before.contains(p))
        .collect();
    assert_eq!(left, Vec::<String>::new());
}

#[test]
fn the_root_itself_is_no_file() {
    for kind in [b'0', b'1', b'2', b'3'] {
        let error = refused(Tar::new().put(item(kind, ".").link("x"), b"").end());
        assert!(matches!(error, UnpackError::Format(_)), "{kind}: {error}");
    }
    let error = refused(Tar::new().file(".wh..wh..opq", "").end());
    assert!(matches!(error, UnpackError::Unsupported(_)), "{error}");
    assert!(!Path::new("/.wh..wh..opq").exists());
}

/// An archive of `count` entries, a thousand to a directory, made as it is read: the first of
/// each directory is a file, the others are further names of it.
struct Many {
    next: u32,
    count: u32,
    block: [u8; 512],
    at: usize,
}

impl Many {
    fn new(count: u32) -> Self {
        let block = header(&item(b'0', "f"), 0);
        Self {
            next: 0,
            count,
            at: block.len(),
            block,
        }
    }

    fn next_header(&mut self) {
        let directory = self.next / 1000;
        let name = format!("d{directory}/f{}", self.next);
        let link = match self.next % 1000 {
            0 => String::new(),
            _ => format!("d{directory}/f{}", directory * 1000),
        };
        self.block[..100].fill(0);
        self.block[..name.len()].copy_from_slice(name.as_bytes());
        self.block[156] = if link.is_empty() { b'0' } else { b'1' };
        self.block[157..257].fill(0);
        self.block[157..157 + link.len()].copy_from_slice(link.as_bytes());
        seal(&mut self.block);
        (self.next, self.at) = (self.next + 1, 0);
    }
}

impl std::io::Read for Many {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if self.at == self.block.len() {
            if self.next == self.count {
                return Ok(0);
            }
            self.next_header();
        }
        let count = out.len().min(self.block.len() - self.at);
        out[..count].copy_from_slice(&self.block[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

/// KiB that this process has needed at most so far.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("readable");
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.expect("has one").parse().expect("a number")
}

#[test]
fn a_million_entries_take_no_more_memory_than_a_few() {
    const ALONE: &str = "WEFT_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        // In a process of its own: the other tests' memory is none of its affair.
        let name = "hostile::a_million_entries_take_no_more_memory_than_a_few";
        let this = std::env::current_exe().expect("has a path");
        let run = std::process::Command::new(this)
            .args(["--exact", name, "--nocapture"])
            .env(ALONE, "1")
            .output()
            .expect("runs");
        let said = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "{said}");
        return;
    }
    // In memory: a disk would be the slowest part by far.
    let dir = tempfile::tempdir_in("/dev/shm").expect("temporary directory");
    let many = |count: u32| {
        let root = dir.path().join(count.to_string());
        std::fs::create_dir(&root).expect("creates");
        let source = std::io::BufReader::with_capacity(64 << 10, Many::new(count));
        let report = unpack(source, &root, Limits::default()).expect("unpacks");
        assert_eq!(report.entries, u64::from(count));
        let last = root.join(format!("d{}/f{}", (count - 1) / 1000, count - 1));
        assert!(last.is_file());
        peak_kib()
    };
    let few = many(10_000);
    let grown = many(1_050_000) - few;
    assert!(grown < 16 << 10, "{grown} KiB more");
}
