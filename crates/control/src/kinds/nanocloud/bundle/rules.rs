//! What a bundle may be.

use std::collections::BTreeSet;

use crate::failure::Cause;
use crate::kinds::rules::{Mistakes, Spot};
use crate::names;
use crate::object::Object;

/// What a snapshot is.
pub(super) const TAR: &str = "application/x-tar";
const KEY_MAX: usize = 128;
const VALUE_MAX: usize = 2048;
const PHASES: [&str; 7] = [
    "PENDING",
    "VALIDATING",
    "RENDERING",
    "APPLYING",
    "READY",
    "FAILED",
    "DELETING",
];
const CONDITIONS: [&str; 4] = ["Ready", "Bound", "SecretsProvisioned", "ProfilePrepared"];

pub(super) fn validate(object: &Object, old: Option<&Object>) -> Vec<Cause> {
    let spec = Spot::of(object, "spec");
    let mut mistakes = Mistakes::default();
    let service = spec.at("service");
    mistakes.must_be_name(&service, names::dns_label);
    let namespace = spec.at("namespace");
    if namespace.is_some() && namespace.text() != object.meta().namespace() {
        mistakes.invalid(&namespace, "must be the namespace of the bundle");
    }
    options(&mut mistakes, &spec.at("options"));
    mistakes.name(&spec.at("key"), wrapped_key);
    let snapshot = spec.at("snapshot");
    if snapshot.is_some() {
        mistakes.must_be_name(&snapshot.at("source"), uri);
        mistakes.must_be_one_of(&snapshot.at("mediaType"), &[TAR]);
    }
    security(&mut mistakes, &spec.at("security"));
    runtime(&mut mistakes, &spec.at("runtime"));
    status(&mut mistakes, &Spot::of(object, "status"));
    if let Some(old) = old {
        mistakes.same(&service, &Spot::of(old, "spec").at("service"));
    }
    mistakes.into_causes()
}

fn options(mistakes: &mut Mistakes, options: &Spot<'_, '_>) {
    for (key, value) in options.entries() {
        if let Err(why) = option_key(key) {
            mistakes.invalid_as(options, key, why);
        }
        if value.text().len() > VALUE_MAX {
            // Values may be secret.
            let why = format!("must be no more than {VALUE_MAX} bytes");
            mistakes.forbidden(&value, &why);
        }
    }
}

/// Why `key` names no option.
fn option_key(key: &str) -> Result<(), &'static str> {
    let edge = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let inner = |byte: &u8| edge(byte) || b"_:.-".contains(byte);
    let bytes = key.as_bytes();
    let is_right = bytes.first().is_some_and(edge)
        && bytes.last().is_some_and(edge)
        && bytes.iter().all(inner);
    if key.len() > KEY_MAX {
        Err("must be no more than 128 bytes")
    } else if is_right {
        Ok(())
    } else {
        Err(
            "an option must consist of lower case alphanumeric characters, '_', ':', '.' or '-', \
             and must start and end with an alphanumeric character (regex used for validation is \
             '[a-z0-9]([_a-z0-9:.\\-]*[a-z0-9])?')",
        )
    }
}

fn wrapped_key(key: &str) -> Result<(), &'static str> {
    let text = key.strip_prefix("v1:").unwrap_or(key);
    let right = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    if !text.is_empty() && text.bytes().all(right) {
        Ok(())
    } else {
        Err("must be base64, with 'v1:' before it or not")
    }
}

fn uri(text: &str) -> Result<(), &'static str> {
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
    let right = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let is_right = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(right)
        && text.len() > scheme.len() + 1
        && text.bytes().all(|byte| byte.is_ascii_graphic());
    is_right
        .then_some(())
        .ok_or("must be a URI, like file:///backup.tar")
}

fn security(mistakes: &mut Mistakes, security: &Spot<'_, '_>) {
    for capability in security.at("extraCapabilities").items() {
        let text = capability.text();
        let upper = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        if text.is_empty() || !text.bytes().all(upper) {
            mistakes.invalid(
                &capability,
                "must be a capability's name, like CAP_NET_ADMIN",
            );
        }
    }
    let profile = security.at("seccompProfile");
    let (kind, file) = (profile.at("type"), profile.at("localhostProfile"));
    if profile.is_some() {
        mistakes.must_be_one_of(&kind, &["Baseline", "Localhost", "RuntimeDefault"]);
    }
    if kind.text() == "Localhost" {
        // It becomes a file name.
        mistakes.must_be_name(&file, names::dns_subdomain);
    } else if file.is_some() {
        mistakes.forbidden(&file, "can only be set when `type` is 'Localhost'");
    }
}

