//! Nodes: what they have, and what the pods on them take of it.

use std::collections::BTreeMap;

use serde_json::Value;
use weft_stdx::quantity::Quantity;

use super::page::Page;
use super::pod::taint;
use super::related::Related;
use super::value::{ago, entries, is, list, or, quantity, text, texts, unless_empty, when};

/// Amounts of resources by their names.
type Amounts = BTreeMap<String, Quantity>;

/// Labels of a node's roles.
const ROLE: &str = "node-role.kubernetes.io/";
/// What a node tells of the machine, and where.
const SYSTEM: [(&str, &str); 10] = [
    ("Machine ID", "machineID"),
    ("System UUID", "systemUUID"),
    ("Boot ID", "bootID"),
    ("Kernel Version", "kernelVersion"),
    ("OS Image", "osImage"),
    ("Operating System", "operatingSystem"),
    ("Architecture", "architecture"),
    ("Container Runtime Version", "containerRuntimeVersion"),
    ("Kubelet Version", "kubeletVersion"),
    ("Kube-Proxy Version", "kubeProxyVersion"),
];

pub(super) fn tell(object: &Value, related: &Related, page: &mut Page) {
    let (meta, spec, status) = (&object["metadata"], &object["spec"], &object["status"]);
    page.field(0, "Name", text(&meta["name"]));
    page.field(0, "Roles", roles(&meta["labels"]));
    page.labels("Labels", &meta["labels"]);
    page.annotations("Annotations", &meta["annotations"]);
    page.field(0, "CreationTimestamp", when(&meta["creationTimestamp"]));
    let mut taints: Vec<&Value> = list(&spec["taints"]).iter().collect();
    taints.sort_by_cached_key(|one| format!("{},{}", text(&one["effect"]), text(&one["key"])));
    page.below("Taints", &taints.into_iter().map(taint).collect::<Vec<_>>());
    page.field(0, "Unschedulable", is(&spec["unschedulable"]));
    lease(related, page);
    conditions(&status["conditions"], page);
    page.line(0, "Addresses:");
    for address in list(&status["addresses"]) {
        page.field(1, &text(&address["type"]), text(&address["address"]));
    }
    for (title, field) in [("Capacity", "capacity"), ("Allocatable", "allocatable")] {
        let mut amounts = entries(&status[field]).peekable();
        if amounts.peek().is_some() {
            page.line(0, format_args!("{title}:"));
        }
        for (name, amount) in amounts {
            page.field(1, name, quantity(amount));
        }
    }
    page.line(0, "System Info:");
    for (title, field) in SYSTEM {
        page.field(1, title, text(&status["nodeInfo"][field]));
    }
    for (title, value) in [
        ("PodCIDR", text(&spec["podCIDR"])),
        ("PodCIDRs", texts(&spec["podCIDRs"]).join(",")),
        ("ProviderID", text(&spec["providerID"])),
    ] {
        if !value.is_empty() {
            page.field(0, title, value);
        }
    }
    match related.failure("pods") {
        Some(_) => page.field(0, "Pods", "not authorized"),
        None => taken(status, related.of("pods"), page),
    }
}

fn roles(labels: &Value) -> String {
    let roles = entries(labels).filter_map(|(key, value)| match key.strip_prefix(ROLE) {
        Some(role) => Some(role.to_owned()),
        None => (key == "kubernetes.io/role").then(|| text(value)),
    });
    let mut roles: Vec<String> = roles.filter(|role| !role.is_empty()).collect();
    roles.sort();
    roles.dedup();
    unless_empty(roles.join(","), "<none>")
}

fn lease(related: &Related, page: &mut Page) {
    let lease = match (related.failure("lease"), related.of("lease").first()) {
        (None, Some(lease)) => &lease["spec"],
        (why, _) => {
            let why = why.unwrap_or_default();
            return page.field(0, "Lease", format_args!("Failed to get lease: {why}"));
        }
    };
    page.line(0, "Lease:");
    let time = |field: &str| match lease[field].is_string() {
        true => when(&lease[field]),
        false => "<unset>".to_owned(),
    };
    page.field(1, "HolderIdentity", or(&lease["holderIdentity"], "<unset>"));
    page.field(1, "AcquireTime", time("acquireTime"));
    page.field(1, "RenewTime", time("renewTime"));
}

fn conditions(conditions: &Value, page: &mut Page) {
    if list(conditions).is_empty() {
        return;
    }
    page.line(0, "Conditions:");
    page.line(
        1,
        "Type\tStatus\tLastHeartbeatTime\tLastTransitionTime\tReason\tMessage",
    );
    page.line(
        1,
        "----\t------\t-----------------\t------------------\t------\t-------",
    );
    for one in list(conditions) {
        page.line(
            1,
            format_args!(
                "{} \t{} \t{} \t{} \t{} \t{}",
                text(&one["type"]),
                text(&one["status"]),
                when(&one["lastHeartbeatTime"]),
                when(&one["lastTransitionTime"]),
                text(&one["reason"]),
                text(&one["message"])
            ),
        );
    }
}

