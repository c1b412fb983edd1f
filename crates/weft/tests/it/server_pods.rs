//! Pods run: from a manifest to processes on the machine, and what becomes of them.
#![allow(clippy::unwrap_used)]

use weft_testkit::Weft;
use weft_testkit::wait::{SOON, until};

use crate::server_kubectl::{apply, cluster, kubectl};

/// The answer to `get <what> -o jsonpath={<path>}`.
#[track_caller]
fn field(weft: &Weft, what: &str, path: &str) -> String {
    let ran = kubectl(weft, &format!("get {what} -o jsonpath={{{path}}}"));
    ran.ok().to_owned()
}

#[track_caller]
fn becomes(weft: &Weft, what: &str, path: &str, value: &str) {
    until(SOON, &format!("{what} {path} is {value:?}"), || {
        field(weft, what, path) == value
    });
}

/// A pod of one container, which runs `script`; `more` are further lines of the container, `spec` of
/// the pod.
fn pod(name: &str, script: &str, more: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{ name: {name} }}\nspec:\n  \
         terminationGracePeriodSeconds: 1\n{spec}  containers:\n  - name: main\n    image: busybox\n    \
         imagePullPolicy: IfNotPresent\n    command: [sh, -c, {script:?}]\n{more}"
    )
}

/// The engine's id of the pod's container.
#[track_caller]
fn container(weft: &Weft, pod: &str) -> String {
    let id = field(
        weft,
        &format!("pod {pod}"),
        ".status.containerStatuses[0].containerID",
    );
    id.strip_prefix("weft://").unwrap_or_default().to_owned()
}

/// What the events about a pod say.
#[track_caller]
fn told(weft: &Weft, pod: &str) -> String {
    let line = format!(
        "get events --field-selector involvedObject.name={pod} -o jsonpath={{.items[*].message}}"
    );
    kubectl(weft, &line).ok().to_owned()
}

#[track_caller]
fn is_told(weft: &Weft, pod: &str, what: &str) {
    until(SOON, &format!("of {pod} is told: {what}"), || {
        told(weft, pod).contains(what)
    });
}

#[test]
fn a_pod_runs_with_what_it_refers_to_and_leaves_nothing() {
    let Some(weft) = cluster() else { return };
    let map = |text: &str| {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: conf }}\ndata: {{ greeting: hello, file: {text} }}\n"
        )
    };
    apply(&weft, &map("before")).ok();
    let secret =
        "apiVersion: v1\nkind: Secret\nmetadata: { name: word }\nstringData: { pass: s3cret }\n";
    apply(&weft, secret).ok();
    let more = "    env:\n    - { name: GREETING, valueFrom: { configMapKeyRef: { name: conf, key: greeting } } }\n    \
                - { name: PASS, valueFrom: { secretKeyRef: { name: word, key: pass } } }\n    \
                - { name: IP, valueFrom: { fieldRef: { fieldPath: status.podIP } } }\n    \
                - { name: BOTH, value: $(GREETING)-$(PASS)-$$(IP) }\n    \
                volumeMounts:\n    - { name: conf, mountPath: /conf }\n    - { name: work, mountPath: /scratch }\n";
    let spec = "  volumes:\n  - { name: conf, configMap: { name: conf } }\n  - { name: work, emptyDir: {} }\n";
    let script = "echo $BOTH $IP; hostname; cat /conf/file; touch /scratch/x; exec sleep 1000";
    apply(&weft, &pod("web", script, more, spec)).ok();
    kubectl(&weft, "wait --for=condition=Ready pod/web --timeout=60s").ok();
    let id = container(&weft, "web");
    let ip = field(&weft, "pod web", ".status.podIP");
    let log = weft.weft(&["logs", &id]);
    assert_eq!(log.ok(), format!("hello-s3cret-$(IP) {ip}\nweb\nbefore"));
    assert_eq!(field(&weft, "pod web", ".spec.nodeName"), "one");
    assert_eq!(field(&weft, "pod web", ".status.phase"), "Running");

    // What it refers to changes: its files do, while it runs.
    apply(&weft, &map("after")).ok();
    until(SOON, "the file has changed", || {
        weft.weft(&["exec", &id, "cat", "/conf/file"]).ok() == "after"
    });
    assert_eq!(container(&weft, "web"), id);

    let directory = weft.data_dir().join("pods");
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1);
    kubectl(&weft, "delete pod web").ok();
    assert!(weft.weft(&["ps", "-aq"]).ok().is_empty());
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0);
}