fn runtime(mistakes: &mut Mistakes, runtime: &Spot<'_, '_>) {
    for source in runtime.at("envFrom").items() {
        let all = [source.at("configMapRef"), source.at("secretRef")];
        one(mistakes, &source, &all);
        for reference in &all {
            mistakes.name(&reference.at("name"), names::dns_subdomain);
        }
    }
    let mut volumes = BTreeSet::new();
    for volume in runtime.at("volumes").items() {
        let name = volume.at("name");
        mistakes.must_be_name(&name, names::dns_label);
        if !volumes.insert(name.text()) {
            mistakes.duplicate(&name);
        }
        let all = [volume.at("configMap"), volume.at("secret")];
        one(mistakes, &volume, &all);
        mistakes.name(&all[0].at("name"), names::dns_subdomain);
        mistakes.name(&all[1].at("secretName"), names::dns_subdomain);
        for source in &all {
            files(mistakes, source);
        }
    }
    let mut places = BTreeSet::new();
    for mount in runtime.at("volumeMounts").items() {
        let (name, path) = (mount.at("name"), mount.at("mountPath"));
        if !volumes.contains(name.text()) {
            mistakes.invalid(&name, "is none of `volumes`");
        }
        mistakes.must_be_name(&path, absolute);
        if !places.insert(path.text()) {
            mistakes.duplicate(&path);
        }
        mistakes.name(&mount.at("subPath"), relative);
    }
}

/// Exactly one of these has to be there.
fn one(mistakes: &mut Mistakes, holder: &Spot<'_, '_>, all: &[Spot<'_, '_>; 2]) {
    match all.iter().filter(|one| one.is_some()).count() {
        0 => mistakes.required(holder, "must say where it comes from"),
        1 => {}
        _ => mistakes.forbidden(holder, "may not come from more than one"),
    }
}

fn files(mistakes: &mut Mistakes, source: &Spot<'_, '_>) {
    let why = "must be between 0 and 0777 (octal), both inclusive";
    mistakes.within(&source.at("defaultMode"), 0..=0o777, why);
    for item in source.at("items").items() {
        mistakes.must_be(&item.at("key"), "");
        mistakes.must_be_name(&item.at("path"), relative);
        mistakes.within(&item.at("mode"), 0..=0o777, why);
    }
}

fn absolute(path: &str) -> Result<(), &'static str> {
    if path.starts_with('/') && !has_parent(path) {
        Ok(())
    } else {
        Err("must be an absolute path without '..'")
    }
}

fn relative(path: &str) -> Result<(), &'static str> {
    if path.starts_with('/') || has_parent(path) {
        Err("must be a relative path without '..'")
    } else {
        Ok(())
    }
}

fn has_parent(path: &str) -> bool {
    path.split('/').any(|part| part == "..")
}

