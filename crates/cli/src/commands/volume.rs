//! `weft volume …`

use weft_api::docker::VolumeCreateRequest;

use super::each::{each, unless_missing};
use super::{inspect, prune};
use crate::flags::values::{filter, filters, pairs};
use crate::render::listing::{Column, ListFlags, hidden, print, shown};
use crate::session::Session;
use crate::tree::{Entry, Outcome, noun, verb};

/// The noun.
pub const NOUN: Entry = noun!("volume", ENTRIES, "Commands about volumes");

const ENTRIES: &[Entry] = &[
    verb!("create", CreateArgs, "Make a volume"),
    verb!(
        "inspect",
        inspect::VolumeArgs,
        "Show everything about volumes, as JSON"
    ),
    verb!("ls" | "list", ListArgs, "List volumes"),
    verb!("prune", prune::VolumeArgs, "Remove unused volumes"),
    verb!("rm" | "remove", RemoveArgs, "Remove volumes and their data"),
];

/// Flags of `volume create`.
#[derive(Debug, clap::Args)]
pub struct CreateArgs {
    /// Driver
    #[arg(short, long, default_value = "local")]
    driver: String,
    /// Set meta data
    #[arg(long, value_name = "KEY[=VALUE]")]
    label: Vec<String>,
    /// Name, as a flag
    #[arg(long, hide = true, conflicts_with = "volume")]
    name: Option<String>,
    /// Set an option of the driver
    #[arg(short, long, value_name = "KEY=VALUE")]
    opt: Vec<String>,
    /// Name of the volume; a random one when left out
    volume: Option<String>,
}

impl CreateArgs {
    /// Makes the volume and prints its name.
    pub async fn run(self, session: &Session) -> Outcome {
        let body = VolumeCreateRequest {
            name: self.volume.or(self.name).unwrap_or_default(),
            driver: self.driver,
            driver_opts: pairs(&self.opt),
            labels: pairs(&self.label),
            ..VolumeCreateRequest::default()
        };
        let volume = session.engine().await?.create_volume(&body).await?;
        session.printer.line(&volume.name)?;
        Ok(0)
    }
}

/// Flags of `volume ls`.
#[derive(Debug, clap::Args)]
pub struct ListArgs {
    /// Only show matching volumes: dangling=…, name=…, driver=…, label=…
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = filter)]
    filter: Vec<(String, String)>,
    #[command(flatten)]
    list: ListFlags,
}

const COLUMNS: &[Column] = &[
    shown("Driver", "DRIVER"),
    shown("Name", "VOLUME NAME"),
    hidden("Scope", "SCOPE"),
    hidden("Mountpoint", "MOUNTPOINT"),
    hidden("Labels", "LABELS"),
];

impl ListArgs {
    /// Lists the volumes.
    pub async fn run(self, session: &Session) -> Outcome {
        let filters = filters(&self.filter);
        let engine = session.engine().await?;
        let mut list = engine.list_volumes(&filters).await?;
        list.volumes.sort_by(|a, b| a.name.cmp(&b.name));
        for warning in list.warnings.iter().flatten() {
            session.printer.talk(&format!("warning: {warning}"));
        }
        if self.list.output.is_some() {
            session.printer.json(&list.volumes)?;
            return Ok(0);
        }
        let rows: Vec<Vec<String>> = list
            .volumes
            .into_iter()
            .map(|volume| {
                vec![
                    volume.driver,
                    volume.name,
                    volume.scope,
                    volume.mountpoint,
                    super::ps::labels(&volume.labels),
                ]
            })
            .collect();
        print(session, &self.list, COLUMNS, "Name", &rows)?;
        Ok(0)
    }
}

/// Flags of `volume rm`.
#[derive(Debug, clap::Args)]
pub struct RemoveArgs {
    /// What does not exist is no failure
    #[arg(short, long)]
    force: bool,
    /// Volumes to remove
    #[arg(required = true, value_name = "VOLUME")]
    volumes: Vec<String>,
}

impl RemoveArgs {
    /// Removes the volumes.
    pub async fn run(self, session: &Session) -> Outcome {
        let engine = session.engine().await?;
        each(session, &self.volumes, async |name| {
            unless_missing(self.force, engine.remove_volume(name, self.force).await)
        })
        .await
    }
}
