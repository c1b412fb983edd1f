//! Namespaces, configmaps, secrets, service accounts and their tokens, from flags.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use weft_client::Request;

use super::Making;
use crate::error::CliError;
use crate::objects::connect::{Api, Connect, duration};
use crate::session::Session;
use crate::tree::{Entry, Outcome, noun, verb};

/// `weft create namespace`
pub const NAMESPACE: Entry = verb!("namespace" | "ns", Namespace, "Make a namespace");
/// `weft create configmap`
pub const CONFIG_MAP: Entry = verb!(
    "configmap" | "cm",
    ConfigMap,
    "Make a configmap from texts and files"
);
/// `weft create secret`
pub const SECRET: Entry = noun!("secret", &[GENERIC, TLS, REGISTRY], "Make a secret");
const GENERIC: Entry = verb!("generic", Generic, "Make a secret from texts and files");
const TLS: Entry = verb!("tls", Tls, "Make a secret of a certificate and its key");
const REGISTRY: Entry = verb!(
    "docker-registry",
    Registry,
    "Make a secret of a registry's credentials"
);
/// `weft create serviceaccount`
pub const SERVICE_ACCOUNT: Entry = verb!(
    "serviceaccount" | "sa",
    ServiceAccount,
    "Make a service account"
);
/// `weft create token`
pub const TOKEN: Entry = verb!(
    "token",
    Token,
    "Make a token of a service account, and print it"
);

/// Largest file that becomes a value, in bytes: the server takes a mebibyte.
const FILE_BYTES_MAX: u64 = 1 << 20;

#[derive(Debug, clap::Args)]
pub struct Namespace {
    /// Its name
    name: String,
    #[command(flatten)]
    making: Making,
}

impl Namespace {
    pub async fn run(self, session: &Session) -> Outcome {
        let object =
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": self.name } });
        self.making.run(session, object).await
    }
}

#[derive(Debug, clap::Args)]
struct Data {
    /// A value: KEY=TEXT
    #[arg(long, value_name = "KEY=TEXT")]
    from_literal: Vec<String>,
    /// A value from a file, or one from each file of a directory: [KEY=]PATH
    #[arg(long, value_name = "[KEY=]PATH")]
    from_file: Vec<String>,
    /// Values from lines KEY=TEXT of a file
    #[arg(long, value_name = "FILE")]
    from_env_file: Vec<PathBuf>,
}

impl Data {
    fn read(&self) -> Result<BTreeMap<String, Vec<u8>>, CliError> {
        let mut all = BTreeMap::new();
        let mut add = |key: &str, value: Vec<u8>| match all.insert(key.to_owned(), value) {
            None => Ok(()),
            Some(_) => Err(CliError::new(format!(
                "cannot add key {key:?}, another key by that name already exists"
            ))),
        };
        for text in &self.from_literal {
            let (key, value) = text
                .split_once('=')
                .filter(|(key, _)| !key.is_empty())
                .ok_or_else(|| {
                    CliError::usage(format!("invalid literal source {text}, expected key=value"))
                })?;
            let bare = value
                .strip_prefix('"')
                .and_then(|value| value.strip_suffix('"'));
            let bare = bare.or_else(|| {
                value
                    .strip_prefix('\'')
                    .and_then(|value| value.strip_suffix('\''))
            });
            add(key, bare.unwrap_or(value).as_bytes().to_vec())?;
        }
        for text in &self.from_file {
            let (key, path) = match text.split_once('=') {
                Some((key, path)) => (Some(key), Path::new(path)),
                None => (None, Path::new(text.as_str())),
            };
            let name = |path: &Path| {
                path.file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned()
            };
            if path.is_dir() {
                if key.is_some() {
                    return Err(CliError::usage(
                        "cannot give a key name for a directory path",
                    ));
                }
                let because = |error| CliError::because(format!("read {}", path.display()), &error);
                for entry in std::fs::read_dir(path).map_err(because)? {
                    let path = entry.map_err(because)?.path();
                    if path.is_file() {
                        add(&name(&path), file(&path)?)?;
                    }
                }
            } else {
                add(key.unwrap_or(&name(path)), file(path)?)?;
            }
        }
        for path in &self.from_env_file {
            let text = String::from_utf8_lossy(&file(path)?).into_owned();
            let lines = text
                .lines()
                .map(str::trim_start)
                .filter(|line| !line.is_empty() && !line.starts_with('#'));
            for line in lines {
                let (key, value) = match line.split_once('=') {
                    Some((key, value)) => (key, value.to_owned()),
                    // A bare name is taken from the environment.
                    None => (line, std::env::var(line).unwrap_or_default()),
                };
                add(key, value.into_bytes())?;
            }
        }
        Ok(all)
    }
}

fn file(path: &Path) -> Result<Vec<u8>, CliError> {
    use std::io::Read as _;
    let tried = || format!("read {}", path.display());
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
    read.map_err(|error| CliError::because(tried(), &error))?;
    match bytes.len() as u64 > FILE_BYTES_MAX {
        true => Err(CliError::new(format!(
            "{}: it has more than {FILE_BYTES_MAX} bytes",
            tried()
        ))),
        false => Ok(bytes),
    }
}

