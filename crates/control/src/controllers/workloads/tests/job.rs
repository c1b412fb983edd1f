//! Jobs.

use super::super::job::FINALIZER;
use super::*;

pub(super) fn spec(more: &Value) -> Value {
    let mut spec = json!({ "template": { "spec": {
        "restartPolicy": "Never", "containers": [{ "name": "c", "image": "x" }],
    } } });
    for (name, value) in more.as_object().unwrap() {
        spec[name] = value.clone();
    }
    spec
}

async fn make(world: &World, name: &str, more: Value) {
    let job = json!({ "metadata": { "name": name }, "spec": spec(&more) });
    world.make("jobs", job).await.unwrap();
}

/// A pod ends with this code.
async fn end(world: &World, pod: &Object, code: i64) {
    let now = crate::store::now();
    let phase = if code == 0 { "Succeeded" } else { "Failed" };
    let terminated = json!({ "exitCode": code, "finishedAt": now, "reason": "Completed" });
    let status = json!({ "phase": phase, "containerStatuses": [{
        "name": "c", "image": "x", "imageID": "", "ready": false, "restartCount": 0,
        "state": { "terminated": terminated },
    }] });
    world.patch_status("pods", pod.meta().name(), status).await;
}

async fn has(world: &World, job: &str, condition: &str) -> Option<Value> {
    let job = world.get("jobs", job).await?;
    let found = job.condition(condition)?;
    (found["status"] == "True").then(|| found["reason"].clone())
}

async fn until_active(world: &World, count: usize) -> Vec<Object> {
    world
        .until("so many pods", async || world.active().await.len() == count)
        .await;
    world.active().await
}

async fn until_has(world: &World, job: &str, condition: &str) -> Value {
    world
        .until(condition, async || {
            has(world, job, condition).await.is_some()
        })
        .await;
    has(world, job, condition).await.unwrap()
}

fn is_held(pod: &Object) -> bool {
    pod.meta().finalizers().any(|one| one == FINALIZER)
}

#[tokio::test]
async fn pods_run_to_their_end_and_never_too_many() {
    let world = World::begin().await;
    make(&world, "pi", json!({ "completions": 5, "parallelism": 2 })).await;
    let mut ended = 0;
    while ended < 5 {
        let wanted = (5 - ended).min(2);
        let pods = until_active(&world, wanted).await;
        assert!(pods.iter().all(is_held));
        end(&world, &pods[0], 0).await;
        ended += 1;
    }
    assert_eq!(
        until_has(&world, "pi", "Complete").await,
        "CompletionsReached"
    );
    let job = world.get("jobs", "pi").await.unwrap();
    assert_eq!((status(&job, "succeeded"), status(&job, "active")), (5, 0));
    assert_eq!(
        job.at(&["status", "uncountedTerminatedPods"]),
        Some(&json!({}))
    );
    assert!(job.at(&["status", "startTime"]).is_some());
    assert!(job.at(&["status", "completionTime"]).is_some());
    let pods = world.all("pods").await;
    assert_eq!(pods.len(), 5);
    assert!(!pods.iter().any(is_held));
    assert!(pods[0].meta().name().starts_with("pi-"));
    world
        .until("all is told", async || {
            let told = world.reasons("pi").await;
            let made = told.iter().filter(|one| *one == "SuccessfulCreate").count();
            made == 5 && told.contains(&"Completed".to_owned())
        })
        .await;
}

#[tokio::test]
async fn failures_are_counted_and_end_it() {
    let world = World::begin().await;
    let more = json!({ "backoffLimit": 0, "parallelism": 2, "completions": 2 });
    make(&world, "bad", more).await;
    let pods = until_active(&world, 2).await;
    end(&world, &pods[0], 1).await;
    assert_eq!(
        until_has(&world, "bad", "Failed").await,
        "BackoffLimitExceeded"
    );
    let job = world.get("jobs", "bad").await.unwrap();
    assert_eq!(status(&job, "failed"), 2, "the other one failed with it");
    assert!(job.at(&["status", "completionTime"]).is_none());
    assert!(world.active().await.is_empty());
    world
        .until("it is told", async || {
            world
                .reasons("bad")
                .await
                .contains(&"BackoffLimitExceeded".to_owned())
        })
        .await;
}

