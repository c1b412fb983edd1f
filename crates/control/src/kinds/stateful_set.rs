//! StatefulSet: pods with names and volumes of their own.

use k8s_openapi::api::apps::v1::StatefulSet;
use serde_json::{Value, json};

use super::pod_spec::{self, Rules, number};
use super::replica_set::counts;
use super::rules::amounts::Share;
use super::rules::fill::{below, each, made, set, set_text, text};
use super::rules::{Mistakes, Spot};
use super::{document, persistent_volume_claim};
use crate::failure::Cause;
use crate::kind::{Column, Generation, Kind, Scale, texts};
use crate::names;
use crate::object::Object;

/// Fields of the specification that can become others.
const CHANGEABLE: [&str; 7] = [
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
];

pub(super) fn kind() -> Kind {
    Kind {
        short: texts(&["sts"]),
        categories: texts(&["all"]),
        document: document::<StatefulSet>(),
        default,
        validate,
        columns: vec![
            Column::name(),
            Column::text("Ready", "How many of its pods are ready.", |object| {
                let ready = number(object, &["status", "readyReplicas"]);
                format!("{ready}/{}", number(object, &["spec", "replicas"])).into()
            }),
            Column::age(),
            pod_spec::containers(),
            pod_spec::images(),
        ],
        has_status: true,
        counted: Some(&["availableReplicas", "replicas"]),
        scale: Some(Scale::usual()),
        is_carried_out: true,
        generation: Generation::Content,
        ..Kind::of("apps", "v1", "StatefulSet", "statefulsets", "statefulset")
    }
}

fn default(object: &mut Object) {
    let Some(spec) = below(&mut object.0, "spec") else {
        return;
    };
    set(spec, "replicas", 1);
    set(spec, "revisionHistoryLimit", 10);
    set_text(spec, "podManagementPolicy", "OrderedReady");
    pod_spec::default_template(spec);
    if let Some(strategy) = made(spec, "updateStrategy") {
        set_text(strategy, "type", "RollingUpdate");
        if text(strategy, "type") == "RollingUpdate"
            && let Some(rolling) = made(strategy, "rollingUpdate")
        {
            set(rolling, "partition", 0);
        }
    }
    if let Some(policy) = made(spec, "persistentVolumeClaimRetentionPolicy") {
        set_text(policy, "whenDeleted", "Retain");
        set_text(policy, "whenScaled", "Retain");
    }
    for claim in each(spec, "volumeClaimTemplates") {
        set_text(claim, "apiVersion", "v1");
        set_text(claim, "kind", "PersistentVolumeClaim");
        pod_spec::claim(claim);
        set(claim, "status", json!({}));
        if let Some(status) = below(claim, "status") {
            set_text(status, "phase", "Pending");
        }
    }
}

fn validate(object: &Object, old: Option<&Object>) -> Vec<Cause> {
    let mut mistakes = Mistakes::default();
    counts(
        &mut mistakes,
        &Spot::of(object, "status"),
        "replicas",
        &[
            "readyReplicas",
            "currentReplicas",
            "updatedReplicas",
            "availableReplicas",
        ],
    );
    mistakes.spec(object, old, |mistakes, spec, old| {
        self::spec(mistakes, spec);
        if let Some(old) = old {
            changes(mistakes, spec, old);
        }
    });
    mistakes.into_causes()
}

fn changes(mistakes: &mut Mistakes, spec: &Spot<'_, '_>, old: &Spot<'_, '_>) {
    let names = [spec, old].map(|spec| spec.value().and_then(Value::as_object));
    let mut names = names.into_iter().flatten().flat_map(|map| map.keys());
    let is_fixed = |name: &String| !CHANGEABLE.contains(&name.as_str());
    if names.any(|name| is_fixed(name) && spec.at(name).value() != old.at(name).value()) {
        let why = "updates to statefulset spec for fields other than 'replicas', 'ordinals', \
                   'template', 'updateStrategy', 'revisionHistoryLimit', \
                   'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
        mistakes.forbidden(spec, why);
    }
}

fn spec(mistakes: &mut Mistakes, spec: &Spot<'_, '_>) {
    for name in ["replicas", "minReadySeconds", "revisionHistoryLimit"] {
        mistakes.not_negative(&spec.at(name));
    }
    let ordinals = spec.at("ordinals");
    mistakes.not_negative(&ordinals.at("start"));
    mistakes.name(&spec.at("serviceName"), names::dns_subdomain);
    let policy = spec.at("podManagementPolicy");
    if !matches!(policy.text(), "OrderedReady" | "Parallel") {
        mistakes.invalid(&policy, "must be 'OrderedReady' or 'Parallel'");
    }
    let retention = spec.at("persistentVolumeClaimRetentionPolicy");
    for name in ["whenDeleted", "whenScaled"] {
        mistakes.must_be_one_of(&retention.at(name), &["Delete", "Retain"]);
    }
    strategy(mistakes, &spec.at("updateStrategy"));
    pod_spec::selector(mistakes, spec, None, "statefulset");
    let claims = spec.at("volumeClaimTemplates");
    for claim in claims.items() {
        let meta = claim.at("metadata");
        mistakes.must_be_name(&meta.at("name"), names::dns_subdomain);
        persistent_volume_claim::spec(mistakes, &claim.at("spec"));
    }
    let list = claims.value().and_then(Value::as_array);
    let given = list.into_iter().flatten().filter_map(claim_name);
    pod_spec::template(mistakes, spec, Rules::RUNNING, given);
}

fn claim_name(claim: &Value) -> Option<&str> {
    claim.get("metadata")?.get("name")?.as_str()
}

fn strategy(mistakes: &mut Mistakes, strategy: &Spot<'_, '_>) {
    let rolling = strategy.at("rollingUpdate");
    match strategy.at("type").text() {
        "OnDelete" if rolling.is_some() => {
            mistakes.invalid(&rolling, "only allowed for updateStrategy 'RollingUpdate'");
        }
        "OnDelete" => {}
        "RollingUpdate" => {
            mistakes.not_negative(&rolling.at("partition"));
            let away = rolling.at("maxUnavailable");
            if mistakes.share_of_all(&away).is_some_and(Share::is_zero) {
                mistakes.invalid(&away, "cannot be 0");
            }
        }
        _ => mistakes.invalid(strategy, "must be 'RollingUpdate' or 'OnDelete'"),
    }
}

#[cfg(test)]
mod tests;
