//! A shape, lowered: its names kept once, its selectors ready to be applied.
//! Never knows where pods are.

use std::collections::HashMap;
use std::sync::Arc;

use crate::amount::Sum;
use crate::labels::{Labels, Operator, Test};
use crate::names::{Name, Names};
use crate::pod::{InclusionPolicy, NodeTerm, PodTerm, Shape, Spread, WhenUnsatisfiable};
use crate::score::{CPU_UNSAID_MILLIS, MEMORY_UNSAID_BYTES};

/// The labels of namespaces.
pub(crate) type Namespaces = HashMap<Name, Labels>;

/// A shape, lowered.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) shape: Arc<Shape>,
    pub(crate) namespace: Name,
    pub(crate) labels: Labels,
    pub(crate) requests: Sum,
    /// What nodes are compared by: requests, and a little for who asks for nothing.
    pub(crate) nominal_cpu: u128,
    pub(crate) nominal_memory: u128,
    pub(crate) node_name: Option<Name>,
    pub(crate) node_selector: Test,
    pub(crate) required: Option<Vec<NodeTest>>,
    pub(crate) volumes: Vec<Vec<NodeTest>>,
    pub(crate) preferred: Vec<(i64, NodeTest)>,
    pub(crate) images: Vec<Name>,
    pub(crate) spreads: Vec<Even>,
    pub(crate) affinity: Vec<Term>,
    pub(crate) anti_affinity: Vec<Term>,
    /// Preferred ones; those of anti-affinity weigh less than nothing.
    pub(crate) likes: Vec<(i64, Term)>,
}

/// A term on nodes.
#[derive(Debug)]
pub(crate) struct NodeTest {
    expressions: Test,
    fields: Test,
    name_field: Name,
}

/// A term on pods.
#[derive(Debug)]
pub(crate) struct Term {
    pub(crate) key: Name,
    namespaces: Vec<Name>,
    namespace_selector: Option<Test>,
    pods: Option<Test>,
}

/// A constraint on spreading.
#[derive(Debug)]
pub(crate) struct Even {
    pub(crate) key: Name,
    pub(crate) is_hard: bool,
    pub(crate) max_skew: i64,
    pub(crate) min_domains: usize,
    pub(crate) honors_affinity: bool,
    pub(crate) honors_taints: bool,
    /// Whether the pod itself will be counted.
    pub(crate) counts_itself: bool,
    pods: Option<Test>,
}

impl Body {
    pub(crate) fn lower(shape: &Arc<Shape>, names: &mut Names) -> Body {
        let namespace = names.of(&shape.namespace);
        let labels = Labels::lower(&shape.labels, names);
        let requests = Sum::lower(&shape.requests, names);
        let mut node_selector = Test::default();
        for (key, value) in &shape.node_selector {
            let (key, value) = (names.of(key), names.of(value));
            node_selector.and(&key, Operator::In, &value);
        }
        let mut term = |term: &PodTerm| Term::lower(term, &namespace, &labels, names);
        let affinity = shape.affinity.required.iter().map(&mut term).collect();
        let anti_affinity = shape.anti_affinity.required.iter().map(&mut term).collect();
        let near = shape.affinity.preferred.iter().map(|like| (1, like));
        let far = shape.anti_affinity.preferred.iter().map(|like| (-1, like));
        let likes = near.chain(far);
        let likes = likes
            .map(|(sign, (weight, like))| (sign * i64::from(*weight), term(like)))
            .collect();
        let mut on_nodes = |term: &NodeTerm| NodeTest::lower(term, names);
        let affine = &shape.node_affinity;
        let required = affine.required.as_ref();
        let required = required.map(|terms| terms.iter().map(&mut on_nodes).collect());
        let volumes = shape.volumes.iter();
        let volumes = volumes
            .map(|terms| terms.iter().map(&mut on_nodes).collect())
            .collect();
        let preferred = affine.preferred.iter();
        let preferred = preferred
            .map(|(weight, term)| (i64::from(*weight), on_nodes(term)))
            .collect();
        let spreads = shape.spreads.iter();
        let spreads = spreads
            .map(|spread| Even::lower(spread, &labels, names))
            .collect();
        Body {
            nominal_cpu: requests.cpu
                + u128::from(shape.unsaid.cpu) * u128::from(CPU_UNSAID_MILLIS),
            nominal_memory: requests.memory
                + u128::from(shape.unsaid.memory) * u128::from(MEMORY_UNSAID_BYTES),
            node_name: shape.node_name.as_deref().map(|name| names.of(name)),
            images: shape.images.iter().map(|name| image(name, names)).collect(),
            shape: Arc::clone(shape),
            namespace,
            labels,
            requests,
            node_selector,
            required,
            volumes,
            preferred,
            spreads,
            affinity,
            anti_affinity,
            likes,
        }
    }

