//! Pods: what they become, what is refused, and what may change.

use serde_json::{Value, json};

use super::super::testing::{cells, each_is_refused, made, object, with, wrong, wrong_change};
use super::kind;

fn pod() -> Value {
    json!({
        "metadata": { "name": "web", "namespace": "default" },
        "spec": {
            "containers": [{
                "name": "web",
                "image": "nginx",
                "ports": [{ "containerPort": 80, "name": "http" }],
                "env": [{ "name": "A", "value": "b" }],
                "volumeMounts": [{ "name": "data", "mountPath": "/data" }],
            }],
            "volumes": [{ "name": "data" }],
        },
    })
}

#[test]
fn a_minimal_pod_becomes_what_kubernetes_makes_of_it() {
    let manifest = json!({
        "metadata": { "name": "web" },
        "spec": {
            "containers": [{
                "name": "web",
                "image": "nginx",
                "resources": { "limits": { "cpu": 1, "memory": "1024Mi" } },
                "ports": [{ "containerPort": 80 }],
                "livenessProbe": { "httpGet": { "port": 80 } },
                "env": [{ "name": "N", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } }],
            }],
            "volumes": [
                { "name": "a" },
                { "name": "b", "configMap": { "name": "c" } },
                { "name": "h", "hostPath": { "path": "/x" } },
                { "name": "p", "projected": { "sources": [
                    { "serviceAccountToken": { "path": "token" } },
                ] } },
            ],
        },
    });
    let tolerates = |taint: &str| {
        json!({ "key": taint, "operator": "Exists", "effect": "NoExecute",
                "tolerationSeconds": 300 })
    };
    let expected = json!({
        "metadata": { "name": "web", "uid": super::super::testing::ID },
        "spec": {
            "containers": [{
                "name": "web",
                "image": "nginx",
                "imagePullPolicy": "Always",
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
                "resources": {
                    "limits": { "cpu": "1", "memory": "1Gi" },
                    "requests": { "cpu": "1", "memory": "1Gi" },
                },
                "ports": [{ "containerPort": 80, "protocol": "TCP" }],
                "livenessProbe": {
                    "httpGet": { "port": 80, "path": "/", "scheme": "HTTP" },
                    "timeoutSeconds": 1, "periodSeconds": 10,
                    "successThreshold": 1, "failureThreshold": 3,
                },
                "env": [{ "name": "N", "valueFrom": { "fieldRef": {
                    "apiVersion": "v1", "fieldPath": "metadata.name",
                } } }],
            }],
            "volumes": [
                { "name": "a", "emptyDir": {} },
                { "name": "b", "configMap": { "name": "c", "defaultMode": 420 } },
                { "name": "h", "hostPath": { "path": "/x", "type": "" } },
                { "name": "p", "projected": { "defaultMode": 420, "sources": [
                    { "serviceAccountToken": { "path": "token", "expirationSeconds": 3600 } },
                ] } },
            ],
            "restartPolicy": "Always",
            "dnsPolicy": "ClusterFirst",
            "schedulerName": "default-scheduler",
            "terminationGracePeriodSeconds": 30,
            "securityContext": {},
            "serviceAccountName": "default",
            "serviceAccount": "default",
            "enableServiceLinks": true,
            "tolerations": [
                tolerates("node.kubernetes.io/not-ready"),
                tolerates("node.kubernetes.io/unreachable"),
            ],
        },
        "status": { "phase": "Pending", "qosClass": "Guaranteed" },
    });
    assert_eq!(Value::Object(made(&kind(), manifest).0), expected);
}

#[test]
fn defaults_do_not_undo_what_a_patch_did() {
    let mut pod = made(&kind(), pod());
    pod.set_meta("resourceVersion", Some("7".into()));
    let spec = pod.0["spec"].as_object_mut().unwrap();
    spec.remove("tolerations");
    spec.remove("priority");
    spec.insert("serviceAccountName".into(), "other".into());
    (kind().default)(&mut pod);
    assert!(pod.at(&["spec", "tolerations"]).is_none() && pod.at(&["spec", "priority"]).is_none());
    assert_eq!(pod.text(&["spec", "serviceAccount"]), Some("other"));
}

