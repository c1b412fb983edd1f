//! The address that serves `/deployments` without TLS, for clients of Knit.
//!
//! Owns: who such clients count as, and the role that says what that one may, which is made where it is
//! missing and may be changed like any other. Never: listens unless it is told where.

use std::net::SocketAddr;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use weft_apiserver::Server;
use weft_control::store::WriteOptions;
use weft_control::{Object, Reason, Store};
use weft_identity::rbac::GROUP;
use weft_identity::subject::Subject;

/// Whoever comes without TLS, and what they may.
const USER: &str = "weft:deployments";
/// Where they may.
const NAMESPACE: &str = "default";

/// Listens at `address`, if there is one.
pub(super) async fn listen(
    address: Option<SocketAddr>,
    store: &Store,
) -> Result<Option<TcpListener>> {
    let Some(address) = address else {
        return Ok(None);
    };
    if address.ip().is_unspecified() {
        bail!(
            "--deployments-listen {address}: it asks nobody who they are, so it is not served on every network; \
             name one address: that of the private network, or 127.0.0.1"
        );
    }
    ensure(store)
        .await
        .context("make the role of who deploys without TLS")?;
    let listener = TcpListener::bind(address).await.with_context(|| {
        format!("listen at {address}; --deployments-listen names another address")
    })?;
    tracing::warn!(%address, "serving /deployments without TLS: whoever reaches it may deploy");
    Ok(Some(listener))
}

/// Serves until it breaks; for ever, where there is nothing to serve.
pub(super) async fn serve(server: Server, listener: Option<TcpListener>) -> Result<()> {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    let subject = Subject::user(USER, &[], i64::MAX).context("name who deploys without TLS")?;
    // What ends the server ends this by dropping it.
    weft_apiserver::serve_deployments(server, listener, subject, std::future::pending())
        .await
        .context("serve /deployments")
}

async fn ensure(store: &Store) -> Result<()> {
    let verbs = ["create", "patch", "delete"];
    let rules = json!([
        { "apiGroups": ["apps"], "resources": ["deployments"],
          "verbs": ["get", "list", "create", "patch", "delete"] },
        { "apiGroups": [""], "resources": ["configmaps", "secrets", "services"], "verbs": verbs },
    ]);
    let role = json!({ "metadata": { "name": USER }, "rules": rules });
    make(store, "clusterroles", "", role).await?;
    let binding = json!({
        "metadata": { "name": USER },
        "roleRef": { "apiGroup": GROUP, "kind": "ClusterRole", "name": USER },
        "subjects": [{ "kind": "User", "apiGroup": GROUP, "name": USER }],
    });
    make(store, "rolebindings", NAMESPACE, binding).await
}

/// Makes an object of access, unless it is there.
async fn make(store: &Store, plural: &str, namespace: &str, value: Value) -> Result<()> {
    let kinds = store.kinds();
    let kind = kinds.find(GROUP, "v1", plural);
    let kind = kind.with_context(|| format!("there is no kind of {plural}"))?;
    let Value::Object(map) = value else {
        return Ok(());
    };
    let options = WriteOptions::default();
    match store.create(kind, namespace, Object(map), &options).await {
        Err(failure) if failure.reason != Reason::AlreadyExists => {
            Err(failure).with_context(|| format!("make {plural} {USER}"))
        }
        _ => Ok(()),
    }
}
