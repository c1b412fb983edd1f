//! `weft system df`

use weft_api::docker::{ContainerSummary, DiskUsage, ImageSummary, Volume};

use super::{images, ps};
use crate::render::{table, units};
use crate::session::Session;
use crate::tree::Outcome;

/// Flags of `system df`.
#[derive(Debug, clap::Args)]
pub struct DiskArgs {
    /// Print the engine's own objects: json
    #[arg(short, long, value_name = "FORM", value_parser = ["json"])]
    output: Option<String>,
    /// Show each image, container and volume
    #[arg(short, long)]
    verbose: bool,
}

impl DiskArgs {
    /// Shows what takes up how much disk.
    pub async fn run(self, session: &Session) -> Outcome {
        let usage = session.engine().await?.disk_usage().await?;
        if self.output.is_some() {
            session.printer.json(&usage)?;
            return Ok(0);
        }
        if self.verbose {
            session.printer.data(&each(&usage, units::now_seconds()))?;
            return Ok(0);
        }
        let heading = ["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"];
        let text = table::layout(&heading, &disk_rows(&usage), None);
        session.printer.data(&text)?;
        Ok(0)
    }
}

/// A table for each kind of thing, as docker has them.
fn each(usage: &DiskUsage, now: i64) -> String {
    let mut images: Vec<&ImageSummary> = usage.images.iter().collect();
    images.sort_by_key(|image| std::cmp::Reverse(image.created));
    let images: Vec<Vec<String>> = images.into_iter().map(|i| image_row(i, now)).collect();
    let containers: Vec<Vec<String>> = usage
        .containers
        .iter()
        .map(|container| container_row(container, now))
        .collect();
    let mut volumes: Vec<Vec<String>> = usage.volumes.iter().map(volume_row).collect();
    volumes.sort();
    format!(
        "Images space usage:\n\n{}\nContainers space usage:\n\n{}\n\
         Local Volumes space usage:\n\n{}\nBuild cache usage: 0B\n\n{}",
        table::layout(&IMAGES, &images, None),
        table::layout(&CONTAINERS, &containers, None),
        table::layout(&VOLUMES, &volumes, None),
        table::layout(&BUILDS, &[], None),
    )
}

const IMAGES: [&str; 8] = [
    "REPOSITORY",
    "TAG",
    "IMAGE ID",
    "CREATED",
    "SIZE",
    "SHARED SIZE",
    "UNIQUE SIZE",
    "CONTAINERS",
];
const CONTAINERS: [&str; 8] = [
    "CONTAINER ID",
    "IMAGE",
    "COMMAND",
    "LOCAL VOLUMES",
    "SIZE",
    "CREATED",
    "STATUS",
    "NAMES",
];
const VOLUMES: [&str; 3] = ["VOLUME NAME", "LINKS", "SIZE"];
/// There is none.
const BUILDS: [&str; 7] = [
    "CACHE ID",
    "CACHE TYPE",
    "SIZE",
    "CREATED",
    "LAST USED",
    "USAGE",
    "SHARED",
];

/// Under its first name.
fn image_row(image: &ImageSummary, now: i64) -> Vec<String> {
    let size = |size: i64| units::size(bytes(size));
    let mut names = images::names(image, false);
    let (repository, tag, _) = names.swap_remove(0);
    vec![
        repository,
        tag,
        units::short_id(&image.id).to_owned(),
        units::ago(image.created, now),
        units::size_short(bytes(image.size)),
        size(image.shared_size),
        size(image.size - image.shared_size),
        image.containers.max(0).to_string(),
    ]
}

fn container_row(container: &ContainerSummary, now: i64) -> Vec<String> {
    vec![
        units::short_id(&container.id).to_owned(),
        ps::image(container),
        ps::command(container),
        ps::local_volumes(container).to_string(),
        units::size_short(bytes(container.size_rw.unwrap_or_default())),
        units::ago(container.created, now),
        container.status.clone(),
        ps::names(&container.names),
    ]
}

fn volume_row(volume: &Volume) -> Vec<String> {
    let (links, size) = match &volume.usage_data {
        Some(data) => (
            data.ref_count.max(0).to_string(),
            units::size(bytes(data.size)),
        ),
        None => ("N/A".to_owned(), "N/A".to_owned()),
    };
    vec![volume.name.clone(), links, size]
}

fn bytes(size: i64) -> u64 {
    u64::try_from(size).unwrap_or_default()
}

/// One kind of thing: how many, how many in use, and their bytes.
fn row(name: &str, total: usize, active: usize, size: u64, free: u64) -> Vec<String> {
    let free = free.min(size);
    let share = match (u128::from(free) * 100).checked_div(size.into()) {
        Some(share) => format!(" ({share}%)"),
        None => String::new(),
    };
    vec![
        name.to_owned(),
        total.to_string(),
        active.to_string(),
        units::size(size),
        format!("{}{share}", units::size(free)),
    ]
}

fn disk_rows(usage: &DiskUsage) -> Vec<Vec<String>> {
    let active_images = usage.images.iter().filter(|i| i.containers > 0).count();
    let idle_images: u64 = usage
        .images
        .iter()
        .filter(|image| image.containers <= 0)
        .map(|image| bytes(image.size).saturating_sub(bytes(image.shared_size)))
        .sum();
    let running = |state: &str| ["running", "paused", "restarting"].contains(&state);
    let active_containers = usage
        .containers
        .iter()
        .filter(|c| running(&c.state))
        .count();
    let size = |all: bool| -> u64 {
        usage
            .containers
            .iter()
            .filter(|c| all || !running(&c.state))
            .map(|c| bytes(c.size_rw.unwrap_or_default()))
            .sum()
    };
    let volume_size = |all: bool| -> u64 {
        usage
            .volumes
            .iter()
            .filter_map(|volume| volume.usage_data.as_ref())
            .filter(|data| all || data.ref_count <= 0)
            .map(|data| bytes(data.size))
            .sum()
    };
    let active_volumes = usage
        .volumes
        .iter()
        .filter(|v| v.usage_data.as_ref().is_some_and(|data| data.ref_count > 0))
        .count();
    vec![
        row(
            "Images",
            usage.images.len(),
            active_images,
            bytes(usage.layers_size),
            idle_images,
        ),
        row(
            "Containers",
            usage.containers.len(),
            active_containers,
            size(true),
            size(false),
        ),
        row(
            "Local Volumes",
            usage.volumes.len(),
            active_volumes,
            volume_size(true),
            volume_size(false),
        ),
        row("Build Cache", 0, 0, 0, 0),
    ]
}
