//! Why a service leads nowhere. Pure.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::cause::{Finding, Seen, State, ago, count, int, is, list, name, text, worst};
use super::place;

/// A node that cannot serve all of a service says so every five minutes: who has been silent for
/// longer than this can, or is no more.
const SILENT: SignedDuration = SignedDuration::from_mins(11);

/// What is with a service.
pub(super) fn service(seen: &Seen, now: Timestamp) -> Finding {
    let service = &seen.object;
    let own = name(service);
    let found = place::deletion(seen, now).unwrap_or_else(|| {
        let found = judge(seen, now);
        let rest = unserved(seen, now).filter(|_| found.state < State::Wrong);
        rest.unwrap_or(found)
    });
    let kind = match text(service, "/spec/type") {
        "" => "ClusterIP",
        kind => kind,
    };
    let address = text(service, "/spec/clusterIP");
    let ready = endpoints(seen, true);
    found.under(
        format!("service/{own}"),
        format!("{kind} {address}, {}", count(ready, "ready endpoint")),
    )
}

fn judge(seen: &Seen, now: Timestamp) -> Finding {
    let service = &seen.object;
    let own = name(service);
    if text(service, "/spec/type") == "ExternalName" {
        let to = text(service, "/spec/externalName");
        return Finding::well(format!("service {own} is another name of {to}"));
    }
    let ready = endpoints(seen, true);
    let chosen = selector(service);
    if chosen.is_empty() {
        return match ready {
            0 => Finding::wrong(
                format!(
                    "service {own} leads nowhere: it has no selector, and nobody made endpoints for it"
                ),
                "give it a selector, or make an EndpointSlice with its label kubernetes.io/service-name",
            ),
            ready => Finding::well(format!(
                "service {own} leads to {} that somebody else made",
                count(ready, "endpoint")
            )),
        };
    }
    if seen.below.is_empty() {
        return Finding::wrong(
            format!("service {own} leads nowhere: its selector {chosen} matches no pod"),
            "compare it with `weft get pods --show-labels`",
        )
        .then("selector", chosen);
    }
    if let Some(wrong) = unnamed(seen) {
        return wrong;
    }
    by_readiness(seen, now, ready)
}

/// Its pods are there: which of them are ready.
fn by_readiness(seen: &Seen, now: Timestamp, ready: usize) -> Finding {
    let own = name(&seen.object);
    let all = seen.below.len();
    let unready = seen
        .below
        .iter()
        .filter(|pod| !is(&pod.object, "Ready", "True"))
        .count();
    if ready == 0 {
        let found = worst(seen.below.iter().map(|pod| super::finding(pod, now)));
        let Some(mut found) = found.filter(|found| found.state != State::Well) else {
            return Finding::waiting(
                format!(
                    "service {own} leads nowhere yet: its pods are ready, and their endpoints are being made"
                ),
                "wait a little",
            );
        };
        found.state = State::Wrong;
        found.says = format!(
            "service {own} leads nowhere, because {} ready: {}",
            match all {
                1 => "its only pod is not".to_owned(),
                all => format!("none of its {all} pods is"),
            },
            found.says
        );
        return found;
    }
    match unready {
        0 => Finding::well(format!(
            "service {own} leads to {}",
            count(ready, "ready endpoint")
        )),
        unready => {
            let found = worst(seen.below.iter().map(|pod| super::finding(pod, now)));
            let mut found = found.expect("it has pods");
            found.state = State::Waiting;
            found.says = format!(
                "service {own} leads to {}, and leaves out {} of {all} pods: {}",
                count(ready, "ready endpoint"),
                unready,
                found.says
            );
            found
        }
    }
}

