//! Pods and nodes as the planner sees them.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use weft_planner::{
    Amounts, Budget, Effect, Image, InclusionPolicy, Node, NodeAffinity, NodeTerm, Operator, Pod,
    PodAffinity, PodTerm, Port, PreemptionPolicy, Protocol, Requirement, Selector, Shape, Spread,
    Taint, Toleration, Unsaid, WhenUnsatisfiable,
};
use weft_stdx::quantity::Quantity;

use crate::object::Object;

pub(in super::super) fn node(object: &Object) -> Node {
    let spec = object.at(&["spec"]).unwrap_or(&Value::Null);
    let status = object.at(&["status"]).unwrap_or(&Value::Null);
    // What a node does not say it may give it does not have.
    let allocatable = match &status["allocatable"] {
        Value::Null => &status["capacity"],
        said => said,
    };
    let image = |image: &Value| Image {
        names: list(&image["names"]).map(text).collect(),
        size_bytes: image["sizeBytes"].as_u64().unwrap_or(0),
    };
    Node {
        name: object.meta().name().to_owned(),
        labels: texts(object.at(&["metadata", "labels"]).unwrap_or(&Value::Null)),
        taints: list(&spec["taints"]).filter_map(taint).collect(),
        unschedulable: spec["unschedulable"] == true,
        allocatable: amounts(allocatable),
        pods_max: whole(&allocatable["pods"]),
        images: list(&status["images"]).map(image).collect(),
    }
}

fn taint(taint: &Value) -> Option<Taint> {
    Some(Taint {
        key: text(&taint["key"]),
        value: text(&taint["value"]),
        effect: effect(&taint["effect"])?,
    })
}

fn effect(value: &Value) -> Option<Effect> {
    match value.as_str()? {
        "NoSchedule" => Some(Effect::NoSchedule),
        "PreferNoSchedule" => Some(Effect::PreferNoSchedule),
        "NoExecute" => Some(Effect::NoExecute),
        _ => None,
    }
}

/// A pod; `id` is what it is known by.
pub(in super::super) fn pod(object: &Object, id: &str) -> Pod {
    let meta = object.meta();
    let spec = object.at(&["spec"]).unwrap_or(&Value::Null);
    let containers: Vec<&Value> = list(&spec["containers"]).collect();
    let inits: Vec<&Value> = list(&spec["initContainers"]).collect();
    let all = || containers.iter().chain(&inits);
    let affinity = &spec["affinity"];
    let shape = Shape {
        namespace: meta.namespace().to_owned(),
        labels: texts(object.at(&["metadata", "labels"]).unwrap_or(&Value::Null)),
        requests: requests(spec, &containers, &inits),
        unsaid: Unsaid {
            cpu: unsaid(&containers, "cpu"),
            memory: unsaid(&containers, "memory"),
        },
        node_name: None,
        node_selector: texts(&spec["nodeSelector"]),
        node_affinity: node_affinity(&affinity["nodeAffinity"]),
        volumes: Vec::new(),
        affinity: pod_affinity(&affinity["podAffinity"]),
        anti_affinity: pod_affinity(&affinity["podAntiAffinity"]),
        tolerations: list(&spec["tolerations"]).map(toleration).collect(),
        ports: all()
            .flat_map(|container| list(&container["ports"]))
            .filter_map(port)
            .collect(),
        images: all().map(|container| text(&container["image"])).collect(),
        spreads: list(&spec["topologySpreadConstraints"])
            .map(spread)
            .collect(),
    };
    Pod {
        id: id.to_owned(),
        priority: i32::try_from(spec["priority"].as_i64().unwrap_or(0)).unwrap_or(0),
        preemption: match spec["preemptionPolicy"].as_str() {
            Some("Never") => PreemptionPolicy::Never,
            _ => PreemptionPolicy::PreemptLowerPriority,
        },
        started: started(object),
        terminating: meta.is_deleting(),
        shape: Arc::new(shape),
    }
}

/// Seconds; of one that has not started, the end of time.
fn started(object: &Object) -> u64 {
    let text = object.text(&["status", "startTime"]).unwrap_or_default();
    let time = text.parse::<jiff::Timestamp>();
    time.map_or(u64::MAX, |time| {
        u64::try_from(time.as_second()).unwrap_or(0)
    })
}

