//! Volumes of the cluster, claims to them, and classes of them.

use serde_json::Value;

use super::page::Page;
use super::related::Related;
use super::value::{
    ago, capital, list, lower, owner_of_kind, pairs, quantity, shown, text, texts, when,
};
use super::volume;

/// Where a class stood before there was a field.
const CLASS: &str = "volume.beta.kubernetes.io/storage-class";
/// Which class is taken where none is named, by its names.
const DEFAULT: [&str; 2] = [
    "storageclass.kubernetes.io/is-default-class",
    "storageclass.beta.kubernetes.io/is-default-class",
];
/// Ways of access, and how they are shortened.
const MODES: [(&str, &str); 4] = [
    ("ReadWriteOnce", "RWO"),
    ("ReadOnlyMany", "ROX"),
    ("ReadWriteMany", "RWX"),
    ("ReadWriteOncePod", "RWOP"),
];

pub(super) fn volume(object: &Value, page: &mut Page) {
    let (meta, spec, status) = (&object["metadata"], &object["spec"], &object["status"]);
    page.field(0, "Name", text(&meta["name"]));
    page.labels("Labels", &meta["labels"]);
    page.annotations("Annotations", &meta["annotations"]);
    finalizers(meta, page);
    page.field(0, "StorageClass", class_of(object));
    state(object, page);
    let claim = &spec["claimRef"];
    let claim = match claim.is_object() {
        true => format!("{}/{}", text(&claim["namespace"]), text(&claim["name"])),
        false => String::new(),
    };
    page.field(0, "Claim", claim);
    page.field(
        0,
        "Reclaim Policy",
        text(&spec["persistentVolumeReclaimPolicy"]),
    );
    page.field(0, "Access Modes", modes(&spec["accessModes"]));
    mode(spec, page);
    page.field(0, "Capacity", quantity(&spec["capacity"]["storage"]));
    let affinity = &spec["nodeAffinity"]["required"];
    match affinity.is_object() {
        true => {
            page.line(0, "Node Affinity:\t");
            nodes(affinity, page);
        }
        false => page.field(0, "Node Affinity", "<none>"),
    }
    page.field(0, "Message", text(&status["message"]));
    page.line(0, "Source:");
    volume::source(spec, page);
}

/// Which nodes can reach a volume.
fn nodes(affinity: &Value, page: &mut Page) {
    let terms = list(&affinity["nodeSelectorTerms"]);
    if terms.is_empty() {
        return page.field(1, "Required Terms", "<none>");
    }
    page.line(1, "Required Terms:\t");
    for (at, term) in terms.iter().enumerate() {
        let rules = list(&term["matchExpressions"]).iter();
        let rules = rules.map(|rule| with_values(&lower(&rule["operator"]), rule));
        page.below(&format!("    Term {at}"), &rules.collect::<Vec<_>>());
    }
}

/// `key in [a, b]`
fn with_values(operator: &str, rule: &Value) -> String {
    let said = format!("{} {operator}", text(&rule["key"]));
    match texts(&rule["values"]) {
        none if none.is_empty() => said,
        values => format!("{said} [{}]", values.join(", ")),
    }
}

/// All of a claim, or what is known of one that is yet to be made.
pub(super) fn claim(object: &Value, is_whole: bool, page: &mut Page) {
    let (meta, spec, status) = (&object["metadata"], &object["spec"], &object["status"]);
    if is_whole {
        page.field(0, "Name", text(&meta["name"]));
        page.field(0, "Namespace", text(&meta["namespace"]));
    }
    page.field(0, "StorageClass", class_of(object));
    if is_whole {
        state(object, page);
    }
    let volume = text(&spec["volumeName"]);
    page.field(0, "Volume", &volume);
    page.labels("Labels", &meta["labels"]);
    page.annotations("Annotations", &meta["annotations"]);
    if is_whole {
        finalizers(meta, page);
    }
    let (capacity, modes) = match volume.is_empty() {
        true => (String::new(), String::new()),
        false => {
            let capacity = quantity(&status["capacity"]["storage"]).to_string();
            (capacity, modes(&status["accessModes"]))
        }
    };
    page.field(0, "Capacity", capacity);
    page.field(0, "Access Modes", modes);
    mode(spec, page);
    let source = &spec["dataSource"];
    if source.is_object() {
        page.line(0, "DataSource:");
        if source["apiGroup"].is_string() {
            page.field(1, "APIGroup", text(&source["apiGroup"]));
        }
        page.field(1, "Kind", text(&source["kind"]));
        page.field(1, "Name", text(&source["name"]));
    }
}

