//! From services to elements of maps, and from one state of them to the next: pure.
//!
//! Endpoints have numbers without a gap, by which one is chosen. Who leaves is replaced by who
//! comes, or by the last: nobody else's number changes. Never: talking to the kernel.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::net::Ipv4Addr;

use super::rules::{
    At, CLOSE, CLOSED, ENDPOINTS, IGNORE, LOOPS, Lead, NODE_PORTS, SERVICES, STICKY_ENDPOINTS,
    TARGETS, Target, mark,
};
use super::{Obstacle, Reach, Service, ServiceEndpoint, ServicePort, Services, Unserved};
use crate::nft::Element;
use crate::port::Protocol;
use crate::subnet::Subnet;

/// What becomes of those who ask for one port of one address.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Front {
    /// By number.
    pub(crate) targets: Vec<Target>,
    pub(crate) affinity_s: Option<u32>,
    /// Without targets, they hear nothing instead of being refused.
    pub(crate) is_silent: bool,
}

/// A network of this machine, as far as services care.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ground {
    pub(crate) subnet: Subnet,
    /// It takes part, and has an outside.
    pub(crate) serves: bool,
}

/// The fronts of all services, with what cannot be served. `held` are the machine's ports that
/// may be used.
pub(crate) fn fronts(
    services: &Services,
    grounds: &[Ground],
    held: &HashSet<(Protocol, u16)>,
) -> (BTreeMap<At, Front>, Vec<Unserved>) {
    let mut found = BTreeMap::new();
    let mut unserved = Vec::new();
    for (name, service) in &services.table {
        let mut blamed = BTreeSet::new();
        for port in &service.ports {
            let allowed: Vec<&ServiceEndpoint> = port
                .endpoints
                .iter()
                .filter(
                    |endpoint| match obstacle(services, grounds, endpoint.address) {
                        None => true,
                        Some(why) => {
                            if blamed.insert(endpoint.address) {
                                let address = endpoint.address;
                                unserved.push(Unserved {
                                    service: name.clone(),
                                    obstacle: Obstacle::Endpoint { address, why },
                                });
                            }
                            false
                        }
                    },
                )
                .collect();
            for address in &service.addresses {
                let at = (*address, port.protocol, port.port);
                let why = match services.range {
                    Some(range) if range.contains(*address) => None,
                    _ => Some("is not of the range of services"),
                };
                let why = why.or_else(|| {
                    let taken = found.contains_key(&at);
                    taken.then_some("is another service's")
                });
                match why {
                    None => drop(found.insert(at, front(service, service.inner, &allowed))),
                    Some(why) => unserved.push(refused(name, port, *address, why)),
                }
            }
            if let Some(number) = port.node_port
                && held.contains(&(port.protocol, number))
            {
                let at = (Ipv4Addr::UNSPECIFIED, port.protocol, number);
                let front = front(service, service.outer, &allowed);
                found.entry(at).or_insert(front);
            }
        }
    }
    (found, unserved)
}

fn refused(service: &str, port: &ServicePort, address: Ipv4Addr, why: &'static str) -> Unserved {
    Unserved {
        service: service.to_owned(),
        obstacle: Obstacle::Address {
            address,
            port: port.port,
            protocol: port.protocol,
            why,
        },
    }
}

/// Why nobody may be led to this address: it would make a hole (CVE-2020-8558, CVE-2021-25737),
/// or go round.
fn obstacle(services: &Services, grounds: &[Ground], address: Ipv4Addr) -> Option<&'static str> {
    if address.is_loopback() {
        return Some("is a loopback address");
    }
    if address.is_link_local() || address.is_multicast() || address.is_broadcast() {
        return Some("is not one machine's address");
    }
    if address.octets()[0] == 0 {
        return Some("is no address");
    }
    if services.range.is_some_and(|range| range.contains(address)) {
        return Some("is a service's address");
    }
    let of = grounds
        .iter()
        .find(|ground| ground.subnet.contains(address));
    match of {
        Some(ground) if !ground.serves => Some("is of a network that has no part in services"),
        _ => None,
    }
}