/// What a pod needs at once: its containers and sidecars, or, if that is more, an init container with
/// the sidecars before it (KEP-753). What is said of the whole pod counts for it.
fn requests(spec: &Value, containers: &[&Value], inits: &[&Value]) -> Amounts {
    let of = |container: &Value| amounts(&container["resources"]["requests"]);
    let mut running = Amounts::default();
    for container in containers {
        add(&mut running, &of(container));
    }
    let (mut sidecars, mut most) = (Amounts::default(), Amounts::default());
    for init in inits {
        let mut needed = of(init);
        if init["restartPolicy"] == "Always" {
            add(&mut running, &needed);
            add(&mut sidecars, &needed);
            needed = sidecars.clone();
        } else {
            add(&mut needed, &sidecars);
        }
        each(&mut most, &needed, u64::max);
    }
    each(&mut running, &most, u64::max);
    let whole = amounts(&spec["resources"]["requests"]);
    for (said, sum) in [
        (whole.cpu_millis, &mut running.cpu_millis),
        (whole.memory_bytes, &mut running.memory_bytes),
    ] {
        if said > 0 {
            *sum = said;
        }
    }
    add(&mut running, &amounts(&spec["overhead"]));
    running
}

fn unsaid(containers: &[&Value], resource: &str) -> u32 {
    let asks_nothing = |container: &&&Value| container["resources"]["requests"][resource].is_null();
    u32::try_from(containers.iter().filter(asks_nothing).count()).unwrap_or(u32::MAX)
}

fn add(sum: &mut Amounts, more: &Amounts) {
    each(sum, more, u64::saturating_add);
}

fn each(sum: &mut Amounts, more: &Amounts, with: impl Fn(u64, u64) -> u64) {
    sum.cpu_millis = with(sum.cpu_millis, more.cpu_millis);
    sum.memory_bytes = with(sum.memory_bytes, more.memory_bytes);
    sum.ephemeral_bytes = with(sum.ephemeral_bytes, more.ephemeral_bytes);
    for (name, amount) in &more.extended {
        let one = sum.extended.entry(name.clone()).or_default();
        *one = with(*one, *amount);
    }
}

fn amounts(value: &Value) -> Amounts {
    let mut amounts = Amounts::default();
    for (name, amount) in value.as_object().into_iter().flatten() {
        match name.as_str() {
            "cpu" => {
                let quantity = Quantity::of(amount).unwrap_or(Quantity::ZERO);
                amounts.cpu_millis = u64::try_from(quantity.thousandths()).unwrap_or(0);
            }
            "memory" => amounts.memory_bytes = whole(amount),
            "ephemeral-storage" => amounts.ephemeral_bytes = whole(amount),
            "pods" => {}
            name => drop(amounts.extended.insert(name.to_owned(), whole(amount))),
        }
    }
    amounts
}

fn whole(value: &Value) -> u64 {
    let quantity = Quantity::of(value).unwrap_or(Quantity::ZERO);
    u64::try_from(quantity.whole()).unwrap_or(0)
}

fn node_affinity(value: &Value) -> NodeAffinity {
    let required = &value["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"];
    let preferred = &value["preferredDuringSchedulingIgnoredDuringExecution"];
    let one = |term: &Value| (weight(term), node_term(&term["preference"]));
    NodeAffinity {
        required: required
            .is_array()
            .then(|| list(required).map(node_term).collect()),
        preferred: list(preferred).map(one).collect(),
    }
}

pub(super) fn node_term(term: &Value) -> NodeTerm {
    NodeTerm {
        expressions: list(&term["matchExpressions"])
            .filter_map(requirement)
            .collect(),
        fields: list(&term["matchFields"]).filter_map(requirement).collect(),
    }
}

fn pod_affinity(value: &Value) -> PodAffinity {
    let required = &value["requiredDuringSchedulingIgnoredDuringExecution"];
    let preferred = &value["preferredDuringSchedulingIgnoredDuringExecution"];
    let one = |term: &Value| (weight(term), pod_term(&term["podAffinityTerm"]));
    PodAffinity {
        required: list(required).map(pod_term).collect(),
        preferred: list(preferred).map(one).collect(),
    }
}

