//! Both backends do what the suite beside the trait asks.

use weft_keyspace::{Keyspace as _, Options, conformance};

#[tokio::test]
async fn memory_conforms() {
    conformance::all(&weft_keyspace::memory(Options::default())).await;
}

#[tokio::test]
async fn embedded_conforms_and_again_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keyspace");
    let mut last = weft_keyspace::Revision(0);
    for _ in 0..2 {
        let keyspace = weft_keyspace::embedded(&path, Options::default()).unwrap();
        assert_eq!(keyspace.revision().await.unwrap(), last);
        if last.0 == 0 {
            conformance::all(&keyspace).await;
        }
        last = keyspace.revision().await.unwrap();
    }
}
