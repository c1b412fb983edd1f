//! kubectl's flags: each is there, or why it is not is written here.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::process::Command;

use weft_testkit::peer;

/// Verbs, and the words that ask our help for them, where it takes others: what docker has by that
/// name is another's.
const VERBS: [(&str, &str); 56] = [
    ("annotate", ""),
    ("api-resources", ""),
    ("api-versions", ""),
    ("apply", ""),
    ("attach", "attach a/b"),
    ("auth can-i", ""),
    ("auth reconcile", ""),
    ("auth whoami", ""),
    ("cp", "cp a/b:c d"),
    ("create", "create -f x"),
    ("create clusterrole", ""),
    ("create clusterrolebinding", ""),
    ("create configmap", ""),
    ("create cronjob", ""),
    ("create deployment", ""),
    ("create ingress", ""),
    ("create job", ""),
    ("create namespace", ""),
    ("create poddisruptionbudget", ""),
    ("create priorityclass", ""),
    ("create quota", ""),
    ("create role", ""),
    ("create rolebinding", ""),
    ("create secret docker-registry", ""),
    ("create secret generic", ""),
    ("create secret tls", ""),
    ("create service clusterip", ""),
    ("create service externalname", ""),
    ("create service loadbalancer", ""),
    ("create service nodeport", ""),
    ("create serviceaccount", ""),
    ("create token", ""),
    ("delete", ""),
    ("describe", ""),
    ("diff", "diff -f x"),
    ("edit", ""),
    ("exec", "exec a/b"),
    ("explain", ""),
    ("get", ""),
    ("kustomize", ""),
    ("label", ""),
    ("logs", "logs a/b"),
    ("options", "get"),
    ("patch", ""),
    ("port-forward", ""),
    ("rollout history", ""),
    ("rollout pause", ""),
    ("rollout restart", ""),
    ("rollout resume", ""),
    ("rollout status", ""),
    ("rollout undo", ""),
    ("scale", ""),
    ("top node", ""),
    ("top pod", ""),
    ("wait", "wait --for=delete"),
    ("wait", "wait --for delete"),
];

/// Flags that are not there: verb, flag, why.
const LEFT_OUT: &[(&str, &str, &str)] = &[
    ("api-resources", "--cached", NOT_CACHED),
    ("apply", "--openapi-patch", SERVER_SIDE),
    ("apply", "--overwrite", SERVER_SIDE),
    ("edit", "--allow-missing-template-keys", WHOLE),
    ("edit", "--template", WHOLE),
    ("kustomize", "--as-current-user", NO_FUNCTIONS),
    ("kustomize", "--enable-alpha-plugins", NO_FUNCTIONS),
    ("kustomize", "--enable-helm", NO_FUNCTIONS),
    ("kustomize", "--env", NO_FUNCTIONS),
    ("kustomize", "--helm-api-versions", NO_FUNCTIONS),
    ("kustomize", "--helm-command", NO_FUNCTIONS),
    ("kustomize", "--helm-debug", NO_FUNCTIONS),
    ("kustomize", "--helm-kube-version", NO_FUNCTIONS),
    ("kustomize", "--mount", NO_FUNCTIONS),
    ("kustomize", "--network", NO_FUNCTIONS),
    ("kustomize", "--network-name", NO_FUNCTIONS),
    ("options", "--cache-dir", NOT_CACHED),
    (
        "options",
        "--disable-compression",
        "no answer is compressed",
    ),
    ("options", "--log-flush-frequency", GO),
    (
        "options",
        "--match-server-version",
        "any version is spoken to",
    ),
    ("options", "--profile", GO),
    ("options", "--profile-output", GO),
    ("options", "--v", "--curl shows what is sent"),
    ("options", "--vmodule", GO),
    (
        "wait",
        "--local",
        "kubectl's waits for what it never asks for, and crashes",
    ),
];
const NOT_CACHED: &str = "what the server has is asked for each time, in one request";
const SERVER_SIDE: &str = "of client-side apply";
const WHOLE: &str = "an editor shows whole objects";
const NO_FUNCTIONS: &str = "no program is run for a kustomization";
const GO: &str = "of Go's own logs and profiles";

/// The flags that a help lists, with their short names.
fn flags(help: &str) -> BTreeMap<String, Option<String>> {
    let is_flag = |line: &&str| line.starts_with('-');
    let lines = help.lines().map(str::trim_start).filter(is_flag);
    let flag = |line: &str| {
        let names = line.split(", ").map(|name| {
            let is_part = |c: char| c == '-' || c.is_ascii_alphanumeric();
            name.split(|c| !is_part(c)).next().unwrap_or_default()
        });
        let (long, short): (Vec<&str>, Vec<&str>) = names
            .take_while(|name| name.starts_with('-'))
            .partition(|name| name.starts_with("--"));
        let short = short.first().map(|name| (*name).to_owned());
        Some(((*long.first()?).to_owned(), short))
    };
    lines.filter_map(flag).collect()
}

/// The flags of a command that says so; nothing, if there is no such command.
fn help(mut command: Command) -> Option<BTreeMap<String, Option<String>>> {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then(|| flags(&text))
}

#[test]
fn every_flag_of_kubectl_is_there_or_left_out_for_a_reason() {
    let Some(kubectl) = peer("kubectl") else {
        return;
    };
    let mut wrong = Vec::new();
    for (verb, ours) in VERBS {
        let mut theirs = Command::new(&kubectl);
        theirs.args(verb.split(' '));
        if verb != "options" {
            theirs.arg("--help");
        }
        let words = if ours.is_empty() { verb } else { ours };
        let mut words: Vec<&str> = words.split(' ').collect();
        words.push("--help");
        let mut own = Command::new(crate::WEFT);
        // Nothing that is asked for its help starts an engine.
        own.args(["--host", "unix:///nonexistent"]).args(words);
        let theirs = help(theirs).unwrap();
        let Some(ours) = help(own) else {
            wrong.push(format!("{verb} is not there"));
            continue;
        };
        let reason = |flag: &str| {
            LEFT_OUT
                .iter()
                .any(|(owner, name, _)| *owner == verb && *name == flag)
        };
        for (flag, short) in &theirs {
            match (ours.get(flag), reason(flag)) {
                (None, false) => wrong.push(format!("{verb} {flag} is not there")),
                (Some(_), true) => wrong.push(format!("{verb} {flag} is there after all")),
                (Some(own), false) if own < short => {
                    wrong.push(format!("{verb} {flag} is {short:?} for kubectl"));
                }
                _ => {}
            }
        }
        let is_stale =
            |(owner, name, _): &&(&str, &str, &str)| *owner == verb && !theirs.contains_key(*name);
        for (_, flag, _) in LEFT_OUT.iter().filter(is_stale) {
            wrong.push(format!("{verb} {flag} is no flag of kubectl's"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
