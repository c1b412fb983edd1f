//! Which kinds a server has, and what people call them.
//!
//! Owns the reading of aggregated discovery and the names under which a kind is found: plural,
//! singular, kind, short name, each with a group and a version perhaps, and categories.

use serde_json::Value;

use super::error::ApiError;
use super::transport::Cluster;
use crate::request::Request;

/// What is asked for.
const ACCEPT: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
                      application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";

/// A kind as the server serves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Empty for the core's.
    pub group: String,
    /// `v1`
    pub version: String,
    /// `configmaps`
    pub plural: String,
    /// `configmap`
    pub singular: String,
    /// `ConfigMap`
    pub kind: String,
    /// Whether its objects are in namespaces.
    pub is_namespaced: bool,
    /// `cm`
    pub short: Vec<String>,
    /// `all`
    pub categories: Vec<String>,
    /// What can be done with it.
    pub verbs: Vec<String>,
    /// `status`, `scale`
    pub subresources: Vec<String>,
}

impl Resource {
    /// `v1`, `apps/v1`
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `configmap`, `deployment.apps`: how objects of it are named in output.
    pub fn label(&self) -> String {
        qualified(&self.kind.to_lowercase(), &self.group)
    }

    /// `configmaps`, `deployments.apps`
    pub fn full_name(&self) -> String {
        qualified(&self.plural, &self.group)
    }

    /// Whether objects of it can be `verb`ed.
    pub fn can(&self, verb: &str) -> bool {
        self.verbs.iter().any(|known| known == verb)
    }

    /// The path of all its objects, of a namespace, or of one of them, as segments.
    pub fn path<'a>(
        &'a self,
        namespace: Option<&'a str>,
        name: Option<&'a str>,
        subresource: Option<&'a str>,
    ) -> Vec<&'a str> {
        let mut path = match self.group.as_str() {
            "" => vec!["api", &self.version],
            group => vec!["apis", group, &self.version],
        };
        if let Some(namespace) = namespace.filter(|_| self.is_namespaced) {
            path.extend(["namespaces", namespace]);
        }
        path.push(&self.plural);
        path.extend(name);
        path.extend(subresource);
        path
    }
}

fn qualified(name: &str, group: &str) -> String {
    match group {
        "" => name.to_owned(),
        group => format!("{name}.{group}"),
    }
}

/// All kinds of a server, core first, in the server's order.
#[derive(Debug, Clone, Default)]
pub struct Kinds(Vec<Resource>);

impl Kinds {
    /// Asks the server.
    ///
    /// # Errors
    /// It does not answer, or in a way from before 1.26.
    pub async fn of(cluster: &Cluster) -> Result<Kinds, ApiError> {
        let mut all = Vec::new();
        for path in ["api", "apis"] {
            let what = "learn which kinds there are";
            let request = Request::get(what, &[path]).header("accept", ACCEPT);
            let value = cluster.ask(&request).await?.json()?;
            if value["kind"] != "APIGroupDiscoveryList" {
                return Err(ApiError::Answer {
                    what: what.to_owned(),
                    why: "it has no aggregated discovery, which servers have since 1.26".to_owned(),
                });
            }
            read(&value, &mut all);
        }
        Ok(Kinds(all))
    }

    /// Reads discovery documents.
    pub fn read(documents: &[Value]) -> Kinds {
        let mut all = Vec::new();
        for document in documents {
            read(document, &mut all);
        }
        Kinds(all)
    }

    /// Each of them once, in the version its group prefers.
    pub fn preferred(&self) -> impl Iterator<Item = &Resource> {
        let is_before = |at: usize, one: &Resource| {
            let mut before = self.0[..at].iter();
            before.any(|other| (&other.group, &other.plural) == (&one.group, &one.plural))
        };
        let all = self.0.iter().enumerate();
        all.filter(move |(at, one)| !is_before(*at, one))
            .map(|(_, one)| one)
    }

    /// Each of them, in all versions.
    pub fn iter(&self) -> impl Iterator<Item = &Resource> {
        self.0.iter()
    }

    /// The kind of an object.
    pub fn of_object(&self, api_version: &str, kind: &str) -> Option<&Resource> {
        let found = |one: &&Resource| one.kind == kind && one.api_version() == api_version;
        self.0.iter().find(found)
    }

    /// What `word` means: `cm`, `configmaps`, `deployments.apps`, `deploy.apps`, `deployments.v1.apps`.
    pub fn find(&self, word: &str) -> Option<&Resource> {
        let lower = word.to_lowercase();
        let exact = self.0.iter().find(|one| is_called(one, &lower));
        let qualified = || {
            let (name, rest) = lower.split_once('.')?;
            let is_named =
                |one: &Resource| is_called(one, name) || one.short.iter().any(|s| s == name);
            let versioned = |one: &&Resource| {
                let (version, group) = rest.split_once('.').unwrap_or((rest, ""));
                is_named(one) && one.version == version && one.group == group
            };
            let grouped = |one: &&Resource| is_named(one) && one.group == rest;
            self.0
                .iter()
                .find(grouped)
                .or_else(|| self.0.iter().find(versioned))
        };
        let short = || self.0.iter().find(|one| one.short.contains(&lower));
        exact.or_else(qualified).or_else(short)
    }

