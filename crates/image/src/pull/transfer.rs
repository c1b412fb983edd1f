//! Owns the transfer of one layer: download, resume, hash, inflate and unpack as one stream,
//! shared by all pulls that need it. Never outlives the last of them.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;

use super::LayerState;
use super::partial::{PartialFeed, open_partial};
use crate::digest::Digest;
use crate::error::ErrorKind;
use crate::ingest::{Expected, IngestError, Measured};
use crate::manifest::Descriptor;
use crate::registry::{RegistryError, Repository};
use crate::store::{Inner, StoreError};

/// Layers on their way at once, over all pulls: two cores inflate and write no more than this.
const AT_ONCE: usize = 4;
/// Pieces between network and unpacking; hyper's are at most some 400 KB.
const QUEUE: usize = 8;
/// How often a download that brings nothing new is taken up again.
const RESUMES: u32 = 5;
/// How often it is taken up again at all.
const RESUMES_MAX: u32 = 200;
const PAUSE: Duration = Duration::from_millis(200);

/// A layer could not be brought.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The registry could not give it.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// It could not be unpacked or verified.
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// The interrupted download cannot be continued.
    #[error("cannot keep the download in {path}")]
    Partial {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The connection ended early again and again.
    #[error("the registry ends the download after {done} of {total} bytes, again and again")]
    Short {
        /// Bytes that came.
        done: u64,
        /// Bytes announced.
        total: u64,
    },
    /// The program is ending.
    #[error("the download was stopped")]
    Stopped,
}

impl TransferError {
    /// Its class.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Registry(error) => error.kind(),
            Self::Ingest(error) => error.kind(),
            Self::Partial { source, .. } => crate::error::io_kind(source),
            Self::Short { .. } | Self::Stopped => ErrorKind::Unavailable,
        }
    }
}

/// All transfers under way, by blob and diff id.
pub(crate) struct Transfers {
    under_way: Mutex<HashMap<(Digest, Digest), Weak<Transfer>>>,
    permits: Arc<Semaphore>,
}

