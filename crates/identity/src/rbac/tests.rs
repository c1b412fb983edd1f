//! Who may do what, by tables.

use super::*;
use crate::subject::{AUTHENTICATED, NODES, Subject};

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn rule(verbs: &[&str], groups: &[&str], resources: &[&str], names: &[&str]) -> Rule {
    Rule {
        verbs: owned(verbs),
        groups: owned(groups),
        resources: owned(resources),
        names: owned(names),
        paths: vec![],
    }
}

fn paths(paths: &[&str]) -> Rule {
    Rule {
        verbs: owned(&["get"]),
        paths: owned(paths),
        ..Rule::default()
    }
}

fn role(namespace: Option<&str>, name: &str, rules: Vec<Rule>) -> Role {
    Role {
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
        rules,
    }
}

fn bind(namespace: Option<&str>, role: RoleRef, who: Who) -> Binding {
    Binding {
        namespace: namespace.map(str::to_owned),
        name: "b".into(),
        role,
        who: vec![who],
    }
}

fn cluster(name: &str) -> RoleRef {
    RoleRef::Cluster(name.into())
}

fn user(name: &str) -> Who {
    Who::User(name.into())
}

/// Rules of one cluster role, held by user `a` in `namespace` or everywhere.
fn held(namespace: Option<&str>, rules: Vec<Rule>) -> Rules {
    Rules::new(
        vec![role(None, "r", rules)],
        vec![bind(namespace, cluster("r"), user("a"))],
    )
}

/// The built-in roles, and `a` holding one of them, in `namespace` or everywhere.
fn builtin(name: &str, namespace: Option<&str>) -> Rules {
    let mut all = bindings();
    all.push(bind(namespace, cluster(name), user("a")));
    Rules::new(roles(), all)
}

/// `verb resource[/sub] [name]`, in a group and a namespace.
fn asks(
    rules: &Rules,
    who: (&str, &[&str]),
    group: &str,
    namespace: Option<&str>,
    what: &str,
) -> bool {
    asks_on(rules, who, group, namespace, what, None)
}

fn asks_on(
    rules: &Rules,
    (user, groups): (&str, &[&str]),
    group: &str,
    namespace: Option<&str>,
    what: &str,
    on_node: Option<&str>,
) -> bool {
    let mut words = what.split(' ');
    let verb = words.next().unwrap();
    let resource = words.next().unwrap();
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let target = Target::Resource {
        group,
        resource,
        subresource,
        namespace,
        name: words.next(),
        on_node,
    };
    let groups = owned(groups);
    let groups = &groups;
    let request = Request {
        user,
        groups,
        verb,
        target,
    };
    decide(rules, &request).is_allowed()
}

#[test]
fn a_device_sees_itself_and_asks_for_certificates() {
    let rules = Rules::new(roles(), bindings());
    let own = [
        "system:devices",
        "system:devices:home",
        "system:device:home:u",
    ];
    for (user, groups, namespace, what, expected) in [
        ("device:ab", &own[..], "home", "get devices device-ab", true),
        (
            "device:ab",
            &own,
            "home",
            "create devices/certificates",
            true,
        ),
        ("device:ab", &own, "home", "get devices device-cd", false),
        ("device:ab", &own, "shop", "get devices device-ab", false),
        (
            "device:ab",
            &own,
            "shop",
            "create devices/certificates",
            false,
        ),
        ("device:ab", &own, "home", "list devices", false),
        ("device:ab", &own, "home", "delete devices device-ab", false),
        (
            "device:ab",
            &own,
            "home",
            "get devices/status device-ab",
            false,
        ),
        (
            "device:ab",
            &own[..2],
            "home",
            "get devices device-ab",
            false,
        ),
        ("ab", &own, "home", "get devices device-ab", false),
    ] {
        let may = asks(
            &rules,
            (user, groups),
            "nanocloud.io",
            Some(namespace),
            what,
        );
        assert_eq!(may, expected, "{user} {namespace} {what}");
    }
    assert!(!asks(
        &rules,
        ("device:ab", &own),
        "",
        Some("home"),
        "get devices device-ab"
    ));
}

