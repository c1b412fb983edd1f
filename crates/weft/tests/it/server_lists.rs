//! `weft server`: many objects in one document, as kubectl reads them and as it writes them.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};

use crate::server_kubectl::Tour;

const LIST: &str = "
apiVersion: v1
kind: List
metadata: {}
items:
- apiVersion: v1
  kind: ConfigMap
  metadata: { name: one }
  data: { a: b }
- apiVersion: apps/v1
  kind: Deployment
  metadata: { name: web }
  spec:
    selector: { matchLabels: { app: web } }
    template:
      metadata: { labels: { app: web } }
      spec: { containers: [{ name: web, image: nginx }] }
- apiVersion: v1
  kind: Service
  metadata: { name: web }
  spec: { ports: [{ port: 80 }] }
- apiVersion: autoscaling/v1
  kind: HorizontalPodAutoscaler
  metadata: { name: web }
  spec: { maxReplicas: 3, scaleTargetRef: { apiVersion: apps/v1, kind: Deployment, name: web } }
";
const NAMES: &str = "configmap/one deployment.apps/web service/web \
                     horizontalpodautoscaler.autoscaling/web";

impl Tour {
    /// Makes all of `list`, and deletes it.
    fn comes_and_goes(&self, verb: &str, list: &str) {
        let made = self.send(&format!("{verb} -f -"), list);
        for name in NAMES.split_whitespace() {
            assert!(made.ok().contains(name), "{name}: {}", made.stdout);
        }
        let gone = self.send("delete -f -", list);
        assert_eq!(gone.ok().lines().count(), 4, "{}", gone.stdout);
    }
}

#[test]
fn lists_are_read_and_written_with_kubectl_of_today() {
    lists("kubectl");
}

#[test]
fn lists_are_read_and_written_with_kubectl_of_debian_12() {
    lists("kubectl-1.20");
}

fn lists(program: &'static str) {
    let Some(tour) = Tour::start(program) else {
        return;
    };
    tour.comes_and_goes("create", LIST);
    tour.comes_and_goes("apply", LIST);
    tour.comes_and_goes("apply --server-side", LIST);
    // What is written can be read again, in both notations.
    tour.send("create -f -", LIST).ok();
    let all = "get cm/one deploy/web svc/web hpa/web";
    let yaml = tour.send(&format!("{all} -o yaml"), "").ok().to_owned();
    let whole: Value = serde_json::from_str(tour.send(&format!("{all} -o json"), "").ok()).unwrap();
    assert_eq!(
        (&whole["kind"], &whole["apiVersion"]),
        (&json!("List"), &json!("v1"))
    );
    tour.send("replace -f -", &yaml).ok();
    tour.send("delete -f -", &yaml).ok();
    let without_version = |text: &str| -> String {
        let lines = text.lines();
        lines
            .filter(|line| !line.trim_start().starts_with("resourceVersion:"))
            .map(|line| format!("{line}\n"))
            .collect()
    };
    tour.comes_and_goes("create", &without_version(&yaml));
    let mut json = whole;
    for item in json["items"].as_array_mut().unwrap() {
        item["metadata"]
            .as_object_mut()
            .unwrap()
            .remove("resourceVersion");
    }
    tour.comes_and_goes("create", &json.to_string());

    // A list of one kind, as the server answers it.
    tour.send("create configmap one --from-literal=a=b", "")
        .ok();
    let path = "/api/v1/namespaces/default/configmaps?fieldSelector=metadata.name=one";
    let maps = tour.send(&format!("get --raw {path}"), "");
    let mut maps: Value = serde_json::from_str(maps.ok()).unwrap();
    tour.send("delete configmap one", "").ok();
    maps["items"][0]["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("resourceVersion");
    assert_eq!(maps["kind"], "ConfigMapList");
    tour.send("create -f -", &maps.to_string()).ok();

    // A mistake in one is told of that one, and the others are made.
    let wrong = LIST
        .replace("name: one", "name: two")
        .replace("maxReplicas: 3", "maxReplicas: x");
    let refused = tour.send("create -f -", &wrong);
    assert_ne!(refused.code, 0, "{}", refused.stdout);
    assert!(refused.stderr.contains("maxReplicas"), "{}", refused.stderr);
    let wrong = LIST.replace("  data: { a: b }", "  dota: { a: b }");
    tour.send("create -f -", &wrong).fails_saying(&["dota"]);
}

#[test]
fn what_the_server_says_is_valid_with_kubectl_of_today() {
    valid("kubectl");
}

#[test]
fn what_the_server_says_is_valid_with_kubectl_of_debian_12() {
    valid("kubectl-1.20");
}

/// One of each kind, at least.
const ALL: [&str; 2] = [
    include_str!("server_kinds/all.yaml"),
    include_str!("server_lists/more.yaml"),
];

/// kubectl checks lists by itself, whatever its version: by what the server says of its kinds.
fn valid(program: &'static str) {
    let Some(tour) = Tour::start(program) else {
        return;
    };
    for documents in ALL {
        let list = list(documents);
        tour.send("apply -f -", &list).ok();
        for form in ["yaml", "json"] {
            // 1.20 always shows who owns what, and knows no flag for it.
            let owners = match program {
                "kubectl" => "--show-managed-fields",
                _ => "",
            };
            let found = tour.send(&format!("get -f - {owners} -o {form}"), &list);
            tour.send("replace -f -", found.ok()).ok();
        }
    }
    let defined = "wait --for=condition=Established crd/shops.example.com";
    tour.send(defined, "").ok();
    tour.send("create -f -", &list(SHOPS)).ok();
    for (from, to) in [("size: 2", "sise: 2"), ("map: { a: b }", "map: [a]")] {
        let wrong = SHOPS.replace(from, to).replace("name: one", "name: other");
        tour.send("create -f -", &list(&wrong))
            .fails_saying(&["error validating data"]);
    }
}

/// Objects of a kind that is defined in `more.yaml`.
const SHOPS: &str = "
apiVersion: example.com/v1
kind: Shop
metadata: { name: one }
spec: { size: 2, any: { a: [1] }, port: http, map: { a: b }, open: { known: a, other: 1 }, none: null }
---
apiVersion: example.com/v1
kind: Shop
metadata: { name: two }
spec: { any: 5, port: 80, list: [a], open: {}, none: { a: b } }
";

/// The documents as the items of a list.
fn list(documents: &str) -> String {
    let items = documents
        .split("---\n")
        .filter(|one| !one.trim().is_empty());
    let items = items.map(|one| {
        let lines = one
            .lines()
            .filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
        let lines: Vec<String> = lines.map(|line| format!("  {line}\n")).collect();
        format!("-{}", &lines.concat()[1..])
    });
    let items: String = items.collect();
    format!("apiVersion: v1\nkind: List\nitems:\n{items}")
}
