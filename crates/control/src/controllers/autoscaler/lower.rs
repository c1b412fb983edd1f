//! What a scaler asks for, and what its pods use, in the planner's words. Pure.

use serde_json::{Value, json};
use weft_planner::workloads::autoscale::{Choice, Goal, Policy, Rules, Sample, Speed, State, Wish};

use super::super::workloads::pods::seconds;
use crate::object::Object;
use crate::quantity::Quantity;
use crate::usage::{Measured, of_containers};

/// How long after its start what a pod uses is not what it will use.
const CPU_BEGINS_S: i64 = 300;
/// How long after its start a pod that is not ready has not been ready yet.
const READY_BEGINS_S: i64 = 30;
/// How calm it is before there are fewer, unless it is said.
const CALM_S: u32 = 300;

/// A metric of a resource.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Metric {
    /// `cpu` or `memory`.
    pub(super) resource: String,
    /// One container alone.
    pub(super) container: Option<String>,
    pub(super) goal: Goal,
}

/// What is wrong: a word and a sentence.
type Wrong = (&'static str, String);

impl Metric {
    pub(super) fn reason(&self) -> &'static str {
        match self.container {
            Some(_) => "FailedGetContainerResourceMetric",
            None => "FailedGetResourceMetric",
        }
    }

    /// Nobody knows what any pod uses.
    pub(super) fn unknown(&self) -> Wrong {
        let resource = &self.resource;
        let what = match self.goal {
            Goal::Share(_) => "utilization",
            Goal::Each(_) => "usage",
        };
        let message = format!(
            "failed to get {resource} {what}: did not receive metrics for targeted pods (pods might be unready)"
        );
        (self.reason(), message)
    }

    /// In words, as messages have it.
    pub(super) fn about(&self) -> String {
        let resource = &self.resource;
        let of = match &self.container {
            Some(_) => format!("{resource} container resource"),
            None => format!("{resource} resource"),
        };
        match self.goal {
            Goal::Share(_) => format!("{of} utilization (percentage of request)"),
            Goal::Each(_) => of,
        }
    }

    /// `status.currentMetrics`
    pub(super) fn status(&self, wish: &Wish) -> Value {
        let each = Quantity::parse(&format!("{}m", wish.each));
        let each = each.unwrap_or(Quantity::ZERO).to_string();
        let mut current = json!({ "averageValue": each });
        if let Some(share) = wish.share {
            current["averageUtilization"] = share.into();
        }
        match &self.container {
            Some(container) => json!({
                "type": "ContainerResource",
                "containerResource": { "name": self.resource, "container": container, "current": current },
            }),
            None => json!({
                "type": "Resource",
                "resource": { "name": self.resource, "current": current },
            }),
        }
    }
}

/// The metrics of a scaler, each or why there is none.
pub(super) fn metrics(scaler: &Object) -> Vec<Result<Metric, Wrong>> {
    let all = scaler.at(&["spec", "metrics"]).and_then(Value::as_array);
    all.into_iter().flatten().map(metric).collect()
}

fn metric(metric: &Value) -> Result<Metric, Wrong> {
    let kind = metric["type"].as_str().unwrap_or_default();
    let (reason, field) = match kind {
        "Resource" => ("FailedGetResourceMetric", "resource"),
        "ContainerResource" => ("FailedGetContainerResourceMetric", "containerResource"),
        "Pods" => ("FailedGetPodsMetric", "pods"),
        "Object" => ("FailedGetObjectMetric", "object"),
        _ => ("FailedGetExternalMetric", "external"),
    };
    let source = &metric[field];
    let name = source["name"].as_str().unwrap_or_default();
    if !matches!(kind, "Resource" | "ContainerResource") {
        let name = source["metric"]["name"].as_str().unwrap_or_default();
        let message = format!(
            "unable to get metric {name}: nothing here measures metrics of type {kind}; cpu and memory are \
             measured"
        );
        return Err((reason, message));
    }
    if !matches!(name, "cpu" | "memory") {
        let message =
            format!("unable to get metrics for resource {name}: cpu and memory are measured");
        return Err((reason, message));
    }
    let target = &source["target"];
    let goal = match target["averageUtilization"].as_i64() {
        Some(share) => Goal::Share(share),
        None => {
            let amount = Quantity::of(&target["averageValue"]);
            let amount = amount.map_err(|why| (reason, format!("averageValue: {why}")))?;
            Goal::Each(i64::try_from(amount.thousandths()).unwrap_or(i64::MAX))
        }
    };
    Ok(Metric {
        resource: name.to_owned(),
        container: source["container"].as_str().map(str::to_owned),
        goal,
    })
}

