//! From what there is to what is wanted, by tables.
#![allow(clippy::unwrap_used)]

use super::*;

const GET: &str = r#"{"apiGroups":[""],"resources":["pods"],"verbs":["get"]}"#;
const LIST: &str = r#"{"apiGroups":[""],"resources":["pods"],"verbs":["list"]}"#;
const BOTH: &str = r#"{"apiGroups":[""],"resources":["pods"],"verbs":["get","list"]}"#;
const ANY: &str = r#"{"apiGroups":["*"],"resources":["*"],"verbs":["*"]}"#;
const ONE: &str =
    r#"{"apiGroups":[""],"resourceNames":["a"],"resources":["pods"],"verbs":["get"]}"#;
const KEEP: Removal = Removal {
    permissions: false,
    subjects: false,
};
const EXACT: Removal = Removal {
    permissions: true,
    subjects: true,
};

fn object(kind: &str, rest: &str) -> Value {
    let text = format!(
        r#"{{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"{kind}","metadata":{{"name":"x"}}{rest}}}"#
    );
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn plan(before: &Value, wanted: &Value, removal: Removal) -> Plan {
    let wanted = Wanted::read(wanted, None).unwrap();
    Plan::of(&wanted, Some(before), removal).unwrap()
}

fn told(plan: &Plan, title: &str) -> usize {
    let found = plan.changes.iter().filter(|(told, _)| *told == title);
    found.map(|(_, all)| all.len()).sum()
}

#[test]
fn rules_are_added_and_only_taken_away_where_it_is_said() {
    for (had, wanted, removal, step, after) in [
        (
            GET.to_owned(),
            GET.to_owned(),
            KEEP,
            Step::Keep,
            GET.to_owned(),
        ),
        (
            GET.into(),
            BOTH.into(),
            KEEP,
            Step::Update,
            format!("{GET},{LIST}"),
        ),
        (BOTH.into(), GET.into(), KEEP, Step::Keep, BOTH.into()),
        (BOTH.into(), GET.into(), EXACT, Step::Update, GET.into()),
        // The same, written otherwise.
        (
            BOTH.into(),
            format!("{LIST},{GET}"),
            EXACT,
            Step::Keep,
            BOTH.into(),
        ),
        (
            String::new(),
            String::new(),
            EXACT,
            Step::Keep,
            String::new(),
        ),
        (GET.into(), String::new(), KEEP, Step::Keep, GET.into()),
        (
            GET.into(),
            String::new(),
            EXACT,
            Step::Update,
            String::new(),
        ),
        // What is wider than wanted is narrowed, and else stays.
        (ANY.into(), GET.into(), KEEP, Step::Keep, ANY.into()),
        (ANY.into(), GET.into(), EXACT, Step::Update, GET.into()),
        (
            format!("{GET},{ANY}"),
            GET.into(),
            EXACT,
            Step::Update,
            GET.into(),
        ),
        (GET.into(), ONE.into(), EXACT, Step::Update, ONE.into()),
        (GET.into(), ONE.into(), KEEP, Step::Keep, GET.into()),
        (
            ONE.into(),
            GET.into(),
            KEEP,
            Step::Update,
            format!("{ONE},{GET}"),
        ),
    ] {
        let role = |rules: &str| object("Role", &format!(r#","rules":[{rules}]"#));
        let plan = plan(&role(&had), &role(&wanted), removal);
        assert_eq!(plan.step, step, "{had} {wanted} {removal:?}");
        assert_eq!(plan.object, role(&after), "{had} {wanted} {removal:?}");
    }
}

#[test]
fn aggregated_roles_have_the_rules_of_others() {
    let aggregated = |selectors: &str, rules: &str| {
        object(
            "ClusterRole",
            &format!(
                r#","aggregationRule":{{"clusterRoleSelectors":[{selectors}]}},"rules":[{rules}]"#
            ),
        )
    };
    let plain = |rules: &str| object("ClusterRole", &format!(r#","rules":[{rules}]"#));
    let a = r#"{"matchLabels":{"a":"b"}}"#;
    let b = r#"{"matchLabels":{"c":"d"}}"#;
    let both = format!("{a},{b}");
    for (had, wanted, removal, after) in [
        (aggregated(a, GET), aggregated(a, ""), EXACT, None),
        (aggregated(&both, GET), aggregated(a, LIST), KEEP, None),
        (
            aggregated(a, GET),
            aggregated(b, ""),
            KEEP,
            Some(aggregated(&both, GET)),
        ),
        (
            aggregated(&both, GET),
            aggregated(b, ""),
            EXACT,
            Some(aggregated(b, GET)),
        ),
        (
            plain(GET),
            aggregated(a, ""),
            KEEP,
            Some(object(
                "ClusterRole",
                &format!(r#","rules":[{GET}],"aggregationRule":{{"clusterRoleSelectors":[{a}]}}"#),
            )),
        ),
        // Whoever wants rules of its own wants no others.
        (aggregated(a, GET), plain(GET), KEEP, Some(plain(GET))),
        (aggregated(a, BOTH), plain(GET), EXACT, Some(plain(GET))),
    ] {
        let plan = plan(&had, &wanted, removal);
        let step = after.as_ref().map_or(Step::Keep, |_| Step::Update);
        assert_eq!(plan.step, step, "{had} {wanted}");
        assert_eq!(plan.object, after.unwrap_or(had), "{wanted}");
    }
    let empty = object("ClusterRole", r#","aggregationRule":{}"#);
    let plan = plan(&empty, &aggregated(a, ""), KEEP);
    assert_eq!(
        plan.object["aggregationRule"]["clusterRoleSelectors"][0]["matchLabels"]["a"],
        "b"
    );
}

#[test]
fn a_binding_is_for_more_and_only_for_fewer_where_it_is_said() {
    let binding = |role: &str, subjects: &[&str]| {
        let subjects = subjects
            .iter()
            .map(|name| format!(r#"{{"kind":"User","name":"{name}"}}"#));
        let subjects = subjects.collect::<Vec<_>>().join(",");
        object(
            "RoleBinding",
            &format!(r#","roleRef":{{"kind":"Role","name":"{role}"}},"subjects":[{subjects}]"#),
        )
    };
    for (had, wanted, removal, step, after) in [
        (&["a"][..], &["a"][..], EXACT, Step::Keep, &["a"][..]),
        (&["a"], &["b", "a"], KEEP, Step::Update, &["a", "b"]),
        (&["a", "b"], &["b"], KEEP, Step::Keep, &["a", "b"]),
        (&["a", "b"], &["b", "c"], EXACT, Step::Update, &["b", "c"]),
    ] {
        let plan = plan(&binding("r", had), &binding("r", wanted), removal);
        assert_eq!(plan.step, step, "{had:?} {wanted:?}");
        assert_eq!(plan.object, binding("r", after), "{had:?} {wanted:?}");
    }
    let plan = plan(&binding("r", &["a"]), &binding("other", &["b"]), KEEP);
    assert_eq!(plan.step, Step::Recreate);
    assert_eq!(plan.object, binding("other", &["b"]));
    assert_eq!(plan.details(), ["\treconciliation required recreate"]);
}

#[test]
fn marks_are_added_and_what_is_there_stays() {
    let mut had = object("Role", r#","rules":[]"#);
    had["metadata"]["labels"] = json!({ "a": "1", "b": "2" });
    let mut wanted = object("Role", r#","rules":[]"#);
    wanted["metadata"]["labels"] = json!({ "b": "3", "c": "4" });
    wanted["metadata"]["annotations"] = json!({ "d": "5" });
    let done = plan(&had, &wanted, EXACT);
    assert_eq!(done.step, Step::Update);
    assert_eq!(
        done.object["metadata"]["labels"],
        json!({ "a": "1", "b": "2", "c": "4" })
    );
    assert_eq!(done.object["metadata"]["annotations"], json!({ "d": "5" }));
    assert_eq!(plan(&done.object, &wanted, EXACT).step, Step::Keep);
}

#[test]
fn what_was_found_is_told_in_kubectls_words() {
    let role = |rules: &str| object("Role", &format!(r#","rules":[{rules}]"#));
    let new = Wanted::read(&role(&format!("{BOTH},{ONE}")), None).unwrap();
    let plan_of_new = Plan::of(&new, None, KEEP).unwrap();
    assert_eq!(plan_of_new.step, Step::Create);
    assert_eq!(
        plan_of_new.details(),
        [
            "\treconciliation required create",
            "\tmissing rules added:",
            "\t\t{Verbs:[get list] APIGroups:[] Resources:[pods] ResourceNames:[] NonResourceURLs:[]}",
            "\t\t{Verbs:[get] APIGroups:[] Resources:[pods] ResourceNames:[a] NonResourceURLs:[]}",
        ]
    );
    let mut had = role(LIST);
    had["metadata"]["annotations"] = json!({ OPT_OUT: "false" });
    let kept = plan(&had, &role(GET), EXACT);
    assert!(kept.is_opted_out);
    assert_eq!(
        (
            told(&kept, "missing rules added"),
            told(&kept, "extra rules removed")
        ),
        (1, 1)
    );
    assert_eq!(
        kept.details()[0],
        "\treconciliation required update, but object opted out (rbac.authorization.kubernetes.io/autoupdate: false)"
    );
    assert_eq!(plan(&role(GET), &role(GET), EXACT).details(), [""; 0]);
}

#[test]
fn what_cannot_be_understood_is_not_changed() {
    let new = Wanted::read(&object("Role", r#","rules":[]"#), None).unwrap();
    let odd = object("Role", r#","rules":[{"verbs":["get"],"unless":"x"}]"#);
    let why = Plan::of(&new, Some(&odd), EXACT).unwrap_err();
    assert!(why.starts_with("rules[0].unless: "), "{why}");
    let other = object("RoleBinding", r#","roleRef":{}"#);
    assert!(Plan::of(&new, Some(&other), EXACT).is_err());
}
