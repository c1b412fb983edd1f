//! Pods come to the API: with the token, the names and the variables that each is given, as upstream.
#![allow(clippy::unwrap_used)]

use serde_json::Value;
use weft_testkit::wait::{SOON, until};
use weft_testkit::{Ran, Weft, peer};

use crate::server_kubectl::{apply, cluster, kubectl};

const PLACE: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

const READER: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: { name: reader }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: { name: sees-pods }
rules: [{ apiGroups: [''], resources: [pods], verbs: [get, list] }]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: { name: readers }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: Role, name: sees-pods }
subjects: [{ kind: ServiceAccount, name: reader, namespace: default }]
---
apiVersion: v1
kind: ServiceAccount
metadata: { name: silent }
automountServiceAccountToken: false
";

/// A pod that has weft and kubectl; `spec` are further lines of it.
fn pod(name: &str, spec: &str) -> String {
    let (weft, kubectl) = (crate::WEFT, peer("kubectl").unwrap());
    let kubectl = kubectl.display();
    format!(
        "---
apiVersion: v1
kind: Pod
metadata: {{ name: {name}, labels: {{ app: {name} }} }}
spec:
  terminationGracePeriodSeconds: 0
{spec}
  containers:
  - name: main
    image: busybox
    imagePullPolicy: IfNotPresent
    command: [sleep, '1000']
    volumeMounts:
    - {{ name: weft, mountPath: /bin/weft, readOnly: true }}
    - {{ name: kubectl, mountPath: /bin/kubectl, readOnly: true }}
  volumes:
  - {{ name: weft, hostPath: {{ path: {weft}, type: File }} }}
  - {{ name: kubectl, hostPath: {{ path: {kubectl}, type: File }} }}
"
    )
}

#[track_caller]
fn within(weft: &Weft, pod: &str, words: &str) -> Ran {
    kubectl(weft, &format!("exec {pod} -- {words}"))
}

#[track_caller]
fn script(weft: &Weft, pod: &str, script: &str) -> Ran {
    weft.kubectl(&["exec", pod, "--", "sh", "-c", script], "")
        .unwrap()
}

#[track_caller]
fn json(weft: &Weft, line: &str) -> Value {
    serde_json::from_str(kubectl(weft, &format!("{line} -o json")).ok()).unwrap()
}

#[track_caller]
fn ready(weft: &Weft, pod: &str) {
    let line = format!("wait --for=condition=Ready pod/{pod} --timeout=60s");
    kubectl(weft, &line).ok();
}

