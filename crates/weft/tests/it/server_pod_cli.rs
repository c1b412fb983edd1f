//! `weft logs`, `exec`, `attach`, `cp`, `port-forward` and `why` on pods, beside the real kubectl.
#![allow(clippy::unwrap_used)]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use serde_json::Value;
use weft_testkit::Weft;
use weft_testkit::command::{Background, LIMIT, Ran};
use weft_testkit::terminal::Terminal;
use weft_testkit::wait::{SOON, until, within};

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
        (ours.code, sorted(&ours.stdout), &ours.stderr),
        (theirs.code, sorted(&theirs.stdout), &theirs.stderr)
    );
}

/// In which order kubectl shows several logs is chance.
fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
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
    ] {
        let line = line.replace("POD", &pod);
        same(&weft, &line, &line);
    }
    for line in ["logs pod/nothing", "logs --namespace default nothing"] {
        weft_line(&weft, line).fails_saying(&["(NotFound): pods \"nothing\" not found"]);
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
    kubectl(&weft, "delete deployment web --grace-period=1").ok();
}

/// A pod `web` of one container that runs `script`, ready.
#[track_caller]
fn pod(weft: &Weft, script: &str, more: &str) {
    let manifest = format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{ name: web, labels: {{ app: web }} }}\nspec:\n  \
         terminationGracePeriodSeconds: 1\n  containers:\n  - name: app\n    image: busybox\n    \
         imagePullPolicy: IfNotPresent\n    command: [sh, -c, {script:?}]\n{more}"
    );
    apply(weft, &manifest).ok();
    kubectl(weft, "wait --for=condition=Ready pod/web --timeout=60s").ok();
}

#[test]
fn the_process_of_a_pod_is_joined() {
    let Some(weft) = cluster() else { return };
    pod(&weft, "exec sh", "    stdin: true\n    tty: true\n");
    let command = weft.command(&["attach", "-it", "pod/web"]);
    let mut terminal = Terminal::start(&command).unwrap();
    terminal.shows("Press enter");
    terminal.types("echo is$((1+1))\n");
    terminal.shows("is2");
    terminal.types("exit 3\n");
    terminal.shows("`weft attach -it pod/web -c app` joins the next run");
    terminal.ends();
    kubectl(&weft, "delete pods --all --grace-period=1").ok();
    pod(&weft, "while :; do echo tick; sleep 0.2; done", "");
    let listening = weft.background(&["attach", "pod/web"]);
    listening.says("tick\ntick\n");
    drop(listening);
    weft_line(&weft, "attach -i pod/web").fails_saying(&["without `stdin: true`"]);
    kubectl(&weft, "delete pods --all --grace-period=1").ok();
}

#[test]
fn files_are_copied_to_pods_and_from_them() {
    let Some(weft) = cluster() else { return };
    pod(&weft, "exec sleep 1000", "");
    let scratch = weft.scratch();
    let at = |name: &str| scratch.join(name).to_str().unwrap().to_owned();
    let tree = scratch.join("tree/deep");
    std::fs::create_dir_all(&tree).unwrap();
    std::fs::write(scratch.join("tree/one"), "one\n").unwrap();
    std::fs::write(tree.join("large"), vec![7; 5 << 20]).unwrap();
    std::os::unix::fs::symlink("one", scratch.join("tree/link")).unwrap();

    // Both leave the same behind them.
    for (program, target) in [("weft", "/ours"), ("kubectl", "/theirs")] {
        for (from, to) in [
            ("tree", target.to_owned()),
            ("tree", "/tmp".to_owned()),
            ("tree/one", format!("{target}/file")),
            ("tree/one", format!("{target}/deep")),
        ] {
            let words = ["cp", "-c", "app", &at(from), &format!("default/web:{to}")];
            match program {
                "weft" => weft.weft(&words),
                _ => weft.kubectl(&words, "").unwrap(),
            }
            .ok();
        }
    }
    sh(
        &weft,
        &["pod/web"],
        "cd /ours; find . | sort > /o; cd /theirs; find . | sort | diff - /o",
        "",
    )
    .ok();
    sh(
        &weft,
        &["pod/web"],
        "cmp /ours/deep/large /theirs/deep/large && cat /ours/deep/one && test -e /tmp/tree/one",
        "",
    )
    .ok();

    weft.weft(&["cp", "pod/web:/ours", &at("back")]).ok();
    assert_eq!(
        std::fs::read(scratch.join("back/deep/large")).unwrap(),
        vec![7; 5 << 20]
    );
    assert_eq!(
        std::fs::read_link(scratch.join("back/link"))
            .unwrap()
            .to_str(),
        Some("one")
    );
    // What is there is filled, and directories on the way are made.
    weft.weft(&["cp", "pod/web:/ours/deep", &at("back")]).ok();
    assert!(scratch.join("back/large").exists());
    weft.weft(&["cp", "-n", "default", "web:/ours/one", &at("far/away/two")])
        .ok();
    assert_eq!(
        std::fs::read(scratch.join("far/away/two")).unwrap(),
        b"one\n"
    );

    for (line, why) in [
        ("cp pod/web:/nothing /tmp/weft-nothing", "No such file"),
        ("cp pod/web:/x pod/web:/y", "must be a local file"),
        ("cp -c app /a /b", "must be a remote file"),
        (
            "cp /nothing-here pod/web:/x",
            "doesn't exist in local filesystem",
        ),
        (
            "cp pod/none:/x /tmp/weft-nothing",
            "pods \"none\" not found",
        ),
    ] {
        weft_line(&weft, line).fails_saying(&[why]);
    }
    // Links that lead out are links, and nothing goes through them.
    let outside = at("outside");
    std::fs::create_dir_all(&outside).unwrap();
    let script = format!("mkdir -p /evil; ln -s {outside} /evil/d");
    sh(&weft, &["pod/web"], &script, "").ok();
    weft.weft(&["cp", "pod/web:/evil", &at("good")]).ok();
    sh(
        &weft,
        &["pod/web"],
        "rm /evil/d; mkdir /evil/d; echo x > /evil/d/x",
        "",
    )
    .ok();
    let _ = weft.weft(&["cp", "pod/web:/evil", &at("good")]);
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);

    sh(&weft, &["pod/web"], "rm $(which tar)", "").ok();
    weft_line(&weft, "cp pod/web:/ours /tmp/weft-nothing")
        .fails_saying(&["container app of pod web has no tar, and cp copies by it"]);
    kubectl(&weft, "delete pods --all --grace-period=1").ok();
}

