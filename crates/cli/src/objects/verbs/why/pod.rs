//! Why a pod does not run, or is not ready. Pure.

use jiff::Timestamp;
use serde_json::Value;

use super::cause::{Finding, Seen, State, ago, condition, event, int, is, list, name, text, worst};
use super::container::{Container, short};
use super::{place, schedule};

/// What fails before any container is made.
const STUCK: [&str; 5] = [
    "FailedMount",
    "FailedAttachVolume",
    "FailedCreatePodSandBox",
    "FailedBinding",
    "NetworkNotReady",
];

/// What is with a pod.
pub(super) fn finding(seen: &Seen, now: Timestamp) -> Finding {
    let pod = &seen.object;
    let found = judge(seen, now);
    let phase = match text(pod, "/status/phase") {
        "" => "Pending",
        phase => phase,
    };
    let node = match text(pod, "/spec/nodeName") {
        "" => String::new(),
        node => format!(" on node {node}"),
    };
    let deleted = match text(pod, "/metadata/deletionTimestamp") {
        "" => "",
        _ => ", being deleted",
    };
    found.under(
        format!("pod/{}", name(pod)),
        format!("{phase}{node}{deleted}"),
    )
}

fn judge(seen: &Seen, now: Timestamp) -> Finding {
    let pod = &seen.object;
    let own = name(pod);
    if let Some(deleted) = place::deletion(seen, now) {
        return deleted;
    }
    match text(pod, "/status/phase") {
        "Succeeded" => return Finding::well(format!("pod {own} has done its work and ended")),
        "Failed" => return failed(seen, now),
        _ => {}
    }
    if text(pod, "/spec/nodeName").is_empty() {
        return unplaced(seen, now);
    }
    let node = text(pod, "/spec/nodeName");
    let node = seen
        .beside
        .iter()
        .find(|one| text(one, "/kind") == "Node" && name(one) == node);
    if let Some(found) = node.and_then(|node| lost(pod, node)) {
        return found;
    }
    if let Some(found) = worst(containers(seen, now)) {
        if found.state == State::Waiting
            && let Some(stuck) = stuck(seen, now)
        {
            return stuck;
        }
        return found;
    }
    if is(pod, "Ready", "True") {
        let since = condition(pod, "Ready").map_or("", |one| text(one, "/lastTransitionTime"));
        let since = ago(since, now);
        return match since.is_empty() {
            true => Finding::well(format!("pod {own} runs and is ready")),
            false => Finding::well(format!("pod {own} runs and has been ready for {since}")),
        };
    }
    unready(seen, now)
}

/// Findings of its containers: those that come first, first; once one of them does not end, the
/// others say nothing of their own.
fn containers(seen: &Seen, now: Timestamp) -> Vec<Finding> {
    let pod = &seen.object;
    let of = |place: &str, told: &str, is_init: bool| -> Vec<Finding> {
        let specs = list(pod, &format!("/spec/{place}"));
        let found = specs.iter().filter_map(|spec| {
            let told = list(pod, &format!("/status/{told}"));
            let mut told = told.iter();
            let status = told.find(|one| text(one, "/name") == text(spec, "/name"))?;
            let one = Container {
                seen,
                spec,
                status,
                is_init,
                now,
            };
            one.finding()
        });
        found.collect()
    };
    let first = of("initContainers", "initContainerStatuses", true);
    let is_begun = is(pod, "Initialized", "True");
    let waits = |found: &Finding| found.says.ends_with("is being made");
    match first.is_empty() || is_begun || first.iter().all(waits) {
        true => of("containers", "containerStatuses", false),
        false => first.into_iter().filter(|found| !waits(found)).collect(),
    }
}

/// What keeps the node from making containers at all.
fn stuck(seen: &Seen, now: Timestamp) -> Option<Finding> {
    let pod = &seen.object;
    let is_begun = list(pod, "/status/containerStatuses")
        .iter()
        .any(|one| one["state"].get("running").is_some() || int(one, "/restartCount") > 0);
    let told = event(seen, &STUCK).filter(|_| !is_begun)?;
    let (reason, message) = (text(told, "/reason"), text(told, "/message"));
    if message.contains("persistentvolumeclaim")
        && let Some(found) = of_claim(seen, now, "cannot start")
    {
        return Some(found);
    }
    let (what, next) = match reason {
        "FailedCreatePodSandBox" | "NetworkNotReady" => (
            "its network cannot be made",
            "look at the node: `weft describe node`, and its log",
        ),
        _ => (
            "a volume of it cannot be had",
            "create what the volume names, or correct it in the pod's template",
        ),
    };
    let found = Finding::wrong(
        format!("pod {} cannot start: {what}: {}", name(pod), short(message)),
        next,
    );
    Some(found.then("event", format!("{reason}: {}", short(message))))
}

