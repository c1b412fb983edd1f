//! Owns image configurations: total, validated types and their JSON.
//! Nothing here acts on what it reads, and nothing an image says selects a host action.

use std::collections::BTreeMap;

use crate::digest::{Digest, DigestError};
use crate::platform::Platform;
use crate::wire;

mod lower;
mod raise;

use lower::lower;
pub(crate) use lower::{exposed_port, volume};
use raise::raise;

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
