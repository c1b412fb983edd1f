//! `weft run`: what goes into the process, what comes out of it.

use crate::weft;

#[test]
fn the_exit_code_is_the_workloads() {
    let Some(weft) = weft() else { return };
    weft.weft(&["run", "--rm", "busybox", "true"]).code(0);
    weft.weft(&["run", "--rm", "busybox", "sh", "-c", "exit 7"])
        .code(7);
    // Only init itself can kill a pid 1 that has no handler: the shell's child is not pid 1.
    weft.weft(&[
        "run",
        "--rm",
        "busybox",
        "sh",
        "-c",
        "sh -c 'kill -9 $$'; exit $?",
    ])
    .code(137);
}

#[test]
fn a_missing_command_is_127_and_one_that_cannot_run_is_126() {
    let Some(weft) = weft() else { return };
    weft.weft(&["run", "--rm", "busybox", "no-such-command"])
        .code(127)
        .fails_saying(&["no-such-command"]);
    weft.weft(&["run", "--rm", "busybox", "/etc/notexecutable"])
        .code(126)
        .fails_saying(&["/etc/notexecutable"]);
    weft.weft(&["run", "--rm", "busybox", "/etc"]).code(126);
    assert_eq!(weft.ok(&["ps", "--all", "--quiet"]), "");
}

#[test]
fn output_and_errors_stay_apart() {
    let Some(weft) = weft() else { return };
    let ran = weft.weft(&[
        "run",
        "--rm",
        "busybox",
        "sh",
        "-c",
        "echo out; echo err >&2",
    ]);
    assert_eq!(
        (ran.stdout.as_str(), ran.stderr.as_str()),
        ("out\n", "err\n")
    );
}

