//! `weft server`: the kinds that are no workloads, as the real kubectl meets them.
#![allow(clippy::unwrap_used)]

use serde_json::Value;

use crate::server_kubectl::{apply, headings, kubectl, server};

/// One of each.
const ALL: &str = include_str!("server_kinds/all.yaml");
/// One of each family, with two mistakes at least.
const WRONG: &str = include_str!("server_kinds/wrong.yaml");

/// Plural, short name, name of the object, and headings of `get -o wide`.
const KINDS: [(&str, &str, &str, &str); 25] = [
    (
        "nodes",
        "no",
        "one",
        "NAME STATUS ROLES AGE VERSION INTERNAL-IP EXTERNAL-IP OS-IMAGE KERNEL-VERSION CONTAINER-RUNTIME",
    ),
    (
        "services",
        "svc",
        "web",
        "NAME TYPE CLUSTER-IP EXTERNAL-IP PORT(S) AGE SELECTOR",
    ),
    ("endpoints", "ep", "older", "NAME ENDPOINTS AGE"),
    (
        "endpointslices",
        "",
        "web-1",
        "NAME ADDRESSTYPE PORTS ENDPOINTS AGE",
    ),
    ("serviceaccounts", "sa", "robot", "NAME SECRETS AGE"),
    ("leases", "", "leader", "NAME HOLDER AGE"),
    (
        "persistentvolumes",
        "pv",
        "disk",
        "NAME CAPACITY ACCESS MODES RECLAIM POLICY STATUS CLAIM STORAGECLASS VOLUMEATTRIBUTESCLASS REASON AGE VOLUMEMODE",
    ),
    (
        "persistentvolumeclaims",
        "pvc",
        "data",
        "NAME STATUS VOLUME CAPACITY ACCESS MODES STORAGECLASS VOLUMEATTRIBUTESCLASS AGE VOLUMEMODE",
    ),
    (
        "horizontalpodautoscalers",
        "hpa",
        "web",
        "NAME REFERENCE TARGETS MINPODS MAXPODS REPLICAS AGE",
    ),
    (
        "poddisruptionbudgets",
        "pdb",
        "web",
        "NAME MIN AVAILABLE MAX UNAVAILABLE ALLOWED DISRUPTIONS AGE",
    ),
    (
        "ingresses",
        "ing",
        "web",
        "NAME CLASS HOSTS ADDRESS PORTS AGE",
    ),
    (
        "ingressclasses",
        "",
        "door",
        "NAME CONTROLLER PARAMETERS AGE",
    ),
    ("networkpolicies", "netpol", "web", "NAME POD-SELECTOR AGE"),
    (
        "priorityclasses",
        "pc",
        "high",
        "NAME VALUE GLOBAL-DEFAULT AGE PREEMPTIONPOLICY",
    ),
    (
        "storageclasses",
        "sc",
        "fast",
        "NAME PROVISIONER RECLAIMPOLICY VOLUMEBINDINGMODE ALLOWVOLUMEEXPANSION AGE",
    ),
    ("roles", "", "reader", "NAME CREATED AT"),
    ("clusterroles", "", "example:reader", "NAME CREATED AT"),
    (
        "rolebindings",
        "",
        "reader",
        "NAME ROLE AGE USERS GROUPS SERVICEACCOUNTS",
    ),
    (
        "clusterrolebindings",
        "",
        "example:reader",
        "NAME ROLE AGE USERS GROUPS SERVICEACCOUNTS",
    ),
    ("resourcequotas", "quota", "most", "NAME AGE REQUEST LIMIT"),
    ("limitranges", "limits", "most", "NAME CREATED AT"),
    (
        "controllerrevisions",
        "",
        "web-1",
        "NAME CONTROLLER REVISION AGE",
    ),
    (
        "bundles",
        "",
        "mariadb",
        "NAME SERVICE PHASE READY AGE REASON",
    ),
    (
        "devices",
        "",
        "device-ab12",
        "NAME DESCRIPTION LAST SEEN AGE EXPIRES",
    ),
    ("namespaces", "ns", "default", "NAME STATUS AGE"),
];

