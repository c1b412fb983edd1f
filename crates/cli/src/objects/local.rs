//! Root on the server's own machine needs no kubeconfig: a certificate that soon ends is made from
//! the authority's files, as `weft kubeconfig` makes one for longer.

use std::path::{Path, PathBuf};

use weft_client::cluster::kubeconfig::File;
use weft_identity::authority::{Authority, DIRECTORY, Grant};
use weft_identity::kubeconfig::{Credentials, Kubeconfig};
use weft_stdx::clock::unix_s;

use crate::error::CliError;
use crate::settings::Settings;

/// How long the certificate is good for: a watch does not need it once it is connected.
const LIFE_S: i64 = 3600;
/// The file that a command line made by `--curl` writes first.
pub const SHELL_FILE: &str = "$WEFT_KUBECONFIG";

/// Whether there is an authority here that this process may use.
pub fn is_here(settings: &Settings) -> bool {
    rustix::process::geteuid().is_root() && place(settings).is_dir()
}

fn place(settings: &Settings) -> PathBuf {
    settings.data_dir.value.join(DIRECTORY)
}

/// A kubeconfig for this command alone.
pub fn file(settings: &Settings) -> Result<File, CliError> {
    let tried = "make a certificate for this command";
    let because = |error: &dyn std::error::Error| CliError::because(tried, error);
    let authority = Authority::open(&place(settings)).map_err(|error| because(&error))?;
    let user = "admin";
    let grant = Grant::User {
        user: user.to_owned(),
        groups: vec!["system:masters".to_owned()],
    };
    let pair = authority
        .issue(&grant, LIFE_S, unix_s())
        .map_err(|error| because(&error))?;
    let server = settings.api_server();
    let text = Kubeconfig {
        cluster: "weft",
        server: &server,
        server_name: None,
        root_pem: authority.root_pem(),
        user,
        namespace: None,
        credentials: Credentials::Certificate(&pair),
    };
    let text = text.to_yaml().map_err(|error| because(&error))?;
    Ok(File::parse(Path::new(SHELL_FILE), &text)?)
}

/// What has to be typed before a command line that reads [`SHELL_FILE`].
pub fn shell_line(settings: &Settings) -> String {
    let data_dir = settings.data_dir.value.display();
    let listen = settings.api_server();
    format!(
        "WEFT_KUBECONFIG=$(mktemp) && weft kubeconfig --data-dir '{data_dir}' --server {listen} >\"$WEFT_KUBECONFIG\""
    )
}
