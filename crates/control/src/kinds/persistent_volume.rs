//! PersistentVolume: storage that outlives pods.

use k8s_openapi::api::core::v1::PersistentVolume;

use super::rules::amounts::shown;
use super::rules::fill::{below, made, resource_list, set, set_text};
use super::rules::volumes::{MODES, access_text, or_unset, phase};
use super::rules::{Mistakes, Spot};
use super::{document, text};
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
        is_carried_out: true,
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
    let mut mistakes = Mistakes::default();
    mistakes.spec(object, old, spec);
    mistakes.into_causes()
}

fn spec(mistakes: &mut Mistakes, spec: &Spot<'_, '_>, old: Option<&Spot<'_, '_>>) {
    let modes = spec.at("accessModes");
    mistakes.must_be(&modes, "");
    mistakes.access_modes(&modes);
    let capacity = spec.at("capacity");
    if capacity.is_empty() {
        mistakes.required(&capacity, "");
    } else if capacity.entries().any(|(name, _)| name != "storage") {
        let found: Vec<&str> = capacity.entries().map(|(name, _)| name).collect();
        mistakes.unsupported_as(&capacity, &found.join(", "), &["storage"]);
    }
    for (_, size) in capacity.entries() {
        mistakes.size(&size);
    }
    sources(mistakes, spec);
    let policies = ["Delete", "Recycle", "Retain"];
    mistakes.one_of(&spec.at("persistentVolumeReclaimPolicy"), &policies);
    mistakes.name(&spec.at("storageClassName"), names::dns_subdomain);
    mistakes.one_of(&spec.at("volumeMode"), &MODES);
    mistakes.name(&spec.at("volumeAttributesClassName"), names::dns_subdomain);
    affinity(mistakes, spec);
    if let Some(old) = old {
        changes(mistakes, spec, old);
    }
}

fn sources(mistakes: &mut Mistakes, spec: &Spot<'_, '_>) {
    let found = SOURCES.map(|name| spec.at(name));
    let mut found = found.into_iter().filter(Spot::is_some);
    if found.next().is_none() {
        mistakes.required(spec, "must specify a volume type");
    }
    let why = "may not specify more than 1 volume type";
    for source in found {
        mistakes.forbidden(&source, why);
    }
    let needed: [(&str, &[&str]); 4] = [
        ("hostPath", &["path"]),
        ("local", &["path"]),
        ("nfs", &["server", "path"]),
        ("csi", &["driver", "volumeHandle"]),
    ];
    for (name, fields) in needed {
        let source = spec.at(name);
        for field in fields.iter().filter(|_| source.is_some()) {
            mistakes.must_be(&source.at(field), "");
        }
    }
    let (host, local, nfs) = (spec.at("hostPath"), spec.at("local"), spec.at("nfs"));
    mistakes.one_of(&host.at("type"), &HOST_TYPES);
    for path in [host.at("path"), local.at("path")] {
        if path.text().split('/').any(|part| part == "..") {
            mistakes.invalid(&path, "must not contain '..'");
        }
    }
    let recycles = spec.at("persistentVolumeReclaimPolicy");
    if host.at("path").text() == "/" && recycles.text() == "Recycle" {
        let why = "may not be 'recycle' for a hostPath mount of '/'";
        mistakes.forbidden(&recycles, why);
    }
    let share = nfs.at("path");
    if !share.is_empty() && !share.text().starts_with('/') {
        mistakes.invalid(&share, "must be an absolute path");
    }
}

fn affinity(mistakes: &mut Mistakes, spec: &Spot<'_, '_>) {
    let affinity = spec.at("nodeAffinity");
    if spec.at("local").is_some() && !affinity.is_some() {
        mistakes.required(&affinity, "Local volume requires node affinity");
    }
    if !affinity.is_some() {
        return;
    }
    let required = affinity.at("required");
    mistakes.must_be(&required, "must specify required node constraints");
    let terms = required.at("nodeSelectorTerms");
    if required.is_some() {
        mistakes.must_be(&terms, "must have at least one node selector term");
    }
    for term in terms.items() {
        mistakes.node_term(&term);
    }
}

fn changes(mistakes: &mut Mistakes, spec: &Spot<'_, '_>, old: &Spot<'_, '_>) {
    let is_other = |name: &&str| spec.at(name).value() != old.at(name).value();
    if SOURCES.iter().any(is_other) {
        let why = "spec.persistentvolumesource is immutable after creation";
        mistakes.forbidden(&spec.at("persistentvolumesource"), why);
    }
    mistakes.same(&spec.at("volumeMode"), &old.at("volumeMode"));
    let affinity = old.at("nodeAffinity");
    if affinity.is_some() {
        mistakes.same(&spec.at("nodeAffinity"), &affinity);
    }
}

fn columns() -> Vec<Column> {
    vec![
        Column::name(),
        Column::text("Capacity", "How much it holds.", |volume| {
            shown(volume.at(&["spec", "capacity", "storage"])).into()
        }),
        Column::text("Access Modes", "How it can be used.", |volume| {
            access_text(volume.at(&["spec", "accessModes"])).into()
        }),
        Column::text("Reclaim Policy", "What becomes of it.", |volume| {
            text(volume, &["spec", "persistentVolumeReclaimPolicy"])
        }),
        Column::text("Status", "Whether it is free.", |volume| {
            phase(volume).into()
        }),
        Column::text("Claim", "Who has it.", |volume| {
            let spec = Spot::of(volume, "spec");
            let claim = spec.at("claimRef");
            let part = |name| claim.at(name).text();
            match claim.is_some() {
                true => format!("{}/{}", part("namespace"), part("name")).into(),
                false => "".into(),
            }
        }),
        Column::text("StorageClass", "Its class.", |volume| {
            text(volume, &["spec", "storageClassName"])
        }),
        Column::text("VolumeAttributesClass", "How it is tuned.", |volume| {
            or_unset(volume, &["spec", "volumeAttributesClassName"]).into()
        }),
        Column::text("Reason", "Why it is as it is.", |volume| {
            text(volume, &["status", "reason"])
        }),
        Column::age(),
        Column::text("VolumeMode", "Files or blocks.", |volume| {
            or_unset(volume, &["spec", "volumeMode"]).into()
        })
        .wide(),
    ]
}

#[cfg(test)]
mod tests;
