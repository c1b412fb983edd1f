//! Having services served: holding ports, one transaction, and what has to be forgotten.
//!
//! What is served survives the process: the next one reads it from the maps, and changes nothing
//! before it is told what there should be. Never: containers.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::lead::{Changes, Ground, Served, fronts, remembered};
use super::rules::{self, At, Lead, MEMBERS, RANGE, STICKY, Target};
use super::{Services, ServicesError, Unserved};
use crate::conntrack::Flow;
use crate::host::Host;
use crate::netlink::{Batch, KernelError};
use crate::network::Network;
use crate::nft::{ChainSpec, Element, Op};
use crate::port::{Held, PortSpec, Protocol, allocate};
use crate::rtnetlink;
use crate::state::State;

/// The steps of serving, in order.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ServeStep {
    /// Ports are held; it is known what is to be done.
    Planned,
    /// New connections are led elsewhere.
    Led,
    /// Old ones too, where they have no end.
    Done,
}

/// What is served, and what should be.
#[derive(Debug, Default)]
pub(crate) struct Serving {
    wanted: Arc<Services>,
    served: Served,
    /// Elements of the range, as they are.
    range: Vec<Element>,
    /// Bridges that took part when the process before this one ended; until we are told.
    adopted: BTreeSet<String>,
    held: HashMap<(Protocol, u16), (Held, String)>,
    /// The last change may not have been made.
    is_uncertain: bool,
}

impl Serving {
    /// What elements of the kernel say.
    pub(crate) fn adopt(elements: Vec<Element>) -> Serving {
        let mut serving = Serving::default();
        for element in &elements {
            match element.set {
                RANGE => serving.range.push(element.clone()),
                MEMBERS => {
                    let name = element.key.split(|byte| *byte == 0).next();
                    let name = String::from_utf8_lossy(name.unwrap_or_default());
                    serving.adopted.insert(name.into_owned());
                }
                _ => {}
            }
        }
        serving.served = Served::adopt(elements);
        serving
    }

    pub(crate) fn elements(&self) -> impl Iterator<Item = Element> {
        self.served.elements().chain(self.range.iter().cloned())
    }

    pub(crate) fn chains(&self) -> impl Iterator<Item = ChainSpec> {
        self.served.chains().into_iter().map(Lead::chain)
    }

    /// Whether containers of a network use services.
    pub(crate) fn includes(&self, network: &Network) -> bool {
        self.adopted.contains(&network.bridge)
            || self.wanted.networks.contains(&network.name)
            || self.wanted.networks.contains(&network.id)
    }

    /// The service that has this port of the machine.
    pub(crate) fn holder(&self, protocol: Protocol, port: u16) -> Option<&str> {
        let (_, service) = self.held.get(&(protocol, port))?;
        Some(service)
    }
}

impl Host {
    /// Serves exactly these services, and says what of them cannot be. Connections that exist go
    /// on where they are; those over UDP to endpoints that left are forgotten.
    ///
    /// # Errors
    /// When the kernel refuses; calling again tries again.
    pub fn set_services(&self, services: &Services) -> Result<Vec<Unserved>, ServicesError> {
        self.set_services_until(services, ServeStep::Done)
    }

    /// As [`Self::set_services`], but stops behind `last`, as if the process had died there.
    #[doc(hidden)]
    pub fn set_services_until(
        &self,
        services: &Services,
        last: ServeStep,
    ) -> Result<Vec<Unserved>, ServicesError> {
        let mut state = self.state();
        let before = members(&state);
        let serving = &mut state.services;
        if *serving.wanted != *services {
            serving.wanted = Arc::new(services.clone());
        }
        serving.adopted.clear();
        let range: Vec<Element> = services.range.map(rules::refused).unwrap_or_default();
        let is_moved = serving.range != range || before != members(&state);
        state.services.range = range;
        let mut unserved = hold(&mut state);
        let (changes, more) = plan(&mut state);
        unserved.extend(more);
        if last == ServeStep::Planned {
            return Ok(unserved);
        }
        if is_moved {
            self.reflect(&state)?;
        }
        self.directory()
            .set_services(Arc::clone(&state.services.wanted));
        self.lead(&mut state, &changes, is_moved)?;
        if last == ServeStep::Done {
            self.forget(&changes)?;
        }
        Ok(unserved)
    }

    /// As networks came or moved, some endpoint may be where nobody may be led to, or no more.
    pub(crate) fn serve_again(&self, state: &mut State) -> Result<(), KernelError> {
        if state.services.wanted.table.is_empty() {
            return Ok(());
        }
        let (changes, _) = plan(state);
        self.lead(state, &changes, false)?;
        self.forget(&changes)
    }

