//! What the verbs' flags do, beside the real kubectl's.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use serde_json::Value;
use weft_testkit::wait::SOON;
use weft_testkit::{Background, Ran, Weft, peer};

use crate::server_cli::{cli, cli_with_input, command};
use crate::server_kubectl::{kubectl, kubectl_with_input, server};

const POD: &str = "
apiVersion: v1
kind: Pod
metadata: { name: p, labels: { a: \"1\", b: \"2\" }, annotations: { note: old } }
spec: { containers: [{ name: c, image: old, env: [{ name: X, value: x }] }] }
";

/// What kubectl tells.
fn seen(weft: &Weft, line: &str) -> String {
    kubectl(weft, line).ok().to_owned()
}

fn map(name: &str, data: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: {name}, labels: {{ set: shop }} }}\ndata: {{ {data} }}\n"
    )
}

/// A command that has `input` and no way to any server.
fn alone(mut command: Command, line: &str, input: &str) -> Ran {
    command.args(line.split(' '));
    command
        .env("KUBECONFIG", "/nonexistent/config")
        .stdin(std::process::Stdio::piped());
    let mut background = Background::start(command);
    if let Some(mut stdin) = background.stdin() {
        use std::io::Write as _;
        let _ = stdin.write_all(input.as_bytes());
    }
    background.finish(SOON)
}

