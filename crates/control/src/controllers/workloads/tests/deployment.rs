//! Deployments.

use serde_json::json;

use super::*;
use crate::controllers::workloads::pods::number;

fn deployment(replicas: u32, image: &str) -> Value {
    json!({
        "metadata": { "name": "web" },
        "spec": {
            "replicas": replicas, "selector": { "matchLabels": { "app": "web" } }, "template": template("web", image),
            "strategy": { "rollingUpdate": { "maxSurge": 1, "maxUnavailable": 0 } },
        },
    })
}

fn image(name: &str) -> Value {
    json!({ "spec": { "template": { "spec": { "containers": [{ "name": "c", "image": name }] } } } })
}

async fn web(world: &World) -> Object {
    world.get("deployments", "web").await.unwrap()
}

async fn progress(world: &World) -> String {
    let web = web(world).await;
    let condition = web.condition("Progressing");
    condition
        .and_then(|one| one["reason"].as_str())
        .unwrap_or_default()
        .to_owned()
}

async fn is_complete(world: &World) -> bool {
    let web = web(world).await;
    let wanted = i64::from(number(&web, &["spec", "replicas"]));
    let observed = web.at(&["metadata", "generation"]) == web.at(&["status", "observedGeneration"]);
    observed
        && progress(world).await == "NewReplicaSetAvailable"
        && ["replicas", "updatedReplicas", "availableReplicas"]
            .iter()
            .all(|name| status(&web, name) == wanted)
}

/// Runs all pods until it is complete; gives how few were ready and how many there were in between.
async fn run_until_complete(world: &World) -> (usize, usize) {
    let seen = std::sync::Mutex::new((usize::MAX, 0));
    world
        .until("it is complete", async || {
            let pods = world.active().await;
            let ready = pods.iter().filter(|pod| super::super::pods::ready_since(pod).is_some()).count();
            {
                let mut seen = seen.lock().unwrap();
                *seen = (seen.0.min(ready), seen.1.max(pods.len()));
            }
            for pod in pods {
                if super::super::pods::ready_since(&pod).is_none() {
                    let kind = world.kind("pods");
                    let status = json!({ "status": { "phase": "Running", "conditions": [{ "type": "Ready", "status": "True", "lastTransitionTime": crate::store::now() }] } });
                    let options = WriteOptions { subresource: "status", ..WriteOptions::default() };
                    // It may be gone by now.
                    world.store.patch(&kind, "a", pod.meta().name(), &Patch::Merge(status), &options).await.ok();
                }
            }
            is_complete(world).await
        })
        .await;
    seen.into_inner().unwrap()
}

async fn sets(world: &World) -> Vec<(String, i64, u32)> {
    let mut sets: Vec<_> = world
        .all("replicasets")
        .await
        .iter()
        .map(|set| {
            let container = set.at(&["spec", "template", "spec", "containers"]).unwrap();
            let revision = set
                .meta()
                .annotation("deployment.kubernetes.io/revision")
                .unwrap_or("0");
            (
                container[0]["image"].as_str().unwrap().to_owned(),
                revision.parse().unwrap(),
                number(set, &["spec", "replicas"]),
            )
        })
        .collect();
    sets.sort();
    sets
}

fn told(sets: &[(String, i64, u32)]) -> Vec<(&str, i64, u32)> {
    sets.iter()
        .map(|(image, revision, size)| (image.as_str(), *revision, *size))
        .collect()
}

