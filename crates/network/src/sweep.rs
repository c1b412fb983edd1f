//! Deleting interfaces, and forgetting connections, off everybody's path.
//!
//! Deleting a veth waits some 30 ms for the kernel's readers, holding the lock every other
//! change of links needs. One thread collects what is to go for a moment, leaves out what went
//! with its namespace, and deletes the rest as one group with one wait.

use std::collections::HashSet;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use weft_sys::netlink::Family;

use crate::conntrack::{self, Flow};
use crate::netlink::{Batch, Connection, KernelError};
use crate::rtnetlink;
use crate::rules::Rules;

/// How long links are collected: most go by themselves meanwhile, with their namespace.
const COLLECT: Duration = Duration::from_millis(100);
/// The group links are put into to be deleted together; any weft's, all are to go.
const GROUP: u32 = 0x7765_6674;

/// What is to go. Bounded by the endpoints there can be: each is queued once, on its way out.
#[derive(Debug, Default)]
struct Queue {
    links: Vec<String>,
    flows: Vec<Flow>,
    /// Somebody waits, or the sweeper ends: no collecting.
    hurry: bool,
    closing: bool,
    busy: bool,
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.links.is_empty() && self.flows.is_empty()
    }
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // A panic elsewhere leaves a list of names, which is still one.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread and what it is to do. Dropped, it finishes that first.
#[derive(Debug)]
pub(crate) struct Sweeper {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Sweeper {
    /// Starts one in the caller's network namespace.
    pub(crate) fn start(rules: Arc<Rules>) -> Result<Sweeper, KernelError> {
        let shared = Arc::new(Shared::default());
        let links = Connection::open(Family::Route)?;
        let flows = Connection::open(Family::Netfilter)?;
        let of_thread = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("net-sweeper".to_owned())
            .spawn(move || run(&of_thread, &rules, links, flows))
            .map_err(crate::netlink::errno("start a thread"))?;
        Ok(Sweeper {
            shared,
            thread: Some(thread),
        })
    }

    /// Deletes these links some time soon.
    pub(crate) fn links(&self, names: impl IntoIterator<Item = String>) {
        self.shared.lock().links.extend(names);
        self.shared.changed.notify_all();
    }

    /// Forgets these connections some time soon.
    pub(crate) fn flows(&self, flows: impl IntoIterator<Item = Flow>) {
        let mut queue = self.shared.lock();
        queue.flows.extend(flows);
        if !queue.flows.is_empty() {
            self.shared.changed.notify_all();
        }
    }

    /// Returns when everything asked for so far is done.
    pub(crate) fn flush(&self) {
        let mut queue = self.shared.lock();
        while queue.busy || !queue.is_empty() {
            queue.hurry = true;
            self.shared.changed.notify_all();
            queue = self
                .shared
                .changed
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        {
            let mut queue = self.shared.lock();
            queue.closing = true;
            queue.hurry = true;
        }
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // It ends by itself; a panic in it was reported where it happened.
            let _ = thread.join();
        }
    }
}

fn run(shared: &Shared, rules: &Rules, mut links: Connection, mut flows: Connection) {
    while let Some((doomed, forgotten)) = next(shared) {
        if let Err(error) = delete(&mut links, rules, &doomed) {
            tracing::warn!(error = &error as &dyn std::error::Error, "sweeping links");
        }
        if let Err(error) = conntrack::forget(&mut flows, &forgotten) {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "sweeping connections"
            );
        }
        shared.lock().busy = false;
        shared.changed.notify_all();
    }
}

/// Waits for work and collects it; `None` when there will be no more.
fn next(shared: &Shared) -> Option<(Vec<String>, Vec<Flow>)> {
    let mut queue = shared.lock();
    loop {
        if !queue.is_empty() {
            break;
        }
        if queue.closing {
            return None;
        }
        queue.hurry = false;
        queue = shared
            .changed
            .wait(queue)
            .unwrap_or_else(PoisonError::into_inner);
    }
    if queue.flows.is_empty() {
        (queue, _) = shared
            .changed
            .wait_timeout_while(queue, COLLECT, |queue| {
                !queue.hurry && queue.flows.is_empty()
            })
            .unwrap_or_else(PoisonError::into_inner);
    }
    queue.busy = true;
    // Connections do not wait for links to be collected, nor cut that short.
    let links = match queue.flows.is_empty() || queue.hurry {
        true => std::mem::take(&mut queue.links),
        false => Vec::new(),
    };
    Some((links, std::mem::take(&mut queue.flows)))
}

fn delete(connection: &mut Connection, rules: &Rules, names: &[String]) -> Result<(), KernelError> {
    if names.is_empty() {
        return Ok(());
    }
    let present: HashSet<String> = rtnetlink::links(connection)?
        .into_iter()
        .map(|link| link.name)
        .collect();
    let mut batch = Batch::new();
    for name in names.iter().filter(|name| present.contains(*name)) {
        rtnetlink::set_group(&mut batch, name, GROUP);
    }
    if batch.len() > 0 {
        rtnetlink::delete_group(&mut batch, GROUP);
        let gone = |error: &KernelError| error.is(rustix::io::Errno::NODEV);
        let mut errors = connection.run_all(batch)?.into_iter();
        if let Some((_, error)) = errors.find(|(_, error)| !gone(error)) {
            return Err(error);
        }
    }
    // Until here they were there, and guarded.
    rules.remove_senders(&names.iter().map(String::as_str).collect())
}
