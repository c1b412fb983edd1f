//! Logs, commands and ports of pods, as kubectl asks for them.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Stdio;

use rustix::process::Signal;
use weft_testkit::Weft;
use weft_testkit::command::{Background, LIMIT};
use weft_testkit::terminal::Terminal;
use weft_testkit::wait::{SOON, until, within};

use crate::server_kubectl::{apply, cluster, kubectl, kubectl_with_input};

const LARGE: usize = 20 << 20;

/// Starts a pod of one container that runs `script`, and waits until it runs.
#[track_caller]
fn start(weft: &Weft, name: &str, script: &str, spec: &str) {
    let manifest = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{ name: {name} }}\nspec:\n  \
         terminationGracePeriodSeconds: 1\n{spec}  containers:\n  - name: main\n    image: busybox\n    \
         imagePullPolicy: IfNotPresent\n    command: [sh, -c, {script:?}]\n"
    );
    apply(weft, &manifest).ok();
    let path = "{.status.containerStatuses[0].state}";
    until(SOON, &format!("{name} has begun"), || {
        let state = kubectl(weft, &format!("get pod {name} -o jsonpath={path}"));
        state.ok().contains("startedAt")
    });
}

/// `kubectl exec` with words that have spaces.
#[track_caller]
fn exec(weft: &Weft, args: &[&str], script: &str, input: &str) -> weft_testkit::command::Ran {
    let words = [&["exec"], args, &["--", "sh", "-c", script]].concat();
    weft.kubectl(&words, input).unwrap()
}

/// Lines that make `LARGE` bytes and more.
fn large() -> String {
    (0..LARGE / 16)
        .map(|line| format!("{line:015}\n"))
        .collect()
}

#[test]
fn logs_are_had_in_every_way_kubectl_asks() {
    let Some(weft) = cluster() else { return };
    let spec = "  restartPolicy: Never\n";
    start(
        &weft,
        "talks",
        "for i in 1 2 3; do echo line $i; done; while ! test -e /go; do sleep 0.1; done; echo last",
        spec,
    );
    until(SOON, "it has talked", || {
        kubectl(&weft, "logs talks").ok() == "line 1\nline 2\nline 3"
    });
    assert_eq!(kubectl(&weft, "logs talks --tail=1").ok(), "line 3");
    assert_eq!(kubectl(&weft, "logs talks --tail=0").ok(), "");
    assert_eq!(
        kubectl(&weft, "logs talks --limit-bytes=9").ok(),
        "line 1\nli"
    );
    assert_eq!(
        kubectl(&weft, "logs talks --since=1h --tail=1").ok(),
        "line 3"
    );
    assert_eq!(
        kubectl(&weft, "logs talks --since-time=2100-01-01T00:00:00Z").ok(),
        ""
    );
    let stamped = kubectl(&weft, "logs talks --timestamps --tail=1");
    let (at, text) = stamped.ok().split_once(' ').unwrap();
    assert!(
        at.starts_with("20") && at.ends_with('Z') && text == "line 3",
        "{stamped}"
    );

    let following = weft
        .kubectl_in_background(&["logs", "-f", "talks"])
        .unwrap();
    following.says("line 3");
    kubectl(&weft, "exec talks -- touch /go").ok();
    let followed = following.finish(LIMIT);
    assert_eq!(followed.ok(), "line 1\nline 2\nline 3\nlast");

    kubectl(&weft, "logs talks -c other")
        .fails_saying(&["container other is not valid for pod talks"]);
    kubectl(&weft, "logs talks --previous")
        .fails_saying(&["previous terminated container \"main\" in pod \"talks\" not found"]);
    kubectl(&weft, "logs nothing").fails_saying(&["pods \"nothing\" not found"]);
    let raw = kubectl(
        &weft,
        "get --raw /api/v1/namespaces/default/pods/talks/log?tailLines=-1",
    );
    raw.fails_saying(&["tailLines: Invalid value: -1: must be greater than or equal to 0"]);
    kubectl(&weft, "delete pods --all").ok();
}

#[test]
fn the_log_of_the_run_before_is_kept() {
    let Some(weft) = cluster() else { return };
    let spec = "  volumes: [{ name: w, emptyDir: {} }]\n";
    start(
        &weft,
        "again",
        "echo run $(cat /proc/sys/kernel/random/uuid); sleep 2",
        spec,
    );
    let before = kubectl(&weft, "logs again").ok().to_owned();
    until(SOON, "it was started again", || {
        let count = "get pod again -o jsonpath={.status.containerStatuses[0].restartCount}";
        kubectl(&weft, count).ok() == "1"
    });
    until(SOON, "the run before is told", || {
        let previous = kubectl(&weft, "logs again --previous");
        previous.code == 0 && previous.stdout.trim_end() == before
    });
    kubectl(&weft, "delete pods --all").ok();
}