/// Which pods use a claim, and what holds of it.
pub(super) fn use_of_claim(object: &Value, related: &Related, page: &mut Page) {
    let name = &object["metadata"]["name"];
    let owners: Vec<&Value> = owner_of_kind(object, "Pod")
        .map(|owner| &owner["uid"])
        .collect();
    let uses = |pod: &&Value| {
        let mut volumes = list(&pod["spec"]["volumes"]).iter();
        owners.contains(&&pod["metadata"]["uid"])
            || volumes.any(|volume| volume["persistentVolumeClaim"]["claimName"] == *name)
    };
    let pods = related.of("pods").iter().filter(uses);
    let mut pods: Vec<String> = pods.map(|pod| text(&pod["metadata"]["name"])).collect();
    pods.sort();
    page.below("Used By", &pods);
    let conditions = list(&object["status"]["conditions"]);
    if conditions.is_empty() {
        return;
    }
    page.line(0, "Conditions:");
    page.line(
        1,
        "Type\tStatus\tLastProbeTime\tLastTransitionTime\tReason\tMessage",
    );
    page.line(
        1,
        "----\t------\t-----------------\t------------------\t------\t-------",
    );
    for one in conditions {
        let [kind, status, reason, message] =
            ["type", "status", "reason", "message"].map(|field| text(&one[field]));
        let (probed, changed) = (
            when(&one["lastProbeTime"]),
            when(&one["lastTransitionTime"]),
        );
        let line = format!("{kind} \t{status} \t{probed} \t{changed} \t{reason} \t{message}");
        page.line(1, line);
    }
}

pub(super) fn class(object: &Value, page: &mut Page) {
    let meta = &object["metadata"];
    page.field(0, "Name", text(&meta["name"]));
    let is_default = DEFAULT
        .iter()
        .any(|name| meta["annotations"][*name] == "true");
    page.field(0, "IsDefaultClass", if is_default { "Yes" } else { "No" });
    page.field(0, "Annotations", pairs(&meta["annotations"]));
    page.field(0, "Provisioner", text(&object["provisioner"]));
    page.field(0, "Parameters", pairs(&object["parameters"]));
    let grows = object["allowVolumeExpansion"].as_bool();
    page.field(0, "AllowVolumeExpansion", grows.map_or("<unset>", capital));
    match &texts(&object["mountOptions"])[..] {
        [] => page.field(0, "MountOptions", "<none>"),
        options => {
            page.line(0, "MountOptions:");
            for option in options {
                page.line(1, option);
            }
        }
    }
    for (title, field) in [
        ("ReclaimPolicy", "reclaimPolicy"),
        ("VolumeBindingMode", "volumeBindingMode"),
    ] {
        if object[field].is_string() {
            page.field(0, title, text(&object[field]));
        }
    }
    let places = list(&object["allowedTopologies"]);
    if !places.is_empty() {
        page.line(0, "AllowedTopologies:\t");
    }
    for (at, place) in places.iter().enumerate() {
        let rules = list(&place["matchLabelExpressions"]).iter();
        let rules = rules.map(|rule| with_values("in", rule));
        page.below(&format!("  Term {at}"), &rules.collect::<Vec<_>>());
    }
}

/// The class of a volume or claim.
pub(super) fn class_of(object: &Value) -> String {
    let old = &object["metadata"]["annotations"][CLASS];
    match old.is_string() {
        true => text(old),
        false => text(&object["spec"]["storageClassName"]),
    }
}

fn finalizers(meta: &Value, page: &mut Page) {
    let all = match &meta["finalizers"] {
        Value::Null => "[]".to_owned(),
        all => shown(all),
    };
    page.field(0, "Finalizers", all);
}

fn state(object: &Value, page: &mut Page) {
    let ends = &object["metadata"]["deletionTimestamp"];
    match ends.is_string() {
        true => page.field(
            0,
            "Status",
            format_args!("Terminating (lasts {})", ago(ends)),
        ),
        false => page.field(0, "Status", text(&object["status"]["phase"])),
    }
}

fn mode(spec: &Value, page: &mut Page) {
    if spec["volumeMode"].is_string() {
        page.field(0, "VolumeMode", text(&spec["volumeMode"]));
    }
}

/// `RWO,ROX`
fn modes(modes: &Value) -> String {
    let has = |name: &str| list(modes).iter().any(|mode| mode == name);
    let short = MODES.iter().filter(|(name, _)| has(name));
    let short: Vec<&str> = short.map(|(_, short)| *short).collect();
    short.join(",")
}
