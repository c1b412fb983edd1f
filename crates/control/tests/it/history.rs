//! Whoever writes, breaks off, lags behind or comes late: all see the one history of each object.
//!
//! ```text
//!   writers ──► store ──► shaken keyspace ──► truth
//!                 │            ▲                │
//!   watchers ◄────┘        compactor            └──► must be the same as what watchers saw
//! ```
//! Everything runs in one thread, in the order dice say: a seed that failed fails again.

use std::sync::Arc;

use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use weft_control::store::WriteOptions;
use weft_control::{Kind, Kinds, Store};
use weft_keyspace::{Keyspace, Revision};

use crate::shaken::{Dice, Shaken};
use crate::truth::Meant;
use crate::watcher::{Lived, Watcher};
use crate::writer::{Ack, COLOURS, NAMESPACES, Writer, of};

/// What is watched: all, a namespace, a label, both.
const VIEWS: [Meant; 4] = [
    Meant {
        namespace: "",
        colour: "",
    },
    Meant {
        namespace: "a",
        colour: "",
    },
    Meant {
        namespace: "",
        colour: "red",
    },
    Meant {
        namespace: "b",
        colour: "blue",
    },
];

/// How many there are, and of what.
#[derive(Clone, Copy, Debug)]
struct Crowd {
    seed: u64,
    writers: usize,
    watchers: usize,
    writes: u64,
    /// Others that come between two compactions.
    compaction: u64,
}

/// What came of it.
#[derive(Debug, Default)]
struct Outcome {
    summary: Vec<(u64, String, Value)>,
    acks: usize,
    conflicts: usize,
    lived: Lived,
}

struct Trial {
    crowd: Crowd,
    dice: Arc<Dice>,
    shaken: Arc<Shaken>,
    store: Store,
    kind: Arc<Kind>,
}

impl Trial {
    async fn begin(crowd: Crowd) -> Trial {
        let dice = Arc::new(Dice::new(crowd.seed));
        let shaken = Arc::new(Shaken::new(&dice));
        let keyspace: Arc<dyn Keyspace> = Arc::<Shaken>::clone(&shaken);
        let store = Store::new(keyspace, Kinds::built_in());
        let kinds = store.kinds();
        let namespaces = kinds.find("", "v1", "namespaces").unwrap();
        for name in NAMESPACES {
            let namespace = of(json!({ "metadata": { "name": name } }));
            let options = WriteOptions::default();
            let made = store.create(namespaces, "", namespace, &options).await;
            made.unwrap();
        }
        let kind = Arc::clone(kinds.find("", "v1", "configmaps").unwrap());
        Trial {
            crowd,
            dice,
            shaken,
            store,
            kind,
        }
    }

    fn writer(&self, number: usize) -> JoinHandle<(Vec<Ack>, usize)> {
        let writer = Writer {
            number,
            store: self.store.clone(),
            kind: Arc::clone(&self.kind),
            dice: Arc::clone(&self.dice),
        };
        tokio::spawn(writer.run(self.crowd.writes))
    }

    fn watcher(&self, number: usize, end: &watch::Receiver<Option<u64>>) -> JoinHandle<Lived> {
        let watcher = Watcher {
            meant: VIEWS[number % VIEWS.len()],
            store: self.store.clone(),
            kind: Arc::clone(&self.kind),
            shaken: Arc::clone(&self.shaken),
            dice: Arc::clone(&self.dice),
            end: end.clone(),
        };
        tokio::spawn(watcher.run())
    }

    fn compactor(&self, end: watch::Receiver<Option<u64>>) -> JoinHandle<()> {
        let (shaken, dice) = (Arc::clone(&self.shaken), Arc::clone(&self.dice));
        let between = self.crowd.compaction;
        tokio::spawn(async move {
            while end.borrow().is_none() {
                dice.pause(between).await;
                let newest = shaken.truth().newest();
                let to = newest - dice.roll(newest.min(8));
                shaken.compact(Revision(to)).await.unwrap();
            }
        })
    }

    /// Something that concerns everybody who watches. Gives its revision.
    async fn finish(&self, word: &str) -> u64 {
        let mut last = 0;
        for namespace in NAMESPACES {
            for colour in COLOURS {
                let labels =
                    json!({ "name": format!("{word}-{colour}"), "labels": { "colour": colour } });
                let object = of(json!({ "metadata": labels }));
                let options = WriteOptions::default();
                let made = self.store.create(&self.kind, namespace, object, &options);
                last = made.await.unwrap().modified.0;
            }
        }
        last
    }

    fn check(&self, ack: &Ack) {
        let truth = self.shaken.truth();
        match ack {
            Ack::Gone(uid) => assert!(truth.is_gone(uid), "{uid} was deleted, and is not gone"),
            Ack::Written(revision, n, expected) => {
                let (object, previous) = truth.written(*revision).expect("it was acknowledged");
                assert_eq!(object["data"]["n"], **n, "at {revision}");
                if let Some(expected) = expected {
                    assert_eq!(
                        previous, *expected,
                        "somebody's change is lost at {revision}"
                    );
                }
            }
        }
    }
}

async fn live(crowd: Crowd) -> Outcome {
    let trial = Trial::begin(crowd).await;
    let (over, end) = watch::channel(None);
    let watchers: Vec<_> = (0..crowd.watchers)
        .map(|n| trial.watcher(n, &end))
        .collect();
    let compactor = trial.compactor(end);
    let writers: Vec<_> = (0..crowd.writers).map(|n| trial.writer(n)).collect();
    let mut outcome = Outcome::default();
    for writer in writers {
        let (acks, conflicts) = writer.await.unwrap();
        acks.iter().for_each(|ack| trial.check(ack));
        outcome.acks += acks.len();
        outcome.conflicts += conflicts;
    }
    let last = trial.finish("last").await;
    over.send_replace(Some(last));
    // Who has seen that already waits for more.
    trial.finish("more").await;
    compactor.await.unwrap();
    for watcher in watchers {
        let lived = watcher.await.unwrap();
        outcome.lived.events += lived.events;
        outcome.lived.breaks += lived.breaks;
        outcome.lived.lists += lived.lists;
    }
    outcome.summary = trial.shaken.truth().summary();
    outcome
}

fn run(crowd: Crowd) -> Outcome {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().build().unwrap();
    runtime.block_on(live(crowd))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(
        if std::env::var_os("WEFT_TEST_LONG").is_some() { 20_000 } else { 256 }
    ))]

    #[test]
    fn all_see_the_one_history(
        seed: u64, writers in 1..5_usize, watchers in 1..7_usize, writes in 1..60_u64,
        compaction in 5..200_u64,
    ) {
        run(Crowd { seed, writers, watchers, writes, compaction });
    }
}

#[test]
fn a_seed_is_one_run_in_which_everything_happens() {
    let crowd = Crowd {
        seed: 7,
        writers: 4,
        watchers: 8,
        writes: 60,
        compaction: 60,
    };
    let outcome = run(crowd);
    assert_eq!(outcome.summary, run(crowd).summary);
    let Lived {
        events,
        breaks,
        lists,
    } = outcome.lived;
    assert!(outcome.acks > 50 && outcome.conflicts > 10, "{outcome:?}");
    assert!(events > 200 && breaks > 50, "{:?}", outcome.lived);
    assert!(lists > 2 * crowd.watchers, "{:?}", outcome.lived);
}
