//! Pods that do what they should not: hooks that never return, probes that hang, programs that are
//! not there, who does not end. Each costs itself only, and all of it can be deleted.
#![allow(clippy::unwrap_used)]

use weft_testkit::Weft;
use weft_testkit::wait::{SOON, until};

use crate::server_kubectl::{apply, cluster, kubectl};

const STAYS: &str = "[sh, -c, 'trap exit TERM; while :; do sleep 0.1; done']";
const HANGS: &str = "{ exec: { command: [sleep, '1000'] } }";

/// A pod of one container with a command; `more` are further fields of it.
fn pod(name: &str, command: &str, more: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{ name: {name} }}\nspec:\n  \
         terminationGracePeriodSeconds: 1\n  containers:\n  - {{ name: main, image: busybox, \
         imagePullPolicy: IfNotPresent, command: {command}{more} }}\n"
    )
}

/// What the only container of a pod says of itself.
fn said(weft: &Weft, pod: &str, path: &str) -> String {
    let line = format!("get pod {pod} -o jsonpath={{.status.containerStatuses[0].{path}}}");
    kubectl(weft, &line).ok().to_owned()
}

#[track_caller]
fn is_told(weft: &Weft, pod: &str, what: &str) {
    let line = format!(
        "get events --field-selector involvedObject.name={pod} -o jsonpath={{.items[*].message}}"
    );
    until(SOON, &format!("of {pod} is told: {what}"), || {
        kubectl(weft, &line).ok().contains(what)
    });
}

#[test]
fn what_hangs_or_cannot_start_costs_itself_only() {
    let Some(weft) = cluster() else { return };
    let probe = "exec: { command: [sleep, '1000'] }, timeoutSeconds: 1, periodSeconds: 1, failureThreshold: 1";
    let all = [
        pod("probed", STAYS, &format!(", livenessProbe: {{ {probe} }}")),
        pod(
            "unready",
            STAYS,
            &format!(", readinessProbe: {{ {probe} }}"),
        ),
        pod(
            "stopping",
            STAYS,
            &format!(", lifecycle: {{ preStop: {HANGS} }}"),
        ),
        pod(
            "starting",
            STAYS,
            &format!(", lifecycle: {{ postStart: {HANGS} }}"),
        ),
        pod(
            "deaf",
            "[sh, -c, \"trap '' TERM; while :; do sleep 0.1; done\"]",
            "",
        ),
        pod("absent", "[/no/such/program]", ""),
        pod("closed", "[/etc/notexecutable]", ""),
        pod("brief", "['true']", ""),
        pod("fine", STAYS, ""),
    ];
    apply(&weft, &all.concat()).ok();
    kubectl(
        &weft,
        "wait --for=condition=Ready pod/fine pod/deaf pod/stopping --timeout=60s",
    )
    .ok();
    for name in ["probed", "absent", "closed", "brief"] {
        until(SOON, &format!("{name} is started again"), || {
            said(&weft, name, "restartCount")
                .parse()
                .is_ok_and(|count: u32| count > 0)
        });
    }
    is_told(&weft, "probed", "Liveness probe failed: ");
    is_told(&weft, "probed", "timed out after 1s");
    is_told(&weft, "unready", "Readiness probe failed: ");
    is_told(&weft, "absent", "/no/such/program");
    is_told(&weft, "closed", "/etc/notexecutable");
    is_told(&weft, "brief", "Back-off restarting failed container main");
    assert_eq!(said(&weft, "unready", "ready"), "false");
    assert_eq!(said(&weft, "unready", "restartCount"), "0");
    assert_eq!(said(&weft, "fine", "restartCount"), "0");
    // Upstream's rule: who has a hook after the start does not count as running before it returns.
    assert_eq!(
        said(&weft, "starting", "state.waiting.reason"),
        "ContainerCreating"
    );
    kubectl(&weft, "delete pod --all --timeout=60s").ok();
    assert!(weft.weft(&["ps", "-aq"]).ok().is_empty());
    let files = std::fs::read_dir(weft.data_dir().join("pods")).unwrap();
    assert_eq!(files.count(), 0);
}

#[test]
fn who_has_too_much_on_disk_is_evicted_and_the_others_stay() {
    let Some(weft) = cluster() else { return };
    let writes = |mib: u32, path: &str| {
        format!("[sh, -c, 'head -c {mib}m /dev/zero > {path}; exec sleep 1000']")
    };
    let limited = ", resources: { limits: { ephemeral-storage: 4Mi } }";
    let mounted = ", volumeMounts: [{ name: v, mountPath: /v }]";
    let volume = "  volumes: [{ name: v, emptyDir: { sizeLimit: 2Mi } }]\n";
    let all = [
        pod("layer", &writes(5, "/file"), limited),
        pod("small", &writes(3, "/file"), limited),
        pod("volume", &writes(3, "/v/file"), mounted) + volume,
    ];
    apply(&weft, &all.concat()).ok();
    let told = |pod: &str, path: &str| {
        let line = format!("get pod {pod} -o jsonpath={{.status.{path}}}");
        kubectl(&weft, &line).ok().to_owned()
    };
    for (pod, what) in [
        ("layer", "the limit of its containers together is 4194304"),
        ("volume", "its sizeLimit is 2097152"),
    ] {
        until(SOON, &format!("{pod} is evicted"), || {
            told(pod, "phase") == "Failed"
        });
        assert_eq!(told(pod, "reason"), "Evicted");
        assert!(
            told(pod, "message").contains(what),
            "{}",
            told(pod, "message")
        );
        let condition = "conditions[?(@.type==\"DisruptionTarget\")].reason";
        assert_eq!(told(pod, condition), "TerminationByKubelet");
        is_told(&weft, pod, what);
        until(SOON, &format!("{pod} has ended"), || {
            !said(&weft, pod, "state.terminated").is_empty()
        });
    }
    assert_eq!(told("small", "phase"), "Running");
    kubectl(&weft, "delete pods --all").ok();
}
