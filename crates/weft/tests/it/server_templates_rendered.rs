//! Config maps whose values are templates: files made for each pod, and what follows when they change.
#![allow(clippy::unwrap_used)]

use weft_testkit::Weft;
use weft_testkit::wait::{SOON, until};

use crate::server_kubectl::{apply, cluster, kubectl};

/// A config map of templates.
fn map(name: &str, notes: &str, data: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  annotations:\n    \
         nanocloud.io/template: \"true\"\n    nanocloud.io/template-splay: 0s\n{notes}data:\n{data}"
    )
}

fn note(name: &str, value: &str) -> String {
    format!("    nanocloud.io/template-{name}: {value:?}\n")
}

/// A pod that sees the files of `conf` at /conf.
fn pod(name: &str, script: &str, more: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{ name: {name}, labels: {{ app: {name} }} }}\nspec:\n  \
         terminationGracePeriodSeconds: 1\n  volumes: [{{ name: conf, configMap: {{ name: {name} }} }}]\n  \
         containers:\n  - name: main\n    image: busybox\n    imagePullPolicy: IfNotPresent\n    \
         command: [sh, -c, {script:?}]\n    volumeMounts: [{{ name: conf, mountPath: /conf }}]\n{more}"
    )
}

const STAYS: &str = "trap exit TERM; while :; do sleep 0.1; done";

#[track_caller]
fn field(weft: &Weft, what: &str, path: &str) -> String {
    let ran = kubectl(weft, &format!("get {what} -o jsonpath={{{path}}}"));
    ran.ok().to_owned()
}

/// The engine's id of the pod's container.
#[track_caller]
fn container(weft: &Weft, pod: &str) -> String {
    let path = ".status.containerStatuses[0].containerID";
    let id = field(weft, &format!("pod {pod}"), path);
    id.strip_prefix("weft://").unwrap_or_default().to_owned()
}

#[track_caller]
fn is_ready(weft: &Weft, pod: &str) {
    let line = format!("wait --for=condition=Ready pod/{pod} --timeout=60s");
    kubectl(weft, &line).ok();
}

#[track_caller]
fn file(weft: &Weft, pod: &str, path: &str) -> String {
    let ran = weft.weft(&["exec", &container(weft, pod), "cat", path]);
    ran.ok().to_owned()
}

#[track_caller]
fn reads(weft: &Weft, pod: &str, path: &str, text: &str) {
    until(SOON, &format!("{path} of {pod} is {text:?}"), || {
        weft.weft(&["exec", &container(weft, pod), "cat", path])
            .stdout
            == text
    });
}

#[track_caller]
fn restarts(weft: &Weft, pod: &str) -> String {
    let path = ".status.containerStatuses[0].restartCount";
    field(weft, &format!("pod {pod}"), path)
}

#[track_caller]
fn is_described(weft: &Weft, pod: &str, what: &str) {
    until(SOON, &format!("describe says {what:?} of {pod}"), || {
        kubectl(weft, &format!("describe pod {pod}"))
            .ok()
            .contains(what)
    });
}

#[test]
fn a_template_is_rendered_for_its_pod_and_goes_with_it() {
    let Some(weft) = cluster() else { return };
    let data = "  who: 'name={{.pod.name}} ns={{.pod.namespace}} app={{.labels.app}} node={{.node.name}} \
                env={{env \"WORD\"}}-{{.env.WORD}} os={{index .node.labels \"kubernetes.io/os\"}}'\n  \
                ip: '{{.pod.ip}}'\n  \
                db: '{{with secret \"db\"}}{{.user}}:{{.pass | toUpper}}{{end}} {{key \"other/k\"}} {{keyOrDefault \"no/k\" \"none\"}}'\n";
    apply(&weft, &map("web", "", data)).ok();
    apply(
        &weft,
        "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: other }\ndata: { k: v }\n",
    )
    .ok();
    apply(
        &weft,
        "apiVersion: v1\nkind: Secret\nmetadata: { name: db }\nstringData: { user: u, pass: p }\n",
    )
    .ok();
    let more = "    env: [{ name: WORD, value: w }]\n";
    apply(&weft, &pod("web", STAYS, more)).ok();
    is_ready(&weft, "web");
    assert_eq!(
        file(&weft, "web", "/conf/who"),
        "name=web ns=default app=web node=one env=w-w os=linux"
    );
    assert_eq!(
        file(&weft, "web", "/conf/ip"),
        field(&weft, "pod web", ".status.podIP")
    );
    assert_eq!(file(&weft, "web", "/conf/db"), "u:P v none");

    // As a variable it would never be rendered anew: refused.
    apply(&weft, &map("env", "", "  a: b\n")).ok();
    let env = pod(
        "env",
        STAYS,
        "    envFrom: [{ configMapRef: { name: env } }]\n",
    );
    apply(&weft, &env).ok();
    is_described(
        &weft,
        "env",
        "configmap \"env\" holds templates, which are rendered into files only",
    );

    // What means nothing is refused when it is written.
    let bad = map("bad", &note("change-mode", "reload"), "  a: b\n");
    let wanted =
        "metadata.annotations[nanocloud.io/template-change-mode]: Invalid value: \"reload\"";
    apply(&weft, &bad).fails_saying(&[wanted]);

    kubectl(&weft, "delete pod --all").ok();
    let directory = weft.data_dir().join("pods");
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0);
}

