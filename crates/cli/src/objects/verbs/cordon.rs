//! `weft cordon` and `weft uncordon`: whether pods may come to a node.

use serde_json::{Value, json};
use weft_client::{Method, Request};

use crate::error::CliError;
use crate::objects::choose::{PAGE, Target, pages};
use crate::objects::connect::{Api, Connect};
use crate::objects::form::items;
use crate::objects::write::{DryRun, Tally};
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// `weft cordon`
pub const CORDON: Entry = verb!(
    "cordon",
    Cordon,
    "Let no more pods come to nodes: weft cordon NODE"
);
/// `weft uncordon`
pub const UNCORDON: Entry = verb!(
    "uncordon",
    Uncordon,
    "Let pods come to nodes again: weft uncordon NODE"
);

/// Which nodes, and whether it is done.
#[derive(Debug, clap::Args)]
pub(super) struct Nodes {
    /// Names of nodes
    #[arg(value_name = "NODE")]
    words: Vec<String>,
    /// Only nodes with these labels: k=v, k!=v, k, !k, k in (v,w), with commas between them
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<String>,
    /// Only try it: client sends nothing, server has the server try it
    #[arg(long, value_name = "WHERE", value_enum, default_value = "none", num_args = 0..=1, require_equals = true, default_missing_value = "client")]
    pub(super) dry_run: DryRun,
}

/// Flags of `cordon`.
#[derive(Debug, clap::Args)]
pub struct Cordon {
    #[command(flatten)]
    nodes: Nodes,
    #[command(flatten)]
    connect: Connect,
}

/// Flags of `uncordon`.
#[derive(Debug, clap::Args)]
pub struct Uncordon {
    #[command(flatten)]
    nodes: Nodes,
    #[command(flatten)]
    connect: Connect,
}

impl Cordon {
    /// Closes nodes.
    pub async fn run(self, session: &Session) -> Outcome {
        let api = Api::open(&self.connect, session)?;
        self.nodes.mark_all(&api, true).await
    }
}

impl Uncordon {
    /// Opens nodes.
    pub async fn run(self, session: &Session) -> Outcome {
        let api = Api::open(&self.connect, session)?;
        self.nodes.mark_all(&api, false).await
    }
}

impl Nodes {
    async fn mark_all(&self, api: &Api, is_closed: bool) -> Outcome {
        let word = if is_closed { "cordon" } else { "uncordon" };
        let mut tally = Tally::new(api.printer);
        for (target, node) in self.chosen(api, word).await? {
            if let Err(error) = self.mark(api, &target, &node, is_closed).await {
                tally.failed(error);
            }
        }
        Ok(tally.code())
    }

    /// The nodes that are meant.
    pub(super) async fn chosen(
        &self,
        api: &Api,
        verb: &str,
    ) -> Result<Vec<(Target, Value)>, CliError> {
        if self.words.is_empty() && self.selector.is_none() {
            return Err(CliError::usage(format!("USAGE: {verb} NODE [flags]")));
        }
        if !self.words.is_empty() && self.selector.is_some() {
            return Err(CliError::usage(
                "cannot specify both a node name and a --selector option",
            ));
        }
        let mut target = Target {
            kind: api.kind("nodes").await?.clone(),
            namespace: None,
            name: None,
        };
        let mut chosen = Vec::new();
        for word in &self.words {
            let name = match word.split_once('/') {
                None => word,
                Some(("node" | "nodes" | "no", name)) => name,
                Some(_) => return Err(CliError::usage(format!("{word:?} is no node"))),
            };
            target.name = Some(name.to_owned());
            chosen.push((target.clone(), api.ask(&target.get()).await?.json()?));
        }
        if let Some(selector) = &self.selector {
            let request = target.get().query("labelSelector", selector);
            let found = pages(request, PAGE, async |page| api.ask(page).await).await?;
            for node in items(&found) {
                chosen.push((Target::of(&target.kind, node), node.clone()));
            }
        }
        Ok(chosen)
    }

    /// Closes or opens a node, and says so.
    pub(super) async fn mark(
        &self,
        api: &Api,
        target: &Target,
        node: &Value,
        is_closed: bool,
    ) -> Result<(), CliError> {
        let word = if is_closed { "cordon" } else { "uncordon" };
        let label = target.label();
        let tried = match self.dry_run {
            DryRun::None => "",
            DryRun::Client => " (dry run)",
            DryRun::Server => " (server dry run)",
        };
        if node["spec"]["unschedulable"].as_bool().unwrap_or(false) == is_closed {
            let line = format!("{label} already {word}ed{tried}");
            return api.printer.line(&line);
        }
        if self.dry_run != DryRun::Client {
            let value = if is_closed { true.into() } else { Value::Null };
            let patch = json!({ "spec": { "unschedulable": value } });
            let request =
                Request::new(Method::PATCH, format!("{word} {label}"), &target.path(None));
            let request = match self.dry_run {
                DryRun::Server => request.query("dryRun", "All"),
                _ => request,
            };
            let request = request.body("application/merge-patch+json", patch.to_string());
            api.send(&request).await?;
        }
        api.printer.line(&format!("{label} {word}ed{tried}"))
    }
}