#[test]
fn files_are_marked_and_patched_without_a_server() {
    let Some(kubectl) = peer("kubectl") else {
        return;
    };
    let pods = format!("{POD}---{}", POD.replace("name: p", "name: q"));
    for line in [
        "label --local -f - c=3",
        "label --local -f - c=3 -o yaml",
        "label --local -f - a- b- -o yaml",
        "label --local -f - a=9 --overwrite -o json",
        "label --local -f - a=1",
        "annotate --local -f - note=new --overwrite -o yaml",
        "annotate --local -f - other=new",
        "annotate --local -f - note- -o yaml",
        "patch --local -f - -p {\"metadata\":{\"labels\":{\"a\":null}}} -o yaml",
        "patch --local -f - -p {\"spec\":{\"containers\":[{\"name\":\"c\",\"image\":\"new\"}]}} -o yaml",
        "patch --local -f - -p {\"spec\":{\"containers\":[{\"name\":\"d\",\"image\":\"new\"}]}} -o yaml",
        "patch --local -f - --type merge -p {\"spec\":{\"containers\":[{\"name\":\"d\",\"image\":\"new\"}]}} -o yaml",
        "patch --local -f - --type json -p [{\"op\":\"remove\",\"path\":\"/metadata/labels/a\"}] -o yaml",
        "patch --local -f - -p {\"metadata\":{\"labels\":{\"c\":\"3\"}}}",
    ] {
        let theirs = alone(Command::new(&kubectl), line, &pods);
        let ours = alone(Command::new(crate::WEFT), line, &pods);
        // Go's zero values of types, which kubectl knows and writes.
        let bare = |text: &str| {
            let empty = [
                "creationTimestamp: null",
                "resources: {}",
                "status: {}",
                // Which of its verbs writes it is a matter of chance.
                "---",
            ];
            let is_said = |line: &&str| !empty.contains(&line.trim());
            text.lines().filter(is_said).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(bare(&ours.stdout), bare(&theirs.stdout), "{line}\n{ours}");
        assert_eq!(ours.code, theirs.code, "{line}\n{ours}\n{theirs}");
    }
    let listed = alone(
        Command::new(crate::WEFT),
        "label --local --list -f -",
        &pods,
    );
    let expected = "Listing labels for Pod./p:\n a=1\n b=2\nListing labels for Pod./q:\n a=1\n b=2";
    assert_eq!(listed.ok(), expected);
    let listed = alone(Command::new(crate::WEFT), "label --local --list -f -", POD);
    assert_eq!(listed.ok(), "a=1\nb=2");
    let line = "patch --local -f - -p {\"metadata\":{\"labels\":{\"c\":\"3\"}}} -o yaml";
    let ours = alone(Command::new(crate::WEFT), line, &pods);
    assert_eq!(ours.ok().matches("---\n").count(), 1, "{ours}");
    for line in [
        "label --local cm a x=1",
        "patch --local cm a -p {}",
        "label --local -f - a=9",
    ] {
        let theirs = alone(Command::new(&kubectl), line, &pods);
        let ours = alone(Command::new(crate::WEFT), line, &pods);
        assert!(ours.code != 0 && theirs.code != 0, "{line}\n{ours}");
    }
}

#[test]
fn patches_are_tried_here_as_kubectl_tries_them() {
    let Some(weft) = server() else { return };
    kubectl_with_input(&weft, "create -f -", POD).ok();
    let line = "patch pod p --dry-run=client -p {\"metadata\":{\"labels\":{\"a\":\"9\"}}} -o jsonpath={.metadata.labels}";
    let ours = cli(&weft, line).ok().to_owned();
    assert_eq!(ours, seen(&weft, line));
    assert!(ours.contains("\"a\":\"9\""), "{ours}");
    let line = "label pod p c=3 --dry-run=client -o jsonpath={.metadata.labels}";
    assert_eq!(cli(&weft, line).ok().to_owned(), seen(&weft, line));
    let kept = seen(&weft, "get pod p -o jsonpath={.metadata.labels}");
    assert_eq!(kept, r#"{"a":"1","b":"2"}"#);
}

#[test]
fn a_mark_of_another_version_is_refused() {
    let Some(weft) = server() else { return };
    kubectl_with_input(&weft, "create -f -", &map("a", "x: one")).ok();
    kubectl_with_input(&weft, "create -f -", &map("b", "x: one")).ok();
    let version = seen(&weft, "get cm a -o jsonpath={.metadata.resourceVersion}");
    let line = format!("label cm a one=1 --resource-version={version}");
    assert_eq!(cli(&weft, &line).ok(), "configmap/a labeled");
    let line = format!("label cm a two=2 --resource-version={version}");
    cli(&weft, &line).fails_saying(&["Conflict"]);
    let line = format!("annotate cm a b two=2 --resource-version={version}");
    cli(&weft, &line).fails_saying(&["single resource"]);
}

#[test]
fn deleting_asks_first_where_it_is_told_to() {
    let Some(weft) = server() else { return };
    let both = [map("a", "x: one"), map("b", "x: one")].concat();
    kubectl_with_input(&weft, "create -f -", &both).ok();
    let delete = |line: &str, answer: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        cli_with_input(&weft, &words, answer)
    };
    for answer in ["n\n", "", "\n", "nope\n"] {
        let ran = delete("delete -i cm a b", answer);
        assert_eq!(ran.code, 0, "{ran}");
        let theirs = kubectl_with_input(&weft, "delete -i cm a b", answer);
        assert_eq!(theirs.code, 0, "{theirs}");
        for told in ["2 resource(s)", "configmap/a", "configmap/b", "cancelled"] {
            assert!(
                ran.stdout.contains(told) && theirs.stdout.contains(told),
                "{ran}"
            );
        }
        assert_eq!(seen(&weft, "get cm a b -o name").lines().count(), 2);
    }
    let ran = delete("delete --interactive cm a", "y\n");
    assert!(ran.ok().contains("configmap \"a\" deleted"));
    let raw = "delete --raw /api/v1/namespaces/default/configmaps/b";
    let status: Value = serde_json::from_str(cli(&weft, raw).ok()).unwrap();
    assert_eq!(status["status"], "Success");
    cli(&weft, raw).fails_saying(&["NotFound"]);
    cli(&weft, "delete --raw configmaps/b").fails_saying(&["begins with /"]);
    cli(&weft, "delete cm x --force --grace-period=3").fails_saying(&["--grace-period"]);
}

#[test]
fn what_cannot_be_changed_is_made_anew_by_force() {
    let Some(weft) = server() else { return };
    let fixed = |value: &str| map("a", &format!("x: {value}")) + "immutable: true\n";
    let apply = |line: &str, manifest: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        cli_with_input(&weft, &words, manifest)
    };
    apply("apply -f -", &fixed("one")).ok();
    let uid = || seen(&weft, "get cm a -o jsonpath={.metadata.uid}");
    let before = uid();
    apply("apply -f -", &fixed("two")).fails_saying(&["immutable"]);
    apply("apply --force --dry-run=server -f -", &fixed("two")).fails_saying(&["immutable"]);
    assert_eq!(uid(), before);
    let ran = apply("apply --force -f -", &fixed("two"));
    assert_eq!(ran.ok(), "configmap/a configured");
    assert_ne!(uid(), before);
    assert_eq!(seen(&weft, "get cm a -o jsonpath={.data.x}"), "two");
    // What can be changed is changed.
    let before = uid();
    let labelled = fixed("two").replace("set: shop", "set: yard");
    apply("apply --force -f -", &labelled).ok();
    assert_eq!(uid(), before);
    // What nothing can be made of leaves what was there.
    let wrong = labelled.replace("data: { x: two }", "data: { \"a/b\": two }");
    apply("apply --force -f -", &wrong).fails_saying(&["a/b", "made anew"]);
    assert_eq!(seen(&weft, "get cm a -o jsonpath={.data.x}"), "two");
}

