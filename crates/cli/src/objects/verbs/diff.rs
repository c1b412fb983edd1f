//! `weft diff -f`: what `apply` would change, tried by the server and shown by `diff`.

use std::process::Command;

use weft_client::Request;
use weft_stdx::yaml;

use crate::error::CliError;
use crate::objects::connect::{Api, Connect};
use crate::objects::form::without_managers;
use crate::objects::manifest::{self, Sources};
use crate::objects::write::{applied, present};
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
    /// kubectl's: weft always does
    #[arg(long, hide = true)]
    server_side: bool,
    /// Who is to have changed these fields
    #[arg(long, value_name = "NAME", default_value = "weft")]
    field_manager: String,
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
        for manifest in manifest::read(&self.sources).await? {
            let target = manifest.target(api).await?;
            let Some(name) = &target.name else {
                return Err(CliError::new(format!(
                    "diff {:?}: metadata.name is missing",
                    manifest.place
                )));
            };
            let live = present(api, &target).await?;
            let with = |request: Request| {
                let request = request.query("fieldManager", &self.field_manager);
                request.query("dryRun", "All")
            };
            let merged = applied(api, &target, &manifest, self.force_conflicts, with).await?;
            let namespace = target.namespace.as_deref().unwrap_or_default();
            let kind = &target.kind;
            // Names of kinds and objects hold no slash: the server took them.
            let file = format!(
                "{}.{}.{namespace}.{name}",
                kind.api_version().replace('/', "."),
                kind.kind
            )
            .replace('/', "_");
            if let Some(live) = live {
                let text = yaml::document(&without_managers(live));
                std::fs::write(sides[0].join(&file), text).map_err(because)?;
            }
            std::fs::write(
                sides[1].join(&file),
                yaml::document(&without_managers(merged)),
            )
            .map_err(because)?;
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
