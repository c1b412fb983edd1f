//! `weft rmi`

use crate::error::EXIT_FAILED;
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = verb!("rmi", Args, "Remove images");

/// Flags of `rmi`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Remove even if stopped containers or several names refer to it
    #[arg(short, long)]
    force: bool,
    /// Keep parents without a name
    #[arg(long)]
    no_prune: bool,
    /// Images to remove
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
}

impl Args {
    /// Removes the images.
    pub async fn run(self, session: &Session) -> Outcome {
        let engine = session.engine().await?;
        let mut code = 0;
        for name in &self.images {
            match engine.remove_image(name, self.force, self.no_prune).await {
                Ok(removed) => {
                    for one in removed {
                        if one.untagged.is_empty() {
                            session.printer.line(&format!("Deleted: {}", one.deleted))?;
                        } else {
                            session
                                .printer
                                .line(&format!("Untagged: {}", one.untagged))?;
                        }
                    }
                }
                Err(weft_client::ClientError::NotSent) => {}
                Err(error) => {
                    let forgiven = self.force && error.is_not_found();
                    session.printer.error(&error.into());
                    if !forgiven {
                        code = EXIT_FAILED;
                    }
                }
            }
        }
        Ok(code)
    }
}
