//! Rules for where a pod may be put: node labels, affinity, tolerations, spreading.

use std::collections::BTreeSet;

use super::super::rules::{Mistakes, Spot};
use crate::names;

const WEIGHT: &str = "must be in the range 1-100";
const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

/// All of it.
pub(super) fn placement(mistakes: &mut Mistakes, spec: &Spot<'_, '_>) {
    mistakes.labels(&spec.at("nodeSelector"));
    mistakes.name(&spec.at("nodeName"), names::dns_subdomain);
    let affinity = spec.at("affinity");
    node_affinity(mistakes, &affinity.at("nodeAffinity"));
    for name in ["podAffinity", "podAntiAffinity"] {
        pod_affinity(mistakes, &affinity.at(name));
    }
    for toleration in spec.at("tolerations").items() {
        self::toleration(mistakes, &toleration);
    }
    spread(mistakes, &spec.at("topologySpreadConstraints"));
}

fn node_affinity(mistakes: &mut Mistakes, affinity: &Spot<'_, '_>) {
    let required = affinity.at(REQUIRED);
    if required.is_some() {
        let terms = required.at("nodeSelectorTerms");
        mistakes.must_be(&terms, "must have at least one node selector term");
        for term in terms.items() {
            mistakes.node_term(&term);
        }
    }
    for preferred in affinity.at(PREFERRED).items() {
        weight(mistakes, &preferred);
        mistakes.node_term(&preferred.at("preference"));
    }
}

fn weight(mistakes: &mut Mistakes, preferred: &Spot<'_, '_>) {
    mistakes.within(&preferred.at("weight"), 1..=100, WEIGHT);
}

fn pod_affinity(mistakes: &mut Mistakes, affinity: &Spot<'_, '_>) {
    for term in affinity.at(REQUIRED).items() {
        pod_term(mistakes, &term);
    }
    for preferred in affinity.at(PREFERRED).items() {
        weight(mistakes, &preferred);
        pod_term(mistakes, &preferred.at("podAffinityTerm"));
    }
}

fn pod_term(mistakes: &mut Mistakes, term: &Spot<'_, '_>) {
    mistakes.label_selector(&term.at("labelSelector"));
    mistakes.label_selector(&term.at("namespaceSelector"));
    for namespace in term.at("namespaces").items() {
        mistakes.must_be_name(&namespace, names::dns_label);
    }
    topology(mistakes, &term.at("topologyKey"));
    for name in ["matchLabelKeys", "mismatchLabelKeys"] {
        label_keys(mistakes, &term.at(name), &term.at("labelSelector"));
    }
}

fn topology(mistakes: &mut Mistakes, key: &Spot<'_, '_>) {
    mistakes.must_be(key, "can not be empty");
    mistakes.name(key, names::label_key);
}

/// Keys whose values are taken from the pod itself; they add to a selector.
fn label_keys(mistakes: &mut Mistakes, keys: &Spot<'_, '_>, selector: &Spot<'_, '_>) {
    if !keys.is_empty() && !selector.is_some() {
        mistakes.forbidden(keys, "must not be specified when labelSelector is not set");
    }
    for key in keys.items() {
        mistakes.must_be_name(&key, names::label_key);
    }
}

fn toleration(mistakes: &mut Mistakes, toleration: &Spot<'_, '_>) {
    let (key, operator) = (toleration.at("key"), toleration.at("operator"));
    let (value, effect) = (toleration.at("value"), toleration.at("effect"));
    mistakes.name(&key, names::label_key);
    if key.is_empty() && operator.text() != "Exists" {
        let why = "operator must be Exists when `key` is empty, which means \"match all values \
                   and all keys\"";
        mistakes.invalid(&operator, why);
    }
    if toleration.at("tolerationSeconds").is_some() && effect.text() != "NoExecute" {
        let why = "effect must be 'NoExecute' when `tolerationSeconds` is set";
        mistakes.invalid(&effect, why);
    }
    match operator.text() {
        "" | "Equal" => mistakes.name(&value, names::label_value),
        "Exists" if !value.is_empty() => {
            mistakes.invalid(&operator, "value must be empty when `operator` is 'Exists'");
        }
        "Exists" => {}
        _ => mistakes.unsupported(&operator, &["Equal", "Exists"]),
    }
    if !effect.is_empty() {
        mistakes.one_of(&effect, &["NoSchedule", "PreferNoSchedule", "NoExecute"]);
    }
}

fn spread(mistakes: &mut Mistakes, constraints: &Spot<'_, '_>) {
    let mut seen = BTreeSet::new();
    for constraint in constraints.items() {
        let when = constraint.at("whenUnsatisfiable");
        let key = constraint.at("topologyKey");
        mistakes.positive(&constraint.at("maxSkew"));
        topology(mistakes, &key);
        mistakes.must_be_one_of(&when, &["DoNotSchedule", "ScheduleAnyway"]);
        let least = constraint.at("minDomains");
        mistakes.positive(&least);
        if least.is_some() && when.text() != "DoNotSchedule" {
            let why = format!(
                "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {}",
                when.text()
            );
            mistakes.invalid(&least, &why);
        }
        for name in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            mistakes.one_of(&constraint.at(name), &["Honor", "Ignore"]);
        }
        let selector = constraint.at("labelSelector");
        mistakes.label_selector(&selector);
        label_keys(mistakes, &constraint.at("matchLabelKeys"), &selector);
        if !seen.insert((key.text(), when.text())) {
            mistakes.duplicate_of(&constraint, &format!("{{{}, {}}}", key.text(), when.text()));
        }
    }
}
