//! StatefulSets.

use serde_json::json;

use super::*;

fn db(policy: &str) -> Value {
    json!({
        "metadata": { "name": "db" },
        "spec": {
            "replicas": 3, "serviceName": "dbs", "podManagementPolicy": policy,
            "selector": { "matchLabels": { "app": "db" } }, "template": template("db", "one"),
            "volumeClaimTemplates": [{ "metadata": { "name": "data" }, "spec": {
                "accessModes": ["ReadWriteOnce"], "resources": { "requests": { "storage": "1Gi" } },
            } }],
        },
    })
}

async fn names(world: &World) -> Vec<String> {
    let all = world.active().await.into_iter();
    all.map(|pod| pod.meta().name().to_owned()).collect()
}

async fn db_status(world: &World, name: &str) -> Value {
    let db = world.get("statefulsets", "db").await.unwrap();
    db.at(&["status", name]).cloned().unwrap_or(Value::Null)
}

fn image(name: &str) -> Value {
    json!({ "spec": { "template": { "spec": { "containers": [{ "name": "c", "image": name }] } } } })
}

async fn images(world: &World) -> Vec<String> {
    let all = world.active().await.into_iter();
    all.map(|pod| {
        pod.0["spec"]["containers"][0]["image"]
            .as_str()
            .unwrap()
            .to_owned()
    })
    .collect()
}

#[tokio::test]
async fn they_come_in_order_with_claims_and_keep_their_names() {
    let mut world = World::begin().await;
    world
        .make("statefulsets", db("OrderedReady"))
        .await
        .unwrap();
    for count in 1..=3 {
        world
            .until("the next one", async || names(&world).await.len() >= count)
            .await;
        assert_eq!(
            names(&world).await.len(),
            count,
            "each waits for those before it"
        );
        if count == 2 {
            world.kill().await;
            world.start();
        }
        world.run_all().await;
    }
    world
        .until("all are well", async || {
            db_status(&world, "availableReplicas").await == 3
        })
        .await;
    assert_eq!(names(&world).await, ["db-0", "db-1", "db-2"]);
    let pod = world.get("pods", "db-1").await.unwrap();
    assert_eq!(
        (
            pod.text(&["spec", "hostname"]),
            pod.text(&["spec", "subdomain"])
        ),
        (Some("db-1"), Some("dbs"))
    );
    assert_eq!(pod.meta().label("apps.kubernetes.io/pod-index"), Some("1"));
    let volumes = &pod.0["spec"]["volumes"];
    assert!(volumes.to_string().contains("data-db-1"), "{volumes}");
    let claims: Vec<String> = world
        .all("persistentvolumeclaims")
        .await
        .iter()
        .map(|one| one.meta().name().to_owned())
        .collect();
    assert_eq!(claims, ["data-db-0", "data-db-1", "data-db-2"]);
    // One that goes comes again with its name, when the old one is gone.
    world
        .patch(
            "pods",
            "db-1",
            json!({ "metadata": { "finalizers": ["example.com/wait"] } }),
        )
        .await;
    let before = pod.meta().text("uid").to_owned();
    world.delete("pods", "db-1", Propagation::Background).await;
    world
        .until("it is seen", async || {
            db_status(&world, "readyReplicas").await == 3 || names(&world).await.len() == 2
        })
        .await;
    assert_eq!(world.all("pods").await.len(), 3);
    world
        .patch(
            "pods",
            "db-1",
            json!({ "metadata": { "finalizers": null } }),
        )
        .await;
    world
        .until("another comes", async || {
            let pod = world.get("pods", "db-1").await;
            pod.is_some_and(|pod| pod.meta().text("uid") != before)
        })
        .await;
    world.run_all().await;
    // Fewer: the last first, and the claims stay.
    world
        .patch("statefulsets", "db", json!({ "spec": { "replicas": 1 } }))
        .await;
    world
        .until("one is left", async || names(&world).await == ["db-0"])
        .await;
    assert_eq!(world.all("persistentvolumeclaims").await.len(), 3);
}

