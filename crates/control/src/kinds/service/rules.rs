//! What a service may be.

use std::collections::BTreeSet;

use crate::failure::Cause;
use crate::kinds::rules::net::{self, PROTOCOLS};
use crate::kinds::rules::{Mistakes, Spot};
use crate::names;
use crate::object::Object;

const TYPES: [&str; 4] = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const NODE_PORTS: std::ops::RangeInclusive<i64> = 30_000..=32_767;
/// Longest affinity: a day.
const AFFINITY_MAX_S: i64 = 86_400;
/// A service has at most one address of each family.
const FAMILIES: usize = 2;
const ONLY_BALANCED: &str = "may only be used when `type` is 'LoadBalancer'";

pub(super) fn validate(object: &Object, old: Option<&Object>) -> Vec<Cause> {
    let mut mistakes = Mistakes::default();
    mistakes.spec(object, old, check);
    mistakes.into_causes()
}

fn check(mistakes: &mut Mistakes, spec: &Spot<'_, '_>, old: Option<&Spot<'_, '_>>) {
    mistakes.must_be_one_of(&spec.at("type"), &TYPES);
    mistakes.labels(&spec.at("selector"));
    kind(mistakes, spec);
    ports(mistakes, spec);
    addresses(mistakes, spec);
    affinity(mistakes, spec);
    balancer(mistakes, spec);
    policies(mistakes, spec);
    if let Some(old) = old {
        changes(mistakes, spec, old);
    }
}

fn is(spec: &Spot<'_, '_>, kind: &str) -> bool {
    spec.at("type").text() == kind
}

fn is_headless(spec: &Spot<'_, '_>) -> bool {
    spec.at("clusterIP").text() == "None"
}

fn kind(mistakes: &mut Mistakes, spec: &Spot<'_, '_>) {
    let ports = spec.at("ports");
    if is(spec, "ExternalName") {
        if spec.at("clusterIP").is_some() || !spec.at("clusterIPs").is_empty() {
            let why = "may not be set for ExternalName services";
            mistakes.forbidden(&spec.at("clusterIPs"), why);
        }
        for name in ["ipFamilies", "ipFamilyPolicy"] {
            if !spec.at(name).is_empty() {
                let why = "may not be set for ExternalName services";
                mistakes.forbidden(&spec.at(name), why);
            }
        }
        let name = spec.at("externalName");
        let given = name.text().strip_suffix('.').unwrap_or(name.text());
        if given.is_empty() {
            mistakes.required(&name, "");
        } else if let Err(why) = names::dns_subdomain(given) {
            mistakes.invalid(&name, why);
        }
        return;
    }
    if ports.is_empty() && !is_headless(spec) {
        mistakes.required(&ports, "");
    }
    if is_headless(spec) && (is(spec, "LoadBalancer") || is(spec, "NodePort")) {
        let kind = spec.at("type");
        let why = format!("may not be set to 'None' for {} services", kind.text());
        let (own, all) = (spec.at("clusterIP"), spec.at("clusterIPs"));
        mistakes.invalid(&all.items().next().unwrap_or(own), &why);
    }
}

fn ports(mistakes: &mut Mistakes, spec: &Spot<'_, '_>) {
    let ports = spec.at("ports");
    mistakes.port_names(&ports);
    let mut seen = BTreeSet::new();
    let mut on_nodes = BTreeSet::new();
    for port in ports.items() {
        let number = port.at("port");
        mistakes.port(&number);
        if is(spec, "LoadBalancer") && number.number() == Some(10_250) {
            let why = "may not expose port 10250 externally since it is used by kubelet";
            mistakes.invalid(&number, why);
        }
        let protocol = port.at("protocol");
        mistakes.must_be_one_of(&protocol, &PROTOCOLS);
        mistakes.port_or_name(&port.at("targetPort"));
        mistakes.name(&port.at("appProtocol"), names::label_key);
        if !seen.insert((number.number(), protocol.text())) {
            mistakes.duplicate(&port);
        }
        let node = port.at("nodePort");
        let Some(chosen) = node.number().filter(|chosen| *chosen != 0) else {
            continue;
        };
        if is(spec, "ClusterIP") || is(spec, "ExternalName") {
            let why = format!(
                "may not be used when `type` is '{}'",
                spec.at("type").text()
            );
            mistakes.forbidden(&node, &why);
        } else if !NODE_PORTS.contains(&chosen) {
            let why = "provided port is not in the valid range. The range of valid ports is \
                       30000-32767";
            mistakes.invalid(&node, why);
        } else if !on_nodes.insert((chosen, protocol.text())) {
            mistakes.duplicate(&node);
        }
    }
}

