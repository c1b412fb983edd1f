//! Any sequence of requests comes to what a small model says, in memory, on disk, and across
//! restarts, compactions and snapshots.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use weft_keyspace::{
    Batch, Change, Commit, CommitError, EventKind, Expect, Guard, Keyspace, LeaseId, Local,
    Options, Range, Revision, Span,
};

const KEYS: u8 = 6;

#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<(u8, u8, u64)>, Vec<(u8, Option<u8>, bool)>),
    Grant,
    Revoke(u8),
    Compact(u64),
    Restart,
    Restore,
}

fn step() -> impl Strategy<Value = Step> {
    let guards = prop::collection::vec((0..KEYS, 0..3_u8, 0..30_u64), 0..3);
    let change = (0..KEYS, prop::option::of(any::<u8>()), any::<bool>());
    let changes = prop::collection::vec(change, 0..4);
    prop_oneof![
        12 => (guards, changes).prop_map(|(guards, changes)| Step::Commit(guards, changes)),
        1 => Just(Step::Grant),
        1 => any::<u8>().prop_map(Step::Revoke),
        2 => (0..40_u64).prop_map(Step::Compact),
        1 => Just(Step::Restart),
        1 => Just(Step::Restore),
    ]
}

/// Value, created, modified, version, lease.
type Held = (u8, u64, u64, u64, Option<LeaseId>);

#[derive(Default)]
struct Model {
    /// What was at each revision since the compacted one.
    past: BTreeMap<u64, BTreeMap<u8, Held>>,
    newest: u64,
    compacted: u64,
    leases: Vec<LeaseId>,
}

impl Model {
    fn new() -> Model {
        let past = [(0, BTreeMap::new())].into();
        Model {
            past,
            ..Model::default()
        }
    }

    fn now(&self) -> &BTreeMap<u8, Held> {
        &self.past[&self.newest]
    }

    fn next(&mut self, state: BTreeMap<u8, Held>) {
        if state != *self.now() {
            self.newest += 1;
            self.past.insert(self.newest, state);
        }
    }

    fn compact(&mut self, to: u64) {
        self.compacted = self.compacted.max(to);
        self.past = self.past.split_off(&self.compacted);
    }

    fn commit(&mut self, commit: &Commit) -> Result<(), &'static str> {
        let mut state = self.now().clone();
        for guard in &commit.guards {
            let found = state.get(&guard.key[0]).map(|held| held.2);
            let holds = match guard.expect {
                Expect::Absent => found.is_none(),
                Expect::Present => found.is_some(),
                Expect::Modified(revision) => found == Some(revision.0),
            };
            if !holds {
                return Err("conflict");
            }
        }
        let next = self.newest + 1;
        let mut seen = Vec::new();
        for change in &commit.changes {
            let (Change::Put { key, .. } | Change::Delete { key }) = change;
            if seen.contains(&key[0]) {
                return Err("invalid");
            }
            seen.push(key[0]);
            match change {
                Change::Put { value, lease, .. } => {
                    let (created, version) =
                        state.get(&key[0]).map_or((next, 1), |h| (h.1, h.3 + 1));
                    state.insert(key[0], (value[0], created, next, version, *lease));
                }
                Change::Delete { .. } => {
                    state.remove(&key[0]);
                }
            }
        }
        self.next(state);
        Ok(())
    }
}

fn lower(model: &Model, guards: &[(u8, u8, u64)], changes: &[(u8, Option<u8>, bool)]) -> Commit {
    let expect = |kind, revision| match kind {
        0 => Expect::Absent,
        1 => Expect::Present,
        _ => Expect::Modified(Revision(revision)),
    };
    let guards = guards.iter().map(|&(key, kind, revision)| Guard {
        key: vec![key].into(),
        expect: expect(kind, revision),
    });
    let changes = changes.iter().map(|&(key, value, leased)| match value {
        Some(value) => Change::Put {
            key: vec![key].into(),
            value: vec![value].into(),
            lease: leased.then(|| model.leases.last().copied()).flatten(),
        },
        None => Change::Delete {
            key: vec![key].into(),
        },
    });
    Commit {
        guards: guards.collect(),
        changes: changes.collect(),
    }
}