/// A forwarded port: the client, and where it listens.
#[track_caller]
fn forward(weft: &Weft, what: &str, port: &str) -> (Background, u16) {
    let client = weft.background(&["port-forward", what, port]);
    let local = within(SOON, "it is told where the port is", || {
        let said = client.stdout();
        let line = said.lines().find(|line| line.contains("127.0.0.1:"))?;
        let (_, rest) = line.split_once("127.0.0.1:")?;
        rest.split(' ').next()?.parse().ok()
    });
    (client, local)
}

/// What comes back for `text`, all of it, from who says it again.
fn echoed(local: u16, text: &[u8]) -> Vec<u8> {
    let mut one = TcpStream::connect(("127.0.0.1", local)).unwrap();
    let (mut from, wanted) = (one.try_clone().unwrap(), text.len());
    let reading = std::thread::spawn(move || {
        let mut back = Vec::with_capacity(wanted);
        let _ = from.read_to_end(&mut back);
        back
    });
    let _ = one.write_all(text);
    let _ = one.shutdown(Shutdown::Write);
    reading.join().unwrap()
}

#[test]
fn ports_lead_to_pods_until_they_end() {
    let Some(mut weft) = cluster() else { return };
    pod(
        &weft,
        "busybox nc -ll -p 7000 -e cat",
        "    ports: [{ name: echo, containerPort: 7000 }]\n",
    );
    let service = "apiVersion: v1\nkind: Service\nmetadata: { name: shop }\nspec:\n  selector: { app: web }\n  \
                   ports: [{ name: x, port: 80, targetPort: echo }]\n";
    apply(&weft, service).ok();
    until(SOON, "it listens", || {
        kubectl(&weft, "exec web -- busybox netstat -ltn")
            .ok()
            .contains(":7000")
    });
    let (client, local) = forward(&weft, "svc/shop", ":80");
    assert!(client.stdout().contains(" -> 7000"), "{}", client.stdout());
    let large = b"0123456789abcde\n".repeat(1 << 18);
    assert!(echoed(local, &large) == large);
    let all: Vec<_> = (0..5)
        .map(|number| std::thread::spawn(move || echoed(local, format!("{number}\n").as_bytes())))
        .collect();
    for (number, one) in all.into_iter().enumerate() {
        assert_eq!(one.join().unwrap(), format!("{number}\n").into_bytes());
    }
    assert!(
        client
            .stdout()
            .contains(&format!("Handling connection for {local}"))
    );
    weft_line(&weft, "port-forward svc/shop 99").fails_saying(&["does not have a service port 99"]);
    weft_line(
        &weft,
        &format!("port-forward --address 127.0.0.1 pod/web {local}:7000"),
    )
    .fails_saying(&["listen on 127.0.0.1", "another port here"]);

    // Where nobody listens, that one connection fails, and it is said.
    let (nobody, other) = forward(&weft, "pod/web", ":7009");
    assert_eq!(echoed(other, b"x"), b"");
    until(SOON, "it is told why", || {
        nobody.stderr().contains("refused")
    });
    drop(nobody);

    // The server is started again: the port stays.
    weft.kill_daemon();
    weft.start_daemon();
    until(SOON, "it leads there again", || {
        echoed(local, b"again\n") == b"again\n"
    });

    kubectl(&weft, "delete pods --all --grace-period=1").ok();
    let ended = client.finish(LIMIT);
    assert_eq!(ended.code, 1, "{ended}");
    assert!(
        ended
            .stderr
            .contains("pod web was deleted: nothing is forwarded any more"),
        "{ended}"
    );
}

