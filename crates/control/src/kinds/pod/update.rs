//! What of a pod may become something else: it runs already.

use serde_json::Value;

use super::super::rules::{Mistakes, Spot};

const FIXED: &str = "pod updates may not change fields other than `spec.containers[*].image`,\
                     `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,\
                     `spec.tolerations` (only additions to existing tolerations),\
                     `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was \
                     previously negative)";
/// Fields with rules of their own.
const OWN_RULES: [&str; 7] = [
    "containers",
    "initContainers",
    "activeDeadlineSeconds",
    "tolerations",
    "terminationGracePeriodSeconds",
    "schedulingGates",
    "nodeSelector",
];

/// `new` as the successor of `old`.
pub(super) fn update(mistakes: &mut Mistakes, new: &Spot<'_, '_>, old: &Spot<'_, '_>) {
    for name in ["containers", "initContainers"] {
        containers(mistakes, &new.at(name), &old.at(name));
    }
    deadline(
        mistakes,
        &new.at("activeDeadlineSeconds"),
        &old.at("activeDeadlineSeconds"),
    );
    tolerations(mistakes, &new.at("tolerations"), &old.at("tolerations"));
    let name = "terminationGracePeriodSeconds";
    let (grace, before) = (new.at(name), old.at(name));
    let is_mended = before.number().is_some_and(|n| n < 0) && grace.number() == Some(1);
    if grace.value() != before.value() && !is_mended {
        mistakes.forbidden(&grace, FIXED);
    }
    gates(mistakes, new, old);
    for name in differing(new.value(), old.value()) {
        if !OWN_RULES.contains(&name) {
            mistakes.forbidden(&new.at(name), FIXED);
        }
    }
}

/// Fields that are not alike in two objects.
fn differing<'v>(new: Option<&'v Value>, old: Option<&'v Value>) -> Vec<&'v str> {
    let fields = |value: Option<&'v Value>| value.and_then(Value::as_object).into_iter().flatten();
    let get = |value: Option<&'v Value>, name: &str| {
        value
            .and_then(|value| value.get(name))
            .filter(|value| !value.is_null())
    };
    let names = fields(new).chain(fields(old).filter(|(name, _)| get(new, name).is_none()));
    let differs = names.filter(|(name, _)| get(new, name) != get(old, name));
    differs.map(|(name, _)| name.as_str()).collect()
}

fn containers(mistakes: &mut Mistakes, new: &Spot<'_, '_>, old: &Spot<'_, '_>) {
    if new.items().count() != old.items().count() {
        mistakes.forbidden(new, "pod updates may not add or remove containers");
        return;
    }
    for (container, before) in new.items().zip(old.items()) {
        for name in differing(container.value(), before.value()) {
            if name != "image" {
                mistakes.forbidden(&container.at(name), FIXED);
            }
        }
    }
}

fn deadline(mistakes: &mut Mistakes, new: &Spot<'_, '_>, old: &Spot<'_, '_>) {
    match (new.number(), old.number()) {
        (Some(new_s), Some(old_s)) if new_s > old_s => {
            mistakes.invalid(new, "must be less than or equal to previous value");
        }
        (None, Some(_)) => {
            mistakes.invalid(new, "must not update from a positive integer to nil value");
        }
        _ => {}
    }
}

fn tolerations(mistakes: &mut Mistakes, new: &Spot<'_, '_>, old: &Spot<'_, '_>) {
    let is_like = |one: &Spot<'_, '_>, other: &Spot<'_, '_>| {
        let names = differing(one.value(), other.value());
        names.iter().all(|name| *name == "tolerationSeconds")
    };
    if !old
        .items()
        .all(|before| new.items().any(|one| is_like(&one, &before)))
    {
        let why = "existing toleration can not be modified except its tolerationSeconds";
        mistakes.forbidden(new, why);
    }
}

/// Gates only go, and while there are some the pod may be put on fewer nodes.
fn gates(mistakes: &mut Mistakes, new: &Spot<'_, '_>, old: &Spot<'_, '_>) {
    let before = old.at("schedulingGates");
    for gate in new.at("schedulingGates").items() {
        let name = gate.at("name");
        if !before
            .items()
            .any(|one| one.at("name").text() == name.text())
        {
            let why = format!(
                "only deletion is allowed, but found new scheduling gate '{}'",
                name.text()
            );
            mistakes.forbidden(&gate, &why);
        }
    }
    let (selector, was) = (new.at("nodeSelector"), old.at("nodeSelector"));
    let is_kept = was
        .entries()
        .all(|(key, value)| selector.at(key).value() == value.value());
    if selector.value() == was.value() {
        return;
    }
    if before.is_empty() {
        mistakes.forbidden(&selector, FIXED);
    } else if !is_kept {
        mistakes.invalid(
            &selector,
            "only additions to spec.nodeSelector are allowed (no mutations or deletions)",
        );
    }
}
