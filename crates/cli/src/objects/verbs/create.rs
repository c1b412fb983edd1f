//! `weft create -f`, and objects of common kinds made from flags.

mod bindings;
mod bounds;
mod generate;
mod ingress;
mod roles;
mod sources;
mod token;
mod traffic;
mod values;
mod workloads;

use serde_json::Value;
use weft_client::{Method, Request};
use weft_stdx::selector::Labels;

use super::apply::prune::is_meant;
use crate::error::CliError;
use crate::objects::connect::{Api, Connect};
use crate::objects::editor::Editor;
use crate::objects::manifest::{self, Dialect, Manifest, Sources};
use crate::objects::raw;
use crate::objects::refusal::during;
use crate::objects::verbs::wait;
use crate::objects::write::{Change, DryRun, Tally, Validation, noted};
use crate::session::Session;
use crate::tree::{Entry, Outcome, noun, verb};

/// `weft create -f`
pub const FILES: Entry = verb!(
    "create",
    Args,
    "Make objects of a server: weft create -f FILE"
);

/// `weft create TYPE NAME`
pub const KINDS: Entry = noun!(
    "create",
    GENERATORS,
    "Make an object of a server from flags"
);

/// Kinds that can be made from flags.
pub const GENERATORS: &[Entry] = &[
    generate::NAMESPACE,
    generate::CONFIG_MAP,
    generate::SECRET,
    generate::SERVICE_ACCOUNT,
    token::TOKEN,
    roles::ROLE,
    roles::CLUSTER_ROLE,
    bindings::ROLE_BINDING,
    bindings::CLUSTER_ROLE_BINDING,
    workloads::DEPLOYMENT,
    workloads::JOB,
    workloads::CRON_JOB,
    traffic::SERVICE,
    traffic::INGRESS,
    bounds::QUOTA,
    bounds::DISRUPTION_BUDGET,
    bounds::PRIORITY_CLASS,
];

/// Those of them that are in no namespace: no server is asked when nothing is sent to one.
const EVERYWHERE: [&str; 4] = [
    "ClusterRole",
    "ClusterRoleBinding",
    "Namespace",
    "PriorityClass",
];

/// Flags of `create -f`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    sources: Sources,
    /// Only what has these labels: k=v, k!=v, k, !k, k in (v,w), with commas between them
    #[arg(short = 'l', long, value_name = "LABELS")]
    selector: Option<String>,
    /// Change each object in an editor before it is made
    #[arg(long)]
    edit: bool,
    /// In the editor, lines end as on Windows
    #[arg(long, requires = "edit")]
    windows_line_endings: bool,
    /// Send the one file to this path of the server, and show the answer as it is
    #[arg(long, value_name = "PATH", conflicts_with_all = ["edit", "kustomize", "recursive", "selector", "save_config", "wait", "dry_run", "output"])]
    raw: Option<String>,
    /// Wait until what was made is ready
    #[arg(long)]
    wait: bool,
    /// How long to wait at most (0: look once)
    #[arg(long, value_name = "TIME", value_parser = crate::objects::connect::duration, default_value = "5m", requires = "wait")]
    timeout: std::time::Duration,
    #[command(flatten)]
    made: Making,
}

/// Flags of everything that is made.
#[derive(Debug, clap::Args)]
pub struct Making {
    /// Note the object in it, as client-side apply does
    #[arg(long)]
    save_config: bool,
    #[command(flatten)]
    validation: Validation,
    #[command(flatten)]
    change: Change,
    #[command(flatten)]
    connect: Connect,
}

impl Args {
    /// Makes each object.
    pub async fn run(self, session: &Session) -> Outcome {
        self.sources.required()?;
        self.made.change.form()?;
        let selector = Labels::parse(self.selector.as_deref().unwrap_or_default());
        let selector = selector.map_err(|why| CliError::usage(format!("--selector: {why}")))?;
        let api = Api::open(&self.made.connect, session)?;
        if let Some(path) = &self.raw {
            let [file] = &self.sources.filename[..] else {
                return Err(CliError::usage(
                    "--raw can only use a single local file or stdin",
                ));
            };
            let body = manifest::bytes(file)?;
            return raw::send(&api, Method::POST, path, Some(body)).await;
        }
        let mut tally = Tally::new(api.printer);
        let mut made = Vec::new();
        for manifest in manifest::read(&self.sources).await? {
            if !is_meant(&selector, &manifest.object) {
                continue;
            }
            let object = match self.edit {
                true => self.edited(&api, manifest).await,
                false => self.made_of(&api, manifest).await.map(Some),
            };
            match object {
                Ok(object) => made.extend(object),
                Err(error) => tally.failed(error),
            }
        }
        if self.wait && self.made.change.dry_run == DryRun::None {
            for object in &made {
                if let Err(error) = wait::until_ready(&api, object, self.timeout).await {
                    tally.failed(error);
                }
            }
        }
        Ok(tally.code())
    }
}

