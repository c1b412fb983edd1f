//! Owns image configurations: lowers the JSON of a config blob to a total, validated type.
//! Nothing here acts on what it reads, and nothing an image says selects a host action.

use std::collections::BTreeMap;

use crate::digest::{Digest, DigestError};
use crate::platform::Platform;
use crate::wire;

/// Most bytes of all environment, argument, label or history strings together.
const STRINGS_MAX: usize = 1 << 20;
/// Longest single argument or variable: the kernel's MAX_ARG_STRLEN.
const STRING_MAX: usize = 128 << 10;
const PATH_MAX: usize = 4096;
const USER_MAX: usize = 256;
/// Most layers of one image; overlayfs stacks at most 500.
pub const LAYERS_MAX: usize = 500;

/// What a container made from an image starts with. Every field has been validated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageConfig {
    /// `linux`.
    pub os: String,
    /// `amd64`, …
    pub architecture: String,
    /// `v7`, …; empty if there is none.
    pub variant: String,
    /// RFC 3339, as written in the config.
    pub created: Option<String>,
    /// Free text.
    pub author: Option<String>,
    /// `NAME=value`; a bare `NAME` in the image has become `NAME=`.
    pub env: Vec<String>,
    /// Empty if none.
    pub entrypoint: Vec<String>,
    /// Empty if none.
    pub cmd: Vec<String>,
    /// Absolute and clean; empty if none.
    pub working_dir: String,
    /// `user`, `uid`, `user:group`, …; empty is root. Numbers fit an i32.
    pub user: String,
    /// Ports in the order of their names.
    pub exposed_ports: Vec<ExposedPort>,
    /// Absolute, clean paths other than `/`, without `..`.
    pub volumes: Vec<String>,
    /// As in the image.
    pub labels: BTreeMap<String, String>,
    /// A name or number such as `SIGTERM`, `SIGRTMIN+3` or `9`.
    pub stop_signal: Option<String>,
    /// Docker's HEALTHCHECK.
    pub healthcheck: Option<Healthcheck>,
    /// Docker's ONBUILD triggers.
    pub on_build: Vec<String>,
    /// Docker's SHELL.
    pub shell: Vec<String>,
    /// Uncompressed layer digests, lowest layer first.
    pub diff_ids: Vec<Digest>,
    /// Oldest first.
    pub history: Vec<History>,
}

/// A port or a range of ports an image says it listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExposedPort {
    /// First port.
    pub first: u16,
    /// Last port, the same as the first for a single one.
    pub last: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
}

/// How to find out whether a container is well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", …]`, `["CMD-SHELL", …]`; empty inherits.
    pub test: Vec<String>,
    /// Nanoseconds; 0 inherits.
    pub interval_ns: u64,
    /// Nanoseconds; 0 inherits.
    pub timeout_ns: u64,
    /// Nanoseconds; 0 inherits.
    pub start_period_ns: u64,
    /// Nanoseconds; 0 inherits.
    pub start_interval_ns: u64,
    /// 0 inherits.
    pub retries: u32,
}

/// One step of how an image was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// RFC 3339.
    pub created: Option<String>,
    /// The command.
    pub created_by: String,
    /// Free text.
    pub comment: String,
    /// Whether the step made no layer.
    pub empty_layer: bool,
}

