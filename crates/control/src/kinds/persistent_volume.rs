//! PersistentVolume: storage that outlives pods.

use k8s_openapi::api::core::v1::PersistentVolume;

use super::rules::fill::{below, made, resource_list, set, set_text};
use super::{document, label_selector, spot::Spot, storage, text};
use crate::failure::Cause;
use crate::kind::{Column, Kind, texts};
use crate::names;
use crate::object::Object;

/// Fields of the specification that say where the storage is.
const SOURCES: [&str; 22] = [
    "awsElasticBlockStore",
    "azureDisk",
    "azureFile",
    "cephfs",
    "cinder",
    "csi",
    "fc",
    "flexVolume",
    "flocker",
    "gcePersistentDisk",
    "glusterfs",
    "hostPath",
    "iscsi",
    "local",
    "nfs",
    "photonPersistentDisk",
    "portworxVolume",
    "quobyte",
    "rbd",
    "scaleIO",
    "storageos",
    "vsphereVolume",
];
const HOST_TYPES: [&str; 8] = [
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
];

pub(super) fn kind() -> Kind {
    Kind {
        short: texts(&["pv"]),
        is_namespaced: false,
        document: document::<PersistentVolume>(),
        default,
        validate,
        columns: columns(),
        has_status: true,
        ..Kind::core("PersistentVolume", "persistentvolumes", "persistentvolume")
    }
}

fn default(object: &mut Object) {
    if let Some(status) = made(&mut object.0, "status") {
        set_text(status, "phase", "Pending");
    }
    if let Some(spec) = below(&mut object.0, "spec") {
        set_text(spec, "persistentVolumeReclaimPolicy", "Retain");
        set_text(spec, "volumeMode", "Filesystem");
        resource_list(spec, "capacity");
        if let Some(source) = below(spec, "hostPath") {
            set(source, "type", "");
        }
    }
}

fn validate(object: &Object, old: Option<&Object>) -> Vec<Cause> {
    let spec = Spot::of(object, "spec");
    let mut causes = Vec::new();
    let modes = spec.field("accessModes");
    causes.extend(modes.needed(""));
    causes.extend(storage::access(&modes));
    let capacity = spec.field("capacity");
    if capacity.is_empty() {
        causes.push(capacity.required(""));
    } else if capacity.entries().len() != 1 || !capacity.key("storage").is_there() {
        let found: Vec<&str> = capacity.entries().iter().map(|(name, _)| *name).collect();
        causes.push(Cause::unsupported(
            capacity.path(),
            &found.join(", "),
            &["storage"],
        ));
    }
    for (_, size) in capacity.entries() {
        causes.extend(storage::size(&size));
    }
    sources(&spec, &mut causes);
    let policies = ["Delete", "Recycle", "Retain"];
    causes.extend(
        spec.field("persistentVolumeReclaimPolicy")
            .one_of(&policies),
    );
    causes.extend(spec.field("storageClassName").shaped(names::dns_subdomain));
    causes.extend(spec.field("volumeMode").one_of(&storage::MODES));
    causes.extend(
        spec.field("volumeAttributesClassName")
            .shaped(names::dns_subdomain),
    );
    affinity(&spec, &mut causes);
    if let Some(old) = old {
        changes(&spec, &Spot::of(old, "spec"), &mut causes);
    }
    causes
}

