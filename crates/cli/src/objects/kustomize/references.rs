//! References to objects by name: they follow when the object gets another.

use serde_json::Value;

use super::id::{Id, Resource};
use super::paths::{pod_spec, visit};
use crate::error::CliError;

/// Kind meant, kind that refers (`*`: all with pods) and where: below the pod's spec for those.
const FIELDS: [(&str, &str, &str); 57] = [
    ("ConfigMap", "*", "volumes[]/configMap/name"),
    (
        "ConfigMap",
        "*",
        "volumes[]/projected/sources[]/configMap/name",
    ),
    (
        "ConfigMap",
        "*",
        "containers[]/env[]/valueFrom/configMapKeyRef/name",
    ),
    ("ConfigMap", "*", "containers[]/envFrom[]/configMapRef/name"),
    (
        "ConfigMap",
        "*",
        "initContainers[]/env[]/valueFrom/configMapKeyRef/name",
    ),
    (
        "ConfigMap",
        "*",
        "initContainers[]/envFrom[]/configMapRef/name",
    ),
    ("ConfigMap", "Node", "spec/configSource/configMap/name"),
    ("Secret", "*", "volumes[]/secret/secretName"),
    ("Secret", "*", "volumes[]/projected/sources[]/secret/name"),
    (
        "Secret",
        "*",
        "containers[]/env[]/valueFrom/secretKeyRef/name",
    ),
    ("Secret", "*", "containers[]/envFrom[]/secretRef/name"),
    (
        "Secret",
        "*",
        "initContainers[]/env[]/valueFrom/secretKeyRef/name",
    ),
    ("Secret", "*", "initContainers[]/envFrom[]/secretRef/name"),
    ("Secret", "*", "imagePullSecrets[]/name"),
    ("Secret", "*", "volumes[]/azureFile/secretName"),
    ("Secret", "*", "volumes[]/cephfs/secretRef/name"),
    ("Secret", "*", "volumes[]/csi/nodePublishSecretRef/name"),
    ("Secret", "*", "volumes[]/flexVolume/secretRef/name"),
    ("Secret", "*", "volumes[]/iscsi/secretRef/name"),
    ("Secret", "*", "volumes[]/rbd/secretRef/name"),
    ("Secret", "*", "volumes[]/scaleIO/secretRef/name"),
    ("Secret", "*", "volumes[]/storageos/secretRef/name"),
    ("Secret", "ServiceAccount", "imagePullSecrets[]/name"),
    ("Secret", "ServiceAccount", "secrets[]/name"),
    ("Secret", "Ingress", "spec/tls[]/secretName"),
    (
        "Secret",
        "PersistentVolume",
        "spec/csi/controllerPublishSecretRef/name",
    ),
    (
        "Secret",
        "PersistentVolume",
        "spec/csi/nodePublishSecretRef/name",
    ),
    (
        "Secret",
        "PersistentVolume",
        "spec/csi/nodeStageSecretRef/name",
    ),
    ("ServiceAccount", "*", "serviceAccountName"),
    ("ServiceAccount", "*", "serviceAccount"),
    (
        "PersistentVolumeClaim",
        "*",
        "volumes[]/persistentVolumeClaim/claimName",
    ),
    ("PriorityClass", "*", "priorityClassName"),
    ("Service", "StatefulSet", "spec/serviceName"),
    (
        "Service",
        "Ingress",
        "spec/rules[]/http/paths[]/backend/service/name",
    ),
    (
        "Service",
        "Ingress",
        "spec/rules[]/http/paths[]/backend/serviceName",
    ),
    ("Service", "Ingress", "spec/defaultBackend/service/name"),
    ("Service", "Ingress", "spec/backend/serviceName"),
    ("IngressClass", "Ingress", "spec/ingressClassName"),
    (
        "PersistentVolume",
        "PersistentVolumeClaim",
        "spec/volumeName",
    ),
    (
        "PersistentVolumeClaim",
        "PersistentVolume",
        "spec/claimRef/name",
    ),
    (
        "PersistentVolumeClaim",
        "PersistentVolumeClaim",
        "spec/dataSource/name",
    ),
    ("StorageClass", "PersistentVolume", "spec/storageClassName"),
    (
        "StorageClass",
        "PersistentVolumeClaim",
        "spec/storageClassName",
    ),
    (
        "StorageClass",
        "StatefulSet",
        "spec/volumeClaimTemplates[]/spec/storageClassName",
    ),
    (
        "Deployment",
        "HorizontalPodAutoscaler",
        "spec/scaleTargetRef/name",
    ),
    (
        "ReplicaSet",
        "HorizontalPodAutoscaler",
        "spec/scaleTargetRef/name",
    ),
    (
        "ReplicationController",
        "HorizontalPodAutoscaler",
        "spec/scaleTargetRef/name",
    ),
    (
        "StatefulSet",
        "HorizontalPodAutoscaler",
        "spec/scaleTargetRef/name",
    ),
    ("Role", "RoleBinding", "roleRef/name"),
    ("ClusterRole", "RoleBinding", "roleRef/name"),
    ("ClusterRole", "ClusterRoleBinding", "roleRef/name"),
    ("ServiceAccount", "RoleBinding", "subjects[]"),
    ("ServiceAccount", "ClusterRoleBinding", "subjects[]"),
    ("Service", "APIService", "spec/service"),
    (
        "Service",
        "MutatingWebhookConfiguration",
        "webhooks[]/clientConfig/service",
    ),
    (
        "Service",
        "ValidatingWebhookConfiguration",
        "webhooks[]/clientConfig/service",
    ),
    (
        "Service",
        "ValidatingAdmissionPolicyBinding",
        "spec/paramRef/name",
    ),
];

