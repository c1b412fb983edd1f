//! `weft server`: what runs containers, as kubectl makes, shows, changes and deletes it.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use weft_testkit::Weft;

use crate::server_kubectl::{apply, headings, kubectl, server};

const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
      - name: web
        image: nginx:1.27
      - name: logs
        image: busybox:1
";

const POD: &str = "
apiVersion: v1
kind: Pod
metadata:
  name: one
spec:
  containers:
  - { name: one, image: busybox }
";

const JOB: &str = "
apiVersion: batch/v1
kind: Job
metadata:
  name: pi
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
      - { name: pi, image: 'perl:5' }
";

fn images(weft: &Weft) -> String {
    let path = "jsonpath={.spec.template.spec.containers[*].image}";
    let words = ["get", "deployment", "web", "-o", path];
    weft.kubectl(&words, "").unwrap().ok().to_owned()
}

#[test]
fn kubectl_makes_changes_and_deletes_a_deployment() {
    let Some(weft) = server() else { return };
    let made = apply(&weft, DEPLOYMENT);
    assert_eq!(made.ok(), "deployment.apps/web created");
    assert_eq!(
        apply(&weft, DEPLOYMENT).ok(),
        "deployment.apps/web unchanged"
    );
    let table = kubectl(&weft, "get deploy -o wide");
    let expected = "NAME READY UP-TO-DATE AVAILABLE AGE CONTAINERS IMAGES SELECTOR";
    assert_eq!(headings(&table), expected);
    let row: Vec<&str> = table
        .stdout
        .lines()
        .nth(1)
        .unwrap()
        .split_whitespace()
        .collect();
    let wide = ["web,logs", "nginx:1.27,busybox:1", "app=web"];
    assert_eq!(
        (&row[..2], row[3], &row[5..]),
        (&["web", "0/1"][..], "0", &wide[..])
    );
    let patch = json!({ "spec": { "template": { "spec": { "containers": [
        { "name": "web", "image": "nginx:1.28" },
    ] } } } });
    let patch = patch.to_string();
    weft.kubectl(&["patch", "deployment", "web", "-p", &patch], "")
        .unwrap()
        .ok();
    assert_eq!(images(&weft), "nginx:1.28 busybox:1");
    kubectl(&weft, "set image deployment/web logs=busybox:2").ok();
    assert_eq!(images(&weft), "nginx:1.28 busybox:2");
    kubectl(&weft, "label deployment web tier=front").ok();
    assert_eq!(
        kubectl(&weft, "get deploy -l tier=front -o name").ok(),
        "deployment.apps/web"
    );
    let found = kubectl(&weft, "get deployment web -o json");
    let found: Value = serde_json::from_str(found.ok()).unwrap();
    assert_eq!(found["metadata"]["generation"], 3, "{found}");
    assert_eq!(
        found["spec"]["strategy"]["rollingUpdate"]["maxSurge"],
        "25%"
    );
    let scale = kubectl(&weft, "get deploy web --subresource=scale");
    assert_eq!(headings(&scale), "NAME DESIRED AVAILABLE AGE");
    let told = kubectl(&weft, "explain deployment.spec.strategy");
    assert!(told.ok().contains("rollingUpdate"), "{}", told.stdout);
    kubectl(&weft, "delete deployment web").ok();
    assert_eq!(kubectl(&weft, "get deploy -o name").ok(), "");
}

#[test]
fn kubectl_is_told_all_that_is_wrong_with_a_deployment() {
    let Some(weft) = server() else { return };
    let wrong = DEPLOYMENT
        .replace("{ labels: { app: web } }", "{ labels: { app: db } }")
        .replace("name: logs", "name: web")
        .replace("image: nginx:1.27", "imagePullPolicy: Maybe");
    apply(&weft, &wrong).fails_saying(&[
        "The Deployment \"web\" is invalid",
        "spec.template.metadata.labels: Invalid value: {\"app\":\"db\"}: `selector` does not match \
         template `labels`",
        "spec.template.spec.containers[0].image: Required value",
        "spec.template.spec.containers[0].imagePullPolicy: Unsupported value: \"Maybe\"",
        "spec.template.spec.containers[1].name: Duplicate value: \"web\"",
    ]);
    apply(&weft, DEPLOYMENT).ok();
    let other = DEPLOYMENT.replace("app: web", "app: other");
    apply(&weft, &other).fails_saying(&["spec.selector", "field is immutable"]);
}

#[test]
fn kubectl_sees_pods_and_jobs_as_they_are_made() {
    let Some(weft) = server() else { return };
    apply(&weft, POD).ok();
    apply(&weft, JOB).ok();
    let table = kubectl(&weft, "get po -o wide");
    let expected = "NAME READY STATUS RESTARTS AGE IP NODE NOMINATED NODE READINESS GATES";
    assert_eq!(headings(&table), expected);
    // The job's pod may be there by now.
    let lines = table.stdout.lines();
    let mut lines = lines.map(|line| line.split_whitespace().take(4).collect::<Vec<_>>());
    let is_one = |line: Vec<&str>| line == ["one", "0/1", "Pending", "0"];
    assert!(lines.any(is_one), "{}", table.stdout);
    let pending = "get pods --field-selector status.phase=Pending,spec.hostNetwork=false -o name";
    let pending = kubectl(&weft, pending);
    assert!(
        pending.ok().lines().any(|name| name == "pod/one"),
        "{}",
        pending.ok()
    );
    let moved = POD.replace("image: busybox }", "image: 'busybox:1', command: [sh] }");
    apply(&weft, &moved).fails_saying(&["pod updates may not change fields other than"]);
    let job = kubectl(&weft, "get job pi -o json");
    let job: Value = serde_json::from_str(job.ok()).unwrap();
    let label = "batch.kubernetes.io/controller-uid";
    assert_eq!(
        job["spec"]["selector"]["matchLabels"][label],
        job["metadata"]["uid"]
    );
    assert_eq!(
        job["spec"]["template"]["metadata"]["labels"]["job-name"],
        "pi"
    );
    assert_eq!(apply(&weft, JOB).ok(), "job.batch/pi unchanged");
    let table = kubectl(&weft, "get jobs");
    assert_eq!(headings(&table), "NAME STATUS COMPLETIONS DURATION AGE");
    kubectl(&weft, "delete pod/one job/pi").ok();
}
