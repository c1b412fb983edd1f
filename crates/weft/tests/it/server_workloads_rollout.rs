//! Deployments roll out and back, as kubectl and weft see it; the test is the nodes' agent.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use weft_testkit::Weft;
use weft_testkit::wait::{SOON, until};

use crate::server_cli::{ageless, cli};
use crate::server_kubectl::{apply, kubectl, kubectl_with_input};
use crate::server_line::{Caller, server};

const PODS: &str = "/api/v1/namespaces/default/pods";
const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, annotations: { kubernetes.io/change-cause: first } }
spec:
  replicas: 4
  selector: { matchLabels: { app: web } }
  strategy: { rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } }
  template:
    metadata: { labels: { app: web } }
    spec: { containers: [{ name: c, image: 'one:1', ports: [{ containerPort: 80 }] }] }
";

/// The nodes' agent.
pub(crate) struct Agent(Caller);

impl Agent {
    pub(crate) fn pods(&self) -> Vec<Value> {
        let list = self.0.get(PODS).is(200, &[]).json();
        list["items"].as_array().unwrap().clone()
    }

    /// Runs what does not run yet; gives how many pods there were, and how many of them ready.
    pub(crate) fn run(&self) -> (usize, usize) {
        let pods = self.pods();
        let is_ready = |pod: &&Value| {
            pod["status"]["conditions"]
                .to_string()
                .contains("\"Ready\"")
        };
        let ready = pods.iter().filter(is_ready).count();
        for pod in pods.iter().filter(|pod| !is_ready(pod)) {
            let name = pod["metadata"]["name"].as_str().unwrap();
            let now = now();
            let status = json!({ "status": { "phase": "Running", "conditions": [
                { "type": "Ready", "status": "True", "lastTransitionTime": now },
            ], "containerStatuses": [{
                "name": "c", "ready": true, "restartCount": 0, "image": "x", "imageID": "", "state": { "running": { "startedAt": now } },
            }] } });
            let path = format!("{PODS}/{name}/status");
            let said = self.0.ask(
                "PATCH",
                &path,
                "application/merge-patch+json",
                status.to_string().as_bytes(),
            );
            // It may be gone by now.
            assert!(matches!(said.code, 200 | 404), "{}", said.body);
        }
        (pods.len(), ready)
    }

    /// Runs pods until `line` of kubectl says `expected`.
    #[track_caller]
    pub(crate) fn run_until(&self, weft: &Weft, line: &str, expected: &str) {
        until(SOON, &format!("{line} says {expected}"), || {
            self.run();
            kubectl(weft, line).stdout.trim() == expected
        });
    }
}

fn now() -> String {
    let now = jiff::Timestamp::from_second(weft_stdx::clock::unix_s());
    now.unwrap().to_string()
}

const DONE: &str = "deployment \"web\" successfully rolled out";

#[test]
fn a_rollout_goes_on_after_a_kill_without_a_pod_too_many() {
    let Some((mut weft, caller)) = server() else {
        return;
    };
    let agent = Agent(caller);
    let made = apply(&weft, DEPLOYMENT);
    assert_eq!(made.ok(), "deployment.apps/web created");
    assert!(!made.stderr.contains("Warning"), "{}", made.stderr);
    let status = "rollout status deployment/web --watch=false";
    agent.run_until(&weft, status, DONE);
    assert_eq!(cli(&weft, status).ok(), DONE);
    let row = kubectl(&weft, "get deploy web -o wide --no-headers");
    let row: Vec<&str> = row.ok().split_whitespace().collect();
    assert_eq!(row[..4], ["web", "4/4", "4", "4"]);
    kubectl(&weft, "set image deployment/web c=two:2").ok();
    let mut has_died = false;
    until(SOON, "it is rolled out", || {
        let (all, ready) = agent.run();
        assert!(all <= 5 && ready >= 4, "{ready} of {all}");
        let old = agent.pods();
        let old = old
            .iter()
            .filter(|pod| pod["spec"]["containers"][0]["image"] == "one:1")
            .count();
        if !has_died && (1..=2).contains(&old) {
            has_died = true;
            weft.kill_daemon();
            weft.start_daemon();
        }
        kubectl(&weft, status).stdout.trim() == DONE && old == 0
    });
    assert!(has_died);
    assert_eq!(agent.pods().len(), 4);
    let sets = kubectl(&weft, "get rs -o jsonpath={.items[*].spec.replicas}");
    let mut sets: Vec<&str> = sets.ok().split(' ').collect();
    sets.sort_unstable();
    assert_eq!(sets, ["0", "4"]);
    let told = kubectl(&weft, "describe deployment web");
    for word in [
        "Scaled up replica set web-",
        "from 0 to 1",
        "NewReplicaSetAvailable",
        "MinimumReplicasAvailable",
    ] {
        assert!(told.ok().contains(word), "{word}: {}", told.stdout);
    }
    assert_eq!(
        ageless(cli(&weft, "describe deployment web").ok()),
        ageless(kubectl(&weft, "describe deployment web").ok())
    );
}

