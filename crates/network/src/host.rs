//! The machine's container networking as one object: opened at start, shared by all.
//!
//! Opening brings the nftables table to what the records say, by difference: running
//! containers and their published ports notice nothing. Never: containers.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use weft_sys::netlink::Family;

use crate::dns::Directory;
use crate::netlink::{Connection, KernelError};
use crate::network::{
    DEFAULT_NETWORK, Network, NetworkError, NetworkSpec, Occupied, check_name, first_free,
    gateway_of, mtu_of, occupant,
};
use crate::nft::{self, Op};
use crate::port::hold_again;
use crate::record::{NetworkRecord, RecordError, Store};
use crate::rtnetlink;
use crate::ruleset::{NetworkRules, SETS};
use crate::state::{Endpoint, Net, State};
use crate::subnet::{Mac, ParseError, Subnet};
use crate::sweep::Sweeper;
use crate::{Attachment, plan};

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
    rules: Mutex<Connection>,
    sweeper: Sweeper,
    directory: Arc<Directory>,
    warnings: Mutex<Vec<String>>,
}

/// Warns while the machine's networking is there, without keeping it.
#[derive(Debug, Clone)]
pub(crate) struct WeakHost {
    inner: Weak<Inner>,
}

impl WeakHost {
    pub(crate) fn warn(&self, text: String) {
        if let Some(inner) = self.inner.upgrade() {
            Host { inner }.warn(text);
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
        let host = Host {
            inner: Arc::new(Inner {
                link_prefix: format!("wv{}", short_hash(&config.instance)),
                store,
                state: Mutex::default(),
                route: Mutex::new(Connection::open(Family::Route).map_err(OpenError::Kernel)?),
                rules: Mutex::new(Connection::open(Family::Netfilter).map_err(OpenError::Kernel)?),
                sweeper: Sweeper::start().map_err(OpenError::Kernel)?,
                directory: Arc::default(),
                warnings: Mutex::default(),
                config,
            }),
        };
        host.load()?;
        let mut state = host.state();
        host.define_default(&mut state)
            .map_err(OpenError::Default)?;
        host.find_links(&mut state).map_err(OpenError::Kernel)?;
        host.reconcile(&state).map_err(OpenError::Kernel)?;
        host.fill_directory(&state);
        drop(state);
        host.look_for_obstacles().map_err(OpenError::Kernel)?;
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
                labels: record.labels,
                options: record.options,
                created_ns: record.created_ns,
                endpoints: Vec::new(),
            };
            state.networks.insert(record.id, Net::new(network));
        }
        for record in self.store().endpoints().map_err(OpenError::Record)? {
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
                _held: held,
            });
        }
        Ok(())
    }

    fn define_default(&self, state: &mut State) -> Result<(), NetworkError> {
        if state.networks.values().any(|net| net.network.is_default) {
            return Ok(());
        }
        let occupied = self.occupied(state, None)?;
        let subnet = self.choose_default_subnet(&occupied)?;
        let network = Network {
            id: weft_stdx::id::random_hex(32),
            name: DEFAULT_NETWORK.to_owned(),
            subnet,
            gateway: gateway_of(subnet, None)?,
            bridge: default_bridge(&self.inner.config.instance),
            mtu: self.inner.config.mtu,
            internal: false,
            is_default: true,
            labels: BTreeMap::new(),
            options: BTreeMap::new(),
            created_ns: weft_stdx::clock::unix_ns(),
            endpoints: Vec::new(),
        };
        self.keep(state, network)
    }

    fn keep(&self, state: &mut State, network: Network) -> Result<(), NetworkError> {
        self.store()
            .save_network(&NetworkRecord::from(&network))
            .map_err(|source| NetworkError::Record {
                network: network.name.clone(),
                source,
            })?;
        state.networks.insert(network.id.clone(), Net::new(network));
        Ok(())
    }

    /// Learns which bridges exist; links of endpoints nobody knows are swept.
    fn find_links(&self, state: &mut State) -> Result<(), KernelError> {
        let links = rtnetlink::links(&mut self.route())?;
        for net in state.networks.values_mut() {
            let ours = |link: &&rtnetlink::Link| {
                link.name == net.network.bridge && link.kind.as_deref() == Some("bridge")
            };
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
        Ok(())
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
        for chain in nft::base_chains(&mut lock(&self.inner.rules))? {
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

    /// Every network, the default one first, then by name.
    pub fn networks(&self) -> Vec<Network> {
        let state = self.state();
        let mut networks: Vec<Network> = state
            .networks
            .keys()
            .filter_map(|id| state.network(id))
            .collect();
        networks.sort_by(|a, b| (!a.is_default, &a.name).cmp(&(!b.is_default, &b.name)));
        networks
    }

    /// The network of this name, id, or unique beginning of an id.
    pub fn find(&self, name_or_id: &str) -> Option<Network> {
        let state = self.state();
        state.network(state.resolve(name_or_id)?)
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

    /// Defines a network. Its bridge is made when the first container comes.
    ///
    /// # Errors
    /// When the name or the subnet is taken, or something is not supported.
    pub fn create(&self, spec: NetworkSpec) -> Result<Network, NetworkError> {
        check_name(&spec.name)?;
        let mtu = mtu_of(&spec.options, self.inner.config.mtu)?;
        let mut state = self.state();
        if state
            .networks
            .values()
            .any(|net| net.network.name == spec.name)
        {
            return Err(NetworkError::Exists(spec.name));
        }
        let occupied = self.occupied(&state, None)?;
        let subnet = match spec.subnet {
            Some(subnet) => match occupant(subnet, &occupied) {
                Some(other) => {
                    return Err(NetworkError::Overlap {
                        subnet,
                        other: other.by.clone(),
                    });
                }
                None => subnet,
            },
            None => self.choose_subnet(&occupied)?,
        };
        let id = weft_stdx::id::random_hex(32);
        let network = Network {
            bridge: format!("wf-{}", &id[..8]),
            id,
            name: spec.name,
            subnet,
            gateway: gateway_of(subnet, spec.gateway)?,
            mtu,
            internal: spec.internal,
            is_default: false,
            labels: spec.labels,
            options: spec.options,
            created_ns: weft_stdx::clock::unix_ns(),
            endpoints: Vec::new(),
        };
        self.keep(&mut state, network.clone())?;
        Ok(network)
    }

    /// Removes a network nobody is on.
    ///
    /// # Errors
    /// When there is none, it is in use, or it is the default one.
    pub fn remove(&self, name_or_id: &str) -> Result<Network, NetworkError> {
        let mut state = self.state();
        let id = state
            .resolve(name_or_id)
            .ok_or_else(|| NetworkError::NotFound(name_or_id.to_owned()))?
            .to_owned();
        let network = state.network(&id).expect("resolved under the same lock");
        if network.is_default {
            return Err(NetworkError::IsDefault(network.name));
        }
        if !network.endpoints.is_empty() {
            let short = |a: &Attachment| a.container.get(..12).unwrap_or(&a.container).to_owned();
            let containers: Vec<String> = network.endpoints.iter().map(short).collect();
            return Err(NetworkError::InUse {
                network: network.name,
                containers: containers.join(", "),
            });
        }
        let kernel = |source| NetworkError::Kernel {
            network: network.name.clone(),
            source,
        };
        self.directory().remove_zone(&id);
        self.delete_bridge(&network).map_err(kernel)?;
        if let Some(net) = state.networks.get_mut(&id) {
            net.bridge = None;
        }
        self.reconcile(&state).map_err(kernel)?;
        self.store()
            .remove_network(&id)
            .map_err(|source| NetworkError::Record {
                network: network.name.clone(),
                source,
            })?;
        state.networks.remove(&id);
        Ok(network)
    }

    /// Takes every bridge and the nftables table away, as long as no container is on any network;
    /// says whether it did. The records stay: the next attach makes it all again.
    ///
    /// # Errors
    /// The kernel refused; what is left goes the next time.
    pub fn dismantle(&self) -> Result<bool, KernelError> {
        self.sweep();
        let mut state = self.state();
        if !state.endpoints.is_empty() {
            return Ok(false);
        }
        let networks: Vec<Network> = state
            .networks
            .values()
            .map(|net| net.network.clone())
            .collect();
        for network in networks {
            self.delete_bridge(&network)?;
            if let Some(net) = state.networks.get_mut(&network.id) {
                net.bridge = None;
            }
        }
        let table = &self.inner.config.instance;
        let mut connection = lock(&self.inner.rules);
        if nft::observe(&mut connection, table, &[])?.is_some() {
            nft::apply(&mut connection, table, &[Op::DeleteTable])?;
        }
        Ok(true)
    }

    fn delete_bridge(&self, network: &Network) -> Result<(), KernelError> {
        let mut route = self.route();
        match rtnetlink::find_link(&mut route, &network.bridge)? {
            Some(link) if link.kind.as_deref() == Some("bridge") => {
                let mut batch = crate::netlink::Batch::new();
                rtnetlink::delete_link(&mut batch, &network.bridge);
                route.run(batch)
            }
            _ => Ok(()),
        }
    }

    /// Whose addresses a new network must not have: other networks', and this machine's routes.
    pub(crate) fn occupied(
        &self,
        state: &State,
        except: Option<&str>,
    ) -> Result<Vec<Occupied>, NetworkError> {
        let mut occupied: Vec<Occupied> = state
            .networks
            .values()
            .map(|net| &net.network)
            .filter(|network| Some(network.id.as_str()) != except)
            .map(|network| Occupied {
                subnet: network.subnet,
                by: format!("network {} ({})", network.name, network.subnet),
            })
            .collect();
        let mut route = self.route();
        let list = rtnetlink::links(&mut route)
            .and_then(|links| Ok((links, rtnetlink::routes(&mut route)?)));
        let (links, routes) = list.map_err(|source| NetworkError::Kernel {
            network: DEFAULT_NETWORK.to_owned(),
            source,
        })?;
        for route in routes {
            let link = links.iter().find(|link| link.index == route.index);
            let name = link.map_or("another", |link| link.name.as_str());
            // Our own bridges stand for their networks, which are listed above.
            let ours = state
                .networks
                .values()
                .any(|net| net.network.bridge == name);
            if !ours {
                occupied.push(Occupied {
                    subnet: route.destination,
                    by: format!("route {} of interface {name}", route.destination),
                });
            }
        }
        Ok(occupied)
    }

    pub(crate) fn choose_default_subnet(
        &self,
        occupied: &[Occupied],
    ) -> Result<Subnet, NetworkError> {
        let candidates = &self.inner.config.default_subnets;
        first_free(candidates.iter().copied(), occupied)
            .ok_or_else(|| NetworkError::NoSubnetLeft(list(candidates)))
    }

    fn choose_subnet(&self, occupied: &[Occupied]) -> Result<Subnet, NetworkError> {
        let pools = &self.inner.config.pools;
        let prefix = self.inner.config.pool_prefix;
        first_free(pools.iter().flat_map(|pool| pool.parts(prefix)), occupied)
            .ok_or_else(|| NetworkError::NoSubnetLeft(list(pools)))
    }

    /// Brings our nftables table to what the state needs.
    pub(crate) fn reconcile(&self, state: &State) -> Result<(), KernelError> {
        self.reconcile_with(state, None)
    }

    /// As [`Self::reconcile`], with a network whose bridge is about to be made.
    pub(crate) fn reconcile_with(
        &self,
        state: &State,
        coming: Option<NetworkRules>,
    ) -> Result<(), KernelError> {
        let networks: Vec<NetworkRules> = state
            .networks
            .values()
            .filter(|net| net.bridge.is_some())
            .map(Net::rules)
            .chain(coming)
            .collect();
        let ports: Vec<_> = state
            .endpoints
            .values()
            .flat_map(Endpoint::port_rules)
            .collect();
        let wanted = plan::elements(&networks, &ports);
        let table = &self.inner.config.instance;
        let names: Vec<&'static str> = SETS.iter().map(|set| set.name).collect();
        let mut connection = lock(&self.inner.rules);
        let observed = nft::observe(&mut connection, table, &names)?;
        nft::apply(
            &mut connection,
            table,
            &plan::plan(&wanted, observed.as_ref()),
        )
    }

    /// Does `ops`; when the table is not as remembered, brings it to what the state needs.
    pub(crate) fn change_rules(&self, state: &State, ops: &[Op]) -> Result<(), KernelError> {
        match self.change_rules_exactly(ops) {
            Ok(()) => Ok(()),
            Err(_) => self.reconcile(state),
        }
    }

    /// Does `ops` or fails.
    pub(crate) fn change_rules_exactly(&self, ops: &[Op]) -> Result<(), KernelError> {
        nft::apply(
            &mut lock(&self.inner.rules),
            &self.inner.config.instance,
            ops,
        )
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

fn list(subnets: &[Subnet]) -> String {
    let texts: Vec<String> = subnets.iter().map(Subnet::to_string).collect();
    texts.join(", ")
}

/// Six hexadecimal digits that name the instance where there is no room for more.
fn short_hash(text: &str) -> String {
    let hash = text.bytes().fold(0x811c_9dc5u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    format!("{:06x}", (hash ^ hash >> 24) & 0xff_ffff)
}

/// `weft0` for the instance everybody has; another has its own digits or a hash in the name.
fn default_bridge(instance: &str) -> String {
    if instance == "weft" {
        return "weft0".to_owned();
    }
    let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    match instance.strip_prefix("weft-") {
        Some(digits) if digits.len() == 6 && digits.chars().all(hex) => format!("wf{digits}"),
        _ => format!("wf{}", short_hash(instance)),
    }
}
