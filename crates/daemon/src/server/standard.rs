//! What each namespace has: the service account `default`, and the authority's certificate in the
//! config map `kube-root-ca.crt`.
//!
//! Owns: that both are there from the start on, and that the certificate stays what it is. Whoever
//! deletes the account has meant to.

use std::convert::Infallible;
use std::sync::Arc;

use serde_json::{Value, json};
use weft_control::selector::Fields;
use weft_control::store::{self, ChangeKind, DeleteOptions, ListOptions, WriteOptions};
use weft_control::{Failure, Kind, Object, Reason, Store};
use weft_keyspace::Revision;

use super::{PAUSE, unless_raced};

const ACCOUNT: &str = "default";
const MAP: &str = "kube-root-ca.crt";
const KEY: &str = "ca.crt";

/// Makes them, and mends the certificate.
#[derive(Debug)]
pub(super) struct Standard {
    store: Store,
    namespaces: Arc<Kind>,
    accounts: Arc<Kind>,
    maps: Arc<Kind>,
    /// The map's data.
    data: Value,
}

impl Standard {
    /// Nothing: a kind is missing.
    pub(super) fn new(store: &Store, root_pem: &str) -> Option<Standard> {
        let kind = |plural: &str| store.kinds().find("", "v1", plural).cloned();
        Some(Standard {
            store: store.clone(),
            namespaces: kind("namespaces")?,
            accounts: kind("serviceaccounts")?,
            maps: kind("configmaps")?,
            data: json!({ KEY: root_pem }),
        })
    }

    /// Makes those that are missing; gives up to when it has seen all.
    pub(super) async fn ensure(&self) -> Result<Revision, Failure> {
        let all = ListOptions::default();
        let listed = self.store.list(&self.namespaces, "", &all).await?;
        for item in &listed.items {
            self.furnish(&store::object(item)?).await?;
        }
        Ok(listed.revision)
    }

    /// Makes them in each namespace that is made and keeps the certificates, for ever.
    pub(super) async fn follow(&self) -> Infallible {
        loop {
            let Err(error) = self.try_follow().await;
            tracing::warn!(%error, "could not keep what each namespace has; trying again");
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn try_follow(&self) -> Result<Infallible, Failure> {
        let seen = self.ensure().await?;
        tokio::select! {
            ended = self.follow_namespaces(seen) => ended,
            ended = self.follow_maps(seen) => ended,
        }
    }

    async fn follow_namespaces(&self, seen: Revision) -> Result<Infallible, Failure> {
        let all = ListOptions::default();
        let mut changes = self.store.watch(&self.namespaces, "", seen, all).await?;
        loop {
            for change in changes.next().await? {
                if change.kind == ChangeKind::Added {
                    self.furnish(&store::object(&change.item)?).await?;
                }
            }
        }
    }

    async fn follow_maps(&self, seen: Revision) -> Result<Infallible, Failure> {
        let named = Fields::parse(&format!("metadata.name={MAP}"), |_| true);
        let only = ListOptions {
            fields: named.map_err(Failure::bad_request)?,
            ..ListOptions::default()
        };
        let mut changes = self.store.watch(&self.maps, "", seen, only).await?;
        loop {
            for change in changes.next().await? {
                let map = store::object(&change.item)?;
                match change.kind {
                    ChangeKind::Deleted => self.certify(map.meta().namespace()).await?,
                    _ => self.mend(map).await?,
                }
            }
        }
    }

    async fn furnish(&self, namespace: &Object) -> Result<(), Failure> {
        if namespace.meta().is_deleting() {
            return Ok(());
        }
        let name = namespace.meta().name();
        // Pods wait for the account, and want the certificate at once.
        self.certify(name).await?;
        self.make(&self.accounts, name, named(ACCOUNT)).await
    }

    /// Makes the map of a namespace, or mends the one it has.
    async fn certify(&self, namespace: &str) -> Result<(), Failure> {
        match self.store.get(&self.maps, namespace, MAP).await {
            Ok(item) => self.mend(store::object(&item)?).await,
            Err(failure) if failure.reason == Reason::NotFound => {
                let mut map = named(MAP);
                map.0.insert("data".to_owned(), self.data.clone());
                self.make(&self.maps, namespace, map).await
            }
            Err(failure) => Err(failure),
        }
    }

    /// Puts the data of a map right. What is changed meanwhile is told by the watch.
    async fn mend(&self, mut map: Object) -> Result<(), Failure> {
        if map.meta().is_deleting() || map.0.get("data") == Some(&self.data) {
            return Ok(());
        }
        let namespace = map.meta().namespace().to_owned();
        let uid = map.meta().text("uid").to_owned();
        map.0.insert("data".to_owned(), self.data.clone());
        let (store, maps, options) = (&self.store, &self.maps, WriteOptions::default());
        let replaced = store.replace(maps, &namespace, MAP, map, &options).await;
        let failure = match replaced {
            Ok(_) => return Ok(()),
            Err(failure) => failure,
        };
        if failure.reason != Reason::Invalid {
            return unless_raced(failure);
        }
        // It was made immutable, or what else is in it is in the way: a new one comes in its place.
        let this = DeleteOptions {
            uid: Some(uid),
            ..DeleteOptions::default()
        };
        match store.delete(maps, &namespace, MAP, &this).await {
            Err(failure) => unless_raced(failure),
            Ok(_) => Ok(()),
        }
    }

    async fn make(&self, kind: &Kind, namespace: &str, object: Object) -> Result<(), Failure> {
        let options = WriteOptions::default();
        match self.store.create(kind, namespace, object, &options).await {
            Err(failure) => unless_raced(failure),
            Ok(_) => Ok(()),
        }
    }
}

fn named(name: &str) -> Object {
    let mut object = Object::default();
    object.set_meta("name", Some(json!(name)));
    object
}
