//! What a bundle may be.

use std::collections::BTreeSet;

use crate::failure::Cause;
use crate::kinds::spot::Spot;
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
    let mut causes = Vec::new();
    let service = spec.field("service");
    causes.extend(service.needed_shaped(names::dns_label));
    let namespace = spec.field("namespace");
    if namespace.is_there() && namespace.text() != object.meta().namespace() {
        causes.push(namespace.invalid("must be the namespace of the bundle"));
    }
    options(&spec.field("options"), &mut causes);
    causes.extend(spec.field("key").shaped(wrapped_key));
    let snapshot = spec.field("snapshot");
    if snapshot.is_there() {
        causes.extend(snapshot.field("source").needed_shaped(uri));
        causes.extend(snapshot.field("mediaType").needed_of(&[TAR]));
    }
    security(&spec.field("security"), &mut causes);
    runtime(&spec.field("runtime"), &mut causes);
    status(&Spot::of(object, "status"), &mut causes);
    if let Some(old) = old {
        causes.extend(service.unchanged(&Spot::of(old, "spec").field("service")));
    }
    causes
}

fn options(options: &Spot<'_>, causes: &mut Vec<Cause>) {
    for (key, value) in options.entries() {
        if let Err(why) = option_key(key) {
            causes.push(Cause::invalid(options.path(), key, why));
        }
        if value.text().len() > VALUE_MAX {
            // Values may be secret.
            let why = format!("must be no more than {VALUE_MAX} bytes");
            causes.push(value.forbidden(&why));
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

fn security(security: &Spot<'_>, causes: &mut Vec<Cause>) {
    for capability in security.field("extraCapabilities").items() {
        let text = capability.text();
        let upper = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
        if text.is_empty() || !text.bytes().all(upper) {
            causes.push(capability.invalid("must be a capability's name, like CAP_NET_ADMIN"));
        }
    }
    let profile = security.field("seccompProfile");
    let (kind, file) = (profile.field("type"), profile.field("localhostProfile"));
    if profile.is_there() {
        causes.extend(kind.needed_of(&["Baseline", "Localhost", "RuntimeDefault"]));
    }
    if kind.text() == "Localhost" {
        // It becomes a file name.
        causes.extend(file.needed_shaped(names::dns_subdomain));
    } else if file.is_there() {
        causes.push(file.forbidden("can only be set when `type` is 'Localhost'"));
    }
}

fn runtime(runtime: &Spot<'_>, causes: &mut Vec<Cause>) {
    for source in runtime.field("envFrom").items() {
        let all = [source.field("configMapRef"), source.field("secretRef")];
        one(&source, &all, causes);
        for reference in &all {
            causes.extend(reference.field("name").shaped(names::dns_subdomain));
        }
    }
    let mut volumes = BTreeSet::new();
    for volume in runtime.field("volumes").items() {
        let name = volume.field("name");
        causes.extend(name.needed_shaped(names::dns_label));
        causes.extend((!volumes.insert(name.text())).then(|| name.duplicate()));
        let all = [volume.field("configMap"), volume.field("secret")];
        one(&volume, &all, causes);
        causes.extend(all[0].field("name").shaped(names::dns_subdomain));
        causes.extend(all[1].field("secretName").shaped(names::dns_subdomain));
        for source in &all {
            files(source, causes);
        }
    }
    let mut places = BTreeSet::new();
    for mount in runtime.field("volumeMounts").items() {
        let (name, path) = (mount.field("name"), mount.field("mountPath"));
        if !volumes.contains(name.text()) {
            causes.push(name.invalid("is none of `volumes`"));
        }
        causes.extend(path.needed_shaped(absolute));
        causes.extend((!places.insert(path.text())).then(|| path.duplicate()));
        causes.extend(mount.field("subPath").shaped(relative));
    }
}

/// Exactly one of these has to be there.
fn one(holder: &Spot<'_>, all: &[Spot<'_>; 2], causes: &mut Vec<Cause>) {
    match all.iter().filter(|one| one.is_there()).count() {
        0 => causes.push(holder.required("must say where it comes from")),
        1 => {}
        _ => causes.push(holder.forbidden("may not come from more than one")),
    }
}

fn files(source: &Spot<'_>, causes: &mut Vec<Cause>) {
    let why = "must be between 0 and 0777 (octal), both inclusive";
    causes.extend(source.field("defaultMode").within(0..=0o777, why));
    for item in source.field("items").items() {
        causes.extend(item.field("key").needed(""));
        causes.extend(item.field("path").needed_shaped(relative));
        causes.extend(item.field("mode").within(0..=0o777, why));
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

fn status(status: &Spot<'_>, causes: &mut Vec<Cause>) {
    causes.extend(status.field("phase").one_of(&PHASES));
    for condition in status.field("conditions").items() {
        causes.extend(condition.field("type").needed_of(&CONDITIONS));
        let states = ["TRUE", "FALSE", "UNKNOWN"];
        causes.extend(condition.field("status").needed_of(&states));
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
