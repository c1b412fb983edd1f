//! `weft diff`

use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = verb!(
    "diff",
    Args,
    "Show how a container's files differ from its image's"
);

/// Flags of `diff`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Objects of a server: `weft diff -f FILE`; `weft diff -f - --help` tells more."
)]
pub struct Args {
    /// Container to look at
    container: String,
}

impl Args {
    /// Shows how the files differ from the image's: `A` added, `C` changed, `D` deleted.
    pub async fn run(self, session: &Session) -> Outcome {
        let engine = session.engine().await?;
        let changes = engine.container_changes(&self.container).await?;
        let mut text = String::new();
        for change in changes.unwrap_or_default() {
            let letter = match change.kind {
                0 => 'C',
                1 => 'A',
                _ => 'D',
            };
            text.push_str(&format!("{letter} {}\n", change.path));
        }
        session.printer.data(&text)?;
        Ok(0)
    }
}
