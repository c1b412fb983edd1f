//! Flags about restarts, removal and logs.

use weft_api::docker::{HostConfig, RestartPolicy};

use super::topic::Topic;
use super::{invalid, values};
use crate::error::CliError;

/// What happens when the container ends.
#[derive(Debug, Default, clap::Args)]
pub struct LifecycleFlags {
    /// Name of the container
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Remove the container and its anonymous volumes when it ends
    #[arg(long)]
    pub rm: bool,
    /// Restart policy: no, always, unless-stopped, on-failure[:MAX]
    #[arg(long, value_name = "POLICY")]
    pub restart: Option<String>,
    /// Log driver: json-file, local, none
    #[arg(long, value_name = "DRIVER")]
    pub log_driver: Option<String>,
    /// Log option: max-size=BYTES, max-file=NUMBER
    #[arg(long, value_name = "KEY=VALUE")]
    pub log_opt: Vec<String>,
    /// Write the container's id to a file
    #[arg(long, value_name = "FILE")]
    pub cidfile: Option<std::path::PathBuf>,
    /// Platform of the image: OS/ARCH[/VARIANT]
    #[arg(long, value_name = "PLATFORM")]
    pub platform: Option<String>,
    /// When to pull the image
    #[arg(long, value_name = "WHEN", value_enum, default_value_t)]
    pub pull: Pull,
    /// Do not show the progress of the pull
    #[arg(short, long)]
    pub quiet: bool,
}

impl Topic for LifecycleFlags {
    const NAMES: &'static [&'static str] = &[
        "name",
        "rm",
        "restart",
        "log-driver",
        "log-opt",
        "cidfile",
        "platform",
        "pull",
        "quiet",
        "q",
    ];
}

/// When an image is pulled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Pull {
    Always,
    #[default]
    Missing,
    Never,
}

impl LifecycleFlags {
    pub(super) fn lower(&self, host: &mut HostConfig) -> Result<(), CliError> {
        host.restart_policy = restart_policy(self.restart.as_deref().unwrap_or("no"))?;
        host.auto_remove = self.rm;
        if self.rm && host.restart_policy.name != "no" {
            return Err(invalid(
                "conflicting options: cannot specify both --restart and --rm",
            ));
        }
        host.log_config.r#type = self.log_driver.clone().unwrap_or_default();
        host.log_config.config = values::pairs(&self.log_opt);
        if host.log_config.r#type == "none" && !self.log_opt.is_empty() {
            return Err(invalid("invalid logging opts for driver none"));
        }
        if let Some(path) = &self.cidfile {
            host.container_id_file = path.to_string_lossy().into_owned();
        }
        Ok(())
    }
}

/// Reads `NAME[:MAX]`.
pub fn restart_policy(text: &str) -> Result<RestartPolicy, CliError> {
    let (name, max) = text
        .split_once(':')
        .map_or((text, None), |(name, max)| (name, Some(max)));
    let name = if name.is_empty() { "no" } else { name };
    let max = match max {
        None => 0,
        Some(max) => max.parse().map_err(|_| {
            invalid("invalid restart policy format: maximum retry count must be an integer")
        })?,
    };
    if !["no", "always", "unless-stopped", "on-failure"].contains(&name) {
        return Err(invalid(format!(
            "invalid restart policy: unknown policy '{name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
        )));
    }
    if max != 0 && name != "on-failure" {
        return Err(invalid(
            "invalid restart policy: maximum retry count can only be used with 'on-failure'",
        ));
    }
    Ok(RestartPolicy {
        name: name.to_owned(),
        maximum_retry_count: max,
        ..RestartPolicy::default()
    })
}
