//! `weft server`: secrets, and the key they are sealed with at rest.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::process::Signal;
use serde_json::{Value, json};
use weft_testkit::wait::SOON;
use weft_testkit::{Background, Weft, until};

use crate::server_kubectl::{kubectl, server};

/// What must be nowhere; its length is of no other text's base64.
const SHOWN: &str = "correct-horse-battery";

fn json_of(weft: &Weft, line: &str) -> Value {
    serde_json::from_str(kubectl(weft, &format!("{line} -o json")).ok()).unwrap()
}

/// Files below `directory` in which `SHOWN` can be read, in text, base64 or hex.
fn shows(directory: &Path) -> Vec<PathBuf> {
    let base64 = STANDARD.encode(SHOWN);
    let hex: String = SHOWN.bytes().map(|byte| format!("{byte:02x}")).collect();
    let needles = [SHOWN.as_bytes(), base64.as_bytes(), hex.as_bytes()];
    let mut found = Vec::new();
    let mut rest = vec![directory.to_owned()];
    while let Some(directory) = rest.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                rest.push(entry.path());
            } else if kind.is_file() {
                let bytes = fs::read(entry.path()).unwrap();
                let is_in =
                    |needle: &&[u8]| bytes.windows(needle.len()).any(|part| part == *needle);
                if needles.iter().any(is_in) {
                    found.push(entry.path());
                }
            }
        }
    }
    found
}

fn key_file(weft: &Weft) -> PathBuf {
    weft.data_dir().join("server/secrets.key")
}

/// The keys in a key file.
fn keys(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let keys = text.lines().filter(|line| !line.starts_with('#'));
    keys.map(str::to_owned).collect()
}

/// `weft system LINE`, as somebody who may do everything.
fn system(weft: &Weft, line: &str) -> Command {
    let mut command = weft.command(&["system"]);
    command.args(line.split_whitespace());
    command.arg("--kubeconfig");
    command.arg(weft.kubeconfig("admin", "system:masters"));
    command
}

fn run(mut command: Command) -> (bool, String) {
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

/// How a server that cannot start says so.
fn refused(weft: &Weft) -> String {
    let (is_fine, said) = run(weft.daemon_command());
    assert!(!is_fine, "{said}");
    said
}

#[test]
fn nothing_on_disk_or_in_logs_shows_a_secret() {
    let Some(mut weft) = server() else { return };
    kubectl(
        &weft,
        &format!("create secret generic a --from-literal=p={SHOWN}"),
    )
    .ok();
    let manifest = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "b" },
        "stringData": { "p": SHOWN },
    });
    // Client-side, it keeps what was applied in an annotation.
    for labels in ["1", "2"] {
        let mut manifest = manifest.clone();
        manifest["metadata"]["labels"] = json!({ "version": labels });
        let applied = weft.kubectl(&["apply", "-f", "-"], &manifest.to_string());
        applied.unwrap().ok();
    }
    let annotations = &json_of(&weft, "get secret b")["metadata"]["annotations"];
    assert!(annotations.to_string().contains(SHOWN), "{annotations}");
    let mut third = manifest.clone();
    third["metadata"]["name"] = "c".into();
    let applied = weft.kubectl(&["apply", "--server-side", "-f", "-"], &third.to_string());
    applied.unwrap().ok();
    let patch = json!({ "stringData": { "q": SHOWN } }).to_string();
    for kind in ["merge", "strategic"] {
        let args = ["patch", "secret", "a", "--type", kind, "-p", &patch];
        weft.kubectl(&args, "").unwrap().ok();
    }
    let base64 = STANDARD.encode(SHOWN);
    let operations = json!([{ "op": "add", "path": "/data/r", "value": base64 }]).to_string();
    let args = ["patch", "secret", "a", "--type", "json", "-p", &operations];
    weft.kubectl(&args, "").unwrap().ok();
    let mut wrong = manifest.clone();
    wrong["data"] = json!({ SHOWN.replace('-', " "): base64, "x": format!("!{SHOWN}") });
    let refused = weft
        .kubectl(&["create", "-f", "-"], &wrong.to_string())
        .unwrap();
    assert!(refused.code != 0 && !refused.stderr.contains(&format!("!{SHOWN}")));

    let found = json_of(&weft, "get secret a");
    assert_eq!(
        found["data"],
        json!({ "p": base64, "q": base64, "r": base64 })
    );
    assert!(found.get("stringData").is_none());
    kubectl(&weft, "delete secret c").ok();
    let audit = fs::read_to_string(weft.data_dir().join("server/audit.log")).unwrap();
    let reads = audit
        .lines()
        .filter(|line| line.contains("secrets/a") && line.contains("\"get\""));
    assert!(reads.count() > 0, "reading is written down: {audit}");
    assert!(shows(&weft.data_dir()).is_empty());
    assert!(!weft.daemon_log().contains(SHOWN) && !weft.daemon_log().contains(&base64));
    // Nor after history was folded and the file closed.
    weft.stop_daemon();
    assert!(shows(&weft.data_dir()).is_empty());
    assert!(shows(&weft.run_dir()).is_empty());
    let mode = fs::metadata(key_file(&weft)).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    weft.start_daemon();
    assert_eq!(json_of(&weft, "get secret a")["data"]["p"], base64);
}

