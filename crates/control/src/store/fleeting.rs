//! What goes by itself: objects of kinds that live for a while are kept under leases.
//!
//! ```text
//!   written ──► lease of this tenth ─ good for the kind's life and a tenth ─► the keyspace removes it
//! ```
//! Never: decides for how long; the kind says it. What is written again lives anew.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;
use weft_keyspace::{CommitError, Keyspace, LeaseId};

use crate::kind::Kind;

/// Leases by the life they are for, and when they were granted. Bounded by the lives kinds have.
#[derive(Clone, Debug, Default)]
pub(super) struct Fleeting(Arc<Mutex<BTreeMap<u64, (LeaseId, Instant)>>>);

impl Fleeting {
    /// The lease to keep an object of this kind under; nothing: it stays.
    pub(super) async fn lease(
        &self,
        keyspace: &dyn Keyspace,
        kind: &Kind,
    ) -> Result<Option<LeaseId>, CommitError> {
        let lives_s = kind.stored().lives_s;
        if lives_s == 0 {
            return Ok(None);
        }
        // Many share one: a lease costs a commit of its own.
        let shared = Duration::from_secs(lives_s.div_ceil(10));
        let mut leases = self.0.lock().await;
        if let Some((lease, granted)) = leases.get(&lives_s)
            && granted.elapsed() < shared
        {
            return Ok(Some(*lease));
        }
        let granted = Instant::now();
        let life = Duration::from_secs(lives_s) + shared;
        let lease = keyspace.grant(life).await?;
        leases.insert(lives_s, (lease, granted));
        Ok(Some(lease))
    }

    /// It is over, whoever ended it.
    pub(super) async fn forget(&self, over: LeaseId) {
        self.0.lock().await.retain(|_, (lease, _)| *lease != over);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use weft_keyspace::{Options, Range, Span, memory};

    use crate::store::{ListOptions, Patch, WriteOptions};
    use crate::{Kinds, Object, Store};

    use super::*;

    fn of(value: Value) -> Object {
        serde_json::from_value(value).map(Object).unwrap()
    }

    #[tokio::test]
    async fn what_lives_for_a_while_shares_a_lease_and_goes_with_it() {
        let keyspace = Arc::new(memory(Options::default()));
        let store = Store::new(
            Arc::clone(&keyspace) as Arc<dyn Keyspace>,
            Kinds::built_in(),
        );
        let (kinds, options) = (store.kinds(), WriteOptions::default());
        let (namespaces, events) = (
            kinds.find("", "v1", "namespaces").unwrap(),
            kinds.find("events.k8s.io", "v1", "events").unwrap(),
        );
        let namespace = of(json!({ "metadata": { "name": "a" } }));
        store
            .create(namespaces, "", namespace, &options)
            .await
            .unwrap();
        let event = |name: &str| {
            of(json!({
                "metadata": { "name": name, "namespace": "a" },
                "regarding": { "kind": "Pod", "name": "x", "namespace": "a" },
                "eventTime": "2026-11-23T10:00:00.000000Z", "type": "Normal", "reason": "Some",
                "action": "Did", "reportingController": "x", "reportingInstance": "x-1",
            }))
        };
        let tell = async |name: &str| store.create(events, "a", event(name), &options).await;
        let leases = async || {
            let all = Range {
                span: Span::prefix(""),
                at: None,
                limit: None,
            };
            let found = keyspace.range(all).await.unwrap();
            found
                .items
                .iter()
                .map(|item| item.lease)
                .collect::<Vec<_>>()
        };
        tell("one").await.unwrap();
        tell("two").await.unwrap();
        let found = leases().await;
        let lease = found.iter().flatten().next().copied().unwrap();
        // The namespace stays.
        let mut expected = vec![None, Some(lease), Some(lease)];
        let mut sorted = found.clone();
        sorted.sort();
        expected.sort();
        assert_eq!(sorted, expected);
        // As if its time were over.
        keyspace.revoke(lease).await.unwrap();
        let listed = store.list(events, "a", &ListOptions::default()).await;
        assert!(listed.unwrap().items.is_empty());
        // Who notices that it is over says so, and the next one has another.
        let over = tell("three").await.unwrap_err();
        assert!(over.to_string().contains("is over"), "{over}");
        tell("four").await.unwrap();
        let next = leases().await.into_iter().flatten().next().unwrap();
        assert_ne!(next, lease);
        // What is counted lives anew, under the lease of then.
        let patch = Patch::Merge(json!({ "metadata": { "labels": { "again": "yes" } } }));
        store
            .patch(events, "a", "four", &patch, &options)
            .await
            .unwrap();
        assert_eq!(leases().await.into_iter().flatten().next(), Some(next));
    }
}
