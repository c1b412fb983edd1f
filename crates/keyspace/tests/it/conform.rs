//! Both backends do what the suite beside the trait asks.

use weft_keyspace::{Options, conformance};

#[tokio::test]
async fn memory_conforms() {
    conformance::all(&weft_keyspace::memory(Options::default())).await;
}
