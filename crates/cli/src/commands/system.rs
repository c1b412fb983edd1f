//! `weft system …` and `weft info`

use weft_api::docker::SystemInfo;

use super::{disk, events, prune};
use crate::error::CliError;
use crate::objects::verbs::upkeep;
use crate::render::{table, template, units};
use crate::session::Session;
use crate::settings::Origin;
use crate::tree::{Entry, Outcome, noun, verb};

/// The noun.
pub const NOUN: Entry = noun!(
    "system",
    ENTRIES,
    "Commands about the engine or the server as a whole"
);

const ENTRIES: &[Entry] = &[
    verb!(
        "config",
        ConfigArgs,
        "Show each setting and where it came from"
    ),
    verb!("df", disk::DiskArgs, "Show what takes up how much disk"),
    events::VERB,
    INFO,
    verb!("prune", prune::SystemArgs, "Remove all that is unused"),
    upkeep::BACKUP_VERB,
    upkeep::CHECK,
    upkeep::ROTATE_KEY,
];

/// Flags of `system config`.
#[derive(Debug, clap::Args)]
pub struct ConfigArgs {
    /// Format: json
    #[arg(short, long, value_name = "FORM", value_parser = ["json"])]
    output: Option<String>,
}

impl ConfigArgs {
    /// Shows the settings.
    pub async fn run(self, session: &Session) -> Outcome {
        let settings = &session.settings;
        let config = settings
            .config
            .value
            .as_ref()
            .map_or_else(|| "none".to_owned(), |path| path.display().to_string());
        let mut rows: Vec<(String, String, String)> = Vec::new();
        let mut row = |key: &str, value: String, origin: &Origin| {
            rows.push((key.to_owned(), value, origin.to_string()));
        };
        row("config", config, &settings.config.origin);
        for (key, setting) in [
            ("data_dir", &settings.data_dir),
            ("run_dir", &settings.run_dir),
            ("host", &settings.host),
            ("secrets_key", &settings.secrets_key),
        ] {
            row(key, setting.value.display().to_string(), &setting.origin);
        }
        for (key, setting) in [
            ("detach_keys", &settings.detach_keys),
            ("node_name", &settings.node_name),
            ("pod_subnet", &settings.pod_subnet),
        ] {
            row(key, setting.value.clone(), &setting.origin);
        }
        let disabled = &settings.disable_agent;
        row(
            "disable_agent",
            disabled.value.to_string(),
            &disabled.origin,
        );
        let listen = &settings.listen;
        row("listen", listen.value.to_string(), &listen.origin);
        let plain = &settings.deployments_listen;
        let value = plain
            .value
            .map_or_else(String::new, |value| value.to_string());
        row("deployments_listen", value, &plain.origin);
        let file = settings.config.value.clone().map(Origin::File);
        let file = file.unwrap_or(Origin::Default);
        for (host, registry) in &settings.registries {
            let key = |member: &str| format!("registries.{host:?}.{member}");
            row(&key("insecure"), registry.insecure.to_string(), &file);
            row(&key("mirror"), registry.mirror.join(","), &file);
            if let Some(ca) = &registry.ca {
                row(&key("ca"), ca.display().to_string(), &file);
            }
        }
        if self.output.is_some() {
            let all: Vec<_> = rows
                .iter()
                .map(|(key, value, origin)| {
                    serde_json::json!({"key": key, "value": value, "origin": origin})
                })
                .collect();
            session.printer.json(&all)?;
            return Ok(0);
        }
        let cells: Vec<Vec<String>> = rows
            .into_iter()
            .map(|(key, value, origin)| vec![key, value, origin])
            .collect();
        let text = table::layout(&["KEY", "VALUE", "FROM"], &cells, None);
        session.printer.data(&text)?;
        Ok(0)
    }
}

/// The command.
pub const INFO: Entry = verb!("info", InfoArgs, "Show what the engine says of itself");

/// Flags of `info`.
#[derive(Debug, clap::Args)]
pub struct InfoArgs {
    /// Format: json, or a Go template
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
}

impl InfoArgs {
    /// Shows what the engine says of itself.
    pub async fn run(self, session: &Session) -> Outcome {
        let info = session.engine().await?.info().await?;
        let text = match self.format.as_deref() {
            None => describe(&info),
            Some(format) => {
                let value = serde_json::to_value(&info)
                    .map_err(|error| CliError::because("encode the answer", &error))?;
                match format {
                    "json" => format!("{value}\n"),
                    format => format!("{}\n", template::parse(format)?.render(&value)?),
                }
            }
        };
        session.printer.data(&text)?;
        for warning in &info.warnings {
            session.printer.talk(&format!("warning: {warning}"));
        }
        Ok(0)
    }
}

fn describe(info: &SystemInfo) -> String {
    let bytes = u64::try_from(info.mem_total).unwrap_or_default();
    let mut text = String::new();
    let mut line = |name: &str, value: String| text.push_str(&format!("{name}: {value}\n"));
    line("Name", info.name.clone());
    line("Server Version", info.server_version.clone());
    line("Containers", info.containers.to_string());
    line(" Running", info.containers_running.to_string());
    line(" Paused", info.containers_paused.to_string());
    line(" Stopped", info.containers_stopped.to_string());
    line("Images", info.images.to_string());
    line("Storage Driver", info.driver.clone());
    for [key, value] in &info.driver_status {
        line(&format!(" {key}"), value.clone());
    }
    line("Logging Driver", info.logging_driver.clone());
    line("Cgroup Driver", info.cgroup_driver.clone());
    line("Cgroup Version", info.cgroup_version.clone());
    line("Runtime", info.default_runtime.clone());
    line("Security Options", info.security_options.join(", "));
    line("Kernel Version", info.kernel_version.clone());
    line("Operating System", info.operating_system.clone());
    line("Architecture", info.architecture.clone());
    line("CPUs", info.ncpu.to_string());
    line("Total Memory", units::binary_size(bytes));
    line("Root Dir", info.docker_root_dir.clone());
    text
}
