//! Which kinds there are, told as kubectl asks: old (`/api`, `/apis`, each version) and aggregated.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use http::request::Parts;
use serde_json::{Value, json};
use weft_control::{Failure, Kind, Kinds};

use crate::accept::{Accept, Encoding, OBJECTS, Range};
use crate::answer::Answer;
use crate::pages::{Page, Pages};
use crate::query::Query;
use crate::target::DEBUG;

/// Verbs of every kind.
const VERBS: [&str; 8] = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];
/// The same of what is not deleted all at once.
const SINGLE: [&str; 7] = [
    "create", "delete", "get", "list", "patch", "update", "watch",
];
/// What can be done with a part of an object.
const PART_VERBS: [&str; 3] = ["get", "patch", "update"];
/// Verbs of what is only asked.
const ASKED: [&str; 1] = ["create"];
/// Verbs of what is measured.
const MEASURED: [&str; 2] = ["get", "list"];
/// Verbs of what is never changed.
const FIXED: [&str; 6] = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "watch",
];
/// Answers a path of discovery; nothing if it is none.
pub(crate) fn answer(
    pages: &Pages,
    kinds: &Arc<Kinds>,
    head: &Parts,
) -> Option<Result<Answer, Failure>> {
    let path = head.uri.path().trim_matches('/');
    if !matches!(path.split('/').next(), Some("api" | "apis")) {
        return None;
    }
    let (accept, query) = (Accept::of(&head.headers), Query::of(&head.uri));
    let form = |range: &Range| Form::of(range, path);
    // Whether there is such a path comes first.
    let (encoding, form) = match accept.choose(&query, &OBJECTS, form) {
        Ok(chosen) => chosen,
        Err(failure) => return old(kinds, &steps(path)).map(|_| Err(failure)),
    };
    let name = format!("{path} {form:?} {encoding:?}");
    let page = pages.get(kinds, name, || page(kinds, path, form, encoding))?;
    Some(Ok(page.answer(&head.headers)))
}

/// What clients accept.
#[derive(Clone, Copy, Debug)]
enum Form {
    Old,
    /// `apidiscovery.k8s.io` in this version: what clients before 1.30 ask for is called v2beta1;
    /// its fields are the same.
    Aggregated(&'static str),
}

impl Form {
    /// Nothing: there is none of this form at the path.
    fn of(range: &Range, path: &str) -> Option<Form> {
        if !range.converts() {
            return Some(Form::Old);
        }
        let known = matches!(path, "api" | "apis")
            && range.param("g") == "apidiscovery.k8s.io"
            && range.param("as") == "APIGroupDiscoveryList";
        match range.param("v") {
            "v2" if known => Some(Form::Aggregated("v2")),
            "v2beta1" if known => Some(Form::Aggregated("v2beta1")),
            _ => None,
        }
    }
}

fn steps(path: &str) -> Vec<&str> {
    path.split('/').collect()
}

fn page(kinds: &Kinds, path: &str, form: Form, encoding: Encoding) -> Option<Page> {
    let parts = steps(path);
    let (value, media) = match (&parts[..], form) {
        (["api"], Form::Aggregated(version)) => all(kinds, <str>::is_empty, (version, encoding)),
        (["apis"], Form::Aggregated(version)) => {
            all(kinds, |group| !group.is_empty(), (version, encoding))
        }
        _ => (old(kinds, &parts)?, encoding.media()),
    };
    Some(Page::new(media, encoding.text(&value)))
}

fn old(kinds: &Kinds, parts: &[&str]) -> Option<Value> {
    let value = match *parts {
        ["api"] => json!({
            "kind": "APIVersions",
            "versions": ["v1"],
            "serverAddressByClientCIDRs": [],
        }),
        ["apis"] => {
            let groups = groups(kinds);
            let named = groups.iter().filter(|(group, _)| !group.is_empty());
            let list: Vec<Value> = named
                .map(|(group, versions)| api_group(group, versions))
                .collect();
            json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": list })
        }
        ["apis", group] => {
            let groups = groups(kinds);
            let mut value = api_group(group, groups.get(group)?);
            value["kind"] = "APIGroup".into();
            value["apiVersion"] = "v1".into();
            value
        }
        ["api", version] => resources(kinds, "", version)?,
        ["apis", group, version] => resources(kinds, group, version)?,
        _ => return None,
    };
    Some(value)
}

/// Versions of a group with their kinds, the one to be preferred first.
type Versions = BTreeMap<Reverse<Rank>, Vec<Arc<Kind>>>;

fn groups(kinds: &Kinds) -> BTreeMap<&str, Versions> {
    let mut groups: BTreeMap<&str, Versions> = BTreeMap::new();
    for kind in kinds.served() {
        let versions = groups.entry(&kind.group).or_default();
        let rank = Reverse(Rank::of(&kind.version));
        versions.entry(rank).or_default().push(Arc::clone(kind));
    }
    groups
}

/// How a version stands among others: `v2`, `v1`, `v2beta1`, `v1alpha1`, then all other names,
/// those that come first in the alphabet first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// Finished, beta, alpha: 3, 2, 1; another name: 0.
    maturity: u8,
    number: u32,
    step: u32,
    name: Reverse<String>,
}