#[test]
fn pods_run_on_when_their_server_is_killed() {
    let Some(mut weft) = cluster() else { return };
    apply(&weft, &pod("web", "exec sleep 1000", "", "")).ok();
    apply(
        &weft,
        &pod("brief", "sleep 1", "", "  restartPolicy: Never\n"),
    )
    .ok();
    kubectl(&weft, "wait --for=condition=Ready pod/web --timeout=60s").ok();
    let (id, ip) = (
        container(&weft, "web"),
        field(&weft, "pod web", ".status.podIP"),
    );
    let pid = weft
        .weft(&["inspect", "-f", "{{.State.Pid}}", &id])
        .ok()
        .to_owned();
    weft.kill_daemon();
    weft.start_daemon();
    // One that ended meanwhile is noticed, one that ran runs on: the very same process.
    becomes(&weft, "pod brief", ".status.phase", "Succeeded");
    let now = weft.weft(&["inspect", "-f", "{{.State.Pid}}", &id]);
    assert_eq!(now.ok(), pid);
    assert_eq!(container(&weft, "web"), id);
    assert_eq!(
        field(
            &weft,
            "pod web",
            ".status.containerStatuses[0].restartCount"
        ),
        "0"
    );
    assert_eq!(field(&weft, "pod web", ".status.podIP"), ip);

    // A container that is made after it finds the network of those before.
    weft.weft(&["kill", &id]).ok();
    becomes(
        &weft,
        "pod web",
        ".status.containerStatuses[0].restartCount",
        "1",
    );
    kubectl(&weft, "wait --for=condition=Ready pod/web --timeout=60s").ok();
    assert_eq!(field(&weft, "pod web", ".status.podIP"), ip);
    kubectl(&weft, "delete pod web brief").ok();
}

#[test]
fn what_is_deleted_while_the_server_is_away_is_ended_when_it_comes_back() {
    let Some(mut weft) = cluster() else { return };
    apply(&weft, &pod("web", "exec sleep 1000", "", "")).ok();
    kubectl(&weft, "wait --for=condition=Ready pod/web --timeout=60s").ok();
    // By force: the object is gone at once, and the container with the next look.
    kubectl(&weft, "delete pod web --force --grace-period=0").ok();
    weft.kill_daemon();
    weft.start_daemon();
    until(SOON, "nothing of it runs", || {
        weft.weft(&["ps", "-aq"]).ok().is_empty()
    });
    until(SOON, "nothing of it is left", || {
        std::fs::read_dir(weft.data_dir().join("pods"))
            .unwrap()
            .count()
            == 0
    });
}

#[test]
fn init_containers_come_first_and_sidecars_stay() {
    let Some(weft) = cluster() else { return };
    let init = |name: &str, script: &str, more: &str| {
        format!(
            "  - name: {name}\n    image: busybox\n    imagePullPolicy: IfNotPresent\n    command: [sh, -c, {script:?}]\n    \
             volumeMounts: [{{ name: w, mountPath: /w }}]\n{more}"
        )
    };
    let spec = format!(
        "  restartPolicy: Never\n  volumes: [{{ name: w, emptyDir: {{ medium: Memory }} }}]\n  initContainers:\n{}{}{}",
        init("first", "echo first >> /w/order", ""),
        init(
            "side",
            "echo side >> /w/order; trap exit TERM; while :; do sleep 0.1; done",
            "    restartPolicy: Always\n"
        ),
        init("last", "echo last >> /w/order", ""),
    );
    let script = "cat /w/order; echo done > /dev/termination-log; exit 4";
    let more = "    volumeMounts: [{ name: w, mountPath: /w }]\n";
    apply(&weft, &pod("both", script, more, &spec)).ok();
    becomes(&weft, "pod both", ".status.phase", "Failed");
    let ended = ".status.containerStatuses[0].state.terminated";
    assert_eq!(field(&weft, "pod both", &format!("{ended}.exitCode")), "4");
    assert_eq!(
        field(&weft, "pod both", &format!("{ended}.message")),
        "done"
    );
    let log = weft.weft(&["logs", &container(&weft, "both")]);
    assert_eq!(log.ok(), "first\nside\nlast");
    let inits = field(
        &weft,
        "pod both",
        ".status.initContainerStatuses[*].state.terminated.reason",
    );
    assert!(inits.starts_with("Completed"), "{inits}");
    kubectl(&weft, "delete pod both").ok();
}

