//! The machine's container networking as one object: opened at start, shared by all.
//!
//! Opening brings the nftables table to what the records say, by difference: running
//! containers and their published ports notice nothing. Never: containers.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use weft_sys::netlink::Family;

use crate::dns::Directory;
use crate::handover::published_once;
use crate::netlink::{Connection, KernelError};
use crate::network::{Network, NetworkError};
use crate::nft::{Element, Op};
use crate::port::hold_again;
use crate::record::{RecordError, Store};
use crate::rtnetlink;
use crate::rules::Rules;
use crate::ruleset::{self, NetworkRules};
use crate::services::Serving;
use crate::state::{Endpoint, Net, State};
use crate::subnet::{Mac, ParseError, Subnet};
use crate::sweep::Sweeper;
use crate::watch::{Watch, Watcher};
use crate::{Attachment, frames};

/// Warnings kept; older ones go.
const MOST_WARNINGS: usize = 32;

/// How the machine's container networking is set up.
#[derive(Debug, Clone)]
pub struct HostConfig {
    /// Names the nftables table; lower-case letters, digits and `-`, at most 32.
    pub instance: String,
    /// Where records are kept; this crate's alone.
    pub state_dir: PathBuf,
    /// Subnets for the default network; the first that is free is taken, once.
    pub default_subnets: Vec<Subnet>,
    /// Where subnets of user networks are taken from.
    pub pools: Vec<Subnet>,
    /// Prefix of a user network's subnet.
    pub pool_prefix: u8,
    /// Largest packet of a network, in bytes.
    pub mtu: u32,
    /// The machine's resolvers, which name servers of networks ask.
    pub resolv_conf: PathBuf,
}

impl HostConfig {
    /// 10.44.0.0/20 for the default network (the same of 10.45 to 10.63 where that is taken),
    /// the rest of 10.44.0.0/16 in /24s for others.
    pub fn new(instance: impl Into<String>, state_dir: impl Into<PathBuf>) -> HostConfig {
        let net = |second, third, prefix| Subnet::new(Ipv4Addr::new(10, second, third, 0), prefix);
        HostConfig {
            instance: instance.into(),
            state_dir: state_dir.into(),
            default_subnets: (44..=63).map(|second| net(second, 0, 20)).collect(),
            pools: vec![
                net(44, 16, 20),
                net(44, 32, 19),
                net(44, 64, 18),
                net(44, 128, 17),
            ],
            pool_prefix: 24,
            mtu: 1500,
            resolv_conf: PathBuf::from("/etc/resolv.conf"),
        }
    }
}

