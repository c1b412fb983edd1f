//! The verbs, one file each, and which words mean them rather than a command about containers.
//!
//! `create`, `wait` and `diff` are both, and `logs`, `exec`, `attach` and `cp` (`pod_words`):
//! `docs/design/0007-cli-verbs.md` has the rule.

pub mod apply;
pub mod attach;
pub mod auth;
pub mod certificate;
pub mod copy;
pub mod cordon;
pub mod create;
pub mod delete;
pub mod deploy;
pub mod describe;
pub mod diff;
pub mod drain;
pub mod edit;
pub mod exec;
pub mod explain;
pub mod get;
pub mod kustomize;
pub mod logs;
pub mod mark;
pub mod patch;
mod pod_words;
pub mod port_forward;
pub mod resources;
pub mod rollout;
pub mod scale;
pub mod token;
pub mod top;
pub mod undeploy;
pub mod upkeep;
pub mod wait;
pub mod why;

use std::ffi::OsString;

use crate::tree::{Entry, is_global};

/// What docker has, too, when objects are meant.
const CREATE_FILES: &[Entry] = &[create::FILES];
const CREATE_KINDS: &[Entry] = &[create::KINDS];
const WAIT: &[Entry] = &[wait::VERB];
const DIFF: &[Entry] = &[diff::VERB];
const TOP: &[Entry] = &[top::NOUN];
const LOGS: &[Entry] = &[logs::VERB];
const EXEC: &[Entry] = &[exec::VERB];
const ATTACH: &[Entry] = &[attach::VERB];
const COPY: &[Entry] = &[copy::VERB];

/// Those of them that a test has to see, too.
#[cfg(test)]
pub const AMBIGUOUS: [Entry; 9] = [
    create::FILES,
    create::KINDS,
    wait::VERB,
    diff::VERB,
    top::NOUN,
    logs::VERB,
    exec::VERB,
    attach::VERB,
    copy::VERB,
];

/// The verb on objects that a command line means although docker has one of that name.
pub fn meant(args: &[OsString]) -> Option<&'static [Entry]> {
    let mut words = args.iter().filter_map(|arg| arg.to_str());
    let verb = loop {
        match words.next()? {
            option if is_global(option) == Some(2) => drop(words.next()),
            option if option.starts_with('-') => {}
            verb => break verb,
        }
    };
    let rest: Vec<&str> = words.take_while(|word| *word != "--").collect();
    let names = |word: &str, option: &str| {
        word == option
            || word
                .strip_prefix(option)
                .is_some_and(|rest| rest.starts_with('='))
    };
    let is_file = |word: &str| {
        let is_short = word.starts_with("-f") || word.starts_with("-k");
        names(word, "--filename") || names(word, "--kustomize") || is_short
    };
    match verb {
        "wait" => rest.iter().any(|word| names(word, "--for")).then_some(WAIT),
        "top" => rest
            .first()
            .is_some_and(|word| top::WORDS.contains(word))
            .then_some(TOP),
        "diff" => rest.iter().any(|word| is_file(word)).then_some(DIFF),
        "logs" => pod_words::logs(&rest).then_some(LOGS),
        "exec" => pod_words::exec(&rest).then_some(EXEC),
        "attach" => pod_words::attach(&rest).then_some(ATTACH),
        "cp" => pod_words::copy(&rest).then_some(COPY),
        "create" => {
            let kind = rest.first()?;
            if create::GENERATORS.iter().any(|entry| entry.is_called(kind)) {
                return Some(CREATE_KINDS);
            }
            let mut rest = rest.into_iter();
            while let Some(word) = rest.next().filter(|word| word.starts_with('-')) {
                if is_file(word) {
                    return Some(CREATE_FILES);
                }
                if takes_value(word) {
                    rest.next();
                }
            }
            None
        }
        _ => None,
    }
}

/// Options of `create -f` whose value is the next word; for docker's `create`, which has some of
/// them, it is, too.
fn takes_value(word: &str) -> bool {
    const THEIRS: [&str; 28] = [
        "-n",
        "--namespace",
        "-o",
        "--output",
        "--kubeconfig",
        "--context",
        "--cluster",
        "-s",
        "--server",
        "--token",
        "--field-manager",
        "--request-timeout",
        "--certificate-authority",
        "--client-certificate",
        "--client-key",
        "--tls-server-name",
        "--user",
        "--username",
        "--password",
        "--as",
        "--as-group",
        "--as-uid",
        "--as-user-extra",
        "-l",
        "--selector",
        "--raw",
        "--template",
        "--timeout",
    ];
    THEIRS.contains(&word) || is_global(word) == Some(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_a_verb_says_whose_it_is() {
        for (line, meant) in [
            ("create -f x.yaml", Some(CREATE_FILES)),
            ("create --filename=x.yaml", Some(CREATE_FILES)),
            ("create -n shop --dry-run=client -f -", Some(CREATE_FILES)),
            (
                "--data-dir /x --curl create --save-config -fx",
                Some(CREATE_FILES),
            ),
            ("create configmap x", Some(CREATE_KINDS)),
            ("create ns x", Some(CREATE_KINDS)),
            ("create secret generic x", Some(CREATE_KINDS)),
            ("create ingress x", Some(CREATE_KINDS)),
            ("create ing x", Some(CREATE_KINDS)),
            ("create quota x", Some(CREATE_KINDS)),
            ("create resourcequota x", Some(CREATE_KINDS)),
            ("create poddisruptionbudget x", Some(CREATE_KINDS)),
            ("create pdb x", Some(CREATE_KINDS)),
            ("create priorityclass x", Some(CREATE_KINDS)),
            ("create pc x", Some(CREATE_KINDS)),
            ("create svc externalname x", Some(CREATE_KINDS)),
            ("create busybox", None),
            ("create -l a=b --edit -f x", Some(CREATE_FILES)),
            ("create --raw /api/v1/namespaces -f x", Some(CREATE_FILES)),
            ("create -l a=b busybox -f x", None),
            ("create busybox ls -f x", None),
            ("create --name job busybox", None),
            ("create --name x -it job", None),
            ("create docker.io/library/secret", None),
            ("create", None),
            ("container create secret", None),
            ("wait box", None),
            ("wait --for=delete cm/x", Some(WAIT)),
            ("wait cm/x --for condition=Ready", Some(WAIT)),
            ("top box", None),
            ("top pods -A", Some(TOP)),
            ("top no", Some(TOP)),
            ("diff box", None),
            ("diff -f x", Some(DIFF)),
            ("diff -k x", Some(DIFF)),
            ("create --kustomize=x", Some(CREATE_FILES)),
            ("create -n shop -k .", Some(CREATE_FILES)),
            ("run busybox diff -f x", None),
            ("logs pod/web", Some(LOGS)),
            ("--run-dir /x logs box", None),
            ("exec -it pod/web -c app -- ls /x", Some(EXEC)),
            ("exec box ls -- /x", None),
            ("attach deploy/web", Some(ATTACH)),
            ("cp pod/web:/x .", Some(COPY)),
            ("cp box:/x .", None),
        ] {
            let args: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
            let about = |all: &[Entry]| all[0].about;
            assert_eq!(super::meant(&args).map(about), meant.map(about), "{line}");
        }
    }
}
