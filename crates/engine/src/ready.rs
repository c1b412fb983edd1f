//! What a start needs, ready before it is asked for: user and network namespaces, their veth pair,
//! and a monitor. Making them is half of a start on the default network.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use weft_network::{Host, Prepared};
use weft_runtime::spawner::{self, Monitor, Sandbox};
use weft_stdx::pool::Pool;

use crate::idrange::{IdRanges, RANGE_SIZE};

/// Sandboxes of a kind kept ready once the first container needed one.
const READY: usize = 4;
/// Monitors kept ready: each is a process.
const MONITORS: usize = 2;

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

/// The sandboxes that are ready, with and without a place on the default network. Either kind is
/// empty until the first start that needs one, so that an engine nobody uses it with makes none.
#[derive(Debug, Default)]
pub(crate) struct Ready {
    networked: Mutex<Option<Pool<Prepared<Reserved>>>>,
    bare: Mutex<Option<Pool<Reserved>>>,
    monitors: Mutex<Option<Pool<Monitor>>>,
}

impl Ready {
    /// One on the default network; the first call begins preparing them.
    pub fn networked(
        &self,
        host: &Host,
        ids: &Arc<IdRanges>,
        spawner: &spawner::Handle,
    ) -> Option<Prepared<Reserved>> {
        take(&self.networked, || {
            let (ids, spawner) = (Arc::clone(ids), spawner.clone());
            host.pool(READY, move || Reserved::make(&ids, &spawner))
        })
    }

    /// One without a network; the first call begins preparing them.
    pub fn bare(&self, ids: &Arc<IdRanges>, spawner: &spawner::Handle) -> Option<Reserved> {
        take(&self.bare, || {
            let (ids, spawner) = (Arc::clone(ids), spawner.clone());
            Pool::new("bare-pool", READY, move || {
                Reserved::make(&ids, &spawner)
                    .inspect_err(|error| tracing::warn!(%error, "preparing a sandbox"))
                    .ok()
            })
        })
    }

    /// A monitor; one that is not there yet is on its way.
    pub fn monitor(&self, spawner: &spawner::Handle) -> Monitor {
        let of_pool = spawner.clone();
        take(&self.monitors, || {
            Pool::new("monitor-pool", MONITORS, move || {
                Some(of_pool.monitor_ahead())
            })
        })
        .unwrap_or_else(|| spawner.monitor())
    }

    /// Releases those that are ready.
    pub fn close(&self) {
        drop(lock(&self.monitors).take());
        drop(lock(&self.networked).take());
        drop(lock(&self.bare).take());
    }
}

/// Without a pool every start makes its own: slower, nothing else.
fn take<T: Send + 'static>(
    pool: &Mutex<Option<Pool<T>>>,
    begin: impl FnOnce() -> io::Result<Pool<T>>,
) -> Option<T> {
    let mut pool = lock(pool);
    if pool.is_none() {
        *pool = begin().ok();
    }
    pool.as_ref().and_then(Pool::take)
}

fn lock<T>(pool: &Mutex<Option<T>>) -> MutexGuard<'_, Option<T>> {
    pool.lock().unwrap_or_else(PoisonError::into_inner)
}
