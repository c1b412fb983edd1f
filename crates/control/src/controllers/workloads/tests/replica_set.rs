//! ReplicaSets.

use std::time::Instant;

use serde_json::json;

use super::*;

fn set(name: &str, replicas: u32, app: &str) -> Value {
    json!({
        "metadata": { "name": name },
        "spec": {
            "replicas": replicas, "selector": { "matchLabels": { "app": app } }, "template": template(app, "x"),
        },
    })
}

#[tokio::test]
async fn there_are_as_many_pods_as_asked_for_and_never_one_more() {
    let world = World::begin().await;
    world
        .make("replicasets", set("web", 50, "web"))
        .await
        .unwrap();
    let began = Instant::now();
    world
        .until("50 pods", async || world.active().await.len() >= 50)
        .await;
    println!("50 pods in {:?}", began.elapsed());
    world
        .until("counted", async || {
            let set = world.get("replicasets", "web").await.unwrap();
            status(&set, "replicas") == 50 && status(&set, "observedGeneration") == 1
        })
        .await;
    let pods = world.all("pods").await;
    assert_eq!(pods.len(), 50, "none was made twice");
    let pod = &pods[0];
    assert!(pod.meta().name().starts_with("web-") && pod.meta().name().len() == 9);
    let owner = pod.at(&["metadata", "ownerReferences"]).unwrap();
    assert_eq!(
        (
            &owner[0]["kind"],
            &owner[0]["controller"],
            &owner[0]["blockOwnerDeletion"]
        ),
        (&json!("ReplicaSet"), &json!(true), &json!(true))
    );
    world
        .until("all is told", async || {
            world.reasons("web").await.len() == 50
        })
        .await;
    // Those that work stay.
    let kept: Vec<String> = pods[..3]
        .iter()
        .map(|pod| pod.meta().name().to_owned())
        .collect();
    for name in &kept {
        world.run_pod(name, true).await;
    }
    world
        .patch("replicasets", "web", json!({ "spec": { "replicas": 3 } }))
        .await;
    world
        .until("3 pods", async || world.active().await.len() <= 3)
        .await;
    let left = world.active().await;
    let left: Vec<&str> = left.iter().map(|pod| pod.meta().name()).collect();
    assert_eq!(left, kept);
    world
        .until("counted", async || {
            let set = world.get("replicasets", "web").await.unwrap();
            (status(&set, "replicas"), status(&set, "availableReplicas")) == (3, 3)
        })
        .await;
}

#[tokio::test]
async fn a_kill_at_any_time_leaves_no_pod_too_many() {
    let mut world = World::begin().await;
    for round in 0..20 {
        let name = format!("web{round}");
        world
            .make("replicasets", set(&name, 17, &name))
            .await
            .unwrap();
        let enough = round % 17;
        let own = async |world: &World| {
            let mut all = world.all("pods").await;
            all.retain(|pod| pod.meta().label("app") == Some(&name));
            all.len()
        };
        world
            .until("some pods", async || own(&world).await >= enough)
            .await;
        world.kill().await;
        world.start();
        world
            .until("all pods", async || own(&world).await >= 17)
            .await;
        world
            .until("counted", async || {
                let set = world.get("replicasets", &name).await.unwrap();
                status(&set, "replicas") == 17
            })
            .await;
        assert_eq!(own(&world).await, 17);
    }
}

#[tokio::test]
async fn pods_are_adopted_and_let_go_by_their_labels() {
    let world = World::begin().await;
    let orphan = json!({ "metadata": { "name": "orphan", "labels": { "app": "web" } }, "spec": template("", "x")["spec"] });
    world.make("pods", orphan).await.unwrap();
    world
        .make("replicasets", set("web", 2, "web"))
        .await
        .unwrap();
    world
        .until("2 pods", async || world.active().await.len() == 2)
        .await;
    world
        .until("counted", async || {
            status(&world.get("replicasets", "web").await.unwrap(), "replicas") == 2
        })
        .await;
    let owned = async |name: &str| {
        let pod = world.get("pods", name).await.unwrap();
        pod.at(&["metadata", "ownerReferences"]).is_some()
    };
    assert!(owned("orphan").await);
    world
        .patch(
            "pods",
            "orphan",
            json!({ "metadata": { "labels": { "app": "debug" } } }),
        )
        .await;
    world
        .until("another in its place", async || {
            world.active().await.len() == 3
        })
        .await;
    world
        .until("it is let go", async || !owned("orphan").await)
        .await;
    // Two sets that select each other's pods do not fight for them.
    world
        .make("replicasets", set("other", 2, "web"))
        .await
        .unwrap();
    world
        .until("its own pods", async || world.active().await.len() == 5)
        .await;
    world
        .until("counted", async || {
            status(
                &world.get("replicasets", "other").await.unwrap(),
                "replicas",
            ) == 2
        })
        .await;
    // Orphaned pods belong to who selects them, and are too many then.
    world
        .delete("replicasets", "web", Propagation::Orphan)
        .await;
    world
        .until("it is gone", async || {
            world.get("replicasets", "web").await.is_none()
        })
        .await;
    world
        .until("two are too many", async || world.active().await.len() == 3)
        .await;
    world
        .delete("replicasets", "other", Propagation::Background)
        .await;
    world
        .until("its pods go", async || world.active().await.len() == 1)
        .await;
}

