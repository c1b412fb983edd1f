//! `/deployments`: Knit's example by curl, what Knit ignored, and what kubectl sees of it.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use serde_json::{Value, json};
use weft_testkit::wait::{SOON, until};
use weft_testkit::{Weft, image, peer};

use crate::server_kubectl::{apply, kubectl};

/// The example of Knit's README, but for the address of the node and the image's tag: what is `latest` is
/// asked of its registry.
const README: &str = r#"{
  "name": "nginx-eu-api",
  "image": "nginx:1",
  "node_selector": {
    "region": "eu",
    "role": "api"
  },
  "ports": [
    {
      "host_ip": "127.0.0.1",
      "host_port": 42731,
      "container_port": 80
    }
  ],
  "templates": [
    {
      "destination": "/usr/share/nginx/html/index.html",
      "content": "<h1>Hello from Knit</h1><p>Rendered by agent.</p>"
    }
  ]
}"#;

/// A server that runs pods, with what listens without TLS at this address.
#[track_caller]
fn cluster(address: &str) -> Option<Weft> {
    peer("kubectl")?;
    peer("curl")?;
    let weft = Weft::cluster_with(crate::WEFT, &["--deployments-listen", address])?;
    let page = json!(["httpd", "-f", "-p", "80", "-h", "/usr/share/nginx/html"]);
    let nginx = image::busybox_named("nginx:1").with("Cmd", page);
    weft.weft_with_input(&["load"], &nginx.archive()).ok();
    let sleeps = json!(["sleep", "1000"]);
    let sleeps = image::busybox_named("sleeps:1").with("Cmd", sleeps);
    weft.weft_with_input(&["load"], &sleeps.archive()).ok();
    Some(weft)
}

/// Runs curl: the code, and what is answered.
fn curl(args: &[&str]) -> (u16, String) {
    let mut curl = Command::new(peer("curl").unwrap());
    curl.args(["--silent", "--write-out", "\n%{http_code}"])
        .args(args);
    let out = String::from_utf8(curl.output().unwrap().stdout).unwrap();
    let (body, code) = out.rsplit_once('\n').unwrap();
    (code.parse().unwrap(), body.to_owned())
}

/// The request of Knit's README.
fn post(address: &str, body: &str) -> (u16, Value) {
    let url = format!("http://{address}/deployments");
    let (code, body) = curl(&[
        "-X",
        "POST",
        &url,
        "-H",
        "Content-Type: application/json",
        "-d",
        body,
    ]);
    (
        code,
        serde_json::from_str(&body).unwrap_or(Value::String(body)),
    )
}

fn ask(address: &str, method: &str, path: &str) -> (u16, Value) {
    let (code, body) = curl(&["-X", method, &format!("http://{address}{path}")]);
    (
        code,
        serde_json::from_str(&body).unwrap_or(Value::String(body)),
    )
}

#[test]
fn knits_example_runs_and_goes() {
    let address = "127.77.1.1:8080";
    let Some(weft) = cluster(address) else { return };
    assert_eq!(
        ask(address, "GET", "/ping"),
        (200, json!({ "message": "pong" }))
    );

    // As with Knit, a label that no node has is told at once.
    let (code, refused) = post(address, README);
    assert_eq!(code, 400, "{refused}");
    let message = refused["message"].as_str().unwrap();
    assert!(
        message.contains("kubectl label node NODE region=eu role=api"),
        "{message}"
    );
    kubectl(&weft, "label node one region=eu role=api").ok();

    let (code, record) = post(address, README);
    assert_eq!(code, 202, "{record}");
    assert_eq!(record["Name"], "nginx-eu-api");
    assert_eq!(record["Image"], "nginx:1");
    assert!(record["ID"].as_u64().unwrap() > 0);
    assert_eq!(record["DeletedAt"], Value::Null);
    let page = || curl(&["http://127.0.0.1:42731/"]).1;
    until(SOON, "the page is there", || {
        page().contains("Hello from Knit")
    });

    // It is there for kubectl, and what it is made of goes with it.
    let line =
        "get deployments,services,configmaps -l nanocloud.io/deployment=nginx-eu-api -o name";
    let names =
        "deployment.apps/nginx-eu-api\nservice/nginx-eu-api\nconfigmap/nginx-eu-api-templates";
    assert_eq!(kubectl(&weft, line).ok(), names);
    let owner = "get service nginx-eu-api -o jsonpath={.metadata.ownerReferences[*].kind}";
    assert_eq!(kubectl(&weft, owner).ok(), "Deployment");
    until(SOON, "it is said to run", || {
        let (code, record) = ask(address, "GET", "/deployments/nginx-eu-api");
        code == 200 && record["Status"] == "running"
    });

    // The same again changes nothing; another file is another pod.
    let generation = "get deployment nginx-eu-api -o jsonpath={.metadata.generation}";
    assert_eq!(post(address, README).0, 202);
    assert_eq!(kubectl(&weft, generation).ok(), "1");
    assert_eq!(
        post(address, &README.replace("Hello from Knit", "And again")).0,
        202
    );
    until(SOON, "the page has changed", || {
        page().contains("And again")
    });

    let (code, all) = ask(address, "GET", "/deployments");
    assert_eq!((code, all.as_array().unwrap().len()), (200, 1));
    let (code, gone) = ask(address, "DELETE", "/deployments/nginx-eu-api");
    assert_eq!(code, 202, "{gone}");
    assert!(gone["DeletedAt"].is_string());
    assert_eq!(ask(address, "DELETE", "/deployments/nginx-eu-api").0, 404);
    until(SOON, "nothing is left", || {
        let line = "get all,configmaps,secrets -l nanocloud.io/deployment -o name";
        kubectl(&weft, line).ok().is_empty() && weft.ok(&["ps", "-aq"]).is_empty()
    });
}

