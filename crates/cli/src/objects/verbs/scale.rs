//! `weft scale`

use std::time::Duration;

use serde_json::{Value, json};
use weft_client::{Method, Request};

use super::wait;
use crate::error::CliError;
use crate::objects::choose::{Selectors, Target, each, targets};
use crate::objects::connect::{Api, Connect, duration};
use crate::objects::manifest::Sources;
use crate::objects::write::{Change, DryRun, Tally};
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = verb!(
    "scale",
    Args,
    "Set how many pods there are to be: weft scale --replicas=COUNT TYPE/NAME"
);

/// Flags of `scale`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Kinds and names
    #[arg(value_name = "TYPE")]
    words: Vec<String>,
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    selectors: Selectors,
    /// How many there are to be
    #[arg(long, value_name = "COUNT", allow_negative_numbers = true)]
    replicas: Option<i64>,
    /// Only if so many are asked for now (-1: however many)
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = -1,
        allow_negative_numbers = true
    )]
    current_replicas: i64,
    /// Only if it is still at this version
    #[arg(long, value_name = "VERSION")]
    resource_version: Option<String>,
    /// All objects of the kind in the namespace
    #[arg(long)]
    all: bool,
    /// Wait until there are so many, at most this long (0: not at all)
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "0s")]
    timeout: Duration,
    #[command(flatten)]
    change: Change,
    #[command(flatten)]
    connect: Connect,
}

impl Args {
    /// Scales.
    pub async fn run(self, session: &Session) -> Outcome {
        self.change.form()?;
        let Some(replicas) = self.replicas.filter(|replicas| *replicas >= 0) else {
            return Err(CliError::usage(
                "the --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0",
            ));
        };
        let api = Api::open(&self.connect, session)?;
        let mut chosen = Vec::new();
        for target in targets(&api, &self.words, &self.sources, false).await? {
            if target.name.is_none() && !self.all && self.selectors.is_empty() {
                return Err(CliError::usage(
                    "resource(s) were provided, but no name was specified",
                ));
            }
            chosen.extend(each(&api, target, &self.selectors).await?);
        }
        if chosen.is_empty() {
            return Err(CliError::new("no objects passed to scale"));
        }
        if self.resource_version.is_some() && chosen.len() > 1 {
            return Err(CliError::usage(
                "cannot use --resource-version with multiple resources",
            ));
        }
        let mut tally = Tally::new(api.printer);
        for target in &chosen {
            if let Err(error) = self.one(&api, target, replicas).await {
                tally.failed(error);
            }
        }
        Ok(tally.code())
    }

    async fn one(&self, api: &Api, target: &Target, replicas: i64) -> Result<(), CliError> {
        let before: Value = api.ask(&target.get()).await?.json()?;
        if self.change.dry_run == DryRun::Client {
            return self.change.tell(api.printer, &before, "scaled");
        }
        let mut patch = json!({ "spec": { "replicas": replicas } });
        if let Some(version) = self.version(api, target).await? {
            patch["metadata"]["resourceVersion"] = version;
        }
        let what = format!("scale {}", target.label());
        let request = Request::new(Method::PATCH, what, &target.path(Some("scale")));
        let request = self.change.on(request);
        let request = request.body("application/merge-patch+json", patch.to_string());
        api.send(&request).await?;
        if !self.timeout.is_zero() && self.change.dry_run == DryRun::None {
            let is_so = |object: Option<&Value>| {
                let status = object.map(|object| &object["status"]["replicas"]);
                status.is_none_or(|status| status.as_i64().unwrap_or(0) == replicas)
            };
            wait::until(api, target, Some(self.timeout), is_so).await?;
        }
        let after = match self.change.dry_run {
            DryRun::None => api.ask(&target.get()).await?.json()?,
            _ => before,
        };
        self.change.tell(api.printer, &after, "scaled")
    }

    /// The version it has to be at, if anything is asked of what it is now.
    async fn version(&self, api: &Api, target: &Target) -> Result<Option<Value>, CliError> {
        if self.current_replicas < 0 && self.resource_version.is_none() {
            return Ok(None);
        }
        let what = format!("get the scale of {}", target.label());
        let scale = Request::get(what, &target.path(Some("scale")));
        let scale: Value = api.ask(&scale).await?.json()?;
        let (wanted, found) = (
            self.current_replicas,
            scale["spec"]["replicas"].as_i64().unwrap_or(0),
        );
        if wanted >= 0 && wanted != found {
            return Err(CliError::new(format!(
                "Expected replicas to be {wanted}, was {found}"
            )));
        }
        let found = &scale["metadata"]["resourceVersion"];
        if let Some(wanted) = self
            .resource_version
            .as_deref()
            .filter(|wanted| found != *wanted)
        {
            let found = found.as_str().unwrap_or_default();
            return Err(CliError::new(format!(
                "Expected resource version to be {wanted}, was {found}"
            )));
        }
        Ok(Some(found.clone()))
    }
}
