//! `/healthz`, `/livez`, `/readyz`: whether the server can answer, as a whole, or each check alone.
//!
//! Owns: the checks, and how they are told. Never: why one fails; anybody may ask.

use std::fmt::Write as _;

use http::StatusCode;

use crate::answer::{self, Answer};
use crate::query::Query;
use crate::serve::Server;

const PATHS: [&str; 3] = ["healthz", "livez", "readyz"];

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Check {
    /// That something answers.
    Ping,
    /// That what is stored can be read.
    Keyspace,
}

const CHECKS: [(Check, &str); 2] = [(Check::Ping, "ping"), (Check::Keyspace, "keyspace")];

/// Answers a path of health; nothing if it is none.
pub(crate) async fn answer(server: &Server, path: &str, query: &Query) -> Option<Answer> {
    let (of, alone) = match path.strip_prefix('/')?.split_once('/') {
        Some((of, alone)) => (of, Some(alone)),
        None => (path.strip_prefix('/')?, None),
    };
    let of = PATHS.into_iter().find(|one| *one == of)?;
    let chosen: Vec<_> = CHECKS
        .into_iter()
        .filter(|(_, name)| alone.is_none_or(|alone| alone == *name))
        .collect();
    if chosen.is_empty() {
        return None;
    }
    let mut found = Vec::new();
    for (check, name) in chosen {
        let is_asked = alone.is_some() || query.all("exclude").all(|one| one != name);
        let is_well = match is_asked {
            true => Some(check.is_well(server).await),
            false => None,
        };
        found.push((name, is_well));
    }
    let unknown = query.all("exclude");
    let unknown = unknown.filter(|one| CHECKS.iter().all(|(_, name)| name != one));
    let unknown: Vec<&str> = unknown.collect();
    let is_well = found.iter().all(|(_, is_well)| *is_well != Some(false));
    let text = match is_well && (alone.is_some() || !query.has("verbose")) {
        true => "ok".to_owned(),
        false => told(of, &found, &unknown),
    };
    let code = match is_well {
        true => StatusCode::OK,
        false => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Some(answer::whole(code, "text/plain; charset=utf-8", text))
}

impl Check {
    async fn is_well(self, server: &Server) -> bool {
        match self {
            Check::Ping => true,
            Check::Keyspace => server.store.revision().await.is_ok(),
        }
    }
}

/// All checks, a line each, as upstream tells them; nothing found out: it was left out.
fn told(of: &str, found: &[(&str, Option<bool>)], unknown: &[&str]) -> String {
    let mut text = String::new();
    for (name, is_well) in found {
        let _ = match is_well {
            Some(true) => writeln!(text, "[+]{name} ok"),
            Some(false) => writeln!(text, "[-]{name} failed: reason withheld"),
            None => writeln!(text, "[+]{name} excluded: ok"),
        };
    }
    if !unknown.is_empty() {
        let quoted: Vec<String> = unknown.iter().map(|one| format!("{one:?}")).collect();
        let quoted = quoted.join(",");
        let _ = writeln!(
            text,
            "warn: some health checks cannot be excluded: no matches for {quoted}"
        );
    }
    let is_well = found.iter().all(|(_, is_well)| *is_well != Some(false));
    let word = if is_well { "passed" } else { "failed" };
    let _ = writeln!(text, "{of} check {word}");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_are_told_as_upstream_does() {
        let found = [("ping", Some(true)), ("keyspace", Some(false)), ("x", None)];
        let text = "[+]ping ok\n[-]keyspace failed: reason withheld\n[+]x excluded: ok\n\
                    warn: some health checks cannot be excluded: no matches for \"a\",\"b\"\n\
                    livez check failed\n";
        assert_eq!(told("livez", &found, &["a", "b"]), text);
        let text = "[+]ping ok\nreadyz check passed\n";
        assert_eq!(told("readyz", &found[..1], &[]), text);
    }
}