fn sources(spec: &Spot<'_>, causes: &mut Vec<Cause>) {
    let found = SOURCES.map(|name| spec.field(name));
    let mut found = found.iter().filter(|source| source.is_there());
    if found.next().is_none() {
        causes.push(spec.required("must specify a volume type"));
    }
    let why = "may not specify more than 1 volume type";
    causes.extend(found.map(|source| source.forbidden(why)));
    let needed: [(&str, &[&str]); 4] = [
        ("hostPath", &["path"]),
        ("local", &["path"]),
        ("nfs", &["server", "path"]),
        ("csi", &["driver", "volumeHandle"]),
    ];
    for (name, fields) in needed {
        let source = spec.field(name);
        let fields = fields.iter().filter(|_| source.is_there());
        causes.extend(fields.filter_map(|field| source.field(field).needed("")));
    }
    let host = spec.field("hostPath");
    causes.extend(host.field("type").one_of(&HOST_TYPES));
    for path in [host.field("path"), spec.field("local").field("path")] {
        if path.text().split('/').any(|part| part == "..") {
            causes.push(path.invalid("must not contain '..'"));
        }
    }
    let recycles = spec.field("persistentVolumeReclaimPolicy");
    if host.field("path").text() == "/" && recycles.text() == "Recycle" {
        let why = "may not be 'recycle' for a hostPath mount of '/'";
        causes.push(recycles.forbidden(why));
    }
    let share = spec.field("nfs").field("path");
    if !share.is_empty() && !share.text().starts_with('/') {
        causes.push(share.invalid("must be an absolute path"));
    }
}

fn affinity(spec: &Spot<'_>, causes: &mut Vec<Cause>) {
    let affinity = spec.field("nodeAffinity");
    if spec.field("local").is_there() && !affinity.is_there() {
        causes.push(affinity.required("Local volume requires node affinity"));
    }
    if !affinity.is_there() {
        return;
    }
    let required = affinity.field("required");
    causes.extend(required.needed("must specify required node constraints"));
    let terms = required.field("nodeSelectorTerms");
    if required.is_there() {
        causes.extend(terms.needed("must have at least one node selector term"));
    }
    for term in terms.items() {
        causes.extend(label_selector::check_node_term(&term));
    }
}

fn changes(spec: &Spot<'_>, old: &Spot<'_>, causes: &mut Vec<Cause>) {
    let is_other = |name: &&str| spec.field(name).value() != old.field(name).value();
    if SOURCES.iter().any(is_other) {
        let why = "spec.persistentvolumesource is immutable after creation";
        causes.push(Cause::forbidden("spec.persistentvolumesource", why));
    }
    causes.extend(spec.field("volumeMode").unchanged(&old.field("volumeMode")));
    let affinity = old.field("nodeAffinity");
    if affinity.is_there() {
        causes.extend(spec.field("nodeAffinity").unchanged(&affinity));
    }
}

fn columns() -> Vec<Column> {
    fn spec<'a>(volume: &'a Object, name: &str) -> Spot<'a> {
        Spot::of(volume, "spec").field(name)
    }
    vec![
        Column::name(),
        Column::text("Capacity", "How much it holds.", |volume| {
            storage::shown_size(&spec(volume, "capacity").key("storage")).into()
        }),
        Column::text("Access Modes", "How it can be used.", |volume| {
            storage::shown_access(&spec(volume, "accessModes")).into()
        }),
        Column::text("Reclaim Policy", "What becomes of it.", |volume| {
            text(volume, &["spec", "persistentVolumeReclaimPolicy"])
        }),
        Column::text("Status", "Whether it is free.", |volume| {
            storage::phase(volume).into()
        }),
        Column::text("Claim", "Who has it.", |volume| {
            let claim = spec(volume, "claimRef");
            let part = |name| claim.field(name).text();
            match claim.is_there() {
                true => format!("{}/{}", part("namespace"), part("name")).into(),
                false => "".into(),
            }
        }),
        Column::text("StorageClass", "Its class.", |volume| {
            text(volume, &["spec", "storageClassName"])
        }),
        Column::text("VolumeAttributesClass", "How it is tuned.", |volume| {
            storage::or_unset(&spec(volume, "volumeAttributesClassName")).into()
        }),
        Column::text("Reason", "Why it is as it is.", |volume| {
            text(volume, &["status", "reason"])
        }),
        Column::age(),
        Column::text("VolumeMode", "Files or blocks.", |volume| {
            storage::or_unset(&spec(volume, "volumeMode")).into()
        })
        .wide(),
    ]
}

#[cfg(test)]
mod tests;
