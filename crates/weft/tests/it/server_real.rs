//! A first site of a new user who has kubectl and nothing else: real nginx, real PostgreSQL, one
//! manifest; and the example of Knit's README with the image that it names.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use weft_testkit::command::{LIMIT, run};
use weft_testkit::registry::Access;
use weft_testkit::wait::{SOON, until, within};
use weft_testkit::{Ran, Registry, Weft, peer};

use crate::distribution::{nginx, postgres};
use crate::server_kubectl::{apply, cluster, headings, kubectl};

const SITE: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: { name: page }
data: { index.html: "<h1>the first page</h1>\n" }
---
apiVersion: v1
kind: Secret
metadata: { name: word }
stringData: { password: "s3cret of the shop" }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      volumes: [{ name: page, configMap: { name: page } }]
      containers:
      - name: nginx
        image: nginx:1
        imagePullPolicy: IfNotPresent
        env:
        - { name: PASSWORD, valueFrom: { secretKeyRef: { name: word, key: password } } }
        ports: [{ name: http, containerPort: 80 }]
        volumeMounts: [{ name: page, mountPath: /usr/share/nginx/html }]
        readinessProbe: { httpGet: { path: /, port: http }, periodSeconds: 1 }
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { type: NodePort, selector: { app: web }, ports: [{ port: 80, targetPort: http }] }
---
apiVersion: v1
kind: Service
metadata: { name: db }
spec: { selector: { app: db }, ports: [{ port: 5432 }] }
---
apiVersion: apps/v1
kind: StatefulSet
metadata: { name: db }
spec:
  serviceName: db
  selector: { matchLabels: { app: db } }
  template:
    metadata: { labels: { app: db } }
    spec:
      containers:
      - name: postgres
        image: postgres:1
        imagePullPolicy: IfNotPresent
        env:
        - { name: POSTGRES_PASSWORD, valueFrom: { secretKeyRef: { name: word, key: password } } }
        - { name: PGDATA, value: /data/base }
        volumeMounts: [{ name: data, mountPath: /data }]
        readinessProbe: { exec: { command: [pg_isready, -h, 127.0.0.1] }, periodSeconds: 1, timeoutSeconds: 5 }
  volumeClaimTemplates:
  - metadata: { name: data }
    spec: { accessModes: [ReadWriteOnce], resources: { requests: { storage: 1Gi } } }
---
apiVersion: batch/v1
kind: CronJob
metadata: { name: count }
spec:
  schedule: "* * * * *"
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: OnFailure
          containers:
          - name: psql
            image: postgres:1
            imagePullPolicy: IfNotPresent
            env:
            - { name: PGPASSWORD, valueFrom: { secretKeyRef: { name: word, key: password } } }
            command: [psql, -h, db, -U, postgres, -tA, -c, "select 'counted ' || count(*) from goods"]
"#;

/// Runs a program beside kubectl; gives what it printed.
fn curl(url: &str) -> String {
    let mut curl = Command::new(peer("curl").unwrap());
    curl.args(["--silent", "--fail", "--max-time", "10", url]);
    run(curl, b"", LIMIT).stdout
}

/// `kubectl exec <of> -- <words>`.
fn exec(weft: &Weft, of: &str, words: &[&str]) -> Ran {
    weft.kubectl(&[&["exec", of, "--"], words].concat(), "")
        .unwrap()
}

/// Asks the database by its service, as programs in other pods do.
fn sql(weft: &Weft, statement: &str) -> Ran {
    let script = "PGPASSWORD=$POSTGRES_PASSWORD exec psql -h db -U postgres -tA -c \"$0\"";
    exec(weft, "db-0", &["sh", "-c", script, statement])
}

fn get(weft: &Weft, line: &str) -> String {
    kubectl(weft, &format!("get {line}")).ok().to_owned()
}

#[track_caller]
fn rolled_out(weft: &Weft, what: &str) {
    kubectl(weft, &format!("rollout status {what} --timeout=120s")).ok();
}