fn addresses(mistakes: &mut Mistakes, spec: &Spot<'_, '_>) {
    let (own, all) = (spec.at("clusterIP"), spec.at("clusterIPs"));
    let list: Vec<Spot<'_, '_>> = all.items().collect();
    if own.is_empty() && !list.is_empty() {
        mistakes.invalid(&all, "must be empty when `clusterIP` is not specified");
    } else if list.first().is_some_and(|first| first.text() != own.text()) {
        mistakes.invalid(&all, "first value must match `clusterIP`");
    }
    if list.len() > FAMILIES {
        mistakes.invalid(&all, "may only hold up to 2 values");
    }
    for (index, address) in list.iter().enumerate() {
        if address.text() != "None" {
            mistakes.shaped(address, net::ip);
        } else if index > 0 || list.len() > 1 {
            mistakes.invalid(address, "must be empty or 'None' alone");
        }
    }
    let policies = ["SingleStack", "PreferDualStack", "RequireDualStack"];
    mistakes.one_of(&spec.at("ipFamilyPolicy"), &policies);
    let mut seen = BTreeSet::new();
    for family in spec.at("ipFamilies").items() {
        mistakes.one_of(&family, &["IPv4", "IPv6"]);
        if !seen.insert(family.text()) {
            mistakes.duplicate(&family);
        }
    }
    for address in spec.at("externalIPs").items() {
        mistakes.shaped(&address, net::sendable_ip);
    }
}

fn affinity(mistakes: &mut Mistakes, spec: &Spot<'_, '_>) {
    mistakes.must_be_one_of(&spec.at("sessionAffinity"), &["ClientIP", "None"]);
    let config = spec.at("sessionAffinityConfig");
    let client = config.at("clientIP");
    let why = "must be greater than 0 and less than 86400";
    mistakes.within(&client.at("timeoutSeconds"), 1..=AFFINITY_MAX_S, why);
}

fn balancer(mistakes: &mut Mistakes, spec: &Spot<'_, '_>) {
    let is_balanced = is(spec, "LoadBalancer");
    for name in [
        "loadBalancerSourceRanges",
        "allocateLoadBalancerNodePorts",
        "loadBalancerClass",
    ] {
        let field = spec.at(name);
        if !is_balanced && !field.is_empty() {
            mistakes.forbidden(&field, ONLY_BALANCED);
        }
    }
    for range in spec.at("loadBalancerSourceRanges").items() {
        mistakes.shaped(&range, |text| net::cidr(text.trim()));
    }
    mistakes.name(&spec.at("loadBalancerClass"), names::label_key);
    let check = spec.at("healthCheckNodePort");
    let is_local = spec.at("externalTrafficPolicy").text() == "Local";
    if check.number().is_some_and(|port| port != 0) {
        if is_balanced && is_local {
            mistakes.port(&check);
        } else {
            let why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` \
                       is 'Local'";
            mistakes.invalid(&check, why);
        }
    }
}

fn policies(mistakes: &mut Mistakes, spec: &Spot<'_, '_>) {
    let outside = spec.at("externalTrafficPolicy");
    let is_open = is(spec, "LoadBalancer")
        || is(spec, "NodePort")
        || (is(spec, "ClusterIP") && !spec.at("externalIPs").is_empty());
    if outside.is_some() && !is_open {
        mistakes.invalid(
            &outside,
            "may only be set for externally-accessible services",
        );
    } else {
        mistakes.one_of(&outside, &["Cluster", "Local"]);
    }
    let inside = spec.at("internalTrafficPolicy");
    mistakes.one_of(&inside, &["Cluster", "Local"]);
    let spread = ["PreferClose", "PreferSameNode", "PreferSameZone"];
    mistakes.one_of(&spec.at("trafficDistribution"), &spread);
}

const STAYS: &str = "may not change once set";

/// What was given to a service stays while it has use for it.
fn changes(mistakes: &mut Mistakes, spec: &Spot<'_, '_>, old: &Spot<'_, '_>) {
    if is(spec, "ExternalName") || is(old, "ExternalName") {
        return;
    }
    let (has, had) = (spec.at("clusterIP"), old.at("clusterIP"));
    if !had.is_empty() && has.text() != had.text() {
        let why = match has.text() {
            "" => "primary clusterIP can not be unset",
            _ => STAYS,
        };
        mistakes.invalid(&has, why);
    }
    second_address(mistakes, spec, old);
    let [has, had] = [spec, old].map(|spec| spec.at("ipFamilies"));
    if let (Some(has), Some(had)) = (has.items().next(), had.items().next())
        && has.text() != had.text()
    {
        mistakes.invalid(&has, STAYS);
    }
    if is(spec, "LoadBalancer") && is(old, "LoadBalancer") {
        let [has, had] = [spec, old].map(|spec| spec.at("loadBalancerClass"));
        if has.value() != had.value() {
            mistakes.invalid(&has, STAYS);
        }
        let [has, had] = [spec, old].map(|spec| spec.at("healthCheckNodePort"));
        let port = |spot: &Spot<'_, '_>| spot.number().filter(|port| *port != 0);
        if port(&has)
            .zip(port(&had))
            .is_some_and(|(has, had)| has != had)
        {
            mistakes.invalid(&has, STAYS);
        }
    }
}

/// The second address of a service of two families is given back by saying so.
fn second_address(mistakes: &mut Mistakes, spec: &Spot<'_, '_>, old: &Spot<'_, '_>) {
    let [has, had] = [spec, old].map(|spec| spec.at("clusterIPs"));
    match (has.items().nth(1), had.items().nth(1)) {
        (Some(has), Some(had)) if has.text() != had.text() => mistakes.invalid(&has, STAYS),
        (None, Some(_)) => {
            let policy = spec.at("ipFamilyPolicy");
            if policy.text() != "SingleStack" {
                let why = "must be set to 'SingleStack' when releasing the secondary clusterIP";
                mistakes.invalid(&policy, why);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
