//! The filters once more, as they are written down: no sums, no rankings, every node and pod looked
//! at for every question.

use std::collections::BTreeMap;

use weft_planner::{
    Amounts, Effect, InclusionPolicy, Node, NodeTerm, Operator, Pod, PodTerm, Port, Reason,
    Requirement, Selector, Shape, Spread, Taint, Toleration, WhenUnsatisfiable,
};

pub type Labels = BTreeMap<String, String>;

/// Everything there is.
#[derive(Clone, Debug, Default)]
pub struct World {
    pub nodes: BTreeMap<String, Node>,
    /// With the node each is on, by id.
    pub pods: BTreeMap<String, (Pod, String)>,
    pub namespaces: BTreeMap<String, Labels>,
}

pub fn matches(requirements: &[Requirement], labels: &Labels) -> bool {
    requirements.iter().all(|one| {
        let value = labels.get(&one.key);
        let number = |text: &String| text.parse::<i64>().ok();
        let than = one.values.first().filter(|_| one.values.len() == 1);
        let than = than.and_then(number);
        match one.operator {
            Operator::In => value.is_some_and(|value| one.values.contains(value)),
            Operator::NotIn => value.is_none_or(|value| !one.values.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::Gt => value.and_then(number) > than && than.is_some(),
            Operator::Lt => value.and_then(number).is_some_and(|is| Some(is) < than),
        }
    })
}

/// A selector narrowed by the pod's own labels.
pub fn narrowed(
    selector: Option<&Selector>,
    own: &Labels,
    equal: &[String],
    unequal: &[String],
) -> Option<Vec<Requirement>> {
    let mut requirements = selector?.requirements.clone();
    for (keys, operator) in [(equal, Operator::In), (unequal, Operator::NotIn)] {
        for key in keys {
            if let Some(value) = own.get(key) {
                requirements.push(Requirement {
                    key: key.clone(),
                    operator,
                    values: vec![value.clone()],
                });
            }
        }
    }
    Some(requirements)
}

impl World {
    pub fn on(&self, node: &str) -> impl Iterator<Item = &Pod> {
        let on = self.pods.values().filter(move |(_, at)| at == node);
        on.map(|(pod, _)| pod)
    }

    /// Whether a term of a shape means a pod.
    pub fn means(&self, owner: &Shape, term: &PodTerm, other: &Shape) -> bool {
        let (equal, unequal) = (&term.match_label_keys, &term.mismatch_label_keys);
        let pods = narrowed(term.selector.as_ref(), &owner.labels, equal, unequal);
        let none = Labels::new();
        let labels = self.namespaces.get(&other.namespace).unwrap_or(&none);
        let selected = term.namespace_selector.as_ref();
        let selected = selected.is_some_and(|selector| matches(&selector.requirements, labels));
        let says_nothing = term.namespaces.is_empty() && term.namespace_selector.is_none();
        let is_there = match says_nothing {
            true => owner.namespace == other.namespace,
            false => term.namespaces.contains(&other.namespace) || selected,
        };
        is_there && pods.is_some_and(|pods| matches(&pods, &other.labels))
    }

    /// Pods on nodes that share a node's value of a key.
    pub fn near<'a>(&'a self, node: &'a Node, key: &'a str) -> impl Iterator<Item = &'a Pod> {
        let value = node.labels.get(key);
        let near = self.nodes.values();
        let near = near.filter(move |one| value.is_some() && one.labels.get(key) == value);
        near.flat_map(|one| self.on(&one.name))
    }

    /// Why a node cannot take a pod.
    pub fn refusals(&self, pod: &Pod, node: &Node) -> Vec<Reason> {
        let shape = &*pod.shape;
        if node.unschedulable {
            let cordon = Taint {
                key: "node.kubernetes.io/unschedulable".to_owned(),
                value: String::new(),
                effect: Effect::NoSchedule,
            };
            if !shape.tolerations.iter().any(|one| tolerates(one, &cordon)) {
                return vec![Reason::Unschedulable];
            }
        }
        if shape
            .node_name
            .as_ref()
            .is_some_and(|name| *name != node.name)
        {
            return vec![Reason::NodeName];
        }
        if let Some(taint) = untolerated(shape, node) {
            return vec![Reason::Taint(taint.key.clone(), taint.value.clone())];
        }
        if !is_affine(shape, node) {
            return vec![Reason::NodeAffinity];
        }
        let reaches = |terms: &Vec<NodeTerm>| terms.iter().any(|term| term_holds(term, node));
        if !shape.volumes.iter().all(reaches) {
            return vec![Reason::Volumes];
        }
        let taken: Vec<&Port> = self
            .on(&node.name)
            .flat_map(|pod| &pod.shape.ports)
            .collect();
        let meets = |port: &Port| taken.iter().any(|other| ports_meet(port, other));
        if shape.ports.iter().any(meets) {
            return vec![Reason::Ports];
        }
        let lacking = self.lacking(shape, node);
        if !lacking.is_empty() {
            return lacking;
        }
        let near = self
            .uneven(shape, node)
            .or_else(|| self.unsociable(shape, node));
        near.into_iter().collect()
    }

    fn lacking(&self, shape: &Shape, node: &Node) -> Vec<Reason> {
        let mut reasons = Vec::new();
        if self.on(&node.name).count() as u64 >= node.pods_max {
            reasons.push(Reason::TooManyPods);
        }
        let none = Amounts::default();
        let names = shape.requests.extended.keys().map(String::as_str);
        for name in ["cpu", "memory", "ephemeral-storage"]
            .into_iter()
            .chain(names)
        {
            let of = |amounts: &Amounts| match name {
                "cpu" => amounts.cpu_millis,
                "memory" => amounts.memory_bytes,
                "ephemeral-storage" => amounts.ephemeral_bytes,
                other => amounts.extended.get(other).copied().unwrap_or(0),
            };
            let used: u64 = self.on(&node.name).map(|pod| of(&pod.shape.requests)).sum();
            let wants = of(&shape.requests);
            if wants > of(&none) && used + wants > of(&node.allocatable) {
                reasons.push(Reason::Insufficient(name.to_owned()));
            }
        }
        reasons
    }

    /// Whether a node's domain is one of those among which a constraint spreads.
    pub fn includes(&self, shape: &Shape, spread: &Spread, node: &Node) -> bool {
        let alike = shape.spreads.iter();
        let mut alike = alike.filter(|one| one.when_unsatisfiable == spread.when_unsatisfiable);
        alike.all(|one| node.labels.contains_key(&one.topology_key))
            && (spread.node_affinity_policy == InclusionPolicy::Ignore || is_affine(shape, node))
            && (spread.node_taints_policy == InclusionPolicy::Ignore
                || untolerated(shape, node).is_none())
    }

    /// Whether a constraint counts a pod, wherever it is.
    pub fn counts(shape: &Shape, spread: &Spread, other: &Shape) -> bool {
        let keys = &spread.match_label_keys;
        let pods = narrowed(spread.selector.as_ref(), &shape.labels, keys, &[]);
        shape.namespace == other.namespace && pods.is_some_and(|pods| matches(&pods, &other.labels))
    }

    /// The pods that a constraint counts in each domain.
    pub fn domains(&self, shape: &Shape, spread: &Spread) -> BTreeMap<&String, i64> {
        let mut domains = BTreeMap::new();
        for node in self
            .nodes
            .values()
            .filter(|node| self.includes(shape, spread, node))
        {
            let counted = self
                .on(&node.name)
                .filter(|pod| !pod.terminating && World::counts(shape, spread, &pod.shape));
            let value = &node.labels[&spread.topology_key];
            *domains.entry(value).or_default() += counted.count() as i64;
        }
        domains
    }

    fn uneven(&self, shape: &Shape, node: &Node) -> Option<Reason> {
        for spread in &shape.spreads {
            if spread.when_unsatisfiable == WhenUnsatisfiable::ScheduleAnyway {
                continue;
            }
            let Some(value) = node.labels.get(&spread.topology_key) else {
                return Some(Reason::SpreadLabel);
            };
            let domains = self.domains(shape, spread);
            let least = match domains.len() < spread.min_domains.unwrap_or(1) as usize {
                true => 0,
                false => *domains.values().min()?,
            };
            let itself = i64::from(World::counts(shape, spread, shape));
            let here = domains.get(value).copied().unwrap_or(0);
            if here + itself - least > i64::from(spread.max_skew) {
                return Some(Reason::Spread);
            }
        }
        None
    }

    fn unsociable(&self, shape: &Shape, node: &Node) -> Option<Reason> {
        let terms = &shape.affinity.required;
        let all = |other: &Shape| terms.iter().all(|term| self.means(shape, term, other));
        if terms
            .iter()
            .any(|term| !node.labels.contains_key(&term.topology_key))
        {
            return Some(Reason::Affinity);
        }
        let is_near = |term: &PodTerm| {
            self.near(node, &term.topology_key)
                .any(|pod| all(&pod.shape))
        };
        if !terms.iter().all(is_near) {
            let somewhere = |term: &PodTerm| {
                let mut nodes = self.nodes.values();
                nodes.any(|node| {
                    self.near(node, &term.topology_key)
                        .any(|pod| all(&pod.shape))
                })
            };
            if terms.iter().any(somewhere) || !all(shape) {
                return Some(Reason::Affinity);
            }
        }
        for term in &shape.anti_affinity.required {
            let mut near = self.near(node, &term.topology_key);
            if near.any(|pod| self.means(shape, term, &pod.shape)) {
                return Some(Reason::AntiAffinity);
            }
        }
        for (pod, at) in self.pods.values() {
            let Some(other) = self.nodes.get(at) else {
                continue;
            };
            for term in &pod.shape.anti_affinity.required {
                let value = node.labels.get(&term.topology_key);
                let is_near = value.is_some() && other.labels.get(&term.topology_key) == value;
                if is_near && self.means(&pod.shape, term, shape) {
                    return Some(Reason::ExistingAntiAffinity);
                }
            }
        }
        None
    }
}