/// What the pods use of it.
pub(super) fn samples(
    metric: &Metric,
    pods: &[Object],
    measured: &Measured,
) -> Result<Vec<Sample>, Wrong> {
    let mut samples = Vec::with_capacity(pods.len());
    for pod in pods {
        let phase = pod.text(&["status", "phase"]);
        if pod.meta().is_deleting() || matches!(phase, Some("Failed" | "Succeeded")) {
            continue;
        }
        let request = match metric.goal {
            Goal::Share(_) => request(metric, pod)?,
            Goal::Each(_) => 0,
        };
        let found = of_containers(pod.meta().text("uid"), measured);
        let is_ready = match (phase, &found) {
            (Some("Pending") | None, _) => false,
            (_, Some((usage, _))) if metric.resource == "cpu" => {
                let at_s = usage.time_ns / 1_000_000_000;
                let window_s = i64::try_from(usage.window_ns / 1_000_000_000).unwrap_or(0);
                is_settled(pod, at_s, window_s)
            }
            _ => true,
        };
        let used = found.and_then(|(_, containers)| {
            let mut of = containers.iter();
            let used = |used: &weft_api::observed::Used| {
                let amount = match &*metric.resource {
                    "cpu" => used.cpu_n.div_ceil(1_000_000),
                    _ => used.memory_bytes.saturating_mul(1000),
                };
                i64::try_from(amount).unwrap_or(i64::MAX)
            };
            match &metric.container {
                Some(wanted) => of
                    .find(|(name, _)| name == wanted)
                    .map(|(_, one)| used(one)),
                None => Some(of.map(|(_, one)| used(one)).sum()),
            }
        });
        samples.push(Sample {
            state: if is_ready {
                State::Ready
            } else {
                State::Unready
            },
            used,
            request,
        });
    }
    Ok(samples)
}

/// Whether what a pod used at `at_s`, over so many seconds, is what it will use.
fn is_settled(pod: &Object, at_s: i64, window_s: i64) -> bool {
    let started = pod.text(&["status", "startTime"]).and_then(seconds);
    let (Some(ready), Some(started)) = (pod.condition("Ready"), started) else {
        return false;
    };
    let is_ready = ready["status"] == "True";
    let since = ready["lastTransitionTime"].as_str().and_then(seconds);
    let since = since.unwrap_or(started);
    match at_s < started + CPU_BEGINS_S {
        true => is_ready && at_s >= since + window_s,
        // It was ready once, or has had the time to be.
        false => is_ready || since > started + READY_BEGINS_S,
    }
}

/// What a pod asks for, in thousandths.
fn request(metric: &Metric, pod: &Object) -> Result<i64, Wrong> {
    let of = |name: &str| {
        let all = pod.at(&["spec", name]).and_then(Value::as_array);
        all.into_iter().flatten()
    };
    let stays = |one: &&Value| one["restartPolicy"] == "Always";
    let all = of("containers").chain(of("initContainers").filter(stays));
    let mut sum = 0_i64;
    for container in all {
        let name = container["name"].as_str().unwrap_or_default();
        if metric
            .container
            .as_deref()
            .is_some_and(|wanted| wanted != name)
        {
            continue;
        }
        let asked = Quantity::of(&container["resources"]["requests"][&*metric.resource]);
        let Ok(asked) = asked else {
            let (resource, pod) = (&metric.resource, pod.meta().name());
            let message = format!(
                "failed to get {resource} utilization: missing request for {resource} in container {name} of Pod {pod}"
            );
            return Err((metric.reason(), message));
        };
        sum = sum.saturating_add(i64::try_from(asked.thousandths()).unwrap_or(i64::MAX));
    }
    Ok(sum)
}

/// What bounds it.
pub(super) fn rules(scaler: &Object) -> Rules {
    let number = |path: &[&str], usual: u64| {
        let found = scaler.at(path).and_then(Value::as_u64).unwrap_or(usual);
        u32::try_from(found).unwrap_or(u32::MAX)
    };
    Rules {
        least: number(&["spec", "minReplicas"], 1),
        most: number(&["spec", "maxReplicas"], 1),
        up: speed(scaler, "scaleUp", 0),
        down: speed(scaler, "scaleDown", CALM_S),
    }
}

fn speed(scaler: &Object, way: &str, window_s: u32) -> Speed {
    let empty = Value::Null;
    let said = scaler.at(&["spec", "behavior", way]).unwrap_or(&empty);
    let number = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok());
    let policies = said["policies"].as_array().map(|all| {
        let of = |one: &Value| Policy {
            is_share: one["type"] == "Percent",
            value: number(&one["value"]).unwrap_or(0),
            period_s: number(&one["periodSeconds"]).unwrap_or(0),
        };
        all.iter().map(of).collect()
    });
    Speed {
        window_s: number(&said["stabilizationWindowSeconds"]).unwrap_or(window_s),
        choice: match said["selectPolicy"].as_str() {
            Some("Min") => Choice::Min,
            Some("Disabled") => Choice::Disabled,
            _ => Choice::Max,
        },
        policies: policies.unwrap_or_else(|| usual(way == "scaleUp")),
        tolerance_m: Quantity::of(&said["tolerance"])
            .ok()
            .and_then(|amount| i64::try_from(amount.thousandths()).ok()),
    }
}

/// Policies of who says nothing of them.
fn usual(is_up: bool) -> Vec<Policy> {
    let policy = |is_share, value| Policy {
        is_share,
        value,
        period_s: 15,
    };
    match is_up {
        true => vec![policy(false, 4), policy(true, 100)],
        false => vec![policy(true, 100)],
    }
}

#[cfg(test)]
mod tests;
