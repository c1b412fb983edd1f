//! `weft diff -f`: what `apply` would change, tried by the server and shown by `diff`.

use std::process::Command;

use futures_util::{StreamExt as _, stream};
use serde_json::Value;
use weft_client::Request;
use weft_stdx::yaml;

use super::apply::prune::{Choice, is_meant};
use crate::error::CliError;
use crate::objects::choose::Target;
use crate::objects::connect::{Api, Connect};
use crate::objects::form::without_managers;
use crate::objects::manifest::{self, Manifest, Sources};
use crate::objects::write::{ServerSide, applied, present};
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// The command, as far as it is about objects.
pub const VERB: Entry = verb!(
    "diff",
    Args,
    "Show what apply would change: weft diff -f FILE"
);

/// Flags of `diff`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    sources: Sources,
    /// Take fields from others who manage them
    #[arg(long)]
    force_conflicts: bool,
    #[command(flatten)]
    server_side: ServerSide,
    #[command(flatten)]
    prune: Choice,
    /// Who is to have changed these fields
    #[arg(long, value_name = "NAME", default_value = "weft")]
    field_manager: String,
    /// Who manages which field, too
    #[arg(long)]
    show_managed_fields: bool,
    /// How many objects are looked at at once
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    concurrency: u32,
    #[command(flatten)]
    connect: Connect,
}

impl Args {
    /// Shows differences: 0 without any, 1 with some, more when it failed.
    pub async fn run(self, session: &Session) -> Outcome {
        self.compare(session)
            .await
            .map_err(|error| match error.code() {
                1 => error.exit(2),
                _ => error,
            })
    }

    async fn compare(&self, session: &Session) -> Outcome {
        self.sources.required()?;
        self.server_side.checked()?;
        let api = Api::open(&self.connect, session)?;
        let parent = format!(
            "weft-diff-{}-{}",
            std::process::id(),
            weft_stdx::clock::unix_s()
        );
        let parent = std::env::temp_dir().join(parent);
        let because = |error: std::io::Error| {
            CliError::because(format!("write below {}", parent.display()), &error)
        };
        {
            use std::os::unix::fs::DirBuilderExt as _;
            // Objects may be secrets.
            std::fs::DirBuilder::new()
                .mode(0o700)
                .create(&parent)
                .map_err(because)?;
        }
        let outcome = self.between(&api, &parent).await;
        let _ = std::fs::remove_dir_all(&parent);
        outcome
    }

    async fn between(&self, api: &Api, parent: &std::path::Path) -> Outcome {
        let because = |error: std::io::Error| {
            CliError::because(format!("write below {}", parent.display()), &error)
        };
        let sides = ["LIVE", "MERGED"].map(|name| parent.join(name));
        for side in &sides {
            std::fs::create_dir(side).map_err(because)?;
        }
        let selector = self.prune.labels()?;
        let mut manifests = manifest::read(&self.sources).await?;
        manifests.retain(|manifest| is_meant(&selector, &manifest.object));
        let tried = stream::iter(&manifests).map(|manifest| self.tried(api, manifest));
        let mut tried = tried.buffered(self.concurrency as usize);
        let mut kept = Vec::new();
        while let Some(one) = tried.next().await {
            let (target, live, merged) = one?;
            let file = file_name(&target);
            if let Some(live) = live {
                let text = yaml::document(&self.shown(live));
                std::fs::write(sides[0].join(&file), text).map_err(because)?;
            }
            let text = yaml::document(&self.shown(merged));
            std::fs::write(sides[1].join(&file), text).map_err(because)?;
            kept.push(target);
        }
        for (target, object) in self.prune.found(api, &kept, &self.field_manager).await? {
            let text = yaml::document(&self.shown(object));
            std::fs::write(sides[0].join(file_name(&target)), text).map_err(because)?;
        }
        let mut command = program();
        let ended = command.args(&sides).status();
        let ended = ended.map_err(|error| CliError::because("start `diff`", &error).exit(2))?;
        Ok(ended
            .code()
            .and_then(|code| u8::try_from(code).ok())
            .unwrap_or(2))
    }
}

impl Args {
    /// What is there of an object, and what applying it would make of it.
    async fn tried(
        &self,
        api: &Api,
        manifest: &Manifest,
    ) -> Result<(Target, Option<Value>, Value), CliError> {
        let target = manifest.target(api).await?;
        if target.name.is_none() {
            return Err(CliError::new(format!(
                "diff {:?}: metadata.name is missing",
                manifest.place
            )));
        }
        let live = present(api, &target).await?;
        let with = |request: Request| {
            let request = request.query("fieldManager", &self.field_manager);
            request.query("dryRun", "All")
        };
        let merged = applied(api, &target, None, manifest, self.force_conflicts, with).await;
        let merged = merged.map_err(|error| manifest.while_trying("applying", error))?;
        Ok((target, live, merged))
    }

    fn shown(&self, object: Value) -> Value {
        match self.show_managed_fields {
            true => object,
            false => without_managers(object),
        }
    }
}

/// The file of an object. Names of kinds and objects hold no slash: the server took them.
fn file_name(target: &Target) -> String {
    let kind = &target.kind;
    let (namespace, name) = (target.namespace.as_deref(), target.name.as_deref());
    let version = kind.api_version().replace('/', ".");
    format!(
        "{version}.{}.{}.{}",
        kind.kind,
        namespace.unwrap_or_default(),
        name.unwrap_or_default()
    )
    .replace('/', "_")
}

/// `diff`, or what $KUBECTL_EXTERNAL_DIFF names.
fn program() -> Command {
    let other = std::env::var("KUBECTL_EXTERNAL_DIFF").unwrap_or_default();
    let mut words = other.split_whitespace();
    match words.next() {
        Some(program) => {
            let mut command = Command::new(program);
            command.args(words);
            command
        }
        None => {
            let mut command = Command::new("diff");
            command.args(["-u", "-N"]);
            command
        }
    }
}
