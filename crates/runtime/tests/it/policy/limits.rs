//! Limits in force. They need controllers that a hybrid machine does not have in its v2 tree:
//! there each of these is skipped, and says so. The VM lane's kernel has them all.

use serde_json::json;
use weft_runtime::cgroup::{Memory, Tasks};

use super::*;

/// Whether the machine has the controllers; says what is skipped when not.
fn has(controllers: &[&str]) -> bool {
    let present = Hierarchy::find().unwrap().controllers().unwrap();
    let missing: Vec<_> = controllers
        .iter()
        .filter(|it| !present.iter().any(|p| p == *it))
        .collect();
    if !missing.is_empty() {
        println!("skipped: the cgroup v2 tree has no {missing:?} controller, only {present:?}");
    }
    missing.is_empty()
}

fn file(group: &Group, name: &str) -> String {
    let path = format!(
        "{}{}/{name}",
        group.hierarchy.mount_point().display(),
        group.cgroup.path()
    );
    std::fs::read_to_string(path).unwrap().trim().to_owned()
}

#[test]
fn no_more_processes_than_the_limit() {
    if !has(&["pids"]) {
        return;
    }
    let group = Group::new("pids", json!({"pids": {"limit": 3}}));
    let script = "for each in 1 2 3 4 5; do sleep 100 & done";
    assert!(!group.succeeds(script, Path::new("")));
    let tasks = group.cgroup.stats().unwrap().tasks;
    assert!(
        matches!(tasks, Tasks::Counted { max: Some(3), .. }),
        "{tasks:?}"
    );
    group
        .cgroup
        .update(&limits(json!({"pids": {"limit": -1}})))
        .unwrap();
    assert!(group.succeeds(script, Path::new("")));
}

#[test]
fn too_much_memory_is_a_counted_kill() {
    if !has(&["memory"]) {
        return;
    }
    let limit = 32 << 20;
    let group = Group::new("memory", json!({"memory": {"limit": limit, "swap": limit}}));
    assert_eq!(group.cgroup.oom_kills().unwrap(), Some(0));
    assert!(!group.succeeds(
        "head -c 200000000 /dev/zero | tail -c 190000000",
        Path::new("")
    ));
    assert!(group.cgroup.oom_kills().unwrap() >= Some(1));
    let stats = group.cgroup.stats().unwrap();
    let Memory::Counted {
        max, peak, detail, ..
    } = stats.memory
    else {
        panic!("{stats:?}")
    };
    assert_eq!(max, Some(limit));
    assert!(peak.is_none_or(|peak| peak > limit / 2), "{peak:?}");
    assert!(detail.contains_key("anon") && detail.contains_key("inactive_file"));
}

#[test]
fn memory_values_are_converted() {
    if !has(&["memory"]) {
        return;
    }
    let group = Group::new(
        "values",
        json!({"memory": {"limit": 67_108_864, "swap": 134_217_728, "reservation": 33_554_432},
               "unified": {"memory.high": "50331648"}}),
    );
    assert_eq!(file(&group, "memory.max"), "67108864");
    assert_eq!(file(&group, "memory.low"), "33554432");
    assert_eq!(file(&group, "memory.high"), "50331648");
    let swap = group
        .hierarchy
        .mount_point()
        .join(&group.cgroup.path()[1..])
        .join("memory.swap.max");
    if swap.exists() {
        assert_eq!(file(&group, "memory.swap.max"), "67108864");
    }
    let mut child = group.shell("read -r never < /dev/zero", Path::new(""));
    let low = limits(json!({"memory": {"limit": 4096, "checkBeforeUpdate": true}}));
    let deadline = Instant::now() + PATIENCE;
    while group.cgroup.stats().unwrap().memory.current() <= 4096 {
        assert!(Instant::now() < deadline, "a process uses memory");
    }
    let error = group.cgroup.update(&low).unwrap_err();
    assert!(error.to_string().contains("bytes are in use"), "{error}");
    assert_eq!(file(&group, "memory.max"), "67108864");
    group.cgroup.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_quota_throttles() {
    if !has(&["cpu"]) {
        return;
    }
    let group = Group::new(
        "cpu",
        json!({"cpu": {"quota": 5000, "period": 50000, "shares": 512}}),
    );
    assert_eq!(file(&group, "cpu.max"), "5000 50000");
    assert_eq!(file(&group, "cpu.weight"), "59");
    let mut busy = group.shell("while :; do :; done", Path::new(""));
    let deadline = Instant::now() + PATIENCE;
    while group.cgroup.stats().unwrap().cpu.throttled_periods == 0 {
        assert!(Instant::now() < deadline, "a busy loop is throttled");
    }
    group
        .cgroup
        .update(&limits(json!({"cpu": {"quota": -1}})))
        .unwrap();
    assert_eq!(file(&group, "cpu.max"), "max 100000");
    group
        .cgroup
        .update(&limits(json!({"cpu": {"quota": 60000, "burst": 30000}})))
        .unwrap();
    group
        .cgroup
        .update(&limits(json!({"cpu": {"quota": 20000, "burst": 10000}})))
        .unwrap();
    assert_eq!(file(&group, "cpu.max.burst"), "10000");
    group
        .cgroup
        .update(&limits(json!({"cpu": {"idle": 1}})))
        .unwrap();
    assert_eq!(file(&group, "cpu.idle"), "1");
    group.cgroup.kill().unwrap();
    busy.wait().unwrap();
}

#[test]
fn processors_are_chosen() {
    if !has(&["cpuset"]) {
        return;
    }
    let group = Group::new("cpuset", json!({"cpu": {"cpus": "0", "mems": "0"}}));
    assert!(group.succeeds(
        "grep -q 'Cpus_allowed_list:.0$' /proc/self/status",
        Path::new("")
    ));
    let error = group
        .cgroup
        .update(&limits(json!({"cpu": {"cpus": "4096"}})))
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("limit cpu.cpus: write \"4096\" to "),
        "{error}"
    );
}

#[test]
fn block_io_has_a_weight_or_says_which_file_is_missing() {
    if !has(&["io"]) {
        return;
    }
    let hierarchy = Hierarchy::find().unwrap();
    let top = format!("/weft-policy-{}-io", std::process::id());
    let made = hierarchy.create(&top, &limits(json!({"blockIO": {"weight": 500}})));
    hierarchy.remove(&top).unwrap();
    match made {
        Ok(_) => {}
        Err(error) => assert!(
            error.to_string().contains("this kernel has no file"),
            "{error}"
        ),
    }
}