#[test]
fn kubectl_makes_and_shows_each_type() {
    let Some(weft) = server() else { return };
    kubectl(
        &weft,
        "create secret generic g --from-literal=user=ann --from-literal=p=xyzzy",
    )
    .ok();
    kubectl(
        &weft,
        "create secret docker-registry d --docker-server=r.example --docker-username=u \
         --docker-password=p --docker-email=e@example",
    )
    .ok();
    let [cert, key] = pair(&weft);
    let (cert, key) = (cert.display(), key.display());
    kubectl(
        &weft,
        &format!("create secret tls t --cert {cert} --key {key}"),
    )
    .ok();
    assert_eq!(json_of(&weft, "get secret t")["type"], "kubernetes.io/tls");
    let rows = kubectl(&weft, "get secrets").ok().to_owned();
    let row = |name: &str| -> Vec<String> {
        let line = rows.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().map(str::to_owned).collect()
    };
    assert_eq!(row("NAME"), ["NAME", "TYPE", "DATA", "AGE"]);
    assert_eq!(row("g ")[1..3], ["Opaque", "2"]);
    assert_eq!(row("d ")[1..3], ["kubernetes.io/dockerconfigjson", "1"]);
    let described = kubectl(&weft, "describe secret g").ok().to_owned();
    assert!(described.contains("p:     5 bytes"), "{described}");
    assert!(!described.contains("xyzzy") && !described.contains(&STANDARD.encode("xyzzy")));
    let listed = json_of(&weft, "get secrets --field-selector type=Opaque");
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    // weft's own verbs show the same.
    let config = weft.kubeconfig("admin", "system:masters");
    let config = config.to_str().unwrap();
    let own = weft.ok(&["get", "secrets", "--kubeconfig", config]);
    assert_eq!(own.lines().next().unwrap(), rows.lines().next().unwrap());
    let own = weft.ok(&["describe", "secret", "g", "--kubeconfig", config]);
    assert!(own.contains("5 bytes") && !own.contains("xyzzy"), "{own}");
    // What it is for stays, and what says it will not change does not.
    weft.kubectl(&["patch", "secret", "g", "-p", r#"{"type":"x"}"#], "")
        .unwrap()
        .fails_saying(&["type", "field is immutable"]);
    weft.kubectl(&["patch", "secret", "g", "-p", r#"{"immutable":true}"#], "")
        .unwrap()
        .ok();
    weft.kubectl(
        &["patch", "secret", "g", "-p", r#"{"stringData":{"p":"1"}}"#],
        "",
    )
    .unwrap()
    .fails_saying(&["data", "field is immutable when `immutable` is set"]);
    // Who may view everything sees none of them.
    kubectl(
        &weft,
        "create clusterrolebinding v --clusterrole=view --group=viewers",
    )
    .ok();
    let viewer = weft.kubeconfig("vera", "viewers");
    let viewer = viewer.to_str().unwrap();
    until(SOON, "vera sees configmaps", || {
        kubectl(&weft, &format!("get configmaps --kubeconfig {viewer}")).code == 0
    });
    for line in [
        "get secrets",
        "get secret g",
        "get --raw /api/v1/secrets?watch=1",
    ] {
        kubectl(&weft, &format!("{line} --kubeconfig {viewer}")).fails_saying(&["orbidden"]);
    }
    kubectl(
        &weft,
        &format!("create --raw /system/rotate-key -f /dev/null --kubeconfig {viewer}"),
    )
    .fails_saying(&["orbidden"]);
}

/// A certificate and its key, in files: those of the kubeconfig.
pub(crate) fn pair(weft: &Weft) -> [PathBuf; 2] {
    let config = fs::read_to_string(weft.kubeconfig("admin", "system:masters")).unwrap();
    ["client-certificate-data", "client-key-data"].map(|name| {
        let line = config.lines().find(|line| line.contains(name)).unwrap();
        let (_, value) = line.split_once(": ").unwrap();
        let pem = STANDARD.decode(value.trim_matches(['"', ' '])).unwrap();
        let path = weft.scratch().join(name);
        fs::write(&path, pem).unwrap();
        path
    })
}

#[test]
fn a_watch_opens_what_it_hands_out() {
    let Some(weft) = server() else { return };
    kubectl(&weft, "create secret generic s --from-literal=p=first").ok();
    let mut watch = weft
        .kubectl_in_background(&["get", "secret", "s", "--watch", "-o", "jsonpath={.data.p} "])
        .unwrap();
    let sees = |watch: &mut Background, text: &str| {
        until(SOON, "the watch shows it", || watch.stdout().contains(text));
    };
    sees(&mut watch, &STANDARD.encode("first"));
    weft.kubectl(
        &[
            "patch",
            "secret",
            "s",
            "-p",
            r#"{"stringData":{"p":"second"}}"#,
        ],
        "",
    )
    .unwrap()
    .ok();
    sees(&mut watch, &STANDARD.encode("second"));
    // What is sealed anew is the same to whoever watches.
    let (is_done, said) = run(system(&weft, "rotate-key"));
    assert!(is_done, "{said}");
    weft.kubectl(
        &[
            "patch",
            "secret",
            "s",
            "-p",
            r#"{"stringData":{"p":"third"}}"#,
        ],
        "",
    )
    .unwrap()
    .ok();
    sees(&mut watch, &STANDARD.encode("third"));
}

#[test]
fn without_its_key_a_server_does_not_start() {
    let Some(mut weft) = server() else { return };
    kubectl(&weft, "create secret generic s --from-literal=p=v").ok();
    weft.stop_daemon();
    let (file, away) = (key_file(&weft), weft.scratch().join("away"));
    fs::rename(&file, &away).unwrap();
    let said = refused(&weft);
    for part in [
        "1 secrets are sealed",
        "put that file back",
        "--secrets-key",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert!(!file.exists(), "no new key is made beside what is sealed");
    let mut other = fs::File::create(&file).unwrap();
    writeln!(other, "{}", STANDARD.encode([7; 32])).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(refused(&weft).contains("chmod 0600"));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let said = refused(&weft);
    for part in [
        "secrets/default/s",
        "sealed with key",
        "nothing was changed",
    ] {
        assert!(said.contains(part), "{said}");
    }
    fs::write(&file, "damaged").unwrap();
    assert!(refused(&weft).contains("not base64"));
    fs::rename(&away, &file).unwrap();
    weft.start_daemon();
    assert_eq!(
        json_of(&weft, "get secret s")["data"]["p"],
        STANDARD.encode("v")
    );
}

#[test]
fn root_may_keep_the_key_elsewhere() {
    let Some(mut weft) = server() else { return };
    kubectl(&weft, "create secret generic s --from-literal=p=v").ok();
    weft.stop_daemon();
    let outside = weft.scratch().join("outside.key");
    fs::rename(key_file(&weft), &outside).unwrap();
    let mut command = weft.daemon_command();
    command.env("WEFT_SECRETS_KEY", &outside);
    let daemon = Background::start(command);
    until(SOON, "the server answers", || {
        kubectl(&weft, "get secret s").code == 0
    });
    // Root writes another key before the old one: the next start goes over to it.
    let (is_done, said) = run(system(&weft, "rotate-key"));
    assert!(is_done, "{said}");
    assert!(!key_file(&weft).exists());
    daemon.signal(Signal::TERM);
    daemon.finish(SOON);
    let old = keys(&outside);
    let new = STANDARD.encode([9; 32]);
    fs::write(&outside, format!("{new}\n{}\n", old[0])).unwrap();
    let mut command = weft.daemon_command();
    command.arg("--secrets-key").arg(&outside);
    let daemon = Background::start(command);
    until(SOON, "the server answers", || {
        kubectl(&weft, "get secret s").code == 0
    });
    assert_eq!(keys(&outside), [new]);
    daemon.signal(Signal::TERM);
    daemon.finish(SOON);
}

#[test]
fn a_rotation_that_is_killed_is_finished_by_the_next_start() {
    let Some(mut weft) = server() else { return };
    let secrets: Vec<Value> = (0..300)
        .map(|n| {
            json!({
                "apiVersion": "v1", "kind": "Secret", "metadata": { "name": format!("s{n}") },
                "stringData": { "p": format!("value {n}") },
            })
        })
        .collect();
    let secrets: Vec<String> = secrets.iter().map(Value::to_string).collect();
    weft.kubectl(&["create", "-f", "-"], &secrets.join("\n"))
        .unwrap()
        .ok();
    let file = key_file(&weft);
    let mut seen = BTreeSet::new();
    let mut killed_with = Vec::new();
    for _ in 0..6 {
        seen.extend(keys(&file));
        let before = keys(&file);
        let rotation = Background::start(system(&weft, "rotate-key"));
        // The new key is on disk: what follows is cut off somewhere.
        until(SOON, "the rotation begins", || keys(&file) != before);
        weft.kill_daemon();
        let _ = rotation.finish(SOON);
        killed_with.push(keys(&file).len());
        weft.start_daemon();
        until(SOON, "the old key is gone", || keys(&file).len() == 1);
        assert!(!seen.contains(&keys(&file)[0]), "it went on, not back");
        let all = json_of(&weft, "get secrets");
        let all = all["items"].as_array().unwrap();
        assert_eq!(all.len(), 300);
        for secret in all {
            let name = secret["metadata"]["name"].as_str().unwrap();
            let value = STANDARD.encode(format!("value {}", &name[1..]));
            assert_eq!(secret["data"]["p"], value, "{name}");
        }
    }
    assert!(
        killed_with.contains(&2),
        "never cut off in between: {killed_with:?}"
    );
    // With the new key alone everything opens: an older one is needed for nothing.
    let (is_done, said) = run(system(&weft, "rotate-key"));
    assert!(is_done && said.starts_with("300 secrets"), "{said}");
    weft.stop_daemon();
    weft.start_daemon();
    assert_eq!(
        json_of(&weft, "get secrets")["items"]
            .as_array()
            .unwrap()
            .len(),
        300
    );
}
