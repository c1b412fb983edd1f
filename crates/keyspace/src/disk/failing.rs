//! Tests: what becomes of a keyspace when its disk fails, is full, loses its power, or is spoilt.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::DiskError;
use super::faults::FaultyDisk;
use super::file::Storage;
use crate::disk::Disk;
use crate::{
    Change, Commit, CommitError, Committed, Found, Keyspace, Local, Options, Range, ReadError,
    Revision, Span, WatchError,
};

fn fresh() -> FaultyDisk {
    let disk = FaultyDisk::default();
    Disk::create(Storage::new(Arc::new(disk.clone())), Revision(0)).unwrap();
    disk
}

fn open(disk: &FaultyDisk) -> Result<Local, DiskError> {
    crate::open::start(Arc::new(disk.clone()), Options::default())
}

async fn put(keyspace: &Local, key: &str, size: usize) -> Result<Committed, CommitError> {
    let change = Change::Put {
        key: key.to_owned().into(),
        value: vec![b'x'; size].into(),
        lease: None,
    };
    let commit = Commit {
        guards: Vec::new(),
        changes: vec![change],
    };
    keyspace.commit(commit).await
}

async fn all(keyspace: &Local) -> Found {
    let range = Range {
        span: Span::prefix(""),
        at: None,
        limit: None,
    };
    keyspace.range(range).await.unwrap()
}

fn keys(found: &Found) -> Vec<String> {
    let key = |item: &Arc<crate::Item>| String::from_utf8(item.key.to_vec()).unwrap();
    found.items.iter().map(key).collect()
}

async fn oldest(keyspace: &Local) -> Revision {
    match keyspace.watch(Span::prefix(""), Revision(0)).await {
        Err(WatchError::Compacted { oldest, .. }) => oldest,
        Ok(_) => Revision(0),
        Err(other) => panic!("{other}"),
    }
}

/// Fails everything from the `after`th operation on, and says what came of it.
async fn failing_after(after: u64) -> bool {
    let disk = fresh();
    let keyspace = open(&disk).unwrap();
    put(&keyspace, "before", 100).await.unwrap();
    let lease = keyspace.grant(Duration::from_secs(3600)).await.unwrap();
    disk.fail_after(Some(after));
    let names: Vec<String> = (0..4).map(|n| format!("while/{n}")).collect();
    let mut expected = vec!["before".to_owned()];
    let mut failed = false;
    for name in &names {
        // Large enough that the file has to grow.
        match put(&keyspace, name, 300_000).await {
            Ok(_) => expected.push(name.clone()),
            Err(CommitError::Full(_) | CommitError::Closed(_)) => failed = true,
            Err(other) => panic!("{other}"),
        }
    }
    let middle = Revision(all(&keyspace).await.revision.0 / 2);
    let compacted = keyspace.compact(middle).await;
    assert!(matches!(compacted, Ok(()) | Err(ReadError::Full(_))));
    failed |= compacted.is_err();
    failed |= keyspace.revoke(lease).await.is_err();
    failed |= keyspace.grant(Duration::from_secs(3600)).await.is_err();
    assert_eq!(keys(&all(&keyspace).await), expected, "reads go on");
    disk.fail_after(None);
    let made = put(&keyspace, "behind", 100).await.unwrap();
    expected.insert(1, "behind".to_owned());
    expected.sort();
    assert_eq!(made.revision.0, expected.len() as u64, "without a hole");
    // What the disk has forgotten is not offered, what memory has not is still there.
    let oldest = oldest(&keyspace).await;
    let there = keyspace.keep_alive(lease).await.is_ok();
    let leases = keyspace.snapshot(std::io::sink()).unwrap().leases;
    // A later sync does not make good for the one that failed.
    let cut = disk.cut_now(after + 1);
    drop(keyspace);
    for disk in [disk, cut] {
        let again = open(&disk).unwrap();
        let found = all(&again).await;
        assert_eq!(keys(&found), expected, "failed after {after}");
        assert_eq!(found.revision, made.revision);
        assert_eq!(self::oldest(&again).await, oldest);
        assert_eq!(again.keep_alive(lease).await.is_ok(), there);
        assert_eq!(again.snapshot(std::io::sink()).unwrap().leases, leases);
    }
    failed
}

#[tokio::test]
async fn whatever_write_fails_nothing_is_lost_and_nothing_comes_back() {
    let mut after = 0;
    while failing_after(after).await {
        after += 1;
    }
    assert!(after > 20, "only {after} operations");
}