pub fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let effect = toleration.effect.is_none() || toleration.effect == Some(taint.effect);
    let key = toleration.key.is_empty() || toleration.key == taint.key;
    effect && key && (toleration.exists || toleration.value == taint.value)
}

fn untolerated<'a>(shape: &Shape, node: &'a Node) -> Option<&'a Taint> {
    let tolerated = |taint: &Taint| shape.tolerations.iter().any(|one| tolerates(one, taint));
    let hard = |taint: &&Taint| taint.effect != Effect::PreferNoSchedule;
    let mut taints = node.taints.iter().filter(hard);
    taints.find(|taint| !tolerated(taint))
}

pub fn term_holds(term: &NodeTerm, node: &Node) -> bool {
    let fields = [("metadata.name".to_owned(), node.name.clone())].into();
    !(term.expressions.is_empty() && term.fields.is_empty())
        && matches(&term.expressions, &node.labels)
        && matches(&term.fields, &fields)
}

fn is_affine(shape: &Shape, node: &Node) -> bool {
    let mut selector = shape.node_selector.iter();
    let required = shape.node_affinity.required.as_ref();
    selector.all(|(key, value)| node.labels.get(key) == Some(value))
        && required.is_none_or(|terms| terms.iter().any(|term| term_holds(term, node)))
}

fn ports_meet(one: &Port, other: &Port) -> bool {
    let any = ["", "0.0.0.0"];
    let ips = any.contains(&&*one.ip) || any.contains(&&*other.ip) || one.ip == other.ip;
    one.port == other.port && one.protocol == other.protocol && ips
}