/// An image configuration is unusable.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not the JSON it should be.
    #[error("image config is not valid JSON of its kind")]
    Json(#[source] serde_json::Error),
    /// A field holds what no container could be made from.
    #[error("image config has an unusable {field}: {why}")]
    Field {
        /// The field, as named in the config.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A diff id is not a digest.
    #[error("image config has an unusable diff id")]
    DiffId(#[source] DigestError),
}

fn unusable(field: &'static str, why: impl Into<String>) -> ConfigError {
    ConfigError::Field {
        field,
        why: why.into(),
    }
}

impl ImageConfig {
    /// Lowers a config blob.
    pub fn parse(json: &[u8]) -> Result<Self, ConfigError> {
        lower(wire::object(json).map_err(ConfigError::Json)?)
    }

    /// The blob for this configuration: OCI image-spec 1.1 config with Docker's additions.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(&raise(self)).expect("strings and maps always serialise")
    }

    /// The platform it is made for.
    pub fn platform(&self) -> Platform {
        Platform {
            os: self.os.clone(),
            architecture: self.architecture.clone(),
            variant: self.variant.clone(),
        }
    }

    /// When it was made, in seconds since 1970; `None` if not said or not a time.
    pub fn created_unix(&self) -> Option<i64> {
        let text = self.created.as_deref()?;
        text.parse::<jiff::Timestamp>()
            .ok()
            .map(|time| time.as_second())
    }
}

fn lower(wire: wire::ConfigWire) -> Result<ImageConfig, ConfigError> {
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

fn raise(config: &ImageConfig) -> wire::ConfigWire {
    let list = |list: &Vec<String>| (!list.is_empty()).then(|| list.clone());
    let text = |text: &String| (!text.is_empty()).then(|| text.clone());
    let nothing = || serde_json::Value::Object(serde_json::Map::new());
    let port = |port: &ExposedPort| {
        let range = if port.first == port.last {
            port.first.to_string()
        } else {
            format!("{}-{}", port.first, port.last)
        };
        (format!("{range}/{}", port.protocol), nothing())
    };
    let ports: BTreeMap<_, _> = config.exposed_ports.iter().map(port).collect();
    let volumes: BTreeMap<_, _> = config
        .volumes
        .iter()
        .map(|path| (path.clone(), nothing()))
        .collect();
    wire::ConfigWire {
        created: config.created.clone(),
        author: config.author.clone(),
        architecture: config.architecture.clone(),
        os: config.os.clone(),
        variant: config.variant.clone(),
        config: Some(wire::ProcessWire {
            user: text(&config.user),
            exposed_ports: (!ports.is_empty()).then_some(ports),
            env: list(&config.env),
            entrypoint: list(&config.entrypoint),
            cmd: list(&config.cmd),
            volumes: (!volumes.is_empty()).then_some(volumes),
            working_dir: text(&config.working_dir),
            labels: (!config.labels.is_empty()).then(|| config.labels.clone()),
            stop_signal: config.stop_signal.clone(),
            healthcheck: config.healthcheck.as_ref().map(raise_healthcheck),
            on_build: list(&config.on_build),
            shell: list(&config.shell),
        }),
        rootfs: Some(wire::RootfsWire {
            kind: "layers".to_owned(),
            diff_ids: config.diff_ids.iter().map(Digest::to_string).collect(),
        }),
        history: Some(config.history.iter().map(raise_history).collect()),
    }
}

fn raise_healthcheck(check: &Healthcheck) -> wire::HealthcheckWire {
    let signed = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    wire::HealthcheckWire {
        test: Some(check.test.clone()),
        interval: signed(check.interval_ns),
        timeout: signed(check.timeout_ns),
        start_period: signed(check.start_period_ns),
        start_interval: signed(check.start_interval_ns),
        retries: i64::from(check.retries),
    }
}

fn raise_history(step: &History) -> wire::HistoryWire {
    let text = |text: &String| (!text.is_empty()).then(|| text.clone());
    wire::HistoryWire {
        created: step.created.clone(),
        created_by: text(&step.created_by),
        comment: text(&step.comment),
        empty_layer: step.empty_layer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(json: &str) -> Result<ImageConfig, ConfigError> {
        ImageConfig::parse(
            format!(r#"{{"os":"linux","architecture":"amd64","config":{json}}}"#).as_bytes(),
        )
    }

    #[test]
    fn lowers_and_raises_the_same() {
        let config = process(
            r#"{"Env":["PATH=/bin","BARE"],"Cmd":["sh"],"WorkingDir":"app/../srv/","User":"1000:1000",
                "ExposedPorts":{"80/tcp":{},"53/udp":{},"8000-8010":{}},"Volumes":{"/data/":{}},
                "Labels":{"a":"b"},"StopSignal":"SIGRTMIN+3",
                "Healthcheck":{"Test":["CMD","true"],"Interval":5}}"#,
        )
        .expect("valid");
        assert_eq!(config.env, ["PATH=/bin", "BARE="]);
        assert_eq!(config.working_dir, "/srv");
        assert_eq!(config.volumes, ["/data"]);
        assert_eq!(config.exposed_ports.len(), 3);
        assert_eq!(
            ImageConfig::parse(&config.to_json()).expect("own output"),
            config
        );
        assert_eq!(process("null").expect("valid").cmd, Vec::<String>::new());
    }

    #[test]
    fn absurd_values_are_refused_by_name() {
        let long = "x".repeat(200_000);
        let table = [
            (r#"{"Env":["=x"]}"#.to_owned(), "Env"),
            (r#"{"Env":["A\u0000=x"]}"#.to_owned(), "Env"),
            (format!(r#"{{"Env":["A={long}"]}}"#), "Env"),
            (
                format!(
                    r#"{{"Cmd":[{}"x"]}}"#,
                    format!(r#""{}","#, "y".repeat(120_000)).repeat(10)
                ),
                "Cmd",
            ),
            (r#"{"User":"4294967296"}"#.to_owned(), "User"),
            (r#"{"User":"-1"}"#.to_owned(), "User"),
            (r#"{"User":"a:b:c"}"#.to_owned(), "User"),
            (r#"{"User":"a\nb"}"#.to_owned(), "User"),
            (r#"{"User":":0"}"#.to_owned(), "User"),
            (
                r#"{"ExposedPorts":{"0/tcp":{}}}"#.to_owned(),
                "ExposedPorts",
            ),
            (
                r#"{"ExposedPorts":{"70000":{}}}"#.to_owned(),
                "ExposedPorts",
            ),
            (
                r#"{"ExposedPorts":{"80/xyz":{}}}"#.to_owned(),
                "ExposedPorts",
            ),
            (
                r#"{"ExposedPorts":{"90-80/tcp":{}}}"#.to_owned(),
                "ExposedPorts",
            ),
            (r#"{"Volumes":{"/../etc":{}}}"#.to_owned(), "Volumes"),
            (r#"{"Volumes":{"":{}}}"#.to_owned(), "Volumes"),
            (r#"{"Volumes":{"/":{}}}"#.to_owned(), "Volumes"),
            (r#"{"Volumes":{"data":{}}}"#.to_owned(), "Volumes"),
            (r#"{"StopSignal":"TERM; reboot"}"#.to_owned(), "StopSignal"),
            (
                r#"{"Healthcheck":{"Test":["HTTP"]}}"#.to_owned(),
                "Healthcheck",
            ),
            (
                r#"{"Healthcheck":{"Interval":-5}}"#.to_owned(),
                "Healthcheck",
            ),
        ];
        for (json, field) in table {
            let error = process(&json).expect_err(field).to_string();
            assert!(error.contains(field), "{error}");
        }
        assert!(ImageConfig::parse(br#"{"os":"li nux"}"#).is_err());
        assert!(ImageConfig::parse(br#"{"rootfs":{"type":"magic"}}"#).is_err());
        assert!(
            ImageConfig::parse(br#"{"rootfs":{"type":"layers","diff_ids":["sha256:../x"]}}"#)
                .is_err()
        );
        assert!(ImageConfig::parse(b"[]").is_err());
        assert!(ImageConfig::parse(&b"[".repeat(100_000)).is_err());
    }

    proptest::proptest! {
        #[test]
        fn never_panics(json in ".{0,300}") {
            let _ = ImageConfig::parse(json.as_bytes());
        }

        #[test]
        fn what_it_accepts_it_accepts_again(user in "[a-z0-9:$-]{0,8}", dir in "[a-z./]{0,12}", port in "[0-9/a-z-]{0,9}") {
            let json = serde_json::json!({"User": user, "WorkingDir": dir, "ExposedPorts": {port: {}}});
            if let Ok(config) = process(&json.to_string()) {
                proptest::prop_assert_eq!(ImageConfig::parse(&config.to_json()).expect("own output"), config);
            }
        }
    }
}
