//! Where services lead: the pods each selects, as EndpointSlices, and as Endpoints for those who read
//! nothing newer.
//!
//! ```text
//!   service with a selector ─► its pods with an address ─► slices of a hundred, named after it
//!                                                        └► Endpoints of its name
//! ```
//! Who is going is not ready from that moment on. Never: services without a selector; theirs are
//! somebody else's.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;

use serde_json::{Value, json};

use super::mirror::{Changed, Id, Mirror};
use super::workloads::pods::is_over;
use crate::Store;
use crate::failure::{Failure, Reason};
use crate::object::Object;
use crate::store::{DeleteOptions, WriteOptions};

/// Who it is, as owner of fields, and of slices.
const NAME: &str = "endpointslice-controller.k8s.io";
const SERVICE_NAME: &str = "kubernetes.io/service-name";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
/// The same of the older form.
const ENDPOINTS_BY: &str = "endpoints.kubernetes.io/managed-by";
const ENDPOINTS_NAME: &str = "endpoint-controller";
/// Endpoints of a slice.
const SLICE: usize = 100;
/// Endpoints of the older form: upstream's bound.
const ENDPOINTS_MAX: usize = 1000;

const SERVICES: &str = "services";
const PODS: &str = "pods";
const SLICES: &str = "endpointslices";
const ENDPOINTS: &str = "endpoints";
const FOLLOWED: [(&str, &str); 4] = [
    ("", SERVICES),
    ("", PODS),
    ("", ENDPOINTS),
    ("discovery.k8s.io", SLICES),
];

struct Endpoints {
    store: Store,
    mirror: Mirror,
    /// Services to be looked at. Bound by the services there are.
    due: BTreeSet<Id>,
}

pub(super) async fn run(store: &Store) -> Infallible {
    super::anew("finding the endpoints of services", || try_run(store)).await
}

async fn try_run(store: &Store) -> Result<Infallible, Failure> {
    let mirror = Mirror::begin(store, &FOLLOWED).await?;
    let due = mirror.all(SERVICES).map(|(id, _)| id.clone()).collect();
    let mut endpoints = Endpoints {
        store: store.clone(),
        mirror,
        due,
    };
    loop {
        while let Some(id) = endpoints.due.pop_first() {
            unless_raced(endpoints.see_to(&id).await)?;
        }
        for changed in endpoints.mirror.next().await? {
            endpoints.mark(&changed);
        }
    }
}

/// What somebody else changed or removed is heard of, and looked at then.
fn unless_raced(done: Result<(), Failure>) -> Result<(), Failure> {
    match done {
        Err(failure)
            if matches!(
                failure.reason,
                Reason::Conflict | Reason::NotFound | Reason::AlreadyExists
            ) =>
        {
            Ok(())
        }
        // Of a namespace that is going nothing is written any more.
        Err(failure) if matches!(failure.reason, Reason::Invalid | Reason::Forbidden) => {
            tracing::debug!(%failure, "endpoints could not be written");
            Ok(())
        }
        other => other,
    }
}

/// What a service's endpoints are made of, of a pod.
#[derive(Debug, Clone, PartialEq)]
struct Endpoint {
    ip: String,
    node: Option<String>,
    hostname: Option<String>,
    name: String,
    uid: String,
    is_ready: bool,
    is_going: bool,
    /// In the order of the service's ports.
    ports: Vec<Port>,
}

/// A port of a service on one of its pods.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Port {
    name: String,
    protocol: String,
    number: u64,
    app: Option<String>,
}

fn selector(service: &Object) -> Option<&serde_json::Map<String, Value>> {
    let selector = service.at(&["spec", "selector"])?.as_object()?;
    (!selector.is_empty() && service.text(&["spec", "type"]) != Some("ExternalName"))
        .then_some(selector)
}

fn selects(selector: &serde_json::Map<String, Value>, pod: &Object) -> bool {
    let mut wanted = selector.iter();
    wanted.all(|(key, value)| pod.meta().label(key) == value.as_str())
}

