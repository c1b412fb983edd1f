//! `nodeSelector` and node affinity. Kubernetes, "Assigning Pods to Nodes".

use crate::body::Body;
use crate::node::Site;

/// Whether a node is one of those that the pod can be on.
pub(crate) fn holds(body: &Body, site: &Site) -> bool {
    let required = body.required.as_ref();
    body.node_selector.matches(&site.labels)
        && required.is_none_or(|terms| {
            let mut terms = terms.iter();
            terms.any(|term| term.matches(&site.name, &site.labels))
        })
}

/// Whether all volumes of the pod can be reached from a node.
pub(crate) fn reaches_volumes(body: &Body, site: &Site) -> bool {
    let mut volumes = body.volumes.iter();
    volumes.all(|terms| {
        let mut terms = terms.iter();
        terms.any(|term| term.matches(&site.name, &site.labels))
    })
}

/// The weights of what the pod likes about a node.
pub(crate) fn liking(body: &Body, site: &Site) -> i64 {
    let preferred = body.preferred.iter();
    let liked = preferred.filter(|(_, term)| term.matches(&site.name, &site.labels));
    liked.map(|(weight, _)| weight).sum()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::labels::{Operator, Requirement};
    use crate::names::Names;
    use crate::node::Node;
    use crate::pod::{NodeAffinity, NodeTerm, Shape};

    fn requirement(key: &str, operator: Operator, values: &[&str]) -> Requirement {
        Requirement {
            key: key.to_owned(),
            operator,
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        }
    }

    fn term(expressions: &[Requirement]) -> NodeTerm {
        NodeTerm {
            expressions: expressions.to_vec(),
            fields: Vec::new(),
        }
    }

    fn named(operator: Operator, name: &str) -> NodeTerm {
        NodeTerm {
            expressions: Vec::new(),
            fields: vec![requirement("metadata.name", operator, &[name])],
        }
    }

    fn looked_at(shape: Shape, labels: &[(&str, &str)]) -> (bool, i64) {
        let mut names = Names::default();
        let body = Body::lower(&Arc::new(shape), &mut names);
        let labels = labels.iter();
        let node = Node {
            name: "node-1".to_owned(),
            labels: labels
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect(),
            ..Node::default()
        };
        let site = Site::lower(node, &mut names);
        (holds(&body, &site), liking(&body, &site))
    }

    fn required(terms: Vec<NodeTerm>, labels: &[(&str, &str)]) -> bool {
        let node_affinity = NodeAffinity {
            required: Some(terms),
            preferred: Vec::new(),
        };
        let shape = Shape {
            node_affinity,
            ..Shape::default()
        };
        looked_at(shape, labels).0
    }

    #[test]
    fn terms_are_alternatives_and_their_parts_are_not() {
        let zone = |values: &[&str]| requirement("zone", Operator::In, values);
        let ssd = requirement("disk", Operator::Exists, &[]);
        let labels = [("zone", "antarctica-east1"), ("disk", "ssd")];
        let east_west = zone(&["antarctica-east1", "antarctica-west1"]);
        assert!(required(
            vec![term(std::slice::from_ref(&east_west))],
            &labels
        ));
        assert!(!required(vec![term(&[zone(&["elsewhere"])])], &labels));
        assert!(required(
            vec![term(&[zone(&["x"])]), term(std::slice::from_ref(&ssd))],
            &labels
        ));
        assert!(!required(vec![term(&[zone(&["x"]), ssd])], &labels));
        assert!(!required(vec![], &labels), "no term holds");
        assert!(
            !required(vec![NodeTerm::default()], &labels),
            "an empty term matches none"
        );
    }

    #[test]
    fn a_field_is_the_name() {
        assert!(required(vec![named(Operator::In, "node-1")], &[]));
        assert!(!required(vec![named(Operator::In, "node-2")], &[]));
        assert!(required(vec![named(Operator::NotIn, "node-2")], &[]));
    }

    #[test]
    fn the_selector_holds_as_well() {
        let shape = Shape {
            node_selector: [("disktype".to_owned(), "ssd".to_owned())].into(),
            ..Shape::default()
        };
        assert!(looked_at(shape.clone(), &[("disktype", "ssd")]).0);
        assert!(!looked_at(shape, &[("disktype", "hdd")]).0);
    }

    #[test]
    fn likes_add_up() {
        let like = |weight, key: &str, value: &str| {
            (weight, term(&[requirement(key, Operator::In, &[value])]))
        };
        let preferred = vec![like(1, "label-1", "key-1"), like(50, "label-2", "key-2")];
        let node_affinity = NodeAffinity {
            required: None,
            preferred,
        };
        let shape = Shape {
            node_affinity,
            ..Shape::default()
        };
        assert_eq!(looked_at(shape.clone(), &[("label-1", "key-1")]), (true, 1));
        assert_eq!(
            looked_at(shape.clone(), &[("label-2", "key-2")]),
            (true, 50)
        );
        let both = [("label-1", "key-1"), ("label-2", "key-2")];
        assert_eq!(looked_at(shape.clone(), &both), (true, 51));
        assert_eq!(looked_at(shape, &[]), (true, 0));
    }
}
