//! Roles and their bindings, from flags.

use serde_json::{Value, json};

use super::Making;
use crate::error::CliError;
use crate::objects::connect::Api;
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
/// `weft create rolebinding`
pub const ROLE_BINDING: Entry = verb!(
    "rolebinding",
    RoleBinding,
    "Give a role to users, groups and service accounts in a namespace"
);
/// `weft create clusterrolebinding`
pub const CLUSTER_ROLE_BINDING: Entry = verb!(
    "clusterrolebinding",
    ClusterRoleBinding,
    "Give a cluster role to users, groups and service accounts everywhere"
);

const GROUP: &str = "rbac.authorization.k8s.io";

#[derive(Debug, clap::Args)]
struct Rule {
    /// What may be done
    #[arg(long, value_name = "VERB", value_delimiter = ',')]
    verb: Vec<String>,
    /// With which kinds: TYPE[.GROUP][/SUBRESOURCE]
    #[arg(long, value_name = "TYPE", value_delimiter = ',')]
    resource: Vec<String>,
    /// With which objects only
    #[arg(long, value_name = "NAME")]
    resource_name: Vec<String>,
}

impl Rule {
    /// A rule for each group.
    async fn rules(&self, api: &Api) -> Result<Vec<Value>, CliError> {
        if self.verb.is_empty() {
            return Err(CliError::usage("at least one verb must be specified"));
        }
        let mut groups: Vec<(String, Vec<String>)> = Vec::new();
        for word in &self.resource {
            let (kind, below) = word
                .split_once('/')
                .map_or((word.as_str(), None), |(kind, below)| (kind, Some(below)));
            let (group, plural) = match kind {
                "*" => (String::from("*"), "*".to_owned()),
                kind => {
                    let found = api.kind(kind).await?;
                    (found.group.clone(), found.plural.clone())
                }
            };
            let full = below.map_or(plural.clone(), |below| format!("{plural}/{below}"));
            match groups.iter_mut().find(|(known, _)| *known == group) {
                Some((_, all)) => all.push(full),
                None => groups.push((group, vec![full])),
            }
        }
        let rule = |(group, resources): (String, Vec<String>)| {
            let mut rule =
                json!({ "apiGroups": [group], "resources": resources, "verbs": self.verb });
            if !self.resource_name.is_empty() {
                rule["resourceNames"] = json!(self.resource_name);
            }
            rule
        };
        Ok(groups.into_iter().map(rule).collect())
    }
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
        if self.rule.resource.is_empty() {
            return Err(CliError::usage("at least one resource must be specified"));
        }
        let api = Api::open(&self.making.connect, session)?;
        let rules = self.rule.rules(&api).await?;
        self.making
            .run(session, role("Role", &self.name, rules))
            .await
    }
}

#[derive(Debug, clap::Args)]
pub struct ClusterRole {
    /// Its name
    name: String,
    #[command(flatten)]
    rule: Rule,
    /// Paths that are no objects
    #[arg(long = "non-resource-url", value_name = "PATH", value_delimiter = ',')]
    urls: Vec<String>,
    #[command(flatten)]
    making: Making,
}

impl ClusterRole {
    pub async fn run(self, session: &Session) -> Outcome {
        if self.rule.resource.is_empty() && self.urls.is_empty() {
            return Err(CliError::usage(
                "at least one resource or nonResourceURL must be specified",
            ));
        }
        let api = Api::open(&self.making.connect, session)?;
        let mut rules = self.rule.rules(&api).await?;
        if !self.urls.is_empty() {
            rules.push(json!({ "nonResourceURLs": self.urls, "verbs": self.rule.verb }));
        }
        self.making
            .run(session, role("ClusterRole", &self.name, rules))
            .await
    }
}

/// Who gets the role. `--user` is among the flags of the server: it means this here, as with
/// kubectl, and not the kubeconfig's user.
#[derive(Debug, clap::Args)]
#[command(after_help = "--user NAME gives it to a user here, and chooses none of the kubeconfig.")]
struct Subjects {
    /// Give it to a group
    #[arg(long, value_name = "NAME")]
    group: Vec<String>,
    /// Give it to a service account
    #[arg(long, value_name = "NAMESPACE:NAME")]
    serviceaccount: Vec<String>,
}

impl Subjects {
    fn binding(
        &self,
        users: &[String],
        kind: &str,
        name: &str,
        role: (&str, &str),
    ) -> Result<Value, CliError> {
        let named =
            |kind: &str, name: &String| json!({ "apiGroup": GROUP, "kind": kind, "name": name });
        let mut subjects: Vec<Value> = users.iter().map(|name| named("User", name)).collect();
        subjects.extend(self.group.iter().map(|name| named("Group", name)));
        for account in &self.serviceaccount {
            let Some((namespace, name)) = account
                .split_once(':')
                .filter(|(a, b)| !a.is_empty() && !b.is_empty())
            else {
                return Err(CliError::usage("serviceaccount must be <namespace>:<name>"));
            };
            subjects
                .push(json!({ "kind": "ServiceAccount", "name": name, "namespace": namespace }));
        }
        Ok(json!({
            "apiVersion": format!("{GROUP}/v1"),
            "kind": kind,
            "metadata": { "name": name },
            "roleRef": { "apiGroup": GROUP, "kind": role.0, "name": role.1 },
            "subjects": subjects,
        }))
    }
}

#[derive(Debug, clap::Args)]
pub struct RoleBinding {
    /// Its name
    name: String,
    /// The role
    #[arg(
        long,
        value_name = "NAME",
        conflicts_with = "clusterrole",
        required_unless_present = "clusterrole"
    )]
    role: Option<String>,
    /// The cluster role
    #[arg(long, value_name = "NAME")]
    clusterrole: Option<String>,
    #[command(flatten)]
    subjects: Subjects,
    #[command(flatten)]
    making: Making,
}

impl RoleBinding {
    pub async fn run(mut self, session: &Session) -> Outcome {
        let role = match (&self.role, &self.clusterrole) {
            (Some(role), _) => ("Role", role.as_str()),
            (None, Some(role)) => ("ClusterRole", role.as_str()),
            (None, None) => {
                return Err(CliError::usage(
                    "exactly one of clusterrole or role must be specified",
                ));
            }
        };
        let users = std::mem::take(&mut self.making.connect.user);
        let object = self
            .subjects
            .binding(&users, "RoleBinding", &self.name, role)?;
        self.making.run(session, object).await
    }
}

#[derive(Debug, clap::Args)]
pub struct ClusterRoleBinding {
    /// Its name
    name: String,
    /// The cluster role
    #[arg(long, value_name = "NAME")]
    clusterrole: String,
    #[command(flatten)]
    subjects: Subjects,
    #[command(flatten)]
    making: Making,
}

impl ClusterRoleBinding {
    pub async fn run(mut self, session: &Session) -> Outcome {
        let role = ("ClusterRole", self.clusterrole.as_str());
        let users = std::mem::take(&mut self.making.connect.user);
        let binding = self
            .subjects
            .binding(&users, "ClusterRoleBinding", &self.name, role);
        let object = binding?;
        self.making.run(session, object).await
    }
}