    fn lead(&self, state: &mut State, changes: &Changes, whole: bool) -> Result<(), KernelError> {
        let whole = whole || std::mem::replace(&mut state.services.is_uncertain, true);
        match whole {
            true => drop(self.reconcile(state)?),
            false => self.change_rules(state, &changes.ops())?,
        }
        state.services.is_uncertain = false;
        Ok(())
    }

    fn forget(&self, changes: &Changes) -> Result<(), KernelError> {
        let udp = |(at, _): &&(At, Target)| at.1 == Protocol::Udp;
        let left = changes.left.iter().filter(udp).map(|(at, to)| Flow::Led {
            at: at.0,
            port: at.2,
            to: *to,
        });
        let opened = changes.opened.iter().map(|port| Flow::Unpublished(*port));
        self.sweeper().flows(left.chain(opened));
        if !changes.were_sticky {
            return Ok(());
        }
        let left = changes.left.iter();
        let keys: HashSet<_> = left.map(|(at, target)| remembered(at, target)).collect();
        self.rules().forget(STICKY, |key| {
            let ends = |(at, to): (&[u8], &[u8])| keys.contains(&(at.to_vec(), to.to_vec()));
            key.len() == 20 && ends((&key[..12], &key[16..]))
        })
    }

    /// Whoever is led to itself gets its own frames back, where they stay within the bridge.
    fn reflect(&self, state: &State) -> Result<(), KernelError> {
        let mut batch = Batch::new();
        for net in state.networks.values() {
            if net.bridge.is_some() && state.services.includes(&net.network) {
                for (link, _) in state.links_on(&net.network.id) {
                    rtnetlink::set_hairpin(&mut batch, &link);
                }
            }
        }
        if batch.len() == 0 {
            return Ok(());
        }
        // Some may be on their way out.
        let real = |error: &KernelError| !error.is(rustix::io::Errno::NODEV);
        let mut errors = self.route().run_all(batch)?.into_iter();
        let failed = errors.find(|(_, error)| real(error));
        failed.map_or(Ok(()), |(_, error)| Err(error))
    }
}

impl Changes {
    /// What leads to a chain goes before it, and comes after it.
    fn ops(&self) -> Vec<Op> {
        let gone = self.gone.iter().cloned().map(Op::DeleteElement);
        let idle = self.idle.iter().map(|lead| Op::DeleteChain(lead.name()));
        let chains = self.chains.iter().map(|lead| Op::AddChain(lead.chain()));
        let new = self.new.iter().cloned().map(Op::AddElement);
        gone.chain(idle).chain(chains).chain(new).collect()
    }
}

fn members(state: &State) -> BTreeSet<String> {
    let nets = state.networks.values();
    nets.filter(|net| state.services.includes(&net.network))
        .map(|net| net.network.bridge.clone())
        .collect()
}

/// Holds the machine's ports that services have; those they had are let go.
fn hold(state: &mut State) -> Vec<Unserved> {
    let mut wanted: Vec<(String, Protocol, u16)> = Vec::new();
    for (name, service) in &state.services.wanted.table {
        for port in &service.ports {
            wanted.extend(
                port.node_port
                    .map(|number| (name.clone(), port.protocol, number)),
            );
        }
    }
    let keys: HashSet<(Protocol, u16)> = wanted.iter().map(|(_, p, n)| (*p, *n)).collect();
    state.services.held.retain(|key, _| keys.contains(key));
    let mut unserved = Vec::new();
    let mut known: HashSet<(Protocol, u16)> = HashSet::new();
    for (service, protocol, port) in wanted {
        let key = (protocol, port);
        let is_first = known.insert(key);
        if let (true, Some((_, holder))) = (is_first, state.services.held.get_mut(&key)) {
            *holder = service;
            continue;
        }
        let spec = PortSpec {
            host_ip: None,
            host_port: Some((port, port)),
            container_port: port,
            protocol,
        };
        match allocate(&spec, state) {
            Ok(held) => drop(state.services.held.insert(key, (held, service))),
            Err(error) => unserved.push(Unserved {
                service,
                obstacle: error.into(),
            }),
        }
    }
    unserved
}

fn plan(state: &mut State) -> (Changes, Vec<Unserved>) {
    let grounds: Vec<Ground> = state
        .networks
        .values()
        .map(|net| Ground {
            subnet: net.network.subnet,
            serves: state.services.includes(&net.network) && !net.network.internal,
        })
        .collect();
    let held = state.services.held.keys().copied().collect();
    let (fronts, unserved) = fronts(&state.services.wanted, &grounds, &held);
    (state.services.served.change(fronts), unserved)
}
