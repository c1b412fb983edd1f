//! A server and the real kubectl that asks it: what most scenarios begin with.
//!
//! Owns lines as they are typed, words split at spaces. Never checks what is answered.

use std::process::Command;

use serde_json::Value;
use weft_testkit::command::{LIMIT, run};
use weft_testkit::{Ran, Weft, peer};

/// A server; nothing, said aloud, where it or kubectl cannot run.
#[track_caller]
pub(crate) fn server() -> Option<Weft> {
    peer("kubectl")?;
    Weft::server(crate::WEFT)
}

/// A server that runs pods, with `busybox:latest`.
#[track_caller]
pub(crate) fn cluster() -> Option<Weft> {
    peer("kubectl")?;
    Weft::cluster(crate::WEFT)
}

#[track_caller]
pub(crate) fn kubectl(weft: &Weft, line: &str) -> Ran {
    kubectl_with_input(weft, line, "")
}

#[track_caller]
pub(crate) fn kubectl_with_input(weft: &Weft, line: &str, input: &str) -> Ran {
    let words: Vec<&str> = line.split_whitespace().collect();
    weft.kubectl(&words, input).unwrap()
}

#[track_caller]
pub(crate) fn apply(weft: &Weft, manifest: &str) -> Ran {
    kubectl_with_input(weft, "apply -f -", manifest)
}

/// Headings of a table, single spaces between them.
#[track_caller]
pub(crate) fn headings(table: &Ran) -> String {
    let first = table.ok().lines().next().unwrap_or_default();
    first.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A server, and one of the kubectls.
pub(crate) struct Tour {
    pub(crate) weft: Weft,
    program: &'static str,
}

impl Tour {
    #[track_caller]
    pub(crate) fn start(program: &'static str) -> Option<Tour> {
        peer(program)?;
        let weft = Weft::server(crate::WEFT)?;
        Some(Tour { weft, program })
    }

    #[track_caller]
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        self.weft.kubectl_of(self.program, words).unwrap()
    }

    #[track_caller]
    pub(crate) fn run(&self, line: &str) -> Ran {
        self.send(line, "")
    }

    #[track_caller]
    pub(crate) fn send(&self, line: &str, input: &str) -> Ran {
        let words: Vec<&str> = line.split_whitespace().collect();
        run(self.command(&words), input.as_bytes(), LIMIT)
    }

    #[track_caller]
    pub(crate) fn json(&self, line: &str) -> Value {
        serde_json::from_str(self.run(line).ok()).unwrap()
    }
}
