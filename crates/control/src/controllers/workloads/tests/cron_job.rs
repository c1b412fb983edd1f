//! Jobs at times.

use jiff::{SignedDuration, Timestamp};

use super::super::cron_job::SCHEDULED;
use super::job::spec as job_spec;
use super::*;

/// So many minutes ago; whole ones.
fn ago(minutes: i64) -> String {
    let at = Timestamp::now().as_second().div_euclid(60) * 60;
    let at = Timestamp::from_second(at).unwrap() - SignedDuration::from_mins(minutes);
    at.to_string()
}

/// A cron job that was last due so many minutes ago.
async fn make(world: &World, name: &str, more: &Value, minutes: i64) {
    let mut spec = json!({
        "schedule": "* * * * *", "suspend": true,
        "jobTemplate": { "metadata": { "labels": { "a": "b" } }, "spec": job_spec(&json!({})) },
    });
    for (name, value) in more.as_object().unwrap() {
        spec[name] = value.clone();
    }
    let cron_job = json!({ "metadata": { "name": name }, "spec": spec });
    world.make("cronjobs", cron_job).await.unwrap();
    let status = json!({ "lastScheduleTime": ago(minutes) });
    world.patch_status("cronjobs", name, status).await;
    let resume = json!({ "spec": { "suspend": false } });
    world.patch("cronjobs", name, resume).await;
}

async fn until_jobs(world: &World, count: usize) -> Vec<Object> {
    world
        .until("so many jobs", async || {
            world.all("jobs").await.len() == count
        })
        .await;
    world.all("jobs").await
}

async fn end(world: &World, job: &Object, condition: &str) {
    let now = crate::store::now();
    let one = |name: &str| json!({ "type": name, "status": "True", "lastTransitionTime": now, "lastProbeTime": now });
    let target = if condition == "Complete" {
        "SuccessCriteriaMet"
    } else {
        "FailureTarget"
    };
    let mut status = json!({ "startTime": now, "conditions": [one(target), one(condition)] });
    if condition == "Complete" {
        status["completionTime"] = now.clone().into();
    }
    world.patch_status("jobs", job.meta().name(), status).await;
}

async fn until_told(world: &World, name: &str, reason: &str) {
    world
        .until(reason, async || {
            world.reasons(name).await.contains(&reason.to_owned())
        })
        .await;
}

#[tokio::test]
async fn the_last_time_that_went_by_has_its_job() {
    let world = World::begin().await;
    make(&world, "tick", &json!({ "timeZone": "Asia/Kolkata" }), 5).await;
    let job = until_jobs(&world, 1).await.remove(0);
    let at = job.meta().annotation(SCHEDULED).unwrap();
    assert!(at.ends_with("+05:30"), "{at}");
    let at_s: i64 = at.parse::<Timestamp>().unwrap().as_second();
    assert!(
        (0..120).contains(&(Timestamp::now().as_second() - at_s)),
        "{at}"
    );
    assert_eq!(job.meta().name(), format!("tick-{}", at_s / 60));
    assert_eq!(job.meta().label("a"), Some("b"));
    world
        .until("its status says so", async || {
            let cron = world.get("cronjobs", "tick").await.unwrap();
            let active = cron.at(&["status", "active"]).cloned().unwrap_or_default();
            active[0]["name"] == job.meta().name()
                && cron.text(&["status", "lastScheduleTime"])
                    == Some(&Timestamp::from_second(at_s).unwrap().to_string())
        })
        .await;
    end(&world, &job, "Complete").await;
    until_told(&world, "tick", "SawCompletedJob").await;
    until_told(&world, "tick", "SuccessfulCreate").await;
    let cron = world.get("cronjobs", "tick").await.unwrap();
    assert!(cron.at(&["status", "active"]).is_none());
    assert!(cron.at(&["status", "lastSuccessfulTime"]).is_some());
}

#[tokio::test]
async fn a_time_that_never_comes_is_told() {
    let world = World::begin().await;
    make(&world, "never", &json!({ "schedule": "0 0 30 2 *" }), 5).await;
    until_told(&world, "never", "UnmetSchedule").await;
    assert!(world.all("jobs").await.is_empty());
}

