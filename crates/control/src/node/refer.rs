//! What a pod refers to beside itself: config maps, secrets, services. Pure, but for fetching it.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::PodSpec;
use serde_json::Value;
use weft_template::{Delimiters, Dialect, Template};

use super::{lower, tokens};
use crate::failure::{Failure, Reason};
use crate::object::Object;
use crate::store::{ListOptions, Store, object};
use crate::templates;

/// Namespace and name of the API's own service.
pub(super) const API: (&str, &str) = ("default", "kubernetes");

/// Names of what is referred to, in the pod's namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct References {
    pub config_maps: BTreeSet<String>,
    pub secrets: BTreeSet<String>,
    pub claims: BTreeSet<String>,
    /// Services of the namespace are among its variables.
    pub services: bool,
    /// Files of its are made of templates.
    pub templates: bool,
    /// Whose name it acts in.
    pub account: String,
    /// Tokens of that account in its files.
    pub tokens: BTreeSet<tokens::Wanted>,
}

impl References {
    pub fn of(spec: &PodSpec) -> References {
        let mut all = References {
            services: spec.enable_service_links != Some(false),
            account: spec.service_account_name.clone().unwrap_or_default(),
            tokens: tokens::wanted(spec),
            ..References::default()
        };
        let init = spec.init_containers.iter().flatten();
        let debug = spec.ephemeral_containers.iter().flatten();
        let debug: Vec<_> = debug.map(lower::as_container).collect();
        for container in init.chain(&spec.containers).chain(&debug) {
            for env in container.env.iter().flatten() {
                let from = env.value_from.as_ref();
                if let Some(of) = from.and_then(|from| from.config_map_key_ref.as_ref()) {
                    all.config_maps.insert(of.name.clone());
                }
                if let Some(of) = from.and_then(|from| from.secret_key_ref.as_ref()) {
                    all.secrets.insert(of.name.clone());
                }
            }
            for from in container.env_from.iter().flatten() {
                all.config_maps
                    .extend(from.config_map_ref.iter().map(|of| of.name.clone()));
                all.secrets
                    .extend(from.secret_ref.iter().map(|of| of.name.clone()));
            }
        }
        for volume in spec.volumes.iter().flatten() {
            all.config_maps
                .extend(volume.config_map.iter().map(|of| of.name.clone()));
            let secrets = volume.secret.iter();
            all.secrets
                .extend(secrets.filter_map(|of| of.secret_name.clone()));
            let claims = volume.persistent_volume_claim.iter();
            all.claims.extend(claims.map(|of| of.claim_name.clone()));
            let sources = volume.projected.iter().flat_map(|of| of.sources.iter());
            for source in sources.flatten() {
                all.config_maps
                    .extend(source.config_map.iter().map(|of| of.name.clone()));
                all.secrets
                    .extend(source.secret.iter().map(|of| of.name.clone()));
            }
        }
        let pulls = spec.image_pull_secrets.iter().flatten();
        all.secrets.extend(pulls.map(|of| of.name.clone()));
        all
    }

    /// Whether an object of this kind and name is meant.
    pub fn has(&self, plural: &str, name: &str) -> bool {
        match plural {
            "configmaps" => self.config_maps.contains(name),
            "secrets" => self.secrets.contains(name),
            "persistentvolumeclaims" => self.claims.contains(name),
            "services" => self.services,
            "serviceaccounts" => !self.tokens.is_empty() && self.account == name,
            _ => false,
        }
    }
}

/// What was found of it.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    pub config_maps: BTreeMap<String, Object>,
    pub secrets: BTreeMap<String, Object>,
    pub claims: BTreeMap<String, Object>,
    /// Those the claims are bound to.
    pub volumes: BTreeMap<String, Object>,
    pub services: Vec<Object>,
    /// The API's own, which all pods are told of.
    pub api: Option<Object>,
    /// What its templates name.
    pub named: weft_template::References,
    /// Whose name it acts in, if it shows that to anybody.
    pub account: Option<Object>,
    pub tokens: tokens::Given,
    /// Of the node, if there are templates.
    pub node_labels: BTreeMap<String, String>,
    /// What the node has for pods.
    pub allocatable: BTreeMap<String, String>,
}

