//! A pod's status, of what its node has observed (Kubernetes, "Pod Lifecycle"). Pure.

use k8s_openapi::api::core::v1 as k8s;
use serde_json::{Value, json};
use weft_api::assignment::Restart;
use weft_api::observed::{Container, Ended, Pod, State};

use super::lower;
use crate::object::Object;

/// Where a pod stands as a whole.
fn phase(restart: Restart, seen: &Pod) -> &'static str {
    if seen.failed.is_some() {
        return "Failed";
    }
    let (mut waiting, mut running, mut stopped, mut good) = (0, 0, 0, 0);
    for one in &seen.containers {
        match (&one.state, &one.last) {
            (State::Running { .. }, _) => running += 1,
            (State::Ended(ended), _) => {
                stopped += 1;
                good += usize::from(ended.code == 0);
            }
            (State::Waiting(_), Some(_)) => stopped += 1,
            (State::Waiting(_), None) => waiting += 1,
        }
    }
    // What stays beside them ends after them: until then the pod is not over.
    let sidecars = seen.init.iter();
    let serves = |one: &&Container| matches!(one.state, State::Running { .. });
    let is_served = stopped > 0 && running == 0 && sidecars.filter(serves).count() > 0;
    running += usize::from(is_served);
    let began = running + stopped > 0;
    if !began || waiting > 0 {
        return "Pending";
    }
    if running > 0 {
        return "Running";
    }
    match restart {
        Restart::Always => "Running",
        _ if good == stopped => "Succeeded",
        Restart::Never => "Failed",
        Restart::OnFailure => "Running",
    }
}

fn is_initialized(wanted: &k8s::Container, seen: &Container) -> bool {
    match wanted.restart_policy.as_deref() {
        Some("Always") => seen.started,
        _ => matches!(&seen.state, State::Ended(ended) if ended.code == 0),
    }
}

fn time(ns: i64) -> Value {
    let time = jiff::Timestamp::from_second(ns.div_euclid(1_000_000_000));
    time.map_or(Value::Null, |time| time.to_string().into())
}

fn ended(ended: &Ended) -> Value {
    let mut told = json!({
        "exitCode": ended.code, "reason": ended.reason,
        "startedAt": time(ended.started_at_ns), "finishedAt": time(ended.finished_at_ns),
    });
    if !ended.message.is_empty() {
        told["message"] = ended.message.as_str().into();
    }
    if !ended.container_id.is_empty() {
        told["containerID"] = ended.container_id.as_str().into();
    }
    told
}

fn container(one: &Container) -> Value {
    let state = match &one.state {
        State::Waiting(why) => {
            let mut waiting = json!({ "reason": why.reason });
            if !why.message.is_empty() {
                waiting["message"] = why.message.as_str().into();
            }
            json!({ "waiting": waiting })
        }
        State::Running { started_at_ns } => {
            json!({ "running": { "startedAt": time(*started_at_ns) } })
        }
        State::Ended(end) => json!({ "terminated": ended(end) }),
    };
    let last = one.last.as_ref();
    let mut told = json!({
        "name": one.name, "image": one.image, "imageID": one.image_id,
        "ready": one.ready, "restartCount": one.restarts, "started": one.started,
        "state": state,
        "lastState": last.map_or_else(|| json!({}), |last| json!({ "terminated": ended(last) })),
    });
    if !one.container_id.is_empty() {
        told["containerID"] = one.container_id.as_str().into();
    }
    told
}

/// Of one that looks around: nobody asks whether it has started.
fn looking(one: &Container) -> Value {
    let mut told = container(one);
    if let Some(told) = told.as_object_mut() {
        told.remove("started");
    }
    told
}

/// Changes the pod's status to what was observed; `now` is the time of what changes.
pub(super) fn apply(object: &mut Object, pod: &k8s::Pod, seen: &Pod, host_ip: &str, now: &str) {
    let empty = k8s::PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&empty);
    let phase = phase(lower::restart(spec), seen);
    let is_over = matches!(phase, "Succeeded" | "Failed");
    let before = object.0.get("status").cloned().unwrap_or_else(|| json!({}));
    let mut status = before.clone();
    status["phase"] = phase.into();
    // Why an init container failed is in its own status.
    let why = seen.failed.as_ref();
    let why = why.filter(|why| why.reason != "InitContainerFailed");
    for (name, value) in [
        ("reason", why.map(|why| &why.reason)),
        ("message", why.map(|why| &why.message)),
    ] {
        match (value, status.as_object_mut()) {
            (Some(value), _) => status[name] = value.as_str().into(),
            (None, Some(status)) => drop(status.remove(name)),
            (None, None) => {}
        }
    }
    status["hostIP"] = host_ip.into();
    status["hostIPs"] = json!([{ "ip": host_ip }]);
    if status["startTime"].is_null() {
        status["startTime"] = time(seen.started_at_ns);
    }
    if let Some(ip) = &seen.ip {
        status["podIP"] = ip.as_str().into();
        status["podIPs"] = json!([{ "ip": ip }]);
    }
    let all = |list: &[Container]| -> Vec<Value> { list.iter().map(container).collect() };
    status["containerStatuses"] = all(&seen.containers).into();
    if !seen.init.is_empty() {
        status["initContainerStatuses"] = all(&seen.init).into();
    }
    if !seen.debug.is_empty() {
        status["ephemeralContainerStatuses"] = seen.debug.iter().map(looking).collect();
    }
    conditions(&mut status, spec, seen, is_over.then_some(phase), now);
    eviction(&mut status, seen, now);
    object.0.insert("status".to_owned(), status);
}

