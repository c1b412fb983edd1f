//! Budgets, and evictions that keep to them.

use super::*;
use crate::failure::Reason;

async fn budget(world: &World, name: &str, spec: Value) {
    let mut spec = spec;
    spec["selector"] = json!({ "matchLabels": { "app": name } });
    let budget = json!({ "metadata": { "name": name }, "spec": spec });
    world.make("poddisruptionbudgets", budget).await.unwrap();
}

async fn set(world: &World, name: &str, replicas: u32) {
    let mut template = template(name, "x");
    // On a node they are given time to end.
    template["spec"]["nodeName"] = "n".into();
    let spec = json!({
        "replicas": replicas, "selector": { "matchLabels": { "app": name } }, "template": template,
    });
    let set = json!({ "metadata": { "name": name }, "spec": spec });
    world.make("replicasets", set).await.unwrap();
    world
        .until("all are there", async || {
            pods(world, name).await.len() == replicas as usize
        })
        .await;
    for pod in pods(world, name).await {
        world.run_pod(pod.meta().name(), true).await;
    }
}

/// Those that stay.
async fn pods(world: &World, app: &str) -> Vec<Object> {
    let mut all = world.active().await;
    all.retain(|pod| pod.meta().label("app") == Some(app));
    all
}

/// expected, desired, healthy, allowed.
async fn counts(world: &World, name: &str) -> [i64; 4] {
    let budget = world.get("poddisruptionbudgets", name).await.unwrap();
    let names = [
        "expectedPods",
        "desiredHealthy",
        "currentHealthy",
        "disruptionsAllowed",
    ];
    names.map(|name| status(&budget, name))
}

async fn until_counts(world: &World, name: &str, expected: [i64; 4]) {
    let what = format!("{name} {expected:?}");
    world
        .until(&what, async || counts(world, name).await == expected)
        .await;
}

async fn evict(world: &World, pod: &Object, more: DeleteOptions) -> Result<(), Failure> {
    let kind = world.kind("pods");
    let write = WriteOptions {
        is_dry_run: more.is_dry_run,
        ..WriteOptions::default()
    };
    let name = pod.meta().name();
    world.store.evict(&kind, ("a", name), &more, &write).await
}

fn is_true(budget: &Object) -> bool {
    let found = budget.condition("DisruptionAllowed").unwrap();
    found["status"] == "True"
}

#[tokio::test]
async fn a_budget_counts_its_pods() {
    let world = World::begin().await;
    budget(&world, "web", json!({ "maxUnavailable": 1 })).await;
    world
        .until("it is told that there are none", async || {
            world.reasons("web").await.contains(&"NoPods".to_owned())
        })
        .await;
    set(&world, "web", 3).await;
    until_counts(&world, "web", [3, 2, 3, 1]).await;
    let found = world.get("poddisruptionbudgets", "web").await.unwrap();
    assert!(is_true(&found));
    assert_eq!(status(&found, "observedGeneration"), 1);
    let pod = pods(&world, "web").await.remove(0);
    world.run_pod(pod.meta().name(), false).await;
    until_counts(&world, "web", [3, 2, 2, 0]).await;
    let found = world.get("poddisruptionbudgets", "web").await.unwrap();
    assert!(!is_true(&found));
    let patch = json!({ "spec": { "maxUnavailable": "67%" } });
    world.patch("poddisruptionbudgets", "web", patch).await;
    until_counts(&world, "web", [3, 0, 2, 2]).await;
    let scale = json!({ "spec": { "replicas": 5 } });
    world.patch("replicasets", "web", scale).await;
    until_counts(&world, "web", [5, 1, 2, 1]).await;
}

