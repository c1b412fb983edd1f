//! What of a job may become something else.

use serde_json::Value;

use super::super::rules::{Mistakes, Spot};
use crate::object::Object;

/// Never changed.
const FIXED: [&str; 6] = [
    "selector",
    "completionMode",
    "podFailurePolicy",
    "backoffLimitPerIndex",
    "managedBy",
    "successPolicy",
];
/// What a job that has not begun may change about where its pods go.
const UNTIL_BEGUN: [&str; 4] = ["nodeSelector", "affinity", "tolerations", "schedulingGates"];

/// `spec` as what follows `old`'s.
pub(super) fn update(mistakes: &mut Mistakes, spec: &Spot<'_, '_>, old: &Object) {
    let before = Spot::of(old, "spec");
    for name in FIXED {
        mistakes.same(&spec.at(name), &before.at(name));
    }
    let (completions, at_once) = (spec.at("completions"), spec.at("parallelism"));
    let was = before.at("completions");
    // Pods with numbers may become more or fewer, all of them at once.
    let is_elastic = spec.at("completionMode").text() == "Indexed"
        && completions.is_some()
        && was.number() == before.at("parallelism").number()
        && completions.number() == at_once.number();
    if !is_elastic {
        mistakes.same(&completions, &was);
    }
    template(mistakes, spec, old, &before);
}

fn template(mistakes: &mut Mistakes, spec: &Spot<'_, '_>, old: &Object, before: &Spot<'_, '_>) {
    let (template, was) = (spec.at("template"), before.at("template"));
    let is_begun = old.at(&["status", "startTime"]).is_some();
    if is_begun || !before.at("suspend").is_true() {
        mistakes.same(&template, &was);
        return;
    }
    let is_free_meta = |name: &str| matches!(name, "labels" | "annotations");
    let is_free_spec = |name: &str| UNTIL_BEGUN.contains(&name);
    let alike = alike(&template.at("metadata"), &was.at("metadata"), is_free_meta)
        && self::alike(&template.at("spec"), &was.at("spec"), is_free_spec);
    if !alike {
        mistakes.invalid(&template, "field is immutable");
    }
}

/// Whether two objects differ in free fields only.
fn alike(new: &Spot<'_, '_>, old: &Spot<'_, '_>, is_free: impl Fn(&str) -> bool) -> bool {
    let names = [new, old].map(|spot| spot.value().and_then(Value::as_object));
    let mut names = names.into_iter().flatten().flat_map(|map| map.keys());
    names.all(|name| is_free(name) || new.at(name).value() == old.at(name).value())
}
