//! `weft login` and `weft logout`

use std::io::{BufRead as _, IsTerminal as _, Read as _};

use weft_api::docker::AuthConfig;

use crate::error::CliError;
use crate::registry_auth::{HUB, Store};
use crate::session::Session;
use crate::terminal::raw::RawTerminal;
use crate::tree::{Entry, Outcome, verb};

/// Longest password, in bytes.
const PASSWORD_BYTES_MAX: u64 = 64 << 10;

/// The command.
pub const LOGIN: Entry = verb!("login", LoginArgs, "Store credentials for a registry");

/// Flags of `login`.
#[derive(Debug, clap::Args)]
pub struct LoginArgs {
    /// User name
    #[arg(short, long)]
    username: Option<String>,
    /// Password; --password-stdin keeps it out of the list of processes
    #[arg(short, long, conflicts_with = "password_stdin")]
    password: Option<String>,
    /// Read the password from stdin
    #[arg(long, requires = "username")]
    password_stdin: bool,
    /// Registry; Docker Hub when left out
    #[arg(value_name = "REGISTRY")]
    registry: Option<String>,
}

impl LoginArgs {
    /// Asks the registry whether it accepts the credentials, and stores them if so.
    pub async fn run(self, session: &Session) -> Outcome {
        let registry = key(self.registry.as_deref());
        let mut store = Store::open()?;
        let username = match &self.username {
            Some(username) => username.clone(),
            None => ask("Username: ", true)?,
        };
        let password = match &self.password {
            Some(password) => {
                session
                    .printer
                    .talk("warning: --password shows the password to everyone who can list processes; use --password-stdin");
                password.clone()
            }
            None if self.password_stdin => piped()?,
            None => ask("Password: ", false)?,
        };
        if username.is_empty() || password.is_empty() {
            return Err(CliError::usage(format!(
                "log in to {registry}: user name and password are needed"
            )));
        }
        let mut auth = AuthConfig {
            username,
            password,
            serveraddress: registry.clone(),
            ..AuthConfig::default()
        };
        let engine = session.engine().await?;
        let answer = engine.login(&auth).await?;
        if !answer.identity_token.is_empty() {
            auth.identitytoken = answer.identity_token;
            auth.password.clear();
        }
        let path = store.put(&registry, &auth)?;
        session.printer.talk(&format!(
            "warning: the password is stored unencrypted in {}",
            path.display()
        ));
        session.printer.line("Login Succeeded")?;
        Ok(0)
    }
}

/// The command.
pub const LOGOUT: Entry = verb!("logout", LogoutArgs, "Forget credentials for a registry");

/// Flags of `logout`.
#[derive(Debug, clap::Args)]
pub struct LogoutArgs {
    /// Registry; Docker Hub when left out
    #[arg(value_name = "REGISTRY")]
    registry: Option<String>,
}

impl LogoutArgs {
    /// Forgets the credentials.
    pub async fn run(self, session: &Session) -> Outcome {
        let registry = key(self.registry.as_deref());
        if session.is_explaining() {
            return Ok(0);
        }
        if Store::open()?.remove(&registry)? {
            session
                .printer
                .line(&format!("Removing login credentials for {registry}"))?;
        } else {
            session
                .printer
                .line(&format!("Not logged in to {registry}"))?;
        }
        Ok(0)
    }
}

/// The file's key of a registry.
fn key(registry: Option<&str>) -> String {
    let Some(registry) = registry else {
        return HUB.to_owned();
    };
    let bare = registry
        .strip_prefix("https://")
        .or_else(|| registry.strip_prefix("http://"))
        .unwrap_or(registry);
    match bare.split('/').next().unwrap_or(bare) {
        "docker.io" | "index.docker.io" | "registry-1.docker.io" => HUB.to_owned(),
        host => host.to_owned(),
    }
}

fn piped() -> Result<String, CliError> {
    let mut text = String::new();
    std::io::stdin()
        .take(PASSWORD_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(|error| CliError::because("read the password from stdin", &error))?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

/// Asks a question on the terminal; the answer is not shown unless `echo`.
fn ask(question: &str, echo: bool) -> Result<String, CliError> {
    use std::io::Write as _;
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        return Err(CliError::usage(
            "log in: cannot ask for user name and password, stdin is not a terminal",
        )
        .hint("use --username and --password-stdin"));
    }
    let tried = |error: &std::io::Error| CliError::because("ask on the terminal", error);
    let _ = write!(std::io::stderr(), "{question}");
    if echo {
        let mut line = String::new();
        stdin
            .lock()
            .read_line(&mut line)
            .map_err(|error| tried(&error))?;
        return Ok(line.trim_end_matches(['\n', '\r']).to_owned());
    }
    // Raw, not just silent: an interrupt must not leave the terminal silent.
    let raw = RawTerminal::enter()?;
    let mut line = Vec::new();
    for byte in stdin.lock().bytes() {
        match byte.map_err(|error| tried(&error))? {
            b'\r' | b'\n' | 4 => break,
            3 => {
                drop(raw);
                let _ = writeln!(std::io::stderr());
                return Err(CliError::silent(130));
            }
            8 | 127 => drop(line.pop()),
            byte => line.push(byte),
        }
    }
    drop(raw);
    let _ = writeln!(std::io::stderr());
    String::from_utf8(line).map_err(|_| CliError::usage("log in: the password is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_registries() {
        for (registry, expect) in [
            (None, HUB),
            (Some("docker.io"), HUB),
            (Some("https://r.example:5000/v2/"), "r.example:5000"),
            (Some("localhost:5000"), "localhost:5000"),
        ] {
            assert_eq!(key(registry), expect);
        }
    }
}
