//! `weft cp` with pods: files between a container of a pod and here.
//!
//! ```text
//!   pod/NAME:PATH ─▶ tar there ─▶ archive ─▶ unpacked here       (`download`)
//!   PATH here ─▶ archive ─▶ tar there ─▶ unpacked in the pod     (`upload`)
//! ```
//! Owns what `tar` is asked for. Archives and their safety are `commands::cp::archive`'s: what one says
//! never makes a file outside of what was named here.

mod spec;

use std::io::Error;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::sync::mpsc;
use weft_client::{Bytes, Request};

use self::spec::{Place, Remote};
use crate::commands::cp::archive::{Archived, Source, unpack_pieces};
use crate::error::CliError;
use crate::objects::connect::{Api, Connect};
use crate::objects::pods;
use crate::objects::pods::channels::End;
use crate::objects::pods::session::{self, Input, Process, Sink};
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = verb!(
    "cp",
    Args,
    "Copy files between a container of a pod and here"
);

/// Pieces of an archive that wait to be unpacked.
const PIECES_MAX: usize = 4;
/// What a shell answers where there is no such program.
const NOT_FOUND: u8 = 127;

/// Flags of `cp`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// pod/NAME:PATH, NAMESPACE/POD:PATH, POD:PATH or a path here
    source: String,
    /// The same
    target: String,
    /// Container
    #[arg(short, long, value_name = "NAME")]
    container: Option<String>,
    /// Into a pod: let owners and modes be those of who unpacks
    #[arg(long)]
    no_preserve: bool,
    /// From a pod: begin again where it broke off, so many times (-1: without end)
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    retries: i64,
    #[command(flatten)]
    connect: Connect,
}

/// A container to copy from or to.
struct There<'a> {
    api: &'a Api,
    namespace: String,
    pod: String,
    container: String,
}

impl Args {
    /// Copies.
    pub async fn run(self, session: &Session) -> Outcome {
        let api = Api::open(&self.connect, session)?;
        let places = (Place::parse(&self.source)?, Place::parse(&self.target)?);
        match places {
            (Place::Pod(remote), Place::Here(target)) => {
                let there = self.there(&api, &remote).await?;
                there.download(&remote.path, target, self.retries).await?;
            }
            (Place::Here(source), Place::Pod(remote)) => {
                if std::fs::symlink_metadata(source).is_err() {
                    return Err(CliError::new(format!(
                        "{} doesn't exist in local filesystem",
                        source.display()
                    )));
                }
                let there = self.there(&api, &remote).await?;
                there.upload(source, &remote.path, self.no_preserve).await?;
            }
            (Place::Pod(_), Place::Pod(_)) => {
                return Err(CliError::usage(
                    "one of src or dest must be a local file specification",
                ));
            }
            _ => {
                return Err(CliError::usage(
                    "one of src or dest must be a remote file specification",
                ));
            }
        }
        Ok(0)
    }

    async fn there<'a>(&self, api: &'a Api, remote: &Remote<'_>) -> Result<There<'a>, CliError> {
        let namespace = remote.namespace.unwrap_or(&api.namespace);
        let what = format!("get pod/{}", remote.pod);
        let request = Request::get(what, &pods::path(namespace, &[remote.pod]));
        let pod: Value = api.ask(&request).await?.json()?;
        if let Some(phase @ ("Succeeded" | "Failed")) = pod["status"]["phase"].as_str() {
            return Err(CliError::new(format!(
                "cannot exec into a container in a completed pod; current phase is {phase}"
            )));
        }
        let chosen = pods::container(&pod, self.container.as_deref(), false, api.printer)?;
        Ok(There {
            api,
            namespace: namespace.to_owned(),
            pod: remote.pod.to_owned(),
            container: pods::name(chosen).to_owned(),
        })
    }
}