fn gets(rules: &Rules, (user, groups): (&str, &[&str]), path: &str) -> bool {
    let groups = owned(groups);
    let request = Request {
        user,
        groups: &groups,
        verb: "get",
        target: Target::Path(path),
    };
    decide(rules, &request).is_allowed()
}

const A: (&str, &[&str]) = ("a", &[AUTHENTICATED]);

#[test]
fn nothing_is_allowed_unless_a_rule_says_so() {
    let rules = Rules::default();
    assert!(!asks(&rules, A, "", Some("x"), "get pods p"));
    assert!(!gets(&rules, A, "/healthz"));
    let masters = ("x", &[MASTERS][..]);
    assert!(asks(&rules, masters, "any", None, "anything whatever"));
    assert!(gets(&rules, masters, "/metrics"));
}

#[test]
fn verbs_groups_and_resources_match_exactly_or_by_star() {
    let one = held(None, vec![rule(&["get"], &["apps"], &["deployments"], &[])]);
    let ask = |group, what| asks(&one, A, group, Some("x"), what);
    assert!(ask("apps", "get deployments d"));
    assert!(!ask("apps", "list deployments"));
    assert!(!ask("", "get deployments d"));
    assert!(!ask("apps", "get deployments/scale d"));
    assert!(!ask("apps", "get deployment d"));

    let verbs = held(None, vec![rule(&["*"], &[""], &["pods"], &[])]);
    assert!(asks(&verbs, A, "", None, "deletecollection pods"));
    let groups = held(None, vec![rule(&["get"], &["*"], &["pods"], &[])]);
    assert!(asks(&groups, A, "x", None, "get pods p"));
    let resources = held(None, vec![rule(&["get"], &[""], &["*"], &[])]);
    assert!(asks(&resources, A, "", None, "get pods/log p"));
    assert!(!asks(&resources, A, "apps", None, "get deployments d"));
    let empty = held(None, vec![Rule::default()]);
    assert!(!asks(&empty, A, "", None, "get pods p"));
}

#[test]
fn subresources_are_named_or_starred() {
    let scale = held(None, vec![rule(&["update"], &["apps"], &["*/scale"], &[])]);
    let ask = |what| asks(&scale, A, "apps", Some("x"), what);
    assert!(ask("update deployments/scale d"));
    assert!(ask("update replicasets/scale d"));
    assert!(!ask("update deployments d"));
    assert!(!ask("update deployments/status d"));
    let log = held(None, vec![rule(&["get"], &[""], &["pods/log", "x/"], &[])]);
    assert!(asks(&log, A, "", Some("x"), "get pods/log p"));
    assert!(!asks(&log, A, "", Some("x"), "get pods p"));
    assert!(!asks(&log, A, "", Some("x"), "get x p"));
}

#[test]
fn names_limit_to_objects_that_have_one() {
    let rules = held(None, vec![rule(&["*"], &[""], &["configmaps"], &["c", ""])]);
    let ask = |what| asks(&rules, A, "", Some("x"), what);
    assert!(ask("get configmaps c") && ask("update configmaps c"));
    // A list that selects the one object by name counts as being about it.
    assert!(ask("list configmaps c"));
    for what in [
        "get configmaps d",
        "create configmaps",
        "create configmaps c",
        "list configmaps",
        "watch configmaps",
        "deletecollection configmaps",
        "get configmaps ",
    ] {
        assert!(!ask(what), "{what}");
    }
}

#[test]
fn streams_are_created_to_objects_with_names() {
    let rules = held(None, vec![rule(&["create"], &[""], &["pods/exec"], &["p"])]);
    assert!(asks(&rules, A, "", Some("x"), "create pods/exec p"));
    assert!(!asks(&rules, A, "", Some("x"), "create pods/exec q"));
}