#[test]
fn a_changed_secret_or_service_restarts_signals_or_does_nothing() {
    let Some(weft) = cluster() else { return };
    let secret = |pass: &str| {
        format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{ name: db }}\nstringData: {{ pass: {pass} }}\n"
        )
    };
    apply(&weft, &secret("one")).ok();
    let data = "  a: '{{secret \"db\" \"pass\"}}'\n";
    apply(&weft, &map("again", "", data)).ok();
    let signal = note("change-mode", "signal") + &note("change-signal", "SIGUSR1");
    apply(&weft, &map("told", &signal, data)).ok();
    apply(&weft, &map("still", &note("change-mode", "noop"), data)).ok();
    apply(&weft, &pod("again", STAYS, "")).ok();
    let told = "trap 'cat /conf/a >> /tmp/told' USR1; trap exit TERM; while :; do sleep 0.1; done";
    apply(&weft, &pod("told", told, "")).ok();
    apply(&weft, &pod("still", STAYS, "")).ok();
    for name in ["again", "told", "still"] {
        is_ready(&weft, name);
        assert_eq!(file(&weft, name, "/conf/a"), "one");
    }
    // Each is started again at once, however often: that is no failure.
    for (pass, count) in [("two", "1"), ("three", "2"), ("four", "3")] {
        apply(&weft, &secret(pass)).ok();
        until(SOON, &format!("restarted {count} times"), || {
            restarts(&weft, "again") == count
        });
        is_ready(&weft, "again");
        reads(&weft, "again", "/conf/a", pass);
        reads(&weft, "told", "/conf/a", pass);
        reads(&weft, "still", "/conf/a", pass);
        until(SOON, "the signal came", || {
            let said = weft.weft(&["exec", &container(&weft, "told"), "cat", "/tmp/told"]);
            said.stdout.ends_with(pass)
        });
    }
    assert_eq!(restarts(&weft, "told"), "0");
    assert_eq!(restarts(&weft, "still"), "0");
    is_described(
        &weft,
        "again",
        "Template again/a changed, container main will be restarted",
    );
    is_described(
        &weft,
        "told",
        "Template told/a changed, container main will get SIGUSR1",
    );
    is_described(
        &weft,
        "still",
        "Template still/a changed, nothing is done to container main",
    );
    assert!(
        !kubectl(&weft, "describe pod again")
            .ok()
            .contains("BackOff")
    );
    kubectl(&weft, "delete pod --all").ok();
}

#[test]
fn a_list_of_endpoints_follows_the_service() {
    let Some(weft) = cluster() else { return };
    let service = "apiVersion: v1\nkind: Service\nmetadata: { name: back }\nspec: { selector: { app: back }, ports: [{ port: 80, targetPort: 8080 }] }\n";
    apply(&weft, service).ok();
    let data = "  list: '{{range service \"back\"}}{{.Address}}:{{.Port}} {{else}}nobody{{end}}'\n  \
                all: '{{.services.back.Address}} {{range services}}{{.Name}} {{end}}'\n";
    apply(&weft, &map("front", &note("change-mode", "noop"), data)).ok();
    apply(&weft, &map("back", "", "  x: z\n")).ok();
    apply(&weft, &pod("front", STAYS, "")).ok();
    is_ready(&weft, "front");
    assert_eq!(file(&weft, "front", "/conf/list"), "nobody");
    let address = field(&weft, "service back", ".spec.clusterIP");
    assert_eq!(
        file(&weft, "front", "/conf/all"),
        format!("{address} back kubernetes ")
    );
    apply(&weft, &pod("back", STAYS, "")).ok();
    is_ready(&weft, "back");
    let ip = field(&weft, "pod back", ".status.podIP");
    reads(&weft, "front", "/conf/list", &format!("{ip}:8080 "));
    kubectl(&weft, "delete pod back").ok();
    reads(&weft, "front", "/conf/list", "nobody");
    kubectl(&weft, "delete pod --all").ok();
}

