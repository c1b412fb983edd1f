//! `weft ps`

use weft_api::docker::{ContainerSummary, Port};
use weft_client::ListContainers;

use crate::flags::values::{filter, filters};
use crate::render::listing::{Column, ListFlags, hidden, print, shown};
use crate::render::units;
use crate::session::Session;
use crate::tree::{Entry, Outcome, verb};

/// Longest command shown in the table, in characters.
const COMMAND_CHARS: usize = 20;

/// The command.
pub const VERB: Entry = verb!("ps", Args, "List containers");

/// Flags of `ps`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Show stopped containers too
    #[arg(short, long)]
    all: bool,
    /// Only show matching containers: status=…, name=…, label=…, ancestor=…
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = filter)]
    filter: Vec<(String, String)>,
    /// Show the last created containers, whatever their state
    #[arg(short = 'n', long, value_name = "NUMBER", allow_negative_numbers = true, default_value_t = -1)]
    last: i32,
    /// Show the latest created container, whatever its state
    #[arg(short, long)]
    latest: bool,
    /// Show how much each takes up on disk
    #[arg(short, long)]
    size: bool,
    #[command(flatten)]
    list: ListFlags,
}

const COLUMNS: &[Column] = &[
    shown("ID", "CONTAINER ID"),
    shown("Image", "IMAGE"),
    shown("Command", "COMMAND"),
    shown("RunningFor", "CREATED"),
    shown("Status", "STATUS"),
    shown("Ports", "PORTS"),
    shown("Names", "NAMES"),
    hidden("Size", "SIZE"),
    hidden("CreatedAt", "CREATED AT"),
    hidden("State", "STATE"),
    hidden("Labels", "LABELS"),
    hidden("Mounts", "MOUNTS"),
    hidden("Networks", "NETWORKS"),
    hidden("LocalVolumes", "LOCAL VOLUMES"),
];
const SIZE: usize = 7;

impl Args {
    /// Lists the containers.
    pub async fn run(self, session: &Session) -> Outcome {
        let filters = filters(&self.filter);
        let limit = match (self.latest, self.last) {
            (true, _) => Some(1),
            (false, last) => u32::try_from(last).ok().filter(|last| *last > 0),
        };
        let wants_size = self.size
            || (self.list.format.as_deref()).is_some_and(|format| format.contains(".Size"));
        let engine = session.engine().await?;
        let containers = engine
            .list_containers(&ListContainers {
                all: self.all,
                limit,
                size: wants_size,
                filters,
            })
            .await?;
        if self.list.output.is_some() {
            session.printer.json(&containers)?;
            return Ok(0);
        }
        let now = units::now_seconds();
        // Naming the time zone needs its database: only for those who look.
        let wants_dates = self.list.format.is_some();
        let rows: Vec<Vec<String>> = containers
            .iter()
            .map(|container| row(container, now, self.list.no_trunc, wants_dates))
            .collect();
        let mut columns = COLUMNS.to_vec();
        columns[SIZE].shown = self.size;
        print(session, &self.list, &columns, "ID", &rows)?;
        Ok(0)
    }
}

fn row(container: &ContainerSummary, now: i64, full: bool, dates: bool) -> Vec<String> {
    let id = if full {
        container.id.clone()
    } else {
        units::short_id(&container.id).to_owned()
    };
    let (image, command) = if full {
        (container.image.clone(), format!("{:?}", container.command))
    } else {
        (image(container), command(container))
    };
    let mounts: Vec<String> = container
        .mounts
        .iter()
        .map(|mount| {
            let name = if mount.name.is_empty() {
                &mount.source
            } else {
                &mount.name
            };
            if full {
                name.clone()
            } else {
                units::ellipsis(name, 15)
            }
        })
        .collect();
    let networks: Vec<&str> = container
        .network_settings
        .networks
        .keys()
        .map(String::as_str)
        .collect();
    vec![
        id,
        image,
        command,
        units::ago(container.created, now),
        container.status.clone(),
        ports(&container.ports),
        names(&container.names),
        size(container),
        if dates {
            units::local(container.created)
        } else {
            String::new()
        },
        container.state.clone(),
        labels(&container.labels),
        mounts.join(","),
        networks.join(","),
        local_volumes(container).to_string(),
    ]
}

/// Its image, short if it is an id.
pub fn image(container: &ContainerSummary) -> String {
    if container.image.starts_with("sha256:") {
        units::short_id(&container.image).to_owned()
    } else {
        container.image.clone()
    }
}

/// The beginning of its command.
pub fn command(container: &ContainerSummary) -> String {
    format!("{:?}", units::ellipsis(&container.command, COMMAND_CHARS))
}

