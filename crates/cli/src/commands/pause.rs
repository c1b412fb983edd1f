//! `weft pause` and `weft unpause`

use super::each::each;
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const PAUSE: Entry = verb!("pause", PauseArgs, "Freeze all processes of containers");

/// Flags of `pause`.
#[derive(Debug, clap::Args)]
pub struct PauseArgs {
    /// Containers to freeze
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

impl PauseArgs {
    /// Freezes the containers.
    pub async fn run(self, session: &Session) -> Outcome {
        let engine = session.engine().await?;
        each(session, &self.containers, async |name| {
            Ok(engine.pause_container(name).await?)
        })
        .await
    }
}

/// The command.
pub const UNPAUSE: Entry = verb!("unpause", UnpauseArgs, "Thaw all processes of containers");

/// Flags of `unpause`.
#[derive(Debug, clap::Args)]
pub struct UnpauseArgs {
    /// Containers to thaw
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

impl UnpauseArgs {
    /// Thaws the containers.
    pub async fn run(self, session: &Session) -> Outcome {
        let engine = session.engine().await?;
        each(session, &self.containers, async |name| {
            Ok(engine.unpause_container(name).await?)
        })
        .await
    }
}
