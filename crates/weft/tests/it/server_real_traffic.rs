//! Real nginx under real traffic: whatever is done to pods and to weft itself, nobody who asks is
//! turned away.
#![allow(clippy::unwrap_used)]

use std::process::Command;
use std::time::Duration;

use rustix::process::{Signal, kill_process};
use weft_testkit::wait::{SOON, until};
use weft_testkit::{Background, Weft, peer};

use crate::distribution::nginx;
use crate::server_kubectl::{apply, cluster, kubectl};

/// Longer than any of these tests: who asks is stopped.
const WRK_MAX: &str = "900s";
/// Ten pods are replaced one after the other, in a debug build, beside other tests.
const ROLLOUT: &str = "rollout status deployment/web --timeout=240s";

/// `count` pods of nginx behind a service.
fn web(count: u32) -> String {
    format!(
        "apiVersion: apps/v1
kind: Deployment
metadata: {{ name: web }}
spec:
  replicas: {count}
  selector: {{ matchLabels: {{ app: web }} }}
  template:
    metadata: {{ labels: {{ app: web }} }}
    spec:
      terminationGracePeriodSeconds: 20
      containers:
      - name: nginx
        image: nginx:1
        imagePullPolicy: IfNotPresent
        ports: [{{ name: http, containerPort: 80 }}]
        readinessProbe: {{ httpGet: {{ path: /, port: http }}, periodSeconds: 1 }}
---
apiVersion: v1
kind: Service
metadata: {{ name: web }}
spec: {{ type: NodePort, selector: {{ app: web }}, ports: [{{ port: 80, targetPort: http }}] }}
"
    )
}

/// A cluster with so many ready pods of nginx; and where their service is, by the machine's port and by
/// the service's own address.
#[track_caller]
fn serving(count: u32) -> Option<(Weft, [String; 2])> {
    peer("wrk")?;
    let image = nginx()?;
    let weft = cluster()?;
    weft.ok(&["load", "--input", &image.display().to_string()]);
    apply(&weft, &web(count)).ok();
    kubectl(&weft, ROLLOUT).ok();
    let field = |what: &str| {
        let line = format!("get {what}");
        kubectl(&weft, &line).ok().to_owned()
    };
    let node = field("node one -o jsonpath={.status.addresses[0].address}");
    let port = field("service web -o jsonpath={.spec.ports[0].nodePort}");
    let service = field("service web -o jsonpath={.spec.clusterIP}");
    let urls = [
        format!("http://{node}:{port}/"),
        format!("http://{service}/"),
    ];
    for url in &urls {
        until(SOON, "it answers", || answers(url));
    }
    Some((weft, urls))
}

/// Whether somebody says something at a URL.
fn answers(url: &str) -> bool {
    let mut curl = Command::new(peer("curl").unwrap());
    curl.args(["--silent", "--fail", "--max-time", "10", url]);
    curl.output().unwrap().status.success()
}

/// Asks without end on a few connections. Who waits for long is counted as failed by wrk only after a
/// while: that this machine is busy is not the service's fault.
struct Traffic(Background);

impl Traffic {
    /// Each request has a connection of its own.
    ///
    /// A server that ends tells so by closing connections that are kept open. By RFC 9112, 9.5, that may
    /// cross the next request, and clients then ask again; wrk does not, and counts an error. A request
    /// that begins with its connection has no such excuse.
    fn of_new_connections(url: &str) -> Traffic {
        Traffic::start(&["--header", "Connection: close", url])
    }

    /// Connections are kept, as wrk does by itself.
    fn of_kept_connections(url: &str) -> Traffic {
        Traffic::start(&[url])
    }

    fn start(args: &[&str]) -> Traffic {
        let mut wrk = Command::new(peer("wrk").unwrap());
        wrk.args(["--threads", "1", "--connections", "8", "--timeout", "30s"])
            .args(["--duration", WRK_MAX])
            .args(args);
        Traffic(Background::start(wrk))
    }

    /// Ends it: all were answered, and well.
    #[track_caller]
    fn none_has_failed(mut self) {
        assert!(self.0.running(), "it asks until it is told to end");
        self.0.signal(Signal::INT);
        let ran = self.0.finish(Duration::from_secs(60));
        let said = ran.ok();
        for failed in ["Socket errors", "Non-2xx"] {
            assert!(!said.contains(failed), "{said}");
        }
        let count = said.lines().find(|line| line.contains(" requests in "));
        let count = count.and_then(|line| line.split_whitespace().next());
        let count: u64 = count.unwrap_or("none").parse().unwrap();
        assert!(count > 100, "{said}");
    }
}

/// What is another for a pod, container or process that took the place of one.
fn identity(weft: &Weft) -> String {
    let path = "jsonpath={range .items[*]}{.metadata.uid} {.status.startTime} \
                {.status.containerStatuses[*].containerID} {.status.containerStatuses[*].restartCount} \
                {.status.containerStatuses[*].state.running.startedAt}{'\\n'}{end}";
    let pods = weft.kubectl(&["get", "pods", "-o", path], "").unwrap();
    let ids = weft.ok(&["ps", "-q", "--no-trunc"]);
    let mut ids: Vec<&str> = ids.split_whitespace().collect();
    ids.sort_unstable();
    let pids = weft.ok(&[&["inspect", "-f", "{{.State.Pid}}"], &ids[..]].concat());
    format!("{}\n{pids}", pods.ok())
}

fn clear(weft: &Weft) {
    kubectl(weft, "delete deployment,service web").ok();
    kubectl(weft, "wait --for=delete pod --all --timeout=60s").ok();
}

#[test]
fn a_rollout_turns_nobody_away() {
    let Some((weft, urls)) = serving(10) else {
        return;
    };
    let traffic = urls.each_ref().map(|url| Traffic::of_new_connections(url));
    for change in ["TO=second", "TO=third"] {
        kubectl(&weft, &format!("set env deployment/web {change}")).ok();
        kubectl(&weft, ROLLOUT).ok();
    }
    // Those that come and go.
    kubectl(&weft, "scale deployment web --replicas=2").ok();
    kubectl(&weft, ROLLOUT).ok();
    until(SOON, "two are left", || {
        kubectl(&weft, "get pods -o name").ok().lines().count() == 2
    });
    for one in traffic {
        one.none_has_failed();
    }
    clear(&weft);
}

#[test]
fn traffic_flows_whoever_of_weft_is_killed() {
    let Some((mut weft, urls)) = serving(3) else {
        return;
    };
    let before = identity(&weft);
    assert_eq!(before.matches(" 0 ").count(), 3, "{before}");
    let traffic = [
        Traffic::of_new_connections(&urls[0]),
        Traffic::of_kept_connections(&urls[1]),
    ];
    for _ in 0..2 {
        weft.kill_daemon();
        for url in &urls {
            assert!(answers(url), "without a server");
        }
        weft.start_daemon();
        until(SOON, "the server answers again", || {
            kubectl(&weft, "get --raw=/readyz").code == 0
        });
        kill_process(weft.spawner_pid(), Signal::KILL).unwrap();
        for url in &urls {
            assert!(answers(url), "without a spawner");
        }
    }
    until(SOON, "all are ready, and the same", || {
        identity(&weft) == before
    });
    // And there can be more of them.
    kubectl(&weft, "scale deployment web --replicas=4").ok();
    kubectl(&weft, ROLLOUT).ok();
    assert_eq!(identity(&weft).matches(" 0 ").count(), 4);
    for one in traffic {
        one.none_has_failed();
    }
    clear(&weft);
}
