//! A pod's volumes: what is in their files is put together here.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as k8s;
use weft_api::assignment::{EnvValue, File, FileValue, HostPath, Refusal, Volume};

use super::super::refer::{Held, held_by_map, held_by_secret};
use super::super::tokens;
use super::{Source, env, pod_security, template};
use crate::controllers::claims::LOCAL;
use crate::quantity::Quantity;

/// Permission bits of files, unless a volume says.
const MODE: i32 = 0o644;

type Files = BTreeMap<String, File>;

pub(super) fn all(source: Source<'_>) -> BTreeMap<String, Volume> {
    let volumes = source.spec.volumes.iter().flatten();
    volumes
        .map(|volume| {
            let lowered = lower(source, volume).unwrap_or_else(|message| {
                Volume::Refused(Refusal {
                    reason: "FailedMount".to_owned(),
                    message,
                })
            });
            (volume.name.clone(), lowered)
        })
        .collect()
}

fn lower(source: Source<'_>, volume: &k8s::Volume) -> Result<Volume, String> {
    if let Some(empty) = &volume.empty_dir {
        let limit = empty.size_limit.as_ref();
        let limit = limit.and_then(|limit| Quantity::parse(&limit.0).ok());
        return Ok(Volume::Empty {
            memory: empty.medium.as_deref() == Some("Memory"),
            size_limit: limit.and_then(|limit| u64::try_from(limit.whole()).ok()),
        });
    }
    if let Some(host) = &volume.host_path {
        return Ok(Volume::Host {
            path: host.path.clone(),
            kind: host_kind(host.type_.as_deref().unwrap_or_default())?,
        });
    }
    let mut files = Files::new();
    if let Some(map) = &volume.config_map {
        let mode = map.default_mode.unwrap_or(MODE);
        let is_optional = map.optional == Some(true);
        let from = config_map(source, &map.name, map.items.as_ref(), is_optional);
        add(source, &mut files, from, mode)?;
    } else if let Some(secret) = &volume.secret {
        let mode = secret.default_mode.unwrap_or(MODE);
        let is_optional = secret.optional == Some(true);
        let name = secret.secret_name.as_deref().unwrap_or_default();
        add(
            source,
            &mut files,
            of_secret(source, name, secret.items.as_ref(), is_optional),
            mode,
        )?;
    } else if let Some(downward) = &volume.downward_api {
        let mode = downward.default_mode.unwrap_or(MODE);
        add(
            source,
            &mut files,
            downward_files(source, downward.items.as_ref()),
            mode,
        )?;
    } else if let Some(projected) = &volume.projected {
        let mode = projected.default_mode.unwrap_or(MODE);
        for part in projected.sources.iter().flatten() {
            project(source, part, mode, &mut files)?;
        }
    } else if let Some(claim) = &volume.persistent_volume_claim {
        return of_claim(source, claim);
    } else {
        return Err(
            "this node does not support volumes of this kind; use emptyDir, hostPath, \
                    configMap, secret, downwardAPI, projected or persistentVolumeClaim"
                .to_owned(),
        );
    }
    Ok(Volume::Files { files })
}

fn host_kind(kind: &str) -> Result<HostPath, String> {
    Ok(match kind {
        "" => HostPath::Any,
        "DirectoryOrCreate" => HostPath::DirectoryOrCreate,
        "Directory" => HostPath::Directory,
        "FileOrCreate" => HostPath::FileOrCreate,
        "File" => HostPath::File,
        "Socket" => HostPath::Socket,
        "CharDevice" => HostPath::CharDevice,
        "BlockDevice" => HostPath::BlockDevice,
        other => return Err(format!("{other:?} is no type of a hostPath")),
    })
}

/// Path, content, and permission bits of its own.
type Parts = Vec<(String, FileValue, Option<i32>)>;

fn add(
    source: Source<'_>,
    files: &mut Files,
    parts: Result<Parts, String>,
    mode: i32,
) -> Result<(), String> {
    for (path, value, own) in parts? {
        files.insert(path, file(source, value, own.unwrap_or(mode)));
    }
    Ok(())
}

fn file(source: Source<'_>, value: FileValue, mode: i32) -> File {
    let mode = u32::try_from(mode).unwrap_or(0o644) & 0o777;
    // A pod that has a group of its own reads whatever it is given.
    let group = pod_security(source.spec).and_then(|security| security.fs_group);
    File {
        value,
        mode: mode | group.map_or(0, |_| 0o440),
        owner: None,
    }
}