#[test]
fn ten_megabytes_arrive_whole() {
    let Some(weft) = weft() else { return };
    let script = "yes 0123456789abcde | head -c 10485760";
    let ran = weft.weft(&["run", "--rm", "busybox", "sh", "-c", script]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(ran.stdout.len(), 10 << 20);
    assert!(
        ran.stdout
            .as_bytes()
            .chunks(16)
            .all(|line| line == b"0123456789abcde\n")
    );
}

#[test]
fn standard_input_reaches_the_process_and_ends() {
    let Some(weft) = weft() else { return };
    let input = "line\n".repeat(200_000);
    let ran = weft.weft_with_input(
        &["run", "--rm", "--interactive", "busybox", "wc", "-l"],
        input.as_bytes(),
    );
    assert_eq!(ran.ok().trim(), "200000");
    // Without --interactive there is nothing to read.
    assert_eq!(
        weft.weft_with_input(&["run", "--rm", "busybox", "cat"], b"ignored")
            .ok(),
        ""
    );
}

#[test]
fn environment_directory_host_name_and_labels() {
    let Some(weft) = weft() else { return };
    let file = weft.scratch().join("env");
    std::fs::write(&file, "FROM_FILE=yes\n# a comment\n\nTWO=words here\n").unwrap();
    let mut run = weft.command(&[
        "run",
        "--rm",
        "--env",
        "A=1",
        "--env",
        "INHERITED",
        "--env-file",
    ]);
    run.arg(&file).args([
        "--workdir",
        "/tmp/made/here",
        "--hostname",
        "loom",
        "busybox",
        "sh",
        "-c",
    ]);
    run.arg("echo $A $INHERITED $FROM_FILE $TWO; pwd; hostname; echo $HOME $PATH")
        .env("INHERITED", "seen");
    let ran = weft_testkit::command::run(run, b"", weft_testkit::command::LIMIT);
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(
        ran.ok(),
        format!("1 seen yes words here\n/tmp/made/here\nloom\n/root {path}")
    );

    weft.ok(&[
        "create", "--name", "labelled", "--label", "a=b", "--label", "empty", "busybox",
    ]);
    let labels = &weft.inspect("labelled")["Config"]["Labels"];
    assert_eq!(
        (labels["a"].as_str(), labels["empty"].as_str()),
        (Some("b"), Some(""))
    );
}

#[test]
fn users_by_name_number_and_group() {
    let Some(weft) = weft() else { return };
    let id = |user: &str| weft.ok(&["run", "--rm", "--user", user, "busybox", "id"]);
    assert_eq!(
        id("weaver"),
        "uid=1000(weaver) gid=1000(weaver) groups=1000(weaver),2000(loom)"
    );
    assert_eq!(
        id("1000"),
        "uid=1000(weaver) gid=1000(weaver) groups=1000(weaver),2000(loom)"
    );
    assert_eq!(
        id("1000:2000"),
        "uid=1000(weaver) gid=2000(loom) groups=2000(loom)"
    );
    assert_eq!(
        id("weaver:daemon"),
        "uid=1000(weaver) gid=1(daemon) groups=1(daemon)"
    );
    assert!(
        id("4242").starts_with("uid=4242 gid=0(root)"),
        "{}",
        id("4242")
    );
    let groups = weft.ok(&[
        "run",
        "--rm",
        "--group-add",
        "loom",
        "--group-add",
        "77",
        "busybox",
        "id",
        "-G",
    ]);
    // The kernel keeps them sorted.
    let mut groups: Vec<u32> = groups
        .split(' ')
        .filter_map(|group| group.parse().ok())
        .collect();
    groups.sort_unstable();
    assert_eq!(groups, [0, 77, 2000]);
}

#[test]
fn entrypoint_and_command_combine_as_docker_does() {
    let Some(weft) = weft() else { return };
    let run = |args: &[&str]| {
        weft.ok(&[&["run", "--rm", "--entrypoint", "echo", "busybox"], args].concat())
    };
    assert_eq!(run(&["a", "b"]), "a b");
    // A new entrypoint drops the image's command.
    assert_eq!(run(&[]), "");
}

#[test]
fn init_reaps_and_forwards() {
    let Some(weft) = weft() else { return };
    // An orphan ends: nobody but the init can reap it.
    let orphan = "sh -c 'sleep 0.01 & exec true'; i=0";
    let reaped =
        "while ps -o stat | grep -q ^Z && test $i -lt 500; do i=$((i+1)); sleep 0.02; done";
    let script = format!("{orphan}; {reaped}; ps -o stat | grep -c ^Z; cat /proc/1/comm; echo $$");
    let said = weft.ok(&["run", "--rm", "--init", "busybox", "sh", "-c", &script]);
    let words: Vec<&str> = said.split_whitespace().collect();
    assert_eq!(words[0], "0", "{said}");
    assert!(words[1] != "sh" && words[2] != "1", "{said}");
    weft.ok(&[
        "run", "--detach", "--init", "--name", "stopped", "busybox", "sleep", "3600",
    ]);
    weft.ok(&["stop", "stopped"]);
    // The init passes SIGTERM on, and the sleep dies of it.
    assert_eq!(weft.inspect("stopped")["State"]["ExitCode"], 143);
}

#[test]
fn detached_prints_the_id_and_rm_forgets() {
    let Some(weft) = weft() else { return };
    let id = weft.ok(&["run", "--detach", "busybox", "true"]);
    assert!(
        id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{id}"
    );
    weft.ok(&["wait", &id]);
    assert_eq!(weft.ok(&["ps", "--all", "--quiet", "--no-trunc"]), id);
    weft.ok(&["rm", &id[..12]]);
    weft.ok(&["run", "--rm", "busybox", "true"]);
    assert_eq!(weft.ok(&["ps", "--all", "--quiet"]), "");
    let file = weft.scratch().join("cid");
    weft.ok(&[
        "run",
        "--rm",
        "--cidfile",
        &file.display().to_string(),
        "busybox",
        "true",
    ]);
    assert_eq!(std::fs::read_to_string(file).unwrap().trim().len(), 64);
}

#[test]
fn a_read_only_root_and_tmpfs() {
    let Some(weft) = weft() else { return };
    let script =
        "echo x > /file 2>/dev/null || echo refused; echo x > /scratch/file && stat -c %a /scratch";
    let args = [
        "run",
        "--rm",
        "--read-only",
        "--tmpfs",
        "/scratch:size=1m,mode=1777",
        "busybox",
        "sh",
        "-c",
        script,
    ];
    assert_eq!(weft.ok(&args), "refused\n1777");
    let full =
        "dd if=/dev/zero of=/scratch/big bs=1k count=2000 2>/dev/null || stat -c %s /scratch/big";
    let args = [
        "run",
        "--rm",
        "--tmpfs",
        "/scratch:size=1m",
        "busybox",
        "sh",
        "-c",
        full,
    ];
    assert_eq!(weft.ok(&args), "1048576");
}

#[test]
fn a_vanished_client_leaves_the_container_running() {
    let Some(weft) = weft() else { return };
    let mut run = weft.background(&[
        "run",
        "--name",
        "kept",
        "busybox",
        "sh",
        "-c",
        "echo up; sleep 3600",
    ]);
    run.says("up");
    assert!(run.running());
    run.signal(rustix::process::Signal::KILL);
    drop(run);
    assert_eq!(weft.inspect("kept")["State"]["Running"], true);
}

#[test]
fn signals_to_the_client_reach_the_workload() {
    let Some(weft) = weft() else { return };
    let script = "trap 'echo caught; exit 9' TERM; echo up; while :; do sleep 1; done";
    let run = weft.background(&["run", "--rm", "busybox", "sh", "-c", script]);
    run.says("up");
    run.signal(rustix::process::Signal::TERM);
    let ran = run.finish(weft_testkit::wait::SOON);
    assert_eq!(
        (ran.code, ran.stdout.contains("caught")),
        (9, true),
        "{ran}"
    );
}
