//! Claims get volumes, and volumes end after their claims.
//!
//! ```text
//!   claim ─► names its volume, or one fits ─────────────────────────────┐
//!         └► of the class that nodes make: once a pod of it has a node, ┴─► bound
//!            a volume is made for that node
//!   claim deleted ─► no pod uses it ─► gone ─► volume Released ─► Retain: stays, with its data
//!                                                              └► Delete: its node discards it
//! ```
//! Data is discarded for one reason only: the claim is gone, and its volume's policy is Delete.
//! Never: touches data; the node does, and says so (`node/report.rs`).

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;

use serde_json::{Value, json};

use super::mirror::{Changed, Id, Mirror};
use super::tell;
use super::workloads::pods::is_over;
use crate::Store;
use crate::failure::{Failure, Reason};
use crate::kind::Kind;
use crate::object::Object;
use crate::quantity::Quantity;
use crate::selector::Labels;
use crate::store::{DeleteOptions, Patch, WriteOptions};

/// Who it is, as owner of fields.
const NAME: &str = "persistentvolume-binder";
/// The class of volumes that nodes make on their own disks.
pub const LOCAL_CLASS: &str = "local";
/// Who makes volumes of that class.
pub const LOCAL: &str = "nanocloud.io/local";
/// Holds a volume until its node has discarded the data.
pub(crate) const DISCARD: &str = "nanocloud.io/discard";
/// Holds a claim while a pod uses it.
const CLAIM_USED: &str = "kubernetes.io/pvc-protection";
/// Holds a volume while a claim has it.
const VOLUME_USED: &str = "kubernetes.io/pv-protection";
/// Says that a class is for claims that name none.
const IS_DEFAULT: &str = "storageclass.kubernetes.io/is-default-class";

const CLAIMS: &str = "persistentvolumeclaims";
const VOLUMES: &str = "persistentvolumes";
const PODS: &str = "pods";
const CLASSES: &str = "storageclasses";
const FOLLOWED: [(&str, &str); 4] = [
    ("", CLAIMS),
    ("", PODS),
    ("", VOLUMES),
    ("storage.k8s.io", CLASSES),
];

/// The class there is from the start.
pub fn local_class() -> Object {
    let mut class = Object::default();
    class.set_meta("name", Some(LOCAL_CLASS.into()));
    class.set_meta("annotations", Some(json!({ IS_DEFAULT: "true" })));
    for (field, value) in [
        ("provisioner", LOCAL),
        ("reclaimPolicy", "Delete"),
        ("volumeBindingMode", "WaitForFirstConsumer"),
    ] {
        class.0.insert(field.to_owned(), value.into());
    }
    class
}

struct Claims {
    store: Store,
    mirror: Mirror,
    /// What is to be looked at. Bound by the objects there are.
    due: BTreeSet<Id>,
}

pub(super) async fn run(store: &Store) -> Infallible {
    super::anew("binding claims", || try_run(store)).await
}

async fn try_run(store: &Store) -> Result<Infallible, Failure> {
    let mirror = Mirror::begin(store, &FOLLOWED).await?;
    let all = mirror.all(CLAIMS).chain(mirror.all(VOLUMES));
    let due = all.map(|(id, _)| id.clone()).collect();
    let mut claims = Claims {
        store: store.clone(),
        mirror,
        due,
    };
    loop {
        while let Some(id) = claims.due.pop_first() {
            let done = match id.plural {
                CLAIMS => claims.see_to_claim(&id).await,
                _ => claims.see_to_volume(&id).await,
            };
            unless_raced(done)?;
        }
        for changed in claims.mirror.next().await? {
            claims.mark(&changed);
        }
    }
}

/// What somebody else changed or removed is heard of, and looked at then.
fn unless_raced(done: Result<(), Failure>) -> Result<(), Failure> {
    match done {
        Err(failure) if matches!(failure.reason, Reason::Conflict | Reason::NotFound) => Ok(()),
        Err(failure) if matches!(failure.reason, Reason::Invalid | Reason::Forbidden) => {
            tracing::warn!(%failure, "a claim or volume could not be written");
            Ok(())
        }
        other => other,
    }
}

/// The names of the claims a pod uses.
pub(super) fn claims_of(pod: &Object) -> impl Iterator<Item = &str> {
    let volumes = pod.at(&["spec", "volumes"]).and_then(Value::as_array);
    let volumes = volumes.into_iter().flatten();
    volumes.filter_map(|volume| volume["persistentVolumeClaim"]["claimName"].as_str())
}

fn has(object: &Object, finalizer: &str) -> bool {
    object.meta().finalizers().any(|held| held == finalizer)
}

