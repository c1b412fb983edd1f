//! Owns what crosses between daemon, spawner and monitors, and what a monitor leaves on disk, as
//! versioned JSON. No I/O and no decisions; a record of an unknown version is refused whole.

use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Version of every record written by this build.
pub const VERSION: u32 = 1;
/// Name of the exit record in the directory the request names for it.
pub const EXIT_FILE: &str = "exit.json";
/// Largest record that is read back, in bytes: a process may carry large arguments.
pub const RECORD_MAX: usize = 4 * 1024 * 1024;

/// Start a container: its config.json lies in `dir`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRequest {
    /// [`VERSION`].
    pub version: u32,
    /// The container's id.
    pub id: String,
    /// The container's directory, absolute: config.json is read there.
    pub dir: PathBuf,
    /// Existing directory, absolute, where exit.json goes.
    pub exit_dir: PathBuf,
    /// Existing directory, absolute, where monitor.sock goes.
    pub run_dir: PathBuf,
    /// What the root is made of.
    pub rootfs: RootfsRecord,
    /// Host id of the container's id 0; 0 without a user namespace. Its stdio pipes are owned by
    /// the process's user, so that opening /dev/stdout again works.
    pub id_base: u32,
    /// A process that reaps orphans and hands signals on stands before the workload.
    pub init: bool,
    /// It is not started again: what it has mounted may go after its end was told.
    pub once: bool,
    /// How it is connected.
    pub streams: Streams,
    /// Where output is kept, if anywhere.
    pub log: Option<LogConfig>,
}

/// Run another process in a running container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecSpec {
    /// [`VERSION`].
    pub version: u32,
    /// The id of the exec, for messages.
    pub id: String,
    /// The container's directory (its config.json says what the process may do).
    pub dir: PathBuf,
    /// Existing directory of this exec alone: monitor.sock and exit.json go there.
    pub run_dir: PathBuf,
    /// Host pid of the container's init.
    pub init_pid: i32,
    /// When that init started, in clock ticks after boot: makes a reused pid recognisable.
    pub init_start_ticks: u64,
    /// The process, as the runtime spec has it.
    pub process: oci_spec::runtime::Process,
    /// As in [`RunRequest::id_base`].
    pub id_base: u32,
    /// How it is connected.
    pub streams: Streams,
    /// Where output is kept, if anywhere.
    pub log: Option<LogConfig>,
    /// Killed, with its process group, when it runs for longer; its monitor sees to that, so it
    /// holds without a daemon.
    #[serde(default)]
    pub timeout_ms: Option<u64>,
}

/// How a process is connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Streams {
    /// A pseudo terminal instead of pipes.
    pub terminal: bool,
    /// stdin is open until a client ends it; otherwise it is /dev/null.
    pub stdin: bool,
    /// stdin ends when the first client that wanted it goes away.
    pub stdin_once: bool,
    /// First size of the terminal; zeros mean the kernel's default.
    pub rows: u16,
    /// See `rows`.
    pub cols: u16,
}

/// The root of a container, see [`Rootfs`](crate::launch::Rootfs).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RootfsRecord {
    /// The directory config.json names.
    Directory,
    /// An overlay of layers.
    Overlay {
        /// Layers, the topmost first.
        lower: Vec<PathBuf>,
        /// Takes what the container writes.
        upper: PathBuf,
        /// Overlayfs's scratch directory, on the file system of `upper`.
        work: PathBuf,
    },
}

/// A log of bounded size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogConfig {
    /// The newest file, absolute; older ones are `path.1`, `path.2`...
    pub path: PathBuf,
    /// Most bytes in one file; 0 is no limit.
    pub max_size: u64,
    /// Most files, the newest included; at least 1, at most 1000.
    pub max_files: u32,
}

/// What runs now, as the monitor tells the requester and each client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spawned {
    /// [`VERSION`].
    pub version: u32,
    /// Host pid of the monitor.
    pub monitor_pid: i32,
    /// Host pid of the process.
    pub pid: i32,
    /// When it started, in clock ticks after boot.
    pub start_ticks: u64,
    /// When it started, in nanoseconds since 1970.
    pub started_at_ns: i64,
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitRecord {
    /// [`VERSION`].
    pub version: u32,
    /// Host pid it had; 0 when it never ran.
    pub pid: i32,
    /// Exit code; 128 + signal when it was killed.
    pub code: i32,
    /// The signal that killed it.
    pub signal: Option<i32>,
    /// The kernel killed something in its cgroup for want of memory.
    pub oom_killed: bool,
    /// It ran for longer than [`ExecSpec::timeout_ms`] and was killed for it.
    #[serde(default)]
    pub timed_out: bool,
    /// Why it never ran, if so.
    pub error: Option<String>,
    /// Nanoseconds since 1970; 0 when it never ran.
    pub started_at_ns: i64,
    /// Nanoseconds since 1970.
    pub finished_at_ns: i64,
    /// The boot it ran in.
    pub boot_id: String,
}

/// Why a process could not be run, for choosing what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The command does not exist in the container: exit code 127.
    NotFound,
    /// The command is there but cannot be executed: exit code 126.
    NotExecutable,
    /// The container to exec in does not run (any more).
    NotRunning,
    /// Anything else: exit code 128.
    Other,
}

