//! Tests of names, removal, collection, snapshots and damaged state.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::PathBuf;

use weft_image::{
    ChangeKind, Digest, ErrorKind, NameError, Reclaimed, RegistryConfig, RemoveOptions, Removed,
    SnapshotError, Snapshotter, Store, StoreError,
};

use crate::sample::{busybox, reference, store, tree};

fn free() -> RemoveOptions<'static> {
    RemoveOptions {
        force: false,
        in_use: &|_| None,
    }
}

#[test]
fn names_are_found_as_docker_finds_them() {
    let (_dir, store) = store();
    let image = busybox(&store, "busybox:1");
    let find = |text: &str| store.find(text).map(|found| found.map(|image| image.id));
    let hex = image.id.hex();
    for text in [
        "busybox:1",
        "docker.io/library/busybox:1",
        &hex[..4],
        hex,
        &image.id.to_string(),
    ] {
        assert_eq!(find(text).expect("valid"), Some(image.id.clone()), "{text}");
    }
    for text in ["busybox", "busybox:2", "zzz", &"0".repeat(64)] {
        assert_eq!(find(text).expect("valid"), None, "{text}");
    }
    assert!(find("UPPER").is_err());
    store.tag(&image, &reference("other")).expect("tags");
    assert_eq!(
        store
            .find("other")
            .expect("valid")
            .expect("there")
            .names
            .len(),
        2
    );
}

#[test]
fn removal_follows_docker() {
    let (dir, store) = store();
    let empty = tree(dir.path());
    let image = busybox(&store, "busybox:1");
    store.tag(&image, &reference("other:2")).expect("tags");
    let id = image.id.to_string();
    assert!(matches!(
        store.remove(&id, free()),
        Err(NameError::SeveralNames(_))
    ));
    let removed = store.remove("other:2", free()).expect("untags");
    assert_eq!(removed, [Removed::Untagged("other:2".to_owned())]);
    let used = RemoveOptions {
        force: false,
        in_use: &|_| Some("container 12".to_owned()),
    };
    let error = store.remove("busybox:1", used).expect_err("in use");
    assert_eq!(
        error.to_string(),
        "cannot remove image busybox:1: container 12 uses it"
    );
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let forced = RemoveOptions {
        force: true,
        in_use: &|_| Some("container 12".to_owned()),
    };
    let removed = store.remove("busybox:1", forced).expect("untags");
    assert_eq!(removed, [Removed::Untagged("busybox:1".to_owned())]);
    assert!(store.get(&image.id).is_some(), "what runs keeps its image");
    let removed = store.remove(&id, free()).expect("removes");
    assert_eq!(removed.len(), 3, "image and two layers: {removed:?}");
    assert!(store.list().is_empty());
    let left: Vec<_> = tree(dir.path())
        .into_iter()
        .filter(|p| !empty.contains(p))
        .collect();
    assert_eq!(left, ["images/index.json"]);
    assert!(matches!(
        store.remove("nope", free()),
        Err(NameError::NotFound(_))
    ));
}

#[test]
fn collection_keeps_what_is_used() {
    let (_dir, store) = store();
    let image = busybox(&store, "busybox:1");
    let forced = RemoveOptions {
        force: true,
        in_use: &|_| Some("x".to_owned()),
    };
    store.remove("busybox:1", forced).expect("untags");
    let discard = |ids: &[Digest]| store.discard(ids).expect("collects");
    assert_eq!(discard(&[]).0, []);
    store.snapshots().prepare("c1", &image).expect("prepares");
    let ids = [image.id.clone()];
    assert_eq!(discard(&ids), (vec![], Reclaimed::default()));
    store.snapshots().remove("c1").expect("removes");
    let (removed, reclaimed) = discard(&ids);
    assert_eq!(removed, [Removed::Deleted(image.id)]);
    assert!(reclaimed.bytes > 100_000, "{reclaimed:?}");
    assert_eq!(reclaimed.layers.len(), 2);
}

#[test]
fn a_store_survives_reopening_and_refuses_a_second_owner() {
    let (dir, store) = store();
    let image = busybox(&store, "busybox:1");
    let path = dir.path().join("images");
    let second = Store::open(&path, RegistryConfig::default());
    assert!(matches!(second, Err(StoreError::Locked(_))));
    drop(store);
    std::fs::create_dir(path.join("ingest/layer-left")).expect("creates");
    let store = Store::open(&path, RegistryConfig::default()).expect("opens");
    assert_eq!(store.find("busybox:1").expect("valid"), Some(image));
    assert_eq!(tree(&path.join("ingest")), Vec::<String>::new());
}

#[test]
fn damage_is_told_or_left_out_never_run() {
    let (dir, store) = store();
    let image = busybox(&store, "busybox:1");
    let path = dir.path().join("images");
    drop(store);
    let config = path.join("blobs/sha256").join(image.id.hex());
    let good = std::fs::read(&config).expect("reads");
    for bad in [
        &b""[..],
        &vec![0; good.len()],
        &good[..good.len() / 2],
        b"{}",
    ] {
        std::fs::write(&config, bad).expect("writes");
        let store = Store::open(&path, RegistryConfig::default()).expect("opens");
        assert!(store.list().is_empty());
    }
    std::fs::write(&config, good).expect("writes");
    let index = path.join("index.json");
    let good = std::fs::read(&index).expect("reads");
    for bad in [&b""[..], &vec![0; good.len()], &good[..good.len() / 2]] {
        std::fs::write(&index, bad).expect("writes");
        let error = Store::open(&path, RegistryConfig::default())
            .err()
            .expect("refused");
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains("index.json"), "{error}");
    }
    std::fs::write(&index, good).expect("writes");
    let store = Store::open(&path, RegistryConfig::default()).expect("opens");
    assert_eq!(store.list().len(), 1);
}

