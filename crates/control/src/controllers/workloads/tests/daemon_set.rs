//! DaemonSets.

use serde_json::json;

use super::*;
use crate::controllers::workloads::pods::number;

fn agent(strategy: Value) -> Value {
    json!({
        "metadata": { "name": "agent" },
        "spec": {
            "selector": { "matchLabels": { "app": "agent" } }, "template": template("agent", "one"),
            "updateStrategy": { "type": "RollingUpdate", "rollingUpdate": strategy },
        },
    })
}

async fn node(world: &World, name: &str, spec: Value) {
    let node = json!({ "metadata": { "name": name, "labels": { "disk": name } }, "spec": spec });
    world.make("nodes", node).await.unwrap();
}

/// Nodes that pods ask for, and their images.
async fn places(world: &World) -> Vec<(String, String)> {
    let affinity = "requiredDuringSchedulingIgnoredDuringExecution";
    let mut places: Vec<_> = world
        .active()
        .await
        .iter()
        .map(|pod| {
            let spec = &pod.0["spec"];
            let terms = &spec["affinity"]["nodeAffinity"][affinity]["nodeSelectorTerms"];
            let node = terms[0]["matchFields"][0]["values"][0].as_str().unwrap();
            (
                node.to_owned(),
                spec["containers"][0]["image"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    places.sort();
    places
}

fn are(found: &[(String, String)], expected: &[(&str, &str)]) -> bool {
    found
        .iter()
        .map(|(node, image)| (node.as_str(), image.as_str()))
        .eq(expected.iter().copied())
}

async fn count(world: &World, name: &str) -> i64 {
    status(&world.get("daemonsets", "agent").await.unwrap(), name)
}

#[tokio::test]
async fn each_node_that_is_meant_has_one_pod() {
    let world = World::begin().await;
    node(&world, "a", json!({})).await;
    node(&world, "b", json!({ "unschedulable": true })).await;
    node(
        &world,
        "c",
        json!({ "taints": [{ "key": "x", "effect": "NoSchedule" }] }),
    )
    .await;
    world
        .make("daemonsets", agent(json!({ "maxUnavailable": 1 })))
        .await
        .unwrap();
    world
        .until("two have one", async || {
            are(&places(&world).await, &[("a", "one"), ("b", "one")])
        })
        .await;
    let pod = world.active().await.remove(0);
    let tolerations = pod.at(&["spec", "tolerations"]).unwrap().to_string();
    assert!(
        tolerations.contains("node.kubernetes.io/disk-pressure")
            && !tolerations.contains("network-unavailable")
    );
    world.run_all().await;
    world
        .until("they are counted", async || {
            count(&world, "numberAvailable").await == 2
        })
        .await;
    assert_eq!(
        (
            count(&world, "desiredNumberScheduled").await,
            count(&world, "updatedNumberScheduled").await
        ),
        (2, 2)
    );
    world
        .patch("nodes", "c", json!({ "spec": { "taints": null } }))
        .await;
    world
        .until("three have one", async || places(&world).await.len() == 3)
        .await;
    node(&world, "d", json!({})).await;
    world
        .until("four have one", async || places(&world).await.len() == 4)
        .await;
    // Who may not be there any more goes, and who may not come stays.
    world
        .patch(
            "nodes",
            "a",
            json!({ "spec": { "taints": [{ "key": "x", "effect": "NoExecute" }] } }),
        )
        .await;
    world
        .patch(
            "nodes",
            "b",
            json!({ "spec": { "taints": [{ "key": "x", "effect": "NoSchedule" }] } }),
        )
        .await;
    world
        .until("one goes", async || {
            are(
                &places(&world).await,
                &[("b", "one"), ("c", "one"), ("d", "one")],
            )
        })
        .await;
    let two = json!({ "spec": { "template": { "spec": { "nodeSelector": { "disk": "c" } } } } });
    world.patch("daemonsets", "agent", two).await;
    world
        .until("only one is meant", async || {
            are(&places(&world).await, &[("c", "one")])
        })
        .await;
    world.delete("nodes", "c", Propagation::Background).await;
    world
        .until("nothing is left", async || places(&world).await.is_empty())
        .await;
}

#[tokio::test]
async fn a_template_comes_node_by_node_and_its_history_is_kept() {
    for strategy in [
        json!({ "maxUnavailable": 1 }),
        json!({ "maxUnavailable": 0, "maxSurge": 1 }),
    ] {
        let mut world = World::begin().await;
        let is_surge = strategy["maxSurge"] == 1;
        for name in ["a", "b", "c"] {
            node(&world, name, json!({})).await;
        }
        world.make("daemonsets", agent(strategy)).await.unwrap();
        world
            .until("all have one", async || places(&world).await.len() == 3)
            .await;
        world.run_all().await;
        world
            .until("they are counted", async || {
                count(&world, "numberAvailable").await == 3
            })
            .await;
        let two = json!({ "spec": { "template": { "spec": { "containers": [{ "name": "c", "image": "two" }] } } } });
        world.patch("daemonsets", "agent", two).await;
        let mut has_died = false;
        loop {
            let pods = world.active().await;
            let well = pods
                .iter()
                .filter(|pod| super::super::pods::ready_since(pod).is_some())
                .count();
            assert!(
                well >= if is_surge { 3 } else { 2 } && pods.len() <= 4,
                "{well} of {}",
                pods.len()
            );
            let found = places(&world).await;
            if are(&found, &[("a", "two"), ("b", "two"), ("c", "two")]) {
                break;
            }
            world
                .until("a new one comes", async || {
                    let pods = world.active().await;
                    pods.iter()
                        .any(|pod| super::super::pods::ready_since(pod).is_none())
                        || are(
                            &places(&world).await,
                            &[("a", "two"), ("b", "two"), ("c", "two")],
                        )
                })
                .await;
            if !has_died {
                has_died = true;
                world.kill().await;
                world.start();
            }
            world.run_all().await;
        }
        world.run_all().await;
        world
            .until("it is done", async || {
                count(&world, "updatedNumberScheduled").await == 3
                    && count(&world, "numberAvailable").await == 3
            })
            .await;
        let kept = world.all("controllerrevisions").await;
        let mut numbers: Vec<u32> = kept.iter().map(|one| number(one, &["revision"])).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2]);
        assert_eq!(kept[0].0["data"]["spec"]["template"]["$patch"], "replace");
    }
}
