//! `namespace`: where everything goes that has one.

use serde_json::Value;

use super::id::Resource;
use super::paths::visit;
use crate::error::CliError;

/// Puts all `resources` into `namespace`.
pub fn set(resources: &mut [Resource], namespace: &str, place: &str) -> Result<(), CliError> {
    for one in &mut *resources {
        let id = one.id();
        one.remember();
        match &*id.kind {
            "Namespace" if id.group.is_empty() => {
                one.metadata().insert("name".to_owned(), namespace.into());
            }
            "APIService" => put(&mut one.value, "spec/service", namespace),
            "CustomResourceDefinition" => {
                let path = "spec/conversion/webhook/clientConfig/service";
                put(&mut one.value, path, namespace);
            }
            "RoleBinding" | "ClusterRoleBinding" => subjects(&mut one.value, namespace),
            _ => {}
        }
        if !id.is_cluster_wide() {
            one.metadata()
                .insert("namespace".to_owned(), namespace.into());
        }
    }
    for (at, one) in resources.iter().enumerate() {
        let id = one.id();
        if resources[..at].iter().any(|other| other.is(&id)) {
            return Err(CliError::new(format!(
                "set namespace {namespace:?} as {place} says: two objects are then {id}"
            ))
            .hint("give one of them another name, or keep them in different kustomizations"));
        }
    }
    Ok(())
}

fn put(value: &mut Value, path: &str, namespace: &str) {
    visit(value, path, false, &mut |at| {
        if at.is_object() {
            at["namespace"] = namespace.into();
        }
    });
}

/// The account that every namespace has is that of the new one. Others are found by their names
/// when references are.
fn subjects(value: &mut Value, namespace: &str) {
    visit(value, "subjects[]", false, &mut |subject| {
        if subject["kind"] == "ServiceAccount" && subject["name"] == "default" {
            subject["namespace"] = namespace.into();
        }
    });
}
