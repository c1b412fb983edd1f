//! Defaults of a pod's specification (Kubernetes).
//!
//! A template gets fewer than a pod: what depends on when and where a pod is made is left to then.

use serde_json::{Map, Value, json};

use super::super::rules::fill::{self, Fields, below, each, made, set, set_number, set_text, text};

/// Mode of files made from objects: 0644.
const FILE_MODE: i64 = 0o644;
/// How long a token of a projected volume is good for.
const TOKEN_S: i64 = 3600;
/// How long a pod stays on a node that is lost (DefaultTolerationSeconds).
const LOST_S: i64 = 300;

/// Fills in the template that is the field `template`.
pub(in super::super) fn template(holder: &mut Fields) {
    let template = below(holder, "template");
    if let Some(spec) = template.and_then(|template| made(template, "spec")) {
        self::spec(spec);
    }
}

/// Fills in what pods and templates have.
pub(in super::super) fn spec(spec: &mut Fields) {
    set_text(spec, "restartPolicy", "Always");
    set_text(spec, "dnsPolicy", "ClusterFirst");
    set_text(spec, "schedulerName", "default-scheduler");
    set(spec, "terminationGracePeriodSeconds", 30);
    set(spec, "securityContext", Map::new());
    account(spec);
    fill::resource_list(spec, "overhead");
    if let Some(resources) = below(spec, "resources") {
        self::resources(resources);
    }
    for name in ["containers", "initContainers", "ephemeralContainers"] {
        for container in each(spec, name) {
            self::container(container);
        }
    }
    for volume in each(spec, "volumes") {
        self::volume(volume);
    }
}

/// Fills in what only pods have; `is_new` for what is decided when one is made.
pub(in super::super) fn pod(spec: &mut Fields, is_new: bool) {
    set(spec, "enableServiceLinks", true);
    let on_host = spec.get("hostNetwork") == Some(&Value::Bool(true));
    for name in ["containers", "initContainers"] {
        for container in each(spec, name) {
            requests(container);
            for port in each(container, "ports").filter(|_| on_host) {
                if let Some(number) = port.get("containerPort").and_then(Value::as_i64) {
                    set_number(port, "hostPort", number);
                }
            }
        }
    }
    if is_new {
        set_text(spec, "serviceAccountName", "default");
        account(spec);
        tolerate_loss(spec);
    }
}

/// How long a pod stays on a node that is lost, unless it says so.
pub(in super::super) fn tolerate_loss(spec: &mut Fields) {
    for taint in [
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
    ] {
        tolerate(spec, taint);
    }
}

/// The old name of the service account says what the new one does.
fn account(spec: &mut Fields) {
    let (old, new) = (
        text(spec, "serviceAccount"),
        text(spec, "serviceAccountName"),
    );
    if new.is_empty() && !old.is_empty() {
        let old = old.to_owned();
        spec.insert("serviceAccountName".to_owned(), old.into());
    } else if old != new {
        let new = new.to_owned();
        spec.insert("serviceAccount".to_owned(), new.into());
    }
}

/// Stays for a while on a node with this taint, unless something is said of that already.
fn tolerate(spec: &mut Fields, taint: &str) {
    let is_about = |one: &Value| {
        let text = |name: &str| one.get(name).and_then(Value::as_str).unwrap_or_default();
        (text("key").is_empty() || text("key") == taint)
            && matches!(text("effect"), "" | "NoExecute")
    };
    set(spec, "tolerations", Vec::<Value>::new());
    if let Some(list) = spec.get_mut("tolerations").and_then(Value::as_array_mut)
        && !list.iter().any(is_about)
    {
        list.push(json!({
            "key": taint,
            "operator": "Exists",
            "effect": "NoExecute",
            "tolerationSeconds": LOST_S,
        }));
    }
}

fn container(container: &mut Fields) {
    let policy = pull_policy(text(container, "image"));
    set_text(container, "imagePullPolicy", policy);
    set_text(container, "terminationMessagePath", "/dev/termination-log");
    set_text(container, "terminationMessagePolicy", "File");
    if let Some(resources) = made(container, "resources") {
        self::resources(resources);
    }
    for port in each(container, "ports") {
        set_text(port, "protocol", "TCP");
    }
    for variable in each(container, "env") {
        if let Some(from) = below(variable, "valueFrom") {
            reference(from);
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if let Some(probe) = below(container, name) {
            self::probe(probe);
        }
    }
    for name in ["postStart", "preStop"] {
        if let Some(hook) = below(container, "lifecycle").and_then(|hooks| below(hooks, name)) {
            handler(hook);
        }
    }
}

/// `Always` for what may be another image tomorrow.
fn pull_policy(image: &str) -> &'static str {
    let name = image.rsplit('/').next().unwrap_or(image);
    let (name, digest) = match name.split_once('@') {
        Some((name, digest)) => (name, Some(digest)),
        None => (name, None),
    };
    match (name.split_once(':'), digest) {
        (Some((_, "latest")), _) | (None, None) => "Always",
        _ => "IfNotPresent",
    }
}

