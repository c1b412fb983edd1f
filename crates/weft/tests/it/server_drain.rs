//! Nodes are closed, emptied and opened, and budgets keep pods from going: beside the real kubectl.
#![allow(clippy::unwrap_used)]

use weft_testkit::wait::{SOON, until};
use weft_testkit::{Ran, Weft};

use crate::server_cli::cli;
use crate::server_kubectl::{apply, cluster, kubectl, kubectl_with_input};

#[track_caller]
fn field(weft: &Weft, what: &str, path: &str) -> String {
    let ran = kubectl(weft, &format!("get {what} -o jsonpath={{{path}}}"));
    ran.ok().to_owned()
}

/// The lines, in no order.
fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

fn deployment(replicas: u32) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{ name: web }}\nspec:\n  replicas: {replicas}\n  \
         selector: {{ matchLabels: {{ app: web }} }}\n  template:\n    metadata: {{ labels: {{ app: web }} }}\n    \
         spec:\n      terminationGracePeriodSeconds: 1\n      containers: [{{ name: c, image: busybox, \
         imagePullPolicy: IfNotPresent, command: [sleep, '1000'] }}]\n"
    )
}

fn pod(name: &str, volumes: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{ name: {name} }}\nspec:\n  terminationGracePeriodSeconds: 1\n  \
         {volumes}containers: [{{ name: c, image: busybox, imagePullPolicy: IfNotPresent, \
         command: [sleep, '1000'] }}]\n"
    )
}

fn budget(least: &str) -> String {
    format!(
        "apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {{ name: web }}\n\
         spec: {{ minAvailable: {least}, selector: {{ matchLabels: {{ app: web }} }} }}\n"
    )
}

#[track_caller]
fn until_allowed(weft: &Weft, count: &str) {
    until(SOON, &format!("{count} may go"), || {
        field(weft, "pdb web", ".status.disruptionsAllowed") == count
    });
}

/// Nothing runs any more.
#[track_caller]
fn forget(weft: &Weft) {
    kubectl(weft, "delete deployments,pods --all").ok();
    until(SOON, "nothing of them is left", || {
        weft.weft(&["ps", "-aq"]).ok().is_empty()
    });
}

/// Both say the same, in no order; their exit codes agree.
#[track_caller]
fn same(own: &Ran, theirs: &Ran) {
    assert_eq!(own.code == 0, theirs.code == 0, "{own}{theirs}");
    assert_eq!(sorted(&own.stdout), sorted(&theirs.stdout));
}

#[test]
fn a_node_is_emptied_and_its_pods_come_back_when_it_is_opened() {
    let Some(weft) = cluster() else { return };
    for line in [
        "cordon one --dry-run=client",
        "cordon one --dry-run=server",
        "cordon one",
        "cordon one",
        "uncordon one",
        "uncordon one",
        "uncordon -l nope=nope",
    ] {
        let theirs = kubectl(&weft, line);
        // Once more from where it began.
        match line {
            "cordon one" => kubectl(&weft, "uncordon one"),
            "uncordon one" => kubectl(&weft, "cordon one"),
            _ => kubectl(&weft, "get nodes"),
        }
        .ok();
        let own = cli(&weft, line);
        if !theirs.stdout.contains("already") {
            same(&own, &theirs);
        }
    }
    let again = cli(&weft, "uncordon one");
    assert_eq!(again.ok(), "node/one already uncordoned");
    cli(&weft, "drain").fails_saying(&["USAGE: drain NODE [flags]"]);
    cli(&weft, "drain one -l a=b").fails_saying(&["both a node name and a --selector"]);
    cli(&weft, "drain two").fails_saying(&["nodes \"two\" not found"]);

    apply(&weft, &deployment(2)).ok();
    kubectl(&weft, "rollout status deployment web --timeout=60s").ok();
    apply(&weft, &pod("alone", "")).ok();
    kubectl(&weft, "wait --for=condition=Ready pod/alone --timeout=60s").ok();
    let (own, theirs) = (cli(&weft, "drain one"), kubectl(&weft, "drain one"));
    assert_eq!(own.code, 1, "{own}");
    assert_eq!(theirs.code, 1, "{theirs}");
    for ran in [&own, &theirs] {
        for part in [
            "unable to drain node \"one\" due to error: cannot delete ",
            "Pods that declare no controller (use --force to override): default/alone",
            "There are pending nodes to be drained:\n one\n",
        ] {
            assert!(ran.stderr.contains(part), "{part}: {ran}");
        }
    }
    assert_eq!(own.stdout, "node/one cordoned\n");
    let tried = "drain one --force --dry-run=client";
    same(&cli(&weft, tried), &kubectl(&weft, tried));
    let tried = "drain one --force --dry-run=server --pod-selector=app=web";
    same(&cli(&weft, tried), &kubectl(&weft, tried));
    let gone = cli(&weft, "drain one --force --grace-period=1");
    let said = gone.ok();
    assert!(said.starts_with("node/one already cordoned"), "{said}");
    assert!(said.contains("evicting pod default/alone"), "{said}");
    assert!(said.contains("pod/alone evicted"), "{said}");
    assert!(said.ends_with("node/one drained"), "{said}");
    let warning = "Warning: deleting Pods that declare no controller: default/alone";
    assert!(gone.stderr.contains(warning), "{gone}");
    until(SOON, "two wait", || {
        let phases = field(&weft, "pods", ".items[*].status.phase");
        phases == "Pending Pending"
    });
    cli(&weft, "uncordon one").ok();
    kubectl(&weft, "rollout status deployment web --timeout=60s").ok();
    // The same by the real one, which evicts here, too.
    let theirs = kubectl(&weft, "drain one");
    assert!(theirs.ok().contains("evicted"), "{theirs}");
    forget(&weft);
}

