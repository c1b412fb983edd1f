//! Sealed objects: what is stored of them, what is read, and other keys.

use std::sync::atomic::{AtomicU8, Ordering};

use serde_json::{Value, json};
use weft_keyspace::{Keyspace, Options, memory};

use super::*;
use crate::Kinds;
use crate::object::Object;
use crate::store::{
    ChangeKind, DeleteOptions, Deleted, ListOptions, Patch, WriteOptions, object, wire,
};

/// No cipher, but as strict: the key's number, the place, the value with each bit turned.
#[derive(Debug)]
struct Turned {
    newest: AtomicU8,
    oldest: AtomicU8,
}

impl Seal for Turned {
    fn seal(&self, key: &str, value: &[u8]) -> Vec<u8> {
        let head = [self.newest.load(Ordering::SeqCst), key.len() as u8];
        let text = key.bytes().chain(value.iter().copied());
        head.into_iter().chain(text.map(|byte| !byte)).collect()
    }

    fn open(&self, key: &str, sealed: &[u8]) -> Result<Vec<u8>, String> {
        if sealed[0] < self.oldest.load(Ordering::SeqCst) {
            return Err(format!("key {} is gone", sealed[0]));
        }
        let text: Vec<u8> = sealed[2..].iter().map(|byte| !byte).collect();
        let value = text.strip_prefix(key.as_bytes());
        value.map(<[u8]>::to_vec).ok_or("not of this place".into())
    }

    fn reseal(&self, key: &str, sealed: &[u8]) -> Result<Option<Vec<u8>>, String> {
        let value = self.open(key, sealed)?;
        let is_new = sealed[0] == self.newest.load(Ordering::SeqCst);
        Ok((!is_new).then(|| self.seal(key, &value)))
    }
}

struct Trial {
    store: Store,
    seal: Arc<Turned>,
    secrets: Arc<Kind>,
}

async fn trial() -> Trial {
    let keyspace: Arc<dyn Keyspace> = Arc::new(memory(Options::default()));
    let seal = Arc::new(Turned {
        newest: AtomicU8::new(1),
        oldest: AtomicU8::new(1),
    });
    let store = Store::new(keyspace, Kinds::built_in());
    let store = store.with_seal(Arc::<Turned>::clone(&seal));
    let kinds = store.kinds();
    let namespaces = kinds.find("", "v1", "namespaces").unwrap();
    let namespace = of(json!({ "metadata": { "name": "default" } }));
    let options = WriteOptions::default();
    store
        .create(namespaces, "", namespace, &options)
        .await
        .unwrap();
    let secrets = Arc::clone(kinds.find("", "v1", "secrets").unwrap());
    Trial {
        store,
        seal,
        secrets,
    }
}

fn of(value: Value) -> Object {
    Object(value.as_object().unwrap().clone())
}

/// The value `hunter2`, in text and in base64.
const SHOWN: [&str; 2] = ["hunter2", "aHVudGVyMg=="];

fn secret(name: &str) -> Object {
    of(json!({
        "metadata": {
            "name": name,
            "labels": { "a": "b" },
            "annotations": { "kubectl.kubernetes.io/last-applied-configuration": SHOWN[1] },
        },
        "stringData": { "password": SHOWN[0] },
    }))
}

impl Trial {
    async fn create(&self, name: &str) -> Arc<Item> {
        let options = WriteOptions::default();
        let made = self
            .store
            .create(&self.secrets, "default", secret(name), &options);
        made.await.unwrap()
    }

    /// Everything that is and was in the keyspace.
    async fn assert_nothing_shows(&self) {
        let keyspace = &self.store.keyspace;
        let newest = keyspace.revision().await.unwrap().0;
        for at in 1..=newest {
            let range = Range {
                span: Span::prefix(""),
                at: Some(Revision(at)),
                limit: None,
            };
            for item in keyspace.range(range).await.unwrap().items {
                let text = String::from_utf8_lossy(&item.value);
                assert!(!SHOWN.iter().any(|shown| text.contains(shown)), "{text}");
            }
        }
    }
}