fn front(service: &Service, reach: Reach, endpoints: &[&ServiceEndpoint]) -> Front {
    let ready = endpoints.iter().filter(|endpoint| endpoint.is_ready);
    let mut targets: Vec<Target> = ready
        .filter(|endpoint| reach == Reach::Anywhere || endpoint.is_local)
        .map(|endpoint| (endpoint.address, endpoint.port))
        .collect();
    targets.sort_unstable();
    targets.dedup();
    let is_silent = targets.is_empty() && endpoints.iter().any(|endpoint| endpoint.is_ready);
    Front {
        affinity_s: service.affinity_s.filter(|_| !targets.is_empty()),
        targets,
        is_silent,
    }
}

/// The new targets, with every one that stays where it was, as far as there is no gap.
pub(crate) fn arrange(old: &[Target], new: &[Target]) -> Vec<Target> {
    let wanted: HashSet<Target> = new.iter().copied().collect();
    let known: HashSet<Target> = old.iter().copied().collect();
    let mut coming = new.iter().copied().filter(|target| !known.contains(target));
    let mut slots: Vec<Option<Target>> = old
        .iter()
        .map(|target| match wanted.contains(target) {
            true => Some(*target),
            false => coming.next(),
        })
        .collect();
    slots.extend(coming.map(Some));
    let mut at = 0;
    while at < slots.len() {
        while slots.last() == Some(&None) {
            slots.pop();
        }
        if at < slots.len() && slots[at].is_none() {
            slots.swap_remove(at);
        }
        at += 1;
    }
    slots.into_iter().flatten().collect()
}

fn port(number: u16) -> [u8; 4] {
    let [high, low] = number.to_be_bytes();
    [high, low, 0, 0]
}

fn protocol(protocol: Protocol) -> [u8; 4] {
    [protocol.number(), 0, 0, 0]
}

fn key(at: &At) -> Vec<u8> {
    [at.0.octets(), protocol(at.1), port(at.2)].concat()
}

/// What one front adds.
#[derive(Debug, Default)]
struct Parts {
    own: Vec<Element>,
    /// Others may need the same.
    shared: Vec<Element>,
    chains: Vec<Lead>,
}

fn parts(at: &At, front: &Front) -> Parts {
    let is_node = at.0.is_unspecified();
    let short = [protocol(at.1), port(at.2)].concat();
    let led_by = |chain: String| Element {
        chain: Some(chain),
        ..match is_node {
            true => Element::new(NODE_PORTS, short.clone()),
            false => Element::new(SERVICES, key(at)),
        }
    };
    let mut parts = Parts::default();
    if front.targets.is_empty() {
        match (front.is_silent, is_node) {
            (true, _) => parts.own.push(led_by(IGNORE.to_owned())),
            (false, true) => parts.own.push(Element {
                chain: Some(CLOSE.to_owned()),
                ..Element::new(CLOSED, short)
            }),
            // Whatever is not led anywhere is refused.
            (false, false) => {}
        }
        return parts;
    }
    let lead = match front.affinity_s {
        None => Lead::Any {
            is_node,
            count: front.targets.len() as u32,
        },
        Some(seconds) => Lead::Again {
            at: *at,
            targets: front.targets.clone(),
            seconds,
        },
    };
    parts.own.push(led_by(lead.name()));
    parts.chains.push(lead);
    for (number, target) in front.targets.iter().enumerate() {
        let address = target.0.octets();
        let number = [&key(at)[..], &(number as u32).to_ne_bytes()].concat();
        parts.own.push(match front.affinity_s {
            None => Element {
                data: [address, port(target.1)].concat(),
                ..Element::new(ENDPOINTS, number)
            },
            Some(seconds) => {
                let one = Lead::One {
                    is_node,
                    target: *target,
                    seconds,
                };
                let chain = Some(one.name());
                parts.chains.push(one);
                Element {
                    chain,
                    ..Element::new(STICKY_ENDPOINTS, number)
                }
            }
        });
        let to = [address, protocol(at.1), port(target.1)].concat();
        parts.shared.push(Element::new(TARGETS, to));
        let oneself = [address, address].concat();
        parts.shared.push(Element::new(LOOPS, oneself));
    }
    parts
}