#[test]
fn paths_match_whole_or_by_prefix() {
    let rules = held(None, vec![paths(&["/healthz", "/apis/*"])]);
    for path in ["/healthz", "/apis/", "/apis/apps/v1"] {
        assert!(gets(&rules, A, path), "{path}");
    }
    for path in ["/healthz/", "/health", "/apis", "/", ""] {
        assert!(!gets(&rules, A, path), "{path}");
    }
    assert!(gets(&held(None, vec![paths(&["*"])]), A, "/any"));
    assert!(gets(&held(None, vec![paths(&["/a**"])]), A, "/any"));
    // A binding in a namespace gives no paths.
    assert!(!gets(&held(Some("x"), vec![paths(&["*"])]), A, "/any"));
}

#[test]
fn bindings_count_where_they_are() {
    let pods = || vec![rule(&["list"], &[""], &["pods"], &[])];
    let local = held(Some("x"), pods());
    assert!(asks(&local, A, "", Some("x"), "list pods"));
    assert!(!asks(&local, A, "", Some("y"), "list pods"));
    assert!(!asks(&local, A, "", None, "list pods"));
    assert!(!asks(&local, A, "", Some(""), "list pods"));
    let everywhere = held(None, pods());
    assert!(asks(&everywhere, A, "", None, "list pods"));
    assert!(asks(&everywhere, A, "", Some("y"), "list pods"));

    let named = RoleRef::Namespaced("r".into());
    let roles = vec![role(Some("x"), "r", pods())];
    let in_x = bind(Some("x"), named.clone(), user("a"));
    let in_y = bind(Some("y"), named.clone(), user("a"));
    let nowhere = bind(None, named, user("a"));
    let rules = Rules::new(roles.clone(), vec![in_x]);
    assert!(asks(&rules, A, "", Some("x"), "list pods"));
    // Another namespace's role, and one of a namespace for the whole cluster, give nothing.
    let rules = Rules::new(roles, vec![in_y, nowhere]);
    assert!(!asks(&rules, A, "", Some("x"), "list pods"));
    assert!(!asks(&rules, A, "", Some("y"), "list pods"));
}

#[test]
fn users_groups_and_accounts_are_told_apart() {
    let whos = [
        user("x"),
        Who::Group("x".into()),
        Who::Account {
            namespace: "n".into(),
            name: "x".into(),
        },
    ];
    let subjects: [(&str, &[&str]); 3] = [
        ("x", &[]),
        ("y", &["x"]),
        ("system:serviceaccount:n:x", &[]),
    ];
    for (at, who) in whos.iter().enumerate() {
        let roles = vec![role(None, "r", vec![Rule::all()])];
        let rules = Rules::new(roles, vec![bind(None, cluster("r"), who.clone())]);
        for (other, subject) in subjects.iter().enumerate() {
            let allowed = asks(&rules, *subject, "", None, "get pods p");
            assert_eq!(allowed, at == other, "{who:?} {subject:?}");
        }
    }
}

#[test]
fn the_reason_names_binding_and_role() {
    let rules = builtin("view", Some("shop"));
    let groups = owned(&[AUTHENTICATED]);
    let request = |target| Request {
        user: "a",
        groups: &groups,
        verb: "get",
        target,
    };
    let pod = Target::Resource {
        group: "",
        resource: "pods",
        subresource: "",
        namespace: Some("shop"),
        name: Some("p"),
        on_node: None,
    };
    let reason = |target| match decide(&rules, &request(target)) {
        Decision::Allow(reason) => reason.to_string(),
        Decision::Deny => "denied".to_owned(),
    };
    assert_eq!(
        reason(pod),
        "cluster role \"view\" is given to user \"a\" by role binding \"b\" in namespace \"shop\""
    );
    let by_group = reason(Target::Path("/version"));
    assert!(
        by_group.contains("group \"system:authenticated\""),
        "{by_group}"
    );
}

