//! What an object is called, now and before, so that others still find it by a name it had.

use serde_json::{Map, Value};

/// Group, version, kind, namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Id {
    pub group: String,
    pub version: String,
    pub kind: String,
    pub namespace: String,
    pub name: String,
}

/// Kinds without a namespace.
const CLUSTER_WIDE: [&str; 25] = [
    "APIService",
    "CSIDriver",
    "CSINode",
    "CertificateSigningRequest",
    "ClusterRole",
    "ClusterRoleBinding",
    "ComponentStatus",
    "CustomResourceDefinition",
    "FlowSchema",
    "IngressClass",
    "MutatingWebhookConfiguration",
    "Namespace",
    "Node",
    "PersistentVolume",
    "PodSecurityPolicy",
    "PriorityClass",
    "PriorityLevelConfiguration",
    "RuntimeClass",
    "SelfSubjectAccessReview",
    "SelfSubjectRulesReview",
    "StorageClass",
    "SubjectAccessReview",
    "TokenReview",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
];

impl Id {
    /// That of an object.
    pub fn of(value: &Value) -> Id {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let api = text(&value["apiVersion"]);
        let (group, version) = api.split_once('/').unwrap_or(("", &api));
        Id {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: text(&value["kind"]),
            namespace: text(&value["metadata"]["namespace"]),
            name: text(&value["metadata"]["name"]),
        }
    }

    /// Whether it is one of Kubernetes' own kinds that have no namespace. Others are taken for
    /// ones that have, as kustomize takes them.
    pub fn is_cluster_wide(&self) -> bool {
        let own = self.group.is_empty() || self.group.ends_with(".k8s.io");
        CLUSTER_WIDE.contains(&&*self.kind) && own || self.kind == "ValidatingWebhookConfiguration"
    }

    /// Its namespace, where none is named, too.
    pub fn space(&self) -> &str {
        match &*self.namespace {
            _ if self.is_cluster_wide() => "",
            "" => "default",
            named => named,
        }
    }

    /// Whether both are the same object.
    pub fn is_same(&self, other: &Id) -> bool {
        self.is_like(other) && self.version == other.version
    }

    /// Whether both are the same object, perhaps in different versions.
    pub fn is_like(&self, other: &Id) -> bool {
        self.kind == other.kind
            && self.group == other.group
            && self.name == other.name
            && self.space() == other.space()
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}", self.kind, self.name)?;
        match self.space() {
            "" => Ok(()),
            space => write!(f, " in namespace {space:?}"),
        }
    }
}

/// An object on its way.
#[derive(Debug, Clone)]
pub struct Resource {
    /// It.
    pub value: Value,
    /// Where it was read.
    pub place: String,
    /// What it was called before, oldest first.
    pub before: Vec<Id>,
    /// What was put before its name, and behind it.
    pub prefixes: Vec<String>,
    pub suffixes: Vec<String>,
    /// Whether its name gets a hash of what it holds.
    pub is_hashed: bool,
}

impl Resource {
    /// One that was just read.
    pub fn new(value: Value, place: &str) -> Resource {
        Resource {
            value,
            place: place.to_owned(),
            before: Vec::new(),
            prefixes: Vec::new(),
            suffixes: Vec::new(),
            is_hashed: false,
        }
    }

    /// What it is called now.
    pub fn id(&self) -> Id {
        Id::of(&self.value)
    }

    /// Whether it is called `id` now; most are not, and that is found out by their names.
    pub fn is(&self, id: &Id) -> bool {
        self.value["metadata"]["name"] == *id.name && self.id().is_same(id)
    }

    /// All it was called and is.
    pub fn ids(&self) -> impl Iterator<Item = Id> + '_ {
        self.before.iter().cloned().chain([self.id()])
    }

    /// Keeps in mind what it is called, before that changes.
    pub fn remember(&mut self) {
        let id = self.id();
        if self.before.last() != Some(&id) {
            self.before.push(id);
        }
    }

    /// Its metadata, made where there is none.
    pub fn metadata(&mut self) -> &mut Map<String, Value> {
        if !self.value["metadata"].is_object() {
            self.value["metadata"] = Map::new().into();
        }
        match &mut self.value["metadata"] {
            Value::Object(map) => map,
            _ => unreachable!("it was just made an object"),
        }
    }

    /// Gives it another name.
    pub fn rename(&mut self, name: String) {
        self.remember();
        self.metadata().insert("name".to_owned(), name.into());
    }
}
