//! weft's own verbs for objects, held against the real kubectl where both exist.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use serde_json::Value;
use weft_testkit::wait::SOON;
use weft_testkit::{Background, Ran, Weft, peer};

use crate::server_kubectl::{self, kubectl};

const CONFIGS: &str = "
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings
  labels: { app: web, tier: front }
  annotations: { note: \"a long note, long enough to be folded by whoever folds lines at eighty columns: it is\" }
data:
  colour: red
  yes: \"no\"
  script: |
    #!/bin/sh
    echo \"<hello>\" & wait
  count: \"7\"
---
apiVersion: v1
kind: ConfigMap
metadata: { name: other, labels: { app: db } }
data: { a10: x, a9: x, b: \"1:30\" }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: single, annotations: { note: \"two\\nlines\" } }
data: { only: one }
";

/// A server with two configmaps.
pub(crate) fn server() -> Option<Weft> {
    let weft = server_kubectl::server()?;
    weft.kubectl(&["create", "-f", "-"], CONFIGS).unwrap().ok();
    Some(weft)
}

/// `weft <words>` as the user that kubectl is.
pub(crate) fn command(weft: &Weft, words: &[&str]) -> Command {
    let mut command = weft.command(words);
    command.env("KUBECONFIG", weft.kubeconfig("admin", "system:masters"));
    command
}

pub(crate) fn cli_with_input(weft: &Weft, words: &[&str], input: &str) -> Ran {
    let mut command = command(weft, words);
    command.stdin(std::process::Stdio::piped());
    let mut background = Background::start(command);
    if let Some(mut stdin) = background.stdin() {
        use std::io::Write as _;
        let _ = stdin.write_all(input.as_bytes());
    }
    background.finish(SOON)
}

pub(crate) fn cli(weft: &Weft, line: &str) -> Ran {
    let words: Vec<&str> = line.split_whitespace().collect();
    cli_with_input(weft, &words, "")
}

/// A table with its ages, and the room behind them, made the same: they tick
/// between two commands.
pub(crate) fn ageless(text: &str) -> String {
    let mut was_age = false;
    let words = text.split_inclusive([' ', '\n']).map(|word| {
        let bare = word.trim_end();
        if bare.is_empty() && was_age {
            return word.trim_matches(' ').to_owned();
        }
        let number = bare.trim_matches(['(', ')']).strip_suffix('s');
        was_age = number.is_some_and(|number| number.parse::<u32>().is_ok());
        if was_age {
            word.replace(bare, "AGE")
        } else {
            word.to_owned()
        }
    });
    words.collect()
}

#[test]
fn get_shows_what_kubectl_shows() {
    let Some(weft) = server() else { return };
    for line in [
        "get configmaps",
        "get cm settings",
        "get cm settings other",
        "get configmap/settings namespace/default",
        "get cm,ns",
        "get cm -A",
        "get cm -o wide",
        "get cm --show-labels -L app,nope",
        "get cm --no-headers",
        "get cm -l app=db",
        "get cm -l app=nope",
        "get ns -l app=nope",
        "get cm --field-selector metadata.name=other -o name",
        "get cm,ns -o name",
        "get cm settings -o name",
        "get cm settings -o json",
        "get cm settings -o yaml",
        "get cm -o json",
        "get cm -o yaml",
        "get cm settings other -o yaml",
        "get ns default -o yaml --show-managed-fields",
        "get cm settings -o jsonpath={.data}",
        "get cm -o jsonpath={.items[*].metadata.name}",
        "get cm -o jsonpath={range.items[*]}",
        r#"get cm -o jsonpath={range\u{20}.items[*]}{.metadata.name}{"\t"}{.data}{"\n"}{end}"#,
        "get cm -o custom-columns=NAME:.metadata.name,COLOUR:.data.colour,LABELS:.metadata.labels",
        "get cm --sort-by=.metadata.name",
        "get cm --sort-by={.metadata.creationTimestamp} -o name",
        "get cm --chunk-size=1 -A -o name",
        "get cm --server-print=false",
        "get cm -A --server-print=false",
        "get cm settings --server-print=false --show-labels",
        "get cm settings -o jsonpath-as-json={.data}",
        "get cm -o jsonpath-as-json={.items[*].metadata.name}",
        "get cm nope --ignore-not-found",
        "get cm nope",
        "get cm settings nope -o name",
        "get cm -n nowhere",
        "-n nowhere get cm",
        "--namespace=default get cm settings -o name -o json",
        "-n default auth can-i get cm -q",
        // Of several keys kubectl tells in no order.
        "describe cm single",
        "describe ns default",
        "describe ns --chunk-size=1",
        "wait --for=create cm/settings",
        "wait --for=create cm/settings -o name",
        "wait --for=jsonpath={.data.only}=one cm/single -o jsonpath={.data.only}",
        "wait --for=create --timeout=-1s cm/single cm/other",
        "describe cm nope",
        "api-versions",
        "api-resources",
        "api-resources -o wide",
        "api-resources -o name --namespaced=false",
        "explain cm",
        "explain cm.data",
        "explain cm.data -o plaintext",
        "explain configmaps.metadata.ownerReferences",
        "explain cm --recursive",
    ] {
        let words: Vec<String> = line
            .split_whitespace()
            .map(|word| word.replace(r"\u{20}", " "))
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let theirs = weft.kubectl(&words, "").unwrap();
        let ours = cli_with_input(&weft, &words, "");
        assert_eq!(
            ageless(&ours.stdout),
            ageless(&theirs.stdout),
            "{line}\n{ours}"
        );
        assert_eq!(ours.stderr, theirs.stderr, "{line}");
        assert_eq!(ours.code, theirs.code, "{line}");
    }
}

#[test]
fn root_needs_no_kubeconfig_and_others_are_told_what_to_do() {
    let Some(weft) = Weft::server(crate::WEFT) else {
        return;
    };
    let mut command = weft.command(&["get", "ns", "default", "-o", "name"]);
    command
        .env_remove("KUBECONFIG")
        .env("WEFT_LISTEN", weft.address());
    let ran = Background::start(command).finish(SOON);
    assert_eq!(ran.ok(), "namespace/default");
    let missing = weft.scratch().join("missing");
    let mut command = Command::new(crate::WEFT);
    command.args(["get", "ns", "--data-dir"]).arg(&missing);
    command.env_remove("KUBECONFIG").env("HOME", &missing);
    command
        .arg("--server")
        .arg(format!("https://{}", weft.address()));
    let ran = Background::start(command).finish(SOON);
    ran.fails_saying(&["certificate authority", "hint: ", "weft kubeconfig"]);
    let mut command = weft.command(&["get", "ns"]);
    command
        .env_remove("KUBECONFIG")
        .env("WEFT_LISTEN", "127.9.9.9:1");
    let ran = Background::start(command).finish(SOON);
    ran.fails_saying(&[
        "connect to the server at https://127.9.9.9:1",
        "weft server",
    ]);
    let guest = weft.kubeconfig("guest", "guests");
    let ran = weft.weft(&["get", "cm", "--kubeconfig", guest.to_str().unwrap()]);
    ran.fails_saying(&[
        "Error from server (Forbidden): ",
        "guest",
        "weft auth can-i --list",
    ]);
    let ran = weft.weft(&["get", "nope", "--kubeconfig", guest.to_str().unwrap()]);
    ran.fails_saying(&[
        "the server doesn't have a resource type \"nope\"",
        "api-resources",
    ]);
}

#[test]
fn a_watch_goes_on_and_says_what_happened() {
    let Some(weft) = server() else { return };
    let words = [
        "get",
        "cm",
        "--watch",
        "--output-watch-events",
        "-o",
        "name",
    ];
    let names = Background::start(command(&weft, &words));
    let words = ["get", "cm", "-w", "--output-watch-events"];
    let table = Background::start(command(&weft, &words));
    names.says("configmap/other\n");
    table.says("ADDED   settings           4 ");
    kubectl(&weft, "label cm other x=y").ok();
    table.says("MODIFIED   other ");
    kubectl(&weft, "delete cm other").ok();
    table.says("DELETED   ");
    names.says(
        "configmap/other\nconfigmap/settings\nconfigmap/single\nconfigmap/other\nconfigmap/other\n",
    );
}

#[test]
fn curl_lines_do_what_the_command_does_and_hold_no_key() {
    let Some(weft) = server() else { return };
    let Some(_) = peer("curl") else { return };
    let shown = cli(&weft, "get cm settings -o json --curl");
    let key = std::fs::read_to_string(weft.kubeconfig("admin", "system:masters")).unwrap();
    let key = key
        .split("client-key-data: ")
        .nth(1)
        .unwrap()
        .split('\n')
        .next()
        .unwrap();
    assert!(!shown.ok().contains(key), "{shown}");
    let mut bash = Command::new("bash");
    bash.args(["-c", shown.ok()]);
    let ran = Background::start(bash).finish(SOON);
    let found: Value = serde_json::from_str(ran.ok()).unwrap();
    assert_eq!(found["data"]["colour"], "red");
}

#[test]
fn objects_are_made_changed_and_deleted() {
    let Some(weft) = server() else { return };
    let made = cli(
        &weft,
        "create configmap third --from-literal=a=1 --from-literal=b=2",
    );
    assert_eq!(made.ok(), "configmap/third created");
    let again = cli(&weft, "create cm third --dry-run=server");
    again.fails_saying(&["Error from server (AlreadyExists): failed to create configmap: "]);
    let nothing = cli(&weft, "create namespace away --dry-run=client -o name");
    assert_eq!(nothing.ok(), "namespace/away");
    let tried = cli(&weft, "create namespace away --dry-run=server");
    assert_eq!(tried.ok(), "namespace/away created (server dry run)");
    cli(&weft, "get ns away").fails_saying(&["NotFound"]);
    let file =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: { generateName: gen- }\ndata: { x: z }\n";
    let made = cli_with_input(&weft, &["create", "-f", "-"], file);
    assert!(made.ok().starts_with("configmap/gen-"), "{made}");
    let wrong = file.replace("x: z", "x y: z");
    let refused = cli_with_input(&weft, &["create", "-f", "-"], &wrong);
    refused.fails_saying(&["The ConfigMap \"gen-", "is invalid: data"]);
    assert_eq!(
        cli(&weft, "label cm third app=x").ok(),
        "configmap/third labeled"
    );
    cli(&weft, "label cm third app=y")
        .fails_saying(&["'app' already has a value (x), and --overwrite is false"]);
    assert_eq!(
        cli(&weft, "label cm third app=y --overwrite").ok(),
        "configmap/third labeled"
    );
    assert_eq!(
        cli(&weft, "label cm third app-").ok(),
        "configmap/third unlabeled"
    );
    assert_eq!(
        cli(&weft, "label cm settings --list").ok(),
        "app=web\ntier=front"
    );
    assert_eq!(
        cli(&weft, "annotate cm third note=n").ok(),
        "configmap/third annotated"
    );
    for (kind, patch) in [
        ("strategic", r#"{"data":{"a":"2"}}"#),
        ("merge", r#"{"data":{"b":null}}"#),
        ("json", r#"[{"op":"add","path":"/data/c","value":"3"}]"#),
    ] {
        let words = ["patch", "cm/third", "--type", kind, "-p", patch];
        assert_eq!(
            cli_with_input(&weft, &words, "").ok(),
            "configmap/third patched",
            "{kind}"
        );
    }
    let same = cli_with_input(
        &weft,
        &["patch", "cm", "third", "-p", r#"{"data":{"a":"2"}}"#],
        "",
    );
    assert_eq!(same.ok(), "configmap/third patched (no change)");
    assert_eq!(
        kubectl(&weft, "get cm third -o jsonpath={.data}").ok(),
        r#"{"a":"2","c":"3"}"#
    );
    let late = cli(
        &weft,
        "wait cm third --for=jsonpath={.data.a}=3 --timeout=0",
    );
    late.fails_saying(&["timed out waiting for the condition on configmap/third"]);
    let words = ["wait", "cm/third", "--for=jsonpath={.data.a}=3"];
    let waiting = Background::start(command(&weft, &words));
    cli_with_input(
        &weft,
        &["patch", "cm", "third", "-p", r#"{"data":{"a":"3"}}"#],
        "",
    )
    .ok();
    assert_eq!(waiting.finish(SOON).ok(), "configmap/third condition met");
    assert_eq!(
        cli(&weft, "delete cm third").ok(),
        "configmap \"third\" deleted"
    );
    cli(&weft, "delete cm third")
        .fails_saying(&["Error from server (NotFound): configmaps \"third\" not found"]);
    assert_eq!(cli(&weft, "delete cm third --ignore-not-found").ok(), "");
    assert_eq!(
        cli(&weft, "delete cm -l app=db").ok(),
        "configmap \"other\" deleted"
    );
    cli(&weft, "delete cm").fails_saying(&["no name was specified", "--all"]);
}

#[test]
fn edit_saves_what_was_changed_and_keeps_what_was_refused() {
    let Some(weft) = server() else { return };
    let edit = |editor: &str| {
        let mut command = command(&weft, &["edit", "cm", "settings"]);
        command
            .env("KUBE_EDITOR", editor)
            .env("TMPDIR", weft.scratch());
        Background::start(command).finish(SOON)
    };
    assert_eq!(
        edit("sed -i s/red/green/").ok(),
        "configmap/settings edited"
    );
    assert_eq!(
        kubectl(&weft, "get cm settings -o jsonpath={.data.colour}").ok(),
        "green"
    );
    let none = edit("true");
    assert_eq!(
        (none.ok(), none.stderr.trim()),
        ("", "Edit cancelled, no changes made.")
    );
    // The second time the editor leaves the file as it is, with the reason on top.
    let refused = edit("sed -i 's/colour: green/colour: [1]/'");
    refused.fails_saying(&[
        "no valid changes were saved",
        "colour",
        "what was edited is in",
    ]);
    let kept = refused
        .stderr
        .rsplit("what was edited is in ")
        .next()
        .unwrap()
        .trim();
    assert!(
        std::fs::read_to_string(kept)
            .unwrap()
            .contains("colour: [1]"),
        "{kept}"
    );
    edit("false").fails_saying(&["the editor", "failed"]);
}

#[test]
fn applying_makes_changes_fights_and_differs() {
    let Some(weft) = server() else { return };
    let file =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: fourth }\ndata: { a: x, b: w }\n";
    let apply = ["apply", "-f", "-"];
    let ran = cli_with_input(&weft, &apply, file);
    assert_eq!(ran.ok(), "configmap/fourth created");
    let ran = cli_with_input(&weft, &apply, file);
    assert_eq!(ran.ok(), "configmap/fourth unchanged");
    let other = file.replace("a: x, b: w", "a: z");
    let ran = cli_with_input(&weft, &["diff", "-f", "-"], &other);
    assert_eq!(ran.code, 1, "{ran}");
    assert!(
        ran.stdout.contains("-  a: x") && ran.stdout.contains("+  a: z"),
        "{ran}"
    );
    let ran = cli_with_input(&weft, &["diff", "-f", "-"], file);
    assert_eq!(ran.ok(), "");
    let ran = cli_with_input(&weft, &apply, &other);
    assert_eq!(ran.ok(), "configmap/fourth configured");
    let data = kubectl(&weft, "get cm fourth -o jsonpath={.data}");
    assert_eq!(data.ok(), r#"{"a":"z"}"#);
    kubectl(
        &weft,
        r#"patch cm fourth --type=merge -p {"data":{"a":"own"}}"#,
    )
    .ok();
    cli_with_input(&weft, &apply, &other).fails_saying(&[
        "Apply failed with 1 conflict",
        "kubectl-patch",
        ".data.a",
        "--force-conflicts",
    ]);
    let force = ["apply", "-f", "-", "--force-conflicts"];
    cli_with_input(&weft, &force, &other).ok();
    let data = kubectl(&weft, "get cm fourth -o jsonpath={.data}");
    assert_eq!(data.ok(), r#"{"a":"z"}"#);
}

#[test]
fn auth_says_who_one_is_and_what_one_may() {
    let Some(weft) = server() else { return };
    for line in [
        "auth can-i get pods",
        "auth can-i create deployments.apps --subresource=scale",
        "auth whoami",
    ] {
        let (ours, theirs) = (cli(&weft, line), kubectl(&weft, line));
        assert_eq!(ours.ok(), theirs.ok(), "{line}");
    }
    let guest = weft.kubeconfig("guest", "guests");
    let guest = guest.to_str().unwrap();
    let words = ["auth", "can-i", "get", "pods", "--kubeconfig", guest];
    let (ours, theirs) = (weft.weft(&words), weft.kubectl(&words, "").unwrap());
    assert_eq!((ours.code, &*ours.stdout), (theirs.code, &*theirs.stdout));
    let words = ["auth", "can-i", "--list", "--kubeconfig", guest];
    let ours = weft.weft(&words);
    assert!(ours.ok().contains("selfsubjectaccessreviews"), "{ours}");
}

#[test]
fn a_path_is_asked_for_as_it_is() {
    let Some(weft) = server() else { return };
    let ask = |path: &str| cli_with_input(&weft, &["get", "--raw", path], "");
    let maps = "/api/v1/namespaces/default/configmaps";
    for path in [
        "/version",
        "/readyz?verbose",
        &format!("{maps}/other"),
        &format!("{maps}?labelSelector=app%3Ddb&limit=1"),
    ] {
        let theirs = kubectl(&weft, &format!("get --raw {path}"));
        assert_eq!(ask(path).ok(), theirs.ok(), "{path}");
    }
    ask(&format!("{maps}/none")).fails_saying(&["not found"]);
    ask("version").fails_saying(&["begins with /"]);
    ask("/a b").fails_saying(&["blanks"]);
    let both = ["get", "cm", "--raw", "/version"];
    cli_with_input(&weft, &both, "").fails_saying(&["--raw"]);
}
