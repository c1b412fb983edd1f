//! Pods need no kubeconfig: the server is in their variables, and who they are in their files.
//!
//! Never: shows the pod's token to a server that somebody else names.

use std::env;
use std::fs;
use std::path::Path;

use serde_json::json;
use weft_client::cluster::kubeconfig::File;

use crate::error::CliError;

/// Where each container has them (Kubernetes, "Accessing the Kubernetes API from a Pod").
const DIRECTORY: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const HOST: &str = "KUBERNETES_SERVICE_HOST";
const PORT: &str = "KUBERNETES_SERVICE_PORT";
/// What the pod's namespace is, before the file that says it.
const NAMESPACE: &str = "POD_NAMESPACE";

/// The way in of the pod this is in; nothing: it is in none, or the pod is nobody.
pub fn file() -> Result<Option<File>, CliError> {
    let variable = |name| env::var(name).ok().filter(|text| !text.is_empty());
    let place = |name: &str| Path::new(DIRECTORY).join(name);
    let (Some(host), Some(port), true) = (variable(HOST), variable(PORT), place("token").is_file())
    else {
        return Ok(None);
    };
    let written = || fs::read_to_string(place("namespace")).ok();
    let namespace = variable(NAMESPACE).or_else(written).unwrap_or_default();
    let host = match host.contains(':') {
        true => format!("[{host}]"),
        false => host,
    };
    let whole = json!({
        "current-context": "pod",
        "contexts": [{ "name": "pod", "context": {
            "cluster": "pod", "user": "pod", "namespace": namespace.trim(),
        } }],
        "clusters": [{ "name": "pod", "cluster": {
            "server": format!("https://{host}:{port}"),
            "certificate-authority": place("ca.crt"),
        } }],
        "users": [{ "name": "pod", "user": { "tokenFile": place("token") } }],
    });
    Ok(Some(File::parse(Path::new(DIRECTORY), &whole.to_string())?))
}
