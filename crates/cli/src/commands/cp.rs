//! `weft cp`: files between a container and here, or standard streams as tar archives.
//!
//! ```text
//!   CONTAINER:PATH ─▶ engine ─▶ archive ─▶ unpacked here      (`download`)
//!   PATH here ─▶ archive ─▶ engine ─▶ unpacked in CONTAINER   (`upload`)
//! ```

pub mod archive;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use weft_api::docker::PathStat;
use weft_client::{Client, ClientError};

use super::load::upload;
use crate::error::CliError;
use crate::session::Session;
use crate::terminal::pump::copy_stream;
use crate::tree::{Entry, Outcome, verb};

/// Go's `os.ModeDir`.
const MODE_DIRECTORY: u32 = 1 << 31;
/// Go's `os.ModeSymlink`.
const MODE_LINK: u32 = 1 << 27;

/// The command.
pub const VERB: Entry = verb!(
    "cp",
    Args,
    "Copy files between a container, or a pod (pod/NAME:PATH), and here"
);

/// Flags of `cp`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Keep owners (user and group ids); into a container: give all to the user it runs as
    #[arg(short, long)]
    archive: bool,
    /// Copy what a symbolic link points to
    #[arg(short = 'L', long)]
    follow_link: bool,
    /// Do not show what was copied
    #[arg(short, long)]
    quiet: bool,
    /// CONTAINER:PATH, a path here, or - for an archive on stdin
    source: String,
    /// CONTAINER:PATH, a path here, or - for an archive on stdout
    target: String,
}

/// One side of a copy.
enum Place<'a> {
    Stream,
    Here(&'a Path),
    Container(&'a str, &'a str),
}

impl Args {
    /// Copies.
    pub async fn run(self, session: &Session) -> Outcome {
        let engine = session.engine().await?;
        match (place(&self.source), place(&self.target)) {
            (Place::Container(name, path), Place::Stream) => {
                if std::io::stdout().is_terminal() && !session.is_explaining() {
                    return Err(CliError::usage(
                        "copy: refusing to write an archive to a terminal; redirect the output",
                    ));
                }
                let (_, bytes) = engine.download_archive(name, &rooted(path)).await?;
                copy_stream(bytes, false).await?;
            }
            (Place::Stream, Place::Container(name, path)) => {
                let body = upload(std::io::stdin());
                engine
                    .upload_archive(name, &rooted(path), self.archive, body)
                    .await?;
            }
            (Place::Container(name, path), Place::Here(target)) => {
                self.download(engine, name, path, target).await?;
                self.say(
                    session,
                    &format!("Successfully copied to {}", target.display()),
                );
            }
            (Place::Here(source), Place::Container(name, path)) => {
                self.upload(engine, source, name, path).await?;
                self.say(session, &format!("Successfully copied to {name}:{path}"));
            }
            (Place::Container(..), Place::Container(..)) => {
                return Err(
                    CliError::usage("copying between containers is not supported")
                        .hint("weft cp A:PATH - | weft cp - B:DIRECTORY"),
                );
            }
            _ => {
                return Err(CliError::usage(
                    "must specify at least one container source: CONTAINER:PATH",
                ));
            }
        }
        Ok(0)
    }

    fn say(&self, session: &Session, text: &str) {
        if !self.quiet && session.printer.err_is_terminal() && !session.is_explaining() {
            session.printer.talk(text);
        }
    }

    async fn download(
        &self,
        engine: &Client,
        name: &str,
        path: &str,
        target: &Path,
    ) -> Result<(), CliError> {
        let mut from = rooted(path);
        let mut called = None;
        if self.follow_link {
            let stat = decode(&engine.stat_path(name, &from).await?)?;
            if stat.mode & MODE_LINK != 0 {
                called = Some(stat.name);
                from = stat.link_target;
            }
        }
        let (stat, bytes) = engine.download_archive(name, &from).await?;
        let stat = decode(&stat)?;
        let whole = path.ends_with("/.") || path == ".";
        let archived = archive::Archived {
            name: stat.name,
            called,
            whole,
            becomes: false,
        };
        archive::unpack(bytes, archived, target, self.archive).await
    }

