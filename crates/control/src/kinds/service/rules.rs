//! What a service may be.

use std::collections::BTreeSet;

use crate::failure::Cause;
use crate::kinds::rules_net::{self, PROTOCOLS};
use crate::kinds::{label_selector, spot::Spot};
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
    let spec = Spot::of(object, "spec");
    let mut causes = Vec::new();
    causes.extend(spec.field("type").needed_of(&TYPES));
    causes.extend(label_selector::check_map(&spec.field("selector")));
    kind(&spec, &mut causes);
    ports(&spec, &mut causes);
    addresses(&spec, &mut causes);
    affinity(&spec, &mut causes);
    balancer(&spec, &mut causes);
    policies(&spec, &mut causes);
    if let Some(old) = old {
        changes(&spec, &Spot::of(old, "spec"), &mut causes);
    }
    causes
}

fn is(spec: &Spot<'_>, kind: &str) -> bool {
    spec.field("type").text() == kind
}

fn is_headless(spec: &Spot<'_>) -> bool {
    spec.field("clusterIP").text() == "None"
}

fn kind(spec: &Spot<'_>, causes: &mut Vec<Cause>) {
    let ports = spec.field("ports");
    if is(spec, "ExternalName") {
        if spec.field("clusterIP").is_there() || !spec.field("clusterIPs").is_empty() {
            let why = "may not be set for ExternalName services";
            causes.push(spec.field("clusterIPs").forbidden(why));
        }
        for name in ["ipFamilies", "ipFamilyPolicy"] {
            if !spec.field(name).is_empty() {
                let why = "may not be set for ExternalName services";
                causes.push(spec.field(name).forbidden(why));
            }
        }
        let name = spec.field("externalName");
        let given = name.text().strip_suffix('.').unwrap_or(name.text());
        if given.is_empty() {
            causes.push(name.required(""));
        } else if let Err(why) = names::dns_subdomain(given) {
            causes.push(name.invalid(why));
        }
        return;
    }
    if ports.is_empty() && !is_headless(spec) {
        causes.push(ports.required(""));
    }
    if is_headless(spec) && (is(spec, "LoadBalancer") || is(spec, "NodePort")) {
        let kind = spec.field("type");
        let why = format!("may not be set to 'None' for {} services", kind.text());
        let first = spec.field("clusterIPs").items().into_iter().next();
        causes.push(
            first
                .unwrap_or_else(|| spec.field("clusterIP"))
                .invalid(&why),
        );
    }
}

fn ports(spec: &Spot<'_>, causes: &mut Vec<Cause>) {
    let ports = spec.field("ports");
    causes.extend(rules_net::names_of_ports(&ports));
    let mut seen = BTreeSet::new();
    let mut on_nodes = BTreeSet::new();
    for port in ports.items() {
        let number = port.field("port");
        causes.extend(rules_net::port(&number));
        if is(spec, "LoadBalancer") && number.number() == Some(10_250) {
            let why = "may not expose port 10250 externally since it is used by kubelet";
            causes.push(number.invalid(why));
        }
        let protocol = port.field("protocol");
        causes.extend(protocol.needed_of(&PROTOCOLS));
        causes.extend(rules_net::port_or_name(&port.field("targetPort")));
        causes.extend(port.field("appProtocol").shaped(names::label_key));
        if !seen.insert((number.number(), protocol.text())) {
            causes.push(port.duplicate());
        }
        let node = port.field("nodePort");
        let Some(chosen) = node.number().filter(|chosen| *chosen != 0) else {
            continue;
        };
        if is(spec, "ClusterIP") || is(spec, "ExternalName") {
            let why = format!(
                "may not be used when `type` is '{}'",
                spec.field("type").text()
            );
            causes.push(node.forbidden(&why));
        } else if !NODE_PORTS.contains(&chosen) {
            let why = "provided port is not in the valid range. The range of valid ports is \
                       30000-32767";
            causes.push(node.invalid(why));
        } else if !on_nodes.insert((chosen, protocol.text())) {
            causes.push(node.duplicate());
        }
    }
}

fn addresses(spec: &Spot<'_>, causes: &mut Vec<Cause>) {
    let (own, all) = (spec.field("clusterIP"), spec.field("clusterIPs"));
    let list = all.items();
    if own.is_empty() && !list.is_empty() {
        causes.push(all.invalid("must be empty when `clusterIP` is not specified"));
    } else if list.first().is_some_and(|first| first.text() != own.text()) {
        causes.push(all.invalid("first value must match `clusterIP`"));
    }
    if list.len() > FAMILIES {
        causes.push(all.invalid("may only hold up to 2 values"));
    }
    for (index, address) in list.iter().enumerate() {
        if address.text() != "None" {
            causes.extend(
                rules_net::ip(address.text())
                    .err()
                    .map(|why| address.invalid(why)),
            );
        } else if index > 0 || list.len() > 1 {
            causes.push(address.invalid("must be empty or 'None' alone"));
        }
    }
    let policies = ["SingleStack", "PreferDualStack", "RequireDualStack"];
    causes.extend(spec.field("ipFamilyPolicy").one_of(&policies));
    let mut seen = BTreeSet::new();
    for family in spec.field("ipFamilies").items() {
        causes.extend(family.one_of(&["IPv4", "IPv6"]));
        if !seen.insert(family.text()) {
            causes.push(family.duplicate());
        }
    }
    for address in spec.field("externalIPs").items() {
        let wrong = rules_net::sendable_ip(address.text()).err();
        causes.extend(wrong.map(|why| address.invalid(why)));
    }
}

