//! `weft pause` and `weft unpause`

use super::each::each;
use crate::session::Session;
use crate::tree::Outcome;

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
