//! `weft rm`

use weft_client::RemoveContainer;

use super::each::each;
use crate::error::CliError;
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = verb!("rm", Args, "Remove containers");

/// Flags of `rm`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Kill running containers first; what does not exist is no failure
    #[arg(short, long)]
    force: bool,
    /// Remove anonymous volumes too
    #[arg(short, long)]
    volumes: bool,
    /// Containers to remove
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

impl Args {
    /// Removes the containers.
    pub async fn run(self, session: &Session) -> Outcome {
        let engine = session.engine().await?;
        let how = RemoveContainer {
            force: self.force,
            volumes: self.volumes,
        };
        each(session, &self.containers, async |name| {
            match engine.remove_container(name, how).await {
                // Said, but not counted: the wish is fulfilled.
                Err(error) if self.force && error.is_not_found() => {
                    Err(CliError::from(error).exit(0))
                }
                removed => Ok(removed?),
            }
        })
        .await
    }
}
