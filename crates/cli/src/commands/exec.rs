//! `weft exec`

use std::path::PathBuf;

use weft_api::docker::{ExecConfig, ExecStartConfig};
use weft_client::{Client, ClientError};

use super::attach::{Stage, detach_keys, follow_size, until_signal};
use crate::error::{CliError, EXIT_ENGINE, EXIT_FAILED};
use crate::flags::process::{environment, variable};
use crate::session::Session;
use crate::terminal::pump::{Ended, Streams, pump};
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = verb!(
    "exec",
    Args,
    "Run a command in a running container, or in a pod: weft exec pod/NAME -- COMMAND"
);

/// Flags of `exec`.
#[derive(Debug, clap::Args)]
#[command(override_usage = "weft exec [OPTIONS] CONTAINER COMMAND [ARG]...")]
pub struct Args {
    /// Run in the background
    #[arg(short, long)]
    detach: bool,
    /// Keys that leave the command running
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// Set an environment variable
    #[arg(short, long, value_name = "KEY[=VALUE]", value_parser = variable)]
    env: Vec<String>,
    /// Read environment variables from a file
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Keep stdin open even if not attached
    #[arg(short, long)]
    interactive: bool,
    /// Give the command all capabilities
    #[arg(long)]
    privileged: bool,
    /// Allocate a terminal
    #[arg(short, long)]
    tty: bool,
    /// User or uid, with an optional group or gid
    #[arg(
        short,
        long,
        value_name = "USER[:GROUP]",
        default_value = "",
        hide_default_value = true
    )]
    user: String,
    /// Working directory inside the container
    #[arg(
        short,
        long,
        value_name = "DIR",
        default_value = "",
        hide_default_value = true
    )]
    workdir: String,
    /// Container to run in, and the command to run
    #[arg(value_names = ["CONTAINER", "COMMAND"], required = true, num_args = 2.., trailing_var_arg = true)]
    container_and_command: Vec<String>,
}

impl Args {
    /// Runs the command; its exit code is ours.
    pub async fn run(self, session: &Session) -> Outcome {
        let (container, command) = self
            .container_and_command
            .split_first()
            .expect("clap demands a container");
        let keys = detach_keys(self.detach_keys.as_deref(), session)?;
        self.check_terminal()?;
        let body = self.lower(command)?;
        let engine = session.engine().await?;
        let id = match engine.create_exec(container, &body).await {
            Ok(created) => created.id,
            Err(ClientError::NotSent) => "$ID".to_owned(),
            Err(error) => return Err(error.into()),
        };
        let start = ExecStartConfig {
            detach: self.detach,
            tty: self.tty,
            console_size: body.console_size,
            ..ExecStartConfig::default()
        };
        if self.detach {
            let started = engine.start_exec_detached(&id, &start).await;
            return started
                .map(|()| 0)
                .map_err(|error| super::run::start_failure(error.into()));
        }
        let streams = Streams {
            stdin: body.attach_stdin,
            tty: self.tty,
            detach_keys: (self.tty && body.attach_stdin).then_some(keys),
        };
        if stay(engine, &id, &start, streams).await? == Ended::Detached {
            return Ok(0);
        }
        match engine.inspect_exec(&id).await?.exit_code {
            Some(code) => Ok(u8::try_from(code & 0xff).unwrap_or(EXIT_FAILED)),
            None => Err(CliError::new(format!(
                "exec in container {container}: the engine closed the stream while the command runs"
            ))
            .exit(EXIT_ENGINE)),
        }
    }

    /// A terminal asked for needs one here to type into.
    fn check_terminal(&self) -> Result<(), CliError> {
        use std::io::IsTerminal as _;
        let needed = self.tty && self.interactive && !self.detach;
        if needed && !std::io::stdin().is_terminal() {
            return Err(CliError::new("the input device is not a TTY")
                .hint("leave out -t where there is no terminal to type into"));
        }
        Ok(())
    }

    fn lower(&self, command: &[String]) -> Result<ExecConfig, CliError> {
        let console_size = match crate::terminal::raw::size() {
            Some((rows, columns)) if self.tty => Some([rows, columns]),
            _ => None,
        };
        Ok(ExecConfig {
            attach_stdin: self.interactive && !self.detach,
            attach_stdout: !self.detach,
            attach_stderr: !self.detach,
            detach_keys: self.detach_keys.clone().unwrap_or_default(),
            tty: self.tty,
            console_size,
            env: environment(&self.env_file, &self.env)?,
            cmd: command.to_vec(),
            privileged: self.privileged,
            user: self.user.clone(),
            working_dir: self.workdir.clone(),
            ..ExecConfig::default()
        })
    }
}

/// Starts the command and stays with its streams.
async fn stay(
    engine: &Client,
    id: &str,
    start: &ExecStartConfig,
    streams: Streams,
) -> Result<Ended, CliError> {
    let stage = Stage::enter(start.tty, streams.stdin, false)?;
    let duplex = engine
        .start_exec(id, start)
        .await
        .map_err(|error| super::run::start_failure(error.into()))?;
    let (resized, ending, raw) = stage.split();
    let ended = tokio::select! {
        ended = pump(duplex, streams) => ended,
        code = until_signal(ending) => Err(CliError::silent(code)),
        () = follow_size(resized, |rows, columns| engine.resize_exec(id, rows, columns)) => {
            unreachable!("the size is followed for ever")
        }
    };
    drop(raw);
    ended
}