fn resources(resources: &mut Fields) {
    fill::resource_list(resources, "limits");
    fill::resource_list(resources, "requests");
}

/// What is limited and not asked for is asked for.
fn requests(container: &mut Fields) {
    let Some(resources) = below(container, "resources") else {
        return;
    };
    let Some(Value::Object(limits)) = resources.get("limits") else {
        return;
    };
    let limits = limits.clone();
    if let Some(requests) = made(resources, "requests") {
        for (name, limit) in limits {
            set(requests, &name, limit);
        }
    }
}

fn probe(probe: &mut Fields) {
    set_number(probe, "timeoutSeconds", 1);
    set_number(probe, "periodSeconds", 10);
    set_number(probe, "successThreshold", 1);
    set_number(probe, "failureThreshold", 3);
    handler(probe);
    if let Some(grpc) = below(probe, "grpc") {
        set(grpc, "service", "");
    }
}

fn handler(handler: &mut Fields) {
    if let Some(get) = below(handler, "httpGet") {
        set_text(get, "path", "/");
        set_text(get, "scheme", "HTTP");
    }
}

/// Where a value comes from: a field or a resource.
fn reference(from: &mut Fields) {
    if let Some(field) = below(from, "fieldRef") {
        set_text(field, "apiVersion", "v1");
    }
    if let Some(resource) = below(from, "resourceFieldRef") {
        set(resource, "divisor", "0");
        fill::quantity(resource, "divisor");
    }
}

fn volume(volume: &mut Fields) {
    let is_source = |(name, value): (&String, &Value)| name != "name" && !value.is_null();
    if !volume.iter().any(is_source) {
        volume.insert("emptyDir".to_owned(), Map::new().into());
    }
    for name in ["configMap", "secret", "downwardAPI", "projected"] {
        if let Some(source) = below(volume, name) {
            set(source, "defaultMode", FILE_MODE);
            items(source);
        }
    }
    for source in below(volume, "projected")
        .into_iter()
        .flat_map(|all| each(all, "sources"))
    {
        if let Some(downward) = below(source, "downwardAPI") {
            items(downward);
        }
        if let Some(token) = below(source, "serviceAccountToken") {
            set(token, "expirationSeconds", TOKEN_S);
        }
    }
    if let Some(directory) = below(volume, "emptyDir") {
        fill::quantity(directory, "sizeLimit");
    }
    if let Some(path) = below(volume, "hostPath") {
        set(path, "type", "");
    }
    if let Some(image) = below(volume, "image") {
        let policy = pull_policy(text(image, "reference"));
        set_text(image, "pullPolicy", policy);
    }
    if let Some(template) =
        below(volume, "ephemeral").and_then(|all| below(all, "volumeClaimTemplate"))
    {
        claim(template);
    }
    remote(volume);
}

fn items(source: &mut Fields) {
    for item in each(source, "items") {
        reference(item);
    }
}

/// Volumes on other machines.
fn remote(volume: &mut Fields) {
    if let Some(iscsi) = below(volume, "iscsi") {
        set_text(iscsi, "iscsiInterface", "default");
    }
    if let Some(rbd) = below(volume, "rbd") {
        set_text(rbd, "pool", "rbd");
        set_text(rbd, "user", "admin");
        set_text(rbd, "keyring", "/etc/ceph/keyring");
    }
    if let Some(disk) = below(volume, "azureDisk") {
        set(disk, "cachingMode", "ReadWrite");
        set(disk, "kind", "Shared");
        set(disk, "fsType", "ext4");
        set(disk, "readOnly", false);
    }
    if let Some(scale) = below(volume, "scaleIO") {
        set_text(scale, "storageMode", "ThinProvisioned");
        set_text(scale, "fsType", "xfs");
    }
}

/// The specification of a claim, in a volume or in a template of claims.
pub(in super::super) fn claim(claim: &mut Fields) {
    if let Some(spec) = below(claim, "spec") {
        set(spec, "volumeMode", "Filesystem");
        if let Some(wanted) = below(spec, "resources") {
            resources(wanted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_decides_whether_an_image_is_pulled_again() {
        for (image, policy) in [
            ("nginx", "Always"),
            ("nginx:latest", "Always"),
            ("host:5000/nginx", "Always"),
            ("nginx:1.27", "IfNotPresent"),
            ("host:5000/a/nginx:1", "IfNotPresent"),
            ("nginx@sha256:0123", "IfNotPresent"),
            ("nginx:1@sha256:0123", "IfNotPresent"),
        ] {
            assert_eq!(pull_policy(image), policy, "{image}");
        }
    }
}
