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
        .kubectl(
            &["exec", "deploy/web", "--", "sh", "-c", "echo $GREETING"],
            "",
        )
        .unwrap();
    assert_eq!(shown.ok(), "hello $(HOME)");
    let found = weft
        .kubectl(&["exec", "deploy/web", "--", "nslookup", "web"], "")
        .unwrap();
    assert!(
        found.stdout.contains("web.default.svc.cluster.local"),
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

const COMPOSE: &str = "\
name: shop
services:
  web:
    image: busybox
    command: sh -c 'cp /site.txt /run/secrets/word /data; exec httpd -f -p 80 -h /data'
    ports: ['127.0.0.1:42732:80']
    volumes: ['data:/data']
    configs: [{ source: site, target: /site.txt }]
    secrets: [word]
    depends_on: { once: { condition: service_completed_successfully } }
    healthcheck: { test: wget -q -O - http://127.0.0.1/site.txt, interval: 1s, retries: 30 }
    stop_grace_period: 1s
  once:
    image: busybox
    command: sh -c 'echo ${GREETING:-hello}'
  asks:
    image: busybox
    command: sh -c 'until wget -q -O /tmp/x http://web/site.txt; do sleep 1; done; cat /tmp/x; exec sleep 1000'
    stop_grace_period: 1s
volumes: { data: }
configs: { site: { file: site.txt } }
secrets: { word: { environment: WORD } }
";

/// `weft <words>` in a directory of its own.
fn deploys(weft: &Weft, words: &[&str]) -> weft_testkit::Ran {
    let mut command = crate::server_cli::command(weft, words);
    command.current_dir(weft.scratch()).env("WORD", "s3cret");
    weft_testkit::command::run(command, b"", SOON)
}

#[test]
fn a_compose_file_runs_and_goes() {
    let Some(weft) = crate::server_kubectl::cluster() else {
        return;
    };
    let file = weft.scratch().join("compose.yaml");
    std::fs::write(&file, COMPOSE).unwrap();
    std::fs::write(weft.scratch().join("site.txt"), "from a file").unwrap();
    let tried = deploys(&weft, &["deploy", ".", "--dry-run=server"]);
    assert!(
        tried
            .ok()
            .contains("deployment.apps/web created (server dry run)"),
        "{}",
        tried.stdout
    );
    let ran = deploys(&weft, &["deploy", "."]);
    assert!(
        ran.ok().contains("job.batch/once created"),
        "{}",
        ran.stdout
    );
    for told in [
        "services.web.depends_on: all services start at once",
        "begins empty",
    ] {
        assert!(ran.stderr.contains(told), "{}", ran.stderr);
    }
    let page = |path: &str| curl(&[&format!("http://127.0.0.1:42732/{path}")]).1;
    until(SOON, "the pages are there", || {
        page("site.txt") == "from a file"
    });
    assert_eq!(page("word"), "s3cret");
    until(SOON, "the others found it by its name", || {
        kubectl(&weft, "logs deploy/asks")
            .stdout
            .contains("from a file")
    });
    kubectl(
        &weft,
        "wait --for=condition=Available deployment/web deployment/asks --timeout=60s",
    )
    .ok();

    // The same again changes nothing; what is not in it any more goes, but for data.
    let again = deploys(&weft, &["deploy", "compose.yaml"]);
    assert!(
        again.ok().contains("deployment.apps/web unchanged"),
        "{}",
        again.stdout
    );
    let at = COMPOSE.find("  asks:").unwrap();
    let until_volumes = COMPOSE.find("volumes: { data").unwrap();
    let fewer = [&COMPOSE[..at], &COMPOSE[until_volumes..]]
        .concat()
        .replace("hello", "again");
    std::fs::write(&file, fewer).unwrap();
    let ran = deploys(&weft, &["deploy", "compose.yaml"]);
    assert!(
        ran.ok().contains("deployment.apps/asks pruned"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stdout.contains("job.batch/once configured"),
        "{}",
        ran.stdout
    );

    // Another deployment does not take over what this one has.
    let other = deploys(&weft, &["deploy", ".", "--name", "other"]);
    other.fails_saying(&["is of the deployment \"shop\""]);

    let gone = deploys(&weft, &["undeploy", "shop", "--wait"]);
    assert!(
        gone.ok().contains("deployment.apps \"web\" deleted"),
        "{}",
        gone.stdout
    );
    assert!(
        gone.stderr
            .contains("persistentvolumeclaim/shop-data is kept"),
        "{}",
        gone.stderr
    );
    until(SOON, "no pod is left", || {
        kubectl(&weft, "get pods -o name").ok().is_empty()
    });
    deploys(&weft, &["undeploy", "shop", "--volumes", "--wait"]).ok();
    deploys(&weft, &["undeploy", "shop"]).fails_saying(&["there is no deployment \"shop\""]);

    std::fs::write(
        &file,
        "services: { a: { image: i, colour: red, build: . } }",
    )
    .unwrap();
    deploys(&weft, &["deploy", "."]).fails_saying(&["services.a.colour: unknown key"]);
}

#[test]
fn manifests_and_knits_json_are_deployed_too() {
    let Some(weft) = crate::server_kubectl::server() else {
        return;
    };
    let write = |name: &str, text: &str| std::fs::write(weft.scratch().join(name), text).unwrap();
    let map = |name: &str| {
        format!(
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: {name} }}\ndata: {{ a: b }}\n"
        )
    };
    write("conf.yaml", &[map("one"), map("two")].concat());
    let ran = deploys(&weft, &["deploy", "conf.yaml"]);
    assert_eq!(ran.ok(), "configmap/one created\nconfigmap/two created");
    write("conf.yaml", &map("one"));
    let ran = deploys(&weft, &["deploy", "conf.yaml"]);
    assert_eq!(ran.ok(), "configmap/one unchanged\nconfigmap/two pruned");
    let gone = deploys(&weft, &["undeploy", "conf"]);
    assert_eq!(gone.ok(), "configmap \"one\" deleted");

    write(
        "knit.json",
        r#"{"name": "knit", "image": "busybox", "env": {"A": "b"}}"#,
    );
    let ran = deploys(&weft, &["deploy", "knit.json"]);
    assert_eq!(ran.ok(), "deployment \"knit\" deployed");
    let record = deploys(&weft, &["deploy", "knit.json", "-o", "json"]);
    let record: Value = serde_json::from_str(record.ok()).unwrap();
    assert_eq!(record["Name"], "knit");
    let gone = deploys(&weft, &["undeploy", "knit"]);
    assert!(
        gone.ok().contains("deployment.apps \"knit\" deleted"),
        "{}",
        gone.stdout
    );
    until(SOON, "what it owns is gone, too", || {
        kubectl(&weft, "get services -l nanocloud.io/deployment -o name")
            .ok()
            .is_empty()
    });

    write("wrong.yaml", "a: b\n");
    deploys(&weft, &["deploy", "wrong.yaml"]).fails_saying(&["it is none of what can be deployed"]);
    write(
        "wrong.json",
        r#"{"name": "a", "image": "i", "volumes": []}"#,
    );
    deploys(&weft, &["deploy", "wrong.json"]).fails_saying(&["volumes: Forbidden: unknown field"]);
}