/// The size that is asked for, or had.
fn size(object: &Object, path: &[&str]) -> i128 {
    let size = object.at(path).and_then(|size| Quantity::of(size).ok());
    size.map_or(0, |size| size.whole())
}

fn modes(object: &Object) -> Vec<&str> {
    let modes = object
        .at(&["spec", "accessModes"])
        .and_then(Value::as_array);
    let modes = modes.into_iter().flatten();
    modes.filter_map(Value::as_str).collect()
}

/// Of whom a volume is: namespace, name, uid.
fn claim_of(volume: &Object) -> Option<(&str, &str, &str)> {
    let of = |name| volume.text(&["spec", "claimRef", name]).unwrap_or_default();
    let name = of("name");
    (!name.is_empty()).then(|| (of("namespace"), name, of("uid")))
}

fn is_class_default(class: &Object) -> bool {
    class.meta().annotation(IS_DEFAULT) == Some("true")
}

impl Claims {
    fn mark(&mut self, changed: &Changed) {
        let both = || changed.old.iter().chain(&changed.new);
        match changed.id.plural {
            CLAIMS => {
                self.due.insert(changed.id.clone());
                for object in both() {
                    if let Some(volume) = object.text(&["spec", "volumeName"]) {
                        self.due.insert(Id::new(VOLUMES, "", volume));
                    }
                }
                // A volume may have waited for this one's end.
                if changed.new.is_none() {
                    self.mark_all(VOLUMES);
                }
            }
            VOLUMES => {
                self.due.insert(changed.id.clone());
                for object in both() {
                    if let Some((namespace, name, _)) = claim_of(object) {
                        self.due.insert(Id::new(CLAIMS, namespace, name));
                    }
                }
                if changed.old.is_none() {
                    self.mark_all(CLAIMS);
                }
            }
            PODS => {
                let namespace = &changed.id.namespace;
                let node = |object: Option<&Arc<Object>>| {
                    object.map(|pod| {
                        let node = pod.text(&["spec", "nodeName"]).unwrap_or_default();
                        (node.to_owned(), is_over(pod))
                    })
                };
                // A pod changes often; where it is, and whether it is over, seldom.
                if node(changed.old.as_ref()) == node(changed.new.as_ref()) {
                    return;
                }
                for object in both() {
                    let claims = claims_of(object);
                    let claims = claims.map(|name| Id::new(CLAIMS, namespace, name));
                    self.due.extend(claims);
                }
            }
            _ => self.mark_all(CLAIMS),
        }
    }

    fn mark_all(&mut self, plural: &'static str) {
        let all = self.mirror.all(plural).map(|(id, _)| id.clone());
        self.due.extend(all);
    }

    fn kind(&self, plural: &str) -> Result<Arc<Kind>, Failure> {
        let none = || Failure::new(Reason::NotFound, format!("there is no kind of {plural}"));
        self.mirror.kind(plural).cloned().ok_or_else(none)
    }

    async fn patch(
        &self,
        plural: &str,
        object: &Object,
        part: &'static str,
        patch: Value,
    ) -> Result<(), Failure> {
        let kind = self.kind(plural)?;
        let (namespace, name) = (object.meta().namespace(), object.meta().name());
        let options = WriteOptions {
            manager: NAME.to_owned(),
            subresource: part,
            ..WriteOptions::default()
        };
        let patch = Patch::Merge(patch);
        let done = self.store.patch(&kind, namespace, name, &patch, &options);
        done.await.map(drop)
    }

    async fn set_finalizers(
        &self,
        plural: &str,
        object: &Object,
        change: impl FnOnce(&mut Vec<&str>),
    ) -> Result<(), Failure> {
        let mut all: Vec<&str> = object.meta().finalizers().collect();
        change(&mut all);
        // Whoever changed it meanwhile is heard of first.
        let version = object.meta().text("resourceVersion");
        let patch = json!({ "metadata": { "finalizers": all, "resourceVersion": version } });
        self.patch(plural, object, "", patch).await
    }

    async fn say(
        &self,
        object: &Object,
        kind: &'static str,
        reason: &str,
        message: &str,
    ) -> Result<(), Failure> {
        let told = tell::Told {
            by: "persistentvolume-controller",
            host: "",
            field: "",
            kind,
            reason,
            message,
        };
        let claims = self.kind(CLAIMS)?;
        tell::tell(&self.store, &claims, object, &told).await
    }