#[tokio::test]
async fn a_template_comes_from_the_last_on_as_far_as_the_partition() {
    let world = World::begin().await;
    world.make("statefulsets", db("Parallel")).await.unwrap();
    world
        .until("all come at once", async || names(&world).await.len() == 3)
        .await;
    world.run_all().await;
    world
        .until("all are well", async || {
            db_status(&world, "availableReplicas").await == 3
        })
        .await;
    let old = db_status(&world, "currentRevision").await;
    let mut two = image("two");
    two["spec"]["updateStrategy"] = json!({ "rollingUpdate": { "partition": 1 } });
    world.patch("statefulsets", "db", two).await;
    world
        .until("the last is renewed", async || {
            images(&world).await == ["one", "one", "two"]
        })
        .await;
    assert_eq!(
        images(&world).await,
        ["one", "one", "two"],
        "the next one waits for it"
    );
    world.run_all().await;
    world
        .until("the next one, too", async || {
            images(&world).await == ["one", "two", "two"]
        })
        .await;
    world.run_all().await;
    world
        .until("it is counted", async || {
            db_status(&world, "updatedReplicas").await == 2
                && db_status(&world, "readyReplicas").await == 3
        })
        .await;
    assert_eq!(db_status(&world, "currentRevision").await, old);
    // What a partition keeps comes back as it was.
    world.delete("pods", "db-0", Propagation::Background).await;
    world
        .until("it comes again", async || {
            images(&world).await == ["one", "two", "two"]
        })
        .await;
    world.run_all().await;
    world
        .patch(
            "statefulsets",
            "db",
            json!({ "spec": { "updateStrategy": { "rollingUpdate": { "partition": 0 } } } }),
        )
        .await;
    world
        .until("all are renewed", async || {
            images(&world).await == ["two", "two", "two"]
        })
        .await;
    world.run_all().await;
    world
        .until("it is complete", async || {
            db_status(&world, "currentRevision").await == db_status(&world, "updateRevision").await
        })
        .await;
    assert_ne!(db_status(&world, "currentRevision").await, old);
    assert_eq!(db_status(&world, "currentReplicas").await, 3);
}

#[tokio::test]
async fn claims_go_where_that_is_asked_for() {
    let world = World::begin().await;
    let mut wanted = db("Parallel");
    wanted["spec"]["persistentVolumeClaimRetentionPolicy"] =
        json!({ "whenScaled": "Delete", "whenDeleted": "Delete" });
    world.make("statefulsets", wanted).await.unwrap();
    world
        .until("all come", async || names(&world).await.len() == 3)
        .await;
    world.run_all().await;
    let claims = async || world.all("persistentvolumeclaims").await;
    let owner = |claim: &Object| {
        claim
            .at(&["metadata", "ownerReferences"])
            .map(|owners| owners[0]["kind"].as_str().unwrap().to_owned())
    };
    world
        .until("they are the set's", async || {
            claims()
                .await
                .iter()
                .filter(|one| owner(one).as_deref() == Some("StatefulSet"))
                .count()
                == 3
        })
        .await;
    world
        .patch("statefulsets", "db", json!({ "spec": { "replicas": 2 } }))
        .await;
    world
        .until("one goes with its pod", async || {
            claims().await.len() == 2 && names(&world).await.len() == 2
        })
        .await;
    world
        .patch("statefulsets", "db", json!({ "spec": { "replicas": 3 } }))
        .await;
    world
        .until("it comes again", async || {
            claims().await.len() == 3 && names(&world).await.len() == 3
        })
        .await;
    world
        .delete("statefulsets", "db", Propagation::Background)
        .await;
    world
        .until("all is gone", async || {
            claims().await.is_empty() && names(&world).await.is_empty()
        })
        .await;
}