#[test]
fn what_knit_ignored_works_and_mistakes_are_told() {
    let address = "127.77.1.2:8080";
    let Some(weft) = cluster(address) else { return };
    let wanted = json!({
        "name": "web", "image": "sleeps:1", "network": "back",
        "env": { "GREETING": "hello $(HOME)" },
        "registry": { "username": "ann", "password": "s3cret-pass" },
    });
    let (code, record) = post(address, &wanted.to_string());
    assert_eq!(code, 202, "{record}");
    assert!(record["RegistryCredentialsID"].is_u64());
    assert!(
        record["Warnings"][0]
            .as_str()
            .unwrap()
            .starts_with("network \"back\"")
    );
    assert!(!record.to_string().contains("hello"), "{record}");
    kubectl(
        &weft,
        "wait --for=condition=Available deployment/web --timeout=60s",
    )
    .ok();
    // Once, although nothing says where.
    assert_eq!(kubectl(&weft, "get pods -o name").ok().lines().count(), 1);
    let shown = weft
        .kubectl(&["exec", "deploy/web", "--", "sh", "-c", "echo $GREETING"], "")
        .unwrap();
    assert_eq!(shown.ok(), "hello $(HOME)");
    let found = weft
        .kubectl(&["exec", "deploy/web", "--", "nslookup", "web"], "")
        .unwrap();
    assert!(
        found.ok().contains("web.default.svc.cluster.local"),
        "{}",
        found.stdout
    );
    let secret = "get secret web-registry -o jsonpath={.type}";
    assert_eq!(
        kubectl(&weft, secret).ok(),
        "kubernetes.io/dockerconfigjson"
    );
    let kept = std::fs::read(weft.data_dir().join("server/keyspace.redb")).unwrap();
    let is_there = |text: &[u8]| kept.windows(text.len()).any(|window| window == text);
    assert!(!is_there(b"s3cret-pass"));

    // Without it, it goes.
    let bare = json!({ "name": "web", "image": "sleeps:1" });
    assert_eq!(post(address, &bare.to_string()).0, 202);
    kubectl(&weft, "get secret web-registry").fails_saying(&["not found"]);

    let wrong =
        json!({ "name": "web", "image": "", "ports": [{ "container_port": 80 }], "volumes": [] });
    let (code, told) = post(address, &wrong.to_string());
    assert_eq!(code, 400);
    let causes = told["details"]["causes"].as_array().unwrap();
    let fields: Vec<&str> = causes
        .iter()
        .map(|one| one["field"].as_str().unwrap())
        .collect();
    assert_eq!(fields, ["image", "ports[0].host_port", "volumes"]);

    // What others made is not taken over, and nothing is left of what failed.
    let other = "apiVersion: v1\nkind: Service\nmetadata: { name: taken }\nspec: { ports: [{ port: 1 }] }\n";
    apply(&weft, other).ok();
    let (code, told) = post(address, r#"{"name": "taken", "image": "i"}"#);
    assert_eq!(code, 409, "{told}");
    kubectl(&weft, "get deployment taken").fails_saying(&["not found"]);

    // Without TLS, nothing else is served; no page of another site reaches it.
    assert_eq!(ask(address, "GET", "/api/v1/namespaces").0, 404);
    let url = format!("http://{address}/deployments");
    assert_eq!(curl(&["-d", "{}", &url]).0, 415);
    assert_eq!(curl(&["-H", "Host: evil.example", &url]).0, 403);
    assert_eq!(curl(&["-H", "Authorization: Bearer x", &url]).0, 400);
    // It may no more than its role says, and only there.
    assert_eq!(
        ask(address, "GET", "/deployments?namespace=kube-system").0,
        403
    );
    kubectl(&weft, "delete rolebinding weft:deployments").ok();
    until(SOON, "it may nothing", || {
        ask(address, "GET", "/deployments").0 == 403
    });
    kubectl(&weft, "delete deployment web").ok();
}