    /// Pods that use a claim and are not over.
    fn users<'a>(&'a self, id: &'a Id) -> impl Iterator<Item = &'a Arc<Object>> {
        let pods = self.mirror.within(PODS, &id.namespace).map(|(_, pod)| pod);
        pods.filter(|pod| !is_over(pod) && claims_of(pod).any(|claim| claim == id.name))
    }

    async fn see_to_claim(&mut self, id: &Id) -> Result<(), Failure> {
        let Some(claim) = self.mirror.get(id).cloned() else {
            return Ok(());
        };
        if claim.meta().is_deleting() {
            if has(&claim, CLAIM_USED) && self.users(id).next().is_none() {
                let release = |all: &mut Vec<&str>| all.retain(|held| *held != CLAIM_USED);
                return self.set_finalizers(CLAIMS, &claim, release).await;
            }
            return Ok(());
        }
        if !has(&claim, CLAIM_USED) {
            let hold = |all: &mut Vec<&str>| all.push(CLAIM_USED);
            return self.set_finalizers(CLAIMS, &claim, hold).await;
        }
        let named = claim.text(&["spec", "volumeName"]).unwrap_or_default();
        if !named.is_empty() {
            return self.bind_named(&claim, named).await;
        }
        if let Some(volume) = self.fitting(&claim) {
            return self.bind(&claim, &volume).await;
        }
        self.provision(id, &claim).await
    }

    /// To the volume it names, if that is free for it.
    async fn bind_named(&self, claim: &Object, name: &str) -> Result<(), Failure> {
        let phase = claim.text(&["status", "phase"]);
        let Some(volume) = self.mirror.get(&Id::new(VOLUMES, "", name)) else {
            if phase == Some("Bound") {
                let lost = json!({ "status": { "phase": "Lost" } });
                self.patch(CLAIMS, claim, "status", lost).await?;
                let message = "Bound claim has lost its PersistentVolume. Any data on the volume is \
                               inaccessible";
                return self.say(claim, "Warning", "ClaimLost", message).await;
            }
            return Ok(());
        };
        let meta = claim.meta();
        let is_ours = match claim_of(volume) {
            None => true,
            Some((namespace, name, uid)) => {
                (namespace, name) == (meta.namespace(), meta.name())
                    && (uid.is_empty() || uid == meta.text("uid"))
            }
        };
        let is_bound = phase == Some("Bound")
            && claim_of(volume).is_some_and(|(_, _, uid)| uid == meta.text("uid"));
        match (is_ours, is_bound) {
            (_, true) => Ok(()),
            (true, false) => self.bind(claim, &Arc::clone(volume)).await,
            (false, false) => {
                let message = format!("volume {name:?} already bound to a different claim.");
                self.say(claim, "Warning", "FailedBinding", &message).await
            }
        }
    }

    /// The smallest volume that is free and fits.
    fn fitting(&self, claim: &Object) -> Option<Arc<Object>> {
        let meta = claim.meta();
        let class = self.class_of(claim).unwrap_or_default();
        let wanted = size(claim, &["spec", "resources", "requests", "storage"]);
        let selector = claim.at(&["spec", "selector"]);
        let selector = selector.and_then(|selector| Labels::of(selector).ok());
        let fits = |volume: &&Arc<Object>| {
            let is_free = match claim_of(volume) {
                None => true,
                Some((namespace, name, uid)) => {
                    (namespace, name) == (meta.namespace(), meta.name())
                        && (uid.is_empty() || uid == meta.text("uid"))
                }
            };
            let has = modes(volume);
            is_free
                && !volume.meta().is_deleting()
                && volume
                    .text(&["spec", "storageClassName"])
                    .unwrap_or_default()
                    == class
                && size(volume, &["spec", "capacity", "storage"]) >= wanted
                && modes(claim).iter().all(|mode| has.contains(mode))
                && selector
                    .as_ref()
                    .is_none_or(|selector| selector.matches(|name| volume.meta().label(name)))
        };
        let all = self.mirror.all(VOLUMES).map(|(_, volume)| volume);
        let found = all.filter(fits);
        let smallest = found.min_by_key(|volume| {
            // One that was made for it comes before all others.
            let is_meant = claim_of(volume).is_some();
            (!is_meant, size(volume, &["spec", "capacity", "storage"]))
        });
        smallest.cloned()
    }

    /// The class of a claim: the one it names, else the usual one.
    fn class_of(&self, claim: &Object) -> Option<String> {
        if let Some(named) = claim
            .at(&["spec", "storageClassName"])
            .and_then(Value::as_str)
        {
            return Some(named.to_owned());
        }
        let mut all = self.mirror.all(CLASSES).map(|(_, class)| class);
        let usual = all.find(|class| is_class_default(class));
        usual.map(|class| class.meta().name().to_owned())
    }

