//! `weft create`, and the creation that `run` begins with.

use std::io::Write as _;

use clap::Args as _;
use weft_api::docker::ContainerCreateRequest;
use weft_client::ClientError;

use super::pull::pull;
use crate::error::{CliError, EXIT_ENGINE};
use crate::flags::ContainerFlags;
use crate::flags::lifecycle::Pull;
use crate::flags::words::in_flags;
use crate::render::progress::Show;
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = Entry {
    quick: Some(|command, words| ContainerFlags::define(Own::augment_args(command), words)),
    ..verb!("create", Args, "Create a container")
};

/// Flags of `create`.
#[derive(Debug, clap::Args)]
#[command(
    override_usage = "weft create [OPTIONS] IMAGE [COMMAND] [ARG]...",
    after_help = "Objects of a server: `weft create -f FILE` and `weft create TYPE NAME`, with TYPE namespace, configmap, \
                  secret, serviceaccount, token, role, clusterrole, rolebinding, clusterrolebinding, deployment, job, cronjob, \
                  service, ingress, quota, poddisruptionbudget or priorityclass, or a short name of one of these (ns, cm, svc, \
                  ing, ...). An image of such a name is meant by `weft container create`."
)]
pub struct Args {
    #[command(flatten)]
    flags: ContainerFlags,
    #[command(flatten)]
    own: Own,
}

/// Flags that do not describe the container.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
struct Own {
    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
}

impl Args {
    /// Creates the container and prints its id.
    pub async fn run(self, session: &Session) -> Outcome {
        let body = self.flags.lower(false)?;
        let id = create(session, &self.flags, &body)
            .await
            .map_err(super::run::engine_failure)?;
        if !session.is_explaining() {
            session.printer.line(&id)?;
        }
        Ok(0)
    }
}

/// Creates a container, pulling its image when asked to or when it is missing.
pub async fn create(
    session: &Session,
    flags: &ContainerFlags,
    body: &ContainerCreateRequest,
) -> Result<String, CliError> {
    let Some(path) = &flags.lifecycle.cidfile else {
        return made(session, flags, body).await;
    };
    if session.is_explaining() {
        return made(session, flags, body).await;
    }
    let mut file = new_file(path)?;
    let id = made(session, flags, body).await;
    match &id {
        Ok(id) => file.write_all(id.as_bytes()).map_err(|error| {
            CliError::because(format!("write the id to {}", path.display()), &error)
        })?,
        Err(_) => drop(std::fs::remove_file(path)),
    }
    id
}

async fn made(
    session: &Session,
    flags: &ContainerFlags,
    body: &ContainerCreateRequest,
) -> Result<String, CliError> {
    let lifecycle = &flags.lifecycle;
    let engine = session.engine().await?;
    let show = if lifecycle.quiet {
        Show::Nothing
    } else {
        Show::Progress
    };
    let platform = lifecycle.platform.as_deref();
    if lifecycle.pull == Pull::Always {
        pull(session, &body.image, platform, show).await?;
    }
    let name = lifecycle.name.as_deref().filter(|name| !name.is_empty());
    let created = match engine.create_container(name, platform, body).await {
        Err(error) if lifecycle.pull == Pull::Missing && lacks_image(&error) => {
            if !lifecycle.quiet {
                session
                    .printer
                    .talk(&format!("Unable to find image '{}' locally", body.image));
            }
            pull(session, &body.image, platform, show).await?;
            engine.create_container(name, platform, body).await
        }
        outcome => outcome,
    };
    match created {
        Ok(created) => {
            for warning in &created.warnings {
                session.printer.talk(&format!("warning: {warning}"));
            }
            Ok(created.id)
        }
        // What follows can still be printed, for the id that a shell would fill in.
        Err(ClientError::NotSent) => Ok("$ID".to_owned()),
        Err(error) => Err(in_flags(error).into()),
    }
}

/// Whether creation failed for want of the image (rather than a network or volume).
fn lacks_image(error: &ClientError) -> bool {
    matches!(error, ClientError::Refused { status: 404, message, .. }
        if message.to_lowercase().contains("no such image"))
}

fn new_file(path: &std::path::Path) -> Result<std::fs::File, CliError> {
    std::fs::File::create_new(path).map_err(|error| {
        let error = CliError::because(
            format!("create the container id file {}", path.display()),
            &error,
        );
        error
            .exit(EXIT_ENGINE)
            .hint("remove the file if the container it names is gone")
    })
}