#[tokio::test]
async fn one_that_runs_is_waited_for_or_replaced() {
    let world = World::begin().await;
    for (policy, reason) in [
        ("Forbid", "JobAlreadyActive"),
        ("Replace", "SuccessfulDelete"),
    ] {
        let name = policy.to_lowercase();
        make(&world, &name, &json!({ "concurrencyPolicy": policy }), 5).await;
        world
            .until("it has a job", async || {
                let cron = world.get("cronjobs", &name).await.unwrap();
                cron.at(&["status", "active"]).is_some()
            })
            .await;
        let jobs = world.all("jobs").await;
        let is_own = |job: &&Object| job.meta().name().starts_with(&name);
        let job = jobs.iter().find(is_own).unwrap();
        // It was for an earlier time.
        let before = json!({ "metadata": { "annotations": { SCHEDULED: ago(9) } } });
        world.patch("jobs", job.meta().name(), before).await;
        let status = json!({ "lastScheduleTime": ago(9) });
        world.patch_status("cronjobs", &name, status).await;
        until_told(&world, &name, reason).await;
        if policy == "Forbid" {
            assert_eq!(world.all("jobs").await.len(), 1);
            end(&world, job, "Failed").await;
            until_told(&world, &name, "SawCompletedJob").await;
        }
    }
}

#[tokio::test]
async fn those_that_have_ended_are_kept_for_a_while() {
    let world = World::begin().await;
    let more =
        json!({ "successfulJobsHistoryLimit": 1, "failedJobsHistoryLimit": 0, "suspend": true });
    make(&world, "keep", &more, 0).await;
    let suspend = json!({ "spec": { "suspend": true } });
    world.patch("cronjobs", "keep", suspend).await;
    let cron = world.get("cronjobs", "keep").await.unwrap();
    let owner = super::super::acts::reference(&world.kind("cronjobs"), &cron);
    for name in ["a1", "a2", "b1"] {
        let meta = json!({ "name": name, "ownerReferences": [owner] });
        let job = json!({ "metadata": meta, "spec": job_spec(&json!({})) });
        let job = world.make("jobs", job).await.unwrap();
        let how = if name == "b1" { "Failed" } else { "Complete" };
        end(&world, &job, how).await;
    }
    world
        .until("one is left", async || {
            let jobs = world.all("jobs").await;
            jobs.len() == 1 && jobs[0].meta().name() == "a2"
        })
        .await;
}

#[tokio::test]
async fn what_is_too_late_or_unknown_is_told() {
    let world = World::begin().await;
    let more = json!({ "schedule": "0 0 1 1 *", "startingDeadlineSeconds": 20 });
    make(&world, "late", &more, 3 * 366 * 24 * 60).await;
    until_told(&world, "late", "MissSchedule").await;
    make(&world, "many", &json!({}), 200).await;
    until_told(&world, "many", "TooManyMissedTimes").await;
    until_told(&world, "many", "SuccessfulCreate").await;
    let cron = world.get("cronjobs", "late").await.unwrap();
    let owner = super::super::acts::reference(&world.kind("cronjobs"), &cron);
    let meta = json!({ "name": "by-hand", "ownerReferences": [owner] });
    let job = json!({ "metadata": meta, "spec": job_spec(&json!({})) });
    world.make("jobs", job).await.unwrap();
    until_told(&world, "late", "UnexpectedJob").await;
    let cron = world.get("cronjobs", "late").await.unwrap();
    assert!(cron.at(&["status", "active"]).is_none());
}

#[tokio::test]
async fn a_kill_at_any_time_makes_one_job_for_each_time() {
    let mut world = World::begin().await;
    for round in 0..24_usize {
        let name = format!("c{round}");
        let more = json!({ "schedule": "0 0 1 1 *", "successfulJobsHistoryLimit": 9 });
        make(&world, &name, &more, 2 * 366 * 24 * 60).await;
        for turn in 0..3 {
            for _ in 0..(round + turn) % 19 {
                tokio::task::yield_now().await;
            }
            world.kill().await;
            world.start();
        }
        world
            .until("its status says so", async || {
                let cron = world.get("cronjobs", &name).await.unwrap();
                cron.at(&["status", "active"]).is_some()
            })
            .await;
        let jobs = world.all("jobs").await;
        let own = jobs
            .iter()
            .filter(|job| job.meta().name().starts_with(&format!("{name}-")));
        assert_eq!(own.count(), 1);
    }
}