/// How many need something.
#[derive(Debug)]
struct Counts<T>(HashMap<T, usize>);

impl<T: Clone + Eq + std::hash::Hash> Counts<T> {
    /// Counts up what is new and down what is gone; answers with what nobody needs any more, and
    /// with what nobody needed before.
    fn change(
        &mut self,
        gone: impl IntoIterator<Item = T>,
        new: impl IntoIterator<Item = T>,
    ) -> (Vec<T>, Vec<T>) {
        let mut before: HashMap<T, usize> = HashMap::new();
        for item in new {
            let count = self.0.entry(item.clone()).or_default();
            before.entry(item).or_insert(*count);
            *count += 1;
        }
        for item in gone {
            let count = self.0.entry(item.clone()).or_default();
            before.entry(item).or_insert(*count);
            *count = count.saturating_sub(1);
        }
        let (mut idle, mut needed) = (Vec::new(), Vec::new());
        for (item, before) in before {
            match (before, self.0[&item]) {
                (0, 0) => drop(self.0.remove(&item)),
                (0, _) => needed.push(item),
                (_, 0) => {
                    self.0.remove(&item);
                    idle.push(item);
                }
                _ => {}
            }
        }
        (idle, needed)
    }
}

impl<T> Default for Counts<T> {
    fn default() -> Self {
        Counts(HashMap::new())
    }
}

/// What is served now, as the maps have it.
#[derive(Debug, Default)]
pub(crate) struct Served {
    fronts: BTreeMap<At, Front>,
    shared: Counts<Element>,
    chains: Counts<Lead>,
}

/// From one state to the next.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    pub(crate) gone: Vec<Element>,
    pub(crate) idle: Vec<Lead>,
    pub(crate) chains: Vec<Lead>,
    pub(crate) new: Vec<Element>,
    /// Who was led there is to be led elsewhere: over UDP, or because it was remembered.
    pub(crate) left: Vec<(At, Target)>,
    /// Whether some of these remember.
    pub(crate) were_sticky: bool,
    /// Ports of this machine that lead somewhere for the first time, over UDP.
    pub(crate) opened: Vec<u16>,
}

impl Served {
    /// What the kernel's elements say is served; what makes no sense is left out.
    pub(crate) fn adopt(elements: impl IntoIterator<Item = Element>) -> Served {
        let mut fronts: BTreeMap<At, Front> = BTreeMap::new();
        let mut targets: BTreeMap<At, BTreeMap<u32, Target>> = BTreeMap::new();
        for element in elements {
            let chain = element.chain.as_deref().unwrap_or_default();
            match element.set {
                SERVICES | NODE_PORTS | CLOSED => {
                    let Some(at) = read_at(&element.key) else {
                        continue;
                    };
                    fronts.entry(at).or_default().is_silent = chain == IGNORE;
                }
                ENDPOINTS | STICKY_ENDPOINTS => {
                    let (Some(at), Some(number)) = (
                        element.key.get(..12).and_then(read_at),
                        element.key.get(12..16),
                    ) else {
                        continue;
                    };
                    let number = u32::from_ne_bytes(number.try_into().expect("four bytes"));
                    if let Some((target, seconds)) = Lead::parse_one(chain) {
                        fronts.entry(at).or_default().affinity_s = Some(seconds);
                        targets.entry(at).or_default().insert(number, target);
                    } else if let Some(target) = read_target(&element.data) {
                        targets.entry(at).or_default().insert(number, target);
                    }
                }
                _ => {}
            }
        }
        for (at, targets) in targets {
            if let Some(front) = fronts.get_mut(&at) {
                front.targets = targets.into_values().collect();
            }
        }
        let mut served = Served::default();
        served.change(fronts);
        served
    }

