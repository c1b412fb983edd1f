//! Jobs run to their end, at times and by hand, and each pod is counted once.
#![allow(clippy::unwrap_used)]

use weft_testkit::Weft;
use weft_testkit::wait::{SOON, until};

use crate::server_kubectl::{apply, cluster, kubectl};

/// The answer to `get <what> -o jsonpath={<path>}`.
#[track_caller]
fn field(weft: &Weft, what: &str, path: &str) -> String {
    let ran = kubectl(weft, &format!("get {what} -o jsonpath={{{path}}}"));
    ran.ok().to_owned()
}

/// What is said in a job's `spec`: `more`, and pods that run `script`.
fn spec(script: &str, more: &str) -> String {
    format!(
        "{{ {more} template: {{ spec: {{ restartPolicy: Never, containers: [{{ name: main, image: busybox, \
         imagePullPolicy: IfNotPresent, command: [sh, -c, {script:?}] }}] }} }} }}"
    )
}

fn job(name: &str, script: &str, more: &str) -> String {
    let spec = spec(script, more);
    format!("apiVersion: batch/v1\nkind: Job\nmetadata: {{ name: {name} }}\nspec: {spec}\n")
}

/// All jobs go, and what ran for them.
#[track_caller]
fn forget(weft: &Weft) {
    kubectl(weft, "delete jobs --all").ok();
    until(SOON, "nothing of them is left", || {
        weft.weft(&["ps", "-aq"]).ok().is_empty()
    });
}

#[test]
fn a_job_runs_to_its_end_and_goes_when_its_time_is_over() {
    let Some(weft) = cluster() else { return };
    let applied = apply(
        &weft,
        &job("pi", "echo 3.14", "completions: 3, parallelism: 2,"),
    );
    assert_eq!(applied.ok(), "job.batch/pi created");
    assert_eq!(applied.stderr, "");
    kubectl(&weft, "wait --for=condition=complete job/pi --timeout=60s").ok();
    assert_eq!(field(&weft, "job pi", ".status.succeeded"), "3");
    let logs = kubectl(&weft, "logs -l job-name=pi");
    assert_eq!(logs.ok(), "3.14\n3.14\n3.14");
    let shown = kubectl(&weft, "describe job pi");
    for part in [
        "Pods Statuses:    0 Active (0 Ready) / 3 Succeeded / 0 Failed",
        "SuccessfulCreate",
        "Job completed",
    ] {
        assert!(shown.ok().contains(part), "{part}: {}", shown.ok());
    }
    let table = kubectl(&weft, "get job pi");
    assert!(table.ok().contains("Complete   3/3"), "{}", table.ok());
    let lives = "patch job pi -p {\"spec\":{\"ttlSecondsAfterFinished\":0}}";
    kubectl(&weft, lives).ok();
    kubectl(&weft, "wait --for=delete job/pi --timeout=60s").ok();
    until(SOON, "its pods are gone", || {
        kubectl(&weft, "get pods -o name").ok().is_empty()
    });
    forget(&weft);
}

#[test]
fn a_job_that_fails_says_why() {
    let Some(weft) = cluster() else { return };
    apply(&weft, &job("bad", "exit 3", "backoffLimit: 0,")).ok();
    kubectl(&weft, "wait --for=condition=failed job/bad --timeout=60s").ok();
    let shown = kubectl(&weft, "describe job bad");
    for part in [
        "0 Succeeded / 1 Failed",
        "BackoffLimitExceeded",
        "Job has reached the specified backoff limit",
    ] {
        assert!(shown.ok().contains(part), "{part}: {}", shown.ok());
    }
    let policy = "podFailurePolicy: { rules: [{ action: FailJob, onExitCodes: { operator: In, values: [42] } }] },";
    apply(&weft, &job("ruled", "exit 42", policy)).ok();
    kubectl(&weft, "wait --for=condition=failed job/ruled --timeout=60s").ok();
    let why = ".status.conditions[?(@.type==\"Failed\")].message";
    let why = field(&weft, "job ruled", why);
    let name = field(&weft, "pods -l job-name=ruled", ".items[0].metadata.name");
    let expected = format!(
        "Container main for pod default/{name} failed with exit code 42 matching FailJob rule at index 0"
    );
    assert_eq!(why, expected);
    apply(
        &weft,
        &job("slow", "exec sleep 1000", "activeDeadlineSeconds: 1,"),
    )
    .ok();
    kubectl(&weft, "wait --for=condition=failed job/slow --timeout=60s").ok();
    let reason = ".status.conditions[?(@.type==\"Failed\")].reason";
    assert_eq!(field(&weft, "job slow", reason), "DeadlineExceeded");
    forget(&weft);
}

