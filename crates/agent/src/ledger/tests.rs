//! What is written is read again, and nothing else is.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use weft_api::assignment::{Env, EnvValue, PodId};

use super::*;

/// Binds a text to its name and a key, and hides nothing.
struct Bound(&'static str);

impl Seal for Bound {
    fn seal(&self, name: &str, text: &[u8]) -> Vec<u8> {
        [self.0.as_bytes(), b" ", name.as_bytes(), b" ", text].concat()
    }

    fn open(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>, String> {
        let start = format!("{} {name} ", self.0).into_bytes();
        let text = sealed.strip_prefix(&*start);
        text.map(<[u8]>::to_vec)
            .ok_or_else(|| "it is sealed with another key, or for another name".to_owned())
    }
}

fn pod(uid: &str, word: &str) -> Pod {
    let mut pod = Pod {
        id: PodId {
            uid: uid.to_owned(),
            ..PodId::default()
        },
        ..Pod::default()
    };
    let mut container = weft_api::assignment::Container::default();
    container.env.push(Env {
        name: "WORD".to_owned(),
        value: EnvValue::Exact(word.to_owned()),
    });
    pod.containers.push(container);
    pod
}

fn shared(pods: &[Pod]) -> Vec<Arc<Pod>> {
    pods.iter().cloned().map(Arc::new).collect()
}

fn assigned(generation: u64, pods: &[Pod]) -> Assignment {
    Assignment {
        epoch: "e".to_owned(),
        generation,
        pods: shared(pods),
        ..Assignment::default()
    }
}

fn open(directory: &Path, node: &str, key: &'static str) -> (Ledger, Remembered) {
    let mut ledger = Ledger::new(directory.join("ledger"), node, Box::new(Bound(key)));
    let remembered = ledger.read();
    (ledger, remembered)
}

#[test]
fn what_is_written_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, nothing) = open(dir.path(), "one", "k");
    assert!(nothing.pods.is_empty() && nothing.services.is_none() && nothing.unread.is_none());
    let (a, b, b2, c) = (pod("a", "1"), pod("b", "1"), pod("b", "2"), pod("c", "1"));
    ledger.note(&assigned(1, &[a.clone(), b.clone()])).unwrap();
    let services = Services {
        zone: "cluster.local".to_owned(),
        ..Services::default()
    };
    ledger.note_services(&services).unwrap();
    assert_eq!(open(dir.path(), "one", "k").1.pods, shared(&[a.clone(), b]));
    ledger.note(&assigned(2, &[b2.clone(), c.clone()])).unwrap();
    assert!(ledger.is_unsynced());
    ledger.sync().unwrap();
    assert!(!ledger.is_unsynced());
    let (mut again, read) = open(dir.path(), "one", "k");
    let both = [b2, c];
    assert_eq!(read.pods, shared(&both));
    assert_eq!(read.services, Some(services));
    // The same again is not written again; nothing wanted is nothing written down.
    again.note(&assigned(3, &both)).unwrap();
    assert!(!again.is_unsynced());
    again.note(&assigned(4, &[])).unwrap();
    assert!(open(dir.path(), "one", "k").1.pods.is_empty());
    // A name that leads elsewhere is none.
    again.note(&assigned(5, &[pod("../../x", "1")])).unwrap();
    assert!(open(dir.path(), "one", "k").1.pods.is_empty());
}

