//! Definitions are settled once each, and names go to who came first.

use futures_util::FutureExt as _;
use weft_keyspace::{Options, memory};

use super::*;

const COUNT: usize = 20;

fn definition(number: usize, plural: &str) -> Object {
    let schema = json!({ "openAPIV3Schema": { "type": "object" } });
    let version = json!({ "name": "v1", "served": true, "storage": true, "schema": schema });
    let value = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": format!("{plural}.g{number}.example.com") },
        "spec": {
            "group": format!("g{number}.example.com"), "scope": "Namespaced",
            "names": { "plural": plural, "singular": "thing", "kind": "Thing" },
            "versions": [version],
        },
    });
    match value {
        Value::Object(map) => Object(map),
        _ => unreachable!("it is an object"),
    }
}

async fn make(store: &Store, kind: &Kind, definition: Object) {
    let options = WriteOptions::default();
    store.create(kind, "", definition, &options).await.unwrap();
}

/// Those of which something is left to be done.
async fn left(definitions: &mut Definitions, kind: &Kind) -> usize {
    let all = ListOptions::default();
    let listed = definitions.store.list(kind, "", &all).await.unwrap();
    definitions.choose(&listed.items).unwrap().len()
}

async fn reconcile(definitions: &mut Definitions, kind: &Kind) {
    let all = ListOptions::default();
    let listed = definitions.store.list(kind, "", &all).await.unwrap();
    let done = definitions.reconcile(&listed.items).await.unwrap();
    assert_eq!(done, Done::All);
}

#[tokio::test]
async fn what_is_settled_is_not_looked_at_again_for_another() {
    let keyspace = Arc::new(memory(Options::default()));
    let store = Store::new(keyspace, Kinds::built_in());
    let mut definitions = Definitions::new(&store);
    let kind = definitions.own_kind().unwrap();
    for number in 0..COUNT {
        make(&store, &kind, definition(number, "things")).await;
    }
    definitions.serve().await.unwrap();
    assert_eq!(left(&mut definitions, &kind).await, COUNT);
    reconcile(&mut definitions, &kind).await;
    // They are written, and read once more.
    assert_eq!(left(&mut definitions, &kind).await, COUNT);
    reconcile(&mut definitions, &kind).await;
    assert_eq!(left(&mut definitions, &kind).await, 0);
    let kinds = store.kinds();
    reconcile(&mut definitions, &kind).await;
    assert!(Arc::ptr_eq(&kinds, &store.kinds()), "nothing has changed");

    make(&store, &kind, definition(COUNT, "things")).await;
    assert_eq!(left(&mut definitions, &kind).await, 1);
    assert!(!Arc::ptr_eq(&kinds, &store.kinds()));
}

#[tokio::test]
async fn who_has_a_name_goes_and_the_next_one_gets_it() {
    let keyspace = Arc::new(memory(Options::default()));
    let store = Store::new(keyspace, Kinds::built_in());
    let mut definitions = Definitions::new(&store);
    let kind = definitions.own_kind().unwrap();
    make(&store, &kind, definition(0, "things")).await;
    make(&store, &kind, definition(0, "others")).await;
    for _ in 0..2 {
        reconcile(&mut definitions, &kind).await;
    }
    let served = |plural: &str| store.kinds().at("g0.example.com", plural).is_some();
    assert!(served("things") && !served("others"));
    let why = |item: &Item| store::object(item).unwrap().0["status"].to_string();
    let other = store.get(&kind, "", "others.g0.example.com").await.unwrap();
    let told = why(&other);
    assert!(
        told.contains("\\\"thing\\\" is already in use by things"),
        "{told}"
    );

    let options = DeleteOptions::default();
    let first = "things.g0.example.com";
    store.delete(&kind, "", first, &options).await.unwrap();
    for _ in 0..3 {
        reconcile(&mut definitions, &kind).await;
    }
    assert!(!served("things") && served("others"));
    let other = store.get(&kind, "", "others.g0.example.com").await.unwrap();
    assert!(why(&other).contains("NoConflicts"));
}

#[tokio::test]
async fn a_watch_is_over_when_its_kind_is_gone() {
    let keyspace = Arc::new(memory(Options::default()));
    let store = Store::new(keyspace, Kinds::built_in());
    let mut definitions = Definitions::new(&store);
    let kind = definitions.own_kind().unwrap();
    let mut definition = definition(0, "things");
    definition.set_meta("finalizers", Some(json!(["example.com/hold"])));
    make(&store, &kind, definition).await;
    reconcile(&mut definitions, &kind).await;
    let kinds = store.kinds();
    let things = kinds.at("g0.example.com", "things").unwrap();
    let options = ListOptions::default();
    let now = store.revision().await.unwrap();
    let changes = store.watch(things, "", now, options.clone()).await.unwrap();
    let mut over = std::pin::pin!(changes.over());
    let maps = kinds.at("", "configmaps").unwrap();
    let others = store.watch(maps, "", now, options).await.unwrap();

    let name = "things.g0.example.com";
    let options = DeleteOptions::default();
    store.delete(&kind, "", name, &options).await.unwrap();
    for _ in 0..4 {
        reconcile(&mut definitions, &kind).await;
    }
    // Somebody else holds the definition: it is told once that its objects are gone.
    let item = store.get(&kind, "", name).await.unwrap();
    let told = store::object(&item).unwrap();
    let last = told.0["status"]["conditions"]
        .as_array()
        .unwrap()
        .last()
        .unwrap();
    assert_eq!(
        (&last["type"], &last["status"], &last["reason"]),
        (
            &json!("Terminating"),
            &json!("False"),
            &json!("InstanceDeletionCompleted")
        )
    );
    assert_eq!(
        told.meta().finalizers().collect::<Vec<_>>(),
        ["example.com/hold"]
    );
    reconcile(&mut definitions, &kind).await;
    let again = store.get(&kind, "", name).await.unwrap();
    assert_eq!(item.modified, again.modified);
    assert!(over.as_mut().now_or_never().is_none());

    store.finalize(&kind, name, &[], "somebody").await.unwrap();
    reconcile(&mut definitions, &kind).await;
    over.await;
    assert!(others.over().now_or_never().is_none());
}
