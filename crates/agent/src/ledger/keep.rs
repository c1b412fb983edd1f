//! Between who says what is wanted and who does it: what is said is written down first.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use weft_api::assignment::{Assignment, Pod, Services};

use super::{Ledger, LedgerError};

/// How long a power cut may take back what was written.
const SYNC_AFTER: Duration = Duration::from_secs(1);

/// What is to be done.
#[derive(Debug, Clone, Default)]
pub(crate) enum Order {
    /// Nobody knows yet: what runs, runs.
    #[default]
    Unknown,
    /// What was wanted before this agent began. What else runs is left alone.
    Remembered(Arc<Vec<Arc<Pod>>>),
    /// What is wanted. What else runs is ended.
    Told(Arc<Assignment>),
}

/// Which assignments are taken: of one epoch, each newer than those before.
#[derive(Debug, Default)]
pub(crate) struct Take {
    epoch: String,
    generation: u64,
}

impl Take {
    /// Whether it is taken. Another epoch is another teller, who counts anew: a control plane that
    /// was started again, perhaps with what it knew long ago.
    pub fn takes(&mut self, assigned: &Assignment) -> bool {
        if assigned.generation == 0 {
            return false;
        }
        if assigned.epoch == self.epoch && assigned.generation <= self.generation {
            return false;
        }
        self.epoch.clone_from(&assigned.epoch);
        self.generation = assigned.generation;
        true
    }
}

/// Hands on what the ledger says, and then what is told, once it is written down. With the ledger
/// come the addresses that pods of this node have now.
pub(crate) async fn keep(
    ledger: Option<(Ledger, BTreeSet<String>)>,
    mut assignments: watch::Receiver<Arc<Assignment>>,
    mut routes: watch::Receiver<Arc<Services>>,
    orders: watch::Sender<Order>,
    lead: watch::Sender<Arc<Services>>,
) {
    let mut ledger = match ledger {
        Some((ledger, here)) => Some(remember(ledger, &here, &orders, &lead).await),
        None => None,
    };
    // What was said before anybody listened.
    assignments.mark_changed();
    let mut take = Take::default();
    let mut sync_at = None;
    loop {
        let syncing = async {
            match sync_at {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = assignments.changed() => {
                if changed.is_err() {
                    return;
                }
                let assigned = Arc::clone(&assignments.borrow_and_update());
                // Who is to end must know first whether it was about to be led to.
                if routes.has_changed().is_ok_and(|is| is) {
                    hand_on(&mut routes, &mut ledger, &lead).await;
                }
                if take.takes(&assigned) {
                    let noted = Arc::clone(&assigned);
                    write(&mut ledger, move |ledger| ledger.note(&noted)).await;
                    orders.send_replace(Order::Told(assigned));
                }
            }
            Ok(()) = routes.changed() => hand_on(&mut routes, &mut ledger, &lead).await,
            () = syncing => {
                sync_at = None;
                write(&mut ledger, Ledger::sync).await;
            }
        }
        if sync_at.is_none() && ledger.as_ref().is_some_and(Ledger::is_unsynced) {
            sync_at = Some(Instant::now() + SYNC_AFTER);
        }
    }
}

/// Hands on where services are to lead, once that is written down.
async fn hand_on(
    routes: &mut watch::Receiver<Arc<Services>>,
    ledger: &mut Option<Ledger>,
    lead: &watch::Sender<Arc<Services>>,
) {
    let services = Arc::clone(&routes.borrow_and_update());
    let noted = Arc::clone(&services);
    write(ledger, move |ledger| ledger.note_services(&noted)).await;
    lead.send_replace(services);
}

/// Hands on what a ledger says.
async fn remember(
    mut ledger: Ledger,
    here: &BTreeSet<String>,
    orders: &watch::Sender<Order>,
    lead: &watch::Sender<Arc<Services>>,
) -> Ledger {
    let reading = tokio::task::spawn_blocking(move || {
        let remembered = ledger.read();
        (ledger, remembered)
    });
    let (ledger, remembered) = reading.await.expect("reading a ledger does not panic");
    if let Some((count, why)) = remembered.unread {
        tracing::warn!(
            why,
            count,
            "a part of the ledger cannot be read: what it was about is left alone until the control \
             plane says what is wanted"
        );
    }
    if !remembered.pods.is_empty() {
        let count = remembered.pods.len();
        tracing::info!(count, "pods run on as the ledger says");
        orders.send_replace(Order::Remembered(Arc::new(remembered.pods)));
    }
    if let Some(services) = remembered.services {
        lead.send_replace(Arc::new(still_true(services, here)));
    }
    ledger
}

/// Where services led, without the addresses that this node's pods had and have no more: after a
/// reboot they may be others'.
fn still_true(mut services: Services, here: &BTreeSet<String>) -> Services {
    for service in services.table.values_mut() {
        let mut elsewhere = BTreeSet::new();
        for port in &mut service.ports {
            port.endpoints
                .retain(|one| !one.is_local || here.contains(&one.address));
            let others = port.endpoints.iter().filter(|one| !one.is_local);
            elsewhere.extend(others.map(|one| one.address.clone()));
        }
        let is_known = |address: &String| here.contains(address) || elsewhere.contains(address);
        service.hosts.retain(|(address, _)| is_known(address));
    }
    services
}

/// Does something to the ledger; what fails is told, and done without: what is wanted is wanted.
async fn write(
    ledger: &mut Option<Ledger>,
    doing: impl FnOnce(&mut Ledger) -> Result<(), LedgerError> + Send + 'static,
) {
    let Some(mut held) = ledger.take() else {
        return;
    };
    let writing = tokio::task::spawn_blocking(move || {
        let done = doing(&mut held);
        (held, done)
    });
    let (held, done) = writing.await.expect("writing a ledger does not panic");
    if let Err(error) = done {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        tracing::error!(
            %error,
            cause,
            "without the control plane this would not be run after a restart"
        );
    }
    *ledger = Some(held);
}