/// The first line of `weft why`.
#[track_caller]
fn why(weft: &Weft, what: &str) -> String {
    let said = weft.weft(&["why", what]);
    // Lines are wrapped at 100 columns: the sentence ends where the next thing begins.
    let text = said
        .ok()
        .split("\nnext: ")
        .next()
        .unwrap()
        .split("\n\n")
        .next()
        .unwrap()
        .to_owned();
    text.replace('\n', " ")
}

#[test]
fn what_is_wrong_is_said_in_one_sentence() {
    let Some(weft) = cluster() else { return };
    let simple = |name: &str, spec: &str, container: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{ name: {name}, labels: {{ run: {name} }} }}\nspec:\n  terminationGracePeriodSeconds: 1\n{spec}  containers:\n  \
             - name: app\n    image: busybox\n    imagePullPolicy: IfNotPresent\n{container}---\n"
        )
    };
    let sleeps = "    command: [sleep, '1000']\n";
    let manifest = [
        simple("well", "", sleeps),
        simple(
            "big",
            "",
            &format!("{sleeps}    resources: {{ requests: {{ cpu: '4000' }} }}\n"),
        ),
        simple("picky", "  nodeSelector: { disk: ssd }\n", sleeps),
        simple("never", "", "")
            .replace("image: busybox", "image: nothing/here:1")
            .replace("IfNotPresent", "Never"),
        simple(
            "lacks",
            "",
            &format!("{sleeps}    envFrom: [{{ configMapRef: {{ name: gone }} }}]\n"),
        ),
        simple("typo", "", "    command: [nope]\n"),
        simple("crash", "", "    command: [sh, -c, 'exit 3']\n"),
        simple(
            "sick",
            "",
            &format!(
                "{sleeps}    readinessProbe: {{ exec: {{ command: ['false'] }}, periodSeconds: 1 }}\n"
            ),
        ),
    ];
    apply(&weft, &manifest.concat()).ok();
    let service = |name: &str, run: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{ name: {name} }}\nspec: {{ selector: {{ run: {run} }}, ports: [{{ port: 80 }}] }}\n---\n"
        )
    };
    apply(
        &weft,
        &[service("lost", "nobody"), service("ill", "sick")].concat(),
    )
    .ok();
    for (what, begins, contains) in [
        ("pod/well", "pod well runs and", "ready"),
        (
            "pod/big",
            "no node takes pod big: ",
            "too little cpu left (it asks for 4k)",
        ),
        (
            "pod/picky",
            "no node takes pod picky: ",
            "nodeSelector wants (disk=ssd)",
        ),
        (
            "pod/never",
            "container app of pod never cannot start: image nothing/here:1",
            "Never",
        ),
        (
            "pod/lacks",
            "container app of pod lacks cannot start: ",
            "gone",
        ),
        (
            "pod/typo",
            "container app of pod typo cannot start: its command \"nope\"",
            "busybox",
        ),
        (
            "pod/crash",
            "container app of pod crash exits each time with code 3",
            ".",
        ),
        (
            "pod/sick",
            "container app of pod sick runs, but its readiness probe fails",
            ".",
        ),
        (
            "svc/lost",
            "service lost leads nowhere: its selector run=nobody matches no pod",
            ".",
        ),
        (
            "svc/ill",
            "service ill leads nowhere, because its only pod is not ready",
            "readiness probe",
        ),
    ] {
        let mut said = String::new();
        until(SOON, &format!("{what}: {begins}"), || {
            said = why(&weft, what);
            said.starts_with(begins) && said.contains(contains)
        });
    }
    let told = weft.weft(&["why", "pod", "crash", "-o", "json"]);
    let told: Value = serde_json::from_str(told.ok()).unwrap();
    assert_eq!(told["state"], "Wrong");
    assert_eq!(told["chain"][0]["object"], "pod/crash");
    assert!(
        told["next"]
            .as_str()
            .unwrap()
            .contains("weft logs pod/crash -c app --previous")
    );
    weft_line(&weft, "why pod/nothing").fails_saying(&["pods \"nothing\" not found"]);

    weft.ok(&["run", "--name", "box", "busybox", "true"]);
    assert!(why(&weft, "box").starts_with("box did its work and ended"));
    weft.ok(&["rm", "box"]);
    kubectl(&weft, "delete pods --all --grace-period=1").ok();
}
