//! The life of a pod: starts, back-offs, hooks, probes, ends.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use weft_api::assignment::{
    Endpoint, Probes, Pull, Restart, Service, ServicePort, Services, Volume,
};
use weft_api::observed::State;
use weft_driver::fake::{Outcome, Script};

use crate::stage::{Stage, container, ending, exec, pod, probe, sidecar};

fn apart(times: &[i64]) -> Vec<i64> {
    times.windows(2).map(|two| two[1] - two[0]).collect()
}

#[tokio::test(start_paused = true)]
async fn who_ends_at_once_waits_longer_each_time_until_it_has_run_for_long() {
    let mut stage = Stage::new();
    stage.world.script("brief", Script::ends(Duration::ZERO, 1));
    stage.assign(&[pod("u", &[("main", "brief")])]);
    stage
        .until("nine starts", |stage| {
            stage.times("start u/main").len() == 9
        })
        .await;
    let waits = apart(&stage.times("start u/main"));
    assert_eq!(waits, [0, 10, 20, 40, 80, 160, 300, 300]);
    assert!(stage.is_told("BackOff: Back-off restarting failed container main in pod"));
    let said = stage.pod_said("u").unwrap();
    assert!(
        matches!(&said.containers[0].state, State::Waiting(why) if why.reason == "CrashLoopBackOff"
            && why.message.starts_with("back-off 5m0s") || why.message.starts_with("back-off 300s")),
        "{said:?}"
    );
    // Ten minutes and more forgive it all: it is started at once, and begins with ten seconds anew.
    stage
        .world
        .script("brief", Script::ends(Duration::from_secs(601), 1));
    stage
        .until("a long run", |stage| {
            stage.times("start u/main").len() == 10
        })
        .await;
    stage.world.script("brief", Script::ends(Duration::ZERO, 1));
    stage
        .until("three more", |stage| {
            stage.times("start u/main").len() == 13
        })
        .await;
    let waits = apart(&stage.times("start u/main"));
    assert_eq!(waits[8..], [300, 601, 10, 20]);
    assert_eq!(stage.world.wrongs(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn hooks_that_never_return_end_with_the_time_there_is() {
    let mut stage = Stage::new();
    stage
        .world
        .script("s", Script::default().with("hang", Outcome::Hangs));
    let mut before = pod("before", &[("main", "s")]);
    before.containers[0].pre_stop = Some(exec("hang"));
    let mut after = pod("after", &[("main", "s")]);
    after.containers[0].post_start = Some(exec("hang"));
    after.grace_s = 10;
    stage.assign(&[before.clone(), after.clone()]);
    stage
        .until("both run", |stage| {
            stage.running("before", "main") + stage.running("after", "main") == 2
        })
        .await;
    stage.pass_s(3600).await;
    assert_eq!(
        stage.running("after", "main"),
        1,
        "nobody else has given it a time"
    );
    let began = stage.now_s();
    stage.assign(&[ending(&before, 30), ending(&after, 10)]);
    stage
        .until("one is gone", |stage| stage.is_gone("after"))
        .await;
    assert!(
        stage.now_s() - began <= 1,
        "what has not begun well is not waited for"
    );
    stage
        .until("both are gone", |stage| stage.is_gone("before"))
        .await;
    let took = stage.now_s() - began;
    assert!((30..=33).contains(&took), "{took}");
    assert!(stage.is_told("PreStopHook failed: it did not return in the 30s there are"));
    // Upstream's two seconds more, for whoever used it up in the hook.
    assert_eq!(
        stage.times("stop main#0 2").len(),
        1,
        "{:?}",
        stage.world.calls()
    );
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_pod_does_not_cut_its_hook_short() {
    let mut stage = Stage::new();
    let hangs = Script::default().with("hang", Outcome::Hangs);
    let fails = Script::default().with("fail", Outcome::Ends(1, "no".to_owned()));
    stage.world.script("hangs", hangs);
    let fails = Script {
        on_ask: None,
        ..fails
    };
    stage.world.script("fails", fails);
    let mut slow = pod("slow", &[("main", "hangs")]);
    slow.containers[0].post_start = Some(exec("hang"));
    let mut wrong = pod("wrong", &[("main", "fails")]);
    wrong.containers[0].post_start = Some(exec("fail"));
    wrong.grace_s = 20;
    stage.assign(&[slow.clone(), wrong.clone()]);
    stage
        .until("it is told", |stage| {
            stage.is_told("PostStartHook failed: no")
        })
        .await;
    // A service appears, say: both are told of it.
    for pod in [&mut slow, &mut wrong] {
        pod.labels.insert("changed".to_owned(), "yes".to_owned());
    }
    stage.assign(&[slow, wrong]);
    stage
        .until("the one whose hook failed is started again", |stage| {
            stage.times("start wrong/main").len() == 2
        })
        .await;
    let said = stage.pod_said("slow").unwrap();
    assert!(
        matches!(said.containers[0].state, State::Waiting(_)),
        "its hook has not returned: {said:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_fails_ends_its_container() {
    let mut stage = Stage::new();
    let script = Script::default().with("fail", Outcome::Ends(1, "no".to_owned()));
    stage.world.script("s", script);
    let mut one = pod("u", &[("main", "s")]);
    one.restart = Restart::Never;
    one.containers[0].post_start = Some(exec("fail"));
    stage.assign(&[one]);
    stage
        .until("it is told", |stage| {
            stage.is_told("PostStartHook failed: no")
        })
        .await;
    stage
        .until("it has ended", |stage| stage.running("u", "main") == 0)
        .await;
    assert_eq!(stage.times("start u/main").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_hangs_has_failed() {
    let mut stage = Stage::new();
    stage
        .world
        .script("s", Script::default().with("hang", Outcome::Hangs));
    let mut one = pod("u", &[("main", "s")]);
    one.grace_s = 1;
    one.containers[0].probes = Probes {
        liveness: Some(probe("hang")),
        ..Probes::default()
    };
    let mut unready = pod("v", &[("main", "s")]);
    unready.containers[0].probes = Probes {
        readiness: Some(probe("hang")),
        ..Probes::default()
    };
    let mut slow = pod("w", &[("main", "s")]);
    slow.containers[0].probes = Probes {
        startup: Some(probe("hang")),
        liveness: Some(probe("hang")),
        ..Probes::default()
    };
    stage.assign(&[one, unready, slow]);
    stage
        .until("it is started again", |stage| {
            stage.times("start u/main#1").len() == 1
        })
        .await;
    // Three times two seconds, with ten between.
    let at = stage.times("start u/main#1")[0];
    assert!((25..=29).contains(&at), "{at}");
    assert!(stage.is_told("Liveness probe failed"));
    assert!(stage.is_told("failed liveness probe, will be restarted"));
    stage
        .until("so is who never started", |stage| {
            stage.times("start w/main#1").len() == 1
        })
        .await;
    assert!(stage.is_told("Startup probe failed"));
    let said = stage.pod_said("v").unwrap();
    assert!(!said.containers[0].ready && said.containers[0].started);
    assert_eq!(
        stage.times("start v/main").len(),
        1,
        "who is not ready runs on"
    );
}

#[tokio::test(start_paused = true)]
async fn init_containers_fail_as_their_pod_is_restarted() {
    let mut stage = Stage::new();
    stage
        .world
        .script("bad", Script::ends(Duration::from_secs(1), 1));
    let mut never = pod("never", &[("main", "s")]);
    never.restart = Restart::Never;
    never.init = vec![container("first", "bad"), container("second", "bad")];
    let mut again = pod("again", &[("main", "s")]);
    again.restart = Restart::OnFailure;
    again.init = vec![container("first", "bad")];
    stage.assign(&[never, again]);
    stage
        .until("it has tried five times", |stage| {
            stage.times("start again/first").len() == 5
        })
        .await;
    let waits = apart(&stage.times("start again/first"));
    assert_eq!(waits, [1, 11, 21, 41]);
    let said = stage.pod_said("never").unwrap();
    assert_eq!(said.failed.unwrap().reason, "InitContainerFailed");
    assert_eq!(stage.times("start never/").len(), 1);
    stage
        .world
        .script("bad", Script::ends(Duration::from_secs(1), 0));
    stage
        .until("it goes on", |stage| stage.running("again", "main") == 1)
        .await;
    stage.pass_s(3600).await;
    assert_eq!(stage.times("start again/first").len(), 6, "once is enough");
    assert_eq!(stage.times("start never/").len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_is_for_the_pod_whoever_counts() {
    let mut stage = Stage::new();
    let mut one = pod("u", &[("main", "s")]);
    one.active_deadline_s = Some(60);
    stage.assign(std::slice::from_ref(&one));
    stage
        .until("it runs", |stage| stage.running("u", "main") == 1)
        .await;
    stage.pass_s(40).await;
    stage.restart().await;
    stage.assign(std::slice::from_ref(&one));
    stage
        .until("it has failed", |stage| {
            stage
                .pod_said("u")
                .is_some_and(|said| said.failed.is_some())
        })
        .await;
    assert!((59..=61).contains(&stage.now_s()), "{}", stage.now_s());
    stage
        .until("it has ended", |stage| stage.running("u", "main") == 0)
        .await;
    // It stays so, for the next one, too.
    stage.restart().await;
    stage.assign(&[one]);
    stage.pass_s(3600).await;
    assert_eq!(stage.times("start u/main").len(), 1);
    let said = stage.pod_said("u").unwrap();
    assert_eq!(said.failed.unwrap().reason, "DeadlineExceeded");
}

#[tokio::test(start_paused = true)]
async fn images_are_asked_for_less_and_less_often() {
    let mut stage = Stage::new();
    stage.world.publish("late", 4, Duration::from_secs(1));
    let of = |uid: &str, image: &str, pull| {
        let mut one = pod(uid, &[("main", "s")]);
        one.containers[0].image = image.to_owned();
        one.containers[0].pull = pull;
        one
    };
    stage.assign(&[
        of("late", "late", Pull::IfNotPresent),
        of("never", "nowhere", Pull::Never),
        of("wrong", "No Name", Pull::IfNotPresent),
        of("none", "nowhere", Pull::IfNotPresent),
    ]);
    stage
        .until("it was pulled", |stage| stage.running("late", "main") == 1)
        .await;
    let waits = apart(&stage.times("pull late"));
    assert_eq!(waits, [11, 21, 41, 81]);
    for (uid, reason) in [
        ("never", "ErrImageNeverPull"),
        ("wrong", "InvalidImageName"),
        ("none", "ImagePullBackOff"),
    ] {
        let said = stage.pod_said(uid).unwrap();
        assert!(
            matches!(&said.containers[0].state, State::Waiting(why) if why.reason == reason),
            "{said:?}"
        );
    }
    assert!(stage.is_told("Failed to pull image \"nowhere\": nowhere: not found"));
}

#[tokio::test(start_paused = true)]
async fn what_serves_others_ends_after_them() {
    let mut stage = Stage::new();
    let slow = Script::deaf();
    stage.world.script("slow", slow);
    let mut one = pod("u", &[("a", "s"), ("b", "slow")]);
    one.grace_s = 9;
    one.init = vec![sidecar("first", "s"), sidecar("last", "s")];
    stage.assign(std::slice::from_ref(&one));
    stage
        .until("all run", |stage| {
            ["a", "b", "first", "last"]
                .iter()
                .all(|name| stage.running("u", name) == 1)
        })
        .await;
    let starts: Vec<String> = stage
        .world
        .calls()
        .into_iter()
        .map(|call| call.what)
        .collect();
    let starts: Vec<&str> = starts
        .iter()
        .filter_map(|what| what.strip_prefix("start u/"))
        .collect();
    assert_eq!(starts, ["first#0", "last#0", "a#0", "b#0"]);
    let began = stage.now_s();
    stage.assign(&[ending(&one, 9)]);
    stage.until("it is gone", |stage| stage.is_gone("u")).await;
    let stops = |name: &str| stage.times(&format!("stop {name}#0"))[0] - began;
    assert_eq!((stops("a"), stops("b")), (0, 0));
    assert!(stops("last") >= 9 && stops("first") >= stops("last"));
    let order: Vec<String> = stage
        .world
        .calls()
        .into_iter()
        .map(|call| call.what)
        .collect();
    let place = |what: &str| order.iter().position(|one| one.starts_with(what)).unwrap();
    assert!(
        place("stop b#0") < place("stop last#0") && place("stop last#0") < place("stop first#0")
    );
}

#[tokio::test(start_paused = true)]
async fn a_pod_may_be_deleted_while_it_starts() {
    let mut stage = Stage::new();
    stage.world.publish("huge", 0, Duration::from_secs(600));
    let mut one = pod("u", &[("main", "s")]);
    one.containers[0].image = "huge".to_owned();
    stage.assign(std::slice::from_ref(&one));
    stage.pass_s(60).await;
    stage.assign(&[ending(&one, 30)]);
    stage.until("it is gone", |stage| stage.is_gone("u")).await;
    assert!((60..=62).contains(&stage.now_s()), "{}", stage.now_s());
    // By force: nobody says anything of it any more.
    let two = pod("v", &[("main", "s")]);
    for wait_ms in 0..20 {
        stage.assign(std::slice::from_ref(&two));
        stage.pass(Duration::from_millis(1 + wait_ms)).await;
        stage.assign(&[]);
        stage
            .until("nothing is left", |stage| stage.is_nothing_left("v"))
            .await;
    }
    stage.pass_s(1000).await;
    assert!(stage.is_nothing_left("u") && stage.is_nothing_left("v"));
    assert_eq!(stage.times("start u/").len(), 0);
    assert_eq!(stage.world.wrongs(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_end_is_asked_again_and_nothing_else_waits() {
    let mut stage = Stage::new();
    let immortal = Script {
        is_immortal: true,
        ..Script::default()
    };
    stage.world.script("immortal", immortal);
    let one = pod("u", &[("main", "immortal")]);
    let other = pod("v", &[("main", "s")]);
    stage.assign(&[one.clone(), other.clone()]);
    stage
        .until("both run", |stage| {
            stage.running("u", "main") + stage.running("v", "main") == 2
        })
        .await;
    stage.assign(&[ending(&one, 5), ending(&other, 5)]);
    stage
        .until("the other is gone", |stage| stage.is_gone("v"))
        .await;
    stage
        .until("it is told", |stage| {
            stage.is_told("FailedKillPod: it does not end")
        })
        .await;
    stage.pass_s(600).await;
    let asked = stage.times("stop main#0").len();
    assert!((2..200).contains(&asked), "{asked}");
    assert!(stage.world.end("u", "main", 0));
    stage.until("it is gone", |stage| stage.is_gone("u")).await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_made_is_tried_again() {
    let mut stage = Stage::new();
    stage.world.fail_sandboxes(3);
    let failing = Script {
        failing_starts: 2,
        ..Script::default()
    };
    stage.world.script("main", failing);
    stage.assign(&[pod("u", &[("main", "s")])]);
    stage
        .until("it runs", |stage| stage.running("u", "main") == 1)
        .await;
    assert_eq!(apart(&stage.times("sandbox u")), [2, 4, 8]);
    assert_eq!(apart(&stage.times("start u/main")), [0, 10]);
    assert!(stage.is_told("FailedCreatePodSandBox"));
    assert!(stage.is_told("Failed: Error: it can't be started"));
}

#[tokio::test(start_paused = true)]
async fn what_contradicts_itself_waits_and_is_no_run() {
    let mut stage = Stage::new();
    let failing = Script {
        failing_starts: 3,
        is_config: true,
        ..Script::default()
    };
    stage.world.script("main", failing);
    let mut one = pod("u", &[("main", "s")]);
    one.restart = Restart::Never;
    stage.assign(&[one]);
    let waits = |stage: &Stage| {
        let said = stage.pod_said("u");
        said.is_some_and(|said| match &said.containers[0].state {
            State::Waiting(why) => why.reason == "CreateContainerConfigError",
            _ => false,
        })
    };
    stage.until("it waits", waits).await;
    stage
        .until("it runs", |stage| stage.running("u", "main") == 1)
        .await;
    assert_eq!(apart(&stage.times("start u/main")), [10, 10, 10]);
    let said = stage.pod_said("u").unwrap();
    assert!(
        said.failed.is_none() && said.containers[0].restarts == 0,
        "{said:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn who_has_too_much_on_disk_is_evicted_within_seconds() {
    let mut stage = Stage::new();
    let writes = Script {
        disk_bytes: 2000,
        ..Script::deaf()
    };
    stage.world.script("large", writes);
    stage.world.script("small", Script::default());
    let with = |uid: &str, script: &str| {
        let mut pod = pod(uid, &[("main", script)]);
        pod.containers[0].resources.disk_limit_bytes = Some(1999);
        pod
    };
    let (large, small) = (with("large", "large"), with("small", "small"));
    let free = pod("free", &[("main", "large")]);
    stage.assign(&[large.clone(), small.clone(), free.clone()]);
    let failed = |stage: &Stage| stage.pod_said("large").and_then(|said| said.failed);
    stage
        .until("it is told", |stage| failed(stage).is_some())
        .await;
    assert_eq!(stage.now_s(), 10);
    let why = failed(&stage).unwrap();
    assert_eq!(why.reason, "Evicted");
    assert!(why.message.contains("2000 bytes"), "{}", why.message);
    assert!(stage.is_told("Evicted: the pod has 2000 bytes"));
    stage
        .until("it has ended", |stage| stage.running("large", "main") == 0)
        .await;
    assert_eq!(stage.times("stop main#0 2").len(), 1, "not thirty seconds");
    // For good, whoever is asked; the others run on.
    stage.restart().await;
    stage.assign(&[large, small, free]);
    stage.pass_s(60).await;
    assert_eq!(failed(&stage).unwrap().reason, "Evicted");
    assert_eq!(stage.times("start large/main").len(), 1);
    assert_eq!(
        stage.running("small", "main") + stage.running("free", "main"),
        2
    );
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_grows_too_large_ends_its_pod() {
    let mut stage = Stage::new();
    stage.world.script("s", Script::default());
    let mut pod = pod("u", &[("main", "s")]);
    let limit = Volume::Empty {
        memory: false,
        size_limit: Some(1 << 20),
    };
    pod.volumes.insert("v".to_owned(), limit);
    stage.assign(&[pod]);
    stage
        .until("it runs", |stage| stage.running("u", "main") == 1)
        .await;
    stage.pass_s(60).await;
    assert_eq!(stage.running("u", "main"), 1);
    let file = stage.directory().join("pods/u/volumes/v/file");
    std::fs::write(file, vec![1; 2 << 20]).unwrap();
    stage
        .until("it is told", |stage| {
            stage.is_told("Evicted: emptyDir volume \"v\" has 2")
        })
        .await;
    stage
        .until("it has ended", |stage| stage.running("u", "main") == 0)
        .await;
}

#[tokio::test(start_paused = true)]
async fn who_is_led_to_ends_when_nobody_comes_any_more() {
    let mut stage = Stage::new();
    let (one, two) = (pod("u", &[("main", "s")]), pod("v", &[("other", "s")]));
    stage.assign(&[one.clone(), two.clone()]);
    stage
        .until("both run", |stage| {
            stage.running("u", "main") == 1 && stage.running("v", "other") == 1
        })
        .await;
    let to = |uids: &[&str]| {
        let endpoint = |uid: &&str| Endpoint {
            address: stage.pod_said(uid).unwrap().ip.unwrap(),
            is_ready: true,
            ..Endpoint::default()
        };
        let port = ServicePort {
            endpoints: uids.iter().map(endpoint).collect(),
            ..ServicePort::default()
        };
        let service = Service {
            ports: vec![port],
            ..Service::default()
        };
        Services {
            table: [("web.default.svc".to_owned(), service)].into(),
            ..Services::default()
        }
    };
    let (both, second) = (to(&["u", "v"]), to(&["v"]));
    // What is to be carried out counts already.
    stage.lead(both);
    let began = stage.now_s();
    stage.assign(&[ending(&one, 30), ending(&two, 30)]);
    stage.pass_s(4).await;
    assert!(stage.times("stop ").is_empty());
    stage.lead(second);
    stage.until("one is gone", |stage| stage.is_gone("u")).await;
    let stopped = |name: &str| stage.times(&format!("stop {name}#0"))[0] - began;
    assert!((4..=5).contains(&stopped("main")), "{}", stopped("main"));
    // Nobody says that the other is led to no more: it is not waited for without end.
    stage
        .until("both are gone", |stage| stage.is_gone("v"))
        .await;
    assert_eq!(stopped("other"), 10);
}
