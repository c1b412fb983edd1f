//! `weft server`: what an object keeps when another version of it is written, with the real
//! kubectl: `replace`, `edit` and both kinds of `apply`.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use weft_testkit::Ran;
use weft_testkit::command::{LIMIT, run};

use crate::server_kubectl::Tour;

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: { name: web }
spec:
  selector: { app: web }
  ports:
  - { name: http, port: 80 }
";

impl Tour {
    fn spec(&self) -> Value {
        let found = self.send("get service web -o json", "");
        let found: Value = serde_json::from_str(found.ok()).unwrap();
        found["spec"].clone()
    }

    /// Runs `kubectl edit` with an editor that makes one text of another.
    fn edit(&self, from: &str, to: &str) -> Ran {
        let words = ["edit", "service", "web"];
        let mut command = self.command(&words);
        command.env("KUBE_EDITOR", format!("sed -i 's/{from}/{to}/'"));
        run(command, b"", LIMIT)
    }
}

#[test]
fn a_service_keeps_what_it_was_given_with_kubectl_of_today() {
    services("kubectl");
}

#[test]
fn a_service_keeps_what_it_was_given_with_kubectl_of_debian_12() {
    services("kubectl-1.20");
}

fn services(program: &'static str) {
    let Some(tour) = Tour::start(program) else {
        return;
    };
    tour.send("apply -f -", SERVICE).ok();
    let address = tour.spec()["clusterIP"].as_str().unwrap().to_owned();
    let given =
        r#"{"spec":{"type":"NodePort","ports":[{"name":"http","port":80,"nodePort":30080}]}}"#;
    tour.send(&format!("patch service web --type=merge -p {given}"), "")
        .ok();

    // The manifest names neither, and they stay.
    let open = SERVICE.replace("spec:\n", "spec:\n  type: NodePort\n");
    let other = open.replace("port: 80", "port: 81");
    tour.send("replace -f -", &other).ok();
    let spec = tour.spec();
    assert_eq!(spec["clusterIP"], *address);
    assert_eq!(spec["clusterIPs"], json!([address]));
    assert_eq!(spec["ports"][0]["nodePort"], 30_080);
    assert_eq!(spec["ports"][0]["port"], 81);
    tour.edit("port: 81", "port: 82").ok();
    assert_eq!(tour.spec()["ports"][0]["port"], 82);
    tour.send(
        "replace -f -",
        &other.replace("spec:\n", "spec:\n  clusterIP: 10.96.0.8\n"),
    )
    .fails_saying(&["spec.clusterIP: Invalid value", "may not change once set"]);

    // With the type goes what only it had.
    tour.edit("type: NodePort", "type: ClusterIP").ok();
    assert_eq!(tour.spec()["ports"][0].get("nodePort"), None);
    assert_eq!(tour.spec()["clusterIP"], *address);
    let name = r#"{"spec":{"type":"ExternalName","externalName":"example.com"}}"#;
    tour.send(&format!("patch service web -p {name}"), "").ok();
    let spec = tour.spec();
    for gone in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        assert_eq!(spec.get(gone), None, "{gone}");
    }
    tour.send("replace -f -", SERVICE).ok();
    assert_eq!(tour.spec()["type"], "ClusterIP");
    assert_eq!(tour.spec()["ipFamilies"], json!(["IPv4"]));
    tour.send("apply -f -", &SERVICE.replace("app: web", "app: other"))
        .ok();
    assert_eq!(tour.spec()["selector"]["app"], "other");
}

const POD: &str = "
apiVersion: v1
kind: Pod
metadata: { name: NAME }
spec:
  containers: [{ name: web, image: nginx }]
";

#[test]
fn a_pod_is_as_important_as_its_class() {
    let Some(tour) = Tour::start("kubectl") else {
        return;
    };
    let pod = |name: &str, class: &str| {
        let mut text = POD.replace("NAME", name);
        if !class.is_empty() {
            text += &format!("  priorityClassName: {class}\n");
        }
        text
    };
    let says = |name: &str| {
        let fields =
            "-o=jsonpath={.spec.priorityClassName}/{.spec.priority}/{.spec.preemptionPolicy}";
        tour.send(&format!("get pod {name} {fields}"), "")
            .ok()
            .to_owned()
    };
    // These are there from the beginning.
    tour.send("create -f -", &pod("system", "system-node-critical"))
        .ok();
    assert_eq!(
        says("system"),
        "system-node-critical/2000001000/PreemptLowerPriority"
    );
    tour.send("create -f -", &pod("plain", "")).ok();
    assert_eq!(says("plain"), "/0/PreemptLowerPriority");
    tour.send("create -f -", &pod("odd", "nothing"))
        .fails_saying(&[
            "(Forbidden)",
            "no PriorityClass with name nothing was found",
        ]);
    let said = pod("odd", "") + "  priority: 5\n";
    tour.send("create -f -", &said)
        .fails_saying(&["the integer value of priority (5) must not be provided"]);

    let class = "create priorityclass usual --value=7 --global-default --preemption-policy=Never";
    tour.send(class, "").ok();
    tour.send(&class.replace("usual", "other"), "")
        .fails_saying(&["PriorityClass usual is already marked as default"]);
    tour.send("apply --server-side -f -", &pod("usual", ""))
        .ok();
    assert_eq!(says("usual"), "usual/7/Never");
    // What is decided stays, whatever the manifest says again.
    tour.send("label pod plain a=b", "").ok();
    let whole = tour.send("get pod plain -o json", "");
    let mut whole: Value = serde_json::from_str(whole.ok()).unwrap();
    for gone in ["priority", "preemptionPolicy", "tolerations"] {
        whole["spec"].as_object_mut().unwrap().remove(gone);
    }
    tour.send("replace -f -", &whole.to_string()).ok();
    assert_eq!(says("plain"), "/0/PreemptLowerPriority");
}

#[test]
fn a_node_says_what_it_is_when_it_registers() {
    let Some(tour) = Tour::start("kubectl") else {
        return;
    };
    let node = json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": { "name": "one" },
        "status": {
            "capacity": { "cpu": "4", "memory": "8Gi" },
            "nodeInfo": {
                "architecture": "amd64", "bootID": "", "containerRuntimeVersion": "weft://1",
                "kernelVersion": "6", "kubeProxyVersion": "", "kubeletVersion": "v1.33.0",
                "machineID": "", "operatingSystem": "linux", "osImage": "Debian", "systemUUID": "",
            },
        },
    });
    tour.send("create --raw /api/v1/nodes -f -", &node.to_string())
        .ok();
    let status = || {
        let found = tour.send("get node one -o json", "");
        let found: Value = serde_json::from_str(found.ok()).unwrap();
        found["status"].clone()
    };
    assert_eq!(status()["capacity"], json!({ "cpu": "4", "memory": "8Gi" }));
    assert_eq!(status()["allocatable"], status()["capacity"]);
    assert_eq!(status()["nodeInfo"]["kubeletVersion"], "v1.33.0");
    // Afterwards it is written apart from the rest.
    let mut other = node;
    other["status"]["capacity"]["cpu"] = "8".into();
    other["metadata"]["labels"] = json!({ "a": "b" });
    tour.send("replace -f -", &other.to_string()).ok();
    assert_eq!(status()["capacity"]["cpu"], "4");
}