#[test]
fn weft_sees_and_takes_back_what_kubectl_does() {
    let Some((weft, caller)) = server() else {
        return;
    };
    let agent = Agent(caller);
    apply(&weft, DEPLOYMENT).ok();
    let status = "rollout status deployment/web --watch=false";
    agent.run_until(&weft, status, DONE);
    kubectl(&weft, "set image deployment/web c=two:2").ok();
    let cause = "annotate deployment web kubernetes.io/change-cause=second --overwrite";
    kubectl(&weft, cause).ok();
    agent.run_until(&weft, status, DONE);
    // Both tell the same.
    for line in [
        "rollout history deployment/web",
        "rollout history deployment web --revision=1",
        "rollout history deployment/web --revision=2 -o jsonpath={.metadata.name}",
        "rollout history deployment/web -o name",
        "rollout status deploy web",
        "rollout status deploy/web --revision=2",
        "rollout undo deployment/web --dry-run=server",
        "rollout undo deployment/web --to-revision=2",
        "scale deployment/web --replicas=4",
        "scale deployment/web --replicas=4 --current-replicas=4",
        "scale --replicas=4 deployment --all",
        "scale --replicas=4 -l app=web rs --dry-run=server",
        "scale deployment/web --replicas=4 --timeout=5s -o name",
        "rollout pause deployment/web -o name",
        "rollout resume deployment/web",
    ] {
        let (theirs, ours) = (kubectl(&weft, line), cli(&weft, line));
        if line.contains("pause") || line.contains("resume") {
            let back = if line.contains("pause") {
                "is already paused"
            } else {
                "is not paused"
            };
            theirs.ok();
            ours.fails_saying(&[back]);
            continue;
        }
        // kubectl leaves the tabs in what it tells of a template.
        let words = |text: &str| match line.contains("--revision=1") {
            true => text.split_whitespace().collect::<Vec<_>>().join(" "),
            false => text.to_owned(),
        };
        assert_eq!(words(ours.ok()), words(theirs.ok()), "{line}");
    }
    for line in [
        "rollout status deploy/web --revision=1",
        "rollout history deployment/web --revision=7",
        "rollout undo deployment/web --to-revision=7",
        "scale deployment/web --replicas=3 --current-replicas=2",
        "scale deployment/web --replicas=-1",
        "scale deployment/web",
        "rollout pause rs/web",
        "rollout restart service/web",
        "rollout status deployment/none",
    ] {
        let (theirs, ours) = (kubectl(&weft, line), cli(&weft, line));
        assert!(
            theirs.code != 0 && ours.code != 0,
            "{line}\n{theirs}\n{ours}"
        );
    }
    let image = |weft: &Weft| {
        let line = "get deployment web -o jsonpath={.spec.template.spec.containers[0].image}";
        kubectl(weft, line).ok().to_owned()
    };
    assert_eq!(
        cli(&weft, "rollout undo deployment/web").ok(),
        "deployment.apps/web rolled back"
    );
    assert_eq!(image(&weft), "one:1");
    agent.run_until(&weft, status, DONE);
    let history = cli(&weft, "rollout history deployment/web");
    assert_eq!(
        history.ok(),
        kubectl(&weft, "rollout history deployment/web").ok()
    );
    assert!(
        history.ok().contains("3         first"),
        "{}",
        history.stdout
    );
    assert_eq!(
        kubectl(&weft, "rollout undo deployment/web").ok(),
        "deployment.apps/web rolled back"
    );
    assert_eq!(image(&weft), "two:2");
    agent.run_until(&weft, status, DONE);
    assert_eq!(
        cli(&weft, "rollout pause deployment/web").ok(),
        "deployment.apps/web paused"
    );
    cli(&weft, "rollout restart deployment/web").fails_saying(&["can't restart paused deployment"]);
    cli(&weft, "rollout undo deployment/web")
        .fails_saying(&["cannot rollback a paused deployment"]);
    assert_eq!(
        cli(&weft, "rollout resume deployment/web").ok(),
        "deployment.apps/web resumed"
    );
    assert_eq!(
        cli(&weft, "rollout restart deployment/web").ok(),
        "deployment.apps/web restarted"
    );
    agent.run_until(&weft, status, DONE);
    assert_eq!(agent.pods().len(), 4);
    assert_eq!(
        cli(&weft, "scale deploy web --replicas=2 --timeout=20s").ok(),
        "deployment.apps/web scaled"
    );
    assert_eq!(agent.pods().len(), 2);
}