#[tokio::test]
async fn what_cannot_be_made_is_told_and_made_when_it_can() {
    let world = World::begin().await;
    let mut wanted = set("web", 40, "web");
    wanted["spec"]["template"]["spec"]["serviceAccountName"] = "robot".into();
    world.make("replicasets", wanted).await.unwrap();
    // Others do not wait for it.
    world
        .make("replicasets", set("well", 1, "well"))
        .await
        .unwrap();
    world
        .until("the other's", async || world.active().await.len() == 1)
        .await;
    world
        .until("it is told", async || {
            let set = world.get("replicasets", "web").await.unwrap();
            let failure = set.condition("ReplicaFailure").cloned();
            failure.is_some_and(|one| {
                one["reason"] == "FailedCreate"
                    && one["message"]
                        .as_str()
                        .unwrap()
                        .contains("serviceaccount \"robot\" not found")
            })
        })
        .await;
    let account = json!({ "metadata": { "name": "robot" } });
    world.make("serviceaccounts", account).await.unwrap();
    world
        .until("they are made", async || world.active().await.len() == 41)
        .await;
    world
        .until("it is well", async || {
            let set = world.get("replicasets", "web").await.unwrap();
            set.condition("ReplicaFailure").is_none()
        })
        .await;
    let events = world.all("events").await.into_iter();
    let failed = events.filter(|event| event.0["reason"] == "FailedCreate");
    let failed: Vec<Object> = failed.collect();
    assert_eq!(
        failed.len(),
        1,
        "the same is counted, not said again: {failed:?}"
    );
    let message = failed[0].text(&["message"]).unwrap();
    assert!(
        message.starts_with("Error creating: pods \"web-\" is forbidden: "),
        "{message}"
    );
}

#[tokio::test]
async fn a_pod_that_has_ended_or_goes_is_replaced() {
    let world = World::begin().await;
    let mut wanted = set("web", 2, "web");
    wanted["spec"]["minReadySeconds"] = 1.into();
    world.make("replicasets", wanted).await.unwrap();
    world
        .until("2 pods", async || world.active().await.len() == 2)
        .await;
    let first = world.active().await[0].meta().name().to_owned();
    world
        .patch_status("pods", &first, json!({ "phase": "Failed" }))
        .await;
    world
        .until("another", async || world.all("pods").await.len() == 3)
        .await;
    world.run_all().await;
    let counted = async |name: &str| status(&world.get("replicasets", "web").await.unwrap(), name);
    world
        .until("they are ready", async || {
            counted("readyReplicas").await == 2
        })
        .await;
    world
        .until("and available a second later", async || {
            counted("availableReplicas").await == 2
        })
        .await;
    let second = world.active().await[0].meta().name().to_owned();
    world.delete("pods", &second, Propagation::Background).await;
    world
        .until("another", async || world.active().await.len() == 2)
        .await;
    world
        .until("it is not ready", async || {
            counted("readyReplicas").await == 1
        })
        .await;
}

#[tokio::test]
async fn in_a_namespace_that_goes_nothing_is_made_and_nothing_is_said() {
    let world = World::begin().await;
    world
        .make("replicasets", set("web", 2, "web"))
        .await
        .unwrap();
    world
        .until("2 pods", async || world.active().await.len() == 2)
        .await;
    world
        .delete("namespaces", "a", Propagation::Background)
        .await;
    let more = json!({ "spec": { "replicas": 5 } });
    world.patch("replicasets", "web", more).await;
    let seen = async || {
        status(
            &world.get("replicasets", "web").await.unwrap(),
            "observedGeneration",
        )
    };
    world.until("it is seen", async || seen().await == 2).await;
    let set = world.get("replicasets", "web").await.unwrap();
    assert!(set.condition("ReplicaFailure").is_none());
    assert_eq!(world.all("pods").await.len(), 2);
}

#[tokio::test]
async fn who_names_itself_as_its_controller_harms_nobody() {
    let world = World::begin().await;
    let made = world
        .make("replicasets", set("odd", 1, "odd"))
        .await
        .unwrap();
    let own = json!([{
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "odd", "uid": made.meta().text("uid"), "controller": true,
    }]);
    world
        .patch(
            "replicasets",
            "odd",
            json!({ "metadata": { "ownerReferences": own } }),
        )
        .await;
    world
        .make("replicasets", set("web", 2, "web"))
        .await
        .unwrap();
    world
        .until("3 pods", async || world.active().await.len() == 3)
        .await;
}
