//! `weft kubeconfig`: what kubectl needs to talk to this machine's server.
//!
//! Root only: it reads the authority's keys and makes a certificate or a token, without asking the
//! server.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser;
use weft_cli::settings::{Flags, Settings};
use weft_daemon::server::ISSUER;
use weft_identity::authority::{Authority, DIRECTORY, Grant};
use weft_identity::jwt::Holder;
use weft_identity::kubeconfig::{Credentials, Kubeconfig};
use weft_stdx::clock::unix_s;
use weft_stdx::file::{Durability, replace};

/// How long the certificate or token is good for.
const LIFE_S: i64 = 365 * 24 * 3600;

/// Print a kubeconfig for this machine's server.
///
/// It holds a new certificate or token, good for a year. Needs root.
#[derive(Debug, Parser)]
#[command(name = "weft kubeconfig")]
struct Args {
    /// The user's name
    #[arg(long, default_value = "admin")]
    user: String,
    /// A group of the user
    #[arg(long = "group", default_value = "system:masters")]
    groups: Vec<String>,
    /// Prove who it is by a bearer token instead of a certificate
    #[arg(long)]
    token: bool,
    /// The server's address, as kubectl reaches it [default: where it listens]
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Write it to this file, readable by its owner alone
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Where the server keeps what it has
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

pub fn main(args: Vec<OsString>) -> ExitCode {
    let words = std::iter::once(OsString::from("weft kubeconfig")).chain(args);
    let args = match Args::try_parse_from(words) {
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
        ..Flags::default()
    };
    let settings = Settings::resolve(&flags, &|name| std::env::var_os(name))?;
    let directory = settings.data_dir.value.join(DIRECTORY);
    let authority = Authority::open(&directory).context(
        "open the certificate authority of this machine's server; `weft server` makes it at its \
         first start",
    )?;
    let server = args.server.unwrap_or_else(|| settings.api_server());
    let (user, groups) = (args.user.clone(), args.groups);
    let (pair, token);
    let credentials = if args.token {
        let holder = Holder::User { user, groups };
        let (signer, _) = authority.tokens(ISSUER);
        token = signer.sign(&holder, &[ISSUER.to_owned()], LIFE_S, unix_s())?;
        Credentials::Token(&token)
    } else {
        pair = authority.issue(&Grant::User { user, groups }, LIFE_S, unix_s())?;
        Credentials::Certificate(&pair)
    };
    let kubeconfig = Kubeconfig {
        cluster: "weft",
        server: &server,
        server_name: None,
        root_pem: authority.root_pem(),
        user: &args.user,
        namespace: None,
        credentials,
    };
    let text = kubeconfig.to_yaml()?;
    match args.output {
        Some(path) => replace(
            &std::path::absolute(&path)?,
            text.as_bytes(),
            Durability::PowerCut,
        )
        .with_context(|| format!("write {}", path.display())),
        None => std::io::stdout()
            .write_all(text.as_bytes())
            .context("write to standard output"),
    }
}
