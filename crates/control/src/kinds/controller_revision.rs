//! ControllerRevision: what a controller's template was at some time.

use k8s_openapi::api::apps::v1::ControllerRevision;

use super::document;
use super::pod_spec::number;
use super::rules::{Mistakes, Spot};
use crate::failure::Cause;
use crate::kind::{Column, Kind};
use crate::object::Object;

pub(super) fn kind() -> Kind {
    Kind {
        document: document::<ControllerRevision>(),
        validate,
        columns: vec![
            Column::name(),
            Column::text("Controller", "Whose it is.", |revision| {
                controller(revision).into()
            }),
            Column::text(
                "Revision",
                "Which one: later ones are larger.",
                |revision| number(revision, &["revision"]).into(),
            ),
            Column::age(),
        ],
        is_carried_out: true,
        ..Kind::of(
            "apps",
            "v1",
            "ControllerRevision",
            "controllerrevisions",
            "controllerrevision",
        )
    }
}

fn validate(object: &Object, old: Option<&Object>) -> Vec<Cause> {
    let mut mistakes = Mistakes::default();
    mistakes.not_negative(&Spot::of(object, "revision"));
    let data = Spot::of(object, "data");
    if data.value().is_none() {
        mistakes.required(&data, "data is mandatory");
    }
    if let Some(old) = old {
        mistakes.same(&data, &Spot::of(old, "data"));
    }
    mistakes.into_causes()
}

/// `daemonset.apps/web`
fn controller(revision: &Object) -> String {
    let meta = Spot::of(revision, "metadata");
    let owners = meta.at("ownerReferences");
    let mut owners = owners.items();
    let Some(owner) = owners.find(|owner| owner.at("controller").is_true()) else {
        return "<none>".to_owned();
    };
    let part = |name| owner.at(name).text();
    let kind = part("kind").to_lowercase();
    match part("apiVersion").split_once('/') {
        Some((group, _)) => format!("{kind}.{group}/{}", part("name")),
        None => format!("{kind}/{}", part("name")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::testing::{refuses, refuses_change, shows};

    #[test]
    fn its_data_is_there_and_stays() {
        let base = json!({
            "metadata": { "name": "web-1", "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "DaemonSet", "name": "web", "uid": "u", "controller": true,
            }] },
            "revision": 1,
            "data": { "spec": {} },
        });
        refuses(
            &kind(),
            &base,
            &[
                (
                    json!({ "data": null }),
                    &["data: Required value: data is mandatory"],
                ),
                (
                    json!({ "revision": -1 }),
                    &["revision: Invalid value: -1: must be greater than or equal to 0"],
                ),
            ],
        );
        refuses(&kind(), &base, &[(json!({ "revision": null }), &[])]);
        refuses_change(
            &kind(),
            &base,
            &[
                (json!({ "revision": 2 }), &[]),
                (
                    json!({ "data": { "spec": { "a": 1 } } }),
                    &["data: Invalid value: {\"spec\":{\"a\":1}}: field is immutable"],
                ),
            ],
        );
        shows(
            &kind(),
            base,
            &[
                ("NAME", "web-1"),
                ("CONTROLLER", "daemonset.apps/web"),
                ("REVISION", "1"),
            ],
        );
        let bare = json!({ "metadata": { "name": "x" }, "data": {}, "revision": 0 });
        shows(
            &kind(),
            bare,
            &[("NAME", "x"), ("CONTROLLER", "<none>"), ("REVISION", "0")],
        );
    }
}