#[test]
fn built_in_roles_differ_as_they_should() {
    // What, its group, and whether view, edit and admin of the namespace may.
    let table = [
        ("get pods p", "", [true, true, true]),
        ("get pods/log p", "", [true, true, true]),
        ("list deployments", "apps", [true, true, true]),
        ("get secrets s", "", [false, true, true]),
        ("create deployments", "apps", [false, true, true]),
        ("deletecollection configmaps", "", [false, true, true]),
        ("create pods/exec p", "", [false, true, true]),
        ("get pods/exec p", "", [false, false, false]),
        ("patch statefulsets/scale s", "apps", [false, true, true]),
        ("update pods/status p", "", [false, false, false]),
        ("create rolebindings", GROUP, [false, false, true]),
        ("get roles r", GROUP, [false, false, true]),
        ("bind roles r", GROUP, [false, false, false]),
        ("escalate roles r", GROUP, [false, false, false]),
        ("create clusterroles", GROUP, [false, false, false]),
        ("update namespaces shop", "", [false, false, false]),
        ("get nodes n", "", [false, false, false]),
        ("impersonate users u", "", [false, false, false]),
    ];
    for (at, name) in ["view", "edit", "admin"].iter().enumerate() {
        let rules = builtin(name, Some("shop"));
        for (what, group, allowed) in &table {
            let may = asks(&rules, A, group, Some("shop"), what);
            assert_eq!(may, allowed[at], "{name}: {what}");
            assert!(
                !asks(&rules, A, group, Some("other"), what),
                "{name}: {what}"
            );
        }
    }
    let admin = builtin("cluster-admin", None);
    for (what, group, _) in &table {
        assert!(asks(&admin, A, group, None, what), "{what}");
    }
}

#[test]
fn everybody_may_ask_what_they_may_and_nobody_more() {
    let rules = Rules::new(roles(), bindings());
    let nobody = Subject::nobody();
    let groups: Vec<&str> = nobody.groups.iter().map(String::as_str).collect();
    let nobody = (nobody.user.as_str(), &groups[..]);
    for path in ["/healthz", "/livez", "/readyz", "/version"] {
        assert!(
            gets(&rules, nobody, path) && gets(&rules, A, path),
            "{path}"
        );
    }
    for path in ["/api", "/apis/apps/v1", "/openapi/v3"] {
        assert!(
            !gets(&rules, nobody, path) && gets(&rules, A, path),
            "{path}"
        );
    }
    for path in ["/metrics", "/", "/debug/pprof", "/healthz/etcd"] {
        assert!(
            !gets(&rules, nobody, path) && !gets(&rules, A, path),
            "{path}"
        );
    }
    let review = "create selfsubjectaccessreviews";
    let reviews = "authorization.k8s.io";
    assert!(asks(&rules, A, reviews, None, review));
    assert!(!asks(&rules, nobody, reviews, None, review));
    assert!(!asks(&rules, A, "", Some("default"), "get pods p"));
    let watcher = ("prom", &["system:monitoring"][..]);
    assert!(gets(&rules, watcher, "/metrics"));
}