impl FailureKind {
    /// The exit code docker and shells give it.
    pub fn exit_code(self) -> i32 {
        match self {
            FailureKind::NotFound => 127,
            FailureKind::NotExecutable => 126,
            FailureKind::NotRunning | FailureKind::Other => 128,
        }
    }
}

/// A failure as it crosses from the monitor to the requester.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// For deciding.
    pub kind: FailureKind,
    /// For people.
    pub text: String,
}

/// The answer to a request; file descriptors travel beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    Spawned(Spawned),
    /// The namespaces asked for travel beside this.
    Namespaces,
    Failed(Failure),
}

/// What the daemon asks of the spawner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Request {
    Run(Box<RunRequest>),
    Exec(Box<ExecSpec>),
    /// A user namespace that maps 0.. to `base`.., and a network namespace it owns.
    Sandbox {
        base: u32,
        size: u32,
    },
    /// A network namespace of the host's user namespace.
    Netns,
    /// An IPC and a UTS namespace, owned by the user namespace that comes along; without one, by the
    /// host's.
    IpcAndUts,
    /// A monitor that is told over the reply socket what to run, after it has said that it is there.
    Monitor {
        /// Made before anybody asked for a container.
        ahead: bool,
    },
}

/// A request with the meaning of the descriptors that follow the reply socket: first `attach`
/// streams, then one namespace for each name in `join`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Envelope {
    pub version: u32,
    pub attach: u32,
    pub join: Vec<String>,
    pub request: Request,
}

/// Why bytes are not a record this build can use.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Not JSON, or fields missing, unknown or of the wrong type.
    #[error("cannot read {what}")]
    Syntax {
        /// The record's name.
        what: &'static str,
        /// Where and why.
        #[source]
        source: serde_json::Error,
    },
    /// Written by another version of weft.
    #[error("{what} has version {found}, this weft knows {VERSION}")]
    Version {
        /// The record's name.
        what: &'static str,
        /// Its version.
        found: u32,
    },
}

/// A record that names itself and its version.
pub trait Record: Serialize + DeserializeOwned {
    /// For messages.
    const NAME: &'static str;

    /// The record as JSON.
    fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("records have string keys and finite numbers")
    }

    /// Reads a record; its version is looked at before anything else.
    ///
    /// # Errors
    /// [`RecordError`].
    fn from_json(bytes: &[u8]) -> Result<Self, RecordError> {
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let syntax = |source| RecordError::Syntax {
            what: Self::NAME,
            source,
        };
        let Version { version } = serde_json::from_slice(bytes).map_err(syntax)?;
        if version != VERSION {
            return Err(RecordError::Version {
                what: Self::NAME,
                found: version,
            });
        }
        serde_json::from_slice(bytes).map_err(syntax)
    }
}

impl Record for RunRequest {
    const NAME: &'static str = "the request to run a container";
}

impl Record for ExecSpec {
    const NAME: &'static str = "the request to execute in a container";
}

impl Record for Spawned {
    const NAME: &'static str = "the record of a running process";
}

impl Record for ExitRecord {
    const NAME: &'static str = "the exit record";
}

impl Record for Envelope {
    const NAME: &'static str = "the request to the spawner";
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_request() -> RunRequest {
        RunRequest {
            version: VERSION,
            id: "a".repeat(64),
            dir: "/run/weft/c/a".into(),
            exit_dir: "/data/containers/a".into(),
            run_dir: "/run/weft/c/a".into(),
            rootfs: RootfsRecord::Overlay {
                lower: vec!["/l2".into(), "/l1".into()],
                upper: "/u".into(),
                work: "/w".into(),
            },
            id_base: 0x1000_0000,
            init: false,
            once: false,
            streams: Streams {
                terminal: true,
                stdin: true,
                stdin_once: false,
                rows: 24,
                cols: 80,
            },
            log: Some(LogConfig {
                path: "/log".into(),
                max_size: 1 << 20,
                max_files: 3,
            }),
        }
    }

    #[test]
    fn records_survive_json() {
        let request = run_request();
        assert_eq!(RunRequest::from_json(&request.to_json()).unwrap(), request);
        let envelope = Envelope {
            version: VERSION,
            attach: 1,
            join: vec!["user".into()],
            request: Request::Run(Box::new(request)),
        };
        assert_eq!(Envelope::from_json(&envelope.to_json()).unwrap(), envelope);
        let exec = ExecSpec {
            version: VERSION,
            id: "e".into(),
            dir: "/d".into(),
            run_dir: "/r".into(),
            init_pid: 7,
            init_start_ticks: 8,
            process: oci_spec::runtime::Process::default(),
            id_base: 0,
            streams: Streams::default(),
            log: None,
            timeout_ms: Some(9),
        };
        assert_eq!(ExecSpec::from_json(&exec.to_json()).unwrap(), exec);
    }

    #[test]
    fn another_version_is_refused_before_its_fields_are_looked_at() {
        let error = ExitRecord::from_json(br#"{"version":2,"news":true}"#).unwrap_err();
        assert!(
            matches!(error, RecordError::Version { found: 2, .. }),
            "{error}"
        );
        for bad in [
            "",
            "[]",
            "{}",
            r#"{"version":1}"#,
            r#"{"version":-1}"#,
            "\0\0\0\0",
        ] {
            assert!(ExitRecord::from_json(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }
}
