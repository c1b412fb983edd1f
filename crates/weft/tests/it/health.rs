//! HEALTHCHECK and `--health-…`: what is probed, what comes of it, and who is told.

use std::path::Path;

use serde_json::{Value, json};
use weft_testkit::command::Background;
use weft_testkit::wait::SOON;
use weft_testkit::{Weft, image, leftovers, until};

use crate::{idle, weft};

#[track_caller]
fn health(weft: &Weft, name: &str) -> Value {
    weft.inspect(name)["State"]["Health"].clone()
}

#[track_caller]
fn becomes(weft: &Weft, name: &str, status: &str) {
    until(SOON, &format!("{name} is {status}"), || {
        health(weft, name)["Status"] == status
    });
}

/// Probed often; as long as it starts, failures do not count.
fn run_probed(weft: &Weft, name: &str, command: &str, more: &[&str]) {
    let mut args = vec![
        "run",
        "--detach",
        "--name",
        name,
        "--health-cmd",
        command,
        "--health-interval",
        "50ms",
    ];
    args.extend(more);
    args.extend(["busybox", "sleep", "3600"]);
    weft.ok(&args);
}

const STARTS: [&str; 4] = [
    "--health-start-period",
    "1h",
    "--health-start-interval",
    "20ms",
];

#[test]
fn docker_sees_a_container_start_recover_and_fall_ill() {
    let Some(weft) = weft() else { return };
    if weft.docker(&["version"]).is_none() {
        return;
    }
    let docker = |args: &[&str]| weft.docker(args).unwrap().ok().to_owned();
    let mut command = weft
        .docker_command(&["events", "--filter", "event=health_status"])
        .unwrap();
    command.stdin(std::process::Stdio::null());
    let events = Background::start(command);
    let mut args = vec!["run", "--detach", "--name", "one"];
    let probe = "test -f /ok && echo fine";
    args.extend(["--health-cmd", probe, "--health-interval", "50ms"]);
    args.extend(["--health-retries", "2", "--health-timeout", "20s"]);
    args.extend(STARTS);
    args.extend(["busybox", "sleep", "3600"]);
    docker(&args);

    until(SOON, "it was probed", || {
        health(&weft, "one")["Log"].as_array().unwrap().len() == 5
    });
    let found = health(&weft, "one");
    assert_eq!(found["Status"], "starting");
    assert_eq!(found["FailingStreak"], 0);
    assert_eq!(found["Log"][0]["ExitCode"], 1);
    assert!(docker(&["ps"]).contains("(health: starting)"));

    let filtered = |state: &str| {
        let filter = format!("health={state}");
        docker(&["ps", "--filter", &filter, "--format", "{{.Names}}"])
    };
    docker(&["exec", "one", "touch", "/ok"]);
    becomes(&weft, "one", "healthy");
    events.says("health_status: healthy");
    let last = health(&weft, "one")["Log"]
        .as_array()
        .unwrap()
        .last()
        .cloned();
    let last = last.unwrap();
    assert_eq!(
        (&last["ExitCode"], &last["Output"]),
        (&json!(0), &json!("fine\n"))
    );
    assert!(last["Start"].as_str().unwrap() < last["End"].as_str().unwrap());
    assert!(docker(&["ps"]).contains("(healthy)"));
    assert_eq!(
        (filtered("healthy").as_str(), filtered("starting").as_str()),
        ("one", "")
    );

    docker(&["exec", "one", "rm", "/ok"]);
    becomes(&weft, "one", "unhealthy");
    events.says("health_status: unhealthy");
    assert!(health(&weft, "one")["FailingStreak"].as_i64().unwrap() >= 2);
    assert!(docker(&["ps"]).contains("(unhealthy)"));
    assert_eq!(filtered("unhealthy"), "one");
    assert_eq!(filtered("none"), "");
    let config = docker(&["inspect", "--format", "{{json .Config.Healthcheck}}", "one"]);
    let config: Value = serde_json::from_str(&config).unwrap();
    assert_eq!(
        config,
        json!({ "Test": ["CMD-SHELL", probe], "Interval": 50_000_000, "Retries": 2,
            "Timeout": 20_000_000_000_i64, "StartPeriod": 3_600_000_000_000_i64,
            "StartInterval": 20_000_000 })
    );

    // Another run is another start.
    docker(&["restart", "--time", "0", "one"]);
    assert_eq!(health(&weft, "one")["Status"], "starting");
    docker(&["stop", "--time", "0", "one"]);
    assert_eq!(health(&weft, "one")["Status"], "unhealthy");
    assert!(!docker(&["ps", "--all"]).contains("unhealthy"));
}

