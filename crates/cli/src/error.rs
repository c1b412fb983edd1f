//! What a person sees when a command fails: what was tried, why it failed, what to do about it.
//!
//! Owns the translation of the engine's refusals into hints, and the exit codes (see
//! `docs/reference/exit-codes.md`). Library errors are translated here once and nowhere else.

use std::error::Error;
use std::fmt;

use weft_client::ClientError;

/// The command failed.
pub const EXIT_FAILED: u8 = 1;
/// `run`, `create`, `exec`: weft itself failed, not the workload. All commands: wrong usage.
pub const EXIT_ENGINE: u8 = 125;
/// The command in the container cannot be executed.
pub const EXIT_NOT_EXECUTABLE: u8 = 126;
/// The command in the container does not exist.
pub const EXIT_NOT_FOUND: u8 = 127;
/// The reader of our output went away (128 + SIGPIPE).
pub const EXIT_PIPE: u8 = 141;

/// A failed command.
#[derive(Debug)]
pub struct CliError {
    message: String,
    hints: Vec<String>,
    exit: u8,
    /// It begins with who says it; nothing goes before it.
    is_whole: bool,
}

impl CliError {
    /// A failure described by `message`.
    pub fn new(message: impl Into<String>) -> CliError {
        CliError {
            message: message.into(),
            hints: Vec::new(),
            exit: EXIT_FAILED,
            is_whole: false,
        }
    }

    /// A failure of `tried`, because of `source` and what caused that.
    pub fn because(tried: impl fmt::Display, source: &dyn Error) -> CliError {
        CliError::new(format!("{tried}: {}", chain(source)))
    }

    /// Wrong usage.
    pub fn usage(message: impl Into<String>) -> CliError {
        CliError::new(message).exit(EXIT_ENGINE)
    }

    /// Nothing more to say: what went wrong has been printed, or cannot be.
    pub fn silent(exit: u8) -> CliError {
        CliError::new(String::new()).exit(exit)
    }

    /// Adds a remedy.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> CliError {
        self.hints.push(hint.into());
        self
    }

    /// The message is another program's line, as people know it from there.
    #[must_use]
    pub fn in_servers_words(mut self) -> CliError {
        self.is_whole = true;
        self
    }

    /// Sets the exit code.
    #[must_use]
    pub fn exit(mut self, exit: u8) -> CliError {
        self.exit = exit;
        self
    }

    /// The exit code of the command.
    pub fn code(&self) -> u8 {
        self.exit
    }

    /// The failure in one line, without hints.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The lines to print, empty when silent.
    pub fn render(&self) -> String {
        if self.message.is_empty() {
            return String::new();
        }
        let who = if self.is_whole { "" } else { "weft: " };
        let mut text = format!("{who}{}\n", self.message);
        for hint in &self.hints {
            text.push_str("hint: ");
            text.push_str(hint);
            text.push('\n');
        }
        text
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for CliError {}

/// An error and its causes, outermost first.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> CliError {
        if matches!(error, ClientError::NotSent) {
            return CliError::silent(0);
        }
        let mut cli = CliError::new(chain(&error));
        cli.hints = hints(&error);
        cli
    }
}

/// What is known to help.
fn hints(error: &ClientError) -> Vec<String> {
    let hint = match error {
        ClientError::Connect { source, .. } if error.is_not_running() => {
            let _ = source;
            "start the engine with `weft engine`; as root, any command starts it by itself"
        }
        ClientError::Connect { source, .. }
            if source.kind() == std::io::ErrorKind::PermissionDenied =>
        {
            "run this as root, or as a member of the group `weft`"
        }
        ClientError::Broken { .. } => {
            "containers keep running when the engine ends; `weft ps` shows them once it is back"
        }
        ClientError::Refused {
            status, message, ..
        } => return refusal_hint(*status, message).into_iter().collect(),
        _ => return Vec::new(),
    };
    vec![hint.to_owned()]
}

fn refusal_hint(status: u16, message: &str) -> Option<String> {
    let lower = message.to_lowercase();
    let has = |words: &[&str]| words.iter().all(|word| lower.contains(word));
    let hint = if status == 404 && has(&["no such image"]) {
        "`weft images` lists what is here, `weft pull` fetches more"
    } else if status == 404 && has(&["no such container"]) {
        "`weft ps -a` lists all containers"
    } else if status == 404 && has(&["network", "not found"]) {
        "`weft network ls` lists networks"
    } else if has(&["port", "already"]) || has(&["address already in use"]) {
        "publish another host port, or find who has this one with `weft ps` or `ss -ltnup`"
    } else if status == 409 && has(&["name", "in use"]) {
        "remove or rename that container, or choose another name"
    } else if status == 409 && has(&["running"]) && has(&["remove"]) {
        "stop it first, or use `weft rm -f`"
    } else if status == 401 || has(&["unauthorized"]) || has(&["authentication required"]) {
        "`weft login REGISTRY` stores credentials"
    } else if has(&["no space left on device"]) {
        "`weft system df` shows what takes up space, `weft system prune` frees it"
    } else {
        return None;
    };
    Some(hint.to_owned())
}

