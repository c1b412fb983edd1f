//! `weft auth reconcile`: roles and bindings brought up to date, beside the real kubectl.
#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::process::Stdio;

use serde_json::Value;
use weft_testkit::wait::SOON;
use weft_testkit::{Background, Ran, Weft, until};

use crate::server_cli::{cli, cli_with_input, command};
use crate::server_kubectl::{apply, kubectl, server};

/// Namespaces, and beginnings of names of what is in none: kubectl's and ours.
const NAMES: [&str; 2] = ["of-theirs", "of-ours"];
const RECONCILE: &[&str] = &["auth", "reconcile", "-f", "-"];
const EXACT: &[&str] = &["--remove-extra-permissions", "--remove-extra-subjects"];

/// Pods may be read.
const GET: &str = "{ apiGroups: [''], resources: [pods], verbs: [get] }";

fn object(kind: &str, name: &str, rest: &str) -> String {
    format!(
        "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: {kind}\nmetadata: {{ {name} }}\n{rest}\n"
    )
}

fn role(rules: &str) -> String {
    object(
        "Role",
        "name: r, namespace: NS",
        &format!("rules: [{rules}]"),
    )
}

fn cluster_role(rest: &str) -> String {
    object("ClusterRole", "name: NS-r", rest)
}

fn binding(role: &str, subjects: &str) -> String {
    let role = format!("roleRef: {{ apiGroup: rbac.authorization.k8s.io, {role} }}");
    let name = "name: b, namespace: NS";
    object(
        "RoleBinding",
        name,
        &format!("{role}\nsubjects: [{subjects}]"),
    )
}

fn user(name: &str) -> String {
    format!("{{ kind: User, name: {name}, apiGroup: rbac.authorization.k8s.io }}")
}

/// A server, and everything on it twice.
struct Pair(Weft);

impl Pair {
    #[track_caller]
    fn start() -> Option<Pair> {
        server().map(Pair)
    }

    /// Both do it, say the same and leave the same. `NS` is the namespace, and the beginning of the
    /// names of what is in none.
    #[track_caller]
    fn both(&self, manifest: &str, flags: &[&str]) -> Ran {
        let words = [RECONCILE, flags].concat();
        let [theirs, ours] = NAMES.map(|name| manifest.replace("NS", name));
        let theirs = self.0.kubectl(&words, &theirs).unwrap();
        let ours = cli_with_input(&self.0, &words, &ours);
        let said = |ran: &Ran| (same(&ran.stdout), same(&ran.stderr), ran.code);
        assert_eq!(said(&ours), said(&theirs), "{manifest}{flags:?}");
        let left = || NAMES.map(|name| same(&self.stored(name).to_string()));
        if manifest.contains("aggregationRule") {
            // Its rules follow.
            until(SOON, "both have left the same", || {
                let [theirs, ours] = left();
                theirs == ours
            });
        }
        let [theirs, left] = left();
        assert_eq!(left, theirs, "{manifest}{flags:?}");
        ours
    }

    /// What there is of one of the two, without what differs of any two objects.
    #[track_caller]
    fn stored(&self, name: &str) -> Value {
        let get = |line: String| -> Vec<Value> {
            let list: Value = serde_json::from_str(kubectl(&self.0, &line).ok()).unwrap();
            list["items"].as_array().unwrap().clone()
        };
        let mut all = get(format!("get roles,rolebindings -n {name} -o json"));
        let of_cluster = get("get ns,clusterroles,clusterrolebindings -o json".to_owned());
        let is_own = |one: &Value| one["metadata"]["name"].as_str().unwrap().starts_with(name);
        all.extend(of_cluster.into_iter().filter(is_own));
        for one in &mut all {
            let one = one.as_object_mut().unwrap();
            // kubectl sends protobuf, which tells no empty list from none.
            one.retain(|_, value| value.as_array().is_none_or(|all| !all.is_empty()));
            let of_server = [
                "uid",
                "resourceVersion",
                "creationTimestamp",
                "managedFields",
            ];
            let meta = one["metadata"].as_object_mut().unwrap();
            meta.retain(|key, _| !of_server.contains(&key.as_str()));
        }
        all.into()
    }

    /// What stands at `path` in our object.
    #[track_caller]
    fn ours(&self, what: &str, path: &str) -> String {
        let line = format!("get {what} -n {} -o jsonpath={{{path}}}", NAMES[1]);
        kubectl(&self.0, &line).ok().to_owned()
    }
}