impl There<'_> {
    fn request(&self, command: &[&str]) -> Request {
        let what = format!("copy files of pod/{}", self.pod);
        let path = pods::path(&self.namespace, &[&self.pod, "exec"]);
        let request = Request::get(what, &path).query("container", &self.container);
        let words = command.iter();
        words.fold(request, |request, word| request.query("command", word))
    }

    /// Files of the container, as `target` here.
    async fn download(&self, path: &str, target: &Path, retries: i64) -> Result<(), CliError> {
        if let Some(parent) = target.parent() {
            let made = std::fs::create_dir_all(parent);
            made.map_err(|error| {
                CliError::because(format!("copy to {}", target.display()), &error)
            })?;
        }
        let asked = spec::split(path);
        let command = ["tar", "cf", "-", "-C", &asked.directory, &asked.name];
        let archived = Archived {
            name: asked.name.clone(),
            called: None,
            whole: asked.name == ".",
            becomes: true,
        };
        let (pieces, receiver) = mpsc::channel(PIECES_MAX);
        let getting = async move {
            let (mut got, mut left) = (0, retries);
            loop {
                let tried = self.get(&command, got, &pieces).await;
                let (count, ended) = tried;
                got = count;
                match ended {
                    Ok(()) => return Ok(()),
                    Err(Stop::Broken(error)) if left != 0 => {
                        left = left.saturating_sub(1).max(-1);
                        let why = error.message();
                        self.api
                            .printer
                            .talk(&format!("weft: {why}: going on at byte {got}"));
                    }
                    Err(Stop::Broken(error) | Stop::Refused(error)) => return Err(error),
                }
            }
        };
        // An archive that breaks off is an error of both: the first says why.
        let (got, unpacked) =
            tokio::join!(getting, unpack_pieces(receiver, archived, target, false));
        got?;
        unpacked
    }

    /// Gets the archive but its first `skip` bytes; how many it has given in all.
    async fn get(
        &self,
        command: &[&str],
        skip: u64,
        pieces: &mpsc::Sender<Bytes>,
    ) -> (u64, Result<(), Stop>) {
        let (sender, mut raw) = mpsc::channel::<Bytes>(PIECES_MAX);
        let process = Process::plain(self.request(command), Input::Nothing, Sink::Taken(sender));
        let passing = async {
            let (mut left, mut given) = (skip, skip);
            while let Some(mut piece) = raw.recv().await {
                let cut = usize::try_from(left).map_or(piece.len(), |left| left.min(piece.len()));
                left -= cut as u64;
                let piece = piece.split_off(cut);
                given += piece.len() as u64;
                if !piece.is_empty() && pieces.send(piece).await.is_err() {
                    break;
                }
            }
            given
        };
        let (ended, given) = tokio::join!(process.run(self.api), passing);
        let ended = match ended {
            Err(error) if error.code() == 0 => Err(Stop::Refused(error)),
            Err(error) => Err(Stop::Broken(error)),
            Ok(outcome) => self.judge(outcome).map_err(Stop::Refused),
        };
        (given, ended)
    }

    /// Files from here, at `path` in the container.
    async fn upload(&self, source: &Path, path: &str, no_preserve: bool) -> Result<(), CliError> {
        let here = std::path::absolute(source)
            .and_then(|path| match path.file_name() {
                Some(_) => Ok(path),
                None => std::fs::canonicalize(path),
            })
            .map_err(|error: Error| {
                CliError::because(format!("copy {}", source.display()), &error)
            })?;
        let own = here.file_name().unwrap_or_default().to_owned();
        let is_directory = path.ends_with('/') || self.is_directory(path).await?;
        let (directory, name) = match is_directory {
            true => (path.to_owned(), PathBuf::from(own)),
            false => {
                let asked = spec::split(path);
                (asked.directory, PathBuf::from(asked.name))
            }
        };
        let source = Source {
            path: source.to_owned(),
            name,
            follow: false,
            keep_owners: !no_preserve,
        };
        let mut command = vec!["tar"];
        if no_preserve {
            command.extend(["--no-same-permissions", "--no-same-owner"]);
        }
        command.extend(["-xmf", "-", "-C", &directory]);
        let (sender, mut said) = mpsc::channel::<Bytes>(PIECES_MAX);
        let process = Process::plain(
            self.request(&command),
            Input::Made(source.stream()),
            Sink::Taken(sender),
        );
        // It has nothing to say but complaints.
        let ignoring = async { while said.recv().await.is_some() {} };
        let (outcome, ()) = tokio::join!(process.run(self.api), ignoring);
        self.judge(outcome?)
    }

    /// Whether there is a directory in the container.
    async fn is_directory(&self, path: &str) -> Result<bool, CliError> {
        let (sender, _) = mpsc::channel(1);
        let request = self.request(&["test", "-d", path]);
        let asking = Process::plain(request, Input::Nothing, Sink::Taken(sender));
        match asking.run(self.api).await {
            Ok(outcome) => Ok(matches!(outcome.end, End::Exit(0))),
            // Requests are only printed: the copy's is, too.
            Err(error) if error.code() == 0 => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn judge(&self, outcome: session::Outcome) -> Result<(), CliError> {
        let session::Outcome { end, complaints } = outcome;
        let (pod, container) = (&self.pod, &self.container);
        let missing = || {
            CliError::new(format!(
                "container {container} of pod {pod} has no tar, and cp copies by it"
            ))
            .hint(format!(
                "for a file: weft exec pod/{pod} -c {container} -- cat PATH > FILE, or from an image with tar in it"
            ))
        };
        match end {
            End::Exit(0) => {
                if !complaints.is_empty() {
                    self.api.printer.talk(&complaints);
                }
                Ok(())
            }
            End::Exit(NOT_FOUND) => Err(missing()),
            End::Failed(error) if says_missing(error.message()) => Err(missing()),
            End::Exit(code) => {
                let why = match complaints.is_empty() {
                    true => format!("tar ended with exit code {code}"),
                    false => complaints,
                };
                Err(CliError::new(format!("copy files of pod {pod}: {why}")))
            }
            End::Failed(error) => Err(error),
        }
    }
}

/// Why files are not all there.
enum Stop {
    /// The connection broke: the rest may be had.
    Broken(CliError),
    /// There is no more.
    Refused(CliError),
}

/// Whether a program could not be started because it is not there.
fn says_missing(message: &str) -> bool {
    let message = message.to_lowercase();
    let says = |words: &str| message.contains(words);
    says("tar") && (says("not found") || says("no such file"))
}