    async fn upload(
        &self,
        engine: &Client,
        source: &Path,
        name: &str,
        path: &str,
    ) -> Result<(), CliError> {
        let text = source.to_string_lossy();
        let contents = text.ends_with("/.") || text == ".";
        let meta = if self.follow_link || contents || text.ends_with('/') {
            std::fs::metadata(source)
        } else {
            std::fs::symlink_metadata(source)
        };
        let meta =
            meta.map_err(|error| CliError::because(format!("copy {}", source.display()), &error))?;
        let mut target = rooted(path);
        let mut there = look(engine, name, &target).await?;
        // What a link leads to is written, not the link; its target is one no more.
        if let Some(link) = there.take_if(|stat| stat.mode & MODE_LINK != 0) {
            target = link.link_target;
            there = look(engine, name, &target).await?;
        }
        let is_directory = there
            .as_ref()
            .is_some_and(|stat| stat.mode & MODE_DIRECTORY != 0);
        if there.is_some() && !is_directory && meta.is_dir() {
            return Err(CliError::new(format!(
                "copy {} to {name}:{path}: cannot copy a directory onto a file",
                source.display()
            )));
        }
        if there.is_none() && target.ends_with('/') && !meta.is_dir() {
            return Err(CliError::new(format!(
                "copy {} to {name}:{path}: no such directory",
                source.display()
            )));
        }
        let (directory, rename) = if is_directory {
            let rename = if contents {
                PathBuf::from(".")
            } else {
                let here = std::path::absolute(source).unwrap_or_else(|_| source.to_owned());
                PathBuf::from(here.file_name().unwrap_or_default())
            };
            (target, rename)
        } else {
            let trimmed = target.trim_end_matches('/');
            let (parent, base) = trimmed.rsplit_once('/').unwrap_or(("", trimmed));
            (format!("{parent}/"), PathBuf::from(base))
        };
        let source = archive::Source {
            path: source.to_owned(),
            name: rename,
            follow: self.follow_link,
            keep_owners: self.archive,
        };
        engine
            .upload_archive(name, &directory, self.archive, source.stream())
            .await?;
        Ok(())
    }
}

/// What is at `path` in the container, if anything is.
async fn look(engine: &Client, name: &str, path: &str) -> Result<Option<PathStat>, CliError> {
    match engine.stat_path(name, path).await {
        Ok(header) => decode(&header).map(Some),
        Err(error) if error.is_not_found() && error_is_about_path(&error) => {
            // An answer to HEAD has no words: it may be the container that is missing.
            engine.inspect_container(name).await?;
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// `NAME:PATH` is in a container; what begins with `/` or `.` is here, colons or not.
fn place(text: &str) -> Place<'_> {
    if text == "-" {
        return Place::Stream;
    }
    if text.starts_with('/') || text.starts_with('.') {
        return Place::Here(Path::new(text));
    }
    match text.split_once(':') {
        Some((name, path)) if !name.is_empty() && !name.contains('/') => {
            Place::Container(name, path)
        }
        _ => Place::Here(Path::new(text)),
    }
}

/// Paths in a container begin at its root.
fn rooted(path: &str) -> String {
    if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    }
}

fn decode(header: &str) -> Result<PathStat, CliError> {
    let json = base64::engine::general_purpose::STANDARD
        .decode(header)
        .map_err(|error| CliError::because("understand the engine's answer", &error))?;
    serde_json::from_slice(&json)
        .map_err(|error| CliError::because("understand the engine's answer", &error))
}

/// A missing path, not a missing container: an answer to HEAD has no words of its own.
fn error_is_about_path(error: &ClientError) -> bool {
    matches!(error, ClientError::Refused { message, .. } if message.starts_with("could not find the file"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        assert!(matches!(place("-"), Place::Stream));
        assert!(matches!(place("./a:b"), Place::Here(_)));
        assert!(matches!(place("/a:b"), Place::Here(_)));
        assert!(matches!(place("a"), Place::Here(_)));
        assert!(matches!(place("dir/a:b"), Place::Here(_)));
        assert!(matches!(place("c:/x"), Place::Container("c", "/x")));
        assert!(matches!(place("c:x"), Place::Container("c", "x")));
    }
}