fn same(text: &str) -> String {
    let one = |text: String, name: &&str| text.replace(name, "NS");
    NAMES.iter().fold(text.to_owned(), one)
}

#[test]
fn a_role_gets_what_it_lacks_and_keeps_the_rest_unless_it_is_taken() {
    let Some(pair) = Pair::start() else { return };
    // With its namespace.
    let made = pair.both(&role(&format!("{GET}, {{ apiGroups: [''], resources: [secrets], resourceNames: [a, b], verbs: [get] }}")), &[]);
    assert!(
        made.stderr.contains("reconciliation required create"),
        "{made}"
    );
    assert_eq!(made.stdout, "role.rbac.authorization.k8s.io/r reconciled\n");
    kubectl(&pair.0, "get ns of-ours").ok();
    let done = pair.both(&role(GET), &[]);
    assert_eq!(done.stderr, "", "nothing is missing");
    for rules in [
        "{ apiGroups: ['', apps], resources: [pods, jobs], verbs: [get, list] }",
        "{ apiGroups: [''], resources: [secrets], resourceNames: [b, c], verbs: [get, list] }",
        "{ apiGroups: [''], resources: ['pods/log', '*/scale'], verbs: [get] }",
        "{ apiGroups: [''], resources: ['jobs/scale', 'pods/exec'], verbs: [get] }",
        "{ apiGroups: [''], resources: [pods], verbs: ['*'] }",
        "{ apiGroups: [''], resources: [pods], verbs: [delete, watch] }, { apiGroups: ['*'], resources: [pods], verbs: [get] }",
        "{ apiGroups: [''], resources: [secrets], verbs: [get] }",
        "",
    ] {
        pair.both(&role(rules), &[]);
    }
    let taken = pair.both(&role(GET), EXACT);
    assert!(taken.stderr.contains("extra rules removed:"), "{taken}");
    let rules = r#"[{"apiGroups":[""],"resources":["pods"],"verbs":["get"]}]"#;
    assert_eq!(pair.ours("role r", ".rules"), rules);
    // Written otherwise, it is the same; a name less is not.
    pair.both(&role(&format!("{GET}, {GET}")), EXACT);
    assert_eq!(pair.ours("role r", ".rules"), rules);
    let one = "{ apiGroups: [''], resources: [pods], resourceNames: [a], verbs: [get] }";
    pair.both(&role(one), EXACT);
    assert!(
        pair.ours("role r", ".rules")
            .contains(r#""resourceNames":["a"]"#)
    );
    pair.both(
        &role("{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }"),
        &[],
    );
    pair.both(&role(GET), &[]);
    pair.both(&role(GET), EXACT);
    assert_eq!(pair.ours("role r", ".rules"), rules);
    pair.both(&role(""), EXACT);
}

#[test]
fn marks_are_added_as_far_as_there_are_none_and_who_wants_to_be_left_alone_is() {
    let Some(pair) = Pair::start() else { return };
    let marked = |marks: &str| {
        let name = format!("name: r, namespace: NS, {marks}");
        object("Role", &name, &format!("rules: [{GET}]"))
    };
    pair.both(&marked("labels: { a: '1', b: '2' }"), &[]);
    pair.both(
        &marked("labels: { b: '3', c: '4' }, annotations: { d: e }"),
        EXACT,
    );
    assert_eq!(
        pair.ours("role r", ".metadata.labels"),
        r#"{"a":"1","b":"2","c":"4"}"#
    );
    pair.both(&marked("annotations: { d: e }"), EXACT);
    let opted_out = "annotations: { rbac.authorization.kubernetes.io/autoupdate: 'false' }";
    pair.both(&marked(opted_out), &[]);
    let kept = pair.both(
        &role("{ apiGroups: [''], resources: [pods], verbs: [list] }"),
        EXACT,
    );
    assert!(kept.stderr.contains("opted out"), "{kept}");
    assert!(pair.ours("role r", ".rules").contains(r#"["get"]"#));
    let bound = |role: &str| {
        let name = format!("name: b, namespace: NS, {opted_out}");
        let role =
            format!("roleRef: {{ kind: Role, name: {role}, apiGroup: rbac.authorization.k8s.io }}");
        object("RoleBinding", &name, &role)
    };
    pair.both(&bound("r"), &[]);
    let kept = pair.both(&bound("other"), &[]);
    assert!(kept.stderr.contains("recreate, but"), "{kept}");
    assert_eq!(pair.ours("rolebinding b", ".roleRef.name"), "r");
}

#[test]
fn cluster_roles_have_paths_and_the_rules_of_others() {
    let Some(pair) = Pair::start() else { return };
    let paths = |paths: &str| cluster_role(&format!("rules: [{paths}]"));
    pair.both(&paths("{ nonResourceURLs: [/a/*, /b], verbs: [get] }"), &[]);
    pair.both(
        &paths("{ nonResourceURLs: [/a/x, /a/*, /a/b/*], verbs: [get] }"),
        &[],
    );
    pair.both(
        &paths("{ nonResourceURLs: [/a, /a/x, /a*, '*', /bc], verbs: [get, post] }"),
        &[],
    );
    pair.both(&paths("{ nonResourceURLs: [/a/*], verbs: [get] }"), EXACT);
    assert_eq!(
        pair.ours("clusterrole of-ours-r", ".rules"),
        r#"[{"nonResourceURLs":["/a/*"],"verbs":["get"]}]"#
    );
    let aggregated = |selectors: &str| {
        cluster_role(&format!(
            "aggregationRule: {{ clusterRoleSelectors: [{selectors}] }}"
        ))
    };
    // Of nobody's rules, so that they stay as they are.
    let one = "{ matchLabels: { nobody: has, this: label } }";
    let other = "{ matchExpressions: [{ key: nobody, operator: In, values: [ever, has] }] }";
    pair.both(&aggregated(one), &[]);
    pair.both(&aggregated(other), &[]);
    pair.both(
        &aggregated("{ matchLabels: { this: label, nobody: has } }"),
        &[],
    );
    let path = ".aggregationRule.clusterRoleSelectors[*]";
    assert!(pair.ours("clusterrole of-ours-r", path).contains("nobody"));
    let taken = pair.both(&aggregated(other), EXACT);
    assert!(taken.stderr.contains("required update"), "{taken}");
    assert!(!pair.ours("clusterrole of-ours-r", path).contains("label"));
    // With rules of its own again.
    pair.both(&paths(GET), &[]);
    assert_eq!(pair.ours("clusterrole of-ours-r", ".aggregationRule"), "");
    let new = object(
        "ClusterRole",
        "name: NS-new",
        &format!("aggregationRule: {{ clusterRoleSelectors: [{one}] }}\nrules: [{GET}]"),
    );
    pair.both(&new, &[]);
}

#[test]
fn a_binding_is_for_whom_it_is_said() {
    let Some(pair) = Pair::start() else { return };
    let account = "{ kind: ServiceAccount, name: s, namespace: x }";
    let group = "{ kind: Group, name: g, apiGroup: rbac.authorization.k8s.io }";
    let (ann, bob) = (user("ann"), user("bob"));
    let role = "kind: Role, name: r";
    let made = pair.both(&binding(role, &format!("{ann}, {account}")), &[]);
    assert!(made.stderr.contains("missing subjects added:"), "{made}");
    pair.both(&binding(role, &format!("{bob}, {group}, {ann}")), &[]);
    assert_eq!(
        pair.ours("rolebinding b", ".subjects[*].name"),
        "ann s bob g"
    );
    let first = pair.ours("rolebinding b", ".metadata.uid");
    pair.both(&binding(role, &bob), &[]);
    let taken = pair.both(&binding(role, &bob), EXACT);
    assert!(taken.stderr.contains("extra subjects removed:"), "{taken}");
    assert_eq!(pair.ours("rolebinding b", ".subjects[*].name"), "bob");
    pair.both(&binding(role, &bob), EXACT);
    assert_eq!(pair.ours("rolebinding b", ".metadata.uid"), first);
    // Another role: another binding.
    let other = pair.both(&binding("kind: ClusterRole, name: view", &ann), &[]);
    assert_eq!(other.stderr, "\treconciliation required recreate\n");
    assert_ne!(pair.ours("rolebinding b", ".metadata.uid"), first);
    assert_eq!(pair.ours("rolebinding b", ".subjects[*].name"), "ann");
    pair.both(&binding("kind: ClusterRole, name: view", ""), EXACT);
    let of_cluster = |role: &str| {
        let role = format!(
            "roleRef: {{ kind: ClusterRole, name: {role}, apiGroup: rbac.authorization.k8s.io }}"
        );
        object(
            "ClusterRoleBinding",
            "name: NS-b",
            &format!("{role}\nsubjects: [{ann}]"),
        )
    };
    pair.both(&of_cluster("view"), &[]);
    pair.both(&of_cluster("edit"), &[]);
    pair.both(&of_cluster("edit"), &[]);
}

#[test]
fn what_is_tried_is_not_kept() {
    let Some(pair) = Pair::start() else { return };
    let dry: &[&str] = &["--dry-run=client"];
    let all = format!(
        "{}{}",
        role(GET),
        binding("kind: Role, name: r", &user("ann"))
    );
    let tried = pair.both(&all, dry);
    assert!(
        tried
            .stdout
            .contains("role.rbac.authorization.k8s.io/r reconciled (dry run)\n"),
        "{tried}"
    );
    assert_eq!(pair.stored("of-ours"), Value::Array(vec![]));
    // kubectl has no such dry run of this.
    let on_server = |manifest: &str, flags: &[&str]| {
        let words = [RECONCILE, &["--dry-run=server"], flags].concat();
        cli_with_input(&pair.0, &words, &manifest.replace("NS", NAMES[1]))
    };
    let tried = on_server(&all, &[]);
    assert!(
        tried.ok().contains("reconciled (server dry run)"),
        "{tried}"
    );
    assert!(
        tried
            .stderr
            .contains("namespace \"of-ours\" is not there yet"),
        "{tried}"
    );
    assert_eq!(pair.stored("of-ours"), Value::Array(vec![]));
    // Requests that are printed are not sent.
    let printed = |manifest: &str| {
        let words = [RECONCILE, &["--curl"]].concat();
        cli_with_input(&pair.0, &words, &manifest.replace("NS", NAMES[1]))
    };
    let requests = printed(&all);
    for path in [
        "/api/v1/namespaces?",
        "/of-ours/roles?",
        "/of-ours/rolebindings?",
    ] {
        assert!(requests.ok().contains(path), "{requests}");
    }
    assert_eq!(pair.stored("of-ours"), Value::Array(vec![]));
    pair.both(&all, &[]);
    let before = pair.stored("of-ours");
    let list = "{ apiGroups: [''], resources: [pods], verbs: [list] }";
    let next = format!(
        "{}{}",
        role(list),
        binding("kind: Role, name: other", &user("bob"))
    );
    for flags in [&[][..], EXACT] {
        pair.both(&next, &[dry, flags].concat());
        let tried = on_server(&next, flags);
        assert!(
            tried.ok().contains("reconciled (server dry run)"),
            "{tried}"
        );
        assert!(tried.stderr.contains("required recreate"), "{tried}");
        assert_eq!(pair.stored("of-ours"), before);
    }
    let requests = printed(&next);
    for method in ["PUT", "DELETE", "POST"] {
        assert!(requests.ok().contains(method), "{requests}");
    }
    assert_eq!(pair.stored("of-ours"), before);
    let wrong = on_server(&role("{ apiGroups: [''], resources: [pods] }"), EXACT);
    assert_eq!(pair.stored("of-ours"), before, "{wrong}");
}

#[test]
fn objects_are_shown_as_they_are_asked_for() {
    let Some(pair) = Pair::start() else { return };
    let map = "---\napiVersion: v1\nkind: ConfigMap\nmetadata: { name: m, namespace: NS }\n";
    let account =
        "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: { name: s, namespace: NS }\n";
    // Other kinds are left alone.
    let none = pair.both(&format!("{map}{account}"), &[]);
    assert_eq!((none.stdout.as_str(), none.stderr.as_str()), ("", ""));
    let all = format!(
        "{map}{}{account}{}",
        role(GET),
        cluster_role(&format!("rules: [{GET}]"))
    );
    pair.both(&all, &[]);
    kubectl(&pair.0, "get cm m -n of-ours").fails_saying(&["NotFound"]);
    let dry = "--dry-run=client";
    for flags in [
        &["-o", "name"][..],
        &["-o", "jsonpath={.metadata.name} {.rules}"],
        &["-o", "go-template={{.kind}} {{.metadata.labels}}", dry],
        &["--template={{.kind}} {{.nope}}", dry],
    ] {
        let [theirs, ours] = NAMES.map(|name| all.replace("NS", name));
        let words = [RECONCILE, flags].concat();
        let theirs = pair.0.kubectl(&words, &theirs).unwrap();
        let ours = cli_with_input(&pair.0, &words, &ours);
        assert_eq!(
            same(&ours.stdout),
            same(&theirs.stdout),
            "{flags:?}\n{ours}\n{theirs}"
        );
        assert_eq!(ours.code, theirs.code, "{flags:?}\n{ours}\n{theirs}");
    }
    // A field that is not there is a failure, of each object; kubectl shows it and goes on as if not.
    let strict = [
        "--template={{.nope}}",
        "--allow-missing-template-keys=false",
    ];
    let words = [RECONCILE, &strict].concat();
    let ours = cli_with_input(&pair.0, &words, &all.replace("NS", NAMES[1]));
    ours.fails_saying(&["nope"]);
    assert_eq!(ours.stderr.matches("\"nope\"").count(), 2, "{ours}");
    let words = [RECONCILE, &["-o", "yaml"]].concat();
    let ours = cli_with_input(&pair.0, &words, &all.replace("NS", NAMES[1]));
    assert_eq!(ours.ok().matches("\n---\n").count(), 1, "{ours}");
    let words = [RECONCILE, &["-o", "json"]].concat();
    let ours = cli_with_input(&pair.0, &words, &role(GET).replace("NS", NAMES[1]));
    let ours: Value = serde_json::from_str(ours.ok()).unwrap();
    let theirs = pair
        .0
        .kubectl(&words, &role(GET).replace("NS", NAMES[1]))
        .unwrap();
    assert_eq!(ours, serde_json::from_str::<Value>(theirs.ok()).unwrap());
    cli(&pair.0, "auth reconcile").fails_saying(&["must specify -f or -k"]);
}

#[test]
fn manifests_are_read_exactly_and_go_to_the_current_namespace() {
    let Some(weft) = server() else { return };
    let own = |manifest: &str, flags: &[&str]| {
        let words = [RECONCILE, flags].concat();
        cli_with_input(&weft, &words, &manifest.replace(", namespace: NS", ""))
    };
    own(&role(GET), &[]).ok();
    kubectl(&weft, "get role r -n default").ok();
    own(&role(GET), &["-n", "elsewhere"]).ok();
    kubectl(&weft, "get role r -n elsewhere").ok();
    let there = role(GET).replace("NS", "default");
    cli_with_input(&weft, &[RECONCILE, &["-n", "elsewhere"]].concat(), &there).fails_saying(&[
        "namespace",
        "default",
        "elsewhere",
    ]);
    // A name that is misspelt would give all secrets.
    let wide = "{ apiGroups: [''], resources: [secrets], verbs: [get], resourceNmes: [a] }";
    own(&role(wide), &[]).fails_saying(&["rules[0].resourceNmes"]);
    own(&object("Role", "name: r", "rulez: []"), EXACT).fails_saying(&["rulez"]);
    let all = "aggregationRule: { clusterRoleSelectors: [{ matchLabel: { a: b } }] }";
    own(&object("ClusterRole", "name: c", all), &[]).fails_saying(&["matchLabel"]);
    own(&role(GET).replace("/v1", "/v1beta1"), &[])
        .fails_saying(&["only rbac.authorization.k8s.io/v1 is supported"]);
    own(&object("Rolebinding", "name: r", ""), &[]).fails_saying(&["no matches for kind"]);
    own(&object("Role", "labels: {}", "rules: []"), &[])
        .fails_saying(&["metadata.name is missing"]);
    // One that is wrong does not keep the others from being right.
    let both = format!(
        "{}{}",
        role(wide),
        object("Role", "name: next", "rules: []")
    );
    own(&both, &[]).fails_saying(&["resourceNmes"]);
    kubectl(&weft, "get role next").ok();
    let rules = "get role r -o jsonpath={.rules[*].resources}";
    assert_eq!(kubectl(&weft, rules).ok(), r#"["pods"]"#);
    // The server adds the group of users, and of roles: what is without is the same.
    let short = object(
        "RoleBinding",
        "name: b",
        "roleRef: { kind: Role, name: r }\nsubjects: [{ kind: User, name: ann }]",
    );
    own(&short, &[]).ok();
    let again = own(&short, EXACT);
    assert_eq!(
        (again.ok(), again.stderr.as_str()),
        ("rolebinding.rbac.authorization.k8s.io/b reconciled", "")
    );
    // What was got can be given back.
    let saved = kubectl(&weft, "get rolebinding b -o yaml").ok().to_owned();
    kubectl(&weft, "delete rolebinding b").ok();
    own(&saved, &[]).ok();
    kubectl(&weft, "get rolebinding b").ok();
}

#[test]
fn nobody_gives_by_it_what_they_do_not_have() {
    let Some(weft) = server() else { return };
    kubectl(
        &weft,
        "create rolebinding admins --clusterrole=admin --user=bob",
    )
    .ok();
    let config = |user: &str| weft.kubeconfig(user, "people").to_str().unwrap().to_owned();
    let asked = |user: &str, manifest: &str, flags: &[&str]| {
        let config = config(user);
        let words = [RECONCILE, &["--kubeconfig", &config], flags].concat();
        cli_with_input(&weft, &words, &manifest.replace("NS", "default"))
    };
    let bob = |manifest: &str, flags: &[&str]| asked("bob", manifest, flags);
    let as_bob = config("bob");
    until(SOON, "bob may write roles", || {
        let can = ["auth", "can-i", "create", "roles", "--kubeconfig", &as_bob];
        weft.kubectl(&can, "").unwrap().code == 0
    });
    // Whoever cannot see the namespace may write to it.
    bob(&role(GET), &[]).ok();
    let nodes = "{ apiGroups: [''], resources: [nodes], verbs: [get] }";
    let beyond = ["Forbidden", "may not give what they do not have"];
    for manifest in [role(nodes), role(nodes).replace("name: r", "name: new")] {
        for flags in [&[][..], EXACT, &["--dry-run=server"]] {
            bob(&manifest, flags).fails_saying(&beyond);
        }
        // We add a hint.
        let ours = bob(&manifest, &[]);
        let words = [RECONCILE, &["--kubeconfig", &as_bob]].concat();
        let theirs = weft.kubectl(&words, &manifest.replace("NS", "default"));
        let theirs = theirs.unwrap();
        assert_eq!(ours.stderr.lines().next(), theirs.stderr.lines().last());
    }
    let rules = "get role r -o jsonpath={.rules[*].resources}";
    assert_eq!(kubectl(&weft, rules).ok(), r#"["pods"]"#);
    kubectl(&weft, "get role new").fails_saying(&["NotFound"]);
    // The binding that is there is not lost for one that is refused.
    let bound = |role: &str| binding(role, &user("ann")).replace("NS", "default");
    apply(&weft, &bound("kind: ClusterRole, name: view")).ok();
    let uid = || {
        kubectl(&weft, "get rolebinding b -o jsonpath={.metadata.uid}")
            .ok()
            .to_owned()
    };
    let first = uid();
    let masters = bound("kind: ClusterRole, name: cluster-admin");
    for flags in [&["--dry-run=server"][..], &[]] {
        bob(&masters, flags).fails_saying(&beyond);
        assert_eq!(uid(), first);
    }
    bob(&bound("kind: ClusterRole, name: edit"), &[]).ok();
    assert_ne!(uid(), first);
    asked("guest", &bound("kind: Role, name: r"), &[]).fails_saying(&["Forbidden", "guest"]);
}

/// Each that is too late begins anew. One of five is too late four times at most, and tries five.
#[test]
fn nothing_is_lost_where_several_write_at_once() {
    let Some(weft) = server() else { return };
    apply(&weft, &role("").replace("NS", "default")).ok();
    let verbs = ["get", "list", "watch", "create", "delete"];
    let writers = verbs.map(|verb| {
        let mut command = command(&weft, RECONCILE);
        command.stdin(Stdio::piped());
        let mut writer = Background::start(command);
        let rule = format!("{{ apiGroups: [''], resources: [pods], verbs: [{verb}] }}");
        let manifest = role(&rule).replace("NS", "default");
        writer
            .stdin()
            .unwrap()
            .write_all(manifest.as_bytes())
            .unwrap();
        writer
    });
    for writer in writers {
        writer.finish(SOON).ok();
    }
    let found = kubectl(&weft, "get role r -o jsonpath={.rules[*].verbs[*]}");
    let mut found: Vec<&str> = found.ok().split(' ').collect();
    found.sort_unstable();
    let mut verbs = verbs;
    verbs.sort_unstable();
    assert_eq!(found, verbs);
}