#[test]
fn what_is_wrong_with_a_template_is_described() {
    let Some(weft) = cluster() else { return };
    apply(
        &weft,
        &map("web", "", "  a: 'x {{secret \"db\" \"pass\"}}'\n"),
    )
    .ok();
    apply(&weft, &map("torn", "", "  a: |\n    x\n    {{if}}\n")).ok();
    apply(&weft, &pod("web", STAYS, "")).ok();
    apply(&weft, &pod("torn", STAYS, "")).ok();
    is_described(
        &weft,
        "web",
        "template web/a, line 1, column 5: function secret: there is no secret \"db\" in namespace \"default\": create it",
    );
    is_described(&weft, "torn", "template torn/a, line 2, column");
    let waiting = ".status.containerStatuses[0].state.waiting.reason";
    assert_eq!(
        field(&weft, "pod web", waiting),
        "CreateContainerConfigError"
    );

    // What was missing comes, and it runs without anybody's help.
    apply(
        &weft,
        "apiVersion: v1\nkind: Secret\nmetadata: { name: db }\nstringData: { pass: p }\n",
    )
    .ok();
    is_ready(&weft, "web");
    assert_eq!(file(&weft, "web", "/conf/a"), "x p");

    // One that runs keeps its file, and is told of it.
    apply(&weft, &map("web", "", "  a: '{{.pod.nam}}'\n")).ok();
    is_described(
        &weft,
        "web",
        "no field \"nam\" in {annotations, ip, labels, name, namespace, serviceAccount, uid}",
    );
    assert_eq!(file(&weft, "web", "/conf/a"), "x p");
    assert_eq!(restarts(&weft, "web"), "0");
    apply(&weft, &map("torn", "", "  a: mended\n")).ok();
    is_ready(&weft, "torn");
    kubectl(&weft, "delete pod --all").ok();
}

#[test]
fn what_restarts_for_a_file_has_not_failed_nor_come_to_its_end() {
    let Some(mut weft) = cluster() else { return };
    let data = |word: &str| format!("  a: '{word} {{{{.pod.name}}}}'\n");
    for name in ["batch", "once"] {
        apply(&weft, &map(name, "", &data("one"))).ok();
    }
    // Its splay is longer than the test.
    let late = |word: &str| map("late", "", &data(word)).replace("splay: 0s", "splay: 9000h");
    apply(&weft, &late("one")).ok();
    let ends_well = "trap 'exit 0' TERM; while :; do sleep 0.1; done";
    apply(
        &weft,
        &pod("batch", ends_well, "  restartPolicy: OnFailure\n"),
    )
    .ok();
    apply(&weft, &pod("once", ends_well, "  restartPolicy: Never\n")).ok();
    let part = pod("late", ends_well, "")
        .replace("mountPath: /conf }", "mountPath: /conf/part, subPath: a }");
    apply(&weft, &part).ok();
    for name in ["batch", "once", "late"] {
        is_ready(&weft, name);
    }
    assert_eq!(file(&weft, "late", "/conf/part"), "one late");
    for name in ["batch", "once"] {
        apply(&weft, &map(name, "", &data("two"))).ok();
    }
    apply(&weft, &late("two")).ok();
    until(SOON, "it was restarted", || restarts(&weft, "batch") == "1");
    is_ready(&weft, "batch");
    reads(&weft, "batch", "/conf/a", "two batch");
    assert_eq!(field(&weft, "pod batch", ".status.phase"), "Running");
    is_described(
        &weft,
        "once",
        "container main is not restarted: restartPolicy is Never",
    );
    assert_eq!(file(&weft, "once", "/conf/a"), "two once");
    is_described(
        &weft,
        "late",
        "Template late/a changed, container main will be restarted",
    );
    // A part of a volume stays as it was; what is to be done is not forgotten with the daemon.
    assert_eq!(file(&weft, "late", "/conf/part"), "one late");
    assert_eq!(restarts(&weft, "late"), "0");
    weft.kill_daemon();
    weft.start_daemon();
    until(SOON, "it was restarted", || restarts(&weft, "late") == "1");
    is_ready(&weft, "late");
    reads(&weft, "late", "/conf/part", "two late");
    assert_eq!(restarts(&weft, "batch"), "1");
    kubectl(&weft, "delete pod --all").ok();
    assert!(weft.weft(&["ps", "-aq"]).ok().is_empty());
}
