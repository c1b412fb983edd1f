//! weft's verbs and a server that is killed under them: watches and waits go on where they were, and
//! others say clearly that nobody answers.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use weft_testkit::wait::SOON;
use weft_testkit::{Background, Weft, until};

use crate::server_cli::{cli, command, server};
use crate::server_kubectl::kubectl;

/// What scenarios make themselves.
const OURS: &str = "--field-selector=metadata.name!=kube-root-ca.crt";
const SHOWN: &str = r#"-o=jsonpath={.type} {.object.metadata.name} {.object.data.n}{"\n"}"#;

fn watch(weft: &Weft, words: &[&str]) -> Background {
    let all = [&["get", "-w", "--output-watch-events"], words].concat();
    Background::start(command(weft, &all))
}

/// Changes a map: nothing that is seen otherwise stands between the server's start and this.
fn set(weft: &Weft, map: &str, n: usize) {
    kubectl(
        weft,
        &format!("patch cm {map} -p {{\"data\":{{\"n\":\"{n}\"}}}}"),
    )
    .ok();
}

#[track_caller]
fn tells(watch: &Background, lines: &[String]) {
    let last = format!("{}\n", lines.last().unwrap());
    until(SOON, &last, || watch.stdout().ends_with(&last));
    assert_eq!(watch.stdout().lines().collect::<Vec<_>>(), lines);
}

#[test]
fn watches_and_waits_go_on_over_a_killed_server() {
    let Some(mut weft) = server() else { return };
    let finalizer = r#"{"metadata":{"finalizers":["a.b/c"]}}"#;
    kubectl(&weft, &format!("patch cm single -p {finalizer}")).ok();
    let all = watch(&weft, &["cm", OURS, SHOWN]);
    let one = watch(&weft, &["cm", "settings", SHOWN]);
    let table = watch(&weft, &["cm", OURS]);
    let goal = "--for=jsonpath={.data.n}=4";
    let waiting = Background::start(command(&weft, &["wait", "cm/settings", goal]));
    one.says("ADDED settings \n");
    all.says("ADDED single \n");
    table.says("single");
    let deleting = Background::start(command(&weft, &["delete", "cm", "single"]));
    deleting.says("deleted");
    let begin = [
        "ADDED other ",
        "ADDED settings ",
        "ADDED single ",
        "MODIFIED single ",
    ];
    let mut told = begin.map(str::to_owned).to_vec();
    let mut of_one = vec!["ADDED settings ".to_owned()];
    for n in 0..5 {
        if n % 2 == 1 {
            weft.kill_daemon();
            let lost = "connect to the server";
            let watches = [&all, &one, &table, &waiting, &deleting];
            until(SOON, lost, || {
                watches.iter().all(|watch| !watch.stderr().is_empty())
            });
            if n == 1 {
                for line in [
                    "describe cm settings",
                    "get cm",
                    "delete cm settings",
                    "wait cm/other --for=delete",
                ] {
                    let ran = cli(&weft, line);
                    ran.fails_saying(&["connect to the server at https://", "weft server"]);
                    assert_eq!((&*ran.stdout, ran.stderr.lines().count()), ("", 2), "{ran}");
                }
            }
            weft.start_daemon();
        }
        for map in ["settings", "other"] {
            set(&weft, map, n);
            told.push(format!("MODIFIED {map} {n}"));
        }
        of_one.push(format!("MODIFIED settings {n}"));
        tells(&all, &told);
        tells(&one, &of_one);
    }
    assert_eq!(
        waiting.finish(SOON).ok(),
        "configmap/settings condition met"
    );
    kubectl(
        &weft,
        r#"patch cm single -p {"metadata":{"finalizers":null}}"#,
    )
    .ok();
    let deleted = deleting.finish(SOON);
    assert_eq!(deleted.ok(), "configmap \"single\" deleted");
    told.push("DELETED single ".to_owned());
    tells(&all, &told);
    // A row each, and the heading.
    until(SOON, "rows", || table.stdout().contains("DELETED"));
    assert_eq!(table.stdout().lines().count(), told.len() + 1);
    // Once each time that the server went away.
    let said = deleted.stderr;
    assert_eq!(said.matches("trying again").count(), 2, "{said}");
    assert_eq!(said.lines().count(), 2, "{said}");
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    let copied = Command::new("cp").arg("-a").arg(from).arg(to).status();
    assert!(copied.unwrap().success());
}

/// A server that is set back to what it was is one that does not know what was seen.
#[test]
fn a_watch_that_cannot_go_on_says_what_differs() {
    let Some(mut weft) = server() else { return };
    let data = weft.data_dir();
    let kept = weft.scratch().join("kept");
    weft.kill_daemon();
    copy(&data, &kept);
    weft.start_daemon();
    let all = watch(&weft, &["cm", OURS, SHOWN]);
    all.says("ADDED single \n");
    for n in 0..20 {
        set(&weft, "other", n);
    }
    kubectl(&weft, "create cm late").ok();
    all.says("ADDED late \n");
    weft.kill_daemon();
    std::fs::remove_dir_all(&data).unwrap();
    copy(&kept, &data);
    weft.start_daemon();
    let mut told: Vec<String> = ["other", "settings", "single"]
        .map(|map| format!("ADDED {map} "))
        .into();
    told.extend((0..20).map(|n| format!("MODIFIED other {n}")));
    told.extend(["ADDED late ", "DELETED late ", "MODIFIED other "].map(str::to_owned));
    tells(&all, &told);
    // And it goes on from there.
    set(&weft, "single", 7);
    told.push("MODIFIED single 7".to_owned());
    tells(&all, &told);
}
