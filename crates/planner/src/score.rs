//! How well a node suits: the formulas and weights of kube-scheduler's default plugins, each from 0
//! to 100.
//! Never looks at more than one node, save by the numbers it is given.

use crate::body::Body;
use crate::node::Site;
use crate::spot::Load;

/// What a container that names no request is thought to use.
pub(crate) const CPU_UNSAID_MILLIS: u64 = 100;
/// Its memory: 200 MB.
pub(crate) const MEMORY_UNSAID_BYTES: u64 = 200 << 20;

/// Weights of the scores that are not 1.
pub(crate) const TAINTS: i64 = 3;
pub(crate) const NODE_AFFINITY: i64 = 2;
pub(crate) const POD_AFFINITY: i64 = 2;
pub(crate) const SPREAD: i64 = 2;

const MAX: i64 = 100;
/// Images below this do not matter.
const IMAGE_MIN_BYTES: u128 = 23 << 20;
/// More than this for each container does not matter.
const IMAGE_MAX_BYTES: u128 = 1000 << 20;

/// What depends on the node alone: least allocated and balanced allocation, up to 200.
pub(crate) fn alone(body: &Body, site: &Site, load: &Load) -> i64 {
    least_allocated(body, site, load) + balanced(body, site, load)
}

/// How much is left, of cpu and memory alike.
fn least_allocated(body: &Body, site: &Site, load: &Load) -> i64 {
    let there = &site.allocatable;
    let cpu = left(load.nominal_cpu + body.nominal_cpu, there.cpu);
    let memory = left(load.nominal_memory + body.nominal_memory, there.memory);
    match (cpu, memory) {
        (Some(cpu), Some(memory)) => i64::midpoint(cpu, memory),
        (one, other) => one.or(other).unwrap_or(0),
    }
}

fn left(used: u128, there: u128) -> Option<i64> {
    let left = there.saturating_sub(used);
    // Narrow division is several times as fast.
    match (u64::try_from(left), u64::try_from(there)) {
        (_, Ok(0)) => None,
        (Ok(left), Ok(there)) if left < u64::MAX / 100 => (left * 100 / there).try_into().ok(),
        _ => (left * 100 / there).try_into().ok(),
    }
}

/// How alike the used fractions of cpu and memory are. What asks for nothing changes nothing.
fn balanced(body: &Body, site: &Site, load: &Load) -> i64 {
    if body.requests.is_nothing() {
        return 0;
    }
    let fraction = |used: u128, there: u128| (used as f64 / there as f64).min(1.0);
    let (there, used, wants) = (&site.allocatable, &load.used, &body.requests);
    if there.cpu == 0 || there.memory == 0 {
        return if there.cpu == there.memory { 0 } else { MAX };
    }
    let cpu = fraction(used.cpu + wants.cpu, there.cpu);
    let memory = fraction(used.memory + wants.memory, there.memory);
    let deviation = (cpu - memory).abs() / 2.0;
    ((1.0 - deviation) * MAX as f64) as i64
}

/// How much of a pod's images a node has, each weighed by how many of the nodes have it: an image
/// that one node has alone is no reason for all pods to go there. Pairs of size and nodes.
pub(crate) fn images(there: impl Iterator<Item = (u64, u64)>, images: usize, nodes: usize) -> i64 {
    let weighed = |(size, with): (u64, u64)| (size as f64 * (with as f64 / nodes as f64)) as u128;
    let sum: u128 = there.map(weighed).sum();
    let most = IMAGE_MAX_BYTES * images as u128;
    if images == 0 {
        return 0;
    }
    let sum = sum.clamp(IMAGE_MIN_BYTES, most);
    let score = 100 * (sum - IMAGE_MIN_BYTES) / (most - IMAGE_MIN_BYTES);
    score.try_into().unwrap_or(MAX)
}