#[test]
fn defaults_leave_what_is_of_the_wrong_type() {
    for spec in [
        json!(5),
        json!({ "containers": "a" }),
        json!({ "containers": [5, { "ports": {}, "resources": 1, "env": [[]], "livenessProbe": "x" }] }),
        json!({ "containers": [], "volumes": [null, { "projected": { "sources": [1] } }] }),
        json!({ "tolerations": 5, "securityContext": "x", "serviceAccountName": 5 }),
        json!({ "containers": [{ "resources": { "limits": 5, "requests": "x" } }] }),
    ] {
        let manifest = json!({ "metadata": { "name": "a" }, "spec": spec, "status": "x" });
        made(&kind(), manifest);
    }
}

#[test]
fn containers_that_cannot_be_meant_are_refused() {
    let container = "/spec/containers/0";
    let at = |field: &str| format!("{container}/{field}");
    let two =
        json!([{ "containerPort": 80, "hostPort": 80 }, { "containerPort": 81, "hostPort": 80 }]);
    let rules = [
        (
            "name",
            json!("Web"),
            "spec.containers[0].name: Invalid value: \"Web\": a lowercase RFC 1123 label",
        ),
        ("name", json!(""), "spec.containers[0].name: Required value"),
        (
            "image",
            json!(null),
            "spec.containers[0].image: Required value",
        ),
        (
            "image",
            json!(" x"),
            "spec.containers[0].image: Invalid value: \" x\": must not have leading",
        ),
        (
            "imagePullPolicy",
            json!("Maybe"),
            "spec.containers[0].imagePullPolicy: Unsupported value: \"Maybe\": supported values: \"Always\", \"IfNotPresent\", \"Never\"",
        ),
        (
            "restartPolicy",
            json!("Always"),
            "spec.containers[0].restartPolicy: Forbidden: may not be set for non-init",
        ),
        (
            "ports/0/containerPort",
            json!(70000),
            "spec.containers[0].ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535",
        ),
        (
            "ports/0/containerPort",
            json!(0),
            "spec.containers[0].ports[0].containerPort: Required value",
        ),
        (
            "ports/0/protocol",
            json!("ICMP"),
            "spec.containers[0].ports[0].protocol: Unsupported value",
        ),
        (
            "ports/0/name",
            json!("80"),
            "spec.containers[0].ports[0].name: Invalid value",
        ),
        (
            "ports/-",
            json!({ "containerPort": 81, "name": "http" }),
            "spec.containers[0].ports[1].name: Duplicate value: \"http\"",
        ),
        (
            "ports",
            two,
            "spec.containers[0].ports[1].hostPort: Duplicate value: \"TCP//80\"",
        ),
        (
            "env/0/name",
            json!("a=b"),
            "spec.containers[0].env[0].name: Invalid value: \"a=b\"",
        ),
        (
            "env/0/valueFrom",
            json!({}),
            "spec.containers[0].env[0].valueFrom: Invalid value: \"\": must specify one of",
        ),
        (
            "env/0",
            json!({ "name": "A", "valueFrom": { "secretKeyRef": { "name": "a", "key": "b" }, "configMapKeyRef": { "name": "a", "key": "b" } } }),
            "spec.containers[0].env[0].valueFrom: Invalid value: \"\": may not have more than one",
        ),
        (
            "env/0",
            json!({ "name": "A", "valueFrom": { "fieldRef": { "fieldPath": "spec.nope" } } }),
            "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Unsupported value",
        ),
        (
            "env/0",
            json!({ "name": "A", "value": "x", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } }),
            "spec.containers[0].env[0].valueFrom: Invalid value: \"\": may not be specified when `value`",
        ),
        (
            "envFrom",
            json!([{}]),
            "spec.containers[0].envFrom[0]: Invalid value: \"\": must specify one of",
        ),
        (
            "volumeMounts/0/name",
            json!("other"),
            "spec.containers[0].volumeMounts[0].name: Not found: \"other\"",
        ),
        (
            "volumeMounts/0/mountPath",
            json!(""),
            "spec.containers[0].volumeMounts[0].mountPath: Required value",
        ),
        (
            "volumeMounts/0/subPath",
            json!("a/../b"),
            "spec.containers[0].volumeMounts[0].subPath: Invalid value: \"a/../b\": must not contain '..'",
        ),
        (
            "volumeMounts/-",
            json!({ "name": "data", "mountPath": "/data" }),
            "spec.containers[0].volumeMounts[1].mountPath: Invalid value: \"/data\": must be unique",
        ),
        (
            "livenessProbe",
            json!({}),
            "spec.containers[0].livenessProbe: Required value: must specify a handler type",
        ),
        (
            "livenessProbe",
            json!({ "exec": { "command": ["a"] }, "tcpSocket": { "port": 1 } }),
            "spec.containers[0].livenessProbe.tcpSocket: Forbidden: may not specify more than 1",
        ),
        (
            "livenessProbe",
            json!({ "exec": { "command": ["a"] }, "successThreshold": 2 }),
            "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
        ),
        (
            "readinessProbe",
            json!({ "httpGet": { "port": 0 } }),
            "spec.containers[0].readinessProbe.httpGet.port: Invalid value: 0: must be between",
        ),
        (
            "lifecycle",
            json!({ "preStop": { "sleep": { "seconds": 31 } } }),
            "spec.containers[0].lifecycle.preStop.sleep.seconds: Invalid value: 31",
        ),
        (
            "resources",
            json!({ "limits": { "cpu": "many" } }),
            "spec.containers[0].resources.limits[cpu]: Invalid value: \"many\": quantities must match",
        ),
        (
            "resources",
            json!({ "limits": { "cpu": "-1" } }),
            "spec.containers[0].resources.limits[cpu]: Invalid value: \"-1\": must be greater than or equal to 0",
        ),
        (
            "resources",
            json!({ "limits": { "cpu": "1" }, "requests": { "cpu": "2" } }),
            "spec.containers[0].resources.requests[cpu]: Invalid value: \"2\": must be less than or equal to cpu limit of 1",
        ),
        (
            "resources",
            json!({ "limits": { "gpus": "1" } }),
            "spec.containers[0].resources.limits[gpus]: Invalid value: \"1\": must be a standard resource type or fully qualified",
        ),
        (
            "resources",
            json!({ "limits": { "a.b/gpu": "1500m" } }),
            "spec.containers[0].resources.limits[a.b/gpu]: Invalid value: \"1500m\": must be an integer",
        ),
        (
            "resources",
            json!({ "requests": { "a.b/gpu": "1" } }),
            "spec.containers[0].resources.limits: Required value: Limit must be set",
        ),
        (
            "resources",
            json!({ "claims": [{ "name": "x" }] }),
            "spec.containers[0].resources.claims[0].name: Not found: \"x\"",
        ),
        (
            "securityContext",
            json!({ "runAsUser": -1 }),
            "spec.containers[0].securityContext.runAsUser: Invalid value: -1: must be between 0 and",
        ),
        (
            "securityContext",
            json!({ "privileged": true, "allowPrivilegeEscalation": false }),
            "spec.containers[0].securityContext: Invalid value",
        ),
        (
            "securityContext",
            json!({ "seccompProfile": { "type": "Localhost" } }),
            "spec.containers[0].securityContext.seccompProfile.localhostProfile: Required value",
        ),
    ];
    let table: Vec<_> = rules
        .into_iter()
        .map(|(field, value, told)| (at(field), value, told))
        .collect();
    let table: Vec<_> = table
        .iter()
        .map(|(at, value, told)| (at.as_str(), value.clone(), *told))
        .collect();
    each_is_refused(&kind(), &pod(), &table);
    each_is_refused(
        &kind(),
        &pod(),
        &[
            (
                "/spec/containers/-",
                json!({ "name": "web", "image": "x" }),
                "spec.containers[1].name: Duplicate value: \"web\"",
            ),
            (
                "/spec/initContainers",
                json!([{ "name": "i", "image": "x", "livenessProbe": {} }]),
                "spec.initContainers[0].livenessProbe: Forbidden: may not be set for init containers",
            ),
            (
                "/spec/containers",
                json!([]),
                "spec.containers: Required value",
            ),
            (
                "/spec/ephemeralContainers",
                json!([{ "name": "d", "image": "x" }]),
                "spec.ephemeralContainers: Forbidden: cannot be set on create",
            ),
        ],
    );
}

