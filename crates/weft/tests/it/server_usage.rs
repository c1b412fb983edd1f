//! What pods and nodes use, for `kubectl top` and for autoscalers.
#![allow(clippy::unwrap_used)]

use weft_testkit::Weft;
use weft_testkit::wait::{SOON, until};

use crate::server_cli::cli;
use crate::server_kubectl::{apply, cluster, headings, kubectl, server};

/// One that is busy all the time, as far as it is let.
const BUSY: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: { name: busy }
spec:
  selector: { matchLabels: { app: busy } }
  template:
    metadata: { labels: { app: busy } }
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: loop
        image: busybox
        imagePullPolicy: IfNotPresent
        command: [sh, -c, "while :; do i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done; sleep 0.02; done"]
        resources: { requests: { cpu: 20m, memory: 1Mi } }
      - name: idle
        image: busybox
        imagePullPolicy: IfNotPresent
        command: [sleep, "3600"]
        resources: { requests: { cpu: 20m, memory: 1Mi } }
"#;

const SCALER: &str = r#"
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: { name: busy }
spec:
  scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: busy }
  maxReplicas: 3
  metrics:
  - type: ContainerResource
    containerResource: { name: cpu, container: loop, target: { type: Utilization, averageUtilization: 10 } }
"#;

/// Ends all that runs.
fn clear(weft: &Weft) {
    kubectl(weft, "delete deployment --all").ok();
    kubectl(weft, "delete pod --all").ok();
}

fn told(weft: &Weft, line: &str) -> String {
    kubectl(weft, line).ok().to_owned()
}

#[test]
fn what_pods_and_nodes_use_is_told() {
    let Some(weft) = cluster() else { return };
    apply(&weft, BUSY).ok();
    kubectl(&weft, "rollout status deployment/busy --timeout=60s").ok();
    // As the field's own form of it is written.
    let top = kubectl(&weft, "top pods -l app=busy --containers");
    assert_eq!(headings(&top), "POD NAME CPU(cores) MEMORY(bytes)");
    let of = |container: &str| {
        let line = top.ok().lines().find(|line| line.contains(container));
        let line = line.unwrap_or_else(|| panic!("{container} is not in {}", top.ok()));
        let cpu = line.split_whitespace().nth(2).unwrap();
        cpu.trim_end_matches('m').parse::<u32>().unwrap()
    };
    assert!(of(" loop ") > 10, "{}", top.ok());
    assert_eq!(of(" idle "), 0, "{}", top.ok());
    let nodes = kubectl(&weft, "top nodes");
    let line = nodes.ok().lines().nth(1).unwrap().to_owned();
    let cells: Vec<&str> = line.split_whitespace().collect();
    assert!(cells[0] == "one" && cells[1].ends_with('m'), "{line}");
    assert!(
        cells[2].ends_with('%') && cells[3].ends_with("Mi"),
        "{line}"
    );
    kubectl(&weft, "top pod none").fails_saying(&["podmetrics", "\"default/none\" not found"]);
    assert_eq!(told(&weft, "top pods -l app=none"), "");
    // It is there to be read, in every form, and for nothing else.
    let table = kubectl(&weft, "get pods.metrics.k8s.io");
    assert_eq!(headings(&table), "NAME CPU MEMORY WINDOW");
    let window = told(&weft, "get nodes.metrics.k8s.io one -o jsonpath={.window}");
    assert!(window.ends_with('s'), "{window}");
    kubectl(&weft, "delete pods.metrics.k8s.io --all")
        .fails_saying(&["does not allow this method"]);
    as_weft_tells_it(&weft);
    clear(&weft);
}

fn as_weft_tells_it(weft: &Weft) {
    let table = |line: &str| {
        let shown = cli(weft, line);
        let mut lines = shown.ok().lines();
        let words: Vec<&str> = lines.next().unwrap_or("").split_whitespace().collect();
        (
            words.join(" "),
            lines.map(str::to_owned).collect::<Vec<_>>(),
        )
    };
    let (heading, lines) = table("top pods --containers --sort-by cpu --sum -l app=busy");
    assert_eq!(heading, "POD NAME CPU(cores) MEMORY(bytes)");
    assert!(
        lines[0].contains(" loop ") && lines[1].contains(" idle "),
        "{lines:?}"
    );
    assert!(
        lines[2].ends_with("________") && lines.len() == 4,
        "{lines:?}"
    );
    let (heading, lines) = table("top po -A");
    assert_eq!(heading, "NAMESPACE NAME CPU(cores) MEMORY(bytes)");
    assert!(lines[0].starts_with("default "), "{lines:?}");
    let (heading, lines) = table("top node one");
    assert_eq!(heading, "NAME CPU(cores) CPU(%) MEMORY(bytes) MEMORY(%)");
    assert!(
        lines[0].starts_with("one ") && lines[0].ends_with('%'),
        "{lines:?}"
    );
    cli(weft, "top pod none").fails_saying(&["\"default/none\" not found"]);
    assert!(
        cli(weft, "top pods -l app=none")
            .stderr
            .contains("No resources found")
    );
}

#[test]
fn where_no_pods_run_nothing_is_measured() {
    let Some(weft) = server() else { return };
    kubectl(&weft, "top nodes").fails_saying(&["nothing is measured: this server runs no pods"]);
}

#[test]
fn who_is_busy_is_joined_by_others_and_why_is_told() {
    let Some(weft) = cluster() else { return };
    apply(&weft, BUSY).ok();
    kubectl(&weft, "rollout status deployment/busy --timeout=60s").ok();
    let applied = apply(&weft, SCALER);
    assert!(
        !applied.stderr.contains("carries them out"),
        "{}",
        applied.stderr
    );
    let replicas = || told(&weft, "get deployment busy -o jsonpath={.spec.replicas}");
    until(SOON, "there are three", || replicas() == "3");
    let conditions = "get hpa busy -o jsonpath={.status.conditions[*].reason}";
    until(SOON, "it says that it may be no more", || {
        told(&weft, conditions).contains("TooManyReplicas")
    });
    let described = told(&weft, "describe hpa busy");
    for said in [
        "New size: 3; reason: cpu container resource utilization (percentage of request) above target",
        "ValidMetricFound",
        "the desired replica count is more than the maximum replica count",
    ] {
        assert!(described.contains(said), "{said}: {described}");
    }
    let table = told(&weft, "get hpa busy --no-headers");
    assert!(table.contains("%/10%"), "{table}");
    // What cannot be found out is told, and nothing is done.
    let lost = SCALER
        .replace("name: busy }\nspec", "name: lost }\nspec")
        .replace(
            "kind: Deployment, name: busy",
            "kind: Deployment, name: none",
        );
    apply(&weft, &lost).ok();
    let events =
        "get events --field-selector involvedObject.name=lost,reason=FailedGetScale -o name";
    until(SOON, "it is told that its target is not there", || {
        !told(&weft, events).is_empty()
    });
    // Of two that want the same neither is heard.
    let rival = SCALER.replace("name: busy }\nspec", "name: rival }\nspec");
    apply(&weft, &rival).ok();
    until(SOON, "both say that there are two", || {
        let reasons = "get hpa busy rival -o jsonpath={.items[*].status.conditions[*].reason}";
        told(&weft, reasons).matches("AmbiguousSelector").count() == 2
    });
    kubectl(&weft, "delete hpa rival").ok();
    until(SOON, "who is left scales", || {
        told(&weft, conditions).contains("TooManyReplicas")
    });
    clear(&weft);
}
