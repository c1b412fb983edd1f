//! Cron jobs: what they become, what is refused, and what is shown.

use serde_json::{Value, json};

use super::super::testing::{cells, each_is_refused, headings, made, with, wrong_change};
use super::kind;

fn cron_job() -> Value {
    json!({
        "metadata": { "name": "hello" },
        "spec": {
            "schedule": "*/5 * * * *",
            "timeZone": "UTC",
            "jobTemplate": { "spec": { "template": { "spec": {
                "containers": [{ "name": "hello", "image": "busybox:1" }],
                "restartPolicy": "OnFailure",
            } } } },
        },
    })
}

#[test]
fn defaults_rules_and_columns() {
    let object = made(&kind(), cron_job());
    let spec = &object.0["spec"];
    for (field, value) in [
        ("concurrencyPolicy", json!("Allow")),
        ("suspend", json!(false)),
        ("successfulJobsHistoryLimit", json!(3)),
        ("failedJobsHistoryLimit", json!(1)),
    ] {
        assert_eq!(spec[field], value, "{field}");
    }
    assert_eq!(
        spec["jobTemplate"]["spec"]["template"]["spec"]["dnsPolicy"],
        "ClusterFirst"
    );
    assert!(spec["jobTemplate"]["spec"].get("selector").is_none());
    let jobs = "/spec/jobTemplate/spec";
    let (selector, restart) = (
        format!("{jobs}/selector"),
        format!("{jobs}/template/spec/restartPolicy"),
    );
    each_is_refused(
        &kind(),
        &cron_job(),
        &[
            (
                "/spec/schedule",
                json!("* * *"),
                "spec.schedule: Invalid value: \"* * *\": expected exactly 5 fields, found 3",
            ),
            ("/spec/schedule", json!(""), "spec.schedule: Required value"),
            (
                "/spec/schedule",
                json!("TZ=UTC * * * * *"),
                "spec.schedule: Invalid value: \"TZ=UTC * * * * *\": cannot use TZ",
            ),
            (
                "/spec/timeZone",
                json!("Local"),
                "spec.timeZone: Invalid value: \"Local\": timeZone must be an explicit",
            ),
            (
                "/spec/timeZone",
                json!("Mars/Base"),
                "spec.timeZone: Invalid value: \"Mars/Base\": unknown time zone Mars/Base",
            ),
            (
                "/spec/timeZone",
                json!("../../etc/passwd"),
                "spec.timeZone: Invalid value: \"../../etc/passwd\": unknown time zone",
            ),
            (
                "/spec/concurrencyPolicy",
                json!("Maybe"),
                "spec.concurrencyPolicy: Unsupported value",
            ),
            (
                "/spec/startingDeadlineSeconds",
                json!(-1),
                "spec.startingDeadlineSeconds: Invalid value: -1",
            ),
            (
                "/spec/failedJobsHistoryLimit",
                json!(-1),
                "spec.failedJobsHistoryLimit: Invalid value: -1",
            ),
            (
                &selector,
                json!({ "matchLabels": { "a": "b" } }),
                "spec.jobTemplate.spec.selector: Invalid value: {\"matchLabels\":{\"a\":\"b\"}}: `selector` will be auto-generated",
            ),
            (
                &restart,
                json!("Always"),
                "spec.jobTemplate.spec.template.spec.restartPolicy: Unsupported value",
            ),
        ],
    );
    assert!((kind().check_name)(&"x".repeat(53)).is_err());
    let other = with(&cron_job(), "/spec/schedule", json!("@hourly"));
    assert_eq!(wrong_change(&kind(), cron_job(), other), [""; 0]);
    let expected = "Name Schedule Timezone Suspend Active Last Schedule Age (Containers) (Images) \
                    (Selector)";
    assert_eq!(headings(&kind()), expected);
    let expected = [
        "hello",
        "*/5 * * * *",
        "UTC",
        "False",
        "0",
        "<none>",
        "hello",
        "busybox:1",
        "<none>",
    ];
    assert_eq!(cells(&kind(), &object), expected);
}
