//! `weft undeploy NAME`: takes away all that a deployment made.
//!
//! Owns: that what may hold data stays unless somebody says otherwise.

use serde_json::Value;

use super::deploy::{self, LABEL, is_data};
use crate::error::CliError;
use crate::objects::choose::Target;
use crate::objects::connect::{Api, Connect, duration};
use crate::objects::verbs::wait;
use crate::objects::write::{DryRun, Tally};
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = verb!(
    "undeploy",
    Args,
    "Take away what a deployment made: weft undeploy NAME"
);

/// Flags of `undeploy`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The deployment's name
    #[arg(value_name = "NAME", required = true)]
    names: Vec<String>,
    /// Its data, too: what its volumes hold is lost
    #[arg(long)]
    volumes: bool,
    /// Wait until it is gone
    #[arg(long)]
    wait: bool,
    /// How long to wait at most (0: look once), for --wait
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "5m")]
    timeout: std::time::Duration,
    /// Only try it: client sends nothing, server has the server try it
    #[arg(long, value_name = "WHERE", value_enum, default_value = "none", num_args = 0..=1, require_equals = true, default_missing_value = "client")]
    dry_run: DryRun,
    #[command(flatten)]
    connect: Connect,
}

impl Args {
    /// Takes them away.
    pub async fn run(self, session: &Session) -> Outcome {
        let api = Api::open(&self.connect, session)?;
        let mut tally = Tally::new(api.printer);
        for name in &self.names {
            if let Err(error) = self.undeploy(&api, name, &mut tally).await {
                tally.failed(error);
            }
        }
        Ok(tally.code())
    }

    async fn undeploy(&self, api: &Api, name: &str, tally: &mut Tally) -> Result<(), CliError> {
        let deploy::Found {
            objects: mut found,
            unseen,
        } = deploy::found(api, &format!("{LABEL}={name}")).await?;
        if !unseen.is_empty() {
            let told = format!(
                "Note: not looked at, for you may not list them: {}",
                unseen.join(", ")
            );
            api.printer.talk(&told);
        }
        if found.is_empty() {
            let namespace = &api.namespace;
            return Err(CliError::new(format!(
                "there is no deployment {name:?} in namespace {namespace:?}"
            ))
            .hint(format!(
                "`weft get all -A -l {LABEL}` shows what is deployed"
            )));
        }
        // What runs goes before what it runs on.
        found.sort_by_key(|(target, _)| target.kind.group.is_empty());
        let mut gone: Vec<(&Target, &Value)> = Vec::new();
        for (target, object) in &found {
            if is_data(target) && !self.volumes {
                let told = format!(
                    "{} is kept: it may hold data; --volumes deletes it",
                    target.label()
                );
                api.printer.talk(&told);
                continue;
            }
            match deploy::delete(api, target, object, self.dry_run).await {
                Ok(()) => {
                    self.tell(api, target)?;
                    gone.push((target, object));
                }
                Err(error) => tally.failed(error.into()),
            }
        }
        if self.wait && self.dry_run == DryRun::None {
            for (target, object) in gone {
                let uid = object["metadata"]["uid"].as_str().unwrap_or_default();
                wait::until_gone(api, target, uid, Some(self.timeout)).await?;
            }
        }
        Ok(())
    }

    fn tell(&self, api: &Api, target: &Target) -> Result<(), CliError> {
        let word = match self.dry_run {
            DryRun::None => "deleted",
            DryRun::Client => "deleted (dry run)",
            DryRun::Server => "deleted (server dry run)",
        };
        let name = target.name.as_deref().unwrap_or_default();
        api.printer
            .line(&format!("{} \"{name}\" {word}", target.kind.label()))
    }
}
