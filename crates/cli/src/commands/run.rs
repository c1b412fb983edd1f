//! `weft run`: create, attach, start, and stay until the workload ends.
//!
//! ```text
//!   create ── 404 ──▶ pull ──▶ create
//!     │ detached: start, print the id
//!     ▼
//!   attach, and wait for the end with start=attached ─▶ pump streams, pass signals on ─▶ exit code
//! ```
//! The engine starts the container when this client is attached and the wait has begun, so that
//! nothing of a short life is missed.

use clap::Args as _;
use futures_util::TryFutureExt as _;
use weft_api::docker::WaitResponse;
use weft_client::{Attach, Client, ClientError, RemoveContainer, WaitCondition};

use super::attach::SignalFlags;
use super::create::create;
use crate::error::{CliError, EXIT_ENGINE, EXIT_FAILED, EXIT_NOT_EXECUTABLE, EXIT_NOT_FOUND};
use crate::flags::ContainerFlags;
use crate::session::Session;
use crate::terminal::detach::DetachKeys;
use crate::terminal::pump::{Ended, Streams};
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = Entry {
    quick: Some(|command, words| ContainerFlags::define(Own::augment_args(command), words)),
    ..verb!("run", Args, "Create and run a container from an image")
};

/// Flags of `run`.
#[derive(Debug, clap::Args)]
#[command(override_usage = "weft run [OPTIONS] IMAGE [COMMAND] [ARG]...")]
pub struct Args {
    #[command(flatten)]
    own: Own,
    #[command(flatten)]
    flags: ContainerFlags,
}

/// Flags that do not describe the container.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
struct Own {
    /// Run in the background and print the container's id
    #[arg(short, long)]
    detach: bool,
    /// Keys that leave the container running
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    #[command(flatten)]
    signals: SignalFlags,
    /// Print help
    #[arg(long, action = clap::ArgAction::Help, display_order = 999)]
    help: Option<bool>,
}

impl Args {
    /// Runs the container.
    pub async fn run(self, session: &Session) -> Outcome {
        if self.own.detach && !self.flags.process.attach.is_empty() {
            return Err(CliError::usage(
                "conflicting options: cannot specify both --attach and --detach",
            ));
        }
        let keys = super::attach::detach_keys(self.own.detach_keys.as_deref(), session)?;
        super::attach::check_terminal(&self.flags.process, self.own.detach)?;
        let mut body = self.flags.lower(self.own.detach)?;
        if body.tty
            && let Some((rows, columns)) = crate::terminal::raw::size()
        {
            body.host_config.console_size = [rows, columns];
        }
        let id = create(session, &self.flags, &body)
            .await
            .map_err(engine_failure)?;
        if self.own.detach {
            self.start_detached(session, &id).await
        } else {
            self.stay(session, &id, keys).await
        }
    }

    async fn start_detached(&self, session: &Session, id: &str) -> Outcome {
        let engine = session.engine().await?;
        if let Err(error) = engine.start_container(id, None).await {
            return Err(self.not_started(engine, id, error).await);
        }
        if !session.is_explaining() {
            session.printer.line(id)?;
        }
        Ok(0)
    }

    async fn stay(&self, session: &Session, id: &str, keys: DetachKeys) -> Outcome {
        let engine = session.engine().await?;
        let [stdin, stdout, stderr] = self.flags.process.attached(false);
        let attach = Attach {
            stdin,
            stdout,
            stderr,
            logs: false,
            detach_keys: self.own.detach_keys.clone(),
        };
        let condition = if self.flags.lifecycle.rm {
            WaitCondition::Removed
        } else {
            WaitCondition::NextExit
        };
        if session.is_explaining() {
            let _ = engine.attach_container(id, &attach).await;
            let _ = engine.start_attached(id, condition).await;
            return Ok(0);
        }
        let tty = self.flags.process.tty;
        let stage = super::attach::Stage::enter(tty, stdin, self.own.signals.sig_proxy)?;
        let begun = tokio::try_join!(
            engine.attach_container(id, &attach).map_err(Begin::Attach),
            engine.start_attached(id, condition).map_err(Begin::Start),
        );
        let (duplex, mut waiting) = match begun {
            Ok(begun) => begun,
            Err(Begin::Attach(error)) => return Err(engine_failure(error.into())),
            Err(Begin::Start(error)) => {
                drop(stage);
                return Err(self.not_started(engine, id, error).await);
            }
        };
        let streams = Streams {
            stdin,
            tty,
            detach_keys: (tty && stdin).then_some(keys),
        };
        let ended = super::attach::stay(engine, id, duplex, streams, stage, async {
            let answer: WaitResponse = waiting.json().await?;
            exit_code(&answer)
        });
        match ended.await? {
            (Ended::Detached, _) => Ok(0),
            (Ended::Stream, code) => Ok(code),
        }
    }

    /// A start that failed: nothing of a `--rm` container stays, and a command that cannot be
    /// executed has its own exit codes.
    async fn not_started(&self, engine: &Client, id: &str, error: ClientError) -> CliError {
        if self.flags.lifecycle.rm {
            let how = RemoveContainer {
                force: true,
                volumes: true,
            };
            let _ = engine.remove_container(id, how).await;
        }
        start_failure(error.into())
    }
}

/// What of the beginning failed.
enum Begin {
    Attach(ClientError),
    Start(ClientError),
}

/// The workload's exit code in the answer to a wait.
pub fn exit_code(answer: &WaitResponse) -> Outcome {
    match &answer.error {
        Some(error) if !error.message.is_empty() => {
            Err(CliError::new(error.message.clone()).exit(EXIT_ENGINE))
        }
        _ => Ok(u8::try_from(answer.status_code & 0xff).unwrap_or(EXIT_FAILED)),
    }
}

/// The engine's failure: 125, whatever it was.
pub fn engine_failure(error: CliError) -> CliError {
    match error.code() {
        EXIT_FAILED => error.exit(EXIT_ENGINE),
        _ => error,
    }
}

/// A start that failed: 127 when there is no such command, 126 when it cannot be executed.
pub fn start_failure(error: CliError) -> CliError {
    // The engine's words for them, as docker's client knows them; the kernel's, which begin with a
    // capital, may be about anything: a mount, a setting.
    let text = error.message();
    let code = if text.contains("executable file not found") {
        EXIT_NOT_FOUND
    } else if text.contains("permission denied") {
        EXIT_NOT_EXECUTABLE
    } else {
        EXIT_ENGINE
    };
    match error.code() {
        EXIT_FAILED => error.exit(code),
        _ => error,
    }
}
