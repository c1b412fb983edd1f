//! `weft start`

use weft_client::{Attach, WaitCondition};

use super::attach::{Stage, detach_keys, stay};
use super::each::each;
use crate::error::CliError;
use crate::session::Session;
use crate::terminal::pump::Streams;
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = verb!("start", Args, "Start stopped containers");

/// Flags of `start`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Attach stdout and stderr, and pass signals on
    #[arg(short, long)]
    attach: bool,
    /// Attach stdin
    #[arg(short, long)]
    interactive: bool,
    /// Keys that leave the container running
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// Containers to start
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

impl Args {
    /// Starts the containers.
    pub async fn run(self, session: &Session) -> Outcome {
        if self.attach || self.interactive {
            return self.attached(session).await;
        }
        let engine = session.engine().await?;
        each(session, &self.containers, async |name| {
            Ok(engine.start_container(name, None).await?)
        })
        .await
    }

    async fn attached(&self, session: &Session) -> Outcome {
        let [name] = self.containers.as_slice() else {
            return Err(CliError::usage(
                "you cannot start and attach multiple containers at once",
            ));
        };
        let keys = detach_keys(self.detach_keys.as_deref(), session)?;
        let engine = session.engine().await?;
        let inspect = engine.inspect_container(name).await?;
        let tty = inspect.config.tty;
        let stdin = self.interactive && inspect.config.open_stdin;
        let attach = Attach {
            stdin,
            stdout: true,
            stderr: true,
            logs: false,
            detach_keys: self.detach_keys.clone(),
        };
        let condition = if inspect.host_config.auto_remove {
            WaitCondition::Removed
        } else {
            WaitCondition::NextExit
        };
        let id = inspect.id.as_str();
        let (duplex, mut waiting) = tokio::try_join!(
            engine.attach_container(id, &attach),
            engine.wait_stream(id, condition),
        )?;
        let stage = Stage::enter(tty, stdin, true)?;
        if let Err(error) = engine.start_container(id, None).await {
            drop(stage);
            return Err(super::run::start_failure(error.into()));
        }
        let streams = Streams {
            stdin,
            tty,
            detach_keys: (tty && stdin).then_some(keys),
        };
        let exit = async { super::run::exit_code(&waiting.json().await?) };
        let (_, code) = stay(engine, id, duplex, streams, stage, exit).await?;
        Ok(code)
    }
}
