//! `weft create -f`, and objects of common kinds made from flags.

mod generate;
mod roles;
mod workloads;

use serde_json::Value;
use weft_client::Request;

use crate::error::CliError;
use crate::objects::connect::{Api, Connect};
use crate::objects::manifest::{self, Manifest, Sources};
use crate::objects::refusal::during;
use crate::objects::verbs::wait;
use crate::objects::write::{Change, DryRun, Tally, Validation};
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
    generate::TOKEN,
    roles::ROLE,
    roles::CLUSTER_ROLE,
    roles::ROLE_BINDING,
    roles::CLUSTER_ROLE_BINDING,
    workloads::DEPLOYMENT,
    workloads::JOB,
    workloads::CRON_JOB,
    workloads::SERVICE,
];

/// Flags of `create -f`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    sources: Sources,
    /// Wait until what was made is ready
    #[arg(long)]
    wait: bool,
    /// How long to wait at most (0: look once)
    #[arg(long, value_name = "TIME", value_parser = crate::objects::connect::duration, default_value = "5m", requires = "wait")]
    timeout: std::time::Duration,
    #[command(flatten)]
    validation: Validation,
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
    change: Change,
    #[command(flatten)]
    connect: Connect,
}

impl Args {
    /// Makes each object.
    pub async fn run(self, session: &Session) -> Outcome {
        self.sources.required()?;
        self.made.change.form()?;
        let api = Api::open(&self.made.connect, session)?;
        let mut tally = Tally::new(api.printer);
        let mut made = Vec::new();
        for manifest in manifest::read(&self.sources).await? {
            let context = format!("error when creating {:?}", manifest.place);
            match self
                .made
                .make(&api, manifest, Some(&self.validation), &context)
                .await
            {
                Ok(object) => made.push(object),
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
            let object = self.noted(manifest.object, self.connect.namespace.as_deref());
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
        self.make(&api, manifest, None, &context).await?;
        Ok(0)
    }

    fn noted(&self, mut object: Value, namespace: Option<&str>) -> Value {
        if let Some(namespace) = namespace {
            object["metadata"]["namespace"] = namespace.into();
        }
        if self.save_config {
            let text = format!("{object}\n");
            object["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] =
                text.into();
        }
        object
    }

    async fn make(
        &self,
        api: &Api,
        manifest: Manifest,
        validation: Option<&Validation>,
        context: &str,
    ) -> Result<Value, CliError> {
        let mut target = manifest.target(api).await?;
        let object = self.noted(manifest.object, target.namespace.as_deref());
        if self.change.dry_run == DryRun::Client {
            self.change.tell(api.printer, &object, "created")?;
            return Ok(object);
        }
        target.name = None;
        let request = Request::post(format!("create {}", target.label()), &target.path(None));
        let request = self.change.on(request);
        let request = match validation {
            Some(validation) => validation.on(request),
            None => request.query("fieldValidation", "Strict"),
        };
        let answer = api
            .send(&request.json(&object))
            .await
            .map_err(|error| during(error, context))?;
        let object = answer.json()?;
        self.change.tell(api.printer, &object, "created")?;
        Ok(object)
    }
}
