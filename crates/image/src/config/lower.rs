//! Owns what an image's configuration may say: from the wire to a total type, each field checked.

use std::collections::BTreeMap;

use super::{ConfigError, ExposedPort, Healthcheck, History, ImageConfig, LAYERS_MAX};
use crate::digest::Digest;
use crate::platform::Platform;
use crate::wire;

/// Most bytes of all environment, argument, label or history strings together.
const STRINGS_MAX: usize = 1 << 20;
/// Longest single argument or variable: the kernel's MAX_ARG_STRLEN.
const STRING_MAX: usize = 128 << 10;
const PATH_MAX: usize = 4096;
const USER_MAX: usize = 256;

pub(super) fn lower(wire: wire::ConfigWire) -> Result<ImageConfig, ConfigError> {
    let process = wire.config.unwrap_or_default();
    let rootfs = wire.rootfs.unwrap_or_default();
    if !matches!(rootfs.kind.as_str(), "" | "layers") {
        return Err(unusable(
            "rootfs.type",
            format!("{:?} is not \"layers\"", shown(&rootfs.kind)),
        ));
    }
    if rootfs.diff_ids.len() > LAYERS_MAX {
        return Err(unusable(
            "rootfs.diff_ids",
            format!("more than {LAYERS_MAX} layers"),
        ));
    }
    let diff_ids = rootfs
        .diff_ids
        .iter()
        .map(|id| Digest::parse(id).map_err(ConfigError::DiffId));
    let host = Platform::host();
    Ok(ImageConfig {
        os: name("os", wire.os, &host.os)?,
        architecture: name("architecture", wire.architecture, &host.architecture)?,
        variant: name("variant", wire.variant, "")?,
        created: wire.created.filter(|text| text.len() <= 64),
        author: wire.author.filter(|text| text.len() <= STRING_MAX),
        env: environment(process.env.unwrap_or_default())?,
        entrypoint: strings("Entrypoint", process.entrypoint.unwrap_or_default())?,
        cmd: strings("Cmd", process.cmd.unwrap_or_default())?,
        working_dir: working_dir(process.working_dir.unwrap_or_default())?,
        user: user(process.user.unwrap_or_default())?,
        exposed_ports: exposed_ports(process.exposed_ports.unwrap_or_default())?,
        volumes: volumes(process.volumes.unwrap_or_default())?,
        labels: labels(process.labels.unwrap_or_default())?,
        stop_signal: stop_signal(process.stop_signal.unwrap_or_default())?,
        healthcheck: process.healthcheck.map(healthcheck).transpose()?,
        on_build: strings("OnBuild", process.on_build.unwrap_or_default())?,
        shell: strings("Shell", process.shell.unwrap_or_default())?,
        diff_ids: diff_ids.collect::<Result<_, _>>()?,
        history: history(wire.history.unwrap_or_default())?,
    })
}

fn unusable(field: &'static str, why: impl Into<String>) -> ConfigError {
    ConfigError::Field {
        field,
        why: why.into(),
    }
}

fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

fn name(field: &'static str, text: String, default: &str) -> Result<String, ConfigError> {
    if text.is_empty() {
        return Ok(default.to_owned());
    }
    let fits = |c: u8| c.is_ascii_alphanumeric() || b"._-".contains(&c);
    if text.len() > 32 || !text.bytes().all(fits) {
        return Err(unusable(field, format!("{:?} is not a name", shown(&text))));
    }
    Ok(text)
}

fn strings(field: &'static str, list: Vec<String>) -> Result<Vec<String>, ConfigError> {
    if list.iter().any(|text| text.contains('\0')) {
        return Err(unusable(field, "contains a NUL byte"));
    }
    if list.iter().any(|text| text.len() > STRING_MAX) {
        return Err(unusable(
            field,
            format!("an element is longer than {STRING_MAX} bytes"),
        ));
    }
    if list.iter().map(|text| text.len() + 1).sum::<usize>() > STRINGS_MAX {
        return Err(unusable(
            field,
            format!("longer than {STRINGS_MAX} bytes in total"),
        ));
    }
    Ok(list)
}

/// An entry without `=` stays inert: it never takes a value from the host (CVE-2026-57231).
fn environment(list: Vec<String>) -> Result<Vec<String>, ConfigError> {
    let mut list = strings("Env", list)?;
    for entry in &mut list {
        if entry.is_empty() || entry.starts_with('=') {
            return Err(unusable("Env", format!("{:?} has no name", shown(entry))));
        }
        if !entry.contains('=') {
            entry.push('=');
        }
    }
    Ok(list)
}

fn working_dir(text: String) -> Result<String, ConfigError> {
    if text.contains('\0') || text.len() > PATH_MAX {
        return Err(unusable(
            "WorkingDir",
            format!("{:?} is not a path", shown(&text)),
        ));
    }
    Ok(if text.is_empty() { text } else { clean(&text) })
}