#[test]
fn what_a_failed_sync_has_left_is_written_again() {
    use redb::StorageBackend as _;
    let disk = FaultyDisk::default();
    let storage = Storage::new(Arc::new(disk.clone()));
    storage.set_len(2048).unwrap();
    storage.write(0, &[1; 512]).unwrap();
    storage.sync_data().unwrap();
    storage.write(1024, &[2; 512]).unwrap();
    disk.fail_after(Some(0));
    storage.sync_data().unwrap_err();
    assert!(storage.doubtful());
    disk.fail_after(None);
    let there = || {
        let mut content = [0; 512];
        disk.cut_now(1).read(1024, &mut content).unwrap();
        content
    };
    storage.sync_data().unwrap();
    assert_eq!(there(), [0; 512], "the sync alone does not do it");
    storage.write(1024, &[2; 512]).unwrap();
    disk.fail_after(Some(0));
    storage.sync_data().unwrap_err();
    disk.fail_after(None);
    storage.rewrite().unwrap();
    storage.sync_data().unwrap();
    assert_eq!(there(), [2; 512]);
}

#[tokio::test]
async fn commits_that_wait_together_fail_together() {
    let disk = fresh();
    let keyspace = open(&disk).unwrap();
    put(&keyspace, "first", 100).await.unwrap();
    disk.fail_after(Some(0));
    let names: Vec<String> = (0..50).map(|n| n.to_string()).collect();
    let answers = join_all(names.iter().map(|name| put(&keyspace, name, 100))).await;
    for answer in answers {
        assert!(matches!(answer, Err(CommitError::Full(_))), "{answer:?}");
    }
    assert_eq!(keyspace.revision().await.unwrap(), Revision(1));
    assert_eq!(keys(&all(&keyspace).await), ["first"]);
}

#[tokio::test]
async fn a_full_disk_is_said_and_left_again() {
    let disk = fresh();
    let keyspace = open(&disk).unwrap();
    disk.limit(Some(disk.length()));
    let mut expected = Vec::new();
    let full = loop {
        let name = format!("{:03}", expected.len());
        match put(&keyspace, &name, 50_000).await {
            Ok(_) => expected.push(name),
            Err(error) => break error,
        }
    };
    assert!(matches!(full, CommitError::Full(_)), "{full}");
    for _ in 0..3 {
        let again = put(&keyspace, "more", 500_000).await;
        assert!(matches!(again, Err(CommitError::Full(_))), "{again:?}");
        assert_eq!(keys(&all(&keyspace).await), expected);
    }
    disk.limit(None);
    put(&keyspace, "more", 500_000).await.unwrap();
    expected.push("more".into());
    drop(keyspace);
    assert_eq!(keys(&all(&open(&disk).unwrap()).await), expected);
}

#[tokio::test]
async fn a_power_cut_takes_nothing_that_was_acknowledged() {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for at in 0..150 {
        let disk = fresh();
        let keyspace = open(&disk).unwrap();
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        disk.cut_after(at * 2 / 3, random);
        let (mut acknowledged, mut cut) = (0, None);
        for n in 0..20 {
            put(&keyspace, &format!("{n:02}"), 5000).await.unwrap();
            if n % 7 == 6 {
                keyspace.compact(Revision(n - 2)).await.unwrap();
            }
            cut = disk.cut();
            if cut.is_some() {
                break;
            }
            acknowledged += 1;
        }
        let cut = cut.expect("there are more operations");
        let again = open(&cut).unwrap_or_else(|error| panic!("cut at {at}: {error}"));
        let found = all(&again).await;
        let revision = found.revision.0;
        assert!(
            (acknowledged..=acknowledged + 1).contains(&revision),
            "cut at {at}: revision {revision}, {acknowledged} acknowledged"
        );
        assert_eq!(found.items.len() as u64, revision);
        put(&again, "behind", 100).await.unwrap();
    }
}

/// Commits changes of many keys at once.
async fn change(keyspace: &Local, change: impl Fn(u32) -> Option<Change>) {
    let changes = (0..500).filter_map(change).collect();
    let guards = Vec::new();
    keyspace.commit(Commit { guards, changes }).await.unwrap();
}

/// A keyspace with a base and as much history of it as takes several pieces to fold: keys that
/// stay, change, go, come back and are new.
async fn before_a_fold() -> (FaultyDisk, Revision) {
    let disk = fresh();
    let keyspace = open(&disk).unwrap();
    let put = |key: String, value: u32| Change::Put {
        key: key.into(),
        value: value.to_string().into(),
        lease: None,
    };
    for part in 0..8 {
        change(&keyspace, |n| Some(put(format!("{part}/{n}"), 0))).await;
    }
    keyspace.compact(Revision(8)).await.unwrap();
    for part in 1..8 {
        let changed = |n: u32| match n % 5 {
            0 => None,
            1 => Some(Change::Delete {
                key: format!("{part}/{n}").into(),
            }),
            _ => Some(put(format!("{part}/{n}"), n)),
        };
        change(&keyspace, changed).await;
        let again = |n: u32| (n % 10 == 1).then(|| put(format!("{part}/{n}"), 7));
        change(&keyspace, again).await;
        change(&keyspace, |n| {
            (n < 100).then(|| put(format!("{part}/new/{n}"), n))
        })
        .await;
    }
    let newest = keyspace.revision().await.unwrap();
    drop(keyspace);
    (disk, newest)
}