/// Fields beside which it is said of which kind the one meant is.
const SAID: [&str; 2] = ["roleRef", "spec/scaleTargetRef"];

/// An object by all its names, and what it is called now.
struct Named {
    ids: Vec<Id>,
    now: Id,
    prefixes: Vec<String>,
    suffixes: Vec<String>,
}

/// Makes all references name what is called otherwise now.
pub fn fix(resources: &mut [Resource]) -> Result<(), CliError> {
    let named: Vec<Named> = resources
        .iter()
        .map(|one| Named {
            ids: one.ids().collect(),
            now: one.id(),
            prefixes: one.prefixes.clone(),
            suffixes: one.suffixes.clone(),
        })
        .collect();
    for (one, from) in resources.iter_mut().zip(&named) {
        let kind = from.now.kind.clone();
        let pods = pod_spec(&kind);
        for (meant, owner, field) in FIELDS {
            let path = match (owner, &pods) {
                ("*", Some(pods)) => format!("{pods}/{field}"),
                (owner, _) if owner == kind => field.to_owned(),
                _ => continue,
            };
            let said = SAID
                .iter()
                .find(|said| path.starts_with(&format!("{said}/")));
            if let Some(said) = said {
                let mut is_other = true;
                visit(&mut one.value, said, false, &mut |at| {
                    is_other = at["kind"] != meant
                });
                if is_other {
                    continue;
                }
            }
            let mut failed = None;
            visit(&mut one.value, &path, false, &mut |at| {
                if let Err(error) = replace(at, meant, from, &named) {
                    failed.get_or_insert(error);
                }
            });
            if let Some(error) = failed {
                return Err(error);
            }
        }
        if ["Role", "ClusterRole"].contains(&&*kind) {
            rules(&mut one.value, from, &named)?;
        }
    }
    Ok(())
}

/// Names in rules about secrets and config maps.
fn rules(value: &mut Value, from: &Named, all: &[Named]) -> Result<(), CliError> {
    for rule in list(value, "rules") {
        let is_of = |rule: &Value, plural: &str| {
            let mut resources = rule["resources"].as_array().into_iter().flatten();
            resources.any(|one| one == plural)
        };
        for (kind, plural) in [("ConfigMap", "configmaps"), ("Secret", "secrets")] {
            if is_of(rule, plural) {
                for name in list(rule, "resourceNames") {
                    replace(name, kind, from, all)?;
                }
            }
        }
    }
    Ok(())
}

/// The elements of the list `name`, if there is one.
fn list<'a>(value: &'a mut Value, name: &str) -> impl Iterator<Item = &'a mut Value> {
    let found = value.get_mut(name).and_then(Value::as_array_mut);
    found.into_iter().flatten()
}

/// Replaces a name, or name and namespace of a reference that has both.
fn replace(at: &mut Value, kind: &str, from: &Named, all: &[Named]) -> Result<(), CliError> {
    match at {
        Value::String(name) => {
            if let Some(found) = meant(name, kind, None, from, all)? {
                *at = found.name.as_str().into();
            }
        }
        Value::Object(map) => {
            let text = |name: &str| map.get(name).and_then(Value::as_str).map(str::to_owned);
            if kind == "ServiceAccount" && text("kind").as_deref() != Some(kind) {
                return Ok(());
            }
            let Some(name) = text("name") else {
                return Ok(());
            };
            let space = text("namespace").unwrap_or_default();
            if let Some(found) = meant(&name, kind, Some(&space), from, all)? {
                map.insert("name".to_owned(), found.name.as_str().into());
                if !found.namespace.is_empty() {
                    map.insert("namespace".to_owned(), found.namespace.as_str().into());
                }
            }
        }
        _ => {}
    }
    Ok(())
}

/// What the one of `kind` that is, or was, called `name` is called now.
fn meant<'a>(
    name: &str,
    kind: &str,
    space: Option<&str>,
    from: &Named,
    all: &'a [Named],
) -> Result<Option<&'a Id>, CliError> {
    let was = |one: &&Named| {
        one.now.kind == kind
            && one.ids.iter().any(|id| {
                let is_there = space.is_none_or(|space| space.is_empty() || id.space() == space);
                id.name == name && is_there
            })
    };
    let mut found: Vec<&Named> = all.iter().filter(was).collect();
    if space.is_none() && !from.now.is_cluster_wide() {
        found.retain(|one| one.now.is_cluster_wide() || one.now.space() == from.now.space());
    }
    let narrower = |found: &[&'a Named], is_nearer: &dyn Fn(&Named) -> bool| -> Vec<&'a Named> {
        let near = found.iter().copied().filter(|one| is_nearer(one));
        let near: Vec<&Named> = near.collect();
        match near.is_empty() {
            true => found.to_vec(),
            false => near,
        }
    };
    if found.len() > 1 {
        // Those that went the same way, of bases that are used more than once.
        found = narrower(&found, &|one| {
            one.prefixes == from.prefixes && one.suffixes == from.suffixes
        });
        found = narrower(&found, &|one| {
            one.ids.first().is_some_and(|id| id.name == name)
        });
    }
    let Some(first) = found.first() else {
        return Ok(None);
    };
    let is_same =
        |one: &&Named| one.now.name == first.now.name && one.now.space() == first.now.space();
    match found.iter().all(is_same) {
        true => Ok(Some(&first.now)),
        false => {
            let names: Vec<String> = found.iter().map(|one| one.now.to_string()).collect();
            Err(CliError::new(format!(
                "fix references of {}: {kind} {name:?} is one of {}",
                from.now,
                names.join(", ")
            ))
            .hint("refer to it by the name it has in its own base, or give it another"))
        }
    }
}
