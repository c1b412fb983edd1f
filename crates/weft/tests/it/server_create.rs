//! `weft create TYPE`: what it makes is what the real kubectl makes, and what it refuses.
#![allow(clippy::unwrap_used)]

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use weft_testkit::{Ran, Weft};

use crate::server_cli::{cli, cli_with_input};
use crate::server_kubectl::{apply, kubectl, server};
use crate::server_secrets::pair;

/// Where each makes objects, and what it calls those that are in no namespace.
const OWN: &str = "weftmade";
const THEIRS: &str = "ctlmade";

/// What both make, a line each: `~` is one of these names. No word of it has a blank.
const MADE: &str = include_str!("server_create/made.txt");
/// What both refuse, and after `#` the words that both say.
const REFUSED: &str = include_str!("server_create/refused.txt");

const CRON_JOBS: &str = "
apiVersion: batch/v1
kind: CronJob
metadata: { name: tick, labels: { own: x } }
spec:
  schedule: \"@yearly\"
  suspend: true
  jobTemplate:
    metadata: { labels: { a: b }, annotations: { c: d } }
    spec:
      backoffLimit: 3
      template:
        metadata: { labels: { e: f } }
        spec: { restartPolicy: Never, containers: [{ name: c, image: i }] }
---
apiVersion: batch/v1
kind: CronJob
metadata: { name: bare }
spec:
  schedule: \"@yearly\"
  suspend: true
  jobTemplate:
    spec: { template: { spec: { restartPolicy: OnFailure, containers: [{ name: c, image: i }] } } }
";

/// A line as it is typed by one of the two, with files in their places.
fn typed(weft: &Weft, line: &str, flags: &str) -> String {
    let [cert, key] = pair(weft).map(|path| path.display().to_string());
    let dir = weft.scratch().display().to_string();
    let line = line
        .replace("{cert}", &cert)
        .replace("{key}", &key)
        .replace("{dir}", &dir)
        .replace("{root}", &format!("{dir}/root.pem"));
    let (line, command) = match line.split_once(" -- ") {
        Some((line, command)) => (line.to_owned(), format!(" -- {command}")),
        None => (line, String::new()),
    };
    format!("create {line} {flags}{command}")
}

/// Words of a line; a set of labels has blanks, which no line has.
fn words(line: &str) -> Vec<String> {
    let word = |word: &str| word.replace("c(in)", "c in (y,x)");
    line.split(' ')
        .filter(|word| !word.is_empty())
        .map(word)
        .collect()
}

fn own(weft: &Weft, line: &str) -> Ran {
    let words = words(line);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    cli_with_input(weft, &words, "")
}

fn theirs(weft: &Weft, line: &str) -> Ran {
    let words = words(line);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    weft.kubectl(&words, "").unwrap()
}

fn files(weft: &Weft) {
    let path = |name: &str| weft.scratch().join(name);
    fs::write(path("one"), "1\n").unwrap();
    fs::write(path("two"), "zwei & <zwo>").unwrap();
    fs::write(path("binary"), [0xff, 0, 1]).unwrap();
    fs::write(path("lines"), "\u{feff}# no\nA=b c \r\n\n  D=\"e\"\nF=\n").unwrap();
    fs::write(path("odd"), "odd key=a\n").unwrap();
    fs::write(
        path("config"),
        "{\"auths\": {\"r.example\": {\"auth\": \"dTpw\"}}}",
    )
    .unwrap();
    fs::create_dir_all(path("files/below")).unwrap();
    fs::write(path("files/.three"), "3").unwrap();
    fs::write(path("files/four"), "4").unwrap();
    std::os::unix::fs::symlink("four", path("files/five")).unwrap();
    let show = "config view --raw -o jsonpath={.clusters[0].cluster.certificate-authority-data}";
    let root = STANDARD.decode(kubectl(weft, show).ok()).unwrap();
    fs::write(path("root.pem"), root).unwrap();
}

