//! `weft tag`

use super::pull::split_name;
use crate::error::CliError;
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = verb!("tag", Args, "Give an image one more name");

/// Flags of `tag`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Image to name
    #[arg(value_name = "IMAGE")]
    source: String,
    /// Its additional name
    #[arg(value_name = "NAME[:TAG]")]
    target: String,
}

impl Args {
    /// Names the image.
    pub async fn run(self, session: &Session) -> Outcome {
        if self.target.contains('@') {
            return Err(CliError::usage(format!(
                "tag image {}: refusing to create a tag with a digest reference",
                self.source
            )));
        }
        let (repo, tag) = split_name(&self.target);
        let engine = session.engine().await?;
        engine
            .tag_image(&self.source, repo, Some(tag.unwrap_or("latest")))
            .await?;
        Ok(0)
    }
}