#[test]
fn probes_say_how_well_a_container_is() {
    let Some(weft) = cluster() else { return };
    // It is started, then unwell until its file is gone; ready while another one is there.
    let more = "    startupProbe: { exec: { command: [test, -e, /started] }, periodSeconds: 1, failureThreshold: 60 }\n    \
                livenessProbe: { exec: { command: [sh, -c, 'test ! -e /sick || { echo sick; false; }'] }, periodSeconds: 1, failureThreshold: 1 }\n    \
                readinessProbe: { httpGet: { port: web, path: /ready }, periodSeconds: 1, failureThreshold: 1 }\n    \
                ports: [{ name: web, containerPort: 8080 }]\n";
    let script = "mkdir -p /www; touch /started; httpd -p 8080 -h /www; exec sleep 1000";
    apply(&weft, &pod("web", script, more, "")).ok();
    becomes(
        &weft,
        "pod web",
        ".status.containerStatuses[0].started",
        "true",
    );
    assert_eq!(
        field(&weft, "pod web", ".status.containerStatuses[0].ready"),
        "false"
    );
    is_told(
        &weft,
        "web",
        "Readiness probe failed: HTTP probe failed with statuscode: 404",
    );
    let id = container(&weft, "web");
    weft.weft(&["exec", &id, "touch", "/www/ready"]).ok();
    kubectl(&weft, "wait --for=condition=Ready pod/web --timeout=60s").ok();
    weft.weft(&["exec", &id, "rm", "/www/ready"]).ok();
    kubectl(
        &weft,
        "wait --for=condition=Ready=false pod/web --timeout=60s",
    )
    .ok();
    weft.weft(&["exec", &id, "touch", "/sick"]).ok();
    becomes(
        &weft,
        "pod web",
        ".status.containerStatuses[0].restartCount",
        "1",
    );
    is_told(&weft, "web", "Liveness probe failed: sick");
    is_told(&weft, "web", "failed liveness probe, will be restarted");
    kubectl(&weft, "delete pod web").ok();
}

#[test]
fn what_cannot_run_says_why() {
    let Some(weft) = cluster() else { return };
    let waiting = ".status.containerStatuses[0].state.waiting.reason";
    apply(&weft, &pod("crash", "exit 3", "", "")).ok();
    let more = "    envFrom: [{ configMapRef: { name: late } }]\n";
    apply(&weft, &pod("early", "exec sleep 1000", more, "")).ok();
    let volume = "  volumes: [{ name: v, secret: { secretName: nowhere } }]\n";
    apply(&weft, &pod("mount", "exec sleep 1000", "", volume)).ok();
    let image = pod("image", "true", "", "").replace("busybox", "127.0.0.1:1/none:1");
    apply(&weft, &image).ok();
    apply(
        &weft,
        &pod("command", "", "", "").replace("sh, -c", "nothere"),
    )
    .ok();
    apply(
        &weft,
        &pod(
            "shared",
            "exec sleep 1000",
            "",
            "  shareProcessNamespace: true\n",
        ),
    )
    .ok();

    becomes(&weft, "pod crash", waiting, "CrashLoopBackOff");
    let last = ".status.containerStatuses[0].lastState.terminated.exitCode";
    assert_eq!(field(&weft, "pod crash", last), "3");
    is_told(
        &weft,
        "crash",
        "Back-off restarting failed container main in pod crash_default",
    );
    becomes(&weft, "pod early", waiting, "CreateContainerConfigError");
    is_told(&weft, "early", "Error: configmap \"late\" not found");
    is_told(&weft, "mount", "secret \"nowhere\" not found");
    is_told(
        &weft,
        "image",
        "Failed to pull image \"127.0.0.1:1/none:1\"",
    );
    is_told(&weft, "command", "find the program nothere in PATH");
    becomes(&weft, "pod shared", ".status.phase", "Failed");
    is_told(
        &weft,
        "shared",
        "this node does not support spec.shareProcessNamespace: leave it out",
    );

    // What was missing comes, and it runs without anybody's help.
    kubectl(&weft, "create configmap late --from-literal=a=b").ok();
    kubectl(&weft, "wait --for=condition=Ready pod/early --timeout=60s").ok();
    kubectl(&weft, "delete pod --all").ok();
    assert!(weft.weft(&["ps", "-aq"]).ok().is_empty());
}