#[test]
fn a_part_of_an_object_is_applied_to() {
    let Some(weft) = server() else { return };
    seen(&weft, "create deployment web --image=x --replicas=1");
    let scale = "apiVersion: autoscaling/v1\nkind: Scale\nmetadata: { name: web, namespace: default }\nspec: { replicas: 3 }\n";
    let deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: { name: web }\nstatus: { conditions: [{ type: Ours, status: Unknown }] }\n";
    let words = [
        "apply",
        "--subresource=status",
        "--force-conflicts",
        "-f",
        "-",
    ];
    cli_with_input(&weft, &words, deployment).ok();
    let seen = seen(
        &weft,
        "get deploy web -o jsonpath={.status.conditions[?(@.type=='Ours')].status}",
    );
    assert_eq!(seen, "Unknown");
    let words = ["apply", "--server-side=false", "-f", "-"];
    cli_with_input(&weft, &words, scale).fails_saying(&["--server-side=false"]);
}

#[test]
fn diff_shows_what_would_be_pruned() {
    let Some(weft) = server() else { return };
    let all = [map("a", "x: one"), map("b", "x: one"), map("c", "x: one")].concat();
    cli_with_input(&weft, &["apply", "-f", "-"], &all).ok();
    let less = [map("a", "x: z"), map("b", "x: one")].concat();
    let diff = |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        cli_with_input(&weft, &words, &less)
    };
    let plain = diff("diff -f -");
    assert_eq!(plain.code, 1, "{plain}");
    assert!(!plain.stdout.contains("default.c"), "{plain}");
    let pruned = diff("diff --prune --concurrency=4 -f -");
    assert_eq!(pruned.code, 1, "{pruned}");
    for told in ["-  x: one", "+  x: z", "ConfigMap.default.c", "-  name: c"] {
        assert!(pruned.stdout.contains(told), "{told}: {pruned}");
    }
    assert!(!pruned.stdout.contains("managedFields"), "{pruned}");
    assert!(!pruned.stdout.contains("default.b"), "{pruned}");
    let managed = diff("diff --show-managed-fields --field-manager=me --force-conflicts -f -");
    assert!(managed.stdout.contains("f:data"), "{managed}");
    let other = diff("diff -l set=yard -f -");
    assert_eq!((other.code, &*other.stdout), (0, ""), "{other}");
    assert_eq!(seen(&weft, "get cm c -o name"), "configmap/c");
}

/// Removes the file in which an editor's work was kept.
#[track_caller]
fn remove_kept(ran: &Ran) {
    let kept = ran.stderr.rsplit("what was edited is in ").next();
    std::fs::remove_file(kept.unwrap_or_default().trim()).unwrap();
}

