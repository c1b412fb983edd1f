//! Taints and what tolerates them. Kubernetes, "Taints and Tolerations".

use crate::node::{Effect, Taint};
use crate::pod::Toleration;

/// What a cordoned node is said to be tainted with.
const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

/// The first taint that keeps new pods away and is not tolerated: its place.
pub(crate) fn untolerated(tolerations: &[Toleration], taints: &[Taint]) -> Option<usize> {
    let keeps_away =
        |taint: &Taint| taint.effect.is_hard() && !tolerations.iter().any(|t| tolerates(t, taint));
    taints.iter().position(keeps_away)
}

/// How many taints ask for another node, if there is one, and are not tolerated.
pub(crate) fn disliked(tolerations: &[Toleration], taints: &[Taint]) -> i64 {
    let dislikes = |taint: &&Taint| {
        !taint.effect.is_hard() && !tolerations.iter().any(|t| tolerates(t, taint))
    };
    taints.iter().filter(dislikes).map(|_| 1).sum()
}

/// Whether a pod may go to cordoned nodes.
pub(crate) fn tolerates_unschedulable(tolerations: &[Toleration]) -> bool {
    let taint = Taint {
        key: UNSCHEDULABLE.to_owned(),
        value: String::new(),
        effect: Effect::NoSchedule,
    };
    tolerations.iter().any(|one| tolerates(one, &taint))
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    toleration
        .effect
        .is_none_or(|effect| effect == taint.effect)
        && (toleration.key.is_empty() || toleration.key == taint.key)
        && (toleration.exists || toleration.value == taint.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taint(key: &str, value: &str, effect: Effect) -> Taint {
        Taint {
            key: key.to_owned(),
            value: value.to_owned(),
            effect,
        }
    }

    fn toleration(key: &str, exists: bool, value: &str, effect: Option<Effect>) -> Toleration {
        Toleration {
            key: key.to_owned(),
            exists,
            value: value.to_owned(),
            effect,
        }
    }

    #[test]
    fn a_toleration_is_held_beside_a_taint() {
        use Effect::*;
        let tainted = taint("key1", "value1", NoSchedule);
        for (toleration, expected) in [
            (toleration("key1", false, "value1", Some(NoSchedule)), true),
            (toleration("key1", true, "", Some(NoSchedule)), true),
            (toleration("key1", false, "value2", Some(NoSchedule)), false),
            (toleration("key2", true, "", Some(NoSchedule)), false),
            (toleration("key1", true, "", Some(NoExecute)), false),
            (toleration("key1", true, "", None), true),
            (toleration("", true, "", None), true),
            (toleration("", true, "", Some(NoExecute)), false),
        ] {
            assert_eq!(tolerates(&toleration, &tainted), expected, "{toleration:?}");
        }
    }

    #[test]
    fn the_documented_node_with_three_taints() {
        use Effect::*;
        let taints = [
            taint("key1", "value1", NoSchedule),
            taint("key1", "value1", NoExecute),
            taint("key2", "value2", NoSchedule),
        ];
        let mut tolerations = vec![
            toleration("key1", false, "value1", Some(NoSchedule)),
            toleration("key1", false, "value1", Some(NoExecute)),
        ];
        assert_eq!(untolerated(&tolerations, &taints), Some(2));
        tolerations.push(toleration("key2", true, "", None));
        assert_eq!(untolerated(&tolerations, &taints), None);
    }

    #[test]
    fn a_preference_keeps_nobody_away_but_counts() {
        use Effect::*;
        let taints = [
            taint("a", "", PreferNoSchedule),
            taint("b", "", PreferNoSchedule),
        ];
        assert_eq!(untolerated(&[], &taints), None);
        assert_eq!(disliked(&[], &taints), 2);
        let tolerated = [toleration("a", true, "", Some(PreferNoSchedule))];
        assert_eq!(disliked(&tolerated, &taints), 1);
        let another = [toleration("a", true, "", Some(NoSchedule))];
        assert_eq!(disliked(&another, &taints), 2);
    }

    #[test]
    fn cordoned_nodes_take_who_tolerates_it() {
        assert!(!tolerates_unschedulable(&[]));
        let daemon = toleration(UNSCHEDULABLE, true, "", Some(Effect::NoSchedule));
        assert!(tolerates_unschedulable(&[daemon]));
        assert!(tolerates_unschedulable(&[toleration("", true, "", None)]));
    }
}