impl Default for Transfers {
    fn default() -> Self {
        Self {
            under_way: Mutex::default(),
            permits: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

type Outcome = Option<Result<Arc<Measured>, Arc<TransferError>>>;

/// One layer on its way. Dropping the last handle stops it.
pub(super) struct Transfer {
    state: watch::Receiver<LayerState>,
    outcome: watch::Receiver<Outcome>,
    task: JoinHandle<()>,
}

impl Drop for Transfer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Transfer {
    /// The transfer of this layer: the one under way, or a new one.
    pub fn join(
        store: &Arc<Inner>,
        repository: &Arc<Repository>,
        layer: &Descriptor,
        diff_id: &Digest,
    ) -> Arc<Self> {
        let key = (layer.digest.clone(), diff_id.clone());
        // The map holds handles only: whatever a panic left in it is usable.
        let lock = store.transfers.under_way.lock();
        let mut under_way = lock.unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(transfer) = under_way.get(&key).and_then(Weak::upgrade)
            && !transfer.has_failed()
        {
            return transfer;
        }
        under_way.retain(|_, transfer| transfer.strong_count() > 0);
        let (tell, state) = watch::channel(LayerState::Waiting);
        let (finish, outcome) = watch::channel(None);
        let job = Job {
            store: store.clone(),
            repository: repository.clone(),
            layer: layer.clone(),
            diff_id: diff_id.clone(),
            tell,
        };
        let task = tokio::spawn(async move {
            let result = job.run().await.map(Arc::new).map_err(Arc::new);
            finish.send_replace(Some(result));
        });
        let transfer = Arc::new(Self {
            state,
            outcome,
            task,
        });
        under_way.insert(key, Arc::downgrade(&transfer));
        transfer
    }

    fn has_failed(&self) -> bool {
        matches!(*self.outcome.borrow(), Some(Err(_)))
    }

    /// Waits for the end, telling each change on the way.
    pub async fn follow(
        &self,
        tell: impl Fn(LayerState),
    ) -> Result<Arc<Measured>, Arc<TransferError>> {
        let (mut state, mut outcome) = (self.state.clone(), self.outcome.clone());
        let first = *state.borrow_and_update();
        tell(first);
        loop {
            tokio::select! {
                biased;
                Ok(()) = state.changed() => {
                    let now = *state.borrow_and_update();
                    tell(now);
                }
                changed = outcome.changed() => {
                    let result = outcome.borrow_and_update().clone();
                    return match (result, changed) {
                        (Some(Ok(measured)), _) => {
                            tell(LayerState::Done);
                            Ok(measured)
                        }
                        (Some(Err(error)), _) => Err(error),
                        (None, Ok(())) => continue,
                        (None, Err(_)) => Err(Arc::new(TransferError::Stopped)),
                    };
                }
            }
        }
    }
}

struct Job {
    store: Arc<Inner>,
    repository: Arc<Repository>,
    layer: Descriptor,
    diff_id: Digest,
    tell: watch::Sender<LayerState>,
}

/// What the network side hands to the unpacking side. A channel that closes without `End` means
/// that nobody wants the layer any more.
pub(super) enum Message {
    Data(Bytes),
    End,
    Failed(TransferError),
}

impl Job {
    async fn run(&self) -> Result<Measured, TransferError> {
        let permits = self.store.transfers.permits.clone();
        let _permit = permits
            .acquire_owned()
            .await
            .map_err(|_| TransferError::Stopped)?;
        let (resumed, result) = self.attempt().await;
        match result {
            // What an earlier run left may have been torn by a power cut: once more, from zero.
            Err(TransferError::Ingest(IngestError::Blob { .. } | IngestError::Size { .. }))
                if resumed =>
            {
                self.attempt().await.1
            }
            other => other,
        }
    }

    /// Answers also whether it went on from an interrupted download.
    async fn attempt(&self) -> (bool, Result<Measured, TransferError>) {
        let (send, receive) = mpsc::channel(QUEUE);
        let (tell_start, start) = tokio::sync::oneshot::channel();
        let (store, layer) = (self.store.clone(), self.layer.clone());
        let diff_id = self.diff_id.clone();
        let unpacking = tokio::task::spawn_blocking(move || {
            unpack(&store, &layer, &diff_id, receive, |have| {
                // Nobody listening is found out at the first read.
                let _ = tell_start.send(have);
            })
        });
        let resumed = match start.await {
            Ok(have) => {
                self.download(have, &send).await;
                have > 0
            }
            // It was here after all, or its file could not be opened: the outcome tells.
            Err(_) => false,
        };
        drop(send);
        self.tell.send_replace(LayerState::Extracting);
        let result = match unpacking.await {
            Ok(result) => result,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => Err(TransferError::Stopped),
        };
        (resumed, result)
    }

    /// Brings everything from byte `done` on, taking up broken connections again.
    async fn download(&self, mut done: u64, send: &mpsc::Sender<Message>) {
        let total = self.layer.size;
        let (mut fruitless, mut pause) = (0, PAUSE);
        for _ in 0..RESUMES_MAX {
            if done >= total && total > 0 {
                break;
            }
            let before = done;
            let failure = match self.stretch(&mut done, send).await {
                Ok(true) => return,
                Ok(false) => None,
                Err(error) => Some(error),
            };
            if done >= total {
                break;
            }
            (fruitless, pause) = if done > before {
                (0, PAUSE)
            } else {
                (fruitless + 1, pause * 2)
            };
            let transient = failure.as_ref().is_none_or(RegistryError::is_transient);
            if !transient || fruitless >= RESUMES {
                let error = failure.map_or(TransferError::Short { done, total }, Into::into);
                // A receiver that has gone has a reason of its own to tell.
                let _ = send.send(Message::Failed(error)).await;
                return;
            }
            tracing::debug!(blob = %self.layer.digest, done, total, "taking the download up again");
            tokio::time::sleep(pause).await;
        }
        let message = if done >= total {
            Message::End
        } else {
            Message::Failed(TransferError::Short { done, total })
        };
        // As above.
        let _ = send.send(message).await;
    }

    /// One connection's worth. `Ok(true)` means that the receiver wants no more.
    async fn stretch(
        &self,
        done: &mut u64,
        send: &mpsc::Sender<Message>,
    ) -> Result<bool, RegistryError> {
        let mut stream = self.repository.blob(&self.layer, *done).await?;
        while let Some(piece) = stream.next().await? {
            *done += piece.len() as u64;
            if send.send(Message::Data(piece)).await.is_err() {
                return Ok(true);
            }
            self.tell.send_replace(LayerState::Downloading {
                done: *done,
                total: self.layer.size,
            });
        }
        Ok(false)
    }
}

/// The blocking side: reads back what is there, goes on with what comes, and places the blob.
fn unpack(
    store: &Arc<Inner>,
    layer: &Descriptor,
    diff_id: &Digest,
    receive: mpsc::Receiver<Message>,
    start: impl FnOnce(u64),
) -> Result<Measured, TransferError> {
    let _pins = [store.pin(&layer.digest), store.pin(diff_id)];
    let path = store.partial_path(&layer.digest);
    let expected = Expected {
        blob: Some(&layer.digest),
        size: Some(layer.size),
        diff_id: Some(diff_id),
    };
    if store.has_blob(&layer.digest) {
        // Unpacked from here; should it turn out damaged, it is fetched anew.
        let file = store.open_blob(&layer.digest).map_err(IngestError::from)?;
        match store.ingest(&mut crate::ingest::ReaderFeed(file), expected) {
            Err(IngestError::Blob { .. } | IngestError::Size { .. }) => {}
            other => return Ok(other?),
        }
    }
    let partial = |source| TransferError::Partial {
        path: path.clone(),
        source,
    };
    let (file, have) = open_partial(&path, layer.size).map_err(partial)?;
    start(have);
    let mut feed = PartialFeed {
        file,
        left: have,
        receive,
        failure: None,
    };
    let result = store.ingest(&mut feed, expected);
    if let Some(failure) = feed.failure.take() {
        return Err(failure);
    }
    match result {
        Ok(measured) => {
            store
                .place_blob(&path, &layer.digest)
                .map_err(IngestError::from)?;
            Ok(measured)
        }
        Err(error) => {
            let keep = matches!(error, IngestError::Feed(_) | IngestError::Store(_));
            if !keep {
                // Its bytes are wrong or of no use: the next pull begins anew.
                let _ = std::fs::remove_file(&path);
            }
            Err(error.into())
        }
    }
}

/// Kept beside the code it must agree with: errors of the store are told as the layer's.
impl From<StoreError> for TransferError {
    fn from(error: StoreError) -> Self {
        Self::Ingest(error.into())
    }
}
