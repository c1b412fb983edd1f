//! `weft token`: bootstrap tokens of a server, made, listed and revoked.
//!
//! Never: keeps one; its text is shown once, by `create`.

use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Value, json};
use weft_client::Request;
use weft_client::cluster::kubeconfig::Trust;
use weft_identity::certificate::read_all;
use weft_identity::token::MOST_USES;

use crate::error::CliError;
use crate::objects::connect::{Api, Connect, duration};
use crate::objects::form::{Form, without_managers};
use crate::objects::qr;
use crate::objects::rows::{Heading, Layout, Look, TABLE};
use crate::objects::write::Tally;
use crate::session::Session;
use crate::tree::{Entry, Outcome, noun, verb};

/// The noun.
pub const NOUN: Entry = noun!(
    "token",
    &[CREATE, LIST, REVOKE],
    "Manage tokens that are exchanged for a certificate of a server"
);

const CREATE: Entry = verb!(
    "create",
    Create,
    "Make a token that buys a certificate; it is shown once"
);
const LIST: Entry = verb!("list" | "ls", List, "List the tokens there are");
const REVOKE: Entry = verb!(
    "revoke" | "rm",
    Revoke,
    "Take tokens back; certificates they have bought stay good"
);

/// The form of a token.
const SAMPLE: &str = "abcdef.0123456789abcdef";
const PLACE: [&str; 4] = ["apis", "nanocloud.io", "v1", "bootstraptokens"];

/// Flags of `create`.
#[derive(Debug, clap::Args)]
pub struct Create {
    /// How long it is good for: 30m, 1h, 24h
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = duration)]
    ttl: Duration,
    /// How often it can be used
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_USES)))]
    uses: u32,
    /// Whose certificate it buys [default: bootstrap:ID]
    #[arg(long = "for", value_name = "USER")]
    holder: Option<String>,
    /// A group of that user; roles are given to groups
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// What it is for
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Show it as a QR code, too
    #[arg(long)]
    qr: bool,
    /// name, json, yaml or jsonpath=TEMPLATE instead of the token alone
    #[arg(short, long, value_name = "FORM")]
    output: Option<String>,
    #[command(flatten)]
    connect: Connect,
}

impl Create {
    /// Makes one.
    pub async fn run(self, session: &Session) -> Outcome {
        let form = Form::parse(self.output.as_deref())?;
        let api = Api::open(&self.connect, session)?;
        if self.qr {
            // All are of one size: before one is made, not after.
            qr::render(SAMPLE, api.printer.width())?;
        }
        let mut spec = json!({
            "ttlSeconds": self.ttl.as_secs(), "uses": self.uses, "groups": self.groups,
        });
        for (field, value) in [("user", &self.holder), ("description", &self.description)] {
            if let Some(value) = value {
                spec[field] = value.as_str().into();
            }
        }
        let token = json!({
            "apiVersion": "nanocloud.io/v1", "kind": "BootstrapToken", "spec": spec,
        });
        let request = Request::post("make a bootstrap token", &PLACE)
            .query("fieldValidation", "Strict")
            .body("application/json", token.to_string());
        let made = api.send(&request).await?.json()?;
        let text = made["status"]["token"].as_str().unwrap_or_default();
        if !form.is_table() {
            api.printer
                .data(&form.whole(&without_managers(made.clone()))?)?;
        } else {
            api.printer.line(text)?;
            self.explain(&api, &made);
        }
        if self.qr {
            api.printer.data(&qr::render(text, api.printer.width())?)?;
        }
        Ok(0)
    }

