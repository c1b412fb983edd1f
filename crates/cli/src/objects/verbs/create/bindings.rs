//! Bindings of roles, from flags: who gets them.

use serde_json::{Value, json};

use super::roles::GROUP;
use super::{Making, required};
use crate::error::CliError;
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

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
            let parts = account.split_once(':').filter(|(namespace, name)| {
                !namespace.is_empty() && !name.is_empty() && !name.contains(':')
            });
            let Some((namespace, name)) = parts else {
                return Err(CliError::new("serviceaccount must be <namespace>:<name>"));
            };
            subjects
                .push(json!({ "kind": "ServiceAccount", "name": name, "namespace": namespace }));
        }
        let mut object = json!({
            "apiVersion": format!("{GROUP}/v1"),
            "kind": kind,
            "metadata": { "name": name },
            "roleRef": { "apiGroup": GROUP, "kind": role.0, "name": role.1 },
        });
        if !subjects.is_empty() {
            object["subjects"] = subjects.into();
        }
        Ok(object)
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
        default_value = "",
        hide_default_value = true
    )]
    role: String,
    /// The cluster role
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    clusterrole: String,
    #[command(flatten)]
    subjects: Subjects,
    #[command(flatten)]
    making: Making,
}

impl RoleBinding {
    pub async fn run(mut self, session: &Session) -> Outcome {
        let role = match (self.role.as_str(), self.clusterrole.as_str()) {
            (role, "") if !role.is_empty() => ("Role", role),
            ("", role) if !role.is_empty() => ("ClusterRole", role),
            _ => {
                return Err(CliError::new(
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
    clusterrole: Option<String>,
    #[command(flatten)]
    subjects: Subjects,
    #[command(flatten)]
    making: Making,
}

impl ClusterRoleBinding {
    pub async fn run(mut self, session: &Session) -> Outcome {
        let name = self.clusterrole.take().filter(|name| !name.is_empty());
        let name = required("clusterrole", name)?;
        let role = ("ClusterRole", name.as_str());
        let users = std::mem::take(&mut self.making.connect.user);
        let binding = self
            .subjects
            .binding(&users, "ClusterRoleBinding", &self.name, role);
        let object = binding?;
        self.making.run(session, object).await
    }
}