#[test]
fn commands_run_with_their_codes_and_streams() {
    let Some(weft) = cluster() else { return };
    start(&weft, "web", "exec sleep 1000", "");
    let both = exec(&weft, &["web"], "echo out; echo err >&2; exit 7", "");
    assert_eq!((both.code, both.stdout.as_str()), (7, "out\n"), "{both}");
    assert!(
        both.stderr.contains("err\n") && both.stderr.contains("exit code 7"),
        "{both}"
    );
    exec(&weft, &["web"], "exit 0", "").ok();
    kubectl(&weft, "exec web -- nope").fails_saying(&["nope"]);
    kubectl(&weft, "exec web -c other -- true")
        .fails_saying(&["container other is not valid for pod web"]);
    kubectl(&weft, "exec nothing -- true").fails_saying(&["pods \"nothing\" not found"]);
    let raw = kubectl(
        &weft,
        "get --raw /api/v1/namespaces/default/pods/web/exec?command=true&stdout=1",
    );
    raw.fails_saying(&["Upgrade request required"]);

    // Both ways at once, to the last byte.
    let text = large();
    let back = kubectl_with_input(&weft, "exec -i web -- cat", &text);
    assert_eq!(back.code, 0, "{}", back.stderr);
    assert!(
        back.stdout == text,
        "{} bytes of {}",
        back.stdout.len(),
        text.len()
    );
    let count = kubectl_with_input(&weft, "exec -i web -- wc -c", &text);
    assert_eq!(count.ok(), text.len().to_string());

    start(&weft, "brief", "true", "  restartPolicy: Never\n");
    until(SOON, "it has ended", || {
        kubectl(&weft, "get pod brief -o jsonpath={.status.phase}").ok() == "Succeeded"
    });
    kubectl(&weft, "exec brief -- true").fails_saying(&["completed pod"]);
    kubectl(&weft, "delete pods --all").ok();
}

#[test]
fn a_terminal_has_its_size_and_its_end() {
    let Some(weft) = cluster() else { return };
    start(&weft, "web", "exec sleep 1000", "");
    let command = weft
        .kubectl_command(&["exec", "-it", "web", "--", "sh"])
        .unwrap();
    let mut terminal = Terminal::start(&command).unwrap();
    terminal.types("stty size; echo is$((1+1))\n");
    terminal.shows("24 80");
    terminal.shows("is2");
    terminal.resize(40, 100);
    terminal.types("while ! stty size | grep '40 100'; do sleep 0.1; done\n");
    terminal.shows("40 100\r\n");
    terminal.types("exit 3\n");
    assert_eq!(terminal.ends(), 3);
    kubectl(&weft, "delete pods --all").ok();
}

#[test]
fn what_nobody_listens_to_any_more_ends() {
    let Some(weft) = cluster() else { return };
    start(&weft, "web", "exec sleep 1000", "");
    for flags in [&["exec", "web"][..], &["exec", "-i", "web"]] {
        let words = [flags, &["--", "sh", "-c", "echo begun; exec sleep 4321"]].concat();
        let mut command = weft.kubectl_command(&words).unwrap();
        command.stdin(Stdio::piped());
        let client = Background::start(command);
        client.says("begun");
        assert!(kubectl(&weft, "exec web -- ps").ok().contains("4321"));
        client.signal(Signal::KILL);
        drop(client);
        until(SOON, "the command has ended", || {
            !kubectl(&weft, "exec web -- ps").ok().contains("4321")
        });
    }
    kubectl(&weft, "delete pods --all").ok();
}