impl Rank {
    fn of(name: &str) -> Rank {
        let (maturity, number, step) = Rank::read(name).unwrap_or((0, 0, 0));
        Rank {
            maturity,
            number,
            step,
            name: Reverse(name.to_owned()),
        }
    }

    fn read(name: &str) -> Option<(u8, u32, u32)> {
        let rest = name.strip_prefix('v')?;
        for (word, maturity) in [("beta", 2), ("alpha", 1)] {
            if let Some((number, step)) = rest.split_once(word) {
                return Some((maturity, number.parse().ok()?, step.parse().ok()?));
            }
        }
        Some((3, rest.parse().ok()?, 0))
    }
}

fn api_group(group: &str, versions: &Versions) -> Value {
    let versions: Vec<Value> = versions
        .keys()
        .map(|Reverse(rank)| {
            let version = &rank.name.0;
            json!({ "groupVersion": format!("{group}/{version}"), "version": version })
        })
        .collect();
    json!({ "name": group, "versions": versions, "preferredVersion": versions[0] })
}

/// Whether all of a kind may be deleted at once. Namespaces go one by one, as upstream: nobody is
/// to lose all by a path that ends too early.
pub(crate) fn has_collection(kind: &Kind) -> bool {
    !(kind.group.is_empty() && kind.plural == "namespaces")
}

fn verbs(kind: &Kind) -> &'static [&'static str] {
    match kind {
        kind if !has_collection(kind) => &SINGLE,
        kind if kind.is_question => &ASKED,
        kind if kind.is_measured => &MEASURED,
        kind if kind.is_fixed => &FIXED,
        _ => &VERBS,
    }
}

/// Whether accounts of this kind are given tokens.
fn has_tokens(kind: &Kind) -> bool {
    kind.group.is_empty() && kind.plural == "serviceaccounts"
}

/// Whether what is of this kind is given certificates.
fn has_certificates(kind: &Kind) -> bool {
    (&*kind.group, &*kind.plural) == crate::devices::KIND
}

fn resources(kinds: &Kinds, group: &str, version: &str) -> Option<Value> {
    let groups = groups(kinds);
    let kinds = groups.get(group)?.get(&Reverse(Rank::of(version)))?;
    let mut list = Vec::new();
    for kind in kinds {
        list.push(json!({
            "name": kind.plural,
            "singularName": kind.singular,
            "namespaced": kind.is_namespaced,
            "kind": kind.kind,
            "verbs": verbs(kind),
            "shortNames": kind.short,
            "categories": kind.categories,
        }));
        for part in subresources(kind) {
            let mut entry = json!({
                "name": format!("{}/{}", kind.plural, part.name),
                "singularName": "",
                "namespaced": kind.is_namespaced,
                "kind": part.kind,
                "verbs": part.verbs,
            });
            if part.group != kind.group || part.version != kind.version {
                entry["group"] = part.group.into();
                entry["version"] = part.version.into();
            }
            list.push(entry);
        }
    }
    if kinds.iter().any(|kind| has_tokens(kind)) {
        list.push(json!({
            "name": "serviceaccounts/token",
            "singularName": "",
            "namespaced": true,
            "group": "authentication.k8s.io",
            "version": "v1",
            "kind": "TokenRequest",
            "verbs": ASKED,
        }));
    }
    if kinds.iter().any(|kind| has_certificates(kind)) {
        list.push(json!({
            "name": "devices/certificates",
            "singularName": "",
            "namespaced": true,
            "kind": "Certificate",
            "verbs": ASKED,
        }));
    }
    let version = kinds.first()?.api_version();
    Some(json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": version,
        "resources": list,
    }))
}

