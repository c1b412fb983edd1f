//! `weft exec` in a pod: `pod/NAME`, or through what has pods.
//!
//! Owns what is run where, and what becomes of its end. Its streams are `pods::session`'s.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use weft_client::Request;

use crate::commands::attach::Stage;
use crate::error::CliError;
use crate::objects::connect::{Api, Connect, duration};
use crate::objects::manifest::Sources;
use crate::objects::pods::channels::End;
use crate::objects::pods::session::{Input, Process, Sink};
use crate::objects::pods::{self, Preference};
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = verb!(
    "exec",
    Args,
    "Run a command in a container of a pod: weft exec TYPE/NAME -- COMMAND"
);

/// Flags of `exec`.
#[derive(Debug, clap::Args)]
#[command(override_usage = "weft exec [OPTIONS] POD|TYPE/NAME -- COMMAND [ARG]...")]
pub struct Args {
    /// Pod, or TYPE/NAME of what has pods
    #[arg(value_name = "POD")]
    words: Vec<String>,
    /// The command to run
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
    /// File that says which object it is
    #[arg(short, long, value_name = "FILE")]
    filename: Vec<PathBuf>,
    #[command(flatten)]
    streams: StreamFlags,
    #[command(flatten)]
    connect: Connect,
}

/// Flags of verbs that have a container's streams.
#[derive(Debug, clap::Args)]
pub struct StreamFlags {
    /// Container
    #[arg(short, long, value_name = "NAME")]
    pub container: Option<String>,
    /// Pass stdin on
    #[arg(short = 'i', long)]
    pub stdin: bool,
    /// With a terminal; with -i
    #[arg(short, long)]
    pub tty: bool,
    /// Say nothing of our own
    #[arg(short, long)]
    pub quiet: bool,
    /// How long to wait for the first pod
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "1m")]
    pub pod_running_timeout: Duration,
}

impl StreamFlags {
    /// The pod to reach into.
    pub async fn pod(&self, api: &Api, object: Value, doing: &str) -> Result<Value, CliError> {
        let patience = self.pod_running_timeout;
        let (pod, _) = pods::one_of(api, object, Preference::Session, patience).await?;
        match pod["status"]["phase"].as_str() {
            Some(phase @ ("Succeeded" | "Failed")) => Err(CliError::new(format!(
                "cannot {doing} a container in a completed pod; current phase is {phase}"
            ))),
            _ => Ok(pod),
        }
    }

    /// A process with our streams, and the terminal as it has to be.
    pub fn process(&self, api: &Api, request: Request, tty: bool) -> Result<Staged, CliError> {
        let is_terminal = std::io::stdin().is_terminal();
        if tty && self.stdin && !is_terminal && !self.quiet {
            api.printer
                .talk("Unable to use a TTY - input is not a terminal or the right kind of file");
        }
        let stage = match api.cluster.is_explaining() {
            true => None,
            false => Some(Stage::enter(tty && is_terminal, self.stdin, false)?),
        };
        let (resized, ending, raw) = stage.map(Stage::split).unwrap_or_default();
        let process = Process {
            request,
            input: match self.stdin {
                true => Input::Ours,
                false => Input::Nothing,
            },
            sink: Sink::Ours,
            tty,
            resized,
            ending,
        };
        Ok(Staged { process, raw })
    }
}

/// A process, and our terminal given to it.
pub struct Staged {
    process: Process,
    raw: Option<crate::terminal::raw::RawTerminal>,
}

impl Staged {
    /// Runs it; our terminal is our own again when it has ended.
    pub async fn run(self, api: &Api) -> Result<End, CliError> {
        let ended = self.process.run(api).await;
        drop(self.raw);
        Ok(ended?.end)
    }
}

impl Args {
    /// Runs the command; its exit code is ours.
    pub async fn run(self, session: &Session) -> Outcome {
        self.checked()?;
        let api = Api::open(&self.connect, session)?;
        let object = match self.words.first() {
            Some(word) => pods::named(&api, word).await?,
            None => pods::in_file(&api, &Sources::files(self.filename)).await?,
        };
        let pod = self.streams.pod(&api, object, "exec into").await?;
        let (name, namespace) = pods::place(&pod);
        let wanted = self.streams.container.as_deref();
        let chosen = pods::container(&pod, wanted, self.streams.quiet, api.printer)?;
        let what = format!("exec in pod/{name}");
        let mut request = Request::get(what, &pods::path(namespace, &[name, "exec"]))
            .query("container", pods::name(chosen));
        for word in &self.command {
            request = request.query("command", word);
        }
        // A terminal that nobody types into is none, as with kubectl.
        let tty = self.streams.tty && self.streams.stdin;
        match self.streams.process(&api, request, tty)?.run(&api).await? {
            End::Exit(0) => Ok(0),
            End::Exit(code) => {
                if !self.streams.quiet {
                    api.printer
                        .talk(&format!("command terminated with exit code {code}"));
                }
                Err(CliError::silent(code))
            }
            End::Failed(error) => Err(error),
        }
    }

    fn checked(&self) -> Result<(), CliError> {
        match (&self.words[..], self.filename.is_empty()) {
            ([], true) => Err(CliError::usage(
                "pod, type/name or --filename must be specified",
            )),
            ([_], true) | ([], false) if self.command.is_empty() => Err(CliError::usage(
                "you must specify at least one command for the container",
            )
            .hint("it stands behind two hyphens: weft exec pod/NAME -- COMMAND")),
            ([_], true) | ([], false) => Ok(()),
            _ => Err(CliError::usage("the command stands behind two hyphens")
                .hint("weft exec pod/NAME -- COMMAND [ARG]...")),
        }
    }
}
