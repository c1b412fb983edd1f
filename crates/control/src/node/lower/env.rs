//! A container's variables: the API and services of its namespace first, then config maps and secrets
//! as a whole, then its own.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1 as k8s;
use weft_api::assignment::{Env, EnvValue, NodeFact, Refusal};

use super::super::refer::{Held, held_by_map, held_by_secret};
use super::{Source, config_error, lines, template};
use crate::object::Object;
use crate::quantity::Quantity;

pub(super) fn all(source: Source<'_>, container: &k8s::Container) -> (Vec<Env>, Option<Refusal>) {
    let mut env = Vec::new();
    let mut refused = None;
    // One of the same name in the pod's own namespace is meant before it.
    if let Some(api) = &source.found.api {
        env.extend(of_service(api));
    }
    if source.spec.enable_service_links != Some(false) {
        for service in &source.found.services {
            env.extend(of_service(service));
        }
    }
    for from in container.env_from.iter().flatten() {
        match whole(source, from) {
            Ok(more) => env.extend(more),
            Err(why) => refused = refused.or(Some(config_error(why))),
        }
    }
    for one in container.env.iter().flatten() {
        let value = match (&one.value_from, &one.value) {
            (Some(from), _) => match value_from(source, container, from) {
                Ok(Some(value)) => value,
                Ok(None) => continue,
                Err(why) => {
                    refused = refused.or(Some(config_error(why)));
                    continue;
                }
            },
            (None, text) => EnvValue::Expand(text.clone().unwrap_or_default()),
        };
        env.push(Env {
            name: one.name.clone(),
            value,
        });
    }
    (env, refused)
}

fn exact(name: String, text: String) -> Env {
    Env {
        name,
        value: EnvValue::Exact(text),
    }
}

/// `REDIS_PRIMARY_SERVICE_HOST` and its kin (Kubernetes, "Service", environment variables).
fn of_service(service: &Object) -> Vec<Env> {
    let address = service.text(&["spec", "clusterIP"]).unwrap_or_default();
    if address.is_empty() || address == "None" {
        return Vec::new();
    }
    let prefix = service.meta().name().to_ascii_uppercase().replace('-', "_");
    let ports = service
        .at(&["spec", "ports"])
        .and_then(|list| list.as_array());
    let mut env = vec![exact(format!("{prefix}_SERVICE_HOST"), address.to_owned())];
    for (index, port) in ports.into_iter().flatten().enumerate() {
        let number = port["port"].as_u64().unwrap_or(0);
        let protocol = port["protocol"].as_str().unwrap_or("TCP");
        let scheme = protocol.to_ascii_lowercase();
        let url = format!("{scheme}://{address}:{number}");
        if index == 0 {
            env.push(exact(format!("{prefix}_SERVICE_PORT"), number.to_string()));
            env.push(exact(format!("{prefix}_PORT"), url.clone()));
        }
        if let Some(name) = port["name"].as_str().filter(|name| !name.is_empty()) {
            let name = name.to_ascii_uppercase().replace('-', "_");
            let name = format!("{prefix}_SERVICE_PORT_{name}");
            env.push(exact(name, number.to_string()));
        }
        let base = format!("{prefix}_PORT_{number}_{protocol}");
        env.push(exact(base.clone(), url));
        env.push(exact(format!("{base}_PROTO"), scheme));
        env.push(exact(format!("{base}_PORT"), number.to_string()));
        env.push(exact(format!("{base}_ADDR"), address.to_owned()));
    }
    env
}

pub(super) fn text(held: &Held<'_>) -> Option<String> {
    match held {
        Held::Text(text) => Some((*text).to_owned()),
        Held::Base64(text) => String::from_utf8(STANDARD.decode(text).ok()?).ok(),
    }
}

/// All of a config map or secret.
fn whole(source: Source<'_>, from: &k8s::EnvFromSource) -> Result<Vec<Env>, String> {
    let (kind, name, optional, found) = match (&from.config_map_ref, &from.secret_ref) {
        (Some(of), _) => {
            let map = source.found.config_maps.get(&of.name);
            map.map_or(Ok(()), template::no_variable)?;
            ("configmap", &of.name, of.optional, map.map(held_by_map))
        }
        (None, Some(of)) => {
            let found = source.found.secrets.get(&of.name).map(held_by_secret);
            ("secret", &of.name, of.optional, found)
        }
        (None, None) => return Ok(Vec::new()),
    };
    let Some(found) = found else {
        return match optional {
            Some(true) => Ok(Vec::new()),
            _ => Err(format!("{kind} {name:?} not found")),
        };
    };
    let prefix = from.prefix.as_deref().unwrap_or_default();
    let pairs = found.iter().filter_map(|(key, held)| {
        // A variable cannot be called so: it is left out, as upstream does.
        let is_name = !key.is_empty() && !key.contains(['=', '\0']);
        let value = text(held).filter(|_| is_name)?;
        Some(exact(format!("{prefix}{key}"), value))
    });
    Ok(pairs.collect())
}