    /// Goes to `wanted`, and says what that takes.
    pub(crate) fn change(&mut self, wanted: BTreeMap<At, Front>) -> Changes {
        let mut changes = Changes::default();
        let mut old = std::mem::take(&mut self.fronts);
        let (mut gone, mut new) = (Parts::default(), Parts::default());
        for (at, mut front) in wanted {
            let before = old.remove(&at);
            if let Some(before) = before {
                if is_same(&before, &front) {
                    self.fronts.insert(at, before);
                    continue;
                }
                front.targets = arrange(&before.targets, &front.targets);
                gone.add(parts(&at, &before));
                changes.note(&at, &before, &front);
            } else {
                changes.note(&at, &Front::default(), &front);
            }
            new.add(parts(&at, &front));
            self.fronts.insert(at, front);
        }
        for (at, front) in &old {
            gone.add(parts(at, front));
            changes.note(at, front, &Front::default());
        }
        // Left out is what is both gone and new.
        let own_gone: HashSet<Element> = gone.own.into_iter().collect();
        let own_new: HashSet<Element> = new.own.into_iter().collect();
        let (idle, needed) = self.shared.change(gone.shared, new.shared);
        changes.gone = own_gone.difference(&own_new).cloned().chain(idle).collect();
        changes.new = own_new
            .difference(&own_gone)
            .cloned()
            .chain(needed)
            .collect();
        // Those of one set share a message.
        changes.gone.sort_unstable();
        changes.new.sort_unstable();
        (changes.idle, changes.chains) = self.chains.change(gone.chains, new.chains);
        changes.idle.sort_by_cached_key(Lead::name);
        changes.chains.sort_by_cached_key(Lead::name);
        changes
    }

    /// All elements there should be.
    pub(crate) fn elements(&self) -> impl Iterator<Item = Element> {
        let own = self
            .fronts
            .iter()
            .flat_map(|(at, front)| parts(at, front).own);
        own.chain(self.shared.0.keys().cloned())
    }

    /// The chains that elements lead to.
    pub(crate) fn chains(&self) -> Vec<&Lead> {
        let mut chains: Vec<&Lead> = self.chains.0.keys().collect();
        chains.sort_by_cached_key(|lead| lead.name());
        chains
    }
}

impl Parts {
    fn add(&mut self, other: Parts) {
        self.own.extend(other.own);
        self.shared.extend(other.shared);
        self.chains.extend(other.chains);
    }
}

impl Changes {
    /// Notes what outlives a change of elements. Connections over UDP have no end.
    fn note(&mut self, at: &At, old: &Front, new: &Front) {
        let is_sticky = old.affinity_s.is_some();
        if at.1 != Protocol::Udp && !is_sticky {
            return;
        }
        let staying: HashSet<&Target> = new.targets.iter().collect();
        let leaving = old
            .targets
            .iter()
            .filter(|target| !staying.contains(target));
        let known = self.left.len();
        self.left.extend(leaving.map(|target| (*at, *target)));
        self.were_sticky |= is_sticky && self.left.len() > known;
        let is_opened = old.targets.is_empty() && !new.targets.is_empty();
        if at.0.is_unspecified() && at.1 == Protocol::Udp && is_opened {
            self.opened.push(at.2);
        }
    }
}

/// What is remembered of a client that was led from `at` to `target`, as the key begins and ends.
pub(crate) fn remembered(at: &At, target: &Target) -> (Vec<u8>, Vec<u8>) {
    (key(at), mark(target).to_vec())
}

/// Whether both lead to the same; the numbers do not matter.
fn is_same(old: &Front, new: &Front) -> bool {
    if (old.affinity_s, old.is_silent, old.targets.len())
        != (new.affinity_s, new.is_silent, new.targets.len())
    {
        return false;
    }
    old.targets == new.targets || {
        let known: HashSet<&Target> = old.targets.iter().collect();
        new.targets.iter().all(|target| known.contains(target))
    }
}

fn read_at(key: &[u8]) -> Option<At> {
    let (address, rest) = match key.len() {
        8 => ([0; 4], key),
        12 => (key[..4].try_into().ok()?, &key[4..]),
        _ => return None,
    };
    let protocol = match rest[0] {
        6 => Protocol::Tcp,
        17 => Protocol::Udp,
        _ => return None,
    };
    Some((
        address.into(),
        protocol,
        u16::from_be_bytes([rest[4], rest[5]]),
    ))
}

