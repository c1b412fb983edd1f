//! Unit tests of the parent module.

use std::collections::BTreeMap;

use weft_api::observed::{Usage, Used};

use super::*;

fn object(value: Value) -> Object {
    serde_json::from_value::<serde_json::Map<String, Value>>(value)
        .map(Object)
        .unwrap()
}

fn pod(phase: &str, request: Value) -> Object {
    object(json!({
        "metadata": { "name": "web-1", "uid": "u" },
        "spec": { "containers": [
            { "name": "web", "resources": { "requests": request } },
            { "name": "log", "resources": { "requests": { "cpu": "50m", "memory": "1Mi" } } },
        ] },
        "status": {
            "phase": phase,
            "startTime": "2026-11-23T10:00:00Z",
            "conditions": [
                { "type": "Ready", "status": "True", "lastTransitionTime": "2026-11-23T10:00:10Z" },
            ],
        },
    }))
}

/// So many seconds after the pod's start, over ten.
fn measured(after_s: i64) -> Measured {
    let began = seconds("2026-11-23T10:00:00Z").unwrap();
    let used = |cpu_n, memory_bytes| Used {
        cpu_n,
        memory_bytes,
    };
    let containers = vec![
        ("web".to_owned(), used(100_000_001, 4096)),
        ("log".to_owned(), used(20_000_000, 1024)),
    ];
    let usage = Usage {
        time_ns: (began + after_s) * 1_000_000_000,
        window_ns: 10_000_000_000,
        pods: BTreeMap::from([("u".to_owned(), containers)]),
        ..Usage::default()
    };
    vec![("one".to_owned(), usage)]
}

fn cpu(container: Option<&str>) -> Metric {
    Metric {
        resource: "cpu".to_owned(),
        container: container.map(str::to_owned),
        goal: Goal::Share(50),
    }
}

#[test]
fn a_pods_containers_count_together_or_one_of_them() {
    let pods = [pod("Running", json!({ "cpu": "200m" }))];
    let of = |metric: &Metric| samples(metric, &pods, &measured(600)).unwrap();
    let ready = |used, request| {
        vec![Sample {
            state: State::Ready,
            used: Some(used),
            request,
        }]
    };
    assert_eq!(of(&cpu(None)), ready(121, 250));
    assert_eq!(of(&cpu(Some("log"))), ready(20, 50));
    let memory = Metric {
        resource: "memory".to_owned(),
        goal: Goal::Each(1),
        container: None,
    };
    assert_eq!(of(&memory), ready(5_120_000, 0));
    assert_eq!(of(&cpu(Some("none")))[0].used, None);
}

#[test]
fn who_asks_for_nothing_has_no_share() {
    let pods = [pod("Running", json!({}))];
    let (reason, message) = samples(&cpu(None), &pods, &measured(600)).unwrap_err();
    assert_eq!(reason, "FailedGetResourceMetric");
    assert!(message.ends_with("missing request for cpu in container web of Pod web-1"));
    assert!(samples(&cpu(Some("log")), &pods, &measured(600)).is_ok());
}

#[test]
fn what_is_used_while_it_begins_says_nothing() {
    let state = |pod: Object, after_s| {
        let found = samples(&cpu(None), &[pod], &measured(after_s)).unwrap();
        found.first().map(|one| one.state)
    };
    let asks = || json!({ "cpu": "1" });
    let (ready, unready) = (Some(State::Ready), Some(State::Unready));
    assert_eq!(state(pod("Pending", asks()), 600), unready);
    assert_eq!(
        state(pod("Running", asks()), 15),
        unready,
        "not ready all the time"
    );
    assert_eq!(state(pod("Running", asks()), 20), ready);
    assert_eq!(state(pod("Failed", asks()), 600), None);
    let mut never = pod("Running", asks());
    never.0["status"]["conditions"][0]["status"] = "False".into();
    assert_eq!(state(never.clone(), 600), unready, "it was never ready");
    never.0["status"]["conditions"][0]["lastTransitionTime"] = "2026-11-23T10:05:00Z".into();
    assert_eq!(state(never, 600), ready, "it was");
}

#[test]
fn what_nobody_measures_is_named() {
    let scaler = object(json!({ "spec": { "metrics": [
        { "type": "Pods", "pods": { "metric": { "name": "hits" }, "target": { "averageValue": "1" } } },
        { "type": "Resource", "resource": { "name": "disk", "target": { "averageValue": "1" } } },
        { "type": "Resource", "resource": { "name": "memory", "target": { "averageValue": "1Ki" } } },
    ] } }));
    let all = metrics(&scaler);
    let reason = |index: usize| all[index].as_ref().unwrap_err().0;
    assert_eq!(reason(0), "FailedGetPodsMetric");
    assert_eq!(reason(1), "FailedGetResourceMetric");
    assert_eq!(all[2].as_ref().unwrap().goal, Goal::Each(1_024_000));
}

#[test]
fn rules_are_the_usual_ones_where_nothing_is_said() {
    let said = rules(&object(json!({ "spec": { "maxReplicas": 9 } })));
    assert_eq!((said.least, said.most), (1, 9));
    assert_eq!((said.up.window_s, said.down.window_s), (0, 300));
    assert_eq!((said.up.policies.len(), said.down.policies.len()), (2, 1));
    let behavior = json!({ "scaleDown": {
        "stabilizationWindowSeconds": 0, "selectPolicy": "Disabled", "tolerance": "50m",
        "policies": [{ "type": "Pods", "value": 2, "periodSeconds": 60 }],
    } });
    let said = rules(&object(
        json!({ "spec": { "maxReplicas": 9, "behavior": behavior } }),
    ));
    assert_eq!(
        said.down,
        Speed {
            window_s: 0,
            choice: Choice::Disabled,
            policies: vec![Policy {
                is_share: false,
                value: 2,
                period_s: 60
            }],
            tolerance_m: Some(50),
        }
    );
}
