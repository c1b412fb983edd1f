//! `weft server`: kinds that are served in more than one group or version.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use weft_testkit::command::LIMIT;
use weft_testkit::{Background, Ran, Weft, until};

use crate::server_kubectl::{Tour, kubectl, kubectl_with_input, server};

const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/default/events";
const CORE: &str = "/api/v1/namespaces/default/events";

fn raw(weft: &Weft, path: &str) -> Value {
    serde_json::from_str(kubectl(weft, &format!("get --raw {path}")).ok()).unwrap()
}

fn made(weft: &Weft, path: &str, object: &Value) -> Ran {
    kubectl_with_input(
        weft,
        &format!("create --raw {path} -f -"),
        &object.to_string(),
    )
}

/// As client-go's recorder of events.k8s.io makes it.
fn event() -> Value {
    json!({
        "metadata": { "name": "web.1", "namespace": "default" },
        "eventTime": "2026-01-02T03:04:05.000006Z",
        "reportingController": "example.com/watcher",
        "reportingInstance": "watcher-1",
        "action": "Watching",
        "reason": "Seen",
        "regarding": { "kind": "Pod", "namespace": "default", "name": "web", "apiVersion": "v1" },
        "note": "it was seen",
        "type": "Normal",
    })
}

#[test]
fn events_are_the_same_in_both_groups() {
    let Some(weft) = server() else { return };
    let watch = |path: &str| {
        let path = format!("{path}?watch=true");
        weft.kubectl_in_background(&["get", "--raw", &path])
            .unwrap()
    };
    let (core, own) = (watch(CORE), watch(EVENTS));
    let event = event();
    made(&weft, EVENTS, &event).ok();

    // Each group has its names for the same.
    let there = raw(&weft, &format!("{EVENTS}/web.1"));
    let here = raw(&weft, &format!("{CORE}/web.1"));
    assert_eq!(
        (&there["apiVersion"], &here["apiVersion"]),
        (&json!("events.k8s.io/v1"), &json!("v1"))
    );
    for (one, other) in [
        ("regarding", "involvedObject"),
        ("note", "message"),
        ("reportingController", "reportingComponent"),
        ("eventTime", "eventTime"),
        ("metadata", "metadata"),
    ] {
        assert_eq!(there[one], here[other], "{one}");
    }
    assert_eq!(there["note"], "it was seen");
    let list = raw(
        &weft,
        &format!("{EVENTS}?fieldSelector=regarding.name%3Dweb"),
    );
    assert_eq!(list["items"][0]["note"], "it was seen");
    assert_eq!(list["apiVersion"], "events.k8s.io/v1");

    // A series goes on as client-go patches it.
    let patch = r#"{"series":{"count":2,"lastObservedTime":"2026-01-02T03:05:05.000000Z"}}"#;
    let series = "patch events.v1.events.k8s.io web.1 --type=strategic -p";
    kubectl(&weft, &format!("{series} {patch}")).ok();
    let wide = kubectl(&weft, "get events -o wide --no-headers");
    let words: Vec<&str> = wide.ok().split_whitespace().collect();
    assert_eq!(words.last(), Some(&"web.1"));
    assert_eq!(words[words.len() - 2], "2", "{words:?}");
    let other = kubectl(&weft, "get events.v1.events.k8s.io -o wide --no-headers");
    assert_eq!(other.ok(), wide.ok());
    let told = kubectl(&weft, "events --types=Normal");
    assert!(told.ok().contains("(x2 over "), "{}", told.stdout);

    for (watch, name, word) in [(core, "message", "v1"), (own, "note", "events.k8s.io/v1")] {
        follows(&watch, name, word);
    }
    let gone = kubectl(&weft, "delete events.v1.events.k8s.io web.1");
    assert!(gone.ok().contains("deleted"), "{}", gone.stdout);
    let left = raw(&weft, CORE);
    assert_eq!(left["items"], json!([]));
}

/// A watch tells of the event, and of its series.
fn follows(watch: &Background, name: &str, version: &str) {
    let told = || -> Vec<Value> {
        let said = watch.stdout();
        let lines = said.lines();
        lines
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    };
    until(LIMIT, "the watch tells of the series", || told().len() > 1);
    let told = told();
    assert_eq!(
        (&told[0]["type"], &told[1]["type"]),
        (&json!("ADDED"), &json!("MODIFIED"))
    );
    for line in &told[..2] {
        assert_eq!(line["object"][name], "it was seen");
        assert_eq!(line["object"]["apiVersion"], version);
    }
    assert_eq!(told[1]["object"]["series"]["count"], 2);
}

