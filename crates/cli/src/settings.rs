//! Settings in layers: flag, else `WEFT_*` in the environment, else the configuration file, else
//! the built-in value.
//!
//! Owns the keys, their names in each layer, and where each effective value came from. Unknown
//! keys in the file are errors. It does not act on any of them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use weft_identity::kubeconfig::ADDRESS;

use crate::error::CliError;

mod record;

use record::File;
pub use record::Registry;

/// Where the file is unless `--config` or `WEFT_CONFIG` say otherwise.
pub const DEFAULT_CONFIG: &str = "/etc/weft/weft.toml";
const DEFAULT_DATA_DIR: &str = "/var/lib/weft";
const DEFAULT_RUN_DIR: &str = "/run/weft";
const DEFAULT_DETACH_KEYS: &str = "ctrl-p,ctrl-q";
const DEFAULT_LISTEN: &str = "127.0.0.1:6443";
const DEFAULT_POD_SUBNET: &str = "10.42.0.0/23";
/// Below the data directory.
const DEFAULT_SECRETS_KEY: &str = "server/secrets.key";
/// Largest configuration file read, in bytes.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// Which layer a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A flag on the command line.
    Flag(&'static str),
    /// An environment variable.
    Environment(&'static str),
    /// The configuration file.
    File(PathBuf),
    /// Nothing was said.
    Default,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Origin::Flag(name) => write!(f, "flag {name}"),
            Origin::Environment(name) => write!(f, "environment {name}"),
            Origin::File(path) => write!(f, "file {}", path.display()),
            Origin::Default => f.write_str("default"),
        }
    }
}

/// A value and its origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting<T> {
    /// What counts.
    pub value: T,
    /// Who said so.
    pub origin: Origin,
}

/// Values given as flags.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--data-dir`
    pub data_dir: Option<PathBuf>,
    /// `--run-dir`
    pub run_dir: Option<PathBuf>,
    /// `--host`
    pub host: Option<String>,
    /// `--listen`
    pub listen: Option<String>,
    /// `--deployments-listen`
    pub deployments_listen: Option<String>,
    /// `--secrets-key`
    pub secrets_key: Option<PathBuf>,
    /// `--node-name`
    pub node_name: Option<String>,
    /// `--pod-subnet`
    pub pod_subnet: Option<String>,
    /// `--disable-agent`
    pub disable_agent: bool,
}

/// The effective settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The configuration file, if there is one.
    pub config: Setting<Option<PathBuf>>,
    /// Where the engine keeps images, containers and volumes.
    pub data_dir: Setting<PathBuf>,
    /// Where the engine keeps sockets.
    pub run_dir: Setting<PathBuf>,
    /// The engine's socket.
    pub host: Setting<PathBuf>,
    /// Keys that detach from a terminal.
    pub detach_keys: Setting<String>,
    /// Where a server serves the Kubernetes API.
    pub listen: Setting<SocketAddr>,
    /// Where a server serves `/deployments` without TLS, if it does.
    pub deployments_listen: Setting<Option<SocketAddr>>,
    /// The file with the key that a server seals secrets with.
    pub secrets_key: Setting<PathBuf>,
    /// What this machine is called in the cluster.
    pub node_name: Setting<String>,
    /// Addresses of the pods of this machine.
    pub pod_subnet: Setting<String>,
    /// Whether a server runs no pods itself.
    pub disable_agent: Setting<bool>,
    /// Registries with settings of their own; the file only.
    pub registries: BTreeMap<String, Registry>,
}