#[test]
fn one_of_each_kind_is_kept_shown_and_described() {
    let Some(weft) = server() else { return };
    let resources = kubectl(&weft, "api-resources --no-headers");
    apply(&weft, ALL).ok();
    let again = apply(&weft, ALL);
    for line in again.ok().lines() {
        // kubectl itself puts this selector anew each time; nothing becomes of it.
        let is_put_anew = line == "poddisruptionbudget.policy/web configured";
        assert!(is_put_anew || line.ends_with(" unchanged"), "{line}");
    }
    let generation = kubectl(&weft, "get pdb web -o jsonpath={.metadata.generation}");
    assert_eq!(generation.ok(), "1");
    // What describing them asks for besides.
    let has_pods = resources.ok().lines().any(|line| line.starts_with("pods "));
    for (plural, short, name, wanted) in KINDS {
        let known = resources.ok().lines().find(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            words[0] == plural && (short.is_empty() || words[1].split(',').any(|one| one == short))
        });
        assert!(known.is_some(), "{plural} {short}\n{}", resources.stdout);
        let asked = if short.is_empty() { plural } else { short };
        let table = kubectl(&weft, &format!("get {asked} -o wide"));
        assert_eq!(headings(&table), wanted, "{plural}");
        let row = table.stdout.lines().find(|line| line.starts_with(name));
        assert!(row.is_some(), "{plural} {name}\n{}", table.stdout);
        if has_pods || !matches!(plural, "nodes" | "persistentvolumeclaims") {
            let described = kubectl(&weft, &format!("describe {plural} {name}"));
            assert!(described.ok().contains(name), "{}", described.stdout);
        }
        kubectl(&weft, &format!("explain {plural}")).ok();
    }
    let all = kubectl(&weft, "get all -o name");
    for name in ["service/web", "horizontalpodautoscaler.autoscaling/web"] {
        assert!(all.ok().lines().any(|line| line == name), "{}", all.stdout);
    }
    let field = kubectl(&weft, "explain service.spec.ports.targetPort");
    assert!(field.ok().contains("FIELD: targetPort"), "{}", field.stdout);
    let free = kubectl(
        &weft,
        "get nodes -o name --field-selector spec.unschedulable=false",
    );
    assert_eq!(free.ok(), "node/one");
    kubectl(&weft, "cordon one").ok();
    let free = kubectl(
        &weft,
        "get nodes -o name --field-selector spec.unschedulable=false",
    );
    assert_eq!(free.ok(), "");
}

#[test]
fn each_mistake_is_told_by_its_path() {
    let Some(weft) = server() else { return };
    let refused = apply(&weft, WRONG);
    refused.fails_saying(&[
        "Service \"1web\" is invalid",
        "metadata.name: Invalid value: \"1web\": a DNS-1035 label",
        "Service \"web\" is invalid",
        "spec.ports[0].port: Invalid value: 70000: must be between 1 and 65535, inclusive",
        "spec.ports[1].name: Duplicate value: \"http\"",
        "PersistentVolumeClaim \"data\" is invalid",
        "spec.accessModes: Required value: at least 1 access mode is required",
        "spec.resources[storage]: Required value",
        "Ingress.networking.k8s.io \"web\" is invalid",
        "spec.rules[0].http.paths[0].path: Invalid value: \"web\": must be an absolute path",
        "spec.rules[0].http.paths[0].backend.service.port: Required value: port name or number is required",
        "NetworkPolicy.networking.k8s.io \"web\" is invalid",
        "spec.ingress[0].from[0].ipBlock.cidr: Invalid value: \"10.0.0.0\": must be a valid CIDR",
        "HorizontalPodAutoscaler.autoscaling \"web\" is invalid",
        "spec.maxReplicas: Invalid value: 1: must be greater than or equal to `minReplicas`",
        "PodDisruptionBudget.policy \"web\" is invalid",
        "minAvailable and maxUnavailable cannot be both set",
        "ClusterRole.rbac.authorization.k8s.io \"reader\" is invalid",
        "rules[0].verbs: Required value: verbs must contain at least one value",
        "PriorityClass.scheduling.k8s.io \"high\" is invalid",
        "value: Forbidden: maximum allowed value of a user defined priority is 1000000000",
        "Bundle.nanocloud.io \"mariadb\" is invalid",
        "spec.options: Invalid value: \"Bad Key\"",
        "spec.key: Invalid value",
    ]);
    for (plural, ..) in KINDS.iter().filter(|(plural, ..)| *plural != "namespaces") {
        let found = kubectl(&weft, &format!("get {plural} -o json"));
        let found: Value = serde_json::from_str(found.ok()).unwrap();
        // The server makes some of its own: first roles, an account, the authority's
        // certificate, the API's service, and the system's priorities.
        let own = |meta: &Value| {
            let label = &meta["labels"]["kubernetes.io/bootstrapping"];
            let name = meta["name"].as_str().unwrap_or_default();
            label == "rbac-defaults"
                || (*plural == "serviceaccounts" && name == "default")
                || (*plural == "configmaps" && name == "kube-root-ca.crt")
                || name == "kubernetes"
                || (*plural == "priorityclasses" && name.starts_with("system-"))
        };
        let items = found["items"].as_array().unwrap().iter();
        let names: Vec<&Value> = items.filter(|item| !own(&item["metadata"])).collect();
        assert!(names.is_empty(), "{plural}: {names:?}");
    }
}

