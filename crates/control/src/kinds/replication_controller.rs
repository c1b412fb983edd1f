//! ReplicationController: so many pods that are alike, as before there were replica sets.

use k8s_openapi::api::core::v1::ReplicationController;
use serde_json::Value;

use super::document;
use super::pod_spec::{self, Rules};
use super::replica_set::counts;
use super::rules::fill::{below, set};
use super::rules::selectors::labels_text;
use super::rules::{Mistakes, Spot};
use crate::failure::Cause;
use crate::kind::{Column, Generation, Kind, Scale, texts};
use crate::object::Object;

pub(super) fn kind() -> Kind {
    let mut columns = super::replica_set::columns();
    columns.pop();
    columns.push(
        Column::text("Selector", "Labels of its pods.", |object| {
            labels_text(object.at(&["spec", "selector"])).into()
        })
        .wide(),
    );
    Kind {
        short: texts(&["rc"]),
        categories: texts(&["all"]),
        document: document::<ReplicationController>(),
        default,
        validate,
        selectable: &[("status.replicas", &["status", "replicas"])],
        absent: &[("status.replicas", "0")],
        columns,
        has_status: true,
        counted: Some(&["replicas"]),
        scale: Some(Scale::usual()),
        is_carried_out: true,
        generation: Generation::Content,
        ..Kind::core(
            "ReplicationController",
            "replicationcontrollers",
            "replicationcontroller",
        )
    }
}

fn default(object: &mut Object) {
    let Some(spec) = below(&mut object.0, "spec") else {
        return;
    };
    set(spec, "replicas", 1);
    pod_spec::default_template(spec);
    let labels = spec
        .get("template")
        .and_then(|template| template.pointer("/metadata/labels"));
    let labels = labels.filter(|labels| !is_empty(Some(labels))).cloned();
    let Some(labels) = labels else { return };
    if is_empty(spec.get("selector")) {
        spec.insert("selector".to_owned(), labels.clone());
    }
    if is_empty(object.at(&["metadata", "labels"])) {
        object.set_meta("labels", Some(labels));
    }
}

/// Nothing, or a map of nothing.
fn is_empty(value: Option<&Value>) -> bool {
    value.is_none_or(|value| {
        value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty)
    })
}

fn validate(object: &Object, old: Option<&Object>) -> Vec<Cause> {
    let mut mistakes = Mistakes::default();
    counts(
        &mut mistakes,
        &Spot::of(object, "status"),
        "replicas",
        &["fullyLabeledReplicas", "readyReplicas", "availableReplicas"],
    );
    mistakes.spec(object, old, spec);
    mistakes.into_causes()
}

fn spec(mistakes: &mut Mistakes, spec: &Spot<'_, '_>, _: Option<&Spot<'_, '_>>) {
    mistakes.not_negative(&spec.at("replicas"));
    mistakes.not_negative(&spec.at("minReadySeconds"));
    let (selector, template) = (spec.at("selector"), spec.at("template"));
    mistakes.must_be(&selector, "");
    if !template.is_some() {
        mistakes.required(&template, "");
        return;
    }
    let meta = template.at("metadata");
    let labels = meta.at("labels");
    let label = |key: &str| labels.value()?.get(key);
    if !selector
        .entries()
        .all(|(key, wanted)| label(key) == wanted.value())
    {
        mistakes.invalid(&labels, "`selector` does not match template `labels`");
    }
    pod_spec::template(mistakes, spec, Rules::RUNNING, [].into_iter());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::testing::{cells, each_is_refused, made, template, wrong_change};

    #[test]
    fn what_its_template_is_labelled_is_what_it_selects() {
        let base = json!({ "metadata": { "name": "web" }, "spec": { "template": template() } });
        let found = made(&kind(), base.clone());
        assert_eq!(found.0["spec"]["selector"], json!({ "app": "web" }));
        assert_eq!(found.0["metadata"]["labels"], json!({ "app": "web" }));
        assert_eq!(found.0["spec"]["replicas"], 1);
        let shown = ["web", "1", "0", "0", "web", "nginx:1.27", "app=web"];
        assert_eq!(cells(&kind(), &found), shown);
        let labels = "spec.template.metadata.labels: Invalid value";
        each_is_refused(
            &kind(),
            &base,
            &[
                (
                    "/spec/replicas",
                    json!(-1),
                    "spec.replicas: Invalid value: -1",
                ),
                (
                    "/spec/template",
                    Value::Null,
                    "spec.template: Required value",
                ),
                ("/spec/selector", json!({ "app": "db" }), labels),
                (
                    "/spec/template/metadata",
                    json!({}),
                    "spec.selector: Required value",
                ),
                (
                    "/spec/template/spec/restartPolicy",
                    json!("Never"),
                    "spec.template.spec.restartPolicy: Unsupported value",
                ),
            ],
        );
        let more = json!({ "metadata": { "name": "web" }, "spec": { "replicas": 3, "template": template() } });
        assert_eq!(wrong_change(&kind(), base, more), [""; 0]);
    }
}