#[tokio::test]
async fn pods_that_nobody_scales_are_counted_by_number_alone() {
    let world = World::begin().await;
    let pod = json!({
        "metadata": { "name": "p", "labels": { "app": "alone" } },
        "spec": { "containers": [{ "name": "c", "image": "x" }] },
    });
    world.make("pods", pod).await.unwrap();
    world.run_pod("p", true).await;
    budget(&world, "alone", json!({ "minAvailable": 0 })).await;
    until_counts(&world, "alone", [1, 0, 1, 1]).await;
    let patch = json!({ "spec": { "minAvailable": "50%" } });
    world.patch("poddisruptionbudgets", "alone", patch).await;
    world
        .until("it is told", async || {
            world
                .reasons("alone")
                .await
                .contains(&"UnmanagedPods".to_owned())
        })
        .await;
    until_counts(&world, "alone", [0, 0, 1, 0]).await;
    let job = json!({ "metadata": { "name": "j" }, "spec": { "template": {
        "metadata": { "labels": { "app": "job" } },
        "spec": { "restartPolicy": "Never", "containers": [{ "name": "c", "image": "x" }] },
    } } });
    world.make("jobs", job).await.unwrap();
    budget(&world, "job", json!({ "maxUnavailable": 1 })).await;
    world
        .until("it is told", async || {
            let told = world.reasons("job").await;
            told.contains(&"CalculateExpectedPodCountFailed".to_owned())
        })
        .await;
    world
        .until("its condition says so", async || {
            let found = world.get("poddisruptionbudgets", "job").await.unwrap();
            let found = found.condition("DisruptionAllowed").cloned();
            let why = "jobs.batch does not implement the scale subresource";
            found.is_some_and(|one| one["reason"] == "SyncFailed" && one["message"] == why)
        })
        .await;
}

#[tokio::test]
async fn who_is_evicted_is_let_go_by_the_budget() {
    let world = World::begin().await;
    set(&world, "web", 3).await;
    budget(&world, "web", json!({ "minAvailable": 2 })).await;
    until_counts(&world, "web", [3, 2, 3, 1]).await;
    let all = pods(&world, "web").await;
    let tried = DeleteOptions {
        is_dry_run: true,
        ..DeleteOptions::default()
    };
    evict(&world, &all[0], tried).await.unwrap();
    assert_eq!(counts(&world, "web").await, [3, 2, 3, 1]);
    assert_eq!(pods(&world, "web").await.len(), 3);

    evict(&world, &all[0], DeleteOptions::default())
        .await
        .unwrap();
    let gone = world.get("pods", all[0].meta().name()).await;
    // The test is its agent, and has not ended it.
    let gone = gone.unwrap();
    assert!(gone.meta().is_deleting());
    let target = gone.condition("DisruptionTarget").unwrap();
    assert_eq!(target["reason"], "EvictionByEvictionAPI");
    let refused = evict(&world, &all[1], DeleteOptions::default()).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.reason, Reason::TooManyRequests);
    assert_eq!(
        refused.message,
        "Cannot evict pod as it would violate the pod's disruption budget."
    );
    assert_eq!(refused.about.causes[0].reason, "DisruptionBudget");
    world
        .until("another has come", async || {
            pods(&world, "web").await.len() == 3
        })
        .await;
    for pod in pods(&world, "web").await {
        world.run_pod(pod.meta().name(), true).await;
    }
    until_counts(&world, "web", [4, 2, 3, 1]).await;
    let other = DeleteOptions {
        uid: Some("other".to_owned()),
        ..DeleteOptions::default()
    };
    let refused = evict(&world, &all[1], other).await.unwrap_err();
    assert_eq!(refused.reason, Reason::Conflict);
    assert_eq!(counts(&world, "web").await[3], 1, "nothing was spent");
}

#[tokio::test]
async fn pods_that_are_not_healthy_go_as_the_budget_says() {
    let world = World::begin().await;
    set(&world, "web", 3).await;
    budget(&world, "web", json!({ "minAvailable": 3 })).await;
    until_counts(&world, "web", [3, 3, 3, 0]).await;
    let all = pods(&world, "web").await;
    world.run_pod(all[0].meta().name(), false).await;
    until_counts(&world, "web", [3, 3, 2, 0]).await;
    let refused = evict(&world, &all[0], DeleteOptions::default()).await;
    let refused = refused.unwrap_err();
    assert_eq!(
        refused.about.causes[0].message,
        "The disruption budget web needs 3 healthy pods and has 2 currently"
    );
    let patch = json!({ "spec": { "unhealthyPodEvictionPolicy": "AlwaysAllow" } });
    world.patch("poddisruptionbudgets", "web", patch).await;
    evict(&world, &all[0], DeleteOptions::default())
        .await
        .unwrap();
    budget(&world, "web2", json!({ "minAvailable": 0 })).await;
    let patch = json!({ "spec": { "selector": { "matchLabels": { "app": "web" } } } });
    world.patch("poddisruptionbudgets", "web2", patch).await;
    let refused = evict(&world, &all[1], DeleteOptions::default()).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.reason, Reason::InternalError);
    assert!(
        refused
            .message
            .contains("more than one PodDisruptionBudget")
    );
}