#[test]
fn a_service_is_changed_as_kubectl_changes_it() {
    let Some(weft) = server() else { return };
    apply(&weft, ALL).ok();
    let patch = r#"{"spec":{"ports":[{"port":81,"nodePort":30081},{"port":82,"name":"more"}]}}"#;
    kubectl(&weft, r#"patch svc web -p {"spec":{"type":"NodePort"}}"#).ok();
    weft.kubectl(&["patch", "svc", "web", "-p", patch], "")
        .unwrap()
        .ok();
    let ports = kubectl(&weft, "get svc web --no-headers");
    let shown = "/TCP,81:30081/TCP,82:3";
    assert!(ports.ok().contains(shown), "{}", ports.stdout);
    let outside = "get svc web -o jsonpath={.spec.externalTrafficPolicy}";
    assert_eq!(kubectl(&weft, outside).ok(), "Cluster");
    // With the type go the ports it was given, unless they are changed as well.
    let patch = r#"{"spec":{"type":"ClusterIP","ports":[{"port":81,"nodePort":null}]}}"#;
    weft.kubectl(&["patch", "svc", "web", "-p", patch], "")
        .unwrap()
        .fails_saying(&["spec.ports[0].nodePort: Forbidden"]);
    let patch = r#"{"spec":{"type":"ClusterIP"}}"#;
    weft.kubectl(&["patch", "svc", "web", "-p", patch], "")
        .unwrap()
        .ok();
    assert_eq!(kubectl(&weft, outside).ok(), "");
    kubectl(
        &weft,
        r#"patch rolebinding reader --type=merge -p {"roleRef":{"name":"x"}}"#,
    )
    .fails_saying(&["roleRef", "cannot change roleRef"]);
    kubectl(
        &weft,
        r#"patch pvc data -p {"spec":{"volumeMode":"Block"}}"#,
    )
    .fails_saying(&["spec is immutable after creation"]);
}

#[test]
fn what_kubectl_makes_itself_is_taken() {
    let Some(weft) = server() else { return };
    for (words, wanted) in [
        ("service clusterip a --tcp=80:8080", "80/TCP"),
        (
            "service nodeport b --tcp=80:http --node-port=30080",
            "80:30080/TCP",
        ),
        (
            "service externalname c --external-name example.com",
            "example.com",
        ),
        ("service clusterip d --clusterip=None", "None"),
        ("serviceaccount e", "e"),
        ("role f --verb=get,list --resource=services", "f"),
        ("clusterrole g --verb=get --non-resource-url=/metrics", "g"),
        (
            "rolebinding h --role=f --user=u --serviceaccount=n:s",
            "Role/f",
        ),
        (
            "clusterrolebinding i --clusterrole=g --group=all",
            "ClusterRole/g",
        ),
        ("quota j --hard=pods=1,cpu=1500m", "j"),
        (
            "poddisruptionbudget k --selector=a=b --min-available=50%",
            "50%",
        ),
        ("priorityclass l --value=5 --preemption-policy=Never", "5"),
        ("ingress m --class=x --rule=a.b/c*=web:80", "a.b"),
    ] {
        kubectl(&weft, &format!("create {words}")).ok();
        let mut words = words.split(' ');
        let kind = words.next().unwrap();
        let name = words.find(|word| word.len() == 1).unwrap();
        let row = kubectl(&weft, &format!("get {kind} {name} --no-headers"));
        assert!(row.ok().contains(wanted), "{kind} {name}: {}", row.stdout);
    }
    let quota = "get quota j -o jsonpath={.spec.hard}";
    assert_eq!(kubectl(&weft, quota).ok(), r#"{"cpu":"1500m","pods":"1"}"#);
    let path = "get ingress m -o jsonpath={.spec.rules[0].http.paths[0].path}";
    assert_eq!(kubectl(&weft, path).ok(), "/c");
    kubectl(&weft, "create priorityclass n --value=2000000000").fails_saying(&["maximum allowed"]);
}
