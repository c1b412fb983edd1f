//! `weft attach`, and staying with a container's streams, which `run` and `start -a` do too.

use futures_util::FutureExt as _;
use weft_client::{Attach, Client, Duplex, WaitCondition};

use crate::error::{CliError, EXIT_ENGINE};
use crate::flags::process::ProcessFlags;
use crate::session::Session;
use crate::terminal::detach::DetachKeys;
use crate::terminal::pump::{Ended, Streams, pump};
use crate::terminal::raw::{self, RawTerminal};
use crate::terminal::signals::{Caught, Resized};
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = verb!(
    "attach",
    Args,
    "Attach to the streams of a running container, or of a pod: weft attach pod/NAME"
);

/// Flags of `attach`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Keys that leave the container running
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// Do not attach stdin
    #[arg(long)]
    no_stdin: bool,
    #[command(flatten)]
    signals: SignalFlags,
    /// Container to attach to
    container: String,
}

impl Args {
    /// Attaches until the workload ends or the detach keys are typed.
    pub async fn run(self, session: &Session) -> Outcome {
        let keys = detach_keys(self.detach_keys.as_deref(), session)?;
        let engine = session.engine().await?;
        let inspect = engine.inspect_container(&self.container).await?;
        if !inspect.state.running {
            return Err(CliError::new(format!(
                "attach to container {}: it is not running",
                self.container
            ))
            .hint(format!(
                "`weft start -a {}` starts and attaches",
                self.container
            )));
        }
        if inspect.state.paused {
            return Err(CliError::new(format!(
                "attach to container {}: it is paused",
                self.container
            ))
            .hint(format!("`weft unpause {}` first", self.container)));
        }
        let tty = inspect.config.tty;
        let stdin = !self.no_stdin && inspect.config.open_stdin;
        let attach = Attach {
            stdin,
            stdout: true,
            stderr: true,
            logs: false,
            detach_keys: self.detach_keys.clone(),
        };
        let (duplex, mut waiting) = tokio::try_join!(
            engine.attach_container(&inspect.id, &attach),
            engine.wait_stream(&inspect.id, WaitCondition::NotRunning),
        )?;
        let stage = Stage::enter(tty, stdin, self.signals.sig_proxy)?;
        let streams = Streams {
            stdin,
            tty,
            detach_keys: (tty && stdin).then_some(keys),
        };
        let ended = stay(engine, &inspect.id, duplex, streams, stage, async {
            super::run::exit_code(&waiting.json().await?)
        });
        match ended.await? {
            (Ended::Detached, _) => Ok(0),
            (Ended::Stream, code) => Ok(code),
        }
    }
}

/// What becomes of signals; `run` has the same flag.
#[derive(Debug, clap::Args)]
pub struct SignalFlags {
    /// Pass signals on to the workload
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        require_equals = true,
        default_value_t = true,
        default_missing_value = "true",
        action = clap::ArgAction::Set
    )]
    pub sig_proxy: bool,
}

/// The keys of the flag, else those of the settings.
pub fn detach_keys(flag: Option<&str>, session: &Session) -> Result<DetachKeys, CliError> {
    let text = flag.unwrap_or(&session.settings.detach_keys.value);
    DetachKeys::parse(text)
        .map_err(|why| CliError::usage(format!("invalid detach keys ({text}) provided: {why}")))
}

/// A terminal asked for needs one here to type into.
pub fn check_terminal(process: &ProcessFlags, detach: bool) -> Result<(), CliError> {
    use std::io::IsTerminal as _;
    let [stdin, ..] = process.attached(detach);
    if process.tty && stdin && !std::io::stdin().is_terminal() {
        return Err(CliError::new("the input device is not a TTY")
            .exit(crate::error::EXIT_FAILED)
            .hint("leave out -t where there is no terminal to type into"));
    }
    Ok(())
}

/// The terminal and signals, set up for streams.
pub struct Stage {
    raw: Option<RawTerminal>,
    resized: Option<Resized>,
    passed_on: Option<Caught>,
    ending: Option<Caught>,
}

impl Stage {
    /// Makes the terminal raw if it is to be typed into, and catches signals: those for the
    /// workload, or those that would leave the terminal raw.
    pub fn enter(tty: bool, stdin: bool, pass_signals: bool) -> Result<Stage, CliError> {
        let mut stage = Stage {
            raw: None,
            resized: None,
            passed_on: None,
            ending: None,
        };
        if tty {
            stage.resized = Some(Resized::watch()?);
            stage.ending = Some(Caught::ending()?);
            if stdin {
                stage.raw = RawTerminal::enter()?;
            }
        } else if pass_signals {
            stage.passed_on = Some(Caught::passed_on()?);
        }
        Ok(stage)
    }

    /// The parts, for those who follow sizes of something else.
    pub fn split(self) -> (Option<Resized>, Option<Caught>, Option<RawTerminal>) {
        (self.resized, self.ending, self.raw)
    }
}

/// Moves bytes until the workload ends (then with its exit code from `exit`) or the person
/// detaches.
pub async fn stay(
    engine: &Client,
    id: &str,
    duplex: Duplex,
    streams: Streams,
    stage: Stage,
    exit: impl Future<Output = Outcome>,
) -> Result<(Ended, u8), CliError> {
    let Stage {
        raw,
        resized,
        passed_on,
        ending,
    } = stage;
    let attending = async {
        tokio::join!(
            follow_size(resized, |rows, columns| {
                engine.resize_container(id, rows, columns)
            }),
            pass_on(passed_on, engine, id),
        );
    };
    let ended = tokio::select! {
        ended = pump(duplex, streams) => ended?,
        code = until_signal(ending) => {
            drop(raw);
            return Err(CliError::silent(code));
        }
        () = attending => unreachable!("size and signals are followed for ever"),
    };
    drop(raw);
    match ended {
        Ended::Detached => {
            crate::printer::Printer.talk("");
            Ok((ended, 0))
        }
        Ended::Stream => {
            let code = exit.map(|outcome| {
                outcome.map_err(|error| match error.code() {
                    crate::error::EXIT_FAILED => error.exit(EXIT_ENGINE),
                    _ => error,
                })
            });
            Ok((ended, code.await?))
        }
    }
}

/// Tells the container's terminal our size, now and whenever it changes.
pub async fn follow_size<F>(resized: Option<Resized>, resize: impl Fn(u16, u16) -> F)
where
    F: Future<Output = Result<(), weft_client::ClientError>>,
{
    let Some(mut resized) = resized else {
        return std::future::pending().await;
    };
    loop {
        if let Some((rows, columns)) = raw::size() {
            // The workload may be gone already; then its end says what matters.
            let _ = resize(rows, columns).await;
        }
        resized.next().await;
    }
}

async fn pass_on(caught: Option<Caught>, engine: &Client, id: &str) {
    let Some(mut caught) = caught else {
        return std::future::pending().await;
    };
    loop {
        let (_, name) = caught.next().await;
        let _ = engine.kill_container(id, name).await;
    }
}

/// Ends with the exit code of the signal that ended us.
pub async fn until_signal(caught: Option<Caught>) -> u8 {
    let Some(mut caught) = caught else {
        return std::future::pending().await;
    };
    let (number, _) = caught.next().await;
    128 + u8::try_from(number).unwrap_or_default()
}
