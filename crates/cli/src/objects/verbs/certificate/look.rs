//! `weft certificate list` and `show`
//!
//! Owns how a certificate is told of. What stands in one is somebody else's text: no character of it
//! reaches the terminal that does not print.

use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::{Value, json};
use weft_identity::certificate::{Certificate, Standing};
use weft_stdx::clock::unix_s;

use super::gather::{Found, at_hand, of_file};
use crate::error::CliError;
use crate::objects::connect::Connect;
use crate::objects::form::Form;
use crate::objects::rows::Layout;
use crate::render::units;
use crate::session::Session;
use crate::tree::Outcome;

/// Flags of `list`.
#[derive(Debug, clap::Args)]
pub struct List {
    /// PEM file or kubeconfig to be read instead. -: standard input
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Form of the answer
    #[arg(short, long, value_name = "FORM", value_parser = ["wide", "json", "yaml"])]
    output: Option<String>,
    #[command(flatten)]
    connect: Connect,
}

/// Flags of `show`.
#[derive(Debug, clap::Args)]
pub struct Show {
    /// PEM file or kubeconfig to be read instead. -: standard input
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Form of the answer
    #[arg(short, long, value_name = "FORM", value_parser = ["json", "yaml"])]
    output: Option<String>,
    #[command(flatten)]
    connect: Connect,
}

impl List {
    /// Lists them.
    pub async fn run(self, session: &Session) -> Outcome {
        tell(self.file, self.output, &self.connect, session, table).await
    }
}

impl Show {
    /// Shows them.
    pub async fn run(self, session: &Session) -> Outcome {
        let blocks = |found: &[Found], _| {
            let told: Vec<String> = found.iter().map(|found| block(found, unix_s())).collect();
            told.join("\n")
        };
        tell(self.file, self.output, &self.connect, session, blocks).await
    }
}

/// Tells of them in the form that is asked for; `people` is what people read, wide or not.
async fn tell(
    file: Option<PathBuf>,
    output: Option<String>,
    connect: &Connect,
    session: &Session,
    people: fn(&[Found], bool) -> String,
) -> Outcome {
    let Some(found) = found(file, connect, session).await? else {
        return Ok(0);
    };
    let told = match Form::parse(output.as_deref())? {
        Form::Table { wide } => people(&found, wide),
        form => form.whole(&values(&found))?,
    };
    session.printer.data(&told)?;
    Ok(0)
}

fn table(found: &[Found], is_wide: bool) -> String {
    let heading = [
        "NAME", "SUBJECT", "GROUPS", "EXPIRES", "LEFT", "ISSUER", "PLACE",
    ];
    let shown = if is_wide { 7 } else { 5 };
    let now_s = unix_s();
    let row = |found: &Found| {
        let one = &found.certificate;
        vec![
            harmless(&found.name),
            harmless(&one.subject),
            joined(&one.groups),
            time(one.not_after_s),
            left(one, now_s),
            harmless(&one.issuer),
            harmless(&found.place),
        ]
    };
    let mut lines = vec![heading.map(str::to_owned).to_vec()];
    lines.extend(found.iter().map(row));
    for line in &mut lines {
        line.truncate(shown);
    }
    Layout::default().render(&lines)
}

/// What is asked for; nothing, if that was only explained.
async fn found(
    file: Option<PathBuf>,
    connect: &Connect,
    session: &Session,
) -> Result<Option<Vec<Found>>, CliError> {
    if let Some(file) = file {
        return of_file(&file).map(Some);
    }
    if session.is_explaining() {
        let (access, _) = connect.access(session)?;
        let at = match access.host.contains(':') {
            true => format!("[{}]:{}", access.host, access.port),
            false => format!("{}:{}", access.host, access.port),
        };
        let line = format!("openssl s_client -connect {at} -showcerts </dev/null");
        session.printer.line(&line)?;
        return Ok(None);
    }
    at_hand(connect, session).await.map(Some)
}

fn block(found: &Found, now_s: i64) -> String {
    let one = &found.certificate;
    let mut out = format!("{} ({})\n", harmless(&found.name), harmless(&found.place));
    let mut line = |what: &str, value: String| {
        out.push_str(&format!("  {what:<14}{value}\n"));
    };
    line("Subject:", harmless(&one.subject));
    if !one.groups.is_empty() {
        line("Groups:", joined(&one.groups));
    }
    if !one.names.is_empty() {
        line("Names:", joined(&one.names));
    }
    line("Issuer:", harmless(&one.issuer));
    line("For:", purposes(one).join(", "));
    line("Valid from:", time(one.not_before_s));
    line(
        "Valid until:",
        format!("{} ({})", time(one.not_after_s), left(one, now_s)),
    );
    line("Serial:", one.serial.clone());
    line("SHA-256:", one.sha256.clone());
    if one.is_root() {
        line("CA hash:", one.authority_hash());
    }
    // Below a server's own, the authority that whoever has nothing else finds there.
    let root = found.between.iter().find(|one| one.is_root());
    if let Some(root) = root {
        line("CA:", harmless(&root.subject));
        line("CA hash:", root.authority_hash());
    }
    out
}

fn purposes(one: &Certificate) -> Vec<&'static str> {
    let all = [
        (one.is_authority, "signing"),
        (one.is_for_clients, "clients"),
        (one.is_for_servers, "servers"),
    ];
    all.iter()
        .filter(|(is, _)| *is)
        .map(|(_, name)| *name)
        .collect()
}

fn values(found: &[Found]) -> Value {
    let one = |found: &Found| {
        let one = &found.certificate;
        json!({
            "name": found.name,
            "place": found.place,
            "subject": one.subject,
            "groups": one.groups,
            "names": one.names,
            "issuer": one.issuer,
            "purposes": purposes(one),
            "notBefore": time(one.not_before_s),
            "notAfter": time(one.not_after_s),
            "serial": one.serial,
            "sha256": one.sha256,
            "publicKeyHash": one.authority_hash(),
        })
    };
    json!({ "certificates": found.iter().map(one).collect::<Vec<_>>() })
}

/// How long it is good yet, for people.
pub fn left(one: &Certificate, now_s: i64) -> String {
    match one.standing(now_s) {
        Standing::Good => units::duration(one.not_after_s - now_s),
        Standing::Over => format!("expired {}", units::ago(one.not_after_s, now_s)),
        Standing::NotYet => format!("valid in {}", units::duration(one.not_before_s - now_s)),
    }
}

/// A time in seconds since 1970, in UTC.
pub fn time(at_s: i64) -> String {
    Timestamp::from_second(at_s).map_or_else(|_| at_s.to_string(), |at| at.to_string())
}

/// A text of somebody else's.
pub fn harmless(text: &str) -> String {
    let odd = |c: char| c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c);
    text.chars().map(|c| if odd(c) { '?' } else { c }).collect()
}

fn joined(texts: &[String]) -> String {
    match texts {
        [] => "-".to_owned(),
        texts => harmless(&texts.join(",")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_moves_no_cursor() {
        assert_eq!(harmless("a\u{1b}[2J\nb\u{202e}c ä"), "a?[2J?b?c ä");
        assert_eq!(joined(&[]), "-");
        assert_eq!(joined(&["a\tb".into(), "c".into()]), "a?b,c");
    }

    #[test]
    fn times_are_utc() {
        assert_eq!(time(0), "1970-01-01T00:00:00Z");
        assert_eq!(time(i64::MAX), i64::MAX.to_string());
    }
}
