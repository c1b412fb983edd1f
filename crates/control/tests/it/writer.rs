//! A writer that makes, changes and deletes what others do, too, and gives up now and then.

use std::future::Future;
use std::sync::Arc;

use serde_json::{Value, json};
use weft_control::store::{self, DeleteOptions, Deleted, Patch, WriteOptions};
use weft_control::{Failure, Kind, Object, Reason, Store};
use weft_keyspace::Item;

use crate::shaken::Dice;

pub(crate) const NAMESPACES: [&str; 2] = ["a", "b"];
pub(crate) const COLOURS: [&str; 2] = ["red", "blue"];
/// Few, so that they get into each other's way.
const NAMES: u64 = 3;
/// Others that come before somebody gives up.
const PATIENCE: u64 = 12;

/// What was acknowledged.
#[derive(Clone, Debug)]
pub(crate) enum Ack {
    /// It was written with this number, in place of that revision where one was named.
    Written(u64, String, Option<u64>),
    /// It is gone, by its identity.
    Gone(String),
}

pub(crate) struct Writer {
    pub(crate) number: usize,
    pub(crate) store: Store,
    pub(crate) kind: Arc<Kind>,
    pub(crate) dice: Arc<Dice>,
}

pub(crate) fn of(value: Value) -> Object {
    match value {
        Value::Object(map) => Object(map),
        _ => panic!("{value} is no object"),
    }
}

fn written(item: &Item, n: &str, before: Option<u64>) -> Ack {
    Ack::Written(item.modified.0, n.to_owned(), before)
}

impl Writer {
    /// Gives what was acknowledged, and how often somebody else was faster.
    pub(crate) async fn run(self, writes: u64) -> (Vec<Ack>, usize) {
        let (mut acks, mut conflicts) = (Vec::new(), 0);
        for count in 0..writes {
            let n = format!("{}-{count}", self.number);
            let Some(done) = self.perhaps(self.write(&n)).await else {
                continue;
            };
            match done {
                Ok(ack) => acks.extend(ack),
                Err(failure) => match failure.reason {
                    Reason::Conflict | Reason::AlreadyExists => conflicts += 1,
                    Reason::NotFound => {}
                    _ => panic!("{failure:?}"),
                },
            }
        }
        (acks, conflicts)
    }

    /// Nothing: given up on the way, as when a client goes.
    async fn perhaps<T>(&self, write: impl Future<Output = T>) -> Option<T> {
        if !self.dice.one_in(10) {
            return Some(write.await);
        }
        tokio::select! {
            biased;
            done = write => Some(done),
            () = self.dice.pause(PATIENCE) => None,
        }
    }

    fn pick<'a>(&self, all: &[&'a str]) -> &'a str {
        all[self.dice.roll(all.len() as u64) as usize]
    }

    async fn write(&self, n: &str) -> Result<Option<Ack>, Failure> {
        let Writer { store, kind, .. } = self;
        let namespace = self.pick(&NAMESPACES);
        let name = format!("map-{}", self.dice.roll(NAMES));
        let options = &WriteOptions {
            manager: format!("writer-{}", self.number),
            is_forced: self.dice.one_in(2),
            ..WriteOptions::default()
        };
        let mut value = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "data": { "n": n },
            "metadata": { "name": name, "labels": { "colour": self.pick(&COLOURS) } },
        });
        if self.dice.one_in(8) {
            value["metadata"]["finalizers"] = json!(["example.com/kept"]);
        }
        let item = match self.dice.roll(8) {
            0 => store.create(kind, namespace, of(value), options).await?,
            1 => {
                let applied = store.apply(kind, namespace, &name, of(value), options);
                applied.await?.0
            }
            2 => {
                let put = store.replace(kind, namespace, &name, of(value), options);
                put.await?
            }
            3 => return self.read_and_replace(namespace, &name, n, options).await,
            4 | 5 => return self.delete(namespace, &name).await,
            6 => {
                let free = json!({ "data": { "n": n }, "metadata": { "finalizers": null } });
                let free = Patch::Merge(free);
                let patched = store.patch(kind, namespace, &name, &free, options);
                patched.await?.0
            }
            _ => {
                let value = Patch::Merge(value);
                let patched = store.patch(kind, namespace, &name, &value, options);
                patched.await?.0
            }
        };
        // Who takes the last finalizer away from what is being deleted ends it.
        let is_there = !store::object(&item)?.meta().is_deleting();
        Ok(is_there.then(|| written(&item, n, None)))
    }

    async fn read_and_replace(
        &self,
        namespace: &str,
        name: &str,
        n: &str,
        options: &WriteOptions,
    ) -> Result<Option<Ack>, Failure> {
        let read = self.store.get(&self.kind, namespace, name).await?;
        let mut object = store::object(&read)?;
        if object.meta().is_deleting() {
            return Ok(None);
        }
        object.0.insert("data".to_owned(), json!({ "n": n }));
        let put = self
            .store
            .replace(&self.kind, namespace, name, object, options);
        let item = put.await?;
        Ok(Some(written(&item, n, Some(read.modified.0))))
    }

    async fn delete(&self, namespace: &str, name: &str) -> Result<Option<Ack>, Failure> {
        let mut options = DeleteOptions::default();
        if self.dice.one_in(2) {
            let read = self.store.get(&self.kind, namespace, name).await?;
            options.version = Some(read.modified.to_string());
        }
        let deleted = self.store.delete(&self.kind, namespace, name, &options);
        Ok(match deleted.await? {
            Deleted::Marked(_) => None,
            Deleted::Gone(item) => {
                let object = store::object(&item)?;
                Some(Ack::Gone(object.meta().text("uid").to_owned()))
            }
            Deleted::Unread => unreachable!("nothing is sealed, and nobody asked for it"),
        })
    }
}
