//! `weft apply --prune`: what was applied before and is wanted no more, beside the real kubectl.
#![allow(clippy::unwrap_used)]

use weft_testkit::{Ran, Weft};

use crate::server_cli::cli_with_input;
use crate::server_kubectl::{kubectl, server};

fn maps(names: &[&str]) -> String {
    let map = |name: &&str| {
        format!(
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{ name: {name}, labels: {{ set: shop }} }}\n"
        )
    };
    names.iter().map(map).collect()
}

fn names(weft: &Weft, namespace: &str) -> String {
    let listed = kubectl(weft, &format!("get cm -n {namespace} -l set=shop -o name"));
    listed.ok().replace("configmap/", "").replace('\n', " ")
}

/// `NAME pruned`, and nothing of the rest.
fn pruned(ran: &Ran) -> Vec<String> {
    let lines = ran.stdout.lines().filter(|line| line.contains("pruned"));
    lines.map(str::to_owned).collect()
}

#[test]
fn what_is_applied_no_more_goes_and_nothing_else() {
    let Some(weft) = server() else { return };
    let own = |line: &str, input: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        cli_with_input(&weft, &words, input)
    };
    let theirs = |line: &str, input: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        weft.kubectl(&words, input).unwrap()
    };
    type Tool<'a> = &'a dyn Fn(&str, &str) -> Ran;
    let tools: [(&str, Tool<'_>); 2] = [("own", &own), ("theirs", &theirs)];
    for (namespace, apply) in tools {
        kubectl(&weft, &format!("create namespace {namespace}")).ok();
        let on = format!("-n {namespace} -f -");
        apply(&format!("apply {on}"), &maps(&["a", "b", "c"])).ok();
        // Made, not applied; and with another label.
        let made = format!("create configmap made -n {namespace}");
        kubectl(&weft, &made).ok();
        kubectl(&weft, &format!("label cm made set=shop -n {namespace}")).ok();
        apply(
            &format!("apply {on}"),
            "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: other, labels: { set: else } }\n",
        )
        .ok();
        for all in ["apply --prune", "apply --prune --selector="] {
            apply(&format!("{all} {on}"), &maps(&["a"])).fails_saying(&["--all"]);
        }
        if namespace == "own" {
            let blank = ["apply", "--prune", "-l", " ", "-n", "own", "-f", "-"];
            cli_with_input(&weft, &blank, &maps(&["a"])).fails_saying(&["--all"]);
        }
        assert_eq!(names(&weft, namespace), "a b c made");
        let tried = apply(
            &format!("apply --prune -l set=shop --dry-run=server {on}"),
            &maps(&["a", "b"]),
        );
        tried.ok();
        assert_eq!(pruned(&tried), ["configmap/c pruned (server dry run)"]);
        let tried = apply(
            &format!("apply --prune -l set=shop --dry-run=client {on}"),
            &maps(&["a", "b"]),
        );
        tried.ok();
        assert_eq!(pruned(&tried), ["configmap/c pruned (dry run)"]);
        assert_eq!(names(&weft, namespace), "a b c made");
        // What cannot be applied is no reason to delete the rest.
        let wrong = maps(&["a", "_"]);
        let failed = apply(&format!("apply --prune -l set=shop {on}"), &wrong);
        assert_ne!(failed.code, 0, "{failed}");
        assert_eq!(names(&weft, namespace), "a b c made");
        let done = apply(
            &format!("apply --prune -l set=shop {on}"),
            &maps(&["a", "b"]),
        );
        done.ok();
        assert_eq!(pruned(&done), ["configmap/c pruned"]);
        assert_eq!(names(&weft, namespace), "a b made");
        // Of other kinds nothing goes; and what has other labels is not even applied.
        let listed = "--prune-allowlist=core/v1/Secret";
        let done = apply(&format!("apply --prune --all {listed} {on}"), &maps(&["a"]));
        done.ok();
        assert_eq!(pruned(&done), [""; 0]);
        apply(&format!("apply --prune -l set=none {on}"), &maps(&["d"]))
            .fails_saying(&["no objects passed to apply"]);
        apply(
            &format!("apply --prune --all --prune-allowlist=x/v1/Y {on}"),
            &maps(&["a"]),
        )
        .fails_saying(&["x"]);
        // All of the kinds that are usually meant.
        let done = apply(&format!("apply --prune --all -o name {on}"), &maps(&["a"]));
        done.ok();
        assert_eq!(names(&weft, namespace), "a made", "{done}");
        let other = format!("get cm other -n {namespace}");
        assert_ne!(kubectl(&weft, &other).code, 0);
        // The one that the server keeps there was applied by nobody.
        kubectl(&weft, &format!("get cm kube-root-ca.crt -n {namespace}")).ok();
    }
}