fn read_target(data: &[u8]) -> Option<Target> {
    let address: [u8; 4] = data.get(..4)?.try_into().ok()?;
    let port = data.get(4..6)?;
    Some((address.into(), u16::from_be_bytes([port[0], port[1]])))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn target(last: u8) -> Target {
        (Ipv4Addr::new(10, 44, 16, last), 80)
    }

    fn at(last: u8) -> At {
        (Ipv4Addr::new(10, 96, 0, last), Protocol::Tcp, 80)
    }

    fn front(targets: &[u8], affinity_s: Option<u32>) -> Front {
        Front {
            targets: targets.iter().copied().map(target).collect(),
            affinity_s: affinity_s.filter(|_| !targets.is_empty()),
            is_silent: false,
        }
    }

    #[test]
    fn an_endpoint_more_or_less_is_a_handful_of_elements() {
        let many: Vec<u8> = (0..200).collect();
        let mut served = Served::default();
        served.change([(at(1), front(&many, None))].into());
        let without: Vec<u8> = many.iter().copied().filter(|n| *n != 7).collect();
        let changes = served.change([(at(1), front(&without, None))].into());
        // Its own place, the last one's, how many there are, and what it was itself.
        assert_eq!((changes.gone.len(), changes.new.len()), (5, 2));
        assert_eq!((changes.idle.len(), changes.chains.len()), (1, 1));
        let changes = served.change([(at(1), front(&many, None))].into());
        assert_eq!((changes.gone.len(), changes.new.len()), (1, 4));
        let same = served.change([(at(1), front(&many, None))].into());
        assert!(same.gone.is_empty() && same.new.is_empty() && same.chains.is_empty());
    }

    fn fronts() -> impl Strategy<Value = BTreeMap<At, Front>> {
        let one = (
            proptest::collection::btree_set(0u8..9, 0..6),
            proptest::option::of(1u32..3),
        );
        proptest::collection::btree_map(0u8..4, one, 0..4).prop_map(|all| {
            let front = |(targets, affinity): (BTreeSet<u8>, Option<u32>)| {
                front(&targets.into_iter().collect::<Vec<_>>(), affinity)
            };
            all.into_iter()
                .map(|(n, one)| (at(n), front(one)))
                .collect()
        })
    }

    proptest! {
        #[test]
        fn who_stays_keeps_a_place_and_there_is_no_gap(
            old in proptest::collection::btree_set(0u8..20, 0..12),
            new in proptest::collection::btree_set(0u8..20, 0..12),
        ) {
            let old: Vec<Target> = old.into_iter().map(target).collect();
            let wanted: Vec<Target> = new.into_iter().map(target).collect();
            let found = arrange(&old, &wanted);
            let mut sorted = found.clone();
            sorted.sort_unstable();
            prop_assert_eq!(sorted, wanted.clone());
            let moved = old.iter().zip(&found).filter(|(a, b)| a != b && wanted.contains(a));
            let left = old.iter().filter(|target| !wanted.contains(target)).count();
            prop_assert!(moved.count() <= left);
        }

        #[test]
        fn changes_lead_from_any_state_to_any(states in proptest::collection::vec(fronts(), 1..6)) {
            let mut served = Served::default();
            let mut elements: BTreeSet<Element> = BTreeSet::new();
            let mut chains: BTreeSet<String> = BTreeSet::new();
            for state in states {
                let changes = served.change(state);
                for element in &changes.gone {
                    prop_assert!(elements.remove(element));
                }
                for lead in &changes.idle {
                    let name = lead.name();
                    let led = elements.iter().any(|e| e.chain.as_ref() == Some(&name));
                    prop_assert!(chains.remove(&name) && !led);
                }
                for lead in &changes.chains {
                    prop_assert!(chains.insert(lead.name()));
                }
                for element in changes.new {
                    let led = element.chain.clone();
                    prop_assert!(led.is_none_or(|name| chains.contains(&name)));
                    prop_assert!(elements.insert(element));
                }
                let all: BTreeSet<Element> = served.elements().collect();
                prop_assert_eq!(&all, &elements);
                let adopted = Served::adopt(elements.clone());
                let again: BTreeSet<Element> = adopted.elements().collect();
                prop_assert_eq!(&again, &elements);
            }
        }
    }
}
