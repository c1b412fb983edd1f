//! `weft logs`, `exec`, `attach`, `cp`, `port-forward` and `why` on pods, beside the real kubectl.
#![allow(clippy::unwrap_used)]

use weft_testkit::Weft;
use weft_testkit::command::{LIMIT, Ran};
use weft_testkit::terminal::Terminal;
use weft_testkit::wait::{SOON, until};

use crate::server_kubectl::{apply, cluster, kubectl};

/// `weft` with words that spaces part.
#[track_caller]
fn weft_line(weft: &Weft, line: &str) -> Ran {
    let words: Vec<&str> = line.split_whitespace().collect();
    weft.weft(&words)
}

/// A command of a shell, in a pod.
#[track_caller]
fn sh(weft: &Weft, args: &[&str], script: &str, input: &str) -> Ran {
    let words = [&["exec"], args, &["--", "sh", "-c", script]].concat();
    weft.weft_with_input(&words, input.as_bytes())
}

/// Both say the same, on both streams, and end alike.
#[track_caller]
fn same(weft: &Weft, ours: &str, theirs: &str) {
    let (ours, theirs) = (weft_line(weft, ours), kubectl(weft, theirs));
    assert_eq!(
        (ours.code, &ours.stdout, &ours.stderr),
        (theirs.code, &theirs.stdout, &theirs.stderr)
    );
}

const WEB: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 2
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec:
      terminationGracePeriodSeconds: 1
      initContainers:
      - { name: setup, image: busybox, imagePullPolicy: IfNotPresent, command: [sh, -c, echo set up] }
      containers:
      - { name: app, image: busybox, imagePullPolicy: IfNotPresent, command: [sh, -c, "for i in 1 2 3; do echo line $i; done; while ! test -e /go; do sleep 0.1; done; echo last; exec sleep 1000"] }
      - { name: side, image: busybox, imagePullPolicy: IfNotPresent, command: [sh, -c, "echo beside; exec sleep 1000"] }
"#;

/// The deployment `web`, with both pods ready.
#[track_caller]
fn web(weft: &Weft) {
    apply(weft, WEB).ok();
    kubectl(weft, "rollout status deployment/web --timeout=90s").ok();
    until(SOON, "all have talked", || {
        let all = kubectl(weft, "logs -l app=web --tail=-1 --all-containers");
        all.stdout.lines().count() == 10
    });
}

#[test]
fn logs_of_pods_are_kubectl_s() {
    let Some(weft) = cluster() else { return };
    web(&weft);
    let first = kubectl(
        &weft,
        "get pods -l app=web -o jsonpath={.items[0].metadata.name}",
    );
    let pod = first.ok().to_owned();
    for line in [
        "logs pod/POD",
        "logs pod/POD app --tail=1",
        "logs pod/POD -c app --tail=0",
        "logs pod/POD -c side --prefix",
        "logs pod/POD --all-containers --prefix",
        "logs pod/POD --limit-bytes=9 -c app",
        "logs pod/POD --since=1h --tail=1",
        "logs pod/POD --since-time=2100-01-01T00:00:00Z",
        "logs pod/POD --timestamps -c app",
        "logs -n default POD -c app",
        "logs -l app=web --prefix -c app",
        "logs -l app=nobody",
        "logs pod/POD --previous -c app",
        "logs pod/nothing",
        "logs --namespace default nothing",
    ] {
        let line = line.replace("POD", &pod);
        same(&weft, &line, &line);
    }
    // Which pod it is may differ from call to call for neither.
    same(&weft, "logs deploy/web -c app", "logs deploy/web -c app");
    weft_line(&weft, &format!("logs pod/{pod} -c other")).fails_saying(&[
        "container other not found in pod",
        "app, side, setup (init)",
    ]);
    weft_line(&weft, "logs -f -l app=web --all-containers")
        .fails_saying(&["6 log streams", "--max-log-requests=6"]);

    let following = weft.background(&["logs", "-f", &format!("pod/{pod}"), "-c", "app"]);
    following.says("line 3");
    sh(
        &weft,
        &[&format!("pod/{pod}"), "-c", "app"],
        "touch /go",
        "",
    )
    .ok();
    following.says("last");
    drop(following);
    kubectl(&weft, "delete deployment web --grace-period=1").ok();
}

#[test]
fn commands_run_in_pods_with_their_codes_and_streams() {
    let Some(weft) = cluster() else { return };
    web(&weft);
    let both = sh(
        &weft,
        &["deploy/web", "-q"],
        "echo out; echo err >&2; exit 7",
        "",
    );
    assert_eq!(
        (both.code, both.stdout.as_str(), both.stderr.as_str()),
        (7, "out\n", "err\n")
    );
    let told = sh(&weft, &["deploy/web", "-c", "side"], "exit 3", "");
    assert_eq!(
        (told.code, told.stderr.as_str()),
        (3, "command terminated with exit code 3\n")
    );
    let text = "0123456789abcde\n".repeat(300_000);
    let back = sh(&weft, &["-i", "deploy/web", "-q"], "cat", &text);
    assert_eq!(back.code, 0, "{}", back.stderr);
    assert!(back.stdout == text, "{} bytes", back.stdout.len());
    weft_line(&weft, "exec deploy/web -c app -- nope").fails_saying(&["nope"]);
    weft_line(&weft, "exec deploy/web ls").fails_saying(&["behind two hyphens"]);
    same(
        &weft,
        "exec pod/nothing -- true",
        "exec pod/nothing -- true",
    );

    let command = weft.command(&["exec", "-it", "deploy/web", "-c", "app", "--", "sh"]);
    let mut terminal = Terminal::start(&command).unwrap();
    terminal.types("stty size; echo is$((1+1))\n");
    terminal.shows("24 80");
    terminal.shows("is2");
    terminal.resize(40, 100);
    terminal.types("while ! stty size | grep '40 100'; do sleep 0.1; done\n");
    terminal.shows("40 100\r\n");
    terminal.types("exit 3\n");
    assert_eq!(terminal.ends(), 3);

    // What is only printed is not run.
    let printed = weft_line(&weft, "--curl exec deploy/web -c app -- touch /x");
    let line = printed.ok().lines().last().unwrap_or_default();
    assert!(
        line.contains("/exec?container=app&command=touch&command=/x&stdout=true"),
        "{line}"
    );
    sh(&weft, &["deploy/web", "-c", "app"], "! test -e /x", "").ok();
    let _ = LIMIT;
    kubectl(&weft, "delete deployment web --grace-period=1").ok();
}