#[test]
fn a_new_user_runs_a_site_with_kubectl_alone() {
    let (Some(web), Some(database)) = (nginx(), postgres()) else {
        return;
    };
    let Some(weft) = cluster() else { return };
    for image in [web, database] {
        weft.ok(&["load", "--input", &image.display().to_string()]);
    }
    let site = weft.scratch().join("site.yaml");
    fs::write(&site, SITE).unwrap();
    let site = site.display().to_string();
    let applied = kubectl(&weft, &format!("apply -f {site}"));
    assert_eq!(applied.ok().matches(" created").count(), 7, "{applied}");
    assert_eq!(applied.stderr, "");
    rolled_out(&weft, "deployment/web");
    rolled_out(&weft, "statefulset/db");
    kubectl(&weft, "wait --for=condition=Ready pod --all --timeout=120s").ok();
    let node = get(&weft, "node one -o jsonpath={.status.addresses[0].address}");
    let port = get(&weft, "service web -o jsonpath={.spec.ports[0].nodePort}");
    let url = format!("http://{node}:{port}/");
    until(SOON, "the page is there", || {
        curl(&url) == "<h1>the first page</h1>\n"
    });
    let service = get(&weft, "service web -o jsonpath={.spec.clusterIP}");
    assert_eq!(
        curl(&format!("http://{service}/")),
        "<h1>the first page</h1>\n"
    );

    it_changes(&weft, &url);
    it_goes_back(&weft, &url);
    pods_are_reached(&weft, &url);
    what_was_written_stays(&weft);
    it_is_counted_each_minute(&weft);

    kubectl(&weft, &format!("delete -f {site}")).ok();
    until(SOON, "nothing is left of it", || {
        let line = "all,configmaps,secrets,endpointslices --field-selector metadata.namespace=default -o name";
        let left = get(&weft, line);
        let mut left = left.lines().filter(|name| !name.ends_with("/kubernetes"));
        left.all(|name| name == "configmap/kube-root-ca.crt")
    });
    assert_eq!(weft.ok(&["ps", "-aq"]), "");
    // But for what is never taken away unasked.
    assert_eq!(get(&weft, "pvc -o name"), "persistentvolumeclaim/data-db-0");
    kubectl(&weft, "delete pvc data-db-0").ok();
}

/// More of them, other variables, and back.
fn it_changes(weft: &Weft, url: &str) {
    kubectl(weft, "scale deployment web --replicas=3").ok();
    rolled_out(weft, "deployment/web");
    let ready = "deployment web -o jsonpath={.status.readyReplicas}";
    assert_eq!(get(weft, ready), "3");
    kubectl(weft, "set env deployment/web COLOUR=red").ok();
    rolled_out(weft, "deployment/web");
    let env = exec(weft, "deploy/web", &["sh", "-c", "echo $COLOUR, $PASSWORD"]);
    assert_eq!(env.ok(), "red, s3cret of the shop");
    kubectl(weft, "rollout undo deployment/web").ok();
    rolled_out(weft, "deployment/web");
    let env = exec(weft, "deploy/web", &["sh", "-c", "echo $COLOUR, $PASSWORD"]);
    assert_eq!(env.ok(), ", s3cret of the shop");
    // What pods read changes under them.
    let page = SITE.replace("the first page", "the second page");
    apply(weft, page.split("---").next().unwrap()).ok();
    until(SOON, "each shows the other page", || {
        (0..9).all(|_| curl(url) == "<h1>the second page</h1>\n")
    });
}

