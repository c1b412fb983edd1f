//! Roles, from flags.
//!
//! Owns which verbs fit which kinds and paths. Never: who gets a role.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Making;
use super::values::{self, Values};
use crate::error::CliError;
use crate::objects::connect::{Api, Connect, no_kind};
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// `weft create role`
pub const ROLE: Entry = verb!("role", Role, "Make a role: what may be done in a namespace");
/// `weft create clusterrole`
pub const CLUSTER_ROLE: Entry = verb!(
    "clusterrole",
    ClusterRole,
    "Make a cluster role: what may be done everywhere"
);
/// The group of roles and their bindings.
pub const GROUP: &str = "rbac.authorization.k8s.io";

/// What roles allow to do with objects; a server may know more.
const VERBS: [&str; 14] = [
    "*",
    "bind",
    "create",
    "delete",
    "deletecollection",
    "escalate",
    "get",
    "impersonate",
    "list",
    "patch",
    "proxy",
    "update",
    "use",
    "watch",
];
/// What they allow to do with paths.
const PATH_VERBS: [&str; 8] = [
    "*", "delete", "get", "head", "options", "patch", "post", "put",
];
/// What can be done with few kinds only: verb, group, plural. Not all of them are objects.
const SPECIAL: [(&str, &str, &str); 10] = [
    ("bind", GROUP, "clusterroles"),
    ("bind", GROUP, "roles"),
    ("escalate", GROUP, "clusterroles"),
    ("escalate", GROUP, "roles"),
    ("impersonate", "", "groups"),
    ("impersonate", "", "serviceaccounts"),
    ("impersonate", "", "users"),
    ("impersonate", "authentication.k8s.io", "userextras"),
    ("use", "extensions", "podsecuritypolicies"),
    ("use", "policy", "podsecuritypolicies"),
];

#[derive(Debug, clap::Args)]
struct Rule {
    /// What may be done
    #[arg(long, value_name = "VERB,...")]
    verb: Vec<Values>,
    /// With which kinds: TYPE[.GROUP][/SUBRESOURCE]
    #[arg(long, value_name = "TYPE,...")]
    resource: Vec<Values>,
    /// With which objects only
    #[arg(long, value_name = "NAME")]
    resource_name: Vec<String>,
}

/// What was given, each of it once.
fn once(all: Vec<String>) -> Vec<String> {
    let mut seen = Vec::new();
    for one in all {
        if !seen.contains(&one) {
            seen.push(one);
        }
    }
    seen
}

impl Rule {
    /// What may be done: everything, if that is said.
    fn verbs(&self) -> Result<Vec<String>, CliError> {
        let verbs = once(values::all(&self.verb));
        if verbs.is_empty() {
            return Err(CliError::new("at least one verb must be specified"));
        }
        match verbs.iter().any(|verb| verb == "*") {
            true => Ok(vec!["*".to_owned()]),
            false => Ok(verbs),
        }
    }

    /// A rule for each group; none, and no question to the server, where no kind is named.
    async fn rules(
        &self,
        connect: &Connect,
        session: &Session,
        verbs: &[String],
    ) -> Result<Vec<Value>, CliError> {
        let words = values::all(&self.resource);
        if words.is_empty() {
            return Ok(Vec::new());
        }
        for verb in verbs {
            if !VERBS.contains(&verb.as_str()) {
                let warning = format!("Warning: '{verb}' is not a standard resource verb");
                session.printer.talk(&warning);
            }
        }
        let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
        if words.iter().any(|word| word == "*") {
            groups.insert(String::new(), vec!["*".to_owned()]);
        } else {
            let api = Api::open(connect, session)?;
            for word in &words {
                let (group, resource) = resource(&api, word, verbs).await?;
                let known = groups.entry(group).or_default();
                if !known.contains(&resource) {
                    known.push(resource);
                }
            }
        }
        let names = once(self.resource_name.clone());
        let rule = |(group, resources): (String, Vec<String>)| {
            let mut rule = json!({ "apiGroups": [group], "resources": resources, "verbs": verbs });
            if !names.is_empty() {
                rule["resourceNames"] = json!(names);
            }
            rule
        };
        Ok(groups.into_iter().map(rule).collect())
    }
}

