//! `weft engine`: flags and configuration into a daemon.

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

pub fn main(args: Vec<OsString>) -> ExitCode {
    let parsed = Args::try_parse_from(std::iter::once(OsString::from("weft engine")).chain(args));
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

fn run(args: Args) -> anyhow::Result<()> {
    let flags = Flags {
        config: args.config,
        data_dir: args.data_dir,
        run_dir: args.run_dir,
        host: None,
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
    };
    weft_daemon::run(config, args.ready_stdin)
}
