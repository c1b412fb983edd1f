//! User and network namespaces ready before they are asked for: making them and their veth pair
//! is half of a start on the default network.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use weft_network::{Host, Pool, Prepared};
use weft_runtime::spawner::{self, Sandbox};

use crate::idrange::{IdRanges, RANGE_SIZE};

/// Sandboxes kept ready once the first container was on the default network.
const READY: usize = 4;

/// A user and a network namespace with the id range they were made for; dropped unused, the range
/// is free again and the kernel takes the namespaces back.
#[derive(Debug)]
pub(crate) struct Reserved {
    ids: Arc<IdRanges>,
    id_base: u32,
    sandbox: Option<Sandbox>,
}

impl Reserved {
    fn make(ids: &Arc<IdRanges>, spawner: &spawner::Handle) -> io::Result<Self> {
        let id_base = ids
            .take()
            .ok_or_else(|| io::Error::other("no id range is free"))?;
        match spawner.sandbox(id_base, RANGE_SIZE) {
            Ok(sandbox) => Ok(Self {
                ids: Arc::clone(ids),
                id_base,
                sandbox: Some(sandbox),
            }),
            Err(error) => {
                ids.give_back(id_base);
                Err(io::Error::other(error))
            }
        }
    }

    /// First host id.
    pub fn id_base(&self) -> u32 {
        self.id_base
    }

    /// The namespaces, user and network; the range now belongs to whoever took them.
    pub fn into_parts(mut self) -> (OwnedFd, OwnedFd) {
        let sandbox = self.sandbox.take().expect("taken once, by value");
        (sandbox.user, sandbox.net)
    }
}

impl AsFd for Reserved {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.sandbox
            .as_ref()
            .expect("only into_parts takes it, by value")
            .net
            .as_fd()
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if self.sandbox.is_some() {
            self.ids.give_back(self.id_base);
        }
    }
}

/// The sandboxes that are ready. Empty until the first start on the default network, so that an
/// engine nobody uses it with makes no bridge.
#[derive(Debug, Default)]
pub(crate) struct Ready {
    pool: Mutex<Option<Pool<Reserved>>>,
}

impl Ready {
    /// One that is ready; the first call begins preparing them.
    pub fn take(
        &self,
        host: &Host,
        ids: &Arc<IdRanges>,
        spawner: &spawner::Handle,
    ) -> Option<Prepared<Reserved>> {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if pool.is_none() {
            let (ids, spawner) = (Arc::clone(ids), spawner.clone());
            // Without one, every start makes its own: slower, nothing else.
            *pool = Pool::new(host, READY, move || Reserved::make(&ids, &spawner)).ok();
        }
        pool.as_ref().and_then(Pool::take)
    }

    /// Releases those that are ready.
    pub fn close(&self) {
        self.pool
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }
}