#[test]
fn snapshots_answer_with_mounts_top_first() {
    let (dir, store) = store();
    let image = busybox(&store, "busybox:1");
    let mounts = store.snapshots().prepare("c1", &image).expect("prepares");
    assert_eq!(store.snapshots().mounts("c1").expect("there"), mounts);
    let layers = dir.path().join("images/layers");
    let top = layers.join(image.layers[1].diff_id.hex()).join("fs");
    assert_eq!(mounts.lower[0], top);
    let gone = top.join("etc/gone").symlink_metadata().expect("whiteout");
    assert!(gone.file_type().is_char_device() && gone.rdev() == 0);
    assert!(matches!(
        store.snapshots().prepare("c1", &image),
        Err(SnapshotError::Exists(_))
    ));
    for key in ["", "..", "a/b", ".x", &"k".repeat(129)] {
        assert!(matches!(
            store.snapshots().prepare(key, &image),
            Err(SnapshotError::Key(_))
        ));
    }

    std::fs::create_dir(mounts.upper.join("etc")).expect("creates");
    std::fs::write(mounts.upper.join("etc/hello"), "changed").expect("writes");
    std::fs::write(mounts.upper.join("etc/gone"), "back").expect("writes");
    std::fs::write(mounts.upper.join("new"), vec![1; 10_000]).expect("writes");
    let whiteout = rustix::fs::mknodat(
        rustix::fs::CWD,
        mounts.upper.join("bin"),
        rustix::fs::FileType::CharacterDevice,
        rustix::fs::Mode::empty(),
        0,
    );
    whiteout.expect("makes");
    // Made to mount something on: in a directory of the image's, and in one that is missing.
    std::fs::write(mounts.upper.join("etc/mounted"), "").expect("writes");
    std::fs::create_dir_all(mounts.upper.join("run/deep/mounted")).expect("creates");
    std::os::unix::fs::symlink("run/deep", mounts.upper.join("link")).expect("links");
    let targets = ["/etc/mounted", "/etc/hello", "/link/mounted"].map(PathBuf::from);
    let changes = store.snapshots().diff("c1", &targets).expect("compares");
    let shown: Vec<_> = changes
        .iter()
        .map(|c| (c.kind, c.path.to_str().expect("text")))
        .collect();
    use ChangeKind::{Added, Deleted, Modified};
    assert_eq!(
        shown,
        [
            (Deleted, "/bin"),
            (Modified, "/etc"),
            (Added, "/etc/gone"),
            (Modified, "/etc/hello"),
            (Added, "/link"),
            (Added, "/new"),
        ]
    );
    assert!(store.snapshots().usage("c1").expect("measures") >= 10_000);
    store.snapshots().remove("c1").expect("removes");
    store.snapshots().remove("c1").expect("removes twice");
    assert!(matches!(
        store.snapshots().mounts("c1"),
        Err(SnapshotError::NotFound(_))
    ));
}

/// Whoever comes first wins: the image stays and the snapshot is whole, or there is neither.
#[test]
fn a_snapshot_and_the_removal_of_its_image_do_not_miss_each_other() {
    let (dir, store) = store();
    let archive = {
        let image = busybox(&store, "busybox:1");
        let mut archive = Vec::new();
        store
            .save(&[image.id.to_string()], &mut archive)
            .expect("saves");
        store.remove("busybox:1", free()).expect("removes");
        archive
    };
    let mut won = [0, 0];
    for round in 0..100_u32 {
        let loaded = store.load(&archive[..]).expect("loads");
        let image = &loaded[0].image;
        store.tag(image, &reference("race:1")).expect("tags");
        let together = std::sync::Barrier::new(2);
        let (prepared, removed) = std::thread::scope(|scope| {
            let preparing = scope.spawn(|| {
                together.wait();
                store.snapshots().prepare("c", image)
            });
            together.wait();
            // Now and then the other way around.
            (0..round * 20).for_each(|_| std::hint::spin_loop());
            let removed = store.discard(std::slice::from_ref(&image.id));
            (preparing.join().expect("does not panic"), removed)
        });
        let (removed, _) = removed.expect("discards");
        match prepared {
            Ok(mounts) => {
                assert!(removed.is_empty(), "{removed:?}");
                assert!(store.get(&image.id).is_some());
                assert!(mounts.lower.iter().all(|layer| layer.is_dir()));
                assert!(matches!(
                    store.remove("race:1", free()),
                    Err(NameError::InUse { .. })
                ));
                store.snapshots().remove("c").expect("removes");
                store.remove("race:1", free()).expect("removes");
                won[0] += 1;
            }
            Err(SnapshotError::NoImage(id)) => {
                assert_eq!(id, image.id);
                assert!(store.get(&image.id).is_none());
                assert!(!dir.path().join("images/snapshots/c").exists());
                won[1] += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    println!("the snapshot won {} times, the removal {}", won[0], won[1]);
}