/// It leads somewhere, but a node cannot serve all of it.
fn unserved(seen: &Seen, now: Timestamp) -> Option<Finding> {
    let service = &seen.object;
    let own = name(service);
    let mut last = BTreeMap::<&str, &Value>::new();
    let version = |event: &Value| text(event, "/metadata/resourceVersion").parse::<u64>().ok();
    let order = |event: &Value| (text(event, "/lastTimestamp").to_owned(), version(event));
    for event in &seen.events {
        if ["FailedToServe", "ServedAgain"].contains(&text(event, "/reason")) {
            let known = last.entry(text(event, "/source/host")).or_insert(event);
            if order(event) > order(known) {
                *known = event;
            }
        }
    }
    let is_current = |event: &&Value| {
        let at = text(event, "/lastTimestamp").parse::<Timestamp>();
        at.is_ok_and(|at| now.duration_since(at) < SILENT)
    };
    last.retain(|_, event| text(event, "/reason") == "FailedToServe" && is_current(&&**event));
    let (node, event) = last.first_key_value()?;
    let message = text(event, "/message");
    let why = message.split_once(": ").map_or(message, |(_, why)| why);
    let who = match last.len() - 1 {
        0 => format!("node {node} does"),
        others => format!("node {node} and {} do", count(others, "other")),
    };
    let mut ports = list(service, "/spec/ports").iter();
    let taken = ports.find(|port| {
        let number = int(port, "/nodePort");
        number != 0 && why.contains(&format!("port {number}/"))
    });
    let next = match taken {
        Some(port) => format!(
            "end what has port {} on node {node}, or give the service another nodePort; it is tried again by itself",
            int(port, "/nodePort")
        ),
        None => format!(
            "correct what is named: `weft get endpointslices -l kubernetes.io/service-name={own}` shows its endpoints"
        ),
    };
    let when = ago(text(event, "/lastTimestamp"), now);
    Some(
        Finding::wrong(format!("{who} not serve all of service {own}: {why}"), next)
            .then(format!("node/{node}"), format!("FailedToServe, {when} ago")),
    )
}

/// A port of the service is called what no port of its pods is.
fn unnamed(seen: &Seen) -> Option<Finding> {
    let own = name(&seen.object);
    for port in list(&seen.object, "/spec/ports") {
        let Some(target) = port["targetPort"].as_str() else {
            continue;
        };
        let names = |pod: &Value| -> Vec<String> {
            let containers = list(pod, "/spec/containers").iter();
            let ports = containers.flat_map(|one| list(one, "/ports"));
            let names = ports.filter_map(|one| one["name"].as_str());
            names.map(str::to_owned).collect()
        };
        let is_known = |pod: &Seen| names(&pod.object).iter().any(|name| name == target);
        if seen.below.iter().any(is_known) {
            continue;
        }
        let has = names(&seen.below.first()?.object);
        let has = match has.is_empty() {
            true => "none has a name".to_owned(),
            false => format!("they have {}", has.join(", ")),
        };
        return Some(
            Finding::wrong(
                format!("service {own} leads nowhere: its targetPort {target:?} is no named port of its pods ({has})"),
                "correct targetPort, or name the port in the pod's template",
            )
            .then("targetPort", target),
        );
    }
    None
}

/// `a=b,c=d`
fn selector(service: &Value) -> String {
    let chosen = service.pointer("/spec/selector").and_then(Value::as_object);
    let chosen = chosen.into_iter().flatten();
    let chosen: Vec<String> = chosen
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    chosen.join(",")
}

/// How many endpoints its slices have.
fn endpoints(seen: &Seen, ready: bool) -> usize {
    let slices = seen.beside.iter();
    let slices = slices.filter(|one| text(one, "/kind") == "EndpointSlice");
    let all = slices.flat_map(|slice| {
        let has_ports = !list(slice, "/ports").is_empty();
        list(slice, "/endpoints").iter().filter(move |_| has_ports)
    });
    // Not said: it is (EndpointConditions of discovery/v1).
    all.filter(|one| one["conditions"]["ready"].as_bool().unwrap_or(true) == ready)
        .count()
}
