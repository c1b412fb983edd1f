//! `weft certificate check`: what is wrong with certificates, told before somebody else finds out.
//!
//! Owns: what counts as wrong. Never: changes anything.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use weft_client::Request;
use weft_client::cluster::Access;
use weft_client::cluster::kubeconfig::{Proof, Trust};
use weft_identity::certificate::{Standing, read_all};
use weft_stdx::clock::unix_s;

use super::gather::{Found, at_hand, of_file};
use super::look::{harmless, left, time};
use crate::error::CliError;
use crate::objects::connect::{Api, Connect, duration};
use crate::printer::Printer;
use crate::session::Session;
use crate::tree::Outcome;

/// Flags of `check`.
#[derive(Debug, clap::Args)]
pub struct Check {
    /// PEM file or kubeconfig to be checked instead, without asking a server. -: standard input
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// What ends within this time is wrong, too: 48h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    within: Option<Duration>,
    #[command(flatten)]
    connect: Connect,
}

/// Lines that were told, and whether one was bad.
struct Report {
    printer: Printer,
    is_bad: bool,
}

impl Report {
    fn tell(&mut self, name: &str, outcome: Result<String, String>) -> Result<(), CliError> {
        let (word, told) = match outcome {
            Ok(told) => ("ok", told),
            Err(told) => ("bad", told),
        };
        self.is_bad |= word == "bad";
        self.printer
            .line(&format!("{word:<5}{}: {told}", harmless(name)))
    }
}

impl Check {
    /// Checks; 1: something is wrong.
    pub async fn run(self, session: &Session) -> Outcome {
        let mut report = Report {
            printer: session.printer,
            is_bad: false,
        };
        if let Some(file) = &self.file {
            self.each(&of_file(file)?, &mut report)?;
            return Ok(u8::from(report.is_bad));
        }
        let (access, is_local) = self.connect.access(session)?;
        if !session.is_explaining() {
            self.each(&at_hand(&self.connect, session).await?, &mut report)?;
            // What was made of this machine's authority for this command is of that.
            let own = if is_local { None } else { chain(&access)? };
            if let Some(outcome) = own {
                report.tell(&format!("user {}", access.user), outcome)?;
            }
        }
        let api = Api::of(access, is_local, false, session)?;
        report.tell("server", taken(&api).await?)?;
        Ok(u8::from(report.is_bad))
    }

    fn each(&self, all: &[Found], report: &mut Report) -> Result<(), CliError> {
        for found in all {
            report.tell(&found.name, self.one(found, unix_s()))?;
        }
        Ok(())
    }

    fn one(&self, found: &Found, now_s: i64) -> Result<String, String> {
        let one = &found.certificate;
        let (left, until) = (left(one, now_s), time(one.not_after_s));
        match one.standing(now_s) {
            Standing::NotYet => {
                let from = time(one.not_before_s);
                return Err(format!(
                    "not valid before {from}: compare the clocks of both machines"
                ));
            }
            Standing::Over => return Err(format!("{left}, at {until}")),
            Standing::Good => {}
        }
        if let Some(key) = &found.key {
            let bytes = key.bytes().map_err(|error| error.to_string())?;
            match one.fits(&bytes) {
                Ok(true) => {}
                Ok(false) => return Err(format!("{key:?} is another certificate's key")),
                Err(why) => return Err(format!("{key:?} cannot be used as its key: {why}")),
            }
        }
        let within = self.within.map_or(0, |within| within.as_secs());
        let within = i64::try_from(within).unwrap_or(i64::MAX);
        if one.not_after_s.saturating_sub(now_s) < within {
            return Err(format!("ends in {left}, at {until}: renew it"));
        }
        Ok(format!("good for {left}, until {until}"))
    }
}

/// Whether the certificate that is used is of the authority that the server is known by; nothing
/// where there is none of either.
fn chain(access: &Access) -> Result<Option<Result<String, String>>, CliError> {
    let (Proof::Certificate(own, _), Trust::Roots(roots)) = (&access.proof, &access.trust) else {
        return Ok(None);
    };
    let read = |bytes: &[u8]| {
        read_all(bytes)
            .map_err(|error| CliError::because("read the kubeconfig's certificates", &error))
    };
    let (own, roots) = (read(&own.bytes()?)?, read(&roots.bytes()?)?);
    let is_ours = own
        .first()
        .is_some_and(|leaf| leaf.leads_to(&own[1..], &roots));
    Ok(Some(match is_ours {
        true => Ok("signed by the authority of the kubeconfig".to_owned()),
        false => Err("signed by another authority than the kubeconfig's".to_owned()),
    }))
}

/// Who the server takes us for.
async fn taken(api: &Api) -> Result<Result<String, String>, CliError> {
    let place = ["apis", "authentication.k8s.io", "v1", "selfsubjectreviews"];
    let review = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview" });
    let request = Request::post("ask the server who we are", &place)
        .body("application/json", review.to_string());
    let answer = match api.send(&request).await {
        Ok(answer) => answer.json()?,
        Err(error) => {
            let told = error.refusal().map(ToString::to_string);
            let cli = CliError::from(error);
            return match cli.message() {
                // It was only explained.
                "" => Err(cli),
                message => Ok(Err(told.unwrap_or_else(|| message.to_owned()))),
            };
        }
    };
    let user = answer["status"]["userInfo"]["username"].as_str();
    Ok(Ok(format!(
        "takes us for {}",
        harmless(user.unwrap_or_default())
    )))
}
