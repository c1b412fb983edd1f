//! Jobs: what they become, what is refused, and what is shown.

use serde_json::{Value, json};

use super::super::testing::{
    ID, cells, each_is_refused, headings, made, object, with, wrong, wrong_change,
};
use super::kind;

fn job() -> Value {
    json!({
        "metadata": { "name": "pi" },
        "spec": { "template": { "spec": {
            "containers": [{ "name": "pi", "image": "perl:5" }],
            "restartPolicy": "Never",
        } } },
    })
}

fn labels() -> Value {
    json!({
        "batch.kubernetes.io/controller-uid": ID,
        "batch.kubernetes.io/job-name": "pi",
        "controller-uid": ID,
        "job-name": "pi",
    })
}

#[test]
fn a_minimal_one_becomes_what_kubernetes_makes_of_it() {
    let expected = json!({
        "metadata": { "name": "pi", "uid": ID, "labels": labels() },
        "spec": {
            "backoffLimit": 6,
            "completionMode": "NonIndexed",
            "completions": 1,
            "manualSelector": false,
            "parallelism": 1,
            "podReplacementPolicy": "TerminatingOrFailed",
            "selector": { "matchLabels": { "batch.kubernetes.io/controller-uid": ID } },
            "suspend": false,
            "template": {
                "metadata": { "labels": labels() },
                "spec": {
                    "containers": [{
                        "name": "pi",
                        "image": "perl:5",
                        "imagePullPolicy": "IfNotPresent",
                        "resources": {},
                        "terminationMessagePath": "/dev/termination-log",
                        "terminationMessagePolicy": "File",
                    }],
                    "dnsPolicy": "ClusterFirst",
                    "restartPolicy": "Never",
                    "schedulerName": "default-scheduler",
                    "securityContext": {},
                    "terminationGracePeriodSeconds": 30,
                },
            },
        },
    });
    assert_eq!(Value::Object(made(&kind(), job()).0), expected);
    let work_queue = made(&kind(), with(&job(), "/spec/parallelism", json!(3)));
    assert!(
        work_queue.at(&["spec", "completions"]).is_none(),
        "it is a queue of work"
    );
}

#[test]
fn whoever_wants_to_cares_for_the_selector() {
    let manual = with(&job(), "/spec/manualSelector", json!(true));
    let manual = with(
        &manual,
        "/spec/selector",
        json!({ "matchLabels": { "a": "b" } }),
    );
    let manual = with(
        &manual,
        "/spec/template/metadata",
        json!({ "labels": { "a": "b" } }),
    );
    assert_eq!(wrong(&kind(), manual.clone()), [""; 0]);
    let made = made(&kind(), manual);
    assert_eq!(
        made.0["spec"]["template"]["metadata"]["labels"],
        json!({ "a": "b" })
    );
}

#[test]
fn what_is_wrong_is_refused_by_its_path() {
    let policy = |rule: Value| json!({ "rules": [rule] });
    let codes = |codes: Value| json!({ "action": "FailJob", "onExitCodes": codes });
    each_is_refused(
        &kind(),
        &job(),
        &[
            (
                "/spec/template/spec/restartPolicy",
                json!("Always"),
                "spec.template.spec.restartPolicy: Unsupported value: \"Always\": supported values: \"OnFailure\", \"Never\"",
            ),
            (
                "/spec/parallelism",
                json!(-1),
                "spec.parallelism: Invalid value: -1",
            ),
            (
                "/spec/backoffLimit",
                json!(-1),
                "spec.backoffLimit: Invalid value: -1",
            ),
            (
                "/spec/completionMode",
                json!("Some"),
                "spec.completionMode: Unsupported value",
            ),
            (
                "/spec",
                json!({ "template": job()["spec"]["template"], "completionMode": "Indexed", "parallelism": 2 }),
                "spec.completions: Required value: when completion mode is Indexed",
            ),
            (
                "/spec/backoffLimitPerIndex",
                json!(1),
                "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode",
            ),
            (
                "/spec/maxFailedIndexes",
                json!(1),
                "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified",
            ),
            (
                "/spec/selector",
                json!({ "matchLabels": { "a": "b" } }),
                "spec.selector: Invalid value",
            ),
            (
                "/spec/template/metadata",
                json!({ "labels": { "job-name": "x" } }),
                "spec.template.metadata.labels[job-name]: Invalid value: \"x\": must be 'pi'",
            ),
            (
                "/spec/managedBy",
                json!("me"),
                "spec.managedBy: Invalid value: \"me\": must be a domain-prefixed path",
            ),
            (
                "/spec/podReplacementPolicy",
                json!("X"),
                "spec.podReplacementPolicy: Unsupported value",
            ),
            (
                "/spec/podFailurePolicy",
                policy(json!({ "action": "Ignore" })),
                "spec.podFailurePolicy.rules[0]: Invalid value",
            ),
            (
                "/spec/podFailurePolicy",
                policy(codes(json!({ "operator": "In", "values": [0] }))),
                "spec.podFailurePolicy.rules[0].onExitCodes.values[0]: Invalid value: 0: must not be 0",
            ),
            (
                "/spec/podFailurePolicy",
                policy(codes(json!({ "operator": "In", "values": [3, 2] }))),
                "spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value: [3,2]: must be ordered",
            ),
            (
                "/spec/podFailurePolicy",
                policy(codes(
                    json!({ "operator": "In", "values": [3], "containerName": "x" }),
                )),
                "spec.podFailurePolicy.rules[0].onExitCodes.containerName: Invalid value: \"x\"",
            ),
        ],
    );
    let indexed = with(&job(), "/spec/completionMode", json!("Indexed"));
    let indexed = with(&indexed, "/spec/completions", json!(10));
    each_is_refused(
        &kind(),
        &indexed,
        &[
            (
                "/spec/maxFailedIndexes",
                json!(11),
                "spec.maxFailedIndexes: Invalid value: 11: must be less than or equal to completions",
            ),
            (
                "/spec/successPolicy",
                json!({ "rules": [{}] }),
                "spec.successPolicy.rules[0]: Required value",
            ),
            (
                "/spec/successPolicy",
                json!({ "rules": [{ "succeededIndexes": "3,1" }] }),
                "spec.successPolicy.rules[0].succeededIndexes: Invalid value: \"3,1\"",
            ),
            (
                "/metadata/name",
                json!("x".repeat(62)),
                "metadata.name: Invalid value",
            ),
        ],
    );
}

