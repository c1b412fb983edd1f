//! Controllers: what makes objects true.
//!
//! Each is woken without being told why; it looks at all that is its own and does what is left to
//! be done. The first run, any later one and recovery are the same.

mod autoscaler;
pub(crate) mod claims;
mod definitions;
mod endpoints;
pub(crate) mod mirror;
mod namespaces;
mod owners;
mod queue;
mod scheduler;
pub(crate) mod tell;
mod workloads;

pub use claims::local_class;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use weft_keyspace::Item;

use crate::Store;
use crate::failure::Failure;
use crate::kind::Kind;
use crate::store::ListOptions;
use crate::usage::Meter;

/// Pause after something failed.
pub(crate) const PAUSE: Duration = Duration::from_secs(1);
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

/// All controllers.
#[derive(Debug)]
pub struct Controllers {
    store: Store,
    definitions: definitions::Definitions,
}

impl Controllers {
    /// Serves the kinds that are defined already.
    ///
    /// # Errors
    /// The definitions cannot be read.
    pub async fn begin(store: &Store) -> Result<Controllers, Failure> {
        let mut definitions = definitions::Definitions::new(store);
        definitions.serve().await?;
        Ok(Controllers {
            store: store.clone(),
            definitions,
        })
    }

    /// Runs all, for ever; `meter` says what pods use.
    pub async fn run(&mut self, meter: Option<&dyn Meter>) -> Infallible {
        let namespaces = namespaces::run(&self.store);
        tokio::select! {
            never = self.definitions.run() => never,
            never = namespaces => never,
            never = owners::run(&self.store) => never,
            never = scheduler::run(&self.store) => never,
            never = claims::run(&self.store) => never,
            never = endpoints::run(&self.store) => never,
            never = workloads::run(&self.store) => never,
            never = autoscaler::run(&self.store, meter) => never,
        }
    }
}

/// Does something that never ends, for ever: what fails begins anew after a pause.
pub(crate) async fn anew<F>(what: &str, mut run: impl FnMut() -> F) -> Infallible
where
    F: Future<Output = Result<Infallible, Failure>>,
{
    loop {
        let Err(error) = run().await;
        tracing::warn!(%error, "{what} failed, and begins anew");
        tokio::time::sleep(PAUSE).await;
    }
}

/// What one controller does.
trait Reconcile: Send {
    /// Does what is left to be done, with all objects of its kind.
    fn reconcile<'a>(
        &'a mut self,
        items: &'a [Arc<Item>],
    ) -> impl Future<Output = Result<Done, Failure>> + Send + 'a;
}

/// Reconciles all objects of `kind` at first, and again when one has changed.
async fn keep(store: &Store, kind: &Arc<Kind>, controller: &mut impl Reconcile) -> Infallible {
    loop {
        let Err(error) = try_keep(store, kind, controller).await;
        tracing::warn!(kind = %kind.resource(), %error, "a controller failed, and begins anew");
        tokio::time::sleep(PAUSE).await;
    }
}

async fn try_keep(
    store: &Store,
    kind: &Arc<Kind>,
    controller: &mut impl Reconcile,
) -> Result<Infallible, Failure> {
    let all = ListOptions::default();
    let mut listed = store.list(kind, "", &all).await?;
    let mut changes = store
        .watch(kind, "", listed.revision, ListOptions::default())
        .await?;
    loop {
        match controller.reconcile(&listed.items).await? {
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