#[test]
fn pods_with_numbers_know_them() {
    let Some(weft) = cluster() else { return };
    let script = "echo $JOB_COMPLETION_INDEX $(hostname); test $JOB_COMPLETION_INDEX != 1";
    let more = "completionMode: Indexed, completions: 3, parallelism: 3, backoffLimitPerIndex: 0,";
    apply(&weft, &job("ix", script, more)).ok();
    kubectl(&weft, "wait --for=condition=failed job/ix --timeout=60s").ok();
    assert_eq!(field(&weft, "job ix", ".status.completedIndexes"), "0,2");
    assert_eq!(field(&weft, "job ix", ".status.failedIndexes"), "1");
    for index in 0..3 {
        let which = format!("logs -l batch.kubernetes.io/job-completion-index={index}");
        assert_eq!(kubectl(&weft, &which).ok(), format!("{index} ix-{index}"));
    }
    let reason = ".status.conditions[?(@.type==\"Failed\")].reason";
    assert_eq!(field(&weft, "job ix", reason), "FailedIndexes");
    forget(&weft);
}

#[test]
fn who_is_killed_in_the_middle_counts_each_pod_once() {
    let Some(mut weft) = cluster() else { return };
    let more = "completions: 6, parallelism: 2,";
    apply(&weft, &job("many", "sleep 0.3", more)).ok();
    for count in [1, 3] {
        until(SOON, "some are done", || {
            let done = field(&weft, "job many", ".status.succeeded");
            done.parse::<u32>().unwrap_or(0) >= count
        });
        weft.kill_daemon();
        weft.start_daemon();
    }
    kubectl(
        &weft,
        "wait --for=condition=complete job/many --timeout=60s",
    )
    .ok();
    assert_eq!(field(&weft, "job many", ".status.succeeded"), "6");
    // A start that a kill cuts off is a failure of that pod, and another is made.
    let failed = field(&weft, "job many", ".status.failed");
    let pods = field(&weft, "pods -l job-name=many", ".items[*].status.phase");
    let count = |phase: &str| pods.split(' ').filter(|one| *one == phase).count();
    assert_eq!(count("Failed"), failed.parse().unwrap_or(0), "{pods}");
    assert_eq!(
        (count("Succeeded"), pods.split(' ').count()),
        (6, 6 + count("Failed"))
    );
    let held = field(&weft, "pods", ".items[*].metadata.finalizers");
    assert_eq!(held, "");
    forget(&weft);
}

#[test]
fn a_cron_job_makes_jobs_at_its_times_and_by_hand() {
    let Some(mut weft) = cluster() else { return };
    let spec = spec("echo tick", "");
    let manifest = format!(
        "apiVersion: batch/v1\nkind: CronJob\nmetadata: {{ name: tick }}\nspec:\n  \
         schedule: 0 0 1 1 *\n  timeZone: Etc/UTC\n  jobTemplate: {{ spec: {spec} }}\n"
    );
    let applied = apply(&weft, &manifest);
    assert_eq!(applied.ok(), "cronjob.batch/tick created");
    assert_eq!(applied.stderr, "");
    kubectl(&weft, "create job --from=cronjob/tick now").ok();
    kubectl(&weft, "wait --for=condition=complete job/now --timeout=60s").ok();
    assert_eq!(kubectl(&weft, "logs job/now").ok(), "tick");
    assert_eq!(field(&weft, "cronjob tick", ".status.lastScheduleTime"), "");

    // As if it had been made some new years ago.
    let status = "{\"status\":{\"lastScheduleTime\":\"2020-06-01T00:00:00Z\"}}";
    let line = format!("patch cronjob tick --subresource=status --type=merge -p {status}");
    kubectl(&weft, &line).ok();
    until(SOON, "its job has ended", || {
        !field(&weft, "cronjob tick", ".status.lastSuccessfulTime").is_empty()
            && field(&weft, "cronjob tick", ".status.active").is_empty()
            && kubectl(&weft, "get jobs -o name").ok().lines().count() == 2
    });
    let last = field(&weft, "cronjob tick", ".status.lastScheduleTime");
    assert!(
        last.ends_with("-01-01T00:00:00Z") && !last.starts_with("2020"),
        "{last}"
    );
    until(SOON, "it is told", || {
        let shown = kubectl(&weft, "describe cronjob tick");
        let parts = [
            "SuccessfulCreate",
            "Created job tick-",
            "Saw completed job: tick-",
        ];
        parts.into_iter().all(|part| shown.ok().contains(part))
    });
    weft.kill_daemon();
    weft.start_daemon();
    kubectl(&weft, "delete cronjob tick").ok();
    until(SOON, "its jobs go with it", || {
        kubectl(&weft, "get jobs,pods -o name").ok().is_empty()
    });
    forget(&weft);
}
