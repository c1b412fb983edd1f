//! `weft stop`

use super::each::each;
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// How a container is stopped; `restart` has the same flags.
#[derive(Debug, clap::Args)]
pub struct GraceFlags {
    /// Signal to send instead of the container's own
    #[arg(short, long, value_name = "SIGNAL")]
    pub signal: Option<String>,
    /// Seconds to wait before killing; -1 for ever
    #[arg(
        short,
        long,
        visible_alias = "time",
        value_name = "SECONDS",
        allow_negative_numbers = true
    )]
    pub timeout: Option<i64>,
}

/// The command.
pub const VERB: Entry = verb!("stop", Args, "Stop running containers");

/// Flags of `stop`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    grace: GraceFlags,
    /// Containers to stop
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

impl Args {
    /// Stops the containers.
    pub async fn run(self, session: &Session) -> Outcome {
        let engine = session.engine().await?;
        let signal = self.grace.signal.as_deref();
        each(session, &self.containers, async |name| {
            Ok(engine
                .stop_container(name, signal, self.grace.timeout)
                .await?)
        })
        .await
    }
}
