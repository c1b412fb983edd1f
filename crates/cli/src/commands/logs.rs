//! `weft logs`

use weft_client::Logs;

use crate::error::CliError;
use crate::flags::values::timestamp;
use crate::session::Session;
use crate::terminal::pump::copy_stream;
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = verb!(
    "logs",
    Args,
    "Show the output of a container, or of a pod: weft logs pod/NAME"
);

/// Flags of `logs`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Go on as new output comes
    #[arg(short, long)]
    follow: bool,
    /// Only what came since a time (2024-01-02T13:23:37Z) or for a while (42m)
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Only what came before a time or until a while ago
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only the last lines
    #[arg(
        short = 'n',
        long,
        value_name = "NUMBER",
        default_value = "all",
        allow_hyphen_values = true
    )]
    tail: String,
    /// Show when each line came
    #[arg(short, long)]
    timestamps: bool,
    /// Container to show
    container: String,
}

impl Args {
    /// Shows the log.
    pub async fn run(self, session: &Session) -> Outcome {
        let now = i128::from(weft_stdx::clock::unix_ns());
        let time = |name: &str, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => timestamp(text, now)
                .map(Some)
                .map_err(|why| CliError::usage(format!("invalid value for {name:?}: {why}"))),
        };
        let logs = Logs {
            stdout: true,
            stderr: true,
            follow: self.follow,
            timestamps: self.timestamps,
            details: false,
            since: time("since", &self.since)?,
            until: time("until", &self.until)?,
            tail: Some(self.tail.clone()),
        };
        let engine = session.engine().await?;
        let (bytes, framed) = engine.container_logs(&self.container, &logs).await?;
        let framed = match framed {
            Some(framed) => framed,
            // An engine that does not say: a container with a terminal has a plain stream.
            None => !engine.inspect_container(&self.container).await?.config.tty,
        };
        copy_stream(bytes, framed).await?;
        Ok(0)
    }
}
