//! Owns buffers that go round between the thread that fills them and those that read them, so
//! that a large layer does not allocate for every piece. Never grows beyond what is in flight.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Buffers kept for reuse.
const KEPT: usize = 32;

pub(super) struct Pool {
    size: usize,
    back: Receiver<Vec<u8>>,
    returns: SyncSender<Vec<u8>>,
}

/// An empty buffer of the pool's size.
pub(super) struct Space {
    bytes: Vec<u8>,
    returns: SyncSender<Vec<u8>>,
}

/// A filled buffer; the last to drop it gives it back.
#[derive(Clone)]
pub(super) struct Shared(Arc<Filled>);

struct Filled {
    bytes: Vec<u8>,
    length: usize,
    returns: SyncSender<Vec<u8>>,
}

impl Pool {
    pub fn new(size: usize) -> Self {
        let (returns, back) = sync_channel(KEPT);
        Self {
            size,
            back,
            returns,
        }
    }

    pub fn take(&mut self) -> Space {
        let bytes = self.back.try_recv().unwrap_or_else(|_| vec![0; self.size]);
        Space {
            bytes,
            returns: self.returns.clone(),
        }
    }
}

impl Space {
    pub fn space(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    pub fn share(self, length: usize) -> Shared {
        Shared(Arc::new(Filled {
            bytes: self.bytes,
            length,
            returns: self.returns,
        }))
    }
}

impl Deref for Shared {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0.bytes[..self.0.length]
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        // A full pool, or one that is gone, has no use for it.
        let _ = self.returns.try_send(std::mem::take(&mut self.bytes));
    }
}
