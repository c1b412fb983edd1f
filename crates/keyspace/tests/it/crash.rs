//! Killed at any moment under load: what was acknowledged is there, once, and nothing is missing in
//! between.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use weft_keyspace::{Batch, Event, EventKind, Keyspace as _, Options, Range, Revision, Span};

const ROUNDS: u64 = 20;
const TASKS: usize = 16;

/// Beside the directory of the test program.
fn load() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let program = tests.ancestors().nth(2).unwrap().join("examples/load");
    assert!(
        program.exists(),
        "{} is not built: run all targets",
        program.display()
    );
    program
}

/// Runs it until it has acknowledged `count` writes, kills it, and reads what else it has said.
fn killed_after(path: &Path, count: u64, history: usize) -> Vec<(u64, u64, u64)> {
    let mut child = Command::new(load())
        .arg(path)
        .arg(TASKS.to_string())
        .env("HISTORY", history.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let mut acknowledged = Vec::new();
    for line in output.split(b'\n') {
        let line = String::from_utf8(line.unwrap()).unwrap();
        let numbers: Vec<u64> = line.split(' ').map(|n| n.parse().unwrap()).collect();
        // Lines are written whole: the last may be a part of one only if the kill hit the write.
        let [revision, task, step] = numbers[..] else {
            panic!("{line:?}");
        };
        acknowledged.push((revision, task, step));
        if acknowledged.len() as u64 == count {
            child.kill().unwrap();
        }
    }
    let status = child.wait().unwrap();
    assert!(status.code().is_none(), "it ended by itself: {status}");
    acknowledged
}

#[tokio::test]
async fn killed_under_load_it_keeps_every_acknowledged_write_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keyspace");
    let mut acknowledged = BTreeMap::new();
    for round in 0..ROUNDS {
        // Anywhere from while it starts to a few hundred batches later.
        let count = 1 + round * round * 7919 % 997;
        for (revision, task, step) in killed_after(&path, count, 100_000) {
            let twice = acknowledged.insert(revision, (task, step));
            assert_eq!(twice, None, "revision {revision} was given twice");
        }
        // Every other round the program itself goes on from what is there.
        if round % 2 == 1 {
            examine(&path, &acknowledged).await;
        }
    }
    assert!(acknowledged.len() as u64 > ROUNDS);
}

async fn examine(path: &Path, acknowledged: &BTreeMap<u64, (u64, u64)>) {
    let keyspace = weft_keyspace::embedded(path, Options::default()).unwrap();
    let newest = keyspace.revision().await.unwrap();
    let everything = Span::prefix("");
    let mut watch = keyspace
        .watch(everything.clone(), Revision(0))
        .await
        .unwrap();
    let mut next = 1;
    let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
    while watch.progress() < newest {
        let Batch::Events(events) = watch.receive().await.unwrap() else {
            continue;
        };
        for commit in events.chunk_by(|a, b| a.revision == b.revision) {
            assert_eq!(commit[0].revision.0, next, "a hole before it");
            let (task, step) = counted(commit);
            let expected = counts.entry(task).or_default();
            assert_eq!(step, *expected, "task {task} at revision {next}");
            *expected += 1;
            if let Some(known) = acknowledged.get(&next) {
                assert_eq!(*known, (task, step), "revision {next}");
            }
            next += 1;
        }
    }
    assert_eq!(newest.0, next - 1);
    let last = acknowledged.keys().next_back().unwrap();
    assert!(newest.0 >= *last, "{last} was acknowledged");
    let range = Range {
        span: everything,
        at: None,
        limit: Some(0),
    };
    let steps: u64 = counts.values().sum();
    let left = keyspace.range(range).await.unwrap().left as u64;
    assert_eq!(left, steps + counts.len() as u64, "a key for each step");
}

/// The task and step of a commit: a counter and a key of that count, and nothing else.
fn counted(commit: &[std::sync::Arc<Event>]) -> (u64, u64) {
    let [counter, step] = commit else {
        panic!("not whole: {commit:?}");
    };
    let task = String::from_utf8_lossy(&counter.item.key[b"/count/".len()..]);
    let count = String::from_utf8_lossy(&counter.item.value);
    assert_eq!(step.kind, EventKind::Created, "made twice: {step:?}");
    assert_eq!(step.item.key, format!("/step/{task}/{count}"));
    (task.parse().unwrap(), count.parse().unwrap())
}

/// With hardly any history each kill hits a fold, or what it leaves to be swept.
#[tokio::test]
async fn killed_while_it_folds_it_keeps_every_acknowledged_write() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keyspace");
    let mut acknowledged: BTreeMap<u64, u64> = BTreeMap::new();
    for round in 0..ROUNDS / 2 {
        for (_, task, step) in killed_after(&path, 500 + round * 131, 20) {
            acknowledged.insert(task, step);
        }
        let keyspace = weft_keyspace::embedded(&path, Options::default()).unwrap();
        let range = |prefix: String| Range {
            span: Span::prefix(prefix),
            at: None,
            limit: None,
        };
        for (task, step) in &acknowledged {
            let counter = keyspace.range(range(format!("/count/{task}"))).await;
            // "/count/1" begins those of more digits, too, and comes first.
            let counter = Arc::clone(&counter.unwrap().items[0]);
            let count: u64 = String::from_utf8_lossy(&counter.value).parse().unwrap();
            assert!(count >= *step, "task {task}: {step} was acknowledged");
            assert_eq!(counter.version, count + 1, "each step once");
            let steps = keyspace.range(range(format!("/step/{task}/"))).await;
            assert_eq!(steps.unwrap().items.len() as u64, count + 1, "task {task}");
        }
    }
    let options = Options {
        history_revisions: 20,
        ..Options::default()
    };
    let keyspace = weft_keyspace::embedded(&path, options).unwrap();
    let newest = keyspace.revision().await.unwrap();
    keyspace.compact(newest).await.unwrap();
    let past = keyspace.watch(Span::prefix(""), Revision(newest.0 - 1));
    assert!(past.await.is_err());
}
