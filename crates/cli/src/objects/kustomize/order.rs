//! In which order objects come out: what others need comes first.

use super::id::Resource;

const FIRST: [&str; 22] = [
    "Namespace",
    "ResourceQuota",
    "StorageClass",
    "CustomResourceDefinition",
    "ServiceAccount",
    "PodSecurityPolicy",
    "Role",
    "ClusterRole",
    "RoleBinding",
    "ClusterRoleBinding",
    "ConfigMap",
    "Secret",
    "Endpoints",
    "Service",
    "LimitRange",
    "PriorityClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "Deployment",
    "StatefulSet",
    "CronJob",
    "PodDisruptionBudget",
];
const LAST: [&str; 2] = [
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

fn rank(kind: &str) -> usize {
    let first = FIRST.iter().position(|one| *one == kind);
    let last = || {
        let at = LAST.iter().position(|one| *one == kind)?;
        Some(FIRST.len() + 1 + at)
    };
    first.or_else(last).unwrap_or(FIRST.len())
}

/// Sorts, unless they are to stay as they were read.
pub fn sort(resources: &mut [Resource], is_first_in_first_out: bool) {
    if is_first_in_first_out {
        return;
    }
    // What is not said comes after what is, as kustomize has it.
    let or = |text: String, empty: &str| match text.is_empty() {
        true => empty.to_owned(),
        false => text,
    };
    resources.sort_by_cached_key(|one| {
        let id = one.id();
        let rank = rank(&id.kind);
        let (group, version) = (or(id.group, "~G"), or(id.version, "~V"));
        let kind = format!("{group}_{version}_{}", or(id.kind, "~K"));
        (rank, kind, or(id.namespace, "~X"), id.name)
    });
}
