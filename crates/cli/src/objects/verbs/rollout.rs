//! `weft rollout`: how new templates take the place of old ones, and back.

mod history;
mod kept;
mod marks;
mod status;
mod undo;

use serde_json::Value;

use self::history::History;
use self::marks::{Pause, Restart, Resume};
use self::status::Status;
use self::undo::Undo;
use crate::error::CliError;
use crate::objects::choose::{Selectors, Target, each, targets};
use crate::objects::connect::Api;
use crate::objects::manifest::Sources;
use crate::tree::{Entry, noun, verb};

/// The noun.
pub const NOUN: Entry = noun!(
    "rollout",
    &[HISTORY, PAUSE, RESTART, RESUME, STATUS, UNDO],
    "See, halt, repeat and take back changes of workloads"
);

const HISTORY: Entry = verb!(
    "history",
    History,
    "Show the revisions there were: weft rollout history TYPE/NAME"
);
const PAUSE: Entry = verb!(
    "pause",
    Pause,
    "Begin nothing new: weft rollout pause deployment/NAME"
);
const RESTART: Entry = verb!(
    "restart",
    Restart,
    "Replace all pods by new ones of the same kind: weft rollout restart TYPE/NAME"
);
const RESUME: Entry = verb!(
    "resume",
    Resume,
    "Go on with what was paused: weft rollout resume deployment/NAME"
);
const STATUS: Entry = verb!(
    "status",
    Status,
    "Watch a change until it is done: weft rollout status TYPE/NAME"
);
const UNDO: Entry = verb!(
    "undo",
    Undo,
    "Go back to the revision before, or another: weft rollout undo TYPE/NAME"
);

/// Which objects are meant.
#[derive(Debug, clap::Args)]
struct Chosen {
    /// Kinds and names
    #[arg(value_name = "TYPE")]
    words: Vec<String>,
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    selectors: Selectors,
}

impl Chosen {
    async fn all(&self, api: &Api) -> Result<Vec<Target>, CliError> {
        if self.words.is_empty() && self.sources.is_empty() {
            return Err(CliError::usage("required resource not specified"));
        }
        let mut all = Vec::new();
        for target in targets(api, &self.words, &self.sources, false).await? {
            all.extend(each(api, target, &self.selectors).await?);
        }
        match all.is_empty() {
            true => Err(CliError::new("no resources found")),
            false => Ok(all),
        }
    }
}

/// What is rolled out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Workload {
    Deployment,
    DaemonSet,
    StatefulSet,
}

impl Workload {
    /// Nothing: its pods are not replaced by anybody.
    fn of(target: &Target) -> Option<Workload> {
        if target.kind.group != "apps" {
            return None;
        }
        match target.kind.kind.as_str() {
            "Deployment" => Some(Workload::Deployment),
            "DaemonSet" => Some(Workload::DaemonSet),
            "StatefulSet" => Some(Workload::StatefulSet),
            _ => None,
        }
    }

    /// The same, or that there is none for `what`.
    fn required(target: &Target, what: &str) -> Result<Workload, CliError> {
        let missing = || {
            let kind = &target.kind.kind;
            CliError::new(format!("{what} is not supported for {kind:?}"))
        };
        Workload::of(target).ok_or_else(missing)
    }
}

async fn read(api: &Api, target: &Target) -> Result<Value, CliError> {
    Ok(api.ask(&target.get()).await?.json()?)
}

fn is_paused(object: &Value) -> bool {
    object["spec"]["paused"] == true
}

fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

fn number(value: &Value) -> i64 {
    value.as_i64().unwrap_or(0)
}