    /// What a category (`all`) means.
    pub fn category<'a>(&'a self, word: &'a str) -> impl Iterator<Item = &'a Resource> {
        let is_in = move |one: &&Resource| one.categories.iter().any(|known| known == word);
        self.preferred().filter(is_in)
    }
}

fn is_called(one: &Resource, lower: &str) -> bool {
    one.plural == lower || one.singular == lower || one.kind.to_lowercase() == lower
}

fn read(document: &Value, all: &mut Vec<Resource>) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let texts = |value: &Value| list(value).iter().map(text).collect::<Vec<_>>();
    for group in list(&document["items"]) {
        for version in list(&group["versions"]) {
            for one in list(&version["resources"]) {
                let kind = text(&one["responseKind"]["kind"]);
                let singular = text(&one["singularResource"]);
                let below = list(&one["subresources"]);
                all.push(Resource {
                    group: text(&group["metadata"]["name"]),
                    version: text(&version["version"]),
                    plural: text(&one["resource"]),
                    singular: match singular.as_str() {
                        "" => kind.to_lowercase(),
                        _ => singular,
                    },
                    kind,
                    is_namespaced: one["scope"] == "Namespaced",
                    short: texts(&one["shortNames"]),
                    categories: texts(&one["categories"]),
                    verbs: texts(&one["verbs"]),
                    subresources: below.iter().map(|one| text(&one["subresource"])).collect(),
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn kinds() -> Kinds {
        let one = |plural: &str, kind: &str, short: &[&str], categories: &[&str]| {
            json!({
                "resource": plural, "singularResource": "", "scope": "Namespaced",
                "responseKind": { "kind": kind }, "shortNames": short, "verbs": ["get"],
                "categories": categories,
            })
        };
        let group = |name: &str, version: &str, resources: &[Value]| {
            json!({
                "metadata": { "name": name },
                "versions": [{ "version": version, "resources": resources }],
            })
        };
        let core = [
            one("configmaps", "ConfigMap", &["cm"], &[]),
            one("events", "Event", &["ev"], &[]),
        ];
        let apps = [one("deployments", "Deployment", &["deploy"], &["all"])];
        let scalers = [one("scalers", "Scaler", &["sc"], &["all"])];
        let two = json!({
            "metadata": { "name": "scaling" },
            "versions": [
                { "version": "v2", "resources": scalers },
                { "version": "v1", "resources": scalers },
            ],
        });
        Kinds::read(&[
            json!({ "items": [group("", "v1", &core)] }),
            json!({ "items": [
                group("apps", "v1", &apps),
                group("events.k8s.io", "v1", &[one("events", "Event", &["ev"], &[])]),
                two,
            ] }),
        ])
    }

    #[test]
    fn a_kind_is_found_under_all_its_names() {
        let kinds = kinds();
        for (word, found) in [
            ("cm", "configmaps"),
            ("ConfigMap", "configmaps"),
            ("configmaps", "configmaps"),
            ("configmaps.v1", "configmaps"),
            ("deploy", "deployments.apps"),
            ("deployments.apps", "deployments.apps"),
            ("deployment.v1.apps", "deployments.apps"),
            ("deploy.apps", "deployments.apps"),
            ("ev.events.k8s.io", "events.events.k8s.io"),
            ("events", "events"),
            ("events.events.k8s.io", "events.events.k8s.io"),
            ("ev", "events"),
            ("events.v1.events.k8s.io", "events.events.k8s.io"),
        ] {
            let name = kinds.find(word).map(Resource::full_name);
            assert_eq!(name.as_deref(), Some(found), "{word}");
        }
        for word in ["nope", "deployments.batch", "configmaps.v2", ""] {
            assert_eq!(kinds.find(word), None, "{word}");
        }
        let preferred: Vec<String> = kinds.category("all").map(Resource::api_version).collect();
        assert_eq!(preferred, ["apps/v1", "scaling/v2"]);
        assert_eq!((kinds.iter().count(), kinds.preferred().count()), (6, 5));
        let version = |word: &str| kinds.find(word).map(|one| one.version.as_str());
        assert_eq!(version("scalers"), Some("v2"));
        assert_eq!(version("scalers.v1.scaling"), Some("v1"));
    }

    #[test]
    fn paths_have_a_namespace_where_there_is_one() {
        let kinds = kinds();
        let deployments = kinds
            .find("deploy")
            .cloned()
            .unwrap_or_else(|| panic!("it is there"));
        assert_eq!(
            deployments
                .path(Some("a"), Some("b"), Some("status"))
                .join("/"),
            "apis/apps/v1/namespaces/a/deployments/b/status"
        );
        assert_eq!(
            deployments.path(None, None, None).join("/"),
            "apis/apps/v1/deployments"
        );
        assert_eq!(deployments.label(), "deployment.apps");
    }
}