#[tokio::test]
async fn a_kill_at_any_time_counts_each_pod_once() {
    let mut world = World::begin().await;
    for round in 0..12_usize {
        let name = format!("j{round}");
        let mode = if round % 2 == 0 {
            "NonIndexed"
        } else {
            "Indexed"
        };
        let more = json!({ "completions": 6, "parallelism": 3, "completionMode": mode });
        make(&world, &name, more).await;
        let mut writes = 0;
        loop {
            let job = world.get("jobs", &name).await.unwrap();
            if super::super::job::ended(&job).is_some() {
                break;
            }
            let pods = world.active().await;
            assert!(pods.len() <= 3, "{}", pods.len());
            for pod in pods.iter().take(1) {
                end(&world, pod, 0).await;
            }
            // Somewhere in the middle of what comes of it.
            for _ in 0..(round * 7 + writes) % 23 {
                tokio::task::yield_now().await;
            }
            writes += 1;
            world.kill().await;
            world.start();
            world
                .until("something comes of it", async || {
                    let job = world.get("jobs", &name).await.unwrap();
                    super::super::job::ended(&job).is_some() || !world.active().await.is_empty()
                })
                .await;
        }
        let job = world.get("jobs", &name).await.unwrap();
        assert_eq!((status(&job, "succeeded"), status(&job, "failed")), (6, 0));
        let pods = world.all("pods").await;
        let own = pods
            .iter()
            .filter(|pod| pod.meta().label("job-name") == Some(&name));
        assert_eq!(own.count(), 6);
    }
}

#[tokio::test]
async fn numbered_pods_know_their_number() {
    let world = World::begin().await;
    let more = json!({ "completionMode": "Indexed", "completions": 3, "parallelism": 2 });
    make(&world, "ix", more).await;
    let pods = until_active(&world, 2).await;
    let index = "batch.kubernetes.io/job-completion-index";
    for (at, pod) in pods.iter().enumerate() {
        let at = at.to_string();
        assert!(pod.meta().name().starts_with(&format!("ix-{at}-")));
        assert_eq!(pod.meta().annotation(index), Some(at.as_str()));
        assert_eq!(pod.meta().label(index), Some(at.as_str()));
        assert_eq!(
            pod.text(&["spec", "hostname"]),
            Some(format!("ix-{at}").as_str())
        );
        let env = &pod.at(&["spec", "containers"]).unwrap()[0]["env"][0];
        assert_eq!(env["name"], "JOB_COMPLETION_INDEX");
        let from = &env["valueFrom"]["fieldRef"]["fieldPath"];
        assert_eq!(*from, format!("metadata.labels['{index}']"));
    }
    end(&world, &pods[1], 0).await;
    world
        .until("1 is done", async || {
            let job = world.get("jobs", "ix").await.unwrap();
            job.text(&["status", "completedIndexes"]) == Some("1")
        })
        .await;
    for pod in until_active(&world, 2).await {
        end(&world, &pod, 0).await;
    }
    until_has(&world, "ix", "Complete").await;
    let job = world.get("jobs", "ix").await.unwrap();
    assert_eq!(job.text(&["status", "completedIndexes"]), Some("0-2"));
}

#[tokio::test]
async fn it_waits_while_it_is_suspended() {
    let world = World::begin().await;
    make(
        &world,
        "later",
        json!({ "suspend": true, "parallelism": 2, "completions": 2 }),
    )
    .await;
    until_has(&world, "later", "Suspended").await;
    let job = world.get("jobs", "later").await.unwrap();
    assert!(job.at(&["status", "startTime"]).is_none());
    let suspend = async |is: bool| {
        let patch = json!({ "spec": { "suspend": is } });
        world.patch("jobs", "later", patch).await;
    };
    suspend(false).await;
    until_active(&world, 2).await;
    suspend(true).await;
    until_active(&world, 0).await;
    until_has(&world, "later", "Suspended").await;
    suspend(false).await;
    let pods = until_active(&world, 2).await;
    for pod in &pods {
        end(&world, pod, 0).await;
    }
    until_has(&world, "later", "Complete").await;
    let job = world.get("jobs", "later").await.unwrap();
    assert_eq!(
        status(&job, "failed"),
        0,
        "who was told to wait did not fail"
    );
    let told = world.reasons("later").await;
    for reason in ["Suspended", "Resumed", "SuccessfulDelete"] {
        assert!(told.contains(&reason.to_owned()), "{told:?}");
    }
}