#[test]
fn pods_that_cannot_be_meant_are_refused() {
    let term = |expression: Value| {
        json!({ "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": {
            "nodeSelectorTerms": [{ "matchExpressions": [expression] }],
        } } })
    };
    each_is_refused(
        &kind(),
        &pod(),
        &[
            (
                "/spec/volumes/-",
                json!({ "name": "data" }),
                "spec.volumes[1].name: Duplicate value: \"data\"",
            ),
            (
                "/spec/volumes/0/name",
                json!("Data"),
                "spec.volumes[0].name: Invalid value",
            ),
            (
                "/spec/volumes/0",
                json!({ "name": "data", "emptyDir": {}, "secret": { "secretName": "x" } }),
                "spec.volumes[0].secret: Forbidden: may not specify more than 1 volume type",
            ),
            (
                "/spec/volumes/0/emptyDir",
                json!({ "medium": "Paper" }),
                "spec.volumes[0].emptyDir.medium: Unsupported value",
            ),
            (
                "/spec/volumes/0/emptyDir",
                json!({ "sizeLimit": "-1Gi" }),
                "spec.volumes[0].emptyDir.sizeLimit: Invalid value",
            ),
            (
                "/spec/volumes/0/hostPath",
                json!({ "path": "/a/../b" }),
                "spec.volumes[0].hostPath.path: Invalid value: \"/a/../b\": must not contain '..'",
            ),
            (
                "/spec/volumes/0/configMap",
                json!({ "name": "a", "defaultMode": 512 }),
                "spec.volumes[0].configMap.defaultMode: Invalid value: 512: must be a number between 0 and 0777",
            ),
            (
                "/spec/volumes/0/secret",
                json!({ "secretName": "a", "items": [{ "key": "k", "path": "/x" }] }),
                "spec.volumes[0].secret.items[0].path: Invalid value: \"/x\": must be a relative path",
            ),
            (
                "/spec/volumes/0/projected",
                json!({ "sources": [{}] }),
                "spec.volumes[0].projected.sources[0]: Required value",
            ),
            (
                "/spec/volumes/0/downwardAPI",
                json!({ "items": [{ "path": "a" }] }),
                "spec.volumes[0].downwardAPI.items[0].fieldRef: Required value",
            ),
            (
                "/spec/volumes/0/persistentVolumeClaim",
                json!({ "claimName": "" }),
                "spec.volumes[0].persistentVolumeClaim.claimName: Required value",
            ),
            (
                "/spec/restartPolicy",
                json!("Sometimes"),
                "spec.restartPolicy: Unsupported value: \"Sometimes\"",
            ),
            (
                "/spec/dnsPolicy",
                json!("None"),
                "spec.dnsConfig: Required value: must provide `dnsConfig`",
            ),
            (
                "/spec/dnsConfig",
                json!({ "nameservers": ["a"] }),
                "spec.dnsConfig.nameservers[0]: Invalid value: \"a\": must be a valid IP",
            ),
            (
                "/spec/activeDeadlineSeconds",
                json!(0),
                "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and",
            ),
            (
                "/spec/terminationGracePeriodSeconds",
                json!(-1),
                "spec.terminationGracePeriodSeconds: Invalid value: -1: must be greater",
            ),
            (
                "/spec/hostname",
                json!("a.b"),
                "spec.hostname: Invalid value: \"a.b\"",
            ),
            (
                "/spec/nodeSelector",
                json!({ "-": "a" }),
                "spec.nodeSelector: Invalid value: \"-\"",
            ),
            (
                "/spec/serviceAccountName",
                json!("A"),
                "spec.serviceAccountName: Invalid value",
            ),
            (
                "/spec/hostAliases",
                json!([{ "ip": "x", "hostnames": ["a"] }]),
                "spec.hostAliases[0].ip: Invalid value",
            ),
            (
                "/spec/tolerations",
                json!([{ "key": "a", "operator": "Exists", "value": "b" }]),
                "spec.tolerations[0].operator: Invalid value: \"Exists\": value must be empty",
            ),
            (
                "/spec/tolerations",
                json!([{ "operator": "Equal" }]),
                "spec.tolerations[0].operator: Invalid value: \"Equal\": operator must be Exists when `key` is empty",
            ),
            (
                "/spec/tolerations",
                json!([{ "key": "a", "tolerationSeconds": 1 }]),
                "spec.tolerations[0].effect: Invalid value: \"\": effect must be 'NoExecute'",
            ),
            (
                "/spec/topologySpreadConstraints",
                json!([{ "maxSkew": 0, "topologyKey": "a", "whenUnsatisfiable": "DoNotSchedule" }]),
                "spec.topologySpreadConstraints[0].maxSkew: Invalid value: 0: must be greater than zero",
            ),
            (
                "/spec/topologySpreadConstraints",
                json!([{ "maxSkew": 1, "topologyKey": "", "whenUnsatisfiable": "Never" }]),
                "spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value",
            ),
            (
                "/spec/affinity",
                term(json!({ "key": "a", "operator": "In" })),
                "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].values: Required value: must be specified when `operator` is 'In'",
            ),
            (
                "/spec/affinity",
                term(json!({ "key": "a", "operator": "Near" })),
                "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0].matchExpressions[0].operator: Invalid value: \"Near\": not a valid selector operator",
            ),
            (
                "/spec/affinity",
                json!({ "podAntiAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": [{ "weight": 101, "podAffinityTerm": { "topologyKey": "" } }] } }),
                "spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value: 101: must be in the range 1-100",
            ),
            (
                "/spec/securityContext",
                json!({ "fsGroup": -1 }),
                "spec.securityContext.fsGroup: Invalid value: -1",
            ),
            (
                "/spec/securityContext",
                json!({ "sysctls": [{ "name": "A", "value": "" }] }),
                "spec.securityContext.sysctls[0].name: Invalid value: \"A\"",
            ),
        ],
    );
    let on_host = with(&pod(), "/spec/hostNetwork", json!(true));
    each_is_refused(
        &kind(),
        &on_host,
        &[
            (
                "/spec/containers/0/ports/0/hostPort",
                json!(81),
                "spec.containers[0].ports[0].hostPort: Invalid value: 81: must match `containerPort`",
            ),
            (
                "/spec/securityContext",
                json!({ "sysctls": [{ "name": "net.a", "value": "" }] }),
                "spec.securityContext.sysctls[0].name: Invalid value: \"net.a\": may not be specified when 'hostNetwork'",
            ),
            (
                "/spec/hostUsers",
                json!(false),
                "spec.hostNetwork: Forbidden: when `hostUsers` is false",
            ),
        ],
    );
}

