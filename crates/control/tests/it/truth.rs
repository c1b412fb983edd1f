//! What truly happened, revision by revision, and what somebody who watches must be told of it.

use std::collections::BTreeMap;

use serde_json::Value;
use weft_keyspace::Revision;

/// Keys of objects, and the revisions they have.
pub(crate) type State = BTreeMap<String, u64>;

/// Whose objects are meant: of a namespace, with a label.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meant {
    /// Empty: of all.
    pub(crate) namespace: &'static str,
    /// Empty: of any.
    pub(crate) colour: &'static str,
}

impl Meant {
    fn means(self, object: &Value) -> bool {
        let meta = &object["metadata"];
        let is = |wanted: &str, found: &Value| wanted.is_empty() || found == wanted;
        object["kind"] == "ConfigMap"
            && is(self.namespace, &meta["namespace"])
            && is(self.colour, &meta["labels"]["colour"])
    }
}

/// A change of one object, as it is told: its revision, what happened, the key.
pub(crate) type Told = (u64, &'static str, String);

#[derive(Debug)]
struct Done {
    revision: u64,
    key: String,
    before: Option<Value>,
    /// The revision it had before.
    previous: u64,
    now: Option<Value>,
}

#[derive(Debug, Default)]
pub(crate) struct Truth {
    all: Vec<Done>,
    last: BTreeMap<String, (u64, Value)>,
    compacted: u64,
}

impl Truth {
    pub(crate) fn note(&mut self, revision: Revision, key: &[u8], value: Option<bytes::Bytes>) {
        let key = String::from_utf8(key.to_vec()).unwrap();
        let now: Option<Value> = value.map(|value| serde_json::from_slice(&value).unwrap());
        let before = match &now {
            Some(now) => self.last.insert(key.clone(), (revision.0, now.clone())),
            None => self.last.remove(&key),
        };
        let (previous, before) = before.unzip();
        self.all.push(Done {
            revision: revision.0,
            key,
            before,
            previous: previous.unwrap_or(0),
            now,
        });
    }

    pub(crate) fn compact(&mut self, to: Revision) {
        self.compacted = self.compacted.max(to.0);
    }

    pub(crate) fn compacted(&self) -> u64 {
        self.compacted
    }

    pub(crate) fn newest(&self) -> u64 {
        self.all.last().map_or(0, |done| done.revision)
    }

    /// What a list at a revision must show.
    pub(crate) fn state(&self, at: u64, meant: Meant) -> State {
        let mut state = State::new();
        for done in self.all.iter().take_while(|done| done.revision <= at) {
            match &done.now {
                Some(now) if meant.means(now) => {
                    state.insert(done.key.clone(), done.revision);
                }
                _ => {
                    state.remove(&done.key);
                }
            }
        }
        state
    }

    /// What must be told of what happened after one revision, up to another.
    pub(crate) fn told(&self, after: u64, until: u64, meant: Meant) -> Vec<Told> {
        let within = |done: &&Done| done.revision > after && done.revision <= until;
        let told = self.all.iter().filter(within).filter_map(|done| {
            let was = done.before.as_ref().is_some_and(|it| meant.means(it));
            let is = done.now.as_ref().is_some_and(|it| meant.means(it));
            let what = match (was, is) {
                (false, false) => return None,
                (false, true) => "ADDED",
                (true, true) => "MODIFIED",
                (true, false) => "DELETED",
            };
            Some((done.revision, what, done.key.clone()))
        });
        told.collect()
    }

    /// The object a write made, and the revision it had before; nothing: there was no such write.
    pub(crate) fn written(&self, revision: u64) -> Option<(&Value, u64)> {
        let done = self.all.iter().find(|done| done.revision == revision)?;
        Some((done.now.as_ref()?, done.previous))
    }

    /// Whether the object with this identity was there, and went.
    pub(crate) fn is_gone(&self, uid: &str) -> bool {
        let went = self.all.iter().filter(|done| done.now.is_none());
        let mut before = went.filter_map(|done| done.before.as_ref());
        before.any(|it| it["metadata"]["uid"] == uid)
    }

    /// All of it, without what differs between two runs.
    pub(crate) fn summary(&self) -> Vec<(u64, String, Value)> {
        let data = |done: &Done| {
            done.now
                .as_ref()
                .map_or(Value::Null, |now| now["data"].clone())
        };
        let all = self.all.iter();
        all.map(|done| (done.revision, done.key.clone(), data(done)))
            .collect()
    }
}
