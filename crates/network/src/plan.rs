//! From what nftables should hold and what it holds to the steps between: pure.
//!
//! Never: flushing. A table with the right rules keeps them, whatever its elements, so live
//! connections and published ports see nothing of a restart; other rules are replaced in the
//! one transaction that brings the new ones.

use crate::nft::{ChainSpec, Content, Element, Observed, ObservedChain, Op};

/// The steps that make a table hold `wanted`; none when it does.
pub(crate) fn plan(wanted: &Content, observed: Option<&Observed>) -> Vec<Op> {
    match observed {
        Some(observed) if same_rules(wanted, observed) => {
            let gone = observed.elements.difference(&wanted.elements);
            let new = in_order(wanted.elements.difference(&observed.elements));
            let led = wanted.chains.iter().filter(|chain| chain.hook.is_none());
            let unknown = led.filter(|chain| !observed.chains.contains_key(&chain.name));
            let needed = |name: &String| wanted.chains.iter().any(|chain| chain.name == *name);
            let idle = observed.chains.keys().filter(|name| !needed(name));
            // Deletions first: a port may have moved to another container. What leads to a chain
            // goes before it, and comes after it.
            gone.cloned()
                .map(Op::DeleteElement)
                .chain(idle.cloned().map(Op::DeleteChain))
                .chain(unknown.cloned().map(Op::AddChain))
                .chain(new.cloned().map(Op::AddElement))
                .collect()
        }
        Some(_) => [Op::DeleteTable].into_iter().chain(whole(wanted)).collect(),
        None => whole(wanted).collect(),
    }
}

/// A range ends before the next begins: the kernel looks at each by itself.
fn in_order<'a>(
    elements: impl IntoIterator<Item = &'a Element>,
) -> impl Iterator<Item = &'a Element> {
    let mut elements: Vec<&Element> = elements.into_iter().collect();
    elements.sort_by(|a, b| (a.set, &a.key, !a.range_end).cmp(&(b.set, &b.key, !b.range_end)));
    elements.into_iter()
}

fn whole(wanted: &Content) -> impl Iterator<Item = Op> {
    [Op::AddTable]
        .into_iter()
        .chain(wanted.sets.iter().cloned().map(Op::AddSet))
        .chain(wanted.chains.iter().cloned().map(Op::AddChain))
        .chain(in_order(&wanted.elements).cloned().map(Op::AddElement))
}

/// Whether sets, chains and rules are those of this version of weft.
fn same_rules(wanted: &Content, observed: &Observed) -> bool {
    let sets = wanted.sets.len() == observed.sets.len()
        && wanted
            .sets
            .iter()
            .all(|set| observed.sets.get(set.name) == Some(&set.shape()));
    // Chains that elements lead to come and go with them; one of another making is another rule.
    let same = |chain: &ChainSpec| {
        let found = observed.chains.get(&chain.name);
        found.map_or(chain.hook.is_none(), |found| *found == chain.observed())
    };
    let base = |observed: &&ObservedChain| observed.hook.is_some();
    let wanted_base = wanted.chains.iter().filter(|chain| chain.hook.is_some());
    sets && observed.chains.values().filter(base).count() == wanted_base.count()
        && wanted.chains.iter().all(same)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::Protocol;
    use crate::ruleset::{NetworkRules, PortRule};
    use crate::services::Serving;
    use std::net::Ipv4Addr;

    fn network(bridge: &str, third: u8) -> NetworkRules {
        NetworkRules {
            bridge: bridge.into(),
            subnet: crate::Subnet::new(Ipv4Addr::new(10, 44, third, 0), 24),
            gateway: Ipv4Addr::new(10, 44, third, 1),
            internal: false,
            serves: false,
            mac: crate::Mac([2, 0, 0, 0, 0, 1]),
        }
    }

    fn content<'a>(networks: &'a [NetworkRules], ports: &'a [PortRule]) -> Content {
        crate::ruleset::content(networks, ports, &Serving::default(), true)
    }

    fn port(number: u16) -> PortRule {
        PortRule {
            host_ip: Ipv4Addr::UNSPECIFIED,
            host_port: number,
            protocol: Protocol::Tcp,
            to: Ipv4Addr::new(10, 44, 16, 2),
            to_port: 80,
        }
    }

    /// What the kernel holds once `wanted` was applied to nothing.
    fn applied(wanted: &Content) -> Observed {
        let mut observed = Observed::default();
        for set in wanted.sets {
            observed.sets.insert(set.name.into(), set.shape());
        }
        for chain in &wanted.chains {
            observed.chains.insert(chain.name.clone(), chain.observed());
        }
        observed.elements = wanted.elements.clone();
        observed
    }

    #[test]
    fn nothing_to_do_is_nothing_done() {
        let wanted = content(&[network("weft0", 16)], &[port(80)]);
        assert!(plan(&wanted, Some(&applied(&wanted))).is_empty());
    }

    #[test]
    fn a_published_port_is_one_element() {
        let networks = [network("weft0", 16)];
        let before = applied(&content(&networks, &[port(80)]));
        let ops = plan(&content(&networks, &[port(80), port(81)]), Some(&before));
        assert!(matches!(ops.as_slice(), [Op::AddElement(e)] if e.set == "ports"));
        let ops = plan(&content(&networks, &[]), Some(&before));
        assert!(matches!(ops.as_slice(), [Op::DeleteElement(e)] if e.set == "ports"));
    }

    #[test]
    fn a_port_that_moved_is_deleted_before_it_is_added() {
        let before = applied(&content(&[], &[port(80)]));
        let moved = PortRule {
            to: Ipv4Addr::new(10, 44, 16, 9),
            ..port(80)
        };
        let ops = plan(&content(&[], &[moved]), Some(&before));
        assert!(matches!(
            ops.as_slice(),
            [Op::DeleteElement(_), Op::AddElement(_)]
        ));
    }

    #[test]
    fn other_rules_are_replaced_whole() {
        let wanted = content(&[network("weft0", 16)], &[]);
        let mut before = applied(&wanted);
        before.chains.get_mut("border").unwrap().rules.pop();
        let ops = plan(&wanted, Some(&before));
        assert!(matches!(ops.first(), Some(Op::DeleteTable)));
        assert!(matches!(ops.get(1), Some(Op::AddTable)));
        assert_eq!(ops.len(), 2 + 18 + wanted.elements.len() + 10);
    }

    #[test]
    fn networks_side_by_side_share_no_element() {
        let one = content(&[network("wf-a", 16)], &[]);
        let other = content(&[network("wf-b", 17)], &[]);
        assert!(one.elements.is_disjoint(&other.elements));
    }
}
