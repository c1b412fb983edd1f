//! Controllers: what makes objects true.
//!
//! Each is woken without being told why; it looks at all that is its own and does what is left to
//! be done. The first run, any later one and recovery are the same.

mod definitions;
mod namespaces;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use weft_keyspace::Item;

use crate::Store;
use crate::failure::Failure;
use crate::kind::Kind;
use crate::store::ListOptions;

/// Pause after something failed.
const PAUSE: Duration = Duration::from_secs(1);
/// How soon what could not be finished is looked at again.
const AGAIN: Duration = Duration::from_millis(500);

/// Whether a controller has done all there is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    /// Until something changes.
    All,
    /// Something has to happen elsewhere first.
    NotYet,
}

/// Runs all controllers, for ever.
pub async fn run(store: &Store) -> Infallible {
    let mut definitions = definitions::Definitions::new(store);
    let definitions = definitions.run();
    let namespaces = namespaces::run(store);
    let (never, _) = tokio::join!(definitions, namespaces);
    never
}

/// Calls `reconcile` with all objects of `kind` at first, and again when one has changed.
async fn keep(
    store: &Store,
    kind: &Arc<Kind>,
    mut reconcile: impl AsyncFnMut(&[Arc<Item>]) -> Result<Done, Failure>,
) -> Infallible {
    loop {
        let Err(error) = try_keep(store, kind, &mut reconcile).await;
        tracing::warn!(kind = %kind.resource(), %error, "a controller failed, and begins anew");
        tokio::time::sleep(PAUSE).await;
    }
}

async fn try_keep(
    store: &Store,
    kind: &Arc<Kind>,
    reconcile: &mut impl AsyncFnMut(&[Arc<Item>]) -> Result<Done, Failure>,
) -> Result<Infallible, Failure> {
    let all = ListOptions::default();
    let mut listed = store.list(kind, "", &all).await?;
    let mut changes = store
        .watch(kind, "", listed.revision, ListOptions::default())
        .await?;
    loop {
        let done = reconcile(&listed.items).await?;
        match done {
            Done::All => drop(changes.next().await?),
            Done::NotYet => {
                if let Ok(changed) = tokio::time::timeout(AGAIN, changes.next()).await {
                    changed?;
                }
            }
        }
        listed = store.list(kind, "", &all).await?;
    }
}