fn pod_term(term: &Value) -> PodTerm {
    PodTerm {
        topology_key: text(&term["topologyKey"]),
        selector: selector(&term["labelSelector"]),
        namespaces: list(&term["namespaces"]).map(text).collect(),
        namespace_selector: selector(&term["namespaceSelector"]),
        match_label_keys: list(&term["matchLabelKeys"]).map(text).collect(),
        mismatch_label_keys: list(&term["mismatchLabelKeys"]).map(text).collect(),
    }
}

fn spread(value: &Value) -> Spread {
    let policy = |name: &str, otherwise| match value[name].as_str() {
        Some("Honor") => InclusionPolicy::Honor,
        Some("Ignore") => InclusionPolicy::Ignore,
        _ => otherwise,
    };
    Spread {
        max_skew: number(&value["maxSkew"]).unwrap_or(1),
        topology_key: text(&value["topologyKey"]),
        when_unsatisfiable: match value["whenUnsatisfiable"].as_str() {
            Some("ScheduleAnyway") => WhenUnsatisfiable::ScheduleAnyway,
            _ => WhenUnsatisfiable::DoNotSchedule,
        },
        selector: selector(&value["labelSelector"]),
        min_domains: number(&value["minDomains"]),
        node_affinity_policy: policy("nodeAffinityPolicy", InclusionPolicy::Honor),
        node_taints_policy: policy("nodeTaintsPolicy", InclusionPolicy::Ignore),
        match_label_keys: list(&value["matchLabelKeys"]).map(text).collect(),
    }
}

/// How many pods may go for the sake of others.
pub(super) fn budget(budget: &Object) -> Budget {
    let allowed = budget.at(&["status", "disruptionsAllowed"]);
    let allowed = allowed.and_then(Value::as_u64).unwrap_or(0);
    Budget {
        namespace: budget.meta().namespace().to_owned(),
        selector: budget.at(&["spec", "selector"]).and_then(selector),
        allowed: u32::try_from(allowed).unwrap_or(u32::MAX),
    }
}

fn selector(value: &Value) -> Option<Selector> {
    value.as_object()?;
    let labels = texts(&value["matchLabels"]);
    let pairs = labels
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()));
    let mut selector = Selector::labels(pairs);
    let expressions = list(&value["matchExpressions"]).filter_map(requirement);
    selector.requirements.extend(expressions);
    Some(selector)
}

fn requirement(value: &Value) -> Option<Requirement> {
    let operator = match value["operator"].as_str()? {
        "In" => Operator::In,
        "NotIn" => Operator::NotIn,
        "Exists" => Operator::Exists,
        "DoesNotExist" => Operator::DoesNotExist,
        "Gt" => Operator::Gt,
        "Lt" => Operator::Lt,
        _ => return None,
    };
    Some(Requirement {
        key: text(&value["key"]),
        operator,
        values: list(&value["values"]).map(text).collect(),
    })
}

fn toleration(value: &Value) -> Toleration {
    Toleration {
        key: text(&value["key"]),
        exists: value["operator"] == "Exists",
        value: text(&value["value"]),
        effect: effect(&value["effect"]),
    }
}

fn port(value: &Value) -> Option<Port> {
    let port = u16::try_from(value["hostPort"].as_u64()?).ok()?;
    (port > 0).then(|| Port {
        ip: text(&value["hostIP"]),
        protocol: match value["protocol"].as_str() {
            Some("UDP") => Protocol::Udp,
            Some("SCTP") => Protocol::Sctp,
            _ => Protocol::Tcp,
        },
        port,
    })
}

fn weight(term: &Value) -> u32 {
    number(&term["weight"]).unwrap_or(0)
}

fn number(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|number| u32::try_from(number).ok())
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn texts(value: &Value) -> BTreeMap<String, String> {
    let pairs = value.as_object().into_iter().flatten();
    pairs
        .map(|(key, value)| (key.clone(), text(value)))
        .collect()
}
