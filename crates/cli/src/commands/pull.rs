//! `weft pull`, and the pull of a missing image that `run` does.

use weft_client::Pull;

use crate::error::CliError;
use crate::registry_auth::{self, Store};
use crate::render::progress::{Show, follow};
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = verb!("pull", Args, "Fetch an image from a registry");

/// Flags of `pull`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Platform, when the image has several: OS/ARCH[/VARIANT]
    #[arg(long, value_name = "PLATFORM")]
    platform: Option<String>,
    /// Do not show progress
    #[arg(short, long)]
    quiet: bool,
    /// Image to pull
    image: String,
}

impl Args {
    /// Pulls the image and prints its full name.
    pub async fn run(self, session: &Session) -> Outcome {
        let show = if self.quiet {
            Show::Nothing
        } else {
            Show::Progress
        };
        pull(session, &self.image, self.platform.as_deref(), show).await?;
        if !session.is_explaining() {
            session.printer.line(&full_name(&self.image))?;
        }
        Ok(0)
    }
}

/// Pulls an image with the stored credentials of its registry.
pub async fn pull(
    session: &Session,
    image: &str,
    platform: Option<&str>,
    show: Show,
) -> Result<(), CliError> {
    let (name, tag) = split_name(image);
    let tag = Some(tag.unwrap_or("latest").to_owned());
    let auth = Store::open()?.find(registry_auth::registry_of(name))?;
    let engine = session.engine().await?;
    let lines = engine
        .pull_image(&Pull {
            name: name.to_owned(),
            tag,
            platform: platform.map(str::to_owned),
            auth: auth.as_ref().map(registry_auth::header),
        })
        .await?;
    follow(lines, session.printer, show, |_| Ok(())).await?;
    Ok(())
}

/// A name and its tag or digest.
pub fn split_name(image: &str) -> (&str, Option<&str>) {
    if let Some((name, digest)) = image.split_once('@') {
        return (untagged(name).0, Some(digest));
    }
    untagged(image)
}

fn untagged(image: &str) -> (&str, Option<&str>) {
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (image, None),
    }
}

/// The name in full: registry, repository and tag, as docker prints it after a pull.
fn full_name(image: &str) -> String {
    let mut full = String::new();
    if registry_auth::registry_of(image) == registry_auth::HUB {
        let bare = image
            .strip_prefix("docker.io/")
            .or_else(|| image.strip_prefix("index.docker.io/"))
            .unwrap_or(image);
        full.push_str("docker.io/");
        if !bare.contains('/') {
            full.push_str("library/");
        }
        full.push_str(bare);
    } else {
        full.push_str(image);
    }
    if split_name(image).1.is_none() {
        full.push_str(":latest");
    }
    full
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split() {
        for (image, name, tag) in [
            ("busybox", "busybox", None),
            ("busybox:1", "busybox", Some("1")),
            ("h:5000/a", "h:5000/a", None),
            ("h:5000/a:b", "h:5000/a", Some("b")),
            ("a@sha256:0", "a", Some("sha256:0")),
            ("a:t@sha256:0", "a", Some("sha256:0")),
        ] {
            assert_eq!(split_name(image), (name, tag));
        }
        assert_eq!(full_name("busybox"), "docker.io/library/busybox:latest");
        assert_eq!(full_name("a/b:1"), "docker.io/a/b:1");
        assert_eq!(full_name("h:5000/a"), "h:5000/a:latest");
    }
}
