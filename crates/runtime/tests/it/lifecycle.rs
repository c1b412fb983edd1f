//! create, start, exec, kill.

use serde_json::json;

use crate::bed::Bed;

#[test]
fn a_program_runs_and_its_code_comes_back() {
    assert_eq!(Bed::new(&["true"]).run(), 0);
    assert_eq!(Bed::new(&["sh", "-c", "exit 7"]).run(), 7);
}

#[test]
fn a_program_runs_in_a_user_namespace_on_an_overlay() {
    let mut bed = Bed::mapped(&["sh", "-c", "id -u; touch /made; cat /proc/self/uid_map"]);
    let output = bed.output();
    let words: Vec<_> = output.split_whitespace().collect();
    assert_eq!(words, ["0", "0", &crate::bed::BASE.to_string(), "65536"]);
    let made = std::fs::metadata(bed.dir.path().join("upper/made")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&made), 0);
}

#[test]
fn nothing_of_the_program_runs_before_start() {
    let mut bed = Bed::new(&["touch", "/started"]);
    assert!(bed.say("create")["pid"].is_i64());
    assert!(!bed.rootfs().join("started").exists());
    bed.say("start");
    assert_eq!(bed.say("wait")["code"], 0);
    assert!(bed.rootfs().join("started").exists());
}

#[test]
fn a_missing_program_is_127_and_an_unusable_one_126() {
    let missing = Bed::new(&["no-such-program"]).refusal();
    assert_eq!(missing["not_found"], true, "{missing}");
    let missing = Bed::new(&["/no/such/program"]).refusal();
    assert_eq!(missing["not_found"], true, "{missing}");
    for unusable in ["/etc", "/etc/plain"] {
        let mut bed = Bed::new(&[unusable]);
        std::fs::write(bed.rootfs().join("etc/plain"), "not a program").unwrap();
        let answer = bed.refusal();
        assert_eq!(answer["not_executable"], true, "{answer}");
    }
}

#[test]
fn exec_joins_a_running_container() {
    for mut bed in [
        Bed::new(&["sleep", "1000"]),
        Bed::mapped(&["sleep", "1000"]),
    ] {
        bed.say("create");
        let started = bed.say("start");
        assert!(started["pid"].is_i64(), "{started}");
        let (answer, output) = bed.exec(|process| {
            process["args"] = json!(["sh", "-c", "hostname; id -u; cat /proc/1/comm; exit 3"]);
        });
        assert_eq!(answer["code"], 3, "{answer} {}", bed.text("exec.stderr"));
        assert_eq!(output, "bed\n0\nsleep\n");
        bed.say("kill 9");
        assert_eq!(bed.say("wait")["code"], 137);
    }
}

#[test]
fn a_signal_ends_it() {
    let mut bed = Bed::new(&[
        "sh",
        "-c",
        "trap 'exit 5' TERM; while :; do sleep 0.01; done",
    ]);
    bed.say("create");
    bed.say("start");
    // A signal before the trap is set is lost on pid 1, so it is sent until it is heard.
    let mut code = json!(null);
    let (answer, _) = bed.exec(|process| {
        process["args"] = json!([
            "sh",
            "-c",
            "while kill -TERM 1; do sleep 0.01; done; exit 0"
        ]);
    });
    if answer["error"].is_null() {
        code = bed.say("wait")["code"].clone();
    }
    assert_eq!(code, 5, "{answer}");
}
