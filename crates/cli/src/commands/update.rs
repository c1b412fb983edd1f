//! `weft update`

use weft_api::docker::{ContainerUpdateRequest, HostConfig};

use super::each::each;
use crate::error::CliError;
use crate::flags::lifecycle::restart_policy;
use crate::flags::resources::ResourceFlags;
use crate::flags::words::in_flags;
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// The command.
pub const VERB: Entry = verb!(
    "update",
    Args,
    "Change limits and the restart policy of containers"
);

/// Flags of `update`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    resources: ResourceFlags,
    /// Restart policy: no, always, unless-stopped, on-failure[:MAX]
    #[arg(long, value_name = "POLICY")]
    restart: Option<String>,
    /// Containers to change
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

impl Args {
    /// Changes the containers.
    pub async fn run(self, session: &Session) -> Outcome {
        let body = self.lower()?;
        let engine = session.engine().await?;
        each(session, &self.containers, async |name| {
            let answer = engine
                .update_container(name, &body)
                .await
                .map_err(in_flags)?;
            for warning in answer.warnings {
                session.printer.talk(&format!("warning: {warning}"));
            }
            Ok(())
        })
        .await
    }

    fn lower(&self) -> Result<ContainerUpdateRequest, CliError> {
        let mut host = HostConfig::default();
        self.resources.lower(&mut host);
        let mut body = ContainerUpdateRequest {
            memory: host.memory,
            memory_swap: host.memory_swap,
            memory_reservation: host.memory_reservation,
            nano_cpus: host.nano_cpus,
            cpu_shares: host.cpu_shares,
            cpu_quota: host.cpu_quota,
            cpu_period: host.cpu_period,
            cpuset_cpus: host.cpuset_cpus,
            cpuset_mems: host.cpuset_mems,
            pids_limit: host.pids_limit,
            blkio_weight: host.blkio_weight,
            ..ContainerUpdateRequest::default()
        };
        if let Some(policy) = &self.restart {
            body.restart_policy = restart_policy(policy)?;
        }
        if body == ContainerUpdateRequest::default() {
            return Err(CliError::usage(
                "you must provide one or more flags when using this command",
            ));
        }
        Ok(body)
    }
}