/// Nothing: it is optional, and not there.
fn value_from(
    source: Source<'_>,
    container: &k8s::Container,
    from: &k8s::EnvVarSource,
) -> Result<Option<EnvValue>, String> {
    if let Some(of) = &from.config_map_key_ref {
        let map = source.found.config_maps.get(&of.name);
        map.map_or(Ok(()), template::no_variable)?;
        let found = map.map(held_by_map);
        return key(
            "configmap",
            "ConfigMap",
            &of.name,
            &of.key,
            of.optional,
            found,
            source,
        );
    }
    if let Some(of) = &from.secret_key_ref {
        let found = source.found.secrets.get(&of.name).map(held_by_secret);
        return key(
            "secret",
            "Secret",
            &of.name,
            &of.key,
            of.optional,
            found,
            source,
        );
    }
    if let Some(of) = &from.field_ref {
        return field(source, &of.field_path).map(Some);
    }
    if let Some(of) = &from.resource_field_ref {
        let value = resource(source, container, of)?;
        return Ok(Some(EnvValue::Exact(value)));
    }
    Err("a source of a variable is none that this node knows".to_owned())
}

fn key(
    kind: &str,
    title: &str,
    name: &str,
    key: &str,
    optional: Option<bool>,
    found: Option<BTreeMap<&str, Held<'_>>>,
    source: Source<'_>,
) -> Result<Option<EnvValue>, String> {
    let is_optional = optional == Some(true);
    let Some(found) = found else {
        return match is_optional {
            true => Ok(None),
            false => Err(format!("{kind} {name:?} not found")),
        };
    };
    match found.get(key).and_then(text) {
        Some(value) => Ok(Some(EnvValue::Exact(value))),
        None if is_optional => Ok(None),
        None => {
            let namespace = source.object.meta().namespace();
            Err(format!(
                "couldn't find key {key} in {title} {namespace}/{name}"
            ))
        }
    }
}

/// A field of the pod (Kubernetes, "Downward API").
pub(super) fn field(source: Source<'_>, path: &str) -> Result<EnvValue, String> {
    let meta = &source.pod.metadata;
    let exact = |text: Option<&String>| EnvValue::Exact(text.cloned().unwrap_or_default());
    let of_map = |rest: &str, map: Option<&BTreeMap<String, String>>| -> Option<EnvValue> {
        let key = rest.strip_prefix("['")?.strip_suffix("']")?;
        Some(exact(map.and_then(|map| map.get(key))))
    };
    let found = match path {
        "metadata.name" => Some(exact(meta.name.as_ref())),
        "metadata.namespace" => Some(exact(meta.namespace.as_ref())),
        "metadata.uid" => Some(exact(meta.uid.as_ref())),
        "metadata.labels" => Some(EnvValue::Exact(lines(meta.labels.as_ref()))),
        "metadata.annotations" => Some(EnvValue::Exact(lines(meta.annotations.as_ref()))),
        "spec.nodeName" => Some(EnvValue::Node(NodeFact::NodeName)),
        "spec.serviceAccountName" => Some(exact(source.spec.service_account_name.as_ref())),
        "status.hostIP" | "status.hostIPs" => Some(EnvValue::Node(NodeFact::HostIp)),
        "status.podIP" | "status.podIPs" => Some(EnvValue::Node(NodeFact::PodIp)),
        _ => {
            let labels = path.strip_prefix("metadata.labels");
            let annotations = path.strip_prefix("metadata.annotations");
            labels
                .and_then(|rest| of_map(rest, meta.labels.as_ref()))
                .or_else(|| annotations.and_then(|rest| of_map(rest, meta.annotations.as_ref())))
        }
    };
    found.ok_or_else(|| format!("unsupported fieldPath: {path}"))
}

/// What a container needs or may have, in units of a divisor, rounded up. Without a limit it may have
/// all of the node.
pub(super) fn resource(
    source: Source<'_>,
    container: &k8s::Container,
    of: &k8s::ResourceFieldSelector,
) -> Result<String, String> {
    let init = source.spec.init_containers.iter().flatten();
    let mut all = init.chain(&source.spec.containers);
    let container = match &of.container_name {
        Some(name) => all
            .find(|one| one.name == *name)
            .ok_or_else(|| format!("container {name} not found"))?,
        None => container,
    };
    let (list, name) = of
        .resource
        .split_once('.')
        .ok_or_else(|| format!("unsupported container resource: {}", of.resource))?;
    let resources = container.resources.as_ref();
    let amounts = match list {
        "limits" => resources.and_then(|r| r.limits.as_ref()),
        _ => resources.and_then(|r| r.requests.as_ref()),
    };
    let amount = amounts.and_then(|amounts| amounts.get(name));
    let all = source
        .found
        .allocatable
        .get(name)
        .filter(|_| list == "limits");
    let amount = amount.map(|amount| &amount.0).or(all);
    let thousandths = |text: &str| Quantity::parse(text).map_or(0, |q| q.thousandths());
    let amount = amount.map_or(0, |amount| thousandths(amount));
    let divisor = of
        .divisor
        .as_ref()
        .map_or(1000, |divisor| thousandths(&divisor.0));
    let divisor = if divisor <= 0 { 1000 } else { divisor };
    Ok(((amount + divisor - 1) / divisor).to_string())
}