#[test]
fn a_budget_keeps_pods_from_going() {
    let Some(weft) = cluster() else { return };
    apply(&weft, &deployment(1)).ok();
    let applied = apply(&weft, &budget("1"));
    assert_eq!(applied.stderr, "");
    kubectl(&weft, "rollout status deployment web --timeout=60s").ok();
    until(SOON, "it is healthy", || {
        field(&weft, "pdb web", ".status.currentHealthy") == "1"
    });
    until_allowed(&weft, "0");
    let said =
        "(will retry after 5s): Cannot evict pod as it would violate the pod's disruption budget.";
    let line = "drain one --timeout=1s";
    for ran in [cli(&weft, line), kubectl(&weft, line)] {
        assert_eq!(ran.code, 1, "{ran}");
        for part in [
            said,
            "global timeout reached: 1s",
            "There are pending pods in node \"one\"",
        ] {
            assert!(ran.stderr.contains(part), "{part}: {ran}");
        }
    }
    let name = field(&weft, "pods", ".items[0].metadata.name");
    let evict = format!("create --raw /api/v1/namespaces/default/pods/{name}/eviction -f -");
    for version in ["v1", "v1beta1"] {
        let eviction = format!(
            "{{\"apiVersion\":\"policy/{version}\",\"kind\":\"Eviction\",\"metadata\":{{\"name\":\"{name}\"}}}}"
        );
        kubectl_with_input(&weft, &evict, &eviction)
            .fails_saying(&["Cannot evict pod as it would violate the pod's disruption budget."]);
    }
    let shown = kubectl(&weft, "describe pdb web");
    for part in [
        "Allowed disruptions:  0",
        "Current:              1",
        "Desired:              1",
    ] {
        assert!(shown.ok().contains(part), "{part}: {}", shown.ok());
    }
    apply(&weft, &budget("0")).ok();
    until_allowed(&weft, "1");
    let eviction =
        "{\"apiVersion\":\"policy/v1\",\"kind\":\"Eviction\",\"metadata\":{\"name\":\"other\"}}";
    kubectl_with_input(&weft, &evict, eviction).fails_saying(&["name in URL does not match"]);
    let eviction = format!(
        "{{\"apiVersion\":\"policy/v1beta1\",\"kind\":\"Eviction\",\"metadata\":{{\"name\":\"{name}\"}}}}"
    );
    let done = kubectl_with_input(&weft, &evict, &eviction);
    assert!(done.ok().contains("\"status\":\"Success\""), "{done}");
    kubectl(
        &weft,
        &format!("wait --for=delete pod/{name} --timeout=60s"),
    )
    .ok();
    forget(&weft);
}

