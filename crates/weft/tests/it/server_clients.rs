//! `weft server`: the same tour with kubectl as it is today and as Debian 12 has it. They ask
//! differently: 1.20 knows neither aggregated discovery nor OpenAPI v3, and checks by itself what
//! later ones leave to the server.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use weft_testkit::Background;
use weft_testkit::command::{LIMIT, run};

use crate::server_kubectl::Tour;

const CONFIG: &str = "
apiVersion: v1
kind: ConfigMap
metadata: { name: settings }
data: { colour: red, size: small }
";

const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 1
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      containers:
      - { name: web, image: nginx }
      - { name: logs, image: busybox }
";

const REVIEW: &str = "
apiVersion: authorization.k8s.io/v1
kind: SelfSubjectAccessReview
spec: { resourceAttributes: { verb: list, resource: pods } }
";

#[test]
fn kubectl_of_today_gets_around() {
    tour("kubectl");
}

#[test]
fn kubectl_of_debian_12_gets_around() {
    tour("kubectl-1.20");
}

fn tour(program: &'static str) {
    let Some(tour) = Tour::start(program) else {
        return;
    };
    finds_its_way(&tour);
    makes_and_changes(&tour);
    patches(&tour);
    applies(&tour);
    scales_and_waits(&tour);
    watches(&tour);
}

fn finds_its_way(tour: &Tour) {
    let kinds = tour.run("api-resources -o name");
    for kind in ["configmaps", "deployments.apps", "jobs.batch"] {
        assert!(kinds.ok().lines().any(|line| line == kind), "{kind}");
    }
    let versions = tour.run("api-versions");
    for version in ["v1", "apps/v1", "apiextensions.k8s.io/v1"] {
        assert!(
            versions.ok().lines().any(|line| line == version),
            "{version}"
        );
    }
    let told = tour.run("explain deployment.spec.template.spec.containers.image");
    assert!(
        told.ok().contains("Container image name"),
        "{}",
        told.stdout
    );
    let told = tour.run("explain --recursive cronjobs");
    assert!(told.ok().contains("schedule"), "{}", told.stdout);
    assert_eq!(tour.run("auth can-i delete nodes").ok(), "yes");
    let mine = tour.run("auth can-i --list");
    assert!(mine.ok().contains("*.*"), "{}", mine.stdout);
    // A kind that is only asked, without metadata, checked by the client or by the server.
    let review = tour.send("create -o json -f -", REVIEW);
    let review: Value = serde_json::from_str(review.ok()).unwrap();
    assert_eq!(review["status"]["allowed"], true);
    let said = tour.run("version");
    let version = concat!("v1.33.0+weft.", env!("CARGO_PKG_VERSION"));
    assert!(said.ok().contains(version), "{}", said.stdout);
}

fn makes_and_changes(tour: &Tour) {
    assert_eq!(
        tour.send("create -f -", CONFIG).ok(),
        "configmap/settings created"
    );
    tour.send("create -f -", CONFIG)
        .fails_saying(&["AlreadyExists"]);
    tour.run("create namespace shop").ok();
    tour.run("create -n shop configmap prices --from-literal=apple=3")
        .ok();
    let theirs = "metadata.namespace=shop,metadata.name!=kube-root-ca.crt";
    let found = tour.run(&format!("get -A cm -o name --field-selector {theirs}"));
    assert_eq!(found.ok(), "configmap/prices");
    tour.run("label cm settings tier=front").ok();
    tour.run("annotate cm settings note=x").ok();
    assert_eq!(
        tour.run("get cm -l tier=front -o name").ok(),
        "configmap/settings"
    );
    let told = tour.run("describe cm settings");
    assert!(told.ok().contains("colour:\n----\nred"), "{}", told.stdout);
    let mut edit = tour.command(&["edit", "cm", "settings"]);
    edit.env("KUBE_EDITOR", "sed -i s/red/green/");
    run(edit, b"", LIMIT).ok();
    let found = tour.json("get cm settings -o json");
    assert_eq!(found["data"]["colour"], "green");
    assert_eq!(found["metadata"]["annotations"]["note"], "x");
}

