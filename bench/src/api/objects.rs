//! The objects of the load.

use anyhow::Result;
use bytes::Bytes;
use futures_util::future::try_join_all;
use http::Method;
use serde_json::json;

use crate::client::Client;
use crate::server::Server;

/// Where ConfigMaps are.
pub const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";
/// Where pods are.
pub const PODS: &str = "/api/v1/namespaces/default/pods";

/// Clients that fill a server.
const CLIENTS: usize = 64;

/// A ConfigMap as applications have them.
pub fn config_map(name: &str, value: &str) -> Bytes {
    let map = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": name, "labels": { "app": "bench" } },
        "data": { "key": value, "more": "x".repeat(200) },
    });
    map.to_string().into()
}

/// A pod as a deployment makes them.
pub fn pod(name: &str) -> Bytes {
    let pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": { "app": "web", "pod-template-hash": "5d4f8c7b9" },
            "annotations": { "example.com/config": "a8f5f167f44f4964e6c998dee827110c" },
        },
        "spec": {
            "containers": [{
                "name": "web",
                "image": "registry.example.com/team/web:1.27.3",
                "args": ["--listen=:8080", "--log-level=info"],
                "ports": [{ "name": "http", "containerPort": 8080, "protocol": "TCP" }],
                "env": [
                    { "name": "REGION", "value": "eu" },
                    { "name": "TOKEN", "valueFrom": { "secretKeyRef": { "name": "web", "key": "token" } } },
                ],
                "resources": {
                    "requests": { "cpu": "100m", "memory": "128Mi" },
                    "limits": { "memory": "256Mi" },
                },
                "readinessProbe": { "httpGet": { "path": "/ready", "port": "http" }, "periodSeconds": 5 },
                "volumeMounts": [{ "name": "config", "mountPath": "/etc/web", "readOnly": true }],
            }],
            "volumes": [{ "name": "config", "configMap": { "name": "web" } }],
            "nodeSelector": { "kubernetes.io/os": "linux" },
        },
    });
    pod.to_string().into()
}

/// Puts so many ConfigMaps into a server.
pub async fn fill(server: &Server, count: usize) -> Result<()> {
    fill_with(server, CONFIG_MAPS, count, |name| config_map(name, "0")).await
}

/// Puts objects into a server, from several clients at once.
pub async fn fill_with(
    server: &Server,
    path: &str,
    count: usize,
    make: impl Fn(&str) -> Bytes,
) -> Result<()> {
    let clients = server.access.connections(CLIENTS.min(count)).await?;
    let width = clients.len();
    let one = async |first: usize, mut client: Client| {
        for index in (first..count).step_by(width) {
            let body = make(&format!("object-{index:06}"));
            client.send(Method::POST, path, body).await?;
        }
        anyhow::Ok(())
    };
    let filling = clients.into_iter().enumerate();
    try_join_all(filling.map(|(first, client)| one(first, client))).await?;
    Ok(())
}
