//! Lease: who holds something for how long.

use k8s_openapi::api::coordination::v1::Lease;

use super::{document, spot::Spot, text};
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
    let mut causes = Vec::new();
    let duration = spec.field("leaseDurationSeconds");
    causes.extend(duration.within(1..=i64::MAX, "must be greater than 0"));
    causes.extend(spec.field("leaseTransitions").at_least(0));
    let preferred = spec.field("preferredHolder");
    if !preferred.is_empty() && spec.field("strategy").is_empty() {
        causes.push(preferred.forbidden("may only be specified when `strategy` is defined"));
    }
    causes
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