/// A claim of a pod that is not as it should be, which is the root of what is with the pod.
fn of_claim(seen: &Seen, now: Timestamp, what: &str) -> Option<Finding> {
    let claims = seen.below.iter().map(|claim| super::finding(claim, now));
    let mut root = worst(claims).filter(|one| one.state != State::Well)?;
    root.says = format!("pod {} {what}, because {}", name(&seen.object), root.says);
    root.cause = root.says.clone();
    Some(root)
}

fn failed(seen: &Seen, now: Timestamp) -> Finding {
    let pod = &seen.object;
    let own = name(pod);
    let (reason, message) = (text(pod, "/status/reason"), text(pod, "/status/message"));
    let because = match message.is_empty() {
        true => String::new(),
        false => format!(": {}", short(message)),
    };
    match reason {
        "" => {}
        "Evicted" => {
            return Finding::wrong(
                format!("pod {own} was evicted from its node{because}"),
                "ask for what it needs in resources.requests, or make room on the node",
            );
        }
        "DeadlineExceeded" => {
            return Finding::wrong(
                format!("pod {own} took longer than its activeDeadlineSeconds"),
                "raise activeDeadlineSeconds, or see what took so long: `weft logs`",
            );
        }
        reason => {
            return Finding::wrong(
                format!("pod {own} has failed ({reason}){because}"),
                format!("`weft describe pod {own}` tells more"),
            );
        }
    }
    worst(containers(seen, now)).unwrap_or_else(|| {
        Finding::wrong(
            format!("pod {own} has failed{because}"),
            format!("`weft describe pod {own}` tells more"),
        )
    })
}

/// It is on no node.
fn unplaced(seen: &Seen, now: Timestamp) -> Finding {
    let pod = &seen.object;
    let own = name(pod);
    let scheduled = condition(pod, "PodScheduled");
    let (reason, message) = scheduled.map_or(("", ""), |one| {
        (text(one, "/reason"), text(one, "/message"))
    });
    if reason == "SchedulingGated" {
        let gates = list(pod, "/spec/schedulingGates").iter();
        let gates: Vec<&str> = gates.map(|one| text(one, "/name")).collect();
        return Finding::waiting(
            format!(
                "pod {own} waits for somebody to take away its scheduling gates: {}",
                gates.join(", ")
            ),
            "whoever set spec.schedulingGates removes them",
        );
    }
    let claims = list(pod, "/spec/volumes").iter().filter_map(|one| {
        let claim = text(one, "/persistentVolumeClaim/claimName");
        (!claim.is_empty()).then_some(claim)
    });
    let claims: Vec<&str> = claims.collect();
    if reason == "Unschedulable" || !message.is_empty() {
        let found = schedule::explain(pod, message);
        // A claim that waits is the root, if that is what is said.
        let is_of_claim = claims.iter().any(|claim| message.contains(claim))
            || message.contains("ersistent")
            || message.contains("volume");
        if is_of_claim && let Some(root) = of_claim(seen, now, "is on no node") {
            return root.under("scheduling", short(message));
        }
        return found.then("scheduling", short(message));
    }
    let scheduler = text(pod, "/spec/schedulerName");
    if !matches!(scheduler, "" | "default-scheduler") {
        return Finding::wrong(
            format!(
                "pod {own} waits for a scheduler called {scheduler:?}, and none has looked at it"
            ),
            "start that scheduler, or leave schedulerName out",
        );
    }
    Finding::waiting(
        format!("pod {own} waits to be given a node"),
        "wait a little; if it stays so, does the server run? `weft get nodes`",
    )
}

/// Its node does not answer.
fn lost(pod: &Value, node: &Value) -> Option<Finding> {
    let ready = condition(node, "Ready")?;
    if text(ready, "/status") == "True" {
        return None;
    }
    let (own, node) = (name(pod), name(node));
    let found = Finding::wrong(
        format!("pod {own} is on node {node}, which does not answer"),
        format!("`weft why node/{node}` tells more"),
    );
    let message = text(ready, "/message");
    Some(found.then(format!("node/{node}"), short(message)))
}

/// All containers are ready, and the pod is not; or none was told of.
fn unready(seen: &Seen, now: Timestamp) -> Finding {
    let pod = &seen.object;
    let own = name(pod);
    for gate in list(pod, "/spec/readinessGates") {
        let gate = text(gate, "/conditionType");
        if !is(pod, gate, "True") {
            return Finding::waiting(
                format!("pod {own} runs, and waits for its readiness gate {gate}"),
                "whoever owns that condition sets it to True",
            );
        }
    }
    if let Some(stuck) = stuck(seen, now) {
        return stuck;
    }
    Finding::waiting(
        format!("pod {own} is being made on its node"),
        "wait a little",
    )
}
