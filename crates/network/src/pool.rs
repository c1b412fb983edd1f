//! Sandboxes made ahead, each with its place on the default network: interface up, addressed,
//! a port of the bridge. Claiming one only writes the record and publishes ports.
//!
//! What is prepared lives in memory and in descriptors alone: if the daemon dies, namespaces and
//! interfaces vanish with it. Never: what else a sandbox is; its maker knows.

use std::collections::VecDeque;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::attach::{Attach, AttachError, Attachment, Place, check};
use crate::host::Host;
use crate::inside::{self, Inside};
use crate::netlink::{Batch, KernelError};
use crate::network::DEFAULT_NETWORK;
use crate::rtnetlink::{self, Veth};
use crate::subnet::{Mac, Subnet};

/// More than a burst of starts takes before the refill catches up.
const MOST: usize = 64;
const INTERFACE: &str = "eth0";
/// How long refilling pauses after a failure; doubled up to the longest while it fails.
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A sandbox with a place on the default network. Dropped unclaimed, all of it is released.
#[derive(Debug)]
pub struct Prepared<S> {
    sandbox: Option<S>,
    seat: Seat,
}

/// A reserved address with its interface.
#[derive(Debug)]
struct Seat {
    host: Host,
    network: String,
    address: Ipv4Addr,
    mac: Mac,
    link: String,
    /// The bridge it is on; another number means another bridge.
    bridge: u32,
    claimed: bool,
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.claimed {
            return;
        }
        if let Some(net) = self.host.state().networks.get_mut(&self.network) {
            net.release(self.address);
        }
        self.host.sweeper().links([std::mem::take(&mut self.link)]);
    }
}

impl<S> Prepared<S> {
    /// The sandbox.
    pub fn sandbox(&self) -> &S {
        self.sandbox.as_ref().expect("it is taken by claiming only")
    }

    /// The address it will have.
    pub fn address(&self) -> Ipv4Addr {
        self.seat.address
    }
}

impl Host {
    /// Puts a container into a prepared sandbox. `attach.netns` is not used: it is the sandbox's.
    ///
    /// # Errors
    /// [`AttachError::Unfit`] when the container asks for another network, address, hardware
    /// address or interface than was prepared, or the bridge is another by now; for the rest as
    /// [`Host::attach`].
    pub fn claim<S>(
        &self,
        attach: &Attach<'_>,
        mut prepared: Prepared<S>,
    ) -> Result<(Attachment, S), AttachError> {
        check(attach)?;
        let seat = &mut prepared.seat;
        let unfit = |why| Err(AttachError::Unfit(why));
        let reserved = {
            let mut state = self.state();
            if state.resolve(attach.network) != Some(seat.network.as_str()) {
                return unfit("it is on the default network");
            }
            if attach.ip.is_some() || attach.mac.is_some() || attach.interface != INTERFACE {
                return unfit("it has its address and interface already");
            }
            if state.networks[&seat.network].bridge != Some(seat.bridge) {
                return unfit("its bridge is gone");
            }
            let place = Place {
                address: seat.address,
                mac: seat.mac,
                link: seat.link.clone(),
            };
            let network = seat.network.clone();
            let reserved = self.record(&mut state, attach, &network, place)?;
            seat.claimed = true;
            reserved
        };
        let attachment = reserved.attachment;
        if !attachment.ports.is_empty() {
            let mut batch = Batch::new();
            rtnetlink::set_hairpin(&mut batch, &seat.link);
            self.route()
                .run(batch)
                .map_err(|error| AttachError::kernel(&attachment, error))?;
        }
        self.publish(&attachment)?;
        let sandbox = prepared.sandbox.take().expect("claiming takes it once");
        Ok((attachment, sandbox))
    }

    fn prepare<S: AsFd>(&self, sandbox: S) -> Result<Prepared<S>, AttachError> {
        let (seat, subnet, gateway, mtu) = {
            let mut state = self.state();
            let network = state
                .resolve(DEFAULT_NETWORK)
                .ok_or_else(|| AttachError::NetworkNotFound(DEFAULT_NETWORK.to_owned()))?
                .to_owned();
            self.ensure_bridge(&mut state, &network)?;
            let net = state
                .networks
                .get_mut(&network)
                .expect("the network was resolved under the same lock");
            let (subnet, gateway, mtu) = (net.network.subnet, net.network.gateway, net.network.mtu);
            let bridge = net.bridge.unwrap_or_default();
            let address = net
                .next_address()
                .ok_or_else(|| AttachError::AddressesExhausted {
                    network: DEFAULT_NETWORK.to_owned(),
                    subnet,
                })?;
            net.take(address);
            let seat = Seat {
                host: self.clone(),
                network,
                address,
                mac: Mac::random(),
                link: self.new_link_name(),
                bridge,
                claimed: false,
            };
            (seat, subnet, gateway, mtu)
        };
        self.furnish(&sandbox, &seat, subnet, gateway, mtu)
            .map_err(|source| AttachError::Kernel {
                container: "in preparation".to_owned(),
                network: DEFAULT_NETWORK.to_owned(),
                source,
            })?;
        Ok(Prepared {
            sandbox: Some(sandbox),
            seat,
        })
    }