/// Fetches it; what is not there is left out. What templates in it name is referred to, too.
pub(super) async fn fetch(
    store: &Store,
    namespace: &str,
    wanted: &mut References,
) -> Result<Found, Failure> {
    let mut config_maps = each(store, namespace, "configmaps", &wanted.config_maps).await?;
    let named = named(&config_maps, wanted);
    let others = named.keys.iter().map(|(map, _)| map);
    let others = others.filter(|map| !wanted.config_maps.contains(*map));
    let others: BTreeSet<String> = others.cloned().collect();
    config_maps.extend(each(store, namespace, "configmaps", &others).await?);
    wanted.config_maps.extend(others);
    let secrets = named.secrets.iter().map(|(secret, _)| secret.clone());
    wanted.secrets.extend(secrets);
    let mut found = Found {
        config_maps,
        named,
        secrets: each(store, namespace, "secrets", &wanted.secrets).await?,
        claims: each(store, namespace, "persistentvolumeclaims", &wanted.claims).await?,
        ..Found::default()
    };
    if !wanted.tokens.is_empty() {
        let names = BTreeSet::from([wanted.account.clone()]);
        let accounts = each(store, namespace, "serviceaccounts", &names).await?;
        found.account = accounts.into_values().next();
    }
    let bound = found.claims.values();
    let bound = bound.filter_map(|claim| claim.text(&["spec", "volumeName"]));
    let bound = bound.map(str::to_owned).collect();
    found.volumes = each(store, "", "persistentvolumes", &bound).await?;
    let api = BTreeSet::from([API.1.to_owned()]);
    let api = each(store, API.0, "services", &api).await?;
    found.api = api.into_values().next();
    let kinds = store.kinds();
    if wanted.services
        && let Some(services) = kinds.find("", "v1", "services")
    {
        let listed = store
            .list(services, namespace, &ListOptions::default())
            .await?;
        for item in &listed.items {
            found.services.push(object(item)?);
        }
    }
    Ok(found)
}

/// What the templates among config maps name. One that is none names nothing: its node says why.
fn named(
    config_maps: &BTreeMap<String, Object>,
    wanted: &mut References,
) -> weft_template::References {
    let mut named = weft_template::References::default();
    for (name, map) in config_maps {
        let Ok(Some(marks)) = templates::marks(map) else {
            continue;
        };
        wanted.templates = true;
        for held in held_by_map(map).into_values() {
            let Held::Text(text) = held else { continue };
            let within = Delimiters {
                left: &marks.left,
                right: &marks.right,
            };
            let Ok(template) = Template::parse_within(text, Dialect::File, within) else {
                continue;
            };
            let found = template.references();
            let keys = found.keys.iter().cloned();
            named
                .keys
                .extend(keys.map(|(map, key)| match map.is_empty() {
                    true => (name.clone(), key),
                    false => (map, key),
                }));
            named.secrets.extend(found.secrets.iter().cloned());
        }
    }
    named
}

async fn each(
    store: &Store,
    namespace: &str,
    plural: &str,
    names: &BTreeSet<String>,
) -> Result<BTreeMap<String, Object>, Failure> {
    let mut found = BTreeMap::new();
    let kinds = store.kinds();
    let Some(kind) = kinds.find("", "v1", plural) else {
        return Ok(found);
    };
    for name in names {
        match store.get(kind, namespace, name).await {
            Ok(item) => {
                found.insert(name.clone(), object(&item)?);
            }
            Err(failure) if failure.reason == Reason::NotFound => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(found)
}

/// What a config map or secret holds under a key: text, or base64.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Held<'a> {
    Text(&'a str),
    Base64(&'a str),
}

/// All that a config map holds.
pub(super) fn held_by_map(map: &Object) -> BTreeMap<&str, Held<'_>> {
    let mut all = texts(map, "data", Held::Text);
    all.extend(texts(map, "binaryData", Held::Base64));
    all
}

/// All that a secret holds.
pub(super) fn held_by_secret(secret: &Object) -> BTreeMap<&str, Held<'_>> {
    texts(secret, "data", Held::Base64)
}

fn texts<'a>(
    object: &'a Object,
    field: &str,
    held: fn(&'a str) -> Held<'a>,
) -> BTreeMap<&'a str, Held<'a>> {
    let map = object.at(&[field]).and_then(Value::as_object);
    let pairs = map.into_iter().flatten();
    pairs
        .filter_map(|(key, value)| Some((key.as_str(), held(value.as_str()?))))
        .collect()
}
