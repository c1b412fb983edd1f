//! Programs that say who one is, held against the real kubectl.
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::PermissionsExt as _;

use weft_testkit::Weft;

use crate::server_cli::{cli, server};
use crate::server_kubectl::kubectl;

const V1: &str = "client.authentication.k8s.io/v1";

/// An administrator's kubeconfig whose user is asked of a script beside it.
fn asking(weft: &Weft, name: &str, script: &str, more: &str) -> String {
    let own = weft.kubeconfig("admin", "system:masters");
    let text = std::fs::read_to_string(own).unwrap();
    let line = text.lines().find(|line| line.contains("client-key-data:"));
    let indent = line.unwrap().split_once("client-key-data:").unwrap().0;
    let kept: Vec<&str> = text
        .lines()
        .filter(|line| !line.contains("client-certificate-data:"))
        .collect();
    let exec = format!(
        "{indent}exec: {{ apiVersion: {V1}, command: ./{name}.sh, interactiveMode: Never, {more} }}"
    );
    let text = kept.join("\n").replace(line.unwrap(), &exec) + "\n";
    let program = weft.scratch().join(format!("{name}.sh"));
    std::fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = weft.scratch().join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn who_one_is_is_asked_of_a_program() {
    let Some(weft) = server() else { return };
    kubectl(&weft, "create serviceaccount robot").ok();
    let token = kubectl(&weft, "create token robot");
    let token = token.ok().trim();
    // It answers only if it was asked as it should be.
    let script = format!(
        "case \"$KUBERNETES_EXEC_INFO\" in *'\"server\":\"https://'*) ;; *) exit 9;; esac\n\
         case \"$KUBERNETES_EXEC_INFO\" in *'\"interactive\":false'*) ;; *) exit 8;; esac\n\
         [ \"$1$WHO\" = ab ] || exit 7\n\
         echo '{{\"kind\":\"ExecCredential\",\"apiVersion\":\"{V1}\",\"status\":{{\"token\":\"{token}\"}}}}'"
    );
    let more = "args: [a], env: [{ name: WHO, value: b }], provideClusterInfo: true";
    let good = asking(&weft, "good", &script, more);
    let line = format!("auth whoami --kubeconfig {good} -o jsonpath={{.status.userInfo.username}}");
    let ours = cli(&weft, &line);
    assert_eq!(ours.ok(), "system:serviceaccount:default:robot");
    assert_eq!(kubectl(&weft, &line).ok(), ours.stdout);
    // The token is nowhere to be read.
    let curl = cli(&weft, &format!("get pods --curl --kubeconfig {good}"));
    assert!(curl.ok().contains("$TOKEN"), "{curl}");
    assert!(!curl.stdout.contains(token), "{curl}");
}

#[test]
fn what_a_program_fails_at_is_told() {
    let Some(weft) = server() else { return };
    let old = format!(
        "echo '{{\"kind\":\"ExecCredential\",\"apiVersion\":\"{V1}\",\"status\":{{\"token\":\"t\",\"expirationTimestamp\":\"2001-01-01T00:00:00Z\"}}}}'"
    );
    for (name, script, more, words) in [
        (
            "fails",
            "echo 'log in first' >&2; exit 3",
            "installHint: get it at the shop",
            &[
                "log in first",
                "fails.sh",
                "exit status: 3",
                "get it at the shop",
            ] as &[&str],
        ),
        ("rubbish", "echo secret", "", &["rubbish.sh", "no JSON"]),
        ("silent", "", "", &["silent.sh", "no JSON"]),
        ("endless", "exec yes", "", &["endless.sh", "longer than"]),
        ("old", &old, "", &["old.sh", "2001-01-01"]),
        (
            "hangs",
            "exec sleep 3600",
            "",
            &["hangs.sh", "no answer within 1 s"],
        ),
    ] {
        let file = asking(&weft, name, script, more);
        let ran = cli(
            &weft,
            &format!("get pods --request-timeout=1s --kubeconfig {file}"),
        );
        ran.fails_saying(words);
        assert!(!ran.stderr.contains("secret"), "{ran}");
    }
    let gone = asking(&weft, "gone", "", "installHint: get it");
    std::fs::remove_file(weft.scratch().join("gone.sh")).unwrap();
    cli(&weft, &format!("get pods --kubeconfig {gone}")).fails_saying(&[
        "gone.sh",
        "no such program",
        "get it",
    ]);
}