/// Container networking cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Not a name.
    #[error("{0:?} is not an instance name: use up to 32 lower-case letters, digits and '-'")]
    BadInstance(String),
    /// The records cannot be read.
    #[error("cannot read the networks of this machine")]
    Record(#[source] RecordError),
    /// A record holds what is no subnet or hardware address.
    #[error("the record of network or endpoint {id} is damaged")]
    Damaged {
        /// Its id.
        id: String,
        /// Why.
        source: ParseError,
    },
    /// The kernel refused.
    #[error("cannot set up the networking of containers")]
    Kernel(#[source] KernelError),
    /// The default network cannot be defined.
    #[error("cannot define the default network")]
    Default(#[source] NetworkError),
}

/// The machine's container networking. Clones are the same one.
///
/// To be opened and used by threads in the machine's own network namespace.
#[derive(Debug, Clone)]
pub struct Host {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: HostConfig,
    link_prefix: String,
    store: Store,
    state: Mutex<State>,
    route: Mutex<Connection>,
    rules: Arc<Rules>,
    sweeper: Sweeper,
    directory: Arc<Directory>,
    warnings: Mutex<Vec<String>>,
    watcher: OnceLock<Watcher>,
}

/// The machine's networking while it is there, without keeping it.
#[derive(Debug, Clone)]
pub(crate) struct WeakHost {
    inner: Weak<Inner>,
}

impl WeakHost {
    pub(crate) fn get(&self) -> Option<Host> {
        self.inner.upgrade().map(|inner| Host { inner })
    }

    pub(crate) fn warn(&self, text: String) {
        if let Some(host) = self.get() {
            host.warn(text);
        }
    }
}

/// Locks; a panic elsewhere must not take networking down with it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Host {
    /// Opens the networking of this machine, and brings it to what its records say.
    ///
    /// # Errors
    /// When records cannot be read or the kernel refuses; nothing was changed for the worse.
    pub fn open(config: HostConfig) -> Result<Host, OpenError> {
        let name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if config.instance.is_empty()
            || config.instance.len() > 32
            || !config.instance.chars().all(name)
        {
            return Err(OpenError::BadInstance(config.instance));
        }
        let store = Store::open(&config.state_dir).map_err(OpenError::Record)?;
        // Before anything is looked at: what is changed from now on is heard of.
        let watch = Watch::open().map_err(OpenError::Kernel)?;
        let rules = Arc::new(Rules::open(&config.instance).map_err(OpenError::Kernel)?);
        let host = Host {
            inner: Arc::new(Inner {
                link_prefix: format!("wv{}", short_hash(&config.instance)),
                store,
                state: Mutex::default(),
                route: Mutex::new(Connection::open(Family::Route).map_err(OpenError::Kernel)?),
                sweeper: Sweeper::start(Arc::clone(&rules)).map_err(OpenError::Kernel)?,
                rules,
                directory: Arc::default(),
                warnings: Mutex::default(),
                watcher: OnceLock::new(),
                config,
            }),
        };
        host.load()?;
        let mut state = host.state();
        host.define_default(&mut state)
            .map_err(OpenError::Default)?;
        let served = host.rules().read_services().map_err(OpenError::Kernel)?;
        state.services = Serving::adopt(served);
        host.find_links(&mut state).map_err(OpenError::Kernel)?;
        host.reconcile(&state).map_err(OpenError::Kernel)?;
        host.equip_bridges(&state).map_err(OpenError::Kernel)?;
        host.fill_directory(&state);
        drop(state);
        host.look_for_obstacles().map_err(OpenError::Kernel)?;
        let (table, own) = (host.config().instance.clone(), host.rules().port());
        let watcher = watch
            .start(host.downgrade(), table, own)
            .map_err(OpenError::Kernel)?;
        host.inner.watcher.get_or_init(|| watcher);
        Ok(host)
    }

    fn load(&self) -> Result<(), OpenError> {
        let mut state = self.state();
        for record in self.store().networks().map_err(OpenError::Record)? {
            let subnet = record.subnet.parse().map_err(|source| OpenError::Damaged {
                id: record.id.clone(),
                source,
            })?;
            let network = Network {
                id: record.id.clone(),
                name: record.name,
                subnet,
                gateway: record.gateway,
                bridge: record.bridge,
                mtu: record.mtu,
                internal: record.internal,
                is_default: record.is_default,
                is_movable: record.is_movable || record.is_default,
                labels: record.labels,
                options: record.options,
                created_ns: record.created_ns,
                endpoints: Vec::new(),
            };
            state.networks.insert(record.id, Net::new(network));
        }
        let mut endpoints = self.store().endpoints().map_err(OpenError::Record)?;
        published_once(&mut endpoints);
        for record in endpoints {
            let Some(net) = state.networks.get(&record.network) else {
                let (container, network) = (&record.container, &record.network);
                self.store()
                    .remove_endpoint(container, network)
                    .map_err(OpenError::Record)?;
                continue;
            };
            let mac: Mac = record.mac.parse().map_err(|source| OpenError::Damaged {
                id: record.id.clone(),
                source,
            })?;
            let attachment = Attachment {
                container: record.container,
                network_id: record.network,
                network: net.network.name.clone(),
                endpoint_id: record.id,
                interface: record.interface,
                address: record.address,
                prefix_len: net.network.subnet.prefix(),
                gateway: (!net.network.internal).then_some(net.network.gateway),
                resolver: (!net.network.is_default).then_some(net.network.gateway),
                mac,
                names: record.names,
                upstreams: record.upstreams,
                ports: record.ports.iter().map(Into::into).collect(),
            };
            let held = attachment.ports.iter().copied().map(hold_again).collect();
            state.insert(Endpoint {
                attachment,
                link: record.link,
                serial: record.serial,
                held,
            });
        }
        Ok(())
    }

    /// Learns which bridges exist; those of networks nobody knows are deleted, links of endpoints
    /// nobody knows are swept.
    fn find_links(&self, state: &mut State) -> Result<(), KernelError> {
        let links = rtnetlink::links(&mut self.route())?;
        for net in state.networks.values_mut() {
            let ours =
                |link: &&rtnetlink::Link| link.name == net.network.bridge && link.is_bridge();
            net.bridge = links.iter().find(ours).map(|link| link.index);
        }
        let prefix = self.inner.link_prefix.as_str();
        let known: std::collections::HashSet<&str> =
            state.endpoints.values().map(|e| e.link.as_str()).collect();
        let orphans = links
            .iter()
            .map(|link| link.name.as_str())
            .filter(|name| name.starts_with(prefix) && !known.contains(name));
        self.sweeper().links(orphans.map(str::to_owned));
        self.delete_orphans(state, &links)
    }

    fn fill_directory(&self, state: &State) {
        for net in state.networks.values() {
            if net.bridge.is_some() && !net.network.is_default {
                self.directory().add_zone(&net.network);
            }
        }
        for endpoint in state.endpoints.values() {
            self.directory().add(&endpoint.attachment);
        }
    }

    /// Rules of others that weft cannot override.
    fn look_for_obstacles(&self) -> Result<(), KernelError> {
        const FORWARD: u32 = 2;
        const INPUT: u32 = 1;
        const DROP: u32 = 0;
        const IPV4: [u8; 2] = [1, 2];
        for chain in self.rules().base_chains()? {
            let drops = chain.policy == DROP
                && chain.kind == "filter"
                && IPV4.contains(&chain.family)
                && chain.table != self.inner.config.instance;
            let what = match chain.hook {
                FORWARD => "containers may not reach the outside, nor be reached",
                INPUT => "containers may not reach this machine, nor its name server for them",
                _ => continue,
            };
            if drops {
                self.warn(format!(
                    "chain {} of nftables table {} drops what it does not know: {what}",
                    chain.name, chain.table
                ));
            }
        }
        Ok(())
    }

    /// What an administrator should know: settings weft changed, rules in its way.
    pub fn warnings(&self) -> Vec<String> {
        lock(&self.inner.warnings).clone()
    }

    pub(crate) fn warn(&self, text: String) {
        let mut warnings = lock(&self.inner.warnings);
        if warnings.contains(&text) {
            return;
        }
        tracing::warn!("{text}");
        if warnings.len() == MOST_WARNINGS {
            warnings.remove(0);
        }
        warnings.push(text);
    }

    /// The networks a container is on.
    pub fn attachments(&self, container: &str) -> Vec<Attachment> {
        let state = self.state();
        let mut found: Vec<&Endpoint> = state
            .endpoints
            .values()
            .filter(|endpoint| endpoint.attachment.container == container)
            .collect();
        found.sort_by_key(|endpoint| endpoint.serial);
        found
            .iter()
            .map(|endpoint| endpoint.attachment.clone())
            .collect()
    }

    /// Brings our nftables tables to what the state needs; says whether they were something else.
    pub(crate) fn reconcile(&self, state: &State) -> Result<bool, KernelError> {
        self.reconcile_with(state, None)
    }

    /// As [`Self::reconcile`], with a network whose bridge is about to be made.
    pub(crate) fn reconcile_with(
        &self,
        state: &State,
        coming: Option<NetworkRules>,
    ) -> Result<bool, KernelError> {
        let networks: Vec<NetworkRules> = state
            .networks
            .values()
            .filter(|net| net.bridge.is_some())
            .map(|net| net.rules(&state.services))
            .chain(coming)
            .collect();
        let ports: Vec<_> = state
            .endpoints
            .values()
            .flat_map(Endpoint::port_rules)
            .collect();
        let packets = |lifts| ruleset::content(&networks, &ports, &state.services, lifts);
        let lifted = networks.iter().flat_map(frames::lifted);
        let of_frames = state.senders().into_iter().chain(lifted);
        let frames = frames::content(&self.inner.link_prefix, of_frames);
        let watched = self.rules().watches_frames();
        let changed = self.rules().bring(&packets(watched), &frames)?;
        if watched && !self.rules().watches_frames() {
            self.rules().bring(&packets(false), &frames)?;
            self.warn(
                "this kernel has no nftables for bridges (CONFIG_NF_TABLES_BRIDGE): a container \
                 with NET_RAW can send as another one of its network, and services do not see \
                 which container asks"
                    .to_owned(),
            );
        }
        Ok(changed)
    }

    /// Does `ops`; when the table is not as remembered, brings it to what the state needs.
    pub(crate) fn change_rules(&self, state: &State, ops: &[Op]) -> Result<(), KernelError> {
        match self.change_rules_exactly(ops) {
            Ok(()) => Ok(()),
            Err(_) => self.reconcile(state).map(drop),
        }
    }

    /// Does `ops` or fails.
    pub(crate) fn change_rules_exactly(&self, ops: &[Op]) -> Result<(), KernelError> {
        self.rules().change(ops)
    }

    /// Lets a port send that is known to the state and about to be made.
    pub(crate) fn add_sender(&self, state: &State, sender: Element) -> Result<(), KernelError> {
        match self.rules().add_frames([sender]) {
            Ok(()) => Ok(()),
            Err(_) => self.reconcile(state).map(drop),
        }
    }

    /// The number of a network's bridge and its largest packet.
    pub(crate) fn bridge_of(&self, network: &str) -> (u32, u32) {
        let state = self.state();
        let net = state.networks.get(network);
        net.map_or((0, 0), |net| (net.bridge.unwrap_or(0), net.network.mtu))
    }

    pub(crate) fn new_link_name(&self) -> String {
        let random = weft_stdx::id::random_hex(4);
        format!("{}{}", self.inner.link_prefix, &random[..7])
    }

    pub(crate) fn config(&self) -> &HostConfig {
        &self.inner.config
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.inner.rules
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.inner.state)
    }

    pub(crate) fn route(&self) -> MutexGuard<'_, Connection> {
        lock(&self.inner.route)
    }

    /// Returns when everything that detaching left for later is done.
    pub fn sweep(&self) {
        self.sweeper().flush();
    }

    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    pub(crate) fn sweeper(&self) -> &Sweeper {
        &self.inner.sweeper
    }

    pub(crate) fn downgrade(&self) -> WeakHost {
        WeakHost {
            inner: Arc::downgrade(&self.inner),
        }
    }

    pub(crate) fn resolv_conf(&self) -> PathBuf {
        self.inner.config.resolv_conf.clone()
    }

    pub(crate) fn directory(&self) -> &Arc<Directory> {
        &self.inner.directory
    }
}

/// Six hexadecimal digits that name the instance where there is no room for more.
pub(crate) fn short_hash(text: &str) -> String {
    let hash = text.bytes().fold(0x811c_9dc5u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    format!("{:06x}", (hash ^ hash >> 24) & 0xff_ffff)
}