/// What is stored, without what is each object's own.
fn stored(weft: &Weft, name: &str, of: &str) -> String {
    let found = kubectl(weft, &format!("get {name} -n {of} -o json"))
        .ok()
        .to_owned();
    let mut object: Value = serde_json::from_str(&found).unwrap();
    let meta = object["metadata"].as_object_mut().unwrap();
    let uid = meta["uid"].as_str().unwrap().to_owned();
    for field in [
        "uid",
        "creationTimestamp",
        "resourceVersion",
        "managedFields",
        "namespace",
    ] {
        meta.remove(field);
    }
    for owner in meta
        .get_mut("ownerReferences")
        .into_iter()
        .flat_map(|all| all.as_array_mut().unwrap())
    {
        assert!(owner["uid"].take().is_string());
    }
    // What its controller says of it comes with time.
    if object["kind"] == "Deployment" {
        let meta = object["metadata"].as_object_mut().unwrap();
        let notes = meta.entry("annotations").or_insert_with(|| json!({}));
        let revision = "deployment.kubernetes.io/revision";
        notes.as_object_mut().unwrap().remove(revision);
    }
    let kept = ["Deployment", "Job", "CronJob", "PodDisruptionBudget"];
    if kept.iter().any(|kind| object["kind"] == *kind) {
        object["status"].take();
    }
    if object["kind"] == "Service" {
        let spec = object["spec"].as_object_mut().unwrap();
        if spec
            .get("clusterIP")
            .is_some_and(|address| address != "None")
        {
            spec.remove("clusterIP");
            spec.remove("clusterIPs");
        }
        for port in spec
            .get_mut("ports")
            .into_iter()
            .flat_map(|all| all.as_array_mut().unwrap())
        {
            if port["nodePort"] != 30999 {
                port.as_object_mut().unwrap().remove("nodePort");
            }
        }
    }
    let text = serde_json::to_string_pretty(&object).unwrap();
    text.replace(&uid, "UID").replace(of, "~")
}

#[test]
fn each_type_is_made_as_kubectl_makes_it() {
    let Some(weft) = server() else { return };
    files(&weft);
    for line in MADE.lines() {
        let made = [OWN, THEIRS].map(|of| {
            let typed = typed(&weft, &line.replace('~', of), &format!("-n {of} -o name"));
            let ran = match of {
                OWN => own(&weft, &typed),
                _ => theirs(&weft, &typed),
            };
            let name = ran.ok().to_owned();
            let stored = stored(&weft, &name, of);
            if line.contains("--node-port") {
                kubectl(&weft, &format!("delete {name} -n {of}")).ok();
            }
            (name.replace(of, "~"), stored)
        });
        let [own, theirs] = made;
        assert_eq!(own, theirs, "{line}");
        if line == "namespace ~" {
            for of in [OWN, THEIRS] {
                let jobs = CRON_JOBS.replace("name: tick", &format!("namespace: {of}, name: tick"));
                apply(
                    &weft,
                    &jobs.replace("name: bare", &format!("namespace: {of}, name: bare")),
                )
                .ok();
            }
        }
    }
}

