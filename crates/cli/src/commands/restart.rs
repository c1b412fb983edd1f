//! `weft restart`

use super::each::each;
use super::stop::GraceFlags;
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = verb!("restart", Args, "Restart containers");

/// Flags of `restart`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    grace: GraceFlags,
    /// Containers to restart
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

impl Args {
    /// Stops and starts the containers.
    pub async fn run(self, session: &Session) -> Outcome {
        let engine = session.engine().await?;
        let signal = self.grace.signal.as_deref();
        each(session, &self.containers, async |name| {
            Ok(engine
                .restart_container(name, signal, self.grace.timeout)
                .await?)
        })
        .await
    }
}