#[test]
fn a_node_touches_its_own_only() {
    let rules = Rules::new(roles(), bindings());
    let n1: (&str, &[&str]) = ("system:node:n1", &[NODES, AUTHENTICATED]);
    let lease = Some("kube-node-lease");
    let leases = "coordination.k8s.io";
    assert!(asks(&rules, n1, leases, lease, "update leases n1"));
    assert!(!asks(&rules, n1, leases, lease, "update leases n2"));
    assert!(!asks(
        &rules,
        n1,
        leases,
        Some("default"),
        "update leases n1"
    ));
    for (what, own) in [
        ("update nodes/status n1", true),
        ("create nodes n1", true),
        ("update nodes/status n2", false),
        ("get nodes n2", false),
        ("create nodes", false),
        ("list nodes", false),
        ("delete nodes n1", false),
        ("deletecollection nodes", false),
    ] {
        assert_eq!(asks(&rules, n1, "", None, what), own, "{what}");
    }
    for what in [
        "get pods p",
        "list pods",
        "update pods/status p",
        "delete pods p",
        "get secrets s",
        "create serviceaccounts/token a",
    ] {
        let on = |node| asks_on(&rules, n1, "", Some("shop"), what, node);
        assert!(on(Some("n1")), "{what}");
        assert!(!on(Some("n2")) && !on(None), "{what}");
    }
    for what in [
        "create pods",
        "update pods p",
        "create pods/exec p",
        "update secrets s",
        "list secrets",
    ] {
        let own = asks_on(&rules, n1, "", Some("shop"), what, Some("n1"));
        assert_eq!(own, what == "list secrets", "{what}");
        assert!(!asks(&rules, n1, "", Some("shop"), what), "{what}");
    }
    // The name without the group is a name like any other, and the group alone gives nothing.
    let pretends: (&str, &[&str]) = ("system:node:n1", &[AUTHENTICATED]);
    assert!(!asks(&rules, pretends, "", None, "get nodes n1"));
    let member: (&str, &[&str]) = ("n1", &[NODES]);
    assert!(!asks(&rules, member, "", None, "get nodes n1"));
}

fn may_write(rules: &Rules, namespace: Option<&str>, wanted: &[Rule]) -> Result<(), Escalation> {
    may_write_role(rules, ("a", &[]), namespace, "new", wanted)
}

#[test]
fn nobody_writes_a_role_beyond_their_own() {
    let pods = rule(&["get", "list"], &[""], &["pods", "pods/log"], &[]);
    let rules = held(None, vec![pods.clone(), paths(&["/healthz", "/apis/*"])]);
    for within in [
        pods.clone(),
        rule(&["get"], &[""], &["pods"], &[]),
        rule(&["get"], &[""], &["pods"], &["p"]),
        paths(&["/apis/apps", "/apis/*", "/healthz"]),
        Rule::default(),
    ] {
        assert_eq!(
            may_write(&rules, None, std::slice::from_ref(&within)),
            Ok(()),
            "{within:?}"
        );
    }
    for (beyond, missing) in [
        (rule(&["delete"], &[""], &["pods"], &[]), "delete pods"),
        (rule(&["*"], &[""], &["pods"], &[]), "* pods"),
        (rule(&["get"], &["*"], &["pods"], &[]), "get pods.*"),
        (rule(&["get"], &[""], &["*"], &[]), "get *"),
        (
            rule(&["get"], &[""], &["secrets"], &["s"]),
            "get secrets \"s\"",
        ),
        (rule(&["get"], &[""], &["*/log"], &[]), "get */log"),
        (paths(&["*"]), "get *"),
        (paths(&["/metrics"]), "get /metrics"),
    ] {
        let refused = may_write(&rules, None, &[pods.clone(), beyond]);
        let Err(Escalation::Beyond { missing: found, .. }) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(found, missing);
    }
    // Several stars are one, for what is allowed and for what may be given.
    let stars = held(None, vec![paths(&["/a**"])]);
    assert_eq!(may_write(&stars, None, &[paths(&["/a*", "/ab"])]), Ok(()));
    assert!(may_write(&stars, None, &[paths(&["/b"])]).is_err());
    // Somebody who may read one object gives nobody the others.
    let one = held(None, vec![rule(&["get"], &[""], &["pods"], &["p"])]);
    let all = rule(&["get"], &[""], &["pods"], &[]);
    assert!(may_write(&one, None, &[all]).is_err());
    let sub = held(None, vec![rule(&["get"], &["apps"], &["*/scale"], &[])]);
    let scale = rule(&["get"], &["apps"], &["deployments/scale"], &["d"]);
    assert_eq!(may_write(&sub, None, &[scale]), Ok(()));
}

