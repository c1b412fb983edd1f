//! From what nftables should hold and what it holds to the steps between: pure.
//!
//! Never: flushing. A table with the right rules keeps them, whatever its elements, so live
//! connections and published ports see nothing of a restart; other rules are replaced in the
//! one transaction that brings the new ones.

use crate::nft::{Content, Observed, Op};

/// The steps that make a table hold `wanted`; none when it does.
pub(crate) fn plan(wanted: &Content, observed: Option<&Observed>) -> Vec<Op> {
    match observed {
        Some(observed) if same_rules(wanted, observed) => {
            let gone = observed.elements.difference(&wanted.elements);
            let new = wanted.elements.difference(&observed.elements);
            // Deletions first: a port may have moved to another container.
            gone.cloned()
                .map(Op::DeleteElement)
                .chain(new.cloned().map(Op::AddElement))
                .collect()
        }
        Some(_) => [Op::DeleteTable].into_iter().chain(whole(wanted)).collect(),
        None => whole(wanted).collect(),
    }
}

fn whole(wanted: &Content) -> impl Iterator<Item = Op> {
    [Op::AddTable]
        .into_iter()
        .chain(wanted.sets.iter().cloned().map(Op::AddSet))
        .chain(wanted.elements.iter().cloned().map(Op::AddElement))
        .chain(wanted.chains.iter().cloned().map(Op::AddChain))
}

/// Whether sets, chains and rules are those of this version of weft.
fn same_rules(wanted: &Content, observed: &Observed) -> bool {
    let sets = wanted.sets.len() == observed.sets.len()
        && wanted
            .sets
            .iter()
            .all(|set| observed.sets.get(set.name) == Some(&set.shape()));
    let chains = &wanted.chains;
    sets && chains.len() == observed.chains.len()
        && chains
            .iter()
            .all(|chain| observed.chains.get(chain.name) == Some(&chain.observed()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::Protocol;
    use crate::ruleset::{NetworkRules, PortRule, content};
    use std::net::Ipv4Addr;

    fn network(bridge: &str, third: u8) -> NetworkRules {
        NetworkRules {
            bridge: bridge.into(),
            subnet: crate::Subnet::new(Ipv4Addr::new(10, 44, third, 0), 24),
            gateway: Ipv4Addr::new(10, 44, third, 1),
            internal: false,
        }
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
            observed.chains.insert(chain.name.into(), chain.observed());
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
        assert_eq!(ops.len(), 2 + 8 + wanted.elements.len() + 5);
    }

    #[test]
    fn networks_side_by_side_share_no_element() {
        let one = content(&[network("wf-a", 16)], &[]);
        let other = content(&[network("wf-b", 17)], &[]);
        assert!(one.elements.is_disjoint(&other.elements));
    }
}
