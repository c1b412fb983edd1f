//! `weft engine` and `weft server`: flags and configuration into a daemon.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use weft_cli::settings::{Flags, Settings};

/// Run the container engine of this machine in the foreground.
///
/// Any other command starts it in the background when none runs. Containers live on when it ends.
#[derive(Debug, Parser)]
#[command(name = "weft engine")]
struct EngineArgs {
    #[command(flatten)]
    common: Args,
}

/// Run the engine and a control plane: the Kubernetes API, for kubectl.
///
/// `weft kubeconfig` prints what kubectl needs to talk to it. Containers live on when it ends.
#[derive(Debug, Parser)]
#[command(name = "weft server")]
struct ServerArgs {
    /// Where the Kubernetes API is served [default: 127.0.0.1:6443]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Where /deployments is served, as Knit did: without TLS and without asking who comes. Whoever
    /// reaches this address may run anything in the namespace default: give one of a private network
    #[arg(long, value_name = "ADDRESS:PORT")]
    deployments_listen: Option<String>,
    /// File with the key that secrets are sealed with [default: server/secrets.key in the data
    /// directory, made at the first start]
    #[arg(long, value_name = "FILE")]
    secrets_key: Option<PathBuf>,
    /// What this machine is called in the cluster [default: its host name]
    #[arg(long, value_name = "NAME")]
    node_name: Option<String>,
    /// Addresses of the pods of this machine [default: 10.42.0.0/23]
    #[arg(long, value_name = "CIDR")]
    pod_subnet: Option<String>,
    /// Serve the API only: no pods run on this machine
    #[arg(long)]
    disable_agent: bool,
    #[command(flatten)]
    common: Args,
}

#[derive(Debug, clap::Args)]
struct Args {
    /// Where images, containers and volumes are kept
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where the socket and what belongs to running containers is kept
    #[arg(long, value_name = "DIR")]
    run_dir: Option<PathBuf>,
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Write one byte to standard input, a pipe, once requests are served
    #[arg(long, hide = true)]
    ready_stdin: bool,
}

/// `weft engine`
pub fn main(args: Vec<OsString>) -> ExitCode {
    start("weft engine", args, |args: EngineArgs| {
        run(args.common, None)
    })
}

/// `weft server`
pub fn server(args: Vec<OsString>) -> ExitCode {
    start("weft server", args, |args: ServerArgs| {
        let server = Server {
            listen: args.listen,
            deployments_listen: args.deployments_listen,
            secrets_key: args.secrets_key,
            node_name: args.node_name,
            pod_subnet: args.pod_subnet,
            disable_agent: args.disable_agent,
        };
        run(args.common, Some(server))
    })
}

fn start<T: Parser>(
    name: &str,
    args: Vec<OsString>,
    run: impl FnOnce(T) -> anyhow::Result<()>,
) -> ExitCode {
    let parsed = T::try_parse_from(std::iter::once(OsString::from(name)).chain(args));
    let args = match parsed {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(1));
        }
    };
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("weft: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Flags of a server alone.
#[derive(Default)]
struct Server {
    listen: Option<String>,
    deployments_listen: Option<String>,
    secrets_key: Option<PathBuf>,
    node_name: Option<String>,
    pod_subnet: Option<String>,
    disable_agent: bool,
}

fn run(args: Args, server: Option<Server>) -> anyhow::Result<()> {
    let is_server = server.is_some();
    let server = server.unwrap_or_default();
    let flags = Flags {
        config: args.config,
        data_dir: args.data_dir,
        run_dir: args.run_dir,
        host: None,
        listen: server.listen,
        deployments_listen: server.deployments_listen,
        secrets_key: server.secrets_key,
        node_name: server.node_name,
        pod_subnet: server.pod_subnet,
        disable_agent: server.disable_agent,
    };
    let settings = Settings::resolve(&flags, &|name| std::env::var_os(name))?;
    let registries = settings
        .registries
        .iter()
        .map(|(host, r)| {
            let own = weft_daemon::RegistrySettings {
                insecure: r.insecure,
                ca: r.ca.clone(),
                mirrors: r.mirror.clone(),
            };
            (host.clone(), own)
        })
        .collect();
    let config = weft_daemon::Config {
        data_dir: std::path::absolute(settings.data_dir.value)?,
        run_dir: std::path::absolute(settings.run_dir.value)?,
        registries: weft_daemon::RegistryConfig {
            registries,
            ..weft_daemon::RegistryConfig::default()
        },
        server: is_server
            .then(|| {
                anyhow::Ok(weft_daemon::server::Config {
                    listen: settings.listen.value,
                    deployments: settings.deployments_listen.value,
                    secrets_key: std::path::absolute(&settings.secrets_key.value)?,
                    node: (!settings.disable_agent.value).then(|| weft_daemon::NodeConfig {
                        name: settings.node_name.value.clone(),
                        pod_subnet: settings.pod_subnet.value.clone(),
                    }),
                })
            })
            .transpose()?,
    };
    weft_daemon::run(config, args.ready_stdin)
}