/// An image that is not there: whoever asks notices nothing, and it goes back by itself.
fn it_goes_back(weft: &Weft, url: &str) {
    let asked = "annotate deployment web nanocloud.io/rollback-on-failure=true";
    kubectl(weft, asked).ok();
    let deadline = "patch deployment web -p {\"spec\":{\"progressDeadlineSeconds\":5}}";
    kubectl(weft, deadline).ok();
    kubectl(weft, "set image deployment/web nginx=127.0.0.1:1/none:1").ok();
    let reasons = "pods -o jsonpath={.items[*].status.containerStatuses[*].state.waiting.reason}";
    until(SOON, "it is told that there is no image", || {
        let told = get(weft, reasons);
        told.contains("ErrImagePull") || told.contains("ImagePullBackOff")
    });
    let image = "deployment web -o jsonpath={.spec.template.spec.containers[0].image}";
    until(SOON, "it is as it was", || {
        assert_eq!(curl(url), "<h1>the second page</h1>\n");
        get(weft, image) == "nginx:1"
    });
    let events = "events --field-selector reason=DeploymentRollback -o name";
    assert!(!get(weft, events).is_empty());
    rolled_out(weft, "deployment/web");
}

/// Logs, ports, files, numbers and descriptions.
fn pods_are_reached(weft: &Weft, url: &str) {
    let pod = get(
        weft,
        "pods -l app=web -o jsonpath={.items[0].metadata.name}",
    );
    let ip = get(weft, &format!("pod {pod} -o jsonpath={{.status.podIP}}"));
    let line = ["logs", "-f", &pod, "--since=1m"];
    let following = weft.kubectl_in_background(&line).unwrap();
    curl(&format!("http://{ip}/?asked-for-a-log"));
    following.says("GET /?asked-for-a-log HTTP/1.1\" 200");
    drop(following);

    let forward = ["port-forward", "deployment/web", ":80"];
    let forward = weft.kubectl_in_background(&forward).unwrap();
    let local = within(SOON, "it is told where the port is", || {
        let said = forward.stdout();
        let (_, rest) = said.split_once("127.0.0.1:")?;
        Some(rest.split_once(' ')?.0.to_owned())
    });
    assert_eq!(curl(&format!("http://127.0.0.1:{local}/")), curl(url));
    drop(forward);

    let (here, back) = (weft.scratch().join("here"), weft.scratch().join("back"));
    let bytes: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
    fs::write(&here, &bytes).unwrap();
    let copy = |from: &str, to: &str| assert_eq!(kubectl(weft, &format!("cp {from} {to}")).code, 0);
    copy(&here.display().to_string(), &format!("{pod}:/tmp/there"));
    copy(&format!("{pod}:/tmp/there"), &back.display().to_string());
    assert!(fs::read(&back).unwrap() == bytes);

    let top = kubectl(weft, "top pods");
    assert_eq!(headings(&top), "NAME CPU(cores) MEMORY(bytes)");
    assert!(
        top.ok().contains("db-0") && top.stdout.contains(&pod),
        "{top}"
    );
    let described = kubectl(weft, &format!("describe pod {pod}"));
    for said in [
        "nginx:1",
        "http-get http://:http/",
        "Started container nginx",
    ] {
        assert!(described.ok().contains(said), "{said}: {described}");
    }
    for (what, said) in [
        (
            "deployment web",
            "3 desired | 3 updated | 3 total | 3 available",
        ),
        ("service web", "NodePort"),
        ("statefulset db", "1 Running"),
        ("cronjob count", "* * * * *"),
    ] {
        let described = kubectl(weft, &format!("describe {what}"));
        assert!(described.ok().contains(said), "{said}: {described}");
    }
}

/// A row is there after its pod went.
fn what_was_written_stays(weft: &Weft) {
    let make = "create table goods (name text); insert into goods values ('thread')";
    sql(weft, make).ok();
    let uid = || get(weft, "pod db-0 -o jsonpath={.metadata.uid}");
    let before = uid();
    kubectl(weft, "delete pod db-0").ok();
    until(SOON, "there is another", || {
        let line = "get pod db-0 --ignore-not-found -o jsonpath={.metadata.uid}";
        let now = kubectl(weft, line);
        !now.ok().is_empty() && now.ok() != before
    });
    rolled_out(weft, "statefulset/db");
    kubectl(weft, "wait --for=condition=Ready pod/db-0 --timeout=60s").ok();
    until(SOON, "it is reached by its service", || {
        sql(weft, "select name from goods").stdout == "thread\n"
    });
    assert_ne!(uid(), before);
    // It ended as it should have: nothing had to be mended.
    let log = kubectl(weft, "logs db-0");
    let log = format!("{}{}", log.ok(), log.stderr);
    assert!(!log.contains("was not properly shut down"), "{log}");
}

