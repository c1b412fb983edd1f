//! A container's variables: what the node knows is filled in, `$(NAME)` is replaced (Kubernetes,
//! "Define Dependent Environment Variables"). Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use weft_api::assignment::{Env, EnvValue, NodeFact};

/// What the node knows of a pod.
#[derive(Debug, Clone)]
pub(crate) struct Facts<'a> {
    pub pod_ip: Option<IpAddr>,
    pub host_ip: IpAddr,
    pub node: &'a str,
}

impl Facts<'_> {
    pub fn of(&self, fact: NodeFact) -> String {
        match fact {
            NodeFact::PodIp => self.pod_ip.map(|ip| ip.to_string()).unwrap_or_default(),
            NodeFact::HostIp => self.host_ip.to_string(),
            NodeFact::NodeName => self.node.to_owned(),
        }
    }
}

/// Names and values, each name once, with the last value it was given.
pub(crate) fn resolve(env: &[Env], facts: &Facts<'_>) -> Vec<(String, String)> {
    let mut known = BTreeMap::<&str, String>::new();
    let mut order: Vec<&str> = Vec::new();
    for one in env {
        let value = match &one.value {
            EnvValue::Exact(text) => text.clone(),
            EnvValue::Expand(text) => expand(text, |name| known.get(name).cloned()),
            EnvValue::Node(fact) => facts.of(*fact),
        };
        if known.insert(&one.name, value).is_none() {
            order.push(&one.name);
        }
    }
    let pairs = order.into_iter().map(|name| {
        let value = known.remove(name).unwrap_or_default();
        (name.to_owned(), value)
    });
    pairs.collect()
}

/// Replaces `$(NAME)`; `$$` is a dollar, and what names nothing stays.
pub(crate) fn expand(text: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some((name, after)) = rest.strip_prefix('(').and_then(|r| r.split_once(')')) {
            match value(name) {
                Some(value) => out.push_str(&value),
                None => {
                    out.push_str("$(");
                    out.push_str(name);
                    out.push(')');
                }
            }
            rest = after;
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_replaced_as_upstream_does() {
        let value = |name: &str| match name {
            "A" => Some("a".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        for (text, expected) in [
            ("$(A)", "a"),
            ("x$(A)y$(A)", "xaya"),
            ("$$(A)", "$(A)"),
            ("$$$(A)", "$a"),
            ("$(MISSING)", "$(MISSING)"),
            ("$(EMPTY)!", "!"),
            ("$(A", "$(A"),
            ("$A $", "$A $"),
            ("$(A)$(", "a$("),
            ("ü$(A)ß", "üaß"),
        ] {
            assert_eq!(expand(text, value), expected, "{text}");
        }
    }

    #[test]
    fn the_last_value_counts_and_later_ones_see_it() {
        let env = |name: &str, value| Env {
            name: name.to_owned(),
            value,
        };
        let text = |text: &str| EnvValue::Expand(text.to_owned());
        let list = [
            env("A", EnvValue::Exact("$(B)".to_owned())),
            env("B", text("$(A)-$(C)")),
            env("A", text("2")),
            env("C", text("$(A)")),
            env("IP", EnvValue::Node(NodeFact::PodIp)),
        ];
        let facts = Facts {
            pod_ip: Some("10.42.0.7".parse().unwrap()),
            host_ip: "10.0.0.1".parse().unwrap(),
            node: "n",
        };
        let resolved = resolve(&list, &facts);
        let resolved: Vec<(&str, &str)> = resolved.iter().map(|(n, v)| (&**n, &**v)).collect();
        assert_eq!(
            resolved,
            [
                ("A", "2"),
                ("B", "$(B)-$(C)"),
                ("C", "2"),
                ("IP", "10.42.0.7")
            ]
        );
    }
}
