//! Whether what is left of a node is enough for a pod.

use crate::body::Body;
use crate::node::Site;
use crate::reasons::Lack;
use crate::spot::Load;

/// What there is too little of. A pod that asks for nothing of a resource may go where that is
/// overdrawn already.
pub(crate) fn lack(body: &Body, site: &Site, load: &Load) -> Lack {
    let wants = &body.requests;
    let (there, used) = (&site.allocatable, &load.used);
    let lacks = |wants: u128, used: u128, there: u128| wants > 0 && used + wants > there;
    let mut lack = Lack {
        pods: load.pods + 1 > site.pods_max,
        cpu: lacks(wants.cpu, used.cpu, there.cpu),
        memory: lacks(wants.memory, used.memory, there.memory),
        ephemeral: lacks(wants.ephemeral, used.ephemeral, there.ephemeral),
        extended: 0,
    };
    for (index, (name, amount)) in wants.extended.iter().enumerate() {
        if lacks(*amount, used.extended(name), there.extended(name)) {
            lack.extended |= Lack::bit(index);
        }
    }
    lack
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::amount::Amounts;
    use crate::names::Names;
    use crate::node::Node;
    use crate::pod::Shape;
    use crate::reasons::{Reason, Refusal};

    fn amounts(cpu_millis: u64, memory_bytes: u64, gpus: u64) -> Amounts {
        Amounts {
            cpu_millis,
            memory_bytes,
            ephemeral_bytes: 0,
            extended: [("example.com/gpu".to_owned(), gpus)].into(),
        }
    }

    /// The reasons of a node with 10 cpus (in thousandths), 20 bytes, 5 GPUs and room for 3 pods.
    fn looked_at(used: &[Amounts], wants: Amounts) -> Vec<String> {
        let mut names = Names::default();
        let mut body = |requests: &Amounts| {
            let shape = Shape {
                requests: requests.clone(),
                ..Shape::default()
            };
            Body::lower(&Arc::new(shape), &mut names)
        };
        let mut load = Load::default();
        for (id, requests) in used.iter().enumerate() {
            load.add(u32::try_from(id).unwrap(), &body(requests), false);
        }
        let pod = body(&wants);
        let node = Node {
            allocatable: amounts(10, 20, 5),
            pods_max: 3,
            ..Node::default()
        };
        let site = Site::lower(node, &mut names);
        let refusal = Refusal::Fit(lack(&pod, &site, &load));
        let reasons = refusal.reasons(&pod, &site);
        reasons.iter().map(Reason::to_string).collect()
    }

    #[test]
    fn what_is_left_must_be_enough() {
        let none: [&str; 0] = [];
        assert_eq!(looked_at(&[], amounts(10, 20, 5)), none);
        assert_eq!(looked_at(&[amounts(5, 5, 0)], amounts(5, 15, 5)), none);
        assert_eq!(
            looked_at(&[amounts(5, 5, 0)], amounts(6, 5, 0)),
            ["Insufficient cpu"]
        );
        assert_eq!(
            looked_at(&[amounts(5, 5, 1)], amounts(6, 16, 5)),
            [
                "Insufficient cpu",
                "Insufficient memory",
                "Insufficient example.com/gpu"
            ]
        );
        let three = [amounts(20, 0, 0), amounts(0, 0, 0), amounts(0, 0, 0)];
        assert_eq!(
            looked_at(&three[..2], amounts(0, 1, 0)),
            none,
            "no cpu is asked for"
        );
        assert_eq!(looked_at(&three, amounts(0, 0, 0)), ["Too many pods"]);
        assert_eq!(
            looked_at(&three, amounts(1, 0, 0)),
            ["Too many pods", "Insufficient cpu"]
        );
    }
}
