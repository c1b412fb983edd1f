//! Options of a server before the verb: `weft -n shop get cm` is `weft get -n shop cm`, as with kubectl.
//!
//! ```text
//!   -n shop  create  --context x  secret  generic  db --from-literal=a=b
//!      └───────────────┴────────────────────────┐
//!            create  secret  generic  -n shop --context x  db --from-literal=a=b
//! ```

use std::ffi::OsString;

use clap::{Arg, ArgAction, Args as _, Command};

use super::connect::Connect;
use super::verbs::create::GENERATORS;
use crate::tree::{Entry, Kind, is_global};

/// Puts options that every verb on objects has behind the words of `args` that name the verb.
pub fn behind_the_verb(entries: &'static [Entry], args: Vec<OsString>) -> Vec<OsString> {
    let is_option = |at: usize| {
        args.get(at)
            .is_some_and(|word| word.as_encoded_bytes().starts_with(b"-"))
    };
    let is_create = |at: usize| args.get(at).is_some_and(|word| word == "create");
    // Mostly no option stands before the words of a verb.
    if !is_option(0) && !is_option(1) {
        return args;
    }
    let options: Vec<Arg> = Connect::augment_args(Command::new(""))
        .get_arguments()
        .cloned()
        .collect();
    let (mut words, mut moved) = (Vec::new(), Vec::new());
    let mut below: Option<&'static [Entry]> = Some(entries);
    let mut at = 0;
    while let Some(known) = below {
        let Some(word) = args.get(at).and_then(|word| word.to_str()) else {
            break;
        };
        if !word.starts_with('-') {
            let Some(entry) = known.iter().find(|entry| entry.is_called(word)) else {
                break;
            };
            below = match entry.kind {
                Kind::Noun(entries) => Some(entries),
                // An object, if a kind follows; else a container, or files.
                Kind::Verb(_) if word == "create" => Some(GENERATORS),
                Kind::Verb(_) => None,
            };
            words.push(args[at].clone());
            at += 1;
            continue;
        }
        let count = match is_global(word) {
            Some(count) => count,
            None => match options.iter().find_map(|option| takes(option, word)) {
                // A container has a user, too.
                Some(_) if word.starts_with("--user") && at > 0 && is_create(at - 1) => break,
                Some(count) => count,
                None => break,
            },
        };
        let part = args[at..args.len().min(at + count)].iter().cloned();
        match is_global(word) {
            Some(_) => words.extend(part),
            None => moved.extend(part),
        }
        at = args.len().min(at + count);
    }
    words.extend(moved);
    words.extend(args[at..].iter().cloned());
    words
}

/// How many words `word` and its value are, if it is this option.
fn takes(option: &Arg, word: &str) -> Option<usize> {
    let (name, has_value) = match word.split_once('=') {
        Some((name, _)) => (name, true),
        None => (word, false),
    };
    let wants = matches!(option.get_action(), ArgAction::Set | ArgAction::Append);
    let count = if wants && !has_value { 2 } else { 1 };
    if let Some(long) = name.strip_prefix("--") {
        return (option.get_long() == Some(long)).then_some(count);
    }
    let mut letters = name[1..].chars();
    if letters.next() != option.get_short() {
        return None;
    }
    // `-nshop`
    let is_attached = wants && letters.next().is_some();
    Some(if is_attached { 1 } else { count })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::ENTRIES;

    #[test]
    fn options_of_a_server_may_stand_before_the_verb() {
        for (line, ordered) in [
            ("get cm -n shop", "get cm -n shop"),
            ("-n shop get cm", "get -n shop cm"),
            ("--namespace=shop get cm", "get --namespace=shop cm"),
            ("-nshop --context x get cm", "get -nshop --context x cm"),
            (
                "--data-dir /d -n shop --curl get cm",
                "--data-dir /d --curl get -n shop cm",
            ),
            (
                "--insecure-skip-tls-verify get -n x cm",
                "get --insecure-skip-tls-verify -n x cm",
            ),
            ("-n shop auth can-i get cm", "auth can-i -n shop get cm"),
            ("auth -n shop can-i get cm", "auth can-i -n shop get cm"),
            ("-n shop create -f x", "create -n shop -f x"),
            ("create -n shop -f x", "create -n shop -f x"),
            ("create -n shop cm x", "create cm -n shop x"),
            (
                "-n shop create --context x secret generic db --from-literal=a=b",
                "create secret generic -n shop --context x db --from-literal=a=b",
            ),
            // Docker's.
            ("create --user 5 job", "create --user 5 job"),
            ("create -it job", "create -it job"),
            ("create busybox -n x cm", "create busybox -n x cm"),
            ("run -d busybox -n shop get", "run -d busybox -n shop get"),
            ("-H unix:///x ps", "-H unix:///x ps"),
            ("-n shop run busybox", "run -n shop busybox"),
            ("--help", "--help"),
            ("-n", "-n"),
            ("-n shop", "-n shop"),
            ("-n shop nope get", "-n shop nope get"),
            ("", ""),
        ] {
            let args = line.split_whitespace().map(OsString::from).collect();
            let found = behind_the_verb(ENTRIES, args);
            let found: Vec<&str> = found.iter().filter_map(|word| word.to_str()).collect();
            assert_eq!(found.join(" "), ordered, "{line}");
        }
    }
}
