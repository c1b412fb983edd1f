//! The way to a server: flags, kubeconfig files, the pod this is in, or the authority of this machine.
//!
//! Owns where credentials are looked for, and the client with what every verb needs of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OnceCell;
use weft_client::Request;
use weft_client::cluster::discovery::{Kinds, Resource};
use weft_client::cluster::kubeconfig::{File, Overrides};
use weft_client::cluster::{Access, Acting, Answer, ApiError, Cluster};

use super::{inside, local, plugin};
use crate::error::CliError;
use crate::printer::Printer;
use crate::session::{Session, Warnings};

/// Largest kubeconfig, in bytes.
const KUBECONFIG_BYTES_MAX: u64 = 4 << 20;

/// Flags of every verb.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(next_help_heading = "Server options")]
pub struct Connect {
    /// Work in this namespace
    #[arg(short, long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// Kubeconfig file [default: $KUBECONFIG, ~/.kube/config; pods and root on the server's machine need none]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Cluster of the kubeconfig
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// User of the kubeconfig
    #[arg(long, value_name = "NAME")]
    pub user: Vec<String>,
    /// Address of the API
    #[arg(short, long, value_name = "URL")]
    server: Option<String>,
    /// Name that the server's certificate is to have
    #[arg(long, value_name = "NAME")]
    tls_server_name: Option<String>,
    /// Bearer token
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// Name for a server that asks for one with a password
    #[arg(long, value_name = "NAME", conflicts_with = "token")]
    username: Option<String>,
    /// Its password
    #[arg(long, value_name = "TEXT", requires = "username")]
    password: Option<String>,
    /// File with the authority of the server's certificate
    #[arg(long, value_name = "FILE")]
    certificate_authority: Option<PathBuf>,
    /// File with the own certificate
    #[arg(long, value_name = "FILE")]
    client_certificate: Option<PathBuf>,
    /// File with the own key
    #[arg(long, value_name = "FILE")]
    client_key: Option<PathBuf>,
    /// Take any certificate of the server: who is between sees and changes everything
    #[arg(long)]
    insecure_skip_tls_verify: bool,
    /// Ask as this user, if you may: ann, system:serviceaccount:NAMESPACE:NAME
    #[arg(long = "as", value_name = "USER")]
    as_user: Option<String>,
    /// Ask as a member of this group; several times for several
    #[arg(long, value_name = "GROUP")]
    as_group: Vec<String>,
    /// Ask as who has this uid
    #[arg(long, value_name = "UID")]
    as_uid: Option<String>,
    /// Ask as of whom this is said as well; several times for several
    #[arg(long, value_name = "KEY=VALUE", value_parser = extra)]
    as_user_extra: Vec<(String, String)>,
    /// Give up a request after this time (30s, 2m; 0: never)
    #[arg(long, value_name = "TIME", value_parser = duration)]
    request_timeout: Option<Duration>,
    /// End with 1 if the server warns of anything
    #[arg(long)]
    warnings_as_errors: bool,
}

fn extra(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("it is no KEY=VALUE".to_owned()),
    }
}

/// A time as kubectl takes it: `30`, `30s`, `1m30s`; nothing for 0.
pub fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let letters = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, after) = after.split_at(letters);
        let scale_ms: u64 = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            _ => return Err("it is no time like 30s or 1m30s".to_owned()),
        };
        let number: u64 = number
            .parse()
            .map_err(|_| "it is no time like 30s".to_owned())?;
        let part = number.checked_mul(scale_ms).ok_or("it is too long")?;
        total = total.saturating_add(Duration::from_millis(part));
        rest = after;
    }
    Ok(total)
}

/// A server, as a verb needs it.
pub struct Api {
    /// The client.
    pub cluster: Cluster,
    /// Where what is named without a namespace is.
    pub namespace: String,
    /// Whether `--namespace` was given.
    pub is_namespace_given: bool,
    /// How long a request may take, if that has a bound.
    pub timeout: Option<Duration>,
    /// Where words go.
    pub printer: Printer,
    warnings: Arc<Warnings>,
    kinds: OnceCell<Kinds>,
}

impl Api {
    /// Finds the server; connects with the first request.
    pub fn open(connect: &Connect, session: &Session) -> Result<Api, CliError> {
        let (access, is_local) = connect.access(session)?;
        if connect.warnings_as_errors {
            session.warnings.are_errors();
        }
        Self::of(access, is_local, connect.namespace.is_some(), session)
    }

    /// The server that `access` leads to.
    pub fn of(
        access: Access,
        is_local: bool,
        is_namespace_given: bool,
        session: &Session,
    ) -> Result<Api, CliError> {
        let (namespace, timeout) = (access.namespace.clone(), access.timeout);
        let mut cluster = Cluster::new(access.clone())?;
        let printer = session.printer;
        if session.is_explaining() {
            if is_local {
                printer.line(&local::shell_line(&session.settings))?;
            }
            let shown = Cluster::new(access)?;
            cluster = cluster.explaining(Arc::new(move |request: &Request| {
                let _ = printer.line(&shown.curl(request));
            }));
        }
        Ok(Api {
            cluster,
            namespace,
            is_namespace_given,
            timeout,
            printer,
            warnings: session.warnings.clone(),
            kinds: OnceCell::new(),
        })
    }

    /// Which kinds there are; asked for once.
    pub async fn kinds(&self) -> Result<&Kinds, CliError> {
        let kinds = self
            .kinds
            .get_or_try_init(|| Kinds::of(&self.cluster))
            .await;
        kinds.map_err(CliError::from)
    }