fn encoded(data: BTreeMap<String, Vec<u8>>) -> Map<String, Value> {
    data.into_iter()
        .map(|(key, value)| (key, STANDARD.encode(value).into()))
        .collect()
}

#[derive(Debug, clap::Args)]
pub struct ConfigMap {
    /// Its name
    name: String,
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    making: Making,
}

impl ConfigMap {
    pub async fn run(self, session: &Session) -> Outcome {
        let (mut texts, mut binary) = (Map::new(), BTreeMap::new());
        for (key, value) in self.data.read()? {
            match String::from_utf8(value) {
                Ok(text) => drop(texts.insert(key, text.into())),
                Err(error) => drop(binary.insert(key, error.into_bytes())),
            }
        }
        let mut object =
            json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": self.name } });
        if !texts.is_empty() {
            object["data"] = texts.into();
        }
        if !binary.is_empty() {
            object["binaryData"] = encoded(binary).into();
        }
        self.making.run(session, object).await
    }
}

fn secret(name: &str, kind: Option<&str>, data: BTreeMap<String, Vec<u8>>) -> Value {
    let mut object = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name } });
    if !data.is_empty() {
        object["data"] = encoded(data).into();
    }
    if let Some(kind) = kind {
        object["type"] = kind.into();
    }
    object
}

#[derive(Debug, clap::Args)]
pub struct Generic {
    /// Its name
    name: String,
    /// Its type
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    #[command(flatten)]
    data: Data,
    #[command(flatten)]
    making: Making,
}

impl Generic {
    pub async fn run(self, session: &Session) -> Outcome {
        let object = secret(&self.name, self.kind.as_deref(), self.data.read()?);
        self.making.run(session, object).await
    }
}

#[derive(Debug, clap::Args)]
pub struct Tls {
    /// Its name
    name: String,
    /// File with the certificate
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,
    /// File with its key
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    making: Making,
}

impl Tls {
    pub async fn run(self, session: &Session) -> Outcome {
        let data = [("tls.crt", &self.cert), ("tls.key", &self.key)];
        let data = data.map(|(key, path)| Ok((key.to_owned(), file(path)?)));
        let data = data.into_iter().collect::<Result<_, CliError>>()?;
        self.making
            .run(session, secret(&self.name, Some("kubernetes.io/tls"), data))
            .await
    }
}

#[derive(Debug, clap::Args)]
pub struct Registry {
    /// Its name
    name: String,
    /// Where the registry is
    #[arg(
        long,
        value_name = "URL",
        default_value = "https://index.docker.io/v1/"
    )]
    docker_server: String,
    /// User name there
    #[arg(long, value_name = "NAME")]
    docker_username: String,
    /// Password there
    #[arg(long, value_name = "TEXT")]
    docker_password: String,
    /// Mail address there
    #[arg(long, value_name = "TEXT")]
    docker_email: Option<String>,
    #[command(flatten)]
    making: Making,
}

impl Registry {
    pub async fn run(self, session: &Session) -> Outcome {
        let (user, password) = (&self.docker_username, &self.docker_password);
        let mut entry = json!({
            "username": user,
            "password": password,
            "auth": STANDARD.encode(format!("{user}:{password}")),
        });
        if let Some(email) = &self.docker_email {
            entry["email"] = email.as_str().into();
        }
        let config = json!({ "auths": { self.docker_server.as_str(): entry } });
        let data = BTreeMap::from([(
            ".dockerconfigjson".to_owned(),
            config.to_string().into_bytes(),
        )]);
        self.making
            .run(
                session,
                secret(&self.name, Some("kubernetes.io/dockerconfigjson"), data),
            )
            .await
    }
}

#[derive(Debug, clap::Args)]
pub struct ServiceAccount {
    /// Its name
    name: String,
    #[command(flatten)]
    making: Making,
}

impl ServiceAccount {
    pub async fn run(self, session: &Session) -> Outcome {
        let object = json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": self.name } });
        self.making.run(session, object).await
    }
}

#[derive(Debug, clap::Args)]
pub struct Token {
    /// The service account
    name: String,
    /// Whom it is for
    #[arg(long, value_name = "NAME")]
    audience: Vec<String>,
    /// How long it is good for
    #[arg(long, value_name = "TIME", value_parser = duration)]
    duration: Option<std::time::Duration>,
    #[command(flatten)]
    connect: Connect,
}

impl Token {
    pub async fn run(self, session: &Session) -> Outcome {
        let api = Api::open(&self.connect, session)?;
        let mut spec = json!({ "audiences": self.audience });
        if let Some(duration) = self.duration {
            spec["expirationSeconds"] = duration.as_secs().into();
        }
        let body = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec });
        let path = [
            "api",
            "v1",
            "namespaces",
            &api.namespace,
            "serviceaccounts",
            &self.name,
            "token",
        ];
        let answer = api
            .send(&Request::post("create a token", &path).json(&body))
            .await?
            .json()?;
        match answer["status"]["token"].as_str() {
            Some(token) => api.printer.line(token)?,
            None => return Err(CliError::new("the server answered without a token")),
        }
        Ok(0)
    }
}
