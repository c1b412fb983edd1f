//! Programs that a kubeconfig names to ask who one is (`user.exec`, `client.authentication.k8s.io`).
//!
//! Owns: what is said to them, and what their answer means. Never: runs one, or keeps an answer.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::error::ApiError;
use super::kubeconfig::{Access, Material, Proof, Trust, unusable};

const API_GROUP: &str = "client.authentication.k8s.io/";

/// Whether a plugin may ask whoever sits at the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terminal {
    /// It never asks.
    Never,
    /// It asks where there is a terminal.
    IfAvailable,
    /// It cannot do without.
    Always,
}

/// A program to run, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plugin {
    /// What to run: a path, or a name to look for.
    pub command: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Variables besides our own.
    pub variables: Vec<(String, String)>,
    /// What to do where it is not there.
    pub hint: Option<String>,
    /// Whether it may ask.
    pub terminal: Terminal,
    version: String,
    wants_cluster: bool,
    /// What the kubeconfig's cluster has for it.
    config: Value,
}

impl Plugin {
    /// Out of a user's `exec` in the kubeconfig at `path`.
    pub(super) fn of(path: &Path, exec: &Value, cluster: &Value) -> Result<Plugin, ApiError> {
        let wrong = |why: &str| unusable(&format!("use exec in {}", path.display()), &why);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let command = text(&exec["command"]);
        if command.is_empty() {
            return Err(wrong("it names no command"));
        }
        let version = text(&exec["apiVersion"]);
        let is_first = version == format!("{API_GROUP}v1");
        if !is_first && version != format!("{API_GROUP}v1beta1") {
            let why = format!("its apiVersion is {version:?}, not {API_GROUP}v1 or v1beta1");
            return Err(wrong(&why));
        }
        let terminal = match exec["interactiveMode"].as_str() {
            Some("Never") => Terminal::Never,
            Some("IfAvailable") => Terminal::IfAvailable,
            Some("Always") => Terminal::Always,
            None if !is_first => Terminal::IfAvailable,
            _ => {
                return Err(wrong(
                    "its interactiveMode is not Never, IfAvailable or Always",
                ));
            }
        };
        let all = |key: &str| exec[key].as_array().cloned().unwrap_or_default();
        let variables = all("env");
        let variables = variables
            .iter()
            .map(|one| (text(&one["name"]), text(&one["value"])));
        let variables: Vec<_> = variables.collect();
        let is_odd = |name: &str| name.is_empty() || name.contains(['=', '\0']);
        if variables.iter().any(|(name, _)| is_odd(name)) {
            return Err(wrong("a variable of its env has no name that can be"));
        }
        // A name is looked for where programs are; a path goes from the kubeconfig.
        let command = match command.contains('/') {
            true => path
                .parent()
                .unwrap_or(Path::new(""))
                .join(command.trim_start_matches("./")),
            false => PathBuf::from(command),
        };
        let extensions = cluster["extensions"].as_array().into_iter().flatten();
        let mut extensions =
            extensions.filter(|one| one["name"] == "client.authentication.k8s.io/exec");
        Ok(Plugin {
            command,
            arguments: all("args").iter().map(text).collect(),
            variables,
            hint: Some(text(&exec["installHint"])).filter(|hint| !hint.is_empty()),
            terminal,
            version,
            wants_cluster: exec["provideClusterInfo"] == true,
            config: extensions
                .next()
                .map(|one| one["extension"].clone())
                .unwrap_or_default(),
        })
    }

    /// What it finds in `KUBERNETES_EXEC_INFO`.
    ///
    /// # Errors
    /// The server's authority cannot be read.
    pub fn question(&self, access: &Access, is_interactive: bool) -> Result<String, ApiError> {
        let mut spec = json!({ "interactive": is_interactive });
        if self.wants_cluster {
            let mut cluster = json!({ "server": access.server });
            if let Some(name) = &access.server_name {
                cluster["tls-server-name"] = json!(name);
            }
            match &access.trust {
                Trust::Anybody => cluster["insecure-skip-tls-verify"] = json!(true),
                Trust::Roots(roots) => {
                    let roots = STANDARD.encode(roots.bytes()?.as_slice());
                    cluster["certificate-authority-data"] = json!(roots);
                }
            }
            if !self.config.is_null() {
                cluster["config"] = self.config.clone();
            }
            spec["cluster"] = cluster;
        }
        let kind = "ExecCredential";
        Ok(json!({ "kind": kind, "apiVersion": self.version, "spec": spec }).to_string())
    }

    /// What it answered, and when that ends if it says so.
    ///
    /// # Errors
    /// It is no answer.
    pub fn proof(&self, answer: &[u8]) -> Result<(Proof, Option<String>), ApiError> {
        let tried = format!("understand the answer of {}", self.command.display());
        let wrong = |why: &str| unusable(&tried, &why);
        // The reader's own words would show what may be half a token.
        let answer: Value = serde_json::from_slice(answer)
            .map_err(|_| wrong("it is no JSON: an ExecCredential is wanted"))?;
        if answer["kind"] != "ExecCredential" || answer["apiVersion"] != *self.version {
            let why = format!("it is no ExecCredential of {}", self.version);
            return Err(wrong(&why));
        }
        let text = |key: &str| {
            let text = answer["status"][key].as_str().unwrap_or_default();
            (!text.is_empty()).then(|| Zeroizing::new(text.to_owned()))
        };
        let given = |name, text: Zeroizing<String>| Material::Given {
            name,
            bytes: Zeroizing::new(text.as_bytes().to_vec()),
        };
        let pair = (text("clientCertificateData"), text("clientKeyData"));
        let proof = match (pair, text("token")) {
            // Servers look at the certificate first, too.
            ((Some(certificate), Some(key)), _) => Proof::Certificate(
                given("CLIENT_CERTIFICATE", certificate),
                given("CLIENT_KEY", key),
            ),
            ((Some(_), None), _) => return Err(wrong("it has a certificate without its key")),
            ((None, Some(_)), _) => return Err(wrong("it has a key without its certificate")),
            ((None, None), Some(token)) => Proof::Token(token, None),
            ((None, None), None) => {
                return Err(wrong("its status has neither a token nor a certificate"));
            }
        };
        let ends = text("expirationTimestamp").map(|text| text.to_string());
        Ok((proof, ends))
    }
}

#[cfg(test)]
mod tests;
