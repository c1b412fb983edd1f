//! Services lead somewhere: from a manifest to answers, and to nothing when nobody is ready.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use weft_testkit::Weft;
use weft_testkit::wait::{SOON, until};

use crate::server_kubectl::{apply, cluster, kubectl};

const WEB: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 3
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: main
        image: busybox
        imagePullPolicy: IfNotPresent
        command: [sh, -c, "mkdir /www; hostname > /www/index.html; touch /www/ready; exec httpd -f -p 8080 -h /www"]
        ports: [{ name: http, containerPort: 8080 }]
        readinessProbe: { httpGet: { port: http, path: /ready }, periodSeconds: 1, failureThreshold: 1 }
---
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { type: NodePort, selector: { app: web }, ports: [{ name: http, port: 80, targetPort: http }] }
---
apiVersion: v1
kind: Service
metadata: { name: each }
spec: { clusterIP: None, selector: { app: web }, ports: [{ port: 8080 }] }
---
apiVersion: v1
kind: Pod
metadata: { name: client }
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - { name: main, image: busybox, imagePullPolicy: IfNotPresent, command: [sleep, "1000"] }
"#;

/// One service has a port of the machine, one has none.
const HELD: &str = r#"
apiVersion: v1
kind: Pod
metadata: { name: held, labels: { app: held } }
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: busybox
    imagePullPolicy: IfNotPresent
    command: [sh, -c, "mkdir /www; hostname > /www/index.html; exec httpd -f -p 8080 -h /www"]
    readinessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 }
---
apiVersion: v1
kind: Service
metadata: { name: held }
spec: { type: NodePort, selector: { app: held }, ports: [{ port: 80, targetPort: 8080, nodePort: @PORT@ }] }
---
apiVersion: v1
kind: Service
metadata: { name: free }
spec: { selector: { app: held }, ports: [{ port: 80, targetPort: 8080 }] }
"#;
/// A port that was let go of is looked at every half a minute.
const LATER: Duration = Duration::from_secs(60);

#[track_caller]
fn field(weft: &Weft, what: &str, path: &str) -> String {
    let ran = kubectl(weft, &format!("get {what} -o jsonpath={{{path}}}"));
    ran.ok().to_owned()
}

/// What is said at an address; nothing: nobody says anything.
fn get(address: SocketAddr) -> Option<String> {
    let limit = Duration::from_secs(2);
    let mut stream = TcpStream::connect_timeout(&address, limit).ok()?;
    stream.set_read_timeout(Some(limit)).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut said = String::new();
    stream.read_to_string(&mut said).ok()?;
    let (_, body) = said.split_once("\r\n\r\n")?;
    Some(body.trim().to_owned())
}

/// Runs a command in the client.
fn ask(weft: &Weft, command: &[&str]) -> weft_testkit::Ran {
    let id = field(
        weft,
        "pod client",
        ".status.containerStatuses[0].containerID",
    );
    let id = id.strip_prefix("weft://").unwrap().to_owned();
    let words: Vec<&str> = ["exec", id.as_str()]
        .into_iter()
        .chain(command.iter().copied())
        .collect();
    weft.weft(&words)
}

/// Looks a service up and asks it, as a program in a pod would.
fn ask_service(weft: &Weft, name: &str) -> weft_testkit::Ran {
    let script = format!(
        "ip=$(nslookup {name} | sed -n 's/^Address: //p' | tail -n 1); \
         printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 \"$ip\" 80"
    );
    ask(weft, &["sh", "-c", &script])
}

