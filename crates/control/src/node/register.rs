//! A node is in the cluster as long as it renews its lease.

use std::convert::Infallible;
use std::time::Duration;

use serde_json::{Value, json};

use super::{About, NAME};
use crate::controllers::PAUSE;
use crate::failure::{Failure, Reason};
use crate::kind::Kind;
use crate::object::Object;
use crate::store::{Store, WriteOptions, now, now_micro, object, set_condition};

/// How often it says that it is there; it is believed for four times as long.
const RENEW: Duration = Duration::from_secs(10);
const LEASE_S: u64 = 40;
/// Where leases of nodes are.
const LEASES: &str = "kube-node-lease";
/// The status is written at least so often, counted in leases renewed.
const STATUS_EVERY: u32 = 30;

pub(super) async fn run(store: &Store, about: &About) -> Infallible {
    let mut round = 0;
    loop {
        let done = async {
            if round % STATUS_EVERY == 0 {
                register(store, about).await?;
            }
            renew(store, about).await
        };
        match done.await {
            Ok(()) => {
                round += 1;
                tokio::time::sleep(RENEW).await;
            }
            Err(error) => {
                round = 0;
                tracing::warn!(%error, node = about.name, "a node could not be registered");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

fn kind<'a>(kinds: &'a crate::Kinds, group: &str, plural: &str) -> Result<&'a Kind, Failure> {
    let found = kinds.find(group, "v1", plural);
    let none = || Failure::new(Reason::NotFound, format!("there is no kind of {plural}"));
    found.map(|kind| &**kind).ok_or_else(none)
}

async fn register(store: &Store, about: &About) -> Result<(), Failure> {
    let kinds = store.kinds();
    let nodes = kind(&kinds, "", "nodes")?;
    let options = WriteOptions {
        manager: NAME.to_owned(),
        ..WriteOptions::default()
    };
    let there = match store.get(nodes, "", &about.name).await {
        Ok(there) => object(&there)?,
        Err(failure) if failure.reason == Reason::NotFound => {
            let made = store.create(nodes, "", first(about), &options).await?;
            object(&made)?
        }
        Err(failure) => return Err(failure),
    };
    // A label that a person has changed stays as it is.
    let mut wanted = there.clone();
    let labels = labels(about);
    let missing = labels
        .iter()
        .filter(|(key, _)| wanted.meta().label(key).is_none());
    let missing: Vec<_> = missing.cloned().collect();
    if !missing.is_empty() {
        let meta = wanted
            .meta_mut()
            .entry("labels")
            .or_insert_with(|| json!({}));
        for (key, value) in missing {
            meta[key] = value.into();
        }
        let put = store
            .replace(nodes, "", &about.name, wanted, &options)
            .await?;
        wanted = object(&put)?;
    }
    let status = wanted.0.entry("status").or_insert_with(|| json!({}));
    fill(status, about);
    let options = WriteOptions {
        subresource: "status",
        ..options
    };
    store
        .replace(nodes, "", &about.name, wanted, &options)
        .await?;
    Ok(())
}

fn first(about: &About) -> Object {
    let mut node = Object::default();
    node.set_meta("name", Some(about.name.as_str().into()));
    let labels = labels(about).into_iter();
    let labels: serde_json::Map<String, Value> =
        labels.map(|(key, value)| (key, value.into())).collect();
    node.set_meta("labels", Some(labels.into()));
    let spec = json!({ "podCIDR": about.pod_subnet, "podCIDRs": [about.pod_subnet] });
    node.0.insert("spec".to_owned(), spec);
    node
}

/// As Go calls machines.
fn architecture(machine: &str) -> &str {
    match machine {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn labels(about: &About) -> Vec<(String, String)> {
    let architecture = architecture(&about.machine);
    let pairs = [
        ("kubernetes.io/hostname", about.name.as_str()),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", architecture),
        ("beta.kubernetes.io/os", "linux"),
        ("beta.kubernetes.io/arch", architecture),
        ("node-role.kubernetes.io/control-plane", ""),
    ];
    let pairs = pairs.map(|(key, value)| (key.to_owned(), value.to_owned()));
    pairs.to_vec()
}

fn fill(status: &mut Value, about: &About) {
    let amounts = json!({
        "cpu": about.cpus.to_string(),
        "memory": format!("{}Ki", about.memory_bytes / 1024),
        "ephemeral-storage": format!("{}Ki", about.disk_bytes / 1024),
        "pods": about.pods_max.to_string(),
    });
    status["capacity"] = amounts.clone();
    status["allocatable"] = amounts;
    let mut addresses = vec![json!({ "type": "Hostname", "address": about.hostname })];
    if let Some(address) = about.address {
        addresses.insert(
            0,
            json!({ "type": "InternalIP", "address": address.to_string() }),
        );
    }
    status["addresses"] = addresses.into();
    status["nodeInfo"] = json!({
        "machineID": about.machine_id,
        "systemUUID": about.machine_id,
        "bootID": about.boot_id,
        "kernelVersion": about.kernel,
        "osImage": about.os,
        "containerRuntimeVersion": about.runtime,
        "kubeletVersion": crate::VERSION,
        "kubeProxyVersion": crate::VERSION,
        "operatingSystem": "linux",
        "architecture": architecture(&about.machine),
    });
    let time = now();
    for (name, is_so, reason, message) in [
        (
            "MemoryPressure",
            "False",
            "KubeletHasSufficientMemory",
            "memory is sufficient",
        ),
        (
            "DiskPressure",
            "False",
            "KubeletHasNoDiskPressure",
            "disk is sufficient",
        ),
        (
            "PIDPressure",
            "False",
            "KubeletHasSufficientPID",
            "process ids are sufficient",
        ),
        ("Ready", "True", "KubeletReady", "the agent runs pods"),
    ] {
        let conditions = status["conditions"].as_array();
        let mut conditions = conditions.into_iter().flatten();
        let before = conditions.find(|one| one["type"] == name && one["status"] == is_so);
        let since = before.and_then(|one| one["lastTransitionTime"].as_str());
        let since = since.unwrap_or(&time).to_owned();
        let condition = json!({
            "type": name, "status": is_so, "reason": reason, "message": message,
            "lastHeartbeatTime": time, "lastTransitionTime": since,
        });
        set_condition(status, condition);
    }
}

async fn renew(store: &Store, about: &About) -> Result<(), Failure> {
    let kinds = store.kinds();
    let leases = kind(&kinds, "coordination.k8s.io", "leases")?;
    let options = WriteOptions {
        manager: NAME.to_owned(),
        ..WriteOptions::default()
    };
    let spec = json!({
        "holderIdentity": about.name,
        "leaseDurationSeconds": LEASE_S,
        "renewTime": now_micro(),
    });
    match store.get(leases, LEASES, &about.name).await {
        Ok(there) => {
            let mut lease = object(&there)?;
            lease.0.insert("spec".to_owned(), spec);
            let put = store.replace(leases, LEASES, &about.name, lease, &options);
            put.await?;
        }
        Err(failure) if failure.reason == Reason::NotFound => {
            let mut lease = Object::default();
            lease.set_meta("name", Some(about.name.as_str().into()));
            lease.set_meta("namespace", Some(LEASES.into()));
            lease.0.insert("spec".to_owned(), spec);
            store.create(leases, LEASES, lease, &options).await?;
        }
        Err(failure) => return Err(failure),
    }
    Ok(())
}
