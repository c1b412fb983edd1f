//! `weft rename`

use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = verb!("rename", Args, "Give a container another name");

/// Flags of `rename`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Container to rename
    container: String,
    /// Its new name
    new_name: String,
}

impl Args {
    /// Renames the container.
    pub async fn run(self, session: &Session) -> Outcome {
        let engine = session.engine().await?;
        engine
            .rename_container(&self.container, &self.new_name)
            .await?;
        Ok(0)
    }
}