    fn furnish(
        &self,
        sandbox: &impl AsFd,
        seat: &Seat,
        subnet: Subnet,
        gateway: Ipv4Addr,
        mtu: u32,
    ) -> Result<(), KernelError> {
        let mut batch = Batch::new();
        let veth = Veth {
            name: &seat.link,
            bridge: seat.bridge,
            mtu,
            netns: sandbox.as_fd(),
            peer_name: INTERFACE,
            peer_mac: seat.mac,
        };
        rtnetlink::new_veth(&mut batch, &veth);
        self.route().run(batch)?;
        let inside = Inside {
            interface: INTERFACE,
            address: seat.address,
            subnet,
            gateway: Some(gateway),
        };
        inside::configure(sandbox.as_fd(), &inside)
    }
}

#[derive(Debug)]
struct Queue<S> {
    ready: VecDeque<Prepared<S>>,
    closing: bool,
}

#[derive(Debug)]
struct Shared<S> {
    queue: Mutex<Queue<S>>,
    changed: Condvar,
    size: usize,
}

impl<S> Shared<S> {
    fn lock(&self) -> MutexGuard<'_, Queue<S>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Prepared sandboxes, refilled by a thread. Dropped, those left are released.
#[derive(Debug)]
pub struct Pool<S> {
    shared: Arc<Shared<S>>,
    thread: Option<JoinHandle<()>>,
}

impl<S: AsFd + Send + 'static> Pool<S> {
    /// Keeps `size` sandboxes ready (at most 64); `make` makes one, and may be slow.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn new(
        host: &Host,
        size: usize,
        make: impl Fn() -> io::Result<S> + Send + 'static,
    ) -> io::Result<Pool<S>> {
        let shared = Arc::new(Shared {
            queue: Mutex::new(Queue {
                ready: VecDeque::new(),
                closing: false,
            }),
            changed: Condvar::new(),
            size: size.min(MOST),
        });
        let (of_thread, host) = (Arc::clone(&shared), host.clone());
        let thread = std::thread::Builder::new()
            .name("net-pool".to_owned())
            .spawn(move || fill(&of_thread, &host, &make))?;
        Ok(Pool {
            shared,
            thread: Some(thread),
        })
    }

    /// One that is ready, if there is one.
    pub fn take(&self) -> Option<Prepared<S>> {
        let prepared = self.shared.lock().ready.pop_front();
        self.shared.changed.notify_all();
        prepared
    }

    /// Waits until the pool is full, or `patience` is over; says which.
    pub fn is_full_within(&self, patience: Duration) -> bool {
        let (queue, _) = self
            .shared
            .changed
            .wait_timeout_while(self.shared.lock(), patience, |queue| {
                queue.ready.len() < self.shared.size
            })
            .unwrap_or_else(PoisonError::into_inner);
        queue.ready.len() >= self.shared.size
    }
}

impl<S> Drop for Pool<S> {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic in it was reported where it happened.
            let _ = thread.join();
        }
        // Outside the lock: releasing takes others.
        let left = std::mem::take(&mut self.shared.lock().ready);
        drop(left);
    }
}

fn fill<S: AsFd>(shared: &Shared<S>, host: &Host, make: &impl Fn() -> io::Result<S>) {
    let mut pause = SHORTEST_PAUSE;
    while wants_more(shared) {
        let made = make()
            .map_err(|error| Box::new(error) as Box<dyn std::error::Error>)
            .and_then(|sandbox| host.prepare(sandbox).map_err(Into::into));
        match made {
            Ok(prepared) => {
                pause = SHORTEST_PAUSE;
                shared.lock().ready.push_back(prepared);
                shared.changed.notify_all();
            }
            Err(error) => {
                tracing::warn!(error = &*error, "preparing a sandbox");
                let waited = shared
                    .changed
                    .wait_timeout_while(shared.lock(), pause, |queue| !queue.closing);
                drop(waited);
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        }
    }
}

/// Waits until one is missing; false when there will be no need.
fn wants_more<S>(shared: &Shared<S>) -> bool {
    let queue = shared
        .changed
        .wait_while(shared.lock(), |queue| {
            !queue.closing && queue.ready.len() >= shared.size
        })
        .unwrap_or_else(PoisonError::into_inner);
    !queue.closing
}