/// By its schedule, and when somebody asks for it.
fn it_is_counted_each_minute(weft: &Weft) {
    kubectl(weft, "create job now --from=cronjob/count").ok();
    kubectl(weft, "wait --for=condition=complete job/now --timeout=60s").ok();
    assert_eq!(kubectl(weft, "logs job/now").ok(), "counted 1");
    let last = "cronjob count -o jsonpath={.status.lastSuccessfulTime}";
    until(Duration::from_secs(150), "a minute has begun", || {
        !get(weft, last).is_empty()
    });
    kubectl(weft, "delete job now").ok();
}

/// The example of Knit's README; only the address of the node is this machine's.
const README: &str = r#"{
  "name": "nginx-eu-api",
  "image": "nginx:latest",
  "node_selector": {
    "region": "eu",
    "role": "api"
  },
  "ports": [
    {
      "host_ip": "127.77.1.4",
      "host_port": 8080,
      "container_port": 80
    }
  ],
  "templates": [
    {
      "destination": "/usr/share/nginx/html/index.html",
      "content": "<h1>Hello from Knit</h1><p>Rendered by agent.</p>"
    }
  ]
}
"#;

/// A registry that has `nginx:latest`, and a configuration by which it stands for Docker's.
fn hub(image: &Path, dir: &Path) -> Option<(Registry, String)> {
    let registry = Registry::start(Access::Plain).unwrap()?;
    let archive = fs::read(image).unwrap();
    registry.push(&archive, "library/nginx:latest").unwrap();
    let config = dir.join("weft.toml");
    let mirror = format!(
        "[registries.\"docker.io\"]\nmirror = [\"{}\"]\n",
        registry.host()
    );
    fs::write(&config, mirror).unwrap();
    Some((registry, config.display().to_string()))
}

#[test]
fn knits_readme_serves_its_page_as_it_stands() {
    let Some(image) = nginx() else { return };
    let dir = tempfile::tempdir().unwrap();
    let Some((_hub, config)) = hub(&image, dir.path()) else {
        return;
    };
    if peer("kubectl").is_none() || peer("curl").is_none() {
        return;
    }
    let address = "127.77.1.3:8080";
    let flags = ["--deployments-listen", address, "--config", &config];
    let Some(weft) = Weft::cluster_with(crate::WEFT, &flags) else {
        return;
    };
    kubectl(&weft, "label node one region=eu role=api").ok();
    let file = dir.path().join("deployment.json");
    fs::write(&file, README).unwrap();
    let script = format!(
        "curl -X POST http://{address}/deployments \\\n  -H \"Content-Type: application/json\" \\\n  -d @deployment.json"
    );
    let mut shell = Command::new("sh");
    shell.args(["-ec", &script]).current_dir(dir.path());
    let posted = run(shell, b"", LIMIT);
    assert!(
        posted.ok().contains("\"Name\":\"nginx-eu-api\""),
        "{posted}"
    );
    let page = "<h1>Hello from Knit</h1><p>Rendered by agent.</p>";
    until(Duration::from_secs(90), "nginx serves the page", || {
        curl("http://127.77.1.4:8080/") == page
    });
    let image = get(
        &weft,
        "pods -o jsonpath={.items[0].spec.containers[0].image}",
    );
    assert_eq!(image, "nginx:latest");
    let mut gone = Command::new(peer("curl").unwrap());
    gone.args(["--silent", "--fail", "-X", "DELETE"]);
    gone.arg(format!("http://{address}/deployments/nginx-eu-api"));
    run(gone, b"", LIMIT).ok();
    until(SOON, "nothing is left", || {
        get(
            &weft,
            "pods,deployments,services -l nanocloud.io/deployment -o name",
        )
        .is_empty()
            && weft.ok(&["ps", "-aq"]).is_empty()
    });
}