#[test]
fn all_mistakes_are_told_at_once_but_not_without_bound() {
    let container = json!({ "name": "A", "ports": [{ "containerPort": 99999 }] });
    let manifest = json!({
        "metadata": { "name": "a" },
        "spec": { "containers": [container], "restartPolicy": "x", "nodeName": "-" },
    });
    assert_eq!(wrong(&kind(), manifest).len(), 5);
    let many: Vec<Value> = (0..20_000).map(|_| json!({ "name": "-" })).collect();
    let manifest = json!({ "metadata": { "name": "a" }, "spec": { "containers": many } });
    assert_eq!(wrong(&kind(), manifest).len(), 64);
}

#[test]
fn of_a_pod_that_is_there_little_can_change() {
    let fine = [
        ("/spec/containers/0/image", json!("nginx:2")),
        ("/spec/activeDeadlineSeconds", json!(5)),
        ("/metadata/labels", json!({ "a": "b" })),
    ];
    let mut old = pod();
    let all = made(&kind(), old.clone());
    old["spec"] = all.0["spec"].clone();
    for (pointer, value) in fine {
        let told = wrong_change(&kind(), old.clone(), with(&old, pointer, value));
        assert_eq!(told, [""; 0], "{pointer}");
    }
    let key = json!({ "key": "x", "operator": "Exists" });
    assert_eq!(
        wrong_change(&kind(), old.clone(), with(&old, "/spec/tolerations/-", key)),
        [""; 0]
    );
    let fixed =
        "Forbidden: pod updates may not change fields other than `spec.containers[*].image`";
    for (pointer, value, told) in [
        (
            "/spec/nodeName",
            json!("a"),
            format!("spec.nodeName: {fixed}"),
        ),
        (
            "/spec/containers/0/command",
            json!(["a"]),
            format!("spec.containers[0].command: {fixed}"),
        ),
        (
            "/spec/terminationGracePeriodSeconds",
            json!(5),
            format!("spec.terminationGracePeriodSeconds: {fixed}"),
        ),
        (
            "/spec/nodeSelector",
            json!({ "a": "b" }),
            format!("spec.nodeSelector: {fixed}"),
        ),
        (
            "/spec/containers/-",
            json!({ "name": "b", "image": "c" }),
            "spec.containers: Forbidden: pod updates may not add or remove containers".into(),
        ),
        (
            "/spec/tolerations",
            json!([{ "key": "node.kubernetes.io/not-ready", "value": "x", "effect": "NoExecute" }]),
            "spec.tolerations: Forbidden: existing toleration can not be modified".into(),
        ),
        (
            "/spec/schedulingGates",
            json!([{ "name": "a/b" }]),
            "spec.schedulingGates[0]: Forbidden: only deletion is allowed".into(),
        ),
        (
            "/spec/priority",
            json!(5),
            format!("spec.priority: {fixed}"),
        ),
    ] {
        let found = wrong_change(&kind(), old.clone(), with(&old, pointer, value));
        assert!(
            found.len() == 1 && found[0].starts_with(&told),
            "{pointer}: {found:#?}"
        );
    }
}