    /// What a word for a kind means.
    pub async fn kind(&self, word: &str) -> Result<&Resource, CliError> {
        let found = self.kinds().await?.find(word);
        found.ok_or_else(|| no_kind(word))
    }

    /// Sends a request, unless it is only to be printed, and says what the server warns of.
    pub async fn send(&self, request: &Request) -> Result<Answer, ApiError> {
        self.told(self.cluster.send(request).await)
    }

    /// Sends a request in any case: to learn what the next one is.
    pub async fn ask(&self, request: &Request) -> Result<Answer, ApiError> {
        self.told(self.cluster.ask(request).await)
    }

    fn told(&self, answer: Result<Answer, ApiError>) -> Result<Answer, ApiError> {
        if let Ok(answer) = &answer {
            for warning in &answer.warnings {
                self.printer.talk(&format!("Warning: {warning}"));
                self.warnings.add();
            }
        }
        answer
    }
}

/// There is no such kind.
pub fn no_kind(word: &str) -> CliError {
    CliError::new(format!(
        "the server doesn't have a resource type \"{word}\""
    ))
    .hint("`weft api-resources` lists the types it has")
}

impl Connect {
    fn overrides(&self) -> Overrides {
        Overrides {
            context: self.context.clone(),
            cluster: self.cluster.clone(),
            user: self.user.last().cloned(),
            server: self.server.clone(),
            server_name: self.tls_server_name.clone(),
            namespace: self.namespace.clone(),
            token: self.token.clone(),
            username: self.username.clone(),
            password: self.password.clone(),
            authority: self.certificate_authority.clone(),
            certificate: self.client_certificate.clone(),
            key: self.client_key.clone(),
            insecure: self.insecure_skip_tls_verify,
            acting: Acting {
                user: self.as_user.clone().filter(|user| !user.is_empty()),
                groups: self.as_group.clone(),
                uid: self.as_uid.clone().filter(|uid| !uid.is_empty()),
                extra: self.as_user_extra.clone(),
            },
            timeout: self.request_timeout.filter(|timeout| !timeout.is_zero()),
        }
    }

    /// The way in that the flags and files name; whether it is this machine's own authority's.
    pub fn access(&self, session: &Session) -> Result<(Access, bool), CliError> {
        let (files, is_local) = self.files(session)?;
        let mut access = Access::resolve(&files, &self.overrides()).map_err(|error| {
            let cli = CliError::from(error);
            match files.is_empty() {
                true => cli.hint("`weft kubeconfig`, as root on the server's machine, prints what goes into ~/.kube/config"),
                false => cli,
            }
        })?;
        plugin::ask(&mut access)?;
        Ok((access, is_local))
    }

    /// The way in of somebody who has a token and, perhaps, nothing to tell the server by.
    pub fn access_with(
        &self,
        session: &Session,
        token: &str,
        is_anybody: bool,
    ) -> Result<Access, CliError> {
        let (files, _) = self.files(session)?;
        let mut overrides = self.overrides();
        overrides.token = Some(token.to_owned());
        overrides.insecure |= is_anybody;
        Ok(Access::resolve(&files, &overrides)?)
    }

    /// What `--token` says.
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// Kubeconfig files that there are; where there is none, the pod's own, or this machine's authority.
    pub fn files(&self, session: &Session) -> Result<(Vec<File>, bool), CliError> {
        if let Some(path) = &self.kubeconfig {
            return Ok((vec![read(path)?], false));
        }
        let listed = std::env::var_os("KUBECONFIG").filter(|list| !list.is_empty());
        let paths: Vec<PathBuf> = match &listed {
            Some(list) => std::env::split_paths(list).collect(),
            None => std::env::var_os("HOME")
                .map(|home| PathBuf::from(home).join(".kube/config"))
                .into_iter()
                .collect(),
        };
        let mut files = Vec::new();
        for path in paths.iter().filter(|path| path.exists()) {
            files.push(read(path)?);
        }
        if files.is_empty()
            && self.server.is_none()
            && let Some(file) = inside::file()?
        {
            return Ok((vec![file], false));
        }
        let says_how = self.token.is_some() || self.client_certificate.is_some();
        if files.is_empty() && !says_how && local::is_here(&session.settings) {
            return Ok((vec![local::file(&session.settings)?], true));
        }
        Ok((files, false))
    }
}

/// Reads a kubeconfig.
pub fn read(path: &std::path::Path) -> Result<File, CliError> {
    use std::io::Read as _;
    let tried = || format!("read kubeconfig {}", path.display());
    let mut text = String::new();
    let read = std::fs::File::open(path).and_then(|file| {
        file.take(KUBECONFIG_BYTES_MAX + 1)
            .read_to_string(&mut text)
    });
    read.map_err(|error| CliError::because(tried(), &error))?;
    if text.len() as u64 > KUBECONFIG_BYTES_MAX {
        return Err(CliError::new(format!(
            "{}: it has more than {KUBECONFIG_BYTES_MAX} bytes",
            tried()
        )));
    }
    Ok(File::parse(path, &text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_kubectls() {
        for (text, ms) in [
            ("5", 5000),
            ("0", 0),
            ("0s", 0),
            ("250ms", 250),
            ("1m30s", 90_000),
            ("2h", 7_200_000),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["x", "5x", "s", "-1s", "99999999999999999999s"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