#[test]
fn a_pod_sees_from_inside_what_its_account_may() {
    let Some(mut weft) = cluster() else { return };
    apply(&weft, READER).ok();
    let pods = [
        pod("reader", "  serviceAccountName: reader"),
        pod("other", "  enableServiceLinks: false"),
        pod(
            "user",
            "  serviceAccountName: reader\n  securityContext: { runAsUser: 1000 }",
        ),
        pod(
            "group",
            "  serviceAccountName: reader\n  securityContext: { runAsUser: 1000, runAsGroup: 1000, fsGroup: 2000 }",
        ),
        pod("host", "  serviceAccountName: reader\n  hostNetwork: true"),
    ];
    apply(&weft, &pods.concat()).ok();
    for name in ["reader", "other", "user", "group", "host"] {
        ready(&weft, name);
    }

    // What it has is upstream's.
    let reader = json(&weft, "get pod reader");
    let volume = reader["spec"]["volumes"][2].clone();
    let name = volume["name"].as_str().unwrap().to_owned();
    assert!(name.starts_with("kube-api-access-"), "{volume}");
    let mounts = &reader["spec"]["containers"][0]["volumeMounts"];
    let mount = serde_json::json!({ "name": name, "readOnly": true, "mountPath": PLACE });
    assert_eq!(mounts[2], mount);
    let owned = json(&weft, "get pod reader --show-managed-fields");
    let owned = owned["metadata"]["managedFields"].to_string();
    assert!(!owned.contains("kube-api-access"), "{owned}");
    let seen = script(
        &weft,
        "reader",
        &format!("ls {PLACE}; cat {PLACE}/namespace"),
    );
    assert_eq!(seen.ok(), "ca.crt\nnamespace\ntoken\ndefault");
    // A change of the pod adds nothing.
    kubectl(&weft, "label pod reader more=yes").ok();
    assert_eq!(json(&weft, "get pod reader")["spec"]["volumes"][2], volume);

    // All are told where the API is; and those who may list do.
    for pod in ["reader", "other", "user", "group", "host"] {
        let told = script(&weft, pod, "env | grep ^KUBERNETES_ | sort");
        let told = told.ok();
        for line in [
            "KUBERNETES_PORT=tcp://10.96.0.1:443",
            "KUBERNETES_PORT_443_TCP=tcp://10.96.0.1:443",
            "KUBERNETES_PORT_443_TCP_ADDR=10.96.0.1",
            "KUBERNETES_PORT_443_TCP_PORT=443",
            "KUBERNETES_PORT_443_TCP_PROTO=tcp",
            "KUBERNETES_SERVICE_HOST=10.96.0.1",
            "KUBERNETES_SERVICE_PORT=443",
            "KUBERNETES_SERVICE_PORT_HTTPS=443",
        ] {
            assert!(told.lines().any(|one| one == line), "{pod}: {line}\n{told}");
        }
    }
    for program in ["weft", "kubectl"] {
        let list = format!("{program} get pods -o name");
        for pod in ["reader", "user", "group"] {
            let seen = within(&weft, pod, &list);
            assert!(seen.ok().contains("pod/other"), "{pod} {program}: {seen}");
        }
        within(&weft, "other", &list).fails_saying(&[
            "Forbidden",
            "system:serviceaccount:default:default",
            "cannot list resource \"pods\"",
        ]);
    }
    // By its names.
    for name in ["", ".svc", ".svc.cluster.local"] {
        let line = format!(
            "weft --server https://kubernetes.default{name} \
             --certificate-authority {PLACE}/ca.crt --token $(cat {PLACE}/token) get pods -o name"
        );
        let seen = script(&weft, "reader", &line);
        assert!(seen.ok().contains("pod/other"), "{name}: {seen}");
    }
    // Nobody is shown the pod's token whom somebody else names.
    within(&weft, "reader", "weft --server https://10.96.0.1 get pods").fails_saying(&[]);

    // Only who runs reads the token.
    let facts = |pod: &str| {
        let line = format!("stat -L -c '%a %u %g' {PLACE}/token");
        script(&weft, pod, &line).ok().trim().to_owned()
    };
    assert_eq!(facts("reader"), "644 0 0");
    assert_eq!(facts("user"), "600 1000 0");
    assert_eq!(facts("group"), "640 1000 2000");

    // It is there again after a restart of the server, and so is what was given.
    weft.kill_daemon();
    weft.start_daemon();
    until(SOON, "the pod reaches the API again", || {
        let seen = within(&weft, "reader", "weft get pods -o name");
        seen.stdout.contains("pod/other")
    });
    // So does one in the machine's network. (Of services there it is sure while no other test runs.)
    let path = "get endpoints kubernetes -o jsonpath={.subsets[0].addresses[0].ip}:{.subsets[0].ports[0].port}";
    let address = kubectl(&weft, path);
    let line = format!(
        "weft --server https://{} --tls-server-name kubernetes --certificate-authority {PLACE}/ca.crt \
         --token $(cat {PLACE}/token) get pods -o name",
        address.ok()
    );
    let seen = script(&weft, "host", &line);
    assert!(seen.ok().contains("pod/other"), "{seen}");
    kubectl(&weft, "delete pod --all").ok();
}

#[test]
fn who_does_not_want_to_come_to_the_api_has_nothing_to_come_with() {
    let Some(weft) = cluster() else { return };
    apply(&weft, READER).ok();
    let no = "  automountServiceAccountToken: false";
    let own = format!(
        "{}  - {{ name: own, emptyDir: {{}} }}\n",
        pod("own", "").replace(
            "    volumeMounts:\n",
            &format!("    volumeMounts:\n    - {{ name: own, mountPath: {PLACE} }}\n"),
        )
    );
    let pods = [
        pod("quiet", no),
        pod("silent", "  serviceAccountName: silent"),
        own,
    ];
    apply(&weft, &pods.concat()).ok();
    for name in ["quiet", "silent", "own"] {
        ready(&weft, name);
        let made = json(&weft, &format!("get pod {name}")).to_string();
        assert!(!made.contains("kube-api-access"), "{made}");
        let found = script(&weft, name, &format!("cat {PLACE}/token"));
        found.fails_saying(&["No such file"]);
        within(&weft, name, "weft get pods").fails_saying(&[]);
    }
    // A template is as it was written; what is made of it is a pod like others.
    kubectl(&weft, "create deployment web --image=busybox -- sleep 1000").ok();
    until(SOON, "there is a pod of it", || {
        let pods = json(&weft, "get pods -l app=web");
        !pods["items"].as_array().unwrap().is_empty()
    });
    for kind in ["deployment", "replicaset"] {
        let made = json(&weft, &format!("get {kind} -l app=web")).to_string();
        assert!(!made.contains("kube-api-access"), "{made}");
    }
    let made = json(&weft, "get pods -l app=web").to_string();
    assert!(made.contains("kube-api-access"), "{made}");
    kubectl(&weft, "delete deployment web --cascade=foreground").ok();
    kubectl(&weft, "delete pod --all").ok();
}
