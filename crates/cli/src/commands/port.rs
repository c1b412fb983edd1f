//! `weft port`

use weft_api::docker::PortBinding;

use crate::error::CliError;
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = verb!("port", Args, "Show where a container's ports are published");

/// Flags of `port`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Container to look at
    container: String,
    /// Only this port of the container
    #[arg(value_name = "PORT[/PROTO]")]
    port: Option<String>,
}

impl Args {
    /// Shows where ports are published.
    pub async fn run(self, session: &Session) -> Outcome {
        let engine = session.engine().await?;
        let inspect = engine.inspect_container(&self.container).await?;
        let wanted = self.port.as_ref().map(|port| {
            if port.contains('/') {
                port.to_lowercase()
            } else {
                format!("{port}/tcp")
            }
        });
        let mut found = false;
        for (port, bindings) in &inspect.network_settings.ports {
            if wanted.as_ref().is_some_and(|wanted| wanted != port) {
                continue;
            }
            for binding in bindings.iter().flatten() {
                found = true;
                let address = address(binding);
                match wanted {
                    Some(_) => session.printer.line(&address)?,
                    None => session.printer.line(&format!("{port} -> {address}"))?,
                }
            }
        }
        match wanted {
            Some(wanted) if !found => Err(CliError::new(format!(
                "no public port {wanted:?} published for {}",
                self.container
            ))
            .hint("`weft run -p HOST:CONTAINER` publishes a port")),
            _ => Ok(0),
        }
    }
}

fn address(binding: &PortBinding) -> String {
    if binding.host_ip.contains(':') {
        format!("[{}]:{}", binding.host_ip, binding.host_port)
    } else {
        format!("{}:{}", binding.host_ip, binding.host_port)
    }
}
