//! `weft version`

use crate::error::CliError;
use crate::render::template;
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = verb!("version", Args, "Show versions of client and engine");

/// Flags of `version`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Format: json, or a Go template
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Do not ask the engine
    #[arg(long)]
    client: bool,
}

impl Args {
    /// Shows the versions; without an engine, ours and why there is no other.
    pub async fn run(self, session: &Session) -> Outcome {
        let server = if self.client {
            None
        } else {
            Some(ask(session).await)
        };
        if let Some(Err(error)) = &server
            && error.code() == 0
        {
            return Ok(0);
        }
        if let Some(format) = &self.format {
            let value = serde_json::json!({
                "Client": {"Version": env!("CARGO_PKG_VERSION"), "ApiVersion": weft_api::docker::API_VERSION,
                           "Os": std::env::consts::OS, "Arch": weft_api::docker::architecture()},
                "Server": server.as_ref().and_then(|server| server.as_ref().ok()),
            });
            let text = match format.as_str() {
                "json" => value.to_string(),
                format => template::parse(format)?.render(&value)?,
            };
            session.printer.line(&text)?;
        } else {
            session.printer.data(&format!(
                "Client: weft\n Version:     {}\n API version: {}\n OS/Arch:     {}/{}\n",
                env!("CARGO_PKG_VERSION"),
                weft_api::docker::API_VERSION,
                std::env::consts::OS,
                weft_api::docker::architecture(),
            ))?;
            if let Some(Ok(version)) = &server {
                session.printer.data(&format!(
                    "\nServer: {}\n Version:     {}\n API version: {} (minimum {})\n OS/Arch:     {}/{}\n Kernel:      {}\n",
                    version.platform.name,
                    version.version,
                    version.api_version,
                    version.min_api_version,
                    version.os,
                    version.arch,
                    version.kernel_version,
                ))?;
            }
        }
        match server {
            Some(Err(error)) => Err(error),
            _ => Ok(0),
        }
    }
}

async fn ask(session: &Session) -> Result<weft_api::docker::Version, CliError> {
    Ok(session.engine().await?.version().await?)
}
