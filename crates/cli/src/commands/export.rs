//! `weft export`

use super::save::Destination;
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = verb!(
    "export",
    Args,
    "Write a container's root filesystem to a tar archive"
);

/// Flags of `export`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    to: Destination,
    /// Container to export
    container: String,
}

impl Args {
    /// Writes the root filesystem as a tar archive.
    pub async fn run(self, session: &Session) -> Outcome {
        self.to.check(session, "export")?;
        let engine = session.engine().await?;
        let archive = engine.export_container(&self.container).await?;
        self.to.take(archive).await?;
        Ok(0)
    }
}