    /// Whether what it says of other pods depends on the labels of their namespaces.
    pub(crate) fn asks_namespaces(&self) -> bool {
        let likes = self.likes.iter().map(|(_, term)| term);
        let mut terms = self.affinity.iter().chain(&self.anti_affinity).chain(likes);
        terms.any(|term| term.namespace_selector.is_some())
    }

    /// Whether a term means this pod.
    pub(crate) fn is_meant(&self, term: &Term, namespaces: &Namespaces) -> bool {
        let Some(pods) = &term.pods else { return false };
        let by_labels = |test: &Test| match namespaces.get(&self.namespace) {
            Some(labels) => test.matches(labels),
            None => test.matches(&Labels::default()),
        };
        (term.namespaces.contains(&self.namespace)
            || term.namespace_selector.as_ref().is_some_and(by_labels))
            && pods.matches(&self.labels)
    }

    /// Whether a constraint on pods of its namespace counts this pod.
    pub(crate) fn is_counted(&self, spread: &Even, namespace: &Name) -> bool {
        let pods = spread.pods.as_ref();
        self.namespace == *namespace && pods.is_some_and(|pods| pods.matches(&self.labels))
    }
}

impl NodeTest {
    fn lower(term: &NodeTerm, names: &mut Names) -> NodeTest {
        NodeTest {
            expressions: Test::lower(&term.expressions, names),
            fields: Test::lower(&term.fields, names),
            name_field: names.of("metadata.name"),
        }
    }

    pub(crate) fn matches(&self, name: &Name, labels: &Labels) -> bool {
        let field = |key: &Name| (*key == self.name_field).then_some(name);
        let says_nothing = self.expressions.is_empty() && self.fields.is_empty();
        !says_nothing && self.expressions.matches(labels) && self.fields.matches_by(field)
    }
}

impl Term {
    fn lower(term: &PodTerm, namespace: &Name, labels: &Labels, names: &mut Names) -> Term {
        let mut namespaces: Vec<Name> = term.namespaces.iter().map(|name| names.of(name)).collect();
        if namespaces.is_empty() && term.namespace_selector.is_none() {
            namespaces.push(namespace.clone());
        }
        let namespace_selector = term.namespace_selector.as_ref();
        let pods = term.selector.as_ref();
        let mut pods = pods.map(|selector| Test::lower(&selector.requirements, names));
        own_values(
            &mut pods,
            &term.match_label_keys,
            Operator::In,
            labels,
            names,
        );
        let not = Operator::NotIn;
        own_values(&mut pods, &term.mismatch_label_keys, not, labels, names);
        Term {
            key: names.of(&term.topology_key),
            namespace_selector: namespace_selector
                .map(|selector| Test::lower(&selector.requirements, names)),
            namespaces,
            pods,
        }
    }
}

impl Even {
    fn lower(spread: &Spread, labels: &Labels, names: &mut Names) -> Even {
        let pods = spread.selector.as_ref();
        let mut pods = pods.map(|selector| Test::lower(&selector.requirements, names));
        let keys = &spread.match_label_keys;
        own_values(&mut pods, keys, Operator::In, labels, names);
        Even {
            key: names.of(&spread.topology_key),
            is_hard: spread.when_unsatisfiable == WhenUnsatisfiable::DoNotSchedule,
            max_skew: spread.max_skew.into(),
            min_domains: spread.min_domains.unwrap_or(1) as usize,
            honors_affinity: spread.node_affinity_policy == InclusionPolicy::Honor,
            honors_taints: spread.node_taints_policy == InclusionPolicy::Honor,
            counts_itself: pods.as_ref().is_some_and(|pods| pods.matches(labels)),
            pods,
        }
    }
}

/// Narrows a selector by the pod's own labels; keys that it lacks are not looked at.
fn own_values(
    pods: &mut Option<Test>,
    keys: &[String],
    operator: Operator,
    labels: &Labels,
    names: &mut Names,
) {
    let Some(pods) = pods else { return };
    for key in keys {
        let key = names.of(key);
        if let Some(value) = labels.find(&key) {
            pods.and(&key, operator, value);
        }
    }
}

/// An image by the name that nodes know it by: with a tag.
fn image(name: &str, names: &mut Names) -> Name {
    let last = name.rsplit('/').next().unwrap_or(name);
    match last.contains(':') {
        true => names.of(name),
        false => names.of(&format!("{name}:latest")),
    }
}