#[test]
fn damage_costs_what_it_is_in_and_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, _) = open(dir.path(), "one", "k");
    let pods = [pod("a", "1"), pod("b", "1")];
    ledger.note(&assigned(1, &pods)).unwrap();
    let file = dir.path().join("ledger/pod-a");
    let whole = fs::read(&file).unwrap();
    let changed = |at: usize, to: u8| {
        let mut bytes = whole.clone();
        bytes[at] = to;
        bytes
    };
    let other = fs::read(dir.path().join("ledger/pod-b")).unwrap();
    let damaged: [(Vec<u8>, &str); 6] = [
        (Vec::new(), "does not begin as a ledger does"),
        (whole[..20].to_vec(), "another key"),
        (whole[..whole.len() - 1].to_vec(), "cannot be understood"),
        (changed(12, b'7'), "form \"7\", and this weft reads 1"),
        (changed(16, b'x'), "another key"),
        (other, "another name"),
    ];
    for (bytes, expected) in damaged {
        fs::write(&file, &bytes).unwrap();
        let (mut ledger, read) = open(dir.path(), "one", "k");
        let (count, why) = read.unread.unwrap();
        assert!(count == 1 && why.contains(expected), "{why}");
        assert!(why.contains("ledger/pod-a: "), "{why}");
        assert_eq!(read.pods, shared(&pods[1..]));
        // Who is told again writes it anew; who is told otherwise lets it go.
        ledger.note(&assigned(1, &pods)).unwrap();
        assert_eq!(fs::read(&file).unwrap(), whole);
        fs::write(&file, &bytes).unwrap();
        let (mut ledger, _) = open(dir.path(), "one", "k");
        ledger.note(&assigned(1, &pods[1..])).unwrap();
        assert!(!file.exists());
    }
    for (node, key) in [("two", "k"), ("one", "other")] {
        let (_, read) = open(dir.path(), node, key);
        assert!(read.pods.is_empty());
        assert_eq!(read.unread.unwrap().0, 1);
    }
}

#[test]
fn an_older_word_of_the_same_teller_is_not_taken() {
    let told = |epoch: &str, generation| Assignment {
        epoch: epoch.to_owned(),
        generation,
        ..Assignment::default()
    };
    let mut take = Take::default();
    for (epoch, generation, expected) in [
        ("", 0, false),
        ("a", 0, false),
        ("a", 7, true),
        ("a", 7, false),
        ("a", 6, false),
        ("a", 8, true),
        // Started again, with a keyspace from long ago.
        ("b", 0, false),
        ("b", 1, true),
        ("b", 1, false),
        ("b", 2, true),
    ] {
        let taken = take.takes(&told(epoch, generation));
        assert_eq!(taken, expected, "{epoch} {generation}");
    }
}

#[tokio::test]
async fn it_is_written_before_it_is_done() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = || Ledger::new(dir.path().join("ledger"), "one", Box::new(Bound("k")));
    let begin = |ledger| {
        let (tell, told) = tokio::sync::watch::channel(Arc::new(Assignment::default()));
        let (lead, led) = tokio::sync::watch::channel(Arc::new(Services::default()));
        let (give, orders) = tokio::sync::watch::channel(Order::Unknown);
        let (hand, _) = tokio::sync::watch::channel(Arc::new(Services::default()));
        let keeping = tokio::spawn(keep(Some((ledger, BTreeSet::new())), told, led, give, hand));
        (tell, lead, orders, keeping)
    };
    let (tell, _lead, mut orders, keeping) = begin(ledger());
    for generation in 1..20 {
        let pods = [pod("a", &generation.to_string())];
        tell.send_replace(Arc::new(assigned(generation, &pods)));
        let order = orders
            .wait_for(|order| matches!(order, Order::Told(told) if told.generation == generation));
        drop(order.await.unwrap());
        // Killed now, it would begin with that.
        assert_eq!(ledger().read().pods, shared(&pods));
    }
    keeping.abort();
    let (tell, _lead, mut orders, _keeping) = begin(ledger());
    let order = orders
        .wait_for(|order| !matches!(order, Order::Unknown))
        .await;
    assert!(matches!(&*order.unwrap(), Order::Remembered(pods) if pods.len() == 1));
    let mut restored = assigned(1, &[]);
    restored.epoch = "f".to_owned();
    tell.send_replace(Arc::new(restored));
    let order = orders
        .wait_for(|order| matches!(order, Order::Told(_)))
        .await;
    drop(order.unwrap());
    assert!(ledger().read().pods.is_empty());
}
