//! Namespaces, configmaps, secrets and service accounts, from flags.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use weft_identity::certificate::read_all;
use weft_stdx::jsonpath::escape_html;

use super::Making;
use super::sources::{self, Data, Sources};
use super::values::Values;
use crate::error::CliError;
use crate::objects::kustomize;
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

/// What a secret of a registry's credentials has them at.
const CREDENTIALS: &str = ".dockerconfigjson";
/// The registry that is meant where none is named.
const REGISTRY_URL: &str = "https://index.docker.io/v1/";

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

/// What every object of data has.
#[derive(Debug, clap::Args)]
struct Naming {
    /// Put a hash of what it holds behind its name
    #[arg(long)]
    append_hash: bool,
}

impl Naming {
    /// The object, with the name that it gets.
    fn on(&self, mut object: Value) -> Value {
        if self.append_hash {
            let name = object["metadata"]["name"].as_str().unwrap_or_default();
            object["metadata"]["name"] = format!("{name}-{}", kustomize::hash(&object)).into();
        }
        object
    }
}

fn encoded(data: Data) -> Map<String, Value> {
    data.into_iter()
        .map(|(key, value)| (key, STANDARD.encode(value).into()))
        .collect()
}

#[derive(Debug, clap::Args)]
pub struct ConfigMap {
    /// Its name
    name: String,
    #[command(flatten)]
    data: Sources,
    #[command(flatten)]
    naming: Naming,
    #[command(flatten)]
    making: Making,
}

impl ConfigMap {
    pub async fn run(self, session: &Session) -> Outcome {
        let (mut texts, mut binary) = (Map::new(), Data::new());
        for (key, value) in self.data.read("ConfigMap")? {
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
        self.making.run(session, self.naming.on(object)).await
    }
}

fn secret(name: &str, kind: &str, data: Data) -> Value {
    let mut object = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name } });
    if !data.is_empty() {
        object["data"] = encoded(data).into();
    }
    if !kind.is_empty() {
        object["type"] = kind.into();
    }
    object
}

#[derive(Debug, clap::Args)]
pub struct Generic {
    /// Its name
    name: String,
    /// Its type
    #[arg(
        long = "type",
        value_name = "TYPE",
        default_value = "",
        hide_default_value = true
    )]
    kind: String,
    #[command(flatten)]
    data: Sources,
    #[command(flatten)]
    naming: Naming,
    #[command(flatten)]
    making: Making,
}

impl Generic {
    pub async fn run(self, session: &Session) -> Outcome {
        let object = secret(&self.name, &self.kind, self.data.read("Secret")?);
        self.making.run(session, self.naming.on(object)).await
    }
}

#[derive(Debug, clap::Args)]
pub struct Tls {
    /// Its name
    name: String,
    /// File with the certificate
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// File with its key
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    #[command(flatten)]
    naming: Naming,
    #[command(flatten)]
    making: Making,
}

impl Tls {
    pub async fn run(self, session: &Session) -> Outcome {
        let is_given = |path: &&PathBuf| !path.as_os_str().is_empty();
        let cert = self.cert.as_ref().filter(is_given);
        let (Some(cert), Some(key)) = (cert, self.key.as_ref().filter(is_given)) else {
            return Err(CliError::new("key and cert must be specified"));
        };
        let data = pair(cert, key)?;
        let object = secret(&self.name, "kubernetes.io/tls", data);
        self.making.run(session, self.naming.on(object)).await
    }
}

/// A certificate and the key that is its own.
fn pair(cert: &Path, key: &Path) -> Result<Data, CliError> {
    let (cert_pem, key_pem) = (sources::read(cert)?, sources::read(key)?);
    let tried = |path: &Path| format!("read {}", path.display());
    let chain = read_all(&cert_pem).map_err(|error| CliError::because(tried(cert), &error))?;
    let fits = chain.first().map(|leaf| leaf.fits(&key_pem)).transpose();
    match fits.map_err(|why| {
        CliError::new(format!(
            "{}: there is no key in it that can be used: {why}",
            tried(key)
        ))
    })? {
        Some(true) => Ok(Data::from([
            ("tls.crt".to_owned(), cert_pem),
            ("tls.key".to_owned(), key_pem),
        ])),
        _ => Err(CliError::new("tls: private key does not match public key")),
    }
}

#[derive(Debug, clap::Args)]
pub struct Registry {
    /// Its name
    name: String,
    /// Where the registry is [default: https://index.docker.io/v1/]
    #[arg(long, value_name = "URL")]
    docker_server: Option<String>,
    /// User name there
    #[arg(long, value_name = "NAME")]
    docker_username: Option<String>,
    /// Password there
    #[arg(long, value_name = "TEXT")]
    docker_password: Option<String>,
    /// Mail address there
    #[arg(long, value_name = "TEXT")]
    docker_email: Option<String>,
    /// A file of docker's with credentials, instead of all these; KEY is .dockerconfigjson
    #[arg(long, value_name = "[KEY=]FILE", conflicts_with_all = ["docker_server", "docker_username", "docker_password", "docker_email"])]
    from_file: Vec<Values>,
    #[command(flatten)]
    naming: Naming,
    #[command(flatten)]
    making: Making,
}

impl Registry {
    pub async fn run(self, session: &Session) -> Outcome {
        let mut data = sources::files("Secret", &self.from_file, CREDENTIALS)?;
        if data.is_empty() {
            data.insert(CREDENTIALS.to_owned(), self.credentials()?.into_bytes());
        }
        let object = secret(&self.name, "kubernetes.io/dockerconfigjson", data);
        self.making.run(session, self.naming.on(object)).await
    }

    /// As docker keeps them. The fields' order counts where a hash is made of them.
    fn credentials(&self) -> Result<String, CliError> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let server = given(&self.docker_server.clone().or(Some(REGISTRY_URL.to_owned())));
        let (user, password) = (given(&self.docker_username), given(&self.docker_password));
        let (Some(server), Some(user), Some(password)) = (server, user, password) else {
            return Err(CliError::new(
                "either --from-file or the combination of --docker-username, --docker-password and --docker-server is required",
            ));
        };
        let auth = STANDARD.encode(format!("{user}:{password}"));
        let mut fields = vec![("username", user), ("password", password)];
        fields.extend(given(&self.docker_email).map(|email| ("email", email)));
        fields.push(("auth", auth));
        let quoted = |text: &str| escape_html(&Value::from(text).to_string());
        let fields = fields
            .iter()
            .map(|(name, text)| format!("{name:?}:{}", quoted(text)));
        let fields: Vec<String> = fields.collect();
        let server = quoted(&server);
        Ok(format!(
            "{{\"auths\":{{{server}:{{{}}}}}}}",
            fields.join(",")
        ))
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
