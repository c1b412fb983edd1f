//! Credentials for registries, where docker keeps them: `~/.docker/config.json` and the helpers it
//! names.
//!
//! Owns reading and writing that file; members it does not know stay as they are. Passwords are
//! never printed.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use serde_json::{Map, Value, json};
use weft_api::docker::AuthConfig;

use crate::error::CliError;

/// Docker Hub's key in the file.
pub const HUB: &str = "https://index.docker.io/v1/";
/// Largest file read, in bytes.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// Docker's client configuration.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    config: Map<String, Value>,
}

impl Store {
    /// Opens `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`; it need not exist.
    pub fn open() -> Result<Store, CliError> {
        let directory = match (std::env::var_os("DOCKER_CONFIG"), std::env::var_os("HOME")) {
            (Some(directory), _) => PathBuf::from(directory),
            (None, Some(home)) => PathBuf::from(home).join(".docker"),
            // Neither said: there is no such file, and nothing can be stored.
            (None, None) => PathBuf::from("/nonexistent"),
        };
        let path = directory.join("config.json");
        let tried = || format!("read {}", path.display());
        let mut text = String::new();
        match std::fs::File::open(&path) {
            Ok(file) => {
                file.take(CONFIG_BYTES_MAX)
                    .read_to_string(&mut text)
                    .map_err(|error| CliError::because(tried(), &error))?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                "{}".clone_into(&mut text)
            }
            Err(error) => return Err(CliError::because(tried(), &error)),
        }
        let config =
            serde_json::from_str(&text).map_err(|error| CliError::because(tried(), &error))?;
        Ok(Store { path, config })
    }

    /// The credentials for a registry, if any are stored.
    pub fn find(&self, registry: &str) -> Result<Option<AuthConfig>, CliError> {
        if let Some(helper) = self.helper(registry) {
            return ask_helper(helper, registry);
        }
        let Some(auths) = self.config.get("auths").and_then(Value::as_object) else {
            return Ok(None);
        };
        let entry = auths.get(registry).or_else(|| {
            let matching = auths.iter().find(|(key, _)| host_of(key) == registry);
            matching.map(|(_, entry)| entry)
        });
        Ok(entry.and_then(|entry| credentials(entry, registry)))
    }

    /// Stores credentials and answers with the file they are in.
    pub fn put(&mut self, registry: &str, auth: &AuthConfig) -> Result<&PathBuf, CliError> {
        let secret = STANDARD.encode(format!("{}:{}", auth.username, auth.password));
        let mut entry = json!({ "auth": secret });
        if !auth.identitytoken.is_empty() {
            entry["auth"] = STANDARD.encode(format!("{}:", auth.username)).into();
            entry["identitytoken"] = auth.identitytoken.clone().into();
        }
        let auths = self.config.entry("auths").or_insert_with(|| json!({}));
        if let Some(auths) = auths.as_object_mut() {
            auths.insert(registry.to_owned(), entry);
        }
        self.write()?;
        Ok(&self.path)
    }

    /// Forgets credentials; false when there were none.
    pub fn remove(&mut self, registry: &str) -> Result<bool, CliError> {
        let auths = self.config.get_mut("auths").and_then(Value::as_object_mut);
        let removed = auths.is_some_and(|auths| auths.remove(registry).is_some());
        if removed {
            self.write()?;
        }
        Ok(removed)
    }

    fn helper(&self, registry: &str) -> Option<&str> {
        self.config
            .get("credHelpers")
            .and_then(|helpers| helpers.get(registry))
            .or_else(|| self.config.get("credsStore"))
            .and_then(Value::as_str)
            .filter(|name| !name.is_empty())
    }

    fn write(&self) -> Result<(), CliError> {
        let tried = |error: &std::io::Error| {
            CliError::because(format!("write {}", self.path.display()), error)
        };
        let directory = self.path.parent().expect("the path ends in config.json");
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|error| tried(&error))?;
        let mut text = serde_json::to_string_pretty(&self.config).expect("it was JSON before");
        text.push('\n');
        let temporary = self
            .path
            .with_extension(format!("json.{}", std::process::id()));
        let mut file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&temporary)
            .map_err(|error| tried(&error))?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| std::fs::rename(&temporary, &self.path))
            .map_err(|error| tried(&error))
    }
}

/// The value of `X-Registry-Auth`.
pub fn header(auth: &AuthConfig) -> String {
    URL_SAFE.encode(serde_json::to_vec(auth).expect("strings always encode"))
}