/// Group and resource that `TYPE[.GROUP][/SUBRESOURCE]` means, if `verbs` fit it.
async fn resource(api: &Api, word: &str, verbs: &[String]) -> Result<(String, String), CliError> {
    let (full, below) = word.split_once('/').unwrap_or((word, ""));
    let (kind, group) = full.split_once('.').unwrap_or((full, ""));
    if kind.is_empty() {
        return Err(CliError::new(
            "resource must be specified if apiGroup/subresource specified",
        ));
    }
    let found = match (kind, group) {
        ("*", _) => None,
        (_, "") => api.kinds().await?.find(kind),
        _ => api.kinds().await?.find(full),
    };
    let (group, plural) = match found {
        Some(found) => (found.group.as_str(), found.plural.as_str()),
        None => (group, kind),
    };
    let is_known = found.is_some() || kind == "*";
    if !fits(verbs, group, plural)? && !is_known {
        return Err(no_kind(full));
    }
    let full = match below {
        "" => plural.to_owned(),
        below => format!("{plural}/{below}"),
    };
    Ok((group.to_owned(), full))
}

/// Whether one of the verbs is for few kinds, of which this is one; refused, if it is for others.
fn fits(verbs: &[String], group: &str, plural: &str) -> Result<bool, CliError> {
    let mut is_special = false;
    for verb in verbs.iter().filter(|_| plural != "*") {
        let mut of_verb = SPECIAL
            .iter()
            .filter(|special| special.0 == verb)
            .peekable();
        if of_verb.peek().is_none() {
            continue;
        }
        if !of_verb.any(|special| (special.1, special.2) == (group, plural)) {
            return Err(CliError::new(format!(
                "can not perform '{verb}' on '{plural}' in group '{group}'"
            )));
        }
        is_special = true;
    }
    Ok(is_special)
}

fn role(kind: &str, name: &str, rules: Vec<Value>) -> Value {
    json!({ "apiVersion": format!("{GROUP}/v1"), "kind": kind, "metadata": { "name": name }, "rules": rules })
}

#[derive(Debug, clap::Args)]
pub struct Role {
    /// Its name
    name: String,
    #[command(flatten)]
    rule: Rule,
    #[command(flatten)]
    making: Making,
}

impl Role {
    pub async fn run(self, session: &Session) -> Outcome {
        let verbs = self.rule.verbs()?;
        let connect = &self.making.connect;
        let rules = self.rule.rules(connect, session, &verbs).await?;
        if rules.is_empty() {
            return Err(CliError::new("at least one resource must be specified"));
        }
        let object = role("Role", &self.name, rules);
        self.making.run(session, object).await
    }
}

#[derive(Debug, clap::Args)]
pub struct ClusterRole {
    /// Its name
    name: String,
    #[command(flatten)]
    rule: Rule,
    /// Paths that are no objects
    #[arg(long = "non-resource-url", value_name = "PATH,...")]
    urls: Vec<Values>,
    /// Instead of all these: the rules of the cluster roles with these labels
    #[arg(long, value_name = "KEY=VALUE,...")]
    aggregation_rule: Vec<Values>,
    #[command(flatten)]
    making: Making,
}

impl ClusterRole {
    pub async fn run(self, session: &Session) -> Outcome {
        let labels = labels(values::all(&self.aggregation_rule)).map_err(CliError::new)?;
        let urls = once(values::all(&self.urls));
        let object = match labels.is_empty() {
            true => {
                let rules = self.rules(session, &urls).await?;
                role("ClusterRole", &self.name, rules)
            }
            false => {
                let rule = &self.rule;
                let words = [&rule.verb, &rule.resource].map(|uses| values::all(uses));
                let is_else = words.iter().any(|words| !words.is_empty());
                if is_else || !urls.is_empty() || !rule.resource_name.is_empty() {
                    return Err(CliError::new(
                        "aggregation rule must be specified without nonResourceURLs, verbs, resources or resourceNames",
                    ));
                }
                let mut object = role("ClusterRole", &self.name, Vec::new());
                object["rules"] = Value::Null;
                object["aggregationRule"] =
                    json!({ "clusterRoleSelectors": [{ "matchLabels": labels }] });
                object
            }
        };
        self.making.run(session, object).await
    }