fn status(mistakes: &mut Mistakes, status: &Spot<'_, '_>) {
    mistakes.one_of(&status.at("phase"), &PHASES);
    for condition in status.at("conditions").items() {
        mistakes.must_be_one_of(&condition.at("type"), &CONDITIONS);
        let states = ["TRUE", "FALSE", "UNKNOWN"];
        mistakes.must_be_one_of(&condition.at("status"), &states);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::kind;
    use crate::kinds::testing::{refuses, refuses_change};

    fn base() -> Value {
        json!({
            "metadata": { "name": "db", "namespace": "home" },
            "spec": {
                "service": "mariadb",
                "options": { "port_db": "3306", "a:b.c-d": "" },
                "runtime": {
                    "envFrom": [{ "configMapRef": { "name": "a" } }],
                    "volumes": [{ "name": "v", "secret": { "secretName": "s", "items": [{ "key": "k", "path": "a/b" }] } }],
                    "volumeMounts": [{ "name": "v", "mountPath": "/v" }],
                },
            },
        })
    }

    #[test]
    fn options_are_named_as_images_name_them() {
        let options = |key: &str, value: &str| {
            let mut patch = json!({ "spec": { "options": {} } });
            patch["spec"]["options"][key] = value.into();
            patch
        };
        for key in ["", "-a", "a_", "A", "a=b", "a b", "ä", &"x".repeat(129)] {
            refuses(
                &kind(),
                &base(),
                &[(options(key, "x"), &["spec.options: Invalid value"])],
            );
        }
        let long = "s3cret".repeat(400);
        let why = "spec.options[a]: Forbidden: must be no more than 2048 bytes";
        refuses(
            &kind(),
            &base(),
            &[
                (options("a", &long), &[why]),
                (options(&"x".repeat(128), &"y".repeat(2048)), &[]),
            ],
        );
    }

    #[test]
    fn mistakes_are_told() {
        let spec = |spec: Value| json!({ "spec": spec });
        let security = |security: Value| json!({ "spec": { "security": security } });
        let runtime = |runtime: Value| json!({ "spec": { "runtime": runtime } });
        refuses(
            &kind(),
            &base(),
            &[
                (
                    spec(json!({ "service": null })),
                    &["spec.service: Required value"],
                ),
                (
                    spec(json!({ "service": "A" })),
                    &["spec.service: Invalid value: \"A\""],
                ),
                (
                    spec(json!({ "namespace": "work" })),
                    &[
                        "spec.namespace: Invalid value: \"work\": must be the namespace of the bundle",
                    ],
                ),
                (spec(json!({ "key": "v1:a b" })), &["spec.key: Invalid"]),
                (spec(json!({ "key": "v1:aGk=" })), &[]),
                (
                    spec(json!({ "options": { "a": 5 } })),
                    &["spec.options.a: Invalid value: number: must be of type string"],
                ),
                (
                    spec(json!({ "snapshot": { "source": "here", "mediaType": "zip" } })),
                    &[
                        "spec.snapshot.source: Invalid",
                        "spec.snapshot.mediaType: Unsupported",
                    ],
                ),
                (
                    security(json!({ "extraCapabilities": ["net admin"] })),
                    &["spec.security.extraCapabilities[0]: Invalid"],
                ),
                (
                    security(json!({ "seccompProfile": { "type": "None" } })),
                    &["spec.security.seccompProfile.type: Unsupported"],
                ),
                (
                    security(json!({ "seccompProfile": { "type": "Localhost" } })),
                    &["spec.security.seccompProfile.localhostProfile: Required"],
                ),
                (
                    security(
                        json!({ "seccompProfile": { "type": "Localhost", "localhostProfile": "../x" } }),
                    ),
                    &["spec.security.seccompProfile.localhostProfile: Invalid"],
                ),
                (
                    security(json!({ "seccompProfile": { "localhostProfile": "x" } })),
                    &[
                        "spec.security.seccompProfile.type: Required",
                        "spec.security.seccompProfile.localhostProfile: Forbidden",
                    ],
                ),
                (
                    security(
                        json!({ "seccompProfile": { "type": "Baseline", "localhostProfile": "x" } }),
                    ),
                    &["spec.security.seccompProfile.localhostProfile: Forbidden"],
                ),
                (
                    runtime(
                        json!({ "envFrom": [{}, { "configMapRef": { "name": "A" }, "secretRef": { "name": "b" } }] }),
                    ),
                    &[
                        "spec.runtime.envFrom[0]: Required",
                        "spec.runtime.envFrom[1]: Forbidden",
                        "spec.runtime.envFrom[1].configMapRef.name: Invalid",
                    ],
                ),
                (
                    runtime(
                        json!({ "volumes": [{ "name": "v", "configMap": { "name": "c", "defaultMode": 512 } }, { "name": "v", "secret": { "secretName": "S", "items": [{ "key": "", "path": "/x", "mode": -1 }] } }, { "name": "w" }] }),
                    ),
                    &[
                        "spec.runtime.volumes[0].configMap.defaultMode: Invalid value: 512",
                        "spec.runtime.volumes[1].name: Duplicate",
                        "spec.runtime.volumes[1].secret.secretName: Invalid",
                        "spec.runtime.volumes[1].secret.items[0].key: Required",
                        "spec.runtime.volumes[1].secret.items[0].path: Invalid",
                        "spec.runtime.volumes[1].secret.items[0].mode: Invalid",
                        "spec.runtime.volumes[2]: Required",
                    ],
                ),
                (
                    runtime(
                        json!({ "volumeMounts": [{ "name": "x", "mountPath": "a" }, { "name": "v", "mountPath": "/a" }, { "name": "v", "mountPath": "/a", "subPath": "../b" }] }),
                    ),
                    &[
                        "spec.runtime.volumeMounts[0].name: Invalid value: \"x\": is none of `volumes`",
                        "spec.runtime.volumeMounts[0].mountPath: Invalid",
                        "spec.runtime.volumeMounts[2].mountPath: Duplicate",
                        "spec.runtime.volumeMounts[2].subPath: Invalid",
                    ],
                ),
                (
                    json!({ "status": { "phase": "Fine", "conditions": [{ "type": "Happy", "status": "True" }] } }),
                    &[
                        "status.phase: Unsupported",
                        "status.conditions[0].type: Unsupported",
                        "status.conditions[0].status: Unsupported",
                    ],
                ),
            ],
        );
        refuses_change(
            &kind(),
            &base(),
            &[
                (spec(json!({ "start": false })), &[]),
                (
                    spec(json!({ "service": "redis" })),
                    &["spec.service: Invalid value: \"redis\": field is immutable"],
                ),
            ],
        );
    }
}