#[test]
fn its_template_stays_unless_it_has_not_begun() {
    let of = |manifest: &Value| Value::Object(made(&kind(), manifest.clone()).0);
    let old = of(&job());
    let image = "/spec/template/spec/containers/0/image";
    let place = "/spec/template/spec/nodeSelector";
    let told = wrong_change(&kind(), old.clone(), with(&old, image, json!("perl:6")));
    assert!(
        told.len() == 1 && told[0].starts_with("spec.template: Invalid value"),
        "{told:?}"
    );
    let told = wrong_change(
        &kind(),
        old.clone(),
        with(&old, "/spec/completions", json!(2)),
    );
    assert_eq!(
        told,
        ["spec.completions: Invalid value: 2: field is immutable"]
    );
    let more = with(&old, "/spec/parallelism", json!(4));
    assert_eq!(wrong_change(&kind(), old.clone(), more), [""; 0]);
    assert_eq!(
        wrong_change(&kind(), old.clone(), with(&old, place, json!({ "a": "b" }))).len(),
        1
    );
    let waits = with(&old, "/spec/suspend", json!(true));
    let placed = with(&waits, place, json!({ "a": "b" }));
    assert_eq!(
        wrong_change(&kind(), waits.clone(), placed.clone()),
        [""; 0]
    );
    let changed = with(&waits, image, json!("perl:6"));
    assert_eq!(wrong_change(&kind(), waits.clone(), changed).len(), 1);
    let begun = with(
        &waits,
        "/status",
        json!({ "startTime": "2026-01-01T00:00:00Z" }),
    );
    assert_eq!(wrong_change(&kind(), begun, placed).len(), 1);
}

#[test]
fn columns_say_what_kubectl_says() {
    let expected = "Name Status Completions Duration Age (Containers) (Images) (Selector)";
    assert_eq!(headings(&kind()), expected);
    let condition = |name: &str| json!([{ "type": name, "status": "True" }]);
    for (spec, status, state, completions, duration) in [
        (json!({ "completions": 2 }), json!({}), "Running", "0/2", ""),
        (
            json!({ "completions": 2 }),
            json!({
                "succeeded": 2, "conditions": condition("Complete"),
                "startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:02:05Z",
            }),
            "Complete",
            "2/2",
            "2m5s",
        ),
        (
            json!({ "parallelism": 3 }),
            json!({ "conditions": condition("Failed") }),
            "Failed",
            "0/1 of 3",
            "",
        ),
        (
            json!({ "parallelism": 1 }),
            json!({ "conditions": condition("Suspended") }),
            "Suspended",
            "0/1",
            "",
        ),
    ] {
        let job = object(json!({ "metadata": { "name": "j" }, "spec": spec, "status": status }));
        assert_eq!(
            cells(&kind(), &job)[1..4],
            [state, completions, duration],
            "{job:?}"
        );
    }
    let going = json!({ "name": "j", "deletionTimestamp": "2026-01-01T00:00:00Z" });
    assert_eq!(
        cells(&kind(), &object(json!({ "metadata": going })))[1],
        "Terminating"
    );
    let done = object(json!({ "status": { "succeeded": 3 } }));
    assert_eq!(kind().field(&done, "status.successful"), "3");
    assert_eq!(kind().field(&object(json!({})), "status.successful"), "0");
}