/// How many of its mounts are volumes.
pub fn local_volumes(container: &ContainerSummary) -> usize {
    let volumes = container.mounts.iter().filter(|m| m.r#type == "volume");
    volumes.count()
}

/// Names as a person writes them.
pub fn names(names: &[String]) -> String {
    let names: Vec<&str> = names
        .iter()
        .map(|name| name.strip_prefix('/').unwrap_or(name))
        .collect();
    names.join(",")
}

/// Labels as `a=b,c=d`.
pub fn labels(labels: &std::collections::BTreeMap<String, String>) -> String {
    let pairs: Vec<String> = labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    pairs.join(",")
}

fn size(container: &ContainerSummary) -> String {
    let bytes = |size: Option<i64>| size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0);
    let own = units::size_short(bytes(container.size_rw));
    match bytes(container.size_root_fs) {
        0 => own,
        all => format!("{own} (virtual {})", units::size_short(all)),
    }
}

/// Ports as docker shows them, runs of neighbours as ranges: `0.0.0.0:8000-8002->80-82/tcp`.
fn ports(ports: &[Port]) -> String {
    let mut sorted: Vec<&Port> = ports.iter().collect();
    sorted.sort_by(|a, b| {
        (
            a.public_port.is_none(),
            &a.ip,
            &a.r#type,
            a.private_port,
            a.public_port,
        )
            .cmp(&(
                b.public_port.is_none(),
                &b.ip,
                &b.r#type,
                b.private_port,
                b.public_port,
            ))
    });
    let mut parts: Vec<String> = Vec::new();
    let mut at = 0;
    while at < sorted.len() {
        let first = sorted[at];
        let mut last = first;
        while let Some(next) = sorted.get(at + 1).filter(|next| follows(last, next)) {
            last = next;
            at += 1;
        }
        at += 1;
        parts.push(part(first, last));
    }
    parts.join(", ")
}

fn follows(last: &Port, next: &Port) -> bool {
    let plus_one = |a: u16, b: u16| a.checked_add(1) == Some(b);
    last.ip == next.ip
        && last.r#type == next.r#type
        && plus_one(last.private_port, next.private_port)
        && match (last.public_port, next.public_port) {
            (None, None) => true,
            (Some(a), Some(b)) => plus_one(a, b),
            _ => false,
        }
}

fn part(first: &Port, last: &Port) -> String {
    let range = |a: u16, b: u16| {
        if a == b {
            a.to_string()
        } else {
            format!("{a}-{b}")
        }
    };
    let inside = range(first.private_port, last.private_port);
    match (first.public_port, last.public_port) {
        (Some(a), Some(b)) => {
            let ip = if first.ip.contains(':') {
                format!("[{}]", first.ip)
            } else {
                first.ip.clone()
            };
            format!("{ip}:{}->{inside}/{}", range(a, b), first.r#type)
        }
        _ => format!("{inside}/{}", first.r#type),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn port(ip: &str, private: u16, public: Option<u16>, protocol: &str) -> Port {
        Port {
            ip: ip.to_owned(),
            private_port: private,
            public_port: public,
            r#type: protocol.to_owned(),
        }
    }

    #[test]
    fn neighbouring_ports_are_ranges() {
        let all = [
            port("0.0.0.0", 81, Some(8081), "tcp"),
            port("0.0.0.0", 80, Some(8080), "tcp"),
            port("0.0.0.0", 82, Some(9000), "tcp"),
            port("::", 80, Some(8080), "tcp"),
            port("", 443, None, "tcp"),
            port("127.0.0.1", 53, Some(53), "udp"),
        ];
        assert_eq!(
            ports(&all),
            "0.0.0.0:8080-8081->80-81/tcp, 0.0.0.0:9000->82/tcp, 127.0.0.1:53->53/udp, [::]:8080->80/tcp, 443/tcp"
        );
    }

    #[test]
    fn a_row_is_what_docker_shows() {
        let container = ContainerSummary {
            id: "0123456789abcdef".repeat(4),
            names: vec!["/web".to_owned()],
            image: "busybox".to_owned(),
            command: "sh -c 'sleep 1000000000'".to_owned(),
            created: 1000,
            status: "Up 5 seconds".to_owned(),
            state: "running".to_owned(),
            ..ContainerSummary::default()
        };
        assert_eq!(
            row(&container, 1120, false, false)[..8],
            [
                "0123456789ab",
                "busybox",
                "\"sh -c 'sleep 100000…\"",
                "2 minutes ago",
                "Up 5 seconds",
                "",
                "web",
                "0B"
            ]
        );
    }
}