/// All groups with all their kinds in one answer (`apidiscovery.k8s.io`).
fn all(
    kinds: &Kinds,
    wanted: impl Fn(&str) -> bool,
    (version, encoding): (&str, Encoding),
) -> (Value, &'static str) {
    let media = match (version, encoding) {
        ("v2", Encoding::Yaml) => {
            "application/yaml;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        }
        ("v2", _) => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        (_, Encoding::Yaml) => {
            "application/yaml;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
        }
        _ => "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList",
    };
    let groups = groups(kinds);
    let items: Vec<Value> = groups
        .iter()
        .filter(|(group, _)| wanted(group))
        .map(|(group, versions)| {
            let versions = versions.iter().map(|(Reverse(rank), kinds)| {
                let resources: Vec<Value> = kinds.iter().map(|kind| resource(kind)).collect();
                json!({
                    "version": rank.name.0,
                    "resources": resources,
                    "freshness": "Current",
                })
            });
            json!({
                "metadata": { "name": group, "creationTimestamp": null },
                "versions": versions.collect::<Vec<_>>(),
            })
        })
        .collect();
    let value = json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": format!("apidiscovery.k8s.io/{version}"),
        "metadata": {},
        "items": items,
    });
    (value, media)
}

fn resource(kind: &Kind) -> Value {
    let response_kind = json!({ "group": kind.group, "version": kind.version, "kind": kind.kind });
    let mut value = json!({
        "resource": kind.plural,
        "singularResource": kind.singular,
        "responseKind": response_kind,
        "scope": if kind.is_namespaced { "Namespaced" } else { "Cluster" },
        "verbs": verbs(kind),
        "shortNames": kind.short,
        "categories": kind.categories,
    });
    let parts: Vec<Value> = subresources(kind)
        .map(|part| {
            json!({
                "subresource": part.name,
                "responseKind": {
                    "group": part.group, "version": part.version, "kind": part.kind,
                },
                "verbs": part.verbs,
            })
        })
        .collect();
    if !parts.is_empty() {
        value["subresources"] = parts.into();
    }
    if has_certificates(kind) {
        let one = json!({
            "subresource": "certificates",
            "responseKind": { "group": kind.group, "version": kind.version, "kind": "Certificate" },
            "verbs": ASKED,
        });
        if let Some(parts) = value["subresources"].as_array_mut() {
            parts.push(one);
        }
    }
    if has_tokens(kind) {
        value["subresources"] = json!([{
            "subresource": "token",
            "responseKind": {
                "group": "authentication.k8s.io", "version": "v1", "kind": "TokenRequest",
            },
            "verbs": ASKED,
        }]);
    }
    value
}

/// A part of an object that has its own path.
struct Part<'a> {
    name: &'static str,
    group: &'a str,
    version: &'a str,
    kind: &'a str,
    verbs: &'static [&'static str],
}

fn subresources(kind: &Kind) -> impl Iterator<Item = Part<'_>> {
    let is_pod = kind.group.is_empty() && kind.plural == "pods";
    let placing = |(name, group, version, kind)| Part {
        name,
        group,
        version,
        kind,
        verbs: &ASKED,
    };
    let placed = [
        ("binding", "", "v1", "Binding"),
        ("eviction", "policy", "v1", "Eviction"),
    ];
    let placed = placed.into_iter().filter(move |_| is_pod).map(placing);
    let status = kind.has_status.then(|| Part {
        verbs: &PART_VERBS,
        name: "status",
        group: &kind.group,
        version: &kind.version,
        kind: &kind.kind,
    });
    let scale = kind.scale.as_ref().map(|_| Part {
        verbs: &PART_VERBS,
        name: "scale",
        group: "autoscaling",
        version: "v1",
        kind: "Scale",
    });
    let debug = is_pod.then(|| Part {
        verbs: &PART_VERBS,
        name: DEBUG,
        group: &kind.group,
        version: &kind.version,
        kind: &kind.kind,
    });
    placed.chain(debug).chain(status).chain(scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_stand_in_their_order() {
        let order = [
            "v10", "v2", "v1", "v2beta10", "v2beta1", "v1beta1", "v1alpha2", "first", "v1rc1",
        ];
        let mut found = order;
        found.sort_by_key(|name| (name.len(), *name));
        found.sort_by_key(|name| Reverse(Rank::of(name)));
        assert_eq!(found, order);
    }

    #[test]
    fn a_group_stands_there_once_with_all_its_versions() {
        let kinds = Kinds::built_in();
        let groups = groups(&kinds);
        let group = api_group("autoscaling", &groups["autoscaling"]);
        assert_eq!(group["preferredVersion"]["version"], "v2");
        assert_eq!(group["versions"][1]["groupVersion"], "autoscaling/v1");
        let all = resources(&kinds, "autoscaling", "v1").unwrap();
        assert_eq!(all["resources"][0]["name"], "horizontalpodautoscalers");
        assert!(resources(&kinds, "autoscaling", "v3").is_none());
    }
}