    async fn rules(&self, session: &Session, urls: &[String]) -> Result<Vec<Value>, CliError> {
        let verbs = self.rule.verbs()?;
        check_paths(urls, &verbs).map_err(CliError::new)?;
        let connect = &self.making.connect;
        let mut rules = self.rule.rules(connect, session, &verbs).await?;
        if !urls.is_empty() {
            rules.push(json!({ "nonResourceURLs": urls, "verbs": verbs }));
        }
        match rules.is_empty() {
            true => Err(CliError::new(
                "one of resource or nonResourceURL must be specified",
            )),
            false => Ok(rules),
        }
    }
}

/// `k=v` of each.
fn labels(pairs: Vec<String>) -> Result<Map<String, Value>, String> {
    let pairs = pairs.into_iter().filter(|pair| !pair.is_empty());
    let pair = |pair: String| match pair.split_once('=') {
        Some((key, value)) => Ok((key.to_owned(), value.into())),
        None => Err(format!(
            "invalid argument {pair:?} for \"--aggregation-rule\" flag: malformed pair, expect string=string"
        )),
    };
    pairs.map(pair).collect()
}

/// Paths may end with a star, and not everything can be done with them.
fn check_paths(urls: &[String], verbs: &[String]) -> Result<(), String> {
    if urls.is_empty() {
        return Ok(());
    }
    for verb in verbs {
        if !PATH_VERBS.contains(&verb.as_str()) {
            return Err(format!("invalid verb: '{verb}' for nonResourceURL"));
        }
    }
    for url in urls.iter().filter(|url| *url != "*") {
        if !url.starts_with('/') {
            return Err("nonResourceURL should start with /".to_owned());
        }
        if url.strip_suffix('*').unwrap_or(url).contains('*') {
            let why = "nonResourceURL only supports wildcard matches when '*' is at the end";
            return Err(why.to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn some_verbs_are_for_few_kinds() {
        for (verbs, group, plural, is_special) in [
            (&["get", "foo"][..], "", "pods", false),
            (&["bind"], GROUP, "roles", true),
            (&["get", "impersonate"], "", "users", true),
            (&["use"], "", "*", false),
        ] {
            let found = fits(&texts(verbs), group, plural);
            assert_eq!(found.unwrap(), is_special, "{verbs:?}");
        }
        for (verbs, group, plural) in [
            (&["use"][..], "", "pods"),
            (&["get", "bind"], "", "roles"),
            (&["impersonate"], "authentication.k8s.io", "uids"),
        ] {
            let said = fits(&texts(verbs), group, plural).unwrap_err();
            assert!(said.message().contains("can not perform"), "{said}");
        }
    }

    #[test]
    fn paths_are_checked() {
        let check = |urls: &[&str], verbs: &[&str]| check_paths(&texts(urls), &texts(verbs));
        for urls in [&["/a"][..], &["*"], &["/a*", "/"], &[]] {
            assert_eq!(check(urls, &["get", "post"]), Ok(()));
        }
        assert_eq!(check(&[], &["list"]), Ok(()));
        for (url, verb, why) in [
            ("/a", "list", "invalid verb: 'list' for nonResourceURL"),
            ("a", "get", "should start with /"),
            ("", "get", "should start with /"),
            ("/a**", "get", "when '*' is at the end"),
            ("/*a*", "get", "when '*' is at the end"),
        ] {
            let said = check(&[url], &[verb]).unwrap_err();
            assert!(said.contains(why), "{url}: {said}");
        }
    }

    #[test]
    fn labels_are_pairs() {
        let found = labels(texts(&["a.b/c=true", "d=e=f", "g=", ""])).unwrap();
        assert_eq!(
            json!(found),
            json!({ "a.b/c": "true", "d": "e=f", "g": "" })
        );
        assert!(
            labels(texts(&["a"]))
                .unwrap_err()
                .contains("malformed pair")
        );
    }
}
