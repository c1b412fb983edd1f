//! Rules for volumes.

use std::collections::BTreeMap;

use super::super::data::check_key;
use super::super::persistent_volume_claim;
use super::super::rules::{Mistakes, Spot};
use super::env::{FILE_FIELDS, field, resource};
use super::security::{descending, no_way_up};
use crate::names;

const MODE: &str = "must be a number between 0 and 0777 (octal), both inclusive";
const MODE_MAX: i64 = 0o777;
/// Least time a token is good for.
const TOKEN_S: i64 = 600;
const HOST_PATHS: [&str; 8] = [
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
];

/// Volumes by their names, with whether a claim is behind each.
pub(super) type Volumes<'v> = BTreeMap<&'v str, bool>;

/// All volumes of a pod; `known` are those that others give it.
pub(super) fn volumes<'v>(mistakes: &mut Mistakes, list: &Spot<'_, 'v>, known: &mut Volumes<'v>) {
    let mut seen = std::collections::BTreeSet::new();
    for volume in list.items() {
        if mistakes.is_full() {
            return;
        }
        let name = volume.at("name");
        mistakes.must_be_name(&name, names::dns_label);
        if !seen.insert(name.text()) {
            mistakes.duplicate(&name);
        }
        self::volume(mistakes, &volume);
        let claim = ["persistentVolumeClaim", "ephemeral"];
        let is_claim = claim.iter().any(|source| volume.at(source).is_some());
        known.insert(name.text(), is_claim);
    }
}

/// Exactly one source, and that right.
fn volume(mistakes: &mut Mistakes, volume: &Spot<'_, '_>) {
    let map = volume.value().and_then(serde_json::Value::as_object);
    let sources = map.into_iter().flatten();
    let sources = sources.filter(|(name, value)| *name != "name" && !value.is_null());
    let mut is_there = false;
    for (name, _) in sources {
        let source = volume.at(name);
        if is_there {
            mistakes.forbidden(&source, "may not specify more than 1 volume type");
            continue;
        }
        is_there = true;
        self::source(mistakes, &source, name);
    }
    if !is_there {
        mistakes.required(volume, "must specify a volume type");
    }
}

fn source(mistakes: &mut Mistakes, source: &Spot<'_, '_>, name: &str) {
    match name {
        "emptyDir" => {
            let medium = source.at("medium");
            let huge = |text: &str| text == "HugePages" || text.starts_with("HugePages-");
            if !medium.is_empty() && !huge(medium.text()) {
                mistakes.one_of(&medium, &["Memory", "HugePages"]);
            }
            mistakes.amount(&source.at("sizeLimit"));
        }
        "hostPath" => {
            mistakes.must_be(&source.at("path"), "");
            no_way_up(mistakes, &source.at("path"));
            mistakes.one_of(&source.at("type"), &HOST_PATHS);
        }
        "secret" => {
            mistakes.must_be(&source.at("secretName"), "");
            files(mistakes, source);
        }
        "configMap" => {
            mistakes.must_be(&source.at("name"), "");
            files(mistakes, source);
        }
        "downwardAPI" => {
            mode(mistakes, &source.at("defaultMode"));
            downward(mistakes, source);
        }
        "projected" => projected(mistakes, source),
        "persistentVolumeClaim" => mistakes.must_be(&source.at("claimName"), ""),
        "nfs" => {
            let path = source.at("path");
            mistakes.must_be(&source.at("server"), "");
            mistakes.must_be(&path, "");
            if !path.is_empty() && !path.text().starts_with('/') {
                mistakes.invalid(&path, "must be an absolute path");
            }
        }
        "csi" => mistakes.must_be_name(&source.at("driver"), names::dns_subdomain),
        "image" => {
            mistakes.must_be(&source.at("reference"), "");
            let policies = ["Always", "IfNotPresent", "Never"];
            mistakes.one_of(&source.at("pullPolicy"), &policies);
        }
        "ephemeral" => {
            let template = source.at("volumeClaimTemplate");
            mistakes.must_be(&template, "");
            if template.is_some() {
                persistent_volume_claim::spec(mistakes, &template.at("spec"));
            }
        }
        // The schema asks for what the others need.
        _ => {}
    }
}

/// Files made from an object's keys.
fn files(mistakes: &mut Mistakes, source: &Spot<'_, '_>) {
    mode(mistakes, &source.at("defaultMode"));
    items(mistakes, source);
}

fn items(mistakes: &mut Mistakes, source: &Spot<'_, '_>) {
    for item in source.at("items").items() {
        mistakes.must_be_name(&item.at("key"), check_key);
        file(mistakes, &item.at("path"));
        mode(mistakes, &item.at("mode"));
    }
}

fn mode(mistakes: &mut Mistakes, at: &Spot<'_, '_>) {
    mistakes.within(at, 0..=MODE_MAX, MODE);
}

/// Where a file is, in its volume.
fn file(mistakes: &mut Mistakes, path: &Spot<'_, '_>) {
    mistakes.must_be(path, "");
    descending(mistakes, path);
    if path.text().starts_with("..") {
        mistakes.invalid(path, "must not start with '..'");
    }
}

fn downward(mistakes: &mut Mistakes, source: &Spot<'_, '_>) {
    for item in source.at("items").items() {
        file(mistakes, &item.at("path"));
        mode(mistakes, &item.at("mode"));
        let (of_pod, of_container) = (item.at("fieldRef"), item.at("resourceFieldRef"));
        match (of_pod.is_some(), of_container.is_some()) {
            (true, true) => {
                let why = "fieldRef and resourceFieldRef can not be specified simultaneously";
                mistakes.invalid(&item, why);
            }
            (false, false) => {
                let why = "one of fieldRef and resourceFieldRef is required";
                mistakes.required(&of_pod, why);
            }
            _ => {}
        }
        field(mistakes, &of_pod, &FILE_FIELDS, false);
        resource(mistakes, &of_container, true);
    }
}

fn projected(mistakes: &mut Mistakes, source: &Spot<'_, '_>) {
    mode(mistakes, &source.at("defaultMode"));
    for one in source.at("sources").items() {
        let parts = one.value().and_then(serde_json::Value::as_object);
        let parts = parts
            .into_iter()
            .flatten()
            .filter(|(_, value)| !value.is_null());
        let mut found = 0;
        for (name, _) in parts {
            let part = one.at(name);
            found += 1;
            if found > 1 {
                mistakes.forbidden(&part, "may not specify more than 1 volume type per source");
                continue;
            }
            match name.as_str() {
                "secret" | "configMap" => {
                    mistakes.must_be(&part.at("name"), "");
                    items(mistakes, &part);
                }
                "downwardAPI" => downward(mistakes, &part),
                "serviceAccountToken" => {
                    let why = "may not specify a duration less than 10 minutes";
                    let age = part.at("expirationSeconds");
                    mistakes.within(&age, TOKEN_S..=1 << 32, why);
                    file(mistakes, &part.at("path"));
                }
                "clusterTrustBundle" => file(mistakes, &part.at("path")),
                _ => {}
            }
        }
        if found == 0 {
            mistakes.required(&one, "must specify a volume type");
        }
    }
}