/// The endpoint a pod is to a service; nothing: it has no address, or is over.
fn endpoint(service: &Object, pod: &Object) -> Option<Endpoint> {
    let ip = pod.text(&["status", "podIP"]).filter(|ip| !ip.is_empty())?;
    if is_over(pod) {
        return None;
    }
    let is_ready = pod.has_condition("Ready");
    let anyway = service.at(&["spec", "publishNotReadyAddresses"]) == Some(&Value::Bool(true));
    let is_going = pod.meta().is_deleting();
    let domain = pod.text(&["spec", "subdomain"]);
    let hostname = pod.text(&["spec", "hostname"]);
    let hostname = hostname.filter(|_| domain == Some(service.meta().name()));
    let text = |path: &[&str]| {
        pod.text(path)
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
    };
    Some(Endpoint {
        ip: ip.to_owned(),
        node: text(&["spec", "nodeName"]),
        hostname: hostname.map(str::to_owned),
        name: pod.meta().name().to_owned(),
        uid: pod.meta().text("uid").to_owned(),
        is_ready: anyway || (is_ready && !is_going),
        is_going,
        ports: ports(service, pod),
    })
}

fn ports(service: &Object, pod: &Object) -> Vec<Port> {
    let wanted = service.at(&["spec", "ports"]).and_then(Value::as_array);
    let wanted = wanted.into_iter().flatten();
    wanted
        .filter_map(|port| {
            let protocol = port["protocol"].as_str().unwrap_or("TCP");
            let number = match &port["targetPort"] {
                Value::Number(number) => number.as_u64(),
                Value::String(name) => named(pod, name, protocol),
                _ => port["port"].as_u64(),
            };
            Some(Port {
                name: port["name"].as_str().unwrap_or_default().to_owned(),
                protocol: protocol.to_owned(),
                number: number?,
                app: port["appProtocol"].as_str().map(str::to_owned),
            })
        })
        .collect()
}

/// The port of a pod's containers that is called so.
fn named(pod: &Object, name: &str, protocol: &str) -> Option<u64> {
    let lists = ["containers", "initContainers"].map(|list| pod.at(&["spec", list]));
    let containers = lists.into_iter().flatten().filter_map(Value::as_array);
    let ports = containers
        .flatten()
        .filter_map(|one| one["ports"].as_array());
    let mut ports = ports.flatten();
    let found = ports.find(|port| {
        port["name"] == name && port["protocol"].as_str().unwrap_or("TCP") == protocol
    });
    found?["containerPort"].as_u64()
}

impl Endpoint {
    fn target(&self, namespace: &str) -> Value {
        json!({ "kind": "Pod", "namespace": namespace, "name": self.name, "uid": self.uid })
    }

    fn in_slice(&self, namespace: &str) -> Value {
        let mut one = json!({
            "addresses": [self.ip],
            "conditions": {
                "ready": self.is_ready,
                "serving": self.is_ready || self.is_going,
                "terminating": self.is_going,
            },
            "targetRef": self.target(namespace),
        });
        if let Some(node) = &self.node {
            one["nodeName"] = node.as_str().into();
        }
        if let Some(hostname) = &self.hostname {
            one["hostname"] = hostname.as_str().into();
        }
        one
    }

    fn address(&self, namespace: &str) -> Value {
        let mut one = json!({ "ip": self.ip, "targetRef": self.target(namespace) });
        if let Some(node) = &self.node {
            one["nodeName"] = node.as_str().into();
        }
        if let Some(hostname) = &self.hostname {
            one["hostname"] = hostname.as_str().into();
        }
        one
    }
}

/// Ports, as slices and Endpoints both have them.
fn told(ports: &[Port]) -> Vec<Value> {
    let each = ports.iter().map(|port| {
        let mut told = json!({ "port": port.number, "protocol": port.protocol });
        // A slice's port has a name, empty or not; one of Endpoints has none then.
        told["name"] = port.name.as_str().into();
        if let Some(app) = &port.app {
            told["appProtocol"] = app.as_str().into();
        }
        told
    });
    each.collect()
}

/// The slices of a service, as they are to be: name and object.
fn slices(service: &Object, all: &[Endpoint]) -> BTreeMap<String, Object> {
    let meta = service.meta();
    let mut by_ports = BTreeMap::<&[Port], Vec<&Endpoint>>::new();
    for one in all {
        by_ports.entry(&one.ports).or_default().push(one);
    }
    let mut slices = BTreeMap::new();
    let parts = by_ports
        .iter()
        .flat_map(|(ports, list)| list.chunks(SLICE).map(move |part| (*ports, part)));
    // Without endpoints there is one that says so.
    let mut parts: Vec<(&[Port], &[&Endpoint])> = parts.collect();
    if parts.is_empty() {
        parts.push((&[], &[]));
    }
    for (number, (ports, part)) in parts.into_iter().enumerate() {
        let name = format!("{}-{}", meta.name(), place(meta.text("uid"), number));
        let endpoints = part.iter().map(|one| one.in_slice(meta.namespace()));
        let mut slice = Object::default();
        slice.set_meta("name", Some(name.as_str().into()));
        slice.set_meta("namespace", Some(meta.namespace().into()));
        let mut labels = labels(service);
        labels[SERVICE_NAME] = meta.name().into();
        labels[MANAGED_BY] = NAME.into();
        slice.set_meta("labels", Some(labels));
        slice.set_meta("ownerReferences", Some(json!([owner(service)])));
        slice.0.insert("addressType".to_owned(), "IPv4".into());
        slice.0.insert("endpoints".to_owned(), endpoints.collect());
        slice.0.insert("ports".to_owned(), told(ports).into());
        slices.insert(name, slice);
    }
    slices
}