fn affinity(spec: &Spot<'_>, causes: &mut Vec<Cause>) {
    causes.extend(
        spec.field("sessionAffinity")
            .needed_of(&["ClientIP", "None"]),
    );
    let timeout = spec.field("sessionAffinityConfig").field("clientIP");
    let why = "must be greater than 0 and less than 86400";
    causes.extend(
        timeout
            .field("timeoutSeconds")
            .within(1..=AFFINITY_MAX_S, why),
    );
}

fn balancer(spec: &Spot<'_>, causes: &mut Vec<Cause>) {
    let is_balanced = is(spec, "LoadBalancer");
    for name in [
        "loadBalancerSourceRanges",
        "allocateLoadBalancerNodePorts",
        "loadBalancerClass",
    ] {
        let field = spec.field(name);
        if !is_balanced && !field.is_empty() {
            causes.push(field.forbidden(ONLY_BALANCED));
        }
    }
    for range in spec.field("loadBalancerSourceRanges").items() {
        let wrong = rules_net::cidr(range.text().trim()).err();
        causes.extend(wrong.map(|why| range.invalid(why)));
    }
    causes.extend(spec.field("loadBalancerClass").shaped(names::label_key));
    let check = spec.field("healthCheckNodePort");
    let is_local = spec.field("externalTrafficPolicy").text() == "Local";
    if check.number().is_some_and(|port| port != 0) {
        if is_balanced && is_local {
            causes.extend(rules_net::port(&check));
        } else {
            let why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` \
                       is 'Local'";
            causes.push(check.invalid(why));
        }
    }
}

fn policies(spec: &Spot<'_>, causes: &mut Vec<Cause>) {
    let outside = spec.field("externalTrafficPolicy");
    let is_open = is(spec, "LoadBalancer")
        || is(spec, "NodePort")
        || (is(spec, "ClusterIP") && !spec.field("externalIPs").is_empty());
    if outside.is_there() && !is_open {
        causes.push(outside.invalid("may only be set for externally-accessible services"));
    } else {
        causes.extend(outside.one_of(&["Cluster", "Local"]));
    }
    let inside = spec.field("internalTrafficPolicy");
    causes.extend(inside.one_of(&["Cluster", "Local"]));
    let spread = ["PreferClose", "PreferSameNode", "PreferSameZone"];
    causes.extend(spec.field("trafficDistribution").one_of(&spread));
}

const STAYS: &str = "may not change once set";

/// What was given to a service stays while it has use for it.
fn changes(spec: &Spot<'_>, old: &Spot<'_>, causes: &mut Vec<Cause>) {
    if is(spec, "ExternalName") || is(old, "ExternalName") {
        return;
    }
    let (has, had) = (spec.field("clusterIP"), old.field("clusterIP"));
    if !had.is_empty() && has.text() != had.text() {
        let why = match has.text() {
            "" => "primary clusterIP can not be unset",
            _ => STAYS,
        };
        causes.push(has.invalid(why));
    }
    second_address(spec, old, causes);
    let [has, had] = [spec, old].map(|spec| spec.field("ipFamilies").items().into_iter().next());
    if let (Some(has), Some(had)) = (has, had)
        && has.text() != had.text()
    {
        causes.push(has.invalid(STAYS));
    }
    if is(spec, "LoadBalancer") && is(old, "LoadBalancer") {
        let (has, had) = [spec, old]
            .map(|spec| spec.field("loadBalancerClass"))
            .into();
        if has.value() != had.value() {
            causes.push(has.invalid(STAYS));
        }
        let (has, had) = [spec, old]
            .map(|spec| spec.field("healthCheckNodePort"))
            .into();
        let port = |spot: &Spot<'_>| spot.number().filter(|port| *port != 0);
        if port(&has)
            .zip(port(&had))
            .is_some_and(|(has, had)| has != had)
        {
            causes.push(has.invalid(STAYS));
        }
    }
}

/// The second address of a service of two families is given back by saying so.
fn second_address(spec: &Spot<'_>, old: &Spot<'_>, causes: &mut Vec<Cause>) {
    let [has, had] = [spec, old].map(|spec| spec.field("clusterIPs").items().into_iter().nth(1));
    match (has, had) {
        (Some(has), Some(had)) if has.text() != had.text() => causes.push(has.invalid(STAYS)),
        (None, Some(_)) => {
            let policy = spec.field("ipFamilyPolicy");
            if policy.text() != "SingleStack" {
                let why = "must be set to 'SingleStack' when releasing the secondary clusterIP";
                causes.push(policy.invalid(why));
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