#[test]
fn the_process_of_a_container_is_joined() {
    let Some(weft) = cluster() else { return };
    let manifest = "apiVersion: v1\nkind: Pod\nmetadata: { name: shell }\nspec:\n  restartPolicy: Never\n  \
                    terminationGracePeriodSeconds: 1\n  containers:\n  \
                    - { name: main, image: busybox, imagePullPolicy: IfNotPresent, command: [sh], stdin: true, tty: true }\n  \
                    - { name: deaf, image: busybox, imagePullPolicy: IfNotPresent, command: [sh, -c, 'while :; do echo tick; sleep 0.2; done'] }\n";
    apply(&weft, manifest).ok();
    kubectl(&weft, "wait --for=condition=Ready pod/shell --timeout=60s").ok();
    let listening = ["attach", "shell", "-c", "deaf"];
    let listening = weft.kubectl_in_background(&listening).unwrap();
    listening.says("tick\ntick\n");
    drop(listening);
    kubectl(&weft, "attach -i shell -c deaf").fails_saying(&["without `stdin: true`"]);
    let command = ["attach", "-it", "shell", "-c", "main"];
    let command = weft.kubectl_command(&command).unwrap();
    let mut terminal = Terminal::start(&command).unwrap();
    terminal.types("echo is$((1+1))\n");
    terminal.shows("is2");
    terminal.types("exit 3\n");
    terminal.ends();
    until(SOON, "it has ended as it was told", || {
        let path = "{.status.containerStatuses[?(@.name==\"main\")].state.terminated.exitCode}";
        kubectl(&weft, &format!("get pod shell -o jsonpath={path}")).ok() == "3"
    });
    kubectl(&weft, "delete pods --all").ok();
}

/// A forwarded port: the client, and where it listens.
#[track_caller]
fn forward(weft: &Weft, pod: &str, port: u16) -> (Background, u16) {
    let to = format!(":{port}");
    let client = weft
        .kubectl_in_background(&["port-forward", pod, &to])
        .unwrap();
    let local = within(SOON, "it is told where the port is", || {
        let said = client.stdout();
        let line = said.lines().find(|line| line.contains("127.0.0.1:"))?;
        let (_, rest) = line.split_once("127.0.0.1:")?;
        rest.split(' ').next()?.parse().ok()
    });
    (client, local)
}

#[test]
fn ports_are_forwarded_to_whoever_listens_inside() {
    let Some(weft) = cluster() else { return };
    let script = "busybox nc -ll -p 7000 -e cat & busybox nc -ll -p 7001 -e sh -c 'wc -c; echo over' & \
                  busybox telnetd -F -b 127.0.0.1:7003 -l /bin/sh & wait";
    start(&weft, "web", script, "");
    until(SOON, "all listen", || {
        let said = kubectl(&weft, "exec web -- busybox netstat -ltn");
        [":7000", ":7001", ":7003"]
            .iter()
            .all(|port| said.ok().contains(port))
    });
    // One that listens where only the pod itself reaches it: it speaks first, by the code of telnet.
    let (_inside, local) = forward(&weft, "web", 7003);
    let mut first = [0];
    let mut one = TcpStream::connect(("127.0.0.1", local)).unwrap();
    one.read_exact(&mut first).unwrap();
    assert_eq!(first, [0xff]);

    let (_echo, local) = forward(&weft, "web", 7000);
    let open = || TcpStream::connect(("127.0.0.1", local)).unwrap();

    // Several at once, each its own.
    let mut all: Vec<TcpStream> = (0..5).map(|_| open()).collect();
    for (number, one) in all.iter_mut().enumerate() {
        writeln!(one, "number {number}").unwrap();
    }
    for (number, one) in all.iter_mut().enumerate().rev() {
        let mut answer = vec![0; 9];
        one.read_exact(&mut answer).unwrap();
        assert_eq!(answer, format!("number {number}\n").into_bytes());
    }
    drop(all);

    let text = large();
    let mut one = open();
    let mut from = one.try_clone().unwrap();
    let (wanted, reading) = (
        text.len(),
        std::thread::spawn(move || {
            let mut back = Vec::new();
            from.read_to_end(&mut back).unwrap();
            back
        }),
    );
    one.write_all(text.as_bytes()).unwrap();
    one.shutdown(Shutdown::Write).unwrap();
    let back = reading.join().unwrap();
    assert!(back == text.as_bytes(), "{} bytes of {wanted}", back.len());

    // One side has ended, the other has still something to say.
    let (_count, local) = forward(&weft, "web", 7001);
    let mut one = TcpStream::connect(("127.0.0.1", local)).unwrap();
    one.write_all(b"12345").unwrap();
    one.shutdown(Shutdown::Write).unwrap();
    let mut said = String::new();
    one.read_to_string(&mut said).unwrap();
    assert_eq!(said, "5\nover\n");

    let (nobody, local) = forward(&weft, "web", 7002);
    let mut one = TcpStream::connect(("127.0.0.1", local)).unwrap();
    // Told by its end, whichever way.
    let _ = one.read_to_string(&mut said);
    until(SOON, "it is told why", || {
        let said = nobody.stderr();
        said.contains("7002") && said.contains("refused")
    });
    kubectl(&weft, "delete pods --all").ok();
}