async fn apply(keyspace: &Local, model: &mut Model, step: &Step) {
    match step {
        Step::Commit(guards, changes) => {
            let commit = lower(model, guards, changes);
            let answer = keyspace.commit(commit.clone()).await;
            // Of a bad commit no guard is looked at.
            let expected = model.commit(&commit);
            match (answer, expected) {
                (Ok(made), Ok(())) => assert_eq!(made.revision.0, model.newest),
                (Err(CommitError::Conflict { .. }), Err("conflict")) => {}
                (Err(CommitError::Invalid(_)), Err(_)) => {}
                (answer, expected) => panic!("{answer:?}, not {expected:?}"),
            }
        }
        Step::Grant => {
            let lease = keyspace.grant(std::time::Duration::from_secs(3600)).await;
            model.leases.push(lease.unwrap());
        }
        Step::Revoke(number) if !model.leases.is_empty() => {
            let lease = model
                .leases
                .remove(usize::from(*number) % model.leases.len());
            keyspace.revoke(lease).await.unwrap();
            let mut state = model.now().clone();
            state.retain(|_, held| held.4 != Some(lease));
            model.next(state);
        }
        Step::Compact(to) => {
            let compacted = keyspace.compact(Revision(*to)).await;
            assert_eq!(compacted.is_ok(), *to <= model.newest);
            if compacted.is_ok() {
                model.compact(*to);
            }
        }
        Step::Revoke(_) | Step::Restart | Step::Restore => {}
    }
}

async fn compare(keyspace: &Local, model: &Model) {
    assert_eq!(keyspace.revision().await.unwrap().0, model.newest);
    for (at, state) in &model.past {
        let range = |at| Range {
            span: Span::prefix(""),
            at: Some(Revision(at)),
            limit: None,
        };
        let found = keyspace.range(range(*at)).await.unwrap();
        let held = found.items.iter().map(|item| {
            let (created, modified) = (item.created.0, item.modified.0);
            let held = (item.value[0], created, modified, item.version, item.lease);
            (item.key[0], held)
        });
        assert_eq!(held.collect::<BTreeMap<_, _>>(), *state, "at {at}");
        if let Some(before) = model.compacted.checked_sub(1) {
            assert!(keyspace.range(range(before)).await.is_err());
        }
    }
    watched(keyspace, model).await;
}

/// What a watch from the oldest revision on adds up to, step by step.
async fn watched(keyspace: &Local, model: &Model) {
    let everything = Span::prefix("");
    let after = Revision(model.compacted);
    let mut watch = keyspace.watch(everything, after).await.unwrap();
    let mut state: BTreeMap<u8, (u8, u64)> = brief(&model.past[&model.compacted]);
    while watch.progress().0 < model.newest {
        let Batch::Events(events) = watch.receive().await.unwrap() else {
            continue;
        };
        for commit in events.chunk_by(|a, b| a.revision == b.revision) {
            for event in commit {
                let key = event.item.key[0];
                let before = event.previous.as_ref().map(|i| (i.value[0], i.modified.0));
                assert_eq!(before, state.get(&key).copied());
                let created = event.kind == EventKind::Created;
                assert_eq!(created, before.is_none());
                match event.kind {
                    EventKind::Deleted => state.remove(&key),
                    _ => state.insert(key, (event.item.value[0], event.item.modified.0)),
                };
            }
            assert_eq!(state, brief(&model.past[&commit[0].revision.0]));
        }
    }
    assert_eq!(state, brief(model.now()));
}

fn brief(state: &BTreeMap<u8, Held>) -> BTreeMap<u8, (u8, u64)> {
    let brief = state.iter().map(|(key, held)| (*key, (held.0, held.2)));
    brief.collect()
}

fn open(path: &Path) -> Local {
    weft_keyspace::embedded(path, Options::default()).unwrap()
}

async fn run(steps: &[Step]) {
    let dir = tempfile::tempdir().unwrap();
    let mut path = dir.path().join("0");
    let mut disk = open(&path);
    let mut model = Model::new();
    for (number, step) in steps.iter().enumerate() {
        match step {
            Step::Restart => {
                drop(disk);
                disk = open(&path);
            }
            Step::Restore => {
                let mut copy = Vec::new();
                disk.snapshot(&mut copy).unwrap();
                path = dir.path().join((number + 1).to_string());
                weft_keyspace::restore(&copy[..], &path, |taken| taken).unwrap();
                disk = open(&path);
                model.compact(model.newest);
            }
            step => apply(&disk, &mut model, step).await,
        }
    }
    compare(&disk, &model).await;
    drop(disk);
    compare(&open(&path), &model).await;
    // In memory a lease has another number, and there is nothing to restart.
    let memory = weft_keyspace::memory(Options::default());
    let mut model = Model::new();
    for step in steps {
        apply(&memory, &mut model, step).await;
    }
    compare(&memory, &model).await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_does_what_the_model_does(steps in prop::collection::vec(step(), 0..50)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(run(&steps));
    }
}