#[test]
fn what_misses_its_deadline_goes_back_if_that_is_asked_for() {
    let Some((weft, caller)) = server() else {
        return;
    };
    let agent = Agent(caller);
    let asked = "annotations: { nanocloud.io/rollback-on-failure: 'true', ";
    let asked = DEPLOYMENT.replace("annotations: { ", asked);
    apply(
        &weft,
        &asked.replace(
            "  replicas: 4\n",
            "  replicas: 4\n  progressDeadlineSeconds: 2\n",
        ),
    )
    .ok();
    let status = "rollout status deployment/web --watch=false";
    agent.run_until(&weft, status, DONE);
    kubectl(&weft, "set image deployment/web c=broken:2").ok();
    let events =
        "get events --field-selector reason=DeploymentRollback -o jsonpath={.items[*].message}";
    let told =
        "Rolled back deployment \"web\" to revision 1: revision 2 missed its progress deadline";
    until(SOON, "it goes back", || kubectl(&weft, events).ok() == told);
    agent.run_until(&weft, status, DONE);
    let image = kubectl(
        &weft,
        "get deployment web -o jsonpath={.spec.template.spec.containers[0].image}",
    );
    assert_eq!(image.ok(), "one:1");
    let history = kubectl(&weft, "rollout history deployment/web");
    let revisions: Vec<&str> = history
        .ok()
        .lines()
        .skip(2)
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(revisions, ["2", "3"]);
    assert_eq!(kubectl(&weft, events).ok(), told, "once");
}

#[test]
fn who_asks_for_it_in_other_words_is_told() {
    let Some((weft, _)) = server() else {
        return;
    };
    let asked = |said: &str| {
        let asked = format!("annotations: {{ nanocloud.io/rollback-on-failure: '{said}', ");
        let made = apply(&weft, &DEPLOYMENT.replace("annotations: { ", &asked));
        made.ok();
        made.stderr
    };
    let warning = |said: &str| {
        format!(
            "Warning: metadata.annotations[nanocloud.io/rollback-on-failure]: \"{said}\" is neither \
             \"true\" nor \"false\", and taken for \"false\""
        )
    };
    assert_eq!(asked("yes").trim(), warning("yes"));
    assert_eq!(asked("false").trim(), "");
    let line = "annotate deployment web nanocloud.io/rollback-on-failure=True --overwrite";
    let changed = kubectl(&weft, line);
    changed.ok();
    assert_eq!(changed.stderr.trim(), warning("True"));
    assert_eq!(asked("true").trim(), "");
}

const DAEMONS: &str = "
apiVersion: v1
kind: Node
metadata: { name: one }
status: { allocatable: { cpu: '4', memory: 4Gi, pods: '10' } }
---
apiVersion: v1
kind: Node
metadata: { name: two }
status: { allocatable: { cpu: '4', memory: 4Gi, pods: '10' } }
---
apiVersion: apps/v1
kind: DaemonSet
metadata: { name: agent }
spec:
  selector: { matchLabels: { app: agent } }
  template:
    metadata: { labels: { app: agent } }
    spec: { terminationGracePeriodSeconds: 0, containers: [{ name: c, image: 'one:1' }] }
---
apiVersion: apps/v1
kind: StatefulSet
metadata: { name: db }
spec:
  replicas: 2
  serviceName: db
  selector: { matchLabels: { app: db } }
  template:
    metadata: { labels: { app: db } }
    spec: { terminationGracePeriodSeconds: 0, containers: [{ name: c, image: 'one:1' }] }
";

#[test]
fn sets_with_revisions_roll_out_and_back() {
    let Some((weft, caller)) = server() else {
        return;
    };
    let agent = Agent(caller);
    let made = kubectl_with_input(&weft, "create -f -", DAEMONS);
    made.ok();
    assert!(
        !made.stderr.contains("sets.apps are stored"),
        "{}",
        made.stderr
    );
    let done = |name: &str| match name {
        "ds/agent" => "daemon set \"agent\" successfully rolled out",
        _ => "partitioned roll out complete: 2 new pods have been updated...",
    };
    let image = |name: &str| {
        let line = format!("get {name} -o jsonpath={{.spec.template.spec.containers[0].image}}");
        kubectl(&weft, &line).ok().to_owned()
    };
    for name in ["ds/agent", "sts/db"] {
        let status = format!("rollout status {name} --watch=false");
        agent.run_until(&weft, &status, done(name));
        assert_eq!(cli(&weft, &status).ok(), done(name));
        kubectl(&weft, &format!("set image {name} c=two:2")).ok();
        agent.run_until(&weft, &status, done(name));
        let history = format!("rollout history {name}");
        assert_eq!(cli(&weft, &history).ok(), kubectl(&weft, &history).ok());
        let undo = format!("rollout undo {name}");
        assert!(cli(&weft, &undo).ok().ends_with("rolled back"));
        assert_eq!(image(name), "one:1");
        agent.run_until(&weft, &status, done(name));
        assert!(kubectl(&weft, &undo).ok().ends_with("rolled back"));
        assert_eq!(image(name), "two:2");
        agent.run_until(&weft, &status, done(name));
        assert_eq!(cli(&weft, &history).ok(), kubectl(&weft, &history).ok());
        assert!(
            cli(&weft, &format!("rollout restart {name}"))
                .ok()
                .ends_with("restarted")
        );
        agent.run_until(&weft, &status, done(name));
    }
    assert_eq!(agent.pods().len(), 4);
    let nodes = kubectl(
        &weft,
        "get pods -l app=agent -o jsonpath={.items[*].spec.nodeName}",
    );
    let mut nodes: Vec<&str> = nodes.ok().split(' ').collect();
    nodes.sort_unstable();
    assert_eq!(nodes, ["one", "two"]);
}
