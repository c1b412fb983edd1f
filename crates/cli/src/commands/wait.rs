//! `weft wait`

use weft_client::WaitCondition;

use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = verb!(
    "wait",
    Args,
    "Wait until containers stop, then print their exit codes"
);

/// Flags of `wait`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Objects of a server: `weft wait --for=CONDITION TYPE NAME`; `weft wait --for=delete --help` tells more."
)]
pub struct Args {
    /// Containers to wait for
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

impl Args {
    /// Waits for the containers, one after the other, and prints their exit codes.
    pub async fn run(self, session: &Session) -> Outcome {
        let engine = session.engine().await?;
        let mut code = 0;
        for name in &self.containers {
            match engine.wait_container(name, WaitCondition::NotRunning).await {
                Ok(answer) => session.printer.line(&answer.status_code.to_string())?,
                Err(error) => {
                    let error = error.into();
                    session.printer.error(&error);
                    code = error.code();
                }
            }
        }
        Ok(code)
    }
}
