//! What readers make of objects is not kept with each of them.

use serde_json::json;
use weft_control::selector::{Fields, Labels};
use weft_control::store::{self, ListOptions, WriteOptions};
use weft_control::{Kinds, Store};
use weft_keyspace::{Options, memory};

use crate::writer::of;

#[tokio::test]
async fn of_many_objects_that_are_read_few_are_kept_as_read() {
    const COUNT: usize = 500;
    let store = Store::new(
        std::sync::Arc::new(memory(Options::default())),
        Kinds::built_in(),
    );
    let kinds = store.kinds();
    let kind = |plural: &str| kinds.find("", "v1", plural).unwrap().clone();
    let namespace = of(json!({ "metadata": { "name": "a" } }));
    let options = WriteOptions::default();
    let namespaces = kind("namespaces");
    store
        .create(&namespaces, "", namespace, &options)
        .await
        .unwrap();
    let maps = kind("configmaps");
    for index in 0..COUNT {
        let map = of(json!({
            "metadata": { "name": format!("m{index}"), "labels": { "half": (index % 2).to_string() } },
            "data": { "filling": "x".repeat(20_000) },
        }));
        store.create(&maps, "a", map, &options).await.unwrap();
    }
    let listed = |labels: &str, fields: &str| {
        let options = ListOptions {
            labels: Labels::parse(labels).unwrap(),
            fields: Fields::parse(fields, |_| true).unwrap(),
            ..ListOptions::default()
        };
        let (store, maps) = (store.clone(), maps.clone());
        async move { store.list(&maps, "a", &options).await.unwrap().items }
    };
    let all = listed("", "").await;
    let kept = || {
        let is_kept =
            |item: &&std::sync::Arc<weft_keyspace::Item>| format!("{:?}", item.memo) == "made";
        all.iter().filter(is_kept).count()
    };
    let before = kept();
    assert!(before < COUNT / 2, "{before}");
    for item in &all {
        store::object(item).unwrap();
    }
    let after = kept();
    assert!((1..COUNT / 2).contains(&after), "{after}");
    // For their labels they are not read at all.
    assert_eq!(listed("half=1", "").await.len(), COUNT / 2);
    assert!(kept() <= after, "{} of {after}", kept());
    assert_eq!(listed("half=1", "metadata.name=m3").await.len(), 1);
    assert_eq!(listed("half=0", "metadata.name=m3").await.len(), 0);
    assert_eq!(listed("half", "metadata.name!=m3").await.len(), COUNT - 1);
    assert_eq!(listed("!half", "").await.len(), 0);
    // In pieces they are the same.
    for limit in [1, 3, 249, 250, 251, 1000] {
        let (mut token, mut names, mut pages) = (None, Vec::new(), 0);
        loop {
            let options = ListOptions {
                labels: Labels::parse("half=1").unwrap(),
                limit,
                token,
                ..ListOptions::default()
            };
            let listed = store.list(&maps, "a", &options).await.unwrap();
            assert!(!listed.items.is_empty() && listed.items.len() <= limit);
            names.extend(listed.items.iter().map(|item| item.key.clone()));
            pages += 1;
            token = listed.token;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(
            (names.len(), pages),
            (COUNT / 2, (COUNT / 2).div_ceil(limit))
        );
        assert!(names.is_sorted());
    }
}
