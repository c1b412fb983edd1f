//! `weft kill`

use super::each::each;
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = verb!("kill", Args, "Send a signal to running containers");

/// Flags of `kill`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Signal to send
    #[arg(short, long, default_value = "KILL")]
    signal: String,
    /// Containers to signal
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

impl Args {
    /// Signals the containers.
    pub async fn run(self, session: &Session) -> Outcome {
        let engine = session.engine().await?;
        each(session, &self.containers, async |name| {
            Ok(engine.kill_container(name, &self.signal).await?)
        })
        .await
    }
}
