//! The service account `default` of each namespace.
//!
//! Owns: that a namespace has it from the start on. Whoever deletes it has meant to.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use weft_control::store::{self, ChangeKind, ListOptions, WriteOptions};
use weft_control::{Failure, Kind, Object, Reason, Store};
use weft_keyspace::Revision;

const NAME: &str = "default";
/// Pause after the watch broke.
const PAUSE: Duration = Duration::from_secs(1);

/// Makes the accounts.
#[derive(Debug)]
pub(super) struct Accounts {
    store: Store,
    namespaces: Arc<Kind>,
    accounts: Arc<Kind>,
}

impl Accounts {
    /// Nothing: a kind is missing.
    pub(super) fn new(store: &Store) -> Option<Accounts> {
        let kind = |plural: &str| store.kinds().find("", "v1", plural).cloned();
        Some(Accounts {
            store: store.clone(),
            namespaces: kind("namespaces")?,
            accounts: kind("serviceaccounts")?,
        })
    }

    /// Makes those that are missing; gives up to when it has seen namespaces.
    pub(super) async fn ensure(&self) -> Result<Revision, Failure> {
        let all = ListOptions::default();
        let listed = self.store.list(&self.namespaces, "", &all).await?;
        for item in &listed.items {
            self.make(&store::object(item)?).await?;
        }
        Ok(listed.revision)
    }

    /// Makes one in each namespace that is made, for ever.
    pub(super) async fn follow(&self) -> Infallible {
        loop {
            let Err(error) = self.try_follow().await;
            tracing::warn!(%error, "could not watch namespaces; trying again");
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn try_follow(&self) -> Result<Infallible, Failure> {
        let seen = self.ensure().await?;
        let all = ListOptions::default();
        let mut changes = self.store.watch(&self.namespaces, "", seen, all).await?;
        loop {
            for change in changes.next().await? {
                if change.kind == ChangeKind::Added {
                    self.make(&store::object(&change.item)?).await?;
                }
            }
        }
    }

    async fn make(&self, namespace: &Object) -> Result<(), Failure> {
        if namespace.meta().is_deleting() {
            return Ok(());
        }
        let mut account = Object::default();
        account.set_meta("name", Some(json!(NAME)));
        let (name, options) = (namespace.meta().name(), WriteOptions::default());
        let made = self.store.create(&self.accounts, name, account, &options);
        match made.await {
            // The namespace may be gone by now, or going.
            Err(failure) => match failure.reason {
                Reason::AlreadyExists | Reason::NotFound | Reason::Forbidden => Ok(()),
                _ => Err(failure),
            },
            Ok(_) => Ok(()),
        }
    }
}
