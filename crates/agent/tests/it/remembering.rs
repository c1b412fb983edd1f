//! What an agent runs that nobody has told anything: what it was told before.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::time::Duration;

use weft_api::assignment::{Endpoint, Restart, Service, ServicePort, Services};
use weft_driver::fake::Script;

use crate::stage::{Stage, container, ending, pod};

#[tokio::test(start_paused = true)]
async fn it_runs_on_without_being_told() {
    let mut stage = Stage::new();
    stage
        .world
        .script("brief", Script::ends(Duration::from_secs(5), 1));
    let stays = pod("stays", &[("main", "s")]);
    let mut once = pod("once", &[("main", "brief")]);
    once.restart = Restart::Never;
    stage.assign(&[stays.clone(), pod("crashes", &[("main", "brief")]), once]);
    let services = Services {
        zone: "cluster.local".to_owned(),
        ..Services::default()
    };
    stage.lead(services.clone());
    stage
        .until("it runs", |stage| stage.running("stays", "main") == 1)
        .await;
    stage.pass_s(2).await;
    stage.restart().await;
    // It runs on, is started again when it ends, and what is over is over.
    stage
        .until("five starts", |stage| {
            stage.times("start crashes/").len() == 5
        })
        .await;
    assert_eq!(stage.times("start stays/").len(), 1);
    assert_eq!(stage.times("start once/").len(), 1);
    assert_eq!(stage.world.services(), services);
    // The machine starts again, and still nobody says anything.
    stage.kill().await;
    stage.world.reboot();
    stage.begin();
    stage
        .until("it runs again", |stage| stage.running("stays", "main") == 1)
        .await;
    stage
        .until("so does the other", |stage| {
            stage.times("start crashes/").len() == 6
        })
        .await;
    stage.pass_s(1000).await;
    assert_eq!(stage.times("start stays/").len(), 2);
    assert_eq!(stage.times("start once/").len(), 1);
    // Now it is told: the rest is ended.
    stage.assign(&[stays]);
    stage
        .until("the others are gone", |stage| {
            stage.is_nothing_left("once") && stage.is_nothing_left("crashes")
        })
        .await;
    assert_eq!(stage.running("stays", "main"), 1);
    assert_eq!(stage.world.wrongs(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_was_to_end_ends_without_being_told_again() {
    let mut stage = Stage::new();
    stage.world.script("slow", Script::deaf());
    let one = pod("u", &[("main", "slow")]);
    stage.assign(std::slice::from_ref(&one));
    stage
        .until("it runs", |stage| stage.running("u", "main") == 1)
        .await;
    stage.assign(&[ending(&one, 30)]);
    stage.pass_s(5).await;
    stage.restart().await;
    stage.until("it is gone", |stage| stage.is_gone("u")).await;
    assert_eq!(stage.times("start u/").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn damage_leaves_what_runs_alone() {
    let mut stage = Stage::new();
    let pods = ["a", "b"].map(|uid| pod(uid, &[("main", "s")]));
    stage.assign(&pods);
    stage
        .until("both run", |stage| {
            stage.running("a", "main") + stage.running("b", "main") == 2
        })
        .await;
    stage.kill().await;
    let file = stage.directory().join("ledger/pod-a");
    fs::write(&file, "weft-ledger 9\n").unwrap();
    stage.begin();
    stage.pass_s(60).await;
    // Nobody starts it again, and nobody ends it.
    assert_eq!(stage.running("a", "main"), 1);
    stage.world.end("a", "main", 1);
    stage.world.end("b", "main", 1);
    stage.pass_s(60).await;
    assert_eq!(
        (stage.running("a", "main"), stage.running("b", "main")),
        (0, 1)
    );
    // Told again, it goes on, and is written down again.
    stage.assign(&pods);
    stage
        .until("it runs again", |stage| stage.running("a", "main") == 1)
        .await;
    assert!(fs::read(&file).unwrap().len() > 20);
    assert_eq!(stage.times("start a/").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_control_plane_from_an_older_backup_is_believed() {
    let mut stage = Stage::new();
    let pods = ["a", "b", "c"].map(|uid| pod(uid, &[("main", "s")]));
    for count in 1..=3 {
        stage.assign(&pods[..count]);
        stage.pass_s(1).await;
    }
    stage.restart().await;
    stage
        .until("all run", |stage| stage.running("c", "main") == 1)
        .await;
    // It counts from one, and knows less.
    stage.assign(&pods[..1]);
    stage
        .until("the others are gone", |stage| {
            stage.is_nothing_left("b") && stage.is_nothing_left("c")
        })
        .await;
    assert_eq!(stage.running("a", "main"), 1);
    stage.restart().await;
    stage.pass_s(60).await;
    assert!(
        stage.is_nothing_left("b"),
        "what was ended is not in the ledger any more"
    );
}

#[tokio::test(start_paused = true)]
async fn a_start_that_was_cut_short_is_no_failure() {
    // Killed at each step of a start: who runs once runs once, after all.
    for after_ms in 0..25 {
        let mut stage = Stage::new();
        stage
            .world
            .script("once", Script::ends(Duration::from_secs(3), 0));
        let mut one = pod("u", &[("main", "once")]);
        one.restart = Restart::Never;
        one.init = vec![container("first", "once")];
        stage.assign(std::slice::from_ref(&one));
        stage.pass(Duration::from_millis(1 + after_ms)).await;
        stage.restart().await;
        stage.assign(&[one]);
        stage
            .until("it is over", |stage| {
                let said = stage.pod_said("u");
                said.is_some_and(|said| {
                let ended = |one: &weft_api::observed::Container| {
                    matches!(&one.state, weft_api::observed::State::Ended(end) if end.code == 0)
                };
                said.containers.iter().all(ended) && said.failed.is_none()
            })
            })
            .await;
        assert_eq!(stage.world.wrongs(), [""; 0], "after {after_ms} ms");
        assert_eq!(stage.world.runs("u", "main"), 1, "after {after_ms} ms");
        assert_eq!(stage.world.runs("u", "first"), 1, "after {after_ms} ms");
    }
}

#[tokio::test(start_paused = true)]
async fn services_lead_to_nobody_who_has_another_address_by_now() {
    let mut stage = Stage::new();
    let one = pod("u", &[("main", "s")]);
    stage.assign(std::slice::from_ref(&one));
    stage
        .until("it runs", |stage| stage.running("u", "main") == 1)
        .await;
    let ip = stage.pod_said("u").unwrap().ip.unwrap();
    let endpoint = |address: &str, is_local| Endpoint {
        address: address.to_owned(),
        port: 80,
        is_ready: true,
        is_local,
        ..Endpoint::default()
    };
    let (mine, others) = (endpoint(&ip, true), endpoint("10.2.0.9", false));
    let services = |endpoints: &[Endpoint]| {
        let addresses = endpoints.iter().map(|one| one.address.clone());
        let service = Service {
            ports: vec![ServicePort {
                endpoints: endpoints.to_vec(),
                ..ServicePort::default()
            }],
            hosts: addresses.map(|address| (address, None)).collect(),
            ..Service::default()
        };
        Services {
            table: [("web.default.svc".to_owned(), service)].into(),
            ..Services::default()
        }
    };
    let all = services(&[mine, others.clone()]);
    stage.lead(all.clone());
    stage
        .until("it leads there", |stage| stage.world.services() == all)
        .await;
    stage.restart().await;
    stage.pass_s(10).await;
    assert_eq!(stage.world.services(), all, "it has its address still");
    stage.kill().await;
    stage.world.reboot();
    stage.begin();
    stage
        .until("it runs again", |stage| stage.running("u", "main") == 1)
        .await;
    assert_eq!(stage.world.services(), services(&[others]));
    stage.lead(all.clone());
    stage
        .until("it is told", |stage| stage.world.services() == all)
        .await;
}