impl Args {
    async fn made_of(&self, api: &Api, manifest: Manifest) -> Result<Value, CliError> {
        let context = format!("error when creating {:?}", manifest.place);
        self.made.make(api, manifest, &context).await
    }

    /// Makes what becomes of an object in an editor; nothing if nothing is changed.
    async fn edited(&self, api: &Api, manifest: Manifest) -> Result<Option<Value>, CliError> {
        let editor = Editor {
            is_json: self.made.change.output.as_deref() == Some("json"),
            has_returns: self.windows_line_endings,
        };
        let mut made = None;
        let save = async |body: &str| {
            let mut read = Vec::new();
            if let Err(error) =
                manifest::objects(&manifest.place, body, Dialect::Kubectl, &mut read)
            {
                return Ok(Some(error.message().to_owned()));
            }
            let Some(edited) = read.pop().filter(|_| read.is_empty()) else {
                return Ok(Some("it is not one object".to_owned()));
            };
            match self.made_of(api, edited).await {
                Ok(object) => made = Some(object),
                Err(error) if error.code() == 0 => return Err(error),
                // Whatever the reason, here is where it can be changed.
                Err(error) => return Ok(Some(error.message().to_owned())),
            }
            Ok(None)
        };
        let original = editor.text(&manifest.object);
        editor.edit(api.printer, &original, save).await?;
        Ok(made)
    }
}

impl Making {
    /// Makes an object that flags described.
    pub async fn run(&self, session: &Session, object: Value) -> Outcome {
        self.change.form()?;
        let manifest = Manifest {
            place: String::new(),
            object,
        };
        if self.change.dry_run == DryRun::Client {
            // No server is needed to see what would be sent to it.
            let is_everywhere = |kind: &&str| manifest.object["kind"] == **kind;
            let is_placed = !EVERYWHERE.iter().any(is_everywhere);
            let namespace = self.connect.namespace.as_deref().filter(|_| is_placed);
            let object = self.noted(manifest.object, namespace);
            self.change.tell(session.printer, &object, "created")?;
            return Ok(0);
        }
        let api = Api::open(&self.connect, session)?;
        let context = format!(
            "failed to create {}",
            manifest.object["kind"]
                .as_str()
                .unwrap_or_default()
                .to_lowercase()
        );
        self.make(&api, manifest, &context).await?;
        Ok(0)
    }

    fn noted(&self, mut object: Value, namespace: Option<&str>) -> Value {
        if let Some(namespace) = namespace {
            object["metadata"]["namespace"] = namespace.into();
        }
        if self.save_config {
            noted(&mut object);
        }
        object
    }

    async fn make(&self, api: &Api, manifest: Manifest, context: &str) -> Result<Value, CliError> {
        let mut target = manifest.target(api).await?;
        let object = self.noted(manifest.object, target.namespace.as_deref());
        if self.change.dry_run == DryRun::Client {
            self.change.tell(api.printer, &object, "created")?;
            return Ok(object);
        }
        target.name = None;
        let request = Request::post(format!("create {}", target.label()), &target.path(None));
        let request = self.validation.on(self.change.on(request));
        let answer = api
            .send(&request.json(&object))
            .await
            .map_err(|error| during(error, context))?;
        let object = answer.json()?;
        self.change.tell(api.printer, &object, "created")?;
        Ok(object)
    }
}

/// A flag without which there is nothing to make.
fn required<T>(flag: &str, value: Option<T>) -> Result<T, CliError> {
    value.ok_or_else(|| CliError::new(format!("required flag(s) {flag:?} not set")))
}
