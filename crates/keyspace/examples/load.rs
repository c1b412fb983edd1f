//! Commits to a keyspace on disk from several tasks: `load PATH TASKS SECONDS` says how fast,
//! `load PATH TASKS` prints each write that was acknowledged and goes on until it is killed. HISTORY
//! in the environment is how many revisions it keeps.
//!
//! Owns no checks: who kills it looks at what it has left.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use weft_keyspace::{Change, Commit, Expect, Guard, Keyspace, Options, Revision};

const VALUE_BYTES: usize = 256;

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let [_, path, tasks, rest @ ..] = &args[..] else {
        panic!("load PATH TASKS [SECONDS]");
    };
    let tasks = tasks.parse().expect("TASKS is a number");
    let opening = Instant::now();
    let mut options = Options::default();
    if let Ok(revisions) = std::env::var("HISTORY") {
        options.history_revisions = revisions.parse().expect("HISTORY is a number");
    }
    let keyspace = weft_keyspace::embedded(Path::new(path), options);
    let keyspace: Arc<dyn Keyspace> = Arc::new(keyspace.expect("a keyspace"));
    match rest {
        [seconds] => {
            println!("opened in {:?}", opening.elapsed());
            let seconds = seconds.parse().expect("SECONDS is a number");
            measure(&keyspace, tasks, Duration::from_secs(seconds)).await;
        }
        _ => acknowledge(&keyspace, tasks).await,
    }
}

fn put(key: String, value: Vec<u8>) -> Change {
    Change::Put {
        key: key.into(),
        value: value.into(),
        lease: None,
    }
}

async fn measure(keyspace: &Arc<dyn Keyspace>, tasks: usize, time: Duration) {
    let end = Instant::now() + time;
    let load = |task: usize| {
        let keyspace = Arc::clone(keyspace);
        tokio::spawn(async move {
            let mut taken = Vec::new();
            while Instant::now() < end {
                let key = format!("/load/{task}/{}", taken.len() % 1000);
                let began = Instant::now();
                let changes = vec![put(key, vec![b'x'; VALUE_BYTES])];
                let guards = Vec::new();
                let commit = keyspace.commit(Commit { guards, changes });
                commit.await.expect("a commit");
                taken.push(began.elapsed());
            }
            taken
        })
    };
    let running: Vec<_> = (0..tasks).map(load).collect();
    let mut taken = Vec::new();
    for task in running {
        taken.extend(task.await.expect("a task"));
    }
    taken.sort_unstable();
    let at = |part: usize| taken[(taken.len() - 1) * part / 100];
    println!(
        "{tasks} tasks: {:.0}/s, p50 {:?}, p99 {:?}",
        taken.len() as f64 / time.as_secs_f64(),
        at(50),
        at(99)
    );
}

/// Each task counts in a key of its own, and adds a key for each step: `REVISION TASK COUNT`.
async fn acknowledge(keyspace: &Arc<dyn Keyspace>, tasks: usize) {
    let load = |task: usize| {
        let keyspace = Arc::clone(keyspace);
        tokio::spawn(async move {
            let (mut expect, mut count) = (Expect::Absent, 0_u64);
            loop {
                let counter = format!("/count/{task}");
                let guard = Guard {
                    key: counter.clone().into(),
                    expect,
                };
                let text = count.to_string();
                let changes = vec![
                    put(counter, text.clone().into_bytes()),
                    put(format!("/step/{task}/{count}"), vec![b'x'; VALUE_BYTES]),
                ];
                let guards = vec![guard];
                match keyspace.commit(Commit { guards, changes }).await {
                    Ok(made) => {
                        let Revision(revision) = made.revision;
                        let line = format!("{revision} {task} {count}\n");
                        let written = std::io::stdout().lock().write_all(line.as_bytes());
                        written.expect("somebody reads");
                        expect = Expect::Modified(made.revision);
                        count += 1;
                    }
                    // It was begun by an earlier run.
                    Err(weft_keyspace::CommitError::Conflict {
                        found: Some(item), ..
                    }) if expect == Expect::Absent => {
                        expect = Expect::Modified(item.modified);
                        let found = String::from_utf8_lossy(&item.value);
                        count = found.parse::<u64>().expect("a count") + 1;
                    }
                    Err(error) => return error,
                }
            }
        })
    };
    let running: Vec<_> = (0..tasks).map(load).collect();
    let ended = futures_util::future::select_all(running).await;
    panic!("one of them ended: {:?}", ended.0);
}