/// The registry of an image name, as the file's key: the part before the first slash if it looks
/// like a host, else Docker Hub.
pub fn registry_of(image: &str) -> &str {
    match image.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => match host {
            "docker.io" | "index.docker.io" => HUB,
            host => host,
        },
        _ => HUB,
    }
}

fn host_of(key: &str) -> &str {
    let bare = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"))
        .unwrap_or(key);
    bare.split('/').next().unwrap_or(bare)
}

fn credentials(entry: &Value, registry: &str) -> Option<AuthConfig> {
    let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
    let mut auth = AuthConfig {
        username: text("username").to_owned(),
        password: text("password").to_owned(),
        identitytoken: text("identitytoken").to_owned(),
        registrytoken: text("registrytoken").to_owned(),
        serveraddress: registry.to_owned(),
        ..AuthConfig::default()
    };
    if let Ok(decoded) = STANDARD.decode(text("auth"))
        && let Ok(pair) = String::from_utf8(decoded)
        && let Some((username, password)) = pair.split_once(':')
    {
        username.clone_into(&mut auth.username);
        password
            .trim_end_matches('\0')
            .clone_into(&mut auth.password);
    }
    let useful = !auth.username.is_empty()
        || !auth.identitytoken.is_empty()
        || !auth.registrytoken.is_empty();
    useful.then_some(auth)
}

/// Asks `docker-credential-NAME get`, as docker does.
fn ask_helper(helper: &str, registry: &str) -> Result<Option<AuthConfig>, CliError> {
    let program = format!("docker-credential-{helper}");
    let tried = |error: &dyn std::error::Error| {
        CliError::because(
            format!("ask {program} for credentials of {registry}"),
            error,
        )
    };
    let mut child = Command::new(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .map_err(|error| tried(&error))?;
    child
        .stdin
        .take()
        .expect("stdin is piped")
        .write_all(registry.as_bytes())
        .map_err(|error| tried(&error))?;
    let output = child.wait_with_output().map_err(|error| tried(&error))?;
    if !output.status.success() {
        // The protocol has no other way to say that nothing is stored.
        return Ok(None);
    }
    let answer: Value = serde_json::from_slice(&output.stdout).map_err(|error| tried(&error))?;
    let text = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default();
    let mut auth = AuthConfig {
        serveraddress: registry.to_owned(),
        ..AuthConfig::default()
    };
    if text("Username") == "<token>" {
        text("Secret").clone_into(&mut auth.identitytoken);
    } else {
        text("Username").clone_into(&mut auth.username);
        text("Secret").clone_into(&mut auth.password);
    }
    Ok(Some(auth))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(config: Value) -> (tempfile::TempDir, Store) {
        let directory = tempfile::tempdir().unwrap();
        let store = Store {
            path: directory.path().join("deep/config.json"),
            config: config.as_object().unwrap().clone(),
        };
        (directory, store)
    }

    #[test]
    fn registries_of_names() {
        for (name, registry) in [
            ("busybox", HUB),
            ("library/busybox", HUB),
            ("docker.io/library/busybox", HUB),
            ("localhost/x", "localhost"),
            ("localhost:5000/x:1", "localhost:5000"),
            ("ghcr.io/a/b", "ghcr.io"),
        ] {
            assert_eq!(registry_of(name), registry, "{name}");
        }
    }

    #[test]
    fn stored_credentials_come_back_and_the_rest_stays() {
        let (_keep, mut store) = store(json!({"psFormat": "x", "auths": {}}));
        let auth = AuthConfig {
            username: "me".into(),
            password: "se:cret".into(),
            ..AuthConfig::default()
        };
        let path = store.put("localhost:5000", &auth).unwrap().clone();
        let found = store.find("localhost:5000").unwrap().unwrap();
        assert_eq!(
            (found.username.as_str(), found.password.as_str()),
            ("me", "se:cret")
        );
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("psFormat"));
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(store.remove("localhost:5000").unwrap());
        assert!(!store.remove("localhost:5000").unwrap());
        assert!(store.find("localhost:5000").unwrap().is_none());
    }

    #[test]
    fn keys_may_be_urls() {
        let secret = STANDARD.encode("a:b");
        let (_keep, store) = store(json!({"auths": {"https://r.example/v2/": {"auth": secret}}}));
        assert_eq!(store.find("r.example").unwrap().unwrap().username, "a");
        assert!(store.find("other.example").unwrap().is_none());
    }
}