/// Everything, with its versions.
async fn whole(keyspace: &Local) -> Vec<(String, String, u64, u64, u64)> {
    let items = all(keyspace).await.items;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let one = |item: &Arc<crate::Item>| {
        let (key, value) = (text(&item.key), text(&item.value));
        (key, value, item.created.0, item.modified.0, item.version)
    };
    items.iter().map(one).collect()
}

#[tokio::test]
async fn a_fold_that_is_cut_short_loses_nothing_and_is_finished() {
    let (disk, newest) = before_a_fold().await;
    let expected = whole(&open(&disk.copy()).unwrap()).await;
    let until = Revision(newest.0 - 1);
    let (mut cuts, mut unfinished) = (0, 0);
    for after in (0..).step_by(5) {
        let disk = disk.copy();
        let keyspace = open(&disk).unwrap();
        disk.cut_after(after, after + 1);
        keyspace.compact(until).await.unwrap();
        assert_eq!(whole(&keyspace).await, expected);
        drop(keyspace);
        let Some(cut) = disk.cut() else { break };
        cuts += 1;
        let again = open(&cut).unwrap_or_else(|error| panic!("cut at {after}: {error}"));
        assert_eq!(whole(&again).await, expected, "cut at {after}");
        unfinished += u64::from(oldest(&again).await > Revision(8));
        put(&again, "behind", 10).await.unwrap();
        again.compact(until).await.unwrap();
        assert_eq!(oldest(&again).await, until);
        drop(again);
        let again = open(&cut).unwrap();
        assert_eq!(oldest(&again).await, until);
        let mut found = whole(&again).await;
        assert_eq!(found.pop().map(|last| last.0).as_deref(), Some("behind"));
        assert_eq!(found, expected, "cut at {after}, and finished");
    }
    assert!(
        cuts > 10 && unfinished > 3,
        "{cuts} cuts, {unfinished} amid it"
    );
}

#[tokio::test]
async fn a_fold_that_fails_stands_in_nobodys_way_and_is_made_later() {
    let (disk, newest) = before_a_fold().await;
    let expected = whole(&open(&disk.copy()).unwrap()).await;
    let until = Revision(newest.0 - 1);
    let mut failures = 0;
    for after in (0..).step_by(5) {
        let disk = disk.copy();
        let keyspace = open(&disk).unwrap();
        disk.fail_after(Some(after));
        let made = keyspace.compact(until).await;
        disk.fail_after(None);
        if made.is_ok() {
            break;
        }
        failures += 1;
        assert_eq!(whole(&keyspace).await, expected, "failed at {after}");
        put(&keyspace, "behind", 10).await.unwrap();
        let copy = disk.copy();
        keyspace.compact(until).await.unwrap();
        drop(keyspace);
        for disk in [disk, copy] {
            let mut found = whole(&open(&disk).unwrap()).await;
            assert_eq!(found.pop().map(|last| last.0).as_deref(), Some("behind"));
            assert_eq!(found, expected, "failed at {after}");
        }
    }
    assert!(failures > 10, "only {failures}");
}

#[tokio::test]
async fn what_is_spoilt_is_refused_or_has_nothing_to_do_with_it() {
    let disk = fresh();
    let keyspace = open(&disk).unwrap();
    for n in 0..200 {
        put(&keyspace, &format!("{n:03}"), 1000).await.unwrap();
    }
    keyspace.compact(Revision(100)).await.unwrap();
    let expected = all(&keyspace).await;
    drop(keyspace);
    let length = usize::try_from(disk.length()).unwrap();
    let mut refused = 0;
    let places = (0..length).step_by(length / 200).chain(0..300);
    for place in places {
        let spoilt = disk.copy();
        spoilt.spoil(place);
        match open(&spoilt) {
            Ok(keyspace) => {
                let found = all(&keyspace).await;
                let same = found.items.iter().zip(&expected.items);
                let same = same.filter(|(a, b)| a.key == b.key && a.value == b.value);
                assert_eq!(same.count(), expected.items.len(), "byte {place}");
                assert_eq!(found.revision, expected.revision, "byte {place}");
            }
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 50, "only {refused} noticed");
}
