//! Roles and bindings that every cluster begins with.
//!
//! Owns: the table. `view` sees no secrets, `edit` changes no rights, `admin` does both in a
//! namespace.

use super::{Binding, GROUP, Role, RoleRef, Rule, Who, node};
use crate::subject::{ACCOUNTS, AUTHENTICATED, MASTERS, UNAUTHENTICATED};

const READ: &[&str] = &["get", "list", "watch"];
const WRITE: &[&str] = &["create", "delete", "deletecollection", "patch", "update"];

/// What is in a namespace and everybody working there may see: group, resources.
const OPEN: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "configmaps",
            "endpoints",
            "persistentvolumeclaims",
            "pods",
            "replicationcontrollers",
            "replicationcontrollers/scale",
            "serviceaccounts",
            "services",
        ],
    ),
    (
        "apps",
        &[
            "daemonsets",
            "deployments",
            "deployments/scale",
            "replicasets",
            "replicasets/scale",
            "statefulsets",
            "statefulsets/scale",
        ],
    ),
    ("autoscaling", &["horizontalpodautoscalers"]),
    ("batch", &["cronjobs", "jobs"]),
    ("networking.k8s.io", &["ingresses", "networkpolicies"]),
    ("policy", &["poddisruptionbudgets"]),
    ("nanocloud.io", &["bundles"]),
];

/// The same, to be seen only.
const SEEN: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "events",
            "namespaces",
            "namespaces/status",
            "persistentvolumeclaims/status",
            "pods/log",
            "pods/status",
            "replicationcontrollers/status",
            "services/status",
        ],
    ),
    (
        "apps",
        &[
            "daemonsets/status",
            "deployments/status",
            "replicasets/status",
            "statefulsets/status",
        ],
    ),
    ("autoscaling", &["horizontalpodautoscalers/status"]),
    ("batch", &["cronjobs/status", "jobs/status"]),
    ("discovery.k8s.io", &["endpointslices"]),
    ("events.k8s.io", &["events"]),
    ("networking.k8s.io", &["ingresses/status"]),
    ("policy", &["poddisruptionbudgets/status"]),
    ("nanocloud.io", &["bundles/status"]),
];

const PUBLIC: &[&str] = &["/healthz", "/livez", "/readyz", "/version", "/version/"];
const ISSUER: &[&str] = &[
    "/.well-known/openid-configuration",
    "/.well-known/openid-configuration/",
    "/openid/v1/jwks",
    "/openid/v1/jwks/",
];
const DISCOVERY: &[&str] = &[
    "/api",
    "/api/*",
    "/apis",
    "/apis/*",
    "/openapi",
    "/openapi/*",
];

/// The roles.
pub fn roles() -> Vec<Role> {
    let view = view();
    let edit = edit(&view);
    let admin = admin(&edit);
    vec![
        role("cluster-admin", vec![Rule::all()]),
        role("admin", admin),
        role("edit", edit),
        role("view", view),
        role(
            "system:discovery",
            vec![paths(&[PUBLIC, DISCOVERY].concat())],
        ),
        role("system:public-info-viewer", vec![paths(PUBLIC)]),
        role(
            "system:monitoring",
            vec![paths(&[PUBLIC, &["/metrics"]].concat())],
        ),
        role("system:basic-user", basic()),
        role("system:certificate-renewal", renewal()),
        role(
            "system:service-account-issuer-discovery",
            vec![paths(ISSUER)],
        ),
        node::role(),
    ]
}

/// The bindings.
pub fn bindings() -> Vec<Binding> {
    let bind = |name: &str, groups: &[&str]| Binding {
        namespace: None,
        name: name.to_owned(),
        role: RoleRef::Cluster(name.to_owned()),
        who: groups
            .iter()
            .map(|group| Who::Group((*group).to_owned()))
            .collect(),
    };
    vec![
        bind("cluster-admin", &[MASTERS]),
        bind("system:basic-user", &[AUTHENTICATED]),
        bind("system:certificate-renewal", &[AUTHENTICATED]),
        bind("system:discovery", &[AUTHENTICATED]),
        bind("system:service-account-issuer-discovery", &[ACCOUNTS]),
        bind("system:monitoring", &["system:monitoring"]),
        bind(
            "system:public-info-viewer",
            &[AUTHENTICATED, UNAUTHENTICATED],
        ),
    ]
}

fn view() -> Vec<Rule> {
    let seen = [OPEN, SEEN].concat();
    seen.iter()
        .map(|(group, all)| rule(group, all, READ))
        .collect()
}

fn edit(view: &[Rule]) -> Vec<Rule> {
    let mut rules = view.to_vec();
    rules.extend(OPEN.iter().map(|(group, all)| rule(group, all, WRITE)));
    rules.push(rule("", &["secrets"], &[READ, WRITE].concat()));
    // Streams are created, by whatever method.
    let streams = ["pods/attach", "pods/exec", "pods/portforward", "pods/proxy"];
    rules.push(rule("", &streams, &["create"]));
    let created = ["pods/eviction", "serviceaccounts/token"];
    rules.push(rule("", &created, &["create"]));
    rules.push(rule("", &["events"], &["create", "patch", "update"]));
    rules
}

fn admin(edit: &[Rule]) -> Vec<Rule> {
    let mut rules = edit.to_vec();
    let rights = ["rolebindings", "roles"];
    rules.push(rule(GROUP, &rights, &[READ, WRITE].concat()));
    let review = ["localsubjectaccessreviews"];
    rules.push(rule("authorization.k8s.io", &review, &["create"]));
    rules
}

/// Asking who one is, and what one may do.
fn basic() -> Vec<Rule> {
    let may = ["selfsubjectaccessreviews", "selfsubjectrulesreviews"];
    vec![
        rule("authorization.k8s.io", &may, &["create"]),
        rule(
            "authentication.k8s.io",
            &["selfsubjectreviews"],
            &["create"],
        ),
    ]
}

/// Another certificate for who one is.
fn renewal() -> Vec<Rule> {
    vec![rule("nanocloud.io", &["certificates"], &["create"])]
}

fn role(name: &str, rules: Vec<Rule>) -> Role {
    Role {
        namespace: None,
        name: name.to_owned(),
        rules,
    }
}

fn rule(group: &str, resources: &[&str], verbs: &[&str]) -> Rule {
    Rule {
        groups: vec![group.to_owned()],
        resources: owned(resources),
        verbs: owned(verbs),
        ..Rule::default()
    }
}

fn paths(paths: &[&str]) -> Rule {
    Rule {
        verbs: owned(&["get"]),
        paths: owned(paths),
        ..Rule::default()
    }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