#[test]
fn what_counts_in_a_namespace_is_given_there_only() {
    let pods = rule(&["get"], &[""], &["pods"], &[]);
    let rules = held(Some("x"), vec![pods.clone()]);
    assert_eq!(
        may_write(&rules, Some("x"), std::slice::from_ref(&pods)),
        Ok(())
    );
    assert!(may_write(&rules, Some("y"), std::slice::from_ref(&pods)).is_err());
    assert!(may_write(&rules, None, &[pods]).is_err());
}

#[test]
fn escalate_and_bind_are_verbs_of_their_own() {
    let all = [Rule::all()];
    let escalates = |names: &[&str]| {
        held(
            None,
            vec![rule(&["escalate"], &[GROUP], &["clusterroles"], names)],
        )
    };
    assert_eq!(may_write(&escalates(&[]), None, &all), Ok(()));
    assert_eq!(may_write(&escalates(&["new"]), None, &all), Ok(()));
    assert!(may_write(&escalates(&["other"]), None, &all).is_err());
    assert!(may_write(&escalates(&[]), Some("x"), &all).is_err());

    let admin = builtin("admin", Some("shop"));
    let binds =
        |rules: &Rules, namespace, name| may_bind(rules, ("a", &[]), namespace, &cluster(name));
    assert_eq!(binds(&admin, Some("shop"), "view"), Ok(()));
    assert_eq!(binds(&admin, Some("shop"), "admin"), Ok(()));
    assert!(binds(&admin, Some("shop"), "cluster-admin").is_err());
    assert!(binds(&admin, Some("other"), "view").is_err());
    assert!(binds(&admin, None, "view").is_err());
    let none = binds(&admin, Some("shop"), "none");
    assert!(matches!(none, Err(Escalation::NoRole { .. })), "{none:?}");

    let mut roles = roles();
    let binder = rule(&["bind"], &[GROUP], &["clusterroles"], &["cluster-admin"]);
    roles.push(role(None, "binder", vec![binder]));
    let rules = Rules::new(roles, vec![bind(None, cluster("binder"), user("a"))]);
    assert_eq!(binds(&rules, None, "cluster-admin"), Ok(()));
    assert!(binds(&rules, None, "edit").is_err());
    let masters = owned(&[MASTERS]);
    let admin = may_bind(&rules, ("x", &masters), None, &cluster("edit"));
    assert_eq!(admin, Ok(()));
}

#[test]
fn a_role_that_takes_too_long_to_compare_is_refused() {
    let many: Vec<String> = (0..400).map(|n| n.to_string()).collect();
    let wide = Rule {
        verbs: many.clone(),
        groups: many.clone(),
        resources: many.clone(),
        names: many,
        paths: vec![],
    };
    let rules = held(None, vec![paths(&["/x"])]);
    assert_eq!(
        may_write(&rules, None, &[wide]),
        Err(Escalation::Large(Large))
    );
}

#[test]
fn rules_are_told_to_those_who_ask() {
    let rules = builtin("view", Some("shop"));
    let groups = owned(&[AUTHENTICATED]);
    let here = rules.rules_for("a", &groups, Some("shop"));
    let elsewhere = rules.rules_for("a", &groups, Some("other"));
    assert!(here.len() > elsewhere.len());
    let sees_pods = |rules: &[Rule]| {
        rules
            .iter()
            .any(|rule| rule.resources.contains(&"pods".into()))
    };
    assert!(sees_pods(&here) && !sees_pods(&elsewhere));
    assert!(elsewhere.iter().any(|rule| !rule.paths.is_empty()));
    let masters = owned(&[MASTERS]);
    assert_eq!(rules.rules_for("x", &masters, None), [Rule::all()]);
}
