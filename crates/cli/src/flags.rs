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
pub mod topic;
pub mod values;
pub mod words;

#[cfg(test)]
mod tests;

use std::ffi::OsString;

use clap::{Args as _, Command};
use weft_api::docker::{ContainerCreateRequest, Words};

use crate::error::{CliError, EXIT_ENGINE};
use topic::{Flags, Topic as _};

/// Everything that describes a new container.
#[derive(Debug, clap::Args)]
pub struct ContainerFlags {
    #[command(flatten)]
    pub process: Flags<process::ProcessFlags>,
    #[command(flatten)]
    pub health: Flags<health::HealthFlags>,
    #[command(flatten)]
    pub mounts: Flags<mounts::MountFlags>,
    #[command(flatten)]
    pub network: Flags<network::NetworkFlags>,
    #[command(flatten)]
    pub resources: Flags<resources::ResourceFlags>,
    #[command(flatten)]
    pub devices: Flags<resources::DeviceFlags>,
    #[command(flatten)]
    pub isolation: Flags<isolation::IsolationFlags>,
    #[command(flatten)]
    pub lifecycle: Flags<lifecycle::LifecycleFlags>,
    #[command(flatten)]
    pub image: ImageAndCommand,
}

/// What is not a flag.
#[derive(Debug, clap::Args)]
pub struct ImageAndCommand {
    /// Image to make the container from, and the command to run instead of the image's
    ///
    /// What follows the image belongs to the command, flags too.
    #[arg(value_name = "IMAGE", required = true, trailing_var_arg = true)]
    pub image_and_command: Vec<String>,
}

impl ContainerFlags {
    /// Adds what `words` may ask for.
    pub fn define(command: Command, words: &[OsString]) -> Command {
        let topics = [
            process::ProcessFlags::define,
            health::HealthFlags::define,
            mounts::MountFlags::define,
            network::NetworkFlags::define,
            resources::ResourceFlags::define,
            resources::DeviceFlags::define,
            isolation::IsolationFlags::define,
            lifecycle::LifecycleFlags::define,
        ];
        let command = ImageAndCommand::augment_args(command);
        topics
            .iter()
            .fold(command, |command, define| define(command, words))
    }

    /// The create request; `detach` is `run`'s.
    pub fn lower(&self, detach: bool) -> Result<ContainerCreateRequest, CliError> {
        let (image, command) = self
            .image
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