fn pods(weft: &Weft) -> BTreeSet<String> {
    let names = field(weft, "pods -l app=web", ".items[*].metadata.name");
    names.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn a_service_leads_to_its_pods_as_long_as_they_are_ready() {
    let Some(mut weft) = cluster() else { return };
    apply(&weft, WEB).ok();
    kubectl(&weft, "rollout status deployment/web --timeout=60s").ok();
    kubectl(&weft, "wait --for=condition=Ready pod/client --timeout=60s").ok();
    let ready = || field(&weft, "endpoints web", ".subsets[*].addresses[*].ip");
    until(SOON, "all three are endpoints", || {
        ready().split_whitespace().count() == 3
    });

    // By name, from a pod: each of them answers.
    let all = pods(&weft);
    let mut seen = BTreeSet::new();
    until(SOON, "each pod has answered by the service's name", || {
        let ran = ask_service(&weft, "web.default.svc.cluster.local");
        seen.extend(ran.stdout.lines().last().map(|name| name.trim().to_owned()));
        seen.is_superset(&all)
    });
    // From the machine, by a port of its own.
    let node_port: u16 = field(&weft, "service web", ".spec.ports[0].nodePort")
        .parse()
        .unwrap();
    let host = field(&weft, "node one", ".status.addresses[0].address");
    let outside: SocketAddr = format!("{host}:{node_port}").parse().unwrap();
    until(SOON, "a pod answers by a port of the machine", || {
        get(outside).is_some_and(|name| all.contains(&name))
    });
    // The headless one has the addresses of all.
    let ips: BTreeSet<String> = ready().split_whitespace().map(str::to_owned).collect();
    let named = ask(&weft, &["nslookup", "each.default.svc.cluster.local"]);
    for ip in &ips {
        assert!(named.stdout.contains(ip), "{ip} of {}", named.stdout);
    }

    // One that is not ready any more is led to no more; a server that was killed changes nothing.
    let unready = all.iter().next().unwrap().clone();
    let id = field(
        &weft,
        &format!("pod {unready}"),
        ".status.containerStatuses[0].containerID",
    );
    let id = id.strip_prefix("weft://").unwrap().to_owned();
    weft.weft(&["exec", &id, "rm", "/www/ready"]).ok();
    until(SOON, "it is no endpoint any more", || {
        field(&weft, "endpoints web", ".subsets[*].addresses[*].ip")
            .split_whitespace()
            .count()
            == 2
    });
    weft.kill_daemon();
    assert!(
        get(outside).is_some_and(|name| name != unready),
        "traffic flows without a server"
    );
    weft.start_daemon();
    for _ in 0..20 {
        assert!(get(outside).is_some_and(|name| name != unready));
    }

    kubectl(&weft, "scale deployment web --replicas=0").ok();
    until(SOON, "nobody is left, and that is told at once", || {
        let ran = ask_service(&weft, "web.default.svc.cluster.local");
        ran.stderr.contains("refused")
    });
    kubectl(&weft, "delete deployment web").ok();
    kubectl(&weft, "delete service web each").ok();
    kubectl(&weft, "delete pod --all").ok();
    until(SOON, "slices and endpoints are gone", || {
        let left = field(&weft, "endpointslices,endpoints", ".items[*].metadata.name");
        left.split_whitespace()
            .all(|name| name.starts_with("kubernetes"))
    });
}

#[test]
fn a_port_of_the_machine_that_somebody_has_is_told_of_until_it_is_free() {
    let Some(mut weft) = cluster() else { return };
    let free = (31_000..32_767).find_map(|port| TcpListener::bind(("0.0.0.0", port)).ok());
    let holder = free.unwrap();
    let port = holder.local_addr().unwrap().port();
    apply(&weft, &HELD.replace("@PORT@", &port.to_string())).ok();
    kubectl(&weft, "wait --for=condition=Ready pod/held --timeout=60s").ok();
    let told = |reason: &str, path: &str| {
        let which = format!("involvedObject.kind=Service,reason={reason}");
        let what = format!("events --field-selector {which}");
        field(&weft, &what, &format!(".items[*]{path}"))
    };
    let own = format!("port {port}/tcp on 0.0.0.0 is already in use by process");
    until(SOON, "the service is told who has its port", || {
        told("FailedToServe", ".message").contains(&own)
    });
    let message = told("FailedToServe", ".message");
    let pid = format!("(pid {})", std::process::id());
    assert!(
        message.starts_with("node one does not serve all of it: ") && message.ends_with(&pid),
        "{message}"
    );
    let uid = field(&weft, "service held", ".metadata.uid");
    assert_eq!(told("FailedToServe", ".involvedObject.uid"), uid);
    assert_eq!(told("FailedToServe", ".type"), "Warning");
    assert_eq!(told("FailedToServe", ".source.component"), "kube-proxy");
    assert_eq!(told("FailedToServe", ".source.host"), "one");
    // The other has all it needs, and hears nothing.
    let why = |name: &str| {
        let said = weft.weft(&["why", "service", name]);
        said.ok().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    until(SOON, "its pod is an endpoint", || {
        why("free").contains("ready endpoint.")
    });
    let said = why("held");
    let beginning = format!("node one does not serve all of service held: {own}");
    assert!(said.starts_with(&beginning), "{said}");
    let next = format!("next: end what has port {port} on node one, or give the service another");
    assert!(said.contains(&next), "{said}");
    let described = kubectl(&weft, "describe service held");
    assert!(described.ok().contains("FailedToServe"), "{described}");
    weft.kill_daemon();
    weft.start_daemon();
    let counted = "events --field-selector involvedObject.kind=Service,reason=FailedToServe";
    until(SOON, "the next one says so too, and it is counted", || {
        let count = field(&weft, counted, ".items[*].count");
        count.parse::<u32>().is_ok_and(|count| count > 1)
    });

    drop(holder);
    let told = "get events --field-selector reason=ServedAgain -o name";
    until(LATER, "what is free is taken, and that is told", || {
        kubectl(&weft, told).ok().lines().count() == 1
    });
    let host = field(&weft, "node one", ".status.addresses[0].address");
    let outside: SocketAddr = format!("{host}:{port}").parse().unwrap();
    assert_eq!(get(outside).as_deref(), Some("held"));
    let said = weft.weft(&["why", "service", "held"]);
    assert!(said.ok().contains("leads to 1 ready endpoint"), "{said}");
    kubectl(&weft, "delete service held free").ok();
    kubectl(&weft, "delete pod held").ok();
}
