//! The flags that describe a container, shared by `run` and `create`, and how they become the
//! API's create request.
//!
//! Each topic has a file with its flags and its part of the lowering. Nothing here does I/O but
//! reading the files that flags name (`--env-file`, `--label-file`, a seccomp profile).

pub mod health;
pub mod isolation;
pub mod lifecycle;
pub mod mounts;
pub mod network;
pub mod ports;
pub mod process;
pub mod resources;
pub mod values;

#[cfg(test)]
mod tests;

use weft_api::docker::{ContainerCreateRequest, Words};

use crate::error::{CliError, EXIT_ENGINE};

/// Everything that describes a new container.
#[derive(Debug, clap::Args)]
pub struct ContainerFlags {
    #[command(flatten)]
    pub process: process::ProcessFlags,
    #[command(flatten)]
    pub health: health::HealthFlags,
    #[command(flatten)]
    pub mounts: mounts::MountFlags,
    #[command(flatten)]
    pub network: network::NetworkFlags,
    #[command(flatten)]
    pub resources: resources::ResourceFlags,
    #[command(flatten)]
    pub devices: resources::DeviceFlags,
    #[command(flatten)]
    pub isolation: isolation::IsolationFlags,
    #[command(flatten)]
    pub lifecycle: lifecycle::LifecycleFlags,
    /// Image to make the container from, and the command to run instead of the image's
    ///
    /// What follows the image belongs to the command, flags too.
    #[arg(value_name = "IMAGE", required = true, trailing_var_arg = true)]
    pub image_and_command: Vec<String>,
}

impl ContainerFlags {
    /// The create request; `detach` is `run`'s.
    pub fn lower(&self, detach: bool) -> Result<ContainerCreateRequest, CliError> {
        let (image, command) = self
            .image_and_command
            .split_first()
            .expect("clap demands an image");
        let mut body = ContainerCreateRequest {
            image: image.clone(),
            ..ContainerCreateRequest::default()
        };
        if !command.is_empty() {
            body.cmd = Some(Words(command.to_vec()));
        }
        self.process.lower(detach, &mut body)?;
        self.health.lower(&mut body)?;
        self.mounts.lower(&mut body)?;
        self.network.lower(&mut body)?;
        self.resources.lower(&mut body.host_config);
        self.devices.lower(&mut body.host_config)?;
        self.isolation.lower(&mut body.host_config)?;
        self.lifecycle.lower(&mut body.host_config)?;
        Ok(body)
    }
}

/// A flag that makes no sense.
pub fn invalid(message: impl Into<String>) -> CliError {
    CliError::new(message).exit(EXIT_ENGINE)
}