#[test]
fn what_kubectl_refuses_is_refused() {
    let Some(weft) = server() else { return };
    files(&weft);
    apply(&weft, CRON_JOBS).ok();
    kubectl(&weft, "create secret generic s").ok();
    let dir = weft.scratch().display().to_string();
    for line in REFUSED.lines() {
        let (line, said) = line.split_once(" # ").unwrap();
        let said = said.replace("{dir}", &dir);
        let said: Vec<&str> = said.split(" | ").collect();
        let line = typed(&weft, line, "");
        theirs(&weft, &line).fails_saying(&said).code(1);
        own(&weft, &line).fails_saying(&said).code(1);
    }
    // Where kubectl takes what nobody can have meant.
    for (line, said) in [
        (
            "ingress x --rule=a/b=s:80,tlsx",
            "\"tlsx\" is neither tls nor tls=SECRET",
        ),
        (
            "ingress x --rule=a/b=s:80,x=y",
            "\"x=y\" is neither tls nor tls=SECRET",
        ),
        (
            "ingress x --rule=/b=s:80,tls",
            "tls without a host is to name a secret",
        ),
        (
            "ingress x --rule=a/b=s:80,tls=x --rule=a/c=s:80,tls=y",
            "another rule has another secret",
        ),
        (
            "service clusterip x --tcp=80:8080:1",
            "invalid port \"80:8080:1\"",
        ),
    ] {
        own(&weft, &format!("create {line}"))
            .fails_saying(&[said])
            .code(1);
    }
    own(
        &weft,
        &typed(
            &weft,
            "secret docker-registry x --from-file={dir}/config --docker-username=u",
            "",
        ),
    )
    .fails_saying(&["--from-file", "--docker-username"])
    .code(125);
    for kind in [
        "cm",
        "secrets",
        "ingresses",
        "services",
        "jobs",
        "quota",
        "pdb",
        "roles",
    ] {
        let left = kubectl(&weft, &format!("get {kind} -o name"))
            .ok()
            .to_owned();
        let left: Vec<&str> = left.lines().filter(|name| name.ends_with("/x")).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

#[test]
fn tokens_are_bound_and_shown_as_kubectl_does() {
    let Some(weft) = server() else { return };
    kubectl(&weft, "create secret generic s").ok();
    for line in [
        "token default -o jsonpath={.kind}{.metadata.name}{.spec.audiences}{.spec.expirationSeconds}",
        "token default --duration=20m --audience=a --audience=b -o jsonpath={.spec.audiences}{.spec.expirationSeconds}",
        "token default --bound-object-kind=Secret --bound-object-name=s -o go-template={{.spec.boundObjectRef.name}}",
        "token default --duration=0 -o name",
    ] {
        let shown = [own, theirs].map(|run| run(&weft, &format!("create {line}")).ok().to_owned());
        assert_eq!(shown[0], shown[1], "{line}");
    }
    let uid = kubectl(&weft, "get secret s -o jsonpath={.metadata.uid}")
        .ok()
        .to_owned();
    let bound = "create token default --bound-object-kind=Secret --bound-object-name=s";
    let token = own(&weft, &format!("{bound} --bound-object-uid={uid}"))
        .ok()
        .to_owned();
    assert_eq!(token.split('.').count(), 3, "{token}");
}

#[test]
fn nothing_is_asked_where_nothing_is_sent() {
    let Some(weft) = server() else { return };
    let tried = |line: &str| {
        let words = words(&format!("create {line} --dry-run=client -o yaml"));
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut command = weft.command(&words);
        command.env("KUBECONFIG", "/dev/null");
        weft_testkit::command::run(command, b"", weft_testkit::command::LIMIT)
            .ok()
            .to_owned()
    };
    let quota = tried("quota q --hard=cpu=1000m -n shop");
    assert!(
        quota.contains("  namespace: shop") && quota.contains("    cpu: \"1\""),
        "{quota}"
    );
    for line in [
        "pc p --value=7",
        "clusterrole c --verb=get --non-resource-url=/a",
        "ns n",
    ] {
        let shown = tried(&format!("{line} -n shop"));
        assert!(!shown.contains("namespace:"), "{shown}");
    }
    let role = tried("clusterrole c --aggregation-rule=a=b");
    assert!(role.contains("clusterRoleSelectors:"), "{role}");
    // The server is told how to look at fields that it does not know.
    for (flag, told) in [
        ("", "Strict"),
        ("--validate=warn", "Warn"),
        ("--validate=false", "Ignore"),
    ] {
        let shown = cli(&weft, &format!("--curl create quota q {flag}"));
        assert!(
            shown.ok().contains(&format!("fieldValidation={told}")),
            "{shown}"
        );
    }
}