#[tokio::test]
async fn a_new_template_takes_the_place_of_the_old_and_nobody_is_missed() {
    let world = World::begin().await;
    world
        .make("deployments", deployment(4, "one"))
        .await
        .unwrap();
    run_until_complete(&world).await;
    assert_eq!(told(&sets(&world).await), [("one", 1, 4)]);
    let web_now = web(&world).await;
    assert_eq!(
        web_now
            .meta()
            .annotation("deployment.kubernetes.io/revision"),
        Some("1")
    );
    let set = &world.all("replicasets").await[0];
    let hash = set.meta().label("pod-template-hash").unwrap();
    assert_eq!(set.meta().name(), format!("web-{hash}"));
    assert_eq!(
        set.at(&["spec", "selector", "matchLabels", "pod-template-hash"])
            .unwrap(),
        hash
    );
    assert!(
        world
            .active()
            .await
            .iter()
            .all(|pod| pod.meta().label("pod-template-hash") == Some(hash))
    );
    world.patch("deployments", "web", image("two")).await;
    world
        .until("it begins", async || {
            world.all("replicasets").await.len() == 2
        })
        .await;
    let (fewest, most) = run_until_complete(&world).await;
    assert!(fewest >= 4 && most <= 5, "{fewest} {most}");
    assert_eq!(told(&sets(&world).await), [("one", 1, 0), ("two", 2, 4)]);
    let web_now = web(&world).await;
    let available = web_now.condition("Available").unwrap();
    assert_eq!(
        (&available["status"], &available["reason"]),
        (&json!("True"), &json!("MinimumReplicasAvailable"))
    );
    world
        .until("all is told", async || {
            world.reasons("web").await.len() >= 9
        })
        .await;
    let events = world
        .all("events")
        .await
        .into_iter()
        .filter(|event| event.0["reason"] == "ScalingReplicaSet");
    let mut messages: Vec<String> = events
        .map(|event| event.0["message"].as_str().unwrap().replace(hash, "HASH"))
        .collect();
    messages.sort();
    assert!(
        messages.contains(&"Scaled up replica set web-HASH from 0 to 4".to_owned()),
        "{messages:?}"
    );
    assert!(
        messages.contains(&"Scaled down replica set web-HASH from 1 to 0".to_owned()),
        "{messages:?}"
    );
    // The old template again: its set has a new revision, and a history.
    world.patch("deployments", "web", image("one")).await;
    run_until_complete(&world).await;
    assert_eq!(told(&sets(&world).await), [("one", 3, 4), ("two", 2, 0)]);
}

#[tokio::test]
async fn quick_changes_and_kills_leave_one_template_and_no_pod_too_many() {
    let mut world = World::begin().await;
    world
        .make("deployments", deployment(5, "zero"))
        .await
        .unwrap();
    run_until_complete(&world).await;
    for round in 0..8 {
        world
            .patch("deployments", "web", image(&format!("{round}-a")))
            .await;
        if round % 2 == 0 {
            world
                .until("it begins", async || {
                    web(&world).await.at(&["status", "observedGeneration"])
                        == web(&world).await.at(&["metadata", "generation"])
                })
                .await;
        }
        world.kill().await;
        world.start();
        world
            .patch("deployments", "web", image(&format!("{round}-b")))
            .await;
        let (fewest, most) = run_until_complete(&world).await;
        assert!(fewest >= 5 && most <= 6, "{fewest} {most}");
        let all = sets(&world).await;
        let alive: Vec<_> = all.iter().filter(|set| set.2 > 0).collect();
        assert!(
            alive.len() == 1 && alive[0].0 == format!("{round}-b") && alive[0].2 == 5,
            "{all:?}"
        );
        assert_eq!(world.active().await.len(), 5);
    }
    world
        .until("history is short", async || sets(&world).await.len() == 11)
        .await;
}

#[tokio::test]
async fn recreation_ends_all_before_it_begins() {
    let world = World::begin().await;
    let mut wanted = deployment(3, "one");
    wanted["spec"]["strategy"] = json!({ "type": "Recreate" });
    world.make("deployments", wanted).await.unwrap();
    run_until_complete(&world).await;
    for pod in world.active().await {
        let finalizer = json!({ "metadata": { "finalizers": ["example.com/wait"] } });
        world.patch("pods", pod.meta().name(), finalizer).await;
    }
    world.patch("deployments", "web", image("two")).await;
    world
        .until("the old ones go", async || world.active().await.is_empty())
        .await;
    world
        .until("it is counted", async || {
            status(&web(&world).await, "replicas") == 0
        })
        .await;
    assert_eq!(
        world.all("replicasets").await.len(),
        1,
        "they are not gone yet"
    );
    for pod in world.all("pods").await {
        world
            .patch(
                "pods",
                pod.meta().name(),
                json!({ "metadata": { "finalizers": null } }),
            )
            .await;
    }
    run_until_complete(&world).await;
    assert_eq!(told(&sets(&world).await), [("one", 1, 0), ("two", 2, 3)]);
}

