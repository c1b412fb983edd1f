//! What the fuzzer feeds: the readers of bytes that may be anybody's.

use std::sync::Arc;
use std::time::Duration;

use crate::disk::record;
use crate::history::Entry;
use crate::item::{Event, EventKind, Item, LeaseId, Revision};
use crate::memo::Memo;
use crate::snapshot;

/// Reads records of the log, items and leases, sealed or not: a fuzzer does not guess checksums.
///
/// # Panics
/// Where what was read is another when it is written and read again.
pub fn records(input: &[u8]) {
    record::fuzz(input);
    record::fuzz(&record::sealed(input));
}

/// Reads a snapshot.
pub fn snapshot(input: &[u8]) {
    let _ = snapshot::verify(input);
}

/// One of each kind of record, well-formed.
pub fn record_seeds() -> Vec<Vec<u8>> {
    let item = item();
    let event = |kind| {
        Arc::new(Event {
            revision: Revision(7),
            kind,
            item: Arc::clone(&item),
            previous: None,
            memo: Memo::default(),
        })
    };
    let entry = Entry {
        revision: Revision(7),
        at: tokio::time::Instant::now(),
        events: vec![event(EventKind::Changed), event(EventKind::Deleted)],
    };
    let mut seeds = vec![Vec::new(); 3];
    record::put_item(&mut seeds[0], &item);
    record::put_lease(&mut seeds[1], LeaseId(9), Duration::from_secs(10));
    record::put_commit(&mut seeds[2], &entry);
    record::put_commit(&mut seeds[2], &entry);
    // And what is within their seals.
    let bodies = seeds
        .iter()
        .filter_map(|seed| record::unseal(&mut &seed[..]).ok());
    let bodies: Vec<Vec<u8>> = bodies.map(<[u8]>::to_vec).collect();
    seeds.extend(bodies);
    seeds
}

/// One with an item and a lease.
pub fn snapshot_seeds() -> Vec<Vec<u8>> {
    let leases = [(LeaseId(9), Duration::from_secs(10))];
    let mut seed = Vec::new();
    let written = snapshot::write(&mut seed, Revision(7), &[item()], &leases);
    written.expect("a vector takes all");
    vec![seed]
}

fn item() -> Arc<Item> {
    Arc::new(Item {
        key: "/registry/pods/default/a".into(),
        value: r#"{"kind":"Pod"}"#.into(),
        created: Revision(3),
        modified: Revision(7),
        version: 2,
        lease: Some(LeaseId(9)),
        memo: Memo::default(),
    })
}
