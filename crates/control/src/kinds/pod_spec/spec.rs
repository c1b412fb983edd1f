//! Rules for the specification of a pod.

use super::super::rules::{Mistakes, Spot, net};
use super::container::{Around, Role, Taken, container};
use super::volume::{Volumes, volumes};
use super::{placement, resources, security};
use crate::names;

const DEADLINE: &str = "must be between 1 and 2147483647, inclusive";
const NAMESERVERS: usize = 3;
const SEARCHES: usize = 32;
const SEARCHES_LENGTH: usize = 2048;

/// What a specification is part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Use {
    /// A pod.
    Pod,
    /// A template.
    Template,
}

/// Everything; `given` are volumes that others give the pod.
pub(in super::super) fn validate<'v>(
    mistakes: &mut Mistakes,
    spec: &Spot<'_, 'v>,
    part_of: Use,
    given: impl Iterator<Item = &'v str>,
) {
    let mut known: Volumes<'v> = given.map(|name| (name, true)).collect();
    volumes(mistakes, &spec.at("volumes"), &mut known);
    containers(mistakes, spec, part_of, &known);
    policies(mistakes, spec);
    network(mistakes, spec);
    references(mistakes, spec);
    placement::placement(mistakes, spec);
    security::pod(mistakes, spec);
    resources::list(mistakes, &spec.at("overhead"));
    resources::resources(mistakes, &spec.at("resources"), &spec.at("resourceClaims"));
}

fn containers<'v>(
    mistakes: &mut Mistakes,
    spec: &Spot<'_, 'v>,
    part_of: Use,
    volumes: &Volumes<'v>,
) {
    let mut taken = Taken::default();
    mistakes.must_be(&spec.at("containers"), "");
    for (name, role) in [
        ("containers", Role::Main),
        ("initContainers", Role::Init),
        ("ephemeralContainers", Role::Debug),
    ] {
        let around = Around {
            spec,
            volumes,
            role,
        };
        for one in spec.at(name).items() {
            if mistakes.is_full() {
                return;
            }
            container(mistakes, &one, &around, &mut taken);
        }
    }
    let debug = spec.at("ephemeralContainers");
    if part_of == Use::Template && !debug.is_empty() {
        mistakes.forbidden(&debug, "ephemeral containers not allowed in pod template");
    }
}

fn policies(mistakes: &mut Mistakes, spec: &Spot<'_, '_>) {
    let restart = spec.at("restartPolicy");
    mistakes.must_be_one_of(&restart, &["Always", "OnFailure", "Never"]);
    mistakes.not_negative(&spec.at("terminationGracePeriodSeconds"));
    let deadline = spec.at("activeDeadlineSeconds");
    mistakes.within(&deadline, 1..=i64::from(i32::MAX), DEADLINE);
    let preemption = spec.at("preemptionPolicy");
    mistakes.one_of(&preemption, &["PreemptLowerPriority", "Never"]);
    let system = spec.at("os");
    if system.is_some() {
        mistakes.must_be_one_of(&system.at("name"), &["linux", "windows"]);
    }
    for name in ["readinessGates", "schedulingGates"] {
        let field = if name == "readinessGates" {
            "conditionType"
        } else {
            "name"
        };
        let mut seen = std::collections::BTreeSet::new();
        for gate in spec.at(name).items() {
            mistakes.must_be_name(&gate.at(field), names::label_key);
            if name == "schedulingGates" && !seen.insert(gate.at(field).text()) {
                mistakes.duplicate_of(&gate, gate.at(field).text());
            }
        }
    }
    if !spec.at("schedulingGates").is_empty() && !spec.at("nodeName").is_empty() {
        let why = "cannot be set until all schedulingGates have been cleared";
        mistakes.forbidden(&spec.at("nodeName"), why);
    }
}

fn network(mistakes: &mut Mistakes, spec: &Spot<'_, '_>) {
    let policy = spec.at("dnsPolicy");
    let known = ["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"];
    mistakes.must_be_one_of(&policy, &known);
    let config = spec.at("dnsConfig");
    let servers = config.at("nameservers");
    if policy.text() == "None" && !config.is_some() {
        let why = "must provide `dnsConfig` when `dnsPolicy` is None";
        mistakes.required(&config, why);
    } else if policy.text() == "None" && servers.is_empty() {
        let why = "must provide at least one DNS nameserver when `dnsPolicy` is None";
        mistakes.required(&servers, why);
    }
    if servers.items().count() > NAMESERVERS {
        let why = format!("must not have more than {NAMESERVERS} nameservers");
        mistakes.invalid(&servers, &why);
    }
    for server in servers.items() {
        mistakes.name(&server, net::ip);
    }
    let searches = config.at("searches");
    let length: usize = searches.items().map(|one| one.text().len() + 1).sum();
    if searches.items().count() > SEARCHES {
        let why = format!("must not have more than {SEARCHES} search paths");
        mistakes.invalid(&searches, &why);
    } else if length > SEARCHES_LENGTH + 1 {
        let why = format!(
            "must not have more than {SEARCHES_LENGTH} characters (including spaces) in the search \
             list"
        );
        mistakes.invalid(&searches, &why);
    }
    for search in searches.items() {
        let plain = |name: &str| {
            let name = name.strip_suffix('.').unwrap_or(name).replace('_', "-");
            if name.is_empty() {
                Ok(())
            } else {
                names::dns_subdomain(&name)
            }
        };
        mistakes.name(&search, plain);
    }
    for option in config.at("options").items() {
        mistakes.must_be(&option.at("name"), "must not be empty");
    }
    mistakes.name(&spec.at("hostname"), names::dns_label);
    mistakes.name(&spec.at("subdomain"), names::dns_label);
    for alias in spec.at("hostAliases").items() {
        mistakes.must_be(&alias.at("ip"), "");
        mistakes.name(&alias.at("ip"), net::ip);
        for name in alias.at("hostnames").items() {
            mistakes.must_be_name(&name, names::dns_subdomain);
        }
    }
}

/// Names of other objects.
fn references(mistakes: &mut Mistakes, spec: &Spot<'_, '_>) {
    for name in [
        "serviceAccountName",
        "priorityClassName",
        "runtimeClassName",
    ] {
        mistakes.name(&spec.at(name), names::dns_subdomain);
    }
    mistakes.name(&spec.at("schedulerName"), names::label_key);
    for secret in spec.at("imagePullSecrets").items() {
        mistakes.name(&secret.at("name"), names::dns_subdomain);
    }
    let mut seen = std::collections::BTreeSet::new();
    for claim in spec.at("resourceClaims").items() {
        let name = claim.at("name");
        mistakes.must_be_name(&name, names::dns_label);
        if !seen.insert(name.text()) {
            mistakes.duplicate(&name);
        }
        let sources = ["resourceClaimName", "resourceClaimTemplateName"];
        let found = sources
            .iter()
            .filter(|source| claim.at(source).is_some())
            .count();
        if found != 1 {
            let why = "must specify one of: `resourceClaimName`, `resourceClaimTemplateName`";
            mistakes.invalid(&claim, why);
        }
    }
}