/// What the standard library says of numbers, for people.
fn plain(why: &str) -> String {
    let whole = [
        "invalid digit found in string",
        "cannot parse integer from empty string",
    ];
    match why {
        why if whole.contains(&why) => "it is not a whole number".to_owned(),
        "number too large to fit in target type" => "it is too large".to_owned(),
        "number too small to fit in target type" => "it is too small".to_owned(),
        "invalid float literal" | "cannot parse float from empty string" => {
            "it is not a number".to_owned()
        }
        why => why.to_owned(),
    }
}

/// Makes clap's complaint ours: one line in docker's words, and where to read more.
pub fn from_clap(error: &clap::Error, command: &str) -> CliError {
    use clap::error::{ContextKind, ContextValue, ErrorKind};
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        Some(ContextValue::Strings(texts)) => Some(texts.join(", ")),
        _ => None,
    };
    let argument = text(ContextKind::InvalidArg).unwrap_or_default();
    let flag = argument.split([' ', '=', '[']).next().unwrap_or_default();
    let value = text(ContextKind::InvalidValue);
    let mut hints = Vec::new();
    let message = match error.kind() {
        ErrorKind::ValueValidation | ErrorKind::InvalidValue => match (&value, error.source()) {
            // Given and empty, where clap itself would take that.
            (Some(value), Some(source)) => {
                let why = plain(&source.to_string());
                format!("invalid argument {value:?} for {flag:?} flag: {why}")
            }
            (Some(value), None) if !value.is_empty() => {
                if let Some(valid) = text(ContextKind::ValidValue) {
                    hints.push(format!("one of: {valid}"));
                }
                format!("invalid argument {value:?} for {flag:?} flag")
            }
            _ => format!("flag needs an argument: {flag}"),
        },
        ErrorKind::UnknownArgument if is_planned(flag) => {
            format!("{flag} is docker's, and weft does not do it")
        }
        ErrorKind::UnknownArgument => {
            if let Some(suggested) = text(ContextKind::SuggestedArg) {
                hints.push(format!("did you mean {suggested}?"));
            }
            format!("unknown flag or argument: {flag}")
        }
        ErrorKind::InvalidSubcommand => {
            if let Some(suggested) = text(ContextKind::SuggestedSubcommand) {
                hints.push(format!("did you mean {suggested}?"));
            }
            let unknown = text(ContextKind::InvalidSubcommand).unwrap_or_default();
            format!("unknown command: {command} {unknown}")
        }
        ErrorKind::MissingRequiredArgument | ErrorKind::TooFewValues => {
            format!("{command} requires {argument}")
        }
        ErrorKind::ArgumentConflict => match text(ContextKind::PriorArg) {
            Some(prior) => {
                let prior = prior.split(' ').next().unwrap_or_default().to_owned();
                format!("conflicting options: cannot specify both {prior} and {flag}")
            }
            None => format!("{flag} cannot be given more than once"),
        },
        _ => error
            .to_string()
            .lines()
            .next()
            .unwrap_or_default()
            .trim_start_matches("error: ")
            .to_owned(),
    };
    let mut cli = CliError::usage(message);
    for hint in hints {
        cli = cli.hint(hint);
    }
    cli.hint(format!("`{command} --help` lists what there is"))
}

/// Flags of docker's that are refused by name rather than as a typo.
fn is_planned(flag: &str) -> bool {
    const DOCKERS: &[&str] = &[
        "--all-tags",
        "--annotation",
        "--blkio-weight-device",
        "--cgroup-parent",
        "--cpu-rt-period",
        "--cpu-rt-runtime",
        "--disable-content-trust",
        "--gpus",
        "--isolation",
        "--kernel-memory",
        "--link",
        "--link-local-ip",
        "--runtime",
        "--storage-opt",
        "--use-api-socket",
        "--volume-driver",
        "--volumes-from",
    ];
    DOCKERS.binary_search(&flag).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_end_with_what_to_do() {
        let error = CliError::from(ClientError::Refused {
            what: "create container".into(),
            status: 404,
            message: "No such image: nope:latest".into(),
        });
        assert_eq!(
            error.render(),
            "weft: No such image: nope:latest\nhint: `weft images` lists what is here, `weft pull` fetches more\n"
        );
        assert_eq!(error.code(), EXIT_FAILED);
    }

    #[test]
    fn the_cause_is_said_once() {
        let error = CliError::from(ClientError::Connect {
            socket: "/run/weft/engine.sock".into(),
            source: std::io::Error::from(std::io::ErrorKind::PermissionDenied),
        });
        assert_eq!(
            error.render(),
            "weft: connect to the engine at /run/weft/engine.sock: permission denied\n\
             hint: run this as root, or as a member of the group `weft`\n"
        );
    }

    #[test]
    fn dockers_flags_are_sorted_for_the_search() {
        assert!(is_planned("--annotation") && is_planned("--volumes-from") && is_planned("--gpus"));
        assert!(!is_planned("--nope"));
    }
}