/// A part of a name that is one service's alone: of its uid, and a number.
fn place(uid: &str, number: usize) -> String {
    let short: String = uid
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .take(5)
        .collect();
    match number {
        0 => short,
        number => format!("{short}-{number}"),
    }
}

fn owner(service: &Object) -> Value {
    let meta = service.meta();
    json!({
        "apiVersion": "v1", "kind": "Service", "name": meta.name(), "uid": meta.text("uid"),
        "controller": true, "blockOwnerDeletion": true,
    })
}

fn labels(service: &Object) -> Value {
    let pairs = service.meta().map("labels");
    let labels: serde_json::Map<String, Value> = pairs
        .map(|(key, value)| (key.to_owned(), value.into()))
        .collect();
    let mut labels = Value::Object(labels);
    if service.text(&["spec", "clusterIP"]) == Some("None") {
        labels["service.kubernetes.io/headless"] = "".into();
    }
    labels
}

/// The older form.
fn endpoints(service: &Object, all: &[Endpoint]) -> Object {
    let meta = service.meta();
    let mut by_ports = BTreeMap::<&[Port], Vec<&Endpoint>>::new();
    for one in all.iter().filter(|one| !one.is_going).take(ENDPOINTS_MAX) {
        by_ports.entry(&one.ports).or_default().push(one);
    }
    let subsets = by_ports.into_iter().map(|(ports, list)| {
        let of = |is_ready: bool| -> Vec<Value> {
            let some = list.iter().filter(|one| one.is_ready == is_ready);
            some.map(|one| one.address(meta.namespace())).collect()
        };
        let mut subset = json!({});
        for (name, list) in [("addresses", of(true)), ("notReadyAddresses", of(false))] {
            if !list.is_empty() {
                subset[name] = list.into();
            }
        }
        let ports: Vec<Value> = told(ports)
            .into_iter()
            .map(|mut port| {
                if port["name"] == ""
                    && let Some(port) = port.as_object_mut()
                {
                    port.remove("name");
                }
                port
            })
            .collect();
        if !ports.is_empty() {
            subset["ports"] = ports.into();
        }
        subset
    });
    let mut object = Object::default();
    let subsets: Vec<Value> = subsets.collect();
    object.set_meta("name", Some(meta.name().into()));
    object.set_meta("namespace", Some(meta.namespace().into()));
    let mut labels = labels(service);
    labels[ENDPOINTS_BY] = ENDPOINTS_NAME.into();
    object.set_meta("labels", Some(labels));
    if !subsets.is_empty() {
        object.0.insert("subsets".to_owned(), subsets.into());
    }
    object
}

/// Whether what is stored says what is wanted.
fn is_same(there: &Object, wanted: &Object, fields: &[&str]) -> bool {
    let of = |object: &Object, field: &str| {
        object
            .0
            .get(field)
            .filter(|value| !value.is_null())
            .cloned()
    };
    let labels = |object: &Object| {
        object
            .at(&["metadata", "labels"])
            .cloned()
            .unwrap_or(json!({}))
    };
    labels(there) == labels(wanted)
        && fields
            .iter()
            .all(|field| of(there, field) == of(wanted, field))
}

impl Endpoints {
    fn mark(&mut self, changed: &Changed) {
        let namespace = &changed.id.namespace;
        match changed.id.plural {
            SERVICES => {
                self.due.insert(changed.id.clone());
            }
            PODS => {
                let both: Vec<&Arc<Object>> = changed.old.iter().chain(&changed.new).collect();
                let services = self.mirror.within(SERVICES, namespace);
                let touched = services.filter(|(_, service)| {
                    let Some(selector) = selector(service) else {
                        return false;
                    };
                    let of = |pod: Option<&Arc<Object>>| {
                        let pod = pod.filter(|pod| selects(selector, pod))?;
                        endpoint(service, pod)
                    };
                    both.iter().any(|pod| selects(selector, pod))
                        && of(changed.old.as_ref()) != of(changed.new.as_ref())
                });
                let touched: Vec<Id> = touched.map(|(id, _)| id.clone()).collect();
                self.due.extend(touched);
            }
            SLICES => {
                let both = changed.old.iter().chain(&changed.new);
                let names = both.filter(|slice| slice.meta().label(MANAGED_BY) == Some(NAME));
                let names = names.filter_map(|slice| slice.meta().label(SERVICE_NAME));
                let ids = names.map(|name| Id::new(SERVICES, namespace, name));
                self.due.extend(ids);
            }
            _ => {
                let id = Id::new(SERVICES, namespace, &changed.id.name);
                self.due.insert(id);
            }
        }
    }