/// Resolves `.` and `..` by name alone, never above `/`.
fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Numbers beyond an i32 wrapped to 0 elsewhere (CVE-2024-40635); here they are refused.
fn user(text: String) -> Result<String, ConfigError> {
    if text.is_empty() {
        return Ok(text);
    }
    let parts: Vec<&str> = text.split(':').collect();
    let fits = |part: &&str| {
        let letters = |c: u8| c.is_ascii_alphanumeric() || b"._-$@+\\".contains(&c) || c >= 0x80;
        let number = part.bytes().all(|c| c.is_ascii_digit());
        part.bytes().all(letters)
            && !part.starts_with(['-', '+'])
            && (!number || part.is_empty() || part.parse::<i32>().is_ok())
    };
    if text.len() > USER_MAX || parts.len() > 2 || parts[0].is_empty() || !parts.iter().all(fits) {
        return Err(unusable(
            "User",
            format!("{:?} is not a user[:group]", shown(&text)),
        ));
    }
    Ok(text)
}

fn exposed_ports(
    map: BTreeMap<String, serde_json::Value>,
) -> Result<Vec<ExposedPort>, ConfigError> {
    map.keys().map(|text| exposed_port(text)).collect()
}

/// Parses `80`, `80/udp` or `8000-8010/tcp`.
pub(crate) fn exposed_port(text: &str) -> Result<ExposedPort, ConfigError> {
    let bad = || {
        unusable(
            "ExposedPorts",
            format!("{:?} is not a port[/protocol]", shown(text)),
        )
    };
    let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(bad());
    }
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
        text.parse::<u16>()
            .ok()
            .filter(|port| digits && *port > 0)
            .ok_or_else(bad)
    };
    let (first, last) = match ports.split_once('-') {
        Some((first, last)) => (number(first)?, number(last)?),
        None => (number(ports)?, number(ports)?),
    };
    if first > last {
        return Err(bad());
    }
    Ok(ExposedPort {
        first,
        last,
        protocol,
    })
}

fn volumes(map: BTreeMap<String, serde_json::Value>) -> Result<Vec<String>, ConfigError> {
    map.into_keys().map(|path| volume(&path)).collect()
}

/// A volume path that leaves the root would copy from the host (CVE-2022-23648).
pub(crate) fn volume(path: &str) -> Result<String, ConfigError> {
    let up = path.split('/').any(|part| part == "..");
    let cleaned = clean(path);
    if !path.starts_with('/')
        || up
        || path.contains('\0')
        || path.len() > PATH_MAX
        || cleaned == "/"
    {
        let why = format!(
            "{:?} is not an absolute path below / without \"..\"",
            shown(path)
        );
        return Err(unusable("Volumes", why));
    }
    Ok(cleaned)
}

fn labels(map: BTreeMap<String, String>) -> Result<BTreeMap<String, String>, ConfigError> {
    if map.keys().any(|key| key.is_empty() || key.contains('\0')) {
        return Err(unusable("Labels", "an empty name or a NUL byte in one"));
    }
    if map
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum::<usize>()
        > STRINGS_MAX
    {
        return Err(unusable(
            "Labels",
            format!("longer than {STRINGS_MAX} bytes in total"),
        ));
    }
    Ok(map)
}

fn stop_signal(text: String) -> Result<Option<String>, ConfigError> {
    if text.is_empty() {
        return Ok(None);
    }
    let fits = |c: u8| c.is_ascii_alphanumeric() || c == b'+' || c == b'-';
    if text.len() > 16 || !text.bytes().all(fits) {
        return Err(unusable(
            "StopSignal",
            format!("{:?} is not a signal", shown(&text)),
        ));
    }
    Ok(Some(text))
}

fn healthcheck(wire: wire::HealthcheckWire) -> Result<Healthcheck, ConfigError> {
    let test = strings("Healthcheck", wire.test.unwrap_or_default())?;
    if !matches!(
        test.first().map(String::as_str),
        None | Some("" | "NONE" | "CMD" | "CMD-SHELL")
    ) {
        return Err(unusable(
            "Healthcheck",
            format!("unknown kind {:?}", shown(&test[0])),
        ));
    }
    let natural = |value: i64| {
        u64::try_from(value).map_err(|_| unusable("Healthcheck", "a negative duration"))
    };
    Ok(Healthcheck {
        test,
        interval_ns: natural(wire.interval)?,
        timeout_ns: natural(wire.timeout)?,
        start_period_ns: natural(wire.start_period)?,
        start_interval_ns: natural(wire.start_interval)?,
        retries: u32::try_from(wire.retries)
            .map_err(|_| unusable("Healthcheck", "retries out of range"))?,
    })
}

fn history(list: Vec<wire::HistoryWire>) -> Result<Vec<History>, ConfigError> {
    let bytes = |step: &wire::HistoryWire| {
        step.created_by.as_ref().map_or(0, String::len)
            + step.comment.as_ref().map_or(0, String::len)
    };
    if list.iter().map(bytes).sum::<usize>() > STRINGS_MAX {
        return Err(unusable(
            "history",
            format!("longer than {STRINGS_MAX} bytes in total"),
        ));
    }
    let step = |step: wire::HistoryWire| History {
        created: step.created,
        created_by: step.created_by.unwrap_or_default(),
        comment: step.comment.unwrap_or_default(),
        empty_layer: step.empty_layer,
    };
    Ok(list.into_iter().map(step).collect())
}