/// A sum of weights against the greatest.
pub(crate) fn of_greatest(value: i64, greatest: i64) -> i64 {
    if greatest == 0 {
        0
    } else {
        MAX * value / greatest
    }
}

/// A number of things that should not be against the greatest.
pub(crate) fn few_of_greatest(value: i64, greatest: i64) -> i64 {
    MAX - of_greatest(value, greatest)
}

/// Where between the least and the greatest.
pub(crate) fn between(value: i64, least: i64, greatest: i64) -> i64 {
    if greatest <= least {
        return 0;
    }
    (MAX as f64 * ((value - least) as f64 / (greatest - least) as f64)) as i64
}

/// How few pods there are, by a spread's sums: the more, the worse.
pub(crate) fn evenness(value: i64, least: i64, greatest: i64) -> i64 {
    if greatest == 0 {
        return MAX;
    }
    MAX * (greatest + least - value) / greatest
}

/// What one spread adds to a node's sum: pods of a domain weigh more the more domains there are.
pub(crate) fn crowd(pods: i64, domains: usize, max_skew: i64) -> f64 {
    pods as f64 * ((domains + 2) as f64).ln() + (max_skew - 1) as f64
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::amount::Amounts;
    use crate::names::Names;
    use crate::node::Node;
    use crate::pod::Shape;

    fn both(used: (u64, u64), wants: (u64, u64), there: (u64, u64)) -> (i64, i64) {
        let mut names = Names::default();
        let amounts = |(cpu_millis, memory_bytes): (u64, u64)| Amounts {
            cpu_millis,
            memory_bytes,
            ..Amounts::default()
        };
        let mut body = |requests| {
            let shape = Shape {
                requests: amounts(requests),
                ..Shape::default()
            };
            Body::lower(&Arc::new(shape), &mut names)
        };
        let mut load = Load::default();
        load.add(0, &body(used), false);
        let pod = body(wants);
        let node = Node {
            allocatable: amounts(there),
            ..Node::default()
        };
        let site = Site::lower(node, &mut names);
        (
            least_allocated(&pod, &site, &load),
            balanced(&pod, &site, &load),
        )
    }

    #[test]
    fn emptier_and_more_balanced_nodes_are_better() {
        assert_eq!(both((0, 0), (0, 0), (4000, 10_000)), (100, 0));
        assert_eq!(both((0, 0), (3000, 5000), (4000, 10_000)), (37, 87));
        assert_eq!(both((0, 0), (3000, 5000), (6000, 10_000)), (50, 100));
        assert_eq!(both((6000, 0), (3000, 5000), (6000, 10_000)), (25, 75));
        assert_eq!(both((0, 0), (1, 1), (0, 0)), (0, 0));
        let most = u64::MAX;
        assert_eq!(both((most, most), (most, most), (most, most)), (0, 100));
    }

    #[test]
    fn images_count_by_size_and_by_how_many_nodes_have_them() {
        let mib = 1_u64 << 20;
        assert_eq!(images([].into_iter(), 0, 3), 0);
        assert_eq!(images([(22 * mib, 2)].into_iter(), 1, 2), 0);
        assert_eq!(images([(250 * mib, 1)].into_iter(), 1, 2), 10);
        assert_eq!(images([(4000 * mib, 2)].into_iter(), 1, 2), 100);
        assert_eq!(images([(4000 * mib, 1), (0, 0)].into_iter(), 2, 2), 100);
    }

    #[test]
    fn sums_become_scores() {
        assert_eq!((of_greatest(1, 4), of_greatest(0, 0)), (25, 0));
        assert_eq!((few_of_greatest(1, 4), few_of_greatest(0, 0)), (75, 100));
        assert_eq!(
            (between(-1, -1, 3), between(3, -1, 3), between(2, 2, 2)),
            (0, 100, 0)
        );
        assert_eq!(
            (evenness(0, 0, 4), evenness(4, 0, 4), evenness(0, 0, 0)),
            (100, 0, 100)
        );
    }
}