fn patches(tour: &Tour) {
    for (kind, patch) in [
        ("merge", r#"{"data":{"size":null,"shape":"round"}}"#),
        (
            "json",
            r#"[{"op":"add","path":"/data/weight","value":"7"}]"#,
        ),
        ("strategic", r#"{"data":{"weight":"8"}}"#),
    ] {
        let words = ["patch", "cm", "settings", "--type", kind, "-p", patch];
        run(tour.command(&words), b"", LIMIT).ok();
    }
    let found = tour.json("get cm settings -o json");
    let expected = json!({ "colour": "green", "shape": "round", "weight": "8" });
    assert_eq!(found["data"], expected);
    tour.run("delete cm settings").ok();
    tour.run("get cm settings").fails_saying(&["NotFound"]);
}

/// Client-side, by what OpenAPI says of lists; server-side, and what would become.
fn applies(tour: &Tour) {
    let apply = "apply -f -";
    assert_eq!(
        tour.send(apply, DEPLOYMENT).ok(),
        "deployment.apps/web created"
    );
    assert_eq!(
        tour.send(apply, DEPLOYMENT).ok(),
        "deployment.apps/web unchanged"
    );
    let misspelt = DEPLOYMENT.replace("replicas", "replics");
    tour.send(apply, &misspelt)
        .fails_saying(&["unknown field", "replics"]);
    let names = "get deploy web -o jsonpath={.spec.template.spec.containers[*].name}";
    let fewer = DEPLOYMENT.replace("      - { name: logs, image: busybox }\n", "");
    let told = tour.send("diff -f -", &fewer);
    assert_eq!(told.code, 1, "{told}");
    assert!(
        told.stdout.contains("-      - image: busybox"),
        "{}",
        told.stdout
    );
    assert_eq!(tour.run(names).ok(), "web logs");
    tour.send("apply --dry-run=server -f -", &fewer).ok();
    assert_eq!(tour.run(names).ok(), "web logs");
    tour.send(apply, &fewer).ok();
    assert_eq!(tour.run(names).ok(), "web");
    // What was filled in for one strategy goes with it.
    let other = "replicas: 1\n  strategy: { type: Recreate }";
    tour.send(apply, &DEPLOYMENT.replace("replicas: 1", other))
        .ok();
    let found = tour.json("get deploy web -o json");
    assert_eq!(found["spec"]["strategy"], json!({ "type": "Recreate" }));
    let force = "apply --server-side --force-conflicts -f -";
    tour.send(force, DEPLOYMENT).ok();
}

fn scales_and_waits(tour: &Tour) {
    tour.run("scale deploy web --replicas=3").ok();
    tour.run("rollout restart deploy/web").ok();
    let found = tour.json("get deploy web -o json");
    assert_eq!(found["spec"]["replicas"], 3);
    let template = &found["spec"]["template"]["metadata"]["annotations"];
    assert!(template["kubectl.kubernetes.io/restartedAt"].is_string());
    tour.run("wait --for=condition=Available --timeout=1s deploy/web")
        .fails_saying(&["timed out"]);
    tour.run("describe deploy web").ok();
    let wait = tour.command(&["wait", "--for=delete", "deploy/web", "--timeout=60s"]);
    let wait = Background::start(wait);
    tour.run("delete deploy web").ok();
    // 1.20 waits for what is there when it begins, and says otherwise that it is not.
    let waited = wait.finish(LIMIT);
    let missing = ["not found", "no matching resources found"];
    assert!(
        waited.code == 0 || missing.iter().any(|told| waited.stderr.contains(told)),
        "{waited}"
    );
}

fn watches(tour: &Tour) {
    let watch = tour.command(&["get", "cm", "--watch", "-o", "name", "-n", "shop"]);
    let watch = Background::start(watch);
    watch.says("configmap/prices\n");
    tour.run("create -n shop configmap more").ok();
    watch.says("configmap/more\n");
    let table = tour.command(&["get", "cm", "--watch-only", "-n", "shop"]);
    let table = Background::start(table);
    weft_testkit::until(weft_testkit::wait::SOON, "a row of a change", || {
        tour.run("annotate -n shop cm more --overwrite note=y").ok();
        tour.run("annotate -n shop cm more --overwrite note=z").ok();
        table.stdout().contains("more")
    });
}