    async fn see_to(&mut self, id: &Id) -> Result<(), Failure> {
        let Some(service) = self.mirror.get(id).cloned() else {
            // Its slices go with it: they are owned. The older form goes here.
            return self.remove_endpoints(id).await;
        };
        let Some(selector) = selector(&service).cloned() else {
            return Ok(());
        };
        if service.meta().is_deleting() {
            return Ok(());
        }
        let pods = self.mirror.within(PODS, &id.namespace);
        let pods = pods.filter(|(_, pod)| selects(&selector, pod));
        let mut all: Vec<Endpoint> = pods
            .filter_map(|(_, pod)| endpoint(&service, pod))
            .collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        self.write_slices(id, &service, &all).await?;
        self.write(ENDPOINTS, endpoints(&service, &all), &["subsets"])
            .await
    }

    async fn write_slices(
        &self,
        id: &Id,
        service: &Object,
        all: &[Endpoint],
    ) -> Result<(), Failure> {
        let wanted = slices(service, all);
        let there = self.mirror.within(SLICES, &id.namespace);
        let own = there.filter(|(_, slice)| {
            slice.meta().label(SERVICE_NAME) == Some(&id.name)
                && slice.meta().label(MANAGED_BY) == Some(NAME)
        });
        let stale: Vec<Arc<Object>> = own
            .filter(|(slice, _)| !wanted.contains_key(&slice.name))
            .map(|(_, slice)| Arc::clone(slice))
            .collect();
        for slice in wanted.into_values() {
            self.write(SLICES, slice, &["addressType", "endpoints", "ports"])
                .await?;
        }
        let Some(kind) = self.mirror.kind(SLICES) else {
            return Ok(());
        };
        for slice in stale {
            let options = DeleteOptions::default();
            let name = slice.meta().name();
            let deleted = self.store.delete(kind, &id.namespace, name, &options);
            unless_raced(deleted.await.map(drop))?;
        }
        Ok(())
    }

    async fn write(
        &self,
        plural: &'static str,
        wanted: Object,
        fields: &[&str],
    ) -> Result<(), Failure> {
        let Some(kind) = self.mirror.kind(plural).cloned() else {
            return Ok(());
        };
        let (namespace, name) = (
            wanted.meta().namespace().to_owned(),
            wanted.meta().name().to_owned(),
        );
        let options = WriteOptions {
            manager: NAME.to_owned(),
            ..WriteOptions::default()
        };
        let there = self
            .mirror
            .get(&Id::new(plural, &namespace, &name))
            .cloned();
        match there {
            Some(there) if is_same(&there, &wanted, fields) => Ok(()),
            Some(there) => {
                let mut object = (*there).clone();
                object.set_meta("labels", wanted.at(&["metadata", "labels"]).cloned());
                for field in fields {
                    match wanted.0.get(*field) {
                        Some(value) => drop(object.0.insert((*field).to_owned(), value.clone())),
                        None => drop(object.0.remove(*field)),
                    }
                }
                let put = self
                    .store
                    .replace(&kind, &namespace, &name, object, &options);
                put.await.map(drop)
            }
            None => {
                let made = self.store.create(&kind, &namespace, wanted, &options);
                made.await.map(drop)
            }
        }
    }

    async fn remove_endpoints(&self, id: &Id) -> Result<(), Failure> {
        let place = Id::new(ENDPOINTS, &id.namespace, &id.name);
        let (Some(kind), Some(there)) = (self.mirror.kind(ENDPOINTS), self.mirror.get(&place))
        else {
            return Ok(());
        };
        // Those somebody else made are somebody else's.
        if there.meta().label(ENDPOINTS_BY) != Some(ENDPOINTS_NAME) {
            return Ok(());
        }
        let options = DeleteOptions::default();
        let deleted = self.store.delete(kind, &id.namespace, &id.name, &options);
        deleted.await.map(drop)
    }
}