fn conditions(status: &mut Value, spec: &k8s::PodSpec, seen: &Pod, over: Option<&str>, now: &str) {
    let init = spec.init_containers.iter().flatten();
    let late: Vec<&str> = init
        .zip(&seen.init)
        .filter(|(wanted, one)| !is_initialized(wanted, one))
        .map(|(_, one)| one.name.as_str())
        .collect();
    let has_begun = seen
        .containers
        .iter()
        .any(|one| !one.container_id.is_empty());
    let completed = over == Some("Succeeded");
    let names = |list: &[&str]| format!("containers with unready status: [{}]", list.join(" "));
    let initialized = match late.is_empty() || has_begun {
        true if completed => Ok(Some("PodCompleted")),
        true => Ok(None),
        false => Err((
            "ContainersNotInitialized",
            format!("containers with incomplete status: [{}]", late.join(" ")),
        )),
    };
    let sidecars = spec.init_containers.iter().flatten().zip(&seen.init);
    let sidecars =
        sidecars.filter(|(wanted, _)| wanted.restart_policy.as_deref() == Some("Always"));
    let serving = seen.containers.iter().chain(sidecars.map(|(_, one)| one));
    let unready: Vec<&str> = serving
        .filter(|one| !one.ready)
        .map(|one| one.name.as_str())
        .collect();
    let containers_ready = match (over, unready.is_empty()) {
        (Some("Succeeded"), _) => Err(("PodCompleted", String::new())),
        (Some(_), _) => Err(("PodFailed", String::new())),
        (None, true) => Ok(None),
        (None, false) => Err(("ContainersNotReady", names(&unready))),
    };
    let gates = spec.readiness_gates.iter().flatten();
    let closed: Vec<&str> = gates
        .map(|gate| gate.condition_type.as_str())
        .filter(|gate| {
            let conditions = status["conditions"].as_array();
            let mut conditions = conditions.into_iter().flatten();
            !conditions.any(|one| one["type"] == *gate && one["status"] == "True")
        })
        .collect();
    let ready = match (&containers_ready, closed.is_empty()) {
        (Ok(_), false) => Err((
            "ReadinessGatesNotReady",
            format!(
                "the status of pod readiness gate {:?} is not \"True\"",
                closed[0]
            ),
        )),
        (other, _) => other.clone(),
    };
    let sandbox = match seen.has_sandbox {
        true => Ok(None),
        false => Err(("", String::new())),
    };
    for (name, is_so) in [
        ("PodReadyToStartContainers", sandbox),
        ("Initialized", initialized),
        ("Ready", ready),
        ("ContainersReady", containers_ready),
    ] {
        set(status, name, is_so, now);
    }
}

/// Whom its node evicted did not end by itself: jobs may leave that uncounted.
fn eviction(status: &mut Value, seen: &Pod, now: &str) {
    if seen
        .failed
        .as_ref()
        .is_some_and(|why| why.reason == "Evicted")
    {
        let is_so = Ok(Some("TerminationByKubelet"));
        set(status, "DisruptionTarget", is_so, now);
    }
}

/// Whether it is so, and if it is told, why; or why not.
type IsSo = Result<Option<&'static str>, (&'static str, String)>;

fn set(status: &mut Value, name: &str, is_so: IsSo, now: &str) {
    let told = if is_so.is_ok() { "True" } else { "False" };
    let before = status["conditions"].as_array();
    let mut before = before.into_iter().flatten();
    let same = before.find(|one| one["type"] == name && one["status"] == told);
    let since = same.and_then(|one| one["lastTransitionTime"].as_str());
    let mut condition = json!({
        "type": name, "status": told, "lastProbeTime": null,
        "lastTransitionTime": since.unwrap_or(now),
    });
    match is_so {
        Ok(Some(reason)) => condition["reason"] = reason.into(),
        Ok(None) | Err(("", _)) => {}
        Err((reason, message)) => {
            condition["reason"] = reason.into();
            if !message.is_empty() {
                condition["message"] = message.into();
            }
        }
    }
    crate::store::set_condition(status, condition);
}
