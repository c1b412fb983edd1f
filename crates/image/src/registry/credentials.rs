//! Owns finding credentials in docker's config file. Never writes it, never runs a credential
//! helper, never shows a secret.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{Credentials, RegistryConfig};
use crate::reference::DEFAULT_DOMAIN;
use crate::wire::{DockerAuth, DockerConfig};

/// Largest config file that is read.
const FILE_MAX: u64 = 1 << 20;

/// What the file knows about a registry.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Nothing,
    Credentials(Credentials),
    /// They are kept by this helper program, which is not run.
    Helper(String),
}

/// Docker's config file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot read credentials from {path}: {why}")]
pub struct CredentialsError {
    path: PathBuf,
    why: String,
}

/// Looks `host` (as in references) up.
pub(super) fn find(config: &RegistryConfig, host: &str) -> Result<Found, CredentialsError> {
    let Some(path) = config.docker_config.clone().or_else(default_path) else {
        return Ok(Found::Nothing);
    };
    let failed = |why: String| CredentialsError {
        path: path.clone(),
        why,
    };
    let bytes = match weft_stdx::file::read_bounded(&path, FILE_MAX) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(e) => return Err(failed(e.to_string())),
    };
    // The parser's own message could quote a secret.
    let file: DockerConfig = serde_json::from_slice(&bytes)
        .map_err(|e| failed(format!("not valid JSON of its kind at line {}", e.line())))?;
    look_up(&file, host).map_err(failed)
}

fn default_path() -> Option<PathBuf> {
    let dir = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let dir = dir.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".docker")));
    dir.map(|dir| dir.join("config.json"))
}

fn look_up(file: &DockerConfig, host: &str) -> Result<Found, String> {
    if let Some(helper) = file.cred_helpers.get(host) {
        return Ok(Found::Helper(helper.clone()));
    }
    let wanted = |key: &str| {
        let bare = key
            .trim_start_matches("https://")
            .trim_start_matches("http://");
        let bare = bare.split('/').next().unwrap_or_default();
        bare == host || (host == DEFAULT_DOMAIN && bare == "index.docker.io")
    };
    let entry = file.auths.iter().find(|(key, _)| wanted(key));
    match entry {
        Some((key, auth)) if has_secret(auth) => decode(auth)
            .map(Found::Credentials)
            .ok_or_else(|| format!("bad auth for {key:?}")),
        _ => Ok(file
            .creds_store
            .clone()
            .map_or(Found::Nothing, Found::Helper)),
    }
}

fn has_secret(auth: &DockerAuth) -> bool {
    !(auth.auth.is_empty() && auth.password.is_empty() && auth.identitytoken.is_empty())
}

fn decode(auth: &DockerAuth) -> Option<Credentials> {
    let identity_token = Some(auth.identitytoken.clone()).filter(|token| !token.is_empty());
    let (username, password) = if auth.auth.is_empty() {
        (auth.username.clone(), auth.password.clone())
    } else {
        let decoded = String::from_utf8(STANDARD.decode(auth.auth.trim()).ok()?).ok()?;
        let (username, password) = decoded.split_once(':')?;
        (
            username.to_owned(),
            password.trim_end_matches('\0').to_owned(),
        )
    };
    Some(Credentials {
        username,
        password,
        identity_token,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(json: &str, host: &str) -> Result<Found, String> {
        look_up(&serde_json::from_str(json).expect("json"), host)
    }

    fn pair(username: &str, password: &str) -> Found {
        let (username, password) = (username.to_owned(), password.to_owned());
        Found::Credentials(Credentials {
            username,
            password,
            identity_token: None,
        })
    }

    #[test]
    fn docker_config_forms() {
        // dTpwOng= is u:p:x
        let json = r#"{"auths":{"https://index.docker.io/v1/":{"auth":"dTpwOng="},
            "r.example:5000":{"username":"a","password":"b"},"empty.example":{}},
            "credHelpers":{"h.example":"pass"}}"#;
        assert_eq!(found(json, "docker.io"), Ok(pair("u", "p:x")));
        assert_eq!(found(json, "r.example:5000"), Ok(pair("a", "b")));
        assert_eq!(found(json, "r.example"), Ok(Found::Nothing));
        assert_eq!(
            found(json, "h.example"),
            Ok(Found::Helper("pass".to_owned()))
        );
        assert_eq!(found(json, "empty.example"), Ok(Found::Nothing));
        let store = r#"{"auths":{"empty.example":{}},"credsStore":"desktop"}"#;
        assert_eq!(
            found(store, "empty.example"),
            Ok(Found::Helper("desktop".to_owned()))
        );
        assert!(found(r#"{"auths":{"x":{"auth":"!!"}}}"#, "x").is_err());
    }

    #[test]
    fn secrets_are_not_shown() {
        assert!(!format!("{:?}", pair("user", "hunter2")).contains("hunter2"));
    }
}
