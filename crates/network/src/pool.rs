//! Sandboxes made ahead, each with its place on the default network: interface up, addressed,
//! a port of the bridge. Claiming one only writes the record and publishes ports.
//!
//! What is prepared lives in memory and in descriptors alone: if the daemon dies, namespaces and
//! interfaces vanish with it. Never: what else a sandbox is; its maker knows.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;

use weft_stdx::pool::Pool;

use crate::attach::{Attach, AttachError, Attachment, Place, check};
use crate::frames;
use crate::host::Host;
use crate::inside::{self, Inside};
use crate::netlink::{Batch, KernelError};
use crate::network::DEFAULT_NETWORK;
use crate::rtnetlink::{self, Veth};
use crate::state::Vacant;
use crate::subnet::{Mac, Subnet};

const INTERFACE: &str = "eth0";

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
    claimed: bool,
}

impl Seat {
    fn vacant(&self) -> Vacant {
        Vacant {
            network: self.network.clone(),
            address: self.address,
            mac: self.mac,
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.claimed {
            return;
        }
        let mut state = self.host.state();
        state.vacant.remove(&self.link);
        if let Some(net) = state.networks.get_mut(&self.network) {
            net.release(self.address);
        }
        drop(state);
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
    /// Keeps `size` sandboxes ready, each on the default network; `make` makes one, and may be slow.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn pool<S: AsFd + Send + 'static>(
        &self,
        size: usize,
        make: impl Fn() -> io::Result<S> + Send + 'static,
    ) -> io::Result<Pool<Prepared<S>>> {
        let host = self.clone();
        Pool::new("net-pool", size, move || {
            let made = make()
                .map_err(|error| Box::new(error) as Box<dyn std::error::Error>)
                .and_then(|sandbox| host.prepare(sandbox).map_err(Into::into));
            made.inspect_err(|error| tracing::warn!(error = &**error, "preparing a sandbox"))
                .ok()
        })
    }

    /// Puts a container into a prepared sandbox. `attach.netns` is not used: it is the sandbox's.
    ///
    /// # Errors
    /// [`AttachError::Unfit`] when the container asks for another network, address, hardware
    /// address or interface than was prepared; for the rest as [`Host::attach`].
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
            // A bridge that somebody deletes is made again, and has its ports again.
            self.ensure_bridge(&mut state, &seat.network)?;
            let place = Place {
                address: seat.address,
                mac: seat.mac,
                link: seat.link.clone(),
            };
            let network = seat.network.clone();
            let reserved = self.record(&mut state, attach, &network, place)?;
            state.vacant.remove(&seat.link);
            seat.claimed = true;
            reserved
        };
        let attachment = reserved.attachment;
        if !attachment.ports.is_empty() || self.state().serves(&attachment.network_id) {
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
        let (seat, subnet, gateway) = {
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
            let (subnet, gateway) = (net.network.subnet, net.network.gateway);
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
                claimed: false,
            };
            state.vacant.insert(seat.link.clone(), seat.vacant());
            (seat, subnet, gateway)
        };
        self.furnish(&sandbox, &seat, subnet, gateway)
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
    ) -> Result<(), KernelError> {
        let sender = frames::sender(&seat.link, seat.mac, seat.address);
        self.add_sender(&self.state(), sender)?;
        let (bridge, mtu) = self.bridge_of(&seat.network);
        let mut batch = Batch::new();
        let veth = Veth {
            name: &seat.link,
            bridge,
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