    /// What it is, beside it.
    fn explain(&self, api: &Api, made: &Value) {
        let (spec, status) = (&made["spec"], &made["status"]);
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (user, until) = (word(&spec["user"]), word(&status["expiresAt"]));
        let times = match self.uses {
            1 => "once".to_owned(),
            uses => format!("{uses} times"),
        };
        let say = |line: &str| api.printer.talk(line);
        say(&format!(
            "It buys a certificate for {user}, {times}, until {until}. It is not shown again. Whoever has it runs:"
        ));
        say(&line(api, &word(&status["token"])));
        if self.groups.is_empty() {
            say(&format!(
                "{user} is in no group: give it a role with `weft create clusterrolebinding NAME --clusterrole=ROLE --user={user}`."
            ));
        }
        let host = &api.cluster.access().host;
        let address = host.parse::<IpAddr>();
        if host == "localhost" || address.is_ok_and(|address| address.is_loopback()) {
            say(&format!(
                "It is asked for at {host}, which only this machine reaches: for others start `weft server --listen ADDRESS:PORT`."
            ));
        }
    }
}

/// What is typed where the certificate is wanted.
fn line(api: &Api, token: &str) -> String {
    let access = api.cluster.access();
    let mut line = format!(
        "  weft certificate request --server {} --token {token}",
        access.server
    );
    match hash(&access.trust) {
        Some(hash) => line.push_str(&format!(" --ca-hash {hash}")),
        None => line.push_str(" --certificate-authority FILE"),
    }
    line + " KUBECONFIG"
}

/// What the server's authority is known by; nothing where we do not know it ourselves.
fn hash(trust: &Trust) -> Option<String> {
    let Trust::Roots(roots) = trust else {
        return None;
    };
    let roots = read_all(&roots.bytes().ok()?).ok()?;
    let root = roots.iter().find(|one| one.is_root())?;
    Some(root.authority_hash())
}

/// Flags of `list`.
#[derive(Debug, clap::Args)]
pub struct List {
    /// wide, name, json, yaml, jsonpath=TEMPLATE, custom-columns=NAME:PATH,...
    #[arg(short, long, value_name = "FORM")]
    output: Option<String>,
    #[command(flatten)]
    connect: Connect,
}

impl List {
    /// Lists them; what is not stored is not shown.
    pub async fn run(self, session: &Session) -> Outcome {
        let form = Form::parse(self.output.as_deref())?;
        let api = Api::open(&self.connect, session)?;
        let request = Request::get("list bootstrap tokens", &PLACE);
        if !form.is_table() {
            let list = api.send(&request).await?.json()?;
            api.printer.data(&form.whole(&list)?)?;
            return Ok(0);
        }
        let table = api.send(&request.header("accept", TABLE)).await?.json()?;
        let wide = form == Form::Table { wide: true };
        let (heading, look) = (
            Heading::of(&table, wide),
            Look {
                wide,
                ..Look::default()
            },
        );
        let mut lines = vec![heading.line(&look)];
        let rows = table["rows"].as_array().into_iter().flatten();
        lines.extend(rows.map(|row| heading.row(row, &look, "")));
        if lines.len() == 1 {
            api.printer.talk("No tokens found");
            return Ok(0);
        }
        api.printer.data(&Layout::default().render(&lines))?;
        Ok(0)
    }
}

/// Flags of `revoke`.
#[derive(Debug, clap::Args)]
pub struct Revoke {
    /// First halves of tokens, or whole ones
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
    #[command(flatten)]
    connect: Connect,
}

impl Revoke {
    /// Takes each back.
    pub async fn run(self, session: &Session) -> Outcome {
        let api = Api::open(&self.connect, session)?;
        let mut tally = Tally::new(api.printer);
        for id in &self.ids {
            // The second half goes nowhere, not into an error either.
            let id = id.split_once('.').map_or(id.as_str(), |(id, _)| id);
            if let Err(error) = revoke(&api, id).await {
                tally.failed(error);
            }
        }
        Ok(tally.code())
    }
}

async fn revoke(api: &Api, id: &str) -> Result<(), CliError> {
    let path = [PLACE.as_slice(), &[id]].concat();
    let request = Request::delete(format!("revoke the bootstrap token {id}"), &path);
    api.send(&request).await?;
    api.printer.line(id)
}