#[test]
fn a_gated_pod_waits_and_says_so() {
    let gated = with(
        &pod(),
        "/spec/schedulingGates",
        json!([{ "name": "example.com/gate" }]),
    );
    let pod = made(&kind(), gated.clone());
    assert_eq!(cells(&kind(), &pod)[2], "SchedulingGated");
    let gated = Value::Object(pod.0);
    let open = with(&gated, "/spec/nodeSelector", json!({ "a": "b" }));
    assert_eq!(wrong_change(&kind(), gated.clone(), open.clone()), [""; 0]);
    let moved = with(&open, "/spec/nodeSelector", json!({ "a": "c" }));
    let told = wrong_change(&kind(), open, moved);
    assert!(
        told[0].contains("only additions to spec.nodeSelector are allowed"),
        "{told:?}"
    );
}

#[test]
fn a_pod_on_a_node_is_given_time_to_end() {
    let of = |spec: Value, phase: &str| {
        let pod = json!({ "spec": spec, "status": { "phase": phase } });
        (kind().grace_s)(&object(pod))
    };
    let on_node = json!({ "nodeName": "a", "terminationGracePeriodSeconds": 30 });
    assert_eq!(of(on_node.clone(), "Running"), 30);
    assert_eq!(of(on_node, "Failed"), 0);
    assert_eq!(
        of(json!({ "terminationGracePeriodSeconds": 30 }), "Pending"),
        0
    );
}

#[test]
fn fields_are_selectable_as_text() {
    let pod = object(json!({ "spec": { "nodeName": "a" } }));
    assert_eq!(kind().field(&pod, "spec.nodeName"), "a");
    assert_eq!(kind().field(&pod, "spec.hostNetwork"), "false");
    let pod = object(json!({ "spec": { "hostNetwork": true } }));
    assert_eq!(kind().field(&pod, "spec.hostNetwork"), "true");
}
