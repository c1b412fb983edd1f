//! Rules for what a container asks for and may use.

use super::super::rules::{Mistakes, Spot};
use crate::names;

/// Resources of containers that are no one's extension.
const STANDARD: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];
const HUGE: &str = "hugepages-";

/// `claims` are the pod's, which a container may name.
pub(super) fn resources(mistakes: &mut Mistakes, at: &Spot<'_, '_>, claims: &Spot<'_, '_>) {
    let (limits, requests) = (at.at("limits"), at.at("requests"));
    for (name, limit) in limits.entries() {
        amount(mistakes, name, &limit);
    }
    for (name, request) in requests.entries() {
        let Some(wanted) = amount(mistakes, name, &request) else {
            continue;
        };
        let limit = limits.key(name);
        let most = limit
            .value()
            .and_then(|v| crate::quantity::Quantity::of(v).ok());
        match most {
            Some(most) if is_overcommitted(name) && wanted > most => {
                let why = format!("must be less than or equal to {name} limit of {most}");
                mistakes.invalid(&request, &why);
            }
            Some(most) if !is_overcommitted(name) && wanted != most => {
                mistakes.invalid(
                    &request,
                    &format!("must be equal to {name} limit of {most}"),
                );
            }
            None if !is_overcommitted(name) && !limit.is_some() => {
                let why = "Limit must be set for non overcommitable resources";
                mistakes.required(&limits, why);
            }
            _ => {}
        }
    }
    for claim in at.at("claims").items() {
        let is_there = claims
            .items()
            .any(|one| one.at("name").text() == claim.at("name").text());
        if claim.at("name").is_empty() {
            mistakes.required(&claim.at("name"), "");
        } else if !is_there {
            mistakes.not_found(&claim.at("name"));
        }
    }
}

/// A map of resources alone.
pub(super) fn list(mistakes: &mut Mistakes, at: &Spot<'_, '_>) {
    for (name, entry) in at.entries() {
        amount(mistakes, name, &entry);
    }
}

fn is_overcommitted(name: &str) -> bool {
    STANDARD.contains(&name)
}

fn amount(
    mistakes: &mut Mistakes,
    name: &str,
    at: &Spot<'_, '_>,
) -> Option<crate::quantity::Quantity> {
    let is_standard = STANDARD.contains(&name) || name.starts_with(HUGE);
    if let Err(why) = names::label_key(name) {
        mistakes.invalid(at, why);
    } else if !is_standard && !name.contains('/') {
        let why = "must be a standard resource type or fully qualified";
        mistakes.invalid(at, why);
    } else if name.starts_with("kubernetes.io/") || name.starts_with("requests.") {
        mistakes.invalid(at, "must be a standard resource for containers");
    }
    let amount = mistakes.amount(at)?;
    if !is_standard && !amount.is_whole() {
        mistakes.invalid(at, "must be an integer");
        return None;
    }
    Some(amount)
}