#[test]
fn an_editor_is_told_what_the_flags_say() {
    let Some(weft) = server() else { return };
    kubectl_with_input(&weft, "create -f -", &map("a", "x: red")).ok();
    let edit = |line: &str, editor: &str| {
        let mut command = command(&weft, &line.split(' ').collect::<Vec<_>>());
        command.env("KUBE_EDITOR", editor);
        Background::start(command).finish(SOON)
    };
    let ran = edit("edit cm a --output-patch", "sed -i s/red/green/");
    let told = ran.ok();
    assert!(told.contains(r#"Patch: {"data":{"x":"green"}"#), "{told}");
    assert!(told.ends_with("configmap/a edited"), "{told}");
    edit("edit cm a --save-config", "sed -i s/green/blue/").ok();
    let noted = seen(&weft, "get cm a -o yaml");
    assert!(noted.contains("last-applied-configuration"), "{noted}");
    assert!(noted.contains(r#""x":"blue""#), "{noted}");
    // Each line ends with a carriage return, and none is saved.
    edit(
        "edit cm a --windows-line-endings",
        r"sed -i 's/blue\r$/grey\r/'",
    )
    .ok();
    let data = seen(&weft, "get cm a -o jsonpath-as-json={.data}");
    assert!(data.contains(r#""x": "grey""#), "{data}");
    edit("edit cm a --show-managed-fields", "grep -q managedFields").ok();
    let unknown = r#"grep -q ^nope: "$1" || sed -i 's/^data:/nope: 1\ndata:/'"#;
    let refused = edit("edit cm a", unknown);
    refused.fails_saying(&["nope"]);
    remove_kept(&refused);
    let ran = edit("edit cm a --validate=ignore", unknown);
    assert!(!ran.stderr.contains("nope"), "{ran}");
}

#[test]
fn warnings_are_errors_where_that_is_said() {
    let Some(weft) = server() else { return };
    let manifest = map("a", "x: one") + "nope: 1\n";
    let words = ["create", "--validate=warn", "-f", "-"];
    let ran = cli_with_input(&weft, &words, &manifest);
    assert_eq!(ran.code, 0, "{ran}");
    let words = [
        "apply",
        "--validate=warn",
        "--warnings-as-errors",
        "-f",
        "-",
    ];
    let ran = cli_with_input(&weft, &words, &manifest);
    ran.fails_saying(&["unknown field \"nope\"", "1 warning received"]);
}

#[test]
fn what_is_not_there_fails_a_template_where_that_is_said() {
    let Some(weft) = server() else { return };
    kubectl_with_input(&weft, "create -f -", &map("a", "x: one")).ok();
    for (line, code) in [
        ("get cm a -o jsonpath={.nope}", 0),
        (
            "get cm a -o jsonpath={.nope} --allow-missing-template-keys=false",
            1,
        ),
        (
            "get cm a -o jsonpath={.data.x} --allow-missing-template-keys=false",
            0,
        ),
        (
            "get cm -o jsonpath={.items[*].data.nope} --allow-missing-template-keys=false",
            1,
        ),
        (
            "get cm -o jsonpath={.items[?(@.nope)].data} --allow-missing-template-keys=false",
            0,
        ),
    ] {
        let (ours, theirs) = (cli(&weft, line), kubectl(&weft, line));
        assert_eq!(
            (ours.code, theirs.code),
            (code, code),
            "{line}\n{ours}\n{theirs}"
        );
        if code == 0 {
            assert_eq!(ours.stdout, theirs.stdout, "{line}");
        } else {
            assert!(ours.stderr.contains("nope is not found"), "{ours}");
        }
    }
}

#[test]
fn a_name_and_a_password_are_one_way_in_and_no_second() {
    let Some(weft) = server() else { return };
    let plain = |line: &str| cli(&weft, line);
    plain("get ns --password=x").fails_saying(&["--username"]);
    plain("get ns --username=x --token=y").fails_saying(&["--token"]);
    // No server of ours takes one: it is sent, and refused.
    plain("get ns --username=x --password=y").fails_saying(&["Unauthorized"]);
}

#[test]
fn what_is_made_can_be_chosen_changed_and_sent_as_it_is() {
    let Some(weft) = server() else { return };
    let both = map("a", "x: one") + &map("b", "x: one").replace("set: shop", "set: yard");
    let words = ["create", "-l", "set=yard", "-f", "-"];
    assert_eq!(
        cli_with_input(&weft, &words, &both).ok(),
        "configmap/b created"
    );
    let raw = "create --raw /api/v1/namespaces/default/configmaps -f -";
    let words: Vec<&str> = raw.split(' ').collect();
    let json = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"r"}}"#;
    for body in [
        json,
        "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: s }\n",
    ] {
        let made: Value = serde_json::from_str(cli_with_input(&weft, &words, body).ok()).unwrap();
        assert_eq!(made["kind"], "ConfigMap");
    }
    cli_with_input(&weft, &words, json).fails_saying(&["AlreadyExists"]);
    let file = weft.scratch().join("c.yaml");
    std::fs::write(&file, map("c", "x: red")).unwrap();
    let edit = |editor: &str| {
        let file = file.to_str().unwrap();
        let mut command = command(&weft, &["create", "--edit", "--save-config", "-f", file]);
        command.env("KUBE_EDITOR", editor);
        Background::start(command).finish(SOON)
    };
    // As with kubectl, what is left as it was is not made.
    let same = edit("true");
    assert_eq!((same.code, &*same.stdout), (0, ""), "{same}");
    let wrong = edit("sed -i 's/x: red/x: [1]/'");
    wrong.fails_saying(&["data.x", "what was edited is in"]);
    remove_kept(&wrong);
    assert_eq!(edit("sed -i s/red/green/").ok(), "configmap/c created");
    let made = seen(&weft, "get cm c -o yaml");
    assert!(
        made.contains("x: green") && made.contains("last-applied"),
        "{made}"
    );
}