#[test]
fn the_images_check_is_inherited_changed_and_turned_off() {
    let Some(weft) = weft() else { return };
    let check = json!({ "Test": ["CMD", "test", "-d", "/tmp"], "Interval": 50_000_000,
        "Retries": 7 });
    let probed = image::busybox_named("probed:1").with("Healthcheck", check.clone());
    weft.weft_with_input(&["load"], &probed.archive()).ok();
    let run = |name: &str, flags: &[&str]| {
        let mut args = vec!["run", "--detach", "--name", name];
        args.extend(flags);
        args.extend(["probed:1", "sleep", "3600"]);
        let ran = weft.weft(&args);
        ran.ok();
        assert!(!ran.stderr.contains("HEALTHCHECK"), "{ran}");
    };
    run("as-it-is", &[]);
    becomes(&weft, "as-it-is", "healthy");
    assert_eq!(weft.inspect("as-it-is")["Config"]["Healthcheck"], check);
    run(
        "changed",
        &["--health-cmd", "exit 1", "--health-retries", "1"],
    );
    becomes(&weft, "changed", "unhealthy");
    assert_eq!(
        weft.inspect("changed")["Config"]["Healthcheck"],
        json!({ "Test": ["CMD-SHELL", "exit 1"], "Interval": 50_000_000, "Retries": 1 })
    );
    run("off", &["--no-healthcheck"]);
    assert_eq!(health(&weft, "off"), Value::Null);
    idle(&weft, "without");
    assert_eq!(health(&weft, "without"), Value::Null);
    assert_eq!(
        weft.inspect("without")["Config"]["Healthcheck"],
        Value::Null
    );
    let none = ["ps", "--filter", "health=none", "--format", "{{.Names}}"];
    let none = weft.ok(&none);
    let mut none: Vec<&str> = none.lines().collect();
    none.sort_unstable();
    assert_eq!(none, ["off", "without"]);
    let shown = weft.ok(&["image", "inspect", "probed:1"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown[0]["Config"]["Healthcheck"], check);
}

#[test]
fn a_probe_that_hangs_is_killed_and_one_that_talks_is_cut() {
    let Some(weft) = weft() else { return };
    let limits = ["--health-timeout", "200ms", "--health-retries", "1"];
    run_probed(&weft, "hangs", "echo stuck; sleep 3611; :", &limits);
    becomes(&weft, "hangs", "unhealthy");
    until(SOON, "several probes were killed", || {
        health(&weft, "hangs")["Log"].as_array().unwrap().len() == 5
    });
    let probe = health(&weft, "hangs")["Log"][0].clone();
    assert_eq!(probe["ExitCode"], -1);
    assert_eq!(
        probe["Output"],
        "Health check exceeded timeout (200ms): stuck\n"
    );
    // The one that runs now has a shell and its child.
    assert!(weft.ok(&["top", "hangs"]).matches("sleep 3611").count() <= 2);

    run_probed(&weft, "talks", "yes | head -c 100000", &[]);
    becomes(&weft, "talks", "healthy");
    let said = health(&weft, "talks")["Log"][0]["Output"].clone();
    let said = said.as_str().unwrap();
    assert!(
        said.len() == 4096 + 3 && said.ends_with("..."),
        "{}",
        said.len()
    );

    run_probed(&weft, "lacks", "exit 0", &[]);
    becomes(&weft, "lacks", "healthy");
    let body = r#"{"Image":"busybox","Cmd":["sleep","3600"],"Healthcheck":
        {"Test":["CMD","no-such-probe"],"Interval":20000000,"Retries":1}}"#;
    let made = weft.api("POST", "/containers/create?name=missing", body);
    assert_eq!(made.status, 201, "{made:?}");
    weft.ok(&["start", "missing"]);
    becomes(&weft, "missing", "unhealthy");
    let probe = health(&weft, "missing")["Log"][0].clone();
    assert_eq!(probe["ExitCode"], -1);
    assert!(
        probe["Output"].as_str().unwrap().contains("no-such-probe"),
        "{probe}"
    );
}

#[test]
fn health_outlives_the_daemon_and_probing_goes_on() {
    let Some(mut weft) = weft() else { return };
    let ok = "test -f /ok";
    run_probed(&weft, "one", ok, &["--health-retries", "1"]);
    let hourly = ["--health-cmd", "true", "--health-interval", "1h"];
    let two = [&["run", "--detach", "--name", "two"][..], &hourly[..]].concat();
    weft.ok(&[&two[..], &["busybox", "sleep", "3600"]].concat());
    weft.ok(&["exec", "one", "touch", "/ok"]);
    becomes(&weft, "one", "healthy");
    until(SOON, "it was probed often", || {
        health(&weft, "one")["Log"].as_array().unwrap().len() == 5
    });
    weft.kill_daemon();
    weft.start_daemon();
    let found = health(&weft, "one");
    assert_eq!(found["Status"], "healthy");
    assert_eq!(found["Log"].as_array().unwrap().len(), 5);
    assert_eq!(health(&weft, "two")["Status"], "starting");
    weft.ok(&["exec", "one", "rm", "/ok"]);
    becomes(&weft, "one", "unhealthy");
}