/// What the pods take, of what there is.
fn taken(status: &Value, pods: &[Value], page: &mut Page) {
    let there = match entries(&status["allocatable"]).next() {
        Some(_) => amounts(&status["allocatable"]),
        None => amounts(&status["capacity"]),
    };
    page.field(
        0,
        "Non-terminated Pods",
        format_args!("({} in total)", pods.len()),
    );
    page.line(
        1,
        "Namespace\tName\t\tCPU Requests\tCPU Limits\tMemory Requests\tMemory Limits\tAge",
    );
    page.line(
        1,
        "---------\t----\t\t------------\t----------\t---------------\t-------------\t---",
    );
    let (mut requests, mut limits) = (Amounts::new(), Amounts::new());
    for pod in pods {
        let meta = &pod["metadata"];
        let (request, limit) = (of_pod(pod, "requests"), of_pod(pod, "limits"));
        let cells: Vec<String> = ["cpu", "memory"]
            .into_iter()
            .flat_map(|name| [share(&request, &there, name), share(&limit, &there, name)])
            .collect();
        let (namespace, name) = (text(&meta["namespace"]), text(&meta["name"]));
        let (cells, age) = (cells.join("\t"), ago(&meta["creationTimestamp"]));
        page.line(1, format_args!("{namespace}\t{name}\t\t{cells}\t{age}"));
        add(&mut requests, &request);
        add(&mut limits, &limit);
    }
    page.line(0, "Allocated resources:");
    page.line(
        1,
        "(Total limits may be over 100 percent, i.e., overcommitted.)",
    );
    page.line(1, "Resource\tRequests\tLimits");
    page.line(1, "--------\t--------\t------");
    let pages = there.keys().filter(|name| name.starts_with("hugepages-"));
    let standard = ["cpu", "memory", "ephemeral-storage"];
    for name in standard.into_iter().chain(pages.map(String::as_str)) {
        let (request, limit) = (share(&requests, &there, name), share(&limits, &there, name));
        page.line(1, format_args!("{name}\t{request}\t{limit}"));
    }
    let is_other = |name: &&String| {
        !standard.contains(&name.as_str()) && !name.starts_with("hugepages-") && *name != "pods"
    };
    for name in there.keys().filter(is_other) {
        let (request, limit) = (of(&requests, name), of(&limits, name));
        page.line(1, format_args!("{name}\t{request}\t{limit}"));
    }
}

fn of(amounts: &Amounts, name: &str) -> Quantity {
    amounts.get(name).copied().unwrap_or(Quantity::ZERO)
}

/// `250m (12%)`
fn share(of_them: &Amounts, there: &Amounts, name: &str) -> String {
    let (amount, all) = (of(of_them, name), of(there, name));
    let in_parts = |amount: &Quantity| match name {
        "cpu" => amount.thousandths(),
        _ => amount.whole(),
    };
    let percent = match in_parts(&all) {
        0 => 0,
        all => (in_parts(&amount) as f64 / all as f64 * 100.0) as i64,
    };
    format!("{amount} ({percent}%)")
}

fn amounts(list: &Value) -> Amounts {
    let amounts = entries(list);
    amounts
        .map(|(name, amount)| (name.clone(), quantity(amount)))
        .collect()
}

fn add(sum: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        let so_far = sum.get(name).copied();
        sum.insert(
            name.clone(),
            so_far.map_or(*amount, |so_far| so_far.plus(*amount)),
        );
    }
}

fn raise(most: &mut Amounts, other: &Amounts) {
    for (name, amount) in other {
        let is_more = most.get(name).is_none_or(|most| amount > most);
        if is_more {
            most.insert(name.clone(), *amount);
        }
    }
}

/// What a pod asks for: its containers' sum, or what one that runs before them needs.
fn of_pod(pod: &Value, field: &str) -> Amounts {
    let (spec, mut sum) = (&pod["spec"], Amounts::new());
    let states = list(&pod["status"]["containerStatuses"]);
    for container in list(&spec["containers"]) {
        let mut wanted = amounts(&container["resources"][field]);
        let state = states
            .iter()
            .find(|state| state["name"] == container["name"]);
        let given = state
            .map(|state| &state["resources"])
            .filter(|it| it.is_object());
        if let Some(given) = given.filter(|_| field == "requests") {
            let given = amounts(&given[field]);
            match pod["status"]["resize"] == "Infeasible" {
                true => wanted = given,
                false => raise(&mut wanted, &given),
            }
        }
        add(&mut sum, &wanted);
    }
    let (mut beside, mut before) = (Amounts::new(), Amounts::new());
    for container in list(&spec["initContainers"]) {
        let mut wanted = amounts(&container["resources"][field]);
        if container["restartPolicy"] == "Always" {
            add(&mut sum, &wanted);
            add(&mut beside, &wanted);
            wanted = beside.clone();
        } else {
            add(&mut wanted, &beside);
        }
        raise(&mut before, &wanted);
    }
    raise(&mut sum, &before);
    let mut overhead = amounts(&spec["overhead"]);
    if field == "limits" {
        overhead.retain(|name, _| !of(&sum, name).is_zero());
    }
    add(&mut sum, &overhead);
    sum
}