fn text(item: &Item) -> String {
    let mut text = Vec::new();
    wire(item, &mut text);
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn nothing_but_what_is_sealed_is_stored() {
    let trial = trial().await;
    let Trial { store, secrets, .. } = &trial;
    let made = trial.create("s").await;
    assert!(text(&made).contains(SHOWN[1]) && !text(&made).contains("stringData"));
    let get = store.get(secrets, "default", "s").await.unwrap();
    assert_eq!(text(&get), text(&made));
    let options = WriteOptions::default();
    let patch = Patch::Merge(json!({ "stringData": { "other": SHOWN[0] } }));
    let patched = store.patch(secrets, "default", "s", &patch, &options);
    let (patched, _) = patched.await.unwrap();
    assert_eq!(object(&patched).unwrap().0["data"]["other"], SHOWN[1]);
    let mut again = secret("s");
    again.set_meta("labels", None);
    store
        .replace(secrets, "default", "s", again, &options)
        .await
        .unwrap();
    let applied = WriteOptions {
        manager: "test".to_owned(),
        is_forced: true,
        ..WriteOptions::default()
    };
    let applied = store
        .apply(secrets, "default", "s", secret("s"), &applied)
        .await;
    assert!(text(&applied.unwrap().0).contains(SHOWN[1]));
    trial.assert_nothing_shows().await;

    // Selectors look at what was opened.
    for (field, count) in [("type=Opaque", 1), ("type=other", 0)] {
        let options = ListOptions {
            fields: crate::selector::Fields::parse(field, |_| true).unwrap(),
            labels: crate::selector::Labels::parse("a=b").unwrap(),
            ..ListOptions::default()
        };
        let listed = store.list(secrets, "default", &options).await.unwrap();
        assert_eq!(listed.items.len(), count, "{field}");
        assert!(
            listed
                .items
                .iter()
                .all(|item| text(item).contains(SHOWN[1]))
        );
    }
    let options = DeleteOptions::default();
    let gone = store.delete(secrets, "default", "s", &options).await;
    let Deleted::Gone(gone) = gone.unwrap() else {
        panic!("nothing holds it")
    };
    assert!(text(&gone).contains(SHOWN[1]));
    assert_eq!(store.sealed().await.unwrap(), 0);
}

#[tokio::test]
async fn a_rehearsal_answers_as_the_deed_would() {
    let trial = trial().await;
    let options = WriteOptions {
        is_dry_run: true,
        ..WriteOptions::default()
    };
    let made = trial
        .store
        .create(&trial.secrets, "default", secret("s"), &options);
    let made = made.await.unwrap();
    assert!(text(&made).contains(SHOWN[1]));
    assert!(!text(&made).contains("resourceVersion"), "{}", text(&made));
    assert_eq!(trial.store.sealed().await.unwrap(), 0);
    let there = trial.create("s").await;
    let mut changed = crate::store::object(&there).unwrap();
    changed.set_meta("labels", Some(serde_json::json!({ "a": "b" })));
    let changed = trial
        .store
        .replace(&trial.secrets, "default", "s", changed, &options)
        .await;
    assert_eq!(changed.unwrap().modified, there.modified);
    let options = DeleteOptions {
        is_dry_run: true,
        ..DeleteOptions::default()
    };
    let gone = trial
        .store
        .delete(&trial.secrets, "default", "s", &options)
        .await;
    let Deleted::Gone(gone) = gone.unwrap() else {
        panic!("nothing holds it")
    };
    assert!(text(&gone).contains(SHOWN[1]));
    assert_eq!(trial.store.sealed().await.unwrap(), 1);
}

#[tokio::test]
async fn what_is_moved_in_the_keyspace_is_refused() {
    let trial = trial().await;
    let key = trial.create("a").await.key.clone();
    trial.create("b").await;
    let range = Range {
        span: Span::key(key),
        at: None,
        limit: None,
    };
    let stored = trial.store.keyspace.range(range).await.unwrap().items;
    let commit = Commit {
        guards: Vec::new(),
        changes: vec![Change::Put {
            key: "objects/core/secrets/default/b".into(),
            value: stored[0].value.clone(),
            lease: None,
        }],
    };
    trial.store.keyspace.commit(commit).await.unwrap();
    let refused = trial.store.get(&trial.secrets, "default", "b").await;
    assert_eq!(refused.unwrap_err().reason, Reason::InternalError);
    // Whoever lists is told which one it is.
    let all = ListOptions::default();
    let list = || trial.store.list(&trial.secrets, "default", &all);
    let refused = list().await.unwrap_err();
    assert!(
        refused.message.contains("secrets/default/b: not of this"),
        "{refused}"
    );
    let refused = trial.store.check_sealed().await.unwrap_err();
    assert!(refused.message.contains("secrets/default/b"), "{refused}");
    let get = |name| trial.store.get(&trial.secrets, "default", name);
    get("a").await.unwrap();
    // It goes only for whoever says that it is not to be read; what can be read goes as always.
    let delete = async |name, is_unread| {
        let options = DeleteOptions {
            is_unread,
            ..DeleteOptions::default()
        };
        trial
            .store
            .delete(&trial.secrets, "default", name, &options)
            .await
    };
    let refused = delete("b", false).await.unwrap_err();
    assert_eq!(refused.reason, Reason::InternalError);
    assert!(matches!(delete("b", true).await, Ok(Deleted::Unread)));
    assert_eq!(get("b").await.unwrap_err().reason, Reason::NotFound);
    assert_eq!(list().await.unwrap().items.len(), 1);
    let refused = delete("b", true).await.unwrap_err();
    assert_eq!(refused.reason, Reason::NotFound);
    assert!(matches!(delete("a", true).await, Ok(Deleted::Gone(_))));
    trial.store.check_sealed().await.unwrap();
}

#[tokio::test]
async fn after_resealing_the_old_key_opens_nothing_and_is_not_needed() {
    let trial = trial().await;
    let Trial {
        store,
        seal,
        secrets,
    } = &trial;
    for n in 0..40 {
        trial.create(&format!("s{n}")).await;
    }
    let before = store.revision().await.unwrap();
    let watch = |after| store.watch(secrets, "default", after, ListOptions::default());
    let mut changes = watch(before).await.unwrap();
    let swap = async || {
        seal.newest.store(2, Ordering::SeqCst);
        Ok(())
    };
    assert_eq!(store.reseal(swap).await.unwrap(), 40);
    assert_eq!(store.reseal(async || Ok(())).await.unwrap(), 0);
    seal.oldest.store(2, Ordering::SeqCst);
    store.check_sealed().await.unwrap();
    let get = store.get(secrets, "default", "s39").await.unwrap();
    assert!(text(&get).contains(SHOWN[1]));
    // Whoever watched from before is told to begin anew, never that something is broken.
    match changes.next().await {
        Ok(seen) => assert!(seen.iter().all(|one| one.kind == ChangeKind::Modified)),
        Err(failure) => assert_eq!(failure.reason, Reason::Expired, "{failure}"),
    }
    let late = watch(before).await.unwrap_err();
    assert_eq!(late.reason, Reason::Expired);
}

#[tokio::test]
async fn without_a_key_nothing_is_written_or_read() {
    let trial = trial().await;
    let key = "objects/core/secrets/default/s";
    let changes = vec![Change::Put {
        key: key.into(),
        value: trial.seal.seal(key, b"{}").into(),
        lease: None,
    }];
    let guards = Vec::new();
    let keyspace = &trial.store.keyspace;
    keyspace.commit(Commit { guards, changes }).await.unwrap();
    let store = Store::new(Arc::clone(&trial.store.keyspace), Kinds::built_in());
    let options = WriteOptions::default();
    let made = store.create(&trial.secrets, "default", secret("t"), &options);
    assert!(made.await.is_err());
    assert!(store.get(&trial.secrets, "default", "s").await.is_err());
    assert_eq!(store.sealed().await.unwrap(), 1);
}