#[test]
fn the_group_of_events_is_stricter_than_the_core() {
    let Some(weft) = server() else { return };
    let mut wrong = event();
    wrong["eventTime"] = Value::Null;
    wrong["type"] = "Odd".into();
    wrong["series"] = json!({ "count": 1, "lastObservedTime": "2026-01-02T03:05:05.000000Z" });
    made(&weft, EVENTS, &wrong).fails_saying(&["eventTime", "series.count", "type"]);
    made(&weft, EVENTS, &event()).ok();
    let change = |kind: &str, patch: &str| {
        kubectl(
            &weft,
            &format!("patch {kind} web.1 --type=merge -p {patch}"),
        )
    };
    change("events.v1.events.k8s.io", r#"{"note":"other"}"#)
        .fails_saying(&["message: Invalid value", "field is immutable"]);
    change(
        "events.v1.events.k8s.io",
        r#"{"series":{"count":1,"lastObservedTime":"2026-01-02T03:05:05.000000Z"}}"#,
    )
    .fails_saying(&["should be at least 2"]);
    // client-go's recorder of the core's group counts in another field.
    change(
        "events",
        r#"{"count":2,"lastTimestamp":"2026-01-02T03:06:05Z","message":"again"}"#,
    )
    .ok();
    let found = raw(&weft, &format!("{EVENTS}/web.1"));
    assert_eq!(
        (&found["deprecatedCount"], &found["note"]),
        (&json!(2), &json!("again"))
    );

    // Who may write into one group, may not write into the other.
    let role = "create role teller --verb=create,get --resource=events.events.k8s.io";
    kubectl(&weft, role).ok();
    kubectl(
        &weft,
        "create rolebinding teller --role=teller --user=teller",
    )
    .ok();
    let may = |kind: &str| kubectl(&weft, &format!("auth can-i create {kind} --as teller"));
    assert_eq!(may("events.events.k8s.io").stdout.trim(), "yes");
    assert_eq!(may("events").stdout.trim(), "no");
}

#[test]
fn autoscalers_of_the_first_version_with_kubectl_of_today() {
    autoscalers("kubectl");
}

#[test]
fn autoscalers_of_the_first_version_with_kubectl_of_debian_12() {
    autoscalers("kubectl-1.20");
}

fn autoscalers(program: &'static str) {
    let Some(tour) = Tour::start(program) else {
        return;
    };
    let (weft, send) = (&tour.weft, |line: &str, input: &str| tour.send(line, input));
    let kinds = send("api-resources --api-group=autoscaling --no-headers", "");
    assert_eq!(kinds.ok().lines().count(), 1, "{}", kinds.stdout);
    let versions = send("api-versions", "");
    for version in ["autoscaling/v1", "autoscaling/v2", "events.k8s.io/v1"] {
        assert!(
            versions.ok().lines().any(|line| line == version),
            "{version}"
        );
    }
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: web }\nspec:\n  \
        selector: { matchLabels: { app: web } }\n  template:\n    \
        metadata: { labels: { app: web } }\n    spec: { containers: [{ name: web, image: nginx }] }\n";
    send("apply -f -", deployment).ok();
    send(
        "autoscale deployment web --min=2 --max=5 --cpu-percent=60",
        "",
    )
    .ok();
    let row = send("get hpa web --no-headers", "");
    assert!(row.ok().contains("Deployment/web"), "{}", row.stdout);
    assert!(row.stdout.contains("/60%"), "{}", row.stdout);

    let path = "/autoscaling/VERSION/namespaces/default/horizontalpodautoscalers/web";
    let of = |version: &str| {
        let path = format!("/apis{}", path.replace("VERSION", version));
        raw(weft, &path)
    };
    assert_eq!(of("v1")["spec"]["targetCPUUtilizationPercentage"], 60);
    let share = &of("v2")["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"];
    assert_eq!(*share, 60);

    // What the second version says is not lost by a change of the first.
    let metrics = r#"{"spec":{"metrics":[{"type":"Resource","resource":{"name":"memory","target":{"type":"AverageValue","averageValue":"1Gi"}}}],"behavior":{"scaleDown":{"stabilizationWindowSeconds":60}}}}"#;
    let patch = "patch horizontalpodautoscalers.v2.autoscaling web --type=merge -p";
    send(&format!("{patch} {metrics}"), "").ok();
    let first = of("v1");
    assert_eq!(first["spec"]["targetCPUUtilizationPercentage"], Value::Null);
    let first = "patch horizontalpodautoscalers.v1.autoscaling web --type=merge -p";
    let patch = r#"{"spec":{"maxReplicas":7,"targetCPUUtilizationPercentage":50}}"#;
    send(&format!("{first} {patch}"), "").ok();
    let second = of("v2");
    assert_eq!(second["spec"]["maxReplicas"], 7);
    assert_eq!(second["spec"]["metrics"].as_array().unwrap().len(), 2);
    assert_eq!(second["spec"]["metrics"][1]["resource"]["name"], "memory");
    assert_eq!(
        second["spec"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"],
        60
    );
    assert_eq!(second["metadata"]["annotations"], Value::Null);

    // An application in the first version owns in its words.
    let config = "apiVersion: autoscaling/v1\nkind: HorizontalPodAutoscaler\nmetadata: { name: web }\n\
        spec: { maxReplicas: 9, scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: web } }\n";
    send("apply --server-side --force-conflicts -f -", config).ok();
    let owners = of("v2")["metadata"]["managedFields"].clone();
    let owners = owners.as_array().unwrap();
    let own = owners
        .iter()
        .find(|one| one["operation"] == "Apply")
        .unwrap();
    assert_eq!(own["apiVersion"], "autoscaling/v1");
    assert_eq!(of("v2")["spec"]["maxReplicas"], 9);

    let told = send(
        "explain hpa.spec.targetCPUUtilizationPercentage --api-version=autoscaling/v1",
        "",
    );
    assert!(
        told.ok().contains("targetCPUUtilizationPercentage"),
        "{}",
        told.stdout
    );
    send("delete hpa web", "").ok();
}
