//! Lease: who holds something for how long.

use k8s_openapi::api::coordination::v1::Lease;

use super::rules::{Mistakes, Spot};
use super::{document, text};
use crate::failure::Cause;
use crate::kind::{Column, Kind};
use crate::object::Object;

pub(super) fn kind() -> Kind {
    Kind {
        document: document::<Lease>(),
        validate,
        columns: vec![
            Column::name(),
            Column::text("Holder", "Who holds it.", |lease| {
                text(lease, &["spec", "holderIdentity"])
            }),
            Column::age(),
        ],
        is_carried_out: true,
        is_made_by_put: true,
        is_seen_first: true,
        ..Kind::of("coordination.k8s.io", "v1", "Lease", "leases", "lease")
    }
}

fn validate(lease: &Object, _: Option<&Object>) -> Vec<Cause> {
    let spec = Spot::of(lease, "spec");
    let mut mistakes = Mistakes::default();
    let duration = spec.at("leaseDurationSeconds");
    mistakes.within(&duration, 1..=i64::MAX, "must be greater than 0");
    mistakes.not_negative(&spec.at("leaseTransitions"));
    let preferred = spec.at("preferredHolder");
    if !preferred.is_empty() && spec.at("strategy").is_empty() {
        mistakes.forbidden(
            &preferred,
            "may only be specified when `strategy` is defined",
        );
    }
    mistakes.into_causes()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::testing::{refuses, shows};

    #[test]
    fn durations_are_positive() {
        let base = json!({
            "metadata": { "name": "a" },
            "spec": { "holderIdentity": "me", "leaseDurationSeconds": 15, "leaseTransitions": 0 },
        });
        refuses(
            &kind(),
            &base,
            &[
                (
                    json!({ "spec": { "leaseDurationSeconds": 0 } }),
                    &["spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0"],
                ),
                (
                    json!({ "spec": { "leaseTransitions": -1 } }),
                    &[
                        "spec.leaseTransitions: Invalid value: -1: must be greater than or equal to 0",
                    ],
                ),
                (
                    json!({ "spec": { "preferredHolder": "you" } }),
                    &["spec.preferredHolder: Forbidden: may only be specified when"],
                ),
                (
                    json!({ "spec": { "renewTime": "soon" } }),
                    &["spec.renewTime: Invalid value"],
                ),
            ],
        );
        shows(&kind(), base, &[("NAME", "a"), ("HOLDER", "me")]);
    }
}