impl Settings {
    /// Combines the layers; `env` looks up a variable.
    pub fn resolve(
        flags: &Flags,
        env: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Settings, CliError> {
        let config = layer(
            ("--config", flags.config.clone()),
            ("WEFT_CONFIG", env),
            None,
            || PathBuf::from(DEFAULT_CONFIG),
        );
        let required = config.origin != Origin::Default;
        let (file, found) = read(&config.value, required)?;
        let path = |key: Option<PathBuf>| key.map(|value| (value, config.value.clone()));
        let data_dir = layer(
            ("--data-dir", flags.data_dir.clone()),
            ("WEFT_DATA_DIR", env),
            path(file.data_dir),
            || PathBuf::from(DEFAULT_DATA_DIR),
        );
        let run_dir = layer(
            ("--run-dir", flags.run_dir.clone()),
            ("WEFT_RUN_DIR", env),
            path(file.run_dir),
            || PathBuf::from(DEFAULT_RUN_DIR),
        );
        let host = layer(
            ("--host", flags.host.clone().map(PathBuf::from)),
            ("WEFT_HOST", env),
            path(file.host.map(PathBuf::from)),
            || run_dir.value.join("engine.sock"),
        );
        let detach_keys = layer(
            ("--detach-keys", None),
            ("WEFT_DETACH_KEYS", env),
            path(file.detach_keys.map(PathBuf::from)),
            || PathBuf::from(DEFAULT_DETACH_KEYS),
        );
        let listen = layer(
            ("--listen", flags.listen.clone().map(PathBuf::from)),
            ("WEFT_LISTEN", env),
            path(file.listen.map(PathBuf::from)),
            || PathBuf::from(DEFAULT_LISTEN),
        );
        let secrets_key = layer(
            ("--secrets-key", flags.secrets_key.clone()),
            ("WEFT_SECRETS_KEY", env),
            path(file.secrets_key),
            || data_dir.value.join(DEFAULT_SECRETS_KEY),
        );
        let of_file = (file.node_name, file.pod_subnet, file.disable_agent);
        let (node_name, pod_subnet, disable_agent) = of_node(flags, env, &path, of_file)?;
        Ok(Settings {
            config: Setting {
                value: found.then(|| config.value.clone()),
                origin: config.origin,
            },
            data_dir,
            run_dir,
            host: Setting {
                value: socket_path(&host.value, &host.origin)?,
                origin: host.origin,
            },
            detach_keys: text(detach_keys),
            listen: Setting {
                value: socket_address("listen", &listen.value, &listen.origin)?,
                origin: listen.origin,
            },
            deployments_listen: deployments_listen(flags, env, &path, file.deployments_listen)?,
            secrets_key,
            node_name,
            pod_subnet,
            disable_agent,
            registries: file.registries,
        })
    }

    /// Where a server with these settings is reached on its own machine: where it is said to
    /// listen, else where the last one with this data directory did.
    pub fn api_server(&self) -> String {
        let written = match self.listen.origin {
            Origin::Default => std::fs::read_to_string(self.data_dir.value.join(ADDRESS)).ok(),
            _ => None,
        };
        let written = written.and_then(|text| text.trim().parse().ok());
        let listen = written.unwrap_or(self.listen.value);
        let host = match listen.ip() {
            ip if ip.is_unspecified() => "127.0.0.1".to_owned(),
            ip if ip.is_ipv6() => format!("[{ip}]"),
            ip => ip.to_string(),
        };
        format!("https://{host}:{}", listen.port())
    }

    /// Whether the engine's socket is the one of `run_dir`, so that starting an engine would help.
    pub fn is_own_engine(&self) -> bool {
        self.host.origin == Origin::Default
    }
}

/// Where `/deployments` is served without TLS; nowhere, unless somebody says.
fn deployments_listen(
    flags: &Flags,
    env: Environment<'_>,
    path: &dyn Fn(Option<PathBuf>) -> Option<(PathBuf, PathBuf)>,
    of_file: Option<String>,
) -> Result<Setting<Option<SocketAddr>>, CliError> {
    let flag = flags.deployments_listen.clone().map(PathBuf::from);
    let said = layer(
        ("--deployments-listen", flag),
        ("WEFT_DEPLOYMENTS_LISTEN", env),
        path(of_file.map(PathBuf::from)),
        PathBuf::new,
    );
    let value = match said.origin {
        Origin::Default => None,
        ref origin => Some(socket_address("deployments_listen", &said.value, origin)?),
    };
    Ok(Setting {
        value,
        origin: said.origin,
    })
}

/// What this machine is as a node.
#[allow(clippy::type_complexity)]
fn of_node(
    flags: &Flags,
    env: Environment<'_>,
    path: &dyn Fn(Option<PathBuf>) -> Option<(PathBuf, PathBuf)>,
    (node_name, pod_subnet, disable_agent): (Option<String>, Option<String>, Option<bool>),
) -> Result<(Setting<String>, Setting<String>, Setting<bool>), CliError> {
    let node_name = layer(
        ("--node-name", flags.node_name.clone().map(PathBuf::from)),
        ("WEFT_NODE_NAME", env),
        path(node_name.map(PathBuf::from)),
        host_name,
    );
    let pod_subnet = layer(
        ("--pod-subnet", flags.pod_subnet.clone().map(PathBuf::from)),
        ("WEFT_POD_SUBNET", env),
        path(pod_subnet.map(PathBuf::from)),
        || PathBuf::from(DEFAULT_POD_SUBNET),
    );
    let disable_agent = layer(
        (
            "--disable-agent",
            flags.disable_agent.then(|| "true".into()),
        ),
        ("WEFT_DISABLE_AGENT", env),
        path(disable_agent.map(|is| is.to_string().into())),
        || PathBuf::from("false"),
    );
    let disabled = Setting {
        value: truth(&disable_agent.value, &disable_agent.origin)?,
        origin: disable_agent.origin,
    };
    Ok((text(node_name), text(pod_subnet), disabled))
}

/// Looks up an environment variable.
type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// The first layer that says something. Paths stand for any text here: all keys are one or the
/// other, and an environment variable need not be UTF-8.
fn layer(
    (flag, from_flag): (&'static str, Option<PathBuf>),
    (variable, env): (&'static str, Environment<'_>),
    from_file: Option<(PathBuf, PathBuf)>,
    default: impl FnOnce() -> PathBuf,
) -> Setting<PathBuf> {
    let (value, origin) = if let Some(value) = from_flag {
        (value, Origin::Flag(flag))
    } else if let Some(value) = env(variable).filter(|value| !value.is_empty()) {
        (PathBuf::from(value), Origin::Environment(variable))
    } else if let Some((value, file)) = from_file {
        (value, Origin::File(file))
    } else {
        (default(), Origin::Default)
    };
    Setting { value, origin }
}

fn text(setting: Setting<PathBuf>) -> Setting<String> {
    Setting {
        value: setting.value.to_string_lossy().into_owned(),
        origin: setting.origin,
    }
}

/// As machines are called in a cluster: in small letters.
fn host_name() -> PathBuf {
    let name = rustix::system::uname();
    let name = name.nodename().to_string_lossy().to_ascii_lowercase();
    PathBuf::from(name)
}

fn truth(value: &Path, origin: &Origin) -> Result<bool, CliError> {
    match value.to_string_lossy().as_ref() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        other => Err(CliError::usage(format!(
            "disable_agent {other:?} ({origin}): it is true or false"
        ))),
    }
}

fn read(path: &Path, required: bool) -> Result<(File, bool), CliError> {
    use std::io::Read as _;
    let tried = || format!("read configuration {}", path.display());
    let mut text = String::new();
    match std::fs::File::open(path) {
        Ok(file) => {
            file.take(CONFIG_BYTES_MAX + 1)
                .read_to_string(&mut text)
                .map_err(|error| CliError::because(tried(), &error))?;
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !required => {
            return Ok((File::default(), false));
        }
        Err(error) => return Err(CliError::because(tried(), &error)),
    }
    if text.len() as u64 > CONFIG_BYTES_MAX {
        return Err(CliError::new(format!(
            "{}: longer than {CONFIG_BYTES_MAX} bytes",
            tried()
        )));
    }
    let file = toml::from_str(&text).map_err(|error: toml::de::Error| {
        let place = error.span().map_or(String::new(), |span| {
            format!(" line {}", text[..span.start].matches('\n').count() + 1)
        });
        CliError::new(format!("{}{place}: {}", tried(), error.message()))
    })?;
    Ok((file, true))
}

/// The socket in docker's notation (`unix:///path`) or as a plain path.
fn socket_path(host: &Path, origin: &Origin) -> Result<PathBuf, CliError> {
    let Some(text) = host.to_str() else {
        return Ok(host.to_owned());
    };
    match text.split_once("://") {
        None => Ok(host.to_owned()),
        Some(("unix", path)) => Ok(PathBuf::from(path)),
        Some((scheme, _)) => Err(CliError::usage(format!(
            "host {text:?} ({origin}): {scheme}:// is not supported, only unix:// sockets are"
        ))),
    }
}

fn socket_address(key: &str, listen: &Path, origin: &Origin) -> Result<SocketAddr, CliError> {
    let text = listen.to_string_lossy();
    text.parse().map_err(|_| {
        CliError::usage(format!(
            "{key} {text:?} ({origin}): it is no ADDRESS:PORT, like {DEFAULT_LISTEN}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(flags: &Flags, env: &[(&str, &str)]) -> Result<Settings, CliError> {
        let env: BTreeMap<String, OsString> = env
            .iter()
            .map(|(key, value)| ((*key).to_owned(), OsString::from(value)))
            .collect();
        Settings::resolve(flags, &|key| env.get(key).cloned())
    }

    fn file(text: &str) -> (tempfile::NamedTempFile, String) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let path = file.path().to_str().unwrap().to_owned();
        (file, path)
    }

    #[test]
    fn flag_beats_environment_beats_file_beats_default() {
        let (_keep, path) = file("data_dir = \"/file\"\nrun_dir = \"/file-run\"\n");
        let flags = Flags {
            data_dir: Some("/flag".into()),
            ..Flags::default()
        };
        let all = resolve(
            &flags,
            &[
                ("WEFT_CONFIG", &path),
                ("WEFT_DATA_DIR", "/env"),
                ("WEFT_DETACH_KEYS", "ctrl-x"),
            ],
        )
        .unwrap();
        assert_eq!(all.data_dir.value, Path::new("/flag"));
        assert_eq!(all.data_dir.origin, Origin::Flag("--data-dir"));
        assert_eq!(all.run_dir.value, Path::new("/file-run"));
        assert_eq!(all.run_dir.origin, Origin::File(path.clone().into()));
        assert_eq!(all.host.value, Path::new("/file-run/engine.sock"));
        assert_eq!(all.host.origin, Origin::Default);
        assert_eq!(all.detach_keys.value, "ctrl-x");
        assert_eq!(all.secrets_key.value, Path::new("/flag/server/secrets.key"));
        assert!(all.is_own_engine());
    }

    #[test]
    fn hosts_are_sockets() {
        let host = |text: &str| {
            resolve(
                &Flags::default(),
                &[("WEFT_CONFIG", "/dev/null"), ("WEFT_HOST", text)],
            )
        };
        assert_eq!(host("unix:///a/b").unwrap().host.value, Path::new("/a/b"));
        assert_eq!(host("/a/b").unwrap().host.value, Path::new("/a/b"));
        assert!(!host("/a/b").unwrap().is_own_engine());
        let error = host("tcp://1.2.3.4:2375").unwrap_err();
        assert_eq!(
            error.message(),
            "host \"tcp://1.2.3.4:2375\" (environment WEFT_HOST): tcp:// is not supported, only unix:// sockets are"
        );
    }

    #[test]
    fn a_server_listens_at_an_address_and_a_port() {
        let listen = |text: &str| {
            let env = [("WEFT_CONFIG", "/dev/null"), ("WEFT_LISTEN", text)];
            resolve(&Flags::default(), &env).map(|all| all.listen.value.to_string())
        };
        assert_eq!(listen("").unwrap(), "127.0.0.1:6443");
        assert_eq!(listen("0.0.0.0:1").unwrap(), "0.0.0.0:1");
        assert!(
            listen("localhost")
                .unwrap_err()
                .message()
                .contains("ADDRESS:PORT")
        );
    }

    #[test]
    fn a_server_is_where_it_was_told_to_listen_or_said_that_it_does() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = dir.path().to_str().unwrap();
        let asked = |listen: &str| {
            let env = [
                ("WEFT_CONFIG", "/dev/null"),
                ("WEFT_DATA_DIR", data_dir),
                ("WEFT_LISTEN", listen),
            ];
            resolve(&Flags::default(), &env).unwrap().api_server()
        };
        assert_eq!(asked(""), "https://127.0.0.1:6443");
        let address = dir.path().join(ADDRESS);
        std::fs::create_dir(address.parent().unwrap()).unwrap();
        std::fs::write(&address, "0.0.0.0:7444\n").unwrap();
        assert_eq!(asked(""), "https://127.0.0.1:7444");
        assert_eq!(asked("10.0.0.1:1"), "https://10.0.0.1:1");
        std::fs::write(&address, "nowhere").unwrap();
        assert_eq!(asked(""), "https://127.0.0.1:6443");
    }

    #[test]
    fn unknown_keys_are_errors_with_their_line() {
        let (_keep, path) = file("data_dir = \"/x\"\n\ncolour = 1\n");
        let error = resolve(&Flags::default(), &[("WEFT_CONFIG", &path)]).unwrap_err();
        assert!(error.message().contains("line 3"), "{}", error.message());
        assert!(error.message().contains("colour"), "{}", error.message());

        let (_keep, path) = file("[registries.\"a:5000\"]\ninsecure = true\nspeed = 1\n");
        let error = resolve(&Flags::default(), &[("WEFT_CONFIG", &path)]).unwrap_err();
        assert!(error.message().contains("speed"), "{}", error.message());
    }

    #[test]
    fn a_named_file_must_exist() {
        let error = resolve(&Flags::default(), &[("WEFT_CONFIG", "/nonexistent")]).unwrap_err();
        assert_eq!(
            error.message(),
            "read configuration /nonexistent: No such file or directory (os error 2)"
        );
    }
}