/// The file of a token. As upstream: for the pod's group, or for the one user all its containers
/// are, and nobody else; where there is neither, as the volume says.
fn token(source: Source<'_>, text: String, mode: i32) -> File {
    let user = user(source.spec);
    let group = pod_security(source.spec).and_then(|security| security.fs_group);
    let mode = match user.is_some() || group.is_some() {
        true => 0o600,
        false => mode,
    };
    File {
        owner: user,
        ..file(source, FileValue::Text(text), mode)
    }
}

/// Whom all containers run as, as far as the pod says.
fn user(spec: &k8s::PodSpec) -> Option<u32> {
    let of_pod = pod_security(spec).and_then(|security| security.run_as_user);
    let of = |one: &k8s::Container| {
        let own = one.security_context.as_ref();
        own.and_then(|own| own.run_as_user).or(of_pod)
    };
    let init = spec.init_containers.iter().flatten();
    let mut users = init.chain(&spec.containers).map(of);
    let first = users.next()??;
    let is_one = users.all(|user| user == Some(first));
    u32::try_from(first).ok().filter(|_| is_one)
}

fn project(
    source: Source<'_>,
    part: &k8s::VolumeProjection,
    mode: i32,
    files: &mut Files,
) -> Result<(), String> {
    if let Some(map) = &part.config_map {
        let is_optional = map.optional == Some(true);
        let from = config_map(source, &map.name, map.items.as_ref(), is_optional);
        add(source, files, from, mode)?;
    }
    if let Some(secret) = &part.secret {
        let is_optional = secret.optional == Some(true);
        let from = of_secret(source, &secret.name, secret.items.as_ref(), is_optional);
        add(source, files, from, mode)?;
    }
    if let Some(downward) = &part.downward_api {
        let from = downward_files(source, downward.items.as_ref());
        add(source, files, from, mode)?;
    }
    if let Some(asked) = &part.service_account_token {
        let wanted = tokens::of(asked.audience.as_ref(), asked.expiration_seconds);
        let given = source.found.tokens.get(&wanted).cloned();
        let text = given.unwrap_or_else(|| Err("there is no token of its account".to_owned()))?;
        files.insert(asked.path.clone(), token(source, text, mode));
    }
    if part.cluster_trust_bundle.is_some() {
        return Err("this node does not support cluster trust bundles".to_owned());
    }
    Ok(())
}

fn config_map(
    source: Source<'_>,
    name: &str,
    items: Option<&Vec<k8s::KeyToPath>>,
    is_optional: bool,
) -> Result<Parts, String> {
    let map = source.found.config_maps.get(name);
    let value = |key: &str, held: &Held<'_>| match map {
        Some(map) => template::value(map, key, held),
        None => Ok(plain(held)),
    };
    let found = map.map(held_by_map);
    held("configmap", name, found, value, items, is_optional)
}

fn of_secret(
    source: Source<'_>,
    name: &str,
    items: Option<&Vec<k8s::KeyToPath>>,
    is_optional: bool,
) -> Result<Parts, String> {
    let found = source.found.secrets.get(name).map(held_by_secret);
    let value = |_: &str, held: &Held<'_>| Ok(plain(held));
    held("secret", name, found, value, items, is_optional)
}

fn plain(held: &Held<'_>) -> FileValue {
    match held {
        Held::Text(text) => FileValue::Text((*text).to_owned()),
        Held::Base64(text) => FileValue::Binary((*text).to_owned()),
    }
}

