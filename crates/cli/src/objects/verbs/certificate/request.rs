//! `weft certificate request`: a token becomes a key with its certificate.
//!
//! Owns: that the token goes to nobody but the server that is meant, that nothing is spent before
//! there is a place for what it buys, and that this is there whole or not at all.
//!
//! ```text
//!   --ca-hash ─► handshake, nothing said ─► the root of that hash ─► handshake, verified ─┐
//!   kubeconfig, --certificate-authority ──────────────────────────► handshake, verified ─┤
//!        key ─► file beside its place ─► token and request ─► certificate ─► its place ◄──┘
//! ```

use std::fs::{self, DirBuilder};
use std::io::{BufRead as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use weft_client::cluster::Access;
use weft_client::cluster::kubeconfig::{Material, Trust};
use weft_identity::authority::{Asking, Pair};
use weft_identity::certificate::{self, HASH_PREFIX};
use weft_identity::kubeconfig::{Credentials, Kubeconfig};
use weft_identity::token::Token;
use weft_stdx::clock::unix_s;
use weft_stdx::file::{Durability, Pending, replace, sync_directory};

use super::gather::of_server;
use super::look::{harmless, time};
use super::{not_explained, roots, signed};
use crate::error::CliError;
use crate::objects::connect::{Api, Connect};
use crate::session::Session;
use crate::tree::Outcome;

/// Flags of `request`.
#[derive(Debug, clap::Args)]
pub struct Ask {
    /// Where the kubeconfig goes that key and certificate are in. -: standard output
    #[arg(value_name = "FILE", required_unless_present = "directory")]
    file: Option<PathBuf>,
    /// Put client.key, client.crt and ca.crt into this directory, which is made, instead
    #[arg(long, value_name = "DIR", conflicts_with_all = ["file", "force"])]
    directory: Option<PathBuf>,
    /// What the server's authority is known by, as `weft token create` told it
    #[arg(long, value_name = "sha256:HEX", value_parser = certificate::parse_hash)]
    ca_hash: Option<String>,
    /// Replace FILE
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    connect: Connect,
}

impl Ask {
    /// Asks.
    pub async fn run(self, session: &Session) -> Outcome {
        not_explained(session, "request")?;
        let token = self.token()?;
        let access = self.access(session, &token).await?;
        let keep = self.place()?;
        let asking = Asking::new().map_err(|error| tried(&error))?;
        let place = keep.begin(&asking)?;
        let api = Api::of(access.clone(), false, false, session)?;
        let told = signed(
            &api,
            "exchange the token",
            &asking.request("").map_err(|error| tried(&error))?,
        )
        .await?;
        let roots = roots(&access, &told)?;
        let chain = told["certificate"].as_str().unwrap_or_default();
        let pair = asking
            .pair(chain, &roots, unix_s())
            .map_err(|error| tried(&error))?;
        let user = certificate::Certificate::of(pair.certificate.chain[0].clone());
        let user = user.map_err(CliError::new)?;
        let config = Kubeconfig {
            cluster: "weft",
            server: &access.server,
            server_name: access.server_name.as_deref(),
            root_pem: &roots,
            user: &user.subject,
            namespace: self.connect.namespace.as_deref(),
            credentials: Credentials::Certificate(&pair),
        };
        place.finish(&pair, &config, session)?;
        let groups = match user.groups.is_empty() {
            true => String::new(),
            false => format!(" ({})", harmless(&user.groups.join(", "))),
        };
        session.printer.talk(&format!(
            "a certificate for {}{groups}, good until {}; {}",
            harmless(&user.subject),
            time(user.not_after_s),
            keep.renewal(&access)
        ));
        Ok(0)
    }

    fn token(&self) -> Result<String, CliError> {
        let token = self.connect.token().ok_or_else(|| {
            CliError::usage("weft certificate request requires --token")
                .hint("`weft token create`, as whoever may, makes one; --token - reads it from standard input")
        })?;
        let mut text = token.to_owned();
        if token == "-" {
            text.clear();
            let read = std::io::stdin().lock().read_line(&mut text);
            read.map_err(|error| CliError::because("read the token from standard input", &error))?;
        }
        // Said before it is sent anywhere.
        let token = Token::parse(text.trim());
        let token = token.map_err(|error| CliError::because("read --token", &error))?;
        Ok(token.reveal().to_string())
    }

    /// The server that is meant, and no other.
    async fn access(&self, session: &Session, token: &str) -> Result<Access, CliError> {
        let Some(hash) = &self.ca_hash else {
            return self
                .connect
                .access_with(session, token, false)
                .map_err(|error| {
                    error.hint(
                        "`weft token create` tells the whole line, with --server and --ca-hash",
                    )
                });
        };
        let mut access = self.connect.access_with(session, token, true)?;
        let shown = of_server(access.clone()).await?;
        let between = shown.into_iter().flat_map(|shown| shown.between);
        let root = between
            .into_iter()
            .find(|one| one.key_sha256 == *hash && one.is_root());
        let root = root.ok_or_else(|| {
            let server = &access.server;
            CliError::new(format!(
                "the server at {server} is not the one that is meant: it shows no authority with the hash {HASH_PREFIX}{hash}; the token was not sent"
            ))
            .hint("look for a mistake in --server and --ca-hash: `weft certificate show`, as root on the server's machine, tells its hash; if there is none, somebody is between")
        })?;
        access.trust = Trust::Roots(Material::Inside {
            file: PathBuf::from("the server's handshake"),
            key: "the root",
            nth: 1,
            bytes: root.pem().into_bytes().into(),
        });
        Ok(access)
    }

    fn place(&self) -> Result<Keep, CliError> {
        let absolute = |path: &Path| {
            let absolute = std::path::absolute(path);
            absolute.map_err(|error| CliError::because(format!("find {}", path.display()), &error))
        };
        let there = |path: &Path| CliError::new(format!("{} is there already", path.display()));
        if let Some(directory) = &self.directory {
            if directory.symlink_metadata().is_ok() {
                return Err(there(directory).hint("name another directory: it is made"));
            }
            return Ok(Keep::Directory(absolute(directory)?));
        }
        match self.file.as_deref() {
            Some(path) if path != Path::new("-") => {
                if !self.force && path.symlink_metadata().is_ok() {
                    return Err(there(path).hint("--force replaces it"));
                }
                Ok(Keep::File(absolute(path)?, self.force))
            }
            _ => Ok(Keep::Output),
        }
    }
}

fn tried(error: &dyn std::error::Error) -> CliError {
    CliError::because("ask for a certificate", error)
}

/// Where it goes.
enum Keep {
    Output,
    /// Whether it may replace what is there.
    File(PathBuf, bool),
    Directory(PathBuf),
}

/// A place that can be written to, before anything was spent.
enum Place<'a> {
    Output,
    File(Pending, &'a Path, bool),
    Directory(Unfinished, &'a Path),
}

/// A directory that has not got its name yet.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // The name is ours alone; a part of it would only be confusing.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Keep {
    fn begin(&self, asking: &Asking) -> Result<Place<'_>, CliError> {
        match self {
            Keep::Output => Ok(Place::Output),
            Keep::File(path, is_forced) => {
                let pending = Pending::begin(path).map_err(|error| write_failed(path, &error))?;
                Ok(Place::File(pending, path, *is_forced))
            }
            Keep::Directory(path) => {
                let failed = |error| write_failed(path, &error);
                let mut name = path.file_name().unwrap_or_default().to_owned();
                name.push(format!(".tmp-{}", weft_stdx::id::random_hex(4)));
                let unfinished = Unfinished(path.with_file_name(name));
                let mut builder = DirBuilder::new();
                builder.mode(0o700).create(&unfinished.0).map_err(failed)?;
                let key = unfinished.0.join("client.key");
                replace(&key, asking.key_pem().as_bytes(), Durability::PowerCut).map_err(failed)?;
                Ok(Place::Directory(unfinished, path))
            }
        }
    }

    /// How it is renewed.
    fn renewal(&self, access: &Access) -> String {
        let line = match self {
            Keep::Output => "weft certificate renew".to_owned(),
            Keep::File(path, _) => {
                format!("weft certificate renew --kubeconfig {}", path.display())
            }
            Keep::Directory(path) => {
                let file = |name: &str| path.join(name).display().to_string();
                format!(
                    "weft certificate renew --server {} --certificate-authority {} --client-certificate {} --client-key {}",
                    access.server,
                    file("ca.crt"),
                    file("client.crt"),
                    file("client.key")
                )
            }
        };
        format!("before that, `{line}` renews it")
    }
}

impl Place<'_> {
    fn finish(
        self,
        pair: &Pair,
        config: &Kubeconfig<'_>,
        session: &Session,
    ) -> Result<(), CliError> {
        let text = || config.to_yaml().map_err(|error| tried(&error));
        match self {
            Place::Output => session.printer.data(&text()?),
            Place::File(mut pending, path, is_forced) => {
                let written = pending.write_all(text()?.as_bytes());
                let written = written.and_then(|()| pending.commit(is_forced));
                written.map_err(|error| write_failed(path, &error))
            }
            Place::Directory(unfinished, path) => {
                let failed = |error| write_failed(path, &error);
                for (name, text) in [
                    ("client.crt", pair.certificate.chain_pem.as_str()),
                    ("ca.crt", config.root_pem),
                ] {
                    let path = unfinished.0.join(name);
                    replace(&path, text.as_bytes(), Durability::PowerCut).map_err(failed)?;
                }
                fs::rename(&unfinished.0, path).map_err(failed)?;
                sync_directory(path.parent().unwrap_or(Path::new("/"))).map_err(failed)
            }
        }
    }
}

fn write_failed(path: &Path, error: &std::io::Error) -> CliError {
    CliError::because(format!("write {}", path.display()), error)
}
