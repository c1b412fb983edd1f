//! Logs: what a container said, whole, in order, bounded.

use weft_testkit::until;
use weft_testkit::wait::SOON;

use crate::{shell, weft};

#[test]
fn tail_since_timestamps_and_streams() {
    let Some(weft) = weft() else { return };
    shell(
        &weft,
        "one",
        "for i in 1 2 3 4 5; do echo line $i; done; echo bad >&2",
    );
    weft.ok(&["wait", "one"]);
    let all = weft.weft(&["logs", "one"]);
    assert_eq!(all.stdout, "line 1\nline 2\nline 3\nline 4\nline 5\n");
    assert_eq!(all.stderr, "bad\n");
    assert_eq!(
        weft.weft(&["logs", "--tail", "2", "one"]).stdout,
        "line 5\n"
    );
    let stamped = weft.ok(&["logs", "--timestamps", "--tail", "6", "one"]);
    let first = stamped.lines().next().unwrap();
    let (stamp, rest) = first.split_once(' ').unwrap();
    assert!(
        stamp.starts_with("20") && stamp.ends_with('Z') && rest == "line 1",
        "{first}"
    );
    assert_eq!(
        weft.weft(&["logs", "--since", "2000-01-01T00:00:00Z", "one"])
            .stdout,
        all.stdout
    );
    assert_eq!(
        weft.ok(&["logs", "--since", "2100-01-01T00:00:00Z", "one"]),
        ""
    );
    assert_eq!(
        weft.ok(&["logs", "--until", "2000-01-01T00:00:00Z", "one"]),
        ""
    );
}

#[test]
fn follow_ends_with_the_container() {
    let Some(weft) = weft() else { return };
    shell(
        &weft,
        "one",
        "echo first; while ! test -f /go; do sleep 0.02; done; echo last",
    );
    let follow = weft.background(&["logs", "--follow", "one"]);
    follow.says("first");
    weft.ok(&["exec", "one", "touch", "/go"]);
    let ran = follow.finish(SOON);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (0, "first\nlast\n"),
        "{ran}"
    );
}

#[test]
fn a_line_without_end_and_a_very_long_line() {
    let Some(weft) = weft() else { return };
    shell(&weft, "one", "printf no-newline; ");
    weft.ok(&["wait", "one"]);
    assert_eq!(weft.weft(&["logs", "one"]).stdout, "no-newline");
    shell(
        &weft,
        "long",
        "head -c 1000000 /dev/zero | tr '\\0' x; echo; echo next",
    );
    weft.ok(&["wait", "long"]);
    let text = weft.weft(&["logs", "long"]).stdout;
    assert_eq!((text.len(), text.ends_with("x\nnext\n")), (1_000_006, true));
}

#[test]
fn rotation_keeps_the_newest_within_its_bound() {
    let Some(weft) = weft() else { return };
    let options = ["--log-opt", "max-size=100k", "--log-opt", "max-file=3"];
    let script = "i=0; while test $i -lt 20000; do echo line-$i; i=$((i+1)); done";
    let run = [
        &["run", "--detach", "--name", "one"][..],
        &options,
        &["busybox", "sh", "-c", script],
    ]
    .concat();
    let id = weft.ok(&run);
    weft.ok(&["wait", "one"]);
    let dir = weft.data_dir().join("containers").join(&id);
    let logs = std::fs::read_dir(&dir)
        .unwrap()
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("log"));
    let bytes: u64 = logs.map(|entry| entry.metadata().unwrap().len()).sum();
    assert!(bytes <= 310 * 1024, "{bytes} bytes of logs");
    let kept = weft.ok(&["logs", "one"]);
    let lines: Vec<&str> = kept.lines().collect();
    assert_eq!(lines.last(), Some(&"line-19999"));
    assert!(
        lines.len() > 1000 && lines.len() < 20_000,
        "{} lines",
        lines.len()
    );
    // No hole between the files.
    let first: usize = lines[0].trim_start_matches("line-").parse().unwrap();
    assert_eq!(lines.len(), 20_000 - first);
}

#[test]
fn a_reader_that_vanishes_disturbs_nobody() {
    let Some(weft) = weft() else { return };
    shell(&weft, "one", "while :; do echo tick; sleep 0.01; done");
    for _ in 0..5 {
        let follow = weft.background(&["logs", "--follow", "one"]);
        follow.says("tick");
        drop(follow);
    }
    let count = || weft.ok(&["logs", "one"]).lines().count();
    let before = count();
    until(SOON, "it goes on", || count() > before);
}