#[test]
fn a_probe_that_hangs_is_killed_without_a_daemon() {
    let Some(mut weft) = weft() else { return };
    let marked = Path::new(weft.instance()).to_owned();
    let hangs = format!("sleep 3600; : {}", marked.display());
    run_probed(&weft, "one", &hangs, &["--health-timeout", "2s"]);
    until(SOON, "the probe runs", || {
        leftovers::processes(&marked)
            .iter()
            .any(|(_, line)| line.starts_with("/bin/sh"))
    });
    weft.kill_daemon();
    until(SOON, "its monitor kills it", || {
        leftovers::processes(&marked).is_empty()
    });
    weft.start_daemon();
    becomes(&weft, "one", "starting");
}

#[test]
fn what_is_paused_is_not_probed_and_what_has_ended_neither() {
    let Some(weft) = weft() else { return };
    run_probed(&weft, "one", "true", &["--health-retries", "1"]);
    becomes(&weft, "one", "healthy");
    weft.ok(&["pause", "one"]);
    assert_eq!(health(&weft, "one")["Status"], "healthy");
    assert!(weft.ok(&["ps"]).contains("(Paused)"));
    let last = |weft: &Weft| {
        health(weft, "one")["Log"]
            .as_array()
            .unwrap()
            .last()
            .cloned()
    };
    let before = last(&weft);
    weft.ok(&["unpause", "one"]);
    until(SOON, "it is probed again", || last(&weft) != before);
    assert_eq!(health(&weft, "one")["Status"], "healthy");
    // A long probe does not hold up the end, and says nothing after it.
    run_probed(&weft, "two", "sleep 3600", &[]);
    until(SOON, "the probe runs", || {
        weft.ok(&["top", "two"]).matches("sleep 3600").count() > 1
    });
    weft.ok(&["stop", "--time", "0", "two"]);
    assert_eq!(health(&weft, "two")["Log"], json!([]));
}

#[test]
fn bad_values_are_refused_in_dockers_words() {
    let Some(weft) = weft() else { return };
    let check = |flags: &[&str], words: &str| {
        let mut args = vec!["run", "--rm"];
        args.extend(flags);
        args.extend(["busybox", "true"]);
        weft.weft(&args).code(125).fails_saying(&[words]);
        if let Some(ran) = weft.docker(&args) {
            ran.code(125).fails_saying(&[words]);
        }
    };
    check(
        &["--health-cmd", "x", "--health-interval", "10us"],
        "Interval in Healthcheck cannot be less than 1ms",
    );
    check(
        &["--health-cmd", "x", "--health-timeout", "1ns"],
        "Timeout in Healthcheck cannot be less than 1ms",
    );
    check(
        &["--no-healthcheck", "--health-cmd", "x"],
        "--no-healthcheck conflicts with --health-* options",
    );
    check(
        &["--health-retries", "-1"],
        "--health-retries cannot be negative",
    );
    weft.weft(&["ps", "--filter", "health=odd"])
        .fails_saying(&["Unrecognised filter value for health: odd"]);
}

#[test]
fn probes_of_all_containers_together_have_a_bound() {
    const BOUND: usize = 32;
    let Some(weft) = weft() else { return };
    let shared = ["--volume", "shared:/shared"];
    let gate = ["busybox", "mkfifo", "/shared/gate"];
    weft.ok(&[&["run", "--rm"][..], &shared, &gate].concat());
    // Each leaves a mark and waits for a writer that never comes.
    let probe = "touch /shared/$HOSTNAME && cat /shared/gate";
    let names: Vec<String> = (0..BOUND + 2).map(|index| format!("one{index}")).collect();
    for name in &names {
        let more = ["--health-timeout", "1h", "--hostname", name];
        run_probed(&weft, name, probe, &[&shared[..], &more, &STARTS].concat());
    }
    let marks = weft.data_dir().join("volumes/shared/_data");
    let probed = || -> Vec<&String> {
        let mut names: Vec<_> = names.iter().collect();
        names.retain(|name| marks.join(name).exists());
        names
    };
    until(SOON, "as many probes run as may", || {
        probed().len() >= BOUND
    });
    // Time enough for those that wait, had they begun.
    for name in &names {
        weft.ok(&["exec", name, "true"]);
    }
    assert_eq!(probed().len(), BOUND);
    weft.ok(&["rm", "--force", probed()[0]]);
    until(SOON, "the next one begins", || probed().len() > BOUND);
}
