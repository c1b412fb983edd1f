//! The `prune` commands, all nouns'.
//!
//! Owns what is asked before something is removed.

use weft_client::Filters;

use crate::error::CliError;
use crate::flags::values::{filter, filters};
use crate::render::units;
use crate::session::Session;
use crate::tree::Outcome;

/// Flags that every `prune` has.
#[derive(Debug, clap::Args)]
pub struct PruneFlags {
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Only remove what matches: until=…, label=…, label!=…
    #[arg(long, value_name = "KEY=VALUE", value_parser = filter)]
    filter: Vec<(String, String)>,
}

impl PruneFlags {
    /// Whether to go on.
    fn confirmed(&self, session: &Session, warning: &str) -> Result<bool, CliError> {
        if self.force || session.is_explaining() {
            return Ok(true);
        }
        let question = "Are you sure you want to continue? [y/N]";
        session
            .printer
            .confirmed(&format!("WARNING! {warning}\n{question}"))
    }
}

/// Flags of `container prune`.
#[derive(Debug, clap::Args)]
pub struct ContainerArgs {
    #[command(flatten)]
    flags: PruneFlags,
}

impl ContainerArgs {
    /// Removes stopped containers.
    pub async fn run(self, session: &Session) -> Outcome {
        if !(self.flags).confirmed(session, "This will remove all stopped containers.")? {
            return Ok(0);
        }
        let freed = containers(session, &filters(&self.flags.filter)).await?;
        total(session, freed)
    }
}

/// Flags of `image prune`.
#[derive(Debug, clap::Args)]
pub struct ImageArgs {
    /// Remove all images no container uses, not just those without a name
    #[arg(short, long)]
    all: bool,
    #[command(flatten)]
    flags: PruneFlags,
}

impl ImageArgs {
    /// Removes unused images.
    pub async fn run(self, session: &Session) -> Outcome {
        let warning = if self.all {
            "This will remove all images without at least one container associated to them."
        } else {
            "This will remove all dangling images."
        };
        if !self.flags.confirmed(session, warning)? {
            return Ok(0);
        }
        let freed = images(session, filters(&self.flags.filter), self.all).await?;
        total(session, freed)
    }
}

/// Flags of `network prune`.
#[derive(Debug, clap::Args)]
pub struct NetworkArgs {
    #[command(flatten)]
    flags: PruneFlags,
}

impl NetworkArgs {
    /// Removes unused networks.
    pub async fn run(self, session: &Session) -> Outcome {
        let warning = "This will remove all custom networks not used by at least one container.";
        if self.flags.confirmed(session, warning)? {
            networks(session, &filters(&self.flags.filter)).await?;
        }
        Ok(0)
    }
}

/// Flags of `volume prune`.
#[derive(Debug, clap::Args)]
pub struct VolumeArgs {
    /// Remove all unused volumes, not just anonymous ones
    #[arg(short, long)]
    all: bool,
    #[command(flatten)]
    flags: PruneFlags,
}

impl VolumeArgs {
    /// Removes unused volumes.
    pub async fn run(self, session: &Session) -> Outcome {
        let warning = if self.all {
            "This will remove all local volumes not used by at least one container."
        } else {
            "This will remove anonymous local volumes not used by at least one container."
        };
        if !self.flags.confirmed(session, warning)? {
            return Ok(0);
        }
        let freed = volumes(session, filters(&self.flags.filter), self.all).await?;
        total(session, freed)
    }
}

/// Flags of `system prune`.
#[derive(Debug, clap::Args)]
pub struct SystemArgs {
    /// Remove all unused images, not just those without a name
    #[arg(short, long)]
    all: bool,
    /// Remove anonymous volumes too
    #[arg(long)]
    volumes: bool,
    #[command(flatten)]
    flags: PruneFlags,
}

impl SystemArgs {
    /// Removes all that is unused.
    pub async fn run(self, session: &Session) -> Outcome {
        let mut warning = String::from(
            "This will remove:\n  - all stopped containers\n  - all networks not used by at least one container\n",
        );
        if self.volumes {
            warning.push_str("  - all anonymous volumes not used by at least one container\n");
        }
        warning.push_str(if self.all {
            "  - all images without at least one container associated to them\n"
        } else {
            "  - all dangling images\n"
        });
        if !self.flags.confirmed(session, &warning)? {
            return Ok(0);
        }
        let filters = filters(&self.flags.filter);
        let mut freed = containers(session, &filters).await?;
        networks(session, &filters).await?;
        if self.volumes {
            freed += volumes(session, filters.clone(), false).await?;
        }
        freed += images(session, filters, self.all).await?;
        total(session, freed)
    }
}

fn total(session: &Session, freed: u64) -> Outcome {
    if !session.is_explaining() {
        session
            .printer
            .line(&format!("Total reclaimed space: {}", units::size(freed)))?;
    }
    Ok(0)
}

fn list(session: &Session, heading: &str, names: &[String]) -> Result<(), CliError> {
    if names.is_empty() {
        return Ok(());
    }
    session
        .printer
        .data(&format!("{heading}:\n{}\n\n", names.join("\n")))
}

/// Goes on when requests are only printed: the next one is of interest too.
fn answer<T: Default>(answer: Result<T, weft_client::ClientError>) -> Result<T, CliError> {
    match answer {
        Err(weft_client::ClientError::NotSent) => Ok(T::default()),
        answer => Ok(answer?),
    }
}

async fn containers(session: &Session, filters: &Filters) -> Result<u64, CliError> {
    let pruned = answer(session.engine().await?.prune_containers(filters).await)?;
    list(session, "Deleted Containers", &pruned.containers_deleted)?;
    Ok(pruned.space_reclaimed)
}

async fn networks(session: &Session, filters: &Filters) -> Result<(), CliError> {
    let pruned = answer(session.engine().await?.prune_networks(filters).await)?;
    list(session, "Deleted Networks", &pruned.networks_deleted)
}

async fn volumes(session: &Session, mut filters: Filters, all: bool) -> Result<u64, CliError> {
    if all {
        filters.add("all", "true");
    }
    let pruned = answer(session.engine().await?.prune_volumes(&filters).await)?;
    list(session, "Deleted Volumes", &pruned.volumes_deleted)?;
    Ok(pruned.space_reclaimed)
}

async fn images(session: &Session, mut filters: Filters, all: bool) -> Result<u64, CliError> {
    filters.add("dangling", if all { "false" } else { "true" });
    let pruned = answer(session.engine().await?.prune_images(&filters).await)?;
    let names: Vec<String> = pruned
        .images_deleted
        .iter()
        .map(|image| {
            if image.untagged.is_empty() {
                format!("deleted: {}", image.deleted)
            } else {
                format!("untagged: {}", image.untagged)
            }
        })
        .collect();
    list(session, "Deleted Images", &names)?;
    Ok(pruned.space_reclaimed)
}
