//! Why no node takes a pod: the planner's reasons in words. Pure.

use serde_json::Value;

use super::cause::{Finding, State, list, name, text};

/// Reasons that need no more than words: the planner's, what is said of a node, what to do.
const SIMPLE: [(&str, &str, &str); 8] = [
    (
        "node(s) didn't match the requested node name",
        "is not the one that its nodeName names",
        "`weft get nodes` lists those there are",
    ),
    (
        "node(s) didn't have free ports for the requested pod ports",
        "has another pod on its hostPort",
        "choose another hostPort, or leave it out and use a service",
    ),
    (
        "Too many pods",
        "has as many pods as it may",
        "remove pods, or add a node",
    ),
    (
        "node(s) didn't match pod topology spread constraints (missing required label)",
        "lacks the label that its spread goes by",
        "label the nodes with the topologyKey of topologySpreadConstraints",
    ),
    (
        "node(s) didn't match pod topology spread constraints",
        "would have more of its pods than maxSkew allows",
        "raise maxSkew, or say whenUnsatisfiable: ScheduleAnyway",
    ),
    (
        "node(s) didn't match pod affinity rules",
        "has no pod near it that its affinity wants",
        "start that pod first, or change podAffinity",
    ),
    (
        "node(s) didn't match pod anti-affinity rules",
        "has a pod that its anti-affinity keeps away from",
        "add a node, or make podAntiAffinity preferred",
    ),
    (
        "node(s) didn't satisfy existing pods anti-affinity rules",
        "has a pod whose anti-affinity keeps it away",
        "add a node, or change the other pod's podAntiAffinity",
    ),
];

/// One reason, and of how many nodes.
struct Part {
    nodes: usize,
    says: String,
    next: String,
}

/// What a `PodScheduled` that is false says of `pod`.
pub(super) fn explain(pod: &Value, message: &str) -> Finding {
    let own = name(pod);
    let wrong = |says: String, next: &str| Finding::new(State::Wrong, says, next);
    if message.starts_with("no nodes available") {
        return wrong(
            format!("no node takes pod {own}: there are no nodes"),
            "start one: `weft server` is one itself unless its agent is disabled",
        );
    }
    let Some((total, parts)) = parts(pod, message) else {
        return of_claims(pod, message).unwrap_or_else(|| {
            wrong(
                format!("no node takes pod {own}: {}", message.trim_end_matches('.')),
                "`weft describe pod` tells more",
            )
        });
    };
    let said: Vec<String> = parts
        .iter()
        .map(|part| match (part.nodes, total) {
            (1, 1) => format!("the only one {}", part.says),
            (nodes, total) if nodes == total => format!("each of {total} {}", part.says),
            (1, total) => format!("1 of {total} {}", part.says),
            (nodes, total) => format!("{nodes} of {total} {}", plural(&part.says)),
        })
        .collect();
    let next = parts.iter().max_by_key(|part| part.nodes);
    let next = next.map(|part| part.next.clone()).unwrap_or_default();
    wrong(
        format!("no node takes pod {own}: {}", said.join(", ")),
        &next,
    )
}

/// What is said of one node, of several.
fn plural(says: &str) -> String {
    let (verb, rest) = says.split_once(' ').unwrap_or((says, ""));
    let verb = match verb {
        "has" => "have",
        "is" => "are",
        "lacks" => "lack",
        "does" => "do",
        "says:" => "say:",
        verb => verb,
    };
    format!("{verb} {rest}")
}

/// `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint {a: b}. …`
fn parts(pod: &Value, message: &str) -> Option<(usize, Vec<Part>)> {
    let (head, rest) = message.split_once(" nodes are available: ")?;
    let total = head.strip_prefix("0/")?.parse().ok()?;
    let rest = rest.split(". preemption:").next().unwrap_or_default();
    let rest = rest.trim_end().trim_end_matches('.');
    let mut found: Vec<Part> = Vec::new();
    for piece in rest.split(", ") {
        let (nodes, reason) = piece.split_once(' ')?;
        let Ok(nodes) = nodes.parse() else {
            // A comma of a reason's own.
            found.last_mut()?.says.push_str(&format!(", {piece}"));
            continue;
        };
        let (says, next) = reason_of(pod, reason);
        found.push(Part { nodes, says, next });
    }
    Some((total, found))
}

fn reason_of(pod: &Value, reason: &str) -> (String, String) {
    let said = |says: &str, next: &str| (says.to_owned(), next.to_owned());
    if let Some(resource) = reason.strip_prefix("Insufficient ") {
        let asked = requests(pod, resource);
        let says = match asked.is_empty() {
            true => format!("has too little {resource} left"),
            false => format!("has too little {resource} left (it asks for {asked})"),
        };
        let next = format!(
            "ask for less {resource} (resources.requests), or make room: `weft describe nodes` tells what is taken"
        );
        return (says, next);
    }
    if let Some(taint) = reason.strip_prefix("node(s) had untolerated taint ") {
        return (
            format!("has the taint {taint}, which it does not tolerate"),
            "add a toleration for it to the pod's template, or take the taint off the node"
                .to_owned(),
        );
    }
    match reason {
        "node(s) were unschedulable" => {
            said("is cordoned", "`weft uncordon NODE` lets pods on it again")
        }
        "node(s) didn't match Pod's node affinity/selector" => {
            let wanted = selector(pod);
            let says = match wanted.is_empty() {
                true => "does not fit its node affinity".to_owned(),
                false => format!("lacks the labels that its nodeSelector wants ({wanted})"),
            };
            let next = match wanted.is_empty() {
                true => "compare its affinity with `weft get nodes --show-labels`".to_owned(),
                false => format!(
                    "`weft label node NODE {}` makes one fit, or change the nodeSelector",
                    wanted.replace(',', " ")
                ),
            };
            (says, next)
        }
        other => match SIMPLE.iter().find(|(known, ..)| *known == other) {
            Some((_, says, next)) => said(says, next),
            None => said(
                &format!("says: {other}"),
                "`weft describe nodes` tells what they have",
            ),
        },
    }
}

/// Its claims are why.
fn of_claims(pod: &Value, message: &str) -> Option<Finding> {
    let is_about =
        message.contains("persistentvolumeclaim") || message.contains("PersistentVolumeClaim");
    if !is_about {
        return None;
    }
    let claims: Vec<&str> = list(pod, "/spec/volumes")
        .iter()
        .map(|one| text(one, "/persistentVolumeClaim/claimName"))
        .filter(|claim| !claim.is_empty())
        .collect();
    let next = match claims.first() {
        Some(claim) => format!("`weft why pvc/{claim}` tells why"),
        None => "`weft get pvc` lists the claims".to_owned(),
    };
    let message = message.trim_end_matches('.');
    Some(Finding::new(
        State::Wrong,
        format!("pod {} waits for its claim: {message}", name(pod)),
        next,
    ))
}

/// `disk=ssd,zone=a`
fn selector(pod: &Value) -> String {
    let wanted = pod.pointer("/spec/nodeSelector").and_then(Value::as_object);
    let wanted = wanted.into_iter().flatten();
    let wanted: Vec<String> = wanted
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    wanted.join(",")
}

/// What its containers ask for.
fn requests(pod: &Value, resource: &str) -> String {
    let asked: Vec<&str> = list(pod, "/spec/containers")
        .iter()
        .filter_map(|one| one["resources"]["requests"][resource].as_str())
        .collect();
    asked.join(" + ")
}