#[test]
fn what_would_be_lost_stays_unless_it_is_asked_for() {
    let Some(weft) = cluster() else { return };
    let daemons = "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: { name: d }\nspec:\n  \
        selector: { matchLabels: { app: d } }\n  template:\n    metadata: { labels: { app: d } }\n    spec:\n      \
        terminationGracePeriodSeconds: 1\n      containers: [{ name: c, image: busybox, \
        imagePullPolicy: IfNotPresent, command: [sleep, '1000'] }]\n";
    apply(&weft, daemons).ok();
    kubectl(&weft, "rollout status daemonset d --timeout=60s").ok();
    apply(
        &weft,
        &pod("data", "volumes: [{ name: w, emptyDir: {} }]\n  "),
    )
    .ok();
    kubectl(&weft, "wait --for=condition=Ready pod/data --timeout=60s").ok();
    for line in ["drain one --force", "drain one --force --ignore-daemonsets"] {
        for ran in [cli(&weft, line), kubectl(&weft, line)] {
            assert_eq!(ran.code, 1, "{ran}");
            let part = "cannot delete Pods with local storage (use --delete-emptydir-data to override): default/data";
            assert!(ran.stderr.contains(part), "{ran}");
            let of_daemons = "cannot delete DaemonSet-managed Pods (use --ignore-daemonsets to ignore): default/d-";
            assert_eq!(
                ran.stderr.contains(of_daemons),
                !line.contains("ignore-d"),
                "{ran}"
            );
        }
    }
    let line = "drain one --force --ignore-daemonsets --delete-emptydir-data --disable-eviction";
    let gone = cli(&weft, line);
    assert_eq!(
        sorted(gone.ok()),
        [
            "node/one already cordoned",
            "node/one drained",
            "pod/data deleted"
        ]
    );
    assert!(
        gone.stderr
            .contains("ignoring DaemonSet-managed Pods: default/d-"),
        "{gone}"
    );
    kubectl(&weft, "delete daemonset d").ok();
    forget(&weft);
}

#[test]
fn a_pod_is_bound_once() {
    let Some(weft) = cluster() else { return };
    kubectl(&weft, "cordon one").ok();
    let ours = pod("p", "schedulerName: mine\n  ");
    apply(&weft, &ours).ok();
    let bind = "create --raw /api/v1/namespaces/default/pods/p/binding -f -";
    let to = |kind: &str, node: &str| {
        format!(
            "{{\"apiVersion\":\"v1\",\"kind\":\"Binding\",\"metadata\":{{\"name\":\"p\"}},\
             \"target\":{{\"kind\":\"{kind}\",\"name\":\"{node}\"}}}}"
        )
    };
    kubectl_with_input(&weft, bind, &to("Pod", "one")).fails_saying(&["target.kind"]);
    kubectl_with_input(&weft, bind, &to("Node", "")).fails_saying(&["target.name: Required"]);
    let bound = kubectl_with_input(&weft, bind, &to("Node", "one"));
    assert!(bound.ok().contains("\"status\":\"Success\""), "{bound}");
    kubectl(
        &weft,
        "wait --for=condition=PodScheduled pod/p --timeout=60s",
    )
    .ok();
    kubectl(&weft, "wait --for=condition=Ready pod/p --timeout=60s").ok();
    let twice = kubectl_with_input(&weft, bind, &to("Node", "one"));
    twice.fails_saying(&["already assigned to node \"one\""]);
    // The older path: the pod is the one that is named.
    apply(&weft, &ours.replace("name: p", "name: q")).ok();
    let bind = "create --raw /api/v1/namespaces/default/bindings -f -";
    let to = |name: &str| to("Node", "one").replace("\"p\"", &format!("{name:?}"));
    kubectl_with_input(&weft, bind, &to("")).fails_saying(&["metadata.name: Required"]);
    kubectl_with_input(&weft, bind, &to("nobody")).fails_saying(&["pods \"nobody\" not found"]);
    kubectl_with_input(&weft, &format!("{bind} --as=ann"), &to("q"))
        .fails_saying(&["cannot create resource \"bindings\""]);
    let bound = kubectl_with_input(&weft, bind, &to("q"));
    assert!(bound.ok().contains("\"status\":\"Success\""), "{bound}");
    kubectl(&weft, "wait --for=condition=Ready pod/q --timeout=60s").ok();
    kubectl(&weft, "get bindings").fails_saying(&["MethodNotAllowed"]);
    forget(&weft);
}