    async fn bind(&self, claim: &Object, volume: &Object) -> Result<(), Failure> {
        let meta = claim.meta();
        let name = volume.meta().name();
        let reference = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": meta.namespace(),
            "name": meta.name(), "uid": meta.text("uid"), "resourceVersion": meta.text("resourceVersion"),
        });
        // The volume first: two claims cannot both get it.
        if claim_of(volume).is_none_or(|(_, _, uid)| uid != meta.text("uid")) {
            let version = volume.meta().text("resourceVersion");
            let patch = json!({
                "metadata": { "resourceVersion": version },
                "spec": { "claimRef": reference },
            });
            self.patch(VOLUMES, volume, "", patch).await?;
        }
        if volume.text(&["status", "phase"]) != Some("Bound") {
            let bound = json!({ "status": { "phase": "Bound" } });
            self.patch(VOLUMES, volume, "status", bound).await?;
        }
        let mut spec = json!({ "volumeName": name });
        if claim.at(&["spec", "storageClassName"]).is_none() {
            let class = volume.text(&["spec", "storageClassName"]);
            spec["storageClassName"] = class.unwrap_or_default().into();
        }
        let annotations = json!({ "pv.kubernetes.io/bind-completed": "yes" });
        let patch = json!({ "metadata": { "annotations": annotations }, "spec": spec });
        self.patch(CLAIMS, claim, "", patch).await?;
        let status = json!({ "status": {
            "phase": "Bound",
            "accessModes": volume.at(&["spec", "accessModes"]),
            "capacity": volume.at(&["spec", "capacity"]),
        } });
        self.patch(CLAIMS, claim, "status", status).await
    }

    /// Makes a volume, where a pod of the claim is.
    async fn provision(&self, id: &Id, claim: &Object) -> Result<(), Failure> {
        let named = self.class_of(claim).filter(|class| !class.is_empty());
        let Some(name) = named else {
            let message =
                "no persistent volumes available for this claim and no storage class is set";
            return self.say(claim, "Normal", "FailedBinding", message).await;
        };
        let Some(class) = self.mirror.get(&Id::new(CLASSES, "", &name)) else {
            let message = format!("storageclass.storage.k8s.io {name:?} not found");
            return self
                .say(claim, "Warning", "ProvisioningFailed", &message)
                .await;
        };
        if class.text(&["provisioner"]) != Some(LOCAL) {
            let by = class.text(&["provisioner"]).unwrap_or_default();
            let message = format!(
                "Waiting for a volume to be created by the external provisioner '{by}': this server has \
                 {LOCAL} only"
            );
            return self
                .say(claim, "Normal", "ExternalProvisioning", &message)
                .await;
        }
        if claim.text(&["spec", "volumeMode"]) == Some("Block") {
            let message = "volumes of class local are file systems: leave volumeMode out";
            return self
                .say(claim, "Warning", "ProvisioningFailed", message)
                .await;
        }
        let mut nodes = self.users(id);
        let node = nodes.find_map(|pod| {
            let node = pod.text(&["spec", "nodeName"]).unwrap_or_default();
            (!node.is_empty()).then(|| node.to_owned())
        });
        let Some(node) = node else {
            let message = "waiting for first consumer to be created before binding";
            return self
                .say(claim, "Normal", "WaitForFirstConsumer", message)
                .await;
        };
        if let Some(message) = self.is_too_large(claim, &node).await {
            let reason = "ProvisioningFailed";
            return self.say(claim, "Warning", reason, &message).await;
        }
        self.make(claim, class, &node).await
    }

    /// Why a node's disk, empty, would not hold what is asked for. How much of it is free is another
    /// matter, and changes: nobody keeps a claim to its size.
    async fn is_too_large(&self, claim: &Object, node: &str) -> Option<String> {
        let kinds = self.store.kinds();
        let item = self
            .store
            .get(kinds.at("", "nodes")?, "", node)
            .await
            .ok()?;
        let found = crate::store::object_once(&item).ok()?;
        let disk = found.at(&["status", "capacity", "ephemeral-storage"])?;
        let asked = claim.at(&["spec", "resources", "requests", "storage"])?;
        let (has, wants) = (Quantity::of(disk).ok()?, Quantity::of(asked).ok()?);
        let is_known = has > Quantity::ZERO;
        (is_known && wants > has).then(|| {
            format!(
                "{} is more than the whole disk of node {node} ({}Gi)",
                asked.as_str().unwrap_or_default(),
                has.whole() >> 30
            )
        })
    }

    async fn make(&self, claim: &Object, class: &Object, node: &str) -> Result<(), Failure> {
        let meta = claim.meta();
        // By its name it is made once only.
        let name = format!("pvc-{}", meta.text("uid"));
        let mut volume = Object::default();
        volume.set_meta("name", Some(name.as_str().into()));
        volume.set_meta("finalizers", Some(json!([VOLUME_USED, DISCARD])));
        volume.set_meta(
            "annotations",
            Some(json!({ "pv.kubernetes.io/provisioned-by": LOCAL })),
        );
        let size = claim.at(&["spec", "resources", "requests", "storage"]);
        let policy = class.text(&["reclaimPolicy"]).unwrap_or("Delete");
        let spec = json!({
            "capacity": { "storage": size },
            "accessModes": claim.at(&["spec", "accessModes"]),
            "persistentVolumeReclaimPolicy": policy,
            "storageClassName": class.meta().name(),
            "claimRef": {
                "apiVersion": "v1", "kind": "PersistentVolumeClaim", "namespace": meta.namespace(),
                "name": meta.name(), "uid": meta.text("uid"),
            },
            "csi": { "driver": LOCAL, "volumeHandle": name },
            "nodeAffinity": { "required": { "nodeSelectorTerms": [{ "matchExpressions": [
                { "key": "kubernetes.io/hostname", "operator": "In", "values": [node] },
            ] }] } },
        });
        volume.0.insert("spec".to_owned(), spec);
        let kind = self.kind(VOLUMES)?;
        let options = WriteOptions {
            manager: NAME.to_owned(),
            ..WriteOptions::default()
        };
        match self.store.create(&kind, "", volume, &options).await {
            // It is heard of, and the claim bound then.
            Err(failure) if failure.reason == Reason::AlreadyExists => Ok(()),
            Err(failure) => Err(failure),
            Ok(_) => {
                let message = format!("Successfully provisioned volume {name}");
                let reason = "ProvisioningSucceeded";
                self.say(claim, "Normal", reason, &message).await
            }
        }
    }

    /// Whether the claim of a volume is there, by what is stored now.
    async fn is_claimed(&self, volume: &Object) -> Result<bool, Failure> {
        let Some((namespace, name, uid)) = claim_of(volume) else {
            return Ok(false);
        };
        let claims = self.kind(CLAIMS)?;
        match self.store.get(&claims, namespace, name).await {
            Ok(item) => Ok(crate::store::object_once(&item)?.meta().text("uid") == uid),
            Err(failure) if failure.reason == Reason::NotFound => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    async fn see_to_volume(&mut self, id: &Id) -> Result<(), Failure> {
        let Some(volume) = self.mirror.get(id).cloned() else {
            return Ok(());
        };
        let claim = claim_of(&volume).map(|(namespace, name, uid)| {
            let claim = self.mirror.get(&Id::new(CLAIMS, namespace, name));
            let is_it = |claim: &&Arc<Object>| uid.is_empty() || claim.meta().text("uid") == uid;
            (claim.filter(is_it).is_some(), uid.is_empty())
        });
        let is_had = matches!(claim, Some((true, _)));
        if volume.meta().is_deleting() {
            if has(&volume, VOLUME_USED) && !is_had {
                let release = |all: &mut Vec<&str>| all.retain(|held| *held != VOLUME_USED);
                return self.set_finalizers(VOLUMES, &volume, release).await;
            }
            return Ok(());
        }
        if matches!(claim, Some((false, false))) && self.is_claimed(&volume).await? {
            // Only not heard of yet: nothing is let go of what somebody has.
            return Ok(());
        }
        let phase = volume.text(&["status", "phase"]).unwrap_or_default();
        let wanted = match claim {
            None | Some((false, true)) => "Available",
            // Who binds it says so.
            Some((true, _)) => return Ok(()),
            Some((false, false)) => "Released",
        };
        if phase != wanted {
            let patch = json!({ "status": { "phase": wanted } });
            return self.patch(VOLUMES, &volume, "status", patch).await;
        }
        let policy = volume.text(&["spec", "persistentVolumeReclaimPolicy"]);
        let is_ours = volume.text(&["spec", "csi", "driver"]) == Some(LOCAL);
        if wanted == "Released" && policy == Some("Delete") && is_ours {
            let kind = self.kind(VOLUMES)?;
            let options = DeleteOptions {
                uid: Some(volume.meta().text("uid").to_owned()),
                version: Some(volume.meta().text("resourceVersion").to_owned()),
                ..DeleteOptions::default()
            };
            let deleted = self.store.delete(&kind, "", &id.name, &options);
            return deleted.await.map(drop);
        }
        Ok(())
    }
}
