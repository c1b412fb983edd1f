//! `weft drain`: no more pods come to a node, and those that can be elsewhere leave it.
//!
//! Never: deletes what nothing would make again, or what is lost with it, unless that is asked for.

mod leave;
mod pods;

use std::time::Duration;

use serde_json::Value;

use self::pods::Chosen;
use super::cordon::Nodes;
use crate::error::CliError;
use crate::objects::choose::{Target, pages};
use crate::objects::connect::{Api, Connect, duration};
use crate::objects::form::items;
use crate::objects::write::DryRun;
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = verb!(
    "drain",
    Args,
    "Empty nodes before something is done to them: weft drain NODE"
);

/// Flags of `drain`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    nodes: Nodes,
    /// Only pods with these labels
    #[arg(long, value_name = "LABELS", default_value = "")]
    pod_selector: String,
    /// Leave pods of DaemonSets where they are
    #[arg(long)]
    ignore_daemonsets: bool,
    /// Also pods with an emptyDir, whose data goes with them
    #[arg(long)]
    delete_emptydir_data: bool,
    /// Also pods that nobody makes again
    #[arg(long)]
    force: bool,
    /// Seconds each pod is given to end [default: its own]
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = -1,
        allow_negative_numbers = true
    )]
    grace_period: i64,
    /// How long it may take (0: for as long as it takes)
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "0s")]
    timeout: Duration,
    /// Delete pods, whatever budgets say
    #[arg(long)]
    disable_eviction: bool,
    /// Wait for no pod that should have been gone for longer than this (0: for all)
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    skip_wait_for_delete_timeout: i64,
    /// How many pods are asked for at once (0: all)
    #[arg(long, value_name = "COUNT", default_value_t = 500)]
    chunk_size: u64,
    #[command(flatten)]
    connect: Connect,
}

impl Args {
    /// Drains nodes.
    pub async fn run(self, session: &Session) -> Outcome {
        let api = Api::open(&self.connect, session)?;
        let nodes = self.nodes.chosen(&api, "drain").await?;
        for (target, node) in &nodes {
            self.nodes.mark(&api, target, node, true).await?;
        }
        let mut failed: Vec<(String, Vec<CliError>)> = Vec::new();
        for (target, _) in &nodes {
            let name = target.name.clone().unwrap_or_default();
            let errors = match self.empty(&api, &name).await {
                Ok(errors) => errors,
                Err(error) => vec![error],
            };
            if !errors.is_empty() {
                let all: Vec<&str> = errors.iter().map(CliError::message).collect();
                let why = match &all[..] {
                    [one] => (*one).to_owned(),
                    all => format!("[{}]", all.join(", ")),
                };
                api.printer.talk(&format!(
                    "error: unable to drain node {name:?} due to error: {why}, continuing command..."
                ));
                failed.push((name, errors));
                continue;
            }
            let tried = match self.nodes.dry_run {
                DryRun::None => "",
                DryRun::Client => " (dry run)",
                DryRun::Server => " (server dry run)",
            };
            api.printer
                .line(&format!("{} drained{tried}", target.label()))?;
        }
        if failed.is_empty() {
            return Ok(0);
        }
        api.printer.talk("There are pending nodes to be drained:");
        for (name, _) in &failed {
            api.printer.talk(&format!(" {name}"));
        }
        for error in failed.iter().flat_map(|(_, errors)| errors) {
            api.printer.error(error);
        }
        Ok(1)
    }

    /// Lets a node's pods leave it; what was in the way.
    async fn empty(&self, api: &Api, node: &str) -> Result<Vec<CliError>, CliError> {
        let chosen = self.look(api, node).await?;
        if !chosen.refused.is_empty() {
            let all = chosen.refused.into_iter();
            return Ok(all.map(CliError::new).collect());
        }
        if !chosen.warnings.is_empty() {
            let all = chosen.warnings.join("; ");
            api.printer.talk(&format!("Warning: {all}"));
        }
        if self.nodes.dry_run == DryRun::Client {
            for pod in &chosen.pods {
                let (namespace, name) = pods::names(pod);
                let line = format!("evicting pod {namespace}/{name} (dry run)");
                api.printer.line(&line)?;
            }
            return Ok(Vec::new());
        }
        let errors = leave::all(self, api, &chosen.pods).await?;
        if !errors.is_empty() {
            let left = self.look(api, node).await?.pods;
            if !left.is_empty() {
                let all: Vec<&str> = errors.iter().map(CliError::message).collect();
                let why = all.join(", ");
                api.printer.talk(&format!(
                    "There are pending pods in node {node:?} when an error occurred: {why}"
                ));
                for pod in &left {
                    api.printer.talk(&format!("pod/{}", pods::names(pod).1));
                }
            }
        }
        Ok(errors)
    }

    /// What is on a node now.
    async fn look(&self, api: &Api, node: &str) -> Result<Chosen, CliError> {
        let target = Target {
            kind: api.kind("pods").await?.clone(),
            namespace: None,
            name: None,
        };
        let request = target
            .get()
            .query("fieldSelector", &format!("spec.nodeName={node}"));
        let request = match self.pod_selector.as_str() {
            "" => request,
            selector => request.query("labelSelector", selector),
        };
        let list = pages(request, self.chunk_size, async |page| api.ask(page).await);
        let list = list.await?;
        let mut chosen = Chosen::default();
        let all: Vec<&Value> = items(&list);
        for pod in all {
            let fate = pods::fate(self, api, pod).await?;
            chosen.take(pod, fate);
        }
        Ok(chosen)
    }
}
