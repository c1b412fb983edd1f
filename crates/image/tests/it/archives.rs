//! Tests of save, load, import and create.

use std::io::Cursor;
use std::process::Command;

use weft_image::archive::ArchiveError;
use weft_image::{Changes, Digest, ErrorKind, Store};

use crate::sample::{Tar, busybox, busybox_with, gzip, reference, store, tree, zstd};

fn save(store: &Store, names: &[&str]) -> Vec<u8> {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut out = Vec::new();
    store.save(&names, &mut out).expect("saves");
    out
}

#[test]
fn saved_archives_load_to_the_same_image() {
    let (_dir, first) = store();
    let image = busybox(&first, "busybox:1");
    first
        .tag(&image, &reference("r.example/other:2"))
        .expect("tags");
    let archive = save(&first, &["busybox:1", "r.example/other:2"]);
    for bytes in [archive.clone(), gzip(&archive), zstd(&archive)] {
        let (_dir, second) = store();
        let loaded = second.load(Cursor::new(bytes)).expect("loads");
        assert_eq!(loaded.len(), 1);
        assert_eq!(loaded[0].names, ["busybox:1", "r.example/other:2"]);
        let again = second.find("busybox:1").expect("valid").expect("there");
        assert_eq!((&again.id, &again.manifest), (&image.id, &image.manifest));
        assert_eq!(again.layers, image.layers);
        assert_eq!(again.config, image.config);
    }
}

#[test]
fn skopeo_reads_what_is_saved_and_its_archives_load() {
    let (dir, first) = store();
    // Docker's format knows no zstd layers.
    let image = busybox_with(&first, "busybox:1", gzip);
    let saved = dir.path().join("saved.tar");
    std::fs::write(&saved, save(&first, &["busybox:1"])).expect("writes");
    let layout = dir.path().join("layout");
    let run = |from: String, to: String| {
        let out = Command::new("skopeo")
            .args(["copy", "--insecure-policy", &from, &to])
            .output()
            .expect("package skopeo");
        assert!(
            out.status.success(),
            "{from} {to}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
    };
    run(
        format!("docker-archive:{}", saved.display()),
        format!("oci:{}:x", layout.display()),
    );
    let oci = dir.path().join("oci.tar");
    run(
        format!("oci-archive:{}", saved.display()),
        format!("oci-archive:{}:b.example/c:d", oci.display()),
    );
    let docker = dir.path().join("docker.tar");
    run(
        format!("oci-archive:{}", saved.display()),
        format!("docker-archive:{}:b.example/c:d", docker.display()),
    );
    for path in [oci, docker] {
        let (_dir, second) = store();
        let loaded = second
            .load(std::fs::File::open(&path).expect("opens"))
            .expect("loads");
        assert_eq!(loaded[0].names, ["b.example/c:d"], "{}", path.display());
        assert_eq!(loaded[0].image.config.diff_ids, image.config.diff_ids);
    }
}

#[test]
fn import_applies_changes_and_unpacks() {
    let (dir, store) = store();
    let changes = ["CMD [\"sh\"]", "ENV A=b", "EXPOSE 80"].map(str::to_owned);
    let changes = Changes::parse(&changes).expect("fine");
    let tar = Tar::new().file("a/b", "x").end();
    let name = reference("imported");
    let image = store.import(
        Cursor::new(gzip(&tar)),
        &changes,
        "from a test",
        None,
        Some(&name),
    );
    let image = image.expect("imports");
    assert_eq!(image.config.cmd, ["sh"]);
    assert_eq!(image.config.history[0].comment, "from a test");
    assert_eq!(image.layers[0].diff_id, Digest::of(&tar));
    let layer = dir
        .path()
        .join("images/layers")
        .join(image.layers[0].diff_id.hex())
        .join("fs");
    assert_eq!(tree(&layer), ["a", "a/b"]);
    assert_eq!(store.list().len(), 1);
}

#[test]
fn hostile_archives_are_refused_and_leave_nothing() {
    let (dir, store) = store();
    let before = tree(dir.path());
    let config = format!(
        r#"{{"os":"linux","architecture":"amd64","rootfs":{{"type":"layers","diff_ids":["sha256:{}"]}}}}"#,
        "0".repeat(64)
    );
    let manifest = |config: &str, tag: &str| {
        format!(r#"[{{"Config":"{config}","RepoTags":["{tag}"],"Layers":["l.tar"]}}]"#)
    };
    let layer = Tar::new().file("x", "y").end();
    let lying_name = format!("{}.json", "a".repeat(64));
    let table: Vec<(&str, Vec<u8>)> = vec![
        ("empty", Vec::new()),
        ("not a tar", vec![b'x'; 5000]),
        ("no manifest", Tar::new().file("x", "y").end()),
        ("bad json", Tar::new().file("manifest.json", "{").end()),
        (
            "missing config",
            Tar::new()
                .file("manifest.json", manifest("c.json", "a:b"))
                .end(),
        ),
        (
            "wrong diff id",
            Tar::new()
                .file("manifest.json", manifest("c.json", "a:b"))
                .file("c.json", &config)
                .file("l.tar", &layer)
                .end(),
        ),
        (
            "config is not what its name says",
            Tar::new()
                .file("manifest.json", manifest(&lying_name, "a:b"))
                .file(&lying_name, &config)
                .file("l.tar", &layer)
                .end(),
        ),
        (
            "link loop",
            Tar::new()
                .file("manifest.json", manifest("c.json", "a:b"))
                .symlink("c.json", "d.json")
                .symlink("d.json", "c.json")
                .end(),
        ),
        (
            "link to the host",
            Tar::new()
                .file("manifest.json", manifest("c.json", "a:b"))
                .symlink("c.json", "../../../../etc/passwd")
                .end(),
        ),
        ("xz", b"\xfd7zXZ\0 and so on".to_vec()),
    ];
    for (what, archive) in table {
        let error = store.load(Cursor::new(archive)).expect_err(what);
        assert!(!error.to_string().is_empty());
        assert_eq!(tree(dir.path()), before, "{what}");
    }
    assert!(store.list().is_empty());
}

#[test]
fn a_blob_that_is_not_its_name_is_refused() {
    let (_dir, first) = store();
    busybox(&first, "busybox:1");
    let mut archive = save(&first, &["busybox:1"]);
    // The first blob's first byte.
    let at = 512 * 3;
    archive[at] ^= 1;
    let (_dir, second) = store();
    let error = second.load(Cursor::new(archive)).expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(second.list().is_empty());
}

#[test]
fn saving_nothing_or_the_unknown_fails() {
    let (_dir, store) = store();
    assert!(matches!(
        store.save(&[], Vec::new()),
        Err(ArchiveError::Nothing)
    ));
    let error = store
        .save(&["nope".to_owned()], Vec::new())
        .expect_err("unknown");
    assert_eq!(error.kind(), ErrorKind::NotFound);
}
