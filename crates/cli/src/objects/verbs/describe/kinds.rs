//! Which file tells of which kind.

use serde_json::Value;

use super::page::Page;
use super::related::Related;
use super::{
    access, bounds, data, event, generic, namespace, node, pod, service, storage, traffic, workload,
};

/// All that is told of an object.
pub(super) fn text(object: &Value, related: &Related) -> String {
    let mut page = Page::default();
    body(object, related, &mut page);
    if let Some(events) = related.events.as_ref().filter(|_| has_events(object)) {
        event::tell(events, &mut page);
    }
    page.finish()
}

/// `apps`, `Deployment`
fn kind(object: &Value) -> (&str, &str) {
    let version = object["apiVersion"].as_str().unwrap_or_default();
    let group = version.split_once('/').map_or("", |(group, _)| group);
    (group, object["kind"].as_str().unwrap_or_default())
}

/// kubectl tells no events of these.
fn has_events(object: &Value) -> bool {
    !matches!(
        kind(object),
        ("", "Secret" | "Namespace" | "ResourceQuota" | "LimitRange")
            | ("rbac.authorization.k8s.io", _)
            | ("networking.k8s.io", "NetworkPolicy")
    )
}

fn body(object: &Value, related: &Related, page: &mut Page) {
    match kind(object) {
        ("", "Pod") => pod::tell(object, page),
        ("", "Service") => service::tell(object, related, page),
        ("", "Node") => node::tell(object, related, page),
        ("", "ConfigMap") => data::config_map(object, page),
        ("", "Secret") => data::secret(object, page),
        ("", "Namespace") => namespace::tell(object, related, page),
        ("", "ResourceQuota") => namespace::quota(object, page),
        ("", "LimitRange") => namespace::range(object, page),
        ("", "ServiceAccount") => access::account(object, related, page),
        ("", "PersistentVolume") => storage::volume(object, page),
        ("", "PersistentVolumeClaim") => {
            storage::claim(object, true, page);
            storage::use_of_claim(object, related, page);
        }
        ("", "Endpoints") => traffic::endpoints(object, page),
        ("", "ReplicationController") => workload::replication_controller(object, related, page),
        ("apps", "Deployment") => workload::deployment(object, related, page),
        ("apps", "ReplicaSet") => workload::replica_set(object, related, page),
        ("apps", "StatefulSet") => workload::stateful_set(object, related, page),
        ("apps", "DaemonSet") => workload::daemon_set(object, related, page),
        ("batch", "Job") => workload::job(object, page),
        ("batch", "CronJob") => workload::cron_job(object, page),
        ("networking.k8s.io", "Ingress") => traffic::ingress(object, related, page),
        ("networking.k8s.io", "IngressClass") => traffic::ingress_class(object, page),
        ("networking.k8s.io", "NetworkPolicy") => traffic::policy(object, page),
        ("discovery.k8s.io", "EndpointSlice") => traffic::endpoint_slice(object, page),
        ("policy", "PodDisruptionBudget") => bounds::budget(object, page),
        ("autoscaling", "HorizontalPodAutoscaler") => bounds::autoscaler(object, page),
        ("scheduling.k8s.io", "PriorityClass") => bounds::priority(object, page),
        ("storage.k8s.io", "StorageClass") => storage::class(object, page),
        ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => access::role(object, page),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            access::binding(object, page);
        }
        _ => generic::tell(object, page),
    }
}