#[tokio::test]
async fn pods_of_jobs_that_are_gone_are_let_go() {
    for propagation in [
        Propagation::Background,
        Propagation::Foreground,
        Propagation::Orphan,
    ] {
        let world = World::begin().await;
        make(&world, "gone", json!({})).await;
        until_active(&world, 1).await;
        world.delete("jobs", "gone", propagation).await;
        world
            .until("nobody holds it", async || {
                let pods = world.all("pods").await;
                let is_kept = propagation == Propagation::Orphan;
                world.get("jobs", "gone").await.is_none()
                    && pods.len() == usize::from(is_kept)
                    && !pods.iter().any(is_held)
            })
            .await;
    }
}

#[tokio::test]
async fn it_goes_when_its_time_is_over() {
    let world = World::begin().await;
    make(&world, "brief", json!({ "ttlSecondsAfterFinished": 0 })).await;
    let pods = until_active(&world, 1).await;
    end(&world, &pods[0], 0).await;
    world
        .until("all of it is gone", async || {
            world.get("jobs", "brief").await.is_none() && world.all("pods").await.is_empty()
        })
        .await;
}

#[tokio::test]
async fn time_rules_and_numbers_end_it() {
    let world = World::begin().await;
    make(&world, "slow", json!({ "activeDeadlineSeconds": 1 })).await;
    assert_eq!(
        until_has(&world, "slow", "Failed").await,
        "DeadlineExceeded"
    );
    let rules = json!({ "rules": [
        { "action": "FailJob", "onExitCodes": { "operator": "In", "values": [42] } },
    ] });
    make(&world, "ruled", json!({ "podFailurePolicy": rules })).await;
    let pods = until_active(&world, 1).await;
    end(&world, &pods[0], 42).await;
    assert_eq!(
        until_has(&world, "ruled", "Failed").await,
        "PodFailurePolicy"
    );
    let job = world.get("jobs", "ruled").await.unwrap();
    let why = job.condition("Failed").unwrap()["message"].clone();
    let name = pods[0].meta().name();
    let expected = format!(
        "Container c for pod a/{name} failed with exit code 42 matching FailJob rule at index 0"
    );
    assert_eq!(why, expected);
    let more = json!({
        "completionMode": "Indexed", "completions": 2, "parallelism": 2, "backoffLimitPerIndex": 0,
    });
    make(&world, "each", more).await;
    let pods = until_active(&world, 2).await;
    end(&world, &pods[0], 1).await;
    end(&world, &pods[1], 0).await;
    assert_eq!(until_has(&world, "each", "Failed").await, "FailedIndexes");
    let job = world.get("jobs", "each").await.unwrap();
    let text = |name| job.text(&["status", name]);
    assert_eq!(
        (text("completedIndexes"), text("failedIndexes")),
        (Some("1"), Some("0"))
    );
    assert_eq!((status(&job, "succeeded"), status(&job, "failed")), (1, 1));
    let policy = json!({ "rules": [{ "succeededIndexes": "1" }] });
    let more = json!({
        "completionMode": "Indexed", "completions": 2, "parallelism": 2, "successPolicy": policy,
    });
    make(&world, "leader", more).await;
    let pods = until_active(&world, 2).await;
    end(&world, &pods[1], 0).await;
    assert_eq!(
        until_has(&world, "leader", "Complete").await,
        "SuccessPolicy"
    );
    let job = world.get("jobs", "leader").await.unwrap();
    assert_eq!((status(&job, "succeeded"), status(&job, "failed")), (1, 0));
}

#[tokio::test]
async fn others_jobs_are_left_alone() {
    let world = World::begin().await;
    make(&world, "theirs", json!({ "managedBy": "acme.io/jobs" })).await;
    make(&world, "ours", json!({})).await;
    until_active(&world, 1).await;
    let theirs = world.get("jobs", "theirs").await.unwrap();
    assert!(
        theirs
            .at(&["status"])
            .is_none_or(|status| *status == json!({}))
    );
}