#[tokio::test]
async fn a_paused_one_scales_and_does_not_roll() {
    let world = World::begin().await;
    world
        .make("deployments", deployment(2, "one"))
        .await
        .unwrap();
    run_until_complete(&world).await;
    let mut paused = image("two");
    paused["spec"]["paused"] = true.into();
    paused["spec"]["replicas"] = 4.into();
    world.patch("deployments", "web", paused).await;
    world
        .until("it is told", async || {
            progress(&world).await == "DeploymentPaused"
        })
        .await;
    world
        .until("it scales", async || {
            told(&sets(&world).await) == [("one", 1, 4)]
        })
        .await;
    world
        .patch("deployments", "web", json!({ "spec": { "paused": null } }))
        .await;
    let (_, most) = run_until_complete(&world).await;
    assert!(most <= 5);
    assert_eq!(told(&sets(&world).await), [("one", 1, 0), ("two", 2, 4)]);
}

#[tokio::test]
async fn who_misses_the_deadline_goes_back_once_if_asked_to() {
    let world = World::begin().await;
    let mut wanted = deployment(2, "good");
    wanted["spec"]["progressDeadlineSeconds"] = 1.into();
    world.make("deployments", wanted).await.unwrap();
    run_until_complete(&world).await;
    // It is not asked for: it is late, and stays.
    world.patch("deployments", "web", image("bad")).await;
    world
        .until("it is late", async || {
            progress(&world).await == "ProgressDeadlineExceeded"
        })
        .await;
    assert_eq!(told(&sets(&world).await), [("bad", 2, 1), ("good", 1, 2)]);
    let asked = json!({ "metadata": { "annotations": { "nanocloud.io/rollback-on-failure": "true", "note": "x" } } });
    world.patch("deployments", "web", asked).await;
    run_until_complete(&world).await;
    assert_eq!(told(&sets(&world).await), [("bad", 2, 0), ("good", 3, 2)]);
    let rolled_back = async || {
        world
            .reasons("web")
            .await
            .iter()
            .filter(|one| *one == "DeploymentRollback")
            .count()
    };
    world
        .until("it is told", async || rolled_back().await == 1)
        .await;
    // What was good and fails now has nothing to go back to: it does not go to and fro.
    for pod in world.active().await {
        world.run_pod(pod.meta().name(), false).await;
    }
    world.patch("deployments", "web", image("worse")).await;
    world
        .until("it is told", async || rolled_back().await == 2)
        .await;
    world
        .until("it is late", async || {
            let now = sets(&world).await;
            progress(&world).await == "ProgressDeadlineExceeded"
                && now.iter().any(|set| set.0 == "good" && set.1 == 5)
        })
        .await;
    assert_eq!(rolled_back().await, 2);
    assert_eq!(
        world
            .get("deployments", "web")
            .await
            .unwrap()
            .meta()
            .annotation("nanocloud.io/rollback-on-failure"),
        Some("true")
    );
}

#[tokio::test]
async fn it_makes_do_with_what_is_there() {
    let world = World::begin().await;
    world
        .make("deployments", deployment(2, "one"))
        .await
        .unwrap();
    run_until_complete(&world).await;
    // Without its deployment the set stays, and a new one takes it again.
    world
        .delete("deployments", "web", Propagation::Orphan)
        .await;
    world
        .until("it is gone", async || {
            world.get("deployments", "web").await.is_none()
        })
        .await;
    let set = world.all("replicasets").await.remove(0);
    assert!(set.at(&["metadata", "ownerReferences"]).is_none());
    world
        .make("deployments", deployment(2, "one"))
        .await
        .unwrap();
    run_until_complete(&world).await;
    assert_eq!(world.all("replicasets").await.len(), 1);
    // A name that is somebody else's is not taken.
    let name = set.meta().name().to_owned();
    world
        .delete("deployments", "web", Propagation::Background)
        .await;
    world
        .until("all is gone", async || {
            world.all("replicasets").await.is_empty() && world.active().await.is_empty()
        })
        .await;
    let other = json!({ "metadata": { "name": name }, "spec": {
        "replicas": 0, "selector": { "matchLabels": { "app": "other" } }, "template": template("other", "x"),
    } });
    world.make("replicasets", other).await.unwrap();
    world
        .make("deployments", deployment(2, "one"))
        .await
        .unwrap();
    run_until_complete(&world).await;
    let web = web(&world).await;
    assert_eq!(
        (
            status(&web, "collisionCount"),
            world.all("replicasets").await.len()
        ),
        (1, 2)
    );
}