fn held(
    kind: &str,
    name: &str,
    found: Option<BTreeMap<&str, Held<'_>>>,
    value: impl Fn(&str, &Held<'_>) -> Result<FileValue, String>,
    items: Option<&Vec<k8s::KeyToPath>>,
    is_optional: bool,
) -> Result<Parts, String> {
    let Some(found) = found else {
        return match is_optional {
            true => Ok(Parts::new()),
            false => Err(format!("{kind} {name:?} not found")),
        };
    };
    let Some(items) = items else {
        let all = found.iter();
        return all
            .map(|(key, held)| Ok(((*key).to_owned(), value(key, held)?, None)))
            .collect();
    };
    let mut parts = Parts::new();
    for item in items {
        match found.get(&*item.key) {
            Some(held) => parts.push((item.path.clone(), value(&item.key, held)?, item.mode)),
            None if is_optional => {}
            None => {
                let key = &item.key;
                return Err(format!(
                    "{kind} {name:?} references non-existent config key: {key}"
                ));
            }
        }
    }
    Ok(parts)
}

fn downward_files(
    source: Source<'_>,
    items: Option<&Vec<k8s::DownwardAPIVolumeFile>>,
) -> Result<Parts, String> {
    let mut parts = Parts::new();
    for item in items.into_iter().flatten() {
        let value = match (&item.field_ref, &item.resource_field_ref) {
            (Some(of), _) => match env::field(source, &of.field_path)? {
                EnvValue::Exact(text) | EnvValue::Expand(text) => FileValue::Text(text),
                EnvValue::Node(fact) => FileValue::Node(fact),
            },
            (None, Some(of)) => {
                let first = source.spec.containers.first();
                let container = first.ok_or("a pod has containers")?;
                FileValue::Text(env::resource(source, container, of)?)
            }
            (None, None) => continue,
        };
        parts.push((item.path.clone(), value, item.mode));
    }
    Ok(parts)
}

fn of_claim(
    source: Source<'_>,
    claim: &k8s::PersistentVolumeClaimVolumeSource,
) -> Result<Volume, String> {
    let name = &claim.claim_name;
    let Some(found) = source.found.claims.get(name) else {
        return Err(format!("persistentvolumeclaim {name:?} not found"));
    };
    let volume = found.text(&["spec", "volumeName"]).unwrap_or_default();
    let is_bound = found.text(&["status", "phase"]) == Some("Bound");
    if volume.is_empty() || !is_bound {
        return Err(format!(
            "persistentvolumeclaim {name:?} is not bound to a volume yet"
        ));
    }
    let Some(bound) = source.found.volumes.get(volume) else {
        return Err(format!("persistentvolume {volume:?} not found"));
    };
    let path = ["local", "hostPath"].map(|kind| bound.text(&["spec", kind, "path"]));
    if let Some(path) = path.into_iter().flatten().next() {
        let kind = bound
            .text(&["spec", "hostPath", "type"])
            .unwrap_or_default();
        return Ok(Volume::Host {
            path: path.to_owned(),
            kind: host_kind(kind)?,
        });
    }
    if bound.text(&["spec", "csi", "driver"]) != Some(LOCAL) {
        return Err(format!(
            "this node does not support the kind of persistentvolume {volume:?} is; use class local, \
             hostPath or local"
        ));
    }
    Ok(Volume::Claim {
        name: volume.to_owned(),
        read_only: claim.read_only == Some(true),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::super::refer::Found;
    use super::*;
    use crate::object::Object;

    #[test]
    fn a_token_is_for_those_who_run() {
        let user = |user: i64| json!({ "securityContext": { "runAsUser": user } });
        let one = |name: &str, more: Value| {
            let mut one = json!({ "name": name });
            if let (Value::Object(one), Value::Object(more)) = (&mut one, more) {
                one.extend(more);
            }
            one
        };
        let two = |first, second| json!({ "initContainers": [one("a", first)], "containers": [one("b", second)] });
        let none = || json!({});
        for (security, spec, expected) in [
            (none(), two(none(), none()), (0o644, None)),
            (none(), two(user(7), none()), (0o644, None)),
            (none(), two(user(7), user(8)), (0o644, None)),
            (none(), two(user(7), user(7)), (0o600, Some(7))),
            (
                json!({ "runAsUser": 7 }),
                two(none(), none()),
                (0o600, Some(7)),
            ),
            (
                json!({ "runAsUser": 7 }),
                two(none(), user(8)),
                (0o644, None),
            ),
            (json!({ "fsGroup": 9 }), two(none(), none()), (0o640, None)),
            (
                json!({ "fsGroup": 9, "runAsUser": 7 }),
                two(none(), none()),
                (0o640, Some(7)),
            ),
        ] {
            let mut spec = spec;
            spec["securityContext"] = security;
            let pod: k8s::Pod = serde_json::from_value(json!({ "spec": spec })).unwrap();
            let source = Source {
                object: &Object::default(),
                pod: &pod,
                spec: pod.spec.as_ref().unwrap(),
                found: &Found::default(),
            };
            let made = token(source, "t".to_owned(), 0o644);
            assert_eq!((made.mode, made.owner), expected, "{spec}");
        }
    }
}
