//! What a person sees when the API says no: kubectl's words, and what to do where that is known.

use weft_client::cluster::{ApiError, Refusal};

use crate::error::CliError;

impl From<ApiError> for CliError {
    fn from(error: ApiError) -> CliError {
        match &error {
            ApiError::NotSent => CliError::silent(0),
            ApiError::Refused(refusal) => refused(refusal, ""),
            ApiError::Connect { source, .. } => {
                let cli = CliError::because(&error, source);
                match source.kind() {
                    std::io::ErrorKind::ConnectionRefused => cli.hint(
                        "start a server on this machine with `weft server`, or name another with --server or a kubeconfig",
                    ),
                    _ => cli,
                }
            }
            ApiError::Tls { source, .. } => {
                let cli = CliError::because(&error, source);
                if is_about_us(&cli) {
                    return cli.hint(CHECK);
                }
                cli.hint("`weft kubeconfig`, as root on the server's machine, prints a kubeconfig that fits it")
            }
            ApiError::Broken { source, .. } => {
                let cli = CliError::because(&error, source);
                if is_about_us(&cli) {
                    cli.hint(CHECK)
                } else {
                    cli
                }
            }
            ApiError::Credentials { tried, .. } if tried.starts_with("use the client key") => {
                CliError::new(error.to_string()).hint(CHECK)
            }
            _ => CliError::new(error.to_string()),
        }
    }
}

const CHECK: &str =
    "`weft certificate check` tells what is wrong with the own certificate, if it is that";

/// Whether the server ended the connection with a word of its own: mostly about our certificate,
/// which is looked at after ours is done with the server's.
fn is_about_us(cli: &CliError) -> bool {
    cli.message().contains("received fatal alert")
}

/// A refusal of something done for `what` (`error when creating "a.yaml"`).
pub fn during(error: ApiError, what: &str) -> CliError {
    match error.refusal() {
        Some(refusal) => refused(refusal, &format!("{what}: ")),
        None => error.into(),
    }
}

fn refused(refusal: &Refusal, before: &str) -> CliError {
    let Refusal {
        message, reason, ..
    } = refusal;
    let text = match reason.as_str() {
        "Unauthorized" => "You must be logged in to the server (Unauthorized)".to_owned(),
        "Invalid" => invalid(refusal),
        "" => format!("Error from server: {before}{message}"),
        _ => format!("Error from server ({reason}): {before}{message}"),
    };
    let cli = CliError::new(text).in_servers_words();
    match hint(refusal) {
        Some(hint) => cli.hint(hint),
        None => cli,
    }
}

fn invalid(refusal: &Refusal) -> String {
    let Refusal {
        kind, name, causes, ..
    } = refusal;
    let mut text = match name.is_empty() {
        true => "The request is invalid".to_owned(),
        false => format!("The {kind} \"{name}\" is invalid"),
    };
    match &causes[..] {
        [] => text.push_str(&format!(": {}", refusal.message)),
        [(_, field, message)] => text.push_str(&format!(": {field}: {message}")),
        all => {
            text.push_str(": ");
            for (_, field, message) in all {
                text.push_str(&format!("\n* {field}: {message}"));
            }
        }
    }
    text
}

fn hint(refusal: &Refusal) -> Option<String> {
    let is_conflict = |cause: &(String, String, String)| cause.0 == "FieldManagerConflict";
    Some(match refusal.reason.as_str() {
        "Unauthorized" => "`weft kubeconfig`, as root on the server's machine, makes new credentials".to_owned(),
        "Forbidden" => "`weft auth can-i --list` tells what you may do".to_owned(),
        "Conflict" if refusal.causes.iter().any(is_conflict) => {
            "--force-conflicts takes these fields from who has them; or leave them out of the manifest".to_owned()
        }
        "Conflict" => "somebody else changed it meanwhile: read it again and repeat the change".to_owned(),
        _ => return None,
    })
}
